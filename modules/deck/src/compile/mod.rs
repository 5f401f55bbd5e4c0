//! Decks to an image (see `image::format`): the same decks give the same octets, on every machine.
//!
//! The rows of all decks are merged in the order of their codes; each code becomes a block with the cells
//! of all decks side by side, so that a question for twenty vendors touches a few neighbouring lines (see `blocks`).

mod blocks;
mod layout;
mod terms;
pub(crate) mod trie;

use crate::code::Code;
use crate::image::format::DECKS_MAX;
use crate::image::{RateOn, Rounding};
use crate::money::Digits;
use crate::nanp::StateTable;
use crate::rows::Rows;
use layout::Layout;
use std::fmt;

/// A deck to be compiled.
#[derive(Clone, Debug)]
pub struct DeckSource {
    /// What the deck is.
    pub settings: DeckSettings,
    /// Its rows, settled.
    pub rows: Rows,
    /// Which callers belong to which origin group: name in lower case, first digits.
    pub origins: Vec<(String, Code)>,
}

/// What an image keeps about a deck as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeckSettings {
    /// Unique among the decks of an image.
    pub name: String,
    /// Three letters.
    pub currency: String,
    /// Decimals of an amount.
    pub digits: Digits,
    /// How microseconds become seconds.
    pub rounding: Rounding,
    /// Which number is looked up.
    pub rate_on: RateOn,
}

/// Why decks cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// More decks than an image holds.
    TooManyDecks,
    /// Two decks of one name.
    DuplicateDeck(String),
    /// A currency is three letters.
    BadCurrency(String),
    /// A price with more digits than the others of its deck leave room for.
    PriceTooLarge(String),
    /// Rows name an origin group without a single prefix: deck, group.
    UnknownOrigin(String, String),
    /// More different terms, blocks or names than their indices count.
    TooLarge(&'static str),
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileError::TooManyDecks => write!(f, "more than {DECKS_MAX} decks"),
            CompileError::DuplicateDeck(name) => write!(f, "two decks are named `{name}`"),
            CompileError::BadCurrency(currency) => {
                write!(f, "`{currency}` is no currency: write three letters, such as USD")
            }
            CompileError::PriceTooLarge(deck) => {
                write!(f, "deck `{deck}`: a price does not fit beside the finest of its prices")
            }
            CompileError::UnknownOrigin(deck, group) => {
                write!(f, "deck `{deck}`: origin group `{group}` has no prefixes: name a file of them in `origins`")
            }
            CompileError::TooLarge(what) => write!(f, "too many {what} for one image"),
        }
    }
}

impl std::error::Error for CompileError {}

/// The name of the group of callers that are missing, malformed, or in no other group of a deck.
pub const INVALID_ORIGIN: &str = "invalid";

/// Compiles decks, with the table of states where there are North American ones. `progress` is told how
/// many rows are done, now and then.
///
/// # Errors
/// As [`CompileError`] lists.
pub fn compile(
    decks: &[DeckSource],
    states: &StateTable,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<u8>, CompileError> {
    checked(decks)?;
    let deck_bits = bits_for(decks.len());
    let mut layout = Layout::new(deck_bits);
    let rates = blocks::merge(decks, deck_bits, &mut layout, progress)?;
    layout.decks(decks)?;
    layout.trie(rates, crate::image::RATE_TRIE)?;
    let origins = blocks::origins(decks)?;
    layout.trie(origins, crate::image::ORIGIN_TRIE)?;
    layout.states(states)?;
    Ok(layout.finish(decks.len()))
}

fn checked(decks: &[DeckSource]) -> Result<(), CompileError> {
    if decks.len() > DECKS_MAX {
        return Err(CompileError::TooManyDecks);
    }
    let mut names = std::collections::HashSet::new();
    for deck in decks {
        let DeckSettings { name, currency, .. } = &deck.settings;
        if !names.insert(name) {
            return Err(CompileError::DuplicateDeck(name.clone()));
        }
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(CompileError::BadCurrency(currency.clone()));
        }
    }
    Ok(())
}

/// Bits of a cell that name its deck: as few as the decks need.
pub(crate) fn bits_for(decks: usize) -> u32 {
    usize::BITS - decks.max(2).saturating_sub(1).leading_zeros()
}

#[cfg(test)]
mod tests {
    #[test]
    fn deck_bits_are_as_few_as_needed() {
        let bits = [0, 1, 2, 3, 4, 5, 20, 32, 33, 1024].map(super::bits_for);
        assert_eq!(bits, [1, 1, 1, 2, 2, 3, 5, 5, 6, 10]);
    }
}
