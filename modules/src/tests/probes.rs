//! Probes: when they are due, what they say, and what their outcome does.

use super::*;
use crate::dispatcher::health::Why;
use crate::dispatcher::probe::Probe;
use proto::message::{Method, Writer};

/// Lets time pass to the next deadline; the probe that is due then.
fn next_probe(bench: &mut Bench) -> Probe {
    for _ in 0..10 {
        let at = bench.policy.deadline().unwrap();
        bench.now.mono = bench.now.mono.max(at);
        bench.policy.on_deadline(bench.now);
        if let Some(probe) = bench.policy.next_probe(bench.now) {
            return probe;
        }
    }
    panic!("no probe is due");
}

fn end(bench: &mut Bench, probe: &Probe, outcome: Outcome) {
    bench.policy.own_response(probe.ticket, outcome, Micros(700), bench.now);
}

/// Answers all probes for `seconds`, except those to `dead`.
fn run(bench: &mut Bench, seconds: u64, dead: &str) -> BTreeMap<SocketAddr, Vec<Mono>> {
    let until = bench.now.mono.after(Micros::from_secs(seconds));
    let mut sent: BTreeMap<SocketAddr, Vec<Mono>> = BTreeMap::new();
    while let Some(at) = bench.policy.deadline().filter(|at| *at <= until) {
        bench.now.mono = bench.now.mono.max(at);
        bench.policy.on_deadline(bench.now);
        while let Some(probe) = bench.policy.next_probe(bench.now) {
            sent.entry(probe.target.next_hop).or_default().push(bench.now.mono);
            if probe.target.next_hop.to_string() != dead {
                end(bench, &probe, Outcome::Response(200));
            }
        }
    }
    bench.now.mono = until;
    sent
}

#[test]
fn every_ten_seconds_with_jitter() {
    let mut bench = Bench::new(TWO);
    let sent = run(&mut bench, 300, "");
    assert_eq!(sent.len(), 2);
    let mut pauses = Vec::new();
    for times in sent.values() {
        assert!(times[0] < Mono(1_001_000_000), "the first within a second");
        pauses.extend(times.windows(2).map(|pair| pair[1].since(pair[0]).0 / 1_000));
    }
    assert!(pauses.iter().all(|ms| (9_000..=11_000).contains(ms)), "{pauses:?}");
    pauses.sort_unstable();
    pauses.dedup();
    assert!(pauses.len() > 10, "they do not march in step");
    assert_eq!(bench.snapshot("a").probe_latency, Micros(700));
}

#[test]
fn missed_probes_come_two_seconds_apart_and_three_take_it_down() {
    let mut bench = Bench::new(TWO);
    run(&mut bench, 20, "");
    let sent = run(&mut bench, 30, "203.0.113.1:5060");
    let times = &sent[&address("203.0.113.1:5060")];
    assert!(times.len() >= 5);
    assert_eq!((bench.state("a"), bench.snapshot("a").why), (State::Down, Why::ProbesMissed));
    assert!((0..10).all(|n| bench.call(&n.to_string()).0 == "b"));
    run(&mut bench, 10, "");
    assert_eq!((bench.state("a"), bench.snapshot("a").why), (State::Up, Why::ProbesAnswered));
}

#[test]
fn all_down_by_probes_alone_are_tried_anyway() {
    let mut bench = Bench::new(TWO);
    run(&mut bench, 20, "");
    for _ in 0..10 {
        let probe = next_probe(&mut bench);
        end(&mut bench, &probe, Outcome::Response(503));
    }
    assert_eq!((bench.state("a"), bench.state("b")), (State::Down, State::Down));
    bench.call("1");
    bench.policy.unreachable(address("203.0.113.1:5060"), bench.now);
    assert!((0..5).all(|n| bench.call(&n.to_string()).0 == "b"), "a call has something against the other");
}

#[test]
fn one_that_never_answered_is_not_taken_down_by_probes() {
    let mut bench = Bench::new(TWO);
    run(&mut bench, 60, "203.0.113.1:5060");
    assert_eq!(bench.state("a"), State::Up);
}

#[test]
fn answered_probes_let_calls_try_a_broken_gateway() {
    let mut bench = Bench::new(TWO);
    run(&mut bench, 20, "");
    bench.policy.unreachable(address("203.0.113.1:5060"), bench.now);
    assert_eq!(bench.state("a"), State::Down);
    run(&mut bench, 6, "");
    assert_eq!(bench.state("a"), State::Trying);
    for n in 0..20 {
        let (_, mut transaction) = bench.call(&n.to_string());
        bench.respond(&mut transaction, 200, "x");
    }
    assert_eq!(bench.state("a"), State::Up);
}

#[test]
fn an_address_of_two_sets_is_probed_once_by_one_shard_and_judged_once() {
    let toml = format!(
        "{HEAD}[[set]]\nname = \"one\"\ngateways = [{{ uri = \"sip:203.0.113.1\", name = \"a\" }}]\n\
         [[set]]\nname = \"two\"\ngateways = [{{ uri = \"sip:203.0.113.1\", name = \"b\" }}, {{ uri = \"sip:203.0.113.2\", name = \"c\" }}]\n\
         [[route]]\nprefix = \"1\"\nset = \"one\"\n[[route]]\nset = \"two\"\n"
    );
    let mut probed = Vec::new();
    for shard in 0..4 {
        let mut bench = Bench::with(&toml, shard, 4);
        probed.extend(run(&mut bench, 5, "").into_keys());
        bench.policy.unreachable(address("203.0.113.1:5060"), bench.now);
        assert_eq!((bench.state("a"), bench.state("b"), bench.state("c")), (State::Down, State::Down, State::Up));
    }
    probed.sort();
    assert_eq!(probed, [address("203.0.113.1:5060"), address("203.0.113.2:5060")]);
}

#[test]
fn what_a_probe_says() {
    let probe_table = "[probe]\nfrom_user = \"tandem\"\nrequest_user = \"ping\"\n";
    let mut bench = Bench::new(&format!("{TWO}{probe_table}"));
    let probe = loop {
        let probe = next_probe(&mut bench);
        if probe.target.next_hop == address("203.0.113.2:5070") {
            break probe;
        }
    };
    let mut area = [0u8; 1_024];
    let mut out = Writer::new(&mut area);
    probe.write(bench.policy.tables(), &mut out, b"Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1\r\n");
    let length = out.finish().unwrap();
    let mut arena = Arena::new();
    let message = Message::parse(&area[..length], &mut arena).unwrap();
    proto::message::validate_request(&message).unwrap();
    assert_eq!((message.method(), message.request_uri()), (Method::Options, &b"sip:ping@203.0.113.2:5070"[..]));
    assert_eq!(message.from().unwrap().uri, b"sip:tandem@198.51.100.1:5060");
    assert_eq!((message.from_tag(), message.call_id()), (probe.from_tag(), probe.call_id()));
    assert_eq!(message.to().unwrap().uri, b"sip:ping@203.0.113.2:5070");
    let contact = message.name_addrs(proto::message::HeaderName::Contact).next().unwrap().unwrap();
    assert_eq!(contact.uri, b"sip:198.51.100.1:5060");
    assert_ne!(probe.call_id(), probe.from_tag());
}

#[test]
fn probing_off_asks_nobody_and_forgets_what_probes_said() {
    let mut bench = Bench::new(TWO);
    run(&mut bench, 20, "");
    run(&mut bench, 30, "203.0.113.1:5060");
    assert_eq!(bench.state("a"), State::Down);
    bench.reload(&TWO.replace("[[set]]", "[[set]]\nprobe = \"off\""));
    assert_eq!((bench.state("a"), bench.policy.deadline()), (State::Up, None));
}
