//! States of gateways as calls make them, events between shards, and what is chosen then.

use super::*;
use crate::dispatcher::health::Why;

/// Lets calls to `dead` go unanswered until none is sent there any more; how many were.
fn die(bench: &mut Bench, dead: &str) -> usize {
    let mut unanswered = 0;
    for n in 0..200 {
        let (gateway, mut transaction) = bench.call(&format!("die-{n}"));
        if gateway == dead {
            unanswered += 1;
            bench.wait(2_000);
            bench.silence(&mut transaction, Outcome::GivenUp);
        } else {
            bench.respond(&mut transaction, 200, "x");
        }
        bench.end(transaction, 200);
    }
    unanswered
}

#[test]
fn three_calls_that_get_nothing_take_a_gateway_out() {
    let mut bench = Bench::new(TWO);
    assert_eq!(die(&mut bench, "a"), 3);
    let row = bench.snapshot("a");
    assert_eq!((row.state, row.why), (State::Down, Why::NoResponse));
    assert_eq!(row.since, bench.now.wall);
    assert_eq!(bench.state("b"), State::Up);
}

#[test]
fn calls_try_it_after_a_while_and_bring_it_back() {
    let mut bench = Bench::new(&TWO.replace("[[set]]", "[[set]]\nprobe = \"off\""));
    die(&mut bench, "a");
    bench.wait(10_000);
    let mut tried = 0;
    for n in 0..100 {
        let (gateway, mut transaction) = bench.call(&format!("back-{n}"));
        tried += usize::from(gateway == "a");
        if tried == 1 && gateway == "a" {
            assert_eq!(bench.state("a"), State::Trying);
            assert_eq!(bench.call("meanwhile").0, "b", "one trial at a time");
        }
        bench.respond(&mut transaction, 200, "x");
        bench.end(transaction, 200);
    }
    assert_eq!((bench.state("a"), bench.snapshot("a").why), (State::Up, Why::CallAnswered));
    assert!(tried > 50, "{tried}");
}

#[test]
fn a_failed_trial_closes_it_again() {
    let mut bench = Bench::new(&TWO.replace("[[set]]", "[[set]]\nprobe = \"off\""));
    die(&mut bench, "a");
    bench.wait(10_000);
    assert_eq!(die(&mut bench, "a"), 1);
    assert_eq!(bench.state("a"), State::Down);
}

#[test]
fn a_503_moves_its_own_call_only() {
    let mut bench = Bench::new(TWO);
    for n in 0..200 {
        let (gateway, mut transaction) = bench.call(&n.to_string());
        bench.respond(&mut transaction, if gateway == "a" && n % 20 != 0 { 503 } else { 200 }, "x");
        bench.end(transaction, 200);
        bench.wait(10);
    }
    assert_eq!(bench.state("a"), State::Up);
}

#[test]
fn fifty_calls_that_get_nothing_but_503_take_it_out() {
    let mut bench = Bench::new(TWO);
    let mut refused = 0;
    for n in 0..200 {
        let (gateway, mut transaction) = bench.call(&n.to_string());
        refused += usize::from(gateway == "a");
        bench.respond(&mut transaction, if gateway == "a" { 503 } else { 200 }, "x");
        bench.end(transaction, 200);
        bench.wait(10);
    }
    assert_eq!((refused, bench.state("a"), bench.snapshot("a").why), (50, State::Down, Why::Answers503));
}

#[test]
fn unreachable_takes_it_out_at_once_and_the_last_one_means_503_at_once() {
    let mut bench = Bench::new(TWO);
    bench.policy.unreachable(address("203.0.113.1:5060"), bench.now);
    bench.policy.unreachable(address("203.0.113.1:5061"), bench.now);
    assert!((0..10).all(|n| bench.call(&n.to_string()).0 == "b"));
    bench.policy.unreachable(address("203.0.113.2:5070"), bench.now);
    let (verdict, _) = bench.request(&invite("x"), CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 503, reason: Reason::NoGateway });
}

#[test]
fn shards_stand_alike() {
    let toml = format!("{HEAD}{TWO}");
    let mut shards = [Bench::with(&toml, 0, 2), Bench::with(&toml, 1, 2)];
    let pass_on = |shards: &mut [Bench; 2]| {
        for (from, to) in [(0, 1), (1, 0)] {
            while let Some(event) = shards[from].policy.next_event() {
                let now = shards[from].now;
                shards[to].policy.apply_event(event, now);
            }
        }
    };
    // Three silent calls, wherever they were.
    for (shard, id) in [(0, "1"), (1, "2"), (0, "3")] {
        assert_eq!(shards[shard].state("a"), State::Up);
        let (gateway, mut transaction) = shards[shard].call(id);
        assert_eq!(gateway, if id == "3" { "b" } else { "a" });
        shards.iter_mut().for_each(|bench| bench.wait(2_000));
        let target = Target { gateway: shards[shard].snapshot("a").number.0, ..transaction.targets[0].0 };
        let now = shards[shard].now;
        shards[shard].policy.silence(&target, Outcome::GivenUp, &mut transaction.note, now);
        pass_on(&mut shards);
    }
    assert_eq!((shards[0].state("a"), shards[1].state("a")), (State::Down, State::Down));
    assert!(shards.iter_mut().all(|bench| bench.policy.next_event().is_none()), "events do not echo");
    // And a response on one ends the count of the other.
    let mut shards = [Bench::with(&toml, 0, 2), Bench::with(&toml, 1, 2)];
    for _ in 0..5 {
        let (_, mut silent) = shards[0].call("s");
        shards.iter_mut().for_each(|bench| bench.wait(2_000));
        shards[0].silence(&mut silent, Outcome::GivenUp);
        pass_on(&mut shards);
        let (_, mut heard) = shards[1].call("h");
        shards[1].respond_from(&mut heard, silent.targets[0].0, 100, "", "");
        pass_on(&mut shards);
        shards.iter_mut().for_each(|bench| bench.wait(1));
    }
    assert_eq!((shards[0].state("a"), shards[1].state("a")), (State::Up, State::Up));
}

#[test]
fn operators_overrule() {
    let mut bench = Bench::new(TWO);
    bench.marks.insert("a".to_owned(), Mark::Disabled);
    bench.reload(TWO);
    assert_eq!(bench.state("a"), State::Disabled);
    assert!((0..10).all(|n| bench.call(&n.to_string()).0 == "b"));
    bench.marks.insert("b".to_owned(), Mark::Draining);
    bench.reload(TWO);
    assert_eq!(bench.state("b"), State::Draining);
    assert!(matches!(bench.request(&invite("x"), CALLER).0, Verdict::Reply { status: 503, .. }));
    bench.marks.clear();
    bench.reload(TWO);
    assert_eq!((bench.state("a"), bench.state("b")), (State::Up, State::Up));
}

#[test]
fn a_branch_to_a_gateway_disabled_meanwhile_does_not_leave() {
    let mut bench = Bench::new(TWO);
    let (_, mut transaction) = bench.call("1");
    bench.marks.insert("a".to_owned(), Mark::Disabled);
    bench.reload(TWO);
    let target = transaction.targets[0].0;
    assert!(!bench.policy.branch(b"", &target, &mut transaction.note, bench.now));
    assert_eq!(bench.figures("a").pending, 0);
}

/// What could not leave this host is not held against whom it was for; what left and was not answered is.
#[test]
fn silence_while_our_address_is_away_is_nobodys_fault() {
    let mut bench = Bench::new(TWO);
    let silent_call = |bench: &mut Bench, id: &str, away: bool| {
        let (gateway, mut transaction) = bench.call(id);
        bench.wait(100);
        if away {
            let now = bench.now;
            bench.policy.could_not_send(0, now);
        }
        let wait = transaction.targets[0].0.no_response;
        bench.wait(wait.0 / 1_000 - 100);
        bench.silence(&mut transaction, Outcome::GivenUp);
        bench.end(transaction, 408);
        gateway
    };
    for round in 0..30 {
        silent_call(&mut bench, &format!("away{round}"), true);
    }
    assert_eq!((bench.state("a"), bench.state("b")), (State::Up, State::Up));
    let down = (0..30).any(|round| {
        let gateway = silent_call(&mut bench, &format!("here{round}"), false);
        bench.state(&gateway) != State::Up
    });
    assert!(down, "silence counts again");
}
