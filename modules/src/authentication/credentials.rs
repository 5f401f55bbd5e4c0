//! What a shard remembers of accounts: the HA1s of those that there are, decoys for those that there are not.
//!
//! INVARIANT: an unknown user has an HA1 too, a keyed hash that nobody can know, and is checked against it in the
//! same way. No branch and no octet of an answer depends on whether a user is known.

use super::algorithm::{Algorithm, HASH_BYTES_MAX, Hash};
use super::buckets::{Buckets, Entry};
use proto::hash::{Purpose, Secret, SignatureHash};
use proto::time::{Micros, Mono};

/// HA1s of an account, one for each algorithm that its source can serve.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ha1s([Option<Hash>; Algorithm::ALL.len()]);

impl Ha1s {
    /// Adds one.
    pub fn set(&mut self, ha1: Hash) {
        self.0.get_mut(ha1.algorithm() as usize).into_iter().for_each(|place| *place = Some(ha1));
    }

    /// That of an algorithm.
    pub fn get(&self, algorithm: Algorithm) -> Option<&Hash> {
        self.0.get(algorithm as usize)?.as_ref()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Those of one password.
    pub fn of_password(username: &[u8], realm: &[u8], password: &[u8]) -> Self {
        let mut all = Ha1s::default();
        Algorithm::ALL.iter().for_each(|algorithm| all.set(super::proof::ha1(*algorithm, username, realm, password)));
        all
    }
}

/// How long answers of a source are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of users that there are.
    pub known: Micros,
    /// Of users that there are not.
    pub unknown: Micros,
}

/// What is remembered of a user, whether or not there is one.
#[derive(Debug)]
pub struct Account {
    /// Its HA1s, or decoys.
    pub ha1s: Ha1s,
    /// As long as this, proofs that hold are believed.
    until: Mono,
    /// As long as this, proofs that fail are believed to be wrong. Its source was asked because of such a one.
    ///
    /// WHY apart: what a failure costs must not tell whether the user is known and at work, nor may a new password
    /// wait until the old one is forgotten.
    failures_until: Mono,
}

impl Account {
    /// Whether a proof that fails may be taken for wrong without asking the source.
    pub fn knows_failures(&self, now: Mono) -> bool {
        self.failures_until > now
    }

    /// The source was just asked, and a proof fails all the same.
    pub fn remember_failure(&mut self, lifetimes: Lifetimes, now: Mono) {
        self.failures_until = now.after(lifetimes.unknown);
    }
}

impl Entry for Account {
    fn rank(&self) -> u64 {
        self.until.0
    }
}

/// See the module.
#[derive(Debug)]
pub struct Credentials {
    table: Buckets<Account>,
    decoy: Secret,
}

impl Credentials {
    /// Memory of a place.
    pub(super) const PLACE_BYTES: usize = Buckets::<Account>::PLACE_BYTES;

    /// Room for `capacity` users. `decoy`: for HA1s of users that there are not.
    pub fn new(capacity: u32, decoy: Secret) -> Self {
        Credentials { table: Buckets::new(capacity), decoy }
    }

    /// What is known of an account, not older than it may be.
    pub fn get(&mut self, account: u128, now: Mono) -> Option<&mut Account> {
        self.table.find(account).filter(|known| known.until > now)
    }

    /// A source said what it has. An account without an HA1 for an algorithm has a decoy in its place.
    pub fn learn(&mut self, account: u128, found: Option<Ha1s>, lifetimes: Lifetimes, now: Mono) {
        let lifetime = if found.is_some() { lifetimes.known } else { lifetimes.unknown };
        let mut ha1s = self.decoys(account);
        found.iter().flat_map(|found| found.0).flatten().for_each(|ha1| ha1s.set(ha1));
        _ = self.table.put(account, Account { ha1s, until: now.after(lifetime), failures_until: Mono(0) });
    }

    /// Asks anew the next time.
    pub fn forget(&mut self, account: u128) {
        _ = self.table.remove(account);
    }

    /// Asks anew for all.
    pub fn forget_all(&mut self) {
        self.table.retain(|_| false);
    }

    fn decoys(&self, account: u128) -> Ha1s {
        let mut ha1s = Ha1s::default();
        for algorithm in Algorithm::ALL {
            let half = |number| {
                let hash = SignatureHash::new(&self.decoy, Purpose::Decoy).number(account as u64);
                hash.number((account >> 64) as u64).number(algorithm as u64).number(number).finish().to_le_bytes()
            };
            let mut bytes = [0; HASH_BYTES_MAX];
            bytes.iter_mut().zip(half(0).into_iter().chain(half(1))).for_each(|(to, from)| *to = from);
            let made = bytes.get(..algorithm.hash_bytes()).and_then(|bytes| Hash::from_bytes(algorithm, bytes));
            made.into_iter().for_each(|ha1| ha1s.set(ha1));
        }
        ha1s
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes { known: Micros::from_secs(300), unknown: Micros::from_secs(30) };

    fn ha1(credentials: &mut Credentials, account: u128, algorithm: Algorithm, now: Mono) -> Option<Vec<u8>> {
        credentials.get(account, now).map(|known| known.ha1s.get(algorithm).unwrap().bytes().to_vec())
    }

    #[test]
    fn answers_are_remembered_as_long_as_they_may() {
        let mut credentials = Credentials::new(64, Secret([1; 16]));
        let found = Ha1s::of_password(b"alice", b"example.com", b"secret");
        let at = |seconds: u64| Mono(seconds * 1_000_000);
        credentials.learn(1, Some(found), LIFETIMES, at(0));
        credentials.learn(2, None, LIFETIMES, at(0));
        let wanted = found.get(Algorithm::Sha256).unwrap().bytes();
        assert_eq!(ha1(&mut credentials, 1, Algorithm::Sha256, at(299)).unwrap(), wanted);
        assert_eq!(ha1(&mut credentials, 1, Algorithm::Sha256, at(300)), None);
        assert!(ha1(&mut credentials, 2, Algorithm::Md5, at(29)).is_some());
        assert_eq!(ha1(&mut credentials, 2, Algorithm::Md5, at(30)), None);
        assert_eq!(ha1(&mut credentials, 3, Algorithm::Md5, at(0)), None);
        credentials.forget(1);
        assert_eq!(ha1(&mut credentials, 1, Algorithm::Sha256, at(1)), None);
        credentials.forget_all();
        assert_eq!(ha1(&mut credentials, 2, Algorithm::Md5, at(1)), None);
    }

    #[test]
    fn whoever_has_no_ha1_has_a_decoy_of_his_own() {
        let mut credentials = Credentials::new(64, Secret([1; 16]));
        let mut md5_alone = Ha1s::default();
        md5_alone.set(Algorithm::Md5.hash(&[b"a"]));
        credentials.learn(1, Some(md5_alone), LIFETIMES, Mono(0));
        credentials.learn(2, None, LIFETIMES, Mono(0));
        let mut all = Vec::new();
        for (account, algorithm) in [1, 2].into_iter().flat_map(|one| Algorithm::ALL.map(|algorithm| (one, algorithm)))
        {
            all.push(ha1(&mut credentials, account, algorithm, Mono(0)).unwrap());
        }
        assert_eq!(all[0], Algorithm::Md5.hash(&[b"a"]).bytes());
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6, "each of its own");
    }
}
