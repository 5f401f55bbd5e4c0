//! Each mistake of `tests/mistakes`: found under its rule, at its line, said as expected.
//!
//! A file is named `rule.toml` or `rule.variant.toml`; the line that is at fault is marked
//! `# <-- here`; `rule.txt` holds what is shown. `UPDATE=1 cargo test -p tuning` writes those anew.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tuning::{Diagnostics, Environment};

const MARK: &str = "# <-- here";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes")
}

/// A small host: two cores, 2 GiB, few files, no privileges, no name server.
fn host() -> Environment {
    Environment {
        cores: Some(vec![0, 1]),
        memory_bytes: Some(2 << 30),
        open_files: Some(150),
        lowest_port: Some(1024),
        addresses: vec!["127.0.0.1".parse().unwrap(), "192.0.2.10".parse().unwrap()],
        interfaces: Some(vec!["eth0".to_owned(), "lo".to_owned()]),
        name_servers: Some(false),
        looks_for_files: true,
        ..Environment::unknown()
    }
}

fn mistakes() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.sort();
    files
}

fn diagnose(path: &Path) -> Diagnostics {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    match tuning::parse(&text, &name, &host()) {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => diagnostics,
    }
}

fn rule_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().split('.').next().unwrap().to_owned()
}

/// Asks `wrong` of each mistake and fails with everything that it says.
fn for_each(wrong: impl Fn(&Path, &Diagnostics) -> Option<String>) {
    let files = mistakes();
    let all = files.iter().filter_map(|path| {
        let diagnostics = diagnose(path);
        wrong(path, &diagnostics).map(|what| format!("{}: {what}\n{diagnostics}\n", path.display()))
    });
    let all: String = all.collect();
    assert!(files.len() > 80 && all.is_empty(), "{all}");
}

#[test]
fn each_is_found_under_its_rule_and_nothing_else_is() {
    for_each(|path, diagnostics| {
        let rules: BTreeSet<_> = diagnostics.findings.iter().map(|finding| finding.rule).collect();
        let expected = rule_of(path);
        (rules != BTreeSet::from([expected.as_str()])).then(|| format!("found {rules:?}"))
    });
}

#[test]
fn each_is_found_at_the_marked_line() {
    for_each(|_, diagnostics| {
        let marked = diagnostics.source.lines().position(|line| line.contains(MARK));
        let place = diagnostics.findings.first()?.place.clone();
        let found = place.map(|place| diagnostics.line_and_column(place.start).0 - 1);
        (found != marked).then(|| format!("found at {found:?}, marked {marked:?}"))
    });
}

#[test]
fn each_says_what_to_write() {
    for_each(|_, diagnostics| {
        let silent = diagnostics.findings.iter().find(|finding| finding.remedy.is_empty());
        silent.map(|finding| format!("no remedy: {}", finding.message))
    });
}

#[test]
fn each_looks_as_expected() {
    for_each(|path, diagnostics| {
        let shown = diagnostics.render(false);
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &shown).unwrap();
        }
        (std::fs::read_to_string(&expected).unwrap_or_default() != shown).then(|| "shown differently".to_owned())
    });
}

/// Rules that have tests of their own: in `files.rs`, and in `many.rs` where the file would be long.
const RULES_ELSEWHERE: [&str; 6] =
    ["empty-file", "file-too-large", "not-utf8", "unreadable-file", "too-many-gateways", "too-many-sets"];

#[test]
fn no_rule_is_without_a_mistake() {
    let tried: BTreeSet<String> = mistakes().iter().map(|path| rule_of(path)).collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rules = BTreeSet::new();
    for folder in [source.clone(), source.join("check"), source.join("read")] {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.extension().is_some_and(|extension| extension == "rs") {
                rules.extend(rules_in(&std::fs::read_to_string(entry).unwrap()));
            }
        }
    }
    assert!(rules.len() > 40, "the rules were not found in the source");
    let untried: Vec<_> =
        rules.iter().filter(|rule| !tried.contains(*rule) && !RULES_ELSEWHERE.contains(&rule.as_str())).collect();
    assert!(untried.is_empty(), "rules without a file in tests/mistakes: {untried:?}");
}

/// The first argument of each `error(...)` and `warning(...)` call.
fn rules_in(source: &str) -> BTreeSet<String> {
    let calls = ["error(", "warning("].into_iter().flat_map(|call| source.split(call).skip(1));
    calls.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next()).map(str::to_owned).collect()
}

#[test]
fn several_are_shown_at_once() {
    let text = "drain_second = 1\n[listen]\nudp = [\"127.0.0.1\"]\n[[set]]\nname = \"a\"\ngateways = [\"sip:127.0.0.1:5071\"]\nalgorithm = \"x\"\n";
    let diagnostics = tuning::parse(text, "several.toml", &host()).unwrap_err();
    let rules: Vec<_> = diagnostics.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["unknown-key", "malformed-value", "unknown-word"]);
    assert!(diagnostics.render(false).ends_with("several.toml: 3 errors\n"));
}

#[test]
fn what_follows_from_a_misspelt_key_is_not_said() {
    let text = "[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"a\"\ngateways = [\"sip:127.0.0.1:5071\"]\n\
        [[route]]\nprefx = \"44\"\nset = \"a\"\n[[route]]\nprefix = \"49\"\nset = \"a\"\n[probe]\ninterval = \"1s\"\n";
    let diagnostics = tuning::parse(text, "misspelt.toml", &host()).unwrap_err();
    let rules: Vec<_> = diagnostics.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["unknown-key", "timer-order"], "{diagnostics}");
}
