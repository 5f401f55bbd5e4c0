//! The sum under the Internet checksum (RFC 1071): 16-bit words in ones' complement.
//!
//! WHY here: the wide instructions need `unsafe` to be called, and the sum over the payload is most of
//! what the AF_XDP driver does with a frame.

/// Adds `bytes` to `sum`, as 16-bit words in the order of memory (RFC 1071 §2 (B): the sum does not care, and
/// swapping costs time); an odd last byte counts as the first of a pair. [`fold`] makes a checksum of it.
#[inline]
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WIDE_FROM && bytes.len() <= WIDE_MAX && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { add_avx2(sum, bytes) };
    }
    add_words(sum, bytes)
}

/// Adds a word of eight bytes, in the order of memory: what is carried out of the sum comes in again below.
#[inline]
pub const fn plus(sum: u64, word: u64) -> u64 {
    let (sum, carry) = sum.overflowing_add(word);
    sum.wrapping_add(carry as u64)
}

/// Folds a sum to 16 bits, in the order of memory: its native bytes are those of the packet.
#[inline]
pub const fn fold(sum: u64) -> u16 {
    // Each half is added to the other, with the carry of the low one: the high one holds the result.
    let sum = sum.wrapping_add(sum.rotate_left(32));
    let half = (sum >> 32) as u32;
    let half = half.wrapping_add(half.rotate_left(16));
    (half >> 16) as u16
}

#[inline(always)]
fn add_words(mut sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        sum = plus(sum, u64::from_ne_bytes(*word));
    }
    if rest.is_empty() {
        return sum;
    }
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    plus(sum, u64::from_ne_bytes(last))
}

/// The same, 32 bytes at a time: the one instruction that adds neighbouring 16-bit words takes them as
/// signed, so each is moved down by 32,768 first, and the sum up again by as much for each.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_avx2(sum: u64, bytes: &[u8]) -> u64 {
    use std::arch::x86_64::{
        __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_add_epi32, _mm256_castsi256_si128,
        _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi16, _mm256_setzero_si256,
        _mm256_xor_si256,
    };
    let (flip, ones) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(1));
    let pairs = |vector: &[u8; 32]| {
        // SAFETY: 32 bytes are read; the load needs no alignment.
        let vector = unsafe { _mm256_loadu_si256(vector.as_ptr().cast::<__m256i>()) };
        _mm256_madd_epi16(_mm256_xor_si256(vector, flip), ones)
    };
    let plus256 = |one, other| _mm256_add_epi32(one, other);
    let (vectors, rest) = bytes.as_chunks::<32>();
    let (groups, single) = vectors.as_chunks::<8>();
    // INVARIANT: a vector adds at most 65,536 to each of eight lanes, and there are at most 2,048 of them, so
    // that even the sum of all lanes stays below 2^31.
    let mut total = _mm256_setzero_si256();
    for [a, b, c, d, e, f, g, h] in groups {
        let first = plus256(plus256(pairs(a), pairs(b)), plus256(pairs(c), pairs(d)));
        let second = plus256(plus256(pairs(e), pairs(f)), plus256(pairs(g), pairs(h)));
        total = plus256(total, plus256(first, second));
    }
    // WHY no loop over what is left: it would cost more than the sums.
    let (fours, single) = single.as_chunks::<4>();
    if let [[a, b, c, d]] = fours {
        total = plus256(total, plus256(plus256(pairs(a), pairs(b)), plus256(pairs(c), pairs(d))));
    }
    let (twos, single) = single.as_chunks::<2>();
    if let [[a, b]] = twos {
        total = plus256(total, plus256(pairs(a), pairs(b)));
    }
    if let [vector] = single {
        total = plus256(total, pairs(vector));
    }
    let half = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
    let half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0b1110));
    let moved = _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 1)));
    // INVARIANT: what was moved down is moved up again, so the sum is not negative.
    let up = (vectors.len() as i64) << 19;
    add_words(plus(sum, (i64::from(moved).wrapping_add(up)) as u64), rest)
}

#[cfg(target_arch = "x86_64")]
const WIDE_FROM: usize = 64;
/// More than any UDP datagram.
#[cfg(target_arch = "x86_64")]
const WIDE_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 §4.1, word by word.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap_or(u16::MAX)
    }

    #[test]
    fn equals_the_plain_sum_at_every_length() {
        let bytes: Vec<u8> = (0..2_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for length in (0..300).chain([511, 777, 1_499, 2_000]) {
            let bytes = &bytes[..length];
            assert_eq!(u16::from_be_bytes(fold(add(0, bytes)).to_ne_bytes()), plain(bytes), "{length}");
            assert_eq!(fold(add_words(0, bytes)), fold(add(0, bytes)), "{length}");
        }
        assert_eq!(fold(add(0, &[0xff; 2_000])), 0xffff);
        assert_eq!(fold(add(u64::MAX, &[0xff; 65_535])), fold(add_words(0, &[0xff; 65_535])));
        for longest in [vec![0u8; 65_536], vec![0x7f; 65_536], vec![0x80; 65_536], vec![0; 70_000]] {
            assert_eq!(fold(add(1, &longest)), fold(add_words(1, &longest)));
        }
    }

    #[test]
    fn the_example_of_the_rfc() {
        let sum = fold(add(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]));
        assert_eq!(sum.to_ne_bytes(), [0xdd, 0xf2]);
    }
}
