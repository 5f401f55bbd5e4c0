//! Rate decks: what vendors and customers are charged, by the first digits of the number.
//!
//! ```text
//!  bytes ──> [read] ──> Deck (rows, exact) ──> [compile] ──> image bytes ──> Image ──> quotes
//!               │            │                                   read by the node
//!            findings    [compare] with the deck in force
//! ```
//!
//! Read [`read::DeckReader`] and [`image::Image`] first. No I/O, no clock, no floats: whoever calls brings
//! the bytes, the time zone and the time.

#![forbid(unsafe_code)]

pub mod billing;
mod code;
pub mod compare;
pub mod compile;
pub mod image;
pub mod money;
pub mod nanp;
pub mod read;
pub mod rows;

pub use code::{CODE_DIGITS_MAX, Code};
