//! Once warm, the loop allocates nothing and takes no major page fault: frames, timers, letters and
//! hand-over included, on every driver.
//!
//! One test, alone in its program: the allocator counts for all threads.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use engine::device::sim::SimDevice;
use engine::{
    Address, App, Class, Config, Driver, Frame, LaneEnd, LaneId, LinkConfig, Listener, Micros, Mono, NetworkError, Now,
    Outbox, Pools, Shard, ShardId, Steering, TimerHandle, join_virtual,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// For each frame: arms a timer, disarms an older one, posts letters to a shard and a lane, hands every
/// third frame over, and answers.
struct Busy {
    timers: [TimerHandle; 16],
    seen: usize,
}

impl Busy {
    fn new() -> Self {
        Busy { timers: [TimerHandle::NONE; 16], seen: 0 }
    }
}

impl App for Busy {
    type Letter = u64;

    fn on_frame(&mut self, now: Now, frame: &Frame<'_>, out: &mut Outbox<'_, u64>) {
        self.seen += 1;
        let place = self.seen % self.timers.len();
        out.disarm(self.timers[place]);
        let delay = Micros::from_millis(if self.seen.is_multiple_of(2) { 1 } else { 40 });
        self.timers[place] = out.arm(now.mono.after(delay), 1);
        let next = ShardId((out.me().0 + 1) % out.shards() as u8);
        let _ = out.post(Address::Shard(next), 1);
        let _ = out.post(Address::Lane(LaneId(0)), 1);
        if !self.seen.is_multiple_of(3) || !out.hand_over(next, Class::Other, frame) {
            out.transmit_bytes(&frame.back(), frame.bytes);
        }
    }
    fn on_hand_over(&mut self, _: Now, frame: &Frame<'_>, _: ShardId, out: &mut Outbox<'_, u64>) {
        out.transmit_bytes(&frame.back(), frame.bytes);
    }
    fn on_network_error(&mut self, _: Now, _: &NetworkError, _: &mut Outbox<'_, u64>) {}
    fn on_timer(&mut self, _: Now, _: u64, _: &mut Outbox<'_, u64>) {}
    fn on_letter(&mut self, _: Now, _: u64, _: &mut Outbox<'_, u64>) {}
}

/// Runs `work` warm, then once more, counting.
fn assert_allocates_nothing(what: &str, mut work: impl FnMut()) {
    work();
    work();
    let faults = major_faults();
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{what}: {change:?}");
    assert_eq!(major_faults(), faults, "{what}: major page faults");
}

fn major_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    fields.split_whitespace().nth(9).unwrap().parse().unwrap()
}

#[test]
fn ten_thousand_frames_allocate_nothing() {
    for driver in [Driver::Uring, Driver::Mmsg] {
        if driver == Driver::Uring && engine_sys::uring::probe().is_err() {
            eprintln!("SKIPPED io_uring");
            continue;
        }
        sockets(driver);
    }
    simulation();
}

fn sockets(driver: Driver) {
    let core = core_affinity::get_core_ids().unwrap()[0].id;
    let config = Config {
        cores: vec![core, core],
        listeners: vec![Listener::new("127.0.0.1:0".parse().unwrap())],
        driver,
        steering: Steering::Random,
        deferred: None,
        pools: Pools::default(),
        lanes: 1,
        xdp: engine::XdpConfig::default(),
    };
    let mut running = engine::launch(&config, |_| Busy::new()).unwrap();
    let mut lane: LaneEnd<u64> = running.take_lane(LaneId(0)).unwrap();
    let server = running.serving().addresses[0];
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let message = [7; 800];
    let mut buffer = [0; 1_000];
    assert_allocates_nothing(&format!("{driver:?}"), || {
        for _ in 0..200 {
            for _ in 0..50 {
                client.send_to(&message, server).unwrap();
            }
            for _ in 0..50 {
                client.recv_from(&mut buffer).unwrap();
            }
            while lane.receive().is_some() {}
        }
    });
    running.stop();
    running.join().unwrap();
}

fn simulation() {
    let config = LinkConfig { shards: 2, lanes: 1, letters: 256, hand_over_bytes: 0 };
    let (links, mut lanes) = join_virtual::<u64>(&config);
    let mut shards: Vec<_> = links
        .into_iter()
        .map(|links| Shard::new(Busy::new(), SimDevice::new(256, 4), links, 256, Mono(0), Arc::default()))
        .collect();
    let peer = SocketAddr::from(([192, 0, 2, 1], 5060));
    let local = SocketAddr::from(([192, 0, 2, 2], 5060));
    let mut now = Now::default();
    assert_allocates_nothing("simulation", || {
        for _ in 0..200 {
            for _ in 0..25 {
                for shard in &mut shards {
                    shard.device().push(0, local, peer, &[7; 800]);
                }
            }
            let mut sent = 0;
            while sent < 50 {
                now.mono.0 += 500;
                for shard in &mut shards {
                    shard.step(now).unwrap();
                    while shard.device().take_sent(|_, bytes| assert_eq!(bytes.len(), 800)).is_some() {
                        sent += 1;
                    }
                }
            }
            while lanes[0].receive().is_some() {}
        }
    });
}
