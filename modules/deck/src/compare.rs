//! A deck in figures, and a new deck beside the one in force: what changes, and whether that can be meant.

use crate::code::Code;
use crate::money::Decimal;
use crate::rows::{Price, Row, Rows};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

/// A deck in figures, at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// All rows.
    pub rows: usize,
    /// Different codes.
    pub codes: usize,
    /// Different names of destinations.
    pub destinations: usize,
    /// Rows with a price that is in force.
    pub priced: usize,
    /// Rows in force that close their code.
    pub closed: usize,
    /// Rows that are not in force yet.
    pub future: usize,
    /// Rows that have expired, or that a later one has replaced.
    pub past: usize,
    /// Cheapest, median and dearest price in force.
    pub prices: Option<[Decimal; 3]>,
}

/// What a price is compared by: the interstate one where there are several.
fn leading(price: Price) -> Option<Decimal> {
    match price {
        Price::Closed => None,
        Price::Flat(price) | Price::ByJurisdiction { inter: price, .. } => Some(price),
    }
}

impl Statistics {
    /// Of a settled deck at `at`.
    pub fn of(rows: &Rows, at: i64) -> Self {
        let mut figures = Statistics { rows: rows.rows.len(), ..Statistics::default() };
        let (mut prices, mut last, mut destinations) = (Vec::new(), None, BTreeSet::new());
        for row in &rows.rows {
            figures.codes += usize::from(last.replace(row.code) != Some(row.code));
            if let Some(terms) = rows.terms_of(row) {
                destinations.insert(terms.destination);
                figures.future += usize::from(terms.effective > at);
            }
        }
        for row in in_force(rows, at) {
            match rows.price_of(row).and_then(leading) {
                Some(price) => prices.push(price),
                None => figures.closed += 1,
            }
        }
        prices.sort_unstable();
        figures.destinations = destinations.len();
        figures.priced = prices.len();
        figures.past = figures.rows - figures.future - figures.priced - figures.closed;
        let ends = (prices.first(), prices.get(prices.len() / 2), prices.last());
        if let (Some(low), Some(median), Some(high)) = ends {
            figures.prices = Some([*low, *median, *high]);
        }
        figures
    }
}

/// The row in force of each code and origin, in order.
fn in_force(rows: &Rows, at: i64) -> impl Iterator<Item = &Row> {
    let mut last: Option<(Code, u16)> = None;
    rows.rows.iter().filter(move |row| {
        let Some(terms) = rows.terms_of(row) else {
            return false;
        };
        // INVARIANT: settled rows have the latest effective time first.
        let key = (row.code, terms.origin);
        let holds = terms.effective <= at && at < terms.expiry && last != Some(key);
        if holds {
            last = Some(key);
        }
        holds
    })
}

/// What a new deck changes, by code and origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Codes in force before.
    pub before: usize,
    /// Codes that are new.
    pub added: usize,
    /// Codes that are gone.
    pub removed: usize,
    /// Codes that had a price and are closed.
    pub closed: usize,
    /// Codes that were closed and have a price.
    pub opened: usize,
    /// Dearer than before.
    pub dearer: usize,
    /// Cheaper than before.
    pub cheaper: usize,
    /// As before.
    pub same: usize,
    /// Moved by more than the bound that was asked.
    pub far: usize,
    /// The codes whose price moved most, with the prices before and after; at most [`MOVES_SHOWN_MAX`].
    pub moves: Vec<(Code, Decimal, Decimal)>,
}

/// How many of the widest moves are kept.
pub const MOVES_SHOWN_MAX: usize = 10;

/// What a deck may change without being forced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// A price moves far when it changes by more than so many percent of the lower of the two.
    pub move_percent: u32,
}

impl Default for Bounds {
    /// WHY 50: ordinary changes of a deck are below ten percent; a lost digit or another currency is not.
    fn default() -> Self {
        Bounds { move_percent: 50 }
    }
}

/// Why a deck does not go live unless forced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no row.
    Empty,
    /// A full deck lost more than a fifth of the codes in force: how many of how many.
    Lost(usize, usize),
    /// More than a twentieth of the prices moved far: how many of how many.
    Moved(usize, usize),
    /// Rows could not be read.
    Odd(u64),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Empty => f.write_str("it is empty"),
            Refusal::Lost(lost, of) => write!(f, "it loses {lost} of {of} codes in force, more than a fifth"),
            Refusal::Moved(far, of) => write!(f, "{far} of {of} prices move beyond the bound, more than a twentieth"),
            Refusal::Odd(rows) => write!(f, "{rows} rows are odd"),
        }
    }
}

impl Changes {
    /// From `before` to `after`, both settled, by what is in force at `at`.
    pub fn between(before: &Rows, after: &Rows, at: i64, bounds: Bounds) -> Self {
        let mut changes = Changes::default();
        let mut old = keyed(before, at).peekable();
        let mut new = keyed(after, at).peekable();
        let mut moves: Vec<(u128, Code, Decimal, Decimal)> = Vec::new();
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            let was = if order == Ordering::Greater { None } else { old.next() };
            let is = if order == Ordering::Less { None } else { new.next() };
            changes.before += usize::from(was.is_some());
            match (was, is) {
                (Some(((code, _), Some(was))), Some((_, Some(is)))) => {
                    changes.count(was, is, bounds);
                    note(&mut moves, (spread(was, is), code, was, is));
                }
                (Some((_, Some(_))), Some((_, None))) => changes.closed += 1,
                (Some((_, None)), Some((_, Some(_)))) => changes.opened += 1,
                (Some((_, None)), Some((_, None))) => changes.same += 1,
                (Some(_), None) => changes.removed += 1,
                (None, _) => changes.added += 1,
            }
        }
        changes.moves = moves.into_iter().map(|(_, code, was, is)| (code, was, is)).collect();
        changes
    }

    fn count(&mut self, was: Decimal, is: Decimal, bounds: Bounds) {
        match is.cmp(&was) {
            Ordering::Equal => self.same += 1,
            Ordering::Greater => self.dearer += 1,
            Ordering::Less => self.cheaper += 1,
        }
        self.far += usize::from(spread(was, is) > u128::from(bounds.move_percent));
    }

    /// Whether this deck may go live. `full`: it replaces the deck; an update cannot lose codes.
    ///
    /// # Errors
    /// Why not.
    pub fn guard(&self, after: &Rows, full: bool) -> Result<(), Refusal> {
        let both = self.same + self.dearer + self.cheaper;
        if after.rows.is_empty() {
            Err(Refusal::Empty)
        } else if full && self.removed * 5 > self.before {
            Err(Refusal::Lost(self.removed, self.before))
        } else if self.far * 20 > both {
            Err(Refusal::Moved(self.far, both))
        } else {
            Ok(())
        }
    }
}

/// Codes and names of origins with what is in force, in order: groups of two decks have different numbers.
fn keyed(rows: &Rows, at: i64) -> impl Iterator<Item = ((Code, &str), Option<Decimal>)> {
    let mut list: Vec<_> = in_force(rows, at)
        .map(|row| {
            let origin = rows.terms_of(row).and_then(|terms| rows.origins.get(usize::from(terms.origin)));
            ((row.code, origin.map_or("", String::as_str)), rows.price_of(row).and_then(leading))
        })
        .collect();
    list.sort_unstable();
    list.into_iter()
}

/// The difference in percent of the lower one.
fn spread(was: Decimal, is: Decimal) -> u128 {
    let scale = |price: Decimal| price.finest().unsigned_abs();
    let (low, high) = (scale(was.min(is)), scale(was.max(is)));
    (high - low).saturating_mul(100) / low.max(1)
}

/// Keeps the widest.
fn note(moves: &mut Vec<(u128, Code, Decimal, Decimal)>, entry: (u128, Code, Decimal, Decimal)) {
    if entry.0 > 0 {
        let at = moves.partition_point(|kept| kept.0 >= entry.0);
        if at < MOVES_SHOWN_MAX {
            moves.insert(at, entry);
            moves.truncate(MOVES_SHOWN_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::billing::Increments;
    use crate::read::{DeckReader, Settings};
    use jiff::tz::TimeZone;

    fn rows(text: &str) -> Rows {
        let settings =
            Settings { zone: TimeZone::UTC, dates: None, increments: Increments::SECOND, currency: "USD".into() };
        let mut reader = DeckReader::new(settings);
        reader.push(b"code,price,effective,expiry,origin\n");
        reader.push(text.as_bytes());
        reader.finish().rows
    }

    fn at(date: &str) -> i64 {
        date.parse::<jiff::Timestamp>().unwrap().as_second()
    }

    const DAY: &str = "2026-06-01T00:00:00Z";

    #[test]
    fn a_deck_in_figures() {
        let rows = rows(
            "44,1,,,\n44,2,2026-05-01,,\n44,9,2026-07-01,,\n45,,,,\n46,5,2026-01-01,2026-02-01,\n47,3,,,\n48,4,,,eea\n",
        );
        let figures = Statistics::of(&rows, at(DAY));
        let [low, median, high] = figures.prices.unwrap().map(|price| price.to_string());
        assert_eq!((low.as_str(), median.as_str(), high.as_str()), ("2", "3", "4"));
        let counts = [figures.rows, figures.codes, figures.priced, figures.closed, figures.future, figures.past];
        assert_eq!(counts, [7, 5, 3, 1, 1, 2]);
    }

    #[test]
    fn changes_are_counted_by_what_is_in_force() {
        let before = rows("44,1,,,\n45,1,,,\n46,1,,,\n47,1,,,\n48,,,,\n49,1,,,\n");
        let after = rows("44,1,,,\n45,1.1,,,\n46,0.5,,,\n47,,,,\n48,2,,,\n50,1,,,\n51,7,2027-01-01,,\n");
        let changes = Changes::between(&before, &after, at(DAY), Bounds::default());
        let counts = [
            changes.same,
            changes.dearer,
            changes.cheaper,
            changes.closed,
            changes.opened,
            changes.removed,
            changes.added,
        ];
        assert_eq!((counts, changes.before, changes.far), ([1, 1, 1, 1, 1, 1, 1], 6, 1));
        let widest: Vec<_> = changes.moves.iter().map(|(code, _, _)| code.to_string()).collect();
        assert_eq!(widest, ["46", "45"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let many = |count: usize, price: &str| {
            rows(&(100..100 + count).map(|code| format!("{code},{price},,,\n")).collect::<String>())
        };
        let guard = |before: &Rows, after: &Rows, full| {
            Changes::between(before, after, at(DAY), Bounds::default()).guard(after, full)
        };
        let before = many(100, "0.01");
        assert_eq!(guard(&before, &many(80, "0.01"), true), Ok(()));
        assert_eq!(guard(&before, &many(79, "0.01"), true), Err(Refusal::Lost(21, 100)));
        assert_eq!(guard(&before, &many(79, "0.01"), false), Ok(()));
        assert_eq!(guard(&before, &many(100, "0.015"), true), Ok(()));
        assert_eq!(guard(&before, &many(100, "0.1"), true), Err(Refusal::Moved(100, 100)));
        assert_eq!(guard(&before, &Rows::default(), true), Err(Refusal::Empty));
        assert_eq!(guard(&Rows::default(), &before, true), Ok(()));
    }
}
