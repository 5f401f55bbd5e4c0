//! The shard, composed as `tandem run` does it, on a driver in memory.

use crate::composed::{self, Room};
use engine::device::sim::SimDevice;
use engine::{LaneEnd, LinkConfig, Mono, Shard, ShardId, ShardStats};
use modules::authentication;
use modules::authentication::living::Living;
use modules::registrar::{self, Clock, Durability, Registrar};
use proto::proxy::Capacity;
use proto::transaction::Timers;
use std::sync::Arc;
use tandem::app::ShardApp;
use tandem::letter::Letter;

const ROOM: Room = Room {
    capacity: Capacity { transactions: 2_048, open: 256, branches: 512, bytes: 4 << 20 },
    calls: 1_024,
    open_requests: 256,
};

/// A registrar for `domain` on `address`, with or without accounts, and room for so many users; with it the ends of
/// its lanes.
pub(crate) fn shard(
    address: &str,
    domain: &str,
    accounts: bool,
    users: usize,
) -> (Shard<ShardApp, SimDevice>, Vec<LaneEnd<Letter>>) {
    let with = if accounts { "accounts = { file = \"accounts.toml\" }\n" } else { "" };
    let toml = format!(
        "sources = [\"any\"]\n[listen]\nudp = [\"{address}\"]\n[[set]]\nname = \"unused\"\nprobe = \"off\"\n\
         gateways = [{{ uri = \"sip:192.0.2.20:5060\" }}]\n[[domain]]\nname = \"{domain}\"\n{with}\
         [registrar]\nkeep_alive = \"off\"\n[authentication]\naccounts_per_shard = {}\n\
         address_questions_burst = 1000000\n",
        // WHY four times as many: a table of buckets forgets long before it is full.
        4 * users.max(1_024)
    );
    let (config, tables) = composed::compile(&toml, None, None);
    let setup = composed::setup(&[address.parse().unwrap()], 1, Timers::default(), ROOM, 1);
    let (boot_secret, slot_secret) = (setup.proxy.boot_secret, setup.proxy.keys.slot_secret());
    let begin = proto::time::Now { mono: proto::time::Mono(1), wall: proto::time::Wall(1_700_000_000_000_000) };
    let authentication = authentication::Setup {
        nonce_secrets: vec![slot_secret],
        boot_secret,
        seed: 1,
        accounts: config.authentication.accounts_per_shard,
        failures: config.authentication.failures_per_shard,
        rules: tables.realms.rules,
        living: Arc::new(Living::new(boot_secret)),
    };
    let registrar = registrar::Setup {
        clock: Clock::start(begin),
        accounts: users,
        bytes: 1 << 30,
        durability: Durability::Strict,
        boot_secret,
        gruu_secret: slot_secret,
        seed: 1,
    };
    let registrar = Box::new(Registrar::new(&registrar, &tables.domains, begin));
    let (mut links, lanes) = engine::join_virtual(&LinkConfig { shards: 1, lanes: 2, letters: 64, hand_over_bytes: 1 });
    let app = ShardApp::new(ShardId(0), &setup, Arc::new(tables), begin)
        .authenticating(accounts.then_some(&authentication), begin)
        .registering(Some(registrar));
    let stats = Arc::new(ShardStats::default());
    (Shard::new(app, SimDevice::new(256, 4), links.remove(0), 4_096, Mono(1), stats), lanes)
}
