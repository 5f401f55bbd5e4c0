//! What the generator says of a run: counted on the shards, added up and printed by the main thread.

pub mod latency;
pub mod tally;

use proto::time::{Micros, Mono};

use latency::Latencies;
use tally::{CallerTally, GatewayTally, Merge};

/// What one shard counted since it last reported.
#[derive(Default)]
pub struct Book {
    /// Callers.
    pub caller: CallerTally,
    /// Gateways of this shard, in their order.
    pub gateways: Vec<GatewayTally>,
    /// Times.
    pub latencies: Latencies,
    /// Calls that are up or being set up, when the book was closed.
    pub active: u64,
    /// CPU time of the shard's thread.
    pub cpu: Micros,
    /// Datagrams that arrived.
    pub received: u64,
    /// Datagrams that were sent.
    pub sent: u64,
    /// When the book was closed.
    pub closed: Mono,
    /// Nothing follows: the shard is done.
    pub last: bool,
}

impl Book {
    /// For a shard with so many gateways.
    pub fn new(gateways: usize) -> Self {
        Book {
            gateways: vec![GatewayTally::default(); gateways],
            ..Book::default()
        }
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.caller = CallerTally::default();
        for gateway in &mut self.gateways {
            *gateway = GatewayTally::default();
        }
        self.latencies.clear();
        self.cpu = Micros(0);
        self.received = 0;
        self.sent = 0;
    }

    /// Adds a later book of the same shard.
    pub fn merge(&mut self, more: &Book) {
        self.caller.merge(&more.caller);
        for (sum, part) in self.gateways.iter_mut().zip(&more.gateways) {
            sum.merge(part);
        }
        self.latencies.merge(&more.latencies);
        self.active = more.active;
        self.cpu = Micros(self.cpu.0.saturating_add(more.cpu.0));
        self.received += more.received;
        self.sent += more.sent;
        self.closed = more.closed;
        self.last |= more.last;
    }
}
