//! How a file without a configuration is to be read, and times on the command line.

use crate::deck_files::source::{DeckFile, zone};
use clap::{Args, ValueEnum};
use deck::read::DateOrder;
use std::path::Path;

#[derive(Args, Clone, Debug)]
pub(super) struct Reading {
    /// Currency of the prices.
    #[arg(long, default_value = "USD", value_name = "CODE")]
    currency: String,
    /// Time zone of the dates.
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    timezone: String,
    /// Which number of a date is the day [default: as the dates themselves prove].
    #[arg(long, value_enum)]
    dates: Option<Dates>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dates {
    DayFirst,
    MonthFirst,
}

impl Reading {
    /// The deck in `file`.
    pub(super) fn deck(&self, file: &Path) -> Result<DeckFile, String> {
        let mut deck = DeckFile::of(file);
        deck.settings.currency.clone_from(&self.currency);
        deck.reading.currency.clone_from(&self.currency);
        deck.reading.zone = zone(&self.timezone)?;
        deck.reading.dates = self.dates.map(|dates| match dates {
            Dates::DayFirst => DateOrder::DayFirst,
            Dates::MonthFirst => DateOrder::MonthFirst,
        });
        Ok(deck)
    }
}

/// A moment as typed: `2026-01-31`, `2026-01-31T14:00:00Z`, `2026-01-31T14:00:00+02:00`; without an offset UTC.
pub(in crate::cli) fn moment(text: &str) -> Result<i64, String> {
    let timestamp = text.parse::<jiff::Timestamp>().ok();
    let civil = || jiff::tz::TimeZone::UTC.to_timestamp(text.parse::<jiff::civil::DateTime>().ok()?).ok();
    let found = timestamp.or_else(civil);
    found.map(|time| time.as_second()).ok_or_else(|| format!("`{text}` is no time: write 2026-01-31T14:00:00Z"))
}

/// A moment as shown.
pub(super) fn shown(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
