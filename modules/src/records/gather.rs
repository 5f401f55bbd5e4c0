//! The shard's side: what happens to a customer's call, as the policy sees it at its six points.
//!
//! INVARIANT: each call that was set up is told to be finished once, and each answered one to have ended once; the
//! ledger forgets it then.

use super::event::Happened;
use super::field::{Field, Fields};
use super::outgoing::{Batch, Outgoing};
use super::{choice, sdp, terms};
use crate::calls::end::CallEnd;
use crate::calls::{Call, CallId, Calls};
use crate::class4::account::Tariff;
use crate::class4::dialled::Digits;
use crate::class4::hunt::{HuntIndex, Turn};
use crate::class4::identity::is_withheld;
use crate::class4::{Customer, Decision, Passed, Trunks, Understood};
use crate::note::{Kind, Note};
use crate::tables::Tables;
use deck::Code;
use deck::image::{Found, State};
use proto::message::{HeaderName, Message};
use proto::policy::{Inbound, Outcome, ResponseContext, Target};
use proto::time::{Micros, Now};
use std::io::Write;
use std::net::SocketAddr;

/// See the module. One value a shard.
#[derive(Debug)]
pub struct Records {
    outgoing: Outgoing,
    /// By place of the hunt.
    drafts: Vec<Draft>,
    /// What the last decision found, until its hunt has a place.
    decided: Draft,
    /// Of the next call: shard and count.
    next: u64,
    /// Of the second answer that was told of last; 0: none.
    second: u64,
}

/// What is kept of a call that is being set up.
#[derive(Clone, Copy, Debug, Default)]
struct Draft {
    call: u64,
    /// When it came, in seconds since 1970.
    at: i64,
    /// The caller's number with its country code, and whether it is to be withheld.
    caller: Option<Code>,
    withheld: bool,
    /// Deck and what it said, of each vendor in the order of their turns.
    offers: [(u16, Found); limits::HUNT_VENDORS_MAX],
    legs: [Leg; limits::BRANCHES_MAX],
    len: u8,
    answered: bool,
}

/// A call that a 2xx has opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    /// Which.
    pub(crate) call: CallId,
    /// What its customer was charged so far, and what it costs, where that is looked at.
    pub(crate) charged: Option<(i64, Tariff)>,
}

/// An attempt under way.
#[derive(Clone, Copy, Debug, Default)]
struct Leg {
    gateway: u32,
    rang: bool,
    media: bool,
}

const _: () = assert!(size_of::<Draft>() <= limits::records::DRAFT_BYTES as usize, "as checked against memory");

/// Who hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HungUp {
    /// The side that sent the INVITE.
    Caller,
    /// The side that answered.
    Callee,
    /// We did.
    Us,
}

impl HungUp {
    const fn label(self) -> &'static str {
        match self {
            HungUp::Caller => "caller",
            HungUp::Callee => "callee",
            HungUp::Us => "us",
        }
    }
}

/// What closed a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A BYE.
    Bye,
    /// It had lived as long as a call's entry may.
    Expired,
    /// There was no room to keep it: its BYE is not known as its own.
    NotKept,
    /// We have ended it, for this reason.
    Ours(CallEnd),
}

impl Ending {
    /// As the call table names it.
    pub(crate) const fn of(end: CallEnd) -> Self {
        match end {
            CallEnd::ByeFromCaller | CallEnd::ByeFromCallee => Ending::Bye,
            CallEnd::Forgotten => Ending::Expired,
            ours => Ending::Ours(ours),
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Ending::Bye => "bye",
            Ending::Expired => "expired",
            Ending::NotKept => "not_kept",
            Ending::Ours(end) => end.label(),
        }
    }
}

/// Bits of a call's number below the shard's.
const SHARD_SHIFT: u32 = 48;

impl Records {
    /// Of one shard, with room for so many calls that are being set up.
    pub fn new(shard: u16, hunts: u32) -> Self {
        Records {
            outgoing: Outgoing::new(),
            drafts: vec![Draft::default(); usize::try_from(hunts).unwrap_or(0)],
            decided: Draft::default(),
            next: u64::from(shard) << SHARD_SHIFT,
            second: 0,
        }
    }

    /// Whether a new call may be let in.
    pub fn takes_calls(&self) -> bool {
        self.outgoing.takes_calls()
    }

    /// The lane says whether new calls are to be refused.
    pub const fn close(&mut self, closed: bool) {
        self.outgoing.close(closed);
    }

    /// Events that found no room.
    pub const fn lost(&self) -> u64 {
        self.outgoing.lost()
    }

    /// The batch that must be back before a 2xx may leave.
    pub fn pending(&self) -> Option<u64> {
        self.outgoing.pending()
    }

    /// The batch for the lane, when there is one to send.
    pub fn take_batch(&mut self) -> Option<Box<Batch>> {
        self.outgoing.take()
    }

    /// A batch is back: its number.
    pub fn batch_back(&mut self, batch: Box<Batch>) -> u64 {
        self.outgoing.back(batch)
    }

    /// A customer's call has come.
    pub(crate) fn setup(
        &mut self,
        tables: &Tables,
        customer: &Customer,
        request: &Inbound<'_>,
        note: &mut Note,
        now: Now,
    ) {
        self.next += 1;
        note.record = self.next;
        self.decided = Draft { call: self.next, withheld: is_withheld(request.message), ..Draft::default() };
        let message = request.message;
        self.outgoing.event(Happened::Setup, self.next, now.wall.0, |fields| {
            fields.text(Field::Customer, customer.name.as_bytes()).time(Field::Setup, now.wall.0);
            identify(message, fields);
            fields.text(Field::CalledReceived, message.request_uri());
            if let Ok(from) = message.from() {
                fields.text(Field::CallerReceived, from.uri);
            }
            fields.text(Field::IdentityReceived, message.value(HeaderName::PAssertedIdentity).unwrap_or_default());
            fields.text(Field::Privacy, message.value(HeaderName::Privacy).unwrap_or_default());
            fields.address(Field::CustomerAddress, request.source.peer);
            let local = tables.listeners.get(usize::from(request.source.listener)).copied();
            fields.address(Field::CustomerLocal, local.unwrap_or(request.source.local));
            sdp::record(message.body(), Field::CallerMedia, Field::CallerCodecs, fields);
        });
    }

    /// It is refused, for it has come back from another carrier: from this customer first.
    #[cold]
    pub(crate) fn looped(&mut self, call: &Understood, first: &str, ago: Micros, now: Now) {
        self.outgoing.event(Happened::Chosen, self.next, now.wall.0, |fields| {
            numbers(call, fields);
            fields.text(Field::LoopCustomer, first.as_bytes()).number(Field::LoopAgo, ago.0);
        });
    }

    /// It is refused at the bounds of a destination.
    #[cold]
    pub(crate) fn bounded(&mut self, call: &Understood, destination: &str, now: Now) {
        self.outgoing.event(Happened::Chosen, self.next, now.wall.0, |fields| {
            numbers(call, fields);
            fields.text(Field::BoundDestination, destination.as_bytes());
        });
    }

    /// A vendor that might have taken it was passed over.
    #[cold]
    pub(crate) fn passed_over(&mut self, note: &Note, place: u8, why: Passed, now: Now) {
        self.outgoing.event(Happened::PassedOver, note.record, now.wall.0, |fields| {
            fields.number(Field::PassedPlace, place.into()).text(Field::PassedWhy, why.label().as_bytes());
        });
    }

    /// Its number is understood, and its vendors stand in their order. `bounded`: its customer's destination, if bounds
    /// hold for that.
    pub(crate) fn chosen(
        &mut self,
        trunks: &Trunks,
        call: &Understood,
        decision: &Decision<'_>,
        bounded: &str,
        now: Now,
    ) {
        let number = self.next;
        let Draft { withheld, .. } = self.decided;
        let (at, caller) = (call.question.at, call.question.caller);
        self.decided = Draft { call: number, at, caller, withheld, ..Draft::default() };
        for (place, candidate) in self.decided.offers.iter_mut().zip(decision.routed()) {
            *place = (candidate.deck, candidate.found);
        }
        self.outgoing.event(Happened::Chosen, number, now.wall.0, |fields| {
            let question = &call.question;
            numbers(call, fields);
            fields.text(Field::BoundDestination, bounded.as_bytes());
            let runs = decision.jurisdiction.map_or("", deck::nanp::Jurisdiction::label);
            fields.text(Field::Jurisdiction, runs.as_bytes()).text(Field::Currency, trunks.currency.as_bytes());
            let [a, b, c, d, e, f, g, h, ..] = trunks.image.hash().0;
            let begins = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            fields.with(Field::Decks, |out| drop(write!(out, "{begins:016x}")));
            terms::write(trunks, decision.sell.0, &decision.sell.1, question.at, &terms::SELL, fields);
            fields.with(Field::Choice, |out| choice::write(trunks, decision, out));
        });
    }

    /// It is an emergency call, which goes to the vendors for that whatever decks say.
    pub(crate) fn emergency(&mut self, called: &Digits, now: Now) {
        self.outgoing.event(Happened::Chosen, self.next, now.wall.0, |fields| {
            fields.text(Field::Called, called.as_bytes()).number(Field::Emergency, 1);
        });
    }

    /// Its hunt has a place.
    pub(crate) fn hunting(&mut self, hunt: u32) {
        if let Some(draft) = self.drafts.get_mut(hunt as usize) {
            *draft = self.decided;
        }
    }

    /// It was refused before anything was tried.
    pub(crate) fn refused(&mut self, status: u16, cause: &str, note: &mut Note, now: Now) {
        let call = std::mem::take(&mut note.record);
        self.outgoing.event(Happened::Finished, call, now.wall.0, |fields| {
            fields.number(Field::Status, status.into()).text(Field::Cause, cause.as_bytes());
        });
    }

    /// Point 2: an attempt leaves.
    pub(crate) fn attempt(&mut self, tables: &Tables, turn: &Turn, hunt: HuntIndex, target: &Target, now: Now) {
        let Some(trunks) = &tables.class4 else { return };
        let Some(draft) = self.drafts.get_mut((hunt.get() - 1) as usize) else { return };
        let Some(leg) = draft.legs.get_mut(usize::from(draft.len)) else { return };
        *leg = Leg { gateway: target.gateway, ..Leg::default() };
        draft.len += 1;
        let Draft { len: number, at, caller, withheld, .. } = *draft;
        let (deck, found) = draft.offers.get(turn.place).copied().unwrap_or_default();
        self.outgoing.event(Happened::Attempt, draft.call, now.wall.0, |fields| {
            fields.number(Field::Attempt, number.into()).time(Field::Sent, now.wall.0);
            if let Some(vendor) = trunks.vendor(turn.vendor) {
                fields.text(Field::Vendor, vendor.name.as_bytes());
                let sent = vendor.outward.write(&turn.called, []);
                fields.text(Field::CalledSent, sent.as_ref().map(|user| user.as_bytes()).unwrap_or_default());
                let told = caller.and_then(|caller| vendor.told_caller(caller, withheld));
                fields.text(Field::CallerSent, told.as_ref().map(|user| user.as_bytes()).unwrap_or_default());
            }
            if let Some(gateway) = tables.gateway(crate::tables::Number(target.gateway)) {
                fields.text(Field::Gateway, gateway.name.as_bytes());
            }
            fields.address(Field::GatewayAddress, target.next_hop);
            if let Some(local) = tables.listeners.get(usize::from(target.listener)) {
                fields.address(Field::GatewayLocal, *local);
            }
            // WHY not else: an emergency call is chosen by no deck.
            if found.state == State::Priced {
                terms::write(trunks, deck, &found, at, &terms::BUY, fields);
            }
        });
    }

    /// Point 3: a response. `opened`: the call that it opened.
    pub(crate) fn response(
        &mut self,
        calls: &mut Calls,
        response: &Message<'_>,
        context: &ResponseContext<'_>,
        note: &Note,
        opened: Option<Opened>,
        now: Now,
    ) {
        let status = response.status();
        match status {
            180..=189 => self.progress(response, context, note, now),
            200..=299 => self.answered(calls, response, note, context, opened, now),
            300.. => {
                let number = self.leg(note, context.target.gateway).map(|(number, _)| number);
                self.outgoing.event(Happened::Outcome, note.record, now.wall.0, |fields| {
                    which(number, &context.target, fields);
                    fields.number(Field::Status, status.into());
                    fields.text(Field::ToTag, response.to_tag()).time(Field::End, now.wall.0);
                    reason(response, fields);
                });
            }
            _ => {}
        }
    }

    fn progress(&mut self, response: &Message<'_>, context: &ResponseContext<'_>, note: &Note, now: Now) {
        let Some((number, leg)) = self.leg(note, context.target.gateway) else { return };
        let brings_media = !leg.media && response.body().starts_with(b"v=");
        let rings = !std::mem::replace(&mut leg.rang, true);
        leg.media |= brings_media;
        if !rings && !brings_media {
            return;
        }
        self.outgoing.event(Happened::Progress, note.record, now.wall.0, |fields| {
            fields.number(Field::Attempt, number);
            if rings {
                fields.time(Field::Ringing, now.wall.0);
            }
            if brings_media {
                fields.time(Field::Media, now.wall.0);
                sdp::record(response.body(), Field::CalleeMedia, Field::CalleeCodecs, fields);
            }
        });
    }

    fn answered(
        &mut self,
        calls: &mut Calls,
        response: &Message<'_>,
        note: &Note,
        context: &ResponseContext<'_>,
        opened: Option<Opened>,
        now: Now,
    ) {
        let leg = self.leg(note, context.target.gateway).map(|(number, leg)| (number, leg.media));
        let early_media = leg.is_some_and(|(_, media)| media);
        // WHY a number of its own for a further answer: it is billed by itself.
        let first = !self.draft(note).is_none_or(|draft| std::mem::replace(&mut draft.answered, true));
        let call = if first {
            note.record
        } else {
            self.next += 1;
            self.next
        };
        let kept = opened.filter(|opened| calls.recorded(opened.call, call));
        self.outgoing.event(Happened::Answered, call, now.wall.0, |fields| {
            which(leg.map(|(number, _)| number), &context.target, fields);
            fields.time(Field::Answer, now.wall.0);
            fields.number(Field::Status, response.status().into()).text(Field::ToTag, response.to_tag());
            if !first {
                fields.number(Field::Parent, note.record);
            }
            if !early_media && response.body().starts_with(b"v=") {
                fields.time(Field::Media, now.wall.0);
            }
            sdp::record(response.body(), Field::CalleeMedia, Field::CalleeCodecs, fields);
            if let Some((charged, tariff)) = opened.and_then(|opened| opened.charged) {
                fields.with(Field::Charged, |out| {
                    let [initial, subsequent] = tariff.increments();
                    out.extend_from_slice(&charged.to_le_bytes());
                    out.extend_from_slice(&tariff.price.to_le_bytes());
                    out.extend_from_slice(&initial.to_le_bytes());
                    out.extend_from_slice(&subsequent.to_le_bytes());
                });
            }
            if let Some(Opened { call: id, .. }) = kept {
                fields.with(Field::State, |out| crate::calls::hand_over::write_one(calls, id, now.mono, out));
            }
        });
        match kept {
            Some(_) => {}
            // Until our BYE is answered.
            None if note.ended => self.second = call,
            None => self.closed(call, Ending::NotKept, Micros(0), now),
        }
    }

    /// A fork behind a vendor has answered, too: it is ended by us. Its call is found by its name.
    #[cold]
    pub(crate) fn forked(&mut self, response: &Message<'_>, source: SocketAddr, now: Now) {
        self.next += 1;
        self.second = self.next;
        self.outgoing.event(Happened::Answered, self.next, now.wall.0, |fields| {
            identify(response, fields);
            fields.address(Field::GatewayAddress, source).time(Field::Answer, now.wall.0);
            fields.number(Field::Status, response.status().into()).text(Field::ToTag, response.to_tag());
            sdp::record(response.body(), Field::CalleeMedia, Field::CalleeCodecs, fields);
        });
    }

    /// The number of the second answer that was told of last, once.
    pub(crate) const fn second_answer(&mut self) -> Option<u64> {
        match std::mem::replace(&mut self.second, 0) {
            0 => None,
            number => Some(number),
        }
    }

    /// Our BYE to a second answer has come to its end, `after` so long.
    pub(crate) fn second_answer_ended(&mut self, number: u64, outcome: Outcome, after: Micros, now: Now) {
        let lasted = if matches!(outcome, Outcome::Response(_)) { after } else { Micros(0) };
        self.closed(number, Ending::Ours(CallEnd::SecondAnswer), lasted, now);
    }

    /// A call of which no entry is kept is over.
    fn closed(&mut self, call: u64, ending: Ending, lasted: Micros, now: Now) {
        self.outgoing.event(Happened::Ended, call, now.wall.0, |fields| {
            fields.number(Field::Duration, lasted.0).text(Field::ClosedBy, ending.label().as_bytes());
            if matches!(ending, Ending::Ours(_)) {
                fields.text(Field::HungUp, HungUp::Us.label().as_bytes());
            }
        });
    }

    /// Point 3: a gateway ended without a final response.
    pub(crate) fn silence(&mut self, target: &Target, outcome: Outcome, note: &Note, now: Now) {
        let number = self.leg(note, target.gateway).map(|(number, _)| number);
        let cause = match outcome {
            Outcome::GivenUp => "no_response",
            Outcome::NotRinging => "not_ringing",
            Outcome::TimedOut { ringing: true } => "ring_timeout",
            Outcome::TimedOut { ringing: false } => "timeout",
            Outcome::Unreachable => "unreachable",
            Outcome::Response(_) => "",
        };
        self.outgoing.event(Happened::Outcome, note.record, now.wall.0, |fields| {
            which(number, target, fields);
            fields.number(Field::Status, outcome.status().into());
            fields.text(Field::Cause, cause.as_bytes()).time(Field::End, now.wall.0);
        });
    }

    /// Point 6: the customer has his final response.
    pub(crate) fn finished(&mut self, status: u16, note: &Note, now: Now) {
        if note.kind != Kind::Opens {
            return;
        }
        self.outgoing.event(Happened::Finished, note.record, now.wall.0, |fields| {
            fields.number(Field::Status, status.into());
        });
    }

    /// An INVITE or UPDATE within a call was accepted.
    pub(crate) fn refreshed(&mut self, calls: &Calls, id: CallId, now: Now) {
        let Some(call) = calls.get(id).filter(|call| call.record != 0 && !call.early) else { return };
        self.outgoing.event(Happened::Refreshed, call.record, now.wall.0, |fields| {
            fields.with(Field::State, |out| crate::calls::hand_over::write_one(calls, id, now.mono, out));
        });
    }

    /// A BYE has come for a call.
    pub(crate) fn bye(&mut self, call: &Call, by: HungUp, request: Option<&Message<'_>>, now: Now) {
        if call.record == 0 {
            return;
        }
        let duration = now.mono.since(call.opened).0;
        self.outgoing.event(Happened::Bye, call.record, now.wall.0, |fields| {
            fields.number(Field::Duration, duration).text(Field::HungUp, by.label().as_bytes());
            if let Some(request) = request {
                reason(request, fields);
            }
        });
    }

    /// The BYE was challenged: the call goes on.
    pub(crate) fn bye_refused(&mut self, call: &Call, now: Now) {
        if call.record != 0 {
            self.outgoing.event(Happened::ByeRefused, call.record, now.wall.0, |_| ());
        }
    }

    /// A call is over.
    /// `charged`: what its customer was charged so far, where that is looked at.
    pub(crate) fn ended(&mut self, call: &Call, ending: Ending, charged: Option<i64>, now: Now) {
        if call.record == 0 || call.early {
            return;
        }
        let proven = call.heard.since(call.opened).0;
        let ago = now.mono.since(call.heard).0;
        self.outgoing.event(Happened::Ended, call.record, now.wall.0, |fields| {
            fields.text(Field::ClosedBy, ending.label().as_bytes()).number(Field::Duration, proven);
            if matches!(ending, Ending::Ours(_)) {
                fields.text(Field::HungUp, HungUp::Us.label().as_bytes());
            }
            if ending != Ending::Bye {
                fields.time(Field::Proven, now.wall.0.saturating_sub(ago));
            }
            if let Some(charged) = charged {
                fields.with(Field::Charged, |out| out.extend_from_slice(&charged.to_le_bytes()));
            }
        });
    }

    /// A BYE that is proven, for a call that is not known.
    pub(crate) fn orphan(&mut self, request: &Inbound<'_>, now: Now) {
        self.next += 1;
        self.outgoing.event(Happened::Orphan, self.next, now.wall.0, |fields| {
            identify(request.message, fields);
            fields.text(Field::ToTag, request.message.to_tag());
            fields.address(Field::Source, request.source.peer).time(Field::End, now.wall.0);
            reason(request.message, fields);
        });
    }

    fn draft(&mut self, note: &Note) -> Option<&mut Draft> {
        self.drafts.get_mut((note.hunt?.get() - 1) as usize)
    }

    /// The attempt at a gateway, and its number.
    fn leg(&mut self, note: &Note, gateway: u32) -> Option<(u64, &mut Leg)> {
        let draft = self.draft(note)?;
        let len = usize::from(draft.len);
        let mut legs = draft.legs.iter_mut().take(len).enumerate().rev();
        let (place, leg) = legs.find(|(_, leg)| leg.gateway == gateway)?;
        Some((u64::try_from(place).unwrap_or(0) + 1, leg))
    }
}

/// Which attempt it is about: its number, or where it went if the hunt is over.
fn which(number: Option<u64>, target: &Target, fields: &mut Fields<'_>) {
    match number {
        Some(number) => fields.number(Field::Attempt, number),
        None => fields.address(Field::GatewayAddress, target.next_hop),
    };
}

/// A call's numbers as they are understood.
fn numbers(call: &Understood, fields: &mut Fields<'_>) {
    fields.text(Field::Called, call.called.as_bytes());
    // WHY ignored: writing into memory does not fail.
    fields.with(Field::Routing, |out| drop(write!(out, "{}", call.question.routing)));
    fields.text(Field::Dip, call.dip.as_bytes());
    if let Some(caller) = call.question.caller {
        fields.with(Field::Caller, |out| drop(write!(out, "{caller}")));
    }
}

fn identify(message: &Message<'_>, fields: &mut Fields<'_>) {
    fields.text(Field::CallId, message.call_id()).text(Field::FromTag, message.from_tag());
}

/// Every Reason header (RFC 3326), as it stands.
fn reason(message: &Message<'_>, fields: &mut Fields<'_>) {
    fields.with(Field::Reason, |out| {
        let from = out.len();
        for field in message.all(HeaderName::Reason) {
            let value = field.value.of(message.bytes());
            if out.len() - from + value.len() + 2 > limits::records::TEXT_BYTES_MAX {
                break;
            }
            if out.len() > from {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(value);
        }
    });
}
