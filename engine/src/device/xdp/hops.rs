//! A shard's memory of the ways that its datagrams take: headers ready to be copied, by the two
//! addresses. Fixed in size; forgotten as a whole when the network changed.

use super::network::{ByKernel, Network};
use super::packet::Headers;
use std::net::IpAddr;

/// How datagrams from one address to another leave.
#[derive(Clone, Debug)]
pub struct Hop {
    /// What stands in front of each.
    pub headers: Headers,
    /// Largest IP packet.
    pub mtu: usize,
    /// Which of the shard's ports.
    pub port: usize,
}

type Known = Result<Hop, ByKernel>;

/// The memory.
pub struct Hops(Box<[Option<(IpAddr, IpAddr, Known)>]>);

impl Default for Hops {
    fn default() -> Self {
        Hops((0..limits::XDP_HOPS).map(|_| None).collect())
    }
}

impl Hops {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.fill(None);
    }

    /// The hop from `source` to `peer`. `port_of` says which port serves an interface.
    ///
    /// # Errors
    /// Why the kernel must send it.
    pub fn find(
        &mut self,
        network: &Network,
        source: IpAddr,
        peer: IpAddr,
        port_of: impl Fn(u32) -> Option<usize>,
    ) -> Result<&Hop, ByKernel> {
        let place = place(source, peer);
        let entry = self.0.get_mut(place).ok_or(ByKernel::Route)?;
        let known = matches!(entry, Some((from, to, _)) if *from == source && *to == peer);
        if !known {
            let found = find(network, source, peer, port_of);
            // WHY not kept: the next one finds the neighbour asked for.
            if let Err(ByKernel::Neighbour) = found {
                return Err(ByKernel::Neighbour);
            }
            *entry = Some((source, peer, found));
        }
        match entry {
            Some((_, _, Ok(hop))) => Ok(hop),
            Some((_, _, Err(why))) => Err(*why),
            None => Err(ByKernel::Route),
        }
    }
}

fn find(network: &Network, source: IpAddr, peer: IpAddr, port_of: impl Fn(u32) -> Option<usize>) -> Known {
    let way = network.way(source, peer)?;
    let port = port_of(way.interface).ok_or(ByKernel::OtherInterface)?;
    let headers = Headers::new(way.to, way.from, way.tags.as_slice(), source, peer).ok_or(ByKernel::Route)?;
    Ok(Hop { headers, mtu: way.mtu, port })
}

/// WHY no keyed hash: whoever makes two peers meet here makes us look a route up again, no more.
fn place(source: IpAddr, peer: IpAddr) -> usize {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            // Both halves of the address.
            (bits as u64) ^ ((bits >> 64) as u64).rotate_left(29)
        }
    };
    let mixed = (bits(peer) ^ bits(source).rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // INVARIANT: 32 bits fit usize; the remainder is a place.
    (mixed >> 32) as usize % limits::XDP_HOPS
}
