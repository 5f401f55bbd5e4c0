//! The table of codes: the longest one that a number begins with, in two memory accesses that wait for one another.
//!
//! The first five symbols of a number (see [`Code`]: eleven are possible) index `Direct`: what the longest code of up
//! to five digits stands for, and which lengths the longer ones below it have. A code of each of these lengths is then
//! looked for in `Buckets`, the lines of a hash table, one access each; none of them waits for another.
//!
//! ```text
//! Direct    for each of 11^5: value u32 │ lengths u16, a bit each │ 0
//! Buckets   64 octets each:   five codes u64 │ their values u32 │ u32: 1 when some went on to the next bucket
//! ```
//!
//! Value 0 is "no code".

use super::format::{u16_at, u32_at};
use crate::code::{CODE_DIGITS_MAX, Code};

/// Symbols that index `Direct`.
pub(crate) const DIRECT_SYMBOLS: usize = 5;
/// Slots of `Direct`.
pub(crate) const DIRECT_SLOTS: usize = 11_usize.pow(5);
pub(crate) const DIRECT_SLOT_BYTES: usize = 8;
/// A line of the cache.
pub(crate) const BUCKET_BYTES: usize = 64;
/// Codes of a bucket.
pub(crate) const BUCKET_CODES: usize = 5;
/// Where the values of a bucket stand, and behind them the mark of a crowded one.
pub(crate) const VALUES_AT: usize = 8 * BUCKET_CODES;
pub(crate) const CROWDED_AT: usize = VALUES_AT + 4 * BUCKET_CODES;
/// A code stands in its own bucket or one of those right behind it.
pub(crate) const PROBES_MAX: usize = 4;

const _: () = assert!(CROWDED_AT + 4 == BUCKET_BYTES, "a bucket is full");
const _: () = assert!(CODE_DIGITS_MAX < 16, "a bit for each length");

/// A table of codes in an image. Any octets will do: what does not make sense is no code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeTable<'i> {
    pub(crate) direct: &'i [u8],
    pub(crate) buckets: &'i [u8],
}

impl CodeTable<'_> {
    /// What the longest code that `number` begins with stands for; 0 when there is none.
    #[inline]
    pub(crate) fn find(self, number: Code) -> u32 {
        self.longest(number, self.first(number))
    }

    /// The same for many numbers at once: their memory accesses overlap.
    pub(crate) fn find_all(self, numbers: &[Code], values: &mut [u32]) {
        let mut firsts = [(0, 0); BATCH];
        for (numbers, values) in numbers.chunks(BATCH).zip(values.chunks_mut(BATCH)) {
            for (first, number) in firsts.iter_mut().zip(numbers) {
                *first = self.first(*number);
            }
            // WHY: the loop that compares goes where its data say, and so waits for each line; this one does not.
            let touched = numbers.iter().zip(&firsts).fold(0, |touched, (number, (_, lengths))| {
                each_length(*lengths).fold(touched, |touched, length| touched ^ self.touch(number.first(length)))
            });
            std::hint::black_box(touched);
            for ((value, number), first) in values.iter_mut().zip(numbers).zip(&firsts) {
                *value = self.longest(*number, *first);
            }
        }
    }

    /// What the first digits alone say, and the lengths of longer codes that `number` may begin with.
    #[inline]
    fn first(self, number: Code) -> (u32, u32) {
        let slot = (0..DIRECT_SYMBOLS).fold(0, |slot, place| slot * 11 + number.symbol(place));
        let at = slot * DIRECT_SLOT_BYTES;
        let lengths = u32::from(u16_at(self.direct, at + 4).unwrap_or(0));
        (u32_at(self.direct, at).unwrap_or(0), lengths & ((2 << number.len()) - 1))
    }

    #[inline]
    fn longest(self, number: Code, (value, lengths): (u32, u32)) -> u32 {
        each_length(lengths).find_map(|length| self.value(number.first(length))).unwrap_or(value)
    }

    #[inline]
    fn value(self, code: Code) -> Option<u32> {
        let mut bucket = home(code, self.buckets.len() / BUCKET_BYTES);
        for _ in 0..PROBES_MAX {
            let line: &[u8; BUCKET_BYTES] = self.buckets.get(bucket * BUCKET_BYTES..)?.first_chunk()?;
            let (codes, _) = line.as_chunks::<8>();
            let mut codes = codes.iter().take(BUCKET_CODES);
            if let Some(place) = codes.position(|packed| u64::from_le_bytes(*packed) == code.packed()) {
                return u32_at(line, VALUES_AT + place * 4);
            }
            if line.get(CROWDED_AT) == Some(&0) {
                return None;
            }
            bucket += 1;
        }
        None
    }

    #[inline]
    fn touch(self, code: Code) -> u8 {
        let bucket = home(code, self.buckets.len() / BUCKET_BYTES);
        self.buckets.get(bucket * BUCKET_BYTES).copied().unwrap_or(0)
    }
}

/// The lengths whose bits are set, the longest first.
#[inline]
fn each_length(mut lengths: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let length = lengths.checked_ilog2()?;
        lengths ^= 1 << length;
        Some(length as usize)
    })
}

/// The bucket where a code is looked for first, of `count`. The same on every machine.
#[inline]
pub(crate) fn home(code: Code, count: usize) -> usize {
    let mixed = (code.packed() ^ code.packed() >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 32).wrapping_mul(0x94D0_49BB_1331_11EB);
    // INVARIANT: below `count`, for the upper half of `mixed` is below 2^32.
    ((mixed >> 32) * count as u64 >> 32) as usize
}

/// Numbers whose accesses overlap: with some six lines each, what the first level of the cache holds.
const BATCH: usize = 32;
