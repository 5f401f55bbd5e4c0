//! A deck as the operator describes it: its files, and how they are to be read.

use super::read::read_deck;
use super::{FileError, read_origins};
use deck::billing::{Increments, Rounding};
use deck::compare::Bounds;
use deck::compile::{DeckSettings, DeckSource};
use deck::image::RateOn;
use deck::money::Digits;
use deck::read::{DateOrder, Findings, Settings};
use deck::rows::Rows;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

/// A deck that is to be read.
#[derive(Clone, Debug)]
pub struct DeckFile {
    /// What it is.
    pub settings: DeckSettings,
    /// How its files are read.
    pub reading: Settings,
    /// Its file.
    pub file: PathBuf,
    /// Applied after it, in this order.
    pub updates: Vec<PathBuf>,
    /// `file` replaces the deck; otherwise it is itself an update of the one in force.
    pub full: bool,
    /// Its origin groups.
    pub origins: Option<PathBuf>,
    /// What it may change without being forced.
    pub bounds: Bounds,
}

/// A deck that was read.
#[derive(Clone, Debug)]
pub struct LoadedDeck {
    /// For the compiler.
    pub source: DeckSource,
    /// What was odd, by file.
    pub findings: Vec<(PathBuf, Findings)>,
}

impl DeckFile {
    /// One with every default: named after its file, in US dollars and UTC.
    pub fn of(file: &Path) -> Self {
        let name = file.file_stem().map_or("deck".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let currency = "USD".to_owned();
        DeckFile {
            settings: DeckSettings {
                name,
                currency: currency.clone(),
                digits: AMOUNT_DIGITS,
                rounding: Rounding::Up,
                rate_on: RateOn::Lrn,
            },
            reading: Settings { zone: TimeZone::UTC, dates: None, increments: Increments::SECOND, currency },
            file: file.to_owned(),
            updates: Vec::new(),
            full: true,
            origins: None,
            bounds: Bounds::default(),
        }
    }

    /// The deck of a configuration file.
    ///
    /// # Errors
    /// When its time zone is not known on this host.
    pub fn configured(deck: &tuning::Deck) -> Result<Self, FileError> {
        let zone = zone(&deck.timezone).map_err(|why| FileError::new(&deck.file, 0, why))?;
        let mut made = DeckFile::of(&deck.file);
        made.settings.name.clone_from(&deck.name);
        made.settings.currency.clone_from(deck.currency.as_str());
        made.settings.digits = u8::try_from(deck.digits).ok().and_then(Digits::new).unwrap_or(AMOUNT_DIGITS);
        made.settings.rounding = match deck.rounding {
            tuning::DeckRounding::Up => Rounding::Up,
            tuning::DeckRounding::Nearest => Rounding::Nearest,
        };
        made.settings.rate_on = match deck.rate_on {
            tuning::DeckRateOn::Lrn => RateOn::Lrn,
            tuning::DeckRateOn::Dialled => RateOn::Dialled,
        };
        made.reading = Settings {
            zone,
            dates: deck.dates.map(|dates| match dates {
                tuning::DeckDates::DayFirst => DateOrder::DayFirst,
                tuning::DeckDates::MonthFirst => DateOrder::MonthFirst,
            }),
            increments: Increments { initial: deck.initial_increment, subsequent: deck.subsequent_increment },
            currency: made.settings.currency.clone(),
        };
        made.updates.clone_from(&deck.updates);
        made.full = deck.mode == tuning::DeckMode::Full;
        made.origins.clone_from(&deck.origins);
        made.bounds = Bounds { move_percent: deck.move_percent };
        Ok(made)
    }

    /// Reads all its files. `base` is the deck in force, which an update is applied to.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn load(&self, base: Option<Rows>, progress: &mut dyn FnMut(usize)) -> Result<LoadedDeck, FileError> {
        let read = read_deck(&self.file, self.reading.clone(), progress)?;
        let mut findings = vec![(self.file.clone(), read.findings)];
        let mut rows = match base.filter(|_| !self.full) {
            None => read.rows,
            Some(mut base) => {
                base.update(&read.rows);
                base
            }
        };
        for path in &self.updates {
            let read = read_deck(path, self.reading.clone(), progress)?;
            rows.update(&read.rows);
            findings.push((path.clone(), read.findings));
        }
        let origins = self.origins.as_deref().map(read_origins).transpose()?.unwrap_or_default();
        Ok(LoadedDeck { source: DeckSource { settings: self.settings.clone(), rows, origins }, findings })
    }
}

/// A time zone by its name.
///
/// # Errors
/// A sentence, when this host does not know it.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("`{name}` is no time zone: write a name such as UTC or Europe/Berlin"))
}

/// Decimals of an amount when nothing else is said.
// INVARIANT: below `Digits::MAX`.
const AMOUNT_DIGITS: Digits = match Digits::new(6) {
    Some(digits) => digits,
    None => Digits::MAX,
};
