//! Which users have an account, as this shard was told: 404 for who has none, 480 for who is away.
//!
//! Apart from [`super::credentials`], where nobody may tell a known user from an unknown one: only callers who are let in
//! come here. Asked by [`crate::at_home`] when nobody of that name is registered.

use super::buckets::{Buckets, Entry};
use super::credentials::Lifetimes;
use proto::time::Mono;

#[derive(Clone, Copy, Debug)]
struct Told {
    exists: bool,
    until: Mono,
}

impl Entry for Told {
    fn rank(&self) -> u64 {
        self.until.0
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Existence {
    table: Buckets<Told>,
}

impl Existence {
    /// Memory of a place.
    pub(super) const PLACE_BYTES: usize = Buckets::<Told>::PLACE_BYTES;

    /// Room for `capacity` users.
    pub(super) fn new(capacity: u32) -> Self {
        Existence { table: Buckets::new(capacity) }
    }

    /// Whether there is such an account; `None`: its source has to be asked.
    pub(super) fn get(&mut self, account: u128, now: Mono) -> Option<bool> {
        self.table.find(account).filter(|told| told.until > now).map(|told| told.exists)
    }

    /// A source said so.
    pub(super) fn learn(&mut self, account: u128, exists: bool, lifetimes: Lifetimes, now: Mono) {
        let until = now.after(if exists { lifetimes.known } else { lifetimes.unknown });
        _ = self.table.put(account, Told { exists, until });
    }

    /// Asks anew for all.
    pub(super) fn forget_all(&mut self) {
        self.table.retain(|_| false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::time::Micros;

    #[test]
    fn what_was_said_holds_for_its_time_and_a_no_for_less() {
        let lifetimes = Lifetimes { known: Micros::from_secs(300), unknown: Micros::from_secs(30) };
        let at = |seconds: u64| Mono(seconds * 1_000_000);
        let mut existence = Existence::new(8);
        existence.learn(1, true, lifetimes, at(0));
        existence.learn(2, false, lifetimes, at(0));
        assert_eq!((existence.get(1, at(29)), existence.get(2, at(29))), (Some(true), Some(false)));
        assert_eq!((existence.get(1, at(30)), existence.get(2, at(30))), (Some(true), None));
        assert_eq!((existence.get(1, at(300)), existence.get(3, at(0))), (None, None));
        existence.learn(1, true, lifetimes, at(0));
        existence.forget_all();
        assert_eq!(existence.get(1, at(0)), None);
    }
}
