//! Each profile loads at the end of the ten lines, on the host that it is for, without a word.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use tuning::{Environment, Loaded};

const TEN_LINES: &str = "sources = [\"any\"]\n[listen]\nudp = [\"0.0.0.0:5060\"]\n[[set]]\nname = \"carriers\"\n\
    gateways = [\"sip:192.0.2.1\", \"sip:192.0.2.2\"]\n\n";

fn text_of(profile: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles").join(profile);
    std::fs::read_to_string(path).unwrap()
}

/// `free` mebibytes on `cores` cores with the usual limit of open files.
fn load(profile: &str, cores: u32, free: u64) -> Loaded {
    let host = Environment {
        cores: Some((0..cores).collect()),
        memory_bytes: Some(free << 20),
        open_files: Some(1024),
        ..Environment::unknown()
    };
    let text = TEN_LINES.to_owned() + &text_of(profile);
    let loaded = tuning::parse(&text, profile, &host).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    loaded
}

#[test]
fn laptop() {
    let loaded = load("laptop.toml", 8, 1024);
    assert_eq!(loaded.config.shards.count_on(4), 1);
}

#[test]
fn two_core_vm() {
    let loaded = load("two-core-vm.toml", 2, 2048);
    assert_eq!(loaded.config.shards.count_on(2), 2);
}

#[test]
fn sixteen_core_25g() {
    let loaded = load("sixteen-core-25g.toml", 16, 48 << 10);
    assert_eq!(loaded.config.shards.count_on(16), 14);
    let gibibytes = (14 * loaded.config.limits.bytes_per_shard()).div_ceil(1 << 30);
    let said = format!("14 shards take {gibibytes} GiB");
    assert!(text_of("sixteen-core-25g.toml").contains(&said), "{said}");
}

#[test]
fn each_profile_is_proven_and_each_value_has_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["laptop.toml", "sixteen-core-25g.toml", "two-core-vm.toml"]);
    for name in names {
        let text = text_of(&name.to_string_lossy());
        let mut before = "";
        for line in text.lines() {
            let follows_a_reason = before.starts_with('#') || before.contains(" = ");
            assert!(!line.contains(" = ") || line.starts_with('#') || follows_a_reason, "{name:?}: {line}");
            before = line;
        }
    }
}
