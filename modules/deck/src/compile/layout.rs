//! The sections of an image being filled, and their order at the end.

use super::blocks::Blocks;
use super::terms::{finest, time, usual_effective};
use super::{CompileError, DeckSource, INVALID_ORIGIN, trie};
use crate::image::format::{
    DECK_BYTES, HASH_AT, HEADER_BYTES, MAGIC, NAME_BYTES, QUAD_BYTES, SECTION_ALIGNMENT, SECTION_COUNT, Section,
    TERMS_BYTES, USUAL_AT, VERSION, WIDE_BYTES,
};
use crate::nanp::StateTable;
use crate::rows::ALWAYS;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Sections that grow.
pub(super) struct Layout {
    deck_bits: u32,
    sections: [Vec<u8>; SECTION_COUNT],
    terms: HashMap<Vec<u8>, u32>,
    names: HashMap<String, u32>,
    quads: HashMap<Vec<u32>, u32>,
}

pub(super) fn put_u32(octets: &mut Vec<u8>, value: u32) {
    octets.extend_from_slice(&value.to_le_bytes());
}

impl Layout {
    pub(super) fn new(deck_bits: u32) -> Self {
        Layout {
            deck_bits,
            sections: std::array::from_fn(|_| Vec::new()),
            terms: HashMap::new(),
            names: HashMap::new(),
            quads: HashMap::new(),
        }
    }

    pub(super) fn section(&mut self, section: Section) -> &mut Vec<u8> {
        // INVARIANT: a section's number is below SECTION_COUNT, which is how many there are.
        &mut self.sections[section as usize]
    }

    /// Appends `record` and says its index among records of that size.
    fn append(
        &mut self,
        section: Section,
        record: &[u8],
        size: usize,
        what: &'static str,
    ) -> Result<u32, CompileError> {
        let octets = self.section(section);
        let index = u32::try_from(octets.len() / size).map_err(|_| CompileError::TooLarge(what))?;
        octets.extend_from_slice(record);
        Ok(index)
    }

    /// The index of terms, which are kept once.
    pub(super) fn terms(&mut self, record: Vec<u8>) -> Result<u32, CompileError> {
        if let Some(index) = self.terms.get(&record) {
            return Ok(*index);
        }
        let index = self.append(Section::Terms, &record, TERMS_BYTES, "terms")?;
        self.terms.insert(record, index);
        Ok(index)
    }

    /// The index of four prices, which are kept once.
    pub(super) fn quad(&mut self, prices: &[u32]) -> Result<u32, CompileError> {
        if let Some(index) = self.quads.get(prices) {
            return Ok(*index);
        }
        let record: Vec<u8> = prices.iter().flat_map(|price| price.to_le_bytes()).collect();
        let index = self.append(Section::Quads, &record, QUAD_BYTES, "prices")?;
        self.quads.insert(prices.to_vec(), index);
        Ok(index)
    }

    /// The index of the first of some wide prices.
    pub(super) fn wide(&mut self, prices: &[i64]) -> Result<u32, CompileError> {
        let record: Vec<u8> = prices.iter().flat_map(|price| price.to_le_bytes()).collect();
        self.append(Section::Wide, &record, WIDE_BYTES, "prices")
    }

    /// The index of a name, which is kept once.
    pub(super) fn name(&mut self, name: &str) -> Result<u32, CompileError> {
        if let Some(index) = self.names.get(name) {
            return Ok(*index);
        }
        let index = self.name_again(name)?;
        self.names.insert(name.to_owned(), index);
        Ok(index)
    }

    /// The index of a name that stands in a list, and so is kept again.
    fn name_again(&mut self, name: &str) -> Result<u32, CompileError> {
        let too_large = || CompileError::TooLarge("names");
        let at = u32::try_from(self.section(Section::Strings).len()).map_err(|_| too_large())?;
        self.section(Section::Strings).extend_from_slice(name.as_bytes());
        let mut record = Vec::with_capacity(NAME_BYTES);
        put_u32(&mut record, at);
        put_u32(&mut record, u32::try_from(name.len()).map_err(|_| too_large())?);
        self.append(Section::Names, &record, NAME_BYTES, "names")
    }

    /// A record for each deck: name u32, first origin u32, origins u32, currency [u8; 4], rows u64,
    /// decimals of prices u8, of amounts u8, rounding u8, number u8, group `invalid` u16; usual time u32.
    pub(super) fn decks(&mut self, decks: &[DeckSource]) -> Result<(), CompileError> {
        for deck in decks {
            let settings = &deck.settings;
            let mut record = Vec::with_capacity(DECK_BYTES);
            put_u32(&mut record, self.name(&settings.name)?);
            let count = self.section(Section::Names).len() / NAME_BYTES;
            put_u32(&mut record, u32::try_from(count).map_err(|_| CompileError::TooLarge("names"))?);
            for origin in &deck.rows.origins {
                self.name_again(origin)?;
            }
            put_u32(&mut record, u32::try_from(deck.rows.origins.len()).unwrap_or(u32::MAX));
            record.extend_from_slice(settings.currency.to_ascii_uppercase().as_bytes());
            record.push(0);
            record.extend_from_slice(&(deck.rows.rows.len() as u64).to_le_bytes());
            record.push(finest(&deck.rows).count());
            record.push(settings.digits.count());
            record.push(settings.rounding as u8);
            record.push(settings.rate_on as u8);
            let invalid = deck.rows.origins.iter().position(|origin| origin == INVALID_ORIGIN).unwrap_or(0);
            record.extend_from_slice(&u16::try_from(invalid).unwrap_or(0).to_le_bytes());
            record.resize(USUAL_AT, 0);
            put_u32(&mut record, time(usual_effective(&deck.rows), ALWAYS, 0));
            record.resize(DECK_BYTES, 0);
            self.section(Section::Decks).extend_from_slice(&record);
        }
        Ok(())
    }

    /// Blocks and the trie over their codes.
    pub(super) fn trie(&mut self, blocks: Blocks, [at, direct, nodes]: [Section; 3]) -> Result<(), CompileError> {
        let built = trie::build(&blocks.entries).ok_or(CompileError::TooLarge("codes"))?;
        *self.section(direct) = built.direct;
        *self.section(nodes) = built.nodes;
        *self.section(at) = blocks.octets;
        Ok(())
    }

    /// States by exchange: the trie's values are their numbers, plus 1.
    pub(super) fn states(&mut self, table: &StateTable) -> Result<(), CompileError> {
        for state in table.states() {
            let octets = self.section(Section::States);
            octets.extend_from_slice(state.as_bytes());
            octets.resize(octets.len().next_multiple_of(4), 0);
        }
        let entries: Vec<_> = table.entries().map(|(code, state)| (code, u32::from(state) + 1)).collect();
        let built = trie::build(&entries).ok_or(CompileError::TooLarge("exchanges"))?;
        *self.section(Section::StateDirect) = built.direct;
        *self.section(Section::StateNodes) = built.nodes;
        *self.section(Section::Local) = table.local_pairs().flat_map(u64::to_le_bytes).collect();
        Ok(())
    }

    /// The whole image.
    pub(super) fn finish(self, decks: usize) -> Vec<u8> {
        let head = (HEADER_BYTES + SECTION_COUNT * 16).next_multiple_of(SECTION_ALIGNMENT);
        let aligned = |octets: &Vec<u8>| octets.len().next_multiple_of(SECTION_ALIGNMENT);
        let length = head + self.sections.iter().map(aligned).sum::<usize>();
        let mut image = Vec::with_capacity(length);
        image.extend_from_slice(&MAGIC);
        put_u32(&mut image, VERSION);
        put_u32(&mut image, u32::try_from(SECTION_COUNT).unwrap_or(0));
        image.extend_from_slice(&(length as u64).to_le_bytes());
        put_u32(&mut image, self.deck_bits);
        put_u32(&mut image, u32::try_from(decks).unwrap_or(0));
        image.resize(HEADER_BYTES, 0);
        let mut at = head;
        for octets in &self.sections {
            image.extend_from_slice(&(at as u64).to_le_bytes());
            image.extend_from_slice(&(octets.len() as u64).to_le_bytes());
            at += aligned(octets);
        }
        image.resize(head, 0);
        for octets in self.sections {
            image.extend_from_slice(&octets);
            image.resize(image.len().next_multiple_of(SECTION_ALIGNMENT), 0);
        }
        let hash = Sha256::digest(&image);
        if let Some(place) = image.get_mut(HASH_AT) {
            place.copy_from_slice(&hash);
        }
        image
    }
}
