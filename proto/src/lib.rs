//! SIP without I/O.
//!
//! This crate opens no socket, reads no clock and draws no random number: bytes, `now` and seeds come
//! in; bytes, timers and verdicts go out. Read [`message::Message`] first (what a datagram is), then
//! [`proxy::Proxy`] (what is done with it), then [`policy::Policy`] (what it asks of the modules).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod base64;
pub mod hash;
pub mod message;
pub mod policy;
pub mod pool;
pub mod proxy;
pub mod steer;
pub mod time;
pub mod token;
pub mod transaction;
