//! Gateways: take calls, behave as told, repeat final responses until they are acknowledged.
//!
//! One [`Gateways`] serves all gateways of a shard. INVITE, CANCEL and ACK of failures are found by
//! branch (`table`), everything inside a call by the [`Key`] in our To tag.
//!
//! ```text
//! INVITE ─▶ Proceeding ── 2xx ──▶ Answered ── ACK ──▶ Established ── BYE ──▶ completed
//!               │                    │ 64·T1               │ hold
//!               │ failure, CANCEL    ▼                     ▼
//!               └──▶ Rejected    unacknowledged          Ending ── 2xx ──▶ completed
//!                      └─ ACK ─▶ gone
//! ```

pub mod behaviour;
mod call;
mod requests;
mod table;

use std::net::{IpAddr, SocketAddr};

use proto::{
    message::{Message, Method},
    time::{Micros, Mono},
};

use crate::{
    back_off::{BackOff, Repeated, Timing, Verdict},
    identity::{self, Key, Leg, Run},
    message::replies::{Replies, Reply},
    parked::Parking,
    report::{Book, tally::GatewayTally},
    slab::Slab,
    wire::{Token, Wire},
};
use behaviour::{Behaviour, End};
use call::{Call, Phase};
use table::{Known, Table};

/// Room for what the responses of a call copy from its INVITE: Vias, Record-Routes, From, To.
const BLOCK_BYTES_MAX: u16 = 2_048;
/// Room for the BYE of a gateway that hangs up.
const BYE_BYTES_MAX: u16 = 1_536;
/// After this time a call that nobody ends, or an INVITE that nobody cancels, is forgotten.
const FORGET_AFTER: Micros = Micros::from_secs(600);

/// What all gateways of a shard share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Marks this run.
    pub run: Run,
    /// T1 and T2.
    pub timing: Timing,
    /// IP addresses that traffic may go to.
    pub given: Vec<IpAddr>,
    /// Calls at the same time.
    pub places: u32,
    /// Calls that this side ends, at the same time.
    pub hung_up_here: u32,
    /// Ended INVITE transactions that are remembered.
    pub ended: u32,
    /// For draws.
    pub seed: u64,
    /// When outages count from.
    pub begin: Mono,
}

struct Gateway {
    listener: u16,
    local: Vec<u8>,
    replies: Replies,
    behaviour: Behaviour,
}

/// The gateways of one shard; `A` names a timer.
pub struct Gateways<A> {
    settings: Settings,
    gateways: Vec<Gateway>,
    calls: Slab<Call<A>>,
    blocks: Parking,
    byes: Parking,
    table: Table,
    random: fastrand::Rng,
}

impl<A: Copy> Gateways<A> {
    /// Gateways at `places`: the listeners of the shard, their addresses, their ways.
    pub fn new(settings: Settings, places: Vec<(u16, SocketAddr, Behaviour)>) -> Self {
        let keep = settings.timing.t1.times(64);
        let gateways = places
            .into_iter()
            .map(|(listener, address, behaviour)| Gateway {
                listener,
                local: address.to_string().into_bytes(),
                replies: Replies::new(address),
                behaviour,
            })
            .collect();
        Gateways {
            gateways,
            calls: Slab::with_capacity(settings.places),
            blocks: Parking::new(settings.places, BLOCK_BYTES_MAX),
            byes: Parking::new(settings.hung_up_here, BYE_BYTES_MAX),
            table: Table::new(settings.places, settings.ended, keep),
            random: fastrand::Rng::with_seed(settings.seed),
            settings,
        }
    }

    /// Calls that are being set up or are up.
    pub fn active(&self) -> u64 {
        self.calls.len() as u64
    }

    /// Index of the gateway behind a listener.
    pub fn at(&self, listener: u16) -> Option<usize> {
        self.gateways.iter().position(|gateway| gateway.listener == listener)
    }

    /// Outages count from `begin`.
    pub fn begin(&mut self, begin: Mono) {
        self.settings.begin = begin;
    }

    /// Now and then: forgets ended transactions.
    pub fn tick(&mut self, now: Mono) {
        self.table.expire(now);
    }

    /// A datagram for gateway `index`.
    pub fn on_message<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        index: usize,
        peer: SocketAddr,
        message: &Message<'_>,
    ) {
        let Some(gateway) = self.gateways.get(index) else {
            return;
        };
        if gateway.behaviour.drop > 0.0 && self.random.f64() < gateway.behaviour.drop {
            tally(book, index).dropped += 1;
            return;
        }
        let since_begin = wire.now().since(self.settings.begin);
        if !gateway.behaviour.outages.is_empty() && gateway.behaviour.is_out(since_begin) {
            self.on_outage(wire.now(), book, index, message);
            return;
        }
        if !message.is_request() {
            self.on_response(wire, book, index, message);
            return;
        }
        match message.method() {
            Method::Invite => self.on_invite(wire, book, index, peer, message),
            Method::Ack => self.on_ack(wire, message),
            Method::Cancel => self.on_cancel(wire, book, index, peer, message),
            Method::Bye => self.on_bye(wire, book, index, peer, message),
            Method::Options => {
                tally(book, index).options += 1;
                self.reply_once(wire, book, index, peer, message, Reply::Ok);
            }
            Method::Register => {
                tally(book, index).registers += 1;
                self.reply_once(wire, book, index, peer, message, Reply::Ok);
            }
            _ => {
                tally(book, index).other_requests += 1;
                self.reply_once(wire, book, index, peer, message, Reply::Failure(501));
            }
        }
    }

    /// A timer of a call.
    pub fn on_timer<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key) {
        let (now, timing) = (wire.now(), self.settings.timing);
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        call.alarm = None;
        let index = call.gateway;
        match call.phase {
            Phase::Proceeding => self.advance(wire, book, key),
            Phase::Answered | Phase::Rejected => match call.back_off.fire(timing, now) {
                Verdict::Repeat => {
                    tally(book, index).finals_repeated += 1;
                    self.repeat_reply(wire, book, key);
                    self.arm_back_off(wire, key);
                }
                // WHY no BYE after an unacknowledged 2xx (§13.3.1.4): whoever has not
                // acknowledged for 32 s takes no BYE either; the count says that it happened.
                Verdict::GiveUp => {
                    tally(book, index).unacknowledged += 1;
                    self.remove(wire, key);
                }
            },
            Phase::Established => {
                if call.bye.is_some() {
                    call.phase = Phase::Ending;
                    call.back_off = BackOff::start(Repeated::Request, timing, now);
                    self.send_bye(wire, book, key);
                    self.arm_back_off(wire, key);
                } else {
                    self.remove(wire, key);
                }
            }
            Phase::Ending => match call.back_off.fire(timing, now) {
                Verdict::Repeat => {
                    self.send_bye(wire, book, key);
                    self.arm_back_off(wire, key);
                }
                Verdict::GiveUp => {
                    tally(book, index).bye_no_response += 1;
                    self.remove(wire, key);
                }
            },
        }
    }

    /// Takes the steps of a call that are due, and arms the timer for the next.
    fn advance<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key) {
        let now = wire.now();
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let (outcome, invited) = (call.outcome, call.invited);
        let ring_at = outcome.ring_after.map(|after| invited.after(after));
        let (end_at, last) = match outcome.end {
            End::Answer { after, .. } => (Some(invited.after(after)), Reply::Answer),
            End::Reject { code, after } => (Some(invited.after(after)), Reply::Failure(code)),
            End::RingOut | End::Silent => (None, Reply::Ringing),
        };
        if let Some(ring_at) = ring_at
            && !call.rang
        {
            if ring_at <= now {
                call.rang = true;
                let ringing = if outcome.early_media { Reply::Progress } else { Reply::Ringing };
                self.reply(wire, book, key, ringing);
            } else if end_at.is_none_or(|end_at| ring_at < end_at) {
                self.rearm(wire, key, ring_at);
                return;
            }
        }
        match end_at {
            Some(end_at) if end_at <= now => self.finish(wire, book, key, last),
            Some(end_at) => self.rearm(wire, key, end_at),
            None => self.rearm(wire, key, now.after(FORGET_AFTER)),
        }
    }

    /// Sends the final response and starts its repetition.
    fn finish<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key, reply: Reply) {
        let (now, timing) = (wire.now(), self.settings.timing);
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let tally = tally(book, call.gateway);
        call.phase = match reply {
            Reply::Failure(code) => {
                tally.rejected.count(code);
                Phase::Rejected
            }
            _ => {
                tally.answered += 1;
                Phase::Answered
            }
        };
        call.back_off = BackOff::start(Repeated::FinalResponse, timing, now);
        self.reply(wire, book, key, reply);
        self.arm_back_off(wire, key);
    }

    /// Sends a response and remembers it.
    fn reply<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key, reply: Reply) {
        if let Some(call) = self.calls.get_mut(key) {
            call.last_reply = Some(reply);
            self.repeat_reply(wire, book, key);
        }
    }

    fn repeat_reply<W: Wire<Alarm = A>>(&self, wire: &mut W, book: &mut Book, key: Key) {
        let Some(call) = self.calls.get(key) else {
            return;
        };
        let (Some(reply), Some(gateway)) = (call.last_reply, self.gateways.get(call.gateway)) else {
            return;
        };
        let block = self.blocks.bytes(call.block);
        let sent = wire.send(gateway.listener, call.reply_to, |out| {
            gateway.replies.write(reply, block, call.plain, out);
        });
        tally(book, call.gateway).unsent += u64::from(!sent);
    }

    fn send_bye<W: Wire<Alarm = A>>(&self, wire: &mut W, book: &mut Book, key: Key) {
        let Some(call) = self.calls.get(key) else {
            return;
        };
        let (Some((bye, hop)), Some(gateway)) = (call.bye, self.gateways.get(call.gateway)) else {
            return;
        };
        let bytes = self.byes.bytes(bye);
        let sent = wire.send(gateway.listener, hop, |out| out.put(bytes));
        tally(book, call.gateway).unsent += u64::from(!sent);
    }

    /// A response: to the BYE of a gateway that hangs up.
    fn on_response<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, index: usize, response: &Message<'_>) {
        let found = response.top_via().ok().and_then(|via| identity::key_of_branch(self.settings.run, via.branch));
        let Some((key, Leg::Bye)) = found else {
            tally(book, index).strays += 1;
            return;
        };
        let timing = self.settings.timing;
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        match (call.phase, response.status()) {
            (Phase::Ending, 100..200) => call.back_off.slow_down(timing),
            (Phase::Ending, status) => {
                match status {
                    200..300 => tally(book, index).completed += 1,
                    _ => tally(book, index).bye_rejected += 1,
                }
                self.remove(wire, key);
            }
            _ => {}
        }
    }

    fn arm_back_off<W: Wire<Alarm = A>>(&mut self, wire: &mut W, key: Key) {
        if let Some(call) = self.calls.get(key) {
            let at = call.back_off.next(wire.now());
            self.rearm(wire, key, at);
        }
    }

    /// Replaces the timer of a call.
    fn rearm<W: Wire<Alarm = A>>(&mut self, wire: &mut W, key: Key, at: Mono) {
        if let Some(call) = self.calls.get_mut(key) {
            if let Some(alarm) = call.alarm.take() {
                wire.disarm(alarm);
            }
            call.alarm = Some(wire.arm(at, Token::Gateway(key)));
        }
    }

    /// Forgets a call; its branch is remembered for a while.
    fn remove<W: Wire<Alarm = A>>(&mut self, wire: &mut W, key: Key) {
        if let Some(call) = self.calls.remove(key) {
            if let Some(alarm) = call.alarm {
                wire.disarm(alarm);
            }
            self.blocks.leave(call.block);
            if let Some((bye, _)) = call.bye {
                self.byes.leave(bye);
            }
            self.table.end(call.branch, Known::Ended, wire.now());
        }
    }
}

/// The counts of a gateway.
///
/// INVARIANT: a book has one tally for each gateway of its shard.
fn tally(book: &mut Book, index: usize) -> &mut GatewayTally {
    &mut book.gateways[index]
}
