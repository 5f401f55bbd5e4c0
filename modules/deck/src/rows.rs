//! A deck in memory: sixteen bytes a row, what repeats stands in tables beside.

use crate::billing::Increments;
use crate::code::Code;
use crate::money::Decimal;
use std::collections::HashMap;
use std::hash::Hash;

/// A deck as read, exact, sorted by code, origin, then the latest effective time first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// One for each code, origin and time.
    pub rows: Vec<Row>,
    /// What rows refer to.
    pub terms: Vec<Terms>,
    /// What rows refer to.
    pub prices: Vec<Price>,
    /// Names of destinations; entry 0 is the empty name.
    pub destinations: Vec<String>,
    /// Names of origin groups, in lower case; entry 0 is "any caller".
    pub origins: Vec<String>,
}

/// One code at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The first digits of the numbers that it is for.
    pub code: Code,
    /// Index in [`Rows::prices`].
    pub price: u32,
    /// Index in [`Rows::terms`].
    pub terms: u32,
}

/// All of a row but code and price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Terms {
    /// In force from here, in seconds since 1970; [`ALWAYS`] when the deck says nothing.
    pub effective: i64,
    /// In force until just before here; [`NEVER`] when the deck says nothing.
    pub expiry: i64,
    /// Charged once for an answered call.
    pub fee: Decimal,
    /// How time is counted.
    pub increments: Increments,
    /// Index in [`Rows::destinations`].
    pub destination: u32,
    /// Index in [`Rows::origins`].
    pub origin: u16,
}

/// Effective before any call.
pub const ALWAYS: i64 = i64::MIN;

/// Expires after every call.
pub const NEVER: i64 = i64::MAX;

/// What a minute costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Price {
    /// Nobody may call there over this deck; a shorter code does not stand in.
    Closed,
    /// Whatever the caller's state.
    Flat(Decimal),
    /// North America: by the states of both ends.
    ByJurisdiction {
        /// Different states.
        inter: Decimal,
        /// The same state.
        intra: Decimal,
        /// Not known; the dearer column where the deck has none.
        indeterminate: Decimal,
        /// Exchanges that are local to one another; as `intra` where the deck has none.
        local: Decimal,
    },
}

impl Rows {
    /// Terms of a row of this deck.
    pub fn terms_of(&self, row: &Row) -> Option<&Terms> {
        self.terms.get(row.terms as usize)
    }

    /// Price of a row of this deck.
    pub fn price_of(&self, row: &Row) -> Option<Price> {
        self.prices.get(row.price as usize).copied()
    }

    /// Destination of a row; empty when the deck has none.
    pub fn destination_of(&self, row: &Row) -> &str {
        self.terms_of(row)
            .and_then(|terms| self.destinations.get(terms.destination as usize))
            .map_or("", String::as_str)
    }

    /// Brings rows into their order, and of two for the same code, origin and effective time keeps the
    /// later one in the file. Returns the codes of which one was dropped.
    pub fn settle(&mut self) -> Vec<Code> {
        let key = |row: &Row| {
            let terms = self.terms.get(row.terms as usize);
            let (origin, effective) = terms.map_or((0, ALWAYS), |terms| (terms.origin, terms.effective));
            (row.code, origin, std::cmp::Reverse(effective))
        };
        // WHY reversed first: the sort is stable, so the last of equals comes first and stays.
        self.rows.reverse();
        self.rows.sort_by_key(key);
        let mut dropped = Vec::new();
        let terms = &self.terms;
        self.rows.dedup_by(|again, kept| {
            let same_terms = |a: &Terms, b: &Terms| a.origin == b.origin && a.effective == b.effective;
            let same = again.code == kept.code
                && terms
                    .get(again.terms as usize)
                    .zip(terms.get(kept.terms as usize))
                    .is_some_and(|(a, b)| same_terms(a, b));
            if same {
                dropped.push(again.code);
            }
            same
        });
        dropped
    }

    /// Applies an update: the codes that it names get its rows; where one is for the same origin and the same
    /// effective time it replaces the old one, otherwise the later effective time wins when it comes.
    pub fn update(&mut self, update: &Rows) {
        let mut interned = Interned::of(std::mem::take(self));
        for row in &update.rows {
            let (Some(terms), Some(price)) = (update.terms_of(row), update.price_of(row)) else {
                continue;
            };
            let origin = update.origins.get(usize::from(terms.origin)).map_or("", String::as_str);
            let terms = Terms {
                destination: interned.destination(update.destination_of(row)),
                origin: interned.origin(origin).unwrap_or(0),
                ..*terms
            };
            interned.row(row.code, price, terms);
        }
        *self = interned.finish();
        self.settle();
    }
}

/// Rows being gathered: each different value is kept once.
#[derive(Debug, Default)]
pub struct Interned {
    rows: Vec<Row>,
    terms: Table<Terms>,
    prices: Table<Price>,
    destinations: Table<String>,
    origins: Table<String>,
}

impl Interned {
    /// Nothing gathered yet.
    pub fn new() -> Self {
        let mut interned = Interned::default();
        interned.destinations.index(String::new());
        interned.origins.index(String::new());
        interned
    }

    /// Goes on where a deck ended.
    pub fn of(rows: Rows) -> Self {
        let mut interned = Interned::new();
        interned.rows = rows.rows;
        interned.terms = Table::of(rows.terms);
        interned.prices = Table::of(rows.prices);
        interned.destinations = Table::of(rows.destinations);
        interned.origins = Table::of(rows.origins);
        interned.destinations.index(String::new());
        interned.origins.index(String::new());
        interned
    }

    /// The index of a destination's name.
    pub fn destination(&mut self, name: &str) -> u32 {
        self.destinations.index_of(name)
    }

    /// The index of an origin group; `None` when there are too many.
    pub fn origin(&mut self, name: &str) -> Option<u16> {
        u16::try_from(self.origins.index_of(name)).ok().filter(|index| *index < u16::MAX)
    }

    /// Adds a row.
    pub fn row(&mut self, code: Code, price: Price, terms: Terms) {
        let (price, terms) = (self.prices.index(price), self.terms.index(terms));
        self.rows.push(Row { code, price, terms });
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The deck; not settled yet.
    pub fn finish(self) -> Rows {
        Rows {
            rows: self.rows,
            terms: self.terms.values,
            prices: self.prices.values,
            destinations: self.destinations.values,
            origins: self.origins.values,
        }
    }
}

/// Values by index, each once. A deck has fewer rows than `u32` counts (see `read`), so indices fit.
#[derive(Debug)]
struct Table<T> {
    values: Vec<T>,
    indices: HashMap<T, u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { values: Vec::new(), indices: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Table<T> {
    fn of(values: Vec<T>) -> Self {
        let indices = (0_u32..).zip(&values).map(|(index, value)| (value.clone(), index)).collect();
        Table { values, indices }
    }

    fn index(&mut self, value: T) -> u32 {
        if let Some(index) = self.indices.get(&value) {
            return *index;
        }
        let index = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.indices.insert(value, index);
        index
    }
}

impl Table<String> {
    fn index_of(&mut self, name: &str) -> u32 {
        match self.indices.get(name) {
            Some(index) => *index,
            None => self.index(name.to_owned()),
        }
    }
}
