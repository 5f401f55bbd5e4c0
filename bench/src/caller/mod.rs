//! Callers: start calls when their time comes, follow each to its end, repeat what is not answered.
//!
//! One [`Caller`] serves all caller addresses of a shard. A call is found by the [`Key`] in the
//! branch of a response; what must be said of a call that has ended (ACK again, BYE to a late
//! answer) is written from the response alone, so ended calls keep no memory.
//!
//! ```text
//!            1xx               2xx → ACK             hold → BYE           2xx
//! Calling ────────▶ Proceeding ─────────▶ Established ────────▶ Ending ────────▶ completed
//!    │ Timer B          │ cancel, patience                        │ Timer F
//!    ▼                  ▼                                         ▼
//! no_response       Cancelling ──▶ 487                          lost
//! ```

mod call;
mod registration;
mod responses;

use std::net::{IpAddr, SocketAddr};

use proto::{
    message::{Message, Method},
    time::{Micros, Mono},
};

use crate::{
    back_off::{BackOff, Repeated, Timing, Verdict},
    digest::{Account, Challenge},
    identity::{self, Key, Run},
    message::{
        replies::{self, Replies, Reply},
        requests::{Registered, Request, Requests, callee},
    },
    numbers::Numbers,
    parked::Parking,
    placing::Placing,
    report::{
        Book,
        latency::Timed,
        tally::{Failure, Loss},
    },
    slab::Slab,
    wire::{Token, Wire},
};
use call::{Call, Phase};

/// Room for the BYE of a call, or for a REGISTER with credentials.
const PARKED_BYTES_MAX: u16 = 1_536;
/// Numbers that are looked at for one call. WHY: of two shards half of all suit, so that none of so many does is luck
/// that nobody has.
const NUMBERS_TRIED_MAX: u32 = 64;

/// What the callers of a shard do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Marks this run.
    pub run: Run,
    /// T1 and T2.
    pub timing: Timing,
    /// Where the first request of each call goes.
    pub target: SocketAddr,
    /// What a start sends.
    pub kind: Kind,
    /// Length of a call; `None`: the gateway hangs up.
    pub hold: Option<Micros>,
    /// How long a call may ring before the caller cancels it.
    pub patience: Micros,
    /// Share of calls that are cancelled while they ring, and how long after the first response.
    pub cancel: (f64, Micros),
    /// Share of INVITEs that are 2.5 KB large.
    pub large: f64,
    /// Final failures that are part of the workload.
    pub expected: Vec<u16>,
    /// IP addresses that traffic may go to.
    pub given: Vec<IpAddr>,
    /// Whom they call, or what they register.
    pub numbers: Numbers,
    /// Which of these numbers suits a call; `None`: the next one.
    pub placing: Option<Placing>,
    /// Whom and where a REGISTER registers.
    pub registered: Registered,
    /// Calls at the same time, ended ones within 64·T1 of failing included.
    pub places: u32,
    /// Answered calls at the same time.
    pub established: u32,
    /// For draws.
    pub seed: u64,
    /// Who registers, where challenges are answered.
    pub account: Option<Account>,
}

/// What a start sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Call,
    /// OPTIONS to the target itself.
    Options,
    /// REGISTER of a new contact.
    Register,
}

/// An address that callers call from.
struct Line {
    listener: u16,
    sent_by: Vec<u8>,
    requests: Requests,
    replies: Replies,
    /// The challenge that is answered without being asked, and how often its nonce was used.
    challenge: Option<(Challenge, u32)>,
}

/// The callers of one shard; `A` names a timer.
pub struct Caller<A> {
    settings: Settings,
    lines: Vec<Line>,
    calls: Slab<Call<A>>,
    parking: Parking,
    random: fastrand::Rng,
    started: u64,
    /// How many numbers were taken.
    numbered: u64,
    given_up: usize,
    hanging_up: bool,
}

impl<A: Copy> Caller<A> {
    /// Calls from `lines`: the listeners of the shard and their addresses.
    pub fn new(settings: Settings, lines: &[(u16, SocketAddr)]) -> Self {
        let lines = lines
            .iter()
            .map(|(listener, address)| Line {
                listener: *listener,
                sent_by: address.to_string().into_bytes(),
                requests: Requests::new(settings.run, *address, settings.target, &settings.registered),
                replies: Replies::new(*address),
                challenge: None,
            })
            .collect();
        Caller {
            lines,
            calls: Slab::with_capacity(settings.places),
            parking: Parking::new(settings.established, PARKED_BYTES_MAX),
            random: fastrand::Rng::with_seed(settings.seed),
            started: 0,
            numbered: 0,
            given_up: 0,
            hanging_up: false,
            settings,
        }
    }

    /// Calls that have not been reported yet.
    pub fn active(&self) -> u64 {
        (self.calls.len() - self.given_up) as u64
    }

    /// Starts the call that was due at `intended`.
    pub fn start<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, intended: Mono) {
        book.caller.started += 1;
        let index = self.started;
        self.started += 1;
        let now = wire.now();
        let (request, repeated) = match self.settings.kind {
            Kind::Call if self.random.f64() < self.settings.large => (Request::LargeInvite, Repeated::Invite),
            Kind::Call => (Request::Invite, Repeated::Invite),
            Kind::Options => (Request::Options, Repeated::Request),
            Kind::Register => (Request::Register, Repeated::Request),
        };
        let call = Call {
            phase: Phase::Calling,
            request,
            line: usize::try_from(index % self.lines.len().max(1) as u64).unwrap_or(0),
            will_cancel: self.random.f64() < self.settings.cancel.0,
            cancel_answered: false,
            rang: false,
            challenged: false,
            intended,
            number: 0,
            back_off: BackOff::start(repeated, self.settings.timing, now),
            alarm: None,
            answer_tag: 0,
            parked: None,
            bye_hop: self.settings.target,
            bye_sent: now,
        };
        match self.calls.insert(call) {
            Ok(key) => {
                book.latencies.record(Timed::Lag, now.since(intended));
                let number = self.next_number(key, intended);
                if let Some(call) = self.calls.get_mut(key) {
                    call.number = number;
                }
                self.authorize_first(key);
                self.send(wire, book, key, request);
                self.arm_back_off(wire, key);
            }
            Err(_) => book.caller.fail(Failure::NoPlace),
        }
    }

    /// The next number, or the next one that suits the call.
    fn next_number(&mut self, key: Key, intended: Mono) -> u64 {
        let settings = &self.settings;
        let mut next = || {
            self.numbered += 1;
            settings.numbers.of(self.numbered - 1)
        };
        let Some(placing) = &settings.placing else { return next() };
        let call_id = identity::call_id(settings.run, key, intended);
        let mut number = next();
        for _ in 0..NUMBERS_TRIED_MAX {
            if placing.suits(&call_id, &callee(number)) {
                break;
            }
            number = next();
        }
        number
    }

    /// A datagram that arrived at one of our addresses.
    pub fn on_message<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        listener: u16,
        peer: SocketAddr,
        message: &Message<'_>,
    ) {
        let Some(line) = self.lines.iter().position(|line| line.listener == listener) else {
            return;
        };
        if message.is_request() {
            self.on_request(wire, book, line, peer, message);
        } else {
            self.on_response(wire, book, line, message);
        }
    }

    /// A timer of a call.
    pub fn on_timer<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key) {
        let (now, timing) = (wire.now(), self.settings.timing);
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        call.alarm = None;
        match call.phase {
            Phase::Calling => match call.back_off.fire(timing, now) {
                Verdict::Repeat => {
                    let request = call.request;
                    match request {
                        Request::Invite | Request::LargeInvite => book.caller.invites_repeated += 1,
                        _ => book.caller.requests_repeated += 1,
                    }
                    self.send(wire, book, key, request);
                    self.arm_back_off(wire, key);
                }
                Verdict::GiveUp => self.give_up(wire, book, key, Failure::NoResponse),
            },
            Phase::Proceeding => self.cancel(wire, book, key),
            Phase::Cancelling => match call.back_off.fire(timing, now) {
                Verdict::Repeat => {
                    if !call.cancel_answered {
                        book.caller.requests_repeated += 1;
                        self.send(wire, book, key, Request::Cancel);
                    }
                    self.arm_back_off(wire, key);
                }
                Verdict::GiveUp => self.give_up(wire, book, key, Failure::NoFinalResponse),
            },
            Phase::Established => self.hang_up(wire, book, key),
            Phase::Ending => match call.back_off.fire(timing, now) {
                Verdict::Repeat => {
                    book.caller.requests_repeated += 1;
                    self.send_bye(wire, book, key);
                    self.arm_back_off(wire, key);
                }
                Verdict::GiveUp => {
                    book.caller.lose(Loss::ByeNoResponse);
                    self.remove(wire, key);
                }
            },
            Phase::GivenUp => self.remove(wire, key),
        }
    }

    /// Ends all calls as fast as SIP allows: BYE to what is answered, CANCEL to what rings.
    pub fn hang_up_all<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book) {
        self.hanging_up = true;
        let keys: Vec<(Key, Phase)> = self.calls.iter().map(|(k, c)| (k, c.phase)).collect();
        for (key, phase) in keys {
            match phase {
                Phase::Established => self.hang_up(wire, book, key),
                Phase::Proceeding => self.cancel(wire, book, key),
                Phase::Calling | Phase::Cancelling | Phase::Ending | Phase::GivenUp => {}
            }
        }
    }

    /// Reports what is still open as unfinished.
    pub fn close(&mut self, book: &mut Book) {
        for (_, call) in self.calls.iter() {
            match call.phase {
                Phase::Calling | Phase::Proceeding | Phase::Cancelling => {
                    book.caller.fail(Failure::Unfinished);
                }
                Phase::Established | Phase::Ending => book.caller.lose(Loss::Unfinished),
                Phase::GivenUp => {}
            }
        }
    }

    /// A request inside a call: the gateway hangs up, or somebody asks how we are.
    fn on_request<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        line: usize,
        peer: SocketAddr,
        request: &Message<'_>,
    ) {
        let key = identity::key_of_tag(self.settings.run, request.to_tag());
        let reply = match request.method() {
            Method::Ack => return,
            Method::Options => Reply::Ok,
            Method::Bye if key.is_some_and(|key| self.calls.knew(key)) => Reply::Ok,
            Method::Bye | Method::Cancel => Reply::Failure(481),
            _ => Reply::Failure(501),
        };
        let to = replies::reply_to(request, peer);
        let Some(line) = self.lines.get(line) else {
            return;
        };
        let sent = wire.send(line.listener, to, |out| {
            line.replies.write_once(reply, request, peer, b"tb", out);
        });
        book.caller.unsent += u64::from(!sent);
        if let (Method::Bye, Some(key)) = (request.method(), key)
            && self.calls.get(key).is_some_and(|call| matches!(call.phase, Phase::Established | Phase::Ending))
        {
            book.caller.completed += 1;
            book.caller.hung_up_by_peer += 1;
            self.remove(wire, key);
        }
    }

    /// Sends what started the call, or its CANCEL.
    fn send<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key, request: Request) {
        let Some(call) = self.calls.get(key) else {
            return;
        };
        let Some(line) = self.lines.get(call.line) else {
            return;
        };
        let particulars = call.particulars(key);
        let parked = call.parked.filter(|_| request == Request::Register).map(|parked| self.parking.bytes(parked));
        let sent = wire.send(line.listener, self.settings.target, |out| match parked {
            Some(bytes) => out.put(bytes),
            None => line.requests.write(request, &particulars, b"", out),
        });
        book.caller.unsent += u64::from(!sent);
    }

    fn arm_back_off<W: Wire<Alarm = A>>(&mut self, wire: &mut W, key: Key) {
        if let Some(call) = self.calls.get_mut(key) {
            let at = call.back_off.next(wire.now());
            call.alarm = Some(wire.arm(at, Token::Caller(key)));
        }
    }

    /// Replaces the timer of a call.
    fn rearm<W: Wire<Alarm = A>>(&mut self, wire: &mut W, key: Key, at: Option<Mono>) {
        if let Some(call) = self.calls.get_mut(key) {
            if let Some(alarm) = call.alarm.take() {
                wire.disarm(alarm);
            }
            call.alarm = at.map(|at| wire.arm(at, Token::Caller(key)));
        }
    }

    /// Sends CANCEL; only after a provisional response (RFC 3261 §9.1).
    fn cancel<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key) {
        let (now, timing) = (wire.now(), self.settings.timing);
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        call.phase = Phase::Cancelling;
        call.back_off = BackOff::start(Repeated::Request, timing, now);
        book.caller.cancelled += 1;
        self.send(wire, book, key, Request::Cancel);
        let next = self.calls.get(key).map(|call| call.back_off.next(now));
        self.rearm(wire, key, next);
    }

    /// Sends the BYE.
    fn hang_up<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key) {
        let (now, timing) = (wire.now(), self.settings.timing);
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        call.phase = Phase::Ending;
        call.back_off = BackOff::start(Repeated::Request, timing, now);
        call.bye_sent = now;
        let next = call.back_off.next(now);
        self.send_bye(wire, book, key);
        self.rearm(wire, key, Some(next));
    }

    fn send_bye<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key) {
        let Some(call) = self.calls.get(key) else {
            return;
        };
        let (Some(line), Some(bye)) = (self.lines.get(call.line), call.parked) else {
            return;
        };
        let bytes = self.parking.bytes(bye);
        let sent = wire.send(line.listener, call.bye_hop, |out| out.put(bytes));
        book.caller.unsent += u64::from(!sent);
    }

    /// Reports an attempt as failed and keeps its place for a late answer.
    fn give_up<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key, why: Failure) {
        book.caller.fail(why);
        if let Some(call) = self.calls.get_mut(key) {
            call.phase = Phase::GivenUp;
            self.given_up += 1;
        }
        let until = wire.now().after(self.settings.timing.t1.times(64));
        self.rearm(wire, key, Some(until));
    }

    /// Forgets a call.
    fn remove<W: Wire<Alarm = A>>(&mut self, wire: &mut W, key: Key) {
        if let Some(call) = self.calls.remove(key) {
            if let Some(alarm) = call.alarm {
                wire.disarm(alarm);
            }
            if let Some(bye) = call.parked {
                self.parking.leave(bye);
            }
            self.given_up -= usize::from(call.phase == Phase::GivenUp);
        }
    }
}
