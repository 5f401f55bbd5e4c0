//! The floor: datagrams to an echo program, in the rhythm of calls, with nothing read but an id.
//!
//! A start sends bursts of datagrams, each when the one before has come back whole. One burst of one
//! datagram is plain echo; `1,3,2,1` moves over the wire as a call does (INVITE; 100, 180, 200; ACK
//! and BYE; 200), so that a proxy and the floor under it wake as often.

use std::net::SocketAddr;

use engine::{App, Frame, NetworkError, Now, Outbox, TimerHandle};
use proto::time::{Micros, Mono};

use crate::{
    identity::{self, Key, Run, TAG_BYTES},
    outlet::{Outlet, engine_mono},
    report::{Book, latency::Timed, tally::Failure},
    reporter::{Letter, Reporter, TICK},
    schedule::Due,
    slab::Slab,
    wire::{Token, Wire},
};

/// A datagram that has not come back after this time is lost; nothing is sent again.
const LOST_AFTER: Micros = Micros::from_secs(2);
/// Most sequences that are started in one turn.
const STARTS_PER_TURN_MAX: usize = 32;
/// Smallest datagram: its id.
pub const SIZE_MIN: usize = TAG_BYTES;
/// Largest datagram.
pub const SIZE_MAX: usize = 60_000;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Marks this run.
    pub run: Run,
    /// The echo program.
    pub target: SocketAddr,
    /// Sizes of the datagrams of a sequence, in turn; [`SIZE_MIN`] to [`SIZE_MAX`].
    pub sizes: Vec<usize>,
    /// Datagrams of each burst, at least one each.
    pub bursts: Vec<usize>,
    /// The last burst does not come back: the echo program is told to absorb it.
    pub last_absorbed: bool,
    /// Sequences at the same time.
    pub places: u32,
    /// Listeners to send from, in turn.
    pub listeners: u16,
}

struct Sequence {
    listener: u16,
    burst: usize,
    /// Datagrams of this burst that have not come back.
    missing: usize,
    /// Datagrams sent before this burst.
    sent: usize,
    /// When the burst was sent; for the first one: when it was meant to be.
    since: Mono,
    alarm: Option<TimerHandle>,
}

/// One shard of echo load.
pub struct Echo {
    settings: Settings,
    filling: Vec<u8>,
    due: Due,
    sequences: Slab<Sequence>,
    started: u64,
    reporter: Reporter,
    begun: bool,
    closed: bool,
}

impl Echo {
    /// Starts a sequence whenever `due` says so.
    pub fn new(settings: Settings, due: Due) -> Self {
        // As for calls: a late timer would be our lag.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let largest = settings.sizes.iter().copied().max().unwrap_or(SIZE_MIN);
        Echo {
            filling: vec![b'x'; largest.min(SIZE_MAX)],
            sequences: Slab::with_capacity(settings.places),
            settings,
            due,
            started: 0,
            reporter: Reporter::new(0),
            begun: false,
            closed: false,
        }
    }

    fn start(&mut self, wire: &mut Outlet<'_, '_>, intended: Mono) {
        let book = &mut *self.reporter.book;
        book.caller.started += 1;
        book.latencies.record(Timed::Lag, wire.now().since(intended));
        let listener = self.started % u64::from(self.settings.listeners.max(1));
        self.started += 1;
        let sequence = Sequence {
            listener: u16::try_from(listener).unwrap_or(0),
            burst: 0,
            missing: 0,
            sent: 0,
            since: intended,
            alarm: None,
        };
        match self.sequences.insert(sequence) {
            Ok(key) => {
                let alarm = wire.arm(wire.now().after(LOST_AFTER), Token::Caller(key));
                if let Some(sequence) = self.sequences.get_mut(key) {
                    sequence.alarm = Some(alarm);
                }
                self.send_burst(wire, key);
            }
            Err(_) => book.caller.fail(Failure::NoPlace),
        }
    }

    fn send_burst(&mut self, wire: &mut Outlet<'_, '_>, key: Key) {
        let Some(sequence) = self.sequences.get_mut(key) else {
            return;
        };
        let count = self.settings.bursts.get(sequence.burst).copied().unwrap_or(1);
        sequence.missing = count;
        let id = identity::tag(self.settings.run, key);
        for place in sequence.sent..sequence.sent + count {
            let size = self.settings.sizes.get(place % self.settings.sizes.len().max(1));
            let rest = size.copied().unwrap_or(SIZE_MIN).saturating_sub(SIZE_MIN);
            let filling = self.filling.get(..rest).unwrap_or_default();
            let sent = wire.send(sequence.listener, self.settings.target, |out| {
                out.put(&id);
                out.put(filling);
            });
            self.reporter.book.caller.unsent += u64::from(!sent);
        }
        sequence.sent += count;
    }

    fn on_return(&mut self, wire: &mut Outlet<'_, '_>, key: Key) {
        let (now, book) = (wire.now(), &mut *self.reporter.book);
        let Some(sequence) = self.sequences.get_mut(key) else {
            book.caller.strays += 1;
            return;
        };
        book.latencies.record(Timed::RoundTrip, now.since(sequence.since));
        sequence.missing = sequence.missing.saturating_sub(1);
        if sequence.missing > 0 {
            return;
        }
        sequence.burst += 1;
        sequence.since = now;
        let bursts = self.settings.bursts.len();
        let next = sequence.burst;
        if next < bursts {
            self.send_burst(wire, key);
            if !(self.settings.last_absorbed && next + 1 == bursts) {
                return;
            }
        }
        let book = &mut *self.reporter.book;
        book.caller.answered += 1;
        book.caller.completed += 1;
        if let Some(alarm) = self.sequences.remove(key).and_then(|ended| ended.alarm) {
            wire.disarm(alarm);
        }
    }

    fn tick(&mut self, now: Mono, out: &mut Outbox<'_, Letter>) {
        let active = self.sequences.len() as u64;
        let done = self.begun && active == 0 && self.due.next().is_none();
        self.reporter.tick(now, active, done, out);
        out.arm(engine_mono(now.after(TICK)), Token::Tick.pack());
    }

    fn book(&mut self) -> &mut Book {
        &mut self.reporter.book
    }
}

impl App for Echo {
    type Letter = Letter;

    fn on_frame(&mut self, now: Now, frame: &Frame<'_>, out: &mut Outbox<'_, Letter>) {
        if self.closed {
            return;
        }
        self.book().received += 1;
        let id = frame.bytes.get(..TAG_BYTES).unwrap_or_default();
        match identity::key_of_tag(self.settings.run, id) {
            Some(key) => {
                let mut wire = Outlet::new(now, out);
                self.on_return(&mut wire, key);
                self.book().sent += wire.sent;
            }
            None => self.book().caller.strays += 1,
        }
    }

    fn on_network_error(&mut self, _: Now, _: &NetworkError, _: &mut Outbox<'_, Letter>) {
        self.book().caller.network_errors += 1;
    }

    fn on_timer(&mut self, now: Now, token: u64, out: &mut Outbox<'_, Letter>) {
        if self.closed {
            return;
        }
        match Token::unpack(token) {
            Some(Token::Caller(key)) if self.sequences.remove(key).is_some() => {
                self.book().caller.fail(Failure::NoResponse);
            }
            Some(Token::Tick) => self.tick(Mono(now.mono.0), out),
            _ => {}
        }
    }

    fn on_letter(&mut self, now: Now, letter: Letter, out: &mut Outbox<'_, Letter>) {
        let at = Mono(now.mono.0);
        match letter {
            Letter::Begin(begin) => {
                self.begun = true;
                self.due.begin(begin);
                self.tick(at, out);
            }
            Letter::HangUp => self.due.give_up(),
            Letter::Close => {
                self.closed = true;
                let open = self.sequences.len() as u64;
                for _ in 0..open {
                    self.book().caller.fail(Failure::Unfinished);
                }
                self.reporter.close(at, open, out);
            }
            Letter::Spare(book) => self.reporter.take_spare(book),
            Letter::Book(_) => {}
        }
    }

    fn wake_at(&self) -> Option<engine::Mono> {
        self.due.next().map(engine_mono)
    }

    fn on_turn_end(&mut self, now: Now, out: &mut Outbox<'_, Letter>) {
        let mut wire = Outlet::new(now, out);
        for _ in 0..STARTS_PER_TURN_MAX {
            match self.due.take(wire.now()) {
                Some(intended) => self.start(&mut wire, intended),
                None => break,
            }
        }
        self.book().sent += wire.sent;
    }
}
