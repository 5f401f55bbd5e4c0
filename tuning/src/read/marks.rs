//! Where in the file each value stands, by its path: `set[0].gateways[1].weight`.

use std::collections::HashMap;
use std::ops::Range;

/// The places of everything that the file gives. What comes from a default has no mark.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    places: HashMap<String, Range<usize>>,
    /// (path, where its value really stands)
    aliases: Vec<(String, String)>,
}

impl Marks {
    pub(crate) fn set(&mut self, path: &str, value: Range<usize>) {
        self.places.insert(path.to_owned(), value);
    }

    /// The file itself gives the value at `path`.
    pub(crate) fn given(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// The value at `path`, or the nearest table around it that the file has.
    pub(crate) fn value(&self, path: &str) -> Option<Range<usize>> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path).or_else(|| self.aliased(path)) {
                return Some(place.clone());
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }

    fn aliased(&self, path: &str) -> Option<&Range<usize>> {
        let mut real = self.aliases.iter().filter_map(|(alias, real)| Some((path.strip_prefix(alias.as_str())?, real)));
        real.find_map(|(below, real)| self.places.get(&format!("{real}{below}")))
    }

    /// Places of everything at and below `path`.
    pub(crate) fn below<'m>(&'m self, path: &'m str) -> impl Iterator<Item = &'m Range<usize>> {
        let inside = |rest: &str| matches!(rest.as_bytes().first(), None | Some(b'.' | b'['));
        let places = self.places.iter().filter(move |(own, _)| own.strip_prefix(path).is_some_and(inside));
        places.map(|(_, place)| place)
    }

    /// What is asked for below `alias` stands below `real`: for values that were moved after reading.
    pub(crate) fn alias(&mut self, alias: &str, real: &str) {
        self.aliases.push((alias.to_owned(), real.to_owned()));
    }
}
