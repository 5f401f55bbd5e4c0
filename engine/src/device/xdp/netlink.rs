//! Reads the kernel's links, addresses, routes, neighbours and rules (rtnetlink(7)), and tells when
//! any of them changed. Used by the lane alone: it blocks.

use super::network::{Link, Neighbour, Network, Route};
use super::packet::Tag;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{InfoData, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteType};
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::AtomicBool;

/// A subscription to everything that changes.
pub struct Changes(Socket);

impl Changes {
    /// Subscribes.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn subscribe() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        socket.set_non_blocking(true)?;
        Ok(Changes(socket))
    }

    /// Empties the subscription; true when anything changed. What did not fit its buffer counts too.
    pub fn any(&mut self) -> bool {
        let mut any = false;
        let mut buffer = vec![0u8; BUFFER_BYTES];
        loop {
            match self.0.recv(&mut &mut buffer[..], 0) {
                Ok(_) => any = true,
                Err(error) if error.raw_os_error() == Some(engine_sys::errno::ENOBUFS) => any = true,
                Err(_) => return any,
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reads everything.
///
/// # Errors
/// When the kernel does not answer, or in a way that cannot be read.
pub fn read() -> io::Result<Network> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut network = Network::default();
    let questions = [
        Message::GetLink(LinkMessage::default()),
        Message::GetAddress(AddressMessage::default()),
        Message::GetRoute(RouteMessage::default()),
        Message::GetNeighbour(NeighbourMessage::default()),
        Message::GetRule(RuleMessage::default()),
    ];
    for question in questions {
        dump(&socket, question, |answer| take(&mut network, answer))?;
    }
    if network.routes() > ROUTES_MAX {
        // WHY: such a table changes all the time, and the kernel looks routes up faster than we copy them.
        network.has_rules = true;
    }
    Ok(network)
}

fn dump(socket: &Socket, question: Message, mut each: impl FnMut(Message)) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(question));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut buffer = vec![0u8; BUFFER_BYTES];
    loop {
        let length = socket.recv(&mut &mut buffer[..], 0)?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            let message = NetlinkMessage::<Message>::deserialize(rest).map_err(io::Error::other)?;
            let length = (message.header.length as usize).next_multiple_of(4);
            match message.payload {
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(answer) => each(answer),
                _ => {}
            }
            rest = rest.get(length.max(1)..).unwrap_or_default();
        }
    }
}

fn take(network: &mut Network, answer: Message) {
    match answer {
        Message::NewLink(message) => {
            network.links.insert(message.header.index, link(&message));
        }
        Message::NewAddress(message) => network.addresses.extend(address(&message)),
        Message::NewRoute(message) => take_route(network, &message),
        Message::NewNeighbour(message) => {
            if let Some((address, found)) = neighbour(&message) {
                network.neighbours.insert((message.header.ifindex, address), found);
            }
        }
        Message::NewRule(message) => network.has_rules |= !is_usual(&message),
        _ => {}
    }
}

fn link(message: &LinkMessage) -> Link {
    let mut link = Link {
        up: message.header.flags.contains(LinkFlags::Up) && message.header.flags.contains(LinkFlags::LowerUp),
        ..Link::default()
    };
    let (mut below, mut tag) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = usize::try_from(*mtu).unwrap_or(0),
            LinkAttribute::Address(mac) => link.mac = mac.as_slice().try_into().unwrap_or_default(),
            LinkAttribute::Link(index) => below = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let LinkInfo::Data(InfoData::Vlan(vlan)) = info {
                        tag = Some(vlan_tag(vlan));
                    }
                }
            }
            _ => {}
        }
    }
    link.vlan = below.zip(tag);
    link
}

fn vlan_tag(vlan: &[InfoVlan]) -> Tag {
    let mut tag = Tag { protocol: 0x8100, id: 0 };
    for info in vlan {
        match info {
            InfoVlan::Id(id) => tag.id = *id,
            InfoVlan::Protocol(protocol) => tag.protocol = *protocol as u16,
            _ => {}
        }
    }
    tag
}

/// The address, once it is usable (not while the link is still asked whether somebody else has it).
fn address(message: &AddressMessage) -> Option<IpAddr> {
    let flags = message.header.flags;
    if flags.contains(AddressHeaderFlags::Tentative) || flags.contains(AddressHeaderFlags::Dadfailed) {
        return None;
    }
    let find = |local: bool| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(ip) if local => Some(*ip),
            AddressAttribute::Address(ip) if !local => Some(*ip),
            _ => None,
        })
    };
    // On a link between two points the first is ours and the second the other's.
    find(true).or_else(|| find(false))
}

fn take_route(network: &mut Network, message: &RouteMessage) {
    let header = &message.header;
    let table = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    let table = table.unwrap_or(u32::from(header.table));
    let dead = RouteFlags::Dead | RouteFlags::Linkdown;
    if header.flags.contains(RouteFlags::Cloned) || header.flags.intersects(dead) {
        return;
    }
    if table == TABLE_LOCAL {
        // Broadcast addresses of our networks and the like: never ours to send to.
        return take_local(network, message);
    }
    if table != TABLE_MAIN {
        return;
    }
    let v6 = u8::from(header.address_family) == AF_INET6;
    let mut destination = if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    let mut route = Route { metric: 0, gateway: None, interface: 0, mtu: None, special: false };
    // Routes that also look at the source or the type of service: the kernel's matter.
    route.special = header.kind != RouteType::Unicast || header.source_prefix_length > 0 || header.tos != 0;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => destination = ip(address).unwrap_or(destination),
            RouteAttribute::Gateway(address) => match ip(address) {
                Some(gateway) => route.gateway = Some(gateway),
                None => route.special = true,
            },
            RouteAttribute::Oif(index) => route.interface = *index,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Metrics(metrics) => {
                route.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => usize::try_from(*mtu).ok(),
                    _ => None,
                });
            }
            RouteAttribute::MultiPath(_)
            | RouteAttribute::Via(_)
            | RouteAttribute::Encap(_)
            | RouteAttribute::EncapType(_)
            | RouteAttribute::NewDestination(_) => route.special = true,
            _ => {}
        }
    }
    network.add_route(destination, header.destination_prefix_length, route);
}

fn take_local(network: &mut Network, message: &RouteMessage) {
    let kind = message.header.kind;
    if kind != RouteType::Broadcast && kind != RouteType::Anycast {
        return;
    }
    let special = Route { metric: 0, gateway: None, interface: 0, mtu: None, special: true };
    for attribute in &message.attributes {
        if let RouteAttribute::Destination(address) = attribute
            && let Some(destination) = ip(address)
        {
            network.add_route(destination, message.header.destination_prefix_length, special.clone());
        }
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

fn neighbour(message: &NeighbourMessage) -> Option<(IpAddr, Neighbour)> {
    let stale = match message.header.state {
        NeighbourState::Reachable | NeighbourState::Permanent | NeighbourState::Delay | NeighbourState::Probe => false,
        NeighbourState::Stale => true,
        _ => return None,
    };
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => address = Some(IpAddr::V4(*ip)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => address = Some(IpAddr::V6(*ip)),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = <[u8; 6]>::try_from(bytes.as_slice()).ok(),
            _ => {}
        }
    }
    Some((address?, Neighbour { mac: mac?, stale, nudged: AtomicBool::new(false) }))
}

/// One of the three rules that every host has: local, main, default, for everybody.
fn is_usual(message: &RuleMessage) -> bool {
    let table = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Table(table) => Some(*table),
        _ => None,
    });
    let usual = [TABLE_LOCAL, TABLE_MAIN, TABLE_DEFAULT].contains(&table.unwrap_or(u32::from(message.header.table)));
    let selective = message.attributes.iter().any(|attribute| {
        !matches!(
            attribute,
            RuleAttribute::Table(_)
                | RuleAttribute::Priority(_)
                | RuleAttribute::SuppressPrefixLen(u32::MAX)
                | RuleAttribute::Protocol(_)
        )
    });
    usual && !selective && message.header.dst_len == 0 && message.header.src_len == 0 && message.header.tos == 0
}

/// RTNLGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE.
const GROUPS: [u32; 8] = [1, 3, 5, 7, 8, 9, 11, 19];
const TABLE_DEFAULT: u32 = 253;
const TABLE_MAIN: u32 = 254;
const TABLE_LOCAL: u32 = 255;
const AF_INET6: u8 = 10;
/// What the kernel sends at once in a dump is at most 32 KiB.
const BUFFER_BYTES: usize = 64 * 1024;
/// Routes that are copied for the shards: more than a host has that does not speak BGP.
const ROUTES_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn this_host_can_be_read() {
        let network = read().unwrap();
        let (_, loopback) = network.named("lo").unwrap();
        assert!(loopback.vlan.is_none() && loopback.mtu > 0);
        assert!(network.addresses.contains(&"127.0.0.1".parse().unwrap()) || !loopback.up);
    }

    #[test]
    fn nothing_changed_on_a_quiet_host_is_told_without_waiting() {
        let mut changes = Changes::subscribe().unwrap();
        changes.any();
    }
}
