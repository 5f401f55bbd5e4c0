//! A From that the far side sees in place of the caller's own (`proto::policy::EditWriter::show_from`): each side sees its
//! own the whole dialog long, by what our Record-Route says.

use crate::rig::*;
use proto::policy::{EditWriter, Proof};

const CALLEE: &str = "127.0.0.1:5071";
const OTHER: &str = "127.0.0.1:5072";

const OWN: &str = "\"The President\" <sip:president%20x@127.0.0.1:5090;user=phone>;tag=from1;x=1";
const OWN_PLAIN: &str = "<sip:president%20x@127.0.0.1:5090;user=phone>;tag=from1";
const SHOWN: &str = "<sip:alice@example.com>;tag=from1;x=1";
const SHOWN_PLAIN: &str = "<sip:alice@example.com>;tag=from1";
const CALLED: &str = "<sip:called@127.0.0.1:5060>;tag=to1";

fn show(edits: &mut EditWriter<'_, '_>) {
    edits.show_from(|out| out.put(b"sip:alice@example.com"));
}

fn with_own(request: &str) -> String {
    request.replace("<sip:caller@127.0.0.1:5090>;tag=from1", OWN)
}

fn rig(targets: Vec<&'static str>) -> Rig {
    let mut rig = Rig::new([Say::Forward(targets)]);
    rig.proxy.policy.edit = Some(show);
    rig
}

/// What both sides see in a message that came or left: From and To.
#[track_caller]
fn sees(text: &str, from: &str, to: &str) {
    let seen = ["From", "To"].map(|name| header(text, name).unwrap_or_default());
    assert_eq!(seen, [from, to], "{text}");
}

/// An answered call: the Route of the caller, and that of the callee.
fn answered(rig: &mut Rig) -> [String; 2] {
    rig.receive(CALLER, &with_own(&invite("z9hG4bKa")));
    sees(&rig.expect(CALLER, "SIP/2.0 100"), OWN, "<sip:called@127.0.0.1:5060>");
    let sent = rig.expect(CALLEE, "INVITE");
    sees(&sent, SHOWN, "<sip:called@127.0.0.1:5060>");
    rig.receive(CALLEE, &respond(&sent, 180, "to1", ""));
    sees(&rig.expect(CALLER, "SIP/2.0 180"), OWN, CALLED);
    let answer = respond(&sent, 200, "to1", "Contact: <sip:called@127.0.0.1:5071>\r\n");
    rig.receive(CALLEE, &answer);
    let passed = rig.expect(CALLER, "SIP/2.0 200");
    sees(&passed, OWN, CALLED);
    for _ in 0..2 {
        rig.receive(CALLEE, &answer);
        let again = rig.expect(CALLER, "SIP/2.0 200");
        assert_eq!(again, passed);
    }
    rig.proxy.policy.edit = None;
    [passed, sent].map(|text| header(&text, "Record-Route").unwrap())
}

fn by_caller(method: &str, route: &str) -> String {
    with_own(&request(method, "z9hG4bKin", ";tag=to1", &format!("Route: {route}\r\n")))
}

fn by_callee(method: &str, route: &str) -> String {
    request(method, "z9hG4bKback", ";tag=to1", &format!("Route: {route}\r\n"))
        .replace("From: <sip:caller@127.0.0.1:5090>;tag=from1", &format!("From: {CALLED}"))
        .replace("To: <sip:called@127.0.0.1:5060>;tag=to1", &format!("To: {SHOWN_PLAIN}"))
        .replace("127.0.0.1:5090;branch", "127.0.0.1:5071;branch")
}

#[test]
pub fn each_side_sees_its_own_the_whole_call() {
    let mut rig = rig(vec![CALLEE]);
    let [to_callee, to_caller] = answered(&mut rig);
    assert!(to_caller.contains("president%2520x%40127.0.0.1:5090%3Buser%3Dphone"), "{to_caller}");
    // The ACK of the 2xx, and a re-INVITE of the caller.
    rig.proxy.policy.verdicts = [Say::Keep(CALLEE), Say::Keep(CALLEE), Say::Keep(CALLER), Say::Keep(CALLER)].into();
    rig.receive(CALLER, &by_caller("ACK", &to_callee));
    sees(&rig.expect(CALLEE, "ACK"), SHOWN, CALLED);
    rig.receive(CALLER, &by_caller("INVITE", &to_callee));
    sees(&rig.expect(CALLER, "SIP/2.0 100"), OWN, CALLED);
    let sent = rig.expect(CALLEE, "INVITE");
    sees(&sent, SHOWN, CALLED);
    for _ in 0..2 {
        rig.receive(CALLEE, &respond(&sent, 200, "", ""));
        sees(&rig.expect(CALLER, "SIP/2.0 200"), OWN, CALLED);
    }
    // A re-INVITE of the callee, which is cancelled, then its BYE.
    rig.receive(CALLEE, &by_callee("INVITE", &to_caller));
    rig.expect(CALLEE, "SIP/2.0 100");
    let sent = rig.expect(CALLER, "INVITE");
    sees(&sent, CALLED, OWN_PLAIN);
    rig.receive(CALLER, &respond(&sent, 180, "", ""));
    sees(&rig.expect(CALLEE, "SIP/2.0 180"), CALLED, SHOWN_PLAIN);
    rig.receive(CALLEE, &by_callee("CANCEL", &to_caller));
    rig.expect(CALLEE, "SIP/2.0 200");
    sees(&rig.expect(CALLER, "CANCEL"), CALLED, OWN_PLAIN);
    rig.receive(CALLER, &respond(&sent, 487, "", ""));
    sees(&rig.expect(CALLER, "ACK"), CALLED, OWN_PLAIN);
    sees(&rig.expect(CALLEE, "SIP/2.0 487"), CALLED, SHOWN_PLAIN);
    rig.receive(CALLEE, &by_callee("ACK", &to_caller));
    rig.receive(CALLEE, &by_callee("BYE", &to_caller).replace("z9hG4bKback", "z9hG4bKbye"));
    let bye = rig.expect(CALLER, "BYE");
    sees(&bye, CALLED, OWN_PLAIN);
    rig.receive(CALLER, &respond(&bye, 200, "", ""));
    sees(&rig.expect(CALLEE, "SIP/2.0 200"), CALLED, SHOWN_PLAIN);
    rig.pass(300_000);
    rig.expect_empty();
}

#[test]
pub fn a_failure_a_cancel_and_their_acks_too() {
    let mut rig = rig(vec![CALLEE, OTHER]);
    rig.receive(CALLER, &with_own(&invite("z9hG4bKa")));
    rig.expect(CALLER, "SIP/2.0 100");
    let (one, two) = (rig.expect(CALLEE, "INVITE"), rig.expect(OTHER, "INVITE"));
    rig.receive(CALLEE, &respond(&one, 486, "a", ""));
    sees(&rig.expect(CALLEE, "ACK"), SHOWN, "<sip:called@127.0.0.1:5060>;tag=a");
    rig.receive(OTHER, &respond(&two, 180, "b", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.receive(CALLER, &with_own(&request("CANCEL", "z9hG4bKa", "", "")));
    rig.expect(CALLER, "SIP/2.0 200");
    sees(&rig.expect(OTHER, "CANCEL"), SHOWN, "<sip:called@127.0.0.1:5060>");
    rig.receive(OTHER, &respond(&two, 487, "b", ""));
    rig.expect(OTHER, "ACK");
    let best = rig.expect(CALLER, "SIP/2.0 4");
    assert_eq!(header(&best, "From").as_deref(), Some(OWN));
    rig.receive(CALLER, &with_own(&request("ACK", "z9hG4bKa", ";tag=a", "")));
    rig.pass(300_000);
    rig.expect_empty();
}

#[test]
pub fn other_methods_and_forks_too() {
    let mut rig = rig(vec![CALLEE, OTHER]);
    rig.receive(CALLER, &with_own(&request("MESSAGE", "z9hG4bKa", "", "")));
    let (one, two) = (rig.expect(CALLEE, "MESSAGE"), rig.expect(OTHER, "MESSAGE"));
    sees(&two, SHOWN, "<sip:called@127.0.0.1:5060>");
    assert_eq!(header(&one, "Record-Route"), None);
    // The better of both has come first, and is kept until the other one fails.
    rig.receive(CALLEE, &respond(&one, 401, "a", ""));
    rig.receive(OTHER, &respond(&two, 480, "b", ""));
    sees(&rig.expect(CALLER, "SIP/2.0 401"), OWN, "<sip:called@127.0.0.1:5060>;tag=a");
    rig.pass(300_000);
    rig.expect_empty();
}

/// Whoever takes what is signed out of the Route, or changes it, proves nothing.
#[test]
fn what_is_shown_cannot_be_changed() {
    let mut rig = rig(vec![CALLEE]);
    let [to_callee, _] = answered(&mut rig);
    let start = to_callee.find("tf=").unwrap();
    let end = start + to_callee[start..].find(';').unwrap() + 1;
    let mut without = to_callee.clone();
    without.replace_range(start..end, "");
    let table = [
        (to_callee.clone(), true),
        (without, false),
        (to_callee.replace("alice", "bruce"), false),
        (to_callee.replace("tf=sip", "tf=sips"), false),
        (to_callee.replace("tf=", "tf=/"), false),
    ];
    for (number, (route, holds)) in table.into_iter().enumerate() {
        rig.proxy.policy.proofs.clear();
        rig.proxy.policy.verdicts.push_back(Say::Drop);
        rig.receive(CALLER, &by_caller("INFO", &route).replace("z9hG4bKin", &format!("z9hG4bK{number}")));
        let proven = matches!(rig.proxy.policy.proofs[..], [Proof::Token { from_initiator: true, .. }]);
        assert_eq!(proven, holds, "{route}");
    }
}
