//! Tandem itself: its real shards on simulated drivers, in one thread.

use crate::network::SECOND;
use crate::scenario::{Scenario, TANDEM};
use engine::device::sim::SimDevice;
use engine::{
    LaneEnd, LinkConfig, Micros, Mono, NetworkError, NetworkErrorKind, Now, Shard, ShardId, ShardStats, Wall,
};
use modules::Tables;
use modules::tables::Inputs;
use proto::hash::Secret;
use proto::message::Transport;
use proto::proxy::{Advertised, Capacity, Listener, Occupancy, Settings};
use proto::token::Keys;
use proto::transaction::Timers;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use tandem::app::{Setup, ShardApp};
use tandem::letter::Letter;

/// Timer C of the simulation. WHY not three minutes: a world costs what it lasts.
pub(crate) const TIMER_C: u64 = 20 * SECOND;

/// Where the monotonic clock stands when a world begins.
const START: u64 = 1_000 * SECOND;

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
        let tables = Arc::new(tables(&scenario.toml(scenario.algorithm), None));
        let setup = setup(u16::from(scenario.shards), timers, seed);
        let now = moment(0);
        let shards = usize::from(scenario.shards);
        let (links, mut lanes) =
            engine::join_virtual(&LinkConfig { shards, lanes: 1, letters: 256, hand_over_bytes: 1 });
        let shard = |(id, links)| {
            let clocks = proto::time::Now { mono: proto::time::Mono(now.mono.0), wall: proto::time::Wall(now.wall.0) };
            let app = ShardApp::new(ShardId(id), &setup, Arc::clone(&tables), clocks);
            Shard::new(app, SimDevice::new(SEND_SLOTS, 1), links, 2_048, now.mono, Arc::new(ShardStats::default()))
        };
        let shards = (0..).zip(links).map(shard).collect();
        Tandem { shards, lane: lanes.remove(0), tables, replaced: 0 }
    }

    /// All shards get a new configuration.
    pub(crate) fn reload(&mut self, toml: &str) {
        self.tables = Arc::new(tables(toml, Some(&self.tables)));
        for id in (0..).map(ShardId).take(self.shards.len()) {
            self.replaced += 1;
            assert!(self.lane.post(id, Letter::Install(Arc::clone(&self.tables))).is_ok(), "a mailbox is full");
        }
    }

    /// The network says of `peer` that it cannot be reached; `shard` hears of it.
    pub(crate) fn unreachable(&mut self, shard: usize, peer: SocketAddr) {
        self.shards[shard].device().push_error(NetworkError { listener: 0, peer, kind: NetworkErrorKind::Refused });
    }

    /// A datagram arrives at `shard`.
    pub(crate) fn deliver(&mut self, shard: usize, from: SocketAddr, bytes: &[u8]) {
        self.shards[shard].device().push(0, SocketAddr::from(TANDEM), from, bytes);
    }

    /// Turns until nobody has anything to do at `now`; hands over what was sent. False: it does not end.
    pub(crate) fn settle(&mut self, now: u64, sent: &mut Vec<(SocketAddr, Vec<u8>)>) -> bool {
        for _ in 0..TURNS_MAX {
            let mut idle = true;
            for shard in &mut self.shards {
                if shard.idle_for(moment(now).mono) == Some(Micros(0)) {
                    idle = false;
                    shard.step(moment(now)).unwrap();
                    while shard.device().take_sent(|egress, bytes| sent.push((egress.peer, bytes.to_vec()))).is_some() {
                    }
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
        self.shards.iter().filter_map(|shard| shard.idle_for(moment(now).mono)).map(|idle| idle.0).min()
    }

    /// What Tandem counted: INVITEs that gateways were tried with, and those that they answered.
    pub(crate) fn counted(&mut self) -> (u64, u64) {
        let mut counted = (0, 0);
        for shard in &mut self.shards {
            for gateway in shard.app().proxy().policy.gateways() {
                counted.0 += gateway.figures.attempts;
                counted.1 += gateway.figures.carried;
            }
        }
        counted
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

/// Compiles a file, over what holds now.
fn tables(toml: &str, previous: Option<&Tables>) -> Tables {
    let config = match tuning::parse(toml, "simulation.toml", &tuning::Environment::unknown()) {
        Ok(loaded) => loaded.config,
        Err(findings) => panic!("{toml}\n{findings:?}"),
    };
    let (addresses, marks) = (HashMap::new(), BTreeMap::new());
    let inputs = Inputs { config: &config, addresses: &addresses, marks: &marks, local_addresses: &[] };
    Tables::build(&inputs, previous).unwrap()
}

fn moment(now: u64) -> Now {
    Now { mono: Mono(START + now), wall: Wall(WALL + now) }
}

fn setup(shards: u16, timers: Timers, seed: u64) -> Setup {
    let address = SocketAddr::from(TANDEM);
    let keys = Keys::new(&[(1, Secret([7; 16]))]).unwrap();
    let boot_secret = Secret([3; 16]);
    let policy = modules::Setup {
        shard: 0,
        shards: usize::from(shards),
        calls: 128,
        unknown_sources: 16,
        boot_secret,
        choice_secret: keys.slot_secret(),
        seed,
    };
    let listener = Listener { address, advertised: Advertised::Bound(address), transport: Transport::Udp };
    let proxy = Settings {
        listeners: vec![listener],
        keys,
        node: 0,
        generation: 0,
        own_slot: 0,
        boot_secret,
        timers,
        capacity: Capacity { transactions: 512, open: 256, branches: 512, bytes: 1 << 20 },
        server: Vec::new(),
    };
    Setup { shards, proxy, policy, seed }
}
