//! Terms and prices of one deck in the form that cells refer to.

use super::CompileError;
use super::layout::Layout;
use crate::image::format::{Kind, TIME_NEVER};
use crate::money::{Decimal, Digits};
use crate::rows::{ALWAYS, NEVER, Price, Row, Rows, Terms};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Translates the rows of one deck; each of its prices and terms is worked out once.
pub(super) struct Translation<'d> {
    name: &'d str,
    rows: &'d Rows,
    digits: Digits,
    /// From when on most of its rows are in force.
    usual: i64,
    prices: Vec<Option<(Kind, u32)>>,
    /// For each terms × kind.
    terms: Vec<Option<u32>>,
    destinations: Vec<Option<u32>>,
}

const KINDS: usize = 5;

impl<'d> Translation<'d> {
    pub(super) fn new(name: &'d str, rows: &'d Rows) -> Self {
        Translation {
            name,
            rows,
            digits: finest(rows),
            usual: usual_effective(rows),
            prices: vec![None; rows.prices.len()],
            terms: vec![None; rows.terms.len() * KINDS],
            destinations: vec![None; rows.destinations.len()],
        }
    }

    /// What a cell has: index of its terms, price or where it stands, whether it is plain.
    pub(super) fn cell(&mut self, row: &Row, layout: &mut Layout) -> Result<(u32, u32, bool), CompileError> {
        let (kind, price) = self.price(row, layout)?;
        let for_any_caller = self.rows.terms_of(row).is_some_and(|terms| terms.origin == 0);
        let plain = kind == Kind::Flat && for_any_caller && self.settles(row);
        let slot = row.terms as usize * KINDS + kind as usize;
        if let Some(terms) = self.terms.get(slot).copied().flatten() {
            return Ok((terms, price, plain));
        }
        let terms = self.rows.terms_of(row).ok_or(CompileError::TooLarge("terms"))?;
        let index = self.intern(terms, kind, layout)?;
        if let Some(known) = self.terms.get_mut(slot) {
            *known = Some(index);
        }
        Ok((index, price, plain))
    }

    /// Whether a row is in force whenever most of its deck is: a shorter code can only be asked for times before.
    pub(super) fn settles(&self, row: &Row) -> bool {
        self.rows.terms_of(row).is_some_and(|terms| terms.effective <= self.usual && terms.expiry == NEVER)
    }

    fn price(&mut self, row: &Row, layout: &mut Layout) -> Result<(Kind, u32), CompileError> {
        let slot = row.price as usize;
        if let Some(known) = self.prices.get(slot).copied().flatten() {
            return Ok(known);
        }
        let too_large = || CompileError::PriceTooLarge(self.name.to_owned());
        let units = |price: Decimal| price.exactly(self.digits).ok_or_else(too_large);
        let narrow = |units: i64| u32::try_from(units).ok();
        let found = match self.rows.price_of(row).unwrap_or(Price::Closed) {
            Price::Closed => (Kind::Closed, 0),
            Price::Flat(price) => {
                let units = units(price)?;
                match narrow(units) {
                    Some(units) => (Kind::Flat, units),
                    None => (Kind::FlatWide, layout.wide(&[units])?),
                }
            }
            Price::ByJurisdiction { inter, intra, indeterminate, local } => {
                let all = [units(inter)?, units(intra)?, units(indeterminate)?, units(local)?];
                let quad: Option<Vec<u32>> = all.iter().map(|units| narrow(*units)).collect();
                match quad {
                    Some(quad) => (Kind::Quad, layout.quad(&quad)?),
                    None => (Kind::QuadWide, layout.wide(&all)?),
                }
            }
        };
        if let Some(known) = self.prices.get_mut(slot) {
            *known = Some(found);
        }
        Ok(found)
    }

    fn intern(&mut self, terms: &Terms, kind: Kind, layout: &mut Layout) -> Result<u32, CompileError> {
        let fee = terms.fee.exactly(self.digits).ok_or_else(|| CompileError::PriceTooLarge(self.name.to_owned()))?;
        let slot = terms.destination as usize;
        let destination = match self.destinations.get(slot).copied().flatten() {
            Some(known) => known,
            None => {
                let made = layout.name(self.rows.destinations.get(slot).map_or("", String::as_str))?;
                if let Some(known) = self.destinations.get_mut(slot) {
                    *known = Some(made);
                }
                made
            }
        };
        let mut record = Vec::with_capacity(32);
        record.extend_from_slice(&time(terms.effective, ALWAYS, 0).to_le_bytes());
        record.extend_from_slice(&time(terms.expiry, NEVER, TIME_NEVER).to_le_bytes());
        record.extend_from_slice(&fee.to_le_bytes());
        record.extend_from_slice(&destination.to_le_bytes());
        record.extend_from_slice(&terms.increments.initial.to_le_bytes());
        record.extend_from_slice(&terms.increments.subsequent.to_le_bytes());
        record.extend_from_slice(&terms.origin.to_le_bytes());
        record.extend_from_slice(&[kind as u8, 0, 0, 0, 0, 0]);
        layout.terms(record)
    }
}

/// The effective time that most rows have; of several the first.
pub(super) fn usual_effective(rows: &Rows) -> i64 {
    let mut counts = vec![0_usize; rows.terms.len()];
    for row in &rows.rows {
        if let Some(count) = counts.get_mut(row.terms as usize) {
            *count += 1;
        }
    }
    let mut by_time: BTreeMap<i64, usize> = BTreeMap::new();
    for (terms, count) in rows.terms.iter().zip(counts) {
        *by_time.entry(terms.effective).or_default() += count;
    }
    by_time.into_iter().max_by_key(|(time, count)| (*count, Reverse(*time))).map_or(ALWAYS, |(time, _)| time)
}

/// Seconds as an image has them. What lies before 1970 or after 2106 is always and never.
pub(super) fn time(seconds: i64, unbounded: i64, otherwise: u32) -> u32 {
    if seconds == unbounded {
        return otherwise;
    }
    u32::try_from(seconds.max(0)).unwrap_or(TIME_NEVER)
}

/// The decimals in which all prices and fees of a deck are whole.
pub(super) fn finest(rows: &Rows) -> Digits {
    let of_price = |price: &Price| match price {
        Price::Closed => Digits::default(),
        Price::Flat(price) => price.digits,
        Price::ByJurisdiction { inter, intra, indeterminate, local } => {
            inter.digits.max(intra.digits).max(indeterminate.digits).max(local.digits)
        }
    };
    let prices = rows.prices.iter().map(of_price);
    prices.chain(rows.terms.iter().map(|terms| terms.fee.digits)).max().unwrap_or_default()
}
