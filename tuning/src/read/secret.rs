//! Values that are shown to nobody: shared secrets, and the passwords in connection strings.
//!
//! What prints a configuration, a reload's differences or the line of a mistake shows [`MASK`] in their place; what reads
//! a file refuses it, so that a printed configuration is not taken for a whole one.

use super::reader::Reader;
use super::value::{Node, Value};
use crate::schema::Kind;
use std::fmt;

/// What stands for a secret.
pub(crate) const MASK: &str = "***";

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// How a database is reached, its password included: a URL, or words such as `host=db user=sip password=...`.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString(String);

impl Secret {
    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl ConnectionString {
    /// Of a text.
    pub fn new(text: &str) -> Self {
        ConnectionString(text.to_owned())
    }

    /// All of it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// With [`MASK`] for its password.
    pub fn masked(&self) -> String {
        let mut shown = self.0.clone();
        // From the last one on, so that places stay right.
        for place in passwords(&self.0).into_iter().rev() {
            shown.replace_range(place, MASK);
        }
        shown
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.masked())
    }
}

impl Value for Secret {
    fn kind() -> Kind {
        Kind::Text("a string")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        refuse_mask(node, reader, text == MASK)?;
        Some(Secret(text))
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(MASK.to_owned()))
    }
}

impl Value for ConnectionString {
    fn kind() -> Kind {
        Kind::Text("a connection string")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        let masked = passwords(&text).into_iter().any(|place| text.get(place) == Some(MASK));
        refuse_mask(node, reader, masked)?;
        Some(ConnectionString(text))
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.masked()))
    }
}

fn refuse_mask(node: &Node<'_>, reader: &mut Reader<'_>, masked: bool) -> Option<()> {
    if masked {
        reader.malformed(node, "a secret as it is shown, not as it is", "write the secret itself");
    }
    (!masked).then_some(())
}

/// The text of a file in which each secret is stars: as long as it was, so that places stay right.
pub(crate) fn masked_source(text: &str) -> String {
    let mut shown = text.as_bytes().to_vec();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        for place in secrets_of_line(line) {
            let room = shown.get_mut(start + place.start..start + place.end).unwrap_or_default();
            room.fill(b'*');
        }
        start += line.len();
    }
    // INVARIANT: whole characters became stars, one for each octet.
    String::from_utf8(shown).unwrap_or_default()
}

type Place = std::ops::Range<usize>;

/// Secrets of a line of a file: quoted values of keys that are called so, passwords of connection strings.
fn secrets_of_line(line: &str) -> Vec<Place> {
    let mut places = passwords(line);
    let lower = line.to_ascii_lowercase();
    for word in ["secret", "password"] {
        let mut from = 0;
        while let Some(found) = lower.get(from..).and_then(|rest| rest.find(word)) {
            let at = from + found;
            from = at + word.len();
            places.extend(quoted_value(line, from));
        }
    }
    places
}

/// The quoted value of the key in which `at` stands, if it is one: `..." = "value"`. Keys that go on as `_column` name
/// columns.
fn quoted_value(line: &str, at: usize) -> Option<Place> {
    let rest = line.get(at..)?;
    let key_end = rest.find(|symbol: char| !(symbol.is_ascii_alphanumeric() || "_-\"'".contains(symbol)))?;
    if rest.get(..key_end)?.contains("column") {
        return None;
    }
    let after_key = rest.get(key_end..)?;
    let value = after_key.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|symbol| "\"'".contains(*symbol))?;
    let inside = value.get(1..)?;
    let start = line.len() - inside.len();
    let end = inside.find(quote).unwrap_or(inside.trim_end().len());
    Some(start..start + end)
}

/// Where passwords stand in a text with connection strings: between the user's colon and the last `@` of a URL's
/// authority, and behind `password=`.
fn passwords(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("://")) {
        let start = from + found + 3;
        let rest = text.get(start..).unwrap_or_default();
        // A password may have a slash in it, as it should not: the last `@` of the word counts.
        let word = rest.split(|symbol: char| symbol.is_whitespace() || symbol == '"').next().unwrap_or_default();
        let (authority, _) = word.rsplit_once('@').unwrap_or_default();
        if let Some(colon) = authority.find(':') {
            places.push(start + colon + 1..start + authority.len());
        }
        from = start;
    }
    let lower = text.to_ascii_lowercase();
    from = 0;
    while let Some(found) = lower.get(from..).and_then(|rest| rest.find("password")) {
        from += found + "password".len();
        let Some(value) = text.get(from..).and_then(|rest| rest.trim_start().strip_prefix('=')) else { continue };
        let value = value.trim_start();
        let start = text.len() - value.len();
        let place = match value.strip_prefix('\'') {
            Some(inside) => start + 1..start + 1 + inside.find('\'').unwrap_or(inside.len()),
            None => {
                let end = value.find(|symbol: char| symbol.is_whitespace() || "&\"'".contains(symbol));
                start..start + end.unwrap_or(value.len())
            }
        };
        if !place.is_empty() {
            places.push(place);
        }
    }
    places.sort_by_key(|place| place.start);
    places.dedup_by(|later, earlier| later.start < earlier.end);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_are_shown_without_their_password() {
        for (connection, shown) in [
            ("postgresql://sip:geheim@db/sip", "postgresql://sip:***@db/sip"),
            ("mysql://sip:a@b@db:3306/kamailio", "mysql://sip:***@db:3306/kamailio"),
            ("mysql://sip:a/b@db/kamailio", "mysql://sip:***@db/kamailio"),
            (
                "postgresql://db/sip?user=a&password=geheim&sslmode=require",
                "postgresql://db/sip?user=a&password=***&sslmode=require",
            ),
            ("host=db user=sip password=geheim dbname=x", "host=db user=sip password=*** dbname=x"),
            ("host=db password = 'ge heim' dbname=x", "host=db password = '***' dbname=x"),
            ("postgresql://sip@db/sip", "postgresql://sip@db/sip"),
            ("host=db user=sip", "host=db user=sip"),
        ] {
            let connection = ConnectionString(connection.to_owned());
            assert_eq!((connection.masked().as_str(), format!("{connection:?}").as_str()), (shown, shown));
        }
        assert_eq!(format!("{:?}", Secret("geheim".to_owned())), MASK);
    }

    #[test]
    fn lines_of_a_file_are_shown_with_stars() {
        for (line, shown) in [
            ("radius_secret = \"testing123\" # x", "radius_secret = \"**********\" # x"),
            (
                "accounts = { radius = [\"a:1\"], radius_secrt_secret='geheim' }",
                "accounts = { radius = [\"a:1\"], radius_secrt_secret='******' }",
            ),
            ("mysql = \"mysql://sip:geheim@db/x\"\nkey = 1\n", "mysql = \"mysql://sip:******@db/x\"\nkey = 1\n"),
            ("postgres = \"host=db password=gehéim\"", "postgres = \"host=db password=*******\""),
            ("password = \"half", "password = \"****"),
            ("password_column = \"password\"", "password_column = \"password\""),
            ("uri = \"sip:a@b:5060\"", "uri = \"sip:a@b:5060\""),
        ] {
            assert_eq!(masked_source(line), shown);
            assert_eq!(masked_source(line).len(), line.len());
        }
    }
}
