//! INVITEs that take longer than the policy allows ([`crate::policy::Patience`]): a time for a provisional response of
//! each target, after which it is cancelled and the next one's turn comes; and a moment at which the policy says
//! whether the whole may go on.

use super::{Outbox, Proxy};
use crate::policy::{Outcome, Overdue, Policy};
use crate::time::{Micros, Mono, Now};
use crate::transaction::{Branch, CancelState, ClientMachine, ServerMachine, client_invite, server_invite};

impl<P: Policy> Proxy<P> {
    /// Branches are about to be opened: the transaction has as long as its targets say.
    pub(super) fn allow_time(&mut self, now: Now, transaction: u32, out: &mut impl Outbox) {
        let overdue = self.targets.patience().overdue;
        if overdue != Micros(0) {
            self.ask_again_at(transaction, now.mono.after(overdue), out);
        }
    }

    fn ask_again_at(&mut self, transaction: u32, moment: Mono, out: &mut impl Outbox) {
        if let Some(record) = self.transactions.record_mut(transaction) {
            record.expire_at = moment;
            self.transactions.rearm_record(transaction, out);
        }
    }

    /// Whether a transaction's `expire_at` is that of [`Proxy::allow_time`]: no timer of RFC 3261 §17.2.1 runs yet.
    pub(super) fn has_patience(&self, transaction: u32) -> bool {
        let record = self.transactions.record(transaction);
        record.is_some_and(|record| record.machine == ServerMachine::Invite(server_invite::State::Proceeding))
    }

    /// The time is over. What is cancelled now may still be answered: that is a second answer then.
    pub(super) fn on_overdue(&mut self, now: Now, transaction: u32, out: &mut impl Outbox) {
        self.ask_again_at(transaction, Branch::NEVER, out);
        let Some(context) = self.transactions.context(transaction).filter(|context| !context.answered) else {
            return;
        };
        let (mut note, cancelled) = (context.note, context.cancelled);
        self.targets.clear();
        let what = self.policy.overdue(&mut note, &mut self.targets, now);
        if let Some(context) = self.transactions.context_mut(transaction) {
            context.note = note;
            context.closed |= matches!(what, Overdue::End { .. });
        }
        match what {
            Overdue::Wait(moment) => self.ask_again_at(transaction, moment, out),
            Overdue::Forget => {}
            Overdue::End { status } => {
                self.cancel_pending(now, transaction, out);
                if cancelled {
                    self.send_own_final(now, transaction, 487, out);
                } else {
                    self.send_decided_final(now, transaction, status, out);
                }
            }
        }
    }

    /// A target has sent nothing beyond a 100 in its time: it is cancelled (§9.1: not before a 100 has come).
    pub(super) fn give_up_ringing(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        let Some(branch) = self.transactions.branch_mut(index).filter(|branch| branch.cancel == CancelState::None)
        else {
            return;
        };
        branch.given_up = true;
        if branch.machine == ClientMachine::Invite(client_invite::State::Proceeding) {
            self.send_cancel(now, index, out);
            self.transactions.rearm_branch(index, out);
        } else {
            branch.retransmit_at = Branch::NEVER;
        }
        self.counters.given_up += 1;
        self.end_branch(now, index, Outcome::NotRinging, out);
    }
}
