//! The searches that the one pass over the header section is made of, sixteen and eight octets at a
//! time.
//!
//! WHY no intrinsics: header names and values are short (10 and 35 octets in the middle), so that a
//! wider vector would mostly look at the next line. The compiler turns the test of sixteen octets
//! into five vector instructions by itself; no `unsafe` is needed. Each search has a plain twin in the tests.

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
#[inline(always)]
pub(super) fn next_control(bytes: &[u8], from: usize) -> usize {
    first_below(bytes, from, b' ')
}

/// Offset of the first space or control character at or after `from`: where a word of the start line
/// ends.
#[inline]
pub(super) fn word_end(bytes: &[u8], from: usize) -> usize {
    first_below(bytes, from, b' ' + 1)
}

/// Offset of the first octet below `limit` at or after `from`.
#[inline(always)]
fn first_below(bytes: &[u8], from: usize, limit: u8) -> usize {
    let Some(mut rest) = bytes.get(from..) else {
        return bytes.len();
    };
    while let Some((octets, after)) = rest.split_first_chunk::<16>() {
        if octets.iter().fold(false, |any, &octet| any | (octet < limit)) {
            return (bytes.len() - rest.len()).wrapping_add(place_below(octets, limit));
        }
        rest = after;
    }
    last_octets(bytes, bytes.len() - rest.len(), |octet| octet < limit)
}

/// Index of the first octet below `limit`, of which there is one.
#[inline(always)]
fn place_below(octets: &[u8; 16], limit: u8) -> usize {
    let half = |at| word_at(octets, at).map_or(0, |word| below(word, limit));
    match half(0) {
        0 => 8 + lowest(half(8)),
        marks => lowest(marks),
    }
}

/// Index of the first `octet` in `octets`.
#[inline]
pub(super) fn position_of(octets: &[u8], octet: u8) -> Option<usize> {
    let mut rest = octets;
    while let Some((sixteen, after)) = rest.split_first_chunk::<16>() {
        let mut marks = [0u8; 16];
        for (mark, &here) in marks.iter_mut().zip(sixteen) {
            *mark = if here == octet { 0xff } else { 0 };
        }
        let marks = u128::from_le_bytes(marks);
        if marks != 0 {
            return Some((octets.len() - rest.len()).wrapping_add(marks.trailing_zeros() as usize / 8));
        }
        rest = after;
    }
    rest.iter().position(|&here| here == octet).map(|place| octets.len() - rest.len() + place)
}

/// Offset of the first colon, space or control character at or after `from`: where a header name ends.
#[inline]
pub(super) fn name_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = word_at(bytes, at) {
        let marks = name_end_marks(word);
        if marks != 0 {
            return at + lowest(marks);
        }
        at += 8;
    }
    last_octets(bytes, at, |octet| octet <= b' ' || octet == b':')
}

/// High bit of each byte of `word` that ends a header name; only the lowest may be believed.
#[inline]
const fn name_end_marks(word: u64) -> u64 {
    below(word, b' ' + 1) | equal(word, b':')
}

/// The word that a line begins with: a header name, or a method.
#[derive(Clone, Copy)]
pub(super) struct FirstWord {
    /// Its first octets, at most eight; zeros after its end.
    pub(super) word: u64,
    /// Its length, if it ends among the eight.
    pub(super) length: Option<usize>,
}

/// Looks for the end of a word (colon, space or control character) in the first eight octets of a line.
#[inline(always)]
pub(super) fn first_word(octets: u64) -> FirstWord {
    let marks = name_end_marks(octets);
    if marks == 0 {
        return FirstWord { word: octets, length: None };
    }
    // All bits up to the lowest mark, which is the highest bit of its byte, less that byte.
    let before = (marks ^ marks.wrapping_sub(1)) >> 8;
    FirstWord { word: octets & before, length: Some(lowest(marks)) }
}

/// The last octets, one by one.
#[cold]
fn last_octets(bytes: &[u8], at: usize, stop: impl Fn(u8) -> bool) -> usize {
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

    /// What stands in headers, with the neighbours of the octets searched for.
    fn octets() -> impl Strategy<Value = Vec<u8>> {
        let near =
            &[0u8, 1, 9, 10, 13, 0x1f, 0x20, 0x21, 0x39, 0x3a, 0x3b, 0x7f, 0x80, 0x81, 0x9f, 0xa0, 0xba, 0xff][..];
        let octet = prop_oneof![
            30 => 0x20u8..0x7f,
            2 => prop::sample::select(near),
            1 => any::<u8>(),
        ];
        prop::collection::vec(octet, 0..90)
    }

    fn agree(bytes: &[u8], from: usize) {
        let control = |octet| octet < b' ';
        let space = |octet| octet <= b' ';
        let colon = |octet| octet <= b' ' || octet == b':';
        assert_eq!(next_control(bytes, from), naive(bytes, from, control));
        assert_eq!(word_end(bytes, from), naive(bytes, from, space));
        assert_eq!(name_end(bytes, from), naive(bytes, from, colon));
        let after = &bytes[from..];
        assert_eq!(position_of(after, b':'), after.iter().position(|&octet| octet == b':'));
        if let Some(word) = word_at(bytes, from) {
            let start = first_word(word);
            let length = naive(bytes, from, colon) - from;
            assert_eq!(start.length, Some(length).filter(|&length| length < 8));
            let mut octets = [0; 8];
            let known = length.min(8);
            octets[..known].copy_from_slice(&bytes[from..from + known]);
            assert_eq!(start.word, u64::from_le_bytes(octets));
        }
    }

    proptest! {
        #[test]
        fn searches_agree_with_their_twins(bytes in octets(), from in 0usize..90) {
            agree(&bytes, from.min(bytes.len()));
        }
    }

    #[test]
    fn every_octet_at_every_place() {
        for octet in 0..=255u8 {
            for place in 0..40 {
                let mut bytes = [b'a'; 40];
                bytes[place] = octet;
                agree(&bytes, 0);
            }
        }
    }
}
