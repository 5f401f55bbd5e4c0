//! RFC 3261 §16.7 steps 4 to 10: the best response is chosen and becomes the final one; or the policy advances.

use super::preprocess::UriText;
use super::record_route::Renewed;
use super::relay::write_relayed;
use super::reply::{Status, reply_egress, to_tag, write_response};
use super::{Outbox, Proxy};
use crate::message::{HeaderName, Message, Method, Writer};
use crate::policy::{Choice, End, Endpoint, Outcome, Policy};
use crate::time::Now;
use crate::transaction::{Best, Branch, ServerMachine, server_invite, server_non_invite};

impl<P: Policy> Proxy<P> {
    /// A branch has come to its outcome without a 2xx. `message`: its response, if there was one.
    pub(super) fn branch_ended(
        &mut self,
        now: Now,
        transaction: u32,
        number: u8,
        outcome: Outcome,
        message: Option<&Message<'_>>,
        out: &mut impl Outbox,
    ) {
        let Some(context) = self.transactions.context_mut(transaction) else {
            return self.transactions.settle(transaction, out);
        };
        context.pending = context.pending.saturating_sub(1);
        if context.answered {
            return self.transactions.settle(transaction, out);
        }
        let better = context.best.is_none_or(|best| preference(outcome) <= preference(best.outcome));
        let pending = context.pending > 0;
        if outcome.status() >= 600 {
            // Step 5: a 6xx ends all, but the others are waited for.
            context.closed = true;
            self.cancel_pending(now, transaction, out);
        }
        if pending {
            if better {
                self.keep_best(transaction, number, outcome, message);
            }
            return;
        }
        if better {
            self.set_best(transaction, Best { outcome, response: None, branch: number });
            self.choose(now, transaction, message, out);
        } else {
            self.choose(now, transaction, None, out);
        }
    }

    /// A target that could not even be tried.
    pub(super) fn note_failure(&mut self, transaction: u32, outcome: Outcome) {
        let Some(context) = self.transactions.context(transaction) else {
            return;
        };
        if context.best.is_none_or(|best| preference(outcome) < preference(best.outcome)) {
            let branch = context.opened.saturating_sub(1);
            self.set_best(transaction, Best { outcome, response: None, branch });
        }
    }

    fn keep_best(&mut self, transaction: u32, branch: u8, outcome: Outcome, message: Option<&Message<'_>>) {
        let response = message.and_then(|message| self.transactions.keep(message.bytes()));
        self.set_best(transaction, Best { outcome, response, branch });
    }

    fn set_best(&mut self, transaction: u32, best: Best) {
        if let Some(context) = self.transactions.context_mut(transaction) {
            let old = context.best.replace(best);
            self.transactions.free(old.and_then(|old| old.response));
        }
    }

    /// Step 6, point 4: nothing is pending. `in_hand`: the best response, if it has just come.
    ///
    /// Targets of which none can be opened are a failure like any other: the policy is asked again, at most once
    /// for each branch that a request may have.
    pub(super) fn choose(&mut self, now: Now, transaction: u32, in_hand: Option<&Message<'_>>, out: &mut impl Outbox) {
        let mut in_hand = in_hand;
        for _ in 0..limits::BRANCHES_MAX {
            let Some(context) = self.transactions.context(transaction) else {
                return;
            };
            if context.answered {
                return;
            }
            let best = context.best.map_or(Outcome::Unreachable, |best| best.outcome);
            let may_advance = !context.closed && usize::from(context.opened) < limits::BRANCHES_MAX;
            let choice =
                if may_advance { self.point_four(now, transaction, best) } else { Choice::Send { status: None } };
            match choice {
                Choice::Send { status } => return self.send_best(now, transaction, in_hand, status, out),
                Choice::Answer { status } => return self.send_decided_final(now, transaction, status, out),
                Choice::Advance => {
                    self.keep_in_hand(transaction, in_hand.take());
                    if self.advance(now, transaction, out) {
                        return;
                    }
                }
            }
        }
        self.send_best(now, transaction, None, None, out);
    }

    /// The best response has to wait for other branches after all.
    fn keep_in_hand(&mut self, transaction: u32, in_hand: Option<&Message<'_>>) {
        let best = self.transactions.context(transaction).and_then(|context| context.best);
        if let (Some(message), Some(best)) = (in_hand, best) {
            self.keep_best(transaction, best.branch, best.outcome, Some(message));
        }
    }

    /// Opens the branches that the policy wants next. False: none could be opened.
    fn advance(&mut self, now: Now, transaction: u32, out: &mut impl Outbox) -> bool {
        self.with_kept_request(transaction, |proxy, source, request| {
            let mut text = UriText::default();
            proxy
                .preprocessed(source, request, &mut text)
                .is_some_and(|pre| proxy.open_branches(now, transaction, request, &pre, out))
        })
        .unwrap_or(false)
    }

    fn point_four(&mut self, now: Now, transaction: u32, best: Outcome) -> Choice {
        self.with_kept_request(transaction, |proxy, source, request| {
            let mut text = UriText::default();
            let pre = proxy.preprocessed(source, request, &mut text)?;
            let inbound = proxy.inbound(source, request, &pre);
            let context = proxy.transactions.context_mut(transaction)?;
            proxy.targets.clear();
            Some(proxy.policy.best_response(&inbound, best, &mut context.note, &mut proxy.targets, now))
        })
        .flatten()
        .unwrap_or(Choice::Send { status: None })
    }

    /// Steps 7 to 9.
    fn send_best(
        &mut self,
        now: Now,
        transaction: u32,
        in_hand: Option<&Message<'_>>,
        status: Option<u16>,
        out: &mut impl Outbox,
    ) {
        let Some(context) = self.transactions.context(transaction) else {
            return;
        };
        let cancelled = context.cancelled;
        let best = context.best.unwrap_or(Best { outcome: Outcome::Unreachable, response: None, branch: 0 });
        let local = if cancelled { 487 } else { status.unwrap_or(best.outcome.status()) };
        if let Some(message) = in_hand {
            if !self.send_relayed(now, transaction, best.branch, message, (status, None), out) {
                self.send_own_final(now, transaction, local, out);
            }
            return;
        }
        if let Some(stored) = best.response {
            let mut bytes = core::mem::take(&mut self.scratch);
            let mut arena = core::mem::replace(&mut self.scratch_arena, crate::message::Arena::empty());
            bytes.clear();
            bytes.extend_from_slice(self.transactions.bytes(&stored));
            let sent = Message::parse(&bytes, &mut arena)
                .is_ok_and(|message| self.send_relayed(now, transaction, best.branch, &message, (status, None), out));
            self.scratch = bytes;
            self.scratch_arena = arena;
            if sent {
                return;
            }
        }
        self.send_own_final(now, transaction, local, out);
    }

    /// The final response is one that came from downstream, under this status if another is wanted, our Record-Route
    /// renewed. False: it does not fit, and nothing has happened.
    pub(super) fn send_relayed(
        &mut self,
        now: Now,
        transaction: u32,
        branch: u8,
        message: &Message<'_>,
        (status, renewed): (Option<u16>, Option<Renewed>),
        out: &mut impl Outbox,
    ) -> bool {
        let mut buffer = core::mem::take(&mut self.outgoing);
        let mut writer = Writer::new(&mut buffer);
        let originals = self.transactions.originals(transaction);
        write_relayed(message, status, renewed, originals, &mut writer, |writer| {
            self.write_other_challenges(transaction, branch, message, writer)
        });
        let written = writer.finish().ok().and_then(|length| buffer.get(..length)).filter(|bytes| !bytes.is_empty());
        if let Some(bytes) = written {
            let said = (message.method(), status.unwrap_or(message.status()));
            self.send_final(now, transaction, said, bytes, out);
        }
        let sent = written.is_some();
        self.outgoing = buffer;
        sent
    }

    /// The final response is our own.
    pub(super) fn send_own_final(&mut self, now: Now, transaction: u32, status: u16, out: &mut impl Outbox) {
        // INVARIANT: what is attached belongs to the verdict that has just been given, and this is none.
        self.targets.clear();
        self.send_decided_final(now, transaction, status, out);
    }

    /// The final response is the policy's, with the header lines that it attached.
    pub(super) fn send_decided_final(&mut self, now: Now, transaction: u32, status: u16, out: &mut impl Outbox) {
        // RFC 4320 §4.2: a non-INVITE is never answered 408; its sender has stopped waiting.
        let silent = status == 408 && self.transactions.record(transaction).is_some_and(|record| !record.is_invite());
        if silent {
            return self.end_silently(now, transaction, out);
        }
        let mut buffer = core::mem::take(&mut self.outgoing);
        let made = self
            .with_kept_request(transaction, |proxy, source, request| {
                let tag = to_tag(&proxy.settings, proxy.transactions.record(transaction)?.key);
                let mut writer = Writer::new(&mut buffer);
                let lines = proxy.targets.attachment();
                write_response(&proxy.settings, request, source, Status::of(status), &tag, lines, &mut writer);
                Some((request.method(), writer.finish().ok()?))
            })
            .flatten();
        let (method, length) = made.unwrap_or((Method::Other, 0));
        self.send_final(now, transaction, (method, status), buffer.get(..length).unwrap_or_default(), out);
        self.outgoing = buffer;
    }

    /// Sends a final response that is no 2xx to an INVITE, moves the server machine, keeps the bytes for
    /// retransmission, and tells the policy (point 6).
    fn send_final(
        &mut self,
        now: Now,
        transaction: u32,
        (method, status): (Method, u16),
        bytes: &[u8],
        out: &mut impl Outbox,
    ) {
        let timers = self.settings.timers;
        let kept = self.transactions.keep(bytes);
        let Some(record) = self.transactions.record_mut(transaction) else {
            return;
        };
        let reliable = super::settings::reliable(self.settings.transport(record.source.listener));
        match record.machine {
            ServerMachine::Invite(state) => {
                record.machine = ServerMachine::Invite(server_invite::step(state, server_invite::Event::Failure).0);
                record.interval = timers.t1;
                record.retransmit_at = if reliable { Branch::NEVER } else { now.mono.after(timers.t1) };
                record.expire_at = now.mono.after(timers.h);
            }
            ServerMachine::NonInvite(state) => {
                record.machine =
                    ServerMachine::NonInvite(server_non_invite::step(state, server_non_invite::Event::Final).0);
                record.retransmit_at = Branch::NEVER;
                record.expire_at = now.mono.after(timers.j);
            }
            ServerMachine::Own(_) => {}
        }
        let old = core::mem::replace(&mut record.response, kept);
        let egress = reply_egress(&record.source, record.reply_port);
        self.transactions.free(old);
        self.transactions.rearm_record(transaction, out);
        if !bytes.is_empty() && out.transmit(&egress, |writer| writer.put(bytes)) {
            self.counters.response_sent(method, status);
        } else {
            self.counters.drop(super::Drop::NotSent);
        }
        self.end(now, transaction, status);
        self.transactions.settle(transaction, out);
    }

    /// Nothing is sent: the transaction goes on absorbing retransmissions until Timer J.
    fn end_silently(&mut self, now: Now, transaction: u32, out: &mut impl Outbox) {
        let timer_j = self.settings.timers.j;
        if let Some(record) = self.transactions.record_mut(transaction) {
            record.machine = ServerMachine::NonInvite(server_non_invite::State::Completed);
            record.retransmit_at = Branch::NEVER;
            record.expire_at = now.mono.after(timer_j);
        }
        self.transactions.rearm_record(transaction, out);
        self.end(now, transaction, 0);
        self.transactions.settle(transaction, out);
    }

    /// The first 2xx of a branch goes upstream, whatever has been sent before (step 5, RFC 6026 §7.1).
    pub(super) fn accept(
        &mut self,
        now: Now,
        transaction: u32,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let timer_l = self.settings.timers.l;
        let Some(record) = self.transactions.record_mut(transaction) else {
            return;
        };
        let ServerMachine::Invite(state) = record.machine else {
            return;
        };
        let (next, _) = server_invite::step(state, server_invite::Event::Success);
        if state != server_invite::State::Proceeding {
            self.counters.second_answers += 1;
        }
        record.machine = ServerMachine::Invite(next);
        if next == server_invite::State::Accepted {
            // WHY again for another branch's 2xx: it may be repeated as long as the first one.
            record.expire_at = now.mono.after(timer_l);
            let provisional = record.response.take();
            self.transactions.free(provisional);
            self.transactions.rearm_record(transaction, out);
        }
        self.relay(transaction, source, message, out);
        self.end(now, transaction, message.status());
        self.note_answer(transaction, message);
    }

    /// Point 6, once.
    fn end(&mut self, now: Now, transaction: u32, status: u16) {
        let Some(record) = self.transactions.record(transaction) else {
            return;
        };
        let caller = record.source;
        let Some(context) = self.transactions.context(transaction) else {
            return;
        };
        if context.answered {
            return;
        }
        let mut note = context.note;
        let end = End { status, request: self.transactions.request(transaction), caller };
        self.policy.transaction_end(&end, &mut note, now);
        if let Some(context) = self.transactions.context_mut(transaction) {
            context.note = note;
        }
        self.transactions.mark_answered(transaction);
    }

    /// Step 7: the challenges of the other branches, when the best response is one.
    fn write_other_challenges(&self, transaction: u32, best: u8, message: &Message<'_>, out: &mut Writer<'_>) {
        if !matches!(message.status(), 401 | 407) {
            return;
        }
        for (_, branch) in self.transactions.branches_of(transaction) {
            if let Some(lines) = branch.challenges.filter(|_| branch.number != best) {
                out.put(self.transactions.bytes(&lines));
            }
        }
    }

    /// A 401 or 407 has come: its challenges are kept with their branch, to go upstream with the others.
    pub(super) fn keep_challenge(&mut self, index: u32, message: &Message<'_>) {
        if !matches!(message.status(), 401 | 407) {
            return;
        }
        let mut buffer = core::mem::take(&mut self.outgoing);
        let mut writer = Writer::new(&mut buffer);
        for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
            for field in message.all(name) {
                writer.put(field.line.of(message.bytes()));
            }
        }
        let length = writer.finish().unwrap_or(0);
        let kept = self.transactions.keep(buffer.get(..length).unwrap_or_default());
        self.outgoing = buffer;
        match self.transactions.branch_mut(index) {
            Some(branch) => {
                let old = core::mem::replace(&mut branch.challenges, kept);
                self.transactions.free(old);
            }
            None => self.transactions.free(kept),
        }
    }
}

/// Step 6: smaller is better. 6xx first, then by class; within 4xx those that say how to try again; what a
/// target said before what we made up.
fn preference(outcome: Outcome) -> u16 {
    let status = outcome.status();
    let class = match status / 100 {
        6 => 0,
        class => class * 10,
    };
    let within = match status {
        401 | 407 | 415 | 420 | 484 => 0,
        _ => 2,
    };
    class + within + u16::from(!matches!(outcome, Outcome::Response(_)))
}
