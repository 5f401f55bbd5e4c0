//! What a call does to the timer wheel, a given number of times: two timers are armed, the short one is
//! disarmed before its time, the long one fires, while many others wait.
//!
//! ```text
//! cargo build --release -p engine --example turn_wheel
//! target/release/examples/turn_wheel 1000000      # ns for each arm, disarm and expiry of a pair
//! ```

#![allow(clippy::unwrap_used, reason = "an example may panic")]

use engine::wheel::{Expiry, Wheel};
use engine::{Micros, Mono};
use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Instant;

/// Timers that wait meanwhile: 32 s of Timer J and L at 2,000 calls a second.
const WAITING: u64 = 100_000;
/// Time from call to call, so that as many stay armed.
const GAP: Micros = Micros(320);
/// How long a call's short timer stands before it is disarmed.
const SHORT_CALLS: usize = 8;

/// A wheel in its steady state.
pub(crate) struct Turning {
    wheel: Wheel,
    now: Mono,
    short: VecDeque<engine::TimerHandle>,
    fired: u64,
}

impl Turning {
    /// A wheel in which [`WAITING`] long timers wait.
    pub(crate) fn filled() -> Self {
        let wheel = Wheel::new(WAITING as usize * 2, Mono(0));
        let mut turning = Turning { wheel, now: Mono(0), short: VecDeque::with_capacity(SHORT_CALLS + 1), fired: 0 };
        turning.turn(WAITING);
        turning
    }

    /// Passes `calls` calls through.
    pub(crate) fn turn(&mut self, calls: u64) {
        for _ in 0..calls {
            self.now = self.now.after(GAP);
            self.wheel.arm(self.now.after(Micros(32_000_000)), 1).unwrap();
            self.short.push_back(self.wheel.arm(self.now.after(Micros(500_000)), 2).unwrap());
            if self.short.len() > SHORT_CALLS {
                assert!(self.wheel.disarm(self.short.pop_front().unwrap()));
            }
            loop {
                match self.wheel.pop(black_box(self.now)) {
                    Expiry::Fired(_) => self.fired += 1,
                    Expiry::Moved => {}
                    Expiry::Nothing => break,
                }
            }
        }
    }
}

fn main() {
    let calls = std::env::args().nth(1).map_or(1_000_000, |calls| calls.parse().unwrap());
    let mut turning = Turning::filled();
    let started = Instant::now();
    turning.turn(calls);
    let nanoseconds = started.elapsed().as_secs_f64() * 1e9 / calls as f64;
    println!("{calls} calls, {} timers fired, {nanoseconds:.0} ns each", turning.fired);
}
