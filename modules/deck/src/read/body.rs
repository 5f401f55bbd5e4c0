//! From records to rows: finds the header, then reads each row by it.

use super::date::{self, DateOrder, Written};
use super::finding::{Findings, Odd};
use super::header::{Columns, Field, Headers};
use super::records::Record;
use super::{DECK_ROWS_MAX, HEADER_RECORDS_MAX, Settings, decode, value};
use crate::billing::Increments;
use crate::code::Code;
use crate::money::Decimal;
use crate::rows::{ALWAYS, Interned, NEVER, Price, Rows, Terms};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

const ZERO: Code = Code::of_zeros(1);
const DOUBLE_ZERO: Code = Code::of_zeros(2);

/// The rows of one deck, as they come.
pub(crate) struct Body {
    settings: Settings,
    columns: Option<Columns>,
    before_header: usize,
    /// INVARIANT: until [`Body::finish`] the two times of its terms are places in `dates`, plus 1; 0: none.
    rows: Interned,
    dates: Dates,
    findings: Findings,
    /// Findings that are told once.
    told: BTreeSet<Odd>,
    codes: Vec<Code>,
    headers: Headers,
    /// What a blank cell below a merged one stands for.
    above: Above,
}

/// What stands in rows above.
#[derive(Debug, Default)]
struct Above {
    country: String,
    destination: String,
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

/// Whether a row whose code is odd is none of the deck: a heading, a note, a sum.
fn is_no_row(columns: &Columns, record: Record<'_>, odd: Odd, code: &str) -> bool {
    const SUMS: [&str; 8] = ["total", "totals", "sum", "subtotal", "count", "average", "grand", "gesamt"];
    let words = match odd {
        Odd::NoCode => true,
        Odd::BadCode => code.starts_with(|first: char| first.is_alphabetic() || matches!(first, '*' | '#' | '(')),
        _ => false,
    };
    let place = columns.at(Field::Price).or(columns.at(Field::Inter));
    let price = place.map_or(Default::default(), |place| decode::text(record.field(place)).0);
    let priced = matches!(value::price(&price), Ok(value::Written::Number(_)));
    let first = first_text(record).to_lowercase();
    let sum = first.split(|c: char| !c.is_alphabetic()).find(|word| !word.is_empty());
    words && (!priced || sum.is_some_and(|word| SUMS.contains(&word)))
}

/// What a row says first.
fn first_text(record: Record<'_>) -> Cow<'_, str> {
    let first = record.fields().find(|field| !field.is_empty()).unwrap_or_default();
    decode::text(first).0
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
            told: BTreeSet::new(),
            codes: Vec::new(),
            headers: Headers::default(),
            above: Above::default(),
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
            let again = if named { Columns::named(record.fields()).filter(|again| again.count() > 1) } else { None };
            match &again {
                None => self.row(&columns, record),
                Some(again) if !again.has_price() => self.once(record.line, Odd::TableWithoutPrice, ""),
                Some(_) => {}
            }
            self.columns = again.or(Some(columns));
        } else if self.before_header < HEADER_RECORDS_MAX {
            self.before_header += 1;
            self.columns = self.headers.look(record);
        }
    }

    /// A finding that is told of its first row only.
    fn once(&mut self, line: u64, odd: Odd, value: &str) {
        if self.told.insert(odd) {
            self.findings.add(line, odd, value);
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
            let odd = if is_no_row(columns, record, odd, &field) { Odd::NoRow } else { odd };
            let field = if odd == Odd::NoRow { first_text(record) } else { field };
            self.findings.add(line, odd, &field);
            codes.clear();
        }
        if !columns.are_as_dialled() {
            codes.iter_mut().for_each(|code| self.without_prefix(line, code));
            codes.retain(|code| !code.is_empty());
        }
        if !columns.has_price() && !value::closes(&self.text(columns, record, Field::Status)) {
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

    /// No country code begins with 0: 00 is what is dialled before one.
    fn without_prefix(&mut self, line: u64, code: &mut Code) {
        if !ZERO.begins(*code) {
            return;
        }
        let shown = code.to_string();
        if DOUBLE_ZERO.begins(*code) {
            *code = code.without(DOUBLE_ZERO.len());
            self.once(line, Odd::InternationalPrefix, &shown);
        }
        if ZERO.begins(*code) {
            self.once(line, Odd::LeadingZero, &shown);
        }
    }

    fn add(&mut self, line: u64, codes: &[Code], price: Price, terms: Terms) {
        if self.rows.len() + codes.len() > DECK_ROWS_MAX {
            return self.once(line, Odd::TooManyRows, "");
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
        if !utf8 {
            self.once(record.line, Odd::NotUtf8, &text);
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
            self.above.country.clear();
            self.above.country.push_str(&country);
            return value::codes(&country, "", &mut each);
        }
        let country = match &*country {
            "" if !self.above.country.is_empty() => {
                self.once(record.line, Odd::CarriedDown, &area);
                self.above.country.clone()
            }
            _ => {
                self.above.country.clear();
                self.above.country.push_str(&country);
                country.into_owned()
            }
        };
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
        let mut flat = self.number(columns, record, Field::Price);
        // A new price is left blank where it stays as it is.
        if flat.is_none() && self.text(columns, record, Field::Price).is_empty() {
            flat = self.number(columns, record, Field::FormerPrice);
        }
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
        let mut destination = self.text(columns, record, Field::Destination);
        if destination.is_empty() {
            destination = self.text(columns, record, Field::Country);
        }
        let destination = if destination.is_empty() && self.told.contains(&Odd::CarriedDown) {
            self.rows.destination(&self.above.destination)
        } else {
            if columns.at(Field::AreaCode).is_some() {
                self.above.destination.clear();
                self.above.destination.push_str(&destination);
            }
            self.rows.destination(&destination)
        };
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
