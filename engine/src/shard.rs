//! A shard: one thread's loop. Exchange with the network, handle what came, expire timers, wake
//! whoever got something. It never waits anywhere but in [`Device::exchange`].

use crate::app::App;
use crate::device::{Device, Input, Receive};
use crate::frame::{NetworkError, ShardId};
use crate::links::{Inward, Links, Outward};
use crate::mailbox::Parcel;
use crate::outbox::Outbox;
use crate::stats::ShardStats;
use crate::time::{Micros, Mono, Now};
use crate::wheel::{Expiry, Wheel};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One shard: an application on a driver, with timers and links to the others.
pub struct Shard<A: App, D: Device> {
    app: A,
    device: D,
    wheel: Wheel,
    inward: Inward<A::Letter>,
    outward: Outward<A::Letter>,
    stats: Arc<ShardStats>,
}

impl<A: App, D: Device> Shard<A, D> {
    /// A shard with room for `timers` timers, starting at `now`.
    pub fn new(app: A, device: D, links: Links<A::Letter>, timers: usize, now: Mono, stats: Arc<ShardStats>) -> Self {
        Shard { app, device, wheel: Wheel::new(timers, now), inward: links.inward, outward: links.outward, stats }
    }

    /// Turns until `stop` is set, then sends what is queued and closes the driver.
    ///
    /// # Errors
    /// What makes the driver unusable.
    pub fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut before = Mono::read();
        while !stop.load(Ordering::Acquire) {
            let wait = self.prepare_to_wait(before, stop);
            self.device.exchange(wait)?;
            self.inward.waker.awake();
            let now = Now::read();
            self.turn(now);
            let after = Mono::read();
            self.account(before, now.mono, after);
            before = after;
        }
        self.device.close();
        Ok(())
    }

    /// One turn: everything that the last exchange and the other shards brought, and every timer that
    /// is due at `now`, each within its bound.
    pub fn turn(&mut self, now: Now) {
        self.letters(now);
        self.input(now);
        self.handed_over(now);
        self.timers(now);
        self.call(|app, out| app.on_turn_end(now, out));
        self.stats.wakes.add(self.outward.wake_touched());
        self.stats.turns.add(1);
        self.stats.timers_armed.set(self.wheel.armed() as u64);
    }

    /// Exchange, then turn: one step of a simulated shard.
    ///
    /// # Errors
    /// What makes the driver unusable; none in simulation.
    pub fn step(&mut self, now: Now) -> io::Result<()> {
        self.device.exchange(Some(Micros(0)))?;
        self.turn(now);
        Ok(())
    }

    /// How long this shard has nothing to do from `now` on; `None`: until something comes.
    pub fn idle_for(&self, now: Mono) -> Option<Micros> {
        if self.device.backlog() || self.inward.any() {
            return Some(Micros(0));
        }
        let deadlines = self.wheel.next_deadline().into_iter().chain(self.app.wake_at());
        deadlines.min().map(|deadline| deadline.since(now))
    }

    /// The application, for a test to look at.
    pub fn app(&mut self) -> &mut A {
        &mut self.app
    }

    /// The driver, for a test to feed.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }

    /// What was counted.
    pub fn stats(&self) -> &Arc<ShardStats> {
        &self.stats
    }

    /// INVARIANT: when this says to wait, the others were told so before the mailboxes and `stop` were
    /// looked at for the last time, so whoever comes later rings.
    fn prepare_to_wait(&self, now: Mono, stop: &AtomicBool) -> Option<Micros> {
        let wait = self.idle_for(now);
        if wait == Some(Micros(0)) {
            return wait;
        }
        self.inward.waker.about_to_sleep();
        if self.inward.any() || stop.load(Ordering::SeqCst) {
            return Some(Micros(0));
        }
        wait
    }

    fn letters(&mut self, now: Now) {
        for index in 0..self.inward.letters.len() {
            for _ in 0..limits::LETTERS_PER_TURN_MAX {
                let Some(Ok(parcel)) = self.inward.letters.get_mut(index).map(rtrb::Consumer::pop) else {
                    break;
                };
                self.call(|app, out| match parcel {
                    Parcel::Letter(letter) => {
                        out.stats.letters_in.add(1);
                        app.on_letter(now, letter, out);
                    }
                    Parcel::NetworkError(error) => app.on_network_error(now, &error, out),
                });
            }
        }
    }

    fn input(&mut self, now: Now) {
        let (mut frames, mut bytes, mut oldest) = (0, 0, now.mono);
        let (mut receiver, mut transmitter) = self.device.halves();
        let mut out = Outbox {
            transmitter: &mut transmitter,
            wheel: &mut self.wheel,
            outward: &mut self.outward,
            stats: &self.stats,
        };
        while let Some(input) = receiver.next(now.mono) {
            match input {
                Input::Frame(frame) => {
                    frames += 1;
                    bytes += frame.bytes.len() as u64;
                    oldest = oldest.min(frame.received);
                    self.app.on_frame(now, &frame, &mut out);
                }
                Input::Error(error) => {
                    tell_the_others(&error, &mut out);
                    self.app.on_network_error(now, &error, &mut out);
                }
            }
        }
        if frames > 0 {
            self.stats.batches_in.add(1);
            self.stats.frames_in.add(frames);
            self.stats.bytes_in.add(bytes);
            self.stats.longest_queue_micros.raise(now.mono.since(oldest).0);
        }
    }

    fn handed_over(&mut self, now: Now) {
        for ring in &mut self.inward.frames {
            let from = ring.from();
            for _ in 0..limits::LETTERS_PER_TURN_MAX {
                let mut transmitter = self.device.halves().1;
                let mut out = Outbox {
                    transmitter: &mut transmitter,
                    wheel: &mut self.wheel,
                    outward: &mut self.outward,
                    stats: &self.stats,
                };
                let read = ring.read(|frame| self.app.on_hand_over(now, frame, from, &mut out));
                if !read {
                    break;
                }
                self.stats.hand_over_in.add(1);
            }
        }
    }

    fn timers(&mut self, now: Now) {
        for _ in 0..limits::TIMERS_PER_TURN_MAX {
            match self.wheel.pop(now.mono) {
                Expiry::Nothing => break,
                Expiry::Moved => {}
                Expiry::Fired(token) => {
                    self.stats.timers_fired.add(1);
                    self.call(|app, out| app.on_timer(now, token, out));
                }
            }
        }
    }

    /// Lends the application an outbox.
    fn call(&mut self, what: impl FnOnce(&mut A, &mut Outbox<'_, A::Letter>)) {
        let mut transmitter = self.device.halves().1;
        let mut out = Outbox {
            transmitter: &mut transmitter,
            wheel: &mut self.wheel,
            outward: &mut self.outward,
            stats: &self.stats,
        };
        what(&mut self.app, &mut out);
    }

    fn account(&self, before: Mono, woken: Mono, after: Mono) {
        let turn = after.since(woken).0;
        self.stats.wait_micros.add(woken.since(before).0);
        self.stats.busy_micros.add(turn);
        self.stats.longest_turn_micros.raise(turn);
    }
}

/// WHY: the kernel reports an error on any socket of a reuseport group, so the shard that sees it is
/// rarely the one whose calls it concerns.
fn tell_the_others<L>(error: &NetworkError, out: &mut Outbox<'_, L>) {
    let me = out.me();
    for shard in (0..u8::try_from(out.shards()).unwrap_or(u8::MAX)).map(ShardId) {
        if shard != me && out.outward.post_to_shard(shard, Parcel::NetworkError(*error)).is_err() {
            out.stats.network_errors_untold.add(1);
        }
    }
}
