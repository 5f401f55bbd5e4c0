//! What a phone knows of digest: its nonce and the counts that it used. And what others try who have seen all of it.

use crate::accounts::{REALM, password};
use modules::authentication::algorithm::Algorithm;

/// How long a nonce holds, in seconds; as the file has it.
pub(crate) const NONCE_SECONDS: u64 = 60;

/// A count that is so far behind the highest one may be stale.
const WINDOW: u32 = 64;

/// Proofs that were good once and are kept, of each user.
const SPENT_MAX: usize = 8;

/// A nonce, as the client got it.
#[derive(Clone, Debug)]
pub(crate) struct Nonce {
    pub(crate) text: String,
    /// When it came, in microseconds since the beginning.
    pub(crate) came: u64,
    /// The number of the process that made it.
    pub(crate) process: u64,
}

/// A proof.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    pub(crate) nonce: Nonce,
    pub(crate) response: String,
    /// The header line.
    pub(crate) line: String,
    /// Its count is one that must be taken.
    in_window: bool,
}

/// The process that is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub(crate) passed: u64,
    pub(crate) process: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Phone {
    pub(crate) nonce: Option<Nonce>,
    highest: u32,
    /// A count that was left out, and may come later.
    left: Option<u32>,
    spent: Vec<Proof>,
}

/// What somebody tries who must not get a binding by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Without a proof: that is how a phone begins.
    Unproven,
    /// A wrong password.
    Guess,
    /// A proof that was good once, for another contact.
    Replay,
    /// The right password and a fresh count, from another address than the nonce was given to.
    Elsewhere,
    /// A user that there is not.
    Stranger,
}

impl Proof {
    fn new(user: &str, password: &str, nonce: &Nonce, count: u32, in_window: bool) -> Self {
        let hash = |text: &str| {
            let hex = Algorithm::Md5.hash(&[text.as_bytes()]).hex();
            String::from_utf8(hex.as_bytes().to_vec()).unwrap()
        };
        let (ha1, ha2) = (hash(&format!("{user}:{REALM}:{password}")), hash("REGISTER:sip:example.com"));
        let text = &nonce.text;
        let response = hash(&format!("{ha1}:{text}:{count:08x}:c:auth:{ha2}"));
        let line = format!(
            "Authorization: Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{text}\", uri=\"sip:example.com\", \
             response=\"{response}\", algorithm=MD5, cnonce=\"c\", qop=auth, nc={count:08x}\r\n"
        );
        Proof { nonce: nonce.clone(), response, line, in_window }
    }

    /// Whether it may be stale, although it is right and was not used.
    pub(crate) fn may_be_stale(&self, asking: Asking) -> bool {
        !self.nonce.is_fresh(asking) || !self.in_window
    }
}

impl Nonce {
    /// Whether it must be taken.
    fn is_fresh(&self, asking: Asking) -> bool {
        self.process == asking.process && asking.passed - self.came < (NONCE_SECONDS - 1) * 1_000_000
    }
}

impl Phone {
    /// A challenge came.
    pub(crate) fn take(&mut self, nonce: Nonce) {
        (self.nonce, self.highest, self.left) = (Some(nonce), 0, None);
    }

    /// A proof of its own; `step`: how far its count goes on, or 0: one that was left out, if there is one.
    pub(crate) fn prove(&mut self, user: &str, step: u32) -> Option<Proof> {
        let nonce = self.nonce.as_ref()?;
        let (count, in_window) = match self.left.take_if(|_| step == 0) {
            Some(left) => (left, self.highest - left < WINDOW),
            None => {
                self.left = (step > 1).then_some(self.highest + 1).or(self.left);
                self.highest += step.max(1);
                (self.highest, true)
            }
        };
        Some(Proof::new(user, &password(user), nonce, count, in_window))
    }

    /// A proof was good.
    pub(crate) fn spend(&mut self, proof: Proof) {
        self.spent.push(proof);
        if self.spent.len() > SPENT_MAX {
            self.spent.remove(0);
        }
    }

    /// When the nonce came that was good last.
    pub(crate) fn spent_last(&self) -> Option<u64> {
        self.spent.last().map(|proof| proof.nonce.came)
    }

    /// Whether there is something to try it with.
    pub(crate) fn was_seen(&self, attempt: Attempt) -> bool {
        if attempt == Attempt::Replay { !self.spent.is_empty() } else { self.nonce.is_some() }
    }

    /// The header line of an attempt, and whether a nonce that cannot be used must be what is said of it (`None`: either).
    /// `None`: there is nothing to try it with.
    pub(crate) fn attempt(
        &mut self,
        user: &str,
        attempt: Attempt,
        draw: u64,
        asking: Asking,
    ) -> Option<(String, Option<bool>)> {
        let nonce = self.nonce.clone();
        // No request of its own ever has this count again.
        self.highest += 1;
        let highest = self.highest;
        let make = |user: &str, password: &str| {
            nonce.as_ref().map(|nonce| Proof::new(user, password, nonce, highest, true).line)
        };
        let fresh = nonce.as_ref().is_some_and(|nonce| nonce.is_fresh(asking));
        let guess = fresh.then_some(false);
        match attempt {
            Attempt::Unproven => Some((String::new(), Some(false))),
            Attempt::Guess => Some((make(user, "guessed")?, guess)),
            Attempt::Stranger => Some((make(STRANGER, "guessed")?, guess)),
            Attempt::Elsewhere => Some((make(user, &password(user))?, Some(true))),
            Attempt::Replay => {
                let back = usize::try_from(draw / 2).unwrap() % self.spent.len().clamp(1, 4);
                Some((self.spent.iter().rev().nth(back)?.line.clone(), Some(true)))
            }
        }
    }
}

/// One who has no account.
pub(crate) const STRANGER: &str = "nobody";
