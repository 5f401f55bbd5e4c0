//! Files that are no configuration at all, and the two forms in which findings are shown.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use tuning::{Diagnostics, Environment};

fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn refused(path: &Path) -> Diagnostics {
    let diagnostics = tuning::load(path).unwrap_err();
    assert_eq!(diagnostics.errors(), 1, "{diagnostics}");
    diagnostics
}

#[test]
fn a_missing_file() {
    let diagnostics = refused(Path::new("/does/not/exist.toml"));
    assert_eq!(diagnostics.findings[0].rule, "unreadable-file");
    let shown = diagnostics.render(false);
    assert!(shown.contains("/does/not/exist.toml") && shown.contains("No such file"), "{shown}");
}

#[test]
fn a_directory() {
    assert_eq!(refused(Path::new(env!("CARGO_TARGET_TMPDIR"))).findings[0].rule, "unreadable-file");
}

#[test]
fn an_empty_file_is_told_the_least_that_works() {
    for (name, text) in [("empty.toml", ""), ("comments.toml", "# nothing\n\n  # more\n")] {
        let diagnostics = refused(&written(name, text.as_bytes()));
        assert_eq!(diagnostics.findings[0].rule, "empty-file");
        let (_, example) = diagnostics.findings[0].remedy.split_once('\n').unwrap();
        assert!(tuning::parse(example, "example.toml", &Environment::unknown()).is_ok(), "{example}");
    }
}

#[test]
fn a_file_of_another_encoding() {
    let diagnostics = refused(&written("latin1.toml", b"# caf\xe9\n[listen]\n"));
    assert_eq!(diagnostics.findings[0].rule, "not-utf8");
}

#[test]
fn a_file_that_is_far_too_large() {
    let text = "#\n".repeat(9 << 20);
    let diagnostics = tuning::parse(&text, "large.toml", &Environment::unknown()).unwrap_err();
    assert_eq!(diagnostics.findings[0].rule, "file-too-large");
}

const MISSPELT: &str = "# é\ndrain_second = 1\n[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"a\"\ngateways = [\"sip:127.0.0.1:5071\"]\n";

#[test]
fn programs_get_json() {
    let diagnostics = tuning::parse(MISSPELT, "misspelt.toml", &Environment::unknown()).unwrap_err();
    let json = diagnostics.to_json();
    assert_eq!(json["errors"], 1);
    assert_eq!(json["file"], "misspelt.toml");
    let finding = &json["findings"][0];
    assert_eq!((&finding["line"], &finding["column"]), (&2.into(), &1.into()));
    assert_eq!((&finding["severity"], &finding["rule"]), (&"error".into(), &"unknown-key".into()));
    assert_eq!(finding["remedy"], "write `drain_seconds`");
}

#[test]
fn colour_only_when_asked() {
    let diagnostics = tuning::parse(MISSPELT, "misspelt.toml", &Environment::unknown()).unwrap_err();
    assert!(!diagnostics.render(false).contains('\u{1b}'));
    assert!(diagnostics.render(true).contains('\u{1b}'));
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let text = "[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"a\\u001b[31m\"\ngateways = [\"sip:127.0.0.1:5071\"]\n\"x\\u001b\" = 1\n";
    let diagnostics = tuning::parse(text, "escape.toml", &Environment::unknown()).unwrap_err();
    assert!(!diagnostics.render(false).contains('\u{1b}'), "{diagnostics}");
}
