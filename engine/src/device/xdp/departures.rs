//! The sending half: frames written behind the room for their headers, sent by the port of their way.

use super::hops::{Hop, Hops, Known};
use super::network::{ByKernel, Network};
use super::packet::{HEADROOM, Summing};
use super::port::Port;
use crate::frame::Egress;
use crate::stats::ShardStats;
use engine_sys::errno;
use engine_sys::xdp::{Frame, Memory, Umem};
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) struct Departures {
    pub(super) umem: Umem,
    memory: Arc<Memory>,
    pub(super) ports: Vec<Port>,
    hops: Hops,
    network: Arc<Network>,
    listeners: Vec<SocketAddr>,
    reserved: Option<Frame>,
    /// What was reserved last is a large slot of the kernel's driver.
    pub(super) reserved_large: bool,
    /// Of the next IPv4 packet.
    identification: u16,
    summing: Summing,
    stats: Arc<ShardStats>,
}

impl Departures {
    pub(super) fn new(umem: Umem, network: Arc<Network>, listeners: Vec<SocketAddr>, stats: Arc<ShardStats>) -> Self {
        Departures {
            memory: Arc::clone(umem.memory()),
            umem,
            ports: Vec::with_capacity(limits::XDP_QUEUES_MAX),
            hops: Hops::default(),
            network,
            listeners,
            reserved: None,
            reserved_large: false,
            identification: 0,
            summing: Summing::best(),
            stats,
        }
    }

    pub(super) fn attach(&mut self, port: Port) {
        self.ports.push(port);
        self.hops.clear();
    }

    /// Takes a port of this interface out.
    pub(super) fn detach(&mut self, interface: u32) -> Option<Port> {
        let index = self.ports.iter().position(|port| port.interface == interface)?;
        self.hops.clear();
        Some(self.ports.swap_remove(index))
    }

    /// Replaces the network; returns the old one.
    pub(super) fn set_network(&mut self, network: Arc<Network>) -> Arc<Network> {
        self.hops.clear();
        std::mem::replace(&mut self.network, network)
    }

    /// The room for the payload of a free frame.
    #[inline]
    pub(super) fn reserve(&mut self) -> Option<&mut [u8]> {
        if self.reserved.is_none() {
            self.reserved = self.umem.take();
        }
        self.memory.bytes_mut(self.reserved.as_mut()?).get_mut(HEADROOM..)
    }

    /// Queues what was reserved last. Gives the frame back when the kernel must send it, and says
    /// nothing else: nothing was reserved, and nothing is lost.
    #[inline]
    pub(super) fn commit(&mut self, egress: &Egress, length: usize) -> Option<Frame> {
        let mut frame = self.reserved.take()?;
        let (port, start) = match self.prepare(egress, length, &mut frame) {
            Ok(prepared) => prepared,
            Err(why) => {
                self.count(why);
                return Some(frame);
            }
        };
        let Some(port) = self.ports.get_mut(port) else { return Some(frame) };
        port.queued = true;
        // INVARIANT: a packet is no longer than its frame.
        let packet = (HEADROOM + length).wrapping_sub(start) as u32;
        match port.socket.send(&mut self.umem, frame, start, packet) {
            Ok(()) => {
                self.stats.xdp_frames_out.add(1);
                None
            }
            Err(frame) => {
                self.stats.xdp_ring_full.add(1);
                Some(frame)
            }
        }
    }

    /// Writes the headers; returns the port and where the packet begins.
    #[inline(always)]
    fn prepare(&mut self, egress: &Egress, length: usize, frame: &mut Frame) -> Result<(usize, usize), ByKernel> {
        let hop = match self.hops.recall(egress) {
            Some(hop) => hop,
            None => self.hops.find(egress, || look_up(&self.network, &self.listeners, &self.ports, egress))?,
        };
        if length > usize::from(hop.payload_max) {
            return Err(ByKernel::TooLong);
        }
        self.identification = self.identification.wrapping_add(1);
        let bytes = self.memory.bytes_mut(frame);
        hop.headers.write(bytes, length, self.identification, self.summing).ok_or(ByKernel::TooLong)?;
        Ok((usize::from(hop.port), hop.headers.start()))
    }

    /// Copies a payload out of a frame; false when it does not fit.
    pub(super) fn copy_payload(&self, frame: &Frame, length: usize, slot: &mut [u8]) -> bool {
        let payload = self.memory.bytes(frame).get(HEADROOM..HEADROOM + length);
        match (payload, slot.get_mut(..length)) {
            (Some(payload), Some(slot)) => {
                slot.copy_from_slice(payload);
                true
            }
            _ => false,
        }
    }

    /// Shows the kernel what was queued. False when part of it waits for room in a driver.
    pub(super) fn flush(&mut self) -> bool {
        let mut all = true;
        for port in self.ports.iter_mut().filter(|port| port.queued) {
            port.queued = kick(port, &self.stats);
            all &= !port.queued;
        }
        all
    }

    #[cold]
    fn count(&self, why: ByKernel) {
        let counter = match why {
            ByKernel::NoSource | ByKernel::Rules | ByKernel::Route => &self.stats.xdp_by_kernel_route,
            ByKernel::NotUnicast | ByKernel::OtherInterface => &self.stats.xdp_by_kernel_elsewhere,
            ByKernel::Neighbour => &self.stats.xdp_by_kernel_neighbour,
            ByKernel::TooLong => &self.stats.xdp_by_kernel_too_long,
        };
        counter.add(1);
    }
}

/// Wakes the kernel until it has taken all that it takes now. True when something is left.
fn kick(port: &Port, stats: &ShardStats) -> bool {
    let mut left = u32::MAX;
    loop {
        stats.xdp_kicks.add(1);
        let result = port.socket.kick();
        let before = std::mem::replace(&mut left, port.socket.unsent());
        match result {
            Ok(()) => return left > 0 && !port.socket.is_driven(),
            // Down: what is queued leaves when it is up again, or is taken back with the socket.
            Err(error) if error.raw_os_error() == Some(errno::ENETDOWN) => return false,
            // WHY again: where the kernel copies, it takes 32 frames a call and says that there are more.
            Err(_) if left > 0 && left < before => {}
            Err(_) => return true,
        }
    }
}

/// Finds the way of `egress`.
#[cold]
fn look_up(network: &Network, listeners: &[SocketAddr], ports: &[Port], egress: &Egress) -> Known {
    let listener = listeners.get(usize::from(egress.listener)).ok_or(ByKernel::NoSource)?;
    let source = if listener.ip().is_unspecified() { egress.local } else { Some(listener.ip()) };
    let source = source.filter(|ip| !ip.is_unspecified()).ok_or(ByKernel::NoSource)?;
    let port_of = |interface| ports.iter().position(|port| port.interface == interface);
    Hop::look_up(network, SocketAddr::new(source, listener.port()), egress.peer, port_of)
}
