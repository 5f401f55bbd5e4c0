//! The shard, composed as `tandem run` does it, on a driver in memory.

use engine::device::sim::SimDevice;
use engine::{LaneEnd, LinkConfig, Mono, Shard, ShardId, ShardStats};
use modules::authentication;
use modules::authentication::living::Living;
use modules::registrar::{self, Clock, Durability, Registrar};
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
use tandem::letter::Letter;

/// A registrar for `domain` on `address`, with or without accounts, and room for so many users; with it the ends of
/// its lanes.
pub(crate) fn shard(
    address: &str,
    domain: &str,
    accounts: bool,
    users: usize,
) -> (Shard<ShardApp, SimDevice>, Vec<LaneEnd<Letter>>) {
    let users = u32::try_from(users).unwrap();
    let accounts = if accounts { "accounts = { file = \"accounts.toml\" }\n" } else { "" };
    let toml = format!(
        "sources = [\"any\"]\n[listen]\nudp = [\"{address}\"]\n[[set]]\nname = \"unused\"\nprobe = \"off\"\n\
         gateways = [{{ uri = \"sip:192.0.2.20:5060\" }}]\n[[domain]]\nname = \"{domain}\"\n{accounts}\
         [registrar]\nkeep_alive = \"off\"\n[authentication]\naccounts_per_shard = {}\n\
         address_questions_burst = 1000000\n",
        // WHY four times as many: a table of buckets forgets long before it is full.
        4 * users.max(1_024)
    );
    let loaded = tuning::parse(&toml, "take_registers.toml", &tuning::Environment::unknown());
    let config = loaded.unwrap_or_else(|findings| panic!("{findings:?}")).config;
    let (addresses, marks) = (HashMap::new(), BTreeMap::new());
    let inputs = Inputs { config: &config, addresses: &addresses, marks: &marks, local_addresses: &[], decks: None };
    let tables = Arc::new(modules::Tables::build(&inputs, None).unwrap());
    let keys = Keys::new(&[(1, Secret([7; 16]))]).unwrap();
    let boot_secret = Secret([3; 16]);
    let address: SocketAddr = address.parse().unwrap();
    let policy = modules::Setup {
        shard: 0,
        shards: 1,
        calls: 1_024,
        open_requests: 256,
        unknown_sources: 16,
        boot_secret,
        choice_secret: keys.slot_secret(),
        seed: 1,
    };
    let proxy = Settings {
        listeners: vec![Listener { address, advertised: Advertised::Bound(address), transport: Transport::Udp }],
        keys: keys.clone(),
        node: 0,
        generation: 0,
        own_slot: 0,
        boot_secret,
        timers: Timers::default(),
        capacity: Capacity { transactions: 2_048, open: 256, branches: 512, bytes: 4 << 20 },
        server: Vec::new(),
    };
    let setup = Setup { shards: 1, proxy, policy, seed: 1 };
    let begin = proto::time::Now { mono: proto::time::Mono(1), wall: proto::time::Wall(1_700_000_000_000_000) };
    let authentication = authentication::Setup {
        nonce_secrets: vec![keys.slot_secret()],
        boot_secret,
        seed: 1,
        accounts: config.authentication.accounts_per_shard,
        failures: config.authentication.failures_per_shard,
        rules: tables.realms.rules,
        living: Arc::new(Living::new(boot_secret)),
    };
    let registrar = registrar::Setup {
        clock: Clock::start(begin),
        accounts: users as usize,
        bytes: 1 << 30,
        durability: Durability::Strict,
        boot_secret,
        gruu_secret: keys.slot_secret(),
        seed: 1,
    };
    let registrar = Box::new(Registrar::new(&registrar, &tables.domains, begin));
    let (mut links, lanes) = engine::join_virtual(&LinkConfig { shards: 1, lanes: 2, letters: 64, hand_over_bytes: 1 });
    let app = ShardApp::new(ShardId(0), &setup, tables, begin)
        .authenticating(config.domains[0].accounts.is_some().then_some(&authentication), begin)
        .registering(Some(registrar));
    let stats = Arc::new(ShardStats::default());
    (Shard::new(app, SimDevice::new(256, 4), links.remove(0), 4_096, Mono(1), stats), lanes)
}
