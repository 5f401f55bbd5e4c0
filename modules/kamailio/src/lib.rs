//! Kamailio's tables and lists: read, understood, and said as Tandem's configuration and decks. No I/O.
//!
//! | File | What |
//! |---|---|
//! | [`read`] | `dispatcher.list`, `address` files, dbtext, SQL dumps, the script: bytes to [`table::Table`]s and words |
//! | [`dispatcher`] | sets of destinations, in the order that Kamailio gives them |
//! | [`senders`] | `address` and `trusted`: who may send |
//! | [`routing`] | `lcr`, `drouting` and `carrierroute` as one thing: prefixes with gateways in their order |
//! | [`location`] | bindings of `usrloc` |
//! | [`report`] | what was taken, what has no counterpart, what would behave otherwise and why |
//! | [`output`] | all of it as TOML and decks |
//!
//! `tandem import kamailio` (`modules/node/src/cli/import/`) calls [`translate`]; `tandem accounts import` reads dumps with
//! [`read::sql`].

#![forbid(unsafe_code)]

pub mod dispatcher;
pub mod location;
pub mod output;
pub mod read;
pub mod report;
pub mod routing;
pub mod senders;
pub mod table;
pub mod translate;
pub mod trial;

pub use translate::{Given, translate};
