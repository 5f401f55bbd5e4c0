//! A message that is sent until it is answered or given up: Timers A and B, E and F, G and H of RFC 3261, and
//! the 2xx of §13.3.1.4 differ in the longest interval alone.

use crate::network::{Event, MS, Network, SECOND};
use std::net::SocketAddr;

const T1: u64 = 500 * MS;

/// Longest interval of what is no INVITE.
pub(crate) const T2: u64 = 4 * SECOND;

/// Intervals of an INVITE double without bound.
pub(crate) const UNBOUND: u64 = u64::MAX;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    pub(crate) bytes: Vec<u8>,
    from: SocketAddr,
    to: SocketAddr,
    interval: u64,
    longest: u64,
    deadline: u64,
    running: bool,
}

impl Repeat {
    /// Sends it for the first time. `event` comes whenever [`Repeat::tick`] is to be called.
    pub(crate) fn start(
        net: &mut Network,
        (from, to): (SocketAddr, SocketAddr),
        bytes: Vec<u8>,
        longest: u64,
        event: Event,
    ) -> Self {
        net.send(from, to, &bytes);
        net.after(T1, event);
        Repeat { bytes, from, to, interval: T1, longest, deadline: net.now + 64 * T1, running: true }
    }

    /// Sends it again if it is still to be sent. True: given up.
    pub(crate) fn tick(&mut self, net: &mut Network, event: Event) -> bool {
        if !self.running {
            return false;
        }
        if net.now >= self.deadline {
            self.running = false;
            return true;
        }
        net.send(self.from, self.to, &self.bytes);
        self.interval = self.interval.saturating_mul(2).min(self.longest);
        net.after(self.interval.min(self.deadline - net.now), event);
        false
    }

    /// Sends it once more, because its request came again.
    pub(crate) fn again(&self, net: &mut Network) {
        net.send(self.from, self.to, &self.bytes);
    }

    /// It was answered.
    pub(crate) fn stop(&mut self) {
        self.running = false;
    }
}
