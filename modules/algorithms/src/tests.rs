//! What the issue of dispatching promises, as properties.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use proptest::prelude::*;

/// One set on one shard.
struct Set {
    algorithm: &'static Algorithm,
    gateways: Vec<Candidate>,
    up: Vec<bool>,
    credits: Vec<Credit>,
    total: u64,
    turn: u32,
    random: Random,
    bounded: u32,
}

impl Set {
    fn new(name: &str, weights: &[u32]) -> Self {
        let gateways = weights
            .iter()
            .enumerate()
            .map(|(slot, &weight)| Candidate {
                slot,
                weight,
                priority: 0,
                place: u16::try_from(slot).unwrap(),
                key: mix(slot as u64 + 77),
                load: 0,
            })
            .collect();
        Set {
            algorithm: by_name(name).unwrap(),
            gateways,
            up: vec![true; weights.len()],
            credits: vec![Credit::default(); weights.len()],
            total: 0,
            turn: 0,
            random: Random::new(1),
            bounded: 0,
        }
    }

    fn pick(&mut self, hash: u64, advance: bool, not: &[usize]) -> usize {
        let mut candidates: Vec<Candidate> = self
            .gateways
            .iter()
            .filter(|gateway| self.up[gateway.slot] && !not.contains(&gateway.slot))
            .copied()
            .collect();
        let slots: Vec<usize> = candidates.iter().map(|candidate| candidate.slot).collect();
        let mut choice = Choice {
            candidates: &mut candidates,
            advance,
            hash,
            places: u16::try_from(self.gateways.len()).unwrap(),
            bounded: self.bounded,
            memory: Memory {
                credits: &mut self.credits,
                total: &mut self.total,
                turn: &mut self.turn,
                random: &mut self.random,
            },
        };
        slots[(self.algorithm.choose)(&mut choice)]
    }

    fn counts(&mut self, calls: u64) -> Vec<u64> {
        let mut counts = vec![0; self.gateways.len()];
        (0..calls).for_each(|n| counts[self.pick(mix(n), false, &[])] += 1);
        counts
    }
}

proptest! {
    /// Within one call of its share after any number of calls, for every gateway.
    #[test]
    fn weighted_is_never_a_call_off(weights in prop::collection::vec(1u32..200, 1..24), calls in 1usize..2_000) {
        let mut set = Set::new("weighted", &weights);
        let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut counts = vec![0u64; weights.len()];
        for done in 1..=calls as u64 {
            counts[set.pick(0, false, &[])] += 1;
            for (count, &weight) in counts.iter().zip(&weights) {
                let off = (count * sum).abs_diff(done * u64::from(weight));
                prop_assert!(off < sum, "{off} / {sum} after {done}");
            }
        }
    }

    /// Any window of 100 calls is exact when the weights are percentages, whatever call it starts at.
    #[test]
    fn weighted_is_exact_over_any_hundred(cuts in prop::collection::btree_set(1u32..100, 0..8), start in 0usize..300) {
        let edges: Vec<u32> = [0].into_iter().chain(cuts).chain([100]).collect();
        let weights: Vec<u32> = edges.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mut set = Set::new("weighted", &weights);
        set.counts(start as u64);
        let counts = set.counts(100);
        prop_assert_eq!(counts, weights.iter().map(|&weight| u64::from(weight)).collect::<Vec<_>>());
    }

    /// Gateways come and go at random; in between the shares hold, two calls off at most.
    #[test]
    fn weighted_stays_fair_through_changes(
        weights in prop::collection::vec(1u32..50, 2..8),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1u64..40), 1..20),
    ) {
        let mut set = Set::new("weighted", &weights);
        for (which, calls) in changes {
            let at = which.index(weights.len());
            set.up[at] = !set.up[at];
            if !set.up.contains(&true) {
                set.up[at] = true;
            }
            let sum: u64 = (0..weights.len()).filter(|&at| set.up[at]).map(|at| u64::from(weights[at])).sum();
            let counts = set.counts(calls);
            for at in 0..weights.len() {
                let share = if set.up[at] { calls * u64::from(weights[at]) } else { 0 };
                prop_assert!((counts[at] * sum).abs_diff(share) < 2 * sum, "{counts:?} of {calls} {weights:?}");
            }
        }
    }

    /// The calls of a dead gateway, moved by failover, spread over the others by weight.
    #[test]
    fn failover_spreads_by_weight(weights in prop::collection::vec(1u32..20, 3..8)) {
        let mut set = Set::new("weighted", &weights);
        let mut moved = vec![0u64; weights.len()];
        for _ in 0..5_000 {
            if set.pick(0, false, &[]) == 0 {
                moved[set.pick(0, true, &[0])] += 1;
            }
        }
        let (all, sum) = (moved.iter().sum::<u64>(), u64::from(weights.iter().skip(1).sum::<u32>()));
        for (&count, &weight) in moved.iter().zip(&weights).skip(1) {
            prop_assert!((count * sum).abs_diff(all * u64::from(weight)) <= 2 * sum);
        }
    }

    /// When one gateway dies, only its own subjects move.
    #[test]
    fn hashes_move_nobody_else(weights in prop::collection::vec(1u32..20, 2..10), dead in any::<prop::sample::Index>()) {
        let mut set = Set::new("hash-call-id", &weights);
        let dead = dead.index(weights.len());
        let before: Vec<usize> = (0..500).map(|n| set.pick(mix(n), false, &[])).collect();
        set.up[dead] = false;
        for (n, &was) in before.iter().enumerate() {
            let is = set.pick(mix(n as u64), false, &[]);
            prop_assert!(is == was || was == dead);
            prop_assert!(is != dead);
        }
    }

    /// No gateway is given more than its bound, and the choice is the unbounded one while there is room.
    #[test]
    fn a_bound_holds(weights in prop::collection::vec(1u32..10, 2..8), subjects in 1u64..20) {
        let mut set = Set::new("hash-callee", &weights);
        set.bounded = 1_250;
        let sum: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        for call in 0..1_000u64 {
            let chosen = set.pick(mix(call % subjects), false, &[]);
            set.gateways[chosen].load += 1;
            let cap = ((call + 1) * u64::from(weights[chosen]) * 1_250).div_ceil(sum * 1_000);
            prop_assert!(u64::from(set.gateways[chosen].load) <= cap);
        }
    }

    /// Every algorithm chooses one of those given, whatever they are.
    #[test]
    fn every_algorithm_stays_among_the_given(
        which in 0..ALGORITHMS.len(),
        weights in prop::collection::vec(1u32..=65_535, 1..40),
        tried in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut set = Set::new(ALGORITHMS[which].name, &weights);
        for (at, gateway) in set.gateways.iter_mut().enumerate() {
            gateway.priority = at as u16 % 3;
        }
        let mut not: Vec<usize> = (0..weights.len()).filter(|&at| tried[at]).collect();
        not.truncate(weights.len() - 1);
        for n in 0..50 {
            let chosen = set.pick(mix(n), n % 3 == 0, &not);
            prop_assert!(!not.contains(&chosen));
        }
    }
}

fn within(count: u64, of: u64, percent: u64) -> bool {
    count.abs_diff(of) * 100 <= of * percent
}

#[test]
fn hashes_share_by_weight() {
    let counts = Set::new("hash-request-uri", &[70, 20, 10]).counts(200_000);
    assert!(
        within(counts[0], 140_000, 2) && within(counts[1], 40_000, 2) && within(counts[2], 20_000, 2),
        "{counts:?}"
    );
}

#[test]
fn a_dead_gateways_subjects_spread_evenly() {
    let mut set = Set::new("hash-caller", &[1; 5]);
    let of_dead: Vec<u64> = (0..200_000).filter(|&n| set.pick(mix(n), false, &[]) == 2).collect();
    set.up[2] = false;
    let mut counts = [0u64; 5];
    of_dead.iter().for_each(|&n| counts[set.pick(mix(n), false, &[])] += 1);
    let even = of_dead.len() as u64 / 4;
    assert!([0, 1, 3, 4].iter().all(|&at| within(counts[at], even, 5)), "{counts:?} of {even}");
}

#[test]
fn failover_of_a_hash_takes_the_next_draw() {
    let mut set = Set::new("hash-domain", &[1; 4]);
    for n in 0..100 {
        let first = set.pick(mix(n), false, &[]);
        let second = set.pick(mix(n), true, &[first]);
        set.up[first] = false;
        assert_eq!(set.pick(mix(n), false, &[]), second);
        set.up[first] = true;
    }
}

#[test]
fn round_robin_takes_turns_and_ignores_weights() {
    let mut set = Set::new("round-robin", &[9, 1, 5]);
    let order: Vec<usize> = (0..7).map(|_| set.pick(0, false, &[])).collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn the_lower_priority_number_takes_all_while_it_is_up() {
    let mut set = Set::new("priority", &[3, 1, 1]);
    set.gateways[2].priority = 1;
    assert_eq!(set.counts(400), [300, 100, 0]);
    assert_eq!(set.pick(0, true, &[0, 1]), 2);
    set.up[0] = false;
    set.up[1] = false;
    assert_eq!(set.counts(10), [0, 0, 10]);
    set.up = vec![true; 3];
    assert_eq!(set.counts(400), [300, 100, 0]);
}

#[test]
fn least_calls_fills_by_weight() {
    let mut set = Set::new("least-calls", &[2, 1, 1]);
    for _ in 0..400 {
        let chosen = set.pick(0, false, &[]);
        set.gateways[chosen].load += 1;
    }
    let loads: Vec<u32> = set.gateways.iter().map(|gateway| gateway.load).collect();
    assert_eq!(loads, [200, 100, 100]);
    set.gateways[1].load = 0;
    assert!((0..50).all(|_| set.pick(0, false, &[]) == 1));
}

#[test]
fn least_calls_lets_equals_take_turns() {
    let counts = Set::new("least-calls", &[1; 4]).counts(400);
    assert_eq!(counts, [100; 4]);
}

#[test]
fn random_shares_by_weight_and_repeats_by_seed() {
    let counts = Set::new("random", &[3, 1]).counts(100_000);
    assert!(within(counts[0], 75_000, 2), "{counts:?}");
    assert_eq!(Set::new("random", &[3, 1]).counts(100_000), counts);
}

#[test]
fn names_are_unique_and_found() {
    for algorithm in ALGORITHMS {
        assert_eq!(ALGORITHMS.iter().filter(|other| other.name == algorithm.name).count(), 1);
        assert!(by_name(algorithm.name).is_some());
    }
    assert!(by_name("hash").is_none());
}

/// By Kamailio's rule: the place of the hash, then the next ones, round the end.
#[test]
fn kamailios_choice_goes_on_to_the_next_of_the_list() {
    let kamailio = Algorithm { choose: kamailio::choose, ..*by_name("hash-call-id").unwrap() };
    let mut set = Set::new("hash-call-id", &[1; 5]);
    set.algorithm = Box::leak(Box::new(kamailio));
    set.up[3] = false;
    for hash in 0..20 {
        let first = usize::try_from(hash % 5).unwrap();
        let order: Vec<usize> = (first..5).chain(0..first).filter(|slot| *slot != 3).collect();
        let mut tried = Vec::new();
        while tried.len() < 4 {
            let next = set.pick(hash, !tried.is_empty(), &tried);
            tried.push(next);
        }
        assert_eq!(tried, order, "hash {hash}");
    }
}
