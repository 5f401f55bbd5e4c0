//! A request that waits for an answer of a lane or of another shard: its transaction is parked, the shard
//! goes on. Retransmissions are absorbed meanwhile, a CANCEL is honoured, and at the deadline the question's
//! default holds ([`Answer::Late`]).

use super::counters::Drop;
use super::preprocess::{Preprocessed, preprocess};
use super::{Outbox, Proxy};
use crate::policy::{Answer, Policy, Question, Verdict};
use crate::time::{Micros, Now};
use crate::transaction::{Branch, Parked, ServerMachine, Stage};

/// Questions that one request may ask, one after the other; the next one counts as not answered.
const ROUNDS_MAX: u8 = 8;

/// Names the question of one transaction; travels with it and comes back with the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The transaction's id.
    pub transaction: u64,
    /// Which of its questions.
    pub round: u8,
}

impl<P: Policy> Proxy<P> {
    #[allow(clippy::too_many_arguments, reason = "the question with all that it parks")]
    pub(super) fn park(
        &mut self,
        now: Now,
        transaction: u32,
        stage: Stage,
        question: Question,
        deadline: Micros,
        pre: &Preprocessed<'_>,
        out: &mut impl Outbox,
    ) {
        let Some(record) = self.transactions.record_mut(transaction) else {
            return;
        };
        record.expire_at = now.mono.after(deadline);
        let id = record.key.id();
        let Some(context) = self.transactions.context_mut(transaction) else {
            return;
        };
        let round = context.rounds;
        context.rounds = context.rounds.saturating_add(1);
        context.parked = Some(Parked { stage, question, round });
        self.transactions.rearm_record(transaction, out);
        let about = pre.next_route.map_or(pre.request_uri, |route| route.uri);
        out.ask(question, Ticket { transaction: id, round }, about);
    }

    /// The answer to a question. One that comes late or twice finds nobody and is counted.
    pub fn on_answer(&mut self, now: Now, ticket: Ticket, answer: Answer, out: &mut impl Outbox) {
        let waiting = self.transactions.find_id(ticket.transaction).filter(|&transaction| {
            let parked = self.transactions.context(transaction).and_then(|context| context.parked);
            parked.is_some_and(|parked| parked.round == ticket.round)
        });
        match waiting {
            Some(transaction) => self.resume(now, transaction, answer, out),
            None => self.counters.drop(Drop::AnswerLate),
        }
    }

    /// The deadline passed first.
    pub(super) fn on_deadline(&mut self, now: Now, transaction: u32, out: &mut impl Outbox) {
        self.resume(now, transaction, Answer::Late, out);
    }

    fn resume(&mut self, now: Now, transaction: u32, answer: Answer, out: &mut impl Outbox) {
        if let Some(record) = self.transactions.record_mut(transaction) {
            record.expire_at = Branch::NEVER;
        }
        self.transactions.rearm_record(transaction, out);
        let Some(context) = self.transactions.context_mut(transaction) else {
            return;
        };
        let Some(parked) = context.parked.take() else {
            return;
        };
        let mut note = context.note;
        let rounds = context.rounds;
        let resumed = self.with_kept_request(transaction, |proxy, message| {
            let pre = preprocess(&proxy.settings, message)?;
            let source = proxy.transactions.record(transaction)?.source;
            let verdict = proxy.ask_policy(now, &source, message, &pre, &mut note, Some(answer));
            if let Some(context) = proxy.transactions.context_mut(transaction) {
                context.note = note;
            }
            match verdict {
                Verdict::Forward if !proxy.wants_answer(message) => {
                    proxy.forward_statelessly(&source, message, &pre, out);
                    proxy.forget(now, transaction, out);
                }
                Verdict::Forward => proxy.open_branches(now, transaction, message, &pre, out),
                Verdict::ForwardStateless => {
                    proxy.forward_statelessly(&source, message, &pre, out);
                    proxy.forget(now, transaction, out);
                }
                Verdict::Ask { question, deadline } if rounds < ROUNDS_MAX => {
                    proxy.park(now, transaction, parked.stage, question, deadline, &pre, out);
                }
                Verdict::Ask { .. } => proxy.send_own_final(now, transaction, 500, out),
                Verdict::Reply { .. } | Verdict::Drop(_) if !proxy.wants_answer(message) => {
                    proxy.forget(now, transaction, out);
                }
                Verdict::Reply { status, .. } => {
                    proxy.counters.refuse(super::Refused::Policy);
                    proxy.send_own_final(now, transaction, status, out);
                }
                Verdict::Drop(_) => {
                    proxy.counters.drop(Drop::Policy);
                    proxy.forget(now, transaction, out);
                }
            }
            Some(())
        });
        if resumed.flatten().is_none() {
            self.send_own_final(now, transaction, 500, out);
        }
    }

    fn wants_answer(&self, message: &crate::message::Message<'_>) -> bool {
        message.method() != crate::message::Method::Ack
    }

    /// Nothing more is to be done for a parked request: it leaves no trace but its retransmissions' absorption.
    fn forget(&mut self, now: Now, transaction: u32, out: &mut impl Outbox) {
        let Some(record) = self.transactions.record(transaction) else {
            return;
        };
        let caller = record.source;
        let own = matches!(record.machine, ServerMachine::Own(_));
        if let Some(context) = self.transactions.context(transaction).filter(|context| !context.answered && !own) {
            let mut note = context.note;
            let end = crate::policy::End { status: 0, request: self.transactions.request(transaction), caller };
            self.policy.transaction_end(&end, &mut note, now);
        }
        self.transactions.release(transaction, out);
    }
}
