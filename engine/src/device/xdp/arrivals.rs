//! The receiving half: packets of one batch, parsed where they lie.

use super::packet::{self, Datagram, DatagramV4, Refusal};
use crate::frame::Frame as NetworkFrame;
use crate::stats::ShardStats;
use crate::time::Mono;
use engine_sys::xdp::{Memory, Packet, Umem, XdpSocket};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

pub(super) struct Arrivals {
    memory: Arc<Memory>,
    /// Of this batch: those that were read, then those that were not.
    packets: Vec<Packet>,
    /// How many were read; the last of them is lent out by `next`.
    read: usize,
    listeners: Listeners,
    now: Mono,
    stats: Arc<ShardStats>,
}

impl Arrivals {
    pub(super) fn new(memory: Arc<Memory>, listeners: &[SocketAddr], stats: Arc<ShardStats>) -> Self {
        let packets = Vec::with_capacity(limits::RECEIVE_BATCH_MAX);
        Arrivals { memory, packets, read: 0, listeners: Listeners::new(listeners), now: Mono(0), stats }
    }

    pub(super) fn any(&self) -> bool {
        self.read < self.packets.len()
    }

    /// Takes what `socket` has received, as far as the batch has room.
    pub(super) fn collect(&mut self, socket: &mut XdpSocket, umem: &mut Umem) {
        socket.receive(umem, &mut self.packets, limits::RECEIVE_BATCH_MAX);
    }

    /// When `next` was asked last.
    pub(super) fn now(&self) -> Mono {
        self.now
    }

    /// Gives back the frames of all packets that were read.
    pub(super) fn give_back(&mut self, umem: &mut Umem) {
        for packet in self.packets.drain(..self.read) {
            umem.free_packet(packet);
        }
        self.read = 0;
    }

    /// The next datagram; what is to be dropped is counted.
    #[inline]
    pub(super) fn next(&mut self, now: Mono) -> Option<NetworkFrame<'_>> {
        self.now = now;
        loop {
            let packet = self.packets.get(self.read)?;
            self.read = self.read.wrapping_add(1);
            let packet = self.memory.packet(packet);
            // WHY twice: addresses of a known family stay in registers.
            let read = match packet::parse_plain_v4(packet) {
                Some(Ok(datagram)) => self.listeners.of_v4(datagram).ok_or(Refusal::NotServed),
                Some(Err(refusal)) => Err(refusal),
                None => self.listeners.of_any(packet),
            };
            match read {
                Ok((Datagram { local, peer, payload }, listener)) => {
                    self.stats.xdp_frames_in.add(1);
                    return Some(NetworkFrame { listener, local, peer, flow: 0, received: now, bytes: payload });
                }
                Err(refusal) => count(&self.stats, refusal),
            }
        }
    }
}

/// Whose datagram one is: a listener of its own address before one for all addresses, as the kernel has it.
struct Listeners {
    v4: Vec<(Ipv4Addr, u16, u16)>,
    v6: Vec<(Ipv6Addr, u16, u16)>,
}

impl Listeners {
    fn new(addresses: &[SocketAddr]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (index, address) in (0u16..).zip(addresses) {
            match address {
                SocketAddr::V4(address) => v4.push((*address.ip(), address.port(), index)),
                SocketAddr::V6(address) => v6.push((*address.ip(), address.port(), index)),
            }
        }
        // WHY stable: of two with the same address the first one is meant.
        v4.sort_by_key(|(ip, _, _)| ip.is_unspecified());
        v6.sort_by_key(|(ip, _, _)| ip.is_unspecified());
        Listeners { v4, v6 }
    }

    #[inline]
    fn of_v4<'a>(&self, datagram: DatagramV4<'a>) -> Option<(Datagram<'a>, u16)> {
        let (ip, port) = (datagram.destination, datagram.ports.destination);
        let index = index_of(&self.v4, port, |served| *served == ip || served.is_unspecified())?;
        Some((datagram.into(), index))
    }

    #[cold]
    fn of_any<'a>(&self, packet: &'a [u8]) -> Result<(Datagram<'a>, u16), Refusal> {
        let datagram = packet::parse(packet)?;
        let port = datagram.local.port();
        let index = match datagram.local.ip() {
            IpAddr::V4(ip) => index_of(&self.v4, port, |served| *served == ip || served.is_unspecified()),
            IpAddr::V6(ip) => index_of(&self.v6, port, |served| *served == ip || served.is_unspecified()),
        };
        Ok((datagram, index.ok_or(Refusal::NotServed)?))
    }
}

#[inline]
fn index_of<A>(served: &[(A, u16, u16)], port: u16, matches: impl Fn(&A) -> bool) -> Option<u16> {
    served.iter().find(|served| served.1 == port && matches(&served.0)).map(|served| served.2)
}

#[cold]
fn count(stats: &ShardStats, refusal: Refusal) {
    match refusal {
        Refusal::Malformed => stats.xdp_malformed.add(1),
        Refusal::WrongChecksum => stats.xdp_wrong_checksum.add(1),
        Refusal::Martian => stats.xdp_martian.add(1),
        Refusal::NotServed => stats.xdp_not_served.add(1),
    }
}
