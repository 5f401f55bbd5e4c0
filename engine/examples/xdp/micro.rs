//! X1: the driver's own work for a frame in and one out, rings in memory.
//!
//! Batches of 32 datagrams of 800 bytes. The card's part and the application's copy of the payload are
//! outside of the clock: the slot is reserved, what stood in it leaves again.

use crate::scene::{Scene, packet};
use engine::device::sim::SimDevice;
use engine::device::xdp::XdpDevice;
use engine::device::{Device, Input, Receive, SlotSize, Transmit};
use engine::{Micros, Mono};
use std::time::{Duration, Instant};

const BATCH: u64 = 32;
const PAYLOAD: usize = 800;

/// Nanoseconds for a frame in and out, on the average of `frames`.
pub(crate) fn run(frames: u64) -> f64 {
    let mut scene = Scene::new();
    let packet = packet(&[0x41; PAYLOAD]);
    let mut spent = Duration::ZERO;
    let mut done = 0;
    while done < frames {
        for _ in 0..BATCH {
            assert!(scene.far.deliver(&scene.memory, &packet), "a frame is free");
        }
        let began = Instant::now();
        let count = driver_part(scene.shard.device());
        spent += began.elapsed();
        assert_eq!(count, BATCH, "all came back");
        assert_eq!(scene.drain() as u64, if done == 0 { 0 } else { BATCH }, "sent by the exchange after");
        done += BATCH;
    }
    spent.as_nanos() as f64 / done as f64
}

/// What the driver does for a batch: one exchange, every frame read, an answer to each queued.
#[inline(never)]
pub(crate) fn driver_part(device: &mut XdpDevice<SimDevice>) -> u64 {
    device.exchange(Some(Micros(0))).expect("the device in memory never fails");
    let (mut receiver, mut transmitter) = device.halves();
    let mut count = 0;
    while let Some(input) = receiver.next(Mono(1)) {
        let Input::Frame(frame) = &input else { continue };
        let (egress, length) = (frame.back(), frame.bytes.len());
        if transmitter.reserve(SlotSize::Small).is_some() {
            count += u64::from(transmitter.commit(&egress, length));
        }
    }
    count
}
