//! A deterministic simulation of the registrar: phones, Tandem's real shards, the journal on a simulated disk that keeps
//! nothing but what was synced, and a naive model that judges what is seen on the wire.
//!
//! Everything is drawn from a seed: who registers what at which shard, when the disk writes, breaks and heals, kills in
//! the middle of a write, jumps of the wall clock, and starts with another number of shards or another version of the
//! journal. What holds, and what [`world`] asserts:
//!
//! 1. A 200 leaves when the disk has what it tells of, and not before: at that very moment the disk is read.
//! 2. No binding that was acknowledged is lost before its end; none is reached beyond its end and its grace.
//! 3. A 200 lists, and a request to a user reaches, what the model has.
//! 4. In every second seed users have accounts. A 200 is for a right proof whose nonce and count were not used before: in
//!    no process, on no shard, whether its source is prompt, slow or silent. A fresh right proof gets no 401 ([`digest`]).
//!
//! `SIM_SEEDS`, `SIM_FROM`: how many seeds, from which one on; `SIM_SEED`: this one alone, with all that happens in it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../composed/mod.rs"]
mod composed;

mod accounts;
mod digest;
mod disk;
mod model;
mod phone;
mod process;
mod world;

use world::{Flaw, World};

const SEEDS: u64 = 1_000;

/// What a seed does before it ends.
const STEPS: u32 = 60;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// The first thing that went wrong under a seed.
fn run(seed: u64, flaw: Option<Flaw>, trace: bool) -> Result<World, String> {
    let mut world = World::new(seed, flaw, trace);
    for _ in 0..STEPS {
        world.step()?;
    }
    world.end()?;
    Ok(world)
}

#[test]
fn every_seed_holds_what_was_acknowledged() {
    if let Some(seed) = variable("SIM_SEED") {
        return assert_eq!(run(seed, None, true).err(), None, "seed {seed}");
    }
    let (from, seeds) = (variable("SIM_FROM").unwrap_or(0), variable("SIM_SEEDS").unwrap_or(SEEDS));
    let (mut acknowledged, mut kills, mut looked, mut refused) = (0, 0, 0, 0);
    let (mut attempted, mut stale, mut untold) = (0, 0, 0);
    for seed in from..from + seeds {
        let world = run(seed, None, false).unwrap_or_else(|why| {
            panic!("seed {seed}: {why}\nreplay: SIM_SEED={seed} cargo test -p tandem --test registrations every_seed -- --nocapture")
        });
        acknowledged += world.acknowledged;
        kills += world.kills;
        looked += world.looked;
        refused += world.refused;
        attempted += world.attempted;
        stale += world.stale;
        untold += world.untold;
    }
    println!(
        "{seeds} seeds: {acknowledged} REGISTERs acknowledged, {refused} refused, {kills} kills, {looked} look-ups, \
         {attempted} attempts without a right proof, {stale} stale nonces, {untold} proofs that no source answered for"
    );
    // What does not happen proves nothing.
    assert!(acknowledged > 8 * seeds && kills > seeds && looked > 2 * seeds && refused > seeds / 20);
    assert!(attempted > 3 * seeds && stale > seeds / 4 && untold > seeds / 20);
}

/// Faults of the disk, of the lane, of nonce counts and of the source of accounts that the simulation must find.
#[test]
fn planted_faults_are_found() {
    for flaw in Flaw::ALL {
        let found = (0..60).any(|seed| run(seed, Some(flaw), false).is_err());
        assert!(found, "{flaw:?} was not found by any of 60 seeds");
    }
}
