//! Tandem's load generator: callers and gateways on Tandem's own drivers and parser.
//!
//! A shard (`station`) serves both ends: a datagram goes by its listener to the callers
//! ([`caller`]) or the gateways ([`gateway`]) of that shard, which talk to the world through
//! [`wire::Wire`]. The main thread (`run`) starts the shards, adds up what they count and prints it
//! ([`report`]).

#![forbid(unsafe_code)]

pub mod back_off;
pub mod caller;
pub mod cli;
pub mod digest;
pub mod duration;
pub mod echo;
pub mod gateway;
pub mod host;
pub mod identity;
#[cfg(test)]
mod loopback;
pub mod message;
pub mod numbers;
pub mod outlet;
pub mod parked;
pub mod placing;
pub mod report;
pub mod reporter;
pub mod run;
pub mod schedule;
pub mod setup;
pub mod slab;
pub mod station;
pub mod wire;
