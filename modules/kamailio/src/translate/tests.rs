#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use crate::read::{address_file, dbtext, list};
use crate::report::Kind;

fn given<'g>(
    tables: &'g [Table],
    script: &'g Script,
    sources: &'g [String],
    algorithms: &'g BTreeMap<i64, i64>,
) -> Given<'g> {
    Given {
        tables,
        script,
        listen: &[],
        sources,
        algorithm: None,
        algorithms,
        compat: false,
        domain: None,
        folder: "/tmp/x",
        now: 1_700_000_000,
        zone: const { &TimeZone::UTC },
    }
}

fn translated(tables: &[Table], script: &str, sources: &[&str]) -> Result<Translation, String> {
    let script = if script.is_empty() { Script::default() } else { Script::read(script) };
    let sources: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
    translate(&given(tables, &script, &sources, &BTreeMap::new()))
}

fn list_of(text: &str) -> Vec<Table> {
    vec![list::read(text, &mut Report::default())]
}

/// A public tutorial's script: it promises weights, probing and failover, and does none of the three.
const PROMISES: &str = r#"
listen=udp:192.0.2.100:5060
modparam("dispatcher", "list_file", "/etc/kamailio/dispatcher.list")
modparam("dispatcher", "flags", 2)           # probing enabled
modparam("dispatcher", "ds_ping_interval", 10)
route { if (!ds_select_dst("1", "4")) { sl_send_reply("503", "x"); exit; } t_on_failure("RTF"); t_relay(); }
failure_route[RTF] { if (t_check_status("5[0-9][0-9]")) { ds_next_dst(); t_relay(); } }
"#;

#[test]
fn a_script_that_only_promises_is_found_out() {
    let tables = list_of("1 sip:192.0.2.1:5060 0 0 weight=70\n1 sip:192.0.2.2:5060 0 0 weight=30\n");
    let made = translated(&tables, PROMISES, &["any"]).unwrap();
    for part in [
        "algorithm 4 never read the weights",
        "no OPTIONS was ever sent: ds_probing_mode is 0",
        "no t_check_status() of the script matches 408",
        "does not call ds_mark_dst()",
        "remap_503_500",
    ] {
        assert!(made.report.says(Kind::Otherwise, part), "{part}: {}", made.report.text());
    }
    assert!(
        made.toml.contains("udp = [\"192.0.2.100:5060\"]") && made.toml.contains("request_uri = \"keep\""),
        "{}",
        made.toml
    );
    assert!(!made.report.says(Kind::Otherwise, "nothing says which algorithm"));
}

#[test]
fn a_script_that_keeps_its_promises_is_not_blamed() {
    let good = PROMISES
        .replace(
            "\"flags\", 2)",
            "\"flags\", 2)\nmodparam(\"dispatcher\", \"ds_probing_mode\", 1)\nmodparam(\"tm\", \"remap_503_500\", 0)",
        )
        .replace("5[0-9][0-9]", "408|5[0-9][0-9]")
        .replace("ds_next_dst();", "ds_mark_dst(\"ip\"); ds_next_dst();")
        .replace("\"4\"", "\"9\"");
    let made = translated(&list_of("1 sip:192.0.2.1 0 0 weight=70\n1 sip:192.0.2.2 0 0 weight=30\n"), &good, &["any"])
        .unwrap();
    let lines: Vec<_> = made.report.of(Kind::Otherwise).map(|line| line.text.as_str()).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("fr_timer"), "{lines:?}");
}

#[test]
fn several_sets_have_routes_and_who_may_send_is_asked_for() {
    let tables = list_of("1 sip:192.0.2.1\n2 sip:192.0.2.1\n");
    let made = translated(&tables, "", &[]).unwrap();
    assert!(
        made.toml.contains("domain = \"set-2.invalid\"") && made.toml.contains("name = \"192.0.2.1-2\""),
        "{}",
        made.toml
    );
    let refused = translated(&tables, "listen=udp:0.0.0.0:5060", &[]).unwrap_err();
    assert!(refused.contains("--source"), "{refused}");
    assert!(translated(&[], "", &[]).unwrap_err().contains("lcr_rule_target"));
}

#[test]
fn prefixes_become_vendors_customers_and_decks() {
    let tables = [
        dbtext::read("dr_gateways", "gwid(int) type(int) address(string) strip(int) pri_prefix(string,null)\n1:0:192.0.2.1:0:\n2:0:192.0.2.2:2:00\n").unwrap(),
        dbtext::read("dr_rules", "ruleid(int) groupid(string) prefix(string) timerec(string,null) priority(int) routeid(string,null) gwlist(string)\n1:8:49::0::1,2\n").unwrap(),
        address_file::read("8 198.51.100.0 24 0 acme\n9 203.0.113.1 32 5070\n"),
    ];
    let made = translated(&tables, "", &[]).unwrap();
    let files: Vec<_> = made.decks.iter().map(|(file, _)| file.as_str()).collect();
    assert_eq!(files, ["sell.csv", "dr-8-dr-gw-1.csv", "dr-8-dr-gw-2.csv"]);
    assert_eq!(made.decks[2].1, "prefix as dialled,price\n49,0.0001\n");
    for part in [
        "name = \"acme\"\nsources = [\"198.51.100.0/24\"]\nplan = \"dr-8\"",
        "sources = [\"203.0.113.1:5070\"]",
        "strip = 2\nadd = \"00\"",
        "attempts_max = 2",
    ] {
        assert!(made.toml.contains(part), "{part}: {}", made.toml);
    }
    assert!(made.report.says(Kind::Otherwise, "prices of the currency XXX"));
}

#[test]
fn accounts_and_bindings_have_their_domain() {
    let tables = [
        dbtext::read("subscriber", "username(string) domain(string) ha1(string)\nalice:Example.com:00112233445566778899aabbccddeeff\n").unwrap(),
        dbtext::read("location", "username(string) domain(string) contact(string) expires(int)\nbob:example.org:sip\\:bob@192.0.2.1:1800000000\n").unwrap(),
    ];
    let made = translated(&tables, "", &[]).unwrap();
    assert_eq!(made.toml.matches("[[domain]]").count(), 2, "{}", made.toml);
    assert!(
        made.toml.contains("name = \"example.com\"\naccounts = { sqlite = \"/tmp/x/accounts.db\" }"),
        "{}",
        made.toml
    );
    assert_eq!((made.bindings.len(), made.subscribers.len()), (1, 1));
}
