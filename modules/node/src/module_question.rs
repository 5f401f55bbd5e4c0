//! Questions of modules under way: boxes of bytes that travel to a lane or another shard and come back.
//!
//! Made once when a shard starts, so that nothing is allocated for a question. Answered by a shard
//! ([`crate::app`]) or by a lane, in the same box.

use engine::ShardId;
use proto::proxy::Ticket;

/// Questions of modules that a shard may have under way.
pub(crate) const UNDER_WAY_MAX: usize = 512;

/// Most bytes of a question or an answer: the contacts of one user, with their paths.
pub const QUESTION_BYTES_MAX: usize = 16_384;

/// Room that each box has from the start. WHY less than the most: few users have more than a contact or two, and
/// a box that once grew stays large.
const ROOM_BYTES: usize = 2_048;

/// One question and its answer.
#[derive(Clone, Debug)]
pub struct ModuleQuestion {
    /// Who asks, and gets the answer.
    pub from: ShardId,
    /// The asker's own number.
    pub token: u64,
    /// What is asked ([`modules::question::Asked`]).
    pub number: u32,
    /// The answer in short; what it means is the module's.
    pub answer: u64,
    bytes: Vec<u8>,
}

impl ModuleQuestion {
    /// What is asked, then what is answered; at most [`QUESTION_BYTES_MAX`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Answers with a number and bytes; more bytes than fit become none.
    pub fn reply(&mut self, answer: u64, bytes: &[u8]) {
        self.answer = answer;
        self.bytes.clear();
        if bytes.len() <= QUESTION_BYTES_MAX {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

/// The boxes of one shard. INVARIANT: each box is either here or under way.
#[derive(Debug)]
pub(crate) struct ModuleQuestions {
    shard: ShardId,
    #[expect(clippy::vec_box, reason = "the boxes travel in letters and must not be made on the shard")]
    idle: Vec<Box<ModuleQuestion>>,
    waiting: Vec<Option<Ticket>>,
    free: Vec<u64>,
    /// Questions that were asked.
    pub(crate) asked: u64,
    /// Questions that found no box, or were too long.
    pub(crate) refused: u64,
}

impl ModuleQuestions {
    /// The boxes of a shard; none where no module asks.
    pub(crate) fn new(shard: ShardId, asks: bool) -> Self {
        let count = if asks { UNDER_WAY_MAX } else { 0 };
        let make = |_| {
            let bytes = Vec::with_capacity(ROOM_BYTES);
            Box::new(ModuleQuestion { from: shard, token: 0, number: 0, answer: 0, bytes })
        };
        ModuleQuestions {
            shard,
            idle: (0..count).map(make).collect(),
            waiting: vec![None; count],
            free: (0..count as u64).rev().collect(),
            asked: 0,
            refused: 0,
        }
    }

    /// Whether there are no boxes at all.
    pub(crate) fn are_none(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A box that asks. `None`: all are under way, or it is too long; its deadline answers it.
    pub(crate) fn ask(&mut self, ticket: Ticket, number: u32, bytes: &[u8]) -> Option<Box<ModuleQuestion>> {
        if bytes.len() > QUESTION_BYTES_MAX || self.idle.is_empty() {
            self.refused += 1;
            return None;
        }
        // INVARIANT: there are as many free numbers as idle boxes.
        let (mut question, token) = (self.idle.pop()?, self.free.pop()?);
        *usize::try_from(token).ok().and_then(|at| self.waiting.get_mut(at))? = Some(ticket);
        question.reply(0, bytes);
        (question.from, question.token, question.number) = (self.shard, token, number);
        self.asked += 1;
        Some(question)
    }

    /// A box has come home; whose question it was.
    pub(crate) fn home(&mut self, question: Box<ModuleQuestion>) -> Option<Ticket> {
        let ticket = usize::try_from(question.token).ok().and_then(|at| self.waiting.get_mut(at)?.take());
        if ticket.is_some() {
            self.free.push(question.token);
        }
        self.idle.push(question);
        ticket
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn boxes_go_round_and_an_answer_finds_its_ticket() {
        let mut questions = ModuleQuestions::new(ShardId(1), true);
        let ticket = Ticket { transaction: 5, round: 1 };
        let mut question = questions.ask(ticket, 7, b"alice").unwrap();
        assert_eq!((question.bytes(), question.number, question.from), (&b"alice"[..], 7, ShardId(1)));
        question.reply(1, b"sip:alice@192.0.2.1");
        assert_eq!(questions.home(question), Some(ticket));
        let all: Vec<_> = (0..UNDER_WAY_MAX).map(|_| questions.ask(ticket, 7, b"a").unwrap()).collect();
        assert!(questions.ask(ticket, 7, b"a").is_none());
        assert_eq!((questions.refused, all.len()), (1, UNDER_WAY_MAX));
        all.into_iter().for_each(|question| assert_eq!(questions.home(question), Some(ticket)));
    }

    #[test]
    fn what_is_too_long_is_not_asked_and_loses_no_box() {
        let mut questions = ModuleQuestions::new(ShardId(0), true);
        let ticket = Ticket { transaction: 5, round: 1 };
        assert!(questions.ask(ticket, 7, &[0; QUESTION_BYTES_MAX + 1]).is_none());
        assert_eq!(questions.idle.len(), UNDER_WAY_MAX);
    }
}
