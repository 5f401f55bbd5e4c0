//! Which column is which: the names that vendors give them.

/// A column that means something to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Code,
    CountryCode,
    AreaCode,
    NpaNxx,
    Npa,
    Nxx,
    Destination,
    Price,
    Inter,
    Intra,
    Indeterminate,
    Local,
    Fee,
    Increments,
    Initial,
    Subsequent,
    Effective,
    Expiry,
    Status,
    Origin,
    Currency,
}

const FIELD_COUNT: usize = 21;

/// Names, without case, punctuation and the words of [`NOISE`]. The first column that bears one is it.
const NAMES: &[(Field, &[&str])] = &[
    (
        Field::Code,
        &[
            "code",
            "codes",
            "prefix",
            "prefixes",
            "dialcode",
            "dialcodes",
            "dialedcode",
            "dialledcode",
            "dialingcode",
            "diallingcode",
            "dialprefix",
            "destcode",
            "destinationcode",
            "destinationcodes",
            "destinationprefix",
            "destprefix",
            "digits",
            "dialeddigits",
            "dialleddigits",
            "breakout",
            "breakouts",
            "numberprefix",
            "number",
            "numbers",
            "routingprefix",
            "ratecode",
            "cc",
            "e164",
            "vorwahl",
            "codigo",
            "prefijo",
            "indicatif",
            "prefisso",
        ],
    ),
    (Field::CountryCode, &["countrycode", "ccode", "countrydialcode", "countryprefix", "countrydialingcode"]),
    (
        Field::AreaCode,
        &["areacode", "areacodes", "citycode", "citycodes", "regioncode", "regioncodes", "subcode", "subcodes", "area"],
    ),
    (Field::NpaNxx, &["npanxx", "npanxxx", "npanxxy", "npanxxblock", "lrn", "lrnprefix"]),
    (Field::Npa, &["npa"]),
    (Field::Nxx, &["nxx"]),
    (
        Field::Destination,
        &[
            "destination",
            "destinationname",
            "destname",
            "dest",
            "description",
            "country",
            "countryname",
            "name",
            "areaname",
            "location",
            "zone",
            "zonename",
            "region",
            "breakoutname",
            "carrierdestination",
            "terminator",
            "ziel",
            "destino",
            "ratename",
            "termination",
            "countryregion",
            "countrydestination",
            "destinationcountry",
            "countrybreakout",
            "routename",
        ],
    ),
    (
        Field::Price,
        &[
            "price",
            "rate",
            "newrate",
            "newprice",
            "currentrate",
            "currentprice",
            "cost",
            "charge",
            "tariff",
            "callrate",
            "callprice",
            "voicerate",
            "ratevalue",
            "rateperm",
            "unitprice",
            "unitrate",
            "sellrate",
            "buyrate",
            "sellprice",
            "buyprice",
            "pricepeak",
            "ratepeak",
            "peak",
            "peakrate",
            "peakprice",
            "flatrate",
            "preis",
            "tarif",
            "precio",
            "prix",
            "prezzo",
            "tarifa",
        ],
    ),
    (
        Field::Inter,
        &[
            "inter",
            "interstate",
            "interrate",
            "interstaterate",
            "interprice",
            "interstateprice",
            "rateinter",
            "priceinter",
            "rateinterstate",
        ],
    ),
    (
        Field::Intra,
        &[
            "intra",
            "intrastate",
            "intrarate",
            "intrastaterate",
            "intraprice",
            "intrastateprice",
            "rateintra",
            "priceintra",
            "rateintrastate",
        ],
    ),
    (
        Field::Indeterminate,
        &[
            "indeterminate",
            "indeterminaterate",
            "indeterminateprice",
            "indet",
            "indetrate",
            "ij",
            "ijrate",
            "indjur",
            "indeterminatejurisdiction",
            "unknown",
            "unknownrate",
            "undetermined",
            "rateindeterminate",
            "indterm",
        ],
    ),
    (Field::Local, &["local", "localrate", "localprice", "ratelocal", "pricelocal"]),
    (
        Field::Fee,
        &[
            "fee",
            "connectionfee",
            "connectfee",
            "connectioncharge",
            "connectcharge",
            "connectioncost",
            "setupfee",
            "setup",
            "setupcharge",
            "setuprate",
            "callsetup",
            "callsetupfee",
            "connection",
            "surcharge",
            "connectionprice",
            "flagfall",
        ],
    ),
    (
        Field::Increments,
        &[
            "increments",
            "increment",
            "billingincrement",
            "billingincrements",
            "billing",
            "billingterms",
            "billinginterval",
            "billingincrementseconds",
            "chargingincrement",
            "interval",
            "intervals",
            "billingcycle",
            "rounding",
            "roundingrule",
            "pulse",
            "billinginc",
        ],
    ),
    (
        Field::Initial,
        &[
            "initial",
            "initialincrement",
            "initialinterval",
            "initialperiod",
            "firstincrement",
            "firstinterval",
            "first",
            "interval1",
            "minimum",
            "minimumduration",
            "minimumtime",
            "mintime",
            "minduration",
            "minimumincrement",
            "minincrement",
            "minbilling",
            "minimumcharge",
            "initialduration",
            "min1",
            "increment1",
            "initialinc",
        ],
    ),
    (
        Field::Subsequent,
        &[
            "subsequent",
            "subsequentincrement",
            "subsequentinterval",
            "subsequentperiod",
            "nextincrement",
            "nextinterval",
            "next",
            "intervaln",
            "interval2",
            "additionalincrement",
            "additionalinterval",
            "additional",
            "nextperiod",
            "increment2",
            "incrementn",
            "subinc",
            "subsequentinc",
            "step",
        ],
    ),
    (
        Field::Effective,
        &[
            "effective",
            "effectivedate",
            "effectivefrom",
            "effectivetime",
            "effectivedatetime",
            "effdate",
            "effectdate",
            "validfrom",
            "startdate",
            "starttime",
            "start",
            "from",
            "fromdate",
            "begindate",
            "begin",
            "activationdate",
            "dateeffective",
            "dateeff",
            "dateofeffect",
            "newratedate",
            "applicablefrom",
            "activefrom",
            "gueltigab",
            "ab",
            "desde",
            "effectivestart",
            "effectivestartdate",
            "date",
            "effectiveon",
        ],
    ),
    (
        Field::Expiry,
        &[
            "expiry",
            "expirydate",
            "expires",
            "expire",
            "expiration",
            "expirationdate",
            "enddate",
            "endtime",
            "end",
            "validto",
            "validuntil",
            "validtill",
            "until",
            "till",
            "todate",
            "to",
            "dateend",
            "effectiveto",
            "effectiveuntil",
            "activeto",
            "expireson",
            "effectiveend",
            "effectiveenddate",
            "gueltigbis",
            "bis",
            "hasta",
            "terminationdate",
        ],
    ),
    (
        Field::Status,
        &[
            "status",
            "action",
            "change",
            "changes",
            "ratechange",
            "changetype",
            "ratestatus",
            "routestatus",
            "state",
            "blocked",
            "codestatus",
            "movement",
            "changestatus",
        ],
    ),
    (
        Field::Origin,
        &[
            "origin",
            "origingroup",
            "originname",
            "origingroupname",
            "origination",
            "originationgroup",
            "originationname",
            "originset",
            "aset",
            "anumbergroup",
            "origincode",
            "originzone",
            "callerorigin",
            "cligroup",
            "obr",
            "obrgroup",
            "originbasedgroup",
        ],
    ),
    (Field::Currency, &["currency", "curr", "ccy", "waehrung", "moneda", "devise"]),
];

/// Words that say in what a price is, or nothing.
const NOISE: &[&str] = &[
    "usd", "eur", "gbp", "chf", "per", "minute", "minutes", "min", "mins", "in", "the", "of", "us", "dollar",
    "dollars", "euro", "euros", "cur", "sec", "secs", "seconds", "s", "utc", "gmt", "yyyy", "mm", "dd", "hh", "ss",
    "and", "a", "z",
];

/// Where each field stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    places: [Option<u16>; FIELD_COUNT],
}

impl Columns {
    /// Reads a header; `None` when the row is none: it needs a code and a price.
    pub(crate) fn recognise<'f>(fields: impl Iterator<Item = &'f [u8]>) -> Option<Self> {
        let mut columns = Columns::default();
        for (place, name) in (0_u16..).zip(fields) {
            if let Some(slot) =
                field_of(&String::from_utf8_lossy(name)).and_then(|field| columns.places.get_mut(field as usize))
            {
                slot.get_or_insert(place);
            }
        }
        columns.prefer_full_codes();
        let has = |field| columns.at(field).is_some();
        let code =
            has(Field::Code) || has(Field::NpaNxx) || (has(Field::Npa) && has(Field::Nxx)) || has(Field::CountryCode);
        (code && (has(Field::Price) || (has(Field::Inter) && has(Field::Intra)))).then_some(columns)
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

fn field_of(name: &str) -> Option<Field> {
    let name = name.trim().to_lowercase().replace('ü', "ue").replace(['ó', 'ò'], "o").replace('ä', "ae");
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let known = |name: &str| NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(field, _)| *field);
    let telling: String = words.iter().filter(|word| !NOISE.contains(word)).copied().collect();
    known(&words.concat()).or_else(|| known(&telling))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn columns(header: &str) -> Option<Columns> {
        Columns::recognise(header.split('|').map(str::as_bytes))
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
