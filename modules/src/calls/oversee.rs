//! Customers' calls do not outlive what keeps them alive: their longest life, their session (RFC 4028), the ACK that
//! has to come, the answers of both sides to what we ask. What has outlived it is ended by BYE to both sides, and so is
//! what an operator ends; it holds its places until both BYEs have come to an end.
//!
//! A session that was not refreshed is ended a third of its time, at most 32 s, after its end: the sides themselves are
//! to notice first (RFC 4028 §10 has them send BYE that long before it). Questions are OPTIONS within the dialog, off by
//! default; only a 481, or three in a row without any answer, means that a side is gone.

use super::end::CallEnd;
use super::own_request::Ticket;
use super::watch::{Watch, in_seconds, second};
use super::{Call, CallId, Calls, NONE};
use crate::tables::Tables;
use proto::message::{HeaderName, Message, Method};
use proto::policy::Outcome;
use proto::time::{Micros, Mono};

/// How long calls may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// From the 2xx on.
    pub call_max: Micros,
    /// From the 2xx to its ACK.
    pub ack: Micros,
    /// Between two questions to both sides; `None`: they are not asked.
    pub ask: Option<Micros>,
}

impl Lifetimes {
    /// As the tables have it. Calls of customers that a reload took away live as long as any.
    pub fn of(tables: &Tables) -> Self {
        let call_max = tables.call_max;
        let none = Lifetimes { call_max, ack: call_max, ask: None };
        tables.class4.as_ref().map_or(none, |trunks| trunks.lifetimes)
    }
}

/// What is watched of a call that moves to another process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resumed {
    /// It is a customer's.
    pub(super) is_watched: bool,
    /// Last CSeq seen of the responder.
    pub(super) responder_cseq: u32,
    /// Seconds until its session is over for us; 0: it has no end.
    pub(super) session_left: u32,
    /// The ACK of its 2xx has passed.
    pub(super) acknowledged: bool,
    /// It is being ended.
    pub(super) ending: Option<CallEnd>,
    /// Both sides may have sent more since than is known of their CSeqs.
    pub(super) cseq_is_old: bool,
}

/// How long ending a call takes at most: Timer F, and some seconds.
pub(super) const ENDING_MAX: Micros = Micros::from_secs(40);

/// How often a BYE is sent that is refused, and seconds until the second time; then twice as long each time.
const BYES_MAX: u8 = 4;
const AGAIN_AFTER: u32 = 2;

/// Longest time, in seconds, until a balance that running calls use up is looked at again: another call may use it up, too.
const CREDIT_LOOK_MAX: u64 = 4;

/// Questions in a row that a side may leave unanswered.
const MISSED_MAX: u8 = 3;

/// Longest time after the end of a session, in seconds.
const SESSION_GRACE_MAX: u32 = 32;

impl Calls {
    /// A customer's call is answered: it is watched from now on. False: it is gone.
    pub fn watch(&mut self, id: CallId, response: &Message<'_>, lifetimes: &Lifetimes, now: Mono) -> bool {
        let Some(place) = self.place(id) else { return false };
        let Some(call) = self.slab.get_mut(place) else { return false };
        let mut watch = Watch::new(id);
        watch.session_over = session_over(response, now);
        watch.ask = lifetimes.ask.map_or(0, |interval| in_seconds(now, interval));
        watch.credit = if call.charge.tariff().is_charged() { second(now) + 1 } else { 0 };
        let due = next_look(&watch, call.opened, lifetimes);
        call.watch = self.watches.begin(watch, due, now).unwrap_or(NONE);
        true
    }

    /// A request of one side is passed on.
    pub fn saw(&mut self, id: CallId, from_initiator: bool, request: &Message<'_>) {
        let Some(call) = self.place(id).and_then(|place| self.slab.get_mut(place)) else { return };
        let [initiator, responder] = &mut call.cseq;
        let last = if from_initiator { initiator } else { responder };
        *last = request.cseq().map_or(*last, |cseq| cseq.number.max(*last));
        let Some(watch) = self.watches.get_mut(call.watch) else { return };
        watch.acknowledged |= request.method() == Method::Ack && from_initiator;
        watch.cseq_is_old &= if from_initiator { !Watch::INITIATOR } else { !(Watch::INITIATOR << 1) };
    }

    /// A 2xx to INVITE or UPDATE within the call has passed: its session begins anew.
    pub fn session_refreshed(&mut self, id: CallId, response: &Message<'_>, lifetimes: &Lifetimes, now: Mono) {
        let Some(call) = self.get(id).copied() else { return };
        let Some(watch) = self.watches.get_mut(call.watch) else { return };
        watch.session_over = session_over(response, now);
        let due = next_look(watch, call.opened, lifetimes);
        self.watches.put_off(call.watch, due);
    }

    /// When [`Calls::oversee`] or [`Calls::next_request`] have something to do next.
    pub fn next_look(&self) -> Option<Mono> {
        if self.senders.is_empty() { self.watches.deadline() } else { Some(Mono(0)) }
    }

    /// Looks at the calls that are due, at most `bound` of them. True: there may be more.
    pub fn oversee(&mut self, tables: &Tables, bound: usize, now: Mono) -> bool {
        let lifetimes = Lifetimes::of(tables);
        for _ in 0..bound {
            let Some(index) = self.watches.due(now) else { return false };
            self.look_at_credit(index, tables, now);
            self.look_at(index, &lifetimes, now);
        }
        true
    }

    /// Ends a call: a BYE to each side. False: there is no such call, or nothing can be sent within it.
    pub fn end(&mut self, id: CallId, why: CallEnd) -> bool {
        let watch = self.get(id).map_or(NONE, |call| call.watch);
        let known = self.get(id).is_some_and(|call| call.text.is_some());
        let Some(watch) = self.watches.get_mut(watch).filter(|watch| known && watch.ending.is_none()) else {
            return false;
        };
        if self.senders.len() == self.senders.capacity() {
            return false;
        }
        watch.ending = Some(why);
        watch.to_send = Watch::BYE | Watch::BYE << 1;
        watch.unanswered = watch.to_send;
        self.senders.push_back(id);
        true
    }

    /// A request of ours within a call came to its end. The call, if it is over by that, and why.
    pub fn request_ended(&mut self, ticket: Ticket, outcome: Outcome, now: Mono) -> Option<(Call, CallEnd)> {
        let id = self.of_ticket(ticket)?;
        if matches!(outcome, Outcome::Response(200..300)) {
            self.lives(id, now);
        }
        let index = self.get(id)?.watch;
        let watch = self.watches.get_mut(index)?;
        if ticket.is_bye() {
            if matches!(outcome, Outcome::Response(status) if is_asked_again(status)) && self.bye_again(ticket, id, now)
            {
                return None;
            }
            let watch = self.watches.get_mut(index)?;
            watch.unanswered &= if ticket.to_initiator() { !Watch::BYE } else { !(Watch::BYE << 1) };
            let why = watch.ending.filter(|_| watch.unanswered == 0)?;
            return self.close(id).map(|call| (call, why));
        }
        let [initiator, responder] = &mut watch.missed;
        let missed = if ticket.to_initiator() { initiator } else { responder };
        *missed = match outcome {
            Outcome::Response(481) => MISSED_MAX,
            Outcome::Response(_) => 0,
            _ => missed.saturating_add(1),
        };
        if *missed >= MISSED_MAX {
            self.end(id, CallEnd::PeerGone);
        }
        None
    }

    /// Our BYE was refused: it is sent again in a while. False: it was sent often enough.
    fn bye_again(&mut self, ticket: Ticket, id: CallId, now: Mono) -> bool {
        let Some(index) = self.get(id).map(|call| call.watch) else { return false };
        let Some(watch) = self.watches.get_mut(index) else { return false };
        let [initiator, responder] = &mut watch.refused;
        let refused = if ticket.to_initiator() { initiator } else { responder };
        *refused += 1;
        if *refused >= BYES_MAX {
            return false;
        }
        let again = second(now) + (AGAIN_AFTER << (*refused - 1));
        watch.again = again;
        watch.byes_again |= if ticket.to_initiator() { Watch::BYE } else { Watch::BYE << 1 };
        self.watches.put_off(index, again);
        true
    }

    /// BYEs that were refused are sent again.
    fn send_again(&mut self, index: u32, now: Mono) {
        let room = self.senders.len() < self.senders.capacity();
        let Some(watch) = self.watches.get_mut(index).filter(|watch| room && watch.again != 0) else { return };
        if second(now) < watch.again {
            return;
        }
        watch.to_send |= std::mem::replace(&mut watch.byes_again, 0) & watch.unanswered;
        watch.again = 0;
        self.senders.push_back(watch.call);
    }

    /// A call that is paid from a balance: it is ended when that is used up, if the file says so.
    fn look_at_credit(&mut self, index: u32, tables: &Tables, now: Mono) {
        let Some(watch) = self.watches.get(index).filter(|watch| watch.credit != 0 && second(now) >= watch.credit)
        else {
            return;
        };
        let (id, ending) = (watch.call, watch.ending.is_some());
        let Some(charge) = self.get(id).map(|call| call.charge) else { return };
        let balance = tables.class4.as_ref().and_then(|trunks| trunks.balance_lasts(charge, now)).filter(|_| !ending);
        let again = |lasts: Option<Micros>| {
            let half = lasts.map_or(CREDIT_LOOK_MAX, |lasts| lasts.0 / 2_000_000);
            second(now) + u32::try_from(half.clamp(1, CREDIT_LOOK_MAX)).unwrap_or(1)
        };
        let used_up = balance.is_some_and(|balance| balance.ends_calls && balance.lasts == Some(Micros(0)));
        if used_up {
            self.end(id, CallEnd::NoCredit);
        }
        if let Some(watch) = self.watches.get_mut(index) {
            watch.credit = balance.map_or(0, |balance| again(balance.lasts));
        }
    }

    /// What is watched of a call, as it travels to another process.
    pub(super) fn resumed(&self, call: &Call, now: Mono) -> Resumed {
        let [_, responder_cseq] = call.cseq;
        let none = Resumed {
            is_watched: false,
            responder_cseq,
            session_left: 0,
            acknowledged: false,
            ending: None,
            cseq_is_old: false,
        };
        let Some(watch) = self.watches.get(call.watch) else { return none };
        let left = watch.session_over.saturating_sub(second(now)).max(1);
        Resumed {
            is_watched: true,
            session_left: if watch.session_over == 0 { 0 } else { left },
            acknowledged: watch.acknowledged,
            ending: watch.ending,
            ..none
        }
    }

    /// A call came from another process: it is watched as before. What was being ended is ended again.
    pub(crate) fn resume(&mut self, id: CallId, resumed: &Resumed, lifetimes: &Lifetimes, now: Mono) {
        let Some(call) = self.place(id).and_then(|place| self.slab.get_mut(place)) else { return };
        let [_, responder] = &mut call.cseq;
        *responder = resumed.responder_cseq;
        if !resumed.is_watched {
            return;
        }
        let mut watch = Watch::new(id);
        if resumed.session_left > 0 {
            watch.session_over = second(now).saturating_add(resumed.session_left);
        }
        watch.acknowledged = resumed.acknowledged;
        watch.cseq_is_old = if resumed.cseq_is_old { Watch::INITIATOR | Watch::INITIATOR << 1 } else { 0 };
        watch.credit = if call.charge.tariff().is_charged() { second(now) + 1 } else { 0 };
        watch.ask = lifetimes.ask.map_or(0, |interval| in_seconds(now, interval));
        let due = next_look(&watch, call.opened, lifetimes);
        call.watch = self.watches.begin(watch, due, now).unwrap_or(NONE);
        if let Some(why) = resumed.ending {
            self.end(id, why);
        }
    }

    fn look_at(&mut self, index: u32, lifetimes: &Lifetimes, now: Mono) {
        self.send_again(index, now);
        let Some(&watch) = self.watches.get(index) else { return };
        let Some(&call) = self.get(watch.call) else { return };
        if watch.ending.is_none()
            && let Some(why) = outlived(&watch, call.opened, lifetimes, now)
        {
            // Without room for its BYEs it is due again in a second; one of which nothing is kept is left to the end
            // of its entry.
            if !self.end(watch.call, why) {
                if call.text.is_none() {
                    self.watches.put_off(index, u32::MAX);
                }
                return;
            }
        } else if watch.ask != 0 && second(now) >= watch.ask {
            self.ask(index, lifetimes, now);
        }
        if let Some(watch) = self.watches.get(index) {
            let due = next_look(watch, call.opened, lifetimes).max(second(now) + 1);
            self.watches.put_off(index, due);
        }
    }

    fn ask(&mut self, index: u32, lifetimes: &Lifetimes, now: Mono) {
        let Some(watch) = self.watches.get_mut(index).filter(|watch| watch.ending.is_none()) else { return };
        watch.ask = lifetimes.ask.map_or(0, |interval| in_seconds(now, interval));
        if lifetimes.ask.is_some() && self.senders.len() < self.senders.capacity() {
            watch.to_send |= Watch::OPTIONS | Watch::OPTIONS << 1;
            self.senders.push_back(watch.call);
        }
    }
}

/// Whether a side that answers our BYE like this is sent another one: it has not ended the call, and may yet. It has
/// where it knows no such call (481), and says nothing where it is gone (408 is our own).
const fn is_asked_again(status: u16) -> bool {
    !matches!(status, ..300 | 408 | 481)
}

/// Why a call is over by now.
fn outlived(watch: &Watch, opened: Mono, lifetimes: &Lifetimes, now: Mono) -> Option<CallEnd> {
    let second = second(now);
    if !watch.acknowledged && second >= in_seconds(opened, lifetimes.ack) {
        Some(CallEnd::NoAck)
    } else if watch.session_over != 0 && second >= watch.session_over {
        Some(CallEnd::SessionExpired)
    } else if second >= in_seconds(opened, lifetimes.call_max) {
        Some(CallEnd::TooLong)
    } else {
        None
    }
}

/// The second in which a call has to be looked at next.
fn next_look(watch: &Watch, opened: Mono, lifetimes: &Lifetimes) -> u32 {
    let some = |second: u32| if second == 0 { u32::MAX } else { second };
    if watch.ending.is_some() {
        return some(watch.again);
    }
    let ack = if watch.acknowledged { u32::MAX } else { in_seconds(opened, lifetimes.ack) };
    let regular = some(watch.session_over).min(some(watch.ask)).min(some(watch.credit));
    in_seconds(opened, lifetimes.call_max).min(regular).min(ack)
}

/// The second in which the session of this 2xx is over for us; 0: never.
fn session_over(response: &Message<'_>, now: Mono) -> u32 {
    let value = response.value(HeaderName::SessionExpires).unwrap_or_default();
    let digits = value.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
    match std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u32>().ok()) {
        Some(span) if span > 0 => {
            second(now).saturating_add(span).saturating_add((span / 3).clamp(1, SESSION_GRACE_MAX))
        }
        _ => 0,
    }
}
