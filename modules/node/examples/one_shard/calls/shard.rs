//! The shard, composed as `tandem run` does it, on a driver in memory.

use crate::composed::{self, Room};
use engine::device::sim::SimDevice;
use engine::{LinkConfig, Mono, Shard, ShardId, ShardStats};
use proto::proxy::Capacity;
use proto::transaction::Timers;
use std::sync::Arc;
use tandem::app::ShardApp;

/// A shard that listens on `address`, with two gateways and room for all that `calls` may leave behind.
pub(crate) fn shard(address: &str, gateways: [&str; 2], calls: usize) -> Shard<ShardApp, SimDevice> {
    let [one, two] = gateways;
    let toml = format!(
        "sources = [\"192.0.2.10\"]\n[listen]\nudp = [\"{address}\"]\n[[set]]\nname = \"carriers\"\n\
         algorithm = \"weighted\"\n\
         gateways = [{{ uri = \"sip:{one}\", weight = 70 }}, {{ uri = \"sip:{two}\", weight = 30 }}]\n"
    );
    let (_, tables) = composed::compile(&toml, None, None);
    let room = u32::try_from(calls).unwrap().clamp(4_096, 400_000);
    let capacity = Capacity { transactions: 2 * room, open: 4_096, branches: room, bytes: 64 << 20 };
    let places = Room { capacity, calls: 4_096, open_requests: 4_096 };
    let setup = composed::setup(&[address.parse().unwrap()], 1, Timers::default(), places, 1);
    let (mut links, _lanes) =
        engine::join_virtual(&LinkConfig { shards: 1, lanes: 1, letters: 64, hand_over_bytes: 1 });
    let begin = proto::time::Now { mono: proto::time::Mono(1), wall: proto::time::Wall(1) };
    let app = ShardApp::new(ShardId(0), &setup, Arc::new(tables), begin);
    let timers = 3 * room as usize;
    Shard::new(app, SimDevice::new(1_024, 4), links.remove(0), timers, Mono(1), Arc::new(ShardStats::default()))
}
