//! What passes between drivers, shards and the application: received frames, where a frame is to
//! be sent, and errors that the network reported.
//!
//! A frame says nothing of how it came (socket, AF_XDP, stream): whoever reads it sees contiguous
//! bytes, the listener, both addresses and a flow id.

use crate::time::Mono;
use std::net::{IpAddr, SocketAddr};

/// One shard of this process: its index, from 0, below `limits::SHARDS_MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u8);

/// One lane (a thread for blocking work): its index, from 0, below `limits::LANES_MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u8);

impl ShardId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl LaneId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A received message, lying in the driver's memory (or in a hand-over ring).
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Index of the listener (as configured) that received it.
    pub listener: u16,
    /// The address it was sent to. On a wildcard listener: the one that was asked.
    pub local: SocketAddr,
    /// The address it came from.
    pub peer: SocketAddr,
    /// The stream connection it came over; 0 for UDP.
    pub flow: u64,
    /// When it arrived: by the kernel's stamp where there is one, else when the shard took it from the driver.
    pub received: Mono,
    /// The payload, contiguous, at most `limits::MESSAGE_BYTES_MAX`.
    pub bytes: &'a [u8],
}

/// Where and from where a frame is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Index of the listener to send from.
    pub listener: u16,
    /// Source address, for a wildcard listener; `None` lets the kernel's routes choose.
    pub local: Option<IpAddr>,
    /// Destination.
    pub peer: SocketAddr,
    /// The stream connection to use; 0 for UDP.
    pub flow: u64,
}

impl Frame<'_> {
    /// The way back to whoever sent this frame, from the address that was asked.
    pub fn back(&self) -> Egress {
        Egress { listener: self.listener, local: Some(self.local.ip()), peer: self.peer, flow: self.flow }
    }
}

/// A destination that the network says cannot be reached.
///
/// Comes from ICMP by way of the socket's error queue, or from the kernel's routes. All shards are
/// told, because the kernel reports the error on any socket of a reuseport group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError {
    /// Index of the listener whose packet drew the error.
    pub listener: u16,
    /// Where that packet had been sent.
    ///
    /// INVARIANT: taken from the report, never from the call that failed: the pending error of a
    /// dead gateway surfaces on the next send to a healthy one.
    pub peer: SocketAddr,
    /// What is wrong with it.
    pub kind: NetworkErrorKind,
}

/// Why a destination cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkErrorKind {
    /// Nobody listens on that port.
    Refused,
    /// The host does not answer, or a filter forbids it.
    HostUnreachable,
    /// There is no route to that network.
    NetUnreachable,
    /// The packet was larger than the path takes and could not be fragmented.
    MessageTooLong,
    /// The address that it was to be sent from is not on this host now: the destination has nothing to do with it.
    SourceAway,
    /// Any other `errno`.
    Other(i32),
}

impl NetworkErrorKind {
    /// From an `errno` of Linux.
    pub const fn from_errno(errno: i32) -> Self {
        match errno {
            engine_sys::errno::ECONNREFUSED => Self::Refused,
            engine_sys::errno::EHOSTUNREACH | engine_sys::errno::EHOSTDOWN => Self::HostUnreachable,
            engine_sys::errno::ENETUNREACH | engine_sys::errno::ENETDOWN => Self::NetUnreachable,
            engine_sys::errno::EMSGSIZE => Self::MessageTooLong,
            other => Self::Other(other),
        }
    }
}
