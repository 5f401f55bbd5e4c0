//! Requests within a dialog: our Route, what its token proves, strict routers, and the ACK of a 2xx
//! (RFC 3261 §12.2, §16.4, §16.6 step 6, §16.12).

use crate::rig::*;
use proto::policy::{BySource, Proof};
use proto::proxy::{Drop, Refused};

const CALLEE: &str = "127.0.0.1:5071";
const BY_INITIATOR: Proof = Proof::Token { from_initiator: true, to_far_side: false };
const BY_OTHER: Proof = Proof::Token { from_initiator: false, to_far_side: false };
const TO_INITIATOR: Proof = Proof::Token { from_initiator: false, to_far_side: true };

/// An established call, and the Record-Route values of its INVITE.
fn established() -> (Rig, Vec<String>) {
    let mut rig = Rig::new([Say::Forward(vec![CALLEE])]);
    let sent = rig.call(CALLEE);
    rig.receive(CALLEE, &respond(&sent, 200, "to1", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    (rig, headers(&sent, "Record-Route"))
}

fn by_caller(method: &str, route: &str) -> String {
    request(method, "z9hG4bKin", ";tag=to1", &format!("Route: {route}\r\n"))
}

/// A request of the called side: tags change places.
fn by_callee(method: &str, route: &str) -> String {
    by_caller(method, route)
        .replace("From: <sip:caller@127.0.0.1:5090>;tag=from1", "From: <sip:called@127.0.0.1:5060>;tag=to1")
        .replace("To: <sip:called@127.0.0.1:5060>;tag=to1", "To: <sip:caller@127.0.0.1:5090>;tag=from1")
        .replace("127.0.0.1:5090;branch", "127.0.0.1:5071;branch")
}

#[test]
pub fn the_token_proves_the_dialog_and_the_side() {
    let (mut rig, routes) = established();
    let route = &routes[0];
    rig.proxy.policy.verdicts = [Say::Keep(CALLEE), Say::Keep(CALLER)].into();
    rig.receive(CALLER, &by_caller("INFO", route));
    let passed = rig.expect(CALLEE, "INFO sip:called@127.0.0.1:5060 SIP/2.0");
    assert_eq!((header(&passed, "Route"), header(&passed, "Record-Route")), (None, None));
    rig.receive(CALLEE, &by_callee("INFO", route));
    rig.expect(CALLER, "INFO");
    assert_eq!(rig.proxy.policy.proofs, [BY_INITIATOR, BY_OTHER]);
}

/// The initiator is reached where its INVITE says: the topmost Record-Route, else Contact.
#[test]
pub fn the_token_knows_the_way_back_to_the_initiator() {
    // What the INVITE has more, what stands in Route behind ours, the Request-URI, whether it is the way back.
    let behind = "Record-Route: <sip:Proxy.example:5070;lr>, <sip:192.0.2.3;lr>\r\n";
    let table = [
        ("", "", "sip:other@127.0.0.1:5090", true),
        ("", "", "sip:caller@127.0.0.1:5091", false),
        ("", "", "sip:caller@127.0.0.2:5090", false),
        ("", "", "sip:caller@127.0.0.1:5090;maddr=192.0.2.1", false),
        ("", ", <sip:192.0.2.1;lr>", "sip:caller@127.0.0.1:5090", false),
        (behind, ", <sip:proxy.example:5070;lr>, <sip:192.0.2.3;lr>", "sip:caller@127.0.0.1:5090", true),
        (behind, ", <sip:192.0.2.3;lr>", "sip:caller@127.0.0.1:5090", false),
        (behind, "", "sip:caller@127.0.0.1:5090", false),
    ];
    for (more, rest, request_uri, back) in table {
        let mut rig = Rig::new([Say::Forward(vec![CALLEE])]);
        rig.receive(CALLER, &invite("z9hG4bKa").replace("Max-Forwards", &format!("{more}Max-Forwards")));
        rig.expect(CALLER, "SIP/2.0 100");
        let route = headers(&rig.expect(CALLEE, "INVITE"), "Record-Route").swap_remove(0);
        rig.proxy.policy.verdicts.push_back(Say::Drop);
        let bye = by_callee("BYE", &format!("{route}{rest}"));
        let (_, after) = bye.split_once(" SIP/2.0").unwrap();
        rig.receive(CALLEE, &format!("BYE {request_uri} SIP/2.0{after}"));
        let wanted = if back { TO_INITIATOR } else { BY_OTHER };
        assert_eq!(rig.proxy.policy.proofs, [wanted], "{more} {rest} {request_uri}");
    }
}

/// The responder is reached where its 2xx says: the next Record-Route on its side, else Contact.
#[test]
pub fn the_token_of_the_2xx_knows_the_way_to_the_responder() {
    // What the 2xx has above our Record-Route, what stands in Route behind ours, the Request-URI, whether it is the way.
    let beyond = "Record-Route: <sip:192.0.2.3;lr>, <sip:Proxy.example:5070;lr>\r\n";
    let table = [
        ("", "", "sip:other@192.0.2.9:5066", true),
        ("", "", "sip:called@192.0.2.9:5067", false),
        ("", "", "sip:called@192.0.2.8:5066", false),
        ("", ", <sip:192.0.2.1;lr>", "sip:called@192.0.2.9:5066", false),
        (beyond, ", <sip:proxy.example:5070;lr>, <sip:192.0.2.3;lr>", "sip:called@192.0.2.9:5066", true),
        (beyond, "", "sip:called@192.0.2.9:5066", false),
    ];
    for (above, rest, request_uri, there) in table {
        for via_first in [true, false] {
            let mut rig = Rig::new([Say::Forward(vec![CALLEE])]);
            let sent = rig.call(CALLEE);
            let asked = headers(&sent, "Record-Route").swap_remove(0);
            let mut answer = respond(&sent, 200, "to1", "Contact: <sip:called@192.0.2.9:5066>\r\n");
            let own = format!("Record-Route: {asked}\r\n");
            answer = match via_first {
                true => answer.replace(&own, &format!("{above}{own}")),
                false => answer.replace(&own, "").replacen("Via: SIP", &format!("{above}{own}Via: SIP"), 1),
            };
            rig.receive(CALLEE, &answer);
            let passed = rig.expect(CALLER, "SIP/2.0 200");
            let ours = headers(&passed, "Record-Route").pop().unwrap();
            assert_eq!(ours.len(), asked.len());
            assert_ne!(ours, asked);
            // Nothing else has changed but our Via.
            let restored = passed.replace(&ours, &asked);
            assert!(answer.ends_with(&restored[restored.find("From:").unwrap()..]), "{answer}\n{restored}");

            rig.proxy.policy.verdicts.push_back(Say::Drop);
            let bye = by_caller("BYE", &format!("{ours}{rest}"));
            let (_, after) = bye.split_once(" SIP/2.0").unwrap();
            rig.receive(CALLER, &format!("BYE {request_uri} SIP/2.0{after}"));
            let wanted = Proof::Token { from_initiator: true, to_far_side: there };
            assert_eq!(rig.proxy.policy.proofs, [wanted], "{above} {rest} {request_uri}");

            // It opens no way for the other side, nor the request's token for this one.
            rig.proxy.policy.verdicts.extend([Say::Drop, Say::Drop]);
            rig.receive(CALLEE, &by_callee("BYE", &ours).replace("z9hG4bKin", "z9hG4bKx"));
            let bye = by_caller("BYE", &asked).replace("z9hG4bKin", "z9hG4bKy");
            let (_, after) = bye.split_once(" SIP/2.0").unwrap();
            rig.receive(CALLER, &format!("BYE sip:caller@127.0.0.1:5090 SIP/2.0{after}"));
            assert_eq!(rig.proxy.policy.proofs[1..], [BY_OTHER, BY_INITIATOR]);
        }
    }
}

#[test]
pub fn a_forged_or_replayed_token_proves_nothing() {
    let (rig, routes) = established();
    let good = by_caller("BYE", &routes[0]);
    let forgeries = [
        good.replace("tag=from1", "tag=other").replace("tag=to1", "tag=another"),
        good.replace("call1@", "call2@"),
        good.replace(";tt=", ";tt=A"),
        good.replace(";tt=", ";tx="),
        good.replace(&format!("Route: {}\r\n", routes[0]), ""),
    ];
    drop(rig);
    for forgery in forgeries {
        let (mut rig, _) = established();
        rig.proxy.policy.verdicts.push_back(Say::Reply(403));
        rig.receive(CALLER, &forgery);
        rig.expect(CALLER, "SIP/2.0 403");
        assert_eq!(rig.proxy.policy.proofs, [Proof::None], "{forgery}");
    }
    // A token of our Via is none of our Route.
    let (mut rig, _) = established();
    rig.proxy.policy.verdicts.push_back(Say::Drop);
    let branch = "z9hG4bKEQEAAAwIAAB45XXj_SZC3Y7FBG2_ZjWK0NGCRg";
    rig.receive(CALLER, &by_caller("BYE", &format!("<sip:127.0.0.1:5060;lr;tt={branch}>")));
    assert_eq!(rig.proxy.policy.proofs, [Proof::None]);
}

#[test]
pub fn both_of_a_double_record_route_are_taken_off() {
    let mut rig = Rig::new([Say::Forward(vec![CALLEE])]);
    let caller = "[::1]:5090";
    rig.receive_at(1, "[::1]:5060", caller.parse().unwrap(), &invite("z9hG4bKa"));
    rig.expect(caller, "SIP/2.0 100");
    let sent = rig.expect(CALLEE, "INVITE");
    rig.receive(CALLEE, &respond(&sent, 200, "to1", ""));
    rig.expect(caller, "SIP/2.0 200");
    let mut routes = headers(&sent, "Record-Route");

    rig.proxy.policy.verdicts = [Say::Keep("[::1]:5090"), Say::Keep(CALLEE)].into();
    rig.receive(CALLEE, &by_callee("BYE", &routes.join(", ")));
    let passed = rig.world.sent.pop_front().unwrap();
    assert_eq!((passed.0.listener, passed.0.peer.to_string()), (1, caller.to_owned()));
    assert_eq!(header(&passed.1, "Route"), None);

    routes.reverse();
    let two_lines = by_caller("BYE", &routes.join("\r\nRoute: ")).replace("z9hG4bKin", "z9hG4bKout");
    rig.receive_at(1, "[::1]:5060", caller.parse().unwrap(), &two_lines);
    assert_eq!(header(&rig.expect(CALLEE, "BYE"), "Route"), None);
    assert_eq!(rig.proxy.policy.proofs, [BY_OTHER, BY_INITIATOR]);
}

#[test]
pub fn only_our_own_routes_are_taken_off() {
    // What stands in Route after ours, and what is left of it.
    let table = [
        ("", ""),
        (", <sip:next.example;lr>", "<sip:next.example;lr>"),
        (",<sip:127.0.0.1:5070;lr>,  <sip:b.example;lr>", "<sip:127.0.0.1:5070;lr>,  <sip:b.example;lr>"),
        ("\r\nRoute: <sip:next.example;lr>", "<sip:next.example;lr>"),
    ];
    for (rest, left) in table {
        let (mut rig, routes) = established();
        rig.proxy.policy.verdicts.push_back(Say::Keep(CALLEE));
        rig.receive(CALLER, &by_caller("BYE", &format!("{}{rest}", routes[0])));
        let passed = rig.expect(CALLEE, "BYE");
        assert_eq!(header(&passed, "Route").unwrap_or_default(), left);
    }
}

#[test]
pub fn on_a_wildcard_other_proxies_of_our_port_are_not_ours() {
    let mut settings = settings();
    settings.listeners[0].address = "0.0.0.0:5060".parse().unwrap();
    let mut rig = Rig::with(settings, [Say::Forward(vec![CALLEE])]);
    // Asked at an address that only the kernel knows is ours: it stands in Record-Route, and its token says so.
    rig.receive_at(0, "192.0.2.1:5060", CALLER.parse().unwrap(), &invite("z9hG4bKa"));
    rig.expect(CALLER, "SIP/2.0 100");
    let sent = rig.expect(CALLEE, "INVITE");
    let route = header(&sent, "Record-Route").unwrap();
    assert!(route.starts_with("<sip:192.0.2.1:5060;lr;tt="), "{route}");
    rig.proxy.policy.verdicts.push_back(Say::Keep(CALLEE));
    let bye = by_caller("BYE", &format!("{route}, <sip:192.0.2.99:5060;lr>"));
    rig.receive_at(0, "192.0.2.1:5060", CALLER.parse().unwrap(), &bye);
    assert_eq!(header(&rig.expect(CALLEE, "BYE"), "Route").unwrap(), "<sip:192.0.2.99:5060;lr>");
    assert_eq!(rig.proxy.policy.proofs, [BY_INITIATOR]);
    // The address that was asked is ours without a token, too.
    rig.proxy.policy.verdicts.push_back(Say::Keep(CALLEE));
    let bye = by_caller("BYE", "<sip:192.0.2.1;lr>").replace("z9hG4bKin", "z9hG4bKin2");
    rig.receive_at(0, "192.0.2.1:5060", CALLER.parse().unwrap(), &bye);
    assert_eq!(header(&rig.expect(CALLEE, "BYE"), "Route"), None);
}

#[test]
pub fn a_route_of_another_node_with_our_keys_is_not_ours() {
    let (_, routes) = established();
    let mut settings = settings();
    settings.node = 7;
    let mut rig = Rig::with(settings, [Say::Keep(CALLEE)]);
    let elsewhere = routes[0].replace("127.0.0.1", "192.0.2.7");
    rig.receive(CALLER, &by_caller("BYE", &format!("<sip:127.0.0.1:5060;lr>, {elsewhere}")));
    assert_eq!(header(&rig.expect(CALLEE, "BYE"), "Route").unwrap(), elsewhere);
}

#[test]
pub fn from_a_strict_router_the_request_uri_is_restored() {
    let (mut rig, routes) = established();
    rig.proxy.policy.verdicts.push_back(Say::Keep(CALLEE));
    let uri = routes[0].trim_matches(['<', '>']);
    let bye = by_caller("BYE", "<sip:next.example;lr>, <sip:target@192.0.2.5>")
        .replace("BYE sip:called@127.0.0.1:5060 SIP", &format!("BYE {uri} SIP"));
    rig.receive(CALLER, &bye);
    let passed = rig.expect(CALLEE, "BYE sip:target@192.0.2.5 SIP/2.0");
    assert_eq!(headers(&passed, "Route"), ["<sip:next.example;lr>"]);
    assert_eq!(rig.proxy.policy.proofs, [BY_INITIATOR]);
}

#[test]
pub fn to_a_strict_router_the_request_uri_goes_last() {
    let (mut rig, routes) = established();
    rig.proxy.policy.verdicts.push_back(Say::Keep(CALLEE));
    let bye = by_caller("BYE", &format!("{}, <sip:strict.example>, <sip:b.example;lr>", routes[0]));
    rig.receive(CALLER, &bye);
    let passed = rig.expect(CALLEE, "BYE sip:strict.example SIP/2.0");
    assert_eq!(headers(&passed, "Route"), ["<sip:b.example;lr>", "<sip:called@127.0.0.1:5060>"]);
}

#[test]
pub fn a_maddr_that_names_us_is_taken_off() {
    // Request-URI as it comes, and as it leaves (§16.4).
    let table = [
        ("sip:a@example.com;maddr=127.0.0.1", "sip:a@example.com"),
        ("sip:a@example.com:5060;user=phone;maddr=127.0.0.1;x", "sip:a@example.com:5060;user=phone;x"),
        ("sip:a@example.com;transport=udp;maddr=127.0.0.1", "sip:a@example.com"),
        ("sip:a@example.com;maddr=192.0.2.1", "sip:a@example.com;maddr=192.0.2.1"),
        ("sip:a@example.com:5070;maddr=127.0.0.1", "sip:a@example.com:5070;maddr=127.0.0.1"),
        ("sip:a@example.com;transport=tcp;maddr=127.0.0.1", "sip:a@example.com;transport=tcp;maddr=127.0.0.1"),
    ];
    for (comes, leaves) in table {
        let mut rig = Rig::new([Say::Keep(CALLEE)]);
        rig.receive(CALLER, &invite("z9hG4bKa").replace("sip:called@127.0.0.1:5060 SIP", &format!("{comes} SIP")));
        rig.expect(CALLER, "SIP/2.0 100");
        let sent = rig.expect(CALLEE, &format!("INVITE {leaves} SIP/2.0\r\n"));
        rig.pass(500);
        assert_eq!(rig.expect(CALLEE, "INVITE"), sent, "and again");
    }
}

#[test]
pub fn the_ack_of_a_2xx_is_passed_on_and_nothing_kept() {
    for branch in ["z9hG4bKother", "z9hG4bKa"] {
        let (mut rig, routes) = established();
        rig.proxy.policy.verdicts.push_back(Say::Keep(CALLEE));
        let before = rig.proxy.occupancy();
        rig.receive(CALLER, &request("ACK", branch, ";tag=to1", &format!("Route: {}\r\n", routes[0])));
        let ack = rig.expect(CALLEE, "ACK sip:called@127.0.0.1:5060");
        assert_eq!(header(&ack, "Max-Forwards").unwrap(), "69");
        assert_eq!(headers(&ack, "Via").len(), 2);
        assert_eq!(rig.proxy.occupancy(), before, "RFC 6026 §7.1: by whichever branch");
    }
}

#[test]
pub fn an_ack_that_may_not_pass_draws_nothing() {
    let (mut rig, _) = established();
    rig.proxy.policy.verdicts = [Say::Reply(403), Say::Drop].into();
    rig.receive(CALLER, &by_caller("ACK", "<sip:127.0.0.1:5060;lr>"));
    rig.receive(CALLER, &by_caller("ACK", "<sip:127.0.0.1:5060;lr>").replace("z9hG4bKin", "z9hG4bKin2"));
    rig.receive(CALLER, &by_caller("ACK", "<sip:127.0.0.1:5060;lr>").replace("Forwards: 70", "Forwards: 0"));
    rig.expect_nothing();
    assert_eq!((rig.refused(Refused::Policy), rig.refused(Refused::MaxForwards)), (1, 1));
    assert_eq!(rig.dropped(Drop::Policy), 1);
}

#[test]
pub fn a_prack_and_its_answer_pass() {
    let (mut rig, routes) = established();
    rig.proxy.policy.verdicts.push_back(Say::Keep(CALLEE));
    rig.receive(CALLER, &by_caller("PRACK", &routes[0]));
    let passed = rig.expect(CALLEE, "PRACK");
    rig.receive(CALLEE, &respond(&passed, 200, "x", ""));
    rig.expect(CALLER, "SIP/2.0 200");
    rig.pass(32_000);
    rig.expect_empty();
}

#[test]
pub fn a_re_invite_is_carried_like_an_invite_and_cancelled_like_one() {
    let (mut rig, routes) = established();
    rig.proxy.policy.verdicts.push_back(Say::Keep(CALLEE));
    rig.receive(CALLER, &by_caller("INVITE", &routes[0]));
    rig.expect(CALLER, "SIP/2.0 100");
    let passed = rig.expect(CALLEE, "INVITE");
    rig.receive(CALLEE, &respond(&passed, 180, "x", ""));
    rig.expect(CALLER, "SIP/2.0 180");
    rig.receive(CALLER, &by_caller("CANCEL", &routes[0]));
    rig.expect(CALLER, "SIP/2.0 200");
    let cancel = rig.expect(CALLEE, "CANCEL");
    assert_eq!((header(&cancel, "Route"), header(&cancel, "To")), (None, header(&passed, "To")));
}

/// A phone behind NAT, by its 2xx or by its INVITE: our token says where it really is, whatever its Contact says.
#[test]
pub fn the_token_says_where_a_phone_really_is() {
    const PHONE: &str = "203.0.113.7:40001";
    let contact = "Contact: <sip:called@192.168.1.5:5066>\r\n";
    for (by_source, caller_at, callee_at) in [
        (BySource::Neither, None, None),
        (BySource::Caller, Some(CALLER), None),
        (BySource::Callee, None, Some(PHONE)),
        (BySource::Both, Some(CALLER), Some(PHONE)),
    ] {
        let mut rig = Rig::new([Say::Forward(vec![PHONE])]);
        rig.proxy.policy.by_source = by_source;
        let sent = rig.call(PHONE);
        let asked = headers(&sent, "Record-Route").swap_remove(0);
        assert_eq!(asked.contains(&format!(";ta={CALLER};tt=")), caller_at.is_some(), "{asked}");
        rig.receive(PHONE, &respond(&sent, 200, "to1", contact));
        let passed = rig.expect(CALLER, "SIP/2.0 200");
        assert_eq!(header(&passed, "Contact").unwrap(), "<sip:called@192.168.1.5:5066>", "as sent");
        let ours = headers(&passed, "Record-Route").pop().unwrap();
        assert_eq!(ours.contains(&format!(";ta={PHONE};tt=")), callee_at.is_some(), "{ours}");
        // The same again when the 2xx is repeated.
        rig.receive(PHONE, &respond(&sent, 200, "to1", contact));
        assert_eq!(headers(&rig.expect(CALLER, "SIP/2.0 200"), "Record-Route"), std::slice::from_ref(&ours));

        rig.proxy.policy.verdicts.extend([Say::Drop, Say::Drop, Say::Drop]);
        rig.receive(CALLER, &by_caller("BYE", &ours));
        rig.receive(PHONE, &by_callee("BYE", &asked).replace("z9hG4bKin", "z9hG4bKx"));
        // Not for the other direction.
        rig.receive(PHONE, &by_callee("INFO", &ours).replace("z9hG4bKin", "z9hG4bKy"));
        let wanted = [callee_at, caller_at, None].map(|at| at.map(|at| at.parse().unwrap()));
        assert_eq!(rig.proxy.policy.far_sides[1..], wanted, "{by_source:?}");
    }
}

/// Nobody else can name an address for us to send to.
#[test]
pub fn an_address_that_was_not_signed_opens_no_way() {
    const PHONE: &str = "203.0.113.7:40001";
    let mut rig = Rig::new([Say::Forward(vec![PHONE])]);
    rig.proxy.policy.by_source = BySource::Both;
    let sent = rig.call(PHONE);
    rig.receive(PHONE, &respond(&sent, 200, "to1", "Contact: <sip:called@192.168.1.5:5066>\r\n"));
    let ours = headers(&rig.expect(CALLER, "SIP/2.0 200"), "Record-Route").pop().unwrap();
    for (number, forged) in [
        ours.replace(PHONE, "203.0.113.8:40001"),
        ours.replace(PHONE, "203.0.113.7:40002"),
        ours.replace(PHONE, "203.0.113.7:0"),
        ours.replace(&format!(";ta={PHONE}"), ""),
        ours.replace(&format!(";ta={PHONE}"), ";ta"),
    ]
    .iter()
    .enumerate()
    {
        rig.proxy.policy.verdicts.push_back(Say::Drop);
        let bye = by_caller("BYE", forged).replace("z9hG4bKin", &format!("z9hG4bK{number}"));
        rig.receive(CALLER, &bye);
        assert_eq!(rig.proxy.policy.far_sides.pop(), Some(None), "{forged}");
        assert_eq!(rig.proxy.policy.proofs.pop(), Some(BY_INITIATOR), "{forged}");
    }
}
