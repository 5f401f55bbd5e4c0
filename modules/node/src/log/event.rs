//! What a shard may tell the log: fixed-size, filled without allocating, made into a record by a lane.

use super::{Level, Record};
use std::net::SocketAddr;

/// Something on a shard that is worth a line.
#[derive(Clone, Copy, Debug)]
pub struct ShardEvent {
    /// What it was.
    pub kind: ShardEventKind,
    /// When: microseconds since 1970 (UTC).
    pub wall: u64,
    /// Whom it concerns.
    pub peer: Option<SocketAddr>,
    /// Name of the drop reason, pool or error, from the program's own fixed words.
    pub what: &'static str,
    /// A number that belongs to it: a status, a size, a count.
    pub number: u64,
}

/// Kinds of events. A call that goes well is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardEventKind {
    /// A request from an address that is nobody's.
    UnknownSource,
    /// A pool or table is full: new work is refused, `what` is its name, `number` its size.
    PoolFull,
    /// An in-dialog request without a valid token or with a target that is not listed.
    ForgedRequest,
    /// A response that no branch of ours explains, or from an address that was not asked.
    ForgedResponse,
    /// A message that cannot be read.
    Malformed,
    /// A datagram could not be sent.
    SendFailed,
    /// A request came back to us (RFC 5393 §4.2).
    Loop,
}

impl ShardEventKind {
    /// The event's word in the log.
    pub const fn name(self) -> &'static str {
        match self {
            ShardEventKind::UnknownSource => "unknown-source",
            ShardEventKind::PoolFull => "pool-full",
            ShardEventKind::ForgedRequest => "forged-request",
            ShardEventKind::ForgedResponse => "forged-response",
            ShardEventKind::Malformed => "malformed",
            ShardEventKind::SendFailed => "send-failed",
            ShardEventKind::Loop => "loop",
        }
    }

    const fn level(self) -> Level {
        match self {
            ShardEventKind::PoolFull | ShardEventKind::SendFailed => Level::Error,
            _ => Level::Warn,
        }
    }
}

impl ShardEvent {
    /// The record that is written for it.
    pub fn record(&self, shard: usize) -> Record {
        let mut record = Record { wall: self.wall, ..Record::new(self.kind.level(), self.kind.name()) };
        record = record.with("shard", shard);
        if let Some(peer) = self.peer {
            record = record.with("peer", peer.to_string());
        }
        record.with("what", self.what).with("number", self.number)
    }
}
