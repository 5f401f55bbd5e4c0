//! Which counts of a nonce were used (RFC 7616 §3.4 `nc`, §5.5 replays): a window for each user and nonce, made by the
//! first proof. Bounded; what is evicted makes nonces stale and never lets a replay pass.
//!
//! INVARIANT: a bucket remembers the youngest nonce whose window it gave up. A nonce without a window is taken only
//! if it is younger than that, so it cannot have been used before. At the start that is "now": what an earlier
//! process gave out is stale, because nobody knows how often it was used.
//! [`super::Authenticator`] gives nonces of other processes no window at all, whatever their time says.

use super::buckets::{Buckets, Entry};
use super::nonce::Nonce;
use proto::hash::{KeyedHash, Purpose, Secret};

/// Counts below the highest that may still come: a client's requests can overtake each other.
const WINDOW: u32 = 64;

/// What a count is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It was not used before; it is now.
    First,
    /// It was used by the very same request: a retransmission.
    Again,
    /// It was used by another one, or nobody can tell any more.
    Stale,
}

#[derive(Debug)]
struct Window {
    made: u64,
    highest: u32,
    /// Bit n: the count `highest - n` was used.
    used: u64,
    /// The request that came last.
    last: u64,
}

impl Entry for Window {
    fn rank(&self) -> u64 {
        self.made
    }
}

/// See the module.
#[derive(Debug)]
pub struct Windows {
    table: Buckets<Window>,
    /// By bucket: nonces made at or before this moment that have no window are stale.
    stale_until: Vec<u64>,
    secret: Secret,
    evicted: u64,
}

impl Windows {
    /// Memory of a place.
    pub(super) const PLACE_BYTES: usize = Buckets::<Window>::PLACE_BYTES + 1;

    /// Room for `capacity` windows. `started`: the moment of the nonces' clock.
    pub fn new(capacity: u32, secret: Secret, started: u64) -> Self {
        let table = Buckets::new(capacity);
        Windows { stale_until: vec![started; table.count()], table, secret, evicted: 0 }
    }

    /// Uses a count of a nonce. To be asked only after the proof has held. `request` tells this request from others.
    pub fn take(&mut self, account: u128, nonce: Nonce, count: u32, request: u64) -> Use {
        let key = self.key(account, nonce);
        if let Some(window) = self.table.find(key) {
            return window.take(count, request);
        }
        let bucket = self.table.bucket_of(key);
        if self.stale_until.get(bucket).is_none_or(|until| nonce.made <= *until) {
            return Use::Stale;
        }
        let window = Window { made: nonce.made, highest: count, used: 1, last: request };
        if let Some(evicted) = self.table.put(key, window) {
            self.evicted += 1;
            let until = self.stale_until.get_mut(bucket);
            until.into_iter().for_each(|until| *until = evicted.made.max(*until));
        }
        Use::First
    }

    /// Windows that had to make room for others.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn key(&self, account: u128, nonce: Nonce) -> u128 {
        let hash = KeyedHash::new(&self.secret, Purpose::Nonce).number(account as u64).number((account >> 64) as u64);
        hash.number(nonce.made).number(nonce.salt).finish()
    }
}

impl Window {
    fn take(&mut self, count: u32, request: u64) -> Use {
        let ahead = count.saturating_sub(self.highest);
        let bit = match self.highest.saturating_sub(count) {
            _ if ahead >= WINDOW => {
                self.used = 0;
                1
            }
            _ if ahead > 0 => {
                self.used <<= ahead;
                1
            }
            behind if behind < WINDOW => 1 << behind,
            _ => return Use::Stale,
        };
        if self.used & bit != 0 {
            return if self.last == request { Use::Again } else { Use::Stale };
        }
        self.used |= bit;
        self.highest = self.highest.max(count);
        self.last = request;
        Use::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const SECRET: Secret = Secret([3; 16]);

    fn nonce(made: u64) -> Nonce {
        Nonce { made, salt: made * 7 }
    }

    #[test]
    fn counts_are_used_once() {
        let mut windows = Windows::new(8, SECRET, 0);
        let mut take = |count, request| windows.take(1, nonce(5), count, request);
        let steps = [
            (1, 10, Use::First),
            (1, 10, Use::Again),
            (1, 11, Use::Stale),
            (3, 12, Use::First),
            (2, 13, Use::First),
            (2, 13, Use::Again),
            (3, 12, Use::Stale),
            (64, 14, Use::First),
            (4, 15, Use::First),
            (66, 16, Use::First),
            (2, 17, Use::Stale),
            (1_000, 18, Use::First),
            (937, 19, Use::First),
            (936, 20, Use::Stale),
            (u32::MAX, 21, Use::First),
            (u32::MAX, 22, Use::Stale),
        ];
        for (count, request, expected) in steps {
            assert_eq!(take(count, request), expected, "count {count}, request {request}");
        }
    }

    #[test]
    fn users_and_nonces_have_windows_of_their_own() {
        let mut windows = Windows::new(64, SECRET, 4);
        assert_eq!(windows.take(1, nonce(5), 1, 0), Use::First);
        assert_eq!(windows.take(2, nonce(5), 1, 1), Use::First);
        assert_eq!(windows.take(1, nonce(6), 1, 2), Use::First);
        assert_eq!(windows.take(1, nonce(4), 1, 3), Use::Stale, "of an earlier process");
    }

    #[test]
    fn however_many_are_evicted_no_count_is_taken_twice() {
        let mut windows = Windows::new(16, SECRET, 0);
        let mut used = BTreeSet::new();
        // Nonces in no order, each of several users, tried again and again.
        for turn in 0..20_000u64 {
            let (account, made) = (u128::from(turn % 7), 1 + turn * 7_919 % 400);
            let first = windows.take(account, nonce(made), 1, turn) == Use::First;
            assert!(!first || used.insert((account, made)), "replayed: user {account}, nonce of {made}");
        }
        assert!(windows.evicted() > 10);
        assert_eq!(windows.take(1, nonce(401), 1, 0), Use::First, "a young nonce is still taken");
    }
}
