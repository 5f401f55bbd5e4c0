//! Reloads: what stays keeps its number, health and counts; an old number means nobody else.

use super::*;
use crate::tables::NamedAddress;

#[test]
fn what_stays_keeps_health_counts_and_its_turn() {
    let mut bench = Bench::new(TWO);
    let before: Vec<String> = (0..4).map(|n| bench.call(&n.to_string()).0).collect();
    bench.policy.unreachable(address("203.0.113.2:5070"), bench.now);
    let more = TWO.replace("\n]", "\n\"sip:203.0.113.9\"]");
    bench.reload(&more);
    assert_eq!(bench.state("b"), State::Down);
    assert_eq!(bench.figures("a").attempts, before.iter().filter(|name| *name == "a").count() as u64);
    assert_eq!(bench.figures("203.0.113.9:5060").attempts, 0);
    assert_eq!(bench.state("203.0.113.9:5060"), State::Up);
}

#[test]
fn a_thousand_reloads_do_not_disturb_the_shares() {
    let mut bench = Bench::new(TWO);
    let mut counts = BTreeMap::new();
    for n in 0..1_000 {
        let (gateway, transaction) = bench.call(&n.to_string());
        *counts.entry(gateway).or_insert(0) += 1;
        bench.end(transaction, 200);
        bench.reload(TWO);
    }
    assert_eq!(counts, BTreeMap::from([("a".to_owned(), 700), ("b".to_owned(), 300)]));
    assert_eq!(bench.policy.tables().generation, 1_000);
}

#[test]
fn an_old_number_is_nobody_elses() {
    let mut bench = Bench::new(TWO);
    let (gateway, mut transaction) = bench.call("1");
    assert_eq!(gateway, "a");
    bench.reload("[[set]]\nname = \"others\"\ngateways = [\"sip:203.0.113.7\", \"sip:203.0.113.8\"]\n");
    bench.respond(&mut transaction, 503, "x");
    let best = bench.next(&mut transaction, Outcome::Response(503));
    assert_eq!(best, Err(None), "its set is gone: the search ends");
    bench.end(transaction, 503);
    for name in ["203.0.113.7:5060", "203.0.113.8:5060"] {
        assert_eq!(bench.figures(name), Figures::default());
    }
}

#[test]
fn a_call_of_a_gateway_that_was_taken_away_still_ends() {
    let mut bench = Bench::new(TWO);
    bench.established("1", "sip:203.0.113.1");
    bench.reload("[[set]]\nname = \"carriers\"\ngateways = [\"sip:203.0.113.7\"]\n");
    let bye = message("BYE", "sip:203.0.113.1", "1", "uac", "uas");
    let (verdict, transaction) =
        bench.in_dialog(&bye, CALLER, Proof::Token { from_initiator: true, to_far_side: false }, None);
    assert_eq!(verdict, Verdict::Forward, "the call's own address");
    bench.end(transaction, 200);
    assert_eq!(bench.policy.calls().active, 0);
}

#[test]
fn a_failing_transaction_goes_on_with_the_new_tables() {
    let mut bench = Bench::new("[[set]]\nname = \"carriers\"\ngateways = [\"sip:203.0.113.1\"]\n");
    let (_, mut transaction) = bench.call("1");
    bench.reload("[[set]]\nname = \"carriers\"\ngateways = [\"sip:203.0.113.1\", \"sip:203.0.113.2\"]\n");
    bench.respond(&mut transaction, 503, "x");
    assert_eq!(bench.next(&mut transaction, Outcome::Response(503)), Ok("203.0.113.2:5060".to_owned()));
}

#[test]
fn addresses_of_a_name_share_by_srv_weight_and_those_without_a_share_wait() {
    let toml = "[[set]]\nname = \"s\"\ngateways = [{ uri = \"sip:gw.example.com\", name = \"named\", weight = 3 }]\n";
    let mut bench = Bench::new(toml);
    let shares = [("203.0.113.1:5060", 7_000), ("203.0.113.2:5060", 3_000), ("203.0.113.3:5060", 0)];
    let named = shares.map(|(at, share)| NamedAddress { address: address(at), share });
    bench.addresses.insert(tuning::HostPort::parse("gw.example.com").unwrap(), named.to_vec());
    bench.reload(toml);
    let count = |bench: &mut Bench, calls: u32| {
        let mut counts: BTreeMap<SocketAddr, u32> = BTreeMap::new();
        for n in 0..calls {
            let (_, transaction) = bench.call(&n.to_string());
            *counts.entry(transaction.targets[0].0.next_hop).or_default() += 1;
            bench.end(transaction, 200);
        }
        counts
    };
    let counts = count(&mut bench, 1_000);
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [700, 300], "the third waits");
    bench.policy.unreachable(address("203.0.113.1:5060"), bench.now);
    bench.policy.unreachable(address("203.0.113.2:5060"), bench.now);
    let counts = count(&mut bench, 10);
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(address("203.0.113.3:5060"), 10)]);
}

#[test]
fn each_address_of_a_name_is_a_gateway_and_they_divide_its_share() {
    let toml = "[[set]]\nname = \"s\"\ngateways = [\n{ uri = \"sip:gw.example.com\", name = \"named\", weight = 50 },\n\
                { uri = \"sip:203.0.113.9\", name = \"plain\", weight = 50 }]\n";
    let mut bench = Bench::new(toml);
    assert_eq!(bench.state("named"), State::Unresolved);
    assert!((0..10).all(|n| bench.call(&n.to_string()).0 == "plain"));
    let name = tuning::HostPort::parse("gw.example.com").unwrap();
    bench.addresses.insert(name.clone(), vec![address("203.0.113.1:5060").into(), address("203.0.113.2:5060").into()]);
    bench.reload(toml);
    let mut counts: BTreeMap<SocketAddr, u32> = BTreeMap::new();
    for n in 0..400 {
        let (_, transaction) = bench.call(&n.to_string());
        let (target, uri) = &transaction.targets[0];
        *counts.entry(target.next_hop).or_default() += 1;
        if target.next_hop != address("203.0.113.9:5060") {
            assert_eq!(uri, "sip:4930123@gw.example.com");
        }
        bench.end(transaction, 200);
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [100, 100, 200]);
    bench.policy.unreachable(address("203.0.113.1:5060"), bench.now);
    bench.addresses.insert(name, vec![address("203.0.113.2:5060").into(), address("203.0.113.3:5060").into()]);
    bench.reload(toml);
    let addresses: Vec<_> = bench.policy.tables().addresses.iter().flatten().map(|known| known.address).collect();
    assert!(!addresses.contains(&address("203.0.113.1:5060")) && addresses.len() == 3);
}
