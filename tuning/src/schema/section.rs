//! `section!` and `choice!`: one declaration makes struct, keys, reader and printer.

use super::key::Key;
use crate::read::{Node, Reader};

/// A table of the file. Made by `section!`, never by hand.
pub(crate) trait Section: Sized + Clone {
    /// What the table is.
    const DOC: &'static str;
    /// The key that a bare string stands for: `"127.0.0.1:5060"` for `{ address = "127.0.0.1:5060" }`.
    const SHORTHAND: Option<&'static str>;

    /// Its keys, in the order of the declaration.
    fn keys() -> Vec<Key>;

    /// Reads it; keys that are not there come from `base`, or from their defaults.
    fn read_table(
        table: &toml::de::DeTable<'_>,
        node: &Node<'_>,
        reader: &mut Reader<'_>,
        base: Option<&Self>,
    ) -> Option<Self>;

    /// The same table as TOML, every key with a value present.
    fn print_table(&self) -> toml::Table;

    /// Takes what needs a restart from the running configuration.
    fn keep_restart(&mut self, running: &Self);

    /// The table when the file does not have it; `None` when it has a required key.
    fn blank() -> Option<Self>;
}

/// The defaults of a section none of whose keys is required.
///
/// # Panics
///
/// When the section has a required key: a mistake in its declaration, which every reading of a file finds.
pub(crate) fn defaults<S: Section>() -> S {
    S::blank().expect("INVARIANT: defaults() is asked only of sections without required keys")
}

/// Declares a section of the file:
///
/// ```text
/// section! {
///     /// What the table is.
///     Name shorthand key {
///         /// What the key does.
///         live key as "written": Type = default, within low => high;
///         /// A key that must be there.
///         restart other: Type;
///         /// A default made from other keys, in words; filled in by `resolve`.
///         live third: Type = placeholder, derived "64 × t1";
///         /// A default that is the value of a top-level key.
///         live fourth: Type = default, inherits "probe";
///     }
/// }
/// ```
macro_rules! section {
    (
        $(#[doc = $section_doc:literal])*
        $name:ident $(shorthand $shorthand:ident)? {
            $(
                $(#[doc = $doc:literal])*
                $effect:ident $field:ident $(as $written:literal)? : $ty:ty
                $(= $default:expr)? $(, derived $derived:literal)? $(, inherits $inherits:literal)?
                $(, within $low:expr => $high:expr)? ;
            )*
        }
    ) => {
        $(#[doc = $section_doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $ty, )*
        }

        impl $crate::schema::Section for $name {
            const DOC: &'static str = concat!($($section_doc, "\n"),*);
            const SHORTHAND: Option<&'static str> = {
                let shorthand: Option<&'static str> = None;
                $( let shorthand = { let _ = shorthand; Some(stringify!($shorthand)) }; )?
                shorthand
            };

            fn keys() -> Vec<$crate::schema::Key> {
                vec![ $({
                    let kind = <$ty as $crate::read::Value>::kind();
                    $( let kind = $crate::read::bounded(kind, &$low, &$high); )?
                    let fallback = $crate::schema::Fallback::Required;
                    $( let fallback = { let _ = fallback; $crate::schema::Fallback::Value(<$ty as $crate::read::Value>::print(&$default)) }; )?
                    $( let fallback = { let _ = fallback; $crate::schema::Fallback::Derived($derived) }; )?
                    $( let fallback = { let _ = fallback; $crate::schema::Fallback::Derived(concat!("that of the top-level `", $inherits, "`")) }; )?
                    $crate::schema::Key {
                        name: section!(@name $field $($written)?),
                        doc: concat!($($doc, "\n"),*),
                        kind,
                        fallback,
                        effect: section!(@effect $effect),
                    }
                }),* ]
            }

            fn read_table(
                table: &toml::de::DeTable<'_>,
                node: &$crate::read::Node<'_>,
                reader: &mut $crate::read::Reader<'_>,
                base: Option<&Self>,
            ) -> Option<Self> {
                reader.refuse_unknown_keys(table, &<Self as $crate::schema::Section>::keys());
                $(
                    let fallback: Option<$ty> = base.map(|base| base.$field.clone());
                    $( let fallback = fallback.or_else(|| reader.inherited::<$ty>($inherits)); )?
                    $( let fallback = fallback.or_else(|| Some($default)); )?
                    let bounds: Option<(toml::Value, toml::Value)> = None;
                    $( let bounds = { let _ = bounds; $crate::read::printed_bounds(&$low, &$high) }; )?
                    let $field: Option<$ty> =
                        reader.field(table, node, section!(@name $field $($written)?), fallback, bounds);
                )*
                Some(Self { $( $field: $field?, )* })
            }

            fn print_table(&self) -> toml::Table {
                let mut table = toml::Table::new();
                $(
                    if let Some(value) = <$ty as $crate::read::Value>::print(&self.$field) {
                        table.insert(section!(@name $field $($written)?).to_owned(), value);
                    }
                )*
                table
            }

            fn keep_restart(&mut self, running: &Self) {
                let _ = running;
                $( section!(@keep $effect self running $field); )*
            }

            fn blank() -> Option<Self> {
                Some(Self { $( $field: {
                    let value: Option<$ty> = None;
                    $( let value = value.or_else(|| Some($default)); )?
                    value?
                }, )* })
            }
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $written:literal) => { $written };
    (@keep live $new:ident $running:ident $field:ident) => {
        $crate::read::Value::keep_restart(&mut $new.$field, &$running.$field);
    };
    (@keep restart $new:ident $running:ident $field:ident) => {
        $new.$field.clone_from(&$running.$field);
    };
    (@effect live) => { $crate::schema::Effect::Live };
    (@effect restart) => { $crate::schema::Effect::Restart };
}

/// Declares a key's words: an enum whose values are written as strings.
macro_rules! choice {
    (
        $(#[doc = $enum_doc:literal])*
        $name:ident {
            $( $(#[doc = $doc:literal])* $variant:ident = $word:literal, )*
        }
    ) => {
        $(#[doc = $enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[doc = $doc])* $variant, )*
        }

        impl $name {
            /// Every value with its meaning, as written in the file.
            pub const WORDS: &'static [(&'static str, &'static str)] = &[ $( ($word, concat!($($doc, "\n"),*)) ),* ];

            /// As written in the file.
            pub const fn word(self) -> &'static str {
                match self { $( $name::$variant => $word, )* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.word())
            }
        }

        impl $crate::read::Value for $name {
            fn kind() -> $crate::schema::Kind {
                $crate::schema::Kind::Choice(Self::WORDS)
            }
            fn read(node: &$crate::read::Node<'_>, reader: &mut $crate::read::Reader<'_>, _: Option<&Self>) -> Option<Self> {
                match reader.word(node, Self::WORDS)? {
                    $( $word => Some($name::$variant), )*
                    _ => None,
                }
            }
            fn print(&self) -> Option<toml::Value> {
                Some(toml::Value::String(self.word().to_owned()))
            }
        }
    };
}
