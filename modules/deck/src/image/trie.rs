//! The trie: longest code that a number begins with, in few memory accesses that wait for one another.
//!
//! A symbol is 0 at the end of a number and digit + 1 before it (see [`Code`]), so that there are eleven.
//! The first five symbols index a table (`Direct`, 11^5 values). Where few codes are left below a slot they stand in a
//! leaf, one after the other in neighbouring lines, all looked at together; where many are, a node takes two more
//! symbols: 121 slots, of which only those that differ from the one before are kept, found by counting bits. Shorter
//! codes are pushed down into slots and leaves, so the last value seen is the answer: no way back up.
//!
//! ```text
//! value  00 and what the code stands for (0: no code) │ 10 and the place of a node │ 11 and the place of a leaf
//! node   bits u64 u64, values u32
//! leaf   codes u32, value of the shorter code u32, codes u64 in their order, their values u32
//! ```
//!
//! Places are in `Nodes`, in units of eight octets.

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
/// Marks a value as a node or a leaf.
pub(crate) const BELOW: u32 = 1 << 31;
/// Marks one of these as a leaf.
pub(crate) const LEAF: u32 = BELOW | 1 << 30;
/// What codes may stand for is below.
pub(crate) const VALUES: u32 = 1 << 30;
/// Most codes of a leaf. WHY: four lines of the cache, which come together; more are dearer to look at than a node.
pub(crate) const LEAF_CODES_MAX: usize = 20;
/// Two words of bits stand before the values of a node.
pub(crate) const NODE_HEADER_BYTES: usize = 16;
pub(crate) const LEAF_HEADER_BYTES: usize = 8;

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
        while is_node(value) && place <= CODE_DIGITS_MAX {
            value = self.step(value, number, place);
            place += NODE_SYMBOLS;
        }
        self.last(value, number)
    }

    /// The same for many numbers at once: their memory accesses overlap.
    pub(crate) fn find_all(self, numbers: &[Code], values: &mut [u32]) {
        for (numbers, values) in numbers.chunks(BATCH).zip(values.chunks_mut(BATCH)) {
            for (value, number) in values.iter_mut().zip(numbers) {
                *value = self.first(*number);
            }
            let mut place = DIRECT_SYMBOLS;
            while place <= CODE_DIGITS_MAX && values.iter().any(|value| is_node(*value)) {
                for (value, number) in values.iter_mut().zip(numbers) {
                    if is_node(*value) {
                        *value = self.step(*value, *number, place);
                    }
                }
                place += NODE_SYMBOLS;
            }
            // WHY: whoever compares waits for what is compared. This only asks for it, for all numbers at once.
            std::hint::black_box(values.iter().fold(0, |touched, value| touched ^ self.touch(*value)));
            for (value, number) in values.iter_mut().zip(numbers) {
                *value = self.last(*value, *number);
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
        let at = octets_of(node);
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

    /// What a value that is no node any more stands for.
    #[inline]
    fn last(self, value: u32, number: Code) -> u32 {
        match value & LEAF {
            LEAF => self.leaf(octets_of(value), number).filter(|value| *value < VALUES).unwrap_or(0),
            0 => value,
            _ => 0,
        }
    }

    #[inline]
    fn leaf(self, at: usize, number: Code) -> Option<u32> {
        let count = u32_at(self.nodes, at)? as usize;
        let codes = self.nodes.get(at + LEAF_HEADER_BYTES..)?.get(..count.min(LEAF_CODES_MAX) * 8)?;
        let (codes, _) = codes.as_chunks::<8>();
        // INVARIANT: of the codes that a number begins with, a longer one stands behind a shorter one. WHY all of
        // them: no branch is taken that the processor could not foresee.
        let found = codes.iter().zip(1..).fold(0, |found, (packed, place)| {
            if Code::of_leaf(u64::from_le_bytes(*packed)).begins(number) { place } else { found }
        });
        match found {
            0 => u32_at(self.nodes, at + 4),
            place => u32_at(self.nodes, at + LEAF_HEADER_BYTES + count * 8 + (place - 1) * 4),
        }
    }

    #[inline]
    fn touch(self, value: u32) -> u8 {
        let octet = |line: usize| self.nodes.get(octets_of(value) + line * 64).copied().unwrap_or(0);
        if value & LEAF == LEAF { octet(0) ^ octet(1) ^ octet(2) } else { 0 }
    }
}

#[inline]
const fn is_node(value: u32) -> bool {
    value & LEAF == BELOW
}

/// Where in `Nodes` a value points to.
#[inline]
const fn octets_of(value: u32) -> usize {
    (value & !LEAF) as usize * 8
}

/// Numbers whose accesses overlap: more than a core has outstanding misses brings nothing.
const BATCH: usize = 32;
