//! Sets of final status codes: `[408, 500, "5xx"]`.

use super::reader::Reader;
use super::value::{Node, Value};
use crate::schema::Kind;
use toml::de::DeValue;

/// Lowest and highest status code that can stand in a set: final responses that are no success.
const CODES: std::ops::RangeInclusive<u16> = 300..=699;

/// Words of 64 bits that hold `CODES`.
const WORDS: usize = 7;

/// A set of status codes from 300 to 699.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatusCodes([u64; WORDS]);

impl StatusCodes {
    /// The set of these codes; codes outside 300 to 699 are left out.
    pub fn of(codes: &[u16]) -> Self {
        let mut set = StatusCodes::default();
        for &code in codes {
            set.insert(code);
        }
        set
    }

    /// The codes of these ranges; codes outside 300 to 699 are left out.
    pub fn of_ranges(ranges: &[std::ops::RangeInclusive<u16>]) -> Self {
        let mut set = StatusCodes::default();
        ranges.iter().cloned().flatten().for_each(|code| set.insert(code));
        set
    }

    /// Whether `code` is in it.
    pub fn contains(&self, code: u16) -> bool {
        let Some(bit) = bit(code) else { return false };
        self.0.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }

    /// Whether no code is in it.
    pub fn is_empty(&self) -> bool {
        *self == StatusCodes::default()
    }

    /// Its codes in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        CODES.filter(|code| self.contains(*code))
    }

    fn insert(&mut self, code: u16) {
        if let Some(bit) = bit(code)
            && let Some(word) = self.0.get_mut(bit / 64)
        {
            *word |= 1 << (bit % 64);
        }
    }
}

fn bit(code: u16) -> Option<usize> {
    CODES.contains(&code).then(|| usize::from(code - CODES.start()))
}

/// The codes of "3xx" to "6xx".
fn class(text: &str) -> Option<std::ops::Range<u16>> {
    let hundreds: u16 = text.strip_suffix("xx")?.parse().ok()?;
    (3..=6).contains(&hundreds).then(|| hundreds * 100..hundreds * 100 + 100)
}

/// One entry of the list.
#[derive(Clone)]
struct Entry(std::ops::Range<u16>);

impl Value for Entry {
    fn kind() -> Kind {
        let words = "a class such as \"5xx\"";
        Kind::Either(vec![Kind::Integer { low: 300, high: 699 }, Kind::Text(words)])
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let codes = match node.get_ref() {
            DeValue::String(text) => class(text),
            DeValue::Integer(integer) => {
                let code = u16::from_str_radix(integer.as_str(), integer.radix()).ok();
                code.filter(|code| CODES.contains(code)).map(|code| code..code + 1)
            }
            _ => None,
        };
        if codes.is_none() {
            reader.malformed(
                node,
                "not a status code that a call can fail with",
                "write codes from 300 to 699, or \"5xx\"",
            );
        }
        codes.map(Entry)
    }
    fn print(&self) -> Option<toml::Value> {
        None
    }
}

impl Value for StatusCodes {
    fn kind() -> Kind {
        Kind::List(Box::new(Entry::kind()))
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let entries: Vec<Entry> = reader.entries(node, &Self::kind().in_words())?;
        let codes: Vec<u16> = entries.into_iter().flat_map(|entry| entry.0).collect();
        Some(StatusCodes::of(&codes))
    }
    fn print(&self) -> Option<toml::Value> {
        let mut list = Vec::new();
        for hundreds in 3..=6_u16 {
            let mut codes = hundreds * 100..hundreds * 100 + 100;
            if codes.clone().all(|code| self.contains(code)) {
                list.push(toml::Value::String(format!("{hundreds}xx")));
            } else {
                codes.by_ref().filter(|code| self.contains(*code)).for_each(|code| list.push(i64::from(code).into()));
            }
        }
        Some(toml::Value::Array(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let codes = StatusCodes::of(&[300, 408, 503, 699, 299, 700]);
        assert_eq!(codes.iter().collect::<Vec<_>>(), [300, 408, 503, 699]);
        assert!(!codes.contains(0) && !codes.contains(u16::MAX));
    }
}
