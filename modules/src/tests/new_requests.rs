//! Point 1: sources, OPTIONS, drain, routes, and the Request-URI for a gateway.

use super::*;
use crate::Serving;
use proto::message::Writer;

fn options(uri: &str) -> String {
    message("OPTIONS", uri, "o", "uac", "")
}

#[test]
fn ten_lines_share_seventy_to_thirty() {
    let mut bench = Bench::new(TWO);
    let mut counts = BTreeMap::new();
    for n in 0..1_000 {
        let (gateway, transaction) = bench.call(&n.to_string());
        *counts.entry(gateway).or_insert(0) += 1;
        bench.end(transaction, 486);
    }
    assert_eq!(counts, BTreeMap::from([("a".to_owned(), 700), ("b".to_owned(), 300)]));
    assert_eq!((bench.figures("a").attempts, bench.figures("a").pending), (700, 0));
}

#[test]
fn the_request_uri_becomes_the_gateways() {
    let mut bench = Bench::new(TWO);
    let (_, first) = bench.call("1");
    assert_eq!(first.targets[0].1, "sip:4930123@203.0.113.1");
    assert_eq!(first.targets[0].0.next_hop, address("203.0.113.1:5060"));
    assert_eq!(first.targets[0].0.no_response, Micros::from_secs(2));
    let long =
        message("INVITE", "sip:+49;npdi:pw@198.51.100.1;user=phone;transport=udp;maddr=10.0.0.1;x=%41", "2", "t", "");
    let (_, second) = bench.request(&long, CALLER);
    assert_eq!(second.targets[0].1, "sip:+49;npdi:pw@203.0.113.2:5070;user=phone;x=%41");
    let (_, third) = bench.request(&message("INVITE", "tel:+49-30-1;phone-context=x", "3", "t", ""), CALLER);
    assert_eq!(third.targets[0].1, "sip:+49-30-1;phone-context=x@203.0.113.1;user=phone");
}

#[test]
fn request_uri_keep_leaves_it() {
    let mut bench = Bench::new(&TWO.replace("[[set]]", "[[set]]\nrequest_uri = \"keep\""));
    let (_, transaction) = bench.call("1");
    assert_eq!(transaction.targets[0].1, "");
}

#[test]
fn strangers_are_dropped_and_remembered() {
    let mut bench = Bench::new(TWO);
    for _ in 0..3 {
        let (verdict, _) = bench.request(&invite("1"), "203.0.113.99:5060");
        assert_eq!(verdict, Verdict::Drop(Reason::StrangerDropped));
    }
    let (verdict, _) = bench.request(&options("sip:198.51.100.1"), "203.0.113.99:5060");
    assert_eq!(verdict, Verdict::Drop(Reason::StrangerOptions));
    assert_eq!((bench.count(Reason::StrangerDropped), bench.count(Reason::StrangerOptions)), (3, 1));
    let known: Vec<_> = bench.policy.unknown_sources().iter().collect();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].address, known[0].count), (address("203.0.113.99:1").ip(), 4));
    assert_eq!((known[0].from(), known[0].to()), (&b"sip:alice@example.com"[..], &b"sip:bob@example.com"[..]));
}

#[test]
fn strangers_get_403_when_the_file_says_so_but_their_options_nothing() {
    let mut bench = Bench::new(&format!("{TWO}[policy]\nstrangers = \"403\"\n"));
    let (verdict, _) = bench.request(&invite("1"), "203.0.113.99:5060");
    assert_eq!(verdict, Verdict::Reply { status: 403, reason: Reason::StrangerForbidden });
    let (verdict, _) = bench.request(&options("sip:198.51.100.1"), "203.0.113.99:5060");
    assert_eq!(verdict, Verdict::Drop(Reason::StrangerOptions));
}

#[test]
fn a_flood_of_strangers_takes_no_more_room() {
    let mut bench = Bench::new(TWO);
    for n in 0..10_000u32 {
        let source = SocketAddr::new(std::net::Ipv4Addr::from(0x0a00_0000 + n).into(), 5060);
        bench.request(&invite("1"), &source.to_string());
    }
    assert!(bench.policy.unknown_sources().iter().count() <= 64);
    assert!(bench.policy.unknown_sources().forgotten() >= 10_000 - 64);
}

#[test]
fn options_to_us_are_answered_to_sources_and_gateways() {
    let mut bench = Bench::new(TWO);
    for (uri, source) in
        [("sip:198.51.100.1", CALLER), ("sip:ping@198.51.100.1:5060", CALLER), ("sip:198.51.100.1", "203.0.113.2:9999")]
    {
        let (verdict, _) = bench.request(&options(uri), source);
        assert_eq!(verdict, Verdict::Reply { status: 200, reason: Reason::OptionsAnswered }, "{uri} {source}");
    }
    let (verdict, _) = bench.request(&options("sip:198.51.100.9"), CALLER);
    assert_eq!(verdict, Verdict::Forward, "not to us: it goes its way");
    let (verdict, _) = bench.request(&options("sip:198.51.100.9"), "203.0.113.2:5070");
    assert_eq!(verdict, Verdict::Drop(Reason::StrangerOptions), "a gateway is no source");
    let (verdict, _) = bench.request(&invite("1"), "203.0.113.2:5070");
    assert_eq!(verdict, Verdict::Drop(Reason::StrangerDropped), "a gateway is no source");
}

#[test]
fn drain_has_two_steps() {
    let mut bench = Bench::new(TWO);
    bench.policy.serve(Serving::Leaving);
    let (verdict, _) = bench.request(&options("sip:198.51.100.1"), CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 503, reason: Reason::OptionsWhileDraining });
    bench.call("1");
    bench.policy.serve(Serving::Refusing);
    let (verdict, _) = bench.request(&invite("2"), CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 503, reason: Reason::Draining });
    bench.policy.serve(Serving::Normal);
    bench.call("3");
}

#[test]
fn the_first_route_that_matches_wins() {
    let mut bench = Bench::with(
        "[listen]\nudp = [\"198.51.100.1:5060\", \"198.51.100.1:5080\"]\n\
         [[source]]\nname = \"retail\"\nprefixes = [\"192.0.2.0/24\"]\n\
         [[source]]\nname = \"wholesale\"\nprefixes = [\"192.0.2.128/25\"]\n\
         [[set]]\nname = \"one\"\ngateways = [\"sip:203.0.113.1\"]\n\
         [[set]]\nname = \"two\"\ngateways = [\"sip:203.0.113.2\"]\n\
         [[set]]\nname = \"three\"\ngateways = [\"sip:203.0.113.3\"]\n\
         [[set]]\nname = \"four\"\ngateways = [\"sip:203.0.113.4\"]\n\
         [[route]]\nsource = \"wholesale\"\nset = \"one\"\n\
         [[route]]\ndomain = [\"Voice.Example.com\"]\nset = \"two\"\n\
         [[route]]\nprefix = [\"49\", \"43\"]\nset = \"three\"\n\
         [[route]]\nlistener = \"198.51.100.1:5080\"\nset = \"four\"\n",
        0,
        1,
    );
    let mut set_of = |uri: &str, source: &str| match bench.request(&message("INVITE", uri, "i", "t", ""), source) {
        (Verdict::Forward, transaction) => bench.gateway_of(&transaction.targets[0].0),
        (verdict, _) => format!("{verdict:?}"),
    };
    assert_eq!(set_of("sip:1@198.51.100.1", "192.0.2.200:5060"), "203.0.113.1:5060");
    assert_eq!(set_of("sip:49@voice.example.COM", CALLER), "203.0.113.2:5060");
    assert_eq!(set_of("sip:+4930@198.51.100.1", CALLER), "203.0.113.3:5060");
    assert_eq!(set_of("sip:43;npdi@198.51.100.1", CALLER), "203.0.113.3:5060");
    assert_eq!(set_of("tel:+431", CALLER), "203.0.113.3:5060");
    assert!(set_of("sip:1@198.51.100.1", CALLER).contains("404"));
    assert_eq!(bench.count(Reason::NoRoute), 1);
}

#[test]
fn a_full_call_table_refuses_new_calls_and_nothing_else() {
    let mut bench = Bench::new(TWO);
    for n in 0..CALLS {
        bench.established(&n.to_string(), "sip:203.0.113.1");
    }
    let (verdict, _) = bench.request(&invite("more"), CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 503, reason: Reason::CallTableFull });
    let (verdict, _) = bench.request(&message("MESSAGE", "sip:1@198.51.100.1", "m", "t", ""), CALLER);
    assert_eq!(verdict, Verdict::Forward);
}

#[test]
fn a_cancel_of_nothing_and_a_stray_ack() {
    let mut bench = Bench::new(TWO);
    let (verdict, _) = bench.request(&message("CANCEL", "sip:1@198.51.100.1", "1", "t", ""), CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 481, reason: Reason::CancelUnknown });
    let (verdict, _) = bench.request(&message("ACK", "sip:1@198.51.100.1", "1", "t", ""), CALLER);
    assert_eq!(verdict, Verdict::Drop(Reason::StrayAck));
}

#[test]
fn a_stateless_set_sends_invite_cancel_and_ack_the_same_way() {
    let mut bench = Bench::new(&TWO.replace("[[set]]", "[[set]]\nstateless = true\nalgorithm = \"hash-call-id\""));
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..20 {
        let id = n.to_string();
        let (verdict, sent) = bench.request(&invite(&id), CALLER);
        assert_eq!(verdict, Verdict::ForwardStateless);
        let (verdict, cancel) = bench.request(&message("CANCEL", "sip:4930123@198.51.100.1", &id, "uac", ""), CALLER);
        assert_eq!((verdict, &cancel.targets), (Verdict::ForwardStateless, &sent.targets));
        let ack = message("ACK", "sip:4930123@198.51.100.1", &id, "uac", "theirs");
        let (verdict, ack) = bench.in_dialog(&ack, CALLER, Proof::None, None);
        assert_eq!((verdict, &ack.targets), (Verdict::ForwardStateless, &sent.targets));
        seen.insert(sent.targets[0].0.next_hop);
    }
    assert_eq!(seen.len(), 2);
    assert_eq!(bench.figures("a").attempts + bench.figures("b").attempts, 20);
    assert_eq!(bench.figures("a").pending, 0, "nothing is kept of it");
}

#[test]
fn parallel_tries_all_at_once() {
    let two = TWO.replace(", weight = 70", "").replace(", weight = 30", "");
    let mut bench = Bench::new(&two.replace("[[set]]", "[[set]]\nalgorithm = \"parallel\""));
    let (_, transaction) = bench.call("1");
    assert_eq!(transaction.targets.len(), 2);
    assert_eq!(transaction.targets[1].1, "sip:4930123@203.0.113.2:5070");
    bench.end(transaction, 200);
    assert_eq!(bench.figures("b").pending, 0);
}

#[test]
fn calls_max_is_a_bound_of_all_shards_together() {
    let toml = format!("{HEAD}{}", TWO.replace("weight = 70", "weight = 30, calls_max = 5"));
    let mut carried = 0;
    for shard in 0..3 {
        let mut bench = Bench::with(&toml, shard, 3);
        for n in 0..20 {
            bench.established(&format!("{shard}-{n}"), "sip:203.0.113.1");
        }
        carried += bench.figures("a").active;
    }
    assert_eq!(carried, 5);
}

#[test]
fn a_request_uri_that_does_not_fit_is_414() {
    let mut bench = Bench::new(&TWO.replace("203.0.113.1\"", "gateway.with.a.long.name.example.com\""));
    bench.addresses.insert(
        tuning::HostPort::parse("gateway.with.a.long.name.example.com").unwrap(),
        vec![address("203.0.113.1:5060").into()],
    );
    bench.reload(&TWO.replace("203.0.113.1\"", "gateway.with.a.long.name.example.com\""));
    let uri = format!("sip:{}@1.1.1.1", "9".repeat(2_030));
    let (verdict, _) = bench.request(&message("INVITE", &uri, "1", "t", ""), CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 414, reason: Reason::RequestUriTooLong });
}

#[test]
fn same_input_same_verdict() {
    let run = || {
        let mut bench = Bench::new(&TWO.replace("[[set]]", "[[set]]\nalgorithm = \"random\""));
        (0..200).map(|n| bench.call(&n.to_string()).0).collect::<String>()
    };
    assert_eq!(run(), run());
    let mut area = [0u8; 4];
    let writer = Writer::new(&mut area);
    assert!(writer.is_empty());
}
