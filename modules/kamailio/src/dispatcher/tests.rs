#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use crate::output::{Document, Names};
use crate::read::list;
use crate::read::script::Script;
use crate::report::Kind;

fn written(text: &str, number: i64) -> (String, Report) {
    let mut report = Report::default();
    let table = list::read(text, &mut report);
    let sets = sets(std::iter::once(&table), &mut report);
    let (mut names, mut document, script) = (Names::default(), Document::default(), Script::default());
    for set in &sets {
        let mut writing = Writing {
            names: &mut names,
            script: &script,
            compat: false,
            keeps_request_uri: true,
            document: &mut document,
            report: &mut report,
        };
        write(set, number, &mut writing);
    }
    (document.finish(), report)
}

fn order(text: &str) -> Vec<String> {
    let mut report = Report::default();
    let table = list::read(text, &mut report);
    sets(std::iter::once(&table), &mut report).into_iter().flat_map(|set| set.destinations).map(|one| one.uri).collect()
}

#[test]
fn higher_priorities_come_first_and_equals_are_turned_round() {
    assert_eq!(order("1 sip:a 0 1\n1 sip:b 0 5\n1 sip:c 0 1\n1 sip:d 0 5\n"), ["sip:d", "sip:b", "sip:c", "sip:a"]);
    assert_eq!(order("2 sip:x\n1 sip:a\n1 sip:b\n"), ["sip:b", "sip:a", "sip:x"], "sets by their number");
}

#[test]
fn weights_of_round_robin_are_said_and_left_out() {
    let (toml, report) = written("1 sip:192.0.2.1 0 0 weight=70\n1 sip:192.0.2.2 0 0 weight=30\n", 4);
    assert!(toml.contains("algorithm = \"round-robin\"") && !toml.contains("weight ="), "{toml}");
    assert!(report.says(Kind::Otherwise, "algorithm 4 never read the weights"));
}

#[test]
fn shares_are_those_that_kamailio_deals() {
    let dealt = |list: &str| {
        let (toml, report) = written(list, 9);
        let weights =
            toml.split("weight = ").skip(1).map(|rest| rest.split([' ', '}']).next().unwrap().parse::<u32>().unwrap());
        (weights.collect::<Vec<_>>(), report)
    };
    let two = |a: &str, b: &str| format!("1 sip:192.0.2.2 0 1 {b}\n1 sip:192.0.2.1 0 2 {a}\n");
    assert_eq!(dealt(&two("weight=70", "weight=30")).0, [70, 30]);
    let (shares, report) = dealt(&two("weight=50", "weight=10"));
    assert_eq!(shares, [50, 50]);
    assert!(report.says(Kind::Otherwise, "add up to 60"));
    assert_eq!(dealt(&two("weight=90", "weight=90")).0, [90, 10]);
    let (shares, report) = dealt(&two("weight=0", "weight=90"));
    assert_eq!(shares, [1, 0]);
    assert!(report.says(Kind::Otherwise, "every call went to the first"));
}

#[test]
fn what_is_no_gateway_here_is_said() {
    let list = "1 sips:192.0.2.1\n1 sip:192.0.2.2;transport=tcp\n1 sip:192.0.2.3 4\n1 sip:192.0.2.4:5070\n1 192.0.2.4:5070 0 0 maxload=5;socket=udp:1.2.3.4:5060\n";
    let (toml, report) = written(list, 0);
    assert!(toml.contains("uri = \"sip:192.0.2.4:5070\"") && toml.matches("{ uri =").count() == 1, "{toml}");
    for part in ["over TLS", "over TCP", "disabled (flag 4)", "read by algorithm 10 alone", "`listener` of a set"] {
        assert!(report.says(Kind::NoCounterpart, part), "{part}: {}", report.text());
    }
    assert!(report.says(Kind::Otherwise, "stands there twice"));
}

#[test]
fn uris_become_gateways() {
    let uri = |text: &str| destination_uri(text).map(|(uri, left_out)| (uri, left_out.len()));
    assert_eq!(uri("sip:gw.example.com"), Ok(("sip:gw.example.com".into(), 0)));
    assert_eq!(uri("SIP:u@192.0.2.1:5080;transport=UDP;lr"), Ok(("sip:192.0.2.1:5080".into(), 2)));
    assert_eq!(uri("2001:db8::1"), Ok(("sip:[2001:db8::1]".into(), 0)));
    assert_eq!(uri("sip:"), Err(NoDestination::NoHost));
    assert_eq!(uri("sip:a;transport=sctp"), Err(NoDestination::Transport("SCTP".into())));
}
