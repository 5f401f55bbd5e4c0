//! A deck as vendors send it: CSV of any delimiter, quoting and encoding, columns by their names, or
//! rows of a sheet.
//!
//! [`DeckReader`] takes octets as they come and keeps no more of them than one record; whatever they are,
//! it neither panics nor grows beyond [`DECK_ROWS_MAX`] rows. Called by the node's `deck_files`.

mod body;
mod date;
mod decode;
mod finding;
mod header;
mod names;
mod records;
mod value;

#[cfg(test)]
mod tests;

pub use date::DateOrder;
pub use finding::{FINDINGS_KEPT_MAX, Finding, Findings, Odd, Weight};

use crate::billing::Increments;
use crate::rows::Rows;
use body::Body;
use decode::Decode;
use header::Headers;
use jiff::tz::TimeZone;
use records::{Record, Records};

/// Most rows of one deck: indices of rows are 32 bits, and 2^26 rows are a gigabyte.
pub const DECK_ROWS_MAX: usize = 1 << 26;

/// What has to be known beforehand about a deck.
#[derive(Clone, Debug)]
pub struct Settings {
    /// In which its dates are.
    pub zone: TimeZone,
    /// Which of two numbers is the day; `None`: the deck's own dates tell.
    pub dates: Option<DateOrder>,
    /// Where a row has none.
    pub increments: Increments,
    /// Three letters; a row in another currency is odd.
    pub currency: String,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// The rows that were understood, settled.
    pub rows: Rows,
    /// Everything odd.
    pub findings: Findings,
    /// The delimiter that was found; 0 for rows of a sheet.
    pub delimiter: u8,
}

/// Reads one deck.
pub struct DeckReader {
    body: Body,
    stage: Stage,
}

enum Stage {
    /// Gathering the beginning, by which encoding and delimiter are found.
    Head(Vec<u8>),
    /// Boxed: they carry their buffers.
    Reading(Box<(Decode, Records)>),
}

/// How much of a file is looked at before its delimiter is decided.
const HEAD_BYTES: usize = 64 << 10;

/// A header stands within the first so many records.
const HEADER_RECORDS_MAX: usize = 100;

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

impl DeckReader {
    /// Nothing read yet.
    pub fn new(settings: Settings) -> Self {
        DeckReader { body: Body::new(settings), stage: Stage::Head(Vec::new()) }
    }

    /// Takes the next octets of the file.
    pub fn push(&mut self, octets: &[u8]) {
        match &mut self.stage {
            Stage::Head(head) => {
                head.extend_from_slice(octets);
                if head.len() >= HEAD_BYTES {
                    self.begin(false);
                }
            }
            Stage::Reading(reading) => {
                let (decode, records) = reading.as_mut();
                let body = &mut self.body;
                records.push(&decode.push(octets, false), &mut |record| body.record(record));
            }
        }
    }

    /// Takes a row of a sheet, instead of octets. `line` counts from 1.
    pub fn row(&mut self, line: u64, fields: &[String]) {
        let mut ends = Vec::with_capacity(fields.len());
        let mut octets = Vec::new();
        for field in fields {
            octets.extend_from_slice(field.as_bytes());
            ends.push(octets.len());
        }
        self.body.record(Record::of(line, &octets, &ends));
    }

    /// Rows understood so far.
    pub fn rows(&self) -> usize {
        self.body.len()
    }

    /// The end of the file.
    pub fn finish(mut self) -> Read {
        let mut delimiter = 0;
        if matches!(&self.stage, Stage::Head(head) if !head.is_empty()) {
            self.begin(true);
        }
        if let Stage::Reading(reading) = &mut self.stage {
            let (decode, records) = reading.as_mut();
            let body = &mut self.body;
            records.push(&decode.push(&[], true), &mut |record| body.record(record));
            records.finish(&mut |record| body.record(record));
            delimiter = records.delimiter();
        }
        let (rows, findings) = self.body.finish();
        Read { rows, findings, delimiter }
    }

    /// Decides encoding and delimiter, then reads the beginning.
    fn begin(&mut self, whole: bool) {
        let Stage::Head(head) = &mut self.stage else {
            return;
        };
        let head = std::mem::take(head);
        let mut decode = Decode::of(&head);
        let text = decode.push(&head, false);
        let mut records = Records::new(delimiter_of(&text, whole));
        let body = &mut self.body;
        records.push(&text, &mut |record| body.record(record));
        drop(text);
        self.stage = Stage::Reading(Box::new((decode, records)));
    }
}

/// The delimiter with which a header of the most known columns is found; a comma when there is none.
fn delimiter_of(head: &[u8], whole: bool) -> u8 {
    let known = |delimiter: u8| {
        let (mut seen, mut best, mut headers) = (0, 0, Headers::default());
        let mut records = Records::new(delimiter);
        let mut each = |record: Record<'_>| {
            seen += 1;
            if seen <= HEADER_RECORDS_MAX && best == 0 && !record.is_blank() {
                best = headers.look(record).map_or(0, |columns| columns.count());
            }
        };
        records.push(head, &mut each);
        if whole {
            records.finish(&mut each);
        }
        best
    };
    let found = DELIMITERS.into_iter().map(|delimiter| (known(delimiter), delimiter));
    // WHY rev: of equals the last is taken by max_by_key, and the comma is the likeliest.
    found.rev().max_by_key(|(known, _)| *known).filter(|(known, _)| *known > 0).map_or(b',', |(_, delimiter)| delimiter)
}
