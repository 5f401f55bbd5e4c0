//! Records of one kind under stable indices.

use alloc::vec::Vec;

/// A fixed number of places for `T`, each used or on the free list.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Place<T>>,
    free: u32,
    used: u32,
}

#[derive(Debug)]
enum Place<T> {
    Used(T),
    /// Index of the next free place, or [`NONE`].
    Free(u32),
}

const NONE: u32 = u32::MAX;

impl<T> Slab<T> {
    /// `capacity` places, all written once (so that their pages are mapped). At most `u32::MAX - 1`.
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity.min(NONE - 1);
        let places = (1..=capacity).map(|next| Place::Free(if next == capacity { NONE } else { next })).collect();
        Slab { places, free: if capacity == 0 { NONE } else { 0 }, used: 0 }
    }

    /// Takes a place. Gives the value back if there is none left.
    pub fn insert(&mut self, value: T) -> Result<u32, T> {
        let index = self.free;
        let Some(place) = self.places.get_mut(index as usize) else {
            return Err(value);
        };
        if let Place::Free(next) = *place {
            self.free = next;
        }
        *place = Place::Used(value);
        self.used += 1;
        Ok(index)
    }

    /// Frees a place. `None` if it was not used.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let place = self.places.get_mut(index as usize)?;
        if matches!(place, Place::Free(_)) {
            return None;
        }
        let taken = core::mem::replace(place, Place::Free(self.free));
        self.free = index;
        self.used -= 1;
        match taken {
            Place::Used(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    /// The record at `index`.
    pub fn get(&self, index: u32) -> Option<&T> {
        match self.places.get(index as usize)? {
            Place::Used(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    /// The record at `index`, to be changed.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.places.get_mut(index as usize)? {
            Place::Used(value) => Some(value),
            Place::Free(_) => None,
        }
    }

    /// Records in use.
    pub const fn len(&self) -> u32 {
        self.used
    }

    /// Whether none is in use.
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Places in all.
    pub fn capacity(&self) -> u32 {
        // INVARIANT: `new` makes fewer than u32::MAX places.
        self.places.len() as u32
    }

    /// All records in use, with their indices: for hand-over and control, not for the packet path.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0u32..).zip(&self.places).filter_map(|(index, place)| match place {
            Place::Used(value) => Some((index, value)),
            Place::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_reused_and_bounded() {
        let mut slab = Slab::new(2);
        let (a, b) = (slab.insert('a'), slab.insert('b'));
        assert_eq!((a, b, slab.insert('c')), (Ok(0), Ok(1), Err('c')));
        assert_eq!(slab.remove(0), Some('a'));
        assert_eq!(slab.remove(0), None);
        assert_eq!((slab.len(), slab.get(1)), (1, Some(&'b')));
        assert_eq!(slab.insert('d'), Ok(0));
        assert_eq!(slab.iter().count(), 2);
    }

    #[test]
    fn none_fits_into_nothing() {
        let mut slab: Slab<u8> = Slab::new(0);
        assert_eq!(slab.insert(1), Err(1));
        assert!(slab.is_empty());
    }
}
