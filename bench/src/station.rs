//! One shard of the generator: callers, gateways, or both, behind the engine's contract.
//!
//! A listener belongs to the callers or to a gateway; its datagrams go there. Calls are started in
//! [`App::on_turn_end`], to the microsecond: the engine is told when to turn next.

use std::net::SocketAddr;

use engine::{App, Egress, Frame, NetworkError, Now, Outbox, TimerHandle};
use proto::{
    message::{Arena, Message, Writer},
    time::{Micros, Mono},
};

use crate::{
    caller::Caller,
    gateway::Gateways,
    report::Book,
    reporter::{Letter, Reporter, TICK},
    schedule::Schedule,
    wire::{Token, Wire},
};

/// Most calls that are started in one turn: what came in meanwhile has to be read, too.
const STARTS_PER_TURN_MAX: usize = 32;

/// One shard.
pub struct Station {
    callers: Option<Callers>,
    gateways: Gateways<TimerHandle>,
    arena: Arena,
    reporter: Reporter,
    begun: bool,
    closed: bool,
}

/// The callers' part of a shard.
struct Callers {
    caller: Caller<TimerHandle>,
    /// Listeners below this index are theirs.
    listeners: u16,
    schedule: Schedule,
    /// When the schedule began; it starts nothing before.
    begin: Option<Mono>,
    /// When the next call is due.
    next_start: Option<Mono>,
}

impl Callers {
    fn begin(&mut self, begin: Mono) {
        self.begin = Some(begin);
        self.look_ahead();
    }

    fn look_ahead(&mut self) {
        let next = self.schedule.next();
        self.next_start = match (self.begin, next) {
            (Some(begin), Some(offset)) => Some(begin.after(Micros(offset))),
            _ => None,
        };
    }

    /// Nothing more will be started.
    fn give_up_schedule(&mut self) {
        self.begin = None;
        self.next_start = None;
    }

    fn done(&self) -> bool {
        self.next_start.is_none() && self.caller.active() == 0
    }

    /// Starts what is due, within the bound of a turn.
    fn start_due<W: Wire<Alarm = TimerHandle>>(&mut self, wire: &mut W, book: &mut Book) {
        for _ in 0..STARTS_PER_TURN_MAX {
            match self.next_start {
                Some(at) if at <= wire.now() => {
                    self.caller.start(wire, book, at);
                    self.look_ahead();
                }
                _ => return,
            }
        }
    }
}

impl Station {
    /// A shard whose first `caller_listeners` listeners are the callers', if there are any.
    pub fn new(
        callers: Option<(Caller<TimerHandle>, u16, Schedule)>,
        gateways: Gateways<TimerHandle>,
        gateway_count: usize,
    ) -> Self {
        // WHY: the kernel may be late by the slack, 50 µs by default; that would be our lag.
        // Where it is not allowed, the lag is measured and reported like any other.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        Station {
            callers: callers.map(|(caller, listeners, schedule)| Callers {
                caller,
                listeners,
                schedule,
                begin: None,
                next_start: None,
            }),
            gateways,
            arena: Arena::new(),
            reporter: Reporter::new(gateway_count),
            begun: false,
            closed: false,
        }
    }

    fn active(&self) -> u64 {
        self.callers
            .as_ref()
            .map_or_else(|| self.gateways.active(), |c| c.caller.active())
    }

    /// Whether nothing is left to do for the callers of this shard.
    fn done(&self) -> bool {
        self.begun && self.callers.as_ref().is_none_or(Callers::done)
    }

    fn tick(&mut self, now: Mono, out: &mut Outbox<'_, Letter>) {
        self.gateways.tick(now);
        let (active, done) = (self.active(), self.done());
        self.reporter.tick(now, active, done, out);
        out.arm(engine_mono(now.after(TICK)), Token::Tick.pack());
    }
}

impl App for Station {
    type Letter = Letter;

    fn on_frame(&mut self, now: Now, frame: &Frame<'_>, out: &mut Outbox<'_, Letter>) {
        if self.closed {
            return;
        }
        let book = &mut *self.reporter.book;
        book.received += 1;
        let Ok(message) = Message::parse(frame.bytes, &mut self.arena) else {
            book.caller.unreadable += 1;
            return;
        };
        let mut wire = Outlet::new(now, out);
        match &mut self.callers {
            Some(callers) if frame.listener < callers.listeners => callers.caller.on_message(
                &mut wire,
                book,
                frame.listener,
                frame.peer,
                &message,
            ),
            _ => {
                if let Some(index) = self.gateways.at(frame.listener) {
                    self.gateways
                        .on_message(&mut wire, book, index, frame.peer, &message);
                }
            }
        }
        book.sent += wire.sent;
    }

    fn on_network_error(&mut self, _: Now, _: &NetworkError, _: &mut Outbox<'_, Letter>) {
        // Which call it was cannot be told; its timers will.
        self.reporter.book.caller.network_errors += 1;
    }

    fn on_timer(&mut self, now: Now, token: u64, out: &mut Outbox<'_, Letter>) {
        if self.closed {
            return;
        }
        let book = &mut *self.reporter.book;
        let mut wire = Outlet::new(now, out);
        match (Token::unpack(token), &mut self.callers) {
            (Some(Token::Caller(key)), Some(callers)) => {
                callers.caller.on_timer(&mut wire, book, key);
            }
            (Some(Token::Gateway(key)), _) => self.gateways.on_timer(&mut wire, book, key),
            (Some(Token::Tick), _) => {
                self.tick(Mono(now.mono.0), out);
                return;
            }
            _ => {}
        }
        book.sent += wire.sent;
    }

    fn on_letter(&mut self, now: Now, letter: Letter, out: &mut Outbox<'_, Letter>) {
        let at = Mono(now.mono.0);
        match letter {
            Letter::Begin(begin) => {
                self.begun = true;
                self.gateways.begin(begin);
                if let Some(callers) = &mut self.callers {
                    callers.begin(begin);
                }
                self.tick(at, out);
            }
            Letter::HangUp => {
                if let Some(callers) = &mut self.callers {
                    callers.give_up_schedule();
                    let mut wire = Outlet::new(now, out);
                    let book = &mut *self.reporter.book;
                    callers.caller.hang_up_all(&mut wire, book);
                    book.sent += wire.sent;
                }
            }
            Letter::Close => {
                self.closed = true;
                if let Some(callers) = &mut self.callers {
                    callers.caller.close(&mut self.reporter.book);
                }
                let active = self.active();
                self.reporter.close(at, active, out);
            }
            Letter::Spare(book) => self.reporter.take_spare(book),
            Letter::Book(_) => {}
        }
    }

    fn wake_at(&self) -> Option<engine::Mono> {
        let callers = self.callers.as_ref()?;
        callers.next_start.map(engine_mono)
    }

    fn on_turn_end(&mut self, now: Now, out: &mut Outbox<'_, Letter>) {
        if let Some(callers) = &mut self.callers {
            let book = &mut *self.reporter.book;
            let mut wire = Outlet::new(now, out);
            callers.start_due(&mut wire, book);
            book.sent += wire.sent;
        }
    }
}

/// A shard's outbox, as callers and gateways see the world.
pub struct Outlet<'a, 'b> {
    now: Mono,
    out: &'a mut Outbox<'b, Letter>,
    sent: u64,
}

impl<'a, 'b> Outlet<'a, 'b> {
    fn new(now: Now, out: &'a mut Outbox<'b, Letter>) -> Self {
        Outlet {
            now: Mono(now.mono.0),
            out,
            sent: 0,
        }
    }
}

impl Wire for Outlet<'_, '_> {
    type Alarm = TimerHandle;

    fn now(&self) -> Mono {
        self.now
    }

    fn send(
        &mut self,
        listener: u16,
        peer: SocketAddr,
        mut write: impl FnMut(&mut Writer<'_>),
    ) -> bool {
        let egress = Egress {
            listener,
            local: None,
            peer,
            flow: 0,
        };
        let sent = self.out.transmit(&egress, |slot| {
            let mut writer = Writer::new(slot);
            write(&mut writer);
            // Too large for this slot: ask for the large one.
            writer.finish().unwrap_or(usize::MAX)
        });
        self.sent += u64::from(sent);
        sent
    }

    fn arm(&mut self, at: Mono, token: Token) -> TimerHandle {
        self.out.arm(engine_mono(at), token.pack())
    }

    fn disarm(&mut self, alarm: TimerHandle) {
        self.out.disarm(alarm);
    }
}

/// The same moment, as the engine names it.
const fn engine_mono(at: Mono) -> engine::Mono {
    engine::Mono(at.0)
}
