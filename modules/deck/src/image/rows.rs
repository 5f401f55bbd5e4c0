//! The rows of a deck back from an image: what an update is applied to, and what a new deck is compared with.

use super::format::{CellHead, Kind, RATE_BLOCKS_START, Section, TIME_NEVER, u16_at, u32_at};
use super::{Deck, Image, cells_at};
use crate::billing::Increments;
use crate::money::{Decimal, Digits};
use crate::nanp::Jurisdiction;
use crate::rows::{ALWAYS, Interned, NEVER, Price, Rows, Terms};

impl<B: AsRef<[u8]>> Image<B> {
    /// The deck of that name, with its index.
    pub fn deck(&self, name: &str) -> Option<(usize, &Deck)> {
        self.decks.iter().enumerate().find(|(_, deck)| deck.settings.name == name)
    }

    /// All rows of a deck, settled; none when there is no such deck.
    pub fn rows(&self, deck: usize) -> Rows {
        let mut rows = Interned::new();
        let Some(about) = self.decks.get(deck) else {
            return rows.finish();
        };
        let origins: Vec<u16> = about.origins.iter().map(|name| rows.origin(name).unwrap_or(0)).collect();
        let blocks = self.section(Section::Blocks);
        let mut place = RATE_BLOCKS_START;
        while let Some(block) = cells_at(blocks, place) {
            for cell in block.own {
                let (first, second) = (u32_at(cell, 0).unwrap_or(0), u32_at(cell, 4).unwrap_or(0));
                let head = CellHead::of(first, self.deck_bits);
                if head.deck == deck
                    && let Some((price, terms)) = self.row(about, &origins, head.terms, second, &mut rows)
                {
                    rows.row(block.code, price, terms);
                }
            }
            let Some(next) = u32::try_from(block.size() / 8).ok().and_then(|words| place.checked_add(words)) else {
                break;
            };
            place = next;
        }
        let mut rows = rows.finish();
        rows.settle();
        rows
    }

    fn row(&self, deck: &Deck, origins: &[u16], terms: u32, price: u32, rows: &mut Interned) -> Option<(Price, Terms)> {
        let terms = self.terms(terms)?;
        let kind = Kind::of(*terms.get(26)?)?;
        let decimal = |units: i64| plain(units, deck.price_digits);
        let column = |jurisdiction| self.price(kind, price, jurisdiction).map(decimal);
        let price = match kind {
            Kind::Closed => Price::Closed,
            Kind::Flat | Kind::FlatWide => Price::Flat(column(Jurisdiction::Inter)?),
            Kind::Quad | Kind::QuadWide => Price::ByJurisdiction {
                inter: column(Jurisdiction::Inter)?,
                intra: column(Jurisdiction::Intra)?,
                indeterminate: column(Jurisdiction::Indeterminate)?,
                local: column(Jurisdiction::Local)?,
            },
        };
        let time = |at: usize, unbounded: u32, otherwise: i64| {
            u32_at(terms, at).map(|time| if time == unbounded { otherwise } else { i64::from(time) })
        };
        let terms = Terms {
            effective: time(0, 0, ALWAYS)?,
            expiry: time(4, TIME_NEVER, NEVER)?,
            fee: decimal(i64::from_le_bytes(terms.get(8..16)?.try_into().ok()?)),
            increments: Increments { initial: u16_at(terms, 20)?, subsequent: u16_at(terms, 22)? },
            destination: rows.destination(self.name(u32_at(terms, 16)?)),
            origin: origins.get(usize::from(u16_at(terms, 24)?)).copied()?,
        };
        Some((price, terms))
    }
}

/// Without zeros to spare, as it was read.
fn plain(mut units: i64, digits: Digits) -> Decimal {
    let mut count = digits.count();
    while count > 0 && units % 10 == 0 {
        (units, count) = (units / 10, count - 1);
    }
    Decimal { units, digits: Digits::new(count).unwrap_or(digits) }
}
