//! Point 4: what moves a call to the next gateway, and what the caller sees in the end.

use super::*;
use crate::dispatcher::figures::Cause;

const THREE: &str = "[[set]]\nname = \"carriers\"\ngateways = [\n\
    { uri = \"sip:203.0.113.1\", name = \"a\" }, { uri = \"sip:203.0.113.2\", name = \"b\" },\n\
    { uri = \"sip:203.0.113.3\", name = \"c\" },\n]\n";

fn failed(bench: &Bench, name: &str, cause: Cause) -> u64 {
    bench.figures(name).failed[cause as usize]
}

#[test]
fn every_gateway_once_and_a_last_503_stays() {
    let mut bench = Bench::new(THREE);
    let (first, mut transaction) = bench.call("1");
    let mut seen = vec![first];
    loop {
        bench.respond(&mut transaction, 503, "x");
        match bench.next(&mut transaction, Outcome::Response(503)) {
            Ok(next) => seen.push(next),
            Err(status) => break assert_eq!(status, None),
        }
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"]);
    assert!(["a", "b", "c"].iter().all(|name| failed(&bench, name, Cause::Unavailable) == 1));
    assert!(["a", "b", "c"].iter().all(|name| bench.figures(name).pending == 0));
}

#[test]
fn last_503_may_become_500() {
    let mut bench = Bench::new(&THREE.replace("[[set]]", "[[set]]\nlast_503 = \"500\"\nattempts_max = 1"));
    let (_, mut transaction) = bench.call("1");
    bench.respond(&mut transaction, 503, "x");
    assert_eq!(bench.next(&mut transaction, Outcome::Response(503)), Err(Some(500)));
    assert_eq!(bench.next(&mut transaction, Outcome::Unreachable), Err(Some(500)));
    assert_eq!(bench.next(&mut transaction, Outcome::Response(486)), Err(None));
}

#[test]
fn only_the_codes_of_the_set_move_a_call() {
    for (status, moves) in [
        (408, true),
        (500, true),
        (502, true),
        (503, true),
        (504, true),
        (486, false),
        (404, false),
        (501, false),
        (403, false),
        (302, false),
    ] {
        let mut bench = Bench::new(THREE);
        let (_, mut transaction) = bench.call("1");
        bench.respond(&mut transaction, status, "x");
        assert_eq!(bench.next(&mut transaction, Outcome::Response(status)).is_ok(), moves, "{status}");
    }
    let mut bench = Bench::new(&THREE.replace("[[set]]", "[[set]]\nfailover_codes = [\"4xx\"]"));
    let (_, mut transaction) = bench.call("1");
    bench.respond(&mut transaction, 404, "x");
    assert!(bench.next(&mut transaction, Outcome::Response(404)).is_ok());
    bench.respond(&mut transaction, 503, "x");
    assert!(bench.next(&mut transaction, Outcome::Response(404)).is_err(), "the last response decides, not the best");
}

#[test]
fn a_408_moves_a_call_only_before_it_rings() {
    let mut bench = Bench::new(THREE);
    let (_, mut transaction) = bench.call("1");
    bench.respond(&mut transaction, 180, "x");
    bench.respond(&mut transaction, 408, "x");
    assert!(bench.next(&mut transaction, Outcome::Response(408)).is_err());
    let (_, mut transaction) = bench.call("2");
    bench.respond(&mut transaction, 100, "");
    bench.respond(&mut transaction, 408, "x");
    assert!(bench.next(&mut transaction, Outcome::Response(408)).is_ok());
    let (_, mut transaction) = bench.call("3");
    bench.silence(&mut transaction, Outcome::TimedOut { ringing: true });
    assert!(bench.next(&mut transaction, Outcome::TimedOut { ringing: true }).is_err());
    let (_, mut transaction) = bench.call("4");
    bench.respond(&mut transaction, 183, "x");
    bench.respond(&mut transaction, 503, "x");
    assert!(bench.next(&mut transaction, Outcome::Response(503)).is_ok(), "other codes move it although it rang");
}

#[test]
fn silence_and_unreachable_move_a_call() {
    let mut bench = Bench::new(THREE);
    let (first, mut transaction) = bench.call("1");
    bench.wait(2_000);
    bench.silence(&mut transaction, Outcome::GivenUp);
    let second = bench.next(&mut transaction, Outcome::GivenUp).unwrap();
    bench.silence(&mut transaction, Outcome::Unreachable);
    bench.next(&mut transaction, Outcome::GivenUp).unwrap();
    assert_eq!((failed(&bench, &first, Cause::NoResponse), failed(&bench, &second, Cause::Unreachable)), (1, 1));
    assert_eq!(bench.state(&second), State::Down);
    // The branch that was given up lives on; its own end is not a second failure.
    let given_up = transaction.targets[0].0;
    bench.wait(30_000);
    bench.policy.silence(&given_up, Outcome::TimedOut { ringing: false }, &mut transaction.note, bench.now);
    assert_eq!((bench.figures(&first).failed_in_all(), bench.figures(&first).pending), (1, 0));
}

#[test]
fn a_dead_gateways_calls_spread_evenly_over_the_others() {
    let gateways: Vec<String> =
        (1..=5).map(|n| format!("{{ uri = \"sip:203.0.113.{n}\", name = \"g{n}\" }}")).collect();
    let toml = format!(
        "[[set]]\nname = \"s\"\nbreaker = {{ timeouts = 1000 }}\nprobe = \"off\"\ngateways = [{}]\n",
        gateways.join(",")
    );
    let mut bench = Bench::new(&toml);
    let mut carried: BTreeMap<String, u32> = BTreeMap::new();
    for n in 0..1_000 {
        let (mut gateway, mut transaction) = bench.call(&n.to_string());
        if gateway == "g3" {
            bench.silence(&mut transaction, Outcome::GivenUp);
            gateway = bench.next(&mut transaction, Outcome::GivenUp).unwrap();
        }
        *carried.entry(gateway).or_default() += 1;
        bench.end(transaction, 200);
    }
    assert_eq!(carried.into_values().collect::<Vec<_>>(), [250; 4]);
}

#[test]
fn attempts_are_bounded_by_the_set() {
    let mut bench = Bench::new(&THREE.replace("[[set]]", "[[set]]\nattempts_max = 2"));
    let (_, mut transaction) = bench.call("1");
    bench.respond(&mut transaction, 503, "x");
    assert!(bench.next(&mut transaction, Outcome::Response(503)).is_ok());
    bench.respond(&mut transaction, 503, "x");
    assert!(bench.next(&mut transaction, Outcome::Response(503)).is_err());
}

#[test]
fn a_set_overflows_when_all_were_tried_and_when_all_are_down() {
    let toml = "[[set]]\nname = \"main\"\noverflow = \"spare\"\ngateways = [{ uri = \"sip:203.0.113.1\", name = \"a\" }]\n\
                [[set]]\nname = \"spare\"\ngateways = [{ uri = \"sip:203.0.113.2\", name = \"b\" }]\n\
                [[route]]\nset = \"main\"\n";
    let mut bench = Bench::new(toml);
    let (first, mut transaction) = bench.call("1");
    assert_eq!(first, "a");
    bench.silence(&mut transaction, Outcome::Unreachable);
    assert_eq!(bench.next(&mut transaction, Outcome::Unreachable), Ok("b".to_owned()));
    bench.end(transaction, 200);
    assert_eq!(bench.call("2").0, "b", "its only gateway is down");
    bench.policy.unreachable(address("203.0.113.2:5060"), bench.now);
    let (verdict, _) = bench.request(&invite("3"), CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 503, reason: Reason::NoGateway });
}

#[test]
fn weight_zero_stands_in_when_the_others_failed() {
    let mut bench = Bench::new(&TWO.replace("weight = 30", "weight = 0"));
    for n in 0..20 {
        assert_eq!(bench.call(&n.to_string()).0, "a");
    }
    let (_, mut transaction) = bench.call("x");
    bench.respond(&mut transaction, 500, "x");
    assert_eq!(bench.next(&mut transaction, Outcome::Response(500)), Ok("b".to_owned()));
}

#[test]
fn a_late_answer_of_a_gateway_that_was_given_up_is_counted_and_opens_the_call() {
    let mut bench = Bench::new(THREE);
    let (first, mut transaction) = bench.call("1");
    let given_up = transaction.targets[0].0;
    bench.wait(2_000);
    bench.silence(&mut transaction, Outcome::GivenUp);
    let second = bench.next(&mut transaction, Outcome::GivenUp).unwrap();
    bench.respond(&mut transaction, 200, "second");
    transaction.sent = Mono(transaction.sent.0 - 2_000_000);
    bench.wait(500);
    bench.respond_from(&mut transaction, given_up, 200, "first", "");
    assert_eq!((bench.figures(&first).late, bench.figures(&first).active), (1, 1));
    assert_eq!((bench.figures(&second).late, bench.figures(&second).active), (0, 1));
}

#[test]
fn a_response_from_elsewhere_is_counted_under_its_gateway_with_its_address() {
    let mut bench = Bench::new(THREE);
    let (gateway, transaction) = bench.call("1");
    let elsewhere = address("203.0.113.77:5060");
    bench.policy.response_refused(&transaction.targets[0].0, elsewhere);
    let figures = bench.figures(&gateway);
    assert_eq!((figures.refused_responses, figures.refused_from), (1, Some(elsewhere)));
}
