//! A queue of an interface that is a shard's own.

use engine_sys::xdp::XdpSocket;
use engine_sys::xdp::socket::Statistics;

/// An AF_XDP socket and where it is bound.
#[derive(Debug)]
pub struct Port {
    /// The socket.
    pub socket: XdpSocket,
    /// Index of the interface.
    pub interface: u32,
    /// Something was queued since the last kick.
    pub(super) queued: bool,
    seen: Statistics,
}

impl Port {
    /// A socket that is bound to `interface`.
    pub fn new(socket: XdpSocket, interface: u32) -> Self {
        Port { socket, interface, queued: false, seen: Statistics::default() }
    }

    /// Packets dropped, and times that there was no frame to receive into, since the last call.
    pub(super) fn count_drops(&mut self) -> (u64, u64) {
        let Ok(now) = self.socket.statistics() else {
            return (0, 0);
        };
        let before = std::mem::replace(&mut self.seen, now);
        let dropped = now.dropped + now.ring_full - before.dropped - before.ring_full;
        (dropped, now.fill_empty - before.fill_empty)
    }
}
