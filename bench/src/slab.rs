//! Places for state that is found by index, with generations; all memory is taken at the start.
//!
//! The free places form a stack, so that the ones used last (and still in cache) are used next.

use crate::identity::Key;

/// A fixed number of places for `T`.
pub struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

struct Place<T> {
    generation: u32,
    content: Option<T>,
}

impl<T> Slab<T> {
    /// Room for `capacity` at once.
    pub fn with_capacity(capacity: u32) -> Self {
        let places = (0..capacity).map(|_| Place { generation: 0, content: None }).collect();
        Slab { places, free: (0..capacity).rev().collect() }
    }

    /// Takes a place; gives the content back when all are taken.
    pub fn insert(&mut self, content: T) -> Result<Key, T> {
        let Some(slot) = self.free.pop() else {
            return Err(content);
        };
        match self.places.get_mut(slot as usize) {
            Some(place) => {
                place.generation = place.generation.wrapping_add(1);
                place.content = Some(content);
                Ok(Key { slot, generation: place.generation })
            }
            None => Err(content),
        }
    }

    /// The key that the next [`Slab::insert`] will give; `None` if all places are taken.
    pub fn next_key(&self) -> Option<Key> {
        let slot = *self.free.last()?;
        let place = self.places.get(slot as usize)?;
        Some(Key { slot, generation: place.generation.wrapping_add(1) })
    }

    /// What stands at `key`, unless that has ended.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(key.slot as usize)?;
        if place.generation != key.generation {
            return None;
        }
        place.content.as_mut()
    }

    /// Like [`Slab::get_mut`], to read.
    pub fn get(&self, key: Key) -> Option<&T> {
        let place = self.places.get(key.slot as usize)?;
        if place.generation != key.generation {
            return None;
        }
        place.content.as_ref()
    }

    /// Frees the place and gives what stood there.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let place = self.places.get_mut(key.slot as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let content = place.content.take()?;
        self.free.push(key.slot);
        Some(content)
    }

    /// Places in use.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether no place is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `key` was handed out by this slab at some time, living or not.
    pub fn knew(&self, key: Key) -> bool {
        self.places
            .get(key.slot as usize)
            .is_some_and(|place| key.generation != 0 && key.generation <= place.generation)
    }

    /// Everything that stands.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        (0u32..).zip(&self.places).filter_map(|(slot, place)| {
            let generation = place.generation;
            Some((Key { slot, generation }, place.content.as_ref()?))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_place_that_is_used_again_has_another_key() {
        let mut slab = Slab::with_capacity(1);
        let promised = slab.next_key();
        let first = slab.insert("first").unwrap();
        assert_eq!(promised, Some(first));
        assert_eq!(slab.next_key(), None);
        assert_eq!(slab.insert("no room"), Err("no room"));
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second").unwrap();
        assert_eq!(second.slot, first.slot);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut "second"));
        assert!(slab.knew(first));
        assert!(!slab.knew(Key { slot: 0, generation: 3 }));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.len(), 1);
        assert_eq!(slab.iter().count(), 1);
    }
}
