//! A feature that can be switched off by writing `"off"` instead of its settings.

use super::reader::Reader;
use super::value::{Node, Value};
use crate::schema::Kind;
use toml::de::DeValue;

/// Either off, or on with settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffOr<T> {
    /// `"off"`.
    Off,
    /// Its settings.
    On(T),
}

impl<T> OffOr<T> {
    /// The settings, if it is on.
    pub const fn on(&self) -> Option<&T> {
        match self {
            OffOr::Off => None,
            OffOr::On(settings) => Some(settings),
        }
    }
}

impl<T: Value> Value for OffOr<T> {
    fn kind() -> Kind {
        Kind::Either(vec![Kind::Choice(&[("off", "Not used.")]), T::kind()])
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, base: Option<&Self>) -> Option<Self> {
        match node.get_ref() {
            DeValue::String(text) if text == "off" => Some(OffOr::Off),
            DeValue::Boolean(_) => {
                reader.wrong_type(node, &Self::kind().in_words());
                None
            }
            _ => T::read(node, reader, base.and_then(OffOr::on)).map(OffOr::On),
        }
    }
    fn print(&self) -> Option<toml::Value> {
        match self {
            OffOr::Off => Some(toml::Value::String("off".to_owned())),
            OffOr::On(settings) => settings.print(),
        }
    }
    fn is_within(&self, low: &toml::Value, high: &toml::Value) -> bool {
        self.on().is_none_or(|settings| settings.is_within(low, high))
    }
}
