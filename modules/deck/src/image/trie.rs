//! The trie: longest code that a number begins with, in few memory accesses.
//!
//! A symbol is 0 at the end of a number and digit + 1 before it (see [`Code`]), so that there are eleven.
//! The first five symbols index a table (`Direct`, 11^5 values); each node below takes two more: 121 slots,
//! of which only those that differ from the one before are kept, found by counting bits. Shorter codes are
//! pushed down into the slots, so the last value seen is the answer: no way back up.
//!
//! A value is 0 (no code), a node (upper bit set, place in `Nodes` in units of eight octets), or what the
//! code stands for.

use super::format::{u32_at, u64_at};
use crate::code::{CODE_DIGITS_MAX, Code};

/// Symbols that the first step takes.
pub(crate) const DIRECT_SYMBOLS: usize = 5;
/// Symbols that each node takes.
pub(crate) const NODE_SYMBOLS: usize = 2;
/// Values of the first step.
pub(crate) const DIRECT_SLOTS: usize = 11_usize.pow(5);
/// Values of a node.
pub(crate) const NODE_SLOTS: usize = 121;
/// Marks a value as a node.
pub(crate) const NODE: u32 = 1 << 31;
/// Two words of bits stand before the values of a node.
pub(crate) const NODE_HEADER_BYTES: usize = 16;

const _: () = assert!(NODE_SLOTS <= 128, "a node has 128 bits");

/// A trie in an image. Any octets will do: what does not make sense is no code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trie<'i> {
    pub(crate) direct: &'i [u8],
    pub(crate) nodes: &'i [u8],
}

impl Trie<'_> {
    /// What the longest code that `number` begins with stands for; 0 when there is none.
    #[inline]
    pub(crate) fn find(self, number: Code) -> u32 {
        let mut value = self.first(number);
        let mut place = DIRECT_SYMBOLS;
        // INVARIANT: bounded, whatever the image says: each step takes two of fifteen digits.
        while value & NODE != 0 && place <= CODE_DIGITS_MAX {
            value = self.step(value, number, place);
            place += NODE_SYMBOLS;
        }
        if value & NODE == 0 { value } else { 0 }
    }

    /// The same for many numbers at once: their memory accesses overlap.
    pub(crate) fn find_all(self, numbers: &[Code], values: &mut [u32]) {
        for (numbers, values) in numbers.chunks(BATCH).zip(values.chunks_mut(BATCH)) {
            for (value, number) in values.iter_mut().zip(numbers) {
                *value = self.first(*number);
            }
            let mut place = DIRECT_SYMBOLS;
            while place <= CODE_DIGITS_MAX && values.iter().any(|value| value & NODE != 0) {
                for (value, number) in values.iter_mut().zip(numbers) {
                    if *value & NODE != 0 {
                        *value = self.step(*value, *number, place);
                    }
                }
                place += NODE_SYMBOLS;
            }
            for value in values {
                *value = if *value & NODE == 0 { *value } else { 0 };
            }
        }
    }

    #[inline]
    fn first(self, number: Code) -> u32 {
        let slot = (0..DIRECT_SYMBOLS).fold(0, |slot, place| slot * 11 + number.symbol(place));
        u32_at(self.direct, slot * 4).unwrap_or(0)
    }

    #[inline]
    fn step(self, node: u32, number: Code, place: usize) -> u32 {
        let slot = number.symbol(place) * 11 + number.symbol(place + 1);
        let at = (node & !NODE) as usize * 8;
        let (Some(low), Some(high)) = (u64_at(self.nodes, at), u64_at(self.nodes, at + 8)) else {
            return 0;
        };
        let differing = u128::from(high) << 64 | u128::from(low);
        let up_to = differing & (u128::MAX >> (127 - slot.min(127)));
        let Some(rank) = up_to.count_ones().checked_sub(1) else {
            return 0;
        };
        u32_at(self.nodes, at + NODE_HEADER_BYTES + rank as usize * 4).unwrap_or(0)
    }
}

/// Numbers whose accesses overlap: more than a core has outstanding misses brings nothing.
const BATCH: usize = 32;
