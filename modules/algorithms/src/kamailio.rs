//! Kamailio's hash of `dispatcher` (algorithms 0 to 3 and 7) and its choice by it, bit for bit: for sets with
//! `compat = "kamailio"`, so that calls and callers stay at the gateways that they had.
//!
//! The hash divides by the number of gateways, those that are down included; from one that may not have the call it goes
//! to the next of the list. A gateway that dies doubles the calls of its neighbour: that is what Kamailio does.

use super::Choice;

/// The hash over one or two keys, as it grows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hash {
    sum: u32,
    /// The last octets that are not in the sum yet, up to three.
    word: u32,
    octets: u8,
}

impl Hash {
    /// More octets of the key.
    #[must_use]
    pub fn octets(mut self, octets: &[u8]) -> Self {
        for octet in octets {
            // A `char` has a sign where Kamailio mostly runs: octets above 127 take from the ones before them.
            self.word = (self.word << 8).wrapping_add_signed(i32::from(octet.cast_signed()));
            self.octets += 1;
            if self.octets == 4 {
                self = self.end();
            }
        }
        self
    }

    /// The key ends; what follows is the next one.
    #[must_use]
    pub fn end(self) -> Self {
        Hash { sum: self.sum.wrapping_add(self.word ^ (self.word >> 3)), word: 0, octets: 0 }
    }

    /// The hash, never 0.
    pub fn finish(self) -> u32 {
        let h = self.end().sum;
        let h = h.wrapping_add(h >> 11).wrapping_add((h >> 13).wrapping_add(h >> 23));
        h.max(1)
    }
}

/// Position of the gateway that Kamailio takes for [`Choice::hash`]: the one at the hash's place, else the next that may be
/// chosen, from the end on to the beginning. Those that follow it after a failure come in the same order.
pub fn choose(choice: &mut Choice<'_, '_>) -> usize {
    let start = choice.hash % u64::from(choice.places.max(1));
    choice.candidates.iter().position(|candidate| u64::from(candidate.place) >= start).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The C function as it is written, over whole keys.
    fn as_written(keys: [&[u8]; 2]) -> u32 {
        let signed = |octet: u8| i32::from(octet.cast_signed()).cast_unsigned();
        let mut h = 0_u32;
        for key in keys {
            let (words, tail) = key.as_chunks::<4>();
            for [a, b, c, d] in words {
                let v = (signed(*a) << 24)
                    .wrapping_add(signed(*b) << 16)
                    .wrapping_add(signed(*c) << 8)
                    .wrapping_add(signed(*d));
                h = h.wrapping_add(v ^ (v >> 3));
            }
            let v = tail.iter().fold(0_u32, |v, octet| (v << 8).wrapping_add(signed(*octet)));
            h = h.wrapping_add(v ^ (v >> 3));
        }
        let h = h.wrapping_add(h >> 11).wrapping_add((h >> 13).wrapping_add(h >> 23));
        if h == 0 { 1 } else { h }
    }

    proptest! {
        #[test]
        fn is_the_c_function(user in prop::collection::vec(any::<u8>(), 0..40), host in prop::collection::vec(any::<u8>(), 0..40), cut in any::<prop::sample::Index>()) {
            let (first, rest) = user.split_at(cut.index(user.len() + 1));
            let hash = Hash::default().octets(first).octets(rest).end().octets(&host).finish();
            prop_assert_eq!(hash, as_written([&user, &host]));
        }
    }

    #[test]
    fn nothing_hashes_to_one() {
        assert_eq!(Hash::default().finish(), 1);
    }
}
