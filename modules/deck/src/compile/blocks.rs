//! Merges the rows of all decks by code into blocks.
//!
//! A block has the cells of its own code and then those of shorter ones that would answer in their place (see
//! `image::format`): what is written twice here is read once for each call.

use super::layout::{Layout, put_u32};
use super::terms::Translation;
use super::{CompileError, DeckSource, INVALID_ORIGIN};
use crate::code::Code;
use crate::image::DECKS_MAX;
use crate::image::format::CellHead;
use crate::image::trie::VALUES;
use crate::rows::Row;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Cells of shorter codes in a block, for each of its own, at most: bounds what an image grows by.
const INHERITED_PER_OWN_MAX: usize = 2;

/// A cell, and what has to be known of it while blocks are made.
#[derive(Clone, Copy, Debug)]
struct Cell {
    first: u32,
    second: u32,
    deck: u16,
    /// In force from the time on from which most of the deck is, for ever: no shorter code of the deck is asked then.
    settles: bool,
}

/// Blocks, and where each code's stands.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) octets: Vec<u8>,
    pub(super) entries: Vec<(Code, u32)>,
    /// Codes that begin the one of the last block, the shortest first.
    open: Vec<Open>,
    /// What was open before: its room is used again.
    spare: Vec<Vec<Cell>>,
}

/// A code that begins the one of the last block.
#[derive(Debug)]
struct Open {
    code: Code,
    place: u32,
    cells: Vec<Cell>,
}

/// Decks, a bit each.
struct DeckBits([u64; DECKS_MAX.div_ceil(64)]);

impl DeckBits {
    fn set(&mut self, deck: u16) {
        if let Some(word) = self.0.get_mut(usize::from(deck / 64)) {
            *word |= 1 << (deck % 64);
        }
    }

    fn has(&self, deck: u16) -> bool {
        self.0.get(usize::from(deck / 64)).is_some_and(|word| word >> (deck % 64) & 1 == 1)
    }

    /// Sets the decks of cells that settle.
    fn settle(&mut self, cells: &[Cell]) {
        cells.iter().filter(|cell| cell.settles).for_each(|cell| self.set(cell.deck));
    }
}

impl Blocks {
    fn new() -> Self {
        // Place 0 means "no block".
        Blocks { octets: vec![0; 8], entries: Vec::new(), open: Vec::new(), spare: Vec::new() }
    }

    /// Codes come in their order, each once.
    fn push(&mut self, code: Code, own: &[Cell]) -> Result<(), CompileError> {
        let place = u32::try_from(self.octets.len() / 8).ok().filter(|place| *place < VALUES);
        let place = place.ok_or(CompileError::TooLarge("codes"))?;
        while let Some(closed) = self.open.pop_if(|open| !open.code.begins(code)) {
            self.spare.push(closed.cells);
        }
        let (inherited, rest) = self.inherited(own);
        let count = |cells: usize| u16::try_from(cells).map_err(|_| CompileError::TooLarge("rows of one code"));
        self.octets.extend_from_slice(&code.packed().to_le_bytes());
        put_u32(&mut self.octets, rest);
        self.octets.extend_from_slice(&count(own.len())?.to_le_bytes());
        self.octets.extend_from_slice(&count(own.len() + inherited.len())?.to_le_bytes());
        for cell in own.iter().chain(inherited.iter().map(|(_, cell)| cell)) {
            put_u32(&mut self.octets, cell.first);
            put_u32(&mut self.octets, cell.second);
        }
        for pair in inherited.chunks(2) {
            // INVARIANT: lengths are at most fifteen.
            let length = |place: usize| pair.get(place).map_or(0, |(length, _)| *length);
            self.octets.push(length(0) | length(1) << 4);
        }
        self.octets.resize(self.octets.len().next_multiple_of(8), 0);
        let mut cells = self.spare.pop().unwrap_or_default();
        cells.clear();
        cells.extend_from_slice(own);
        self.open.push(Open { code, place, cells });
        self.entries.push((code, place));
        Ok(())
    }

    /// Cells of the open codes for decks that `own` ones do not settle, each with the length of its code; and the block
    /// with those that found no place.
    fn inherited(&self, own: &[Cell]) -> (Vec<(u8, Cell)>, u32) {
        let (mut inherited, mut rest) = (Vec::new(), 0);
        let mut settled = DeckBits([0; _]);
        settled.settle(own);
        for open in self.open.iter().rev() {
            let length = u8::try_from(open.code.len()).unwrap_or(0);
            let before = inherited.len();
            inherited.extend(open.cells.iter().filter(|cell| !settled.has(cell.deck)).map(|cell| (length, *cell)));
            if inherited.len() > own.len() * INHERITED_PER_OWN_MAX {
                // WHY all of them: the cells of one code and deck are asked together or not at all.
                inherited.truncate(before);
                rest = open.place;
                break;
            }
            settled.settle(&open.cells);
        }
        (inherited, rest)
    }
}

/// How many rows pass between two reports of progress.
const PROGRESS_ROWS: u64 = 1 << 16;

/// All rows of all decks.
pub(super) fn merge(
    decks: &[DeckSource],
    deck_bits: u32,
    layout: &mut Layout,
    progress: &mut dyn FnMut(u64),
) -> Result<Blocks, CompileError> {
    let mut translations: Vec<_> = decks.iter().map(|deck| Translation::new(&deck.settings.name, &deck.rows)).collect();
    let mut rests: Vec<&[Row]> = decks.iter().map(|deck| deck.rows.rows.as_slice()).collect();
    let mut next: BinaryHeap<_> =
        rests.iter().enumerate().filter_map(|(deck, rows)| Some(Reverse((rows.first()?.code, deck)))).collect();
    let mut blocks = Blocks::new();
    let (mut cells, mut done) = (Vec::new(), 0_u64);
    while let Some(Reverse((code, deck))) = next.pop() {
        let (Some(rest), Some(translation)) = (rests.get_mut(deck), translations.get_mut(deck)) else {
            continue;
        };
        let same = rest.iter().take_while(|row| row.code == code).count();
        let (rows, after) = rest.split_at(same);
        *rest = after;
        let number = u16::try_from(deck).map_err(|_| CompileError::TooManyDecks)?;
        // WHY: rows for a certain origin are asked before the one for any caller; they sort behind it.
        let any_caller =
            rows.iter().take_while(|row| decks.get(deck).is_some_and(|deck| is_for_all(deck, row))).count();
        let (for_all, for_some) = rows.split_at(any_caller);
        for row in for_some.iter().chain(for_all) {
            let (terms, price, plain) = translation.cell(row, layout)?;
            let first = CellHead::word(number, plain, terms, deck_bits).ok_or(CompileError::TooLarge("terms"))?;
            cells.push(Cell { first, second: price, deck: number, settles: translation.settles(row) });
        }
        done += same as u64;
        if let Some(row) = after.first() {
            next.push(Reverse((row.code, deck)));
        }
        if next.peek().is_none_or(|Reverse((following, _))| *following != code) {
            blocks.push(code, &cells)?;
            if done / PROGRESS_ROWS != (done - cells.len() as u64) / PROGRESS_ROWS {
                progress(done);
            }
            cells.clear();
        }
    }
    progress(done);
    Ok(blocks)
}

/// Stands for every group that no row of the deck names. Indices of named ones are lower (see `read`).
const OTHER_GROUP: u32 = u16::MAX as u32;

fn is_for_all(deck: &DeckSource, row: &Row) -> bool {
    deck.rows.terms_of(row).is_none_or(|terms| terms.origin == 0)
}

/// Callers' prefixes of all decks: the cells say which group of which deck.
pub(super) fn origins(decks: &[DeckSource]) -> Result<Blocks, CompileError> {
    let mut all: Vec<(Code, u32, u32)> = Vec::new();
    for (index, deck) in (0_u32..).zip(decks) {
        let mut known = vec![false; deck.rows.origins.len()];
        if deck.rows.origins.len() <= 1 {
            continue;
        }
        for (name, prefix) in &deck.origins {
            let group = deck.rows.origins.iter().skip(1).position(|origin| origin == name).map(|group| group + 1);
            if let Some(known) = group.and_then(|group| known.get_mut(group)) {
                *known = true;
            }
            // WHY: a caller of a group that no row names is known all the same, so not `invalid`.
            let group = group.and_then(|group| u32::try_from(group).ok()).unwrap_or(OTHER_GROUP);
            all.push((*prefix, index, group));
        }
        let unknown =
            deck.rows.origins.iter().zip(&known).skip(1).find(|(name, known)| !**known && *name != INVALID_ORIGIN);
        if let Some((group, _)) = unknown {
            return Err(CompileError::UnknownOrigin(deck.settings.name.clone(), group.clone()));
        }
    }
    all.sort_unstable();
    // A prefix in two groups of a deck belongs to the first of them.
    all.dedup_by_key(|(prefix, deck, _)| (*prefix, *deck));
    let mut blocks = Blocks::new();
    for same in all.chunk_by(|a, b| a.0 == b.0) {
        let cell = |deck: u32, group: u32| {
            let number = u16::try_from(deck).map_err(|_| CompileError::TooManyDecks)?;
            Ok(Cell { first: deck, second: group, deck: number, settles: true })
        };
        let cells: Vec<_> = same.iter().map(|(_, deck, group)| cell(*deck, *group)).collect::<Result<_, _>>()?;
        blocks.push(same.first().map_or(Code::EMPTY, |(prefix, _, _)| *prefix), &cells)?;
    }
    Ok(blocks)
}
