//! A request that waits for an answer of a lane or of another shard: its transaction is parked, the shard
//! goes on. Retransmissions are absorbed meanwhile, a CANCEL is honoured, and at the deadline the question's
//! default holds ([`Answer::Late`]).

use super::counters::{Drop, Refused};
use super::preprocess::{Preprocessed, UriText};
use super::reply::Arrival;
use super::{Outbox, Proxy};
use crate::message::{Message, Method};
use crate::policy::{Answer, Endpoint, Policy, Question, Verdict};
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
        let ticket = Ticket { transaction: id, round };
        match question {
            Question::Module(_) => out.ask(question, ticket, self.targets.attachment()),
            Question::Resolve => put(question, ticket, pre, out),
        }
    }

    /// The question of a transaction that was taken over, put again: its answer would find nobody elsewhere. What
    /// a module asked is not kept; its deadline answers it.
    pub(super) fn ask_again(&mut self, transaction: u32, out: &mut impl Outbox) {
        let Some(parked) = self.transactions.context(transaction).and_then(|context| context.parked) else {
            return;
        };
        let Some(id) = self.transactions.record(transaction).map(|record| record.key.id()) else {
            return;
        };
        if parked.question != Question::Resolve {
            return;
        }
        self.with_kept_request(transaction, |proxy, source, message| {
            let mut text = UriText::default();
            if let Some(pre) = proxy.preprocessed(source, message, &mut text) {
                put(parked.question, Ticket { transaction: id, round: parked.round }, &pre, out);
            }
        });
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
        let (mut note, rounds) = (context.note, context.rounds);
        let next = self.with_kept_request(transaction, |proxy, source, message| {
            let mut text = UriText::default();
            let pre = proxy.preprocessed(source, message, &mut text)?;
            let verdict = proxy.ask_policy(now, source, message, &pre, &mut note, Some(answer));
            if let Some(context) = proxy.transactions.context_mut(transaction) {
                context.note = note;
            }
            Some(match verdict {
                Verdict::ForwardStateless => {
                    proxy.forward_statelessly(source, message, &pre, None, out);
                    Next::Forget
                }
                Verdict::Forward if message.method() == Method::Ack => {
                    let id = proxy.transactions.record(transaction).map(|record| record.key.id());
                    proxy.forward_statelessly(source, message, &pre, id, out);
                    Next::Forget
                }
                Verdict::Forward if proxy.open_branches(now, transaction, message, &pre, out) => Next::Wait,
                Verdict::Forward => Next::Choose,
                // WHY without the transaction: a REGISTER may be asked about again at any time, and its answer may
                // have to wait for the disk.
                Verdict::Reply { status, .. } if message.method() == Method::Register => {
                    proxy.answer_afterwards(transaction, source, message, status, out);
                    Next::Forget
                }
                Verdict::Ask { question, deadline } if rounds < ROUNDS_MAX => {
                    proxy.park(now, transaction, parked.stage, question, deadline, &pre, out);
                    Next::Wait
                }
                Verdict::Drop(_) => {
                    proxy.counters.drop(Drop::Policy);
                    Next::Forget
                }
                Verdict::Ask { .. } | Verdict::Reply { .. } if message.method() == Method::Ack => Next::Forget,
                Verdict::Ask { .. } => Next::Fail,
                Verdict::Reply { status, .. } => Next::Reply(status),
            })
        });
        match next.flatten().unwrap_or(Next::Fail) {
            Next::Wait => {}
            Next::Choose => self.choose(now, transaction, None, out),
            Next::Forget => self.forget(now, transaction, out),
            Next::Fail => {
                self.counters.refuse(Refused::Policy);
                self.send_own_final(now, transaction, 500, out);
            }
            Next::Reply(status) => {
                if status >= 300 {
                    self.counters.refuse(Refused::Policy);
                }
                self.send_decided_final(now, transaction, status, out);
            }
        }
    }

    /// The answer of a request whose transaction ends with it, unanswered by itself.
    fn answer_afterwards(
        &mut self,
        transaction: u32,
        source: &Endpoint,
        message: &Message<'_>,
        status: u16,
        out: &mut impl Outbox,
    ) {
        let Some((key, reply_port)) =
            self.transactions.record(transaction).map(|record| (record.key, record.reply_port))
        else {
            return;
        };
        if status >= 300 {
            self.counters.refuse(Refused::Policy);
        }
        self.reply_as_decided(&Arrival { source: *source, reply_port, key }, message, status, out);
    }

    /// Nothing more is to be done for a parked request, and nothing of it is kept.
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

fn put(question: Question, ticket: Ticket, pre: &Preprocessed<'_>, out: &mut impl Outbox) {
    let about = pre.next_route.map_or(pre.request_uri, |route| route.uri);
    out.ask(question, ticket, about);
}

/// What becomes of a parked request once the policy has its answer.
enum Next {
    /// Branches are open, or another question is.
    Wait,
    /// No branch could be opened.
    Choose,
    /// It was passed on statelessly or dropped.
    Forget,
    /// It is answered with this status, as the policy said.
    Reply(u16),
    /// It is answered with 500.
    Fail,
}
