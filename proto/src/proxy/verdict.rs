//! RFC 3261 §16.5 and what follows from it: the policy's verdict on a request is carried out.

use super::counters::{Drop, Refused};
use super::preprocess::Preprocessed;
use super::reply::Arrival;
use super::validate::may_hop;
use super::{Outbox, Proxy};
use crate::message::{Message, Method};
use crate::policy::{End, Policy, Verdict};
use crate::time::Now;
use crate::transaction::{ServerMachine, Stage, server_invite, server_non_invite};

impl<P: Policy> Proxy<P> {
    #[allow(clippy::too_many_arguments, reason = "a request with all that was found out about it")]
    pub(super) fn carry_out(
        &mut self,
        now: Now,
        arrival: &Arrival,
        message: &Message<'_>,
        pre: &Preprocessed<'_>,
        note: P::Note,
        verdict: Verdict<P::Reason>,
        out: &mut impl Outbox,
    ) {
        match verdict {
            Verdict::Forward | Verdict::ForwardStateless | Verdict::Ask { .. } if !may_hop(message) => {
                self.refuse_before_open(now, arrival, message, note, Refused::MaxForwards, out);
            }
            // A CANCEL that cancels nothing kept here goes on only where its INVITE went statelessly.
            Verdict::Forward | Verdict::Ask { .. } if message.method() == Method::Cancel => {
                self.refuse(arrival, message, Refused::CancelUnknown, out);
            }
            // An ACK is never answered, so nothing need be kept for it.
            Verdict::Forward if message.method() == Method::Ack => {
                self.forward_statelessly(&arrival.source, message, pre, Some(arrival.key.id()), out)
            }
            Verdict::ForwardStateless => self.forward_statelessly(&arrival.source, message, pre, None, out),
            Verdict::Forward => {
                if let Some(transaction) = self.open(now, arrival, message, pre, note, out)
                    && !self.open_branches(now, transaction, message, pre, out)
                {
                    self.choose(now, transaction, None, out);
                }
            }
            Verdict::Ask { question, deadline } => {
                if let Some(transaction) = self.open(now, arrival, message, pre, note, out) {
                    let stage = if message.to_tag().is_empty() { Stage::NewRequest } else { Stage::InDialog };
                    self.park(now, transaction, stage, question, deadline, pre, out);
                }
            }
            Verdict::Reply { status, .. } => {
                if status >= 300 {
                    self.counters.refuse(Refused::Policy);
                }
                self.reply_as_decided(arrival, message, status, out);
            }
            Verdict::Drop(_) => self.counters.drop(Drop::Policy),
        }
    }

    /// Creates the server transaction and sends our 100 (§17.2.1: at once, since routing may take a while).
    fn open(
        &mut self,
        now: Now,
        arrival: &Arrival,
        message: &Message<'_>,
        pre: &Preprocessed<'_>,
        note: P::Note,
        out: &mut impl Outbox,
    ) -> Option<u32> {
        let invite = message.method() == Method::Invite;
        let machine = if invite {
            ServerMachine::Invite(server_invite::State::Proceeding)
        } else {
            ServerMachine::NonInvite(server_non_invite::State::Trying)
        };
        let created = self.transactions.create(
            arrival.key,
            self.settings.owner_of(message, pre.call),
            arrival.source,
            arrival.reply_port,
            machine,
            message,
            note,
        );
        let Some(transaction) = created else {
            self.refuse_before_open(now, arrival, message, note, Refused::NoRoom, out);
            return None;
        };
        self.counters.transactions += 1;
        if invite {
            self.reply_statelessly(arrival, message, 100, out);
        } else if message.method() != Method::Ack
            && let Some(record) = self.transactions.record_mut(transaction)
        {
            // RFC 4320 §4.1: a 100 to a non-INVITE when, and not before, its Timer E has come to T2.
            record.retransmit_at = now.mono.after(self.settings.timers.e_at_t2());
            self.transactions.rearm_record(transaction, out);
        }
        Some(transaction)
    }

    /// Refused after the policy was asked, before anything was kept: the policy hears that it is over.
    fn refuse_before_open(
        &mut self,
        now: Now,
        arrival: &Arrival,
        message: &Message<'_>,
        mut note: P::Note,
        why: Refused,
        out: &mut impl Outbox,
    ) {
        let status = why.status().unwrap_or(0);
        let end = End { status, request: message.bytes(), caller: arrival.source };
        self.policy.transaction_end(&end, &mut note, now);
        self.refuse(arrival, message, why, out);
    }
}
