//! `hash_variables` of a set: what the algorithm `hash-variables` hashes, in the words of Kamailio's `hash_pvar`.

use crate::read::{Node, Reader, Value};
use crate::schema::Kind;
use std::fmt;

/// What is hashed: texts and values of the request, one behind the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HashVariables {
    written: String,
    parts: Vec<HashPart>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HashPart {
    /// As it is written.
    Text(String),
    /// A value of the request.
    Variable(HashVariable),
}

/// A value of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashVariable {
    /// `$ci`: the Call-ID.
    CallId,
    /// `$fu`: the URI of From.
    FromUri,
    /// `$fU`: its user.
    FromUser,
    /// `$fd`: its host.
    FromDomain,
    /// `$tu`: the URI of To.
    ToUri,
    /// `$tU`: its user.
    ToUser,
    /// `$td`: its host.
    ToDomain,
    /// `$ru`: the Request-URI.
    RequestUri,
    /// `$rU`: its user.
    RequestUser,
    /// `$rd`: its host.
    RequestDomain,
    /// `$si`: the address that the request came from.
    SourceAddress,
}

const NAMES: [(&str, HashVariable); 11] = [
    ("ci", HashVariable::CallId),
    ("fu", HashVariable::FromUri),
    ("fU", HashVariable::FromUser),
    ("fd", HashVariable::FromDomain),
    ("tu", HashVariable::ToUri),
    ("tU", HashVariable::ToUser),
    ("td", HashVariable::ToDomain),
    ("ru", HashVariable::RequestUri),
    ("rU", HashVariable::RequestUser),
    ("rd", HashVariable::RequestDomain),
    ("si", HashVariable::SourceAddress),
];

/// Most parts.
const PARTS_MAX: usize = 16;

impl HashVariables {
    /// Reads it; `None`: it names something else, or nothing of a request.
    pub fn parse(written: &str) -> Option<Self> {
        let (mut parts, mut rest) = (Vec::new(), written);
        while !rest.is_empty() {
            let end = rest.find('$').unwrap_or(rest.len());
            let (text, variable) = rest.split_at_checked(end)?;
            if !text.is_empty() {
                parts.push(HashPart::Text(text.to_owned()));
            }
            if variable.is_empty() {
                break;
            }
            let name = variable.get(1..)?;
            let named = NAMES.iter().find_map(|(word, of)| Some((name.strip_prefix(word)?, *of)));
            let bracketed = || {
                NAMES
                    .iter()
                    .find_map(|(word, of)| Some((name.strip_prefix('(')?.strip_prefix(word)?.strip_prefix(')')?, *of)))
            };
            let (after, found) = named.or_else(bracketed)?;
            parts.push(HashPart::Variable(found));
            rest = after;
        }
        let names_something = parts.iter().any(|part| matches!(part, HashPart::Variable(_)));
        (names_something && parts.len() <= PARTS_MAX).then(|| HashVariables { written: written.to_owned(), parts })
    }

    /// Its parts in their order.
    pub fn parts(&self) -> &[HashPart] {
        &self.parts
    }
}

/// The Call-ID.
impl Default for HashVariables {
    fn default() -> Self {
        HashVariables { written: "$ci".to_owned(), parts: vec![HashPart::Variable(HashVariable::CallId)] }
    }
}

impl fmt::Display for HashVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Value for HashVariables {
    fn kind() -> Kind {
        Kind::Text("variables of a request")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        let read = HashVariables::parse(&text);
        if read.is_none() {
            let names: Vec<String> = NAMES.iter().map(|(name, _)| format!("${name}")).collect();
            reader.malformed(
                node,
                "not variables of a request",
                format!("write some of {}, such as \"$fU@$fd\"", names.join(" ")),
            );
        }
        read
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.written.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_between_texts() {
        let parts = |text: &str| HashVariables::parse(text).map(|read| read.parts().len());
        assert_eq!(parts("$ci"), Some(1));
        assert_eq!(parts("x-$fU@$(fd)!"), Some(5));
        assert_eq!((parts("plain"), parts(""), parts("$var(x)"), parts("$")), (None, None, None, None));
        assert_eq!(parts(&"$ci".repeat(PARTS_MAX + 1)), None);
    }
}
