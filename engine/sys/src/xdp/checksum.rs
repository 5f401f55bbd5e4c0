//! The sum under the Internet checksum (RFC 1071): 16-bit words in ones' complement.
//!
//! WHY here: the wide instructions need `unsafe` to be called, and the sum over the payload is most of
//! what the AF_XDP driver does with a frame.

/// The fastest way to add bytes up that this machine has, chosen once.
#[derive(Clone, Copy, Debug)]
pub struct Summing(
    /// INVARIANT: this processor has what it needs.
    unsafe fn(u64, &[u8]) -> u64,
);

impl Summing {
    /// The best of this machine.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Summing(add_avx2);
        }
        Summing(add_words)
    }

    /// As [`add`].
    #[inline(always)]
    pub fn add(self, sum: u64, bytes: &[u8]) -> u64 {
        // SAFETY: the function asks for nothing but what the processor has (see the field).
        unsafe { (self.0)(sum, bytes) }
    }
}

/// Adds `bytes` to `sum`, as 16-bit words in the order of memory (RFC 1071 §2 (B): the sum does not care, and
/// swapping costs time); an odd last byte counts as the first of a pair. [`fold`] makes a checksum of it.
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
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

/// Whether a sum that includes its checksum is right, if anything in it is not zero: [`fold`] would give 0xffff.
///
/// WHY: a sum that folds to that is a multiple of it, which takes a multiplication to see.
#[inline]
pub const fn is_right(sum: u64) -> bool {
    // WHY by hand: the compiler's own remainder takes more, where it knows what the sum is made of.
    sum.wrapping_mul(INVERSE) <= u64::MAX / 0xffff
}

/// Of 0xffff, modulo 2^64.
const INVERSE: u64 = 0xfffe_fffe_fffe_ffff;
const _: () = assert!(INVERSE.wrapping_mul(0xffff) == 1, "the inverse");

#[inline(never)]
fn add_words(mut sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        sum = plus(sum, u64::from_ne_bytes(*word));
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
    // Too short, or longer than the lanes hold (no UDP datagram is).
    if bytes.len().wrapping_sub(WIDE_FROM) > WIDE_MAX - WIDE_FROM {
        return add_words(sum, bytes);
    }
    let (flip, ones) = (_mm256_set1_epi16(i16::MIN), _mm256_set1_epi16(1));
    let plus256 = |one, other| _mm256_add_epi32(one, other);
    let pairs = |vector| _mm256_madd_epi16(_mm256_xor_si256(vector, flip), ones);
    // WHY by a pointer: slices of slices cost a quarter more instructions than the sums themselves.
    let mut at = bytes.as_ptr().cast::<__m256i>();
    // SAFETY: no more than 32 bytes times `count` are read from `at` on, where each step below leaves `at`; the load
    // needs no alignment.
    let next = |at: *const __m256i, place| pairs(unsafe { _mm256_loadu_si256(at.add(place)) });
    let mut count = bytes.len() / 32;
    let mut left = count;
    // INVARIANT: a vector adds at most 65,536 to each of eight lanes, and there are at most 2,048 of them, so
    // that even the sum of all lanes stays below 2^31.
    let mut total = _mm256_setzero_si256();
    while left >= 8 {
        let first = plus256(plus256(next(at, 0), next(at, 1)), plus256(next(at, 2), next(at, 3)));
        let second = plus256(plus256(next(at, 4), next(at, 5)), plus256(next(at, 6), next(at, 7)));
        total = plus256(total, plus256(first, second));
        // SAFETY: eight vectors were there to be read.
        at = unsafe { at.add(8) };
        left -= 8;
    }
    if left & 4 != 0 {
        total = plus256(total, plus256(plus256(next(at, 0), next(at, 1)), plus256(next(at, 2), next(at, 3))));
        // SAFETY: four vectors were there to be read.
        at = unsafe { at.add(4) };
    }
    if left & 2 != 0 {
        total = plus256(total, plus256(next(at, 0), next(at, 1)));
        // SAFETY: two vectors were there to be read.
        at = unsafe { at.add(2) };
    }
    if left & 1 != 0 {
        total = plus256(total, next(at, 0));
    }
    let mut sum = sum;
    if !bytes.len().is_multiple_of(32) {
        let (odd, words) = rest_of(bytes);
        sum = plus(sum, odd);
        total = plus256(total, pairs(words));
        count += 1;
    }
    let half = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
    let half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0b1110));
    let moved = _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 1)));
    // INVARIANT: what was moved down is moved up again, so the sum is not negative.
    let up = (count as i64) << 19;
    plus(sum, (i64::from(moved).wrapping_add(up)) as u64)
}

/// What is left of at least 32 bytes behind the last whole vector: an odd last byte, and a vector with the words before
/// it, at its end.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn rest_of(bytes: &[u8]) -> (u64, std::arch::x86_64::__m256i) {
    use std::arch::x86_64::{_mm256_and_si256, _mm256_loadu_si256, _mm256_setzero_si256};
    let odd = bytes.last().filter(|_| !bytes.len().is_multiple_of(2)).map_or(0, |last| u64::from(*last));
    let (end, left) = (bytes.len() & !1, (bytes.len() % 32) & !1);
    // The last 32 bytes, without what was added already.
    let vector = bytes.get(..end).and_then(<[u8]>::last_chunk::<32>);
    let mask = MASK.get(left..).and_then(<[u8]>::first_chunk::<32>);
    let (Some(vector), Some(mask)) = (vector, mask) else { return (odd, _mm256_setzero_si256()) };
    // SAFETY: 32 bytes are read of each; the load needs no alignment.
    let (vector, mask) =
        unsafe { (_mm256_loadu_si256(vector.as_ptr().cast()), _mm256_loadu_si256(mask.as_ptr().cast())) };
    (odd, _mm256_and_si256(vector, mask))
}

#[cfg(target_arch = "x86_64")]
const WIDE_FROM: usize = 32;
/// More than any UDP datagram; the last vector is one of 2,048.
#[cfg(target_arch = "x86_64")]
const WIDE_MAX: usize = 65_535;

/// From place `n` on, a mask of 32 bytes for the last `n` of them.
#[cfg(target_arch = "x86_64")]
static MASK: [u8; 64] = {
    let mut mask = [0; 64];
    let mut at = 32;
    while at < 64 {
        mask[at] = 0xff;
        at += 1;
    }
    mask
};

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
        let best = Summing::best();
        for length in (0..300).chain([511, 777, 1_499, 2_000]) {
            let bytes = &bytes[..length];
            assert_eq!(u16::from_be_bytes(fold(best.add(0, bytes)).to_ne_bytes()), plain(bytes), "{length}");
            assert_eq!(fold(add(0, bytes)), fold(best.add(0, bytes)), "{length}");
        }
        assert_eq!(fold(best.add(0, &[0xff; 2_000])), 0xffff);
        assert_eq!(fold(best.add(u64::MAX, &[0xff; 65_535])), fold(add(0, &[0xff; 65_535])));
        for length in [65_504, 65_534, 65_535, 65_536, 70_000] {
            for longest in [vec![0u8; length], vec![0x7f; length], vec![0x80; length], vec![0xff; length]] {
                assert_eq!(fold(best.add(1, &longest)), fold(add(1, &longest)));
            }
        }
    }

    #[test]
    fn a_right_sum_is_one_that_folds_to_all_ones() {
        let sums = (0..64).flat_map(|bit| (0..40u64).map(move |odd| odd.wrapping_mul(0xffff).rotate_left(bit)));
        for sum in sums.chain([u64::MAX, u64::MAX - 1, 0xffff, 0xffff_0000, 0x1_0000, 1 << 63]).filter(|sum| *sum != 0)
        {
            assert_eq!(is_right(sum), fold(sum) == 0xffff, "{sum:x}");
        }
    }

    #[test]
    fn the_example_of_the_rfc() {
        let sum = fold(add(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]));
        assert_eq!(sum.to_ne_bytes(), [0xdd, 0xf2]);
    }
}
