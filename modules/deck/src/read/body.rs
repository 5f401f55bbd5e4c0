//! From records to rows: finds the header, then reads each row by it.

use super::date::{self, DateOrder, Written};
use super::finding::{Findings, Odd};
use super::header::{Columns, Field};
use super::records::Record;
use super::{DECK_ROWS_MAX, HEADER_RECORDS_MAX, Settings, decode, value};
use crate::billing::Increments;
use crate::code::Code;
use crate::money::Decimal;
use crate::rows::{ALWAYS, Interned, NEVER, Price, Rows, Terms};
use std::borrow::Cow;
use std::collections::HashMap;

/// The rows of one deck, as they come.
pub(crate) struct Body {
    settings: Settings,
    columns: Option<Columns>,
    before_header: usize,
    /// INVARIANT: until [`Body::finish`] the two times of its terms are places in `dates`, plus 1; 0: none.
    rows: Interned,
    dates: Dates,
    findings: Findings,
    foreign_octets: bool,
    full: bool,
    codes: Vec<Code>,
}

/// Each different text of a date is read once: a deck of a million rows has a few.
#[derive(Default)]
struct Dates {
    places: HashMap<String, i64>,
    written: Vec<(Written, u64)>,
}

impl Dates {
    /// Its place plus 1; `None` when it is no date.
    fn place(&mut self, text: &str, line: u64) -> Option<i64> {
        if let Some(place) = self.places.get(text) {
            return Some(*place);
        }
        self.written.push((date::parse(text)?, line));
        let place = i64::try_from(self.written.len()).ok()?;
        self.places.insert(text.to_owned(), place);
        Some(place)
    }
}

impl Body {
    pub(crate) fn new(settings: Settings) -> Self {
        Body {
            settings,
            columns: None,
            before_header: 0,
            rows: Interned::new(),
            dates: Dates::default(),
            findings: Findings::default(),
            foreign_octets: false,
            full: false,
            codes: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn record(&mut self, record: Record<'_>) {
        if record.overlong {
            self.findings.add(record.line, Odd::RecordTooLong, "");
        } else if record.is_blank() {
        } else if let Some(columns) = self.columns.take() {
            // A second header begins another table of the same sheet.
            // WHY the first octet: names are compared only where no code can stand, not in every row.
            let places = [Field::Code, Field::NpaNxx, Field::Npa, Field::CountryCode].map(|field| columns.at(field));
            let code = places.into_iter().flatten().next().map_or(&[][..], |place| record.field(place));
            let named = code.first().is_some_and(u8::is_ascii_alphabetic);
            let again = if named { Columns::recognise(record.fields()) } else { None };
            if again.is_none() {
                self.row(&columns, record);
            }
            self.columns = again.or(Some(columns));
        } else if self.before_header < HEADER_RECORDS_MAX {
            self.before_header += 1;
            self.columns = Columns::recognise(record.fields());
        }
    }

    fn row(&mut self, columns: &Columns, record: Record<'_>) {
        let line = record.line;
        let mut codes = std::mem::take(&mut self.codes);
        codes.clear();
        if let Err(odd) = self.codes_of(columns, record, &mut codes) {
            let field = columns
                .at(Field::Code)
                .or(columns.at(Field::AreaCode))
                .map_or("".into(), |at| decode::text(record.field(at)).0);
            self.findings.add(line, odd, &field);
            codes.clear();
        }
        if !codes.is_empty()
            && let Some(terms) = self.terms(columns, record)
        {
            let price = self.price(columns, record);
            self.add(line, &codes, price, terms);
        }
        self.codes = codes;
    }

    fn add(&mut self, line: u64, codes: &[Code], price: Price, terms: Terms) {
        if self.rows.len() + codes.len() > DECK_ROWS_MAX {
            if !std::mem::replace(&mut self.full, true) {
                self.findings.add(line, Odd::TooManyRows, "");
            }
            return;
        }
        for code in codes {
            self.rows.row(*code, price, terms);
        }
    }

    fn text<'r>(&mut self, columns: &Columns, record: Record<'r>, field: Field) -> Cow<'r, str> {
        let Some(place) = columns.at(field) else {
            return Cow::Borrowed("");
        };
        let (text, utf8) = decode::text(record.field(place));
        if !utf8 && !std::mem::replace(&mut self.foreign_octets, true) {
            self.findings.add(record.line, Odd::NotUtf8, &text);
        }
        text
    }

    fn codes_of(&mut self, columns: &Columns, record: Record<'_>, codes: &mut Vec<Code>) -> Result<(), Odd> {
        let mut each = |code| codes.push(code);
        if columns.at(Field::Code).is_some() {
            return value::codes(&self.text(columns, record, Field::Code), "", &mut each);
        }
        if columns.at(Field::NpaNxx).is_some() {
            // No area code of the plan begins with 1, so a 1 in front is the country code.
            let text = self.text(columns, record, Field::NpaNxx);
            let before = if text.trim_start_matches(['+', '\'']).starts_with('1') { "" } else { "1" };
            return value::codes(&text, before, &mut each);
        }
        if columns.at(Field::Npa).is_some() {
            let before = format!("1{}", self.text(columns, record, Field::Npa));
            return value::codes(&self.text(columns, record, Field::Nxx), &before, &mut each);
        }
        let country = self.text(columns, record, Field::CountryCode);
        let area = self.text(columns, record, Field::AreaCode);
        if area.is_empty() {
            return value::codes(&country, "", &mut each);
        }
        let country = country.trim_start_matches(['+', '\'']);
        if country.is_empty() || !country.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Odd::BadCode);
        }
        value::codes(&area, country, &mut each)
    }

    /// Never fails: a price that cannot be read closes the code, and says so.
    fn price(&mut self, columns: &Columns, record: Record<'_>) -> Price {
        if value::closes(&self.text(columns, record, Field::Status)) {
            return Price::Closed;
        }
        let inter = self.number(columns, record, Field::Inter);
        let intra = self.number(columns, record, Field::Intra);
        let flat = self.number(columns, record, Field::Price);
        match (inter, intra, flat) {
            (Some(inter), Some(intra), _) => Price::ByJurisdiction {
                inter,
                intra,
                indeterminate: self.number(columns, record, Field::Indeterminate).unwrap_or(inter.max(intra)),
                local: self.number(columns, record, Field::Local).unwrap_or(intra),
            },
            (None, None, Some(flat)) => Price::Flat(flat),
            (None, None, None) => Price::Closed,
            _ => {
                self.findings.add(record.line, Odd::BadPrice, "one of interstate and intrastate is missing");
                Price::Closed
            }
        }
    }

    fn number(&mut self, columns: &Columns, record: Record<'_>, field: Field) -> Option<Decimal> {
        let text = self.text(columns, record, field);
        match value::price(&text) {
            Ok(value::Written::Number(number)) => Some(number),
            Ok(value::Written::Closed) => None,
            Err(odd) => {
                self.findings.add(record.line, odd, &text);
                None
            }
        }
    }

    /// All but code and price; `None` when the row cannot be used.
    fn terms(&mut self, columns: &Columns, record: Record<'_>) -> Option<Terms> {
        let line = record.line;
        let currency = self.text(columns, record, Field::Currency);
        if !currency.is_empty() && !currency.eq_ignore_ascii_case(&self.settings.currency) {
            self.findings.add(line, Odd::OtherCurrency, &currency);
            return None;
        }
        let destination = self.text(columns, record, Field::Destination);
        let destination = self.rows.destination(&destination);
        let origin_name = self.text(columns, record, Field::Origin).to_lowercase();
        let Some(origin) = self.rows.origin(&origin_name) else {
            self.findings.add(line, Odd::TooManyOrigins, &origin_name);
            return None;
        };
        let fee = match value::price(&self.text(columns, record, Field::Fee)) {
            Ok(value::Written::Number(fee)) => fee,
            Ok(value::Written::Closed) => Decimal::ZERO,
            Err(_) => {
                let text = self.text(columns, record, Field::Fee);
                self.findings.add(line, Odd::BadFee, &text);
                return None;
            }
        };
        let increments = self.increments(columns, record)?;
        let effective = self.date(columns, record, Field::Effective)?;
        let expiry = self.date(columns, record, Field::Expiry)?;
        Some(Terms { effective, expiry, fee, increments, destination, origin })
    }

    fn increments(&mut self, columns: &Columns, record: Record<'_>) -> Option<Increments> {
        let both = self.text(columns, record, Field::Increments);
        let initial = self.text(columns, record, Field::Initial);
        let subsequent = self.text(columns, record, Field::Subsequent);
        // "Increment" beside "minimum" is the subsequent one, unless it gives both itself.
        let one = |text: &str, otherwise: u16| if text.is_empty() { Ok(otherwise) } else { value::seconds(text) };
        let read = || {
            let base = if both.is_empty() { self.settings.increments } else { value::increments(&both)? };
            let initial = one(&initial, base.initial)?;
            let subsequent = one(&subsequent, base.subsequent)?;
            if subsequent == 0 { Err(Odd::BadIncrements) } else { Ok(Increments { initial, subsequent }) }
        };
        let read = read();
        read.map_err(|odd| self.findings.add(record.line, odd, &[both, initial, subsequent].join(" "))).ok()
    }

    fn date(&mut self, columns: &Columns, record: Record<'_>, field: Field) -> Option<i64> {
        let text = self.text(columns, record, field);
        if text.is_empty() {
            return Some(0);
        }
        let place = self.dates.place(&text, record.line);
        if place.is_none() {
            self.findings.add(record.line, Odd::BadDate, &text);
        }
        place
    }

    /// Decides what the dates mean, and settles the rows.
    pub(crate) fn finish(mut self) -> (Rows, Findings) {
        if self.columns.is_none() {
            self.findings.add(0, Odd::NoHeader, "");
        } else if self.rows.is_empty() {
            self.findings.add(0, Odd::Empty, "");
        }
        let order = self.date_order();
        let zone = &self.settings.zone;
        let times: Vec<Option<i64>> =
            self.dates.written.iter().map(|(written, _)| written.seconds(order, zone)).collect();
        let time = |place: i64, none: i64| match usize::try_from(place).ok().and_then(|place| place.checked_sub(1)) {
            None => Some(none),
            Some(place) => times.get(place).copied().flatten(),
        };
        let mut rows = self.rows.finish();
        let mut usable = vec![true; rows.terms.len()];
        for (terms, usable) in rows.terms.iter_mut().zip(&mut usable) {
            let (effective, expiry) = (time(terms.effective, ALWAYS), time(terms.expiry, NEVER));
            // A date that is none in the deck's order has been reported; its rows are not used.
            *usable = effective.is_some() && expiry.is_some();
            (terms.effective, terms.expiry) = (effective.unwrap_or(NEVER), expiry.unwrap_or(NEVER));
            if *usable && terms.expiry <= terms.effective {
                let name = rows.destinations.get(terms.destination as usize).map_or("", String::as_str);
                self.findings.add(0, Odd::EmptyPeriod, name);
            }
        }
        rows.rows.retain(|row| usable.get(row.terms as usize).copied().unwrap_or(false));
        for code in rows.settle() {
            self.findings.add(0, Odd::Duplicate, &code.to_string());
        }
        (rows, self.findings)
    }

    /// The order of day and month in this deck, with a finding where it cannot be known.
    fn date_order(&mut self) -> DateOrder {
        let proof = |order| {
            self.dates.written.iter().find(|(written, _)| written.proves() == Some(order)).map(|(_, line)| *line)
        };
        let (day_first, month_first) = (proof(DateOrder::DayFirst), proof(DateOrder::MonthFirst));
        let ambiguous = self.dates.written.iter().find(|(written, _)| written.is_ambiguous()).map(|(_, line)| *line);
        let known = self.settings.dates;
        match (known.or(day_first.map(|_| DateOrder::DayFirst)), month_first) {
            (Some(DateOrder::DayFirst), Some(line)) => {
                self.findings.add(line, Odd::MixedDates, "");
                DateOrder::DayFirst
            }
            (Some(DateOrder::MonthFirst), _) => {
                if let Some(line) = day_first {
                    self.findings.add(line, Odd::MixedDates, "");
                }
                DateOrder::MonthFirst
            }
            (Some(order), None) => order,
            (None, Some(_)) => DateOrder::MonthFirst,
            (None, None) => {
                if let Some(line) = ambiguous {
                    self.findings.add(line, Odd::AmbiguousDate, "");
                }
                DateOrder::DayFirst
            }
        }
    }
}
