//! The shard, composed as `tandem run` does it, on a driver in memory.

use engine::device::sim::SimDevice;
use engine::{LinkConfig, Mono, Shard, ShardId, ShardStats};
use modules::tables::Inputs;
use proto::hash::Secret;
use proto::message::Transport;
use proto::proxy::{Advertised, Capacity, Listener, Settings};
use proto::token::Keys;
use proto::transaction::Timers;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use tandem::app::{Setup, ShardApp};

/// A shard that listens on `address`, with two gateways and room for all that `calls` may leave behind.
pub(crate) fn shard(address: &str, gateways: [&str; 2], calls: usize) -> Shard<ShardApp, SimDevice> {
    let [one, two] = gateways;
    let toml = format!(
        "sources = [\"192.0.2.10\"]\n[listen]\nudp = [\"{address}\"]\n[[set]]\nname = \"carriers\"\n\
         algorithm = \"weighted\"\n\
         gateways = [{{ uri = \"sip:{one}\", weight = 70 }}, {{ uri = \"sip:{two}\", weight = 30 }}]\n"
    );
    let loaded = tuning::parse(&toml, "carry_calls.toml", &tuning::Environment::unknown());
    let config = loaded.unwrap_or_else(|findings| panic!("{findings:?}")).config;
    let (addresses, marks) = (HashMap::new(), BTreeMap::new());
    let inputs = Inputs { config: &config, addresses: &addresses, marks: &marks, local_addresses: &[], decks: None };
    let tables = Arc::new(modules::Tables::build(&inputs, None).unwrap());
    let keys = Keys::new(&[(1, Secret([7; 16]))]).unwrap();
    let boot_secret = Secret([3; 16]);
    let address: SocketAddr = address.parse().unwrap();
    let room = u32::try_from(calls).unwrap().clamp(4_096, 400_000);
    let policy = modules::Setup {
        shard: 0,
        shards: 1,
        calls: 4_096,
        open_requests: 4_096,
        unknown_sources: 16,
        boot_secret,
        choice_secret: keys.slot_secret(),
        seed: 1,
    };
    let proxy = Settings {
        listeners: vec![Listener { address, advertised: Advertised::Bound(address), transport: Transport::Udp }],
        keys,
        node: 0,
        generation: 0,
        own_slot: 0,
        boot_secret,
        timers: Timers::default(),
        capacity: Capacity { transactions: 2 * room, open: 4_096, branches: room, bytes: 64 << 20 },
        server: Vec::new(),
    };
    let setup = Setup { shards: 1, proxy, policy, seed: 1 };
    let (mut links, _lanes) =
        engine::join_virtual(&LinkConfig { shards: 1, lanes: 1, letters: 64, hand_over_bytes: 1 });
    let begin = proto::time::Now { mono: proto::time::Mono(1), wall: proto::time::Wall(1) };
    let app = ShardApp::new(ShardId(0), &setup, tables, begin);
    let timers = 3 * room as usize;
    Shard::new(app, SimDevice::new(1_024, 4), links.remove(0), timers, Mono(1), Arc::new(ShardStats::default()))
}
