//! Point 5, and the life of a call: no open relay, and peers without our Route.

use super::*;
use crate::calls::end::CallEnd;
use proto::policy::BySource;

const TOKEN: Proof = Proof::Token { from_initiator: true, to_far_side: false };

fn bye(uri: &str) -> String {
    message("BYE", uri, "1", "uac", "uas")
}

fn refused(reason: Reason) -> Verdict<Reason> {
    Verdict::Reply { status: 403, reason }
}

/// sipp's own scenarios: no Route, and the Request-URI of the INVITE.
#[test]
fn ack_and_bye_without_our_route_are_routed_from_the_call() {
    let mut bench = Bench::new(TWO);
    bench.established("1", "sip:uas@203.0.113.1:5099;x=y");
    assert_eq!((bench.figures("a").active, bench.figures("a").carried, bench.policy.calls().active), (1, 1, 1));
    let ack = message("ACK", "sip:4930123@198.51.100.1", "1", "uac", "uas");
    let (verdict, transaction) = bench.in_dialog(&ack, CALLER, Proof::None, None);
    assert_eq!(verdict, Verdict::Forward);
    let (target, uri) = &transaction.targets[0];
    assert_eq!((target.next_hop, uri.as_str()), (address("203.0.113.1:5060"), "sip:uas@203.0.113.1:5099;x=y"));
    assert_eq!(target.no_response, Micros(0));
    let (verdict, transaction) =
        bench.in_dialog(&bye("sip:4930123@198.51.100.1"), "192.0.2.1:40000", Proof::None, None);
    assert_eq!(verdict, Verdict::Forward);
    assert_eq!(bench.gateway_of(&transaction.targets[0].0), "a");
    bench.end(transaction, 200);
    assert_eq!((bench.figures("a").active, bench.policy.calls().active), (0, 0));
    let (verdict, _) = bench.in_dialog(&bye("sip:4930123@198.51.100.1"), CALLER, Proof::None, None);
    assert_eq!(verdict, refused(Reason::DialogUnproven), "it is over");
}

#[test]
fn the_gateways_bye_goes_to_the_callers_contact() {
    let mut bench = Bench::new(TWO);
    bench.established("1", "sip:uas@203.0.113.1");
    let from_gateway = message("BYE", "sip:anything@198.51.100.1", "1", "uas", "uac");
    let (verdict, transaction) = bench.in_dialog(&from_gateway, "203.0.113.1:5060", Proof::None, None);
    assert_eq!(verdict, Verdict::Forward);
    let (target, uri) = &transaction.targets[0];
    assert_eq!((target.next_hop, uri.as_str()), (address(CALLER), "sip:alice@192.0.2.1:5062"));
    assert_eq!(target.gateway, Target::NO_GATEWAY);
}

#[test]
fn a_forged_request_is_refused() {
    let mut bench = Bench::new(TWO);
    bench.established("1", "sip:uas@203.0.113.1");
    let us = "sip:4930123@198.51.100.1";
    for (text, source) in [
        (message("BYE", us, "1", "uac", "wrong"), CALLER),
        (message("BYE", us, "1", "wrong", "uas"), CALLER),
        (message("BYE", us, "2", "uac", "uas"), CALLER),
        (bye(us), "192.0.2.77:5060"),
        (message("BYE", us, "1", "uas", "uac"), CALLER),
    ] {
        let (verdict, _) = bench.in_dialog(&text, source, Proof::None, None);
        assert_eq!(verdict, refused(Reason::DialogUnproven), "{source} {text}");
    }
    let (verdict, _) = bench.in_dialog(&bye(us), "8.8.8.8:5060", Proof::None, None);
    assert_eq!(verdict, Verdict::Drop(Reason::StrangerDropped));
    let ack = message("ACK", us, "9", "uac", "uas");
    let (verdict, _) = bench.in_dialog(&ack, CALLER, Proof::None, None);
    assert_eq!(verdict, Verdict::Drop(Reason::DialogUnproven), "an ACK is never answered");
    assert_eq!(bench.count(Reason::DialogUnproven), 6);
    assert_eq!(bench.policy.calls().active, 1);
}

#[test]
fn a_token_opens_the_way_to_listed_gateways_sources_and_the_calls_contacts_alone() {
    let mut bench = Bench::new(TWO);
    bench.established("1", "sip:uas@203.0.113.1:5099");
    for (uri, goes) in [
        ("sip:x@203.0.113.1", true),
        ("sip:x@203.0.113.2:5070", true),
        ("sip:x@192.0.2.200:1234", true),
        ("sip:x@203.0.113.1:5099", true),
        ("sip:x@203.0.113.2", false),
        ("sip:x@203.0.113.1:9999", false),
        ("sip:x@8.8.8.8", false),
        ("sip:x@203.0.113.1;maddr=8.8.8.8", false),
        ("sip:x@8.8.8.8;maddr=203.0.113.1", true),
    ] {
        let (verdict, transaction) = bench.in_dialog(&bye(uri), CALLER, TOKEN, None);
        let wanted = if goes { Verdict::Forward } else { refused(Reason::DialogTarget) };
        assert_eq!(verdict, wanted, "{uri}");
        assert!(transaction.targets.iter().all(|(_, new)| new.is_empty()), "the Request-URI stays");
    }
    let ack = message("ACK", "sip:x@8.8.8.8", "1", "uac", "uas");
    assert_eq!(bench.in_dialog(&ack, CALLER, TOKEN, None).0, Verdict::Drop(Reason::DialogTarget));
}

#[test]
fn the_next_route_is_the_target_when_there_is_one() {
    let mut bench = Bench::new(TWO);
    let routed =
        |to: &str| bye("sip:x@10.9.9.9").replace("Max-Forwards", &format!("Route: <sip:{to};lr>\r\nMax-Forwards"));
    let (verdict, transaction) = bench.in_dialog(&routed("203.0.113.1"), CALLER, TOKEN, None);
    assert_eq!((verdict, transaction.targets[0].0.next_hop), (Verdict::Forward, address("203.0.113.1:5060")));
    let (verdict, _) = bench.in_dialog(&routed("8.8.8.8"), CALLER, TOKEN, None);
    assert_eq!(verdict, refused(Reason::DialogTarget));
}

#[test]
fn any_and_loopback_at_large_name_no_target() {
    for sources in ["", "sources = [\"any\"]\n"] {
        let toml = format!(
            "{sources}[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"s\"\ngateways = [\"sip:127.0.0.1:5071\"]\n"
        );
        let mut bench = Bench::with(&toml, 0, 1);
        let (verdict, _) = bench.in_dialog(&bye("sip:x@127.0.0.1:5071"), "127.0.0.1:9", TOKEN, None);
        assert_eq!(verdict, Verdict::Forward);
        let (verdict, _) = bench.in_dialog(&bye("sip:x@127.0.0.1:5999"), "127.0.0.1:9", TOKEN, None);
        assert_eq!(verdict, refused(Reason::DialogTarget));
    }
}

/// After a restart no call is left, and only our token knows who called.
#[test]
fn the_way_back_to_the_initiator_that_our_token_signed_is_open() {
    let mut bench = Bench::new(TWO);
    let back = message("BYE", "sip:alice@8.8.8.8:5062", "1", "uas", "uac");
    let gateway = "203.0.113.1:5060";
    let (verdict, transaction) =
        bench.in_dialog(&back, gateway, Proof::Token { from_initiator: false, to_far_side: true }, None);
    assert_eq!((verdict, transaction.targets[0].0.next_hop), (Verdict::Forward, address("8.8.8.8:5062")));
    let unsigned = Proof::Token { from_initiator: false, to_far_side: false };
    assert_eq!(bench.in_dialog(&back, gateway, unsigned, None).0, refused(Reason::DialogTarget));
}

#[test]
fn a_host_name_is_asked_for_and_its_address_judged() {
    let mut bench = Bench::new(TWO);
    let text = bye("sip:x@elsewhere.example.com");
    let (verdict, transaction) = bench.in_dialog(&text, CALLER, TOKEN, None);
    assert!(matches!(verdict, Verdict::Ask { question: proto::policy::Question::Resolve, .. }));
    assert!(transaction.targets.is_empty());
    let listed = Answer::Address(address("203.0.113.1:5060"));
    assert_eq!(bench.in_dialog(&text, CALLER, TOKEN, Some(listed)).0, Verdict::Forward);
    let foreign = Answer::Address(address("8.8.8.8:5060"));
    assert_eq!(bench.in_dialog(&text, CALLER, TOKEN, Some(foreign)).0, refused(Reason::DialogTarget));
    for answer in [Answer::Nothing, Answer::Late] {
        let (verdict, _) = bench.in_dialog(&text, CALLER, TOKEN, Some(answer));
        assert_eq!(verdict, refused(Reason::DialogHostUnresolved));
    }
}

#[test]
fn a_contact_by_name_is_resolved_and_falls_back_to_where_its_side_is() {
    let mut bench = Bench::new(TWO);
    bench.established("1", "sip:uas@media.example.com");
    let text = bye("sip:uas@MEDIA.example.com");
    assert!(matches!(bench.in_dialog(&text, CALLER, TOKEN, None).0, Verdict::Ask { .. }));
    let (verdict, transaction) = bench.in_dialog(&text, CALLER, TOKEN, Some(Answer::Address(address("10.0.0.9:5060"))));
    assert_eq!((verdict, transaction.targets[0].0.next_hop), (Verdict::Forward, address("10.0.0.9:5060")));
    let (verdict, transaction) = bench.in_dialog(&text, CALLER, TOKEN, Some(Answer::Late));
    assert_eq!((verdict, transaction.targets[0].0.next_hop), (Verdict::Forward, address("203.0.113.1:5060")));
}

#[test]
fn without_a_call_a_request_to_us_goes_nowhere() {
    let mut bench = Bench::new(TWO);
    let (verdict, _) = bench.in_dialog(&bye("sip:x@198.51.100.1"), CALLER, TOKEN, None);
    assert_eq!(verdict, refused(Reason::DialogUnknown));
}

#[test]
fn a_retransmitted_2xx_after_the_bye_opens_no_second_call() {
    let mut bench = Bench::new(TWO);
    let (_, mut invite) = bench.established("1", "sip:uas@203.0.113.1");
    bench.respond(&mut invite, 200, "uas");
    assert_eq!((bench.figures("a").active, bench.figures("a").carried), (1, 1));
    let (_, transaction) = bench.in_dialog(&bye("sip:x@198.51.100.1"), CALLER, Proof::None, None);
    bench.end(transaction, 200);
    bench.respond(&mut invite, 200, "uas");
    assert_eq!((bench.figures("a").active, bench.policy.calls().active), (0, 0));
}

#[test]
fn forks_are_calls_of_their_own() {
    let mut bench = Bench::new(TWO);
    let (_, mut invite) = bench.established("1", "sip:uas@203.0.113.1");
    bench.respond(&mut invite, 200, "other");
    assert_eq!(bench.policy.calls().active, 2);
    let (_, transaction) =
        bench.in_dialog(&message("BYE", "sip:x@198.51.100.1", "1", "uac", "other"), CALLER, Proof::None, None);
    bench.end(transaction, 481);
    assert_eq!(bench.policy.calls().active, 1);
}

#[test]
fn a_challenged_bye_does_not_close_and_a_timed_out_one_does() {
    let mut bench = Bench::new(TWO);
    bench.established("1", "sip:uas@203.0.113.1");
    for (status, left) in [(407, 1), (401, 1), (408, 0)] {
        let (_, transaction) = bench.in_dialog(&bye("sip:x@198.51.100.1"), CALLER, Proof::None, None);
        bench.end(transaction, status);
        assert_eq!(bench.policy.calls().active, left, "{status}");
    }
}

#[test]
fn a_reinvite_refreshes_both_contacts() {
    let mut bench = Bench::new(TWO);
    bench.established("1", "sip:uas@203.0.113.1:5099");
    let reinvite =
        message("INVITE", "sip:uas@203.0.113.1:5099", "1", "uac", "uas").replace("192.0.2.1:5062", "192.0.2.1:7000");
    let (verdict, mut transaction) = bench.in_dialog(&reinvite, CALLER, TOKEN, None);
    assert_eq!(verdict, Verdict::Forward);
    let target = transaction.targets[0].0;
    bench.respond_from(&mut transaction, target, 200, "", "Contact: <sip:uas@203.0.113.1:6000>\r\n");
    bench.end(transaction, 200);
    assert_eq!((bench.policy.calls().active, bench.figures("a").carried), (1, 1), "it is the same call");
    let (_, to_gateway) = bench.in_dialog(&bye("sip:x@198.51.100.1"), CALLER, Proof::None, None);
    assert_eq!(to_gateway.targets[0].1, "sip:uas@203.0.113.1:6000");
    let from_gateway = message("BYE", "sip:x@198.51.100.1", "1", "uas", "uac");
    let (_, to_caller) = bench.in_dialog(&from_gateway, "203.0.113.1:5060", Proof::None, None);
    assert_eq!(to_caller.targets[0].1, "sip:alice@192.0.2.1:7000");
}

#[test]
fn calls_end_by_age() {
    let mut bench = Bench::new(&format!("{TWO}[policy]\ncall_max_seconds = 60\n"));
    bench.established("1", "sip:uas@203.0.113.1");
    bench.wait(30_000);
    bench.established("2", "sip:uas@203.0.113.1");
    bench.wait(30_000);
    bench.policy.on_deadline(bench.now);
    let forgotten = bench.policy.call_ends().iter().find(|(end, _)| *end == CallEnd::Forgotten).unwrap().1;
    assert_eq!((bench.policy.calls().active, forgotten), (1, 1));
    bench.wait(30_000);
    bench.policy.on_deadline(bench.now);
    assert_eq!((bench.policy.calls().active, bench.figures("a").active + bench.figures("b").active), (0, 0));
}

#[test]
fn a_gateway_may_speak_from_its_reply_from_addresses() {
    let toml = TWO.replace("name = \"a\"", "name = \"a\", reply_from = [\"203.0.113.128/25\"]");
    let mut bench = Bench::new(&toml);
    let (_, invite) = bench.established("1", "sip:uas@203.0.113.1");
    let target = invite.targets[0].0;
    assert!(bench.policy.answers_for(&target, address("203.0.113.200:1").ip()));
    assert!(!bench.policy.answers_for(&target, address("203.0.113.100:1").ip()));
    let from_gateway = message("BYE", "sip:x@198.51.100.1", "1", "uas", "uac");
    assert_eq!(bench.in_dialog(&from_gateway, "203.0.113.200:5060", Proof::None, None).0, Verdict::Forward);
}

#[test]
fn a_reliable_provisional_response_lets_prack_and_update_pass() {
    let mut bench = Bench::new(TWO);
    let (_, mut invite) = bench.call("1");
    let target = invite.targets[0].0;
    let prack = message("PRACK", "sip:uas@203.0.113.50:5099", "1", "uac", "uas");
    bench.respond_from(&mut invite, target, 183, "uas", "Contact: <sip:uas@203.0.113.50:5099>\r\n");
    assert_eq!(bench.in_dialog(&prack, CALLER, TOKEN, None).0, refused(Reason::DialogTarget));
    let reliable = "Contact: <sip:uas@203.0.113.50:5099>\r\nRequire: 100rel\r\nRSeq: 1\r\n";
    bench.respond_from(&mut invite, target, 183, "uas", reliable);
    assert_eq!(bench.in_dialog(&prack, CALLER, TOKEN, None).0, Verdict::Forward);
    assert_eq!((bench.policy.calls().active, bench.policy.calls().early, bench.figures("a").active), (0, 1, 0));
    bench.respond_from(&mut invite, target, 200, "uas", "Contact: <sip:uas@203.0.113.60>\r\n");
    assert_eq!((bench.policy.calls().active, bench.policy.calls().early, bench.figures("a").active), (1, 0, 1));
    bench.end(invite, 200);
    let (_, bye) = bench.in_dialog(&bye("sip:x@198.51.100.1"), CALLER, Proof::None, None);
    assert_eq!(bye.targets[0].1, "sip:uas@203.0.113.60");
    bench.end(bye, 200);
    assert_eq!((bench.policy.calls().active, bench.figures("a").active), (0, 0));
}

#[test]
fn early_dialogs_end_with_their_invite() {
    let mut bench = Bench::new(TWO);
    let (_, mut invite) = bench.call("1");
    let target = invite.targets[0].0;
    for fork in ["one", "two", "three"] {
        bench.respond_from(&mut invite, target, 180, fork, "RSeq: 1\r\n");
    }
    assert_eq!(bench.policy.calls().early, 2);
    bench.respond(&mut invite, 486, "one");
    bench.end(invite, 486);
    assert_eq!((bench.policy.calls().early, bench.policy.calls().active), (0, 0));
}

/// A fresh shard goes on with the calls of another: BYEs route, counts are right, ages are kept.
#[test]
fn calls_are_handed_over() {
    let toml = format!("{TWO}[policy]\ncall_max_seconds = 60\n");
    let mut old = Bench::new(&toml);
    old.established("1", "sip:uas@203.0.113.1:5099");
    let (_, mut early) = old.call("2");
    let target = early.targets[0].0;
    old.respond_from(&mut early, target, 183, "uas", "RSeq: 1\r\n");
    old.wait(40_000);
    let mut frames = Vec::new();
    old.policy.export_calls(old.now, |frame| frames.push(frame.to_vec()));
    assert_eq!(frames.len(), 2);

    let mut new = Bench::new(&toml);
    for frame in &frames {
        assert_eq!(new.policy.import_call(new.now, frame, None, |slot| slot != SLOT), Ok(false));
        assert_eq!(new.policy.import_call(new.now, frame, None, |slot| slot == SLOT), Ok(true));
        assert!(new.policy.import_call(new.now, frame, None, |_| true).is_err(), "it is here already");
        let damaged =
            (0..frame.len()).all(|length| new.policy.import_call(new.now, &frame[..length], None, |_| true).is_err());
        assert!(damaged);
    }
    assert_eq!((new.policy.calls().active, new.policy.calls().early), (1, 1));
    assert_eq!((new.figures("a").active, new.figures("b").active), (1, 0));
    let (verdict, transaction) = new.in_dialog(&bye("sip:4930123@198.51.100.1"), CALLER, Proof::None, None);
    assert_eq!((verdict, transaction.targets[0].1.as_str()), (Verdict::Forward, "sip:uas@203.0.113.1:5099"));
    new.wait(20_000);
    new.policy.on_deadline(new.now);
    assert_eq!((new.policy.calls().active, new.figures("a").active), (0, 0));
}

/// A call to a phone behind NAT, whose Contact names an address that is not reached.
#[test]
fn requests_to_a_phone_go_where_it_really_is() {
    const SIGNED: Proof = Proof::Token { from_initiator: true, to_far_side: true };
    let mut bench = Bench::new(TWO);
    let (_, mut invite) = bench.call("1");
    let phone = Target { by_source: BySource::Callee, ..invite.targets[0].0 };
    let contact = "Contact: <sip:uas@192.168.1.5:5066>\r\n";
    bench.respond_from(&mut invite, phone, 200, "uas", contact);
    let bye = bye("sip:uas@192.168.1.5:5066");
    let (verdict, sent) = bench.in_dialog(&bye, CALLER, TOKEN, None);
    assert_eq!(
        (verdict, sent.targets[0].0.next_hop, sent.targets[0].1.as_str()),
        (Verdict::Forward, phone.next_hop, "")
    );

    // Its NAT binding moves; a re-INVITE tells us.
    let moved = address("203.0.113.1:40777");
    let reinvite = message("INVITE", "sip:alice@192.0.2.1:5062", "1", "uas", "uac");
    let (_, mut transaction) = bench.in_dialog(
        &reinvite,
        "203.0.113.1:40777",
        Proof::Token { from_initiator: false, to_far_side: true },
        None,
    );
    let to_caller = transaction.targets[0].0;
    assert_eq!(to_caller.next_hop, address("192.0.2.1:5062"));
    bench.respond_from(&mut transaction, to_caller, 200, "uas", "");
    bench.far_side = Some(phone.next_hop);
    let (_, sent) = bench.in_dialog(&bye, CALLER, SIGNED, None);
    assert_eq!(sent.targets[0].0.next_hop, moved, "the call knows better than the token");

    // After a restart the token alone is left.
    let mut bench = Bench::new(TWO);
    bench.far_side = Some(phone.next_hop);
    let (verdict, sent) = bench.in_dialog(&bye, CALLER, SIGNED, None);
    assert_eq!(
        (verdict, sent.targets[0].0.next_hop, sent.targets[0].1.as_str()),
        (Verdict::Forward, phone.next_hop, "")
    );
    bench.far_side = None;
    assert_eq!(bench.in_dialog(&bye, CALLER, TOKEN, None).0, refused(Reason::DialogTarget));
}

#[test]
fn a_phone_stays_one_when_its_call_is_handed_over() {
    let mut old = Bench::new(TWO);
    let (_, mut invite) = old.call("1");
    let phone = Target { by_source: BySource::Both, ..invite.targets[0].0 };
    old.respond_from(&mut invite, phone, 200, "uas", "Contact: <sip:uas@192.168.1.5:5066>\r\n");
    let mut new = Bench::new(TWO);
    old.policy.export_calls(old.now, |frame| {
        assert_eq!(new.policy.import_call(new.now, frame, None, |_| true), Ok(true));
    });
    let (_, to_phone) = new.in_dialog(&bye("sip:uas@192.168.1.5:5066"), CALLER, TOKEN, None);
    assert_eq!(to_phone.targets[0].0.next_hop, phone.next_hop);
    let back = message("BYE", "sip:alice@192.0.2.1:5062", "1", "uas", "uac");
    let (_, to_caller) =
        new.in_dialog(&back, "203.0.113.1:5060", Proof::Token { from_initiator: false, to_far_side: false }, None);
    assert_eq!(to_caller.targets[0].0.next_hop, address(CALLER), "where it sent from");
}
