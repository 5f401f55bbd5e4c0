//! README's path of one INVITE, held against the code: every file has its function, and every function is
//! called in a file that stands above it (the first is the engine's entry).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

/// Rows of the table: file and function.
fn rows(readme: &str) -> Vec<(String, String)> {
    let section = readme.split("### The path of one INVITE").nth(1).unwrap();
    let section = section.split("\n### ").next().unwrap();
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let mut cell = || Some(cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned());
        Some((cell()?, cell()?))
    };
    section.lines().filter_map(row).collect()
}

/// Whether a line of code, not the definition, calls `function`.
fn calls(code: &str, function: &str) -> bool {
    let defined = format!("fn {function}");
    let called = [".", ":", " ", "("].map(|before| format!("{before}{function}("));
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//") && !line.contains(&defined))
        .any(|line| called.iter().any(|text| line.contains(text)))
}

#[test]
fn the_path_of_one_invite_in_the_readme_is_the_codes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let rows = rows(&readme);
    assert!(rows.len() >= 20, "only {} rows found", rows.len());
    let mut above = String::new();
    for (file, function) in &rows {
        let code = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let defined = [format!("fn {function}("), format!("fn {function}<")];
        assert!(defined.iter().any(|text| code.contains(text)), "{file} has no function {function}");
        assert!(above.is_empty() || calls(&above, function), "{function} ({file}) is called by no file above it");
        above.push_str(&code);
    }
}
