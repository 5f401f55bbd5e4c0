//! The AF_XDP driver with a card that is played in memory.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../examples/xdp/account.rs"]
mod account;
mod exercise;
#[path = "../live/namespaces.rs"]
mod namespaces;
mod program;
#[path = "../../examples/xdp/scene.rs"]
mod scene;
mod vlans;

use engine::device::xdp::Order;
use engine::device::xdp::packet;
use scene::{ETH0, Scene, local, peer};
use std::sync::Arc;

/// What `scripts/bench` does with ten million.
#[test]
fn no_frame_is_lost_or_doubled() {
    let found = account::run(200_000).unwrap();
    assert_eq!(found.missing, 0);
    assert_eq!(found.refused.0, found.refused.1);
    assert!(found.lost > 0 && found.sent > 100_000 && found.offered >= 200_000, "{found:?}");
}

#[test]
fn an_answer_leaves_by_the_card_with_the_headers_of_its_way() {
    let mut scene = Scene::new();
    assert!(scene.far.deliver(&scene.memory, &scene::packet(b"hello")));
    scene.step(100);
    scene.step(200);
    let (sent, address) = scene.far.take_sent(&scene.memory, <[u8]>::to_vec).unwrap();
    scene.far.complete(address);
    assert_eq!(sent[..12], [2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 1], "to the peer's address, from ours");
    let read = packet::parse(&sent).unwrap();
    assert_eq!((read.local, read.peer, read.payload), (peer(), local(), &b"hello"[..]));
    assert_eq!(scene.shard.stats().xdp_frames_out.get(), 1);
}

#[test]
fn what_the_tables_do_not_know_goes_through_the_kernel() {
    let mut scene = Scene::new();
    scene.shard.app().astray = true;
    assert!(scene.far.deliver(&scene.memory, &scene::packet(b"hello")));
    scene.step(100);
    scene.step(200);
    assert!(scene.far.take_sent(&scene.memory, |_| ()).is_none());
    let sent = scene.shard.device().kernel().take_sent(|egress, bytes| (egress.peer, bytes.to_vec()));
    assert_eq!(sent, Some((scene::unknown(), b"hello".to_vec())));
    assert_eq!(scene.shard.stats().xdp_by_kernel_neighbour.get(), 1);
}

#[test]
fn larger_than_the_mtu_goes_through_the_kernel() {
    let mut scene = Scene::new();
    assert!(scene.far.deliver(&scene.memory, &scene::packet(&[0x41; 1_500])));
    scene.step(100);
    scene.step(200);
    assert!(scene.far.take_sent(&scene.memory, |_| ()).is_none());
    assert_eq!(scene.shard.device().kernel().take_sent(|_, bytes| bytes.len()), Some(1_500));
    assert_eq!(scene.shard.stats().xdp_by_kernel_too_long.get(), 1);
}

#[test]
fn without_its_interface_everything_goes_through_the_kernel_and_back_when_it_returns() {
    let mut scene = Scene::new();
    assert!(scene.orders.push(Order::Detach(ETH0)).is_ok());
    scene.shard.device().kernel().push(0, local(), peer(), b"hello");
    scene.step(100);
    assert_eq!(scene.shard.device().kernel().take_sent(|_, bytes| bytes.to_vec()), Some(b"hello".to_vec()));
    scene.flap();
    scene.step(200);
    assert!(scene.far.deliver(&scene.memory, &scene::packet(b"hello")));
    scene.step(300);
    scene.step(400);
    assert_eq!(scene.drain(), 1);
}

#[test]
fn a_changed_network_is_followed_at_once() {
    let mut scene = Scene::new();
    let mut network = scene::network();
    network.neighbours.get_mut(&(ETH0, peer().ip())).unwrap().mac = [2, 0, 0, 0, 0, 8];
    for network in [scene::network(), network] {
        let mac = network.neighbours[&(ETH0, peer().ip())].mac;
        assert!(scene.orders.push(Order::Network(Arc::new(network))).is_ok());
        assert!(scene.far.deliver(&scene.memory, &scene::packet(b"hello")));
        scene.step(100);
        scene.step(200);
        let (to, address) = scene.far.take_sent(&scene.memory, |sent| sent[..6].to_vec()).unwrap();
        scene.far.complete(address);
        assert_eq!(to, mac);
    }
}

#[test]
fn damaged_packets_are_counted_and_dropped() {
    let mut scene = Scene::new();
    let mut wrong = scene::packet(b"hello");
    wrong[45] ^= 1;
    assert!(scene.far.deliver(&scene.memory, &wrong));
    assert!(scene.far.deliver(&scene.memory, &wrong[..30]));
    scene.step(100);
    let stats = scene.shard.stats();
    assert_eq!((stats.xdp_wrong_checksum.get(), stats.xdp_malformed.get(), stats.frames_in.get()), (1, 1, 0));
}

#[test]
fn how_long_a_packet_waited_is_seen_by_the_programs_stamp() {
    let waited = |now: u64, stamp: u64| {
        let mut scene = Scene::new();
        assert!(scene.far.deliver_stamped(&scene.memory, &scene::packet(b"hello"), stamp));
        scene.step(now);
        assert_eq!(scene.shard.stats().frames_in.get(), 1);
        scene.shard.stats().longest_queue_micros.get()
    };
    assert_eq!(waited(20_000_000, 19_930_000_999), 70_000);
    assert_eq!(waited(20_000_000, 0), 0, "no stamp");
    assert_eq!(waited(20_000_000, 20_000_001_000), 0, "not by our clock");
    assert_eq!(waited(20_000_000, 9_000_000_000), 0, "longer than anything waits");
    assert_eq!(waited(1_000, u64::MAX), 0);
}

#[test]
fn a_stamp_is_good_once() {
    let mut scene = Scene::new();
    // Every frame is received into once with a stamp, then again by a driver that puts none there.
    for (round, stamp) in [(1, 900_000), (2, 0)] {
        for turn in 0..2 * scene::FRAMES as u64 / 64 {
            for _ in 0..64 {
                assert!(scene.far.deliver_stamped(&scene.memory, &scene::packet(b"hello"), stamp));
            }
            scene.step(round * 1_000 + turn);
            scene.drain();
        }
    }
    assert!(scene.shard.stats().longest_queue_micros.get() < 200, "of the first round alone");
}

/// What the fuzz target began with, and whatever it has found.
#[test]
fn the_fuzz_corpus_is_read_as_it_should_be() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/frame");
    let mut accepted = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        let octets = std::fs::read(&path).unwrap();
        exercise::frame(&octets);
        if packet::parse(&octets).is_ok() {
            accepted.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    for (name, good) in [("ipv4-padded", true), ("qinq-ipv6", true), ("three-tags", false), ("ipv4-wrong-sum", false)] {
        assert_eq!(accepted.iter().any(|accepted| accepted == name), good, "{name}");
    }
}
