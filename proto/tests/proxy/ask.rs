//! A policy that asks: the answer comes, comes late, never, or twice; and what happens meanwhile.

use crate::rig::*;
use proto::policy::Answer;
use proto::proxy::{Drop, Refused};

const GATEWAY: &str = "127.0.0.1:5071";
const OTHER: &str = "127.0.0.1:5072";

fn parked(after: impl IntoIterator<Item = Say>) -> Rig {
    let mut rig = Rig::new([Say::Ask(1_000)].into_iter().chain(after));
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    rig.expect_nothing();
    rig
}

#[test]
pub fn the_answer_carries_the_call_on() {
    let mut rig = parked([Say::Forward(vec![GATEWAY])]);
    rig.pass(999);
    rig.answer(Answer::Module(5));
    let forwarded = rig.expect(GATEWAY, "INVITE");
    assert_eq!(rig.proxy.policy.answers, [None, Some(Answer::Module(5))]);
    rig.receive(GATEWAY, &respond(&forwarded, 200, "to1", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    rig.pass(40_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn without_an_answer_the_default_holds_at_the_deadline() {
    let mut rig = parked([Say::Forward(vec![GATEWAY])]);
    rig.pass(1_000);
    rig.expect(GATEWAY, "INVITE");
    assert_eq!(rig.proxy.policy.answers, [None, Some(Answer::Late)]);
    rig.answer(Answer::Module(5));
    rig.expect_nothing();
    assert_eq!(rig.dropped(Drop::AnswerLate), 1);
}

#[test]
pub fn a_second_answer_is_not_taken_for_the_next_question() {
    let mut rig = parked([Say::Ask(1_000), Say::Forward(vec![GATEWAY])]);
    rig.answer(Answer::Module(1));
    let first = rig.world.asked[0];
    rig.proxy.on_answer(rig.now, first, Answer::Module(2), &mut rig.world);
    rig.expect_nothing();
    assert_eq!(rig.dropped(Drop::AnswerLate), 1);
    rig.answer(Answer::Module(3));
    rig.expect(GATEWAY, "INVITE");
    assert_eq!(rig.proxy.policy.answers, [None, Some(Answer::Module(1)), Some(Answer::Module(3))]);
}

#[test]
pub fn a_retransmission_meanwhile_draws_the_100_and_no_question() {
    let mut rig = parked([]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    rig.expect_nothing();
    assert_eq!(rig.world.asked.len(), 1);
}

#[test]
pub fn a_cancel_meanwhile_ends_it_and_the_answer_comes_too_late() {
    let mut rig = parked([]);
    rig.receive(CALLER, &request("CANCEL", "z9hG4bKa", "", ""));
    rig.expect(CALLER, "SIP/2.0 200 OK");
    rig.expect(CALLER, "SIP/2.0 487");
    rig.answer(Answer::Module(5));
    rig.expect_nothing();
    assert_eq!(rig.dropped(Drop::AnswerLate), 1);
    assert_eq!(rig.proxy.policy.ends, [487]);
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=x", ""));
    rig.pass(60_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn an_error_after_the_answer_is_sent_again_until_its_ack() {
    let mut rig = parked([Say::Reply(404)]);
    rig.answer(Answer::Nothing);
    rig.expect(CALLER, "SIP/2.0 404");
    rig.pass(500);
    rig.expect(CALLER, "SIP/2.0 404");
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=x", ""));
    rig.pass(60_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn dropped_or_passed_on_statelessly_nothing_is_kept() {
    for (verdict, status) in [(Say::Drop, 0), (Say::Stateless(GATEWAY), 0)] {
        let mut rig = parked([verdict]);
        rig.answer(Answer::Nothing);
        assert_eq!(rig.proxy.policy.ends, [status]);
        rig.expect_empty();
    }
}

#[test]
pub fn targets_that_cannot_be_tried_move_on_to_the_next() {
    let mut rig = parked([Say::Forward(vec![GATEWAY])]);
    rig.proxy.policy.refuse = vec![gateway_number(GATEWAY)];
    rig.proxy.policy.advances.push_back(vec![OTHER]);
    rig.answer(Answer::Module(5));
    let forwarded = rig.expect(OTHER, "INVITE");
    rig.receive(OTHER, &respond(&forwarded, 200, "x", ""));
    rig.expect(CALLER, "SIP/2.0 200");
}

#[test]
pub fn whoever_asks_for_ever_gets_500() {
    let mut rig = Rig::new((0..20).map(|_| Say::Ask(1_000)));
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    rig.pass(20_000);
    rig.expect(CALLER, "SIP/2.0 500");
    assert_eq!((rig.world.asked.len(), rig.refused(Refused::Policy)), (8, 1));
}

#[test]
pub fn an_ack_may_wait_too_and_is_never_answered() {
    let ack = request("ACK", "z9hG4bKb", ";tag=to1", "");
    let mut rig = Rig::new([Say::Ask(1_000), Say::Forward(vec![GATEWAY])]);
    rig.receive(CALLER, &ack);
    rig.answer(Answer::Module(5));
    rig.expect(GATEWAY, "ACK");
    rig.expect_empty();

    let mut rig = Rig::new((0..20).map(|_| Say::Ask(1_000)));
    rig.receive(CALLER, &ack);
    rig.pass(20_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn a_non_invite_waits_in_silence_and_gets_its_100_when_timer_e_has_come_to_t2() {
    let mut rig = Rig::new([Say::Ask(5_000), Say::Forward(vec![GATEWAY])]);
    let message = request("MESSAGE", "z9hG4bKa", "", "");
    rig.receive(CALLER, &message);
    rig.receive(CALLER, &message);
    rig.pass(3_499);
    rig.expect_nothing();
    rig.pass(1);
    rig.expect(CALLER, "SIP/2.0 100");
    rig.receive(CALLER, &message);
    rig.expect(CALLER, "SIP/2.0 100");
    rig.pass(1_500);
    rig.expect(GATEWAY, "MESSAGE");
}
