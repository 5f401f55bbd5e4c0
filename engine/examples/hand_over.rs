//! Frames of 800 bytes from one shard to another over the ring that joins them, sixteen a turn.
//!
//! With two cores both shards are awake and turn as fast as they can, each on its own core, and what is
//! measured is the time from frame to frame; `together` steps them in turn on one core, for instruction
//! counts. A frame that finds no room waits for the next turn.
//!
//! ```text
//! cargo build --release -p engine --example hand_over
//! target/release/examples/hand_over 10000000           # ns a frame
//! target/release/examples/hand_over 1000 together
//! ```

#![allow(clippy::unwrap_used, reason = "an example may panic")]

use engine::device::sim::SimDevice;
use engine::{App, Class, Frame, LinkConfig, Mono, NetworkError, Now, Outbox, Shard, ShardId, join_virtual};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// Frames of one turn.
pub(crate) const BATCH: u64 = 16;
const BYTES: usize = 800;
const RING_BYTES: usize = 1 << 20;

/// Hands `left` frames over, or takes what comes.
pub(crate) struct End {
    left: u64,
    taken: u64,
}

impl App for End {
    type Letter = ();

    fn on_frame(&mut self, _: Now, _: &Frame<'_>, _: &mut Outbox<'_, ()>) {}

    fn on_hand_over(&mut self, _: Now, frame: &Frame<'_>, _: ShardId, _: &mut Outbox<'_, ()>) {
        assert_eq!(frame.bytes.len(), BYTES);
        self.taken += 1;
    }

    fn on_network_error(&mut self, _: Now, _: &NetworkError, _: &mut Outbox<'_, ()>) {}
    fn on_timer(&mut self, _: Now, _: u64, _: &mut Outbox<'_, ()>) {}
    fn on_letter(&mut self, _: Now, (): (), _: &mut Outbox<'_, ()>) {}

    fn on_turn_end(&mut self, now: Now, out: &mut Outbox<'_, ()>) {
        let address = SocketAddr::from(([192, 0, 2, 1], 5060));
        let bytes = [7; BYTES];
        let frame = Frame { listener: 0, local: address, peer: address, flow: 0, received: now.mono, bytes: &bytes };
        for _ in 0..BATCH.min(self.left) {
            if !out.hand_over(ShardId(1), Class::Other, &frame) {
                return;
            }
            self.left -= 1;
        }
    }
}

/// The two shards: who hands over, who takes.
pub(crate) fn shards() -> [Shard<End, SimDevice>; 2] {
    let config = LinkConfig { shards: 2, lanes: 0, letters: 16, hand_over_bytes: RING_BYTES };
    let (links, _) = join_virtual::<()>(&config);
    let make = |links| Shard::new(End { left: 0, taken: 0 }, SimDevice::new(16, 1), links, 16, Mono(0), Arc::default());
    links.into_iter().map(make).collect::<Vec<_>>().try_into().ok().unwrap()
}

/// Passes `frames` frames on one core.
pub(crate) fn together([from, to]: &mut [Shard<End, SimDevice>; 2], frames: u64) {
    from.app().left = frames;
    let until = to.app().taken + frames;
    while to.app().taken < until {
        from.step(Now::default()).unwrap();
        to.step(Now::default()).unwrap();
    }
}

/// Passes `frames` frames between the first and the last core of this process; gives the seconds that it took.
pub(crate) fn apart([from, to]: &mut [Shard<End, SimDevice>; 2], frames: u64) -> f64 {
    let cores = core_affinity::get_core_ids().unwrap();
    from.app().left = frames;
    let until = to.app().taken + frames;
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            core_affinity::set_for_current(cores[0]);
            while from.app().left > 0 {
                from.step(Now::default()).unwrap();
            }
        });
        core_affinity::set_for_current(cores[cores.len() - 1]);
        let started = Instant::now();
        while to.app().taken < until {
            to.step(Now::default()).unwrap();
        }
        let seconds = started.elapsed().as_secs_f64();
        sender.join().unwrap();
        seconds
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let frames: u64 = arguments.next().map_or(10_000_000, |frames| frames.parse().unwrap());
    let mut shards = shards();
    if arguments.next().as_deref() == Some("together") {
        let started = Instant::now();
        together(&mut shards, frames);
        let nanoseconds = started.elapsed().as_secs_f64() * 1e9 / frames as f64;
        println!("{frames} frames on one core, {nanoseconds:.0} ns each");
        return;
    }
    // The best of ten batches: others use the machine, too.
    let batch = frames.div_ceil(10);
    let seconds = (0..10).map(|_| apart(&mut shards, batch)).fold(f64::MAX, f64::min);
    println!("{} frames between two cores, {:.1} ns each", batch * 10, seconds * 1e9 / batch as f64);
}
