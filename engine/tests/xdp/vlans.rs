//! A VLAN and a VLAN within a VLAN on a real link: a veth pair, the driver on one end, on the other an AF_XDP socket that
//! sees every octet of a frame (a packet socket would be shown the tag apart from it).
//!
//! WHY the network's snapshot is made up: the kernel that this runs on need not have VLAN interfaces. Where it has,
//! the live scenario `bypass-vlans` takes them from it.

use crate::exercise;
use crate::namespaces::{Namespaces, ROLE};
use crate::scene::{Echo, local, peer};
use engine::device::sim::SimDevice;
use engine::device::xdp::attachment::{Attachment, Hook};
use engine::device::xdp::network::{Link, Neighbour, Network, Route};
use engine::device::xdp::packet::{self, HEADROOM, Headers, Summing, Tag};
use engine::device::xdp::{Parts, Port, XdpDevice, netlink};
use engine::{LinkConfig, Mono, Now, Shard, join_virtual};
use engine_sys::xdp::{Bind, Received, Sizes, Umem, XdpSocket};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

const THIS: &str = "vlans::tags_go_both_ways_on_a_real_link";
const VLAN: Tag = Tag { protocol: 0x8100, id: 100 };
const OUTER: Tag = Tag { protocol: 0x88a8, id: 200 };
const INNER: Tag = Tag { protocol: 0x8100, id: 7 };
/// Indices that no interface has.
const VLANS: [u32; 3] = [9_001, 9_002, 9_003];
const FRAMES: usize = 64;
const SIZES: Sizes = Sizes { receive: FRAMES as u32, transmit: FRAMES as u32 };

/// A network of ours, by its tags: our address and the other side's.
struct Plan {
    tags: &'static [Tag],
    interface: u32,
    ours: SocketAddr,
    theirs: SocketAddr,
}

fn plans(interface: u32) -> [Plan; 3] {
    let address = |text: &str| text.parse().unwrap();
    [
        Plan { tags: &[], interface, ours: local(), theirs: peer() },
        Plan {
            tags: &[VLAN],
            interface: VLANS[0],
            ours: address("198.51.100.1:5060"),
            theirs: address("198.51.100.7:5060"),
        },
        Plan {
            tags: &[OUTER, INNER],
            interface: VLANS[2],
            ours: address("[2001:db8::1]:5060"),
            theirs: address("[2001:db8::7]:5060"),
        },
    ]
}

#[test]
fn tags_go_both_ways_on_a_real_link() {
    if std::env::var(ROLE).is_ok() {
        return exchange();
    }
    if let Err(why) = Attachment::load() {
        return eprintln!("SKIPPED: {why}");
    }
    let pair = |a: &str, _: &str| {
        vec![
            format!("ip -n {a} link add near0 type veth peer name far0"),
            format!("ip -n {a} link set near0 up"),
            format!("ip -n {a} link set far0 up"),
        ]
    };
    let Some(namespaces) = Namespaces::make("v", pair) else {
        return eprintln!("SKIPPED: no right to make network namespaces, or no iproute2");
    };
    assert!(namespaces.run(0, THIS, "both").status().unwrap().success());
}

/// One end of the link.
struct End {
    index: u32,
    mac: [u8; 6],
    umem: Umem,
    socket: XdpSocket,
}

/// Its socket, and the program that serves these addresses.
fn open(name: &str, served: &[SocketAddr]) -> (End, Attachment) {
    let network = netlink::read().unwrap();
    let (index, link) = network.named(name).unwrap();
    let mut attachment = Attachment::load().unwrap();
    attachment.attach(index, Hook::Driver).unwrap();
    let umem = Umem::new(FRAMES, FRAMES).unwrap();
    let socket = XdpSocket::open(0, umem.memory(), index, 0, SIZES, Bind::Copy).unwrap();
    attachment.set_socket(0, socket.fd().unwrap()).unwrap();
    let vlans = HashSet::from([u32::from(VLAN.id) << 16, u32::from(OUTER.id) << 16 | u32::from(INNER.id)]);
    attachment.serve(link.mac, vlans, served.iter().copied()).unwrap();
    (End { index, mac: link.mac, umem, socket }, attachment)
}

/// What the kernel would tell of the near end, had it the VLANs.
fn network(near: &End, far: &End) -> Network {
    let mut network = Network::default();
    let link = |name: &str, vlan| Link { name: name.to_owned(), mac: near.mac, mtu: 1_500, up: true, vlan };
    network.links.insert(near.index, link("near0", None));
    network.links.insert(VLANS[0], link("near0.100", Some((near.index, VLAN))));
    network.links.insert(VLANS[1], link("near0.200", Some((near.index, OUTER))));
    network.links.insert(VLANS[2], link("near0.200.7", Some((VLANS[1], INNER))));
    for plan in plans(near.index) {
        network.addresses.insert(plan.ours.ip());
        let (route, length) = match plan.theirs.ip() {
            IpAddr::V4(ip) => (IpAddr::from((u32::from(ip) & !0xff).to_be_bytes()), 24),
            IpAddr::V6(ip) => (IpAddr::V6(ip), 128),
        };
        let direct = Route { metric: 0, gateway: None, interface: plan.interface, mtu: None, special: false };
        network.add_route(route, length, direct);
        let neighbour = Neighbour { mac: far.mac, stale: false, nudged: AtomicBool::new(false) };
        network.neighbours.insert((plan.interface, plan.theirs.ip()), neighbour);
    }
    network
}

fn shard(near: End, network: Network) -> Shard<Echo, XdpDevice<SimDevice>> {
    let stats = Arc::default();
    let parts = Parts {
        umem: near.umem,
        fill_level: SIZES.receive,
        ports: vec![Port::new(near.socket, near.index)],
        network: Arc::new(network),
        orders: rtrb::RingBuffer::new(1).1,
        returns: rtrb::RingBuffer::new(1).0,
        listeners: plans(near.index).map(|plan| plan.ours).to_vec(),
    };
    let device = XdpDevice::new(SimDevice::new(4, 4), parts, Arc::clone(&stats));
    let links = LinkConfig { shards: 1, lanes: 0, letters: 8, hand_over_bytes: 1 << 16 };
    let links = join_virtual(&links).0.pop().unwrap();
    Shard::new(Echo { astray: false }, device, links, 8, Mono(0), stats)
}

fn exchange() {
    let ours = plans(0).map(|plan| plan.ours);
    let theirs = plans(0).map(|plan| plan.theirs);
    // INVARIANT: both programs stay attached to the end.
    let (near, _near_program) = open("near0", &ours);
    let (mut far, _far_program) = open("far0", &theirs);
    let (near_mac, plans) = (near.mac, plans(near.index));
    let network = network(&near, &far);
    let mut shard = shard(near, network);
    far.socket.refill(&mut far.umem, SIZES.receive);
    for plan in &plans {
        let headers = Headers::new(near_mac, far.mac, plan.tags, plan.theirs, plan.ours).unwrap();
        send(&mut far, &headers, b"OPTIONS sip:near SIP/2.0\r\n\r\n");
        let answer = answered(&mut shard, &mut far);
        let mut expected = [&far.mac[..], &near_mac[..]].concat();
        for tag in plan.tags {
            expected.extend([tag.protocol.to_be_bytes(), tag.id.to_be_bytes()].concat());
        }
        assert_eq!(answer[..expected.len()], expected, "Ethernet addresses and tags");
        assert_eq!(answer, exercise::with_right_sums(&answer), "the sums, by the plain rule");
        let read = packet::parse(&answer).unwrap();
        assert_eq!((read.peer, read.local), (plan.ours, plan.theirs));
        assert_eq!(read.payload, b"OPTIONS sip:near SIP/2.0\r\n\r\n");
    }
    // A tag that is not ours: not taken, not answered.
    let stray = Headers::new(near_mac, far.mac, &[Tag { id: 101, ..VLAN }], plans[1].theirs, plans[1].ours).unwrap();
    let before = shard.stats().frames_in.get();
    send(&mut far, &stray, b"stray");
    let headers = Headers::new(near_mac, far.mac, plans[0].tags, plans[0].theirs, plans[0].ours).unwrap();
    send(&mut far, &headers, b"behind it");
    let answer = answered(&mut shard, &mut far);
    assert_eq!(packet::parse(&answer).unwrap().payload, b"behind it");
    assert_eq!(shard.stats().frames_in.get(), before + 1);
}

fn send(far: &mut End, headers: &Headers, payload: &[u8]) {
    far.socket.complete(&mut far.umem);
    let mut frame = far.umem.take().unwrap();
    let memory = Arc::clone(far.umem.memory());
    let bytes = memory.bytes_mut(&mut frame);
    bytes[HEADROOM..HEADROOM + payload.len()].copy_from_slice(payload);
    headers.write(bytes, payload.len(), 1, Summing::best()).unwrap();
    let length = HEADROOM + payload.len() - headers.start();
    far.socket.send(&mut far.umem, frame, headers.start(), u32::try_from(length).unwrap()).unwrap();
    far.socket.kick().unwrap();
}

/// Turns the shard until something comes back.
fn answered(shard: &mut Shard<Echo, XdpDevice<SimDevice>>, far: &mut End) -> Vec<u8> {
    let mut received = Received::new(Arc::clone(far.umem.memory()), FRAMES);
    let deadline = Instant::now() + Duration::from_secs(10);
    while received.is_empty() {
        assert!(Instant::now() < deadline, "nothing came back");
        shard.step(Now::read()).unwrap();
        far.socket.receive(&mut far.umem, &mut received, FRAMES);
        std::thread::sleep(Duration::from_millis(1));
    }
    let answer = received.get(0).unwrap().to_vec();
    far.umem.free_received(&mut received, FRAMES);
    answer
}
