//! 503s of vendors, held against vendor and destination: a vendor that is full for Peru still takes Chile.
//!
//! One table a shard, of fixed size: a place for each key's hash, where the newest stands. What is forgotten early is
//! tried once more, which costs one attempt.

use crate::tables::Number;
use deck::Code;
use proto::time::{Micros, Mono};

/// See the module.
#[derive(Debug)]
pub struct Held {
    places: Box<[Place]>,
    /// How often a vendor was passed over for one.
    passed_over: u64,
    /// How many were noted.
    noted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    vendor: u32,
    code: Code,
    until: Mono,
}

const NOTHING: Place = Place { vendor: u32::MAX, code: Code::EMPTY, until: Mono(0) };

impl Held {
    /// Room for so many destinations; nothing is allocated later.
    pub fn new(places: usize) -> Self {
        Held { places: vec![NOTHING; places].into(), passed_over: 0, noted: 0 }
    }

    /// The vendor answered 503 for numbers of this code of its deck.
    pub(super) fn note(&mut self, vendor: Number, code: Code, hold: Micros, now: Mono) {
        self.noted += 1;
        if let Some(place) = self.place(vendor, code) {
            *place = Place { vendor: vendor.0, code, until: now.after(hold) };
        }
    }

    /// Whether it did lately. Counts.
    pub(super) fn stands(&mut self, vendor: Number, code: Code, now: Mono) -> bool {
        let found = self.place(vendor, code).copied().unwrap_or(NOTHING);
        let stands = found.vendor == vendor.0 && found.code == code && now < found.until;
        self.passed_over += u64::from(stands);
        stands
    }

    /// Another answer came: the destination is open again.
    pub(super) fn forget(&mut self, vendor: Number, code: Code) {
        if let Some(place) = self.place(vendor, code).filter(|place| place.vendor == vendor.0 && place.code == code) {
            *place = NOTHING;
        }
    }

    /// How many 503s were noted, and how often a vendor was passed over for one.
    pub const fn figures(&self) -> (u64, u64) {
        (self.noted, self.passed_over)
    }

    fn place(&mut self, vendor: Number, code: Code) -> Option<&mut Place> {
        // Fibonacci hashing: neighbouring codes and vendors spread over the table.
        let mixed = (code.packed() ^ u64::from(vendor.0).rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let places = u64::try_from(self.places.len()).ok()?;
        let at = (u128::from(mixed) * u128::from(places)) >> 64;
        self.places.get_mut(usize::try_from(at).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(digits: &str) -> Code {
        Code::parse(digits.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn one_destination_of_one_vendor_for_a_while() {
        let mut held = Held::new(64);
        let (peru, chile, hold) = (code("51"), code("56"), Micros::from_secs(10));
        held.note(Number(1), peru, hold, Mono(1_000));
        assert!(held.stands(Number(1), peru, Mono(2_000)));
        assert!(!held.stands(Number(2), peru, Mono(2_000)) && !held.stands(Number(1), chile, Mono(2_000)));
        assert!(held.stands(Number(1), peru, Mono(10_000_999)) && !held.stands(Number(1), peru, Mono(10_001_000)));
        held.note(Number(1), peru, hold, Mono(20_000_000));
        held.forget(Number(1), chile);
        assert!(held.stands(Number(1), peru, Mono(20_000_001)));
        held.forget(Number(1), peru);
        assert!(!held.stands(Number(1), peru, Mono(20_000_001)));
        assert_eq!(held.figures(), (2, 3));
    }

    #[test]
    fn a_full_table_holds_the_newest() {
        let mut held = Held::new(1);
        held.note(Number(1), code("1"), Micros::from_secs(9), Mono(0));
        held.note(Number(2), code("2"), Micros::from_secs(9), Mono(0));
        assert!(!held.stands(Number(1), code("1"), Mono(1)) && held.stands(Number(2), code("2"), Mono(1)));
        assert!(!Held::new(0).stands(Number(1), code("1"), Mono(0)));
    }
}
