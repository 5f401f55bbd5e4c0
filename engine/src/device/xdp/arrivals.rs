//! The receiving half: packets of one batch, parsed where they lie.

use super::packet::{self, Datagram, DatagramV4, Refusal, Summing};
use crate::frame::Frame as NetworkFrame;
use crate::stats::ShardStats;
use crate::time::{Micros, Mono};
use engine_sys::xdp::{Memory, Received, Umem, XdpSocket};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

pub(super) struct Arrivals {
    /// Of this batch: those that were read, then those that were not.
    packets: Received,
    /// How many were read; the last of them is lent out by `next`.
    read: usize,
    listeners: Listeners,
    summing: Summing,
    now: Mono,
    stats: Arc<ShardStats>,
}

/// A datagram for one of our listeners.
///
/// WHY not a frame in both cases: what is plain stays in registers until the frame is written where it is read.
pub(super) enum Arrived<'a> {
    Plain { listener: u16, datagram: DatagramV4<'a>, received: Mono },
    Other(NetworkFrame<'a>),
}

impl Arrivals {
    pub(super) fn new(memory: Arc<Memory>, listeners: &[SocketAddr], stats: Arc<ShardStats>) -> Self {
        let packets = Received::new(memory, limits::RECEIVE_BATCH_MAX);
        let (listeners, summing) = (Listeners::new(listeners), Summing::best());
        Arrivals { packets, read: 0, listeners, summing, now: Mono(0), stats }
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
        umem.free_received(&mut self.packets, self.read);
        self.read = 0;
    }

    /// The next datagram; what is to be dropped is counted.
    #[inline(always)]
    pub(super) fn next(&mut self, now: Mono) -> Option<Arrived<'_>> {
        self.now = now;
        loop {
            let packet = self.packets.get(self.read)?;
            let received = arrival(now, self.packets.stamp(self.read));
            self.read = self.read.wrapping_add(1);
            if let Some(datagram) = packet::parse_plain_v4(packet, self.summing)
                && let Some(listener) = self.listeners.of_plain(&datagram)
            {
                self.stats.xdp_frames_in.add(1);
                return Some(Arrived::Plain { listener, datagram, received });
            }
            if let Some(frame) = other(packet, &self.listeners, &self.stats, received) {
                return Some(Arrived::Other(frame));
            }
        }
    }
}

/// When a packet arrived, by the program's stamp in nanoseconds; now, where that cannot be one.
#[inline(always)]
fn arrival(now: Mono, stamp: u64) -> Mono {
    let micros = stamp / 1_000;
    if stamp == 0 || now.0.wrapping_sub(micros) > WAIT_MAX.0 { now } else { Mono(micros) }
}

/// Everything but plain IPv4; counts why not.
#[cold]
#[inline(never)]
fn other<'a>(packet: &'a [u8], listeners: &Listeners, stats: &ShardStats, received: Mono) -> Option<NetworkFrame<'a>> {
    let served = packet::parse(packet).and_then(|datagram| {
        let listener = listeners.of(datagram.local).ok_or(Refusal::NotServed)?;
        Ok((datagram, listener))
    });
    match served {
        Ok((Datagram { local, peer, payload }, listener)) => {
            stats.xdp_frames_in.add(1);
            Some(NetworkFrame { listener, local, peer, flow: 0, received, bytes: payload })
        }
        Err(refusal) => {
            count(stats, refusal);
            None
        }
    }
}

/// Whose datagram one is: a listener of its own address before one for all addresses, as the kernel has it.
struct Listeners {
    v4: Vec<(Ipv4Addr, u16, u16)>,
    v6: Vec<(Ipv6Addr, u16, u16)>,
    /// The first one over IPv4, if it has an address of its own: address and port as one number.
    usual: (u64, u16),
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
        let usual = v4.first().filter(|(ip, _, _)| !ip.is_unspecified());
        let usual = usual.map_or((u64::MAX, 0), |(ip, port, index)| (plain(*ip, *port), *index));
        Listeners { v4, v6, usual }
    }

    #[inline(always)]
    fn of_plain(&self, datagram: &DatagramV4<'_>) -> Option<u16> {
        let (usual, index) = self.usual;
        if plain(datagram.destination, datagram.ports.destination) == usual {
            return Some(index);
        }
        self.of_v4(datagram.destination, datagram.ports.destination)
    }

    fn of_v4(&self, ip: Ipv4Addr, port: u16) -> Option<u16> {
        index_of(&self.v4, port, |served| *served == ip || served.is_unspecified())
    }

    fn of(&self, address: SocketAddr) -> Option<u16> {
        match address.ip() {
            IpAddr::V4(ip) => self.of_v4(ip, address.port()),
            IpAddr::V6(ip) => index_of(&self.v6, address.port(), |served| *served == ip || served.is_unspecified()),
        }
    }
}

#[inline(always)]
fn plain(ip: Ipv4Addr, port: u16) -> u64 {
    u64::from(u32::from_ne_bytes(ip.octets())) | u64::from(port) << 32
}

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

/// Longest wait that is believed: nothing stays in a bounded ring for longer.
const WAIT_MAX: Micros = Micros::from_secs(10);
