//! The ten lines of the quick start are enough.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use tuning::{Environment, OffOr};

const TEN_LINES: &str = r#"
[listen]
udp = ["127.0.0.1:5060"]

[[set]]
name = "carriers"
gateways = [
  { uri = "sip:127.0.0.1:5071", weight = 70 },
  { uri = "sip:127.0.0.1:5072", weight = 30 },
]
"#;

#[test]
fn everything_else_has_a_default() {
    let loaded = tuning::parse(TEN_LINES, "tandem.toml", &Environment::unknown()).unwrap();
    let config = &loaded.config;
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(config.listen.udp[0].name, "127.0.0.1:5060");
    let set = &config.sets[0];
    assert_eq!(set.algorithm.name, "weighted");
    assert_eq!(set.gateways[0].name, "127.0.0.1:5071");
    assert_eq!((set.gateways[0].weight, set.gateways[1].weight), (70, 30));
    assert_eq!(set.gateways[1].uri.0.address().unwrap().port(), 5072);
    assert!(set.failover_codes.contains(503) && !set.failover_codes.contains(486));
    let OffOr::On(probe) = &set.probe else { panic!("probing is on by default") };
    assert_eq!((probe.interval.as_secs(), probe.down_after, probe.up_after), (10, 3, 2));
    assert!(config.source_groups[0].prefixes.iter().any(|network| network.contains("127.0.0.1".parse().unwrap())));
    assert_eq!(config.timers.timer_b.as_secs(), 32);
}

#[test]
fn what_is_printed_is_the_same_configuration() {
    let loaded = tuning::parse(TEN_LINES, "tandem.toml", &Environment::unknown()).unwrap();
    let printed = loaded.to_toml_with_defaults();
    let again = tuning::parse(&printed, "printed.toml", &Environment::unknown())
        .unwrap_or_else(|wrong| panic!("{wrong}{printed}"));
    assert_eq!(again.config, loaded.config);
}
