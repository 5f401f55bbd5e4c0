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

/// The same in the compiler's own vectors of 32 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_avx2(sum: u64, bytes: &[u8]) -> u64 {
    use std::arch::x86_64::{
        __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_loadu_si256, _mm256_set1_epi64x, _mm256_setzero_si256,
        _mm256_srli_epi64, _mm256_storeu_si256,
    };
    let (blocks, rest) = bytes.as_chunks::<32>();
    let low = _mm256_set1_epi64x(0xffff_ffff);
    let (mut first, mut second) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for block in blocks {
        // SAFETY: a block is 32 bytes; the load needs no alignment.
        let words = unsafe { _mm256_loadu_si256(block.as_ptr().cast::<__m256i>()) };
        first = _mm256_add_epi64(first, _mm256_and_si256(words, low));
        second = _mm256_add_epi64(second, _mm256_srli_epi64::<32>(words));
    }
    let mut lanes = [0u64; 4];
    // SAFETY: the array is 32 bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast::<__m256i>(), _mm256_add_epi64(first, second)) };
    add_words(sum + lanes.iter().sum::<u64>(), rest)
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
