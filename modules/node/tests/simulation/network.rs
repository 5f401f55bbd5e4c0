//! The virtual network and its clock: whatever is to happen, in the order of time, drawn from one seed.

use crate::callers::CallTimer;
use crate::gateways::GatewayTimer;
use fastrand::Rng;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

/// Microseconds of one millisecond.
pub(crate) const MS: u64 = 1_000;

/// Microseconds of one second.
pub(crate) const SECOND: u64 = 1_000_000;

/// Longest time that a datagram spends in the network. WHY so short: a duplicate that outlives Timer I (5 s)
/// would be a new request by the RFC.
const DELAY_MAX: u64 = 1_500 * MS;

/// Something that will happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A datagram arrives.
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    /// A timer of a call at its caller.
    Call(usize, CallTimer),
    /// A timer of a gateway.
    Gateway(usize, GatewayTimer),
    /// The change with this index.
    Change(usize),
}

impl Event {
    /// Probes go on for ever; everything else comes to an end.
    fn belongs_to_a_call(&self) -> bool {
        let Event::Datagram { bytes, .. } = self else { return true };
        !bytes.windows(8).any(|window| window == b" OPTIONS")
    }
}

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// Share of datagrams that are lost.
    pub(crate) loss: f64,
    /// Share that arrives twice.
    pub(crate) duplication: f64,
    /// Share that is held up for long, and so overtaken.
    pub(crate) delay: f64,
}

/// See the module.
pub(crate) struct Network {
    /// Microseconds since the world began.
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) conditions: Conditions,
    waiting: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    of_calls: usize,
    trace: DefaultHasher,
    print: bool,
}

impl Network {
    pub(crate) fn new(rng: Rng, conditions: Conditions, print: bool) -> Self {
        Network {
            now: 0,
            rng,
            conditions,
            waiting: BinaryHeap::new(),
            order: 0,
            of_calls: 0,
            trace: DefaultHasher::new(),
            print,
        }
    }

    /// Sends; what becomes of it is drawn.
    pub(crate) fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let copies = if self.rng.f64() < self.conditions.duplication { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.f64() < self.conditions.loss {
                self.note("lost", from, to, bytes);
                continue;
            }
            let held_up = self.rng.f64() < self.conditions.delay;
            let delay = self.rng.u64(if held_up { 30 * MS..DELAY_MAX } else { MS..30 * MS });
            self.after(delay, Event::Datagram { from, to, bytes: bytes.to_vec() });
        }
    }

    /// Lets something happen after `delay`.
    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.order += 1;
        self.of_calls += usize::from(event.belongs_to_a_call());
        self.waiting.push(Reverse((self.now + delay, self.order, event)));
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes what is due now.
    pub(crate) fn take_due(&mut self) -> Option<Event> {
        if self.next_at()? > self.now {
            return None;
        }
        let Reverse((_, _, event)) = self.waiting.pop()?;
        self.of_calls -= usize::from(event.belongs_to_a_call());
        Some(event)
    }

    /// Whether nothing of any call is under way outside of Tandem.
    pub(crate) fn is_quiet(&self) -> bool {
        self.of_calls == 0
    }

    /// Writes a datagram into the trace.
    pub(crate) fn note(&mut self, what: &str, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        (self.now, what, from, to, bytes).hash(&mut self.trace);
        if self.print {
            let text = String::from_utf8_lossy(bytes);
            println!("{:>10.3} ms {what} {from} -> {to}\n{}", self.now as f64 / MS as f64, text.trim_end());
        }
    }

    /// Equal for worlds in which the same datagrams met the same fate at the same time.
    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }
}
