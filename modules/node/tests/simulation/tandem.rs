//! Tandem itself: its real shards on simulated drivers, in one thread; one process after the other.

use crate::composed::{self, Room};
use crate::file::File;
use crate::network::SECOND;
use crate::scenario::{HandOver, Scenario, listeners, tandem_for};
use engine::device::sim::SimDevice;
use engine::{
    Egress, LaneEnd, LinkConfig, Micros, Mono, NetworkError, NetworkErrorKind, Now, Shard, ShardId, ShardStats, Wall,
};
use modules::Tables;
use modules::dispatcher::figures::Figures;
use proto::proxy::{Capacity, Occupancy};
use proto::transaction::Timers;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tandem::app::ShardApp;
use tandem::letter::Letter;
use tandem::shard_hand_over::Taken;

/// Timer C of the simulation. WHY not three minutes: a world costs what it lasts.
pub(crate) const TIMER_C: u64 = 20 * SECOND;

/// Where the monotonic clock of the first process stands when a world begins; each process has a clock of its own.
const START: u64 = 1_000 * SECOND;

/// How far apart the clocks of two processes are.
const CLOCK_STEP: u64 = 777 * SECOND;

/// Where the wall clock stands then.
const WALL: u64 = 1_700_000_000 * SECOND;

/// Turns in which one datagram and all that follows from it at the same moment must be over.
const TURNS_MAX: usize = 1_000;

/// Small slots of a driver: more than one turn can send here.
const SEND_SLOTS: usize = 128;

/// See the module.
pub(crate) struct Tandem {
    shards: Vec<Shard<ShardApp, SimDevice>>,
    lane: LaneEnd<Letter>,
    /// What holds since the last reload.
    tables: Arc<Tables>,
    /// Tables that shards were given and have not given back.
    replaced: u32,
    timers: Timers,
    seed: u64,
    /// Where the monotonic clock of this process stood when the world began.
    start: u64,
    /// What earlier processes counted.
    counted_before: BTreeMap<SocketAddr, Counted>,
}

/// What Tandem counted for a gateway: INVITEs that it was tried with, and those that it answered.
pub(crate) type Counted = (u64, u64);

/// What is in flight, and what it is charged to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InFlight {
    pub(crate) transactions: u64,
    pub(crate) calls: u64,
    /// Calls and requests under way, by gateway.
    pub(crate) charged: BTreeMap<SocketAddr, (u32, u32)>,
}

/// What Tandem still keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) occupancy: Occupancy,
    pub(crate) calls: u32,
    /// Calls and requests that gateways are charged with.
    pub(crate) charged: u32,
    pub(crate) timers: u64,
    /// Tables that were replaced and did not come back.
    pub(crate) tables: u32,
}

/// RFC 3261's, with a shorter Timer C.
pub(crate) fn timers() -> Timers {
    use proto::time::Micros;
    Timers::from_t1(Micros::from_millis(500), Micros::from_secs(4), Micros::from_secs(5), Micros(TIMER_C))
}

impl Tandem {
    pub(crate) fn start(scenario: &Scenario, timers: Timers, seed: u64) -> Self {
        let room = if scenario.tight { TIGHT } else { ROOMY };
        Tandem::boot(scenario.shards, &scenario.file, (timers, room), seed, START, 0)
    }

    fn boot(count: u8, file: &File, (timers, room): (Timers, Room), seed: u64, start: u64, now: u64) -> Self {
        let tables = Arc::new(composed::compile(&file.toml(), None, None).1);
        let setup = composed::setup(&listeners(), u16::from(count), timers, room, seed);
        let now = Now { mono: Mono(start + now), wall: Wall(WALL + now) };
        let (links, mut lanes) = engine::join_virtual(&LinkConfig {
            shards: usize::from(count),
            lanes: 1,
            letters: 256,
            hand_over_bytes: 1,
        });
        let shard = |(id, links)| {
            let clocks = proto::time::Now { mono: proto::time::Mono(now.mono.0), wall: proto::time::Wall(now.wall.0) };
            let app = ShardApp::new(ShardId(id), &setup, Arc::clone(&tables), clocks);
            Shard::new(app, SimDevice::new(SEND_SLOTS, 1), links, 2_048, now.mono, Arc::new(ShardStats::default()))
        };
        let shards = (0..).zip(links).map(shard).collect();
        let (lane, counted_before) = (lanes.remove(0), BTreeMap::new());
        Tandem { shards, lane, tables, replaced: 0, timers, seed, start, counted_before }
    }

    /// Everything in flight as bytes, one state a shard.
    pub(crate) fn export(&mut self, now: u64) -> Vec<Vec<u8>> {
        let mut states = vec![Vec::new(); self.shards.len()];
        self.post_all(|| Letter::Export);
        self.step_all(now);
        while let Some((_, letter)) = self.lane.receive() {
            if let Letter::Exported { shard, state } = letter {
                states[shard.index()] = state;
            }
        }
        states
    }

    /// A new process that goes on with what this one had in flight.
    pub(crate) fn successor(&mut self, next: HandOver, file: &File, now: u64) -> Self {
        let start = self.start + CLOCK_STEP;
        let mut successor = Tandem::boot(next.shards, file, (self.timers, ROOMY), self.seed + 1, start, now);
        successor.counted_before = self.counted();
        successor
    }

    /// Takes over; what all shards took together, and how many could read the states.
    pub(crate) fn import(&mut self, states: Vec<Vec<u8>>, now: u64) -> (Taken, usize) {
        let states: Arc<[Vec<u8>]> = states.into();
        self.post_all(|| Letter::Import(Arc::clone(&states)));
        self.step_all(now);
        let (mut sum, mut readers) = (Taken::default(), 0);
        while let Some((_, letter)) = self.lane.receive() {
            if let Letter::Imported { taken: Ok(taken), .. } = letter {
                readers += 1;
                sum.transactions += taken.transactions;
                sum.calls += taken.calls;
                sum.refused += taken.refused;
                sum.gateways_gone += taken.gateways_gone;
            }
        }
        (sum, readers)
    }

    /// What the numbers of this process are called.
    pub(crate) fn names(&mut self) -> Vec<u8> {
        let mut names = Vec::new();
        self.shards[0].app().proxy().policy.export_names(&mut names);
        names
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    fn post_all(&mut self, letter: impl Fn() -> Letter) {
        for id in (0..).map(ShardId).take(self.shards.len()) {
            assert!(self.lane.post(id, letter()).is_ok(), "a mailbox is full");
        }
    }

    fn step_all(&mut self, now: u64) {
        let now = self.moment(now);
        self.shards.iter_mut().for_each(|shard| shard.step(now).unwrap());
    }

    fn moment(&self, now: u64) -> Now {
        Now { mono: Mono(self.start + now), wall: Wall(WALL + now) }
    }

    /// All shards get a new configuration.
    pub(crate) fn reload(&mut self, file: &File) {
        // The figures of a gateway that is taken away go with it.
        self.tables = Arc::new(composed::compile(&file.toml(), Some(&self.tables), None).1);
        let tables = Arc::clone(&self.tables);
        self.replaced += u32::try_from(self.shards.len()).unwrap();
        self.post_all(|| Letter::Install(Arc::clone(&tables)));
    }

    /// The network says of `peer` that it cannot be reached; `shard` hears of it.
    pub(crate) fn unreachable(&mut self, shard: usize, peer: SocketAddr) {
        self.shards[shard].device().push_error(NetworkError {
            listener: u16::from(peer.is_ipv6()),
            peer,
            kind: NetworkErrorKind::Refused,
        });
    }

    /// A datagram arrives at `shard`.
    pub(crate) fn deliver(&mut self, shard: usize, from: SocketAddr, bytes: &[u8]) {
        self.shards[shard].device().push(u16::from(from.is_ipv6()), tandem_for(from), from, bytes);
    }

    /// Turns until nobody has anything to do at `now`; hands over what was sent, with the listener that it left
    /// from. False: it does not end.
    pub(crate) fn settle(&mut self, now: u64, sent: &mut Vec<(SocketAddr, SocketAddr, Vec<u8>)>) -> bool {
        let now = self.moment(now);
        for _ in 0..TURNS_MAX {
            let mut idle = true;
            for shard in &mut self.shards {
                if shard.idle_for(now.mono) == Some(Micros(0)) {
                    idle = false;
                    shard.step(now).unwrap();
                    let mut take = |egress: &Egress, bytes: &[u8]| {
                        sent.push((listeners()[usize::from(egress.listener)], egress.peer, bytes.to_vec()));
                    };
                    while shard.device().take_sent(&mut take).is_some() {}
                }
            }
            while let Some((_, letter)) = self.lane.receive() {
                self.replaced -= u32::from(matches!(letter, Letter::Retired { .. }));
            }
            if idle {
                return true;
            }
        }
        false
    }

    /// How long Tandem has nothing to do.
    pub(crate) fn idle_for(&self, now: u64) -> Option<u64> {
        let now = self.moment(now).mono;
        self.shards.iter().filter_map(|shard| shard.idle_for(now)).map(|idle| idle.0).min()
    }

    /// What all processes counted, by gateway; of a gateway that is in no file any more what earlier ones did.
    pub(crate) fn counted(&mut self) -> BTreeMap<SocketAddr, Counted> {
        let mut counted = self.counted_before.clone();
        for (address, figures) in self.figures() {
            let (attempts, carried) = counted.entry(address).or_default();
            *attempts += figures.attempts;
            *carried += figures.carried;
        }
        counted
    }

    pub(crate) fn in_flight(&mut self) -> InFlight {
        let mut in_flight = InFlight::default();
        for (address, figures) in self.figures() {
            let (active, pending) = in_flight.charged.entry(address).or_default();
            *active += figures.active;
            *pending += figures.pending;
        }
        for shard in &mut self.shards {
            let proxy = shard.app().proxy();
            // Probes stay behind.
            proxy.export(proto::time::Now::default(), |_| in_flight.transactions += 1);
            in_flight.calls += u64::from(proxy.policy.calls().active + proxy.policy.calls().early);
        }
        in_flight
    }

    fn figures(&mut self) -> Vec<(SocketAddr, Figures)> {
        let tables = Arc::clone(&self.tables);
        let rows = self.shards.iter_mut().flat_map(|shard| shard.app().proxy().policy.gateways().collect::<Vec<_>>());
        rows.filter_map(|row| Some((tables.gateway(row.number)?.address?, row.figures))).collect()
    }

    pub(crate) fn left(&mut self) -> Left {
        let mut left = Left { tables: self.replaced, ..Left::default() };
        for shard in &mut self.shards {
            left.timers += shard.stats().timers_armed.get();
            let proxy = shard.app().proxy();
            let used = proxy.occupancy();
            left.occupancy.transactions += used.transactions;
            left.occupancy.open += used.open;
            left.occupancy.branches += used.branches;
            left.occupancy.bytes += used.bytes;
            left.charged +=
                proxy.policy.gateways().map(|gateway| gateway.figures.active + gateway.figures.pending).sum::<u32>();
            left.calls += proxy.policy.calls().active + proxy.policy.calls().early;
        }
        left
    }
}

const ROOMY: Room = Room {
    capacity: Capacity { transactions: 512, open: 256, branches: 512, bytes: 1 << 20 },
    calls: 128,
    open_requests: 128,
};

/// Pools of a shard, and calls, that a few calls fill.
const TIGHT: Room =
    Room { capacity: Capacity { transactions: 4, open: 2, branches: 3, bytes: 1 << 14 }, calls: 2, open_requests: 2 };
