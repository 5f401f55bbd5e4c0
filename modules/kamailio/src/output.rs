//! TOML as people write it: sections in an order that reads, gateways one a line, comments where something is to be decided.

use std::fmt::Write as _;

/// A file in the making.
#[derive(Clone, Debug, Default)]
pub struct Document {
    text: String,
}

impl Document {
    /// A line of comment.
    pub fn comment(&mut self, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.text, "# {line}");
        }
    }

    /// `[name]` or `[[name]]`, after an empty line.
    pub fn section(&mut self, header: &str) {
        let _ = writeln!(self.text, "\n{header}");
    }

    /// A key and its value.
    pub fn key(&mut self, name: &str, value: &toml::Value) {
        let _ = writeln!(self.text, "{name} = {value}");
    }

    /// A key with a text.
    pub fn string(&mut self, name: &str, value: &str) {
        self.key(name, &toml::Value::String(value.to_owned()));
    }

    /// A key with a number.
    pub fn number(&mut self, name: &str, value: i64) {
        self.key(name, &toml::Value::Integer(value));
    }

    /// A key with texts.
    pub fn strings<'v>(&mut self, name: &str, values: impl IntoIterator<Item = &'v str>) {
        let values = values.into_iter().map(|value| toml::Value::String(value.to_owned())).collect();
        self.key(name, &toml::Value::Array(values));
    }

    /// A key with values, as they are written, of which each gets a line.
    pub fn lines(&mut self, name: &str, values: &[String]) {
        let _ = writeln!(self.text, "{name} = [");
        for value in values {
            let _ = writeln!(self.text, "  {value},");
        }
        self.text.push_str("]\n");
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }
}

/// An inline table of these keys in their order.
#[must_use]
pub fn inline(keys: &[(&str, toml::Value)]) -> String {
    let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", keys.join(", "))
}

/// `{ sqlite = path }`.
#[must_use]
pub fn sqlite(path: &str) -> toml::Value {
    let keys = [("sqlite".to_owned(), toml::Value::String(path.to_owned()))];
    toml::Value::Table(keys.into_iter().collect())
}

/// A name that can stand in commands and file names: letters, digits, `-`, `_` and `.`, the rest as `-`.
#[must_use]
pub fn plain_name(text: &str) -> String {
    let plain = |symbol: char| if symbol.is_ascii_alphanumeric() || matches!(symbol, '_' | '.') { symbol } else { '-' };
    let name: String = text.chars().map(plain).take(NAME_MAX).collect();
    name.trim_matches('-').to_owned()
}

const NAME_MAX: usize = 48;

/// Names that are given once.
#[derive(Debug, Default)]
pub struct Names(std::collections::BTreeSet<String>);

impl Names {
    /// `wanted`, or with a number behind it if that is taken.
    pub fn give(&mut self, wanted: &str) -> String {
        self.give_as_it_is(plain_name(wanted))
    }

    /// The same for what is a name already, such as a host with its port.
    pub fn give_as_it_is(&mut self, wanted: String) -> String {
        let wanted = if wanted.is_empty() { "unnamed".to_owned() } else { wanted };
        let numbered = (2..).map(|number: u32| format!("{wanted}-{number}"));
        let free = std::iter::once(wanted.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let name = free.unwrap_or(wanted);
        self.0.insert(name.clone());
        name
    }
}
