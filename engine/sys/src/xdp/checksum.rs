//! The sum under the Internet checksum (RFC 1071): 16-bit words in ones' complement.
//!
//! WHY here: the wide instructions need `unsafe` to be called, and the sum over the payload is most of
//! what the AF_XDP driver does with a frame.

/// Adds `bytes` to `sum`, as big-endian 16-bit words in any order of the machine; an odd last byte counts
/// as the first of a pair. [`fold`] makes a checksum of it.
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WIDE_FROM && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { add_avx2(sum, bytes) };
    }
    add_words(sum, bytes)
}

/// Folds a sum to 16 bits, in the order of memory: its native bytes are those of the packet.
pub fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    // INVARIANT: folded until it fits.
    sum as u16
}

/// WHY native order: the ones' complement sum does not care (RFC 1071 §2 (B)), and swapping costs time.
#[inline(always)]
fn add_words(mut sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        sum += u64::from(u32::from_ne_bytes(*word));
    }
    let (pairs, last) = rest.as_chunks::<2>();
    for pair in pairs {
        sum += u64::from(u16::from_ne_bytes(*pair));
    }
    if let [last] = last {
        sum += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    sum
}

/// The same, 32 bytes at a time: the one instruction that adds neighbouring 16-bit words takes them as
/// signed, so each is moved down by 32,768 first, and the sum up again by as much for each.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_avx2(sum: u64, bytes: &[u8]) -> u64 {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi16, _mm256_setzero_si256,
        _mm256_storeu_si256, _mm256_xor_si256,
    };
    let (blocks, rest) = bytes.as_chunks::<64>();
    let (flip, ones) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(1));
    let (mut first, mut second) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for block in blocks {
        let start = block.as_ptr().cast::<__m256i>();
        // SAFETY: a block is 64 bytes; the loads need no alignment.
        let (low, high) = unsafe { (_mm256_loadu_si256(start), _mm256_loadu_si256(start.add(1))) };
        // INVARIANT: each adds at most 65,536 to a lane of 32 bits: no overflow below two megabytes.
        first = _mm256_add_epi32(first, _mm256_madd_epi16(_mm256_xor_si256(low, flip), ones));
        second = _mm256_add_epi32(second, _mm256_madd_epi16(_mm256_xor_si256(high, flip), ones));
    }
    let mut lanes = [0i32; 8];
    // SAFETY: the array is 32 bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast::<__m256i>(), _mm256_add_epi32(first, second)) };
    let moved: i64 = lanes.iter().map(|lane| i64::from(*lane)).sum();
    let up = 32_768 * 32 * blocks.len() as i64;
    // INVARIANT: what was moved down is moved up again, so the sum is not negative.
    add_words(sum + (moved + up) as u64, rest)
}

#[cfg(target_arch = "x86_64")]
const WIDE_FROM: usize = 64;

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
    }

    #[test]
    fn the_example_of_the_rfc() {
        let sum = fold(add(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]));
        assert_eq!(sum.to_ne_bytes(), [0xdd, 0xf2]);
    }
}
