//! RFC 3261 §16.7: a response finds its branch, moves its client machine, and goes upstream or into the
//! response context.

use super::counters::Drop;
use super::forward::branch_token;
use super::record_route::Renewed;
use super::{Outbox, Proxy};
use crate::message::{HeaderName, Message, Method, validate_response, validate_response_to_request};
use crate::policy::{Endpoint, Outcome, Policy, ResponseContext};
use crate::time::{Micros, Now};
use crate::token::{BranchKind, BranchToken};
use crate::transaction::{
    Actions, Branch, CancelState, ClientMachine, ServerMachine, Transaction, client_invite, client_non_invite,
    server_invite,
};
use core::net::IpAddr;

impl<P: Policy> Proxy<P> {
    /// Steps 1 to 3: whose response is this?
    pub(super) fn on_response(&mut self, now: Now, source: &Endpoint, message: &Message<'_>, out: &mut impl Outbox) {
        self.counters.response_received(message.method(), message.status());
        if let Some(known) = self.settings.lines(source.listener).and_then(|lines| lines.known_via.as_ref()) {
            message.recognise_top_via(known);
        }
        let known = self.answers_request_of(message);
        let valid = match known {
            Some(Known { repeats_to, .. }) => validate_response_to_request(message, repeats_to),
            None => validate_response(message),
        };
        if let Err(why) = valid {
            super::counters::bump(&mut self.counters.malformed, why.index());
            return self.counters.drop(Drop::Malformed);
        }
        // INVARIANT: a valid response has a readable top Via.
        let Ok(top) = message.top_via() else { return };
        if let Some(Known { transaction, branch, .. }) = known {
            return self.on_matched_response(now, transaction, branch, source, message, out);
        }
        let verified = Some(top).and_then(|via| {
            BranchToken::read(via.branch)?.verify(&self.settings.keys, message.call_id(), message.from_tag())
        });
        let Some(token) = verified else {
            return self.counters.drop(Drop::ResponseNotOurs);
        };
        match token.kind {
            BranchKind::Stateful => {}
            BranchKind::Stateless => return self.relay_statelessly(&token, source, message, out),
            BranchKind::KeepAlive => return self.policy.keep_alive_answered(token.transaction, now),
        }
        let Some(transaction) = self.transactions.find_id(token.transaction) else {
            return self.counters.drop(Drop::ResponseLate);
        };
        match self.transactions.branch_by_number(transaction, token.branch) {
            Some(branch) => self.on_matched_response(now, transaction, branch, source, message, out),
            None if self.is_for_nobody(transaction, message) => self.counters.drop(Drop::ResponseForNobody),
            None => self.on_absorbed_response(now, transaction, token.branch, source, message, out),
        }
    }

    /// The transaction and the branch of a response that carries the very token that we sent, with From and Call-ID
    /// of the request, octet for octet: it is proven by that, and nothing need be signed again. `None`: its token
    /// has to be verified.
    #[inline]
    fn answers_request_of(&self, message: &Message<'_>) -> Option<Known> {
        let unverified = BranchToken::read(message.top_via().ok()?.branch)?;
        let claim = unverified.claim();
        let transaction = self.transactions.find_id(claim.transaction)?;
        let index = self.transactions.branch_by_number(transaction, claim.branch)?;
        let (record, branch) = (self.transactions.record(transaction)?, self.transactions.branch(index)?);
        let said = |name| message.value(name).unwrap_or_default();
        let ([from, call_id, to], in_dialog) = self.transactions.kept_from_call_id_to(transaction)?;
        let same = !(from.is_empty() || call_id.is_empty())
            && said(HeaderName::From) == from
            && said(HeaderName::CallId) == call_id
            && unverified.is(&branch_token(branch, record), branch.mac);
        same.then(|| Known { transaction, branch: index, repeats_to: message.repeats_to(to, in_dialog) })
    }

    fn on_matched_response(
        &mut self,
        now: Now,
        transaction: u32,
        branch: u32,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        if self.is_for_nobody(transaction, message) {
            return self.counters.drop(Drop::ResponseForNobody);
        }
        self.on_branch_response(now, transaction, branch, source, message, out);
    }

    /// Step 3: without a second Via it would go to nobody.
    fn is_for_nobody(&self, transaction: u32, message: &Message<'_>) -> bool {
        message.status() < 300 && !has_second_via(message) && !self.is_for_us(transaction, message)
    }

    /// Whether it answers a request that we made: one of our own, or our CANCEL.
    fn is_for_us(&self, transaction: u32, message: &Message<'_>) -> bool {
        let is_own = |record: &Transaction| matches!(record.machine, ServerMachine::Own(_));
        message.method() == Method::Cancel || self.transactions.record(transaction).is_some_and(is_own)
    }

    fn on_branch_response(
        &mut self,
        now: Now,
        transaction: u32,
        index: u32,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let Some(branch) = self.transactions.branch(index) else {
            return;
        };
        let ip = source.peer.ip();
        if branch.target.next_hop.ip() != ip && !self.policy.answers_for(&branch.target, ip) {
            self.policy.response_refused(&branch.target, source.peer);
            return self.counters.drop(Drop::ResponseFromElsewhere);
        }
        let invite = matches!(branch.machine, ClientMachine::Invite(_));
        match (invite, message.method()) {
            (true, Method::Cancel) => self.on_cancel_response(index, message, out),
            (true, Method::Invite) => self.on_invite_response(now, transaction, index, source, message, out),
            (false, method) if method != Method::Invite => {
                self.on_non_invite_response(now, transaction, index, source, message, out);
            }
            _ => self.counters.drop(Drop::ResponseNotOurs),
        }
    }

    fn on_invite_response(
        &mut self,
        now: Now,
        transaction: u32,
        index: u32,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let Some(&Branch { machine, .. }) = self.transactions.branch(index) else {
            return;
        };
        let ClientMachine::Invite(state) = machine else {
            return;
        };
        let status = message.status();
        let event = match status {
            100..=199 => client_invite::Event::Provisional,
            200..=299 => client_invite::Event::Success,
            _ => client_invite::Event::Failure,
        };
        let (next, actions) = client_invite::step(state, event);
        if actions.has(Actions::ACK) && state == client_invite::State::Completed {
            self.counters.drop(Drop::ResponseRepeated);
            self.send_kept(index, out);
            return;
        }
        if state == client_invite::State::Accepted && actions.has(Actions::PASS) {
            // What a branch in Accepted keeps is the ACK of an answer that we have ended.
            if self.send_kept(index, out) {
                return self.counters.drop(Drop::ResponseRepeated);
            }
            if self.is_forked_answer(transaction, message) {
                return self.end_forked_answer(now, transaction, source, message, out);
            }
            return self.relay(transaction, source, message, out);
        }
        if !actions.has(Actions::PASS) {
            return self.counters.drop(Drop::ResponseRepeated);
        }
        self.hear(now, transaction, index, source, message);
        if let Some(branch) = self.transactions.branch_mut(index) {
            branch.machine = ClientMachine::Invite(next);
            branch.answered = true;
            branch.retransmit_at =
                if branch.cancel == CancelState::Sent { branch.retransmit_at } else { Branch::NEVER };
            branch.give_up_at = if status == 100 { branch.ring_by } else { Branch::NEVER };
        }
        self.transactions.unlink_silent(index);
        match event {
            client_invite::Event::Provisional => self.on_provisional(now, transaction, index, state, message, out),
            client_invite::Event::Success => self.on_success(now, transaction, index, source, message, out),
            _ => self.on_failure(now, transaction, index, message, out),
        }
    }

    /// Point 3.
    fn hear(&mut self, now: Now, transaction: u32, index: u32, source: &Endpoint, message: &Message<'_>) {
        let Some(&Branch { target, sent_at, answered, .. }) = self.transactions.branch(index) else { return };
        let mut nothing = P::Note::default();
        let Some(&Transaction { source: caller, owner, .. }) = self.transactions.record(transaction) else { return };
        let (note, request) = self.transactions.note_and_request(transaction).unwrap_or((&mut nothing, &[]));
        let context = ResponseContext {
            target,
            source: source.peer,
            request,
            caller,
            after: now.mono.since(sent_at),
            first: !answered,
            slot: owner.slot,
        };
        self.policy.response(message, &context, note, now);
        if message.status() > 100
            && let Some(branch) = self.transactions.branch_mut(index)
        {
            branch.ringing = true;
        }
    }

    /// Steps 2, 5: 101 to 199 goes upstream at once; Timer C starts again.
    fn on_provisional(
        &mut self,
        now: Now,
        transaction: u32,
        index: u32,
        before: client_invite::State,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let timer_c = self.settings.timers.c;
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        match branch.cancel {
            CancelState::None if branch.given_up => branch.cancel = CancelState::Wanted,
            CancelState::None if message.status() > 100 => branch.expire_at = now.mono.after(timer_c),
            // §16.7 step 2: a 100 starts Timer C in place of Timer B, and never again.
            CancelState::None if before == client_invite::State::Calling => {
                branch.expire_at = branch.sent_at.after(timer_c);
            }
            CancelState::None | CancelState::Wanted | CancelState::Sent | CancelState::Done => {}
        }
        let (cancel, pending) = (branch.cancel, branch.pending());
        if cancel == CancelState::Wanted {
            self.send_cancel(now, index, out);
        }
        self.transactions.rearm_branch(index, out);
        let open =
            self.transactions.context(transaction).is_some_and(|context| !context.answered && !context.cancelled);
        if message.status() > 100 && open && pending {
            self.relay_provisional(transaction, message, out);
        }
    }

    /// Steps 5, 10: every 2xx goes upstream at once; what else is pending is cancelled.
    fn on_success(
        &mut self,
        now: Now,
        transaction: u32,
        index: u32,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        let was_pending = branch.pending();
        branch.outcome = Some(Outcome::Response(message.status()));
        if was_pending && let Some(context) = self.transactions.context_mut(transaction) {
            context.pending = context.pending.saturating_sub(1);
        }
        if self.is_second_answer(transaction) {
            self.end_second_answer(now, index, message, out);
            return self.transactions.settle(transaction, out);
        }
        self.accept(now, transaction, source, message, out);
        self.leave_to_transaction(now, transaction, index, source.peer.ip(), out);
        self.cancel_pending(now, transaction, out);
        self.transactions.settle(transaction, out);
    }

    /// In Accepted a branch only passes on its 2xx when it is repeated. The transaction does that by number and
    /// address while it is in Accepted itself, which takes less room; else the branch stays until Timer M.
    fn leave_to_transaction(&mut self, now: Now, transaction: u32, index: u32, source: IpAddr, out: &mut impl Outbox) {
        let timer_m = self.settings.timers.m;
        let Some(&Branch { number, target, .. }) = self.transactions.branch(index) else {
            return;
        };
        let Some(record) = self.transactions.record(transaction) else {
            return;
        };
        let accepted = record.machine == ServerMachine::Invite(server_invite::State::Accepted)
            // What the response gets back stands in the request, which stays with the branch.
            && self.transactions.originals(transaction).is_none();
        let Some(record) = self.transactions.record_mut(transaction) else {
            return;
        };
        let from = *record.accepted_from.get_or_insert(source);
        if accepted && from == source && target.next_hop.ip() == source {
            record.accepted |= 1u16.checked_shl(u32::from(number)).unwrap_or(0);
            return self.transactions.remove_branch(index, out);
        }
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        branch.retransmit_at = Branch::NEVER;
        branch.give_up_at = Branch::NEVER;
        branch.expire_at = now.mono.after(timer_m);
        self.transactions.rearm_branch(index, out);
    }

    /// Steps 4, 6: 300 to 699 is acknowledged here and waits for the others.
    fn on_failure(&mut self, now: Now, transaction: u32, index: u32, message: &Message<'_>, out: &mut impl Outbox) {
        self.send_ack(index, message, out);
        let timer_d = self.settings.timers.d;
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        let was_pending = branch.pending();
        branch.retransmit_at = Branch::NEVER;
        branch.expire_at = now.mono.after(timer_d);
        let number = branch.number;
        if was_pending {
            branch.outcome = Some(Outcome::Response(message.status()));
        }
        let (request_uri, edits) = (branch.request_uri.take(), branch.edits.take());
        self.transactions.free(request_uri);
        self.transactions.free(edits);
        self.transactions.rearm_branch(index, out);
        if was_pending {
            self.keep_challenge(index, message);
            self.branch_ended(now, transaction, number, Outcome::Response(message.status()), passable(message), out);
        } else {
            self.transactions.settle(transaction, out);
        }
    }

    fn on_non_invite_response(
        &mut self,
        now: Now,
        transaction: u32,
        index: u32,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let Some(&Branch { machine, sent_at, .. }) = self.transactions.branch(index) else {
            return;
        };
        let ClientMachine::NonInvite(state) = machine else {
            return;
        };
        let provisional = message.status() < 200;
        let event = if provisional { client_non_invite::Event::Provisional } else { client_non_invite::Event::Final };
        let (next, actions) = client_non_invite::step(state, event);
        if !actions.has(Actions::PASS) {
            return self.counters.drop(Drop::ResponseRepeated);
        }
        if let Some(ServerMachine::Own(ticket)) = self.transactions.record(transaction).map(|record| record.machine) {
            return self.on_own_response(now, transaction, ticket, sent_at, message, out);
        }
        self.hear(now, transaction, index, source, message);
        self.transactions.unlink_silent(index);
        let t2 = self.settings.timers.t2;
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        branch.machine = ClientMachine::NonInvite(next);
        branch.answered = true;
        branch.give_up_at = Branch::NEVER;
        if provisional {
            // §17.1.2.2: in Proceeding Timer E runs at T2. RFC 4320 §4.1: nothing goes upstream; our own 100 will.
            branch.interval = t2;
            return self.transactions.rearm_branch(index, out);
        }
        branch.retransmit_at = Branch::NEVER;
        self.on_non_invite_final(now, transaction, index, source, message, out);
    }

    /// Steps 5 and 6 for a method other than INVITE: a 2xx goes upstream at once, anything else waits.
    fn on_non_invite_final(
        &mut self,
        now: Now,
        transaction: u32,
        index: u32,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let timer_f = self.settings.timers.f;
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        let (number, was_pending) = (branch.number, branch.pending());
        let outcome = Outcome::Response(message.status());
        branch.outcome = Some(outcome);
        let Some(context) = self.transactions.context_mut(transaction) else {
            self.transactions.remove_branch(index, out);
            return self.transactions.settle(transaction, out);
        };
        let success = (200..300).contains(&message.status());
        let open = !context.answered;
        if success {
            context.pending = context.pending.saturating_sub(u8::from(was_pending));
            let renewed = Renewed::of(&self.settings, message, source.peer);
            if open && !self.send_relayed(now, transaction, number, message, (None, renewed), out) {
                self.send_own_final(now, transaction, message.status(), out);
            }
        } else if was_pending {
            self.keep_challenge(index, message);
            self.branch_ended(now, transaction, number, outcome, passable(message), out);
        }
        let has_challenge = self.transactions.branch(index).is_some_and(|branch| branch.challenges.is_some());
        let still_open = self.transactions.context(transaction).is_some_and(|context| !context.answered);
        if has_challenge && still_open {
            // Step 7: its challenges may have to go upstream with those of the others.
            if let Some(branch) = self.transactions.branch_mut(index) {
                branch.expire_at = now.mono.after(timer_f);
            }
            return self.transactions.rearm_branch(index, out);
        }
        // WHY the branch goes: Timer K only absorbs repeated responses, and the transaction, which outlives
        // it by Timer J, does that. With it the transaction may go too (no answer was wanted any more).
        self.transactions.remove_branch(index, out);
        self.transactions.settle(transaction, out);
    }

    /// A response to a branch that is gone. The 2xx of an INVITE still goes upstream (RFC 6026 §7.2).
    fn on_absorbed_response(
        &mut self,
        now: Now,
        transaction: u32,
        number: u8,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let Some(record) = self.transactions.record(transaction) else {
            return;
        };
        let accepted = record.accepted & 1u16.checked_shl(u32::from(number)).unwrap_or(0) != 0;
        let success = message.method() == Method::Invite && (200..300).contains(&message.status());
        if !(accepted && success) {
            return self.counters.drop(Drop::ResponseRepeated);
        }
        if record.accepted_from != Some(source.peer.ip()) {
            return self.counters.drop(Drop::ResponseFromElsewhere);
        }
        if self.is_forked_answer(transaction, message) {
            return self.end_forked_answer(now, transaction, source, message, out);
        }
        self.relay(transaction, source, message, out);
    }

    /// Time since a branch's request was first sent.
    pub(super) fn age(&self, now: Now, index: u32) -> Micros {
        self.transactions.branch(index).map_or(Micros(0), |branch| now.mono.since(branch.sent_at))
    }
}

/// Whose response it is, where its token and what it repeats of the request have proven it.
struct Known {
    transaction: u32,
    branch: u32,
    /// Its To is the request's too, a tag aside.
    repeats_to: bool,
}

fn has_second_via(message: &Message<'_>) -> bool {
    message.top_via().is_ok_and(|top| !top.alone) || message.is_repeated(HeaderName::Via)
}

/// A failure as it may go upstream. `None`: it has no Via but ours (step 3), so our own response with its status
/// goes. WHY not dropped: gateways that make their 487 from the CANCEL have no other, and mean it.
fn passable<'a, 'm>(message: &'a Message<'m>) -> Option<&'a Message<'m>> {
    has_second_via(message).then_some(message)
}
