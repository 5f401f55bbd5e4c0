#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::deck::vendors;
use super::lcr::first_choices;
use super::*;
use crate::read::script::Script;
use crate::report::{Kind, Report};
use crate::table::Table;
use proptest::prelude::*;

fn table(name: &str, columns: &str, rows: &[&str]) -> Table {
    let values = |row: &&str| row.split(' ').map(|value| Some(value.to_owned()).filter(|value| value != "-")).collect();
    Table {
        name: name.into(),
        columns: columns.split(' ').map(str::to_owned).collect(),
        rows: rows.iter().map(values).collect(),
    }
}

fn names(routing: &Routing, plan: &Plan, prefix: &str) -> Vec<String> {
    plan.resolve(prefix).iter().map(|target| routing.gateways[target.gateway].name.clone()).collect()
}

fn lcr(rules: &[&str], targets: &[&str]) -> (Routing, Report) {
    let tables = [
        table(
            "lcr_gw",
            "id lcr_id gw_name ip_addr port strip prefix transport defunct",
            &[
                "1 1 a 192.0.2.1 5070 - - 1 0",
                "2 1 b 192.0.2.2 - 2 00 - 0",
                "3 0 c 192.0.2.3 - - - - 0",
                "4 1 d 192.0.2.4 - - - 2 0",
                "5 1 e 192.0.2.5 - - - - 4294967295",
            ],
        ),
        table("lcr_rule", "id lcr_id prefix from_uri stopper enabled", rules),
        table("lcr_rule_target", "id lcr_id rule_id gw_id priority weight", targets),
    ];
    let mut report = Report::default();
    let routing = lcr::read(&tables.iter().collect::<Vec<_>>(), &Script::default(), 1_700_000_000, &mut report);
    (routing, report)
}

#[test]
fn lcr_takes_longer_prefixes_first_and_goes_on_unless_a_rule_stops() {
    let (routing, report) = lcr(
        &["1 1 49 - 0 1", "2 1 4930 - 0 1", "3 1 4940 - 1 1", "4 1 - - 0 1", "5 1 44 ^sip 0 1", "6 1 33 - 0 0"],
        &[
            "1 1 1 1 5 1",
            "2 1 2 2 9 1",
            "3 1 3 2 0 1",
            "4 1 4 3 0 1",
            "5 1 2 1 10 1",
            "6 1 9 1 0 1",
            "7 1 1 5 0 1",
            "8 1 1 4 0 1",
        ],
    );
    let [plan] = routing.plans.as_slice() else { panic!("{routing:?}") };
    assert_eq!(plan.name, "lcr-1");
    assert_eq!(names(&routing, plan, "4930"), ["b", "a", "c"], "each gateway once, at its longest prefix");
    assert_eq!(names(&routing, plan, "4940"), ["b"], "a stopper");
    assert_eq!(names(&routing, plan, "49"), ["a", "c"]);
    assert_eq!(
        routing.gateways[1],
        Gateway { name: "b".into(), uri: "sip:192.0.2.2".into(), strip: 2, prefix: "00".into() }
    );
    for (kind, part) in [
        (Kind::NoCounterpart, "of the caller's URI"),
        (Kind::NoCounterpart, "over TCP"),
        (Kind::NoCounterpart, "`defunct`"),
        (Kind::Odd, "not enabled"),
        (Kind::Odd, "its rule is not there"),
    ] {
        assert!(report.says(kind, part), "{part}: {}", report.text());
    }
}

#[test]
fn unfair_weights_are_computed() {
    let close = |weights: &[u32], wanted: &[f64]| {
        let got = first_choices(weights);
        assert!(got.iter().zip(wanted).all(|(got, wanted)| (got - wanted).abs() < 1e-9), "{weights:?}: {got:?}");
    };
    close(&[1, 1], &[0.5, 0.5]);
    // Of two, the larger one wins all draws above the smaller's highest, and half of the rest.
    close(&[1, 2], &[0.25, 0.75]);
    close(&[70, 30], &[1.0 - 15.0 / 70.0, 15.0 / 70.0]);
    close(&[5, 5, 5], &[1.0 / 3.0; 3]);
    let all: f64 = first_choices(&[10, 20, 30, 30, 254]).iter().sum();
    assert!((all - 1.0).abs() < 1e-9, "{all}");
    let (_, report) = lcr(&["1 1 49 - 0 1"], &["1 1 1 1 0 70", "2 1 1 2 0 30"]);
    assert!(report.says(Kind::Otherwise, "which gave 78.6 %, 21.4 %"), "{}", report.text());
}

#[test]
fn drouting_takes_one_rule_and_its_list() {
    let tables = [
        table(
            "dr_gateways",
            "gwid type address strip pri_prefix attrs",
            &["1 0 192.0.2.1 - - x=y", "2 0 sip:192.0.2.2:5080 2 00 -", "3 0 192.0.2.3;transport=tls - - -"],
        ),
        table(
            "dr_rules",
            "ruleid groupid prefix timerec priority routeid gwlist",
            &[
                "1 8,9 49 - 1 - 1,2",
                "2 8 4930 - 0 0 2;1",
                "3 8 49 - 5 - #7",
                "4 8 44 20260101T000000 0 - 1",
                "5 8 - - 0 - 2,3,9",
                "6 8 44* - 0 - 1",
            ],
        ),
        table("dr_gw_lists", "id gwlist", &["7 2|1"]),
        table("dr_groups", "id username domain groupid", &["1 alice example.com 8"]),
    ];
    let mut report = Report::default();
    let routing = drouting::read(&tables.iter().collect::<Vec<_>>(), &Script::default(), &mut report);
    let [eight, nine] = routing.plans.as_slice() else { panic!("{routing:?}") };
    assert_eq!((eight.name.as_str(), nine.name.as_str()), ("dr-8", "dr-9"));
    let of = |plan, prefix| names(&routing, plan, prefix);
    assert_eq!(
        (of(eight, "49"), of(nine, "49")),
        (vec!["dr-gw-2".into(), "dr-gw-1".into()], vec!["dr-gw-1".to_owned(), "dr-gw-2".into()])
    );
    assert_eq!(
        (of(eight, "4930"), of(eight, "")),
        (vec!["dr-gw-2".to_owned(), "dr-gw-1".into()], vec!["dr-gw-2".to_owned()])
    );
    for (kind, part) in [
        (Kind::NoCounterpart, "holds at times"),
        (Kind::NoCounterpart, "1 callers have a group"),
        (Kind::NoCounterpart, "no digit"),
        (Kind::Odd, "gateway 9 is not there"),
        (Kind::NoCounterpart, "over TLS"),
    ] {
        assert!(report.says(kind, part), "{part}: {}", report.text());
    }
}

#[test]
fn carrierroute_has_a_plan_for_each_domain_of_a_carrier() {
    let tables = [
        table(
            "carrierroute",
            "id carrier domain scan_prefix flags mask prob strip rewrite_host rewrite_prefix rewrite_suffix",
            &[
                "1 1 1 49 0 0 0.7 0 192.0.2.1 - -",
                "2 1 1 49 0 0 0.3 1 192.0.2.2:5080 9 x",
                "3 1 1 44 0 0 0 0 192.0.2.1 - -",
                "4 2 1 44 1 1 1 0 192.0.2.1 - -",
            ],
        ),
        table("carrier_name", "id carrier", &["1 default"]),
        table("domain_name", "id domain", &["1 register"]),
        table("carrierfailureroute", "id", &["1"]),
    ];
    let mut report = Report::default();
    let routing = carrierroute::read(&tables.iter().collect::<Vec<_>>(), &mut report);
    let [plan] = routing.plans.as_slice() else { panic!("{routing:?}") };
    let weights: Vec<_> = plan.resolve("49").iter().map(|target| target.weight).collect();
    assert_eq!((plan.name.as_str(), weights), ("cr-default-register", vec![700, 300]));
    for part in ["with flags", "behind numbers", "probability 0", "1 rows say which domain"] {
        assert!(report.says(Kind::NoCounterpart, part), "{part}: {}", report.text());
    }
}

#[test]
fn what_is_taken_off_numbers_counts_digits_not_signs() {
    let gateway =
        |strip, prefix: &str| Gateway { name: "g".into(), uri: "sip:192.0.2.1".into(), strip, prefix: prefix.into() };
    let made = |plus: bool, gateway: Gateway| {
        let rule = Rule { targets: vec![Target { gateway: 0, rank: 0, weight: 1 }], stops: true };
        let plan = Plan { name: "p".into(), rules: [("49".to_owned(), rule)].into(), plus };
        let vendor = vendors(&Routing { gateways: vec![gateway], plans: vec![plan] }, &mut Report::default()).remove(0);
        (vendor.strip, vendor.add, vendor.plus)
    };
    assert_eq!(made(false, gateway(2, "0049")), (2, "0049".into(), false));
    assert_eq!(made(false, gateway(0, "+")), (0, String::new(), true));
    assert_eq!(made(true, gateway(0, "")), (0, String::new(), true), "the + stays");
    assert_eq!(made(true, gateway(1, "")), (0, String::new(), false), "the + goes");
    assert_eq!(made(true, gateway(3, "00")), (2, "00".into(), false));
}

/// Which vendors a number has by decks, each by its own longest prefix: what Tandem does.
fn by_decks(all: &[super::deck::Vendor], number: &str) -> Vec<(usize, u32, String)> {
    let mut found = Vec::new();
    for vendor in all {
        let rows = vendor.deck.lines().skip(1).filter_map(|row| row.split_once(','));
        let best = rows.filter(|(prefix, _)| number.starts_with(prefix)).max_by_key(|(prefix, _)| prefix.len());
        if let Some((_, price)) = best.filter(|(_, price)| *price != "closed") {
            found.push((vendor.gateway, vendor.weight, price.to_owned()));
        }
    }
    found.sort();
    found
}

proptest! {
    /// For every number the decks say what the plan says: the same gateways with the same ranks and weights.
    #[test]
    fn decks_say_what_plans_say(
        rules in prop::collection::btree_map("[0-3]{0,4}", (prop::collection::vec((0usize..5, 0u32..9, 1u32..4), 0..5), any::<bool>()), 1..12),
        numbers in prop::collection::vec("[0-3]{1,6}", 1..40),
    ) {
        let rule = |prefix: &str, (targets, stops): (Vec<(usize, u32, u32)>, bool)| {
            let length = u32::try_from(prefix.len()).unwrap();
            let targets = targets.into_iter().map(|(gateway, rank, weight)| Target { gateway, rank: (16 - length) * 256 + rank, weight });
            Rule { targets: targets.collect(), stops }
        };
        let rules = rules.into_iter().map(|(prefix, given)| { let rule = rule(&prefix, given); (prefix, rule) }).collect();
        let plan = Plan { name: "p".into(), rules, plus: false };
        let gateways = (0..5).map(|at| Gateway { name: format!("g{at}"), uri: format!("sip:192.0.2.{at}"), ..Gateway::default() }).collect();
        let routing = Routing { gateways, plans: vec![plan] };
        let all = vendors(&routing, &mut Report::default());
        let plan = &routing.plans[0];
        for number in numbers {
            let longest = (0..=number.len()).rev().map(|length| &number[..length]).find(|prefix| plan.rules.contains_key(*prefix));
            let mut wanted: Vec<_> = longest.map(|prefix| plan.resolve(prefix)).unwrap_or_default().iter()
                .map(|target| (target.gateway, target.weight, format!("{}.{:04}", target.rank / 10_000, target.rank % 10_000))).collect();
            wanted.sort();
            prop_assert_eq!(by_decks(&all, &number), wanted, "{} of {:?}", number, plan);
        }
    }
}
