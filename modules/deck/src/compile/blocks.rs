//! Merges the rows of all decks by code into blocks.

use super::layout::{Layout, put_u32};
use super::terms::Translation;
use super::{CompileError, DeckSource, INVALID_ORIGIN};
use crate::code::Code;
use crate::image::trie::NODE;
use crate::rows::Row;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Blocks, and where each code's stands.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) octets: Vec<u8>,
    pub(super) entries: Vec<(Code, u32)>,
    /// Codes that begin the one of the last block, the shortest first.
    open: Vec<(Code, u32)>,
}

impl Blocks {
    fn new() -> Self {
        // Place 0 means "no block".
        Blocks { octets: vec![0; 8], entries: Vec::new(), open: Vec::new() }
    }

    /// Codes come in their order, each once.
    fn push(&mut self, code: Code, cells: &[(u32, u32)]) -> Result<(), CompileError> {
        let too_large = CompileError::TooLarge("codes");
        let place = u32::try_from(self.octets.len() / 8).ok().filter(|place| place & NODE == 0).ok_or(too_large)?;
        while self.open.last().is_some_and(|(open, _)| !open.begins(code)) {
            self.open.pop();
        }
        let shorter = self.open.last().map_or(0, |(_, place)| *place);
        self.octets.extend_from_slice(&code.packed().to_le_bytes());
        put_u32(&mut self.octets, shorter);
        put_u32(&mut self.octets, u32::try_from(cells.len()).map_err(|_| CompileError::TooLarge("rows of one code"))?);
        for (first, second) in cells {
            put_u32(&mut self.octets, *first);
            put_u32(&mut self.octets, *second);
        }
        self.open.push((code, place));
        self.entries.push((code, place));
        Ok(())
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
        let deck_part = u32::try_from(deck).unwrap_or(0) << (32 - deck_bits);
        // WHY: rows for a certain origin are asked before the one for any caller; they sort behind it.
        let any_caller =
            rows.iter().take_while(|row| decks.get(deck).is_some_and(|deck| is_for_all(deck, row))).count();
        let (for_all, for_some) = rows.split_at(any_caller);
        for row in for_some.iter().chain(for_all) {
            let (terms, price) = translation.cell(row, layout)?;
            if terms >> (32 - deck_bits) != 0 {
                return Err(CompileError::TooLarge("terms"));
            }
            cells.push((deck_part | terms, price));
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
        let cells: Vec<_> = same.iter().map(|(_, deck, group)| (*deck, *group)).collect();
        blocks.push(same.first().map_or(Code::EMPTY, |(prefix, _, _)| *prefix), &cells)?;
    }
    Ok(blocks)
}
