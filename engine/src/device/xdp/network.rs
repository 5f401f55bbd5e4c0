//! What the kernel knows of the network, as a snapshot: links, addresses, routes, neighbours. Answers
//! by which way a datagram leaves, or why the kernel must send it.
//!
//! Read by `netlink.rs`, handed to every shard by `lane.rs`, asked by `hops.rs`.

use super::packet::Tag;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};

/// An interface, physical or VLAN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Largest IP packet, in bytes.
    pub mtu: usize,
    /// Up, with a carrier.
    pub up: bool,
    /// For a VLAN: the interface that it stands on, and its tag.
    pub vlan: Option<(u32, Tag)>,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Lower is better.
    pub metric: u32,
    /// The next hop; `None`: the destination itself.
    pub gateway: Option<IpAddr>,
    /// Out of this interface.
    pub interface: u32,
    /// A smaller MTU than the interface's.
    pub mtu: Option<usize>,
    /// Only the kernel can follow it: several next hops, tunnels, or nowhere at all.
    pub special: bool,
}

/// Who has an address on an interface's link.
#[derive(Debug)]
pub struct Neighbour {
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// Not confirmed for a while.
    pub stale: bool,
    /// Somebody was sent to it by the kernel since, which makes the kernel ask for it again.
    pub nudged: AtomicBool,
}

/// The snapshot.
#[derive(Debug, Default)]
pub struct Network {
    /// By index.
    pub links: HashMap<u32, Link>,
    /// Addresses of this host.
    pub addresses: HashSet<IpAddr>,
    /// By interface and address.
    pub neighbours: HashMap<(u32, IpAddr), Neighbour>,
    /// Rules beyond the usual three choose among tables: only the kernel can follow them.
    pub has_rules: bool,
    v4: Table<u32>,
    v6: Table<u128>,
}

/// Routes of a family: longest prefix first, then by the prefix.
#[derive(Debug, Default, PartialEq, Eq)]
struct Table<A: std::hash::Hash + Eq>(BTreeMap<std::cmp::Reverse<u8>, HashMap<A, Route>>);

/// The way of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The physical interface.
    pub interface: u32,
    /// VLAN tags.
    pub tags: Tags,
    /// Ethernet address to send from.
    pub from: [u8; 6],
    /// Ethernet address of the next hop.
    pub to: [u8; 6],
    /// Largest IP packet.
    pub mtu: usize,
}

/// The VLAN tags of a frame: none, one, or an outer and an inner one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    tags: [Tag; TAGS_MAX],
    count: usize,
}

impl Tags {
    /// The outer one first.
    pub fn as_slice(&self) -> &[Tag] {
        self.tags.get(..self.count).unwrap_or_default()
    }

    /// Adds one around the others; `None` when there are two already.
    fn around(self, outer: Tag) -> Option<Self> {
        let [first, last] = self.tags;
        match self.count {
            0 => Some(Tags { tags: [outer, last], count: 1 }),
            1 => Some(Tags { tags: [outer, first], count: 2 }),
            _ => None,
        }
    }
}

/// Why the kernel must send a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByKernel {
    /// No source address is given.
    NoSource,
    /// Rules choose among routing tables.
    Rules,
    /// To this host itself, to many, or to an address that is good on one link only.
    NotUnicast,
    /// There is no route, or only the kernel can follow it.
    Route,
    /// Out of an interface that AF_XDP does not serve.
    OtherInterface,
    /// The next hop's Ethernet address is not known, or has to be confirmed.
    Neighbour,
    /// It is larger than the MTU, or than a frame.
    TooLong,
}

impl Network {
    /// Adds a route to `destination` with this prefix length. Of several to the same, the best counts;
    /// two that are equally good are left to the kernel.
    pub fn add_route(&mut self, destination: IpAddr, length: u8, route: Route) {
        match destination {
            IpAddr::V4(ip) => self.v4.add(v4_prefix(ip, length), length, route),
            IpAddr::V6(ip) => self.v6.add(v6_prefix(ip, length), length, route),
        }
    }

    /// How many routes there are.
    pub fn routes(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// The way from `source` to `peer`.
    ///
    /// # Errors
    /// Why the kernel must send it.
    pub fn way(&self, source: IpAddr, peer: IpAddr) -> Result<Way, ByKernel> {
        if self.has_rules {
            return Err(ByKernel::Rules);
        }
        if !is_unicast(peer) || self.addresses.contains(&peer) || source.is_ipv4() != peer.is_ipv4() {
            return Err(ByKernel::NotUnicast);
        }
        // The kernel refuses to send from an address that is not ours; so do we not.
        if !self.addresses.contains(&source) {
            return Err(ByKernel::NoSource);
        }
        let route = match peer {
            IpAddr::V4(ip) => self.v4.find(|length| v4_prefix(ip, length)),
            IpAddr::V6(ip) => self.v6.find(|length| v6_prefix(ip, length)),
        };
        let route = route.filter(|route| !route.special).ok_or(ByKernel::Route)?;
        let link = self.links.get(&route.interface).filter(|link| link.up).ok_or(ByKernel::Route)?;
        let to = self.neighbour(route.interface, route.gateway.unwrap_or(peer))?;
        let (interface, tags) = self.base_of(route.interface).ok_or(ByKernel::OtherInterface)?;
        let mtu = route.mtu.map_or(link.mtu, |mtu| mtu.min(link.mtu));
        Ok(Way { interface, tags, from: link.mac, to, mtu })
    }

    /// The physical interface below a VLAN (or the interface itself), with the tags.
    pub fn base_of(&self, interface: u32) -> Option<(u32, Tags)> {
        let (mut at, mut tags) = (interface, Tags::default());
        while let Some((below, tag)) = self.links.get(&at)?.vlan {
            tags = tags.around(tag)?;
            at = below;
        }
        Some((at, tags))
    }

    /// The interface with this name.
    pub fn named(&self, name: &str) -> Option<(u32, &Link)> {
        self.links.iter().find(|(_, link)| link.name == name).map(|(index, link)| (*index, link))
    }

    /// The tags of all VLANs on `interface` that are up: outer << 16 | inner.
    pub fn vlans_on(&self, interface: u32) -> HashSet<u32> {
        let up = self.links.iter().filter(|(_, link)| link.up && link.vlan.is_some());
        let bases = up.filter_map(|(index, _)| self.base_of(*index));
        bases
            .filter(|(base, _)| *base == interface)
            .filter_map(|(_, tags)| match tags.as_slice() {
                [only] => Some(u32::from(only.id) << 16),
                [outer, inner] => Some(u32::from(outer.id) << 16 | u32::from(inner.id)),
                _ => None,
            })
            .collect()
    }

    fn neighbour(&self, interface: u32, address: IpAddr) -> Result<[u8; 6], ByKernel> {
        let neighbour = self.neighbours.get(&(interface, address)).ok_or(ByKernel::Neighbour)?;
        // WHY: the kernel confirms an entry only when it sends to it itself. One datagram is enough.
        if neighbour.stale && !neighbour.nudged.swap(true, Ordering::Relaxed) {
            return Err(ByKernel::Neighbour);
        }
        Ok(neighbour.mac)
    }
}

impl<A: std::hash::Hash + Eq> Table<A> {
    fn add(&mut self, prefix: A, length: u8, route: Route) {
        let routes = self.0.entry(std::cmp::Reverse(length)).or_default();
        match routes.get_mut(&prefix) {
            Some(there) if route.metric < there.metric => *there = route,
            Some(there) if route.metric == there.metric && *there != route => there.special = true,
            Some(_) => {}
            None => {
                routes.insert(prefix, route);
            }
        }
    }

    fn find(&self, prefix: impl Fn(u8) -> A) -> Option<&Route> {
        self.0.iter().find_map(|(length, routes)| routes.get(&prefix(length.0)))
    }

    fn len(&self) -> usize {
        self.0.values().map(HashMap::len).sum()
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified() || ip.is_loopback() || ip.is_link_local())
        }
        IpAddr::V6(ip) => !(ip.is_multicast() || ip.is_unspecified() || ip.is_loopback() || ip.is_unicast_link_local()),
    }
}

fn v4_prefix(ip: Ipv4Addr, length: u8) -> u32 {
    u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0)
}

fn v6_prefix(ip: Ipv6Addr, length: u8) -> u128 {
    u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0)
}

/// VLAN tags that the XDP program reads and `packet` writes.
const TAGS_MAX: usize = 2;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn route(interface: u32, gateway: Option<&str>) -> Route {
        Route { metric: 0, gateway: gateway.map(ip), interface, mtu: None, special: false }
    }

    fn link(name: &str, last: u8, vlan: Option<(u32, Tag)>) -> Link {
        Link { name: name.to_owned(), mac: [2, 0, 0, 0, 0, last], mtu: 1_500, up: true, vlan }
    }

    /// eth0 (2) with 192.0.2.1/24, eth0.100 (3) with 2001:db8::1/64, a default route behind 192.0.2.254.
    fn network() -> Network {
        let mut network = Network::default();
        network.links.insert(2, link("eth0", 2, None));
        network.links.insert(3, link("eth0.100", 3, Some((2, Tag { protocol: 0x8100, id: 100 }))));
        network.addresses.extend([ip("192.0.2.1"), ip("2001:db8::1")]);
        network.add_route(ip("192.0.2.0"), 24, route(2, None));
        network.add_route(ip("0.0.0.0"), 0, route(2, Some("192.0.2.254")));
        network.add_route(ip("2001:db8::"), 64, route(3, None));
        for (interface, address, last) in [(2, "192.0.2.7", 7), (2, "192.0.2.254", 254), (3, "2001:db8::7", 8)] {
            let mac = [2, 0, 0, 0, 1, last];
            let neighbour = Neighbour { mac, stale: false, nudged: AtomicBool::new(false) };
            network.neighbours.insert((interface, ip(address)), neighbour);
        }
        network
    }

    #[test]
    fn the_longest_prefix_and_its_next_hop_decide() {
        let network = network();
        let near = network.way(ip("192.0.2.1"), ip("192.0.2.7")).unwrap();
        assert_eq!((near.interface, near.to[5], near.from[5], near.tags.as_slice().len()), (2, 7, 2, 0));
        assert_eq!(network.way(ip("192.0.2.1"), ip("203.0.113.5")).unwrap().to[5], 254);
        let tagged = network.way(ip("2001:db8::1"), ip("2001:db8::7")).unwrap();
        assert_eq!((tagged.interface, tagged.to[5], tagged.from[5], tagged.tags.as_slice()[0].id), (2, 8, 3, 100));
        assert_eq!(network.vlans_on(2), HashSet::from([100 << 16]));
    }

    #[test]
    fn what_only_the_kernel_knows_is_left_to_it() {
        let mut network = network();
        let source = ip("192.0.2.1");
        let why = |network: &Network, peer: &str| network.way(source, ip(peer)).unwrap_err();
        assert_eq!(why(&network, "192.0.2.8"), ByKernel::Neighbour);
        assert_eq!(why(&network, "192.0.2.1"), ByKernel::NotUnicast);
        assert_eq!(why(&network, "127.0.0.1"), ByKernel::NotUnicast);
        assert_eq!(why(&network, "239.0.0.1"), ByKernel::NotUnicast);
        assert_eq!(network.way(ip("192.0.2.99"), ip("192.0.2.7")), Err(ByKernel::NoSource));
        assert_eq!(network.way(ip("2001:db8::1"), ip("2001:db9::1")), Err(ByKernel::Route));
        network.add_route(ip("203.0.113.0"), 24, Route { special: true, ..route(2, None) });
        assert_eq!(why(&network, "203.0.113.5"), ByKernel::Route);
        network.links.get_mut(&2).unwrap().up = false;
        assert_eq!(why(&network, "192.0.2.7"), ByKernel::Route);
        network.has_rules = true;
        assert_eq!(why(&network, "192.0.2.7"), ByKernel::Rules);
    }

    #[test]
    fn a_stale_neighbour_costs_one_datagram_through_the_kernel() {
        let mut network = network();
        network.neighbours.get_mut(&(2, ip("192.0.2.7"))).unwrap().stale = true;
        assert_eq!(network.way(ip("192.0.2.1"), ip("192.0.2.7")), Err(ByKernel::Neighbour));
        assert!(network.way(ip("192.0.2.1"), ip("192.0.2.7")).is_ok());
    }

    #[test]
    fn the_better_route_counts_and_equal_ones_are_the_kernels() {
        let mut network = network();
        network.add_route(ip("203.0.113.0"), 24, Route { metric: 100, ..route(2, Some("192.0.2.7")) });
        assert_eq!(network.way(ip("192.0.2.1"), ip("203.0.113.5")).unwrap().to[5], 7);
        network.add_route(
            ip("203.0.113.0"),
            24,
            Route { metric: 10, mtu: Some(1_400), ..route(2, Some("192.0.2.254")) },
        );
        let way = network.way(ip("192.0.2.1"), ip("203.0.113.5")).unwrap();
        assert_eq!((way.to[5], way.mtu), (254, 1_400));
        network.add_route(ip("203.0.113.0"), 24, Route { metric: 10, ..route(2, Some("192.0.2.7")) });
        assert_eq!(network.way(ip("192.0.2.1"), ip("203.0.113.5")), Err(ByKernel::Route));
    }

    #[test]
    fn prefixes_of_every_length() {
        assert_eq!(v4_prefix(Ipv4Addr::new(192, 0, 2, 255), 24), 0xc000_0200);
        assert_eq!(v4_prefix(Ipv4Addr::BROADCAST, 0), 0);
        assert_eq!(v4_prefix(Ipv4Addr::BROADCAST, 32), u32::MAX);
        assert_eq!(v6_prefix(Ipv6Addr::from(u128::MAX), 1), 1 << 127);
    }
}
