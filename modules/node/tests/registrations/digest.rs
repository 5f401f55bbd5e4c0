//! Phones that prove who they are, others who try to pass for them, and what is asserted of the answers.
//!
//! Who tries ([`Attempt`]) never gets a 200. A right proof whose nonce is fresh and whose count was not used gets no 401.

use crate::phone::{Asking, Attempt, Nonce, Proof, STRANGER};
use crate::world::{Asked, PHONE, USERS, World};

/// Another address than the phones'.
const ELSEWHERE: &str = "192.0.2.77:5060";

/// Who tries wants to be reached here.
const THEIRS: &str = "<sip:mallory@192.0.2.66>;expires=3600";

impl World {
    /// A phone registers, or somebody tries to, or the source of accounts falls silent or wakes.
    pub(crate) fn digest_step(&mut self) -> Result<(), String> {
        // A nonce of the millisecond in which a process began is stale: another process may have made it.
        self.passed += 1_000 * (1 + self.draw(50));
        self.settle()?;
        match self.draw(16) {
            0 => self.source_turns(),
            1 | 2 => self.attempt_one(Attempt::Guess),
            3..=6 => self.attempt_one(Attempt::Replay),
            7 => self.attempt_one(Attempt::Elsewhere),
            8 => self.attempt_one(Attempt::Stranger),
            _ => {
                let user = format!("u{}", self.draw(USERS));
                self.prove(&user)
            }
        }
    }

    /// A process has begun: what was good before it is tried at once.
    pub(crate) fn replay_after_start(&mut self) -> Result<(), String> {
        self.passed += 1_000;
        self.attempt_one(Attempt::Replay)
    }

    /// As one of the users of whom enough was seen.
    fn attempt_one(&mut self, attempt: Attempt) -> Result<(), String> {
        let draw = self.draw(USERS);
        let mut seen: Vec<_> = self.phones.iter().filter(|(_, phone)| phone.was_seen(attempt)).collect();
        seen.sort_by_key(|(_, phone)| std::cmp::Reverse(phone.spent_last()));
        // The youngest proofs are the most promising ones.
        let draw = if attempt == Attempt::Replay { draw / 2 } else { draw };
        let Some((user, _)) = seen.get(usize::try_from(draw).unwrap() % seen.len().max(1)) else { return Ok(()) };
        let user = (*user).clone();
        self.attempt(&user, attempt)
    }

    /// Its questions are held while it is silent; then it answers them all, also those that nobody waits for any more.
    fn source_turns(&mut self) -> Result<(), String> {
        let accounts = self.process.accounts();
        accounts.is_silent = !accounts.is_silent;
        let is_silent = accounts.is_silent;
        self.say(if is_silent { "the source of accounts is silent" } else { "the source of accounts is well" });
        self.settle().map(drop)
    }

    /// With the nonce that it has, or with one that it gets first. A nonce that is stale is replaced, and it goes on at once.
    fn prove(&mut self, user: &str) -> Result<(), String> {
        if self.draw(8) == 0 || self.phones.get(user).is_none_or(|phone| phone.nonce.is_none()) {
            self.attempt(user, Attempt::Unproven)?;
        }
        let before = self.stale;
        self.prove_once(user)?;
        if self.stale > before { self.prove_once(user) } else { Ok(()) }
    }

    fn prove_once(&mut self, user: &str) -> Result<(), String> {
        let step = [1, 1, 1, 2, 0, 70][usize::try_from(self.draw(6)).unwrap()];
        let phone = self.phones.entry(user.to_owned()).or_default();
        let Some(proof) = phone.prove(user, step) else { return Ok(()) };
        self.register(Some((user.to_owned(), proof)))
    }

    fn attempt(&mut self, user: &str, attempt: Attempt) -> Result<(), String> {
        let (draw, asking) = (self.draw(64), self.asking());
        let phone = self.phones.entry(user.to_owned()).or_default();
        let Some((line, stale)) = phone.attempt(user, attempt, draw, asking) else { return Ok(()) };
        let user = if attempt == Attempt::Stranger { STRANGER } else { user };
        let (cseq, text) = self.request(user, THEIRS, &line);
        self.say(&format!("{attempt:?} as {user}"));
        self.attempts.insert((user.to_owned(), cseq), (attempt, stale));
        self.send(if attempt == Attempt::Elsewhere { ELSEWHERE } else { PHONE }, &text)
    }

    /// An attempt is refused as it must be.
    pub(crate) fn attempt_answered(
        &mut self,
        user: &str,
        (attempt, stale): (Attempt, Option<bool>),
        text: &str,
    ) -> Result<(), String> {
        self.attempted += 1;
        let is_untold = text.starts_with("SIP/2.0 503");
        let is_stale = text.contains("stale=true");
        if !is_untold && (!text.starts_with("SIP/2.0 401") || stale.is_some_and(|stale| stale != is_stale)) {
            return Err(format!("{attempt:?} as {user} got {text}"));
        }
        if attempt == Attempt::Unproven && !is_untold {
            self.take_nonce(user, text);
        }
        Ok(())
    }

    /// A right proof got 401.
    pub(crate) fn proof_stale(&mut self, asked: &Asked, proof: &Proof, text: &str) -> Result<(), String> {
        // One that was taken, and came again after its transaction, may have been followed by others.
        if !text.contains("stale=true") || !(asked.repeated || proof.may_be_stale(self.asking())) {
            return Err(format!("{}'s right proof {} got {text}", asked.user, proof.line));
        }
        self.stale += 1;
        self.changed_nothing(asked);
        self.take_nonce(&asked.user, text);
        Ok(())
    }

    /// A right proof got 503: because its source has said nothing of it, or because the disk does not work.
    pub(crate) fn maybe_untold(&mut self, asked: &Asked) {
        if let Some(proof) = &asked.proof
            && self.process.accounts().holds(&proof.response)
        {
            self.untold += 1;
            self.changed_nothing(asked);
        }
    }

    fn changed_nothing(&mut self, asked: &Asked) {
        // Of one that was repeated nobody knows what came of it the first time.
        if !asked.repeated {
            self.model.never(&asked.user, asked.sure);
        }
        self.asked.remove(&asked.user);
    }

    fn take_nonce(&mut self, user: &str, challenge: &str) {
        let text = challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let nonce = Nonce { text: text.to_owned(), came: self.passed, process: self.kills };
        self.phones.entry(user.to_owned()).or_default().take(nonce);
    }

    fn asking(&self) -> Asking {
        Asking { passed: self.passed, process: self.kills }
    }
}
