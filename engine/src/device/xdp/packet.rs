//! Ethernet, VLAN, IP and UDP headers: read from a received frame, written in front of a payload.
//!
//! Reading refuses what the kernel's stack would refuse: the XDP program has looked only as far as it
//! needs to find out whose packet it is.

use engine_sys::xdp::checksum::{add, fold, is_right, plus};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

pub use engine_sys::xdp::checksum::Summing;

/// Bytes in front of the payload of a frame that is written; all headers fit.
///
/// WHY 128: the payload begins on a cache line pair.
pub const HEADROOM: usize = 128;

/// Longest headers: Ethernet, two VLAN tags, IPv6, UDP.
pub const HEADERS_MAX: usize = ETHERNET_BYTES + 2 * TAG_BYTES + IPV6_BYTES + UDP_BYTES;

const _: () = assert!(HEADERS_MAX <= TEMPLATE_BYTES && TEMPLATE_BYTES <= HEADROOM, "headers fit before the payload");

/// A received UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Where it was sent to.
    pub local: SocketAddr,
    /// Where it came from.
    pub peer: SocketAddr,
    /// What it carries.
    pub payload: &'a [u8],
}

/// A UDP datagram over IPv4, as it stands in its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramV4<'a> {
    /// Where it came from.
    pub source: Ipv4Addr,
    /// Where it was sent to.
    pub destination: Ipv4Addr,
    /// Its ports.
    pub ports: Ports,
    /// What it carries.
    pub payload: &'a [u8],
}

/// The ports of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Not 0.
    pub source: u16,
    /// Anything.
    pub destination: u16,
}

impl<'a> From<DatagramV4<'a>> for Datagram<'a> {
    #[inline]
    fn from(datagram: DatagramV4<'a>) -> Self {
        let DatagramV4 { source, destination, ports, payload } = datagram;
        Datagram {
            local: SocketAddr::V4(SocketAddrV4::new(destination, ports.destination)),
            peer: SocketAddr::V4(SocketAddrV4::new(source, ports.source)),
            payload,
        }
    }
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
pub fn parse(packet: &[u8]) -> Result<Datagram<'_>, Refusal> {
    let (link, rest) = packet.split_first_chunk::<ETHERNET_BYTES>().ok_or(Refusal::Malformed)?;
    match u16::from_be_bytes([link[12], link[13]]) {
        IPV4 => parse_v4(rest).map(Datagram::from),
        IPV6 => parse_v6(rest),
        VLAN | QINQ => parse_tagged(rest),
        _ => Err(Refusal::Malformed),
    }
}

/// Reads what nearly all is: a plain datagram over IPv4 without tags and padding, with its sum. `None`: it is something
/// else, or to be refused; [`parse`] says which.
#[inline(always)]
pub fn parse_plain_v4(packet: &[u8], summing: Summing) -> Option<DatagramV4<'_>> {
    let header: &[u8; PLAIN_BYTES] = packet.first_chunk()?;
    // The protocol of the Ethernet header, version and length of the IP header; fragment and protocol.
    let kind = half_word(header, 12) & u32::from_ne_bytes([0xff, 0xff, 0xff, 0]);
    let whole = half_word(header, 20) & u32::from_ne_bytes([0x3f, 0xff, 0, 0xff]);
    if kind != u32::from_ne_bytes([0x08, 0, 0x45, 0]) || whole != u32::from_ne_bytes([0, 0, 0, UDP]) {
        return None;
    }
    let total = u16::from_be_bytes([header[16], header[17]]);
    let length = u16::from_be_bytes([header[38], header[39]]);
    let payload = packet.get(PLAIN_BYTES..usize::from(length) + PLAIN_BYTES - UDP_BYTES)?;
    let addresses = word(header, 26);
    let header_sum = plus(plus(addresses, word(header, 14)), u64::from(half_word(header, 22)));
    if u32::from(total) != u32::from(length) + IPV4_BYTES as u32 || !is_right(header_sum) {
        return None;
    }
    let ports = Ports {
        source: u16::from_be_bytes([header[34], header[35]]),
        destination: u16::from_be_bytes([header[36], header[37]]),
    };
    // No address of a single host (the table in `parse_v4` is finer), no port, no sum.
    let network = header[26];
    let given = u16::from_ne_bytes([header[40], header[41]]);
    if network.wrapping_sub(1) >= 223 || network == 127 || ports.source == 0 || given == 0 {
        return None;
    }
    let pseudo = plus(addresses, PSEUDO + u64::from(length.to_be()));
    if !is_right(summing.add(plus(pseudo, word(header, 34)), payload)) && given != fold(pseudo) {
        return None;
    }
    Some(DatagramV4 {
        source: Ipv4Addr::from_octets(half_word(header, 26).to_ne_bytes()),
        destination: Ipv4Addr::from_octets(half_word(header, 30).to_ne_bytes()),
        ports,
        payload,
    })
}

/// Behind the protocol of the Ethernet header: one or two tags, each with the protocol of what follows.
fn parse_tagged(mut rest: &[u8]) -> Result<Datagram<'_>, Refusal> {
    for _ in 0..2 {
        let (tag, behind) = rest.split_first_chunk::<TAG_BYTES>().ok_or(Refusal::Malformed)?;
        rest = behind;
        match u16::from_be_bytes([tag[2], tag[3]]) {
            IPV4 => return parse_v4(rest).map(Datagram::from),
            IPV6 => return parse_v6(rest),
            VLAN | QINQ => {}
            _ => return Err(Refusal::Malformed),
        }
    }
    Err(Refusal::Malformed)
}

#[inline]
fn parse_v4(packet: &[u8]) -> Result<DatagramV4<'_>, Refusal> {
    let (header, rest) = packet.split_first_chunk::<IPV4_BYTES>().ok_or(Refusal::Malformed)?;
    let total = u16::from_be_bytes([header[2], header[3]]);
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[0] != 0x45 || header[9] != UDP || fragment != 0 {
        return Err(Refusal::Malformed);
    }
    let addresses = word(header, 12);
    let sum = plus(plus(addresses, word(header, 0)), u64::from(half_word(header, 8)));
    if fold(sum) != 0xffff {
        return Err(Refusal::WrongChecksum);
    }
    let source = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
    let destination = Ipv4Addr::new(header[16], header[17], header[18], header[19]);
    if source.is_multicast() || source.is_broadcast() || source.is_loopback() || header[12] == 0 {
        return Err(Refusal::Martian);
    }
    // What is behind the total length is padding of a short Ethernet frame.
    let length = usize::from(total).wrapping_sub(IPV4_BYTES);
    let datagram = rest.get(..length).ok_or(Refusal::Malformed)?;
    let (ports, payload) = parse_udp(datagram, plus(addresses, PSEUDO), true)?;
    Ok(DatagramV4 { source, destination, ports, payload })
}

fn parse_v6(packet: &[u8]) -> Result<Datagram<'_>, Refusal> {
    let (header, rest) = packet.split_first_chunk::<IPV6_BYTES>().ok_or(Refusal::Malformed)?;
    let length = u16::from_be_bytes([header[4], header[5]]);
    if header[0] >> 4 != 6 || header[6] != UDP {
        return Err(Refusal::Malformed);
    }
    let addresses: &[u8; 32] = header.last_chunk().ok_or(Refusal::Malformed)?;
    let source = Ipv6Addr::from(*addresses.first_chunk::<16>().ok_or(Refusal::Malformed)?);
    let destination = Ipv6Addr::from(*addresses.last_chunk::<16>().ok_or(Refusal::Malformed)?);
    if source.is_multicast() || source.is_unspecified() || source.is_loopback() || source.to_ipv4_mapped().is_some() {
        return Err(Refusal::Martian);
    }
    let datagram = rest.get(..usize::from(length)).ok_or(Refusal::Malformed)?;
    let (ports, payload) = parse_udp(datagram, add(PSEUDO, addresses), false)?;
    Ok(Datagram {
        local: SocketAddr::new(destination.into(), ports.destination),
        peer: SocketAddr::new(source.into(), ports.source),
        payload,
    })
}

/// Reads a UDP datagram and what may lie behind it; `pseudo` is the sum of its pseudo header without the
/// length.
#[inline]
fn parse_udp(packet: &[u8], pseudo: u64, may_lack_sum: bool) -> Result<(Ports, &[u8]), Refusal> {
    let (header, rest) = packet.split_first_chunk::<UDP_BYTES>().ok_or(Refusal::Malformed)?;
    let length = u16::from_be_bytes([header[4], header[5]]);
    let payload = rest.get(..usize::from(length).wrapping_sub(UDP_BYTES)).ok_or(Refusal::Malformed)?;
    let given = u16::from_ne_bytes([header[6], header[7]]);
    let pseudo = plus(pseudo, u64::from(length.to_be()));
    if given == 0 {
        // RFC 768: none was made. RFC 8200 §8.1: not in IPv6.
        if !may_lack_sum {
            return Err(Refusal::WrongChecksum);
        }
    } else if fold(add(plus(pseudo, word(header, 0)), payload)) != 0xffff && given != fold(pseudo) {
        // The second: the sender left the rest to its card, which is virtual and did not do it (veth).
        return Err(Refusal::WrongChecksum);
    }
    let source = u16::from_be_bytes([header[0], header[1]]);
    if source == 0 {
        return Err(Refusal::Martian);
    }
    Ok((Ports { source, destination: u16::from_be_bytes([header[2], header[3]]) }, payload))
}

/// The headers of all datagrams from one address and port to another by one way, as far as they are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// All headers, up to the end.
    bytes: [u8; TEMPLATE_BYTES],
    /// Sum of pseudo header and UDP header without the lengths.
    datagram_sum: u64,
    /// Sum of the IPv4 header as far as it is written, folded; `None`: it is IPv6.
    header_sum: Option<u16>,
    /// Length of all headers.
    length: u16,
    /// Length of the link header.
    link: u16,
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
    pub fn new(to: [u8; 6], from: [u8; 6], tags: &[Tag], source: SocketAddr, destination: SocketAddr) -> Option<Self> {
        let mut writer = Writer { bytes: [0; HEADERS_MAX], length: 0 };
        writer.put(&to)?;
        writer.put(&from)?;
        for tag in tags {
            writer.put(&tag.protocol.to_be_bytes())?;
            writer.put(&tag.id.to_be_bytes())?;
        }
        let (link, header_sum, addresses);
        match (source.ip(), destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                writer.put(&IPV4.to_be_bytes())?;
                link = writer.length;
                // Neither fragmented nor forbidden to be, as the kernel's sockets here are set.
                writer.put(&[0x45, 0, 0, 0, 0, 0, 0, 0, TTL, UDP, 0, 0])?;
                addresses = writer.length;
                writer.put(&source.octets())?;
                writer.put(&destination.octets())?;
                header_sum = Some(fold(add(0, writer.from(link)?)));
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                writer.put(&IPV6.to_be_bytes())?;
                link = writer.length;
                writer.put(&[0x60, 0, 0, 0, 0, 0, UDP, TTL])?;
                addresses = writer.length;
                writer.put(&source.octets())?;
                writer.put(&destination.octets())?;
                header_sum = None;
            }
            _ => return None,
        }
        writer.put(&source.port().to_be_bytes())?;
        writer.put(&destination.port().to_be_bytes())?;
        let datagram_sum = add(PSEUDO, writer.from(addresses)?);
        writer.put(&[0; 4])?;
        let Writer { bytes, length } = writer;
        let mut template = [0; TEMPLATE_BYTES];
        template.get_mut(TEMPLATE_BYTES - length..)?.copy_from_slice(bytes.get(..length)?);
        let (length, link) = (u16::try_from(length).ok()?, u16::try_from(link).ok()?);
        Some(Headers { bytes: template, datagram_sum, header_sum, length, link })
    }

    /// Length of the IP packet around a payload of `length` bytes.
    pub fn packet_bytes(&self, length: usize) -> usize {
        usize::from(self.length - self.link) + length
    }

    /// Where the packet begins in a frame, with the payload at [`HEADROOM`].
    #[inline]
    pub fn start(&self) -> usize {
        HEADROOM.wrapping_sub(usize::from(self.length))
    }

    /// Writes the headers in front of the payload of `length` bytes that begins at [`HEADROOM`] of
    /// `frame`: the packet begins at [`Headers::start`]. `identification` tells IPv4 packets apart (in the order of memory). `None`:
    /// the payload does not fit the frame, or UDP.
    #[inline(always)]
    pub fn write(&self, frame: &mut [u8], length: usize, identification: u16, summing: Summing) -> Option<()> {
        let (head, payload) = frame.split_first_chunk_mut::<HEADROOM>()?;
        let payload = payload.get(..length)?;
        let head = head.last_chunk_mut::<TEMPLATE_BYTES>()?;
        // INVARIANT: the length of a datagram, checked here, leaves room for what is added below.
        let udp_length = u16::try_from(length).ok().filter(|length| *length < UDP_PAYLOAD_BELOW)?.wrapping_add(8);
        let in_order = udp_length.to_be_bytes();
        // WHY as much, whatever its length: a copy of known size. What is in front is not sent.
        if let Some(header_sum) = self.header_sum {
            *head.last_chunk_mut::<TEMPLATE_V4_BYTES>()? = *self.bytes.last_chunk()?;
            let total = udp_length.wrapping_add(IPV4_BYTES as u16).to_be_bytes();
            let number = identification.to_ne_bytes();
            *head.get_mut(IPV4_AT + 2..)?.first_chunk_mut()? = [total[0], total[1], number[0], number[1]];
            let sum = u32::from(header_sum) + u32::from(u16::from_ne_bytes(total)) + u32::from(identification);
            *head.get_mut(IPV4_AT + 10..)?.first_chunk_mut()? = (!fold_half(sum)).to_ne_bytes();
        } else {
            *head = self.bytes;
            *head.get_mut(IPV6_AT + 4..)?.first_chunk_mut()? = in_order;
        }
        let sum = plus(self.datagram_sum, 2 * u64::from(u16::from_ne_bytes(in_order)));
        let sum = !fold(summing.add(sum, payload));
        // RFC 768: a sum of zero is sent as all ones.
        let sum = if sum == 0 { 0xffff } else { sum }.to_ne_bytes();
        *head.get_mut(UDP_AT + 4..)?.first_chunk_mut()? = [in_order[0], in_order[1], sum[0], sum[1]];
        Some(())
    }
}

/// WHY no vector: ways are looked up on the packet path, which allocates nothing.
struct Writer {
    bytes: [u8; HEADERS_MAX],
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

/// Eight bytes of a header, in the order of memory.
///
/// INVARIANT: `at` is a constant that the header has room for.
#[inline(always)]
fn word<const N: usize>(header: &[u8; N], at: usize) -> u64 {
    header.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// [`fold`] for a sum of few 16-bit words.
#[inline(always)]
const fn fold_half(sum: u32) -> u16 {
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// Four bytes, likewise.
#[inline(always)]
fn half_word<const N: usize>(header: &[u8; N], at: usize) -> u32 {
    header.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

const ETHERNET_BYTES: usize = 14;
const TAG_BYTES: usize = 4;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const UDP_BYTES: usize = 8;
/// Ethernet, IPv4 and UDP.
const PLAIN_BYTES: usize = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES;
/// Longer ones do not fit an IPv4 packet.
const UDP_PAYLOAD_BELOW: u16 = u16::MAX - (IPV4_BYTES + UDP_BYTES) as u16 + 1;
/// Room for the headers of a datagram.
const TEMPLATE_BYTES: usize = 80;
/// The part of it that IPv4 needs.
const TEMPLATE_V4_BYTES: usize = 64;
const _: () = assert!(ETHERNET_BYTES + 2 * TAG_BYTES + IPV4_BYTES + UDP_BYTES <= TEMPLATE_V4_BYTES, "two tags fit");
/// Where each header begins in it.
const UDP_AT: usize = TEMPLATE_BYTES - UDP_BYTES;
const IPV4_AT: usize = UDP_AT - IPV4_BYTES;
const IPV6_AT: usize = UDP_AT - IPV6_BYTES;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const UDP: u8 = 17;
/// Sum of the pseudo header's protocol.
const PSEUDO: u64 = u16::from_be_bytes([0, UDP]).to_be() as u64;
/// What Linux sends with (net.ipv4.ip_default_ttl).
const TTL: u8 = 64;

#[cfg(test)]
mod tests;
