//! What can be typed, and what cannot.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace()).and_then(Cli::consistent)
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn what_the_manual_shows_can_be_typed() {
    for line in [
        "tandem run --config f.toml",
        "tandem check f.toml",
        "tandem check f.toml --format json --print",
        "tandem check --schema",
        "tandem gateways",
        "tandem gateways --watch --socket /s",
        "tandem gateways --socket /s disable gw1 --why broken",
        "tandem gateways disable gw1 --why broken --socket /s --format json",
        "tandem gateways enable gw1",
        "tandem gateways drain gw1",
        "tandem sources",
        "tandem sources --unknown --format json",
        "tandem doctor --config f.toml --format json",
        "tandem doctor --print-script",
        "tandem stats --format json",
        "tandem reload --force",
        "tandem reload --previous --socket /s",
        "tandem drain",
        "tandem undrain --socket /s",
        "tandem completions bash",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn mistakes_are_usage_errors() {
    for line in [
        "tandem",
        "tandem run",
        "tandem check",
        "tandem doctor --print-script --format json",
        "tandem gateways disable",
        "tandem gateways --watch disable gw1",
        "tandem gateway",
        "tandem stats --format yaml",
    ] {
        assert!(parse(line).unwrap_err().use_stderr(), "{line}");
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(generate::manual_pages(folder.path()), Exit::Good);
    for page in ["tandem.1", "tandem-run.1", "tandem-check.1", "tandem-gateways-disable.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".TH"), "{page}");
    }
}

#[test]
fn exit_codes_are_those_of_the_manual() {
    let codes = [Exit::Good, Exit::Failed, Exit::Usage, Exit::BadConfiguration].map(Exit::code);
    assert_eq!(codes, [0, 1, 2, 78]);
}

#[test]
fn nobody_at_the_socket_names_it_and_says_how_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none.sock");
    let connection = Connection { socket: Some(socket.clone()), format: Format::Text };
    let error = client::call(&connection, "stats", &serde_json::json!({})).unwrap_err().to_string();
    assert!(error.contains(socket.to_str().unwrap()) && error.contains("tandem run --config"), "{error}");
}
