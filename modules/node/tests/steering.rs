//! The program that steers datagrams in the kernel names the same shard as `proto::steer`.
//!
//! Needs CAP_BPF; where it is missing the test says so and ends.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use engine::steering::Loaded;
use engine_sys::steer::{LargeSplit, Sets};
use proto::hash::Secret;
use proto::message::{Arena, Message};
use proto::steer::{shard_of_slot, slot_of, slot_of_call_id};
use proto::token::{BranchKind, BranchToken, Keys, Owner, RouteToken};
use tandem::steering::owner_program;

const SHARDS: u16 = 7;
const LONGEST: u32 = 1_400;

fn keys() -> Keys {
    Keys::new(&[(2, Secret(*b"signs the tokens")), (1, Secret(*b"names the slots!"))]).unwrap()
}

/// The program in the kernel; `None`: this process may not load any.
fn loaded() -> Option<Loaded> {
    let sets =
        Sets { shards: u32::from(SHARDS), large: Some(LargeSplit { above: LONGEST }), deferred: Some(*b"REGISTER") };
    match owner_program(&keys()).load(&sets) {
        Ok(loaded) => Some(loaded),
        Err(why) if rustix::process::geteuid().is_root() => panic!("{why}"),
        Err(why) => {
            eprintln!("skipped, not root: {why}");
            None
        }
    }
}

#[track_caller]
fn same_shard(loaded: &Loaded, datagram: &str) {
    let mut arena = Arena::new();
    let message = Message::parse(datagram.as_bytes(), &mut arena).unwrap();
    let owner = shard_of_slot(slot_of(&keys(), &message), SHARDS);
    let (answer, _) = loaded.try_on(datagram.as_bytes(), 1).unwrap();
    // Behind the sets of ordinary and of large ones.
    let before = if datagram.starts_with("REGISTER ") { 2 * SHARDS } else { 0 };
    assert_eq!(answer, u32::from(before + owner), "{datagram}");
}

/// Any number below `bound`, another for each `seed`.
fn draw(seed: u64, bound: u64) -> u64 {
    let mut x = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x.wrapping_mul(0xbf58_476d_1ce4_e5b9) % bound
}

fn call_id(seed: u64) -> String {
    let length = 1 + draw(seed, 120);
    (0..length).map(|at| char::from(b"0123456789abcdefXYZ-.@"[draw(seed * 131 + at, 22) as usize])).collect()
}

fn invite(header: &str, call_id: &str) -> String {
    format!(
        "INVITE sip:15551234567@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK776asdhds;rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@atlanta.example>;tag=1928301774\r\n\
         To: <sip:15551234567@192.0.2.1>\r\n{header}{call_id}\r\nCSeq: 314159 INVITE\r\n\
         Contact: <sip:alice@198.51.100.7>\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn requests_outside_dialogs_by_their_call_id() {
    let Some(loaded) = loaded() else { return };
    for seed in 0..2_000 {
        let header = ["Call-ID: ", "call-id:", "i: ", "I :\t", "CALL-ID  :  "][draw(seed, 5) as usize];
        same_shard(&loaded, &invite(header, &call_id(seed)));
    }
}

#[test]
fn requests_in_dialogs_by_the_token_of_our_route() {
    let Some(loaded) = loaded() else { return };
    for seed in 0..500 {
        let call_id = call_id(seed);
        let owner = Owner { node: 3, slot: draw(seed, u64::from(limits::SLOT_COUNT)) as u16, generation: 1 };
        let token = RouteToken {
            owner,
            to_responder: seed % 2 == 0,
            far_side: seed as u32,
            by_source: false,
            responder_by_source: false,
            from_shown: false,
        };
        let token = token.sign(&keys().seal(call_id.as_bytes(), b"initiator"));
        let route =
            format!("Route: <sip:192.0.2.1:5060;lr;tt={}>,<sip:203.0.113.9;lr>\r\n", str::from_utf8(&token).unwrap());
        let call_id = format!("Call-ID: {call_id}\r\n");
        let (first, second) = if seed % 3 == 0 { (call_id, route) } else { (route, call_id) };
        same_shard(
            &loaded,
            &format!(
                "BYE sip:bob@203.0.113.9 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKnashds8\r\n{first}\
                 From: <sip:alice@atlanta.example>;tag=initiator\r\nTo: <sip:bob@biloxi.example>;tag=314\r\n\
                 {second}CSeq: 231 BYE\r\nContent-Length: 0\r\n\r\n"
            ),
        );
    }
}

#[test]
fn registrations_by_their_user() {
    let Some(loaded) = loaded() else { return };
    for seed in 0..500 {
        let user: String = call_id(seed).replace('@', "_");
        let name = ["To: ", "t:", "to : "][draw(seed, 3) as usize];
        let to = match draw(seed + 1, 3) {
            0 => format!("<sip:{user}@example.com>"),
            1 => format!("\"Bob B.\" <sip:{user};phone-context=x@example.com:5080;user=phone>"),
            _ => format!("sip:{user}:secret@example.com").replace(":secret", ""),
        };
        same_shard(
            &loaded,
            &format!(
                "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKnashds7\r\n\
                 From: <sip:other@example.com>;tag=456\r\nCall-ID: {}\r\n{name}{to}\r\nCSeq: 1826 REGISTER\r\n\
                 Contact: <sip:{user}@192.0.2.4>\r\nContent-Length: 0\r\n\r\n",
                call_id(seed + 7)
            ),
        );
    }
}

#[test]
fn responses_by_the_token_of_our_branch() {
    let Some(loaded) = loaded() else { return };
    for seed in 0..500 {
        let call_id = call_id(seed);
        let owner = Owner { node: 3, slot: draw(seed, u64::from(limits::SLOT_COUNT)) as u16, generation: 1 };
        let token =
            BranchToken { owner, kind: BranchKind::Stateful, branch: 1, transaction: seed, loop_hash: seed as u32 };
        let token = token.sign(&keys().seal(call_id.as_bytes(), b"initiator"));
        same_shard(
            &loaded,
            &format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{};rport\r\n\
                 Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK776\r\nFrom: <sip:a@b.example>;tag=initiator\r\n\
                 To: <sip:c@d.example>;tag=2\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
                str::from_utf8(&token).unwrap()
            ),
        );
    }
}

#[test]
fn large_ones_go_to_the_second_set_and_odd_ones_to_anybody() {
    let Some(loaded) = loaded() else { return };
    let large = invite("Call-ID: ", "large@host") + &"a".repeat(LONGEST as usize);
    let owner = shard_of_slot(slot_of_call_id(&keys(), b"large@host"), SHARDS);
    assert_eq!(loaded.try_on(large.as_bytes(), 1).unwrap().0, u32::from(owner + SHARDS));
    for odd in [&b"\r\n\r\n"[..], &[0; 200], b"INVITE sip:a@b SIP/2.0\r\n\r\nCall-ID: body@host\r\n", &[b'\n'; 1_300]] {
        for _ in 0..20 {
            assert!(loaded.try_on(odd, 1).unwrap().0 < u32::from(SHARDS));
        }
    }
}
