//! One import of octets that may be anything: what the fuzz target runs, and what its corpus is replayed by.
//!
//! The text is cut at lines `=== NAME`: below each stands a file. `list`, `addresses`, `script` and `dump` are read as such,
//! any other name as a table of dbtext.

use crate::read::script::Script;
use crate::read::{address_file, dbtext, list, sql};
use crate::report::Report;
use crate::{Given, translate};
use jiff::tz::TimeZone;

/// Reads and translates; panics where a rule is broken.
pub fn import(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let (mut tables, mut script) = (Vec::new(), Script::default());
    for part in text.split("=== ").skip(1) {
        let (name, file) = part.split_once('\n').unwrap_or((part, ""));
        match name.trim() {
            "list" => tables.push(list::read(file, &mut Report::default())),
            "addresses" => tables.push(address_file::read(file)),
            "script" => script = Script::read(file),
            "dump" => tables.extend(sql::read(file, |_| true).unwrap_or_default()),
            table => tables.extend(dbtext::read(table, file)),
        }
    }
    let values: usize = tables.iter().flat_map(|table| &table.rows).flatten().flatten().map(String::len).sum();
    let rows: usize = tables.iter().map(|table| table.rows.len()).sum();
    // A line of a list gets a 0 for each of three numbers that it lacks.
    assert!(values <= text.len() + 3 * rows, "{values} octets of values in {rows} rows of {} octets", text.len());
    let made = translate(&Given {
        tables: &tables,
        script: &script,
        listen: &[],
        sources: &["any".to_owned()],
        algorithm: None,
        algorithms: &<_>::default(),
        compat: octets.first().is_some_and(|first| first % 2 == 0),
        domain: Some("example.com"),
        folder: "/imported",
        now: 1_700_000_000,
        zone: &TimeZone::UTC,
    });
    if let Ok(made) = made {
        assert!(made.toml.parse::<toml::Table>().is_ok(), "no TOML: {}", made.toml);
        let _ = made.report.text();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_corpus_is_replayed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/import");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= 3, "{files:?}");
        for file in files {
            let octets = std::fs::read(&file).unwrap();
            import(&octets);
            (0..octets.len()).step_by(7).for_each(|end| import(octets.get(..end).unwrap()));
        }
    }

    /// Rows of the right columns with values of every kind, so that translations get deep.
    fn row(columns: usize) -> impl Strategy<Value = String> {
        let value = prop::sample::select(vec![
            "",
            "0",
            "1",
            "2",
            "8",
            "-1",
            "49",
            "4930",
            "+49",
            "*31",
            "192.0.2.1",
            "sip\\:192.0.2.2\\:5060",
            "sips\\:x",
            "a.example",
            "1,2;3",
            "#1",
            "65536",
            "99999999999999999999",
            "x=y;weight=200",
            "2001\\:db8\\:\\:1",
            "\"",
            "ü",
            "sip\\:a@b;transport=tls",
            "2026-01-01 00\\:00\\:00",
            "|",
            "0.5",
            "NaN",
        ]);
        prop::collection::vec(value, columns).prop_map(|values| values.join(":"))
    }

    fn file() -> impl Strategy<Value = String> {
        let names: Vec<&str> = crate::table::known().collect();
        prop::sample::select(names).prop_flat_map(|name| {
            let columns = crate::table::Table::named(name).columns().len();
            let head: Vec<String> =
                crate::table::Table::named(name).columns().iter().map(|column| format!("{column}(string)")).collect();
            prop::collection::vec(row(columns), 0..8)
                .prop_map(move |rows| format!("=== {name}\n{}\n{}\n", head.join(" "), rows.join("\n")))
        })
    }

    proptest! {
        #[test]
        fn tables_of_anything_become_toml_or_a_word_why_not(files in prop::collection::vec(file(), 1..8), first in "[ab]") {
            import(format!("{first}{}", files.concat()).as_bytes());
        }

        #[test]
        fn octets_of_any_kind_do_no_harm(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            import(&[b"=== dump\n", octets.as_slice()].concat());
        }
    }
}
