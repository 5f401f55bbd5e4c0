//! Once warm, the AF_XDP driver allocates nothing: frames in and out, those that the kernel must send,
//! damaged ones, and a changed network included.
//!
//! One test, alone in its program: the allocator counts for all threads.

#[path = "../examples/xdp/scene.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod scene;

use engine::device::xdp::Order;
use scene::{Scene, network, packet};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TURNS: u64 = 2_000;

/// A turn with a burst of good and damaged packets, every fourth of them answered through the kernel.
fn turn(scene: &mut Scene, number: u64, good: &[u8], bad: &[u8]) {
    for place in 0..number % 60 {
        let packet = if place % 9 == 0 { bad } else { good };
        assert!(scene.far.deliver(&scene.memory, packet), "a frame is free");
    }
    scene.shard.app().astray = number.is_multiple_of(4);
    scene.step(number * 100);
    scene.drain();
    while scene.shard.device().kernel().take_sent(|_, _| ()).is_some() {}
}

#[test]
fn a_warm_shard_allocates_nothing() {
    let mut scene = Scene::new();
    let good = packet(&[0x41; 700]);
    let bad = good[..200].to_vec();
    for number in 0..TURNS {
        turn(&mut scene, number, &good, &bad);
    }
    // The lane makes snapshots, not the shard; the old one comes back to be dropped by the lane.
    let changed = Arc::new(network());
    let kept = Arc::clone(&changed);
    let before = Region::new(ALLOCATOR);
    for number in TURNS..2 * TURNS {
        if number == TURNS + 100 {
            assert!(scene.orders.push(Order::Network(Arc::clone(&changed))).is_ok(), "the ring has room");
        }
        turn(&mut scene, number, &good, &bad);
    }
    let change = before.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
    assert!(scene.shard.stats().xdp_frames_out.get() > TURNS, "frames left");
    drop(kept);
}
