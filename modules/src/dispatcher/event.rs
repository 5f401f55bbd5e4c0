//! What a shard learns about a gateway and the others must know.
//!
//! Every shard feeds the same inputs to its own breakers, so that they stand alike: three calls that get
//! nothing are three, on whichever shards they were. Events are few: they stop when a breaker opens.

use super::Dispatcher;
use super::breaker::Moved;
use crate::tables::{Address, Tables};
use proto::time::{Micros, Now};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Something about one gateway address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayEvent {
    /// The address. WHY not a number: shards may hold different tables for a moment.
    pub address: SocketAddr,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A probe was answered.
    ProbeAnswered {
        /// With this status.
        status: u16,
        /// After this time.
        latency: Micros,
    },
    /// A probe was missed.
    ProbeMissed,
    /// A call got nothing.
    Silent,
    /// The network reported it unreachable.
    Unreachable,
    /// A call got a response after others had got nothing.
    Alive,
    /// Calls get nothing but 503.
    Refuses,
}

/// Events that wait to be sent to the other shards.
#[derive(Debug)]
pub(super) struct Events {
    queue: VecDeque<GatewayEvent>,
    lost: u64,
}

/// Most events that wait. WHY: they are taken out after every batch of input, which brings fewer.
const EVENTS_MAX: usize = 1_024;

impl Default for Events {
    fn default() -> Self {
        Events { queue: VecDeque::with_capacity(EVENTS_MAX), lost: 0 }
    }
}

impl Events {
    pub(super) fn push(&mut self, address: SocketAddr, what: What) {
        if self.queue.len() < EVENTS_MAX {
            self.queue.push_back(GatewayEvent { address, what });
        } else {
            self.lost += 1;
        }
    }
}

impl Dispatcher {
    /// The next event for all other shards; to be called until there is none.
    pub fn next_event(&mut self) -> Option<GatewayEvent> {
        self.events.queue.pop_front()
    }

    /// Events that were lost because nobody took them out in time.
    pub const fn events_lost(&self) -> u64 {
        self.events.lost
    }

    /// Another shard's event.
    pub fn apply(&mut self, tables: &Tables, event: GatewayEvent, now: Now) {
        if let Some(address) = tables.address(event.address) {
            self.feed(address, event.what, now);
        }
    }

    /// Feeds something learnt here, and tells the others if it moved or counts.
    pub(super) fn learn(&mut self, address: &Address, what: What, now: Now) {
        if self.feed(address, what, now) != Moved::No {
            self.events.push(address.address, what);
        }
    }

    fn feed(&mut self, address: &Address, what: What, now: Now) -> Moved {
        let Some(state) = self.addresses.get_mut(address.number.slot()) else { return Moved::No };
        let (health, rules) = (&mut state.health, &address.rules);
        let moved = match (what, &rules.probe) {
            (What::ProbeAnswered { status, latency }, Some(probe)) => {
                health.probe_answered(status, latency, probe, now)
            }
            (What::ProbeMissed, Some(probe)) => health.probe_missed(probe, now),
            (What::ProbeAnswered { .. } | What::ProbeMissed, None) => Moved::No,
            (What::Silent, _) => health.silence(now.mono, rules, now),
            (What::Unreachable, _) => health.unreachable(rules, now),
            (What::Alive, _) => health.response(200, rules, now),
            (What::Refuses, _) => health.refuses(rules, now),
        };
        if moved != Moved::No {
            self.set_next_tick();
        }
        moved
    }
}
