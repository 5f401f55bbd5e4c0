//! Memory for records of any length: one arena in chunks, by units of 16 bytes, with a free list for each length.
//!
//! WHY not one allocation a record: a million records cost a header and the rounding of an allocator each, and a
//! shard must not allocate for every new phone. What is freed is used again, cut to length; chunks are never given
//! back.

/// Where a record is. INVARIANT: never 0, so that 0 can stand for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) u32);

/// Bytes of a unit. WHY 16: half of it is lost with each record, and a u32 still reaches 64 GiB.
const UNIT: usize = 16;

/// Units of a chunk. WHY 256 KiB: making one is the only allocation while phones come, and costs microseconds.
const CHUNK_UNITS: usize = 16_384;

/// Longest record, in units.
const UNITS_MAX: usize = 1_024;

/// Longest record, in bytes.
pub(super) const RECORD_BYTES_MAX: usize = UNITS_MAX * UNIT;

const WORDS: usize = UNITS_MAX / 64 + 1;

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    chunks: Vec<Box<[u8]>>,
    chunks_max: usize,
    /// First unit that was never used, and the end of its chunk.
    next: usize,
    end: usize,
    /// The first free place of each length in units.
    free: Box<[u32]>,
    /// Which lengths have a free place: one bit each.
    has_free: [u64; WORDS],
    used_units: u64,
}

impl Store {
    /// For at most so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Store {
            chunks: Vec::new(),
            chunks_max: (bytes_max / (CHUNK_UNITS * UNIT)).max(1),
            // Unit 0 is nobody's.
            next: 0,
            end: 0,
            free: vec![0; UNITS_MAX + 1].into(),
            has_free: [0; WORDS],
            used_units: 0,
        }
    }

    /// Bytes in use, rounded up to units.
    pub(super) fn used(&self) -> u64 {
        self.used_units * UNIT as u64
    }

    /// Bytes taken from the system.
    pub(super) fn taken(&self) -> u64 {
        (self.chunks.len() * CHUNK_UNITS * UNIT) as u64
    }

    /// Keeps a record. `None`: it is too long, or no memory is left.
    pub(super) fn keep(&mut self, record: &[u8]) -> Option<Place> {
        let units = units_of(record.len());
        let place = self.take(units)?;
        self.used_units += units as u64;
        self.room(place, record.len())?.copy_from_slice(record);
        Some(place)
    }

    /// The first `length` bytes at a place.
    pub(super) fn get(&self, place: Place, length: usize) -> &[u8] {
        let (chunk, from) = split(place);
        self.chunks.get(chunk).and_then(|chunk| chunk.get(from..from + length)).unwrap_or_default()
    }

    /// The same, to be changed where they stand.
    pub(super) fn get_mut(&mut self, place: Place, length: usize) -> Option<&mut [u8]> {
        self.room(place, length)
    }

    /// Puts another record in the place of one of `old` bytes; it may move. `None`: there is no memory, and the old
    /// one stands.
    pub(super) fn replace(&mut self, place: Place, old: usize, record: &[u8]) -> Option<Place> {
        if units_of(old) == units_of(record.len()) {
            self.room(place, record.len())?.copy_from_slice(record);
            return Some(place);
        }
        let moved = self.keep(record)?;
        self.free(place, old);
        Some(moved)
    }

    /// Gives up a record of `length` bytes.
    pub(super) fn free(&mut self, place: Place, length: usize) {
        let units = units_of(length);
        self.used_units -= units as u64;
        self.put_back(place.0, units);
    }

    fn room(&mut self, place: Place, length: usize) -> Option<&mut [u8]> {
        let (chunk, from) = split(place);
        self.chunks.get_mut(chunk)?.get_mut(from..from + length)
    }

    fn take(&mut self, units: usize) -> Option<Place> {
        if units > UNITS_MAX {
            return None;
        }
        if let Some(found) = self.smallest_free(units) {
            let place = self.pop(found)?;
            if found > units {
                self.put_back(place + u32::try_from(units).ok()?, found - units);
            }
            return Some(Place(place));
        }
        if self.next + units > self.end {
            self.grow()?;
        }
        let place = u32::try_from(self.next).ok()?;
        self.next += units;
        Some(Place(place))
    }

    /// Another chunk. What is left of the last one is used for shorter records.
    fn grow(&mut self) -> Option<()> {
        if self.chunks.len() >= self.chunks_max {
            return None;
        }
        let (left, from) = (self.end - self.next, u32::try_from(self.next).ok()?);
        if left > 0 {
            self.put_back(from, left.min(UNITS_MAX));
        }
        self.next = self.chunks.len() * CHUNK_UNITS;
        self.end = self.next + CHUNK_UNITS;
        // INVARIANT: place 0 stands for none.
        self.next = self.next.max(1);
        self.chunks.push(vec![0; CHUNK_UNITS * UNIT].into());
        Some(())
    }

    /// The shortest length of at least `units` that has a free place.
    fn smallest_free(&self, units: usize) -> Option<usize> {
        let mut word = units / 64;
        let mut bits = self.has_free.get(word)? & (u64::MAX << (units % 64));
        loop {
            if bits != 0 {
                return Some(word * 64 + usize::try_from(bits.trailing_zeros()).ok()?);
            }
            word += 1;
            bits = *self.has_free.get(word)?;
        }
    }

    fn pop(&mut self, units: usize) -> Option<u32> {
        let place = *self.free.get(units)?;
        let next = self.get(Place(place), 4).first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        *self.free.get_mut(units)? = next;
        if next == 0 {
            *self.has_free.get_mut(units / 64)? &= !(1 << (units % 64));
        }
        Some(place)
    }

    fn put_back(&mut self, place: u32, units: usize) {
        let Some(first) = self.free.get_mut(units) else { return };
        let next = std::mem::replace(first, place);
        if let Some(room) = self.room(Place(place), 4) {
            room.copy_from_slice(&next.to_le_bytes());
        }
        if let Some(word) = self.has_free.get_mut(units / 64) {
            *word |= 1 << (units % 64);
        }
    }
}

fn units_of(length: usize) -> usize {
    length.div_ceil(UNIT).max(1)
}

fn split(place: Place) -> (usize, usize) {
    let unit = usize::try_from(place.0).unwrap_or(0);
    (unit / CHUNK_UNITS, unit % CHUNK_UNITS * UNIT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::collections::HashMap;

    /// Against a map, by random lengths: what is kept comes back until it is freed, and memory is used again.
    #[test]
    fn records_come_back_whole_whatever_came_and_went_between() {
        let mut store = Store::new(1 << 20);
        let mut model: HashMap<u32, Vec<u8>> = HashMap::new();
        let mut random = 7u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for round in 0..20_000u32 {
            let record = vec![u8::try_from(round % 251).unwrap(); usize::try_from(1 + next(400)).unwrap()];
            if next(3) < 2 {
                if let Some(place) = store.keep(&record) {
                    assert!(place.0 != 0 && model.insert(place.0, record).is_none());
                }
            } else if let Some(place) = model.keys().copied().min_by_key(|place| place.wrapping_mul(2_654_435_761)) {
                let old = model.remove(&place).unwrap();
                assert_eq!(store.get(Place(place), old.len()), old);
                if next(2) == 0 {
                    store.free(Place(place), old.len());
                } else if let Some(moved) = store.replace(Place(place), old.len(), &record) {
                    model.insert(moved.0, record);
                } else {
                    model.insert(place, old);
                }
            }
        }
        for (place, record) in &model {
            assert_eq!(store.get(Place(*place), record.len()), record);
        }
        assert!(store.taken() <= 1 << 20 && model.len() > 1_000);
        let used: u64 = model.values().map(|record| units_of(record.len()) as u64 * 16).sum();
        assert_eq!(store.used(), used);
    }

    #[test]
    fn a_full_store_refuses_and_serves_again_when_there_is_room() {
        let mut store = Store::new(1);
        let places: Vec<_> = std::iter::from_fn(|| store.keep(&[1; 4_096])).collect();
        assert!(store.keep(&[2; 4_096]).is_none() && places.len() >= 63);
        store.free(places[3], 4_096);
        assert!(store.keep(&[2; 2_000]).is_some() && store.keep(&[3; 2_000]).is_some());
        assert!(store.keep(&[0; RECORD_BYTES_MAX + 1]).is_none());
    }
}
