//! Asking all shards for their figures: one round at a time, answered once for all who wait.
//!
//! Each shard has one box ([`ShardSnapshot`]), which travels to it and back. Whoever asks while a round
//! runs waits for the next one: what was true before the question is no answer to it. A shard that does
//! not answer in time is left out and named.

use super::inbox::Reply;
use super::shards::Shards;
use super::view::Picture;
use crate::letter::Letter;
use crate::snapshot::{ShardSnapshot, Totals};
use engine::ShardId;
use modules::dispatcher::figures::GatewaySnapshot;
use modules::sources::UnknownSource;
use std::collections::{BTreeMap, HashMap, btree_map, hash_map};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a shard may take to answer. It answers between two batches: well below a millisecond.
pub(super) const DEADLINE: Duration = Duration::from_millis(500);

/// All shards' figures, added up.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Figures.
    pub totals: Totals,
    /// Rows by gateway number: state as the shard that learnt last has it, figures added up.
    pub gateways: BTreeMap<u32, GatewaySnapshot>,
    /// Refused addresses, the most frequent first; empty unless they were asked for.
    pub unknown: Vec<UnknownSource>,
    /// Shards that did not answer in time.
    pub silent: Vec<u8>,
    /// What the control lane itself knows at that moment.
    pub picture: Picture,
}

/// Who waits for a round.
#[derive(Debug)]
pub(super) enum Waiter {
    /// A client.
    Client(Reply<Arc<Gathered>>),
    /// The control lane itself, to see gateways move and transactions end.
    Lane,
}

/// How many entries a box has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) gateways: usize,
    pub(super) unknown: usize,
}

#[derive(Debug, Default)]
pub(super) struct Gatherer {
    /// A box for each shard; `None` while it is on its way.
    boxes: Vec<Option<Box<ShardSnapshot>>>,
    number: u64,
    round: Option<Round>,
    waiting: Vec<Waiter>,
    wants_unknown: bool,
}

#[derive(Debug)]
struct Round {
    started: Instant,
    asked: Vec<ShardId>,
    answered: Vec<ShardId>,
    waiters: Vec<Waiter>,
}

impl Gatherer {
    pub(super) fn new(shards: usize) -> Self {
        Gatherer { boxes: (0..shards).map(|_| None).collect(), ..Gatherer::default() }
    }

    /// Puts somebody in line for the next round.
    pub(super) fn want(&mut self, waiter: Waiter, unknown: bool) {
        self.waiting.push(waiter);
        self.wants_unknown |= unknown;
    }

    /// Starts a round if somebody waits and none runs. Boxes that are too small are made anew.
    pub(super) fn start(&mut self, shards: &mut Shards, room: Room, now: Instant) {
        if self.round.is_some() || self.waiting.is_empty() {
            return;
        }
        self.number += 1;
        let mut asked = Vec::new();
        for shard in shards.ids() {
            let Some(place) = self.boxes.get_mut(shard.index()) else { continue };
            // A box that a silent shard still has stays with it until it comes back; the shard gets another.
            let mut snapshot = place
                .take()
                .filter(|snapshot| snapshot.has_room(room.gateways, room.unknown))
                .unwrap_or_else(|| Box::new(ShardSnapshot::with_room(room.gateways, room.unknown)));
            snapshot.round = self.number;
            snapshot.wants_unknown = self.wants_unknown;
            shards.post(shard, Letter::Snapshot(snapshot));
            asked.push(shard);
        }
        self.wants_unknown = false;
        let waiters = std::mem::take(&mut self.waiting);
        self.round = Some(Round { started: now, asked, answered: Vec::new(), waiters });
    }

    /// A box came back.
    pub(super) fn returned(&mut self, shard: ShardId, snapshot: Box<ShardSnapshot>) {
        if let Some(round) = &mut self.round
            && snapshot.round == self.number
        {
            round.answered.push(shard);
        }
        if let Some(place) = self.boxes.get_mut(shard.index()) {
            *place = Some(snapshot);
        }
    }

    /// When the round that runs is over at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.round.as_ref().map(|round| round.started + DEADLINE)
    }

    /// The result of the round if it is complete or over, and who waited for it.
    pub(super) fn finish(&mut self, now: Instant) -> Option<(Gathered, Vec<Waiter>)> {
        let round =
            self.round.take_if(|round| round.answered.len() >= round.asked.len() || now >= round.started + DEADLINE)?;
        let mut gathered = Gathered::default();
        let mut unknown: HashMap<IpAddr, UnknownSource> = HashMap::new();
        for shard in &round.asked {
            if !round.answered.contains(shard) {
                gathered.silent.push(shard.0);
                continue;
            }
            if let Some(Some(snapshot)) = self.boxes.get(shard.index()) {
                gathered.add(*shard, snapshot);
                snapshot.unknown_sources().iter().for_each(|source| add_source(&mut unknown, source));
            }
        }
        gathered.unknown = unknown.into_values().collect();
        gathered.unknown.sort_by_key(|source| (std::cmp::Reverse(source.count), source.address));
        Some((gathered, round.waiters))
    }
}

impl Gathered {
    fn add(&mut self, shard: ShardId, snapshot: &ShardSnapshot) {
        for sample in snapshot.samples() {
            self.totals.add(shard, sample);
        }
        for row in snapshot.gateways() {
            match self.gateways.entry(row.number.0) {
                btree_map::Entry::Vacant(place) => drop(place.insert(*row)),
                btree_map::Entry::Occupied(mut known) => merge(known.get_mut(), row),
            }
        }
    }
}

/// Shards hear of a gateway's state from one another, so they differ for a moment at most: the later one is right.
fn merge(known: &mut GatewaySnapshot, other: &GatewaySnapshot) {
    known.figures.add(&other.figures);
    known.probe_latency = known.probe_latency.max(other.probe_latency);
    if other.since > known.since {
        (known.state, known.since, known.why) = (other.state, other.since, other.why);
    }
}

fn add_source(all: &mut HashMap<IpAddr, UnknownSource>, source: &UnknownSource) {
    match all.entry(source.address) {
        hash_map::Entry::Vacant(place) => drop(place.insert(*source)),
        hash_map::Entry::Occupied(mut known) => {
            let known = known.get_mut();
            let (count, first) = (known.count + source.count, known.first.min(source.first));
            if source.last > known.last {
                *known = *source;
            }
            (known.count, known.first) = (count, first);
        }
    }
}
