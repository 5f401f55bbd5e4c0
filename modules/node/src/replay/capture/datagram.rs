//! Packets to UDP payloads: Ethernet with VLANs, Linux' cooked captures, raw IP; IPv4 and IPv6, fragments put together.

use super::file::Packet;
use etherparse::defrag::IpDefragPool;
use etherparse::{EtherType, IpNumber, NetSlice, SlicedPacket, TransportSlice, UdpSlice};
use pcap_parser::Linktype;
use std::net::{IpAddr, SocketAddr};

/// For how long parts of a packet wait for the others (RFC 8200 §4.5: 60 s; half of it is plenty on one wire).
const FRAGMENTS_US: u64 = 30_000_000;

/// Packets after which fragments that wait for too long are given up.
const TIDY_PACKETS: u64 = 1_024;

const TCP_PORT: u16 = 5_060;

/// A UDP payload.
pub(super) struct Datagram<'p> {
    pub(super) at_us: u64,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) payload: &'p [u8],
}

/// See the module.
pub(super) struct Datagrams {
    fragments: IpDefragPool<u64, ()>,
    packets: u64,
    /// Packets of a link layer that is not known.
    pub(super) foreign: u64,
    /// TCP segments of SIP's port, which are not read.
    pub(super) tcp: u64,
}

impl Datagrams {
    pub(super) fn new() -> Self {
        Datagrams { fragments: IpDefragPool::new(), packets: 0, foreign: 0, tcp: 0 }
    }

    /// Calls `each` with the payload that a packet has, or is the last part of.
    pub(super) fn packet(&mut self, packet: &Packet<'_>, each: &mut dyn FnMut(&Datagram<'_>)) {
        self.packets += 1;
        let Some(at_us) = packet.at_us else {
            self.foreign += 1;
            return;
        };
        if self.packets.is_multiple_of(TIDY_PACKETS) {
            self.fragments.retain(|since| at_us.saturating_sub(*since) < FRAGMENTS_US);
        }
        match sliced(packet) {
            Some(Ok(sliced)) => self.sliced(&sliced, at_us, each),
            // What is no IP packet, or is cut, is no concern of a call.
            Some(Err(_)) => {}
            None => self.foreign += 1,
        }
    }

    fn sliced(&mut self, sliced: &SlicedPacket<'_>, at_us: u64, each: &mut dyn FnMut(&Datagram<'_>)) {
        let (from, to) = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => {
                (IpAddr::from(ip.header().source_addr()), IpAddr::from(ip.header().destination_addr()))
            }
            Some(NetSlice::Ipv6(ip)) => {
                (IpAddr::from(ip.header().source_addr()), IpAddr::from(ip.header().destination_addr()))
            }
            _ => return,
        };
        let mut tell = |udp: &UdpSlice<'_>| {
            let (from, to) = (SocketAddr::new(from, udp.source_port()), SocketAddr::new(to, udp.destination_port()));
            each(&Datagram { at_us, from, to, payload: udp.payload() });
        };
        match &sliced.transport {
            Some(TransportSlice::Udp(udp)) => tell(udp),
            Some(TransportSlice::Tcp(tcp)) => {
                let sip = [tcp.source_port(), tcp.destination_port()].contains(&TCP_PORT) && !tcp.payload().is_empty();
                self.tcp += u64::from(sip);
            }
            Some(_) => {}
            None => {
                let Ok(Some(whole)) = self.fragments.process_sliced_packet(sliced, at_us, ()) else { return };
                if whole.ip_number == IpNumber::UDP
                    && let Ok(udp) = UdpSlice::from_slice(&whole.payload)
                {
                    tell(&udp);
                }
                self.fragments.return_buf(whole);
            }
        }
    }
}

type Sliced<'p> = Result<SlicedPacket<'p>, etherparse::err::packet::SliceError>;

/// A packet's headers; `None`: its link layer is not known.
fn sliced<'p>(packet: &Packet<'p>) -> Option<Sliced<'p>> {
    /// `LINKTYPE_LINUX_SLL2`: what `-i any` gives since libpcap 1.10.
    const LINUX_SLL2: i32 = 276;
    const SLL2_HEADER: usize = 20;
    let octets = packet.octets;
    match packet.link {
        Linktype(LINUX_SLL2) => {
            let ([high, low], _) = octets.split_first_chunk()?;
            let kind = EtherType(u16::from_be_bytes([*high, *low]));
            Some(SlicedPacket::from_ether_type(kind, octets.get(SLL2_HEADER..)?))
        }
        Linktype::ETHERNET => Some(SlicedPacket::from_ethernet(octets)),
        Linktype::LINUX_SLL => Some(SlicedPacket::from_linux_sll(octets)),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => Some(SlicedPacket::from_ip(octets)),
        // The family in four octets, then IP, which says itself which it is.
        Linktype::NULL | Linktype::LOOP => Some(SlicedPacket::from_ip(octets.get(4..)?)),
        _ => None,
    }
}
