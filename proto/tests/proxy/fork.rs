//! Parallel forking: RFC 3261 §16.7 steps 4 to 10, RFC 5393 §5.3.3.

use crate::rig::*;
use proto::proxy::Refused;

const A: &str = "127.0.0.1:5071";
const B: &str = "127.0.0.2:5072";
const C: &str = "127.0.0.3:5073";

/// An INVITE forked to `to`; what each was sent.
fn fork(to: &[&'static str]) -> (Rig, Vec<String>) {
    let mut rig = Rig::new([Say::Forward(to.to_vec())]);
    rig.receive(CALLER, &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    let sent = to.iter().map(|address| rig.expect(address, "INVITE")).collect();
    (rig, sent)
}

fn acked(rig: &mut Rig) {
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=x", ""));
    rig.pass(60_000);
    rig.world.sent.clear();
    rig.expect_empty();
}

#[test]
pub fn the_first_2xx_cancels_the_others() {
    let (mut rig, sent) = fork(&[A, B]);
    assert_ne!(header(&sent[0], "Via"), header(&sent[1], "Via"), "each branch is its own");
    for (address, invite) in [(A, &sent[0]), (B, &sent[1])] {
        rig.receive(address, &respond(invite, 180, "x", ""));
        rig.expect(CALLER, "SIP/2.0 180");
    }
    rig.receive(B, &respond(&sent[1], 200, "b", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    let cancel = rig.expect(A, "CANCEL sip:called@127.0.0.1:5071 SIP/2.0");
    assert_eq!(headers(&cancel, "Via"), [header(&sent[0], "Via").unwrap()]);
    rig.receive(A, &respond(&cancel, 200, "x", ""));
    rig.receive(A, &respond(&sent[0], 487, "a", ""));
    rig.expect(A, "ACK");
    rig.pass(60_000);
    rig.expect_nothing();
    assert_eq!(rig.proxy.policy.ends, [200]);
    rig.expect_empty();
}

#[test]
pub fn a_branch_that_was_silent_is_cancelled_when_it_speaks() {
    let (mut rig, sent) = fork(&[A, B]);
    rig.receive(A, &respond(&sent[0], 200, "a", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    rig.expect_nothing();
    rig.receive(B, &respond(&sent[1], 100, "b", ""));
    rig.expect(B, "CANCEL");
    rig.receive(B, &respond(&sent[1], 183, "b", ""));
    rig.expect_nothing();
    rig.pass(64_000);
    rig.world.sent.clear();
    rig.expect_empty();
}

#[test]
pub fn every_2xx_goes_upstream_as_often_as_it_comes() {
    let (mut rig, sent) = fork(&[A, B]);
    let answers = [(A, respond(&sent[0], 200, "a", "")), (B, respond(&sent[1], 200, "b", ""))];
    for (address, answer) in answers.iter().cycle().take(6) {
        rig.receive(address, answer);
        rig.expect(CALLER, "SIP/2.0 200");
    }
    // The second 2xx may be repeated as long as the first: 64 T1 after it came.
    rig.pass(31_000);
    let (_, late) = &answers[1];
    rig.receive(B, late);
    rig.expect(CALLER, "SIP/2.0 200");
    assert_eq!((rig.proxy.counters.second_answers, rig.proxy.policy.ends.len()), (1, 1));
    rig.receive(C, late);
    rig.expect_nothing();
    rig.pass(40_000);
    rig.expect_empty();
}

#[test]
pub fn a_2xx_after_the_final_response_goes_upstream_as_often_as_it_comes() {
    let (mut rig, sent) = fork(&[A, B]);
    rig.receive(A, &respond(&sent[0], 603, "a", ""));
    rig.expect(A, "ACK");
    rig.receive(B, &respond(&sent[1], 100, "b", ""));
    rig.expect(B, "CANCEL");
    rig.pass(32_000);
    rig.world.sent.retain(|(_, text)| text.starts_with("SIP/2.0 6"));
    rig.expect(CALLER, "SIP/2.0 603");
    let (mut rig, sent) = fork(&[A, B]);
    rig.receive(A, &respond(&sent[0], 603, "a", ""));
    rig.expect(A, "ACK");
    rig.expect_nothing();
    for _ in 0..3 {
        rig.receive(B, &respond(&sent[1], 200, "b", ""));
        rig.expect(CALLER, "SIP/2.0 200");
        rig.pass(10_000);
    }
    rig.expect_nothing();
    rig.pass(40_000);
    rig.expect_empty();
}

#[test]
pub fn the_best_response_is_chosen() {
    // What A and B say, and what the caller gets (§16.7 step 6).
    let table = [
        (486, 404, 404),
        (404, 486, 486),
        (503, 404, 404),
        (404, 503, 404),
        (302, 404, 302),
        (404, 302, 302),
        (401, 404, 401),
        (404, 484, 484),
        (500, 503, 503),
        (486, 603, 603),
        (302, 600, 600),
    ];
    for (first, second, best) in table {
        let (mut rig, sent) = fork(&[A, B]);
        rig.receive(A, &respond(&sent[0], first, "a", ""));
        rig.expect(A, "ACK");
        rig.expect_nothing();
        rig.receive(B, &respond(&sent[1], second, "b", ""));
        rig.expect(B, "ACK");
        rig.expect(CALLER, &format!("SIP/2.0 {best} "));
        rig.expect_nothing();
        acked(&mut rig);
    }
}

#[test]
pub fn a_6xx_cancels_the_others_and_waits_for_them() {
    let (mut rig, sent) = fork(&[A, B, C]);
    rig.receive(A, &respond(&sent[0], 180, "a", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.receive(B, &respond(&sent[1], 603, "b", ""));
    rig.expect(B, "ACK");
    rig.expect(A, "CANCEL");
    rig.expect_nothing();
    rig.receive(A, &respond(&sent[0], 487, "a", ""));
    rig.expect(A, "ACK");
    rig.receive(C, &respond(&sent[2], 404, "c", ""));
    rig.expect(C, "ACK");
    rig.expect(CALLER, "SIP/2.0 603");
    assert!(rig.proxy.policy.bests.is_empty(), "after a 6xx nothing more is tried");
    acked(&mut rig);
}

#[test]
pub fn challenges_are_collected() {
    for method in ["INVITE", "REGISTER"] {
        let mut rig = Rig::new([Say::Forward(vec![A, B, C])]);
        rig.receive(CALLER, &request(method, "z9hG4bKa", "", ""));
        if method == "INVITE" {
            rig.expect(CALLER, "SIP/2.0 100");
        }
        let sent: Vec<_> = [A, B, C].iter().map(|address| rig.expect(address, method)).collect();
        let basic = "WWW-Authenticate: Digest realm=\"a\"\r\n";
        rig.receive(A, &respond(&sent[0], 401, "a", basic));
        rig.receive(B, &respond(&sent[1], 404, "b", ""));
        let proxies = "Proxy-Authenticate: Digest realm=\"c\"\r\nProxy-Authenticate: Digest realm=\"d\"\r\n";
        rig.receive(C, &respond(&sent[2], 407, "c", proxies));
        rig.world.sent.retain(|(_, text)| !text.starts_with("ACK"));
        let best = rig.expect(CALLER, "SIP/2.0 407");
        assert_eq!(headers(&best, "WWW-Authenticate"), ["Digest realm=\"a\""]);
        assert_eq!(headers(&best, "Proxy-Authenticate"), ["Digest realm=\"c\"", "Digest realm=\"d\""]);
        if method == "INVITE" {
            acked(&mut rig);
        }
        rig.pass(64_000);
        rig.expect_empty();
    }
}

#[test]
pub fn a_2xx_to_another_method_goes_upstream_at_once_and_once() {
    let mut rig = Rig::new([Say::Forward(vec![A, B])]);
    rig.proxy.policy.advances.push_back(vec![C]);
    rig.receive(CALLER, &request("MESSAGE", "z9hG4bKa", "", ""));
    let sent: Vec<_> = [A, B].iter().map(|address| rig.expect(address, "MESSAGE")).collect();
    rig.receive(A, &respond(&sent[0], 200, "a", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    rig.receive(B, &respond(&sent[1], 200, "b", ""));
    rig.receive(A, &respond(&sent[0], 200, "a", ""));
    rig.expect_nothing();
    assert!(rig.proxy.policy.bests.is_empty(), "point 4 is not asked when a branch has succeeded");
    rig.pass(32_000);
    rig.expect_empty();
}

#[test]
pub fn max_breadth_is_shared_out() {
    let (_, sent) = fork(&[A]);
    assert_eq!(header(&sent[0], "Max-Breadth").unwrap(), "60", "RFC 5393 §5.3.3: one is added");
    for (given, shares) in [("30", ["15", "15"]), ("61", ["30", "30"]), ("2", ["1", "1"])] {
        let mut rig = Rig::new([Say::Forward(vec![A, B])]);
        rig.receive(CALLER, &request("INVITE", "z9hG4bKa", "", &format!("Max-Breadth: {given}\r\n")));
        rig.expect(CALLER, "SIP/2.0 100");
        let sent = [rig.expect(A, "INVITE"), rig.expect(B, "INVITE")];
        assert_eq!(sent.map(|text| header(&text, "Max-Breadth").unwrap()), shares);
    }
}

#[test]
pub fn a_breadth_of_one_goes_to_one_and_of_zero_nowhere() {
    let mut rig = Rig::new([Say::Forward(vec![A, B])]);
    rig.receive(CALLER, &request("INVITE", "z9hG4bKa", "", "Max-Breadth: 1\r\n"));
    rig.expect(CALLER, "SIP/2.0 100");
    assert_eq!(header(&rig.expect(A, "INVITE"), "Max-Breadth").unwrap(), "1");
    rig.expect_nothing();
    rig.receive(CALLER, &request("INVITE", "z9hG4bKb", "", "Max-Breadth: 0\r\n"));
    rig.expect(CALLER, "SIP/2.0 440");
    assert_eq!(rig.refused(Refused::MaxBreadth), 1);
}
