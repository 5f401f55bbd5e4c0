//! The books of all shards, added up: for the last second and for the whole run.

use std::net::SocketAddr;

use proto::time::Micros;

use super::{
    Book,
    latency::Latencies,
    tally::{CallerTally, GatewayTally, Merge},
};

/// What a shard reported last.
#[derive(Clone, Copy, Debug, Default)]
struct ShardState {
    active: u64,
    done: bool,
    last: bool,
}

/// All shards together.
pub struct Totals {
    /// Callers.
    pub caller: CallerTally,
    /// Gateways, in the order in which they were given.
    pub gateways: Vec<(SocketAddr, GatewayTally)>,
    /// Times.
    pub latencies: Latencies,
    /// Datagrams that arrived.
    pub received: u64,
    /// Datagrams that were sent.
    pub sent: u64,
    /// CPU time of each shard.
    pub cpu: Vec<Micros>,
    /// For each shard, which gateways its book holds.
    gateways_of: Vec<Vec<usize>>,
    shards: Vec<ShardState>,
}

impl Totals {
    /// For these gateways; `gateways_of` names those of each shard, in its order.
    pub fn new(gateways: &[SocketAddr], gateways_of: Vec<Vec<usize>>) -> Self {
        Totals {
            caller: CallerTally::default(),
            gateways: gateways.iter().map(|address| (*address, GatewayTally::default())).collect(),
            latencies: Latencies::default(),
            received: 0,
            sent: 0,
            cpu: vec![Micros(0); gateways_of.len()],
            shards: vec![ShardState::default(); gateways_of.len()],
            gateways_of,
        }
    }

    /// Adds a book of `shard`.
    pub fn add(&mut self, shard: usize, book: &Book) {
        self.caller.merge(&book.caller);
        for (index, part) in self.gateways_of.get(shard).into_iter().flatten().zip(&book.gateways) {
            if let Some((_, sum)) = self.gateways.get_mut(*index) {
                sum.merge(part);
            }
        }
        self.latencies.merge(&book.latencies);
        self.received += book.received;
        self.sent += book.sent;
        if let Some(cpu) = self.cpu.get_mut(shard) {
            cpu.0 += book.cpu.0;
        }
        if let Some(state) = self.shards.get_mut(shard) {
            *state = ShardState { active: book.active, done: book.done, last: state.last || book.last };
        }
    }

    /// Forgets what was counted, not what the shards' states are.
    pub fn clear(&mut self) {
        self.caller = CallerTally::default();
        for (_, gateway) in &mut self.gateways {
            *gateway = GatewayTally::default();
        }
        self.latencies.clear();
        (self.received, self.sent) = (0, 0);
        self.cpu.fill(Micros(0));
    }

    /// Calls that are open, by the latest books.
    pub fn active(&self) -> u64 {
        self.shards.iter().map(|shard| shard.active).sum()
    }

    /// Whether all shards have nothing left to do.
    pub fn done(&self) -> bool {
        self.shards.iter().all(|shard| shard.done)
    }

    /// Whether all shards have sent their last book.
    pub fn closed(&self) -> bool {
        self.shards.iter().all(|shard| shard.last)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn gateways_of_all_shards_stand_in_the_order_given() {
        let addresses: Vec<SocketAddr> =
            ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"].map(|address| address.parse().unwrap()).to_vec();
        let mut totals = Totals::new(&addresses, vec![vec![0, 2], vec![1]]);
        for (shard, gateways) in [(0, 2), (1, 1)] {
            let mut book = Book::new(gateways);
            for (n, gateway) in (1u64..).zip(&mut book.gateways) {
                gateway.invites = 10 * (shard as u64 + 1) + n;
            }
            book.active = 5;
            book.done = shard == 0;
            totals.add(shard, &book);
        }
        let invites: Vec<u64> = totals.gateways.iter().map(|(_, g)| g.invites).collect();
        assert_eq!(invites, [11, 21, 12]);
        assert_eq!(totals.active(), 10);
        assert!(!totals.done());
    }
}
