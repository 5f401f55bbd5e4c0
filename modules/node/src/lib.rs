//! The program `tandem`: composes `engine` (bytes, shards, time), `proto` (SIP) and `modules` (policy),
//! and gives them a control plane.
//!
//! | Threads | Do |
//! |---|---|
//! | `shard-0`, … | carry SIP: [`app::ShardApp`] in the engine's loop; never wait |
//! | the first | starts everything ([`run`]), then is the control lane ([`control`]): configuration, tables, figures |
//! | `tandem-control`, `tandem-client` | the control socket ([`control::socket`]) |
//! | `tandem-journal` | registrations, before they are acknowledged ([`journal`]) |
//! | `tandem-disk` | what outlives a restart ([`disk`]) |
//! | `tandem-accounts` | each source of accounts: files, databases, RADIUS servers ([`accounts`]) |
//! | `tandem-dns` | names of gateways, questions of shards ([`dns`]) |
//! | `tandem-shadow` | what a candidate would have made of each call ([`shadow`]) |
//! | `tandem-log` | lines ([`log`]) |
//! | `tandem-metrics` | the page for Prometheus ([`metrics`]) |
//! | `tandem-signals` | SIGHUP, SIGTERM, SIGINT ([`run`]) |
//!
//! Shards and lanes speak in letters ([`letter`]).

#![forbid(unsafe_code)]

pub mod accounts;
pub mod admin;
pub mod admission;
pub mod app;
pub mod cli;
pub mod control;
pub mod deck_files;
pub mod disk;
pub mod dns;
pub mod errand;
pub mod explanation;
mod held_replies;
pub mod journal;
mod lanes;
pub mod letter;
pub mod lnp;
pub mod log;
pub mod metric;
pub mod metrics;
pub mod module_question;
mod notify;
mod outfit;
pub mod records;
mod replay;
pub mod reply;
pub mod run;
pub mod shadow;
pub mod shard_hand_over;
mod shard_outbox;
mod shard_pending;
mod shard_questions;
mod shard_snapshot;
pub mod snapshot;
pub mod steering;
