//! The driver on AF_XDP: frames straight from and to the queues of network cards, with the kernel's
//! sockets beside it on the same shard and in the same wait.
//!
//! A shard owns one AF_XDP socket for each queue that is its own (*port*), all with frames of one
//! memory. What the XDP program (`program/`) sends up is parsed where it lies. What is sent is written
//! behind the room for its headers; if the shard knows the way (`hops.rs`), they are put in front and the
//! frame leaves by its port, otherwise the payload is copied into a slot of the kernel's driver, which
//! finds the way, resolves the neighbour or fragments. So everything that is unusual takes the path
//! that always works.
//!
//! The network's state comes from the lane (`lane.rs`) as orders on a ring: a shard asks nobody.

use super::{Beside, Device, Input, Receive, SlotSize, Transmit};
use crate::frame::{Egress, Frame as NetworkFrame};
use crate::stats::ShardStats;
use crate::time::{Micros, Mono};
use arrivals::{Arrivals, Arrived};
use departures::Departures;
use engine_sys::xdp::{Frame, Umem};
use network::Network;
use packet::DatagramV4;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;

mod arrivals;
pub mod attachment;
mod departures;
pub mod hops;
pub mod inspect;
pub mod lane;
pub mod netlink;
pub mod network;
pub mod packet;
mod port;
pub mod setup;

pub use port::Port;

/// What the lane tells a shard.
pub enum Order {
    /// The network has changed.
    Network(Arc<Network>),
    /// A queue is this shard's from now on.
    Attach(Box<Port>),
    /// The interface with this index is gone.
    Detach(u32),
}

/// What a shard's device is made of.
pub struct Parts {
    /// The memory of all its ports, and the account of its frames.
    pub umem: Umem,
    /// Frames that each port lends to be received into.
    pub fill_level: u32,
    /// Its queues.
    pub ports: Vec<Port>,
    /// The network as it is at the start.
    pub network: Arc<Network>,
    /// From the lane.
    pub orders: rtrb::Consumer<Order>,
    /// Back to the lane: snapshots that were replaced, to be dropped where time does not matter.
    pub returns: rtrb::Producer<Arc<Network>>,
    /// The address of each listener, in their order.
    pub listeners: Vec<SocketAddr>,
}

/// The device of one shard, beside a driver for the kernel's sockets.
pub struct XdpDevice<K: Beside> {
    kernel: K,
    arrivals: Arrivals,
    departures: Departures,
    fill_level: u32,
    orders: rtrb::Consumer<Order>,
    returns: rtrb::Producer<Arc<Network>>,
    /// Which port is looked at first, so that a busy one does not starve the others.
    first: usize,
    statistics_due: Mono,
    stats: Arc<ShardStats>,
}

/// Its receiving half.
pub struct XdpReceiver<'a, R> {
    own: &'a mut Arrivals,
    kernel: R,
}

/// Its sending half.
pub struct XdpTransmitter<'a, T> {
    own: &'a mut Departures,
    kernel: T,
}

impl<K: Beside> XdpDevice<K> {
    /// A device beside `kernel`, which has the same listeners.
    pub fn new(kernel: K, parts: Parts, stats: Arc<ShardStats>) -> Self {
        let memory = Arc::clone(parts.umem.memory());
        let mut device = XdpDevice {
            kernel,
            arrivals: Arrivals::new(memory, &parts.listeners, Arc::clone(&stats)),
            departures: Departures::new(parts.umem, parts.network, parts.listeners, Arc::clone(&stats)),
            fill_level: parts.fill_level,
            orders: parts.orders,
            returns: parts.returns,
            first: 0,
            statistics_due: Mono(0),
            stats,
        };
        for port in parts.ports {
            device.attach(port);
        }
        device
    }

    /// The driver beside, for a test to look at.
    pub fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    /// Where all frames of this shard are.
    pub fn account(&self) -> engine_sys::xdp::Account {
        self.departures.umem.account()
    }

    /// The same, found by looking at each of them: for tests.
    ///
    /// # Errors
    /// What does not add up.
    pub fn audit(&self) -> Result<engine_sys::xdp::Account, String> {
        self.departures.umem.audit()
    }

    fn attach(&mut self, mut port: Port) {
        port.socket.refill(&mut self.departures.umem, self.fill_level);
        if let Some(descriptor) = port.socket.fd() {
            self.kernel.watch(descriptor);
        }
        self.departures.attach(port);
    }

    fn detach(&mut self, interface: u32) {
        self.arrivals.give_back(&mut self.departures.umem);
        while let Some(mut port) = self.departures.detach(interface) {
            if let Some(descriptor) = port.socket.fd() {
                self.kernel.unwatch(descriptor);
            }
            port.socket.complete(&mut self.departures.umem);
            port.socket.close(&mut self.departures.umem);
        }
    }

    fn follow_orders(&mut self) {
        while let Ok(order) = self.orders.pop() {
            match order {
                Order::Network(network) => {
                    let before = self.departures.set_network(network);
                    // WHY a failure does not matter: dropping it here only costs time.
                    let _ = self.returns.push(before);
                }
                Order::Attach(port) => self.attach(*port),
                Order::Detach(interface) => self.detach(interface),
            }
        }
    }

    /// Frames that were read or sent are free again, and ready to be received into.
    fn settle(&mut self) {
        self.arrivals.give_back(&mut self.departures.umem);
        let Departures { ports, umem, .. } = &mut self.departures;
        for port in ports.iter_mut() {
            port.socket.complete(umem);
            port.socket.refill(umem, self.fill_level);
            port.socket.poke_receive();
        }
    }

    /// Takes what has arrived, at most one batch.
    fn collect(&mut self) {
        let Departures { ports, umem, .. } = &mut self.departures;
        let count = ports.len();
        for step in 0..count {
            let Some(port) = ports.get_mut((self.first + step) % count) else { break };
            self.arrivals.collect(&mut port.socket, umem);
        }
        self.first = self.first.wrapping_add(1);
    }

    fn any_received(&mut self) -> bool {
        self.departures.ports.iter_mut().any(|port| port.socket.has_received())
    }

    /// What the kernel dropped, once a second.
    fn read_statistics(&mut self) {
        let now = self.arrivals.now();
        if now < self.statistics_due {
            return;
        }
        self.statistics_due = now.after(STATISTICS_EVERY);
        for port in &mut self.departures.ports {
            let (dropped, empty) = port.count_drops();
            self.stats.kernel_drops.add(dropped);
            self.stats.receive_out_of_buffers.add(empty);
        }
    }
}

impl<K: Beside> Device for XdpDevice<K> {
    type Receiver<'a>
        = XdpReceiver<'a, K::Receiver<'a>>
    where
        Self: 'a;
    type Transmitter<'a>
        = XdpTransmitter<'a, K::Transmitter<'a>>
    where
        Self: 'a;

    fn exchange(&mut self, wait: Option<Micros>) -> io::Result<()> {
        self.settle();
        let mut wait = wait;
        if !self.departures.flush() {
            // Nothing tells when a driver takes more.
            wait = Some(wait.map_or(FULL_RING_WAIT, |wait| wait.min(FULL_RING_WAIT)));
        }
        if self.any_received() {
            wait = Some(Micros(0));
        }
        self.kernel.exchange(wait)?;
        self.follow_orders();
        self.collect();
        self.read_statistics();
        Ok(())
    }

    fn halves(&mut self) -> (Self::Receiver<'_>, Self::Transmitter<'_>) {
        let (receiver, transmitter) = self.kernel.halves();
        (
            XdpReceiver { own: &mut self.arrivals, kernel: receiver },
            XdpTransmitter { own: &mut self.departures, kernel: transmitter },
        )
    }

    fn backlog(&self) -> bool {
        self.arrivals.any() || self.kernel.backlog()
    }

    fn close(&mut self) {
        self.departures.flush();
        let interfaces: Vec<u32> = self.departures.ports.iter().map(|port| port.interface).collect();
        for interface in interfaces {
            self.detach(interface);
        }
        self.kernel.close();
    }
}

impl<R: Receive> Receive for XdpReceiver<'_, R> {
    #[inline]
    fn next(&mut self, now: Mono) -> Option<Input<'_>> {
        match self.own.next(now) {
            Some(Arrived::Plain { listener, datagram, received }) => {
                let DatagramV4 { source, destination, ports, payload } = datagram;
                let local = SocketAddr::V4(SocketAddrV4::new(destination, ports.destination));
                let peer = SocketAddr::V4(SocketAddrV4::new(source, ports.source));
                Some(Input::Frame(NetworkFrame { listener, local, peer, flow: 0, received, bytes: payload }))
            }
            Some(Arrived::Other(frame)) => Some(Input::Frame(frame)),
            None => self.kernel.next(now),
        }
    }
}

impl<T: Transmit> Transmit for XdpTransmitter<'_, T> {
    #[inline]
    fn reserve(&mut self, size: SlotSize) -> Option<&mut [u8]> {
        self.own.reserved_large = size == SlotSize::Large;
        match size {
            SlotSize::Small => self.own.reserve(),
            SlotSize::Large => self.kernel.reserve(size),
        }
    }

    #[inline]
    fn commit(&mut self, egress: &Egress, len: usize) -> bool {
        if self.own.reserved_large {
            return self.kernel.commit(egress, len);
        }
        match self.own.commit(egress, len) {
            None => true,
            Some(frame) => self.commit_to_kernel(frame, egress, len),
        }
    }
}

impl<T: Transmit> XdpTransmitter<'_, T> {
    /// The kernel finds the way.
    #[cold]
    fn commit_to_kernel(&mut self, frame: Frame, egress: &Egress, len: usize) -> bool {
        let slot = self.kernel.reserve(SlotSize::Small);
        let copied = slot.is_some_and(|slot| self.own.copy_payload(&frame, len, slot));
        self.own.umem.free(frame);
        copied && self.kernel.commit(egress, len)
    }
}

/// How long to wait for input while frames wait for room in a driver.
const FULL_RING_WAIT: Micros = Micros::from_millis(1);
const STATISTICS_EVERY: Micros = Micros::from_millis(1_000);
