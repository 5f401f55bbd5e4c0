//! The proxy of RFC 3261 §16 on a table, under a virtual clock: no socket, no thread, no sleep.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod ask;
mod call;
mod cancel;
mod edits;
#[path = "../events/mod.rs"]
#[allow(dead_code, reason = "events as bytes are for the fuzz target and its corpus")]
mod events;
mod failover;
mod fork;
mod hand_over;
mod in_dialog;
mod non_invite;
mod overload;
mod own;
mod patience;
mod random;
mod refuse;
mod rig;
mod second_answer;
mod shown_from;
mod stateless;
