//! A deterministic simulation: callers, Tandem's real shards (1 to 8) and gateways in one thread under a virtual
//! clock. Everything is drawn from a seed: loss, duplication, reordering, dead, slow, refusing and ringing
//! gateways that fail and come back, forks, CANCEL races, hang-ups from either side, callers that vanish,
//! reloads, errors from the network, and the shard that a datagram arrives at. What Tandem does is judged by
//! [`witness`], which shares no code with it but the parser.
//!
//! | Variable | Does |
//! |---|---|
//! | `SIM_SEEDS`, `SIM_FROM` | how many seeds, from which one on |
//! | `SIM_SEED` | this one alone, with what it draws |
//! | `SIM_TRACE=1` | prints the wire |
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::cast_precision_loss, reason = "milliseconds for people")]

mod callers;
#[path = "../composed/mod.rs"]
mod composed;
mod faults;
mod file;
mod gateways;
mod hand_over_faults;
mod network;
mod repeat;
mod scenario;
mod sip;
mod tandem;
mod witness;
mod world;

use faults::Fault;
use world::{Outcome, run};

/// Seeds of an ordinary test.
const SEEDS: u64 = 1_000;

/// Seeds of these that are run twice.
const SEEDS_TWICE: u64 = 50;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn trace() -> bool {
    variable("SIM_TRACE").is_some_and(|value| value > 0)
}

/// How to see a failing seed again.
fn replay(seed: u64, outcome: &Outcome) -> String {
    format!(
        "seed {seed}: {}\nreplay: SIM_SEED={seed} SIM_TRACE=1 cargo test -p tandem --test simulation every_seed -- --nocapture",
        outcome.violations.join("\n  ")
    )
}

#[test]
fn every_seed_holds_every_invariant() {
    if let Some(seed) = variable("SIM_SEED") {
        let outcome = run(seed, None, trace());
        println!("{:#?}", outcome.scenario);
        return assert!(outcome.violations.is_empty(), "{}", replay(seed, &outcome));
    }
    let (from, seeds) = (variable("SIM_FROM").unwrap_or(0), variable("SIM_SEEDS").unwrap_or(SEEDS));
    let (mut failed, mut successes, mut failures, mut cancels, mut second_branches, mut in_dialog) =
        (Vec::new(), 0, 0, 0, 0, 0);
    let mut hand_overs = 0;
    for seed in from..from + seeds {
        let outcome = run(seed, None, trace());
        successes += outcome.figures.successes;
        failures += outcome.figures.failures;
        cancels += outcome.figures.cancels;
        second_branches += outcome.figures.second_branches;
        in_dialog += outcome.figures.in_dialog;
        hand_overs += outcome.scenario.changes.iter().filter(|change| change.hand_over.is_some()).count() as u64;
        if !outcome.violations.is_empty() {
            failed.push(replay(seed, &outcome));
        }
    }
    println!(
        "{seeds} seeds: {successes} 2xx, {failures} failures, {cancels} CANCELs, {second_branches} other branches, \
         {in_dialog} requests in dialogs, {hand_overs} hand-overs"
    );
    assert!(failed.is_empty(), "{} of {seeds} seeds failed\n{}", failed.len(), failed.join("\n"));
    // A simulation in which nothing happens proves nothing.
    let least = seeds / 10;
    assert!(successes >= least && failures >= least && cancels >= least && second_branches >= least);
    assert!(in_dialog >= least && hand_overs >= least);
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..SEEDS_TWICE {
        assert_eq!(run(seed, None, false).trace_hash, run(seed, None, false).trace_hash, "seed {seed}");
    }
    assert_ne!(run(1, None, false).trace_hash, run(2, None, false).trace_hash);
}

#[test]
fn every_planted_fault_is_found() {
    for fault in Fault::ALL {
        let found = (0..SEEDS).find_map(|seed| Some((seed, run(seed, Some(fault), false).violations.first()?.clone())));
        let (seed, how) = found.unwrap_or_else(|| panic!("{fault:?} was not found in {SEEDS} seeds"));
        println!("{fault:?}: seed {seed}, {how}");
    }
}
