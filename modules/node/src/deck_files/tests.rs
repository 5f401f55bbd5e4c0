//! Files in every form that they come in, and images that are replaced while they are in use.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::image_file::{open_image, write_image};
use super::source::DeckFile;
use super::*;
use deck::compile::{DeckSource, compile};
use deck::nanp::StateTable;
use deck::rows::Price;
use std::io::Write;

/// A workbook as a spreadsheet writes it: numbers as binary fractions, dates as serials, shared nothing.
fn workbook(path: &Path, sheet: &str) {
    let parts = [
        ("[Content_Types].xml", "<?xml version=\"1.0\"?><Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>".to_owned()),
        ("xl/workbook.xml", "<?xml version=\"1.0\"?><workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"Rates\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>".to_owned()),
        ("xl/_rels/workbook.xml.rels", "<?xml version=\"1.0\"?><Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>".to_owned()),
        ("xl/worksheets/sheet1.xml", format!("<?xml version=\"1.0\"?><worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{sheet}</sheetData></worksheet>")),
    ];
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, text) in parts {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
}

fn cell(place: &str, text: &str) -> String {
    match text.parse::<f64>() {
        Ok(_) => format!("<c r=\"{place}\"><v>{text}</v></c>"),
        Err(_) => format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>"),
    }
}

fn shown(rows: &deck::rows::Rows) -> Vec<String> {
    let price = |row| match rows.price_of(row) {
        Some(Price::Flat(price)) => price.to_string(),
        other => format!("{other:?}"),
    };
    rows.rows
        .iter()
        .map(|row| format!("{} {} {}", row.code, price(row), rows.terms_of(row).unwrap().effective))
        .collect()
}

#[test]
fn a_workbook_is_a_deck() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deck.xlsx");
    let row = |number: u32, cells: [&str; 3]| {
        let cells: String =
            ["A", "B", "C"].iter().zip(cells).map(|(column, text)| cell(&format!("{column}{number}"), text)).collect();
        format!("<row r=\"{number}\">{cells}</row>")
    };
    let far = "<row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row>";
    workbook(
        &path,
        &[
            row(2, ["Dial Code", "Rate", "Effective Date"]),
            row(3, ["4420", "0.0123", "46053"]),
            row(4, ["447x", "1", "46053"]),
            far.into(),
        ]
        .concat(),
    );
    let loaded = DeckFile::of(&path).load(None, &mut |_| ()).unwrap();
    assert_eq!(shown(&loaded.source.rows), ["4420 0.0123 1769817600"]);
    let lines: Vec<_> = loaded.findings[0].1.kept.iter().map(|finding| (finding.line, finding.odd.label())).collect();
    assert_eq!(lines, [(4, "bad-code")]);
}

#[test]
fn no_damaged_workbook_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deck.xlsx");
    workbook(&path, &format!("<row r=\"1\">{}{}</row>", cell("A1", "code"), cell("B1", "price")));
    let whole = std::fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let mut octets = whole.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(4..octets.len());
            octets[at] = random.u8(..);
        }
        octets.truncate(random.usize(4..=octets.len()));
        std::fs::write(&path, &octets).unwrap();
        let _ = DeckFile::of(&path).load(None, &mut |_| ());
    }
}

#[test]
fn updates_are_applied_in_their_order_and_to_the_deck_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let base = write("base.csv", "code,price\n44,1\n45,1\n");
    let updates = vec![write("one.csv", "code,price\n44,2\n"), write("two.csv", "code,price\n44,3\n46,4\n")];
    let prices =
        |rows: &_| shown(rows).into_iter().map(|row| row.rsplit_once(' ').unwrap().0.to_owned()).collect::<Vec<_>>();
    let full = DeckFile { updates: updates.clone(), ..DeckFile::of(&base) }.load(None, &mut |_| ()).unwrap();
    assert_eq!(prices(&full.source.rows), ["44 3", "45 1", "46 4"]);
    let in_force = full.source.rows;
    let update =
        DeckFile { full: false, ..DeckFile::of(&updates[0]) }.load(Some(in_force.clone()), &mut |_| ()).unwrap();
    assert_eq!(prices(&update.source.rows), ["44 2", "45 1", "46 4"]);
    let replaced = DeckFile::of(&updates[0]).load(Some(in_force), &mut |_| ()).unwrap();
    assert_eq!(prices(&replaced.source.rows), ["44 2"]);
}

#[test]
fn an_image_is_replaced_under_those_who_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decks.image");
    let deck = folder.path().join("a.csv");
    let build = |text: &str| -> DeckSource {
        std::fs::write(&deck, text).unwrap();
        DeckFile::of(&deck).load(None, &mut |_| ()).unwrap().source
    };
    let octets = |text| compile(&[build(text)], &StateTable::default(), &mut |_| ()).unwrap();
    write_image(&path, &octets("code,price\n44,1\n")).unwrap();
    let old = open_image(&path).unwrap();
    write_image(&path, &octets("code,price\n44,2\n")).unwrap();
    let new = open_image(&path).unwrap();
    assert_eq!((shown(&old.rows(0))[0].get(..4), shown(&new.rows(0))[0].get(..4)), (Some("44 1"), Some("44 2")));
    assert_ne!(old.hash(), new.hash());
    std::fs::write(&path, b"TANDECK\n").unwrap();
    assert!(open_image(&path).unwrap_err().to_string().contains("build it again"));
}

#[test]
fn origins_and_states_are_read_or_the_row_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("Group,Prefix\nEEA,49\nEEA,\"33\"\n");
    assert_eq!(
        read_origins(&path).unwrap().iter().map(|(group, prefix)| format!("{group} {prefix}")).collect::<Vec<_>>(),
        ["eea 49", "eea 33"]
    );
    write("EEA,49\nEEA,x\n");
    assert_eq!(read_origins(&path).unwrap_err().line, 2);
    let mut table = StateTable::default();
    write("npa,nxx,x,state\n201,555,A,NJ\n201,556,1,NY\n2015572,NJ\n");
    read_states(&path, &mut table).unwrap();
    write("201555,NJ\n201556,New York\n");
    assert_eq!(read_states(&path, &mut table).unwrap_err().line, 2);
    write("201555,201556\n");
    read_local_exchanges(&path, &mut table).unwrap();
    write("201555,201556\n201555,1\n");
    assert_eq!(read_local_exchanges(&path, &mut table).unwrap_err().line, 2);
}
