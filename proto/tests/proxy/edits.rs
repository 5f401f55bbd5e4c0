//! What a policy changes in the header of a branch's request (`proto::policy::Edits`).

use crate::rig::*;
use proto::policy::{BySource, EditWriter};

const PHONE: &str = "127.0.0.1:5071";
const OTHER: &str = "127.0.0.1:5072";

fn edit(edits: &mut EditWriter<'_, '_>) {
    edits.remove(b"Proxy-Authorization");
    edits.set(b"P-Asserted-Identity", |out| out.put(b"<sip:alice@example.com>"));
    edits.route(b"<sip:edge.example.com;lr>");
    edits.route(b"<sip:inner.example.com;lr>, <sip:inmost.example.com;lr>");
}

const CAME: &str = "P-Asserted-Identity: <sip:president@example.com>\r\nRoute: <sip:last.example.com;lr>\r\n\
                    Proxy-Authorization: Digest x\r\nX-Mine: 1\r\nP-ASSERTED-IDENTITY: <tel:+1>\r\n";

fn call(targets: Vec<&'static str>) -> Rig {
    let mut rig = Rig::new([Say::Forward(targets)]);
    rig.proxy.policy.edit = Some(edit);
    rig.receive(CALLER, &request("INVITE", "z9hG4bKa", "", CAME));
    rig.expect(CALLER, "SIP/2.0 100");
    rig
}

#[track_caller]
fn is_edited(sent: &str) {
    assert_eq!(headers(sent, "P-Asserted-Identity"), ["<sip:alice@example.com>"]);
    assert!(!sent.contains("PASSERTED") && !sent.contains("tel:+1") && !sent.contains("Proxy-Authorization"), "{sent}");
    assert_eq!(header(sent, "X-Mine").as_deref(), Some("1"), "the rest stays");
    has_routes(sent);
}

#[track_caller]
fn has_routes(sent: &str) {
    let routes = [
        "<sip:edge.example.com;lr>",
        "<sip:inner.example.com;lr>, <sip:inmost.example.com;lr>",
        "<sip:last.example.com;lr>",
    ];
    assert_eq!(headers(sent, "Route"), routes, "{sent}");
}

#[test]
pub fn a_request_leaves_edited_and_is_repeated_so() {
    let mut rig = call(vec![PHONE, OTHER]);
    for to in [PHONE, OTHER] {
        is_edited(&rig.expect(to, "INVITE"));
    }
    rig.pass(500);
    for _ in 0..2 {
        is_edited(&rig.sent().1);
    }
    rig.expect_nothing();
}

/// §9.1, §17.1.1.3: CANCEL and ACK take the way of their INVITE.
#[test]
pub fn cancel_and_ack_take_the_same_route() {
    let mut rig = call(vec![PHONE]);
    let sent = rig.expect(PHONE, "INVITE");
    rig.receive(PHONE, &respond(&sent, 180, "a", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.receive(CALLER, &request("CANCEL", "z9hG4bKa", "", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    has_routes(&rig.expect(PHONE, "CANCEL"));
    rig.receive(PHONE, &respond(&sent, 487, "a", ""));
    has_routes(&rig.expect(PHONE, "ACK"));
    rig.expect(CALLER, "SIP/2.0 487");
    rig.receive(CALLER, &request("ACK", "z9hG4bKa", ";tag=a", ""));
    rig.pass(300_000);
    rig.expect_empty();
}

#[test]
pub fn a_stateless_request_too() {
    let mut rig = Rig::new([Say::Stateless(PHONE)]);
    rig.proxy.policy.edit = Some(edit);
    rig.receive(CALLER, &request("MESSAGE", "z9hG4bKa", "", CAME));
    is_edited(&rig.expect(PHONE, "MESSAGE"));
}

/// RFC 3327: a REGISTER that is passed on carries our Path, and what is sent along it says where the phone really is.
#[test]
pub fn a_registration_passed_on_leads_back_to_the_phone() {
    const REGISTRAR: &str = "127.0.0.1:5072";
    let mut rig = Rig::new([Say::Forward(vec![REGISTRAR])]);
    rig.proxy.policy.by_source = BySource::Caller;
    rig.receive(
        "203.0.113.7:40001",
        &request("REGISTER", "z9hG4bKa", "", "").replace(":5090;branch", ":5090;rport;branch"),
    );
    let sent = rig.expect(REGISTRAR, "REGISTER");
    assert_eq!(header(&sent, "Record-Route"), None);
    let path = header(&sent, "Path").unwrap();
    assert!(path.starts_with("<sip:127.0.0.1:5060;lr;ta=203.0.113.7:40001;tt="), "{path}");
    let forged = path.replace("203.0.113.7", "203.0.113.8");
    for (route, wanted) in [(&path, Some("203.0.113.7:40001".parse().unwrap())), (&forged, None)] {
        rig.proxy.policy.verdicts.push_back(Say::Drop);
        let call = request("INVITE", &format!("z9hG4bK{}", route.len()), "", &format!("Route: {route}\r\n"));
        rig.receive(REGISTRAR, &call.replace("call1", &format!("call{}", wanted.is_some())));
        assert_eq!(rig.proxy.policy.far_sides.pop(), Some(wanted), "{route}");
    }
}

/// RFC 3581 forced: a phone behind NAT hears us though it did not ask for it.
#[test]
pub fn responses_go_to_the_source_port() {
    let mapped = "127.0.0.1:40001";
    for (forced, to) in [(true, mapped), (false, CALLER)] {
        let mut rig = Rig::new([Say::Forward(vec![PHONE])]);
        rig.proxy.policy.to_source_port = forced;
        rig.receive(mapped, &invite("z9hG4bKa"));
        rig.expect(to, "SIP/2.0 100");
        let sent = rig.expect(PHONE, "INVITE");
        rig.receive(PHONE, &respond(&sent, 486, "a", ""));
        rig.expect(PHONE, "ACK");
        rig.expect(to, "SIP/2.0 486");
    }
}
