//! What a reload changes at once, what it leaves for a restart, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use tuning::{Config, Effect, Environment, Loaded, Refusal};

const RUNNING: &str = r#"
sources = ["127.0.0.0/8"]

[listen]
udp = ["127.0.0.1:5060"]

[[set]]
name = "carriers"
gateways = [
  { uri = "sip:127.0.0.1:5071", name = "one", weight = 70 },
  { uri = "sip:127.0.0.1:5072", name = "two", weight = 30 },
  { uri = "sip:127.0.0.1:5073", name = "three", weight = 30 },
  { uri = "sip:127.0.0.1:5074", name = "four", weight = 30 },
]

[[route]]
prefix = "44"
set = "carriers"

[[route]]
prefix = "49"
set = "carriers"

[limits]
calls_per_shard = 65536
"#;

fn loaded(text: &str) -> Loaded {
    tuning::parse(text, "tandem.toml", &Environment::unknown()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn running() -> Config {
    loaded(RUNNING).config
}

/// The running file with `old` replaced.
fn edited(old: &str, new: &str) -> Loaded {
    assert!(RUNNING.contains(old));
    loaded(&RUNNING.replacen(old, new, 1))
}

fn shown(next: &Loaded) -> Vec<String> {
    let reload = tuning::reload(&running(), next, false).unwrap();
    reload.changes.iter().map(ToString::to_string).collect()
}

fn without(names: &[&str]) -> Loaded {
    let kept = RUNNING.lines().filter(|line| !names.iter().any(|name| line.contains(&format!("\"{name}\""))));
    loaded(&kept.collect::<Vec<_>>().join("\n"))
}

#[test]
fn nothing_changes_when_nothing_changed() {
    assert_eq!(shown(&loaded(&format!("# another comment\n{RUNNING}"))), Vec::<String>::new());
}

#[test]
fn a_weight() {
    let next = edited("weight = 70", "weight = 60");
    assert_eq!(shown(&next), ["set carriers, gateways one, weight: 70 becomes 60"]);
    assert_eq!(tuning::reload(&running(), &next, false).unwrap().config, next.config);
}

#[test]
fn gateways_that_come_and_go() {
    let next =
        edited("{ uri = \"sip:127.0.0.1:5072\", name = \"two\"", "{ uri = \"sip:127.0.0.1:5082\", name = \"new\"");
    let shown = shown(&next);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].starts_with("set carriers, gateways two: removed: "), "{shown:?}");
    assert!(shown[1].starts_with("set carriers, gateways new: added: "), "{shown:?}");
}

#[test]
fn sources_are_said_once() {
    let next = edited("127.0.0.0/8", "127.0.0.1/32");
    assert_eq!(shown(&next), ["sources: [\"127.0.0.0/8\"] becomes [\"127.0.0.1/32\"]"]);
}

#[test]
fn the_order_of_routes() {
    let swapped = RUNNING.replace("\"44\"", "\"#\"").replace("\"49\"", "\"44\"").replace("\"#\"", "\"49\"");
    let shown = shown(&loaded(&swapped));
    assert!(shown.len() == 1 && shown[0].starts_with("route, order: "), "{shown:?}");
}

#[test]
fn pools_wait_for_a_restart() {
    let next = edited("calls_per_shard = 65536", "calls_per_shard = 1024");
    let reload = tuning::reload(&running(), &next, false).unwrap();
    assert_eq!(reload.changes[0].effect, Effect::Restart);
    assert_eq!(reload.changes[0].to_string(), "limits, calls_per_shard: 65536 becomes 1024 (after a restart)");
    assert_eq!(reload.config.limits.calls_per_shard, 65_536);
}

#[test]
fn one_key_of_a_section_may_wait_while_the_others_hold() {
    let next = loaded(&format!("{RUNNING}[policy]\nstrangers = \"403\"\nserver = \"new\"\n"));
    let reload = tuning::reload(&running(), &next, false).unwrap();
    let effects: Vec<_> = reload.changes.iter().map(|change| (change.subject.as_str(), change.effect)).collect();
    assert_eq!(effects, [("policy, strangers", Effect::Live), ("policy, server", Effect::Restart)]);
    assert_eq!((reload.config.policy.strangers.word(), reload.config.policy.server), ("403", None));
}

#[test]
fn what_needs_a_new_listener_needs_a_restart() {
    let text =
        RUNNING.replace("\"127.0.0.1:5060\"", "\"127.0.0.1:5060\", { address = \"127.0.0.1:5062\", name = \"new\" }");
    let next = loaded(&text.replacen("set = \"carriers\"", "set = \"carriers\"\nlistener = \"new\"", 1));
    let refusal = tuning::reload(&running(), &next, true).unwrap_err();
    assert!(matches!(&refusal, Refusal::NeedsRestart(why) if why.contains("`new`")), "{refusal}");
}

#[test]
fn a_set_that_would_be_emptied() {
    let start = RUNNING.find("gateways = [").unwrap();
    let end = RUNNING.find("[[route]]").unwrap();
    let next = loaded(&format!("{}gateways = []\n\n{}", &RUNNING[..start], &RUNNING[end..]));
    let refusal = tuning::reload(&running(), &next, false).unwrap_err();
    assert!(matches!(&refusal, Refusal::Unsafe(why) if why.contains("all 4 gateways")), "{refusal}");
    assert!(tuning::reload(&running(), &next, true).is_ok());
}

#[test]
fn more_than_half_of_the_gateways() {
    assert_eq!(tuning::guard(&running(), &without(&["one", "two"]).config), None);
    let next = without(&["one", "two", "three"]);
    let refusal = tuning::reload(&running(), &next, false).unwrap_err();
    assert!(refusal.to_string().contains("3 of 4 gateways"), "{refusal}");
    assert!(tuning::reload(&running(), &next, true).is_ok());
}

#[test]
fn a_set_under_another_name_takes_nothing_away() {
    let next = loaded(&RUNNING.replace("\"carriers\"", "\"partners\""));
    assert_eq!(tuning::guard(&running(), &next.config), None);
}
