//! Forwarding without keeping anything: RFC 3261 §16.11.

use crate::rig::*;
use proto::proxy::Drop;

const GATEWAY: &str = "127.0.0.1:5071";

fn forward(text: &str) -> (Rig, String) {
    let mut rig = Rig::new([Say::Stateless(GATEWAY)]);
    rig.receive(CALLER, text);
    let sent = rig.expect(GATEWAY, text.split(' ').next().unwrap());
    rig.expect_nothing();
    rig.expect_empty();
    (rig, sent)
}

#[test]
fn a_call_passes_and_nothing_is_kept() {
    let (mut rig, sent) = forward(&invite("z9hG4bKa"));
    assert_eq!(header(&sent, "Max-Forwards").unwrap(), "69");
    assert!(header(&sent, "Record-Route").is_some());
    for status in [180, 200] {
        rig.receive(GATEWAY, &respond(&sent, status, "x", ""));
        let passed = rig.expect(CALLER, &format!("SIP/2.0 {status} Because"));
        assert_eq!(headers(&passed, "Via"), ["SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKa"]);
    }
    rig.expect_empty();
}

#[test]
fn a_retransmission_leaves_as_the_first_did() {
    let old = invite("z9hG4bKa").replace(";branch=z9hG4bKa", "");
    for text in [invite("z9hG4bKa"), old] {
        assert_eq!(forward(&text).1, forward(&text).1);
    }
}

#[test]
fn an_invite_its_cancel_and_its_ack_share_a_branch() {
    let of = |text: String| header(&forward(&text).1, "Via").unwrap();
    let first = of(invite("z9hG4bKa"));
    assert_eq!(of(request("CANCEL", "z9hG4bKa", "", "")), first);
    assert_eq!(of(request("ACK", "z9hG4bKa", ";tag=busy", "")), first);
    let credentials = "Proxy-Authorization: Digest x=\"y\"\r\n";
    assert_eq!(of(request("INVITE", "z9hG4bKa", "", credentials)), first);
    assert_ne!(of(invite("z9hG4bKb")), first);
}

#[test]
fn a_response_goes_nowhere_but_back() {
    let (mut rig, sent) = forward(&invite("z9hG4bKa"));
    let ok = respond(&sent, 200, "x", "");
    let forged = [
        ok.replace("127.0.0.1:5090;branch", "192.0.2.1:5090;branch"),
        ok.replace("127.0.0.1:5090;branch", "127.0.0.1:53;branch"),
        ok.replace(";branch=z9hG4bKa", ";branch=z9hG4bKa;received=192.0.2.1"),
        ok.replace(";branch=z9hG4bKa", ";branch=z9hG4bKa;rport=53"),
        ok.replace("Via: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKa\r\n", ""),
    ];
    for (count, text) in (1..).zip(&forged) {
        rig.receive(GATEWAY, text);
        rig.expect_nothing();
        assert_eq!(rig.dropped(Drop::ResponseForNobody), count);
    }
}

#[test]
fn a_response_leaves_by_the_listener_that_was_asked() {
    let mut rig = Rig::new([Say::Stateless(GATEWAY)]);
    let asked = invite("z9hG4bKa").replace("127.0.0.1:5090;branch", "[::1]:5090;branch");
    rig.receive_at(1, "[::1]:5060", "[::1]:5090".parse().unwrap(), &asked);
    let sent = rig.expect(GATEWAY, "INVITE");
    assert_eq!(headers(&sent, "Record-Route").len(), 2);
    rig.receive(GATEWAY, &respond(&sent, 200, "x", ""));
    let (to, _) = rig.world.sent.pop_front().unwrap();
    assert_eq!((to.listener, to.peer.to_string()), (1, "[::1]:5090".to_owned()));
}
