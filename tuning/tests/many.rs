//! Configurations of the largest size: they load at once, and one more is refused.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tuning::{Diagnostics, Environment, Loaded};

/// `sets` sets that overflow into one another, with `each` gateways each.
fn file(sets: usize, each: usize) -> String {
    let mut text = "[listen]\nudp = [\"127.0.0.1:5060\"]\n".to_owned();
    for set in 0..sets {
        let _ = write!(text, "\n[[set]]\nname = \"s{set}\"\ngateways = [");
        for gateway in 0..each {
            let number = set * each + gateway;
            let _ = write!(text, "\"sip:127.1.{}.{}\", ", number / 250, number % 250 + 1);
        }
        let overflow = if set + 1 < sets { format!("overflow = \"s{}\"\n", set + 1) } else { String::new() };
        let _ = write!(text, "]\n{overflow}");
    }
    text + "\n[[route]]\nset = \"s0\"\n"
}

fn parse(text: &str) -> Result<Loaded, Diagnostics> {
    tuning::parse(text, "many.toml", &Environment::unknown())
}

fn rules(text: &str) -> Vec<&'static str> {
    parse(text).unwrap_err().findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn bounds_on_sets_and_gateways() {
    assert!(parse(&file(limits::SETS_MAX, 1)).is_ok());
    assert_eq!(rules(&file(limits::SETS_MAX + 1, 1)), ["too-many-sets"]);
    assert!(parse(&file(1, limits::SET_GATEWAYS_MAX)).is_ok());
    assert_eq!(rules(&file(1, limits::SET_GATEWAYS_MAX + 1)), ["too-many-gateways"]);
    let sets = limits::GATEWAYS_MAX / 128;
    assert!(parse(&file(sets, 128)).is_ok());
    assert_eq!(rules(&file(sets, 129)), ["too-many-gateways"]);
}

#[test]
fn the_largest_file_is_read_compared_and_printed_in_no_time() {
    let mut text = file(limits::SETS_MAX, 4);
    for route in 0..5_000 {
        let _ = write!(text, "\n[[route]]\nprefix = \"1{route:04}\"\nset = \"s{}\"\n", route % limits::SETS_MAX);
    }
    // WHY: the route to everything stands first in `file`, and would shadow the others.
    let text = text.replacen("\n[[route]]\nset = \"s0\"\n", "", 1);
    let start = Instant::now();
    let loaded = parse(&text).unwrap();
    let changed = parse(&text.replace("\"sip:127.1.0.1\"", "\"sip:127.2.0.1\"")).unwrap();
    assert_eq!(tuning::reload(&loaded.config, &changed, false).unwrap().changes.len(), 2);
    assert!(loaded.to_toml_with_defaults().len() > text.len());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
