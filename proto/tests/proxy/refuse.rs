//! What is refused or dropped, with which answer, and that nothing is kept for it (RFC 3261 §16.3, §8.2.7).

use crate::rig::*;
use proto::proxy::{Capacity, Drop, Refused};

const GATEWAY: &str = "127.0.0.1:5071";

/// The answer to a request that is refused before the policy is asked.
#[track_caller]
fn refused(text: &str, why: Refused, status: &str) -> String {
    let mut rig = Rig::new([]);
    rig.receive(CALLER, text);
    let answer = rig.expect(CALLER, status);
    assert_eq!(rig.refused(why), 1);
    assert!(header(&answer, "To").unwrap().contains(";tag="));
    // Its ACK is absorbed though nothing is kept.
    if text.starts_with("INVITE") {
        let tag = header(&answer, "To").unwrap();
        let ack = request("ACK", "z9hG4bKa", &tag["<sip:called@127.0.0.1:5060>".len()..], "");
        let uri = text.split(' ').nth(1).unwrap();
        rig.receive(CALLER, &ack.replace("ACK sip:called@127.0.0.1:5060", &format!("ACK {uri}")));
        rig.expect_nothing();
        assert_eq!(rig.dropped(Drop::AckAbsorbed), 1);
    }
    rig.expect_empty();
    answer
}

#[test]
pub fn by_the_rules_of_16_3() {
    let good = invite("z9hG4bKa");
    refused(&good.replace("Forwards: 70", "Forwards: 0"), Refused::MaxForwards, "SIP/2.0 483");
    refused(&good.replace("INVITE sip:", "INVITE mailto:"), Refused::Scheme, "SIP/2.0 416");
    refused(&good.replace("CSeq: 1", "CSeq: x"), Refused::Invalid, "SIP/2.0 400 Bad CSeq");
    refused(&good.replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"), Refused::Invalid, "SIP/2.0 505");
    let extension = good.replace("Max-F", "Proxy-Require: foo, bar\r\nMax-F");
    let answer = refused(&extension, Refused::ProxyRequire, "SIP/2.0 420");
    assert_eq!(headers(&answer, "Unsupported"), ["foo", "bar"]);
}

#[test]
pub fn a_stranger_gets_no_answer_whatever_he_sends() {
    let good = invite("z9hG4bKa");
    for text in [good.clone(), good.replace("CSeq: 1", "CSeq: x"), good.replace("Length: 0", "Length: 9")] {
        let mut rig = Rig::new([]);
        rig.proxy.policy.stranger = true;
        rig.receive(CALLER, &text);
        rig.expect_nothing();
        rig.expect_empty();
    }
}

#[test]
pub fn by_the_policy() {
    let mut rig = Rig::new([Say::Reply(404), Say::Reply(404), Say::Drop, Say::Reply(200)]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    let first = rig.expect(CALLER, "SIP/2.0 404 Not Found");
    rig.receive(CALLER, &invite("z9hG4bKa"));
    assert_eq!(rig.expect(CALLER, "SIP/2.0 404"), first, "the same answer every time");
    rig.receive(CALLER, &invite("z9hG4bKb"));
    rig.expect_nothing();
    rig.receive(CALLER, &request("OPTIONS", "z9hG4bKc", "", ""));
    let ok = rig.expect(CALLER, "SIP/2.0 200 OK");
    assert!(header(&ok, "Allow").is_some() && header(&ok, "Accept").is_some());
    assert_eq!((rig.refused(Refused::Policy), rig.dropped(Drop::Policy)), (2, 1));
    rig.expect_empty();
}

#[test]
pub fn an_options_to_us_needs_no_hop() {
    let ping = request("OPTIONS", "z9hG4bKa", "", "").replace("Forwards: 70", "Forwards: 0");
    let mut rig = Rig::new([Say::Reply(200), Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &ping);
    rig.expect(CALLER, "SIP/2.0 200");
    rig.receive(CALLER, &ping);
    rig.expect(CALLER, "SIP/2.0 483");
    assert_eq!(rig.proxy.policy.ends, [483], "the policy hears that its choice came to nothing");
    rig.receive(CALLER, &ping.replace("OPTIONS sip:called@127.0.0.1:5060", "OPTIONS sip:called@192.0.2.1"));
    rig.expect(CALLER, "SIP/2.0 483");
    rig.expect_empty();
}

#[test]
pub fn a_loop_is_told_from_a_spiral() {
    let mut rig = Rig::new([Say::Keep(GATEWAY), Say::Keep("127.0.0.9:5071"), Say::Keep(GATEWAY), Say::Keep(GATEWAY)]);
    let sent = rig.call(GATEWAY);
    // It comes back as it went: a loop.
    let back = sent.replacen("Via: ", "Via: SIP/2.0/UDP 127.0.0.1:5071;branch=z9hG4bKgw\r\nVia: ", 1);
    rig.receive(GATEWAY, &back);
    rig.expect(GATEWAY, "SIP/2.0 482");
    assert_eq!(rig.refused(Refused::Loop), 1);
    // From another source, by which other routes are chosen: a spiral; but not twice.
    rig.receive("127.0.0.9:5071", &back);
    rig.expect("127.0.0.9:5071", "SIP/2.0 100");
    let again = rig.expect("127.0.0.9:5071", "INVITE");
    rig.receive(
        "127.0.0.9:5071",
        &again.replacen("Via: ", "Via: SIP/2.0/UDP 127.0.0.9:5071;branch=z9hG4bKw2\r\nVia: ", 1),
    );
    rig.expect("127.0.0.9:5071", "SIP/2.0 482");
    // With another Request-URI or Route: a spiral.
    rig.receive(GATEWAY, &back.replace("INVITE sip:called@", "INVITE sip:other@").replace("z9hG4bKgw", "z9hG4bKgw1"));
    rig.expect(GATEWAY, "SIP/2.0 100");
    rig.expect(GATEWAY, "INVITE sip:other@");
    let routed =
        back.replace("z9hG4bKgw", "z9hG4bKgw2").replacen("Max-F", "Route: <sip:127.0.0.1:5060;lr>\r\nMax-F", 1);
    rig.receive(GATEWAY, &routed);
    rig.expect(GATEWAY, "SIP/2.0 100");
    rig.expect(GATEWAY, "INVITE");
}

#[test]
pub fn a_branch_that_looks_like_ours_is_no_loop() {
    let mut rig = Rig::new([Say::Keep(GATEWAY)]);
    let forged = "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKEQEAAAwIAAB45XXj_SZC3Y7FBG2_ZjWK0NGCAA\r\n";
    rig.receive(CALLER, &invite("z9hG4bKa").replacen("From: ", &format!("{forged}From: "), 1));
    rig.expect(CALLER, "SIP/2.0 100");
    rig.expect(GATEWAY, "INVITE");
}

#[test]
pub fn merged_requests_are_both_carried() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY]), Say::Forward(vec![GATEWAY])]);
    rig.call(GATEWAY);
    rig.receive(CALLER, &invite("z9hG4bKb"));
    rig.expect(CALLER, "SIP/2.0 100");
    rig.expect(GATEWAY, "INVITE");
}

#[test]
pub fn a_full_pool_refuses_new_work_and_carries_on_with_the_old() {
    let full = [
        Capacity { transactions: 1, open: 8, branches: 8, bytes: 1 << 17 },
        Capacity { transactions: 8, open: 1, branches: 8, bytes: 1 << 17 },
        Capacity { transactions: 8, open: 8, branches: 1, bytes: 1 << 17 },
    ];
    for capacity in full {
        let mut settings = settings();
        settings.capacity = capacity;
        let mut rig = Rig::with(settings, [Say::Forward(vec![GATEWAY]), Say::Forward(vec![GATEWAY])]);
        let sent = rig.call(GATEWAY);
        rig.receive(CALLER, &invite("z9hG4bKb"));
        rig.world.sent.retain(|(_, text)| !text.starts_with("SIP/2.0 100"));
        let refusal = rig.expect(CALLER, "SIP/2.0 503");
        assert_eq!(header(&refusal, "Retry-After"), None);
        assert_eq!(rig.proxy.policy.ends, [503]);
        rig.receive(GATEWAY, &respond(&sent, 200, "x", ""));
        rig.expect(CALLER, "SIP/2.0 200");
        rig.pass(70_000);
        rig.world.sent.clear();
        rig.expect_empty();
    }
}

#[test]
pub fn a_response_that_was_not_asked_for() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    let sent = rig.call(GATEWAY);
    let ok = respond(&sent, 200, "x", "");
    let table = [
        ("127.0.0.9:5071", ok.clone(), Drop::ResponseFromElsewhere),
        (GATEWAY, ok.replacen("z9hG4bKEQ", "z9hG4bKEA", 1), Drop::ResponseNotOurs),
        (GATEWAY, ok.replace("call1@", "call2@"), Drop::ResponseNotOurs),
        (GATEWAY, ok.replace("tag=from1", "tag=other"), Drop::ResponseNotOurs),
        (GATEWAY, ok.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"), Drop::ResponseNotOurs),
        (GATEWAY, ok.replace("CSeq: 1 INVITE\r\n", ""), Drop::Malformed),
    ];
    for (from, text, why) in table {
        let before = rig.dropped(why);
        rig.receive(from, &text);
        rig.expect_nothing();
        assert_eq!(rig.dropped(why), before + 1, "{why:?}");
    }
    rig.receive("127.0.0.1:4444", &ok);
    rig.expect(CALLER, "SIP/2.0 200");
}
