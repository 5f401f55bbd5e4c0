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
    pub payload_max: usize,
    /// Which of the shard's ports.
    pub port: usize,
}

/// A way, or why there is none.
pub type Known = Result<Hop, ByKernel>;

/// The memory.
pub struct Hops(Box<[Option<(Egress, Known)>; limits::XDP_HOPS]>);

impl Default for Hops {
    fn default() -> Self {
        Hops(Box::new([const { None }; limits::XDP_HOPS]))
    }
}

impl Hops {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.fill(None);
    }

    /// How `egress` leaves; `look_up` is asked what is not remembered.
    ///
    /// # Errors
    /// Why the kernel must send it.
    #[inline]
    pub fn find(&mut self, egress: &Egress, look_up: impl FnOnce() -> Known) -> Result<&Hop, ByKernel> {
        let entry = self.0.get_mut(place(egress)).ok_or(ByKernel::Route)?;
        if !matches!(entry, Some((of, _)) if same(of, egress)) {
            let found = look_up();
            // WHY not kept: the next one finds the neighbour asked for.
            if let Err(ByKernel::Neighbour) = found {
                return Err(ByKernel::Neighbour);
            }
            *entry = Some((*egress, found));
        }
        match entry {
            Some((_, Ok(hop))) => Ok(hop),
            Some((_, Err(why))) => Err(*why),
            None => Err(ByKernel::Route),
        }
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
        Ok(Hop { headers, payload_max, port })
    }
}

/// The same, as far as it bears on the way.
///
/// WHY not `==`: that compares what differs least first.
#[inline]
fn same(one: &Egress, other: &Egress) -> bool {
    one.listener == other.listener
        && match (one.peer, other.peer) {
            (SocketAddr::V4(one), SocketAddr::V4(other)) => one == other,
            (one, other) => one == other,
        }
        && match (one.local, other.local) {
            (Some(IpAddr::V4(one)), Some(IpAddr::V4(other))) => one == other,
            (one, other) => one == other,
        }
}

/// WHY no keyed hash: whoever makes two peers meet here makes us look a route up again, no more.
#[inline]
fn place(egress: &Egress) -> usize {
    let peer = match egress.peer {
        SocketAddr::V4(peer) => u64::from(u32::from(*peer.ip())) << 16 | u64::from(peer.port()),
        SocketAddr::V6(peer) => {
            let bits = u128::from(*peer.ip());
            // Both halves of the address.
            (bits as u64) ^ ((bits >> 64) as u64).rotate_left(29) ^ u64::from(peer.port()) << 48
        }
    };
    let mixed = (peer ^ u64::from(egress.listener) << 52).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // INVARIANT: 32 bits fit usize; the remainder is a place.
    (mixed >> 32) as usize % limits::XDP_HOPS
}
