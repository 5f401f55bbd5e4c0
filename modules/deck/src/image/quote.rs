//! What each deck says about a call: the row in force for the longest code.
//!
//! A deck's own longest code decides. Rows that are not in force at the time do not exist. When a code
//! has rows for certain origins only and none is the caller's, there is no price: a shorter code must not
//! stand in, because the vendor would charge another.

use super::format::{
    CELL_BYTES, CellHead, Kind, QUAD_BYTES, Section, TERMS_BYTES, TIME_NEVER, WIDE_BYTES, u16_at, u32_at, u64_at,
};
use super::{Cells, Image, ORIGIN_TRIE, RATE_TRIE, RateOn, cells_at};
use crate::billing::{Increments, amount, billed_seconds};
use crate::code::Code;
use crate::money::{Decimal, Digits};
use crate::nanp::Jurisdiction;

/// Which decks are asked, and where each one's answer goes: made once, off the path.
#[derive(Clone, Debug)]
pub struct Asked {
    decks: Vec<u16>,
    /// By deck: place among `decks`, or [`NOT_ASKED`].
    slots: Vec<u16>,
    /// Some of them are looked up by that number.
    by_lrn: bool,
    by_dialled: bool,
    with_origins: bool,
}

const NOT_ASKED: u16 = u16::MAX;

impl Asked {
    /// Asks these decks of `image`, by their index, in this order. One that it has not, or that was named
    /// before, is left out.
    pub fn new<B: AsRef<[u8]>>(image: &Image<B>, decks: &[usize]) -> Self {
        let mut asked = Asked {
            decks: Vec::new(),
            slots: vec![NOT_ASKED; image.decks.len()],
            by_lrn: false,
            by_dialled: false,
            with_origins: false,
        };
        for index in decks {
            let (Some(deck), Some(slot), Ok(number)) =
                (image.decks.get(*index), asked.slots.get_mut(*index), u16::try_from(*index))
            else {
                continue;
            };
            if *slot == NOT_ASKED {
                *slot = u16::try_from(asked.decks.len()).unwrap_or(NOT_ASKED);
                asked.decks.push(number);
                asked.by_lrn |= deck.settings.rate_on == RateOn::Lrn;
                asked.by_dialled |= deck.settings.rate_on == RateOn::Dialled;
                asked.with_origins |= deck.origins.len() > 1;
            }
        }
        asked
    }

    /// All decks of an image.
    pub fn all<B: AsRef<[u8]>>(image: &Image<B>) -> Self {
        Self::new(image, &(0..image.decks.len()).collect::<Vec<_>>())
    }

    /// Indices of the decks, in the order of the answers.
    pub fn decks(&self) -> &[u16] {
        &self.decks
    }
}

/// A call that is to be priced.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// As dialled, normalised.
    pub dialled: Code,
    /// The routing number, else the dialled one.
    pub routing: Code,
    /// The caller's number; `None` when it is missing or malformed.
    pub caller: Option<Code>,
    /// When the INVITE came, in seconds since 1970.
    pub at: i64,
}

/// What a deck said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No code in force matches.
    #[default]
    NoCode,
    /// The code is closed.
    Closed,
    /// The code has prices for other origins only.
    NoOrigin,
    /// There is a price.
    Priced,
}

/// The answer of one deck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What it said.
    pub state: State,
    /// A minute, in units of the deck's [`super::Deck::price_digits`]; 0 unless priced.
    pub price: i64,
    /// The code that decided.
    pub code: Code,
    /// Where the terms stand.
    terms: u32,
}

/// The answers to one question; made once and used again.
#[derive(Clone, Debug, Default)]
pub struct Quotes {
    /// One for each deck asked, in the order of [`Asked::decks`].
    pub found: Vec<Found>,
    /// By place: the caller's origin group.
    groups: Vec<u16>,
    /// Where the call runs.
    pub jurisdiction: Option<Jurisdiction>,
}

impl Quotes {
    /// Room for the answers of `asked`.
    pub fn for_asked(asked: &Asked) -> Self {
        let count = asked.decks.len();
        Quotes { found: vec![Found::default(); count], groups: vec![0; count], jurisdiction: None }
    }

    /// Room for the answers of `count` decks: whatever asks no more of them allocates nothing.
    pub fn with_room(count: usize) -> Self {
        Quotes { found: Vec::with_capacity(count), groups: Vec::with_capacity(count), jurisdiction: None }
    }
}

/// Terms of an answer, for people and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail<'i> {
    /// Name of the destination.
    pub destination: &'i str,
    /// Name of the origin group; empty: any caller.
    pub origin: &'i str,
    /// Price of a minute.
    pub price: Decimal,
    /// Charged once.
    pub fee: Decimal,
    /// How time is counted.
    pub increments: Increments,
    /// In force from here, in seconds since 1970; `None`: always.
    pub effective: Option<i64>,
    /// Until just before here; `None`: for ever.
    pub expiry: Option<i64>,
}

impl<B: AsRef<[u8]>> Image<B> {
    /// Asks all decks of `asked` in one look-up (two when they are split over dialled and routing number, and
    /// these differ). Allocates nothing when `quotes` was made for `asked`.
    pub fn quote(&self, question: &Question, asked: &Asked, quotes: &mut Quotes) {
        quotes.found.clear();
        quotes.found.resize(asked.decks.len(), Found::default());
        self.groups(question.caller, asked, quotes);
        let jurisdiction = self.jurisdiction(question.caller, question.routing);
        quotes.jurisdiction = Some(jurisdiction);
        let time = u32::try_from(question.at.max(0)).unwrap_or(TIME_NEVER).min(TIME_NEVER - 1);
        let mut walk = Walk { image: self, asked, quotes, time, jurisdiction, only: None, left: asked.decks.len() };
        if asked.by_lrn && asked.by_dialled && question.routing != question.dialled {
            walk.only = Some(RateOn::Lrn);
            walk.up(question.routing);
            walk.only = Some(RateOn::Dialled);
            walk.up(question.dialled);
        } else {
            walk.up(if asked.by_lrn { question.routing } else { question.dialled });
        }
    }

    /// The origin group of the caller for each deck.
    fn groups(&self, caller: Option<Code>, asked: &Asked, quotes: &mut Quotes) {
        quotes.groups.clear();
        quotes.groups.resize(asked.decks.len(), 0);
        if !asked.with_origins {
            return;
        }
        let blocks = self.section(ORIGIN_TRIE[0]);
        let mut place = caller.map_or(0, |caller| self.trie(ORIGIN_TRIE).find(caller));
        while let Some(block) = cells_at(blocks, place).filter(|_| place != 0) {
            for cell in block.own.iter().chain(block.inherited) {
                let (deck, group) = (u32_at(cell, 0).unwrap_or(0), u32_at(cell, 4).unwrap_or(0));
                let slot = asked.slots.get(deck as usize).and_then(|slot| quotes.groups.get_mut(usize::from(*slot)));
                if let Some(slot) = slot.filter(|slot| **slot == 0) {
                    *slot = u16::try_from(group).unwrap_or(0);
                }
            }
            place = block.rest;
        }
        for (group, deck) in quotes.groups.iter_mut().zip(&asked.decks) {
            if *group == 0 {
                *group = self.decks.get(usize::from(*deck)).map_or(0, |deck| deck.invalid_origin);
            }
        }
    }

    /// What stands behind an answer of `deck`; `None` when it found nothing.
    pub fn detail(&self, deck: usize, found: &Found) -> Option<Detail<'_>> {
        if matches!(found.state, State::NoCode) {
            return None;
        }
        let deck = self.decks.get(deck)?;
        let terms = self.terms(found.terms)?;
        let decimal = |units| Decimal { units, digits: deck.price_digits };
        Some(Detail {
            destination: self.name(u32_at(terms, 16)?),
            origin: deck.origins.get(usize::from(u16_at(terms, 24)?)).map_or("", String::as_str),
            price: decimal(found.price),
            fee: decimal(i64::from_le_bytes(terms.get(8..16)?.try_into().ok()?)),
            increments: Increments { initial: u16_at(terms, 20)?, subsequent: u16_at(terms, 22)? },
            effective: u32_at(terms, 0).filter(|time| *time != 0).map(i64::from),
            expiry: u32_at(terms, 4).filter(|time| *time != TIME_NEVER).map(i64::from),
        })
    }

    /// What is charged once by an answer, in units of its deck's [`super::Deck::price_digits`]; 0 unless priced.
    pub fn fee(&self, found: &Found) -> i64 {
        let terms = self.terms(found.terms).filter(|_| found.state == State::Priced);
        let fee = terms.and_then(|terms| terms.get(8..16)?.try_into().ok());
        fee.map_or(0, i64::from_le_bytes)
    }

    /// What a call of that length costs by an answer of `deck`: the billed seconds and the amount. `None`
    /// when there is no price.
    pub fn cost(&self, deck: usize, found: &Found, duration_us: u64) -> Option<(u64, Decimal)> {
        let detail = self.detail(deck, found).filter(|_| found.state == State::Priced)?;
        let settings = &self.decks.get(deck)?.settings;
        let billed = billed_seconds(duration_us, detail.increments, settings.rounding);
        let digits: Digits = settings.digits;
        Some((billed, amount(detail.price, detail.fee, billed, digits)?))
    }

    #[inline]
    pub(super) fn terms(&self, index: u32) -> Option<&[u8; TERMS_BYTES]> {
        let at = index as usize * TERMS_BYTES;
        self.section(Section::Terms).get(at..at + TERMS_BYTES)?.try_into().ok()
    }

    fn wide(&self, index: usize) -> Option<i64> {
        u64_at(self.section(Section::Wide), index * WIDE_BYTES).map(u64::cast_signed)
    }

    /// The price that a cell of that kind stands for; `None` when it is closed.
    #[inline]
    pub(super) fn price(&self, kind: Kind, cell: u32, jurisdiction: Jurisdiction) -> Option<i64> {
        let column = match jurisdiction {
            Jurisdiction::Inter => 0,
            Jurisdiction::Intra => 1,
            Jurisdiction::Indeterminate | Jurisdiction::International => 2,
            Jurisdiction::Local => 3,
        };
        match kind {
            Kind::Closed => None,
            Kind::Flat => Some(i64::from(cell)),
            Kind::FlatWide => self.wide(cell as usize),
            Kind::Quad => u32_at(self.section(Section::Quads), cell as usize * QUAD_BYTES + column * 4).map(i64::from),
            Kind::QuadWide => self.wide((cell as usize).checked_add(column)?),
        }
    }
}

/// One walk from the longest code up, until every deck has answered.
struct Walk<'w, B> {
    image: &'w Image<B>,
    asked: &'w Asked,
    quotes: &'w mut Quotes,
    time: u32,
    jurisdiction: Jurisdiction,
    only: Option<RateOn>,
    left: usize,
}

impl<B: AsRef<[u8]>> Walk<'_, B> {
    fn up(&mut self, number: Code) {
        let blocks = self.image.section(RATE_TRIE[0]);
        let at = |place: u32| cells_at(blocks, place).filter(|_| place != 0);
        let longest = |number: Code| self.image.longest(number).and_then(|block| at(block.0));
        let mut next = longest(number);
        while let Some(block) = next.filter(|_| self.left > 0) {
            let skipped = self.block(block);
            // WHY: a row that is not in force may hide one of a shorter code, which need not stand in this block.
            next = if skipped {
                block.code.len().checked_sub(1).and_then(|length| longest(block.code.first(length)))
            } else {
                at(block.rest)
            };
            // INVARIANT: bounded, whatever the image says: each code is shorter than the one before.
            next = next.filter(|shorter| shorter.code.len() < block.code.len());
        }
    }

    /// Asks the cells of a block. Whether one that would have answered was not in force.
    #[inline]
    fn block(&mut self, block: Cells<'_>) -> bool {
        let mut skipped = false;
        for cell in block.own {
            skipped |= self.cell(block.code, cell);
        }
        for (code, cell) in block.inherited() {
            skipped |= self.cell(code, cell);
        }
        skipped
    }

    /// Asks a cell. Whether it would have answered, were it in force.
    #[inline]
    fn cell(&mut self, code: Code, cell: &[u8; CELL_BYTES]) -> bool {
        let (Some(first), Some(price)) = (u32_at(cell, 0), u32_at(cell, 4)) else { return false };
        let head = CellHead::of(first, self.image.deck_bits);
        let slot = self.asked.slots.get(head.deck).copied().unwrap_or(NOT_ASKED);
        let Some(found) = self.quotes.found.get_mut(usize::from(slot)) else { return false };
        if let Some(only) = self.only
            && self.image.decks.get(head.deck).is_none_or(|deck| deck.settings.rate_on != only)
        {
            return false;
        }
        // Answered by a longer code, or by a row of this one that comes first. "No origin" may still be
        // answered by another row of the same code.
        if found.state != State::NoCode && (found.state != State::NoOrigin || found.code != code) {
            return false;
        }
        if head.plain && self.image.usual.get(head.deck).is_some_and(|usual| *usual <= self.time) {
            if found.state == State::NoCode {
                self.left -= 1;
            }
            *found = Found { state: State::Priced, price: i64::from(price), code, terms: head.terms };
            return false;
        }
        let Some(terms) = self.image.terms(head.terms) else { return false };
        let in_force = u32_at(terms, 0).is_some_and(|effective| effective <= self.time)
            && u32_at(terms, 4).is_some_and(|expiry| self.time < expiry);
        if !in_force {
            return found.state == State::NoCode;
        }
        if found.state == State::NoCode {
            self.left -= 1;
        }
        *found = Found { state: State::NoOrigin, price: 0, code, terms: head.terms };
        let origin = u16_at(terms, 24).unwrap_or(0);
        if origin != 0 && self.quotes.groups.get(usize::from(slot)) != Some(&origin) {
            return false;
        }
        let kind = terms.get(26).copied().and_then(Kind::of).unwrap_or(Kind::Closed);
        match self.image.price(kind, price, self.jurisdiction) {
            Some(price) => (found.state, found.price) = (State::Priced, price),
            None => found.state = State::Closed,
        }
        false
    }
}
