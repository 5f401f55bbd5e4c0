//! The receiving half: packets of one batch, parsed where they lie.

use super::packet::{self, Refusal};
use crate::frame::Frame as NetworkFrame;
use crate::stats::ShardStats;
use crate::time::Mono;
use engine_sys::xdp::socket::Packet;
use engine_sys::xdp::{Frame, Memory, Umem};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) struct Arrivals {
    memory: Arc<Memory>,
    packets: VecDeque<Packet>,
    /// Lent out by `next`.
    current: Option<Packet>,
    /// Read, to be given back.
    done: Vec<Frame>,
    listeners: Vec<SocketAddr>,
    now: Mono,
    stats: Arc<ShardStats>,
}

impl Arrivals {
    pub(super) fn new(memory: Arc<Memory>, listeners: Vec<SocketAddr>, stats: Arc<ShardStats>) -> Self {
        Arrivals {
            memory,
            packets: VecDeque::with_capacity(limits::RECEIVE_BATCH_MAX),
            current: None,
            done: Vec::with_capacity(limits::RECEIVE_BATCH_MAX + 1),
            listeners,
            now: Mono(0),
            stats,
        }
    }

    pub(super) fn any(&self) -> bool {
        !self.packets.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.packets.len() < limits::RECEIVE_BATCH_MAX
    }

    pub(super) fn add(&mut self, packet: Packet) {
        self.packets.push_back(packet);
    }

    /// When `next` was asked last.
    pub(super) fn now(&self) -> Mono {
        self.now
    }

    /// Gives back the frames of all packets that were read.
    pub(super) fn give_back(&mut self, umem: &mut Umem) {
        self.done.extend(self.current.take().map(|packet| packet.frame));
        for frame in self.done.drain(..) {
            umem.free(frame);
        }
    }

    /// The next datagram; what is to be dropped is counted.
    pub(super) fn next(&mut self, now: Mono) -> Option<NetworkFrame<'_>> {
        self.now = now;
        loop {
            self.done.extend(self.current.take().map(|packet| packet.frame));
            let packet = self.packets.pop_front()?;
            let (datagram, listener) = match self.read(&packet) {
                Ok(read) => read,
                Err(refusal) => {
                    self.count(refusal);
                    self.done.push(packet.frame);
                    continue;
                }
            };
            self.stats.xdp_frames_in.add(1);
            let start = packet.offset;
            let current = self.current.insert(packet);
            let bytes = self.memory.bytes(&current.frame).get(start..)?.get(datagram.payload)?;
            return Some(NetworkFrame {
                listener,
                local: datagram.local,
                peer: datagram.peer,
                flow: 0,
                received: now,
                bytes,
            });
        }
    }

    fn read(&self, packet: &Packet) -> Result<(packet::Datagram, u16), Refusal> {
        let bytes = self.memory.bytes(&packet.frame);
        let bytes = bytes.get(packet.offset..packet.offset + packet.length).ok_or(Refusal::Malformed)?;
        if packet.partial {
            return Err(Refusal::Malformed);
        }
        let datagram = packet::parse(bytes)?;
        let listener = self.listener(datagram.local).ok_or(Refusal::NotServed)?;
        Ok((datagram, listener))
    }

    /// Whose address this is: a listener of its own before one for all addresses, as the kernel has it.
    fn listener(&self, local: SocketAddr) -> Option<u16> {
        let exact = self.listeners.iter().position(|listener| *listener == local);
        let index = exact.or_else(|| {
            self.listeners.iter().position(|listener| {
                listener.port() == local.port()
                    && listener.is_ipv4() == local.is_ipv4()
                    && listener.ip().is_unspecified()
            })
        });
        u16::try_from(index?).ok()
    }

    fn count(&self, refusal: Refusal) {
        match refusal {
            Refusal::Malformed => self.stats.xdp_malformed.add(1),
            Refusal::WrongChecksum => self.stats.xdp_wrong_checksum.add(1),
            Refusal::Martian => self.stats.xdp_martian.add(1),
            Refusal::NotServed => self.stats.xdp_not_served.add(1),
        }
    }
}
