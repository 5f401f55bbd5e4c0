//! What is odd in a deck: where, what, and what to do about it.

use std::fmt;

/// One odd thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Line of the file (row of the sheet), from 1; 0 for the deck as a whole.
    pub line: u64,
    /// What.
    pub odd: Odd,
    /// What stands there, shortened.
    pub value: String,
}

/// Kinds of odd things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Odd {
    /// No row of the beginning has both a code and a price column.
    NoHeader,
    /// A record longer than any row, or with more fields.
    RecordTooLong,
    /// A row without a code.
    NoCode,
    /// A code that is none.
    BadCode,
    /// A code that a spreadsheet has turned into a floating-point number.
    SpreadsheetCode,
    /// A range that runs backwards, or of different lengths, or that is too wide.
    BadRange,
    /// A price that is none: the code is closed.
    BadPrice,
    /// A price below zero: the code is closed.
    NegativePrice,
    /// A fee that is none.
    BadFee,
    /// Increments that are none.
    BadIncrements,
    /// A date that is none.
    BadDate,
    /// Day and month could be either, and no other row tells.
    AmbiguousDate,
    /// Both orders of day and month occur.
    MixedDates,
    /// Expires before it becomes effective.
    EmptyPeriod,
    /// A currency that is not the deck's.
    OtherCurrency,
    /// An origin group beyond those that a deck may have.
    TooManyOrigins,
    /// The same code, origin and effective time again: the last one holds.
    Duplicate,
    /// More rows than a deck may have.
    TooManyRows,
    /// No row at all.
    Empty,
    /// A row of the end or between parts: neither a code nor a price.
    NoRow,
    /// A code that begins with the international prefix: taken without it.
    InternationalPrefix,
    /// A code that begins with 0, as no country code does.
    LeadingZero,
    /// A blank country code before an area code: that of the row above.
    CarriedDown,
    /// Another table without a price: its rows close codes that its status says are gone, and nothing else.
    TableWithoutPrice,
    /// Text that is neither UTF-8 nor UTF-16: read as Windows-1252.
    NotUtf8,
}

/// What a finding means for the deck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The deck can be used as it was understood.
    Warning,
    /// A row was lost or closed: not built unless forced.
    Error,
}

impl Odd {
    /// Name for programs.
    pub const fn label(self) -> &'static str {
        match self {
            Odd::NoHeader => "no-header",
            Odd::RecordTooLong => "record-too-long",
            Odd::NoCode => "no-code",
            Odd::BadCode => "bad-code",
            Odd::SpreadsheetCode => "spreadsheet-code",
            Odd::BadRange => "bad-range",
            Odd::BadPrice => "bad-price",
            Odd::NegativePrice => "negative-price",
            Odd::BadFee => "bad-fee",
            Odd::BadIncrements => "bad-increments",
            Odd::BadDate => "bad-date",
            Odd::AmbiguousDate => "ambiguous-date",
            Odd::MixedDates => "mixed-dates",
            Odd::EmptyPeriod => "empty-period",
            Odd::OtherCurrency => "other-currency",
            Odd::TooManyOrigins => "too-many-origins",
            Odd::Duplicate => "duplicate",
            Odd::TooManyRows => "too-many-rows",
            Odd::Empty => "empty",
            Odd::NoRow => "no-row",
            Odd::InternationalPrefix => "international-prefix",
            Odd::LeadingZero => "leading-zero",
            Odd::CarriedDown => "carried-down",
            Odd::TableWithoutPrice => "table-without-price",
            Odd::NotUtf8 => "not-utf8",
        }
    }

    /// What it means.
    pub const fn weight(self) -> Weight {
        match self {
            Odd::Duplicate
            | Odd::NotUtf8
            | Odd::EmptyPeriod
            | Odd::NoRow
            | Odd::InternationalPrefix
            | Odd::LeadingZero
            | Odd::CarriedDown
            | Odd::TableWithoutPrice => Weight::Warning,
            _ => Weight::Error,
        }
    }

    /// What is wrong, in words.
    pub const fn message(self) -> &'static str {
        match self {
            Odd::NoHeader => "no row names both a code and a price column",
            Odd::RecordTooLong => "the row never ends",
            Odd::NoCode => "the row has no code",
            Odd::BadCode => "not a dialling code",
            Odd::SpreadsheetCode => "a spreadsheet has rounded this code",
            Odd::BadRange => "not a range of codes",
            Odd::BadPrice => "not a price: the code is closed",
            Odd::NegativePrice => "a price below zero: the code is closed",
            Odd::BadFee => "not a connection fee",
            Odd::BadIncrements => "not billing increments",
            Odd::BadDate => "not a date",
            Odd::AmbiguousDate => "day and month could be either way round",
            Odd::MixedDates => "other rows have day and month the other way round",
            Odd::EmptyPeriod => "expires before it becomes effective: never in force",
            Odd::OtherCurrency => "not the currency of the deck",
            Odd::TooManyOrigins => "too many origin groups",
            Odd::Duplicate => "the same code for the same time again: the last one holds",
            Odd::TooManyRows => "the deck has too many rows",
            Odd::Empty => "the deck has no rows",
            Odd::NoRow => "neither a code nor a price: passed over",
            Odd::InternationalPrefix => {
                "a code with the international prefix: taken without 00, as are all others like it"
            }
            Odd::LeadingZero => "no country code begins with 0: a number with its country code never matches",
            Odd::CarriedDown => "no country code: that of the row above is taken, as for all others like it",
            Odd::TableWithoutPrice => {
                "another table without a price: only codes that its status closes are read from it"
            }
            Odd::NotUtf8 => "neither UTF-8 nor UTF-16: read as Windows-1252",
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Odd::NoHeader => "name the columns in one row, such as: code, destination, price",
            Odd::RecordTooLong => "look for a quotation mark that is not closed",
            Odd::NoCode => "write its code, or remove the row",
            Odd::BadCode => "write digits, at most 15, such as 4479, +4479, 4470-4479 or 44;45",
            Odd::SpreadsheetCode => "make the column text in the spreadsheet and export it again",
            Odd::BadRange => "write two codes of equal length, the lower first, at most 10000 codes apart",
            Odd::BadPrice => "write a number such as 0.0123, or leave it empty to close the code",
            Odd::NegativePrice => "write 0 or more",
            Odd::BadFee => "write a number such as 0.01, or leave it empty",
            Odd::BadIncrements => "write seconds from 0 to 65535, such as 60/60 or 1",
            Odd::BadDate => "write 2026-01-31, or with a time 2026-01-31 14:00:00",
            Odd::AmbiguousDate => "say which in the configuration: dates = \"day-first\" or \"month-first\"",
            Odd::MixedDates => "write all dates as 2026-01-31",
            Odd::EmptyPeriod => "exchange the two dates, or remove the row",
            Odd::OtherCurrency => "make a deck of its own for each currency",
            Odd::TooManyOrigins => "keep below 65535 different groups",
            Odd::Duplicate => "remove one of the two",
            Odd::TooManyRows => "split the deck",
            Odd::Empty => "check that this is the file that was meant",
            Odd::NoRow => "nothing, if this is no row of the deck",
            Odd::InternationalPrefix => "nothing, if 00 is what you dial abroad",
            Odd::LeadingZero => {
                "write the code with its country code; the column's name `prefix as dialled` keeps all digits"
            }
            Odd::CarriedDown => "nothing, if the cells were merged",
            Odd::TableWithoutPrice => "nothing, if it is no part of the deck",
            Odd::NotUtf8 => "save as UTF-8 if names of destinations look wrong",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(self.odd.message())?;
        if !self.value.is_empty() {
            write!(f, ": {:?}", self.value)?;
        }
        write!(f, ". {}", self.odd.remedy())
    }
}

/// Findings of one deck: all are counted, the first are kept.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The first [`FINDINGS_KEPT_MAX`].
    pub kept: Vec<Finding>,
    /// How many there were in all.
    pub warnings: u64,
    /// How many there were in all.
    pub errors: u64,
}

/// Most findings that are kept with their line: a file that is no deck has one for each of its lines.
pub const FINDINGS_KEPT_MAX: usize = 100_000;

/// Most characters of a value that are shown.
const VALUE_CHARACTERS_MAX: usize = 60;

impl Findings {
    pub(crate) fn add(&mut self, line: u64, odd: Odd, value: &str) {
        match odd.weight() {
            Weight::Warning => self.warnings += 1,
            Weight::Error => self.errors += 1,
        }
        if self.kept.len() < FINDINGS_KEPT_MAX {
            self.kept.push(Finding { line, odd, value: value.chars().take(VALUE_CHARACTERS_MAX).collect() });
        }
    }
}
