//! When each call is due: an open loop, which never waits for an earlier call to end.
//!
//! A schedule is a rate over time ([`Rate`]) and how starts are spread under it ([`Arrivals`]). It
//! is computed ahead, so that what the generator or the target are slow at shows as latency and
//! never as fewer calls (no coordinated omission). Shards share one schedule without talking.

mod due;
mod profile;

pub use due::Due;
pub use profile::{NoRate, Rate};

use std::time::Duration;

/// How starts are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Evenly: the n-th start when n are due.
    Constant,
    /// As independent callers would (exponential gaps).
    Poisson,
}

/// What to start, for all shards together.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Starts a second over the run.
    pub rate: Rate,
    /// Spread of the starts.
    pub arrivals: Arrivals,
    /// Length of the run.
    pub length: Duration,
    /// Starts after which the schedule ends although time is left.
    pub starts_max: Option<u64>,
}

impl Plan {
    /// Starts that the plan will make, about (Poisson varies).
    pub fn expected_starts(&self) -> u64 {
        let due = self.rate.starts_within(self.length).ceil();
        // Saturating by the rules of float casts.
        let due = due as u64;
        self.starts_max.map_or(due, |most| most.min(due))
    }
}

/// The starts of one shard, in order, as microseconds after the beginning of the run.
#[derive(Debug)]
pub struct Schedule {
    plan: Plan,
    shard: u64,
    shards: u64,
    made: u64,
    due: f64,
    random: fastrand::Rng,
}

impl Schedule {
    /// The part of `plan` that belongs to shard `shard` of `shards`.
    pub fn new(plan: Plan, shard: u64, shards: u64, seed: u64) -> Self {
        Schedule {
            plan,
            shard,
            shards,
            made: 0,
            due: 0.0,
            random: fastrand::Rng::with_seed(seed ^ shard.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }

    /// Number, over all shards, of the start that comes next.
    fn index(&self) -> u64 {
        self.made * self.shards + self.shard
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let index = self.index();
        if self.plan.starts_max.is_some_and(|most| index >= most) {
            return None;
        }
        self.due = match self.plan.arrivals {
            Arrivals::Constant => index as f64,
            // Independent shards of a share each add up to the whole.
            Arrivals::Poisson => self.due - (1.0 - self.random.f64()).ln() * self.shards as f64,
        };
        let second = self.plan.rate.second_of(self.due, self.plan.length);
        if second >= self.plan.length.as_secs_f64() {
            return None;
        }
        self.made += 1;
        Some((second * 1e6) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arrivals: Arrivals) -> Plan {
        Plan { rate: Rate::Constant(1000.0), arrivals, length: Duration::from_secs(10), starts_max: None }
    }

    #[test]
    fn constant_starts_are_even_and_shards_interleave() {
        let mut all: Vec<u64> = (0..3).flat_map(|shard| Schedule::new(plan(Arrivals::Constant), shard, 3, 1)).collect();
        all.sort_unstable();
        assert_eq!(all.len(), 10_000);
        for (n, start) in (0u64..).zip(&all) {
            assert!(start.abs_diff(n * 1000) <= 1, "start {n} at {start}");
        }
    }

    #[test]
    fn poisson_has_the_rate_and_the_spread_of_poisson() {
        let starts: Vec<u64> = (0..2).flat_map(|shard| Schedule::new(plan(Arrivals::Poisson), shard, 2, 7)).collect();
        // Standard deviation of the count is 100; five of them.
        assert!(starts.len().abs_diff(10_000) < 500, "{}", starts.len());
        let mut per_tick = vec![0f64; 1000];
        for start in &starts {
            per_tick[(start / 10_000) as usize] += 1.0;
        }
        let mean = starts.len() as f64 / 1000.0;
        let variance = per_tick.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 1000.0;
        assert!((0.8..1.25).contains(&(variance / mean)), "{variance}");
    }

    #[test]
    fn the_number_of_calls_ends_a_schedule() {
        let mut limited = plan(Arrivals::Constant);
        limited.starts_max = Some(101);
        let counts: Vec<usize> = (0..2).map(|shard| Schedule::new(limited.clone(), shard, 2, 1).count()).collect();
        assert_eq!(counts, [51, 50]);
        assert_eq!(limited.expected_starts(), 101);
    }
}
