//! The table of keys: every key of the TOML file stands once, with its type, default, bounds,
//! documentation and what a reload does with it.
//!
//! A `section!` declaration (see [`crate::config`]) makes from one list the struct that the rest of
//! Tandem reads, the [`Key`]s that unknown-key suggestions, the JSON Schema and the reference are
//! made from, the reader and the printer. They cannot disagree.

mod json_schema;
mod key;
mod print;
mod reference;
#[macro_use]
mod section;

pub use json_schema::json_schema;
pub use key::{Effect, Fallback, Key, Kind};
pub(crate) use print::{print_file, show};
pub use reference::reference;
pub(crate) use section::{Section, defaults};
