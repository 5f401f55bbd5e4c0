//! The path of a request through the proxy, top down.

use super::counters::{Drop, Refused};
use super::preprocess::{Preprocessed, UriText};
use super::reply::{Arrival, Status, TO_TAG_CHARS, to_tag};
use super::validate::validate;
use super::{Outbox, Proxy};
use crate::message::{HeaderName, Message, Method, ParseError, validate_request};
use crate::policy::{Endpoint, Inbound, Policy, Proof, Refusal, Verdict};
use crate::time::Now;
use crate::transaction::{Actions, Key, ServerMachine, server_invite, server_non_invite};

impl<P: Policy> Proxy<P> {
    /// A datagram that is no SIP message. A request of which enough was read is answered 400, if its
    /// source may be served at all.
    pub fn on_unreadable(&mut self, now: Now, source: &Endpoint, error: &ParseError<'_>, out: &mut impl Outbox) {
        super::counters::bump(&mut self.counters.malformed, error.why.index());
        self.counters.drop(Drop::Malformed);
        if let Some(request) = error.partial.filter(Message::is_request)
            && self.policy.admit(&request, source, now).is_none()
        {
            self.refuse_invalid(source, &request, Status::of(error.why.status()), out);
        }
    }

    pub(super) fn on_request(&mut self, now: Now, source: &Endpoint, message: &Message<'_>, out: &mut impl Outbox) {
        self.counters.request_received(message.method());
        if message.trailing() > 0 {
            self.counters.trailing += 1;
        }
        self.settings.recognise_routes(message, HeaderName::Route);
        if let Err(rejection) = validate_request(message) {
            super::counters::bump(&mut self.counters.invalid, rejection.reason as usize);
            self.counters.refuse(Refused::Invalid);
            if self.policy.admit(message, source, now).is_none() {
                let status = Status { code: rejection.status, phrase: rejection.phrase.as_bytes() };
                self.refuse_invalid(source, message, status, out);
            }
            return;
        }
        // INVARIANT: a valid request has a readable top Via.
        let Ok(top) = message.top_via() else { return };
        let arrival = Arrival {
            source: *source,
            reply_port: self.reply_port(&top, source),
            key: Key::of(&self.settings.boot_secret, message, &top),
        };
        match message.method() {
            Method::Ack => self.on_ack(now, &arrival, message, out),
            Method::Cancel => self.on_cancel(now, &arrival, &top, message, out),
            _ => match self.transactions.find(arrival.key) {
                Some(transaction) => self.on_repeated(transaction, message, out),
                None => self.on_new_request(now, &arrival, message, out),
            },
        }
    }

    /// §17.2: the request again.
    fn on_repeated(&mut self, transaction: u32, message: &Message<'_>, out: &mut impl Outbox) {
        self.counters.drop(Drop::RequestRepeated);
        let Some(record) = self.transactions.record(transaction) else {
            return;
        };
        let actions = match record.machine {
            ServerMachine::Invite(state) => server_invite::step(state, server_invite::Event::Invite).1,
            ServerMachine::NonInvite(state) => server_non_invite::step(state, server_non_invite::Event::Request).1,
            ServerMachine::Own(_) => Actions::NONE,
        };
        if actions.has(Actions::RESEND) {
            self.resend_response(transaction, message, out);
        }
    }

    /// §17.1.1.3, §17.2.1: an ACK ends the wait of its INVITE transaction, or belongs to a 2xx and is
    /// forwarded like any in-dialog request, statelessly.
    fn on_ack(&mut self, now: Now, arrival: &Arrival, message: &Message<'_>, out: &mut impl Outbox) {
        let Some(transaction) = self.transactions.find(arrival.key) else {
            let tag = message.to_tag();
            if tag.len() == TO_TAG_CHARS && tag == to_tag(&self.settings, arrival.key) {
                return self.counters.drop(Drop::AckAbsorbed);
            }
            return self.on_new_request(now, arrival, message, out);
        };
        let accepted = ServerMachine::Invite(server_invite::State::Accepted);
        if self.transactions.record(transaction).is_some_and(|record| record.machine == accepted) {
            // RFC 6026 §7.1: the ACK of a 2xx, by a sender that uses its INVITE's branch again.
            return self.on_new_request(now, arrival, message, out);
        }
        self.on_hop_by_hop_ack(now, transaction, out);
    }

    fn on_hop_by_hop_ack(&mut self, now: Now, transaction: u32, out: &mut impl Outbox) {
        let t4 = self.settings.timers.t4;
        let Some(record) = self.transactions.record_mut(transaction) else {
            return;
        };
        let ServerMachine::Invite(state) = record.machine else {
            return;
        };
        let (next, _) = server_invite::step(state, server_invite::Event::Ack);
        record.machine = ServerMachine::Invite(next);
        if next == server_invite::State::Confirmed && state != next {
            record.retransmit_at = crate::transaction::Branch::NEVER;
            record.expire_at = now.mono.after(t4);
            let response = record.response.take();
            self.transactions.free(response);
            self.transactions.rearm_record(transaction, out);
        }
    }

    /// §16.3 to §16.6 for a request that no transaction knows.
    pub(super) fn on_new_request(&mut self, now: Now, arrival: &Arrival, message: &Message<'_>, out: &mut impl Outbox) {
        let in_dialog = !message.to_tag().is_empty();
        if !in_dialog && let Some(refusal) = self.policy.admit(message, &arrival.source, now) {
            return self.turn_away(arrival, message, refusal, out);
        }
        let mut text = UriText::default();
        let Some(mut pre) = Preprocessed::begun(&self.settings.keys, message) else {
            return self.refuse_unroutable(now, arrival, message, out);
        };
        if self.preprocess(&mut pre, &arrival.source, message, &mut text).is_none() {
            return self.refuse_unroutable(now, arrival, message, out);
        }
        if let Err(why) = validate(&self.settings, &arrival.source, message, &pre) {
            self.counters.refuse(why);
            let status = why.status().unwrap_or(400);
            return self.reply_if_known(now, arrival, message, in_dialog, pre.proof, status, out);
        }
        let mut note = P::Note::default();
        let verdict = self.ask_policy(now, &arrival.source, message, &pre, &mut note, None);
        self.carry_out(now, arrival, message, &pre, note, verdict, out);
    }

    /// Its Request-URI, or a Route that counts, cannot be read.
    #[cold]
    fn refuse_unroutable(&mut self, now: Now, arrival: &Arrival, message: &Message<'_>, out: &mut impl Outbox) {
        self.counters.refuse(Refused::Invalid);
        let in_dialog = !message.to_tag().is_empty();
        self.reply_if_known(now, arrival, message, in_dialog, Proof::None, 400, out);
    }

    /// Points 1 and 5.
    pub(super) fn ask_policy(
        &mut self,
        now: Now,
        source: &Endpoint,
        message: &Message<'_>,
        pre: &Preprocessed<'_>,
        note: &mut P::Note,
        answer: Option<crate::policy::Answer>,
    ) -> Verdict<P::Reason> {
        let inbound = self.inbound(source, message, pre);
        self.targets.clear();
        if message.to_tag().is_empty() {
            self.policy.new_request(&inbound, note, answer, &mut self.targets, now)
        } else {
            self.policy.in_dialog(&inbound, pre.proof, note, answer, &mut self.targets, now)
        }
    }

    pub(super) fn inbound<'m>(
        &self,
        source: &Endpoint,
        message: &'m Message<'m>,
        pre: &Preprocessed<'m>,
    ) -> Inbound<'m> {
        Inbound {
            message,
            source: *source,
            request_uri: pre.uri,
            request_uri_bytes: pre.request_uri,
            next_route: pre.next_route.and_then(|route| crate::message::Uri::parse(route.uri).ok()),
            leaves_by: pre.leaves_by,
            far_side: pre.far_side,
            to_us: pre.to_us,
        }
    }

    /// A refusal by §16.3: said to those who may be served, or whose dialog is proven.
    #[allow(clippy::too_many_arguments, reason = "what a refusal depends on, each once")]
    fn reply_if_known(
        &mut self,
        now: Now,
        arrival: &Arrival,
        message: &Message<'_>,
        in_dialog: bool,
        proof: Proof,
        status: u16,
        out: &mut impl Outbox,
    ) {
        let known = !in_dialog || proof != Proof::None || self.policy.admit(message, &arrival.source, now).is_none();
        if known {
            self.reply_statelessly(arrival, message, status, out);
        }
    }

    fn turn_away(
        &mut self,
        arrival: &Arrival,
        message: &Message<'_>,
        refusal: Refusal<P::Reason>,
        out: &mut impl Outbox,
    ) {
        match refusal {
            Refusal::Reply { status, .. } => {
                self.counters.refuse(Refused::Policy);
                self.reply_statelessly(arrival, message, status, out);
            }
            Refusal::Drop(_) => self.counters.drop(Drop::Policy),
        }
    }
}
