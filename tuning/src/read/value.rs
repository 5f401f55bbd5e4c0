//! Types that a key may have: the plain ones. Addresses, durations and "off" have files of their own.

use super::reader::Reader;
use crate::schema::{Kind, Section};
use std::path::PathBuf;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value of the file with its place.
pub(crate) type Node<'a> = Spanned<DeValue<'a>>;

/// A type that a key may have.
pub(crate) trait Value: Sized + Clone {
    /// What it takes, for schema and messages.
    fn kind() -> Kind;
    /// Reads it; on a mistake notes it in `reader` and returns `None`. Tables take what the file
    /// does not give from `base`.
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, base: Option<&Self>) -> Option<Self>;
    /// As TOML; `None` when there is nothing to write.
    fn print(&self) -> Option<toml::Value>;
    /// Takes what needs a restart from the running value; only sections have such parts.
    fn keep_restart(&mut self, running: &Self) {
        let _ = running;
    }
    /// Whether it lies between two printed bounds, both included.
    fn is_within(&self, low: &toml::Value, high: &toml::Value) -> bool {
        match (self.print(), low, high) {
            (Some(toml::Value::Integer(value)), toml::Value::Integer(low), toml::Value::Integer(high)) => {
                (low..=high).contains(&&value)
            }
            (Some(toml::Value::Float(value)), toml::Value::Float(low), toml::Value::Float(high)) => {
                (low..=high).contains(&&value)
            }
            _ => true,
        }
    }
}

/// What a bound is written as in a declaration.
pub(crate) trait Bound {
    /// As it is compared and shown.
    fn printed(&self) -> Option<toml::Value>;
}

impl Bound for i32 {
    fn printed(&self) -> Option<toml::Value> {
        Some(toml::Value::Integer(i64::from(*self)))
    }
}

impl<T: Value> Bound for T {
    fn printed(&self) -> Option<toml::Value> {
        self.print()
    }
}

/// Both bounds of a key.
pub(crate) fn printed_bounds(low: &impl Bound, high: &impl Bound) -> Option<(toml::Value, toml::Value)> {
    low.printed().zip(high.printed())
}

/// Adds bounds to a kind.
pub(crate) fn bounded(kind: Kind, low: &impl Bound, high: &impl Bound) -> Kind {
    match printed_bounds(low, high) {
        Some((low, high)) => kind.within(&low, &high),
        None => kind,
    }
}

macro_rules! integer {
    ($($ty:ty),*) => { $(
        impl Value for $ty {
            fn kind() -> Kind {
                Kind::Integer { low: i128::from(<$ty>::MIN), high: i128::from(<$ty>::MAX) }
            }
            fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
                let DeValue::Integer(integer) = node.get_ref() else {
                    reader.wrong_type(node, &Self::kind().in_words());
                    return None;
                };
                let value = <$ty>::from_str_radix(integer.as_str(), integer.radix()).ok();
                if value.is_none() {
                    reader.out_of_bounds(node);
                }
                value
            }
            fn print(&self) -> Option<toml::Value> {
                i64::try_from(*self).ok().map(toml::Value::Integer)
            }
        }
    )* };
}

integer!(u16, u32, u64);

impl Value for f64 {
    fn kind() -> Kind {
        Kind::Number { low: f64::MIN, high: f64::MAX }
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let value = match node.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            _ => None,
        };
        let value = value.filter(|value: &f64| value.is_finite());
        if value.is_none() {
            reader.wrong_type(node, "a number such as 1.25");
        }
        value
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::Float(*self))
    }
}

impl Value for bool {
    fn kind() -> Kind {
        Kind::Boolean
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        if let DeValue::Boolean(value) = node.get_ref() {
            return Some(*value);
        }
        reader.wrong_type(node, "true or false");
        None
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::Boolean(*self))
    }
}

impl Value for String {
    fn kind() -> Kind {
        Kind::Text("a string")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let DeValue::String(text) = node.get_ref() else {
            reader.wrong_type(node, "a string in double quotes");
            return None;
        };
        if text.trim().is_empty() {
            reader.malformed(node, "empty", "write some text, or leave the key out");
            return None;
        }
        if text.chars().any(char::is_control) {
            reader.malformed(node, "has control characters", "write printable characters only");
            return None;
        }
        Some(text.to_string())
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.clone()))
    }
}

impl Value for PathBuf {
    fn kind() -> Kind {
        Kind::Text("a path")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        String::read(node, reader, None).map(PathBuf::from)
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.display().to_string()))
    }
}

/// A key that may be left out, and then means nothing.
impl<T: Value> Value for Option<T> {
    fn kind() -> Kind {
        T::kind()
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, base: Option<&Self>) -> Option<Self> {
        T::read(node, reader, base.and_then(Option::as_ref)).map(Some)
    }
    fn print(&self) -> Option<toml::Value> {
        self.as_ref().and_then(T::print)
    }
}

impl<T: Value> Value for Vec<T> {
    fn kind() -> Kind {
        Kind::List(Box::new(T::kind()))
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        reader.entries(node, &Self::kind().in_words())
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::Array(self.iter().filter_map(T::print).collect()))
    }
    fn is_within(&self, low: &toml::Value, high: &toml::Value) -> bool {
        self.iter().all(|value| value.is_within(low, high))
    }
}

impl<S: Section> Value for S {
    fn kind() -> Kind {
        Kind::Table { doc: S::DOC, keys: S::keys, shorthand: S::SHORTHAND }
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, base: Option<&Self>) -> Option<Self> {
        match (node.get_ref(), S::SHORTHAND) {
            (DeValue::Table(table), _) => S::read_table(table, node, reader, base),
            (DeValue::String(_), Some(key)) => {
                let mut table = DeTable::new();
                table.insert(Spanned::new(node.span(), key.into()), node.clone());
                S::read_table(&table, node, reader, base)
            }
            _ => {
                reader.wrong_type(node, &Self::kind().in_words());
                None
            }
        }
    }
    fn keep_restart(&mut self, running: &Self) {
        Section::keep_restart(self, running);
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::Table(self.print_table()))
    }
}
