//! One call through the proxy: what leaves, where to, and what is left afterwards.

use crate::rig::*;

const GATEWAY: &str = "127.0.0.1:5071";

#[test]
pub fn a_call_is_carried_and_leaves_nothing() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    let trying = rig.expect(CALLER, "SIP/2.0 100 Trying\r\n");
    assert_eq!(header(&trying, "To").unwrap(), "<sip:called@127.0.0.1:5060>");
    let forwarded = rig.expect(GATEWAY, "INVITE sip:called@127.0.0.1:5071 SIP/2.0\r\n");
    let vias = headers(&forwarded, "Via");
    assert!(vias[0].starts_with("SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK") && vias[0].ends_with(";rport"));
    assert_eq!(vias[1], "SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKa");
    assert_eq!(header(&forwarded, "Max-Forwards").unwrap(), "69");
    assert!(header(&forwarded, "Record-Route").unwrap().starts_with("<sip:127.0.0.1:5060;lr;tt="));
    rig.receive(GATEWAY, &respond(&forwarded, 180, "to1", ""));
    let ringing = rig.expect(CALLER, "SIP/2.0 180 Because\r\n");
    assert_eq!(headers(&ringing, "Via"), ["SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKa"]);
    rig.receive(GATEWAY, &respond(&forwarded, 200, "to1", ""));
    rig.expect(CALLER, "SIP/2.0 200 Because\r\n");
    rig.expect_nothing();
    assert_eq!(rig.proxy.policy.ends, [200]);
    assert!(rig.proxy.quiet());
    rig.pass(40_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn invite_is_sent_again_by_timer_a_until_an_answer_comes() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    let first = rig.expect(GATEWAY, "INVITE");
    rig.pass(499);
    rig.expect_nothing();
    rig.pass(1);
    assert_eq!(rig.expect(GATEWAY, "INVITE"), first, "a retransmission is the same to the byte");
    rig.pass(1_000);
    rig.expect(GATEWAY, "INVITE");
    rig.receive(GATEWAY, &respond(&first, 100, "x", ""));
    rig.pass(30_000);
    rig.expect_nothing();
}

#[test]
pub fn nobody_answers_timer_b() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    rig.pass(31_999);
    for _ in 0..7 {
        rig.expect(GATEWAY, "INVITE");
    }
    rig.expect_nothing();
    rig.pass(1);
    let timeout = rig.expect(CALLER, "SIP/2.0 408 Request Timeout");
    assert!(header(&timeout, "To").unwrap().contains(";tag="));
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=x", ""));
    rig.pass(60_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn a_failure_is_acknowledged_kept_and_sent_again_until_the_ack() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    let forwarded = rig.expect(GATEWAY, "INVITE");
    rig.receive(GATEWAY, &respond(&forwarded, 486, "busy", ""));
    let ack = rig.expect(GATEWAY, "ACK sip:called@127.0.0.1:5071 SIP/2.0\r\n");
    assert_eq!(header(&ack, "To").unwrap(), "<sip:called@127.0.0.1:5060>;tag=busy");
    assert_eq!(header(&ack, "CSeq").unwrap(), "1 ACK");
    assert_eq!(headers(&ack, "Via"), [header(&forwarded, "Via").unwrap()]);
    let busy = rig.expect(CALLER, "SIP/2.0 486 Because");
    rig.receive(GATEWAY, &respond(&forwarded, 486, "busy", ""));
    assert_eq!(rig.expect(GATEWAY, "ACK"), ack);
    rig.pass(500);
    assert_eq!(rig.expect(CALLER, "SIP/2.0 486"), busy, "Timer G");
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 486");
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=busy", ""));
    rig.pass(60_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn timer_h_ends_the_wait_for_an_ack() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    let forwarded = rig.expect(GATEWAY, "INVITE");
    rig.receive(GATEWAY, &respond(&forwarded, 404, "x", ""));
    rig.expect(GATEWAY, "ACK");
    rig.pass(64_000);
    let copies = rig.world.sent.drain(..).filter(|(_, text)| text.starts_with("SIP/2.0 404")).count();
    assert_eq!(copies, 11, "0, .5, 1.5, 3.5, 7.5, then every 4 s up to 31.5");
    rig.expect_empty();
}

#[test]
pub fn a_repeated_invite_is_answered_with_the_last_response_and_not_forwarded() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    let trying = rig.expect(CALLER, "SIP/2.0 100");
    let forwarded = rig.expect(GATEWAY, "INVITE");
    rig.receive(CALLER, &invite("z9hG4bKa"));
    assert_eq!(rig.expect(CALLER, "SIP/2.0 100"), trying);
    rig.receive(GATEWAY, &respond(&forwarded, 183, "x", ""));
    let progress = rig.expect(CALLER, "SIP/2.0 183");
    rig.receive(CALLER, &invite("z9hG4bKa"));
    assert_eq!(rig.expect(CALLER, "SIP/2.0 183"), progress);
    rig.expect_nothing();
}

#[test]
pub fn every_2xx_goes_upstream_and_a_repeated_invite_draws_nothing() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    let forwarded = rig.expect(GATEWAY, "INVITE");
    let ok = respond(&forwarded, 200, "to1", "");
    for _ in 0..3 {
        rig.receive(GATEWAY, &ok);
        rig.expect(CALLER, "SIP/2.0 200");
        rig.pass(500);
    }
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect_nothing();
    rig.receive("127.0.0.9:5071", &ok);
    rig.expect_nothing();
    assert_eq!(rig.proxy.policy.ends, [200]);
}

#[test]
pub fn timer_c_cancels_a_call_that_rings_for_ever() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    let forwarded = rig.expect(GATEWAY, "INVITE");
    rig.receive(GATEWAY, &respond(&forwarded, 180, "x", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.pass(184_000);
    rig.receive(GATEWAY, &respond(&forwarded, 180, "x", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.pass(184_999);
    rig.expect_nothing();
    rig.pass(1);
    let cancel = rig.expect(GATEWAY, "CANCEL sip:called@127.0.0.1:5071");
    rig.expect(CALLER, "SIP/2.0 408");
    rig.receive(GATEWAY, &respond(&cancel, 200, "x", ""));
    rig.receive(GATEWAY, &respond(&forwarded, 487, "x", ""));
    rig.expect(GATEWAY, "ACK");
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=x", ""));
    rig.pass(60_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn received_and_rport_are_filled_in() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    let text = invite("z9hG4bKa").replace("127.0.0.1:5090;branch=z9hG4bKa", "10.0.0.1:7000;rport;branch=z9hG4bKa");
    rig.receive("127.0.0.1:6000", &text);
    let wanted = "SIP/2.0/UDP 10.0.0.1:7000;rport=6000;branch=z9hG4bKa;received=127.0.0.1";
    let trying = rig.expect("127.0.0.1:6000", "SIP/2.0 100");
    assert_eq!(header(&trying, "Via").unwrap(), wanted);
    let forwarded = rig.expect(GATEWAY, "INVITE");
    assert_eq!(headers(&forwarded, "Via")[1], wanted);
    rig.receive(GATEWAY, &respond(&forwarded, 180, "x", ""));
    rig.expect("127.0.0.1:6000", "SIP/2.0 180");
}

#[test]
pub fn without_rport_the_answer_goes_to_the_port_of_sent_by() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive("127.0.0.1:6000", &invite("z9hG4bKa"));
    rig.expect("127.0.0.1:5090", "SIP/2.0 100");
}

#[test]
pub fn an_rfc_2543_call_without_branches() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    let old = invite("z9hG4bKa").replace(";branch=z9hG4bKa", "");
    rig.receive(CALLER, &old);
    rig.expect(CALLER, "SIP/2.0 100");
    let forwarded = rig.expect(GATEWAY, "INVITE");
    rig.receive(CALLER, &old);
    rig.expect(CALLER, "SIP/2.0 100");
    rig.receive(GATEWAY, &respond(&forwarded, 486, "busy", ""));
    rig.expect(GATEWAY, "ACK");
    rig.expect(CALLER, "SIP/2.0 486");
    let ack = request("ACK", "x", ";tag=busy", "").replace(";branch=x", "");
    rig.receive(CALLER, &ack);
    rig.pass(4_999);
    rig.expect_nothing();
}

#[test]
pub fn two_interfaces_two_record_routes() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive_at(1, "[::1]:5060", "[::1]:5090".parse().unwrap(), &invite("z9hG4bKa"));
    rig.expect("[::1]:5090", "SIP/2.0 100");
    let forwarded = rig.expect(GATEWAY, "INVITE");
    let routes = headers(&forwarded, "Record-Route");
    assert_eq!(routes.len(), 2);
    assert!(routes[0].starts_with("<sip:127.0.0.1:5060;lr;") && routes[1].starts_with("<sip:[::1]:5060;lr;"));
}
