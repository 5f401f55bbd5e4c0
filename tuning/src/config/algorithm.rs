//! The dispatcher's algorithms as words of the file. The list itself is the crate `algorithms`.

use crate::read::{Node, Reader, Value};
use crate::schema::Kind;
use std::fmt;
use std::ops::Deref;

/// How a set picks the gateway of a call, and the order in which others follow.
#[derive(Clone, Copy, Debug)]
pub struct Algorithm(&'static algorithms::Algorithm);

impl Algorithm {
    /// Every algorithm with its meaning, as written in the file.
    pub const WORDS: &'static [(&'static str, &'static str)] = &words();

    /// The algorithm itself.
    pub const fn get(self) -> &'static algorithms::Algorithm {
        self.0
    }
}

const fn words() -> [(&'static str, &'static str); algorithms::ALGORITHMS.len()] {
    let mut words = [("", ""); algorithms::ALGORITHMS.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = (algorithms::ALGORITHMS[at].name, algorithms::ALGORITHMS[at].about);
        at += 1;
    }
    words
}

/// The first of the list.
impl Default for Algorithm {
    fn default() -> Self {
        Algorithm(&algorithms::ALGORITHMS[0])
    }
}

impl Deref for Algorithm {
    type Target = algorithms::Algorithm;

    fn deref(&self) -> &algorithms::Algorithm {
        self.0
    }
}

impl PartialEq for Algorithm {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Algorithm {}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl Value for Algorithm {
    fn kind() -> Kind {
        Kind::Choice(Self::WORDS)
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        algorithms::by_name(reader.word(node, Self::WORDS)?).map(Algorithm)
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.name.to_owned()))
    }
}
