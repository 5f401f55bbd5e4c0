//! Whole decks in, rows and findings out.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::rows::Price;
use proptest::prelude::*;

fn settings() -> Settings {
    Settings { zone: TimeZone::UTC, dates: None, increments: Increments::SECOND, currency: "USD".into() }
}

fn read_in(octets: &[u8], step: usize, settings: Settings) -> Read {
    let mut reader = DeckReader::new(settings);
    octets.chunks(step.max(1)).for_each(|chunk| reader.push(chunk));
    reader.finish()
}

fn read(text: &str) -> Read {
    read_in(text.as_bytes(), 1 << 20, settings())
}

/// `code price from until`, a row a line.
fn shown(read: &Read) -> Vec<String> {
    let time =
        |seconds: i64| jiff::Timestamp::from_second(seconds).map_or("-".into(), |time| time.strftime("%F").to_string());
    let rows = &read.rows;
    let row = |row: &crate::rows::Row| {
        let terms = rows.terms_of(row).unwrap();
        let price = match rows.price_of(row).unwrap() {
            Price::Closed => "closed".to_owned(),
            Price::Flat(price) => price.to_string(),
            Price::ByJurisdiction { inter, intra, indeterminate, local } => {
                format!("{inter}/{intra}/{indeterminate}/{local}")
            }
        };
        let (from, until) = (time(terms.effective), time(terms.expiry));
        format!("{} {price} {from} {until} {}/{}", row.code, terms.increments.initial, terms.increments.subsequent)
    };
    rows.rows.iter().map(row).collect()
}

fn odd(read: &Read) -> Vec<(u64, &'static str)> {
    read.findings.kept.iter().map(|finding| (finding.line, finding.odd.label())).collect()
}

#[test]
fn a_plain_deck() {
    let found =
        read("Code,Destination,Rate,Effective Date,Increments\n44,UK,0.01,2026-01-31,60/60\n447,UK Mobile,,,\n");
    assert_eq!(shown(&found), ["44 0.01 2026-01-31 - 60/60", "447 closed - - 1/1"]);
    assert_eq!((odd(&found), found.delimiter), (vec![], b','));
    assert_eq!(found.rows.destination_of(&found.rows.rows[1]), "UK Mobile");
}

#[test]
fn a_deck_with_a_title_semicolons_and_decimal_commas() {
    let found = read(
        "Acme Ltd; price list\n\nPrefix;Ziel;Preis EUR/min;Gültig ab\n+44 20;London;0,0123;31.12.2026\n4470-4471;\"Mobile; UK\";blocked;01.02.2026\n",
    );
    assert_eq!(
        shown(&found),
        ["4420 0.0123 2026-12-31 - 1/1", "4470 closed 2026-02-01 - 1/1", "4471 closed 2026-02-01 - 1/1"]
    );
    assert_eq!((odd(&found), found.delimiter), (vec![], b';'));
}

#[test]
fn the_same_deck_in_every_encoding_and_cut_anywhere() {
    let text = "Prefix\tName\tPrice\r\n221\tSénégal\t0.31\r\n";
    let utf16 = |big: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let marked = |mark: &[u8], octets: Vec<u8>| [mark.to_vec(), octets].concat();
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let files = [
        text.as_bytes().to_vec(),
        marked(b"\xEF\xBB\xBF", text.as_bytes().to_vec()),
        utf16(false),
        utf16(true),
        marked(b"\xFF\xFE", utf16(false)),
        marked(b"\xFE\xFF", utf16(true)),
        latin,
    ];
    for file in &files {
        for step in 1..file.len() {
            let found = read_in(file, step, settings());
            assert_eq!(shown(&found), ["221 0.31 - - 1/1"], "{file:?}");
            assert_eq!(found.rows.destinations[1], "Sénégal");
        }
    }
}

#[test]
fn area_codes_stand_behind_their_country_code() {
    let found = read("Country,Country Code,Area Code,Price\nUK,44,\"20, 70-71\",0.01\nFrance,33,,0.02\n");
    assert_eq!(shown(&found).join("|"), "33 0.02 - - 1/1|4420 0.01 - - 1/1|4470 0.01 - - 1/1|4471 0.01 - - 1/1");
}

#[test]
fn a_north_american_deck() {
    let found =
        read("npanxx,inter,intra,ij,local\n201555,0.001,0.002,,\n1201556,0.001,0.002,0.003,0.0005\n201557,,,,\n");
    assert_eq!(
        shown(&found),
        [
            "1201555 0.001/0.002/0.002/0.002 - - 1/1",
            "1201556 0.001/0.002/0.003/0.0005 - - 1/1",
            "1201557 closed - - 1/1",
        ]
    );
    assert_eq!(shown(&read("NPA,NXX,Rate\n201,555,0.01\n")), ["1201555 0.01 - - 1/1"]);
}

#[test]
fn every_odd_row_is_named_and_the_others_stand() {
    let found = read(
        "code,price,effective,increments,currency,fee\n44x,0.01,,,,\n45,n/a,,,,\n46,-1,,,,\n47,0.01,soon,,,\n48,0.01,,0/0,,\n\
         49,0.01,,,EUR,\n4.9E+11,1,,,,\n51,0.01,,,usd,x\n52,0.01,,,USD,0.5\n,1,,,,\n52,0.02,,,,\n53,1,2026-13-01,,,\n",
    );
    assert_eq!(
        odd(&found),
        [
            (2, "bad-code"),
            (3, "bad-price"),
            (4, "negative-price"),
            (5, "bad-date"),
            (6, "bad-increments"),
            (7, "other-currency"),
            (8, "spreadsheet-code"),
            (9, "bad-fee"),
            (11, "no-code"),
            (13, "bad-date"),
            (0, "duplicate"),
        ]
    );
    assert_eq!(shown(&found), ["45 closed - - 1/1", "46 closed - - 1/1", "52 0.02 - - 1/1"]);
    assert_eq!((found.findings.errors, found.findings.warnings), (10, 1));
}

#[test]
fn the_order_of_dates_is_that_of_the_whole_deck() {
    let deck = |dates: [&str; 2]| read(&format!("code,price,effective\n44,1,{}\n45,1,{}\n", dates[0], dates[1]));
    assert_eq!(shown(&deck(["02/03/2026", "13/03/2026"]))[0], "44 1 2026-03-02 - 1/1");
    assert_eq!(shown(&deck(["02/03/2026", "03/13/2026"]))[0], "44 1 2026-02-03 - 1/1");
    assert_eq!(odd(&deck(["02/03/2026", "02/03/2026"])), [(2, "ambiguous-date")]);
    assert_eq!(odd(&deck(["13/03/2026", "03/13/2026"])), [(3, "mixed-dates")]);
    let told = Settings { dates: Some(DateOrder::MonthFirst), ..settings() };
    let found = read_in(b"code,price,effective\n44,1,02/03/2026\n", 7, told);
    assert_eq!((odd(&found), shown(&found)), (vec![], vec!["44 1 2026-02-03 - 1/1".to_owned()]));
}

#[test]
fn what_is_no_deck_is_said() {
    assert_eq!(odd(&read("")), [(0, "no-header")]);
    assert_eq!(odd(&read("code,price\n")), [(0, "empty")]);
    assert_eq!(odd(&read("<html><body>Not found</body></html>")), [(0, "no-header")]);
}

#[test]
fn an_update_touches_only_what_it_names() {
    let mut base = read("code,price,effective\n44,1,2026-01-01\n45,2,2026-01-01\n").rows;
    base.update(&read("code,price,effective\n44,3,2026-01-01\n44,,2026-06-01\n46,4,2026-03-01\n").rows);
    let found = Read { rows: base, ..Read::default() };
    assert_eq!(
        shown(&found),
        ["44 closed 2026-06-01 - 1/1", "44 3 2026-01-01 - 1/1", "45 2 2026-01-01 - 1/1", "46 4 2026-03-01 - 1/1",]
    );
}

#[test]
fn rows_of_a_sheet_are_read_as_records_are() {
    let mut reader = DeckReader::new(settings());
    reader.row(1, &["Code".into(), "Price".into()]);
    reader.row(2, &["44".into(), "0.5".into()]);
    reader.row(9, &["x".into(), "0.5".into()]);
    let found = reader.finish();
    assert_eq!((shown(&found), odd(&found)), (vec!["44 0.5 - - 1/1".to_owned()], vec![(9, "bad-code")]));
}

proptest! {
    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..2000), step in 1_usize..500) {
        let _ = read_in(&octets, step, settings());
    }

    #[test]
    fn no_deck_panics_and_cuts_make_no_difference(
        rows in "(([0-9+;\"–-]{0,8}|4470-447[0-9])[,;\t]([0-9.,eE-]{0,8}|closed)[,;\t]([0-9/.: -]{0,12}|31/12/2026)\r?\n){0,30}",
        delimiter in "[,;\t]", step in 1_usize..40,
    ) {
        let text = format!("code{delimiter}price{delimiter}date{delimiter}expiry\n{rows}");
        let cut = read_in(text.as_bytes(), step, settings());
        let whole = read(&text);
        prop_assert_eq!(&cut.rows, &whole.rows);
        prop_assert_eq!(&cut.findings.kept, &whole.findings.kept);
    }
}
