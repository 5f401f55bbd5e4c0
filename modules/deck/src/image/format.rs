//! The layout of an image. All numbers little-endian; every section begins at a multiple of 64 octets.
//!
//! ```text
//! 0   magic 8 │ version u32 │ sections u32 │ length u64 │ deck bits u32 │ decks u32
//! 32  SHA-256 of the whole image with these 32 octets zero
//! 64  for each section: offset u64, length u64
//! ```
//!
//! | Section | Holds |
//! |---|---|
//! | `Decks` | a [`DECK_BYTES`] record each |
//! | `Strings` | names, one after the other |
//! | `Names` | origin groups: offset and length of a string |
//! | `Terms` | [`TERMS_BYTES`] each: effective u32, expiry u32, fee i64, destination (a name) u32, initial u16, subsequent u16, origin u16, kind u8, 0 |
//! | `Quads` | prices by jurisdiction: inter, intra, indeterminate, local as u32 |
//! | `Wide` | prices that 32 bits do not hold, as i64 |
//! | `Blocks` | a block for each code, see below |
//! | `Direct`, `Nodes` | the trie over codes (see `trie`) |
//! | `Origin*` | blocks and trie over callers' numbers; a cell is deck, group |
//! | `State*` | names of states (four octets), trie over NPA-NXX-X |
//! | `Local` | sorted pairs of exchanges, u64 |
//!
//! A block is code u64, rest u32, own u16, cells u16; then the cells; then for each beyond the first `own` the length
//! of its code in four bits, padded to eight octets. The first `own` cells are the code's. Behind them stand those of
//! shorter codes, the longest of these first, of decks that have none for this code, or none that is sure to be in
//! force: so a question for twenty decks is answered by neighbouring lines. They are not more than twice the code's
//! own; what found no place begins in the block `rest` (0: nothing).
//!
//! A cell is eight octets: deck in the upper bits, a bit for a plain one, index of terms in the lower bits; then the
//! price, or where it stands. A plain one has a flat price for any caller, and is in force for ever from its deck's usual
//! time on, the one that most of its rows have: from then on nobody has to look at its terms. Times are seconds since 1970; 0 is always, [`TIME_NEVER`] never.

/// Begins every image.
pub(crate) const MAGIC: [u8; 8] = *b"TANDECK\n";

/// Raised with every change of the layout.
pub(crate) const VERSION: u32 = 2;

pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const SECTION_ALIGNMENT: usize = 64;
pub(crate) const HASH_AT: std::ops::Range<usize> = 32..64;
pub(crate) const DECK_BYTES: usize = 64;
/// Where in a deck's record its usual time stands.
pub(crate) const USUAL_AT: usize = 32;
pub(crate) const TERMS_BYTES: usize = 32;
pub(crate) const QUAD_BYTES: usize = 16;
pub(crate) const WIDE_BYTES: usize = 8;
pub(crate) const BLOCK_HEADER_BYTES: usize = 16;
pub(crate) const CELL_BYTES: usize = 8;
pub(crate) const STATE_BYTES: usize = 4;
pub(crate) const PAIR_BYTES: usize = 8;
pub(crate) const NAME_BYTES: usize = 8;

/// Place of the first block, in units of eight octets: place 0 means "no block".
pub(crate) const RATE_BLOCKS_START: u32 = 1;

/// Never in force, or never expires.
pub(crate) const TIME_NEVER: u32 = u32::MAX;

/// Most decks of one image: ten bits of a cell leave 2^21 terms.
pub const DECKS_MAX: usize = 1024;

/// A part of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Decks,
    Strings,
    Names,
    Terms,
    Quads,
    Wide,
    Blocks,
    Direct,
    Nodes,
    OriginBlocks,
    OriginDirect,
    OriginNodes,
    States,
    StateDirect,
    StateNodes,
    Local,
}

pub(crate) const SECTION_COUNT: usize = 16;

/// The first half of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellHead {
    pub(crate) deck: usize,
    pub(crate) plain: bool,
    pub(crate) terms: u32,
}

impl CellHead {
    #[inline]
    pub(crate) const fn of(word: u32, deck_bits: u32) -> Self {
        CellHead {
            deck: (word >> (u32::BITS - deck_bits)) as usize,
            plain: word >> (u32::BITS - 1 - deck_bits) & 1 == 1,
            terms: word & (u32::MAX >> 1 >> deck_bits),
        }
    }

    /// `None`: there is no room for that many terms.
    pub(crate) const fn word(deck: u16, plain: bool, terms: u32, deck_bits: u32) -> Option<u32> {
        if terms > u32::MAX >> 1 >> deck_bits {
            return None;
        }
        Some((deck as u32) << (u32::BITS - deck_bits) | (plain as u32) << (u32::BITS - 1 - deck_bits) | terms)
    }
}

/// How the second half of a cell is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    Closed = 0,
    /// The price itself.
    Flat = 1,
    /// Index in `Wide`.
    FlatWide = 2,
    /// Index in `Quads`.
    Quad = 3,
    /// Index of the first of four in `Wide`.
    QuadWide = 4,
}

impl Kind {
    pub(crate) const fn of(octet: u8) -> Option<Self> {
        match octet {
            0 => Some(Kind::Closed),
            1 => Some(Kind::Flat),
            2 => Some(Kind::FlatWide),
            3 => Some(Kind::Quad),
            4 => Some(Kind::QuadWide),
            _ => None,
        }
    }
}

/// Four octets as a number; `None` beyond the end.
#[inline]
pub(crate) fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    let part = octets.get(at..at.checked_add(4)?)?;
    part.try_into().ok().map(u32::from_le_bytes)
}

/// Eight octets as a number; `None` beyond the end.
#[inline]
pub(crate) fn u64_at(octets: &[u8], at: usize) -> Option<u64> {
    let part = octets.get(at..at.checked_add(8)?)?;
    part.try_into().ok().map(u64::from_le_bytes)
}

/// Two octets as a number; `None` beyond the end.
#[inline]
pub(crate) fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    let part = octets.get(at..at.checked_add(2)?)?;
    part.try_into().ok().map(u16::from_le_bytes)
}
