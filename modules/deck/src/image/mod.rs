//! A compiled image: opened from any octets, asked without allocating.
//!
//! [`Image::open`] checks hash, version and layout. Even so nothing here trusts what it reads: every access
//! is bounded, every walk is finite, and what does not make sense is no price. Called by the node's
//! `deck_files` and by `tandem deck`.

pub(crate) mod format;
mod open;
mod quote;
mod rows;
pub(crate) mod trie;

#[cfg(test)]
mod tests;

pub use crate::billing::Rounding;
pub use format::DECKS_MAX;
pub use open::{Hash, OpenError};
pub use quote::{Asked, Found, Question, Quotes, State};

use crate::code::Code;
use crate::compile::DeckSettings;
use crate::money::Digits;
use crate::nanp::{self, Jurisdiction};
use format::{
    BLOCK_HEADER_BYTES, CELL_BYTES, DECK_BYTES, NAME_BYTES, PAIR_BYTES, STATE_BYTES, Section, TIME_NEVER, USUAL_AT,
    u16_at, u32_at, u64_at,
};
use open::Sections;
use trie::Trie;

/// Which number a deck's codes are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateOn {
    /// The routing number (RFC 4694 `rn`) where there is one.
    #[default]
    Lrn,
    /// The dialled number.
    Dialled,
}

pub(crate) const RATE_TRIE: [Section; 3] = [Section::Blocks, Section::Direct, Section::Nodes];
pub(crate) const ORIGIN_TRIE: [Section; 3] = [Section::OriginBlocks, Section::OriginDirect, Section::OriginNodes];
pub(crate) const STATE_TRIE: [Section; 3] = [Section::States, Section::StateDirect, Section::StateNodes];

/// An image in `B`: the octets of a file, on huge pages, or any others.
#[derive(Debug)]
pub struct Image<B> {
    octets: B,
    sections: Sections,
    hash: Hash,
    /// Bits of a cell that name its deck.
    deck_bits: u32,
    decks: Vec<Deck>,
    /// By deck: from when on its plain cells are in force.
    usual: Vec<u32>,
}

/// A deck of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deck {
    /// What it is.
    pub settings: DeckSettings,
    /// Decimals of its prices and fees.
    pub price_digits: Digits,
    /// How many rows it has.
    pub rows: u64,
    /// Names of its origin groups; entry 0 is "any caller".
    pub origins: Vec<String>,
    /// Index of the group of unknown callers; 0: the deck has none.
    invalid_origin: u16,
}

/// Where the cells of a code stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block(u32);

impl<B: AsRef<[u8]>> Image<B> {
    /// Its decks, in their order.
    pub fn decks(&self) -> &[Deck] {
        &self.decks
    }

    /// The SHA-256 of it.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        self.octets.as_ref()
    }

    /// The longest code of any deck that `number` begins with. In one look-up for all decks.
    #[inline]
    pub fn longest(&self, number: Code) -> Option<Block> {
        Some(Block(self.trie(RATE_TRIE).find(number))).filter(|block| block.0 != 0)
    }

    /// The same for many numbers at once; 0 where there is none. As many as the shorter slice has.
    pub fn longest_of_all(&self, numbers: &[Code], blocks: &mut [u32]) {
        self.trie(RATE_TRIE).find_all(numbers, blocks);
    }

    /// Where a call runs (North America).
    pub fn jurisdiction(&self, caller: Option<Code>, called: Code) -> Jurisdiction {
        let states = self.trie(STATE_TRIE);
        let state = |number| states.find(number).checked_sub(1);
        nanp::jurisdiction(caller, called, state, |pair| self.is_local(pair))
    }

    /// The state (two letters) of a North American number.
    pub fn state(&self, number: Code) -> Option<&str> {
        let states = self.trie(STATE_TRIE);
        let at = states.find(number).checked_sub(1)? as usize * STATE_BYTES;
        std::str::from_utf8(self.section(Section::States).get(at..at + 2)?).ok()
    }

    fn is_local(&self, pair: u64) -> bool {
        let pairs = self.section(Section::Local);
        let (mut low, mut high) = (0, pairs.len() / PAIR_BYTES);
        while low < high {
            let middle = low + (high - low) / 2;
            match u64_at(pairs, middle * PAIR_BYTES) {
                Some(found) if found < pair => low = middle + 1,
                Some(found) if found == pair => return true,
                _ => high = middle,
            }
        }
        false
    }

    #[inline]
    fn trie(&self, [_, direct, nodes]: [Section; 3]) -> Trie<'_> {
        Trie { direct: self.section(direct), nodes: self.section(nodes) }
    }

    #[inline]
    fn section(&self, section: Section) -> &[u8] {
        self.octets.as_ref().get(self.sections.range(section)).unwrap_or_default()
    }

    /// A name by its index; empty when there is none.
    fn name(&self, index: u32) -> &str {
        let found = || {
            let at = index as usize * NAME_BYTES;
            let names = self.section(Section::Names);
            let (start, length) = (u32_at(names, at)? as usize, u32_at(names, at + 4)? as usize);
            std::str::from_utf8(self.section(Section::Strings).get(start..start.checked_add(length)?)?).ok()
        };
        found().unwrap_or("")
    }

    /// From when on the plain cells of each deck are in force.
    fn read_usual(&self) -> Vec<u32> {
        let octets = self.section(Section::Decks);
        (0..self.decks.len()).map(|deck| u32_at(octets, deck * DECK_BYTES + USUAL_AT).unwrap_or(TIME_NEVER)).collect()
    }

    fn read_decks(&self, count: u32) -> Option<Vec<Deck>> {
        (0..count as usize).map(|index| self.read_deck(index * DECK_BYTES)).collect()
    }

    fn read_deck(&self, at: usize) -> Option<Deck> {
        let octets = self.section(Section::Decks);
        let octet = |offset: usize| octets.get(at + offset).copied();
        let (first, count) = (u32_at(octets, at + 4)?, u32_at(octets, at + 8)?);
        // INVARIANT: indices of groups are 16 bits.
        let last = first.checked_add(count).filter(|_| count <= u32::from(u16::MAX))?;
        let settings = DeckSettings {
            name: self.name(u32_at(octets, at)?).to_owned(),
            currency: std::str::from_utf8(octets.get(at + 12..at + 15)?).ok()?.to_owned(),
            digits: Digits::new(octet(25)?)?,
            rounding: if octet(26)? == Rounding::Up as u8 { Rounding::Up } else { Rounding::Nearest },
            rate_on: if octet(27)? == RateOn::Lrn as u8 { RateOn::Lrn } else { RateOn::Dialled },
        };
        Some(Deck {
            settings,
            price_digits: Digits::new(octet(24)?)?,
            rows: u64_at(octets, at + 16)?,
            origins: (first..last).map(|index| self.name(index).to_owned()).collect(),
            invalid_origin: u16_at(octets, at + 28)?,
        })
    }
}

/// One code's cells.
#[derive(Clone, Copy, Debug)]
struct Cells<'i> {
    code: Code,
    /// Place of the block where decks that have no cell here may have one; 0 for none.
    rest: u32,
    /// The code's own.
    own: &'i [[u8; CELL_BYTES]],
    /// Those of shorter codes, the longest of these first.
    inherited: &'i [[u8; CELL_BYTES]],
    /// Lengths of these codes, four bits each.
    lengths: &'i [u8],
}

impl<'i> Cells<'i> {
    /// Those of shorter codes, each with its code.
    #[inline]
    fn inherited(self) -> impl Iterator<Item = (Code, &'i [u8; CELL_BYTES])> {
        let lengths = self.lengths.iter().flat_map(|pair| [pair & 15, pair >> 4]);
        let code = self.code;
        self.inherited.iter().zip(lengths).map(move |(cell, length)| (code.first(usize::from(length)), cell))
    }

    /// Octets of the block.
    fn size(self) -> usize {
        let cells = self.own.len() + self.inherited.len();
        (BLOCK_HEADER_BYTES + cells * CELL_BYTES + self.lengths.len()).next_multiple_of(8)
    }
}

/// Reads the block at `place` (in units of eight octets).
#[inline]
fn cells_at(blocks: &[u8], place: u32) -> Option<Cells<'_>> {
    let at = place as usize * 8;
    // WHY: these lines are needed in any case, and are asked for together, before what stands in the first is known.
    let line = |number: usize| blocks.get(at + number * 64).copied().unwrap_or(0);
    std::hint::black_box(line(1) ^ line(2) ^ line(3));
    let code = Code::from_packed(u64_at(blocks, at)?)?;
    // INVARIANT: shorter codes stand before longer ones, so the way up ends.
    let rest = u32_at(blocks, at + 8).filter(|rest| *rest < place)?;
    let (own, count) = (usize::from(u16_at(blocks, at + 12)?), usize::from(u16_at(blocks, at + 14)?));
    let (cells, behind) = blocks.get(at + BLOCK_HEADER_BYTES..)?.split_at_checked(count * CELL_BYTES)?;
    let (cells, _) = cells.as_chunks();
    let (own, inherited) = cells.split_at_checked(own)?;
    let lengths = behind.get(..inherited.len().div_ceil(2))?;
    Some(Cells { code, rest, own, inherited, lengths })
}
