//! CANCEL in every race (RFC 3261 §9, §16.10).

use crate::rig::*;
use proto::proxy::{Drop, Refused};

const GATEWAY: &str = "127.0.0.1:5071";
const OTHER: &str = "127.0.0.1:5072";

fn call() -> (Rig, String) {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    let sent = rig.call(GATEWAY);
    (rig, sent)
}

fn ringing() -> (Rig, String) {
    let (mut rig, sent) = call();
    rig.receive(GATEWAY, &respond(&sent, 180, "a", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    (rig, sent)
}

fn cancel(rig: &mut Rig) -> String {
    rig.receive(CALLER, &request("CANCEL", "z9hG4bKa", "", ""));
    rig.expect(CALLER, "SIP/2.0 200 OK")
}

fn end(mut rig: Rig) {
    // After a 2xx the ACK is a request of its own.
    rig.proxy.policy.verdicts.push_back(Say::Drop);
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=x", ""));
    rig.pass(300_000);
    rig.world.sent.clear();
    rig.expect_empty();
}

#[test]
pub fn while_ringing_it_goes_on_at_once() {
    let (mut rig, sent) = ringing();
    cancel(&mut rig);
    let ours = rig.expect(GATEWAY, "CANCEL sip:called@127.0.0.1:5071 SIP/2.0\r\n");
    assert_eq!(headers(&ours, "Via"), [header(&sent, "Via").unwrap()]);
    assert_eq!(header(&ours, "CSeq").unwrap(), "1 CANCEL");
    assert_eq!(header(&ours, "To"), header(&sent, "To"));
    assert_eq!(header(&ours, "From"), header(&sent, "From"));
    rig.receive(GATEWAY, &respond(&ours, 200, "a", ""));
    rig.receive(GATEWAY, &respond(&sent, 487, "a", ""));
    rig.expect(GATEWAY, "ACK");
    rig.expect(CALLER, "SIP/2.0 487");
    assert_eq!(rig.proxy.policy.ends, [487]);
    end(rig);
}

/// Some gateways make the 487 from the CANCEL, which has our Via alone.
#[test]
pub fn a_487_without_the_callers_via_reaches_him_all_the_same() {
    let (mut rig, sent) = ringing();
    cancel(&mut rig);
    let ours = rig.expect(GATEWAY, "CANCEL");
    rig.receive(GATEWAY, &respond(&ours, 200, "a", ""));
    let bare = respond(&ours, 487, "a", "").replace("1 CANCEL", "1 INVITE");
    assert_eq!(headers(&bare, "Via").len(), 1);
    rig.receive(GATEWAY, &bare);
    assert_eq!(header(&rig.expect(GATEWAY, "ACK"), "Via"), header(&sent, "Via"));
    let passed = rig.expect(CALLER, "SIP/2.0 487");
    assert_eq!((headers(&passed, "Via").len(), rig.proxy.policy.ends.clone()), (1, vec![487]));
    end(rig);
}

#[test]
pub fn it_is_sent_again_until_it_is_answered() {
    let (mut rig, sent) = ringing();
    cancel(&mut rig);
    let ours = rig.expect(GATEWAY, "CANCEL");
    rig.pass(1_500);
    assert_eq!((rig.expect(GATEWAY, "CANCEL"), rig.expect(GATEWAY, "CANCEL")), (ours.clone(), ours.clone()));
    rig.receive(GATEWAY, &respond(&ours, 200, "a", ""));
    rig.pass(30_000);
    rig.expect_nothing();
    rig.receive(GATEWAY, &respond(&sent, 487, "a", ""));
    rig.expect(GATEWAY, "ACK");
    rig.expect(CALLER, "SIP/2.0 487");
    end(rig);
}

#[test]
pub fn before_any_1xx_it_waits_for_one() {
    let (mut rig, sent) = call();
    cancel(&mut rig);
    rig.expect_nothing();
    rig.pass(500);
    rig.expect(GATEWAY, "INVITE");
    rig.receive(GATEWAY, &respond(&sent, 180, "a", ""));
    rig.expect(GATEWAY, "CANCEL");
    rig.expect_nothing();
    rig.receive(GATEWAY, &respond(&sent, 487, "a", ""));
    rig.expect(GATEWAY, "ACK");
    rig.expect(CALLER, "SIP/2.0 487");
    end(rig);
}

#[test]
pub fn before_any_1xx_a_final_response_is_passed_on() {
    for status in [200, 486] {
        let (mut rig, sent) = call();
        cancel(&mut rig);
        rig.receive(GATEWAY, &respond(&sent, status, "a", ""));
        if status == 486 {
            rig.expect(GATEWAY, "ACK");
        }
        rig.expect(CALLER, &format!("SIP/2.0 {status} "));
        rig.expect_nothing();
        end(rig);
    }
}

#[test]
pub fn a_gateway_that_never_answers_is_487_by_timer_b() {
    let (mut rig, _) = call();
    cancel(&mut rig);
    rig.pass(31_999);
    rig.world.sent.clear();
    rig.pass(1);
    rig.expect(CALLER, "SIP/2.0 487");
    end(rig);
}

#[test]
pub fn a_gateway_that_answers_the_cancel_alone_is_487_after_64_t1() {
    let (mut rig, _) = ringing();
    cancel(&mut rig);
    let ours = rig.expect(GATEWAY, "CANCEL");
    rig.receive(GATEWAY, &respond(&ours, 481, "a", ""));
    rig.pass(31_999);
    rig.expect_nothing();
    rig.pass(1);
    rig.expect(CALLER, "SIP/2.0 487");
    end(rig);
}

#[test]
pub fn crossing_the_200_it_changes_nothing() {
    let (mut rig, sent) = ringing();
    rig.receive(GATEWAY, &respond(&sent, 200, "a", ""));
    rig.expect(CALLER, "SIP/2.0 200 Because");
    cancel(&mut rig);
    rig.expect_nothing();
    let (mut rig, sent) = ringing();
    cancel(&mut rig);
    rig.expect(GATEWAY, "CANCEL");
    rig.receive(GATEWAY, &respond(&sent, 200, "a", ""));
    rig.expect(CALLER, "SIP/2.0 200 Because");
    rig.pass(60_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn crossing_the_486_it_changes_nothing() {
    let (mut rig, sent) = ringing();
    rig.receive(GATEWAY, &respond(&sent, 486, "a", ""));
    rig.expect(GATEWAY, "ACK");
    rig.expect(CALLER, "SIP/2.0 486");
    cancel(&mut rig);
    rig.expect_nothing();
    end(rig);
}

#[test]
pub fn once_is_enough() {
    let (mut rig, _) = ringing();
    cancel(&mut rig);
    rig.expect(GATEWAY, "CANCEL");
    cancel(&mut rig);
    rig.expect_nothing();
    end(rig);
}

#[test]
pub fn no_further_gateway_is_tried_after_it() {
    let (mut rig, sent) = call();
    rig.proxy.policy.advances.push_back(vec![OTHER]);
    cancel(&mut rig);
    rig.receive(GATEWAY, &respond(&sent, 503, "a", ""));
    rig.expect(GATEWAY, "ACK");
    rig.expect(CALLER, "SIP/2.0 503");
    end(rig);

    let (mut rig, _) = call();
    rig.proxy.policy.advances.push_back(vec![OTHER]);
    cancel(&mut rig);
    rig.proxy.on_unreachable(rig.now, GATEWAY.parse().unwrap(), &mut rig.world);
    rig.expect(CALLER, "SIP/2.0 487");
    end(rig);
}

#[test]
pub fn a_gateway_given_up_before_is_cancelled_when_it_speaks() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.proxy.policy.no_response_ms = 2_000;
    let sent = rig.call(GATEWAY);
    cancel(&mut rig);
    rig.pass(2_000);
    rig.expect(GATEWAY, "INVITE");
    rig.expect(GATEWAY, "INVITE");
    let terminated = rig.expect(CALLER, "SIP/2.0 487");
    assert!(header(&terminated, "To").unwrap().contains(";tag="));
    rig.receive(GATEWAY, &respond(&sent, 100, "a", ""));
    rig.expect(GATEWAY, "CANCEL");
    end(rig);
}

#[test]
pub fn both_answers_carry_the_same_to_tag() {
    let (mut rig, _) = call();
    let ok = cancel(&mut rig);
    rig.pass(32_000);
    let terminated = rig.world.sent.drain(..).find(|(_, text)| text.starts_with("SIP/2.0 487")).unwrap();
    assert_eq!(header(&ok, "To"), header(&terminated.1, "To"), "§9.2");
}

#[test]
pub fn from_elsewhere_it_is_dropped_from_another_port_it_counts() {
    let (mut rig, _) = ringing();
    rig.receive("127.0.0.9:5090", &request("CANCEL", "z9hG4bKa", "", ""));
    rig.expect_nothing();
    assert_eq!(rig.dropped(Drop::CancelFromElsewhere), 1);
    rig.receive("127.0.0.1:6000", &request("CANCEL", "z9hG4bKa", "", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    rig.expect(GATEWAY, "CANCEL");
}

#[test]
pub fn of_nothing_it_is_481() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &request("CANCEL", "z9hG4bKzz", "", ""));
    rig.expect(CALLER, "SIP/2.0 481");
    assert_eq!(rig.refused(Refused::CancelUnknown), 1);
    rig.expect_empty();
}

#[test]
pub fn proxy_require_in_it_is_ignored() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &request("CANCEL", "z9hG4bKzz", "", "Proxy-Require: foo\r\n"));
    rig.expect(CALLER, "SIP/2.0 481");
}

#[test]
pub fn it_follows_the_route_of_its_invite() {
    let mut rig = Rig::new([Say::Keep(GATEWAY)]);
    let route = "Route: <sip:127.0.0.1:5060;lr>, \"next\" <sip:127.0.0.1:5071;lr>;x=y, <sip:last.example;lr>\r\n";
    rig.receive(CALLER, &request("INVITE", "z9hG4bKa", "", route));
    rig.expect(CALLER, "SIP/2.0 100");
    let sent = rig.expect(GATEWAY, "INVITE sip:called@127.0.0.1:5060 SIP/2.0");
    rig.receive(GATEWAY, &respond(&sent, 180, "a", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.receive(CALLER, &request("CANCEL", "z9hG4bKa", "", route));
    rig.expect(CALLER, "SIP/2.0 200");
    let ours = rig.expect(GATEWAY, "CANCEL sip:called@127.0.0.1:5060 SIP/2.0");
    let wanted = ["\"next\" <sip:127.0.0.1:5071;lr>;x=y", "<sip:last.example;lr>"];
    assert_eq!(headers(&sent, "Route").join(", "), wanted.join(", "));
    assert_eq!(headers(&ours, "Route"), wanted);
}
