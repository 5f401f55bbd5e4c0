//! INVITE transactions of gateways by their branch (RFC 3261 §17.2.3).
//!
//! Only messages without our tag are looked up here: INVITEs, their CANCELs and ACKs for failures.
//! A transaction that has ended is remembered for 64·T1, so that an INVITE that comes late is not
//! taken for a new call.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, Hash, Hasher},
};

use hashbrown::HashMap;
use proto::{
    message::Message,
    time::{Micros, Mono},
};

use crate::identity::Key;

/// What is known of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its call stands here.
    Live(Key),
    /// Its call has ended: absorb what still comes.
    Ended,
    /// The gateway plays dead to it.
    Silent,
}

/// A hash of topmost branch and sent-by.
pub(super) type BranchHash = u64;

type State = foldhash::fast::RandomState;

pub(super) struct Table {
    known: HashMap<BranchHash, Known, State>,
    /// When ended branches may be forgotten; in order, since all are kept equally long.
    ended: VecDeque<(Mono, BranchHash)>,
    ended_max: usize,
    keep: Micros,
}

impl Table {
    /// Room for `live` calls and `ended_max` ended ones, which are kept for `keep`.
    pub(super) fn new(live: u32, ended_max: u32, keep: Micros) -> Self {
        let (live, ended_max) = (live as usize, ended_max as usize);
        Table {
            known: HashMap::with_capacity_and_hasher(live + ended_max, State::default()),
            ended: VecDeque::with_capacity(ended_max),
            ended_max,
            keep,
        }
    }

    /// The hash of a request's transaction.
    pub(super) fn hash(&self, request: &Message<'_>) -> Option<BranchHash> {
        let via = request.top_via().ok()?;
        let mut hasher = self.known.hasher().build_hasher();
        via.branch.hash(&mut hasher);
        via.host_bytes.hash(&mut hasher);
        via.port.hash(&mut hasher);
        Some(hasher.finish())
    }

    pub(super) fn get(&self, branch: BranchHash) -> Option<Known> {
        self.known.get(&branch).copied()
    }

    pub(super) fn insert(&mut self, branch: BranchHash, key: Key) {
        self.known.insert(branch, Known::Live(key));
    }

    /// Keeps a branch in an end state for a while.
    pub(super) fn end(&mut self, branch: BranchHash, how: Known, now: Mono) {
        if self.ended.len() >= self.ended_max {
            self.forget_oldest();
        }
        self.known.insert(branch, how);
        self.ended.push_back((now.after(self.keep), branch));
    }

    /// Forgets what has been kept long enough.
    pub(super) fn expire(&mut self, now: Mono) {
        while self.ended.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, branch)) = self.ended.pop_front()
            && !matches!(self.known.get(&branch), Some(Known::Live(_)))
        {
            self.known.remove(&branch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_branches_are_kept_for_their_time_and_bounded_in_number() {
        let key = Key { slot: 0, generation: 1 };
        let mut table = Table::new(4, 2, Micros(100));
        table.insert(7, key);
        assert_eq!(table.get(7), Some(Known::Live(key)));
        table.end(7, Known::Ended, Mono(0));
        table.end(8, Known::Silent, Mono(50));
        assert_eq!(table.get(7), Some(Known::Ended));
        table.expire(Mono(100));
        assert_eq!((table.get(7), table.get(8)), (None, Some(Known::Silent)));
        table.end(9, Known::Ended, Mono(101));
        table.end(10, Known::Ended, Mono(102));
        assert_eq!(table.get(8), None, "the oldest gives way");
    }
}
