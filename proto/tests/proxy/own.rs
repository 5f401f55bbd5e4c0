//! Requests of our own: probes.

use crate::rig::*;
use proto::message::{Method, Writer};
use proto::policy::{BySource, Outcome, Target};
use proto::proxy::{Drop, OwnRequest};
use proto::time::Micros;

const GATEWAY: &str = "127.0.0.1:5071";

fn probe(no_response_ms: u64) -> (Rig, String) {
    let mut rig = Rig::new([]);
    let target = Target {
        gateway: 1,
        listener: 0,
        by_source: BySource::Neither,
        next_hop: GATEWAY.parse().unwrap(),
        flow: 0,
        no_response: Micros::from_millis(no_response_ms),
    };
    let request = OwnRequest { ticket: 77, target, method: Method::Options, call_id: b"own1", from_tag: b"own" };
    let sent = rig.proxy.send_own(
        rig.now,
        &request,
        |out, via| {
            out.put(b"OPTIONS sip:127.0.0.1:5071 SIP/2.0\r\n");
            out.put(via);
            out.put(b"From: <sip:us>;tag=own\r\nTo: <sip:gw>\r\nCall-ID: own1\r\nCSeq: 1 OPTIONS\r\n");
            out.put(b"Max-Forwards: 0\r\nContent-Length: 0\r\n\r\n");
        },
        &mut rig.world,
    );
    assert!(sent);
    let text = rig.expect(GATEWAY, "OPTIONS");
    (rig, text)
}

#[test]
fn an_answer_of_any_kind_comes_back_with_the_ticket() {
    for status in [200, 404, 503] {
        let (mut rig, sent) = probe(0);
        rig.receive(GATEWAY, &respond(&sent, 100, "x", ""));
        rig.receive(GATEWAY, &respond(&sent, status, "x", ""));
        assert_eq!(rig.proxy.policy.own, [(77, Outcome::Response(status))]);
        rig.expect_nothing();
        rig.expect_empty();
        rig.receive(GATEWAY, &respond(&sent, status, "x", ""));
        assert_eq!(rig.dropped(Drop::ResponseLate), 1);
    }
}

#[test]
fn silence_is_sent_again_and_given_up_in_the_targets_time() {
    let (mut rig, sent) = probe(1_000);
    rig.pass(999);
    assert_eq!(rig.expect(GATEWAY, "OPTIONS"), sent);
    rig.expect_nothing();
    rig.pass(1);
    assert_eq!(rig.proxy.policy.own, [(77, Outcome::GivenUp)]);
    rig.expect_empty();

    let (mut rig, _) = probe(0);
    rig.pass(32_000);
    assert_eq!(rig.proxy.policy.own, [(77, Outcome::TimedOut { ringing: false })]);
    rig.expect_empty();
}

#[test]
fn unreachable_ends_it() {
    let (mut rig, _) = probe(1_000);
    rig.proxy.on_unreachable(rig.now, GATEWAY.parse().unwrap(), &mut rig.world);
    assert_eq!(rig.proxy.policy.own, [(77, Outcome::Unreachable)]);
    rig.expect_empty();
}

#[test]
fn an_answer_from_elsewhere_does_not_count() {
    let (mut rig, sent) = probe(1_000);
    rig.receive("127.0.0.9:5071", &respond(&sent, 200, "x", ""));
    assert_eq!((rig.proxy.policy.own.len(), rig.dropped(Drop::ResponseFromElsewhere)), (0, 1));
    rig.receive("127.0.0.1:9999", &respond(&sent, 200, "x", ""));
    assert_eq!(rig.proxy.policy.own, [(77, Outcome::Response(200))]);
}

/// Sent once, nothing kept; whatever answers it is told to the policy.
#[test]
pub fn a_keep_alive_leaves_no_trace() {
    let mut rig = Rig::new([]);
    let target = Target {
        gateway: Target::NO_GATEWAY,
        listener: 0,
        by_source: BySource::Neither,
        next_hop: GATEWAY.parse().unwrap(),
        flow: 0,
        no_response: Micros(0),
    };
    let request = OwnRequest { ticket: 77, target, method: Method::Options, call_id: b"k", from_tag: b"t" };
    let write = |out: &mut Writer<'_>, via: &[u8]| {
        out.put(b"OPTIONS sip:phone@192.168.1.5 SIP/2.0\r\n");
        out.put(via);
        out.put(b"From: <sip:us>;tag=t\r\nTo: <sip:phone>\r\nCall-ID: k\r\nCSeq: 1 OPTIONS\r\n\r\n");
    };
    assert!(rig.proxy.send_keep_alive(&request, write, &mut rig.world));
    let sent = rig.expect(GATEWAY, "OPTIONS");
    rig.expect_empty();
    rig.pass(64_000);
    rig.expect_nothing();
    for status in [404, 481] {
        rig.receive(GATEWAY, &respond(&sent, status, "x", ""));
    }
    rig.receive(GATEWAY, &respond(&sent, 200, "x", "").replace("Call-ID: k", "Call-ID: j"));
    rig.expect_nothing();
    assert_eq!(rig.proxy.policy.kept_alive, [77, 77]);
}
