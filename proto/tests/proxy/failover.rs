//! Serial forking: the next gateway when one is silent, refuses or cannot be reached (point 4).

use crate::rig::*;
use proto::policy::Outcome;

const A: &str = "127.0.0.1:5071";
const B: &str = "127.0.0.1:5072";

/// A call to A, with B to come next; A is given up after 2 s.
fn call() -> (Rig, String) {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.no_response_ms = 2_000;
    rig.proxy.policy.advances.push_back(vec![B]);
    let sent = rig.call(A);
    (rig, sent)
}

/// The same after A was given up.
fn moved() -> (Rig, String, String) {
    let (mut rig, first) = call();
    rig.pass(2_000);
    rig.expect(A, "INVITE");
    rig.expect(A, "INVITE");
    let second = rig.expect(B, "INVITE");
    rig.expect_nothing();
    (rig, first, second)
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
pub fn a_silent_gateway_gets_three_invites_and_no_more() {
    let (mut rig, _, second) = moved();
    assert_eq!(rig.proxy.policy.silences, [(5071, Outcome::GivenUp)]);
    assert_eq!(rig.proxy.counters.given_up, 1);
    rig.receive(B, &respond(&second, 180, "b", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.pass(30_000);
    rig.expect_nothing();
    rig.receive(B, &respond(&second, 200, "b", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    end(rig);
}

#[test]
pub fn any_response_keeps_a_gateway() {
    let (mut rig, first) = call();
    rig.receive(A, &respond(&first, 100, "a", ""));
    rig.pass(100_000);
    rig.expect_nothing();
}

#[test]
pub fn a_late_1xx_draws_its_cancel_at_once_and_stays_here() {
    for status in [100, 180] {
        let (mut rig, first, second) = moved();
        rig.receive(A, &respond(&first, status, "a", ""));
        let cancel = rig.expect(A, "CANCEL");
        rig.expect_nothing();
        rig.receive(A, &respond(&cancel, 200, "a", ""));
        rig.receive(A, &respond(&first, 487, "a", ""));
        rig.expect(A, "ACK");
        rig.expect_nothing();
        rig.receive(B, &respond(&second, 200, "b", ""));
        rig.expect(CALLER, "SIP/2.0 200");
        end(rig);
    }
}

#[test]
pub fn a_late_2xx_is_the_answer_if_there_is_none_yet() {
    let (mut rig, first, second) = moved();
    rig.receive(B, &respond(&second, 180, "b", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.receive(A, &respond(&first, 200, "a", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    rig.expect(B, "CANCEL");
    assert_eq!(rig.proxy.counters.second_answers, 0);
    end(rig);
}

#[test]
pub fn a_late_2xx_goes_upstream_as_a_second_answer() {
    let (mut rig, first, second) = moved();
    rig.receive(B, &respond(&second, 200, "b", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    rig.receive(A, &respond(&first, 200, "a", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    assert_eq!(rig.proxy.counters.second_answers, 1);
    assert_eq!(rig.proxy.policy.ends, [200]);
    end(rig);
}

#[test]
pub fn a_late_2xx_goes_upstream_after_an_error_and_its_ack_too() {
    let (mut rig, first, second) = moved();
    rig.receive(B, &respond(&second, 486, "b", ""));
    rig.expect(B, "ACK");
    rig.expect(CALLER, "SIP/2.0 486");
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=b", ""));
    let answer = respond(&first, 200, "a", "");
    for wait in [3_000, 4_000, 4_000, 4_000] {
        rig.receive(A, &answer);
        rig.expect(CALLER, "SIP/2.0 200");
        rig.pass(wait);
    }
    rig.expect_nothing();
    assert_eq!(rig.proxy.counters.second_answers, 1);
    end(rig);
}

#[test]
pub fn a_late_failure_is_acknowledged_and_changes_nothing() {
    let (mut rig, first, second) = moved();
    rig.receive(A, &respond(&first, 404, "a", ""));
    rig.expect(A, "ACK");
    rig.receive(B, &respond(&second, 503, "b", ""));
    rig.expect(B, "ACK");
    rig.expect(CALLER, "SIP/2.0 408");
    end(rig);
}

#[test]
pub fn an_error_moves_the_call_on() {
    let (mut rig, first) = call();
    rig.receive(A, &respond(&first, 503, "a", ""));
    rig.expect(A, "ACK");
    let second = rig.expect(B, "INVITE sip:called@127.0.0.1:5072");
    assert_ne!(header(&first, "Via"), header(&second, "Via"));
    assert_eq!(rig.proxy.policy.bests, [Outcome::Response(503)]);
    rig.receive(B, &respond(&second, 200, "b", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    end(rig);
}

#[test]
pub fn the_caller_sees_the_best_of_all() {
    // What A and B say, and what the caller gets.
    for (a, b, best) in [(503, 404, 404), (404, 503, 404), (500, 503, 503), (503, 500, 500)] {
        let (mut rig, first) = call();
        rig.receive(A, &respond(&first, a, "a", ""));
        rig.expect(A, "ACK");
        let second = rig.expect(B, "INVITE");
        rig.receive(B, &respond(&second, b, "b", ""));
        rig.expect(B, "ACK");
        rig.expect(CALLER, &format!("SIP/2.0 {best} "));
        end(rig);
    }
}

#[test]
pub fn a_last_503_stays_one_without_retry_after_or_becomes_500() {
    for (option, status) in [(None, "SIP/2.0 503 Because"), (Some(500), "SIP/2.0 500 Server Internal Error")] {
        let mut rig = Rig::new([Say::Forward(vec![A])]);
        rig.proxy.policy.last_503 = option;
        let sent = rig.call(A);
        rig.receive(A, &respond(&sent, 503, "a", "Retry-After: 30\r\nWarning: 399 a \"full\"\r\nRetry-After: 31\r\n"));
        rig.expect(A, "ACK");
        let last = rig.expect(CALLER, status);
        assert!(!last.contains("Retry-After") && last.contains("Warning: 399 a \"full\"\r\n"), "{last}");
        assert_eq!(headers(&last, "Via").len(), 1);
        end(rig);
    }
}

#[test]
pub fn attempts_are_bounded() {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.advances = (0..40).map(|_| vec![B]).collect();
    let first = rig.call(A);
    rig.receive(A, &respond(&first, 503, "a", ""));
    rig.expect(A, "ACK");
    for _ in 1..16 {
        let next = rig.expect(B, "INVITE");
        rig.receive(B, &respond(&next, 503, "b", ""));
        rig.expect(B, "ACK");
    }
    rig.expect(CALLER, "SIP/2.0 503");
    end(rig);
}

#[test]
pub fn targets_that_are_refused_or_none_are_passed_over() {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.refuse = vec![gateway_number(B)];
    rig.proxy.policy.advances = [vec![B], vec![], vec![B], vec![A]].into();
    let first = rig.call(A);
    rig.receive(A, &respond(&first, 500, "a", ""));
    rig.expect(A, "ACK");
    rig.expect(A, "INVITE");
    rig.expect_nothing();

    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.advances = (0..100).map(|_| vec![]).collect();
    let first = rig.call(A);
    rig.receive(A, &respond(&first, 486, "a", ""));
    rig.expect(A, "ACK");
    rig.expect(CALLER, "SIP/2.0 486");
    end(rig);
}

#[test]
pub fn nobody_to_try_is_503() {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.refuse = vec![gateway_number(A)];
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    rig.expect(CALLER, "SIP/2.0 503");
    assert_eq!(rig.proxy.policy.ends, [503]);
    end(rig);
}

#[test]
pub fn an_unreachable_gateway_is_left_at_once() {
    let (mut rig, _) = call();
    rig.proxy.on_unreachable(rig.now, A.parse().unwrap(), &mut rig.world);
    rig.expect(B, "INVITE");
    assert_eq!(rig.proxy.policy.silences, [(5071, Outcome::Unreachable)]);
    rig.proxy.on_unreachable(rig.now, A.parse().unwrap(), &mut rig.world);
    rig.expect_nothing();
    rig.proxy.on_unreachable(rig.now, B.parse().unwrap(), &mut rig.world);
    rig.expect(CALLER, "SIP/2.0 503");
    end(rig);
}

#[test]
pub fn a_gateway_that_has_spoken_is_not_unreachable() {
    let (mut rig, first) = call();
    rig.receive(A, &respond(&first, 100, "a", ""));
    rig.proxy.on_unreachable(rig.now, A.parse().unwrap(), &mut rig.world);
    rig.expect_nothing();
    assert!(rig.proxy.policy.silences.is_empty());
}

#[test]
pub fn a_100_that_comes_late_does_not_bring_timer_c_forward() {
    let (mut rig, first) = call();
    for _ in 0..2 {
        rig.receive(A, &respond(&first, 180, "a", ""));
        rig.expect(CALLER, "SIP/2.0 180");
        rig.pass(150_000);
    }
    rig.receive(A, &respond(&first, 100, "a", ""));
    rig.pass(34_999);
    rig.expect_nothing();
    rig.pass(1);
    rig.expect(A, "CANCEL");
    // 408 after ringing: the policy's next target, and nothing more of the first.
    let second = rig.expect(B, "INVITE");
    rig.receive(A, &respond(&first, 183, "a", ""));
    rig.expect_nothing();
    rig.receive(B, &respond(&second, 183, "b", ""));
    rig.expect(CALLER, "SIP/2.0 183");
    end(rig);
}
