//! What is known of one key of the file.

/// What a reload does with a changed key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It holds at once for new work.
    Live,
    /// It needs a restart: pools, sockets and threads are made once.
    Restart,
}

/// What a key means when the file does not have it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fallback {
    /// The key must be there.
    Required,
    /// This value; `None`: nothing, the feature is not used.
    Value(Option<toml::Value>),
    /// Made from other keys or from the host, in words.
    Derived(&'static str),
}

/// What values a key takes.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number between bounds, both included.
    Integer {
        /// Smallest.
        low: i128,
        /// Largest.
        high: i128,
    },
    /// A number with a decimal point between bounds, both included.
    Number {
        /// Smallest.
        low: f64,
        /// Largest.
        high: f64,
    },
    /// A string with a number and a unit: `"500ms"`, `"2s"`, `"3m"`, `"1h"`. Bounds as such strings.
    Duration {
        /// Shortest.
        low: String,
        /// Longest.
        high: String,
    },
    /// A string of a form, named in words.
    Text(&'static str),
    /// One of a few words, each with its meaning.
    Choice(&'static [(&'static str, &'static str)]),
    /// Several values.
    List(Box<Kind>),
    /// A table with keys of its own; an inline table or a `[header]`.
    Table {
        /// What the table is.
        doc: &'static str,
        /// Its keys.
        keys: fn() -> Vec<Key>,
        /// The key that a bare string stands for.
        shorthand: Option<&'static str>,
    },
    /// Any of these.
    Either(Vec<Kind>),
}

/// One key of the file.
#[derive(Clone, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What it does, with unit, bounds and source.
    pub doc: &'static str,
    /// Its values.
    pub kind: Kind,
    /// Without it.
    pub fallback: Fallback,
    /// When it changes.
    pub effect: Effect,
}

impl Key {
    /// The file must have it.
    pub fn is_required(&self) -> bool {
        self.fallback == Fallback::Required
    }

    /// Its default as it would stand in a file; `None` when it is required, derived or unset.
    pub fn default_value(&self) -> Option<&toml::Value> {
        match &self.fallback {
            Fallback::Value(value) => value.as_ref(),
            Fallback::Required | Fallback::Derived(_) => None,
        }
    }
}

impl std::fmt::Display for Fallback {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fallback::Required => formatter.write_str("required"),
            Fallback::Value(None) => formatter.write_str("none"),
            Fallback::Value(Some(value)) => write!(formatter, "{value}"),
            Fallback::Derived(words) => formatter.write_str(words),
        }
    }
}

impl Kind {
    /// In words, for messages: "a duration such as \"2s\"".
    pub fn in_words(&self) -> String {
        match self {
            Kind::Boolean => "true or false".to_owned(),
            Kind::Integer { .. } => "a whole number".to_owned(),
            Kind::Number { .. } => "a number".to_owned(),
            Kind::Duration { .. } => "a duration such as \"500ms\" or \"2s\"".to_owned(),
            Kind::Text(what) => (*what).to_owned(),
            Kind::Choice(words) => {
                let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
                alternatives(&words)
            }
            Kind::List(of) => format!("a list; each entry {}", of.in_words()),
            Kind::Table { shorthand: Some(key), keys, .. } => {
                let shorthand = keys().into_iter().find(|entry| entry.name == *key);
                format!("{} or a table", shorthand.map_or("a string".to_owned(), |key| key.kind.in_words()))
            }
            Kind::Table { .. } => "a table".to_owned(),
            Kind::Either(kinds) => alternatives(&kinds.iter().map(Kind::in_words).collect::<Vec<_>>()),
        }
    }

    /// The keys of the table in it, when it is a table, a list of tables, or may be one.
    pub(crate) fn table_keys(&self) -> Option<Vec<Key>> {
        match self {
            Kind::Table { keys, .. } => Some(keys()),
            Kind::List(of) => of.table_keys(),
            Kind::Either(kinds) => kinds.iter().find_map(Kind::table_keys),
            _ => None,
        }
    }

    /// The same kind held within bounds (printed values of that kind).
    #[must_use]
    pub(crate) fn within(self, low: &toml::Value, high: &toml::Value) -> Kind {
        match (self, low, high) {
            (Kind::Integer { .. }, toml::Value::Integer(low), toml::Value::Integer(high)) => {
                Kind::Integer { low: i128::from(*low), high: i128::from(*high) }
            }
            (Kind::Number { .. }, toml::Value::Float(low), toml::Value::Float(high)) => {
                Kind::Number { low: *low, high: *high }
            }
            (Kind::Duration { .. }, toml::Value::String(low), toml::Value::String(high)) => {
                Kind::Duration { low: low.clone(), high: high.clone() }
            }
            (Kind::Either(kinds), low, high) => {
                Kind::Either(kinds.into_iter().map(|kind| kind.within(low, high)).collect())
            }
            (Kind::List(of), low, high) => Kind::List(Box::new(of.within(low, high))),
            (kind, _, _) => kind,
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn alternatives(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
