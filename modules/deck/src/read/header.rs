//! Which column is which: the names that vendors give them.

use super::decode;
use super::names::{AS_DIALLED, CURRENCIES, FIELD_COUNT, MINUTES, NAMES, NOISE};
use super::records::Record;

pub(crate) use super::names::Field;

/// Where each field stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    places: [Option<u16>; FIELD_COUNT],
    /// Codes are digits as they are dialled.
    as_dialled: bool,
}

impl Columns {
    /// Reads a header; `None` when the row is none: it needs a code and a price.
    pub(crate) fn recognise<'f>(fields: impl Iterator<Item = &'f [u8]>) -> Option<Self> {
        Columns::named(fields).filter(Columns::has_price)
    }

    /// Reads a header of a table that may have no price; `None`: it names no code.
    pub(crate) fn named<'f>(fields: impl Iterator<Item = &'f [u8]>) -> Option<Self> {
        let mut columns = Columns::default();
        for (place, name) in (0_u16..).zip(fields) {
            let name = decode::text(name).0;
            if let Some(slot) = field_of(&name).and_then(|field| columns.places.get_mut(field as usize)) {
                slot.get_or_insert(place);
            }
            columns.as_dialled |= words(&name).concat() == AS_DIALLED;
        }
        columns.prefer_full_codes();
        for (wanted, instead) in [(Field::Price, Field::FormerPrice), (Field::Destination, Field::Country)] {
            if columns.at(wanted).is_none() {
                let place = columns.at(instead);
                columns.set(wanted, place);
                columns.set(instead, None);
            }
        }
        let has = |field| columns.at(field).is_some();
        let code =
            has(Field::Code) || has(Field::NpaNxx) || (has(Field::Npa) && has(Field::Nxx)) || has(Field::CountryCode);
        code.then_some(columns)
    }

    /// Whether rows have a price.
    pub(crate) fn has_price(&self) -> bool {
        let has = |field| self.at(field).is_some();
        has(Field::Price) || (has(Field::Inter) && has(Field::Intra))
    }

    /// Whether codes are digits as they are dialled, whatever they begin with.
    pub(crate) const fn are_as_dialled(&self) -> bool {
        self.as_dialled
    }

    /// A country code stands before area codes only; beside full codes, or alone, it says nothing more.
    fn prefer_full_codes(&mut self) {
        if self.at(Field::Code).is_none() && self.at(Field::AreaCode).is_some() && self.at(Field::CountryCode).is_none()
        {
            let area = self.at(Field::AreaCode);
            self.set(Field::Code, area);
            self.set(Field::AreaCode, None);
        }
        if self.at(Field::Code).is_some() {
            self.set(Field::AreaCode, None);
            self.set(Field::CountryCode, None);
        }
    }

    fn set(&mut self, field: Field, place: Option<usize>) {
        if let Some(slot) = self.places.get_mut(field as usize) {
            *slot = place.and_then(|place| u16::try_from(place).ok());
        }
    }

    /// The place of a field, when the deck has it.
    pub(crate) fn at(&self, field: Field) -> Option<usize> {
        self.places.get(field as usize).copied().flatten().map(usize::from)
    }

    /// How many fields were recognised.
    pub(crate) fn count(&self) -> usize {
        self.places.iter().flatten().count()
    }
}

/// Looks for the header, record by record.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    /// The record before: the upper half of names that stand over two rows.
    above: Vec<Vec<u8>>,
}

impl Headers {
    /// Whether a record is the header, or the lower half of one.
    pub(crate) fn look(&mut self, record: Record<'_>) -> Option<Columns> {
        let alone = Columns::recognise(record.fields());
        let known = alone.as_ref().map_or(0, Columns::count);
        // WHY more: below a title the names stand by themselves.
        let found = self.over_two_rows(record).filter(|both| both.count() > known).or(alone);
        self.above = record.fields().map(<[u8]>::to_vec).collect();
        found
    }

    fn over_two_rows(&self, record: Record<'_>) -> Option<Columns> {
        let joined = (0..self.above.len().max(record.fields().count())).map(|place| {
            let above = self.above.get(place).map_or(&[][..], Vec::as_slice);
            [above, b" ", record.field(place)].concat()
        });
        let joined: Vec<_> = joined.collect();
        Columns::recognise(joined.iter().map(Vec::as_slice))
    }
}

fn field_of(name: &str) -> Option<Field> {
    let words = words(name);
    let known = |name: &str| NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(field, _)| *field);
    let telling: String = words.iter().filter(|word| !NOISE.contains(&word.as_str())).cloned().collect();
    let is = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    // `€/min` has a currency that is no word.
    let money = is(&CURRENCIES) || name.contains(['$', '€', '£']);
    let price = telling.is_empty() && money && is(&MINUTES);
    known(&words.concat()).or_else(|| known(&telling)).or(price.then_some(Field::Price))
}

/// The words of a name in lower case, without accents.
fn words(name: &str) -> Vec<String> {
    let plain = name.trim().to_lowercase().replace('ü', "ue").replace('ä', "ae").replace('ö', "oe");
    let plain = plain.replace(['ó', 'ò'], "o").replace(['é', 'è', 'ê'], "e").replace('í', "i").replace(['á', 'à'], "a");
    let plain = plain.replace('ú', "u").replace('ñ', "n").replace('ç', "c");
    plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn columns(header: &str) -> Option<Columns> {
        Columns::recognise(header.split(['|', ';']).map(str::as_bytes))
    }

    #[test]
    fn headers_of_many_habits() {
        for (header, field, place) in [
            ("Dial Code|Destination|Rate (USD/min)", Field::Price, 2),
            ("PREFIX|NAME|PRICE", Field::Code, 0),
            ("Country|Country Code|Area Codes|New Rate, $ per minute|Effective Date (dd/mm/yyyy)", Field::AreaCode, 2),
            ("Country|Country Code|Area Codes|New Rate, $ per minute|Effective Date (dd/mm/yyyy)", Field::Effective, 4),
            ("NPA|NXX|Interstate Rate|Intrastate Rate|Indeterminate", Field::Indeterminate, 4),
            ("npanxx|inter|intra|ij|effective_date", Field::NpaNxx, 0),
            ("Codes|Rate|Min. Time|Increment|Setup Fee", Field::Initial, 2),
            ("Vorwahl|Ziel|Preis|Gültig ab", Field::Effective, 3),
            ("Land;Zielname;Vorwahl;Preis pro Minute (EUR);Gültig ab;Abrechnung", Field::Increments, 5),
            ("Código|Destino|Tarifa (USD por minuto)|Fecha inicio", Field::Effective, 3),
            ("Code|Dest|USD/min", Field::Price, 2),
            ("Code|Dest|€/min", Field::Price, 2),
            ("Code|Current Rate|New Rate", Field::Price, 2),
            ("Code|Current Rate|New Rate", Field::FormerPrice, 1),
            ("Code|Current Rate", Field::Price, 1),
            ("Country|Destination|Code|Rate", Field::Destination, 1),
            ("Country|Code|Rate", Field::Destination, 0),
            ("Origin Group|Destination Code|Price", Field::Origin, 0),
            ("code|rate|billing increments|valid until|status", Field::Expiry, 3),
        ] {
            assert_eq!(columns(header).and_then(|columns| columns.at(field)), Some(place), "{header}: {field:?}");
        }
    }

    #[test]
    fn a_title_or_a_data_row_is_no_header() {
        for row in ["Acme Telecom price list", "44|UK|0.01", "", "Rate|Destination", "Code|Name"] {
            assert_eq!(columns(row), None, "{row}");
        }
    }

    #[test]
    fn a_country_code_beside_full_codes_is_ignored() {
        let columns = columns("Country Code|Dial Code|Rate").unwrap();
        assert_eq!((columns.at(Field::CountryCode), columns.at(Field::Code)), (None, Some(1)));
    }
}
