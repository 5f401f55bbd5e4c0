//! From a keyed hash to the index of a record: open addressing, linear probing, removal by shifting back.
//!
//! WHY our own: a table that marks removed entries (hashbrown's tombstones) has to clean up now and
//! then, and at a million transactions that is a pause of milliseconds on the packet path. Here every
//! operation is bounded by the length of one run, which stays short because hashes are keyed and the
//! table is at most half full.

use alloc::vec::Vec;

/// Finds record indices by 64-bit keyed hashes. Eight bytes an entry.
#[derive(Debug)]
pub struct Index {
    /// INVARIANT: the length is a power of two, at least twice `capacity`; an entry lies between its home
    /// and the next empty place.
    entries: Vec<Entry>,
    used: usize,
    capacity: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// High half of the hash: home place and first comparison.
    fragment: u32,
    /// Index of the record, or [`EMPTY`].
    record: u32,
}

const EMPTY: u32 = u32::MAX;
const VACANT: Entry = Entry { fragment: 0, record: EMPTY };

impl Index {
    /// Room for `capacity` records.
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity as usize;
        let size = capacity.saturating_mul(2).next_power_of_two().max(8);
        Index { entries: alloc::vec![VACANT; size], used: 0, capacity }
    }

    /// The record under `hash` that `same` confirms.
    pub fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let fragment = fragment(hash);
        let mut at = self.home(fragment);
        loop {
            let entry = self.entries.get(at)?;
            if entry.record == EMPTY {
                return None;
            }
            if entry.fragment == fragment && same(entry.record) {
                return Some(entry.record);
            }
            at = self.after(at);
        }
    }

    /// Adds a record. False if the index is full. The same record must not be added twice.
    pub fn insert(&mut self, hash: u64, record: u32) -> bool {
        if self.used >= self.capacity || record == EMPTY {
            return false;
        }
        let fragment = fragment(hash);
        let mut at = self.home(fragment);
        while let Some(entry) = self.entries.get_mut(at) {
            if entry.record == EMPTY {
                *entry = Entry { fragment, record };
                self.used += 1;
                return true;
            }
            at = self.after(at);
        }
        false
    }

    /// Takes a record out. False if it was not there.
    pub fn remove(&mut self, hash: u64, record: u32) -> bool {
        let mut at = self.home(fragment(hash));
        loop {
            match self.entries.get(at) {
                Some(entry) if entry.record == record => break,
                Some(entry) if entry.record != EMPTY => at = self.after(at),
                _ => return false,
            }
        }
        self.used -= 1;
        self.close_gap(at);
        true
    }

    /// Moves later entries of the run forward over the gap, as far as their homes allow.
    fn close_gap(&mut self, mut gap: usize) {
        let mut at = self.after(gap);
        while let Some(&entry) = self.entries.get(at) {
            if entry.record == EMPTY {
                break;
            }
            let home = self.home(entry.fragment);
            if self.distance(home, at) >= self.distance(gap, at) {
                self.put(gap, entry);
                gap = at;
            }
            at = self.after(at);
        }
        self.put(gap, VACANT);
    }

    fn put(&mut self, at: usize, entry: Entry) {
        if let Some(place) = self.entries.get_mut(at) {
            *place = entry;
        }
    }

    fn home(&self, fragment: u32) -> usize {
        fragment as usize & self.mask()
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }
}

fn fragment(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map; few distinct homes, so that runs overlap and wrap round.
        #[test]
        fn behaves_like_a_map(operations in prop::collection::vec((any::<bool>(), 0u64..40), 1..400)) {
            let mut index = Index::new(16);
            let mut model: BTreeMap<u64, u32> = BTreeMap::new();
            let mut next = 0;
            for (insert, key) in operations {
                let hash = (key % 7).wrapping_mul(0x9000_0000) << 32 | key;
                if insert && !model.contains_key(&key) {
                    let fits = model.len() < 16;
                    prop_assert_eq!(index.insert(hash, next), fits);
                    if fits {
                        model.insert(key, next);
                        next += 1;
                    }
                } else if let Some(record) = model.remove(&key) {
                    prop_assert!(index.remove(hash, record));
                    prop_assert!(!index.remove(hash, record));
                }
                for key in 0..40u64 {
                    let hash = (key % 7).wrapping_mul(0x9000_0000) << 32 | key;
                    let wanted = model.get(&key).copied();
                    prop_assert_eq!(index.find(hash, |record| Some(record) == wanted), wanted);
                }
            }
        }
    }

    #[test]
    fn a_full_index_refuses() {
        let mut index = Index::new(1);
        assert!(index.insert(1 << 32, 5));
        assert!(!index.insert(2 << 32, 6));
        assert_eq!(index.find(1 << 32, |_| true), Some(5));
    }
}
