//! The engine on loopback: every test once on each driver.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod actor;
mod buffers;
mod deferred;
mod errors;
mod fragments;
mod namespaces;
mod shards;
mod slow_link;
mod start_stop;
mod traffic;
