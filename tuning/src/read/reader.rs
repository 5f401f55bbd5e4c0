//! The walk over the file's tree: one method a shape, each error with its place and remedy.

use super::marks::Marks;
use super::unknown::unknown_key;
use super::value::{Node, Value};
use crate::diagnostic::Finding;
use crate::schema::{Key, Kind, show};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// State of one walk.
#[derive(Debug)]
pub(crate) struct Reader<'s> {
    root: &'s DeTable<'s>,
    path: String,
    /// Where values stand.
    pub(crate) marks: Marks,
    /// What is wrong so far.
    pub(crate) findings: Vec<Finding>,
    /// Inside a second reading of an inherited table, whose mistakes are known already.
    muted: bool,
    /// Bounds of the key that is being read, as printed.
    bounds: Option<(toml::Value, toml::Value)>,
    /// A value without default could not be read, so that the tree lacks something that the file has:
    /// checks of sense would find follow-up mistakes only.
    pub(crate) lost: bool,
    /// Tables with keys that are not known: what they lack may be what was misspelt.
    pub(crate) doubtful: Vec<String>,
}

impl<'s> Reader<'s> {
    pub(crate) fn new(root: &'s DeTable<'s>) -> Self {
        Reader {
            root,
            path: String::new(),
            marks: Marks::default(),
            findings: Vec::new(),
            muted: false,
            bounds: None,
            lost: false,
            doubtful: Vec::new(),
        }
    }

    pub(crate) fn found(&mut self, finding: Finding) {
        if !self.muted {
            self.findings.push(finding);
        }
    }

    /// The key `name` of `table`, or `fallback` when it is not there or cannot be read. `None`: there is
    /// an error, and it has been noted.
    pub(crate) fn field<T: Value>(
        &mut self,
        table: &DeTable<'_>,
        around: &Node<'_>,
        name: &'static str,
        fallback: Option<T>,
        bounds: Option<(toml::Value, toml::Value)>,
    ) -> Option<T> {
        let Some(node) = table.get(name) else {
            if fallback.is_none() {
                self.missing(table, around, name, &T::kind());
            }
            return fallback;
        };
        let outer_path = self.enter(name, node.span());
        let outer_bounds = std::mem::replace(&mut self.bounds, bounds);
        let value = T::read(node, self, fallback.as_ref()).filter(|value| self.holds_bounds(node, value));
        self.bounds = outer_bounds;
        self.path.truncate(outer_path);
        let value = value.or(fallback);
        self.lost |= value.is_none();
        value
    }

    /// Every entry of a list; entries with errors are left out after their errors were noted.
    pub(crate) fn entries<T: Value>(&mut self, node: &Node<'_>, kind: &str) -> Option<Vec<T>> {
        let DeValue::Array(array) = node.get_ref() else {
            self.wrong_type(node, kind);
            self.lost = true;
            return None;
        };
        let mut values = Vec::with_capacity(array.len());
        for (index, entry) in array.iter().enumerate() {
            let outer = self.path.len();
            self.path.push_str(&format!("[{index}]"));
            self.mark(entry.span());
            let value = T::read(entry, self, None);
            self.lost |= value.is_none();
            values.extend(value);
            self.path.truncate(outer);
        }
        Some(values)
    }

    /// What the top-level key `name` holds, for sections that take their defaults from it.
    pub(crate) fn inherited<T: Value>(&mut self, name: &str) -> Option<T> {
        let root = self.root;
        let node = root.get(name)?;
        let muted = std::mem::replace(&mut self.muted, true);
        let value = T::read(node, self, None);
        self.muted = muted;
        value
    }

    /// One of the words; the error names the likely one.
    pub(crate) fn word(
        &mut self,
        node: &Node<'_>,
        words: &'static [(&'static str, &'static str)],
    ) -> Option<&'static str> {
        let kind = Kind::Choice(words).in_words();
        let DeValue::String(text) = node.get_ref() else {
            self.wrong_type(node, &kind);
            return None;
        };
        if let Some((word, _)) = words.iter().find(|(word, _)| word == text) {
            return Some(word);
        }
        let likely = suggestion(text, words.iter().map(|(word, _)| *word));
        let finding = Finding::error(
            "unknown-word",
            Some(node.span()),
            format!("`{text}` is not a value of `{}`", self.subject()),
        )
        .label(likely.map_or("not known".to_owned(), |word| format!("did you mean {word:?}?")))
        .remedy(format!("write {kind}"));
        self.found(finding);
        None
    }

    /// Notes that `node` is not what its key takes.
    pub(crate) fn wrong_type(&mut self, node: &Node<'_>, expected: &str) {
        let found = match node.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a decimal point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let key = self.path.rsplit('.').next().unwrap_or_default();
        let remedy = match (node.get_ref(), expected) {
            (DeValue::Array(_), "a table") => format!("write [{key}], once"),
            (DeValue::Table(_), list) if list.ends_with("entry a table") => {
                format!("write [[{key}]], with two brackets")
            }
            (DeValue::String(text), list) if list.starts_with("a list") => {
                let parts: Vec<_> = text.split([',', ';']).map(|part| format!("{:?}", part.trim())).collect();
                format!("write it in brackets: [{}]", parts.join(", "))
            }
            (DeValue::String(text), "a whole number") if text.parse::<i64>().is_ok() => {
                format!("write {text}, without quotes")
            }
            (_, "a table") => format!("write the header [{key}] on a line of its own, and its keys below"),
            (DeValue::Integer(number), list) if list.starts_with("a list") => {
                format!("write it in brackets: [{}]", number.as_str())
            }
            _ => format!("write {expected}"),
        };
        let finding =
            Finding::error("wrong-type", Some(node.span()), format!("`{}` has the wrong type", self.subject()))
                .label(format!("this is {found}"))
                .remedy(remedy);
        self.found(finding);
    }

    /// Notes that the text of `node` is not of the form that its key takes.
    pub(crate) fn malformed(&mut self, node: &Node<'_>, why: impl Into<String>, remedy: impl Into<String>) {
        let finding =
            Finding::error("malformed-value", Some(node.span()), format!("`{}` cannot be understood", self.subject()))
                .label(why)
                .remedy(remedy);
        self.found(finding);
    }

    /// Notes each key of `table` that no `known` key is.
    pub(crate) fn refuse_unknown_keys(&mut self, table: &DeTable<'_>, known: &[Key]) {
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            if known.iter().any(|known| known.name == name) {
                continue;
            }
            if self.path.is_empty() {
                // WHY: without a table that was misspelt everything that needs it would be reported too.
                let meant = suggestion(name, known.iter().map(|key| key.name)).is_some();
                self.lost |= meant && (value.get_ref().is_table() || value.get_ref().is_array());
            } else {
                self.doubtful.push(self.path.clone());
            }
            let finding = unknown_key(name, key.span(), &self.subject(), known);
            self.found(finding);
        }
    }

    /// The path without indices: what people call it.
    fn subject(&self) -> String {
        let parts = self.path.split('[').enumerate();
        parts
            .map(|(nth, part)| if nth == 0 { part } else { part.split_once(']').map_or("", |(_, rest)| rest) })
            .collect()
    }

    fn missing(&mut self, table: &DeTable<'_>, around: &Node<'_>, name: &'static str, kind: &Kind) {
        self.lost = true;
        // WHY: a misspelt key has been noted with the right name; that it is missing is the same mistake.
        let misspelt = |written: &str| suggestion(written, std::iter::once(name)).is_some();
        if table.iter().any(|(key, _)| misspelt(key.get_ref())) {
            return;
        }
        let (whole, place) = match self.subject().as_str() {
            "" => ("the file".to_owned(), None),
            subject => (format!("`{subject}`"), Some(around.span())),
        };
        let remedy = match kind {
            Kind::Table { .. } => format!("add the table [{name}]"),
            _ => format!("add `{name}`: {}", kind.in_words()),
        };
        let finding = Finding::error("missing-key", place, format!("{whole} needs `{name}`"))
            .label(format!("`{name}` is missing"))
            .remedy(remedy);
        self.found(finding);
    }

    fn holds_bounds<T: Value>(&mut self, node: &Node<'_>, value: &T) -> bool {
        let within = self.bounds.as_ref().is_none_or(|(low, high)| value.is_within(low, high));
        if !within {
            self.out_of_bounds(node);
        }
        within
    }

    /// Notes that the number in `node` does not lie within the bounds of its key.
    pub(crate) fn out_of_bounds(&mut self, node: &Node<'_>) {
        let message = format!("`{}` is out of bounds", self.subject());
        let finding = Finding::error("out-of-bounds", Some(node.span()), message);
        let finding = match &self.bounds {
            Some((low, high)) => {
                let bounds = format!("{} to {}", show(low), show(high));
                finding.label(format!("not within {bounds}")).remedy(format!("write a value from {bounds}"))
            }
            None => finding.label("too large or negative").remedy("write a smaller number, 0 or above"),
        };
        self.found(finding);
    }

    fn enter(&mut self, name: &str, value: Range<usize>) -> usize {
        let outer = self.path.len();
        if outer > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        self.mark(value);
        outer
    }

    fn mark(&mut self, value: Range<usize>) {
        if !self.muted {
            self.marks.set(&self.path, value);
        }
    }
}

/// The known word nearest to `written`, when it is near enough to be what was meant.
pub(crate) fn suggestion<'w>(written: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let plain = |word: &str| word.to_lowercase().replace(['-', ' '], "_");
    let written = plain(written);
    known
        .map(|word| (strsim::damerau_levenshtein(&written, &plain(word)), word))
        .filter(|(distance, word)| *distance <= (word.len().max(3) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
