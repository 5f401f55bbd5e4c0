//! Where in the file each value stands, by its path: `set[0].gateways[1].weight`.

use std::collections::HashMap;
use std::ops::Range;

/// The places of everything that the file gives. What comes from a default has no mark.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    places: HashMap<String, Place>,
}

#[derive(Clone, Debug)]
struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

impl Marks {
    pub(crate) fn set(&mut self, path: &str, key: Range<usize>, value: Range<usize>) {
        self.places.insert(path.to_owned(), Place { key, value });
    }

    /// The file itself gives the value at `path`.
    pub(crate) fn given(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// The value at `path`, or the nearest table around it that the file has.
    pub(crate) fn value(&self, path: &str) -> Option<Range<usize>> {
        self.nearest(path).map(|place| place.value.clone())
    }

    /// The key at `path`, or that of the nearest table around it.
    pub(crate) fn key(&self, path: &str) -> Option<Range<usize>> {
        self.nearest(path).map(|place| place.key.clone())
    }

    fn nearest(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(place);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }

    /// Lets everything below `from` be found below `to` too.
    pub(crate) fn alias(&mut self, from: &str, to: &str) {
        let below: Vec<_> = self
            .places
            .iter()
            .filter_map(|(path, place)| {
                Some((format!("{to}{}", path.strip_prefix(from)?), place.clone()))
            })
            .filter(|(path, _)| matches!(path.as_bytes().get(to.len()), None | Some(b'.' | b'[')))
            .collect();
        self.places.extend(below);
    }
}
