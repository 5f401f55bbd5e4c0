//! The table of keys: complete, documented, its defaults valid, and what is made from it up to date.
//!
//! `UPDATE=1 cargo test -p tuning` writes `REFERENCE.md` and `tandem.schema.json` anew.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use std::path::Path;
use tuning::Environment;

/// Fails when the file of that name is not what `made` says.
fn up_to_date(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stands == made, "{name} is stale: run UPDATE=1 cargo test -p tuning");
}

#[test]
fn the_reference_is_up_to_date() {
    up_to_date("REFERENCE.md", &tuning::reference());
}

#[test]
fn the_schema_is_up_to_date() {
    up_to_date("tandem.schema.json", &format!("{:#}\n", tuning::json_schema()));
}

/// Calls `see` with the path and schema of every property.
fn walk(path: &str, schema: &Value, see: &mut dyn FnMut(&str, &Value)) {
    for part in ["anyOf", "oneOf"] {
        for schema in schema[part].as_array().into_iter().flatten() {
            walk(path, schema, see);
        }
    }
    if schema["items"].is_object() {
        walk(path, &schema["items"], see);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        see(&path, property);
        walk(&path, property, see);
    }
}

#[test]
fn every_key_is_documented_and_every_table_is_closed() {
    let schema = tuning::json_schema();
    let mut keys = 0;
    walk("", &schema, &mut |path, property| {
        keys += 1;
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 10), "{path}");
        if property["type"] == "object" {
            assert_eq!(property["additionalProperties"], false, "{path}");
        }
    });
    assert!(keys > 100, "{keys}");
}

const TEN_LINES: &str = "[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"carriers\"\n\
    gateways = [{ uri = \"sip:127.0.0.1:5071\", weight = 70 }, { uri = \"sip:127.0.0.1:5072\", weight = 30 }]\n";

/// Rules that a file breaks when a key does not exist or its value is not one that the key takes.
const RULES_OF_KEYS: [&str; 6] =
    ["unknown-key", "unknown-word", "wrong-type", "malformed-value", "out-of-bounds", "syntax"];

#[test]
fn every_default_could_be_written() {
    let loaded = tuning::parse(TEN_LINES, "tandem.toml", &Environment::unknown()).unwrap();
    let printed = loaded.to_toml_with_defaults();
    let unset = |line: &&str| !line.ends_with(" is not set");
    let written: Vec<_> = printed.lines().filter(unset).map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    assert!(written.len() > 120, "{printed}");
    let findings = match tuning::parse(&written.join("\n"), "written.toml", &Environment::unknown()) {
        Ok(again) => again.warnings,
        Err(findings) => findings,
    };
    let wrong: Vec<_> = findings.findings.iter().filter(|finding| RULES_OF_KEYS.contains(&finding.rule)).collect();
    assert!(wrong.is_empty(), "{findings}");
}

#[test]
fn sets_inherit_what_the_top_level_says() {
    let text = TEN_LINES.to_owned()
        + "probe = { interval = \"30s\" }\n[[set]]\nname = \"more\"\ngateways = [\"sip:127.0.0.1:5073\"]\nbreaker = \"off\"\n\
           [[route]]\nprefix = \"1\"\nset = \"carriers\"\n[[route]]\nset = \"more\"\n\
           [probe]\ninterval = \"20s\"\ndown_after = 7\n[breaker]\ntimeouts = 9\n";
    let config = tuning::parse(&text, "tandem.toml", &Environment::unknown()).unwrap().config;
    let probe = |index: usize| config.sets[index].probe.on().map(|probe| (probe.interval.as_secs(), probe.down_after));
    assert_eq!((probe(0), probe(1)), (Some((30, 7)), Some((20, 7))));
    assert_eq!(config.sets[0].breaker.on().map(|breaker| breaker.timeouts), Some(9));
    assert_eq!(config.sets[1].breaker.on(), None);
}

#[test]
fn timers_follow_t1_unless_they_are_given() {
    let text = TEN_LINES.to_owned() + "[timers]\nt1 = \"250ms\"\ntimer_f = \"30s\"\ntimer_j = \"30s\"\n";
    let timers = tuning::parse(&text, "tandem.toml", &Environment::unknown()).unwrap().config.timers;
    let seconds = [timers.timer_b, timers.timer_d, timers.timer_f, timers.timer_h].map(|timer| timer.as_secs());
    assert_eq!(seconds, [16, 32, 30, 16]);
}

#[test]
fn names_become_indices() {
    let text = "[listen]\nudp = [\"127.0.0.1:5060\", { address = \"127.0.0.2:5060\", name = \"core\" }]\n\
        [[source]]\nname = \"acme\"\nprefixes = [\"192.0.2.0/24\"]\n[[source]]\nname = \"beta\"\nprefixes = [\"any\"]\n\
        [[set]]\nname = \"a\"\ngateways = [\"sip:127.0.0.1:5071\"]\noverflow = \"b\"\n\
        [[set]]\nname = \"b\"\ngateways = [\"sip:127.0.0.1:5072\"]\nlistener = \"core\"\n\
        [[route]]\nsource = \"beta\"\nlistener = [\"core\", \"127.0.0.1:5060\"]\nset = \"b\"\n[[route]]\nset = \"a\"\n";
    let config = tuning::parse(text, "tandem.toml", &Environment::unknown()).unwrap().config;
    assert_eq!(config.sets[0].overflow.as_ref().map(tuning::SetName::index), Some(1));
    assert_eq!(config.sets[1].listener.as_ref().map(tuning::ListenerName::index), Some(1));
    let route = &config.routes[0];
    assert_eq!((route.source[0].index(), route.set.index()), (1, 1));
    assert_eq!((route.listener[0].index(), route.listener[1].index()), (1, 0));
}
