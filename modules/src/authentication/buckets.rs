//! A table of a fixed number of places in buckets of eight, for what may be forgotten: nonce counts, credentials,
//! failures. A full bucket gives up the entry of the lowest rank; nothing is ever allocated after the start.

/// Places of a bucket.
const BUCKET: usize = 8;

/// What a table keeps.
pub(super) trait Entry {
    /// The entry of the lowest rank makes room. By convention a moment: the older goes.
    fn rank(&self) -> u64;
}

/// The upper halves of a bucket's keys, one cache line; 0 where nothing is.
///
/// WHY apart from the entries, which are longer than a line: most look-ups (who failed? who is shut out?) find nothing, and
/// see that here.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Tags([u64; BUCKET]);

/// See the module.
#[derive(Debug)]
pub(super) struct Buckets<T> {
    tags: Vec<Tags>,
    places: Vec<Option<(u128, T)>>,
}

impl<T: Entry> Buckets<T> {
    /// Memory of a place.
    pub(super) const PLACE_BYTES: usize = size_of::<Option<(u128, T)>>() + size_of::<Tags>() / BUCKET;

    /// Room for at least `capacity` entries.
    pub(super) fn new(capacity: u32) -> Self {
        let buckets = (capacity as usize).div_ceil(BUCKET).next_power_of_two();
        let mut places = Vec::new();
        places.resize_with(buckets * BUCKET, || None);
        Buckets { tags: vec![Tags::default(); buckets], places }
    }

    /// How many buckets there are.
    pub(super) fn count(&self) -> usize {
        self.tags.len()
    }

    /// The bucket of a key; keys are keyed hashes.
    pub(super) fn bucket_of(&self, key: u128) -> usize {
        // INVARIANT: the number of buckets is a power of two.
        (key as usize) & (self.count() - 1)
    }

    /// The entry of that key.
    pub(super) fn find(&mut self, key: u128) -> Option<&mut T> {
        let place = self.known(key)?;
        self.places.get_mut(place)?.as_mut().map(|(_, entry)| entry)
    }

    /// Puts an entry in, in place of the one of the same key. Gives back one of another key that had to make room.
    pub(super) fn put(&mut self, key: u128, entry: T) -> Option<T> {
        let place = self.known(key).or_else(|| self.lowest(key))?;
        self.tag(place, key);
        self.places.get_mut(place)?.replace((key, entry)).filter(|(old, _)| *old != key).map(|(_, old)| old)
    }

    /// The entry of that key, made by `make` if there is none. `None`: the table has no places at all.
    pub(super) fn find_or_put(&mut self, key: u128, make: impl FnOnce() -> T) -> Option<&mut T> {
        let place = match self.known(key) {
            Some(place) => place,
            None => {
                let place = self.lowest(key)?;
                self.tag(place, key);
                *self.places.get_mut(place)? = Some((key, make()));
                place
            }
        };
        self.places.get_mut(place)?.as_mut().map(|(_, entry)| entry)
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: u128) -> Option<T> {
        let place = self.known(key)?;
        self.tag(place, 0);
        self.places.get_mut(place)?.take().map(|(_, entry)| entry)
    }

    /// All entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten().map(|(_, entry)| entry)
    }

    /// Takes out all for which `keep` says no. Walks over the whole table.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        for (number, place) in self.places.iter_mut().enumerate() {
            if place.as_ref().is_some_and(|(_, entry)| !keep(entry)) {
                *place = None;
                let tags = self.tags.get_mut(number / BUCKET);
                tags.and_then(|tags| tags.0.get_mut(number % BUCKET)).into_iter().for_each(|tag| *tag = 0);
            }
        }
    }

    /// Where this key is.
    fn known(&self, key: u128) -> Option<usize> {
        let (bucket, wanted) = (self.bucket_of(key), tag_of(key));
        let tags = self.tags.get(bucket)?;
        let numbers = tags.0.iter().enumerate().filter(|(_, tag)| **tag == wanted);
        let mut places = numbers.map(|(number, _)| bucket * BUCKET + number);
        places.find(|place| matches!(self.places.get(*place), Some(Some((known, _))) if *known == key))
    }

    /// Where a key that is nowhere may be put.
    fn lowest(&self, key: u128) -> Option<usize> {
        let start = self.bucket_of(key) * BUCKET;
        let places = self.places.get(start..start + BUCKET)?.iter().enumerate();
        let (number, _) = places.min_by_key(|(_, place)| place.as_ref().map(|(_, other)| other.rank()))?;
        Some(start + number)
    }

    /// Notes the key of a place; 0: nothing is there any more.
    fn tag(&mut self, place: usize, key: u128) {
        let tags = self.tags.get_mut(place / BUCKET);
        tags.and_then(|tags| tags.0.get_mut(place % BUCKET)).into_iter().for_each(|tag| *tag = tag_of(key));
    }
}

fn tag_of(key: u128) -> u64 {
    (key >> 64) as u64
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
