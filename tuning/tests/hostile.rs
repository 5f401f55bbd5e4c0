//! No text, however broken, makes the reader panic, and every finding can be shown.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use tuning::Environment;

/// Reads and shows; the value of the test is that it returns.
fn survives(text: &str) {
    match tuning::parse(text, "hostile.toml", &Environment::unknown()) {
        Ok(loaded) => assert!(loaded.warnings.errors() == 0 && !loaded.to_toml_with_defaults().is_empty()),
        Err(found) => assert!(found.errors() > 0 && !found.render(true).is_empty() && found.to_json().is_object()),
    }
}

fn files() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.map(|path| std::fs::read_to_string(path).unwrap()).filter(|text| text.len() < 600).collect()
}

#[test]
fn every_file_cut_at_every_byte() {
    for text in files() {
        for (end, _) in text.char_indices() {
            survives(&text[..end]);
        }
    }
}

#[test]
fn every_value_replaced_by_every_other() {
    let others =
        ["\"\"", "-1", "99999999999999999999", "0.5", "nan", "true", "1979-05-27", "[]", "[[1]]", "{}", "\"é\\u0000\""];
    for text in files() {
        for line in text.lines().filter(|line| line.contains(" = ")) {
            let (key, _) = line.split_once(" = ").unwrap();
            for other in others {
                survives(&text.replacen(line, &format!("{key} = {other}"), 1));
            }
        }
    }
}

#[test]
fn text_that_is_no_configuration() {
    let deep = "[".repeat(5_000);
    let long = format!("a = \"{}\"", "x".repeat(1 << 20));
    for text in
        ["=", "\u{feff}", "\0", "[[[", "a.b.c.d = 1", "[set]\n[[set]]", "\"\" = 1", "listen = 1\nset = 2", &deep, &long]
    {
        survives(text);
    }
}
