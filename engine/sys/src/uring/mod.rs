//! io_uring for UDP: multishot `recvmsg` into rings of provided buffers, batched sends, one
//! `io_uring_enter` for all of a turn.
//!
//! The ring is set up with SINGLE_ISSUER and DEFER_TASKRUN and must be made on the thread that uses
//! it. This gives the invariant on which the safety of all this rests:
//!
//! INVARIANT: the kernel touches receive buffers and send slots only while this thread is inside
//! [`Uring::exchange`]. Receptions complete only there (DEFER_TASKRUN); sends carry MSG_DONTWAIT, so
//! they complete while they are submitted, and `exchange` does not return before all of them were.
//!
//! A send that succeeds posts no completion (CQE_SKIP_SUCCESS), so that waiting for one completion
//! means: sleep until there is input, or a send failed.

use crate::ancillary::{RECEIVE_BYTES, RECEIVE_WILDCARD_BYTES};
use crate::event::Event;
use crate::mmsg::Datagram;
use crate::send_slots::{SendSlots, SlotId};
use crate::socket::UdpSocket;
use buffers::BufferRing;
use io_uring::types::{CancelBuilder, Fixed, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

mod buffers;
mod layout;
mod probe;
mod wait;

use layout::Layout;
pub use probe::probe;
pub use wait::Wait;

/// Sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingConfig {
    /// Most sends in one exchange.
    pub sends: usize,
    /// Ordinary receive buffers (a power of two) and their size.
    pub buffers: (u16, usize),
    /// Large receive buffers (a power of two) and their size.
    pub large_buffers: (u16, usize),
    /// The same for what can wait, if anything can.
    pub deferred_buffers: Option<(u16, usize)>,
}

/// Which buffers a socket receives into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// Ordinary ones. What is larger arrives truncated.
    Ordinary,
    /// Large ones.
    Large,
    /// A few ordinary ones, for what can wait.
    Deferred,
}

/// A ring, its sockets and its receive buffers.
pub struct Uring {
    ring: IoUring,
    ordinary: BufferRing,
    large: BufferRing,
    deferred: Option<BufferRing>,
    ports: Vec<Port>,
    wake_armed: bool,
    wake_fd: i32,
    watched: Vec<Watched>,
    received: VecDeque<Received>,
    received_deferred: VecDeque<Received>,
    /// Datagrams that the last exchange brought.
    arrived: usize,
    ended: Vec<(usize, i32)>,
    failed: Vec<(SlotId, i32)>,
    /// The kernel can wait for several completions, but not for long (6.12).
    gathers: bool,
    /// An exchange failed midway: entries that point to slots may be left in the queue.
    broken: bool,
}

/// A descriptor of somebody else that ends a wait.
#[derive(Debug)]
struct Watched {
    fd: i32,
    armed: bool,
}

/// A datagram that lies in a receive buffer, to be given back with [`Uring::give_back`].
#[derive(Debug)]
pub struct Received {
    port: usize,
    buffer: u16,
    length: usize,
}

struct Port {
    socket: UdpSocket,
    buffers: Buffers,
    layout: Layout,
    /// What a reception is armed with: the sizes of the name and control areas. The kernel reads it
    /// when the request is submitted; boxed, so that it stays in place until then.
    template: Box<libc::msghdr>,
    armed: bool,
}

impl Uring {
    /// A ring on the calling thread. Socket number `i` is the place in `sockets`.
    ///
    /// # Errors
    /// When the kernel lacks what is needed, forbids it, or memory is short.
    pub fn new(sockets: Vec<(UdpSocket, Buffers)>, event: &Event, config: &RingConfig) -> io::Result<Self> {
        let entries = config.sends + 2 * sockets.len() + WATCHED_MAX + 8;
        let entries = u32::try_from(entries).map_err(|_| io::ErrorKind::InvalidInput)?;
        // WHY: twice the buffers, so that the queue never overflows while receptions are taken.
        let deferred = config.deferred_buffers.map_or(0, |(count, _)| u32::from(count));
        let completions = 2 * u32::from(config.buffers.0) + u32::from(config.large_buffers.0) + deferred;
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize((completions + 2 * entries).next_power_of_two());
        let ring = builder.build(entries.next_power_of_two())?;
        let ports = sockets.into_iter().map(Port::new).collect::<io::Result<Vec<_>>>()?;
        let files: Vec<i32> = ports.iter().map(|port| port.socket.as_raw_fd()).collect();
        if !files.is_empty() {
            ring.submitter().register_files(&files)?;
        }
        let (count, bytes) = config.buffers;
        let ordinary = BufferRing::register(&ring, ORDINARY_GROUP, count, bytes)?;
        let (large_count, bytes) = config.large_buffers;
        let large = BufferRing::register(&ring, LARGE_GROUP, large_count, bytes)?;
        let register = |(count, bytes)| BufferRing::register(&ring, DEFERRED_GROUP, count, bytes);
        let deferred = config.deferred_buffers.map(register).transpose()?;
        let deferred_count = config.deferred_buffers.map_or(0, |(count, _)| usize::from(count));
        Ok(Uring {
            gathers: wait::gathers(&ring),
            ring,
            ordinary,
            large,
            deferred,
            wake_armed: false,
            wake_fd: event.as_raw_fd(),
            watched: Vec::with_capacity(WATCHED_MAX),
            received: VecDeque::with_capacity(usize::from(count) + usize::from(large_count)),
            received_deferred: VecDeque::with_capacity(deferred_count),
            arrived: 0,
            ended: Vec::with_capacity(2 * ports.len()),
            failed: Vec::with_capacity(config.sends),
            ports,
            broken: false,
        })
    }

    /// Sends `ids` in their order, each on the socket that it was committed for, arms every reception
    /// that has ended and has buffers again, and waits for something to arrive as `wait` says, not at
    /// all if something is left from before.
    ///
    /// Afterwards [`Uring::next_received`], [`Uring::ended`] and [`Uring::failed`] tell what happened.
    ///
    /// # Errors
    /// What makes the ring unusable; every later call fails too.
    pub fn exchange(&mut self, slots: &mut SendSlots, ids: &[SlotId], wait: Wait) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the ring broke in an earlier exchange"));
        }
        self.broken = true;
        self.exchange_once(slots, ids, wait)?;
        self.broken = false;
        Ok(())
    }

    fn exchange_once(&mut self, slots: &mut SendSlots, ids: &[SlotId], wait: Wait) -> io::Result<()> {
        self.arrived = 0;
        self.ended.clear();
        self.failed.clear();
        self.arm()?;
        for id in ids {
            self.push(&send_entry(slots, *id))?;
        }
        let wait = if self.has_received() { Wait::NOT } else { wait };
        if wait != Wait::NOT {
            self.arm_watched()?;
        }
        self.enter(wait)?;
        self.collect();
        // Only when the completion queue was full.
        while !self.ring.submission().is_empty() {
            self.enter(Wait::NOT)?;
            self.collect();
        }
        Ok(())
    }

    /// The next datagram that has arrived, of those that cannot wait.
    pub fn next_received(&mut self) -> Option<Received> {
        self.received.pop_front()
    }

    /// The next one of those that can.
    pub fn next_deferred(&mut self) -> Option<Received> {
        self.received_deferred.pop_front()
    }

    /// How many datagrams the last exchange brought.
    pub fn arrived(&self) -> usize {
        self.arrived
    }

    /// True while datagrams are left from the last exchange.
    pub fn has_received(&self) -> bool {
        !(self.received.is_empty() && self.received_deferred.is_empty())
    }

    /// Sockets whose reception ended in the last exchange, and the `errno`. They are armed again in
    /// the next one.
    pub fn ended(&self) -> &[(usize, i32)] {
        &self.ended
    }

    /// The sends of the last exchange that failed, and the `errno`. All others succeeded.
    pub fn failed(&self) -> &[(SlotId, i32)] {
        &self.failed
    }

    /// True if a reception waits for buffers or was not armed for another reason.
    pub fn must_arm(&self) -> bool {
        !self.wake_armed || self.ports.iter().any(|port| !port.armed && self.has_buffers(port.buffers))
    }

    /// Ends a wait when `descriptor` is readable; at most `WATCHED_MAX` of them. It must be taken out with
    /// [`Uring::unwatch`] before it is closed.
    pub fn watch(&mut self, descriptor: BorrowedFd<'_>) {
        let watched = Watched { fd: descriptor.as_raw_fd(), armed: false };
        // A place that was given up: the numbers of the others must not change.
        if let Some(free) = self.watched.iter_mut().find(|one| one.fd < 0) {
            *free = watched;
        } else if self.watched.len() < WATCHED_MAX {
            self.watched.push(watched);
        }
    }

    /// No longer waits for `descriptor`. The kernel lets go of it before this returns.
    pub fn unwatch(&mut self, descriptor: BorrowedFd<'_>) {
        let fd = descriptor.as_raw_fd();
        let Some(watched) = self.watched.iter_mut().find(|watched| watched.fd == fd) else { return };
        *watched = Watched { fd: -1, armed: false };
        // WHY the result does not matter: it may not have been armed.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::fd(io_uring::types::Fd(fd)).all());
    }

    /// Socket number `index`.
    pub fn socket(&self, index: usize) -> Option<BorrowedFd<'_>> {
        self.ports.get(index).map(|port| port.socket.as_fd())
    }

    /// Reads a datagram where it lies, and says on which socket it came.
    pub fn datagram(&self, received: &Received) -> Option<(usize, Datagram<'_>)> {
        let port = self.ports.get(received.port)?;
        let bytes = self.ring_of(port.buffers)?.bytes(received.buffer, received.length);
        Some((received.port, port.layout.parse(bytes?)?))
    }

    /// Gives the buffer of a datagram back to the kernel.
    pub fn give_back(&mut self, received: Received) {
        let Some(port) = self.ports.get(received.port) else { return };
        let ring = match port.buffers {
            Buffers::Ordinary => Some(&mut self.ordinary),
            Buffers::Large => Some(&mut self.large),
            Buffers::Deferred => self.deferred.as_mut(),
        };
        if let Some(ring) = ring {
            ring.provide(received.buffer);
        }
    }

    fn ring_of(&self, buffers: Buffers) -> Option<&BufferRing> {
        match buffers {
            Buffers::Ordinary => Some(&self.ordinary),
            Buffers::Large => Some(&self.large),
            Buffers::Deferred => self.deferred.as_ref(),
        }
    }

    fn arm(&mut self) -> io::Result<()> {
        for index in 0..self.ports.len() {
            let Some(port) = self.ports.get(index) else {
                break;
            };
            if port.armed || !self.has_buffers(port.buffers) {
                continue;
            }
            let entry = receive_entry(index, port);
            self.push(&entry)?;
            if let Some(port) = self.ports.get_mut(index) {
                port.armed = true;
            }
        }
        if !self.wake_armed {
            let poll = opcode::PollAdd::new(io_uring::types::Fd(self.wake_fd), libc::POLLIN as u32);
            self.push(&poll.multi(true).build().user_data(tag(Tag::Wake, 0)))?;
            self.wake_armed = true;
        }
        Ok(())
    }

    /// WHY once and not multishot: while there is work nobody waits, and then arrivals need not be told.
    fn arm_watched(&mut self) -> io::Result<()> {
        for index in 0..self.watched.len() {
            let Some(watched) = self.watched.get_mut(index).filter(|watched| watched.fd >= 0 && !watched.armed) else {
                continue;
            };
            watched.armed = true;
            let poll = opcode::PollAdd::new(io_uring::types::Fd(watched.fd), libc::POLLIN as u32).build();
            // INVARIANT: few descriptors are watched, far fewer than 2^32.
            self.push(&poll.user_data(tag(Tag::Watched, index as u32)))?;
        }
        Ok(())
    }

    fn has_buffers(&self, buffers: Buffers) -> bool {
        self.ring_of(buffers).is_some_and(BufferRing::worth_arming)
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: everything that an entry points to lives until the kernel is done with it: templates
        // are boxed and owned by the port; slots are borrowed by `exchange` until they have completed.
        let pushed = unsafe { self.ring.submission().push(entry) };
        // The queue has room for all sends of an exchange and all sockets at once.
        pushed.map_err(|_| io::Error::other("the submission queue is full"))
    }

    /// One `io_uring_enter`: submits, runs deferred completions, waits.
    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        let wait = if self.gathers { wait } else { wait.without_gathering() };
        let timeout = wait.timeout().map(Timespec::from);
        let (want, arguments) = wait.arguments(timeout.as_ref());
        let to_submit = u32::try_from(self.ring.submission().len()).unwrap_or(u32::MAX);
        // SAFETY: the flags belong to the argument's type; it and the timeout live across the call.
        let entered = unsafe {
            let submitter = self.ring.submitter();
            submitter.enter(to_submit, want, ENTER_FLAGS, Some(&arguments))
        };
        match entered.map_err(|error| error.raw_os_error().unwrap_or(0)) {
            // EBUSY: the completion queue is full; the caller empties it and comes back.
            Ok(_) | Err(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
            Err(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// Takes every completion.
    fn collect(&mut self) {
        for entry in self.ring.completion() {
            let (kind, number) = untag(entry.user_data());
            let more = cqueue::more(entry.flags());
            match kind {
                Tag::Send => {
                    let id = SlotId::from_number(number);
                    self.failed.push((id, entry.result().saturating_neg()));
                }
                Tag::Wake => self.wake_armed = more,
                Tag::Watched => {
                    if let Some(watched) = self.watched.get_mut(number as usize) {
                        watched.armed = false;
                    }
                }
                Tag::Receive => {
                    let index = number as usize;
                    if let Some(port) = self.ports.get_mut(index) {
                        port.armed = more;
                        let (ring, received) = match port.buffers {
                            Buffers::Ordinary => (Some(&mut self.ordinary), &mut self.received),
                            Buffers::Large => (Some(&mut self.large), &mut self.received),
                            Buffers::Deferred => (self.deferred.as_mut(), &mut self.received_deferred),
                        };
                        if let (Some(ring), Some(buffer)) = (ring, cqueue::buffer_select(entry.flags())) {
                            ring.took();
                            let length = usize::try_from(entry.result()).unwrap_or(0);
                            self.arrived += 1;
                            received.push_back(Received { port: index, buffer, length });
                        }
                        if !more {
                            self.ended.push((index, entry.result().min(0).saturating_neg()));
                        }
                    }
                }
            }
        }
    }
}

impl Drop for Uring {
    /// Takes everything back from the kernel before memory and sockets go, so that the addresses are
    /// free as soon as this returns.
    fn drop(&mut self) {
        // WHY: each is best effort: whatever stays is ended by closing the ring.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
        // A request holds its socket until its cancellation has completed.
        for _ in 0..CANCEL_TRIES {
            self.collect();
            if !self.wake_armed && self.ports.iter().all(|port| !port.armed) {
                break;
            }
            let _ = self.enter(Wait::at_most(Some(Duration::from_millis(1))));
        }
        let _ = self.ring.submitter().unregister_files();
        let _ = self.ring.submitter().unregister_buf_ring(ORDINARY_GROUP);
        let _ = self.ring.submitter().unregister_buf_ring(LARGE_GROUP);
        if self.deferred.is_some() {
            let _ = self.ring.submitter().unregister_buf_ring(DEFERRED_GROUP);
        }
    }
}

impl Port {
    fn new((socket, buffers): (UdpSocket, Buffers)) -> io::Result<Self> {
        let address = socket.local_address()?;
        let layout = Layout {
            name: if address.is_ipv6() { size_of::<libc::sockaddr_in6>() } else { size_of::<libc::sockaddr_in>() },
            control: if address.ip().is_unspecified() { RECEIVE_WILDCARD_BYTES } else { RECEIVE_BYTES },
        };
        // SAFETY: msghdr is plain data for which zero is valid.
        let mut template: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        template.msg_namelen = layout.name as libc::socklen_t;
        template.msg_controllen = layout.control;
        Ok(Port { socket, buffers, layout, template, armed: false })
    }
}

/// Most bytes in front of a datagram's payload in its buffer, whatever the socket.
pub const OVERHEAD_BYTES_MAX: usize = layout::HEADER_BYTES + size_of::<libc::sockaddr_in6>() + RECEIVE_WILDCARD_BYTES;

fn receive_entry(index: usize, port: &Port) -> squeue::Entry {
    let group = match port.buffers {
        Buffers::Ordinary => ORDINARY_GROUP,
        Buffers::Large => LARGE_GROUP,
        Buffers::Deferred => DEFERRED_GROUP,
    };
    let number = index as u32;
    opcode::RecvMsgMulti::new(Fixed(number), &raw const *port.template, group)
        .build()
        .user_data(tag(Tag::Receive, number))
}

fn send_entry(slots: &SendSlots, id: SlotId) -> squeue::Entry {
    let socket = Fixed(u32::from(slots.socket(id)));
    let message = slots.message(id);
    // WHY: without a source address to set, `send` with a destination spares the kernel the copy and
    // check of a msghdr.
    let entry = if message.msg_controllen == 0 {
        let (start, length) = slots.payload(id);
        opcode::Send::new(socket, start, length)
            .flags(libc::MSG_DONTWAIT)
            .dest_addr(message.msg_name.cast())
            .dest_addr_len(message.msg_namelen)
            .build()
    } else {
        opcode::SendMsg::new(socket, message).flags(libc::MSG_DONTWAIT as u32).build()
    };
    entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(tag(Tag::Send, id.number()))
}

/// What a completion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Receive,
    Send,
    Wake,
    Watched,
}

fn tag(kind: Tag, number: u32) -> u64 {
    (kind as u64) << 32 | u64::from(number)
}

fn untag(user_data: u64) -> (Tag, u32) {
    let kind = match user_data >> 32 {
        0 => Tag::Receive,
        1 => Tag::Send,
        2 => Tag::Wake,
        _ => Tag::Watched,
    };
    (kind, user_data as u32)
}

const ORDINARY_GROUP: u16 = 0;
const LARGE_GROUP: u16 = 1;
const DEFERRED_GROUP: u16 = 2;
/// Descriptors of others that may be watched.
const WATCHED_MAX: usize = 64;
const CANCEL_TRIES: usize = 20;
/// IORING_ENTER_GETEVENTS (without it deferred completions do not run) and IORING_ENTER_EXT_ARG.
const ENTER_FLAGS: u32 = 1 | 8;
