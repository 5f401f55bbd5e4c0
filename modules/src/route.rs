//! The policy on one page: at each of the six points, the stages in their order.
//!
//! A stage is a function of its own module. It returns what the next one needs, or the verdict that
//! ends the walk. A further module (a registrar, rate decks, caps) is a further folder and a further line here.

use crate::calls::dialog::{self, Dialog};
use crate::calls::end::CallEnd;
use crate::calls::life;
use crate::calls::own_request::Ticket;
use crate::class4::dialled::Digits;
use crate::class4::dip::Dipped;
use crate::class4::hunt::NoWay;
use crate::class4::identity::Crossing;
use crate::class4::refusal::Why;
use crate::class4::sources::Sender;
use crate::dispatcher::UriTooLong;
use crate::note::{Kind, Note};
use crate::policy::TandemPolicy;
use crate::reason::{Reason, Step};
use crate::records::{HungUp, Opened};
use crate::registrar::{self, ForkId};
use crate::tables::Number;
use crate::{routes, serving, sources};
use proto::message::{Host, Message, Method, Uri};
use proto::policy::{
    Answer, Choice, End, Endpoint, Inbound, Outcome, Overdue, Policy, Proof, Refusal, ResponseContext, Target,
    TargetSet, Verdict,
};
use proto::proxy::OwnRequest;
use proto::time::{Micros, Now};
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow::{Break, Continue};

/// Set in what a 2xx waits for: a batch of the record lane, where the registrar's responses wait for the journal's.
pub const ANSWER: u64 = 1 << 63;

/// Set in the ticket of a BYE to a second answer, beside the number of its record. INVARIANT: tickets of calls have the
/// next bit ([`Ticket`]), numbers of records and of probes none as high.
const OF_A_SECOND_ANSWER: u64 = 1 << 62;

/// No source group's index.
const NO_GROUP: u16 = u16::MAX;

impl TandemPolicy {
    /// A request outside any dialog.
    fn stages(
        &mut self,
        request: &Inbound<'_>,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<Verdict<Reason>> {
        let answer = self.authenticate(request, note, answer, targets, now)?;
        if self.tables.class4.is_some() && !note.is_proven() {
            self.customers_call(request, note, answer, targets, now)?;
        }
        if !self.tables.domains.is_empty() {
            return self.phone_stages(request, note, answer, targets, now);
        }
        serving::answer_options(&self.tables, self.serving, request)?;
        let group = self.group_of(request, note, now)?;
        serving::take_in(self.serving, &self.calls, request)?;
        let set = routes::choose(&self.tables, group, request)?;
        life::note_request(request.message, None, note);
        self.dispatch(set, request, note, targets, now)
    }

    /// The sender's source group. A phone that has proven itself may be anywhere; routes without sources are for it.
    pub(crate) fn group_of(&mut self, request: &Inbound<'_>, note: &Note, now: Now) -> Step<u16> {
        match self.tables.sources.group(request.source.peer.ip()) {
            None if note.is_proven() => Continue(NO_GROUP),
            _ => sources::group(&self.tables, &mut self.unknown, request, now),
        }
    }

    /// The stage of calls of customers; it goes on with those that are none.
    fn customers_call(
        &mut self,
        request: &Inbound<'_>,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<()> {
        let tables = &*self.tables;
        let Some(trunks) = &tables.class4 else { return Continue(()) };
        let user = request.request_uri.user_without_params();
        let customer = match (request.message.method(), trunks.sender(request.source.peer, user)) {
            (Method::Cancel, Sender::Customer(_) | Sender::Nobody) => return Break(Reason::CancelUnknown.verdict()),
            (Method::Invite, Sender::Customer(slot)) => trunks.customer_at(slot),
            (Method::Invite, Sender::Nobody) => None,
            _ => return Continue(()),
        };
        let emergency = customer.is_some_and(|customer| trunks.emergency.number(customer, user).is_some());
        if !emergency {
            serving::take_in(self.serving, &self.calls, request)?;
        }
        let refuse = |why: Why, targets: &mut TargetSet| trunks.refusals.verdict(why, targets);
        let Some(customer) = customer else { return Break(refuse(Why::UnknownCustomer, targets)) };
        let dipped = match trunks.dip.as_ref().filter(|_| !emergency) {
            None => Dipped::No,
            Some(_) if note.dipping => self.hunting.dipped(Dipped::of(answer, self.answered.of(answer))),
            Some(dip) => match dip.ask(customer, &request.request_uri, targets) {
                None => Dipped::No,
                Some(verdict) => {
                    note.dipping = true;
                    return Break(verdict);
                }
            },
        };
        life::note_request(request.message, None, note);
        let mut records = self.records.as_deref_mut();
        if let Some(records) = &mut records {
            if !emergency && !records.takes_calls() {
                return Break(Reason::RecordsClosed.verdict());
            }
            records.setup(tables, customer, request, note, now);
        }
        let dispatcher = &mut self.dispatcher;
        let hunting = &mut self.hunting;
        let outcome = records.as_deref_mut();
        let begun = hunting.begin(trunks, tables, dispatcher, customer, &dipped, request, note, targets, outcome, now);
        let verdict = match begun {
            Ok(()) => return Break(Verdict::Forward),
            Err(NoWay::Refused(why)) => refuse(why, targets),
            Err(NoWay::NoRoom) => Reason::HuntsFull.verdict(),
            Err(NoWay::UriTooLong) => Reason::RequestUriTooLong.verdict(),
        };
        if let (Some(records), Verdict::Reply { status, reason }) = (records, verdict) {
            records.refused(status, reason.label(), note, now);
        }
        Break(verdict)
    }

    /// What changes in the header of a request within a customer's call on its way to the other side.
    fn cross_in_dialog(&self, request: &Inbound<'_>, targets: &mut TargetSet) {
        let Some(trunks) = &self.tables.class4 else { return };
        let Some((_, call, to_vendor)) = self.calls.key(request.message).and_then(|key| self.calls.find(&key)) else {
            return;
        };
        let Some((customer, vendor)) = trunks.parties(call.charge) else { return };
        let called = if to_vendor { request.message.to() } else { request.message.from() };
        let called = called.ok().and_then(|party| Uri::parse(party.uri).ok()?.user);
        // What does not fit changes nothing: a dialog does not end for a header.
        let crossing = Crossing { customer, vendor, to_vendor };
        if !crossing.edit(request.message, called.unwrap_or_default(), targets) {
            targets.clear();
        }
    }

    /// A vendor's response to an INVITE that has had its final response. A 2xx is ended by us (`proto`).
    fn answered_too_late(&mut self, response: &Message<'_>) {
        if (200..300).contains(&response.status()) {
            self.calls.count_end(CallEnd::SecondAnswer);
        }
    }

    /// A BYE or a question of ours within a call came to its end.
    fn request_of_call_ended(&mut self, ticket: Ticket, outcome: Outcome, now: Now) {
        if let Some((call, why)) = self.calls.request_ended(ticket, outcome, now.mono) {
            let (calls, records) = (&mut self.calls, self.records.as_deref_mut());
            life::closed(calls, &mut self.dispatcher, &self.tables, &call, why, records, now);
        }
    }

    /// The last stage.
    pub(crate) fn dispatch(
        &mut self,
        set: Number,
        request: &Inbound<'_>,
        note: &mut Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<Verdict<Reason>> {
        let stateless = self.tables.set(set).is_some_and(|set| set.stateless);
        if request.message.method() == Method::Cancel && !stateless {
            return Break(Reason::CancelUnknown.verdict());
        }
        if stateless && note.phones.foreign {
            // WHY: nothing is kept by which responses get back their From.
            return Break(Reason::ForeignFrom.verdict());
        }
        match self.dispatcher.place(&self.tables, set, request, note, targets, now) {
            Ok(true) if stateless => Continue(Verdict::ForwardStateless),
            Ok(true) => Continue(Verdict::Forward),
            Ok(false) => Break(Reason::NoGateway.verdict()),
            Err(UriTooLong) => Break(Reason::RequestUriTooLong.verdict()),
        }
    }

    /// A request within a dialog: where it passes its call lives, and a BYE ends it. A BYE of a peer for a call that is
    /// not known is recorded, whether a token of ours lets it pass or not.
    fn within(&mut self, request: &Inbound<'_>, verdict: &Verdict<Reason>, note: &Note, now: Now) {
        let unknown = |reason| matches!(reason, Reason::DialogUnproven | Reason::DialogUnknown);
        match verdict {
            Verdict::Forward => {}
            Verdict::Reply { reason, .. } if unknown(*reason) => {}
            _ => return,
        }
        let bye = request.message.method() == Method::Bye;
        let Some(records) = &mut self.records else { return };
        let Some(id) = note.call else {
            let known = self.calls.key(request.message).is_some_and(|key| self.calls.find(&key).is_some());
            if bye && !known {
                records.orphan(request, now);
            }
            return;
        };
        self.calls.lives(id, now.mono);
        if let Some(call) = self.calls.get(id).filter(|_| bye) {
            let by = if note.from_initiator { HungUp::Caller } else { HungUp::Callee };
            records.bye(call, by, Some(request.message), now);
        }
    }

    /// An ACK of a final response that a stateless set brought: nothing is kept that it could belong to, so
    /// it goes where its INVITE went. From a listed source to a listed gateway: no relay for others.
    fn acknowledge_statelessly(
        &mut self,
        request: &Inbound<'_>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Option<Verdict<Reason>> {
        let group = self.tables.sources.group(request.source.peer.ip())?;
        let Continue(set) = routes::choose(&self.tables, group, request) else { return None };
        self.tables.set(set).filter(|set| set.stateless)?;
        let (Continue(verdict) | Break(verdict)) = self.dispatch(set, request, &mut Note::default(), targets, now);
        (verdict == Verdict::ForwardStateless).then_some(verdict)
    }
}

impl Policy for TandemPolicy {
    type Note = Note;
    type Reason = Reason;

    fn admit(&mut self, message: &Message<'_>, source: &Endpoint, now: Now) -> Option<Refusal<Reason>> {
        let reason = sources::gate(&self.tables, &mut self.unknown, message, source, now)?;
        self.reasons.count(reason);
        Some(reason.refusal())
    }

    fn new_request(
        &mut self,
        request: &Inbound<'_>,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Verdict<Reason> {
        let (Continue(verdict) | Break(verdict)) = self.stages(request, note, answer, targets, now);
        self.reasons.count_verdict(&verdict);
        verdict
    }

    fn branch(&mut self, request: &[u8], target: &Target, note: &mut Note, now: Now) -> bool {
        let leaves = self.dispatcher.may_leave(&self.tables, target, !request.starts_with(b"ACK "), note);
        if let (Some(records), Some(hunt), true) = (&mut self.records, note.hunt, leaves)
            && let Some(turn) = self.hunting.turn(note)
        {
            records.attempt(&self.tables, &turn, hunt, target, now);
        }
        leaves
    }

    fn response(&mut self, response: &Message<'_>, context: &ResponseContext<'_>, note: &mut Note, now: Now) {
        let gateway = Number(context.target.gateway);
        let its_turn = note.hunt.is_some() && note.attempts.owes(gateway);
        self.dispatcher.response(&self.tables, response.status(), context, note, now);
        if note.phones.registers && (200..300).contains(&response.status()) {
            self.keep_granted(response, context, now);
        }
        if note.customers && note.ended {
            if let Some(records) = self.records.as_mut().filter(|_| note.record != 0) {
                records.response(&mut self.calls, response, context, note, None, now);
            }
            return self.answered_too_late(response);
        }
        if let Some(trunks) = self.tables.class4.as_ref().filter(|_| its_turn) {
            self.hunting.response(trunks, response, note, now);
        }
        let called = self.hunting.called(note);
        let called = called.as_ref().map(Digits::as_bytes);
        let (calls, dispatcher, tables) = (&mut self.calls, &mut self.dispatcher, &*self.tables);
        let opened = life::answered(calls, dispatcher, tables, called, response, context, note, now.mono);
        if let (Kind::Refreshes, 200..=299, Some(call)) = (note.kind, response.status(), note.call)
            && let Some(records) = &mut self.records
        {
            records.refreshed(calls, call, now);
        }
        let mut opened = opened.map(|call| Opened { call, charged: None });
        if let (Some(opened), Some(trunks)) = (opened.as_mut().filter(|_| note.hunt.is_some()), &tables.class4) {
            let charge = self.hunting.answered(trunks, gateway, note, now);
            opened.charged = trunks.charged(charge).map(|charged| (charged, *charge.tariff()));
            calls.charge(opened.call, charge);
            calls.watch(opened.call, response, &trunks.lifetimes, now.mono);
        }
        if let Some(records) = self.records.as_mut().filter(|_| note.record != 0) {
            records.response(&mut self.calls, response, context, note, opened, now);
        }
    }

    fn answer_waits_for(&self) -> Option<u64> {
        self.records.as_ref()?.pending().map(|batch| batch | ANSWER)
    }

    fn overdue(&mut self, note: &mut Note, targets: &mut TargetSet, now: Now) -> Overdue {
        let Some(trunks) = &self.tables.class4 else { return Overdue::Forget };
        match self.hunting.overdue(trunks, note, now) {
            Ok(until) => Overdue::Wait(until),
            Err(why) => {
                self.reasons.count(why.reason());
                Overdue::End { status: trunks.refusals.attach(why, targets) }
            }
        }
    }

    fn ends_second_answer(&self, note: &Note) -> bool {
        note.customers && note.ended
    }

    fn forked_answer(&mut self, response: &Message<'_>, source: SocketAddr, now: Now) {
        if let Some(records) = &mut self.records {
            records.forked(response, source, now);
        }
        self.answered_too_late(response);
    }

    fn bye_ticket(&mut self) -> u64 {
        let number = self.records.as_mut().and_then(|records| records.second_answer());
        number.map_or(OwnRequest::NOBODY, |number| number | OF_A_SECOND_ANSWER)
    }

    fn silence(&mut self, target: &Target, outcome: Outcome, note: &mut Note, now: Now) {
        self.dispatcher.silence(&self.tables, target, outcome, note, now);
        if note.hunt.is_some() {
            self.hunting.silence(outcome, note);
        }
        if let Some(records) = self.records.as_mut().filter(|_| note.record != 0) {
            records.silence(target, outcome, note, now);
        }
    }

    fn best_response(
        &mut self,
        request: &Inbound<'_>,
        best: Outcome,
        note: &mut Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Choice {
        self.edit_again(request, note, targets);
        if note.fork != ForkId::default() && self.forks.next(note.fork, request.message.method(), targets) {
            return Choice::Advance;
        }
        let (tables, dispatcher) = (&*self.tables, &mut self.dispatcher);
        match &tables.class4 {
            Some(trunks) if note.hunt.is_some() => {
                let (hunting, records) = (&mut self.hunting, self.records.as_deref_mut());
                let choice =
                    hunting.best_response(trunks, tables, dispatcher, request, best, note, targets, records, now);
                if matches!(choice, Choice::Answer { .. }) {
                    self.reasons.count(Reason::VendorOnly);
                }
                choice
            }
            _ => dispatcher.best_response(tables, request, best, note, targets, now),
        }
    }

    fn in_dialog(
        &mut self,
        request: &Inbound<'_>,
        proof: Proof,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Verdict<Reason> {
        if !self.tables.domains.is_empty() {
            self.edit_in_dialog(request, targets);
        }
        self.cross_in_dialog(request, targets);
        let mut dialog = Dialog { tables: &self.tables, calls: &self.calls, unknown: &mut self.unknown };
        let mut verdict = dialog::decide(&mut dialog, request, proof, note, answer, targets, now);
        if verdict == Verdict::Drop(Reason::DialogUnproven) {
            verdict = self.acknowledge_statelessly(request, targets, now).unwrap_or(verdict);
        }
        if let (Verdict::Forward, Some(call), Some(_)) = (&verdict, note.call, &self.tables.class4) {
            self.calls.saw(call, note.from_initiator, request.message);
        }
        self.reasons.count_verdict(&verdict);
        if self.records.is_some() {
            self.within(request, &verdict, note, now);
        }
        verdict
    }

    fn transaction_end(&mut self, end: &End<'_>, note: &mut Note, now: Now) {
        self.dispatcher.end(note);
        self.forks.end(std::mem::take(&mut note.fork));
        let mut records = self.records.as_deref_mut();
        if let Some(records) = records.as_mut().filter(|_| note.record != 0) {
            records.finished(end.status, note, now);
        }
        life::ended(&mut self.calls, &mut self.dispatcher, &self.tables, end.status, note, records, now);
        note.ended = note.customers;
        match &self.tables.class4 {
            _ if note.hunt.is_none() => {}
            Some(trunks) => self.hunting.end(trunks, note),
            None => self.hunting.forget(note),
        }
    }

    fn taken_over(&mut self, _request: &[u8], note: &mut Note, _now: Now) {
        self.note_taken_over(note);
    }

    fn target_taken_over(&mut self, target: &mut Target) {
        self.branch_taken_over(target);
    }

    fn own_response(&mut self, ticket: u64, outcome: Outcome, after: Micros, now: Now) {
        match Ticket::of(ticket) {
            Some(ticket) => self.request_of_call_ended(ticket, outcome, now),
            None if ticket & OF_A_SECOND_ANSWER != 0 => {
                if let Some(records) = &mut self.records {
                    records.second_answer_ended(ticket & !OF_A_SECOND_ANSWER, outcome, after, now);
                }
            }
            None => self.dispatcher.probe_ended(&self.tables, ticket, outcome, after, now),
        }
    }

    fn response_refused(&mut self, target: &Target, source: SocketAddr) {
        self.dispatcher.response_refused(Number(target.gateway), source);
    }

    fn answers_for(&self, target: &Target, source: IpAddr) -> bool {
        let gateway = self.tables.gateway(Number(target.gateway));
        gateway.is_some_and(|gateway| gateway.reply_from.iter().any(|prefix| prefix.contains(source)))
    }

    fn keep_alive_answered(&mut self, ticket: u64, _now: Now) {
        if let Some(registrar) = &mut self.registrar {
            registrar.answered(registrar::Ticket(ticket));
        }
    }

    fn is_urgent(&self, message: &Message<'_>, source: &Endpoint) -> bool {
        self.tables.class4.as_ref().is_some_and(|trunks| trunks.is_emergency(message, source.peer))
    }

    fn answers_to_source_port(&self, source: &Endpoint) -> bool {
        // Gateways and named sources are believed where they want their responses.
        let ip = source.peer.ip();
        !self.tables.domains.is_empty() && !self.tables.is_gateway_host(ip) && !self.tables.sources.names(ip)
    }

    fn is_us(&self, host: &Host<'_>, port: Option<u16>) -> bool {
        self.tables.own.is_us(host, port)
    }
}
