//! Headers written are read back, at every length; damaged ones are refused and never panic.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use proptest::prelude::*;

const TO: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FROM: [u8; 6] = [2, 0, 0, 0, 0, 2];
const OUTER: Tag = Tag { protocol: QINQ, id: 100 };
const INNER: Tag = Tag { protocol: VLAN, id: 7 };

/// A packet with `payload`, from its Ethernet header on.
fn packet(tags: &[Tag], source: &str, destination: &str, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let source = SocketAddr::new(source.parse().unwrap(), ports.0);
    let destination = SocketAddr::new(destination.parse().unwrap(), ports.1);
    let headers = Headers::new(TO, FROM, tags, source, destination).unwrap();
    let mut frame = vec![0xaa; HEADROOM + payload.len()];
    frame[HEADROOM..].copy_from_slice(payload);
    headers.write(&mut frame, payload.len(), 4_711, Summing::best()).unwrap();
    frame.split_off(headers.start())
}

fn families() -> [(&'static str, &'static str); 2] {
    [("192.0.2.1", "198.51.100.7"), ("2001:db8::1", "2001:db8:ffff::7")]
}

#[test]
fn what_is_written_is_read_back() {
    let payload: Vec<u8> = (0..1_400u32).map(|at| (at * 7 + 3) as u8).collect();
    for (source, destination) in families() {
        for tags in [&[][..], &[INNER], &[OUTER, INNER]] {
            for length in (0..70).chain([399, 400, 1_399, 1_400]) {
                let packet = packet(tags, source, destination, (5060, 5080), &payload[..length]);
                let read = parse(&packet).unwrap();
                assert_eq!(read.peer, SocketAddr::new(source.parse().unwrap(), 5060));
                assert_eq!(read.local, SocketAddr::new(destination.parse().unwrap(), 5080));
                assert_eq!(read.payload, &payload[..length]);
            }
        }
    }
}

/// Sums by the plain rule of RFC 1071, word by word.
#[test]
fn a_packet_is_octet_by_octet_what_others_make_of_it() {
    let (source, destination) = ("192.0.2.1:5060".parse().unwrap(), "198.51.100.7:5080".parse().unwrap());
    let headers = Headers::new(TO, FROM, &[], source, destination).unwrap();
    let mut frame = vec![0; HEADROOM + 5];
    frame[HEADROOM..].copy_from_slice(b"hello");
    headers.write(&mut frame, 5, 1u16.to_be(), Summing::best()).unwrap();
    let start = headers.start();
    let ip = [
        0x45, 0, 0, 33, 0, 1, 0, 0, 64, 17, 0x8e, 0x8f, 192, 0, 2, 1, 198, 51, 100, 7, 0x13, 0xc4, 0x13, 0xd8, 0, 13,
        0xa8, 0x29,
    ];
    assert_eq!(frame[start + 14..HEADROOM], ip);
}

#[test]
fn a_changed_octet_is_noticed() {
    for (source, destination) in families() {
        let good = packet(&[], source, destination, (5060, 5060), b"OPTIONS sip:a SIP/2.0\r\n\r\n");
        // Beyond the link header; traffic class, flow label and hop limit of IPv6 are under no sum.
        let unprotected = if source.contains(':') { vec![14, 15, 16, 17, 21] } else { vec![] };
        for at in (14..good.len()).filter(|at| !unprotected.contains(at)) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(parse(&bad).is_err(), "octet {at}");
        }
    }
}

#[test]
fn a_checksum_left_to_a_virtual_card_is_accepted() {
    let mut packet = packet(&[], "192.0.2.1", "198.51.100.7", (5060, 5060), b"hello");
    let pseudo = add(u64::from(u16::from_be_bytes([0, UDP]).to_be()), &packet[26..34]) + u64::from(13u16.to_be());
    packet[40..42].copy_from_slice(&fold(pseudo).to_ne_bytes());
    assert!(parse(&packet).is_ok());
}

#[test]
fn no_checksum_is_for_ipv4_only() {
    let mut v4 = packet(&[], "192.0.2.1", "198.51.100.7", (5060, 5060), b"hello");
    v4[40..42].fill(0);
    assert!(parse(&v4).is_ok());
    let mut v6 = packet(&[], "2001:db8::1", "2001:db8::2", (5060, 5060), b"hello");
    v6[60..62].fill(0);
    assert_eq!(parse(&v6), Err(Refusal::WrongChecksum));
}

#[test]
fn padding_of_a_short_frame_is_no_payload() {
    let mut packet = packet(&[], "192.0.2.1", "198.51.100.7", (5060, 5060), b"hello");
    packet.resize(60, 0);
    let read = parse(&packet).unwrap();
    assert_eq!(read.payload, b"hello");
}

#[test]
fn sources_that_are_no_host_are_refused() {
    for source in ["127.0.0.1", "224.0.0.1", "255.255.255.255", "0.1.2.3"] {
        let packet = packet(&[], source, "198.51.100.7", (5060, 5060), b"hello");
        assert_eq!(parse(&packet), Err(Refusal::Martian), "{source}");
    }
    for source in ["::1", "::", "ff02::1", "::ffff:192.0.2.1"] {
        let packet = packet(&[], source, "2001:db8::1", (5060, 5060), b"hello");
        assert_eq!(parse(&packet), Err(Refusal::Martian), "{source}");
    }
    let packet = packet(&[], "192.0.2.1", "198.51.100.7", (0, 5060), b"hello");
    assert_eq!(parse(&packet), Err(Refusal::Martian));
}

proptest! {
    /// Any octets at all.
    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    /// A good packet, cut, with some octets changed: what is accepted lies within the packet.
    #[test]
    fn damage_is_refused_or_harmless(
        cut in 0usize..140,
        changes in proptest::collection::vec((0usize..140, any::<u8>()), 0..4),
        which in 0usize..2,
        tags in 0usize..3,
    ) {
        let (source, destination) = families()[which];
        let mut packet = packet(&[OUTER, INNER][..tags], source, destination, (5060, 5060), &[0x42; 60]);
        for (at, value) in changes {
            if let Some(octet) = packet.get_mut(at) {
                *octet = value;
            }
        }
        packet.truncate(cut);
        if let Ok(read) = parse(&packet) {
            prop_assert!(read.payload.len() <= packet.len());
            prop_assert!(read.peer.port() != 0);
        }
    }

    /// Written and read back, any payload.
    #[test]
    fn any_payload_survives(payload in proptest::collection::vec(any::<u8>(), 0..300), ports in (1u16.., 1u16..), which in 0usize..2) {
        let (source, destination) = families()[which];
        let packet = packet(&[], source, destination, ports, &payload);
        let read = parse(&packet).unwrap();
        prop_assert_eq!(read.payload, &payload[..]);
    }
}
