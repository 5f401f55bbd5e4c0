//! A shard's memory of the ways that its datagrams take: headers ready to be copied, by where a datagram is
//! sent from and to. Fixed in size; forgotten as a whole when the network changed.

use super::network::{ByKernel, Network};
use super::packet::{HEADROOM, Headers};
use crate::frame::Egress;
use engine_sys::xdp::umem::FRAME_BYTES;
use std::net::{IpAddr, SocketAddr};

/// How datagrams from one address to another leave.
#[derive(Clone, Debug)]
pub struct Hop {
    /// What stands in front of each.
    pub headers: Headers,
    /// Longest payload that leaves in one packet and in one frame.
    pub payload_max: u16,
    /// Which of the shard's ports.
    pub port: u16,
}

/// A way, or why there is none.
pub type Known = Result<Hop, ByKernel>;

/// The memory: over IPv4, and all others.
pub struct Hops {
    v4: Box<[EntryV4; limits::XDP_HOPS]>,
    others: Box<[Option<(Egress, Known)>]>,
}

/// WHY aligned: a place is then found by a shift, and lies on as few cache lines as can be.
#[derive(Clone)]
#[repr(align(64))]
struct EntryV4 {
    of: PlainV4,
    known: Known,
}

impl EntryV4 {
    /// INVARIANT: what would be taken for this (nobody's address) has no route either.
    const NONE: EntryV4 = EntryV4 { of: PlainV4 { to: 0, from: 0 }, known: Err(ByKernel::Route) };
}

/// Between which addresses, as numbers that compare in two instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
struct PlainV4 {
    /// Listener, port and address of the peer.
    to: u64,
    /// The address to send from; 0: none is given.
    from: u32,
}

impl Default for Hops {
    fn default() -> Self {
        Hops { v4: Box::new([EntryV4::NONE; limits::XDP_HOPS]), others: (0..limits::XDP_HOPS).map(|_| None).collect() }
    }
}

impl Hops {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.v4.fill(EntryV4::NONE);
        self.others.fill_with(|| None);
    }

    /// How `egress` leaves, if that is remembered and the kernel need not send it.
    #[inline(always)]
    pub fn recall(&self, egress: &Egress) -> Option<&Hop> {
        let plain = PlainV4::of(egress)?;
        match self.v4.get(place(plain.to)) {
            Some(EntryV4 { of, known: Ok(hop) }) if *of == plain => Some(hop),
            _ => None,
        }
    }

    /// How `egress` leaves, whether that is remembered or not; `look_up` is asked what is not.
    ///
    /// # Errors
    /// Why the kernel must send it.
    #[inline(never)]
    pub fn find(&mut self, egress: &Egress, look_up: impl FnOnce() -> Known) -> Result<&Hop, ByKernel> {
        let known = match PlainV4::of(egress) {
            Some(plain) => {
                let entry = self.v4.get_mut(place(plain.to)).ok_or(ByKernel::Route)?;
                if entry.of != plain {
                    *entry = EntryV4 { of: plain, known: keep(look_up())? };
                }
                Some(&entry.known)
            }
            None => {
                let entry = self.others.get_mut(other_place(egress)).ok_or(ByKernel::Route)?;
                if !matches!(entry, Some((of, _)) if of == egress) {
                    *entry = Some((*egress, keep(look_up())?));
                }
                entry.as_ref().map(|(_, known)| known)
            }
        };
        known.ok_or(ByKernel::Route)?.as_ref().map_err(|why| *why)
    }
}

impl PlainV4 {
    /// `None`: it is not for IPv4.
    #[inline(always)]
    fn of(egress: &Egress) -> Option<Self> {
        let (SocketAddr::V4(peer), None | Some(IpAddr::V4(_))) = (egress.peer, egress.local) else { return None };
        let to = u64::from(u32::from_ne_bytes(peer.ip().octets()))
            | u64::from(peer.port()) << 32
            | u64::from(egress.listener) << 48;
        let from = match egress.local {
            Some(IpAddr::V4(ip)) => u32::from_ne_bytes(ip.octets()),
            _ => 0,
        };
        Some(PlainV4 { to, from })
    }
}

/// What is to be remembered. WHY not that a neighbour is unknown: the next one finds it asked for.
fn keep(found: Known) -> Result<Known, ByKernel> {
    match found {
        Err(ByKernel::Neighbour) => Err(ByKernel::Neighbour),
        found => Ok(found),
    }
}

impl Hop {
    /// From `source` to `peer`. `port_of` says which port serves an interface.
    ///
    /// # Errors
    /// Why the kernel must send it.
    #[cold]
    pub fn look_up(
        network: &Network,
        source: SocketAddr,
        peer: SocketAddr,
        port_of: impl Fn(u32) -> Option<usize>,
    ) -> Known {
        let way = network.way(source.ip(), peer.ip())?;
        let port = port_of(way.interface).ok_or(ByKernel::OtherInterface)?;
        let headers = Headers::new(way.to, way.from, way.tags.as_slice(), source, peer).ok_or(ByKernel::Route)?;
        let payload_max = way.mtu.saturating_sub(headers.packet_bytes(0)).min(FRAME_BYTES - HEADROOM);
        // INVARIANT: below the bytes of a frame; there are few ports.
        Ok(Hop { headers, payload_max: payload_max as u16, port: port as u16 })
    }
}

fn other_place(egress: &Egress) -> usize {
    let bits = match egress.peer.ip() {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    // Both halves of the address.
    let mixed = (bits as u64) ^ ((bits >> 64) as u64).rotate_left(29) ^ u64::from(egress.peer.port()) << 48;
    place(mixed ^ u64::from(egress.listener) << 52)
}

/// WHY no keyed hash: whoever makes two peers meet here makes us look a route up again, no more.
#[inline(always)]
fn place(of: u64) -> usize {
    // INVARIANT: 32 bits fit usize; the remainder is a place.
    (of.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % limits::XDP_HOPS
}
