//! A 2xx that comes after the final response and is ended by us: ACK and BYE (RFC 3261 §13.2.2.4).

use crate::rig::*;
use proto::policy::Outcome;
use proto::proxy::Drop;

const A: &str = "127.0.0.1:5071";
const B: &str = "127.0.0.2:5072";

/// An INVITE to both, answered by A.
fn answered() -> (Rig, String) {
    let mut rig = Rig::new([Say::Forward(vec![A, B])]);
    rig.proxy.policy.ends_second = true;
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    let [first, second] = [A, B].map(|address| rig.expect(address, "INVITE"));
    rig.receive(A, &respond(&first, 200, "a", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    (rig, second)
}

/// B's answer, with two proxies between us and it.
fn answer(invite: &str) -> String {
    let routed = invite.replacen(
        "Record-Route:",
        "Record-Route: <sip:far.example;lr>\r\nRecord-Route: <sip:near.example;lr>\r\nRecord-Route:",
        1,
    );
    respond(&routed, 200, "b", "Contact: \"B\" <sip:b@192.0.2.7:5099;x=y>\r\n")
}

#[test]
fn it_is_acknowledged_as_often_as_it_comes_and_ended_once() {
    let (mut rig, second) = answered();
    let answer = answer(&second);
    rig.receive(B, &answer);
    let ack = rig.expect(B, "ACK sip:b@192.0.2.7:5099;x=y SIP/2.0");
    let bye = rig.expect(B, "BYE sip:b@192.0.2.7:5099;x=y SIP/2.0");
    for sent in [&ack, &bye] {
        assert_eq!(headers(sent, "Route"), ["<sip:near.example;lr>", "<sip:far.example;lr>"]);
        for name in ["From", "To", "Call-ID"] {
            assert_eq!(header(sent, name), header(&answer, name));
        }
        assert_eq!(headers(sent, "Via").len(), 1);
    }
    assert_eq!((header(&ack, "CSeq"), header(&bye, "CSeq")), (Some("1 ACK".into()), Some("2 BYE".into())));
    assert_ne!(header(&ack, "Via"), header(&second, "Via"), "an ACK of a 2xx is a transaction of its own");
    rig.receive(B, &answer);
    assert_eq!(rig.expect(B, "ACK"), ack);
    assert_eq!(rig.dropped(Drop::ResponseRepeated), 1);
    // The BYE is repeated until it is answered.
    rig.pass(500);
    assert_eq!(rig.expect(B, "BYE"), bye);
    rig.receive(B, &respond(&bye, 200, "b", ""));
    rig.pass(20_000);
    rig.expect_nothing();
    assert_eq!(rig.proxy.policy.responses, [(5071, 200), (5072, 200)]);
    assert_eq!((rig.proxy.counters.second_answers, &rig.proxy.policy.ends[..]), (1, &[200][..]));
    assert!(rig.proxy.policy.own.is_empty(), "nobody waits for it");
    rig.pass(60_000);
    rig.expect_empty();
}

#[test]
fn after_a_failure_it_is_the_same() {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.ends_second = true;
    rig.proxy.policy.no_response_ms = 2_000;
    let first = rig.call(A);
    rig.pass(2_000);
    rig.world.sent.retain(|(to, _)| to.peer.to_string() == CALLER);
    rig.expect(CALLER, "SIP/2.0 408");
    assert_eq!(rig.proxy.policy.silences, [(5071, Outcome::GivenUp)]);
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=b", ""));
    rig.receive(A, &respond(&first, 200, "a", ""));
    let ack = rig.expect(A, "ACK sip:called@127.0.0.1:5060 SIP/2.0");
    assert!(header(&ack, "Route").is_none());
    rig.expect(A, "BYE");
    // Nobody answers the BYE.
    rig.pass(100_000);
    rig.world.sent.clear();
    rig.expect_empty();
}

#[test]
fn the_first_answer_passes_however_late() {
    let (mut rig, second) = answered();
    rig.receive(B, &respond(&second, 486, "b", ""));
    rig.expect(B, "ACK");
    rig.expect_nothing();
    assert_eq!(rig.proxy.counters.second_answers, 0);
}

#[test]
fn a_fork_behind_the_gateway_that_answered_is_ended_too() {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.ends_second = true;
    let invite = rig.call(A);
    let (first, other) = (respond(&invite, 200, "a", ""), answer(&invite));
    rig.receive(A, &first);
    rig.expect(CALLER, "SIP/2.0 200");
    rig.receive(A, &other);
    let ack = rig.expect(A, "ACK sip:b@192.0.2.7:5099;x=y SIP/2.0");
    assert_eq!(headers(&ack, "Route").len(), 2);
    let bye = rig.expect(A, "BYE sip:b@192.0.2.7:5099;x=y SIP/2.0");
    assert_eq!(header(&bye, "To"), header(&other, "To"));
    rig.receive(A, &respond(&bye, 200, "b", ""));
    rig.receive(A, &other);
    rig.expect(A, "ACK");
    rig.receive(A, &first);
    rig.expect(CALLER, "SIP/2.0 200");
    rig.expect_nothing();
    assert_eq!((rig.proxy.counters.second_answers, rig.proxy.policy.forked), (1, 1));
    rig.pass(60_000);
    rig.expect_empty();
}
