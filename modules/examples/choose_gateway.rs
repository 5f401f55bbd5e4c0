//! Chooses a gateway by weight among four, as the dispatcher does for a new call, a given number of times.
//!
//! ```text
//! cargo build --release -p modules --example choose_gateway
//! target/release/examples/choose_gateway 1000000      # ns a choice
//! ```

#![allow(clippy::unwrap_used, reason = "an example may panic")]

use algorithms::smooth::Credit;
use algorithms::{Algorithm, Candidate, Choice, Memory, Random};
use std::hint::black_box;
use std::time::Instant;

const WEIGHTS: [u32; 4] = [40, 30, 20, 10];

/// A set and what it remembers.
pub(crate) struct Set {
    algorithm: &'static Algorithm,
    credits: [Credit; WEIGHTS.len()],
    total: u64,
    turn: u32,
    random: Random,
}

impl Set {
    /// By the algorithm of this name.
    pub(crate) fn new(algorithm: &str) -> Self {
        Set {
            algorithm: algorithms::by_name(algorithm).unwrap(),
            credits: Default::default(),
            total: 0,
            turn: 0,
            random: Random::new(1),
        }
    }

    /// One choice for a new call: which gateway.
    pub(crate) fn choose(&mut self, hash: u64) -> usize {
        let mut slots = 0..;
        let mut candidates = WEIGHTS.map(|weight| {
            let slot = slots.next().unwrap_or(0);
            Candidate { slot, weight, priority: 0, place: 0, key: weight.into(), load: 0 }
        });
        (self.algorithm.choose)(&mut Choice {
            candidates: black_box(&mut candidates),
            advance: false,
            hash,
            places: 4,
            bounded: 0,
            memory: Memory {
                credits: &mut self.credits,
                total: &mut self.total,
                turn: &mut self.turn,
                random: &mut self.random,
            },
        })
    }
}

fn main() {
    let times: u64 = std::env::args().nth(1).map_or(1_000_000, |times| times.parse().unwrap());
    let mut set = Set::new("weighted");
    let mut chosen = [0_u64; WEIGHTS.len()];
    let started = Instant::now();
    for hash in 0..times {
        chosen[set.choose(hash)] += 1;
    }
    let nanoseconds = started.elapsed().as_secs_f64() * 1e9 / times as f64;
    println!("{times} choices {chosen:?}, {nanoseconds:.0} ns each");
}
