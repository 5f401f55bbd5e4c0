//! `[[route]]`: which calls go to which set.

use crate::read::{Host, ListenerName, Node, OneOrMany, Reader, SetName, SourceName, Value};
use crate::schema::Kind;

section! {
    /// Sends calls that meet every condition given to a set. The first route that matches holds.
    Route {
        /// Source groups that it is for.
        live source: OneOrMany<SourceName> = OneOrMany::none();
        /// Listeners that the call came in on.
        live listener: OneOrMany<ListenerName> = OneOrMany::none();
        /// Hosts of the Request-URI, compared without case.
        live domain: OneOrMany<Host> = OneOrMany::none();
        /// What the user part of the Request-URI begins with, a leading `+` aside.
        live prefix: OneOrMany<NumberPrefix> = OneOrMany::none();
        /// Where they go.
        live set: SetName;
    }
}

impl Route {
    /// What is implied when the file has one set and no route.
    pub(crate) fn everything_to(set: &str) -> Self {
        Route {
            source: OneOrMany::none(),
            listener: OneOrMany::none(),
            domain: OneOrMany::none(),
            prefix: OneOrMany::none(),
            set: SetName::of(set),
        }
    }
}

/// The beginning of a number: digits, `*` and `#`, without `+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NumberPrefix(String);

/// Longest prefix: numbers have at most 15 digits (E.164), technical prefixes some more.
const PREFIX_BYTES_MAX: usize = 32;

impl NumberPrefix {
    /// One that is known to be good.
    pub(crate) fn of(digits: &str) -> Self {
        NumberPrefix(digits.to_owned())
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the user part of a Request-URI begins with it.
    pub fn matches(&self, user: &[u8]) -> bool {
        user.strip_prefix(b"+").unwrap_or(user).starts_with(self.0.as_bytes())
    }
}

impl Value for NumberPrefix {
    fn kind() -> Kind {
        Kind::Text("the first digits of a number")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        let digits = text.strip_prefix('+').unwrap_or(&text);
        let good =
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*' || byte == b'#');
        if !good || digits.len() > PREFIX_BYTES_MAX {
            let remedy = format!("write up to {PREFIX_BYTES_MAX} digits, * or #, such as \"44\"");
            reader.malformed(node, "not the beginning of a number", remedy);
            return None;
        }
        Some(NumberPrefix(digits.to_owned()))
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.0.clone()))
    }
}
