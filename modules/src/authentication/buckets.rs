//! A table of a fixed number of places in buckets of eight, for what may be forgotten: nonce counts, credentials,
//! failures. A full bucket gives up the entry of the lowest rank; nothing is ever allocated after the start.

/// Places of a bucket.
const BUCKET: usize = 8;

/// What a table keeps.
pub(super) trait Entry {
    /// The entry of the lowest rank makes room. By convention a moment: the older goes.
    fn rank(&self) -> u64;
}

/// See the module.
#[derive(Debug)]
pub(super) struct Buckets<T> {
    places: Vec<Option<(u128, T)>>,
}

impl<T: Entry> Buckets<T> {
    /// Memory of a place.
    pub(super) const PLACE_BYTES: usize = size_of::<Option<(u128, T)>>();

    /// Room for at least `capacity` entries.
    pub(super) fn new(capacity: u32) -> Self {
        let buckets = (capacity as usize).div_ceil(BUCKET).next_power_of_two();
        let mut places = Vec::new();
        places.resize_with(buckets * BUCKET, || None);
        Buckets { places }
    }

    /// How many buckets there are.
    pub(super) fn count(&self) -> usize {
        self.places.len() / BUCKET
    }

    /// The bucket of a key; keys are keyed hashes.
    pub(super) fn bucket_of(&self, key: u128) -> usize {
        // INVARIANT: the number of buckets is a power of two.
        (key as usize) & (self.count() - 1)
    }

    /// The entry of that key.
    pub(super) fn find(&mut self, key: u128) -> Option<&mut T> {
        let entry = self.bucket(key).iter_mut().flatten().find(|(known, _)| *known == key)?;
        Some(&mut entry.1)
    }

    /// Puts an entry in, in place of the one of the same key. Gives back one of another key that had to make room.
    pub(super) fn put(&mut self, key: u128, entry: T) -> Option<T> {
        let place = self.place(key)?;
        place.replace((key, entry)).filter(|(old, _)| *old != key).map(|(_, old)| old)
    }

    /// The entry of that key, made by `make` if there is none. `None`: the table has no places at all.
    pub(super) fn find_or_put(&mut self, key: u128, make: impl FnOnce() -> T) -> Option<&mut T> {
        let place = self.place(key)?;
        if place.as_ref().is_none_or(|(known, _)| *known != key) {
            *place = Some((key, make()));
        }
        place.as_mut().map(|(_, entry)| entry)
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: u128) -> Option<T> {
        let place = self.bucket(key).iter_mut().find(|place| place.as_ref().is_some_and(|(known, _)| *known == key))?;
        place.take().map(|(_, entry)| entry)
    }

    /// All entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten().map(|(_, entry)| entry)
    }

    /// Takes out all for which `keep` says no. Walks over the whole table.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        for place in &mut self.places {
            if place.as_ref().is_some_and(|(_, entry)| !keep(entry)) {
                *place = None;
            }
        }
    }

    /// Where this key is, or may be put.
    fn place(&mut self, key: u128) -> Option<&mut Option<(u128, T)>> {
        self.bucket(key).iter_mut().min_by_key(|place| match place {
            Some((known, _)) if *known == key => (0, 0),
            None => (1, 0),
            Some((_, other)) => (2, other.rank()),
        })
    }

    fn bucket(&mut self, key: u128) -> &mut [Option<(u128, T)>] {
        let start = self.bucket_of(key) * BUCKET;
        self.places.get_mut(start..start + BUCKET).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    impl Entry for u64 {
        fn rank(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn the_lowest_rank_makes_room() {
        let mut table = Buckets::new(1);
        for rank in [5u64, 3, 9, 4, 8, 7, 6, 10] {
            assert_eq!(table.put(u128::from(rank), rank), None);
        }
        assert_eq!(table.put(11, 11), Some(3));
        assert_eq!(table.put(11, 12), None, "the same key");
        assert_eq!(table.find(3), None);
        assert_eq!(table.find(11).copied(), Some(12));
        assert_eq!(table.find_or_put(11, || 1).copied(), Some(12));
        assert_eq!(table.remove(11), Some(12));
        table.retain(|rank| *rank > 6);
        let mut left: Vec<_> = table.iter().copied().collect();
        left.sort_unstable();
        assert_eq!(left, [7, 8, 9, 10]);
    }
}
