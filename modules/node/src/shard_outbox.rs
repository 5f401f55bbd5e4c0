//! Where `proto` meets `engine`: the proxy's outbox, made of the engine's.

use crate::letter::{LANES, Letter, Question as LaneQuestion};
use crate::shard_questions::Questions;
use proto::message::{Uri, Writer};
use proto::policy::Question;
use proto::proxy::{Egress, Outbox, Ticket};
use proto::time::Mono;
use proto::transaction::{TimerHandle, TimerToken};

/// Lent to the proxy for the length of one call.
pub(crate) struct ShardOutbox<'a, 'b> {
    pub(crate) engine: &'a mut engine::Outbox<'b, Letter>,
    pub(crate) questions: &'a mut Questions,
}

impl Outbox for ShardOutbox<'_, '_> {
    fn transmit(&mut self, to: &Egress, mut write: impl FnMut(&mut Writer<'_>)) -> bool {
        let egress = engine::Egress { listener: to.listener, local: to.local, peer: to.peer, flow: to.flow };
        self.engine.transmit(&egress, |slot| {
            let mut writer = Writer::new(slot);
            write(&mut writer);
            // WHY: more than the slot holds asks the engine for its largest.
            writer.finish().unwrap_or(usize::MAX)
        })
    }

    fn arm(&mut self, at: Mono, token: TimerToken) -> TimerHandle {
        let armed = self.engine.try_arm(engine::Mono(at.0), token.to_bits());
        armed.map_or(TimerHandle::default(), |handle| TimerHandle(handle.to_bits()))
    }

    fn disarm(&mut self, timer: TimerHandle) {
        if let Some(handle) = engine::TimerHandle::from_bits(timer.0) {
            self.engine.disarm(handle);
        }
    }

    fn ask(&mut self, question: Question, ticket: Ticket, about: &[u8]) {
        match question {
            Question::Resolve => self.ask_for_addresses(ticket, about),
            // WHY nothing: no module of today asks anything else; its deadline would answer it.
            Question::Module(_) => {}
        }
    }
}

impl ShardOutbox<'_, '_> {
    /// A question that finds no room is not asked: its deadline answers it.
    fn ask_for_addresses(&mut self, ticket: Ticket, about: &[u8]) {
        let Ok(uri) = Uri::parse(about) else { return };
        let Some((token, mut question)) = self.questions.take(ticket) else { return };
        if !question.ask(token, uri.host_bytes, uri.port) {
            return self.questions.put_back(question);
        }
        if let Err(Letter::Question(question)) = self.engine.post(LANES, Letter::Question(question)) {
            self.questions.put_back(question);
        }
    }
}

/// The first address of an answer.
pub(crate) fn answer_of(question: &LaneQuestion) -> proto::policy::Answer {
    question.addresses().next().map_or(proto::policy::Answer::Nothing, proto::policy::Answer::Address)
}
