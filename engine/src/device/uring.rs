//! The driver on io_uring: one system call a turn sends the batch, receives the next and sleeps.
//!
//! WHY two sockets for each listener: multishot `recvmsg` cuts a datagram to the size of its buffer,
//! and buffers for the largest message would fall out of every cache. So the program that chooses the
//! shard also looks at the length: ordinary datagrams go to a socket with ordinary buffers, the rare
//! larger ones to a second socket with a few large buffers. Both send from the first.
//!
//! What can wait (`Deferred`) has a third socket, with buffers for one turn: while a crowd of it fills that
//! socket, an exchange brings no more of it than these.
//!
//! A send that fails by the pending error of another destination is repeated at once; later frames of
//! the same turn have then overtaken it. Otherwise frames to one peer leave in order.

use super::arrival::arrival;
use super::gather::Gather;
use super::pending::{Failure, Reports, SendQueue};
use super::{Beside, Device, Input, Receive, SlotSize, Transmit};
use crate::frame::{Egress, Frame};
use crate::pools::Pools;
use crate::stats::ShardStats;
use crate::time::{Micros, Mono, Now, Wall};
use crate::wake::Waker;
use engine_sys::errno;
use engine_sys::mmsg::send_now;
use engine_sys::send_slots::{SendSlots, SlotId};
use engine_sys::socket::UdpSocket;
use engine_sys::steer::LargeSplit;
use engine_sys::uring::{Buffers, OVERHEAD_BYTES_MAX, Received, RingConfig, Uring, Wait};
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// What goes to a listener's second socket: payloads that do not fit an ordinary buffer.
pub const LARGE_SPLIT: LargeSplit = LargeSplit { above: (limits::SEND_SLOT_BYTES - OVERHEAD_BYTES_MAX) as u32 };

/// The device of one shard.
pub struct UringDevice {
    receiver: UringReceiver,
    transmitter: UringTransmitter,
    /// What one exchange sends.
    batch: Vec<SlotId>,
    gather: Gather,
    stats: Arc<ShardStats>,
}

/// Its receiving half, which owns the ring.
pub struct UringReceiver {
    uring: Uring,
    /// By socket number; listeners' ordinary sockets first, then their large ones, then those for what can wait.
    ports: Vec<Port>,
    /// What `next` lent out last.
    current: Option<Received>,
    quota: usize,
    /// The wall clock at the end of the last exchange.
    wall: Wall,
    reports: Reports,
    stats: Arc<ShardStats>,
}

/// Its sending half.
pub struct UringTransmitter {
    slots: SendSlots,
    queue: SendQueue,
    /// By listener: whether it is bound to a wildcard address.
    wildcard: Vec<bool>,
}

struct Port {
    listener: u16,
    local: SocketAddr,
    buffers: Buffers,
    drops_seen: u32,
}

impl UringDevice {
    /// A device on the calling thread, with two sockets for each listener, in their order, and a third one, or none,
    /// for what can wait.
    ///
    /// # Errors
    /// When the ring or its memory cannot be had.
    pub fn new(
        ordinary: Vec<UdpSocket>,
        large: Vec<UdpSocket>,
        deferred: Vec<UdpSocket>,
        pools: &Pools,
        waker: &Waker,
        stats: Arc<ShardStats>,
    ) -> io::Result<Self> {
        let first = ports(&ordinary, Buffers::Ordinary)?.chain(ports(&large, Buffers::Large)?);
        let ports = first.chain(ports(&deferred, Buffers::Deferred)?).collect::<Vec<_>>();
        let wildcard = ports.iter().take(ordinary.len()).map(|port| port.local.ip().is_unspecified());
        let wildcard = wildcard.collect();
        let sends = pools.send_slots + pools.large_send_slots;
        let count = |buffers: usize| u16::try_from(buffers).map_err(|_| io::ErrorKind::InvalidInput);
        let config = RingConfig {
            sends,
            buffers: (count(pools.receive_buffers)?, limits::SEND_SLOT_BYTES),
            large_buffers: (count(pools.large_receive_buffers)?, limits::LARGE_SLOT_BYTES + OVERHEAD_BYTES_MAX),
            deferred_buffers: (!deferred.is_empty())
                .then_some((count(limits::DEFERRED_BATCH_MAX)?, limits::SEND_SLOT_BYTES)),
        };
        let event = waker.event().ok_or(io::ErrorKind::InvalidInput)?;
        let sockets = ordinary.into_iter().map(|socket| (socket, Buffers::Ordinary));
        let sockets = sockets.chain(large.into_iter().map(|socket| (socket, Buffers::Large)));
        let sockets = sockets.chain(deferred.into_iter().map(|socket| (socket, Buffers::Deferred)));
        let (small, large) = (limits::SEND_SLOT_BYTES, limits::LARGE_SLOT_BYTES);
        Ok(UringDevice {
            receiver: UringReceiver {
                uring: Uring::new(sockets.collect(), event, &config)?,
                ports,
                current: None,
                quota: 0,
                wall: Wall::default(),
                reports: Reports::new(),
                stats: Arc::clone(&stats),
            },
            transmitter: UringTransmitter {
                slots: SendSlots::new(pools.send_slots, small, pools.large_send_slots, large)?,
                queue: SendQueue::new(sends),
                wildcard,
            },
            batch: Vec::with_capacity(sends),
            gather: Gather::new(pools.gather),
            stats,
        })
    }

    /// Takes back the slots of the last exchange's sends; those that failed are repeated or given up.
    fn settle_sends(&mut self) {
        self.transmitter.queue.clear();
        for place in 0..self.batch.len() {
            let Some(id) = self.batch.get(place).copied() else {
                break;
            };
            let failed = self.receiver.uring.failed();
            match failed.iter().find(|(failed, _)| *failed == id).copied() {
                Some((_, code)) => self.settle_failure(id, code),
                None => self.transmitter.slots.release(id),
            }
        }
    }

    /// WHY a plain call for the repetition: it follows the reading of the error queue directly, so that
    /// the next pending error, of another send of the same batch, has no time to get between.
    fn settle_failure(&mut self, id: SlotId, mut code: i32) {
        let UringReceiver { uring, ports, reports, .. } = &mut self.receiver;
        let UringTransmitter { slots, queue, .. } = &mut self.transmitter;
        let index = usize::from(slots.socket(id));
        let Some(socket) = uring.socket(index) else {
            return slots.release(id);
        };
        loop {
            let found = reports.drain(socket, index, &self.stats);
            match Failure::judge(code, slots.count_try(id), found) {
                Failure::Repeat => {
                    self.stats.send_repeated.add(1);
                    match send_now(socket, slots, id) {
                        Ok(()) => return slots.release(id),
                        Err(error) => code = error.raw_os_error().unwrap_or(0),
                    }
                }
                Failure::Later => {
                    self.stats.send_repeated.add(1);
                    return queue.again(id);
                }
                Failure::GiveUp { own } => {
                    if own && let (Some(peer), Some(port)) = (slots.peer(id), ports.get(index)) {
                        reports.push_own(index, port.local, peer, code, &self.stats);
                    }
                    self.stats.send_failed.add(1);
                    return slots.release(id);
                }
            }
        }
    }

    /// Looks into every socket whose reception ended. The next exchange arms it again.
    fn settle_receptions(&mut self) {
        let UringReceiver { uring, ports, reports, .. } = &mut self.receiver;
        for (index, code) in uring.ended() {
            if *code == errno::ENOBUFS {
                // WHY not those: that is how a turn is bounded.
                let deferred = ports.get(*index).is_some_and(|port| port.buffers == Buffers::Deferred);
                self.stats.receive_out_of_buffers.add(u64::from(!deferred));
                continue;
            }
            self.stats.receive_rearmed.add(1);
            // INVARIANT: the error queue is emptied before the socket is armed again; with an entry in
            // it, it would look ready for ever.
            if let (Some(socket), Some(port)) = (uring.socket(*index), ports.get(*index)) {
                reports.drain(socket, usize::from(port.listener), &self.stats);
            }
        }
    }
}

impl Device for UringDevice {
    type Receiver<'a> = &'a mut UringReceiver;
    type Transmitter<'a> = &'a mut UringTransmitter;

    fn exchange(&mut self, wait: Option<Micros>) -> io::Result<()> {
        self.receiver.release();
        let wait = match wait {
            _ if self.backlog() => Some(Micros(0)),
            // WHY: nothing tells when there is room in a socket's send buffer again.
            wait if self.transmitter.queue.is_blocked() => {
                Some(wait.map_or(FULL_BUFFER_WAIT, |wait| wait.min(FULL_BUFFER_WAIT)))
            }
            wait => wait,
        };
        self.batch.clear();
        self.batch.extend_from_slice(self.transmitter.queue.waiting());
        let wait = Wait::at_most(wait.map(|wait| Duration::from_micros(wait.0)));
        let wait = wait.gathering(limits::GATHER_FRAMES, Duration::from_micros(self.gather.wait().0));
        self.receiver.uring.exchange(&mut self.transmitter.slots, &self.batch, wait)?;
        self.settle_sends();
        self.settle_receptions();
        self.receiver.quota = limits::RECEIVE_BATCH_MAX;
        self.receiver.wall = Wall::read();
        self.gather.count(self.receiver.uring.arrived(), self.receiver.wall);
        Ok(())
    }

    fn halves(&mut self) -> (&mut UringReceiver, &mut UringTransmitter) {
        (&mut self.receiver, &mut self.transmitter)
    }

    fn backlog(&self) -> bool {
        self.receiver.uring.has_received() || !self.receiver.reports.is_empty()
    }

    fn close(&mut self) {
        // WHY: what cannot be sent now is lost with the process anyway. The ring and its sockets close
        // when the device is dropped, which follows.
        let _ = self.exchange(Some(Micros(0)));
    }
}

impl Beside for UringDevice {
    fn watch(&mut self, descriptor: BorrowedFd<'_>) {
        self.receiver.uring.watch(descriptor);
    }

    fn unwatch(&mut self, descriptor: BorrowedFd<'_>) {
        self.receiver.uring.unwatch(descriptor);
    }
}

impl UringReceiver {
    /// Gives the frame that was lent out last back to the kernel.
    fn release(&mut self) {
        if let Some(received) = self.current.take() {
            self.uring.give_back(received);
        }
    }

    fn next_ordinary(&mut self) -> Option<Received> {
        let left = self.quota.checked_sub(1)?;
        let received = self.uring.next_received()?;
        self.quota = left;
        Some(received)
    }

    /// Counts what came with a datagram; false when it cannot be used.
    fn admit(&mut self, received: &Received) -> bool {
        let Some((index, datagram)) = self.uring.datagram(received) else {
            self.stats.frames_unreadable.add(1);
            return false;
        };
        if let Some(drops) = datagram.ancillary.drops
            && let Some(port) = self.ports.get_mut(index)
        {
            let deferred = port.buffers == Buffers::Deferred;
            let counter = if deferred { &self.stats.deferred_drops } else { &self.stats.kernel_drops };
            counter.add(u64::from(drops.wrapping_sub(port.drops_seen)));
            port.drops_seen = drops;
        }
        if datagram.truncated {
            self.stats.frames_truncated.add(1);
        } else if datagram.peer.is_none() {
            self.stats.frames_unreadable.add(1);
        }
        !datagram.truncated && datagram.peer.is_some()
    }

    fn frame(&self, now: Mono) -> Option<Input<'_>> {
        let (index, datagram) = self.uring.datagram(self.current.as_ref()?)?;
        let port = self.ports.get(index)?;
        let mut local = port.local;
        if let Some(asked) = datagram.ancillary.local {
            local.set_ip(asked);
        }
        Some(Input::Frame(Frame {
            listener: port.listener,
            local,
            peer: datagram.peer?,
            flow: 0,
            received: arrival(Now { mono: now, wall: self.wall }, datagram.ancillary.arrived.map(Wall)),
            bytes: datagram.bytes,
        }))
    }
}

impl Receive for UringReceiver {
    fn next(&mut self, now: Mono) -> Option<Input<'_>> {
        self.release();
        if let Some(error) = self.reports.pop() {
            return Some(Input::Error(error));
        }
        loop {
            // INVARIANT: of what can wait there is never more than its buffers hold.
            let received = match self.next_ordinary() {
                Some(received) => received,
                None => self.uring.next_deferred()?,
            };
            if self.admit(&received) {
                self.current = Some(received);
                return self.frame(now);
            }
            self.uring.give_back(received);
        }
    }
}

impl Transmit for UringTransmitter {
    fn reserve(&mut self, size: SlotSize) -> Option<&mut [u8]> {
        self.slots.reserve(size == SlotSize::Large)
    }

    fn commit(&mut self, egress: &Egress, len: usize) -> bool {
        let Some(wildcard) = self.wildcard.get(usize::from(egress.listener)) else {
            return false;
        };
        self.queue.commit(&mut self.slots, egress, *wildcard, len);
        true
    }
}

fn ports(sockets: &[UdpSocket], buffers: Buffers) -> io::Result<impl Iterator<Item = Port>> {
    let locals = sockets.iter().map(UdpSocket::local_address).collect::<io::Result<Vec<_>>>()?;
    Ok((0..).zip(locals).map(move |(listener, local)| Port { listener, local, buffers, drops_seen: 0 }))
}

/// How long to wait for input while a socket's send buffer is full.
const FULL_BUFFER_WAIT: Micros = Micros::from_millis(1);
