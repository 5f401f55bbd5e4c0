//! Where `proto` meets `engine`: the proxy's outbox, made of the engine's.

use crate::letter::{LANES, Letter, Question as LaneQuestion};
use crate::shard_pending::Pending;
use engine::{Address, ShardId};
use modules::question::Asked;
use modules::route::ANSWER;
use proto::message::{Uri, Writer};
use proto::policy::Question;
use proto::proxy::{Egress, Outbox, Ticket};
use proto::time::Mono;
use proto::transaction::{TimerHandle, TimerToken};

/// Lent to the proxy for the length of one call.
pub(crate) struct ShardOutbox<'a, 'b> {
    pub(crate) engine: &'a mut engine::Outbox<'b, Letter>,
    pub(crate) pending: &'a mut Pending,
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

    fn transmit_when_durable(&mut self, record: u64, to: &Egress, mut write: impl FnMut(&mut Writer<'_>)) -> bool {
        let egress = engine::Egress { listener: to.listener, local: to.local, peer: to.peer, flow: to.flow };
        let held = match record & ANSWER {
            0 => &mut self.pending.replies,
            _ => &mut self.pending.answers,
        };
        held.hold(record & !ANSWER, egress, |room| {
            let mut writer = Writer::new(room);
            write(&mut writer);
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
            Question::Module(number) => self.ask_for_module(number, ticket, about),
        }
    }
}

impl ShardOutbox<'_, '_> {
    /// To the shard that it names, or to the lanes. What finds no room is not asked: its deadline answers it.
    fn ask_for_module(&mut self, number: u32, ticket: Ticket, bytes: &[u8]) {
        let Some(asked) = Asked::of_number(number) else { return };
        let to = match asked.shard.map(u8::try_from) {
            Some(Ok(shard)) => Address::Shard(ShardId(shard)),
            _ => LANES,
        };
        let Some(question) = self.pending.modules.ask(ticket, number, bytes) else { return };
        if let Err(Letter::Ask(question)) = self.engine.post(to, Letter::Ask(question)) {
            self.pending.modules.home(question);
        }
    }

    /// A question that finds no room is not asked: its deadline answers it.
    fn ask_for_addresses(&mut self, ticket: Ticket, about: &[u8]) {
        let Ok(uri) = Uri::parse(about) else { return };
        let Some((token, mut question)) = self.pending.names.take(ticket) else { return };
        if !question.ask(token, uri.host_bytes, uri.port) {
            return self.pending.names.put_back(question);
        }
        if let Err(Letter::Question(question)) = self.engine.post(LANES, Letter::Question(question)) {
            self.pending.names.put_back(question);
        }
    }
}

/// The first address of an answer.
pub(crate) fn answer_of(question: &LaneQuestion) -> proto::policy::Answer {
    question.addresses().next().map_or(proto::policy::Answer::Nothing, proto::policy::Answer::Address)
}
