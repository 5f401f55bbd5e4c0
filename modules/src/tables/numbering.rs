//! Numbers that stay with a named thing from one snapshot of the tables to the next.
//!
//! A transaction keeps the number of its gateway, and a reload may come while it is open. So a number is
//! a slot (place in the shards' state arrays) and the slot's generation: a thing that stays keeps both,
//! a slot that is given to another thing gets a new generation, and the old number then finds nothing.

use std::collections::BTreeMap;

/// Slot in the low, generation in the high half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u32);

impl Number {
    /// Place in a state array.
    pub const fn slot(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    /// The same as it is kept in lists.
    pub const fn slot_index(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    const fn new(slot: u16, generation: u16) -> Self {
        Number((generation as u32) << 16 | slot as u32)
    }
}

/// More things than there are slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// How many there may be.
    pub capacity: usize,
}

/// Who has which number.
#[derive(Clone, Debug)]
pub struct Numbering<K> {
    numbers: BTreeMap<K, Number>,
    /// By slot: the generation of whoever has it or had it last.
    generations: Vec<u16>,
}

impl<K> Default for Numbering<K> {
    fn default() -> Self {
        Numbering { numbers: BTreeMap::new(), generations: Vec::new() }
    }
}

impl<K: Ord> Numbering<K> {
    /// Numbers for `wanted`: those that `self` knows keep theirs, the others get free slots.
    /// Errors if more than `capacity` (at most 65,535) are wanted.
    pub fn renew(&self, wanted: impl IntoIterator<Item = K>, capacity: usize) -> Result<Self, Full> {
        let mut numbers = BTreeMap::new();
        let mut newcomers = Vec::new();
        for key in wanted {
            match self.numbers.get(&key) {
                Some(&number) => drop(numbers.insert(key, number)),
                None => newcomers.push(key),
            }
        }
        let mut generations = self.generations.clone();
        let mut taken = vec![false; capacity.min(usize::from(u16::MAX))];
        for number in numbers.values() {
            taken.get_mut(number.slot()).into_iter().for_each(|place| *place = true);
        }
        let mut free = (0u16..).zip(taken).filter(|(_, taken)| !taken).map(|(slot, _)| slot);
        for key in newcomers {
            if numbers.contains_key(&key) {
                continue;
            }
            let slot = free.next().ok_or(Full { capacity })?;
            let generation = match generations.get_mut(usize::from(slot)) {
                Some(last) => {
                    *last = last.wrapping_add(1);
                    *last
                }
                None => {
                    generations.push(0);
                    0
                }
            };
            numbers.insert(key, Number::new(slot, generation));
        }
        Ok(Numbering { numbers, generations })
    }

    /// The number of `key`.
    pub fn get(&self, key: &K) -> Option<Number> {
        self.numbers.get(key).copied()
    }

    /// Slots that were ever given out: the length that a state array needs.
    pub fn slots(&self) -> usize {
        self.generations.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn who_stays_keeps_the_number_and_a_slot_never_means_two() {
        let first = Numbering::default().renew(["a", "b", "c"], 3).unwrap();
        let second = first.renew(["c", "d"], 3).unwrap();
        assert_eq!(second.get(&"c"), first.get(&"c"));
        assert_eq!(second.get(&"a"), None);
        let d = second.get(&"d").unwrap();
        assert!(["a", "b", "c"].iter().all(|key| first.get(key) != Some(d)));
        let third = second.renew(["a", "b", "c"], 3).unwrap();
        assert!(third.get(&"a") != first.get(&"a") && third.get(&"b") != first.get(&"b"));
        assert_eq!(third.slots(), 3);
    }

    #[test]
    fn too_many_are_refused_and_one_named_twice_is_one() {
        assert_eq!(Numbering::default().renew(0..4, 3).unwrap_err(), Full { capacity: 3 });
        assert_eq!(Numbering::default().renew([1, 1, 2], 2).unwrap().slots(), 2);
    }
}
