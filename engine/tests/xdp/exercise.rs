//! What must hold for any received frame, whatever its octets. Shared by the fuzz target and the test that replays
//! its corpus.

use engine::device::xdp::packet::{Datagram, HEADROOM, Headers, Refusal, Summing, parse, parse_plain_v4};
use std::net::SocketAddr;

/// Reads the frame as it is, and with the sums that it ought to have: a wrong one would hide all that is behind.
pub(crate) fn frame(octets: &[u8]) {
    read(octets);
    read(&with_right_sums(octets));
}

fn read(octets: &[u8]) {
    let found = parse(octets);
    if let Some(plain) = parse_plain_v4(octets, Summing::best()) {
        assert_eq!(Ok(Datagram::from(plain)), found, "both readers agree");
    }
    let Ok(datagram) = found else { return };
    let (frame, payload) = (octets.as_ptr_range(), datagram.payload.as_ptr_range());
    assert!(frame.start <= payload.start && payload.end <= frame.end, "the payload lies in the frame");
    assert_eq!(datagram.local.is_ipv4(), datagram.peer.is_ipv4());
    assert!(datagram.peer.port() != 0 && !datagram.peer.ip().is_multicast() && !datagram.peer.ip().is_unspecified());
    answer(&datagram);
}

/// What is sent back is read as it was meant.
fn answer(datagram: &Datagram<'_>) {
    let (source, destination) = (datagram.local, datagram.peer);
    let headers = Headers::new([2; 6], [4; 6], &[], source, destination).expect("one family");
    let mut frame = vec![0xaa; HEADROOM + datagram.payload.len()];
    frame[HEADROOM..].copy_from_slice(datagram.payload);
    headers.write(&mut frame, datagram.payload.len(), 1, Summing::best()).expect("it came in one packet");
    match parse(&frame[headers.start()..]) {
        Ok(back) => assert_eq!((back.peer, back.local, back.payload), (source, destination, datagram.payload)),
        // We may be asked at an address that none can be asked from.
        Err(refusal) => assert!(refusal == Refusal::Martian && !is_of_a_host(source), "{refusal:?} {source}"),
    }
}

fn is_of_a_host(address: SocketAddr) -> bool {
    let ip = address.ip();
    let special = match address {
        SocketAddr::V4(address) => address.ip().is_broadcast() || address.ip().octets()[0] == 0,
        SocketAddr::V6(address) => address.ip().to_ipv4_mapped().is_some(),
    };
    !(special || ip.is_multicast() || ip.is_loopback() || ip.is_unspecified() || address.port() == 0)
}

/// The same octets with the checksums of RFC 791 and 768, by the plain rule of RFC 1071.
pub(crate) fn with_right_sums(octets: &[u8]) -> Vec<u8> {
    let mut frame = octets.to_vec();
    let mut at = 12;
    while matches!(frame.get(at..at + 2), Some([0x81, 0x00] | [0x88, 0xa8])) {
        at += 4;
    }
    let ip = at + 2;
    let (udp, addresses) = match frame.get(at..ip) {
        Some([0x08, 0x00]) if frame.len() >= ip + 28 => {
            frame[ip + 10..ip + 12].fill(0);
            let sum = !sum_of(&frame[ip..ip + 20], 0);
            frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
            (ip + 20, ip + 12)
        }
        Some([0x86, 0xdd]) if frame.len() >= ip + 48 => (ip + 40, ip + 8),
        _ => return frame,
    };
    let length = u16::from_be_bytes([frame[udp + 4], frame[udp + 5]]);
    let end = udp + usize::from(length);
    if length >= 8 && end <= frame.len() {
        frame[udp + 6..udp + 8].fill(0);
        let pseudo = sum_of(&frame[addresses..udp], 17 + u32::from(length));
        let sum = !sum_of(&frame[udp..end], u32::from(pseudo));
        let sum = if sum == 0 { 0xffff } else { sum };
        frame[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

fn sum_of(octets: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in octets.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or(u16::MAX)
}
