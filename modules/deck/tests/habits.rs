//! Decks in the habits of many wholesalers (`tests/decks`): delimiters, encodings, titles, totals, header names of several
//! languages, ranges and lists, dates, decimal commas, words that close. Each is read, and every row held against what is
//! meant.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use deck::billing::Increments;
use deck::read::{DateOrder, DeckReader, Read, Settings};
use deck::rows::Price;
use jiff::tz::TimeZone;
use std::path::Path;

fn read(file: &str, currency: &str, dates: Option<DateOrder>) -> Read {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decks").join(file);
    let (zone, increments) = (TimeZone::UTC, Increments::SECOND);
    let mut reader = DeckReader::new(Settings { zone, dates, increments, currency: currency.into() });
    reader.push(&std::fs::read(path).unwrap());
    reader.finish()
}

/// `code destination price from increments`, a row a line, and the labels of findings.
fn told(read: &Read) -> (Vec<String>, Vec<&'static str>) {
    let rows = &read.rows;
    let row = |row: &deck::rows::Row| {
        let terms = rows.terms_of(row).unwrap();
        let price = match rows.price_of(row).unwrap() {
            Price::Closed => "closed".to_owned(),
            Price::Flat(price) => price.to_string(),
            Price::ByJurisdiction { inter, intra, indeterminate, local } => {
                format!("{inter}/{intra}/{indeterminate}/{local}")
            }
        };
        let from = jiff::Timestamp::from_second(terms.effective).map_or("-".into(), |time| {
            let text = time.to_string();
            text.strip_suffix("T00:00:00Z").map_or(text.clone(), str::to_owned)
        });
        let steps = format!("{}/{}", terms.increments.initial, terms.increments.subsequent);
        format!("{} {} {price} {from} {steps}", row.code, rows.destination_of(row))
    };
    let odd = read.findings.kept.iter().map(|finding| finding.odd.label());
    (rows.rows.iter().map(row).collect(), odd.collect())
}

fn check(file: &str, currency: &str, rows: &[&str], odd: &[&str]) {
    let (found, findings) = told(&read(file, currency, None));
    assert_eq!(found, rows, "{file}");
    assert_eq!(findings, odd, "{file}");
}

#[test]
fn a_german_price_list_in_latin_1_with_title_rows() {
    check(
        "euro-latin1.csv",
        "EUR",
        &[
            "22505 Côte d'Ivoire Mobile 0.25 2026-12-15 60/1",
            "43 Österreich 0.009 2026-12-15 60/60",
            "49 Deutschland Festnetz 0.0045 2026-12-01 1/1",
            "49151 Deutschland Mobil 0.021 2026-12-01 1/1",
            "49160 Deutschland Mobil 0.021 2026-12-01 1/1",
            "49170 Deutschland Mobil 0.021 2026-12-01 1/1",
        ],
        &["not-utf8"],
    );
}

#[test]
fn tabs_dollar_signs_and_dates_with_the_month_first() {
    check(
        "tabs.txt",
        "USD",
        &[
            "44 UNITED KINGDOM 0.004 2026-12-01 1/1",
            "449 UNITED KINGDOM - PREMIUM closed 2026-12-01 1/1",
            "93 AFGHANISTAN 0.21 2026-12-01 60/60",
            "9370 AFGHANISTAN - MOBILE AWCC 0.235 2026-12-01 60/60",
            "9372 AFGHANISTAN - MOBILE ROSHAN 0.225 2026-12-13 60/60",
            "9379 AFGHANISTAN - MOBILE ROSHAN 0.225 2026-12-13 60/60",
        ],
        &[],
    );
}

#[test]
fn a_byte_order_mark_ranges_beside_a_country_code_and_trailing_rows() {
    let (rows, odd) = told(&read("bom-ranges.csv", "USD", None));
    assert_eq!((rows.len(), odd), (26, vec!["no-row", "no-row"]));
    for row in ["7495 Russia", "781 Russia", "7968 Russia", "447705 United Kingdom", "447710 United Kingdom"] {
        assert!(rows.iter().any(|found| found.starts_with(&format!("{row} "))), "{row}: {rows:#?}");
    }
}

#[test]
fn codes_as_they_are_dialled_abroad() {
    check(
        "double-zero.csv",
        "EUR",
        &[
            "1 USA 0.003 2026-12-01 1/1",
            "44 UK 0.004 2026-12-01 1/1",
            "447 UK Mobile 0.01 2026-12-01 1/1",
            "49 Germany 0.005 2026-12-01 1/1",
        ],
        &["international-prefix"],
    );
}

#[test]
fn north_american_decks() {
    check(
        "npanxx.csv",
        "USD",
        &[
            "1201200  0.0009/0.0015/0.0015/0.0015 2026-12-01 1/1",
            "1201202  0.00085/0.0012/0.0012/0.0012 2026-12-01 1/1",
            "12125551  0.0009/0.0015/0.0015/0.0015 2026-12-01 1/1",
            "1907200  0.012/0.032/0.032/0.032 2026-12-01 1/1",
        ],
        &[],
    );
    let (rows, odd) = told(&read("npa-nxx-split.csv", "USD", None));
    assert_eq!((rows[0].as_str(), rows.len(), odd.len()), ("1201200  0.0009/0.0015/0.0015/0.0015 - 6/6", 3, 0));
    let (rows, odd) = told(&read("us-lcr.csv", "USD", None));
    assert_eq!(rows[0], "1201200 US NJ 0.0009/0.0015/0.0015/0.0009 2026-11-30 6/6");
    assert_eq!((rows.len(), odd.len()), (3, 0));
}

#[test]
fn the_new_price_counts_where_the_current_one_stands_beside_it() {
    check(
        "old-new.csv",
        "USD",
        &[
            "33 France Fixed 0.0045 2026-12-01 1/1",
            "33603 France Mobile SFR closed 2026-12-01 1/1",
            "33607 France Mobile Orange 0.025 2026-12-08 1/1",
        ],
        &[],
    );
}

#[test]
fn dates_that_prove_their_order_and_dates_as_spreadsheets_count_them() {
    let (rows, odd) = told(&read("dates.csv", "USD", None));
    assert_eq!(rows[2], "39 Italy 0.008 2026-12-01 60/1", "{rows:?}");
    assert_eq!((rows[1].as_str(), odd.len()), ("346 Spain Mobile 0.015 2026-12-05 1/1", 0));
    check(
        "serials.csv",
        "USD",
        &[
            "254 Kenya 0.12 2026-12-01 60/1",
            "2547 Kenya Mobile 0.145 2026-12-01T12:00:00Z 60/1",
            "256 Uganda 0.21 2026-12-01 60/1",
        ],
        &[],
    );
}

#[test]
fn lists_over_lines_headers_over_two_rows_and_cells_that_were_merged() {
    let (rows, odd) = told(&read("multiline.csv", "EUR", None));
    assert_eq!((rows.len(), odd.len()), (9, 0));
    assert_eq!(
        (rows[0].as_str(), rows[2].as_str()),
        ("53 Cuba closed 2026-12-01 60/60", "5521 Brazil, Mobile 0.045 2026-12-01 60/6")
    );
    let (rows, odd) = told(&read("two-line-header.csv", "EUR", None));
    assert_eq!((rows.len(), odd), (6, vec!["not-utf8"]), "{rows:?}");
    assert_eq!(rows[1], "30210 Greece Athens 0.007 2026-12-01 1/1");
    let (rows, odd) = told(&read("carry-down.csv", "EUR", None));
    assert_eq!((rows.len(), odd), (10, vec!["carried-down"]));
    assert!(rows.contains(&"4873 Poland Mobile 0.02 2026-12-01 1/1".to_owned()), "{rows:#?}");
}

#[test]
fn origins_words_for_closed_and_what_a_spreadsheet_spoils() {
    let origins = read("origin.csv", "USD", None);
    assert_eq!((origins.rows.rows.len(), origins.findings.errors), (3, 0));
    check(
        "na.csv",
        "USD",
        &[
            "1340 US Virgin Islands 0.008 2026-12-01 1/1",
            "1671 Guam 0.02 2026-12-01 1/1",
            "1787 Puerto Rico closed 2026-12-01 1/1",
            "1939 Puerto Rico closed 2026-12-01 1/1",
        ],
        &["duplicate"],
    );
    check(
        "sep-excel.csv",
        "USD",
        &["1876 Jamaica 0.12 2026-12-01 60/60", "1876300 Jamaica Mobile 0.185 2026-12-01 60/60"],
        &["spreadsheet-code"],
    );
    check("no-header.csv", "USD", &[], &["no-header"]);
    check("utf16.txt", "USD", &["51 Perú 0.005 2026-12-01 1/1", "519 Perú Móvil 0.015 2026-12-01 1/1"], &[]);
}
