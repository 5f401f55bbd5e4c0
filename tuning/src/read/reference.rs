//! Names that stand for something declared elsewhere in the file.

use super::reader::Reader;
use super::value::{Node, Value};
use crate::schema::Kind;

macro_rules! reference {
    ($(#[doc = $doc:literal])* $name:ident, $what:literal) => {
        $(#[doc = $doc])*
        ///
        /// INVARIANT: in a `Config` that was read from a file, the index is that of an existing one.
        #[derive(Clone, Debug)]
        pub struct $name {
            /// As written.
            pub name: String,
            pub(crate) index: usize,
        }

        impl $name {
            /// Not resolved yet.
            pub(crate) fn of(name: &str) -> Self {
                $name { name: name.to_owned(), index: 0 }
            }

            /// Index in the configuration's list.
            pub const fn index(&self) -> usize {
                self.index
            }
        }

        /// By name: an index moves when the file is edited, and means the same.
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.name == other.name
            }
        }

        impl Eq for $name {}

        impl Value for $name {
            fn kind() -> Kind {
                Kind::Text($what)
            }
            fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
                String::read(node, reader, None).map(|name| $name::of(&name))
            }
            fn print(&self) -> Option<toml::Value> {
                Some(toml::Value::String(self.name.clone()))
            }
        }
    };
}

reference!(
    /// A set, by its name.
    SetName,
    "the name of a set"
);
reference!(
    /// A listener, by its name or address.
    ListenerName,
    "the name of a listener"
);
reference!(
    /// A source group, by its name.
    SourceName,
    "the name of a source group"
);
reference!(
    /// A rate deck, by its name.
    DeckName,
    "the name of a deck"
);
