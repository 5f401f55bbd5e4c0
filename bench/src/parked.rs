//! Bytes that are kept to be sent later or again: a BYE until the call ends, a response until its ACK.
//!
//! One block of memory, taken at the start, in places of equal size. It is touched only as far as it
//! is used: places that are free again are used first.

use proto::message::Writer;

/// Which place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedId(u32);

/// Places of equal size.
pub struct Parking {
    place_bytes: usize,
    bytes: Vec<u8>,
    lengths: Vec<u16>,
    free: Vec<u32>,
}

/// Why nothing was parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotParked {
    /// All places are taken.
    Full,
    /// It does not fit into a place.
    TooLarge,
}

impl Parking {
    /// `capacity` places of `place_bytes` each.
    pub fn new(capacity: u32, place_bytes: u16) -> Self {
        let place_bytes = usize::from(place_bytes);
        Parking {
            place_bytes,
            bytes: vec![0; capacity as usize * place_bytes],
            lengths: vec![0; capacity as usize],
            free: (0..capacity).rev().collect(),
        }
    }

    /// Keeps what `write` writes.
    pub fn park(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> Result<ParkedId, NotParked> {
        let place = *self.free.last().ok_or(NotParked::Full)?;
        let start = place as usize * self.place_bytes;
        let room = self.bytes.get_mut(start..start + self.place_bytes).ok_or(NotParked::Full)?;
        let mut writer = Writer::new(room);
        write(&mut writer);
        let written = writer.finish().map_err(|_| NotParked::TooLarge)?;
        if let Some(length) = self.lengths.get_mut(place as usize) {
            *length = u16::try_from(written).map_err(|_| NotParked::TooLarge)?;
        }
        self.free.pop();
        Ok(ParkedId(place))
    }

    /// What was parked.
    pub fn bytes(&self, id: ParkedId) -> &[u8] {
        let start = id.0 as usize * self.place_bytes;
        let length = self.lengths.get(id.0 as usize).copied().unwrap_or(0);
        self.bytes.get(start..start + usize::from(length)).unwrap_or_default()
    }

    /// Frees the place. Each id is given back once, by the call that holds it.
    pub fn leave(&mut self, id: ParkedId) {
        debug_assert!(!self.free.contains(&id.0), "given back twice");
        self.free.push(id.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn places_are_kept_apart_and_used_again() {
        let mut parking = Parking::new(2, 8);
        let a = parking.park(|w| w.put(b"first")).unwrap();
        let b = parking.park(|w| w.put(b"second")).unwrap();
        assert_eq!(parking.park(|w| w.put(b"x")), Err(NotParked::Full));
        assert_eq!(parking.bytes(a), b"first");
        assert_eq!(parking.bytes(b), b"second");
        parking.leave(a);
        let large = parking.park(|w| w.put(b"nine bytes"));
        assert_eq!(large, Err(NotParked::TooLarge));
        let again = parking.park(|w| w.put(b"3rd")).unwrap();
        assert_eq!(parking.bytes(again), b"3rd");
        assert_eq!(parking.bytes(b), b"second");
    }
}
