//! Keys that take one value or a list of them.

use super::reader::Reader;
use super::value::{Node, Value};
use crate::schema::Kind;
use std::ops::Deref;
use toml::de::DeValue;

/// One value or several; none: no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Deref for OneOrMany<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> OneOrMany<T> {
    /// No condition.
    pub(crate) const fn none() -> Self {
        OneOrMany(Vec::new())
    }

    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }
}

impl<T: Value> Value for OneOrMany<T> {
    fn kind() -> Kind {
        Kind::Either(vec![T::kind(), Kind::List(Box::new(T::kind()))])
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        match node.get_ref() {
            DeValue::Array(_) => Vec::read(node, reader, None).map(OneOrMany),
            _ => {
                let value = T::read(node, reader, None);
                // WHY: what cannot be understood is not the same as no condition.
                reader.lost |= value.is_none();
                value.map(|value| OneOrMany(vec![value]))
            }
        }
    }
    fn print(&self) -> Option<toml::Value> {
        match self.0.as_slice() {
            [] => None,
            [only] => only.print(),
            _ => self.0.print(),
        }
    }
}
