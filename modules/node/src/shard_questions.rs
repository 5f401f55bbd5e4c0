//! Questions of one shard that are under way: boxes made at the start, and whose they are.

use crate::letter::Question;
use engine::ShardId;
use proto::proxy::Ticket;

/// Questions that a shard may have under way. Hosts in dialogs are few and answers are cached by the lane.
pub(crate) const UNDER_WAY_MAX: usize = 256;

/// The boxes of one shard. INVARIANT: each box is either here or under way, never dropped on the shard.
#[derive(Debug)]
pub(crate) struct Questions {
    #[expect(clippy::vec_box, reason = "the boxes travel in letters and must not be made on the shard")]
    idle: Vec<Box<Question>>,
    /// By the question's token: who waits, and a count that tells an old answer from a new one.
    waiting: Vec<Option<Ticket>>,
    free: Vec<u64>,
    /// Questions that found no box.
    pub(crate) refused: u64,
}

impl Questions {
    /// All boxes of a shard.
    pub(crate) fn new(shard: ShardId) -> Self {
        Questions {
            idle: (0..UNDER_WAY_MAX).map(|_| Box::new(Question::new(shard))).collect(),
            waiting: vec![None; UNDER_WAY_MAX],
            free: (0..UNDER_WAY_MAX as u64).rev().collect(),
            refused: 0,
        }
    }

    /// A box for a question, and the token that it shall carry. `None`: all are under way.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<(u64, Box<Question>)> {
        let (Some(mut question), Some(token)) = (self.idle.pop(), self.free.pop()) else {
            self.refused += 1;
            return None;
        };
        // WHY already here: a host too long to be asked for leaves the box as it was, and it must still find home.
        question.token = token;
        if let Some(place) = usize::try_from(token).ok().and_then(|at| self.waiting.get_mut(at)) {
            *place = Some(ticket);
        }
        Some((token, question))
    }

    /// A box has come home; whose question it was.
    pub(crate) fn home(&mut self, question: Box<Question>) -> Option<Ticket> {
        let ticket = usize::try_from(question.token).ok().and_then(|at| self.waiting.get_mut(at)?.take());
        if ticket.is_some() {
            self.free.push(question.token);
        }
        self.idle.push(question);
        ticket
    }

    /// A box that was not sent after all.
    pub(crate) fn put_back(&mut self, question: Box<Question>) {
        let _ = self.home(question);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn boxes_go_round_and_an_answer_finds_its_ticket() {
        let mut questions = Questions::new(ShardId(0));
        let ticket = Ticket { transaction: 5, round: 1 };
        let (token, mut question) = questions.take(ticket).unwrap();
        assert!(question.ask(token, b"host.example", None));
        assert_eq!(questions.home(question), Some(ticket));
        let all: Vec<_> = (0..UNDER_WAY_MAX).map(|_| questions.take(ticket).unwrap()).collect();
        assert!(questions.take(ticket).is_none());
        assert_eq!(questions.refused, 1);
        for (token, mut question) in all {
            assert!(question.ask(token, b"a", None));
            questions.put_back(question);
        }
        assert_eq!(questions.take(ticket).map(|_| ()), Some(()));
    }
}
