//! Questions of modules to lanes and to other shards: what is asked, by the number that travels.
//!
//! A stage returns [`Asked::verdict`] after it attached the question's bytes to the target set. The shard's owner
//! carries number and bytes to whoever answers, hands what comes back to [`crate::TandemPolicy::take_answer`], and
//! the point is asked again with [`Answer::Module`]: the stage then finds the bytes in the policy.

use crate::reason::Reason;
use proto::policy::{Answer, Question, Verdict};
use proto::time::Micros;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A shard: the contacts of a user. Bytes: the registrar's.
    Location,
    /// A lane: the credentials of an account. Bytes: the authentication's.
    Credentials,
    /// A lane: the routing number of a ported one. Bytes: its digits; the answer's: those of the routing number.
    RoutingNumber,
}

impl Subject {
    const ALL: [Subject; 3] = [Subject::Location, Subject::Credentials, Subject::RoutingNumber];
}

/// A question: its subject, and who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What is asked.
    pub subject: Subject,
    /// The shard that answers; `None`: the lane of that subject.
    pub shard: Option<u16>,
}

/// No shard.
const LANE: u32 = 0xffff;

impl Asked {
    /// Its number.
    pub fn number(self) -> u32 {
        (self.subject as u32) << 16 | self.shard.map_or(LANE, u32::from)
    }

    /// The question of that number.
    pub fn of_number(number: u32) -> Option<Self> {
        let subject = *Subject::ALL.get(usize::try_from(number >> 16).ok()?)?;
        let shard = u16::try_from(number & 0xffff).ok().filter(|shard| u32::from(*shard) != LANE);
        Some(Asked { subject, shard })
    }

    /// The verdict that asks it.
    pub fn verdict(self, deadline: Micros) -> Verdict<Reason> {
        Verdict::Ask { question: Question::Module(self.number()), deadline }
    }
}

/// The answer that came to a question just now.
#[derive(Debug, Default)]
pub struct Answered {
    bytes: Vec<u8>,
}

impl Answered {
    /// Room for `bytes` at most.
    pub fn with_room(bytes: usize) -> Self {
        Answered { bytes: Vec::with_capacity(bytes) }
    }

    /// Keeps the bytes of an answer until the next one.
    pub fn take(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes that came with it; nothing for an answer that came too late or from nobody.
    pub fn of(&self, answer: Option<Answer>) -> &[u8] {
        match answer {
            Some(Answer::Module(_)) => &self.bytes,
            _ => b"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_what_is_asked_and_who_answers() {
        for subject in Subject::ALL {
            for shard in [None, Some(0), Some(63)] {
                let asked = Asked { subject, shard };
                assert_eq!(Asked::of_number(asked.number()), Some(asked));
            }
        }
        assert_eq!(Asked::of_number(9 << 16), None);
    }

    #[test]
    fn the_bytes_of_one_answer_are_not_those_of_another() {
        let mut answered = Answered::with_room(16);
        answered.take(b"abc");
        assert_eq!(answered.of(Some(Answer::Module(0))), b"abc");
        assert_eq!((answered.of(Some(Answer::Late)), answered.of(None)), (&b""[..], &b""[..]));
    }
}
