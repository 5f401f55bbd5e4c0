//! INVITEs that take longer than the policy allows: too long until it rings, too long in all.

use crate::rig::*;
use proto::policy::{Outcome, Patience};
use proto::time::Micros;

const A: &str = "127.0.0.1:5071";
const B: &str = "127.0.0.1:5072";

/// A call to A, with B to come next; each has 8 s to ring, the whole 20 s until the policy is asked.
fn call() -> (Rig, String) {
    let mut rig = Rig::new([Say::Forward(vec![A])]);
    rig.proxy.policy.patience = Patience { ringing: Micros::from_secs(8), overdue: Micros::from_secs(20) };
    rig.proxy.policy.advances.push_back(vec![B]);
    let sent = rig.call(A);
    (rig, sent)
}

fn end(mut rig: Rig) {
    rig.proxy.policy.verdicts.push_back(Say::Drop);
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=x", ""));
    rig.pass(300_000);
    rig.world.sent.clear();
    rig.expect_empty();
}

#[test]
pub fn who_only_says_100_is_cancelled_and_the_next_ones_turn_comes() {
    let (mut rig, first) = call();
    rig.pass(300);
    rig.receive(A, &respond(&first, 100, "a", ""));
    rig.pass(7_699);
    rig.expect_nothing();
    rig.pass(1);
    let cancel = rig.expect(A, "CANCEL");
    let second = rig.expect(B, "INVITE");
    assert_eq!(rig.proxy.policy.silences, [(5071, Outcome::NotRinging)]);
    rig.receive(A, &respond(&cancel, 200, "a", ""));
    rig.receive(A, &respond(&first, 180, "a", ""));
    rig.receive(A, &respond(&first, 487, "a", ""));
    rig.expect(A, "ACK");
    rig.expect_nothing();
    rig.receive(B, &respond(&second, 200, "b", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    end(rig);
}

#[test]
pub fn who_says_nothing_is_left_and_cancelled_when_he_speaks() {
    let (mut rig, first) = call();
    rig.pass(8_000);
    for _ in 0..4 {
        rig.expect(A, "INVITE");
    }
    let second = rig.expect(B, "INVITE");
    rig.expect_nothing();
    rig.receive(A, &respond(&first, 183, "a", ""));
    rig.expect(A, "CANCEL");
    rig.expect_nothing();
    rig.receive(B, &respond(&second, 200, "b", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    end(rig);
}

#[test]
pub fn who_rings_in_time_may_ring_on() {
    let (mut rig, first) = call();
    rig.receive(A, &respond(&first, 100, "a", ""));
    rig.pass(7_000);
    rig.receive(A, &respond(&first, 180, "a", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.pass(60_000);
    rig.expect_nothing();
    rig.receive(A, &respond(&first, 200, "a", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    end(rig);
}

#[test]
pub fn the_policy_is_asked_when_it_takes_too_long() {
    let (mut rig, first) = call();
    rig.proxy.policy.overdue.extend([Ok(10_000), Err(504)]);
    rig.receive(A, &respond(&first, 180, "a", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.pass(20_000);
    rig.expect_nothing();
    rig.pass(9_999);
    rig.expect_nothing();
    rig.pass(1);
    let cancel = rig.expect(A, "CANCEL");
    let answer = rig.expect(CALLER, "SIP/2.0 504");
    assert_eq!(header(&answer, "Reason").as_deref(), Some("Q.850;cause=102"));
    assert_eq!((&rig.proxy.policy.ends[..], rig.proxy.policy.bests.len()), (&[504][..], 0));
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=x", ""));
    rig.receive(A, &respond(&cancel, 200, "a", ""));
    rig.receive(A, &respond(&first, 487, "a", ""));
    rig.expect(A, "ACK");
    rig.pass(300_000);
    rig.expect_nothing();
    rig.expect_empty();
}

#[test]
pub fn after_the_callers_cancel_it_is_487() {
    let (mut rig, first) = call();
    rig.proxy.policy.overdue.push_back(Err(504));
    rig.receive(A, &respond(&first, 180, "a", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.receive(CALLER, &request("CANCEL", "z9hG4bKa", "", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    let cancel = rig.expect(A, "CANCEL");
    rig.receive(A, &respond(&cancel, 200, "a", ""));
    rig.pass(20_000);
    rig.expect(CALLER, "SIP/2.0 487");
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=x", ""));
    rig.pass(300_000);
    rig.expect_nothing();
    rig.expect_empty();
}
