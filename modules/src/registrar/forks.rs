//! What of a user's contacts has not been tried yet: serial forking (RFC 3261 §16.6 item 7), from the highest q down.
//!
//! A request has one of these only while it rings at contacts of which others have a lower q.

use super::location::{ABOVE_ALL, targets_of};
use super::record::Bindings;
use proto::message::Method;
use proto::policy::TargetSet;

/// Names the contacts that wait for one request; 0: none do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForkId(u32);

/// Requests that may have contacts waiting. WHY few: hardly anybody registers a phone with a lower q.
const FORKS_MAX: usize = 1_024;

#[derive(Debug, Default)]
struct Fork {
    count: u16,
    /// Contacts of this q and above have been tried; 0 while it is free.
    below: u16,
    bindings: Vec<u8>,
    by_source: bool,
}

/// Of one shard.
#[derive(Debug, Default)]
pub struct Forks {
    forks: Vec<Fork>,
    free: Vec<u16>,
}

impl Forks {
    /// Puts the first contacts into the targets, and keeps those that are to be tried after them.
    pub fn begin(&mut self, bindings: &[u8], method: Method, by_source: bool, targets: &mut TargetSet) -> ForkId {
        let Some(q) = targets_of(bindings, method, by_source, ABOVE_ALL, targets) else { return ForkId::default() };
        if Bindings(bindings).all(|binding| binding.q >= q) {
            return ForkId::default();
        }
        self.keep(bindings, q, by_source).unwrap_or_default()
    }

    /// Puts the next contacts into the targets. False: there are none.
    pub fn next(&mut self, id: ForkId, method: Method, targets: &mut TargetSet) -> bool {
        let Some(fork) = self.find(id) else { return false };
        match targets_of(&fork.bindings, method, fork.by_source, fork.below, targets) {
            Some(q) => {
                fork.below = q;
                true
            }
            None => false,
        }
    }

    /// The request is over.
    pub fn end(&mut self, id: ForkId) {
        let Some(fork) = self.find(id) else { return };
        fork.count = fork.count.wrapping_add(1).max(1);
        fork.bindings.clear();
        self.free.push(place(id));
    }

    fn keep(&mut self, bindings: &[u8], q: u16, by_source: bool) -> Option<ForkId> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.forks.len() < FORKS_MAX => {
                self.forks.push(Fork { count: 1, ..Fork::default() });
                u16::try_from(self.forks.len() - 1).ok()?
            }
            None => return None,
        };
        let fork = self.forks.get_mut(usize::from(place))?;
        fork.bindings.extend_from_slice(bindings);
        (fork.below, fork.by_source) = (q, by_source);
        Some(ForkId(u32::from(fork.count) << 16 | u32::from(place)))
    }

    fn find(&mut self, id: ForkId) -> Option<&mut Fork> {
        let fork = self.forks.get_mut(usize::from(place(id)))?;
        (id.0 >> 16 == u32::from(fork.count) && id != ForkId::default()).then_some(fork)
    }
}

fn place(id: ForkId) -> u16 {
    // INVARIANT: the lower half.
    (id.0 & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::super::record::Binding;
    use super::super::record::tests::sample;
    use super::*;

    fn bindings(list: &[(&'static str, u16)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (contact, q) in list {
            Binding { contact: contact.as_bytes(), q: *q, path: b"", methods: 0, ..sample() }.write(&mut bytes);
        }
        bytes
    }

    fn uris(targets: &TargetSet) -> Vec<String> {
        targets.iter().map(|(_, uri, ..)| String::from_utf8(uri.to_vec()).unwrap()).collect()
    }

    #[test]
    fn the_highest_ring_first_and_together_then_the_next() {
        let bytes = bindings(&[("sip:c@h", 100), ("sip:a@h", 900), ("sip:d@h", 100), ("sip:b@h", 900), ("sip:e@h", 0)]);
        let (mut forks, mut targets) = (Forks::default(), TargetSet::default());
        let id = forks.begin(&bytes, Method::Invite, false, &mut targets);
        assert_eq!(uris(&targets), ["sip:a@h", "sip:b@h"]);
        for expected in [&["sip:c@h", "sip:d@h"][..], &["sip:e@h"]] {
            targets.clear();
            assert!(forks.next(id, Method::Invite, &mut targets));
            assert_eq!(uris(&targets), expected);
        }
        targets.clear();
        assert!(!forks.next(id, Method::Invite, &mut targets));
        forks.end(id);
        assert!(!forks.next(id, Method::Invite, &mut targets), "it is over");
    }

    #[test]
    fn contacts_of_one_q_need_nothing_kept() {
        let bytes = bindings(&[("sip:a@h", 1_000), ("sip:b@h", 1_000)]);
        let (mut forks, mut targets) = (Forks::default(), TargetSet::default());
        assert_eq!(forks.begin(&bytes, Method::Invite, false, &mut targets), ForkId::default());
        assert_eq!(targets.len(), 2);
    }

    #[test]
    fn a_full_pool_rings_the_first_alone_and_serves_again() {
        let bytes = bindings(&[("sip:a@h", 1_000), ("sip:b@h", 500)]);
        let (mut forks, mut targets) = (Forks::default(), TargetSet::default());
        let mut begin = |forks: &mut Forks| {
            targets.clear();
            forks.begin(&bytes, Method::Invite, false, &mut targets)
        };
        let ids: Vec<_> = (0..FORKS_MAX).map(|_| begin(&mut forks)).collect();
        assert!(ids.iter().all(|id| *id != ForkId::default()));
        assert_eq!(begin(&mut forks), ForkId::default());
        forks.end(ids[7]);
        assert_ne!(begin(&mut forks), ForkId::default());
    }
}
