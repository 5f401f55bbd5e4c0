//! What a shard is made of, as `tandem run` makes it: compiled tables and settings. For tests and examples that drive
//! the real shard on a driver in memory; each names this file by its path.

use modules::Tables;
use modules::class4::DeckImage;
use modules::tables::Inputs;
use proto::hash::Secret;
use proto::message::Transport;
use proto::proxy::{Advertised, Capacity, Listener, Settings};
use proto::token::Keys;
use proto::transaction::Timers;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use tandem::app::Setup;
use tuning::Config;

/// How much a shard has room for.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) capacity: Capacity,
    pub(crate) calls: u32,
    pub(crate) open_requests: u32,
}

/// A file and what it compiles to, over what holds now.
pub(crate) fn compile(toml: &str, previous: Option<&Tables>, decks: Option<&Arc<DeckImage>>) -> (Config, Tables) {
    let config = match tuning::parse(toml, "composed.toml", &tuning::Environment::unknown()) {
        Ok(loaded) => loaded.config,
        Err(findings) => panic!("{toml}\n{findings:?}"),
    };
    let (addresses, marks) = (HashMap::new(), BTreeMap::new());
    let inputs = Inputs { config: &config, addresses: &addresses, marks: &marks, local_addresses: &[], decks };
    let tables = Tables::build(&inputs, previous).unwrap();
    (config, tables)
}

/// Settings of every one of `shards` that listen on `addresses`; the keys are always the same.
pub(crate) fn setup(addresses: &[SocketAddr], shards: u16, timers: Timers, room: Room, seed: u64) -> Setup {
    let keys = Keys::new(&[(1, Secret([7; 16]))]).unwrap();
    let boot_secret = Secret([3; 16]);
    let policy = modules::Setup {
        shard: 0,
        shards: usize::from(shards),
        calls: room.calls,
        open_requests: room.open_requests,
        unknown_sources: 16,
        boot_secret,
        choice_secret: keys.slot_secret(),
        seed,
    };
    let listener = |&address| Listener { address, advertised: Advertised::Bound(address), transport: Transport::Udp };
    let proxy = Settings {
        listeners: addresses.iter().map(listener).collect(),
        keys,
        node: 0,
        generation: 0,
        own_slot: 0,
        boot_secret,
        timers,
        capacity: room.capacity,
        server: Vec::new(),
    };
    Setup { shards, proxy, policy, seed }
}
