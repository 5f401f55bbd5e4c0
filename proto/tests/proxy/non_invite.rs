//! Methods other than INVITE: RFC 3261 §17.1.2, §17.2.2, RFC 4320.

use crate::rig::*;
use proto::policy::Outcome;
use proto::proxy::Drop;

const A: &str = "127.0.0.1:5071";
const B: &str = "127.0.0.1:5072";

fn sent(method: &str) -> (Rig, String) {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.receive(CALLER, &request(method, "z9hG4bKa", "", ""));
    let sent = rig.expect(A, method);
    (rig, sent)
}

#[test]
pub fn a_request_of_any_method_is_carried_and_leaves_nothing() {
    for (method, record_routed) in [("MESSAGE", false), ("SUBSCRIBE", true), ("REFER", true), ("FROBNICATE", false)] {
        let (mut rig, sent) = sent(method);
        rig.expect_nothing();
        assert_eq!(header(&sent, "Record-Route").is_some(), record_routed, "{method}");
        rig.receive(A, &respond(&sent, 202, "x", ""));
        let answer = rig.expect(CALLER, "SIP/2.0 202 Because");
        rig.receive(CALLER, &request(method, "z9hG4bKa", "", ""));
        assert_eq!(rig.expect(CALLER, "SIP/2.0 202"), answer);
        rig.receive(A, &respond(&sent, 202, "x", ""));
        rig.expect_nothing();
        assert_eq!(rig.proxy.policy.ends, [202]);
        rig.pass(32_000);
        rig.expect_nothing();
        rig.expect_empty();
    }
}

#[test]
pub fn timer_e_backs_off_to_t2() {
    let (mut rig, _) = sent("MESSAGE");
    for (after, copies) in [(499, 0), (1, 1), (1_000, 1), (2_000, 1), (4_000, 1), (4_000, 1), (3_999, 0), (1, 1)] {
        rig.pass(after);
        rig.world.sent.retain(|(_, text)| text.starts_with("MESSAGE"));
        assert_eq!(rig.world.sent.drain(..).count(), copies);
    }
}

#[test]
pub fn after_a_1xx_it_is_sent_again_every_t2() {
    let (mut rig, sent) = sent("MESSAGE");
    rig.receive(A, &respond(&sent, 100, "x", ""));
    rig.pass(500);
    rig.expect(A, "MESSAGE");
    rig.pass(3_000);
    rig.expect(CALLER, "SIP/2.0 100");
    rig.pass(999);
    rig.expect_nothing();
    rig.pass(1);
    rig.expect(A, "MESSAGE");
}

#[test]
pub fn a_1xx_stays_here_and_the_100_is_our_own() {
    let (mut rig, sent) = sent("MESSAGE");
    for status in [100, 183] {
        rig.receive(A, &respond(&sent, status, "x", ""));
        rig.expect_nothing();
    }
    rig.pass(3_500);
    rig.world.sent.retain(|(_, text)| !text.starts_with("MESSAGE"));
    let trying = rig.expect(CALLER, "SIP/2.0 100 Trying");
    rig.receive(CALLER, &request("MESSAGE", "z9hG4bKa", "", ""));
    assert_eq!(rig.expect(CALLER, "SIP/2.0 100"), trying);
    rig.receive(A, &respond(&sent, 200, "x", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    rig.pass(32_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn an_answer_in_time_draws_no_100() {
    let (mut rig, sent) = sent("MESSAGE");
    rig.receive(A, &respond(&sent, 404, "x", ""));
    rig.expect(CALLER, "SIP/2.0 404");
    rig.pass(32_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn nobody_answers_and_no_408_is_said() {
    let (mut rig, _) = sent("MESSAGE");
    rig.pass(32_000);
    rig.world.sent.retain(|(to, _)| to.peer.to_string() == CALLER);
    rig.expect(CALLER, "SIP/2.0 100");
    rig.expect_nothing();
    assert_eq!(rig.proxy.policy.silences, [(5071, Outcome::TimedOut { ringing: false })]);
    assert_eq!(rig.proxy.policy.ends, [0]);
    rig.receive(CALLER, &request("MESSAGE", "z9hG4bKa", "", ""));
    rig.expect_nothing();
    rig.pass(32_000);
    rig.expect_empty();
}

#[test]
pub fn a_late_answer_of_one_given_up_counts_while_none_has_gone() {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.no_response_ms = 2_000;
    rig.proxy.policy.advances.push_back(vec![B]);
    rig.receive(CALLER, &request("MESSAGE", "z9hG4bKa", "", ""));
    let first = rig.expect(A, "MESSAGE");
    rig.pass(2_000);
    rig.expect(A, "MESSAGE");
    rig.expect(A, "MESSAGE");
    let second = rig.expect(B, "MESSAGE");
    rig.receive(A, &respond(&first, 200, "a", ""));
    rig.expect(CALLER, "SIP/2.0 200 Because");
    rig.receive(B, &respond(&second, 183, "b", ""));
    rig.receive(B, &respond(&second, 200, "b", ""));
    rig.expect_nothing();
    assert_eq!((rig.proxy.policy.ends.len(), rig.proxy.counters.second_answers), (1, 0));
    rig.pass(64_000);
    rig.expect_empty();
}

#[test]
pub fn a_late_1xx_does_not_take_the_place_of_the_final_response() {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.no_response_ms = 2_000;
    rig.proxy.policy.advances.push_back(vec![B]);
    rig.receive(CALLER, &request("MESSAGE", "z9hG4bKa", "", ""));
    let first = rig.expect(A, "MESSAGE");
    rig.pass(2_000);
    rig.world.sent.retain(|(to, _)| to.peer.to_string() == B);
    let second = rig.expect(B, "MESSAGE");
    rig.receive(B, &respond(&second, 200, "b", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    rig.receive(A, &respond(&first, 183, "a", ""));
    rig.expect_nothing();
    rig.receive(CALLER, &request("MESSAGE", "z9hG4bKa", "", ""));
    rig.expect(CALLER, "SIP/2.0 200");
}

#[test]
pub fn a_cancel_does_not_reach_it() {
    let (mut rig, _) = sent("MESSAGE");
    rig.proxy.policy.verdicts.push_back(Say::Forward(vec![A]));
    rig.receive(CALLER, &request("CANCEL", "z9hG4bKa", "", ""));
    rig.expect(CALLER, "SIP/2.0 481");
}

#[test]
pub fn a_response_that_nobody_below_waits_for_is_dropped() {
    let (mut rig, sent) = sent("MESSAGE");
    let bare = respond(&sent, 200, "x", "").replace("Via: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKa\r\n", "");
    rig.receive(A, &bare);
    rig.expect_nothing();
    assert_eq!(rig.dropped(Drop::ResponseForNobody), 1);
}
