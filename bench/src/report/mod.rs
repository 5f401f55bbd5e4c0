//! What the generator says of a run: counted on the shards, added up and printed by the main thread.

pub mod latency;
pub mod limit;
pub mod progress;
pub mod summary;
pub mod tally;
pub mod totals;

use proto::time::{Micros, Mono};

use latency::Latencies;
use tally::{CallerTally, GatewayTally};

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
    /// Nothing is left to do: the schedule is through and no call is open.
    pub done: bool,
    /// Nothing follows.
    pub last: bool,
}

impl Book {
    /// For a shard with so many gateways.
    pub fn new(gateways: usize) -> Self {
        Book { gateways: vec![GatewayTally::default(); gateways], ..Book::default() }
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
}
