//! The driver on `recvmmsg`, `sendmmsg` and `ppoll`: works on every kernel and in every container.
//!
//! An exchange is `sendmmsg` for each listener that has something to send, then one `recvmmsg`, with
//! `ppoll` before it when nothing is known to be there.

use super::arrival::arrival;
use super::pending::{Failure, Reports, SendQueue};
use super::{Beside, Device, Input, Receive, SlotSize, Transmit};
use crate::frame::{Egress, Frame};
use crate::pools::Pools;
use crate::stats::ShardStats;
use crate::time::{Micros, Mono, Now, Wall};
use crate::wake::Waker;
use engine_sys::errno;
use engine_sys::mmsg::{ReceiveBatch, SendBatch};
use engine_sys::send_slots::SendSlots;
use engine_sys::socket::{PollSet, UdpSocket};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// The device of one shard.
pub struct MmsgDevice {
    receiver: MmsgReceiver,
    transmitter: MmsgTransmitter,
    sockets: Vec<Port>,
    poll: PollSet,
    waker: Arc<Waker>,
    batch: SendBatch,
    /// Where to look for input next, so that one busy listener does not starve the others.
    next: usize,
    stats: Arc<ShardStats>,
}

/// Its receiving half.
pub struct MmsgReceiver {
    batch: ReceiveBatch,
    /// Datagrams in the batch, and how many of them were read.
    filled: usize,
    read: usize,
    /// The number of their socket, and whose it is.
    socket: usize,
    listener: u16,
    local: SocketAddr,
    /// The wall clock when the batch was received.
    wall: Wall,
    drops_seen: Vec<u32>,
    /// Sockets before those for what can wait.
    listeners: usize,
    reports: Reports,
    stats: Arc<ShardStats>,
}

/// Its sending half.
pub struct MmsgTransmitter {
    slots: SendSlots,
    /// By listener, with whether it is bound to a wildcard address.
    queues: Vec<(SendQueue, bool)>,
}

struct Port {
    listener: u16,
    socket: UdpSocket,
    local: SocketAddr,
    readable: bool,
    wildcard: bool,
}

impl MmsgDevice {
    /// A device on `sockets`, one for each listener, in their order, and on as many, or none, for what can wait.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn new(
        sockets: Vec<UdpSocket>,
        deferred: Vec<UdpSocket>,
        pools: &Pools,
        waker: Arc<Waker>,
        stats: Arc<ShardStats>,
    ) -> io::Result<Self> {
        let listeners = sockets.len();
        let ordinary = (0..).zip(sockets);
        let sockets = ordinary.chain((0..).zip(deferred)).map(Port::new).collect::<io::Result<Vec<_>>>()?;
        let poll = PollSet::new(sockets.iter().map(|port| port.socket.as_fd()).chain(waker.event().map(AsFd::as_fd)));
        let (small, large) = (limits::SEND_SLOT_BYTES, limits::LARGE_SLOT_BYTES);
        Ok(MmsgDevice {
            receiver: MmsgReceiver {
                batch: ReceiveBatch::new(limits::RECEIVE_BATCH_MAX, small, large)?,
                filled: 0,
                read: 0,
                socket: 0,
                listener: 0,
                local: SocketAddr::from(([0, 0, 0, 0], 0)),
                wall: Wall::default(),
                drops_seen: vec![0; sockets.len()],
                listeners,
                reports: Reports::new(),
                stats: Arc::clone(&stats),
            },
            transmitter: MmsgTransmitter {
                slots: SendSlots::new(pools.send_slots, small, pools.large_send_slots, large)?,
                queues: sockets
                    .iter()
                    .take(listeners)
                    .map(|port| {
                        let queue = SendQueue::new(pools.send_slots + pools.large_send_slots);
                        (queue, port.wildcard)
                    })
                    .collect(),
            },
            sockets,
            poll,
            waker,
            batch: SendBatch::new(SEND_BATCH),
            next: 0,
            stats,
        })
    }

    fn flush(&mut self) {
        for index in 0..self.transmitter.queues.len() {
            self.flush_listener(index);
        }
    }

    /// Sends what is queued on one listener, until all is sent or its buffer is full.
    fn flush_listener(&mut self, index: usize) {
        let (Some(port), Some((queue, _))) = (self.sockets.get(index), self.transmitter.queues.get_mut(index)) else {
            return;
        };
        let slots = &mut self.transmitter.slots;
        let reports = &mut self.receiver.reports;
        while let ids @ [first, ..] = queue.waiting() {
            let first = *first;
            let tried = ids.len().min(SEND_BATCH);
            match self.batch.send(port.socket.as_fd(), slots, ids) {
                Ok(sent) => {
                    queue.sent(sent, slots);
                    if sent < tried {
                        // WHY: what stopped it may have been a pending error, which was consumed.
                        reports.drain(port.socket.as_fd(), index, &self.stats);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let code = error.raw_os_error().unwrap_or(0);
                    let found = reports.drain(port.socket.as_fd(), index, &self.stats);
                    match Failure::judge(code, slots.count_try(first), found) {
                        Failure::Repeat => self.stats.send_repeated.add(1),
                        Failure::Later => {
                            self.stats.send_repeated.add(1);
                            break;
                        }
                        Failure::GiveUp { own } => {
                            if own && let Some(peer) = slots.peer(first) {
                                reports.push_own(index, port.local, peer, code, &self.stats);
                            }
                            queue.give_up(slots, &self.stats);
                        }
                    }
                }
            }
        }
        queue.settle();
    }

    /// Receives one batch from the next socket that is thought to be readable.
    ///
    /// WHY what can wait has its turn like every other: its crowd is in a socket of its own, so that it costs the
    /// others one batch at a time and no datagram.
    fn receive(&mut self) -> bool {
        let count = self.sockets.len();
        for step in 0..count {
            let index = (self.next + step) % count;
            let Some(port) = self.sockets.get_mut(index).filter(|port| port.readable) else {
                continue;
            };
            match self.receiver.batch.receive(port.socket.as_fd()) {
                Ok(filled) => {
                    self.receiver.take(filled, index, (port.listener, port.local));
                    // WHY: after a batch of one the queue is most likely empty, and asking costs a call.
                    port.readable = filled > 1;
                    self.next = (index + 1) % count;
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(errno::EAGAIN) => port.readable = false,
                // A pending error. The socket stays marked: there may be input behind it.
                Err(_) => {
                    let listener = usize::from(port.listener);
                    self.receiver.reports.drain(port.socket.as_fd(), listener, &self.stats);
                }
            }
        }
        false
    }

    fn wait(&mut self, wait: Option<Micros>) {
        let timeout = wait.map(|wait| Duration::from_micros(wait.0));
        // WHY: an interrupted wait is a short wait; the shard looks at everything anyway.
        if self.poll.wait(timeout).unwrap_or(0) == 0 {
            return;
        }
        for (index, port) in self.sockets.iter_mut().enumerate() {
            let (readable, failed) = self.poll.state(index);
            port.readable |= readable;
            if failed {
                self.receiver.reports.drain(port.socket.as_fd(), usize::from(port.listener), &self.stats);
            }
        }
        if self.poll.state(self.sockets.len()).0
            && let Some(event) = self.waker.event()
        {
            event.drain();
        }
    }
}

impl Device for MmsgDevice {
    type Receiver<'a> = &'a mut MmsgReceiver;
    type Transmitter<'a> = &'a mut MmsgTransmitter;

    fn exchange(&mut self, wait: Option<Micros>) -> io::Result<()> {
        self.flush();
        let readable = self.sockets.iter().any(|port| port.readable);
        // WHY: with one socket, `recvmmsg` itself says whether there is more. With several, one that is
        // always readable would keep the others from being asked.
        if readable && self.sockets.len() == 1 && self.receive() {
            return Ok(());
        }
        let mut wait = wait;
        if readable || !self.receiver.reports.is_empty() {
            wait = Some(Micros(0));
        } else if self.transmitter.queues.iter().any(|(queue, _)| !queue.is_empty()) {
            wait = Some(wait.map_or(FULL_BUFFER_WAIT, |wait| wait.min(FULL_BUFFER_WAIT)));
        }
        self.wait(wait);
        self.receive();
        Ok(())
    }

    fn halves(&mut self) -> (&mut MmsgReceiver, &mut MmsgTransmitter) {
        (&mut self.receiver, &mut self.transmitter)
    }

    fn backlog(&self) -> bool {
        !self.receiver.reports.is_empty()
    }

    fn close(&mut self) {
        self.flush();
        self.poll = PollSet::new([]);
        self.sockets.clear();
    }
}

impl Beside for MmsgDevice {
    fn watch(&mut self, descriptor: BorrowedFd<'_>) {
        self.poll.add(descriptor);
    }

    fn unwatch(&mut self, descriptor: BorrowedFd<'_>) {
        self.poll.remove(descriptor);
    }
}

impl Port {
    fn new((listener, socket): (u16, UdpSocket)) -> io::Result<Self> {
        let local = socket.local_address()?;
        Ok(Port { listener, wildcard: local.ip().is_unspecified(), socket, local, readable: false })
    }
}

impl MmsgReceiver {
    fn take(&mut self, filled: usize, socket: usize, (listener, local): (u16, SocketAddr)) {
        self.filled = filled;
        self.read = 0;
        self.socket = socket;
        self.listener = listener;
        self.local = local;
        self.wall = Wall::read();
    }

    /// Counts what came with a datagram; false when it cannot be used.
    fn admit(&mut self, index: usize) -> bool {
        let Some(datagram) = self.batch.get(index) else {
            return false;
        };
        if let Some(drops) = datagram.ancillary.drops
            && let Some(seen) = self.drops_seen.get_mut(self.socket)
        {
            let deferred = self.socket >= self.listeners;
            let counter = if deferred { &self.stats.deferred_drops } else { &self.stats.kernel_drops };
            counter.add(u64::from(drops.wrapping_sub(*seen)));
            *seen = drops;
        }
        if datagram.truncated {
            self.stats.frames_truncated.add(1);
        } else if datagram.peer.is_none() {
            self.stats.frames_unreadable.add(1);
        }
        !datagram.truncated && datagram.peer.is_some()
    }

    fn frame(&mut self, index: usize, now: Mono) -> Option<Input<'_>> {
        let datagram = self.batch.get(index)?;
        let mut local = self.local;
        if let Some(asked) = datagram.ancillary.local {
            local.set_ip(asked);
        }
        Some(Input::Frame(Frame {
            listener: self.listener,
            local,
            peer: datagram.peer?,
            flow: 0,
            received: arrival(Now { mono: now, wall: self.wall }, datagram.ancillary.arrived.map(Wall)),
            bytes: datagram.bytes,
        }))
    }
}

impl Receive for MmsgReceiver {
    fn next(&mut self, now: Mono) -> Option<Input<'_>> {
        if let Some(error) = self.reports.pop() {
            return Some(Input::Error(error));
        }
        while self.read < self.filled {
            let index = self.read;
            self.read += 1;
            if self.admit(index) {
                return self.frame(index, now);
            }
        }
        None
    }
}

impl Transmit for MmsgTransmitter {
    fn reserve(&mut self, size: SlotSize) -> Option<&mut [u8]> {
        self.slots.reserve(size == SlotSize::Large)
    }

    fn commit(&mut self, egress: &Egress, len: usize) -> bool {
        let Some((queue, wildcard)) = self.queues.get_mut(usize::from(egress.listener)) else {
            return false;
        };
        queue.commit(&mut self.slots, egress, *wildcard, len);
        true
    }
}

/// Datagrams of one `sendmmsg`.
const SEND_BATCH: usize = 64;
/// How long to wait for input while a socket's send buffer is full.
const FULL_BUFFER_WAIT: Micros = Micros::from_millis(1);
