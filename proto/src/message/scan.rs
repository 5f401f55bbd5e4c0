//! The two searches that the one pass over the header section is made of, eight octets at a time.
//!
//! WHY no SIMD: header names and values are short (10 and 35 octets in the middle); setting up a
//! vector search costs more than these words do, and needs no `unsafe` here. Each search has a plain
//! twin in the tests.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// High bit of each byte of `word` that is below `limit`.
///
/// WHY only the lowest set bit may be believed: the borrow of a byte that is below can reach the bytes
/// above it. `limit` is at most 0x80.
#[inline]
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGHS
}

/// High bit of each byte of `word` that is `octet`; again only the lowest may be believed.
#[inline]
const fn equal(word: u64, octet: u8) -> u64 {
    below(word ^ (ONES * octet as u64), 1)
}

/// Index of the lowest marked byte.
#[inline]
const fn lowest(marks: u64) -> usize {
    (marks.trailing_zeros() / 8) as usize
}

/// Eight octets from `at`, the first in the lowest byte; `None` if there are fewer.
#[inline]
pub(super) fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Offset of the first control character (below the space, so CR, LF, HTAB and NUL too) at or after
/// `from`; the length of `bytes` if there is none.
#[inline]
pub(super) fn next_control(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = word_at(bytes, at) {
        let marks = below(word, b' ');
        if marks != 0 {
            return at + lowest(marks);
        }
        at += 8;
    }
    rest(bytes, at, |octet| octet < b' ')
}

/// Offset of the first colon, space or control character at or after `from`: where a header name ends.
#[inline]
pub(super) fn name_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = word_at(bytes, at) {
        let marks = below(word, b' ' + 1) | equal(word, b':');
        if marks != 0 {
            return at + lowest(marks);
        }
        at += 8;
    }
    rest(bytes, at, |octet| octet <= b' ' || octet == b':')
}

/// The last octets, fewer than eight, one by one.
#[inline]
fn rest(bytes: &[u8], at: usize, stop: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().position(|&octet| stop(octet)).map_or(bytes.len(), |offset| at + offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn naive(bytes: &[u8], from: usize, stop: impl Fn(u8) -> bool) -> usize {
        (from..bytes.len()).find(|&at| stop(bytes[at])).unwrap_or(bytes.len())
    }

    /// Mostly what stands in headers, with the neighbours of the octets searched for.
    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![
            8 => 0x20u8..0x7f,
            2 => prop::sample::select(&[0u8, 1, 9, 10, 13, 0x1f, 0x20, 0x21, 0x39, 0x3a, 0x3b, 0x7f, 0x80, 0x81, 0x9f, 0xa0, 0xba, 0xff][..]),
            1 => any::<u8>(),
        ];
        prop::collection::vec(octet, 0..60)
    }

    proptest! {
        #[test]
        fn searches_agree_with_their_twins(bytes in octets(), from in 0usize..64) {
            let from = from.min(bytes.len());
            prop_assert_eq!(next_control(&bytes, from), naive(&bytes, from, |o| o < 0x20));
            prop_assert_eq!(name_end(&bytes, from), naive(&bytes, from, |o| o <= 0x20 || o == b':'));
        }
    }

    #[test]
    fn every_octet_at_every_place() {
        for octet in 0..=255u8 {
            for place in 0..24 {
                let mut bytes = [b'a'; 24];
                bytes[place] = octet;
                assert_eq!(next_control(&bytes, 0), naive(&bytes, 0, |o| o < 0x20));
                assert_eq!(name_end(&bytes, 0), naive(&bytes, 0, |o| o <= 0x20 || o == b':'));
            }
        }
    }
}
