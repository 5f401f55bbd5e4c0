//! A shard on AF_XDP whose card is played in memory: two networks, one known neighbour.

use engine::device::sim::SimDevice;
use engine::device::xdp::network::{Link, Neighbour, Network, Route};
use engine::device::xdp::packet::{HEADROOM, Headers, Summing};
use engine::device::xdp::{Order, Parts, Port, XdpDevice};
use engine::{App, Frame, LinkConfig, Mono, NetworkError, Now, Outbox, Shard, Wall, join_virtual};
use engine_sys::xdp::far_side::FarSide;
use engine_sys::xdp::{Memory, Sizes, Umem, XdpSocket};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Frames to receive into, and as many to send.
pub(crate) const FRAMES: usize = 1_024;
/// Index of the interface.
pub(crate) const ETH0: u32 = 2;

/// Sends every frame back.
pub(crate) struct Echo {
    /// Instead, to a peer whose Ethernet address is not known.
    pub(crate) astray: bool,
}

impl App for Echo {
    type Letter = ();

    fn on_frame(&mut self, _: Now, frame: &Frame<'_>, out: &mut Outbox<'_, ()>) {
        let mut egress = frame.back();
        if self.astray {
            egress.peer = unknown();
        }
        out.transmit_bytes(&egress, frame.bytes);
    }
    fn on_network_error(&mut self, _: Now, _: &NetworkError, _: &mut Outbox<'_, ()>) {}
    fn on_timer(&mut self, _: Now, _: u64, _: &mut Outbox<'_, ()>) {}
    fn on_letter(&mut self, _: Now, (): (), _: &mut Outbox<'_, ()>) {}
}

/// The shard and its far side.
pub(crate) struct Scene {
    pub(crate) shard: Shard<Echo, XdpDevice<SimDevice>>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) far: FarSide,
    pub(crate) orders: rtrb::Producer<Order>,
    sockets: u8,
}

pub(crate) fn local() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

pub(crate) fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 5060))
}

pub(crate) fn unknown() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 99], 5060))
}

impl Scene {
    pub(crate) fn new() -> Self {
        let umem = Umem::new(FRAMES, FRAMES).expect("memory for frames");
        let memory = Arc::clone(umem.memory());
        let (socket, far) = XdpSocket::in_memory(0, sizes()).expect("memory for rings");
        let (orders, shard_orders) = rtrb::RingBuffer::new(64);
        // WHY the other end is dropped: what comes back is then dropped by the shard.
        let (returns, _) = rtrb::RingBuffer::new(64);
        let stats = Arc::default();
        let parts = Parts {
            umem,
            fill_level: sizes().receive,
            ports: vec![Port::new(socket, ETH0)],
            network: Arc::new(network()),
            orders: shard_orders,
            returns,
            listeners: vec![local()],
        };
        let device = XdpDevice::new(SimDevice::new(FRAMES, 4), parts, Arc::clone(&stats));
        let links = LinkConfig { shards: 1, lanes: 0, letters: 8, hand_over_bytes: 1 << 16 };
        let (mut links, _) = join_virtual(&links);
        let links = links.pop().expect("one shard");
        let shard = Shard::new(Echo { astray: false }, device, links, 8, Mono(0), stats);
        Scene { shard, memory, far, orders, sockets: 1 }
    }

    /// One turn at `micros`.
    pub(crate) fn step(&mut self, micros: u64) {
        let now = Now { mono: Mono(micros), wall: Wall(micros) };
        self.shard.step(now).expect("the device in memory never fails");
    }

    /// Everything that was sent leaves and is given back; returns how many packets.
    pub(crate) fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Some(((), address)) = self.far.take_sent(&self.memory, |_| ()) {
            self.far.complete(address);
            count += 1;
        }
        count
    }

    /// The interface goes away and comes back.
    pub(crate) fn flap(&mut self) {
        let (socket, far) = XdpSocket::in_memory(self.sockets, sizes()).expect("memory for rings");
        self.sockets = self.sockets.wrapping_add(1);
        assert!(self.orders.push(Order::Detach(ETH0)).is_ok(), "the ring has room");
        assert!(self.orders.push(Order::Attach(Box::new(Port::new(socket, ETH0)))).is_ok(), "the ring has room");
        self.far = far;
    }
}

/// A packet from the peer to us.
pub(crate) fn packet(payload: &[u8]) -> Vec<u8> {
    let headers = Headers::new([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 7], &[], peer(), local());
    let mut frame = vec![0; HEADROOM + payload.len()];
    frame[HEADROOM..].copy_from_slice(payload);
    let headers = headers.expect("one family");
    headers.write(&mut frame, payload.len(), 1, Summing::best()).expect("the payload is short");
    frame.split_off(headers.start())
}

fn sizes() -> Sizes {
    Sizes { receive: FRAMES as u32, transmit: FRAMES as u32 }
}

/// eth0 with 192.0.2.1/24, and the peer as neighbour.
pub(crate) fn network() -> Network {
    let mut network = Network::default();
    let mac = [2, 0, 0, 0, 0, 1];
    network.links.insert(ETH0, Link { name: "eth0".to_owned(), mac, mtu: 1_500, up: true, vlan: None });
    network.addresses.insert(local().ip());
    let route = Route { metric: 0, gateway: None, interface: ETH0, mtu: None, special: false };
    network.add_route(IpAddr::from([192, 0, 2, 0]), 24, route);
    let neighbour = Neighbour { mac: [2, 0, 0, 0, 0, 7], stale: false, nudged: AtomicBool::new(false) };
    network.neighbours.insert((ETH0, peer().ip()), neighbour);
    network
}
