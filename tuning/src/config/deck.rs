//! `[[deck]]` and `[rating]`: rate decks, and the image that they are compiled into.

use super::Moment;
use crate::read::{Node, Reader, Value};
use crate::schema::Kind;
use std::path::PathBuf;

choice! {
    /// What the file of a deck does to the deck in force.
    DeckMode {
        /// It replaces it: codes that it does not have are gone.
        Full = "full",
        /// It touches only the codes that it names.
        Update = "update",
    }
}

choice! {
    /// Which of two numbers of a date is the day.
    DeckDates {
        /// 31/01/2026.
        DayFirst = "day-first",
        /// 01/31/2026.
        MonthFirst = "month-first",
    }
}

choice! {
    /// How a call's length becomes whole seconds.
    DeckRounding {
        /// A second that has begun counts.
        Up = "up",
        /// The nearest one.
        Nearest = "nearest",
    }
}

choice! {
    /// Which number the codes of a deck are held against.
    DeckRateOn {
        /// The routing number (RFC 4694 `rn`) where there is one.
        Lrn = "lrn",
        /// The dialled one.
        Dialled = "dialled",
    }
}

section! {
    /// A rate deck: what a minute costs, by the first digits of the number. `tandem deck build` compiles all.
    Deck {
        /// Name; unique in the file.
        live name: String;
        /// The deck as its vendor sends it: CSV of any delimiter, or xlsx.
        live file: PathBuf;
        /// Files applied after it, in this order; each touches only the codes that it names.
        live updates: Vec<PathBuf> = Vec::new();
        /// What `file` does to the deck in force.
        live mode: DeckMode = DeckMode::Full;
        /// Currency of its prices, three letters.
        live currency: Currency;
        /// Time zone of its dates; a bare date is its 00:00.
        live timezone: String = "UTC".to_owned();
        /// Which number of a date is the day.
        live dates: Option<DeckDates> = None, derived "as the dates of the deck themselves prove";
        /// Decimals that the amount of a call is rounded to, half up.
        live digits: u16 = 6, within 0 => 12;
        /// How a call's length becomes whole seconds.
        live rounding: DeckRounding = DeckRounding::Up;
        /// Which number its codes are held against.
        live rate_on: DeckRateOn = DeckRateOn::Lrn;
        /// Least billed time of an answered call where the deck says nothing, in seconds.
        live initial_increment: u16 = 1, within 0 => 3_600;
        /// Steps after that where the deck says nothing, in seconds.
        live subsequent_increment: u16 = 1, within 1 => 3_600;
        /// Rows of origin group and first digits of the caller's number, for decks that price by origin.
        live origins: Option<PathBuf> = None;
        /// A price that changes by more than this, in percent of the lower one, moves far; when more than a
        /// twentieth of the prices do, the deck is refused unless forced.
        live move_percent: u32 = 50, within 1 => 1_000_000;
    }
}

section! {
    /// What all decks have in common.
    Rating {
        /// The compiled image.
        live image: Option<PathBuf> = None;
        /// Rows of NPA-NXX or NPA-NXX-X and state: without it every North American call is indeterminate.
        live states: Option<PathBuf> = None;
        /// Rows of two exchanges between which calls are local.
        live local_exchanges: Option<PathBuf> = None;
        /// Currency that prices are compared in.
        live currency: Option<Currency> = None, derived "that of the first deck";
    }
}

section! {
    /// What one unit of a currency is worth in another, from a time on.
    Exchange {
        /// Currency that is converted.
        live from: Currency;
        /// Currency that it becomes.
        live to: Currency;
        /// Units of `to` for one of `from`: an exact decimal, in quotes.
        live rate: ExchangeRate;
        /// From when on; the latest that is past holds at the INVITE of a call.
        live effective: Option<Moment> = None, derived "ever";
    }
}

/// Three letters (ISO 4217), upper case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Currency(String);

impl Currency {
    /// Its letters.
    pub const fn as_str(&self) -> &String {
        &self.0
    }
}

impl Value for Currency {
    fn kind() -> Kind {
        Kind::Text("a currency of three letters")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Some(Currency(text));
        }
        reader.malformed(node, "not a currency", "write three capital letters, such as \"USD\"");
        None
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.0.clone()))
    }
}

/// A positive decimal number as text: floats have no place in money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeRate(String);

/// Most characters of a rate.
const RATE_CHARACTERS_MAX: usize = 14;

impl ExchangeRate {
    /// Its digits and point.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for ExchangeRate {
    fn kind() -> Kind {
        Kind::Text("a decimal number in quotes")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let positive = text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        if digits(whole) && digits(fraction) && positive && text.len() <= RATE_CHARACTERS_MAX {
            return Some(ExchangeRate(text));
        }
        reader.malformed(node, "not a rate above 0", "write an exact decimal number, such as \"1.0837\"");
        None
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.0.clone()))
    }
}
