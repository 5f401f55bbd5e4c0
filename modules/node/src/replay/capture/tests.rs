//! Captures made by tcpdump (one converted by editcap) of a call over IPv6 whose INVITE and 200 are longer than a packet:
//! the first gateway refuses, the second one answers, the caller hangs up after 1.2 s.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::{calls, file};
use crate::replay::past::Past;
use proptest::prelude::*;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

fn vendor_at(address: SocketAddr) -> Option<String> {
    (address == "[2001:db8::12]:5060".parse().unwrap()).then(|| "delta".to_owned())
}

fn calls_of(path: &Path) -> std::io::Result<(Vec<Past>, calls::Seen)> {
    let mut calls = Vec::new();
    let seen = calls::read(path, &vendor_at, &mut |past| calls.push(past))?;
    Ok((calls, seen))
}

/// The octets as a file.
fn written(octets: &[u8]) -> tempfile::NamedTempFile {
    let made = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(made.path(), octets).unwrap();
    made
}

fn check(calls: &[Past]) {
    let [call] = calls else { panic!("{calls:?}") };
    assert_eq!(call.source, Some("[2001:db8::1]:5060".parse().unwrap()));
    assert_eq!((&*call.uri, &*call.vendor), ("sip:4930123@[2001:db8::2]", "delta"));
    assert_eq!(call.failed, ["[2001:db8::11]:5060"]);
    assert_eq!(call.from.as_deref(), Some("sip:+49401111@example.com"));
    let duration = call.duration_us.unwrap();
    assert!((1_200_000..1_210_000).contains(&duration), "{duration}");
    assert_eq!(call.at_us / 1_000_000, 1_795_541_388);
}

#[test]
fn a_call_in_fragments_over_ethernet() {
    let (calls, seen) = calls_of(&folder().join("fragments-over-ipv6.pcap")).unwrap();
    check(&calls);
    assert_eq!(seen, calls::Seen::default());
}

#[test]
fn the_same_in_a_cooked_capture_of_every_interface_as_pcapng() {
    let (calls, seen) = calls_of(&folder().join("any-interface.pcapng")).unwrap();
    check(&calls);
    assert_eq!(seen, calls::Seen::default());
}

/// The capture with two tags (802.1ad, 802.1Q) before the EtherType of every frame.
fn tagged(pcap: &[u8]) -> Vec<u8> {
    const TAGS: [u8; 8] = [0x88, 0xa8, 0, 7, 0x81, 0, 0, 42];
    let (mut made, mut at) = (pcap[..24].to_vec(), 24);
    while let Some(head) = pcap.get(at..at + 16) {
        let length = |place: usize| u32::from_le_bytes(head[place..place + 4].try_into().unwrap());
        let frame = &pcap[at + 16..at + 16 + length(8) as usize];
        made.extend_from_slice(&head[..8]);
        made.extend([8, 12].iter().flat_map(|place| (length(*place) + 8).to_le_bytes()));
        made.extend([&frame[..12], &TAGS, &frame[12..]].concat());
        at += 16 + frame.len();
    }
    made
}

#[test]
fn vlans_are_looked_through() {
    let pcap = std::fs::read(folder().join("fragments-over-ipv6.pcap")).unwrap();
    let (calls, _) = calls_of(written(&tagged(&pcap)).path()).unwrap();
    check(&calls);
}

#[test]
fn a_capture_that_is_cut_tells_of_what_is_there() {
    let pcap = std::fs::read(folder().join("fragments-over-ipv6.pcap")).unwrap();
    let answer = pcap.windows(14).rposition(|window| window == b"SIP/2.0 200 OK").unwrap();
    let bye = pcap.windows(4).position(|window| window == b"BYE ").unwrap();
    let (calls, seen) = calls_of(written(&pcap[..bye]).path()).unwrap();
    assert_eq!((calls.len(), seen.unfinished), (1, 1));
    assert!(calls[0].duration_us.is_some() && bye < answer);
    assert!(calls_of(written(b"").path()).is_err() && calls_of(written(b"no capture at all").path()).is_err());
    let is_capture = |octets: &[u8]| file::is_capture(written(octets).path()).unwrap();
    assert_eq!([is_capture(&pcap), is_capture(b"{}"), is_capture(b"")], [true, false, false]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damage_never_panics(place in 0.0_f64..1.0, octets in proptest::collection::vec(any::<u8>(), 1..40), ng: bool) {
        let name = if ng { "any-interface.pcapng" } else { "fragments-over-ipv6.pcap" };
        let mut capture = std::fs::read(folder().join(name)).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a file")]
        let at = (place * capture.len() as f64) as usize;
        let end = (at + octets.len()).min(capture.len());
        capture[at..end].copy_from_slice(&octets[..end - at]);
        drop(calls_of(written(&capture).path()));
    }
}
