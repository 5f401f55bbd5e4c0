//! Ethernet, VLAN, IP and UDP headers: read from a received frame, written in front of a payload.
//!
//! Reading refuses what the kernel's stack would refuse: the XDP program has looked only as far as it
//! needs to find out whose packet it is.

use engine_sys::xdp::checksum::{add, fold};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// Bytes in front of the payload of a frame that is written; all headers fit.
///
/// WHY 128: the payload begins on a cache line pair.
pub const HEADROOM: usize = 128;

/// Longest headers: Ethernet, two VLAN tags, IPv6, UDP.
pub const HEADERS_MAX: usize = ETHERNET_BYTES + 2 * TAG_BYTES + IPV6_BYTES + UDP_BYTES;

const _: () = assert!(HEADERS_MAX <= HEADROOM, "headers fit in front of the payload");

/// A received UDP datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Where it was sent to.
    pub local: SocketAddr,
    /// Where it came from.
    pub peer: SocketAddr,
    /// Where in the packet its payload lies.
    pub payload: Range<usize>,
}

/// Why a received frame is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its lengths contradict each other, or it is not UDP over IP at all.
    Malformed,
    /// The sum of its IP or UDP header is wrong.
    WrongChecksum,
    /// Its source is no address of a single host, or its source port is 0.
    Martian,
    /// No listener has its destination.
    NotServed,
}

/// Reads a packet from its Ethernet header on.
///
/// # Errors
/// Why it is to be dropped.
pub fn parse(packet: &[u8]) -> Result<Datagram, Refusal> {
    let (protocol, link) = skip_link(packet).ok_or(Refusal::Malformed)?;
    match protocol {
        IPV4 => parse_v4(packet, link),
        IPV6 => parse_v6(packet, link),
        _ => Err(Refusal::Malformed),
    }
}

/// The protocol behind the Ethernet header and at most two VLAN tags, and where that begins.
fn skip_link(packet: &[u8]) -> Option<(u16, usize)> {
    let mut at = ETHERNET_BYTES;
    let mut protocol = be16(packet, at - 2)?;
    for _ in 0..2 {
        if protocol == VLAN || protocol == QINQ {
            at += TAG_BYTES;
            protocol = be16(packet, at - 2)?;
        }
    }
    Some((protocol, at))
}

fn parse_v4(packet: &[u8], at: usize) -> Result<Datagram, Refusal> {
    let header: &[u8; IPV4_BYTES] = packet.get(at..).and_then(<[u8]>::first_chunk).ok_or(Refusal::Malformed)?;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[0] != 0x45 || header[9] != UDP || fragment != 0 {
        return Err(Refusal::Malformed);
    }
    if fold(add(0, header)) != 0xffff {
        return Err(Refusal::WrongChecksum);
    }
    let source = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
    let destination = Ipv4Addr::new(header[16], header[17], header[18], header[19]);
    if source.is_multicast() || source.is_broadcast() || source.is_loopback() || source.octets()[0] == 0 {
        return Err(Refusal::Martian);
    }
    let pseudo = add(u64::from(u16::from_be_bytes([0, UDP]).to_be()), &header[12..20]);
    // What is behind the total length is padding of a short Ethernet frame.
    let datagram = packet.get(at + IPV4_BYTES..at + total).ok_or(Refusal::Malformed)?;
    parse_udp(datagram, at + IPV4_BYTES, pseudo, IpAddr::V4(source), IpAddr::V4(destination))
}

fn parse_v6(packet: &[u8], at: usize) -> Result<Datagram, Refusal> {
    let header: &[u8; IPV6_BYTES] = packet.get(at..).and_then(<[u8]>::first_chunk).ok_or(Refusal::Malformed)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[0] >> 4 != 6 || header[6] != UDP {
        return Err(Refusal::Malformed);
    }
    let addresses: &[u8; 32] = header.last_chunk().ok_or(Refusal::Malformed)?;
    let source = Ipv6Addr::from(*addresses.first_chunk::<16>().ok_or(Refusal::Malformed)?);
    let destination = Ipv6Addr::from(*addresses.last_chunk::<16>().ok_or(Refusal::Malformed)?);
    if source.is_multicast() || source.is_unspecified() || source.is_loopback() || source.to_ipv4_mapped().is_some() {
        return Err(Refusal::Martian);
    }
    let pseudo = add(u64::from(u16::from_be_bytes([0, UDP]).to_be()), addresses);
    let start = at + IPV6_BYTES;
    let datagram = packet.get(start..start + length).ok_or(Refusal::Malformed)?;
    parse_udp(datagram, start, pseudo, IpAddr::V6(source), IpAddr::V6(destination))
}

/// Reads the UDP datagram that begins at `start` of the packet; `pseudo` is the sum of its pseudo header
/// without the length.
fn parse_udp(
    datagram: &[u8],
    start: usize,
    pseudo: u64,
    source: IpAddr,
    destination: IpAddr,
) -> Result<Datagram, Refusal> {
    let header: &[u8; UDP_BYTES] = datagram.first_chunk().ok_or(Refusal::Malformed)?;
    let length = u16::from_be_bytes([header[4], header[5]]);
    let bytes = datagram.get(..usize::from(length)).filter(|bytes| bytes.len() >= UDP_BYTES);
    let bytes = bytes.ok_or(Refusal::Malformed)?;
    let given = u16::from_ne_bytes([header[6], header[7]]);
    let pseudo = pseudo + u64::from(length.to_be());
    if given == 0 {
        // RFC 768: none was made. RFC 8200 §8.1: not in IPv6.
        if source.is_ipv6() {
            return Err(Refusal::WrongChecksum);
        }
    } else if fold(add(pseudo, bytes)) != 0xffff && given != fold(pseudo) {
        // The second: the sender left the rest to its card, which is virtual and did not do it (veth).
        return Err(Refusal::WrongChecksum);
    }
    let source_port = u16::from_be_bytes([header[0], header[1]]);
    if source_port == 0 {
        return Err(Refusal::Martian);
    }
    Ok(Datagram {
        local: SocketAddr::new(destination, u16::from_be_bytes([header[2], header[3]])),
        peer: SocketAddr::new(source, source_port),
        payload: start + UDP_BYTES..start + usize::from(length),
    })
}

/// The headers of all datagrams between two hosts by one way, as far as they are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Link and IP header.
    bytes: [u8; HEADERS_MAX - UDP_BYTES],
    link: usize,
    length: usize,
    /// Sum of the IPv4 header as far as it is written.
    header_sum: u64,
    /// Sum of the pseudo header without the length.
    pseudo_sum: u64,
}

/// A VLAN tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tag {
    /// 0x8100, or 0x88a8 for the outer one of two.
    pub protocol: u16,
    /// 0 to 4,095.
    pub id: u16,
}

impl Headers {
    /// From `source` to `destination` (of one family), over Ethernet addresses `from` and `to`, with at
    /// most two tags, the outer one first.
    pub fn new(to: [u8; 6], from: [u8; 6], tags: &[Tag], source: IpAddr, destination: IpAddr) -> Option<Self> {
        let mut writer = Writer { bytes: [0; HEADERS_MAX - UDP_BYTES], length: 0 };
        writer.put(&to)?;
        writer.put(&from)?;
        for tag in tags {
            writer.put(&tag.protocol.to_be_bytes())?;
            writer.put(&tag.id.to_be_bytes())?;
        }
        let pseudo = u64::from(u16::from_be_bytes([0, UDP]).to_be());
        let (link, header_sum, pseudo_sum);
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                writer.put(&IPV4.to_be_bytes())?;
                link = writer.length;
                // Neither fragmented nor forbidden to be, as the kernel's sockets here are set.
                writer.put(&[0x45, 0, 0, 0, 0, 0, 0, 0, TTL, UDP, 0, 0])?;
                writer.put(&source.octets())?;
                writer.put(&destination.octets())?;
                header_sum = add(0, writer.from(link)?);
                pseudo_sum = add(pseudo, writer.from(link + 12)?);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                writer.put(&IPV6.to_be_bytes())?;
                link = writer.length;
                writer.put(&[0x60, 0, 0, 0, 0, 0, UDP, TTL])?;
                writer.put(&source.octets())?;
                writer.put(&destination.octets())?;
                header_sum = 0;
                pseudo_sum = add(pseudo, writer.from(link + 8)?);
            }
            _ => return None,
        }
        let Writer { bytes, length } = writer;
        Some(Headers { bytes, link, length, header_sum, pseudo_sum })
    }

    /// Length of the IP packet around a payload of `length` bytes.
    pub fn packet_bytes(&self, length: usize) -> usize {
        self.length - self.link + UDP_BYTES + length
    }

    /// Writes the headers in front of the payload of `length` bytes that begins at [`HEADROOM`] of
    /// `frame`; returns where the packet begins. `identification` tells IPv4 packets apart.
    pub fn write(&self, frame: &mut [u8], length: usize, ports: (u16, u16), identification: u16) -> Option<usize> {
        let start = HEADROOM - UDP_BYTES - self.length;
        let udp_length = u16::try_from(length + UDP_BYTES).ok()?;
        frame.get_mut(start..HEADROOM - UDP_BYTES)?.copy_from_slice(self.bytes.get(..self.length)?);
        let ip = start + self.link;
        if self.length - self.link == IPV4_BYTES {
            let header: &mut [u8; IPV4_BYTES] = frame.get_mut(ip..)?.first_chunk_mut()?;
            let total = u16::try_from(self.packet_bytes(length)).ok()?;
            [header[2], header[3]] = total.to_be_bytes();
            [header[4], header[5]] = identification.to_be_bytes();
            let sum = self.header_sum + u64::from(total.to_be()) + u64::from(identification.to_be());
            [header[10], header[11]] = (!fold(sum)).to_ne_bytes();
        } else {
            let field: &mut [u8; 2] = frame.get_mut(ip + 4..)?.first_chunk_mut()?;
            *field = udp_length.to_be_bytes();
        }
        let datagram = frame.get_mut(HEADROOM - UDP_BYTES..HEADROOM + length)?;
        let (header, payload) = datagram.split_first_chunk_mut::<UDP_BYTES>()?;
        [header[0], header[1]] = ports.0.to_be_bytes();
        [header[2], header[3]] = ports.1.to_be_bytes();
        [header[4], header[5]] = udp_length.to_be_bytes();
        let sum = self.pseudo_sum
            + 2 * u64::from(udp_length.to_be())
            + u64::from(ports.0.to_be())
            + u64::from(ports.1.to_be());
        // RFC 768: a sum of zero is sent as all ones.
        let sum = !fold(add(sum, payload));
        [header[6], header[7]] = if sum == 0 { [0xff; 2] } else { sum.to_ne_bytes() };
        Some(start)
    }
}

/// WHY no vector: ways are looked up on the packet path, which allocates nothing.
struct Writer {
    bytes: [u8; HEADERS_MAX - UDP_BYTES],
    length: usize,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes.get_mut(self.length..self.length + bytes.len())?.copy_from_slice(bytes);
        self.length += bytes.len();
        Some(())
    }

    fn from(&self, start: usize) -> Option<&[u8]> {
        self.bytes.get(start..self.length)
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

const ETHERNET_BYTES: usize = 14;
const TAG_BYTES: usize = 4;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const UDP: u8 = 17;
/// What Linux sends with (net.ipv4.ip_default_ttl).
const TTL: u8 = 64;

#[cfg(test)]
mod tests;
