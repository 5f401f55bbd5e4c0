//! RFC 3261 §16.8 and every other timer: what happens when one fires.

use super::counters::Drop;
use super::forward::back_off;
use super::{Outbox, OwnRequest, Proxy};
use crate::policy::{Outcome, Policy};
use crate::time::Now;
use crate::transaction::{
    Actions, Branch, CancelState, ClientMachine, ServerMachine, TimerToken, client_invite, client_non_invite,
    server_invite, server_non_invite,
};

impl<P: Policy> Proxy<P> {
    /// A timer fired. One whose moment has moved or whose owner is gone does nothing.
    pub fn on_timer(&mut self, now: Now, token: TimerToken, out: &mut impl Outbox) {
        match token {
            TimerToken::Branch(index) => self.on_branch_timer(now, index, out),
            TimerToken::Transaction(index) => self.on_transaction_timer(now, index, out),
        }
    }

    fn on_branch_timer(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        let Some(&due) = self.transactions.branch(index) else {
            return;
        };
        if due.retransmit_at <= now.mono {
            self.retransmit_branch(now, index, out);
        }
        if due.expire_at <= now.mono {
            return self.expire_branch(now, index, out);
        }
        if due.give_up_at <= now.mono {
            self.give_up(now, index, out);
        }
        self.transactions.rearm_branch(index, out);
    }

    /// Timers A and E, and E of a CANCEL.
    fn retransmit_branch(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        let timers = self.settings.timers;
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        if branch.cancel == CancelState::Sent {
            branch.retransmit_at = back_off(now.mono, &mut branch.interval, timers.t2);
            return self.resend_cancel(index, out);
        }
        let (actions, longest) = match branch.machine {
            // §17.1.1.2: Timer A doubles without end; Timer B ends it.
            ClientMachine::Invite(state) => (client_invite::step(state, client_invite::Event::TimerA).1, timers.b),
            ClientMachine::NonInvite(state) => {
                (client_non_invite::step(state, client_non_invite::Event::TimerE).1, timers.t2)
            }
        };
        if !actions.has(Actions::RESEND) {
            branch.retransmit_at = Branch::NEVER;
            return;
        }
        branch.retransmit_at = back_off(now.mono, &mut branch.interval, longest);
        self.resend_branch(index, out);
    }

    /// The target has not said a word in its time: no more requests to it, the next target's turn; but it is
    /// listened to until Timer B.
    fn give_up(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        branch.give_up_at = Branch::NEVER;
        if branch.ringing || !branch.pending() {
            return;
        }
        if branch.ring_by <= now.mono {
            return self.give_up_ringing(now, index, out);
        }
        if branch.answered {
            return;
        }
        branch.given_up = true;
        branch.retransmit_at = Branch::NEVER;
        self.counters.given_up += 1;
        self.end_branch(now, index, Outcome::GivenUp, out);
    }

    /// Timers B, C, D, F, K, M by state.
    fn expire_branch(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        let transaction = branch.transaction;
        let outcome = Outcome::TimedOut { ringing: branch.ringing };
        let proceeding = branch.machine == ClientMachine::Invite(client_invite::State::Proceeding);
        if proceeding && branch.cancel == CancelState::None {
            // §16.8: Timer C: the branch is cancelled, and counts as answered 408.
            branch.cancel = CancelState::Wanted;
            self.send_cancel(now, index, out);
            self.transactions.rearm_branch(index, out);
            return self.end_branch(now, index, outcome, out);
        }
        branch.machine = match branch.machine {
            ClientMachine::Invite(client_invite::State::Proceeding) => {
                // §9.1: no final response 64 T1 after the CANCEL: nothing more will come.
                ClientMachine::Invite(client_invite::State::Terminated)
            }
            ClientMachine::Invite(state) => {
                let event = match state {
                    client_invite::State::Calling => client_invite::Event::TimerB,
                    client_invite::State::Completed => client_invite::Event::TimerD,
                    _ => client_invite::Event::TimerM,
                };
                ClientMachine::Invite(client_invite::step(state, event).0)
            }
            ClientMachine::NonInvite(state) => {
                let event = match state {
                    client_non_invite::State::Completed => client_non_invite::Event::TimerK,
                    _ => client_non_invite::Event::TimerF,
                };
                ClientMachine::NonInvite(client_non_invite::step(state, event).0)
            }
        };
        self.end_branch(now, index, outcome, out);
        self.transactions.remove_branch(index, out);
        self.transactions.settle(transaction, out);
    }

    /// A branch comes to its outcome without a final response; nothing if it had one before.
    pub(super) fn end_branch(&mut self, now: Now, index: u32, outcome: Outcome, out: &mut impl Outbox) {
        let after = self.age(now, index);
        self.transactions.unlink_silent(index);
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        if !branch.pending() {
            return;
        }
        branch.outcome = Some(outcome);
        let (transaction, number, target) = (branch.transaction, branch.number, branch.target);
        let Some(record) = self.transactions.record(transaction) else {
            return;
        };
        if let ServerMachine::Own(ticket) = record.machine {
            if ticket != OwnRequest::NOBODY {
                self.policy.own_response(ticket, outcome, after, now);
            }
            return self.transactions.release(transaction, out);
        }
        let mut note = self.transactions.context(transaction).map_or_else(P::Note::default, |context| context.note);
        self.policy.silence(&target, outcome, &mut note, now);
        if let Some(context) = self.transactions.context_mut(transaction) {
            context.note = note;
        }
        self.branch_ended(now, transaction, number, outcome, None, out);
    }

    fn on_transaction_timer(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        let Some(record) = self.transactions.record_mut(index) else {
            return;
        };
        let (retransmit, expire) = (record.retransmit_at <= now.mono, record.expire_at <= now.mono);
        if expire {
            return self.expire_transaction(now, index, out);
        }
        if retransmit {
            self.retransmit_response(now, index, out);
        }
        self.transactions.rearm_record(index, out);
    }

    /// Timer G; or the moment of a non-INVITE's 100.
    fn retransmit_response(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        let t2 = self.settings.timers.t2;
        let Some(record) = self.transactions.record_mut(index) else {
            return;
        };
        let ServerMachine::Invite(state) = record.machine else {
            return self.send_trying(index, out);
        };
        let (_, actions) = server_invite::step(state, server_invite::Event::TimerG);
        if !actions.has(Actions::RESEND) {
            record.retransmit_at = Branch::NEVER;
            return;
        }
        record.retransmit_at = back_off(now.mono, &mut record.interval, t2);
        self.counters.retransmissions_sent += 1;
        let egress = super::reply::reply_egress(&record.source, record.reply_port);
        if let Some(stored) = record.response {
            let bytes = self.transactions.bytes(&stored);
            if !out.transmit(&egress, |writer| writer.put(bytes)) {
                self.counters.drop(Drop::NotSent);
            }
        }
    }

    /// Timers H, I, J, L, and the deadline of a question.
    fn expire_transaction(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        if self.transactions.context(index).is_some_and(|context| context.parked.is_some()) {
            return self.on_deadline(now, index, out);
        }
        if self.has_patience(index) {
            return self.on_overdue(now, index, out);
        }
        let Some(record) = self.transactions.record_mut(index) else {
            return;
        };
        record.retransmit_at = Branch::NEVER;
        record.expire_at = Branch::NEVER;
        record.machine = match record.machine {
            ServerMachine::Invite(state) => {
                let event = match state {
                    server_invite::State::Completed => server_invite::Event::TimerH,
                    server_invite::State::Confirmed => server_invite::Event::TimerI,
                    _ => server_invite::Event::TimerL,
                };
                ServerMachine::Invite(server_invite::step(state, event).0)
            }
            ServerMachine::NonInvite(state) => {
                ServerMachine::NonInvite(server_non_invite::step(state, server_non_invite::Event::TimerJ).0)
            }
            ServerMachine::Own(ticket) => ServerMachine::Own(ticket),
        };
        self.transactions.settle(index, out);
    }
}
