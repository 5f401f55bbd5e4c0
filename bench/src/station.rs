//! One shard of the generator: callers, gateways, or both, behind the engine's contract.
//!
//! A listener belongs to the callers or to a gateway; its datagrams go there. Calls are started in
//! [`App::on_turn_end`], to the microsecond: the engine is told when to turn next.

use engine::{App, Frame, NetworkError, Now, Outbox, TimerHandle};
use proto::{
    message::{Arena, Message},
    time::Mono,
};

use crate::{
    caller::Caller,
    gateway::Gateways,
    outlet::{Outlet, engine_mono},
    report::Book,
    reporter::{Letter, Reporter, TICK},
    schedule::Due,
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
    due: Due,
}

impl Callers {
    fn done(&self) -> bool {
        self.due.next().is_none() && self.caller.active() == 0
    }

    /// Starts what is due, within the bound of a turn.
    fn start_due<W: Wire<Alarm = TimerHandle>>(&mut self, wire: &mut W, book: &mut Book) {
        for _ in 0..STARTS_PER_TURN_MAX {
            match self.due.take(wire.now()) {
                Some(intended) => self.caller.start(wire, book, intended),
                None => return,
            }
        }
    }
}

impl Station {
    /// A shard whose first `caller_listeners` listeners are the callers', if there are any.
    pub fn new(
        callers: Option<(Caller<TimerHandle>, u16, Due)>,
        gateways: Gateways<TimerHandle>,
        gateway_count: usize,
    ) -> Self {
        // WHY: the kernel may be late by the slack, 50 µs by default; that would be our lag.
        // Where it is not allowed, the lag is measured and reported like any other.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        Station {
            callers: callers.map(|(caller, listeners, due)| Callers { caller, listeners, due }),
            gateways,
            arena: Arena::new(),
            reporter: Reporter::new(gateway_count),
            begun: false,
            closed: false,
        }
    }

    fn active(&self) -> u64 {
        self.callers.as_ref().map_or_else(|| self.gateways.active(), |c| c.caller.active())
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
            Some(callers) if frame.listener < callers.listeners => {
                callers.caller.on_message(&mut wire, book, frame.listener, frame.peer, &message)
            }
            _ => {
                if let Some(index) = self.gateways.at(frame.listener) {
                    self.gateways.on_message(&mut wire, book, index, frame.peer, &message);
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
                    callers.due.begin(begin);
                }
                self.tick(at, out);
            }
            Letter::HangUp => {
                if let Some(callers) = &mut self.callers {
                    callers.due.give_up();
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
        callers.due.next().map(engine_mono)
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
