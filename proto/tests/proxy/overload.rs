//! New calls turned away by a shard that is behind: which messages are, with what answer, and that nothing
//! is kept (RFC 3261 §21.5.4, §8.2.7).

use crate::rig::*;
use proto::message::{Arena, Message};
use proto::policy::Endpoint;
use proto::proxy::{Drop, Refused};

const GATEWAY: &str = "127.0.0.1:5071";

/// Whether a message that arrives while the shard is behind is turned away.
fn turned_away(rig: &mut Rig, text: &str) -> bool {
    let source = Endpoint { listener: 0, local: PROXY.parse().unwrap(), peer: CALLER.parse().unwrap(), flow: 0 };
    let mut arena = Arena::new();
    let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
    rig.proxy.turn_away_new_call(rig.now, &source, &message, &mut rig.world)
}

#[test]
fn a_new_call_gets_503_and_its_ack_is_absorbed() {
    let mut rig = Rig::new([]);
    assert!(turned_away(&mut rig, &invite("z9hG4bKa")));
    let answer = rig.expect(CALLER, "SIP/2.0 503 Service Unavailable\r\n");
    assert_eq!(header(&answer, "Retry-After"), None);
    assert_eq!((rig.refused(Refused::Overload), rig.refused(Refused::NoRoom)), (1, 0));
    rig.expect_empty();
    assert!(turned_away(&mut rig, &invite("z9hG4bKa")), "repeated, it gets the same answer");
    assert_eq!(rig.expect(CALLER, "SIP/2.0 503"), answer);

    let tag = header(&answer, "To").unwrap();
    let ack = request("ACK", "z9hG4bKa", &tag["<sip:called@127.0.0.1:5060>".len()..], "");
    assert!(!turned_away(&mut rig, &ack));
    rig.receive(CALLER, &ack);
    rig.expect_nothing();
    assert_eq!(rig.dropped(Drop::AckAbsorbed), 1);
    rig.expect_empty();
}

#[test]
fn what_is_in_progress_is_not() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    let sent = rig.call(GATEWAY);
    for text in [
        invite("z9hG4bKa"),
        respond(&sent, 180, "x", ""),
        request("INVITE", "z9hG4bKb", ";tag=dialog", ""),
        request("CANCEL", "z9hG4bKa", "", ""),
        request("ACK", "z9hG4bKa", ";tag=x", ""),
        request("BYE", "z9hG4bKc", ";tag=x", ""),
        request("OPTIONS", "z9hG4bKd", "", ""),
    ] {
        assert!(!turned_away(&mut rig, &text), "{text}");
    }
    rig.expect_nothing();
    assert_eq!(rig.refused(Refused::Overload), 0);
}

#[test]
fn a_stranger_learns_nothing_of_it() {
    let mut rig = Rig::new([]);
    rig.proxy.policy.stranger = true;
    assert!(!turned_away(&mut rig, &invite("z9hG4bKa")), "he is refused as ever");
    rig.expect_nothing();
}
