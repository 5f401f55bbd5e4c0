//! An AF_XDP socket: bound to one queue of one interface, with its receive, transmit, fill and
//! completion rings.
//!
//! The frames of all sockets of a shard lie in one memory, so that a frame may leave by whichever
//! interface its route says. Each socket registers that memory for itself; which frames it may touch, the
//! account of [`Umem`] says.

use super::far_side::FarSide;
use super::ring::{Consumer, Descriptor, Entry, Mapping, Memory, Offsets, Producer, in_memory};
use super::umem::{FRAME_BYTES, Frame, Memory as FrameMemory, Received, Umem};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

/// Entries of a socket's rings; powers of two.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Of the receive and the fill ring.
    pub receive: u32,
    /// Of the transmit and the completion ring.
    pub transmit: u32,
}

/// How packets are to come into our memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// The card writes into it.
    ZeroCopy,
    /// The kernel copies them.
    Copy,
}

/// What the kernel counted (`struct xdp_statistics`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Statistics {
    /// Packets dropped for other reasons: too long, mostly.
    pub dropped: u64,
    /// Descriptors of ours in the fill ring that were invalid.
    pub invalid_fill: u64,
    /// Descriptors of ours in the transmit ring that were invalid.
    pub invalid_transmit: u64,
    /// Packets dropped because the receive ring was full.
    pub ring_full: u64,
    /// Packets for which the fill ring held no frame.
    pub fill_empty: u64,
    /// Times that the transmit ring was found empty.
    pub transmit_empty: u64,
}

/// A socket and its number among those of its UMEM.
#[derive(Debug)]
pub struct XdpSocket {
    number: u8,
    /// Frames that are lent to be received into and have not come back.
    filling: u32,
    /// `None` where somebody plays the kernel.
    fd: Option<OwnedFd>,
    receive: Consumer<Descriptor>,
    transmit: Producer<Descriptor>,
    fill: Producer<u64>,
    completion: Consumer<u64>,
}

impl XdpSocket {
    /// A socket on `queue` of the interface with this index. `number` names it in the account of the
    /// UMEM that `memory` belongs to; no other socket of that UMEM may have it.
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW; EOPNOTSUPP when the driver has no zero-copy; EBUSY when the queue is
    /// taken; ENOBUFS when RLIMIT_MEMLOCK forbids the memory; ENODEV, ENETDOWN.
    pub fn open(
        number: u8,
        memory: &FrameMemory,
        interface: u32,
        queue: u32,
        sizes: Sizes,
        bind: Bind,
    ) -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        register(&fd, memory)?;
        for (name, size) in [
            (libc::XDP_UMEM_FILL_RING, sizes.receive),
            (libc::XDP_UMEM_COMPLETION_RING, sizes.transmit),
            (libc::XDP_RX_RING, sizes.receive),
            (libc::XDP_TX_RING, sizes.transmit),
        ] {
            set_option(&fd, name, &size)?;
        }
        let offsets: libc::xdp_mmap_offsets = get_option(&fd, libc::XDP_MMAP_OFFSETS)?;
        // SAFETY: each ring is mapped once, with the size and offsets that the kernel gave for it.
        let socket = unsafe {
            let (memory, start, at) = map::<Descriptor>(&fd, PAGE_OFFSET_RECEIVE, &offsets.rx, sizes.receive)?;
            let receive = Consumer::new(memory, start, at, sizes.receive);
            let (memory, start, at) = map::<Descriptor>(&fd, PAGE_OFFSET_TRANSMIT, &offsets.tx, sizes.transmit)?;
            let transmit = Producer::new(memory, start, at, sizes.transmit);
            let (memory, start, at) = map::<u64>(&fd, libc::XDP_UMEM_PGOFF_FILL_RING, &offsets.fr, sizes.receive)?;
            let fill = Producer::new(memory, start, at, sizes.receive);
            let at_offset = libc::XDP_UMEM_PGOFF_COMPLETION_RING;
            let (memory, start, at) = map::<u64>(&fd, at_offset, &offsets.cr, sizes.transmit)?;
            let completion = Consumer::new(memory, start, at, sizes.transmit);
            XdpSocket { number, filling: 0, fd: Some(fd), receive, transmit, fill, completion }
        };
        socket.bind(interface, queue, bind)?;
        Ok(socket)
    }

    /// A socket whose kernel is somebody in this process.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn in_memory(number: u8, sizes: Sizes) -> io::Result<(Self, FarSide)> {
        let (far_receive, receive) = in_memory(sizes.receive)?;
        let (transmit, far_transmit) = in_memory(sizes.transmit)?;
        let (fill, far_fill) = in_memory(sizes.receive)?;
        let (far_completion, completion) = in_memory(sizes.transmit)?;
        let far = FarSide::new(far_receive, far_transmit, far_fill, far_completion);
        Ok((XdpSocket { number, filling: 0, fd: None, receive, transmit, fill, completion }, far))
    }

    /// Lends free frames to be received into, up to `level` of them with the kernel.
    pub fn refill(&mut self, umem: &mut Umem, level: u32) {
        let wanted = level.saturating_sub(self.filling);
        // WHY: the ring's shared cache line is touched once for many frames.
        if wanted < level / 4 {
            return;
        }
        let wanted = wanted.min(self.fill.room(wanted)).min(u32::try_from(umem.fill_room()).unwrap_or(u32::MAX));
        self.filling += self.fill.fill(umem.lend_free(self.number, wanted));
        self.fill.publish();
    }

    /// Takes what was received, until there are `most` packets.
    pub fn receive(&mut self, umem: &mut Umem, received: &mut Received, most: usize) {
        let room = u32::try_from(most.saturating_sub(received.len())).unwrap_or(u32::MAX);
        let descriptors = self.receive.drain(room);
        let descriptors = descriptors.map(|one| (one.address, one.length, one.options & XDP_PKT_CONTD != 0));
        let count = umem.reclaim_received(received, self.number, descriptors);
        // INVARIANT: no more than the ring has entries.
        self.filling = self.filling.saturating_sub(count as u32);
        self.receive.publish();
    }

    /// True when something was received.
    pub fn has_received(&mut self) -> bool {
        self.receive.any()
    }

    /// Queues `length` bytes at `offset` of a frame for sending; gives the frame back when the ring is
    /// full. It leaves with the next [`XdpSocket::kick`].
    ///
    /// # Errors
    /// The frame.
    #[inline]
    pub fn send(&mut self, umem: &mut Umem, frame: Frame, offset: usize, length: u32) -> Result<(), Frame> {
        if self.transmit.room(1) == 0 {
            return Err(frame);
        }
        let address = umem.lend(frame, self.number).wrapping_add(offset as u64);
        self.transmit.push(Descriptor { address, length, options: 0 });
        Ok(())
    }

    /// Takes back every frame that was sent.
    pub fn complete(&mut self, umem: &mut Umem) -> usize {
        if !self.completion.any() {
            return 0;
        }
        let count = umem.reclaim_sent(self.number, self.completion.drain(u32::MAX));
        self.completion.publish();
        count
    }

    /// Shows the kernel what was queued, and wakes it if it asks for that.
    ///
    /// # Errors
    /// EAGAIN, EBUSY, ENOBUFS: part of it is still queued, kick again; ENETDOWN: so it is until the
    /// interface is up again.
    pub fn kick(&self) -> io::Result<()> {
        self.transmit.publish();
        let Some(fd) = self.fd.as_ref().filter(|_| self.transmit.needs_wakeup()) else {
            return Ok(());
        };
        // SAFETY: no payload, so no pointers; MSG_DONTWAIT, so it does not block.
        let sent =
            unsafe { libc::sendto(fd.as_raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0) };
        if sent >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Lets the driver look at the fill ring again, when it asks for that.
    pub fn poke_receive(&self) {
        let Some(fd) = self.fd.as_ref().filter(|_| self.fill.needs_wakeup()) else {
            return;
        };
        // SAFETY: no room for a payload, so no pointers; MSG_DONTWAIT, so it does not block. WHY the
        // result does not matter: the next exchange pokes again.
        unsafe {
            use std::ptr::null_mut;
            libc::recvfrom(fd.as_raw_fd(), null_mut(), 0, libc::MSG_DONTWAIT, null_mut(), null_mut());
        }
    }

    /// True when the driver sends by itself what is queued: it does not ask to be woken.
    pub fn is_driven(&self) -> bool {
        !self.transmit.needs_wakeup()
    }

    /// Descriptors that the kernel has not taken from the transmit ring yet.
    pub fn unsent(&self) -> u32 {
        self.transmit.outstanding()
    }

    /// Closes the socket and takes back all its frames.
    pub fn close(self, umem: &mut Umem) {
        let number = self.number;
        // WHY first: as long as it is open, or its rings are mapped, the kernel may write into them.
        drop(self);
        umem.reclaim_all(number);
    }

    /// Spins in the driver instead of being interrupted (SO_PREFER_BUSY_POLL).
    ///
    /// # Errors
    /// On kernels before 5.11, and without CAP_NET_ADMIN.
    pub fn prefer_busy_poll(&self) -> io::Result<()> {
        for (name, value) in
            [(SO_PREFER_BUSY_POLL, 1), (libc::SO_BUSY_POLL, BUSY_POLL_MICROS), (SO_BUSY_POLL_BUDGET, 64)]
        {
            let value: libc::c_int = value;
            if let Some(fd) = &self.fd {
                set(fd, libc::SOL_SOCKET, name, &value)?;
            }
        }
        Ok(())
    }

    /// What the kernel counted.
    ///
    /// # Errors
    /// None in practice.
    pub fn statistics(&self) -> io::Result<Statistics> {
        match &self.fd {
            Some(fd) => get_option(fd, libc::XDP_STATISTICS),
            None => Ok(Statistics::default()),
        }
    }

    /// Whether the card itself reads and writes the frames.
    pub fn is_zero_copy(&self) -> bool {
        let options: io::Result<u32> = self.fd.as_ref().map_or(Ok(0), |fd| get_option(fd, libc::XDP_OPTIONS));
        options.is_ok_and(|options| options & libc::XDP_OPTIONS_ZEROCOPY != 0)
    }

    /// The descriptor: to wait on, and for the map of sockets.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    fn bind(&self, interface: u32, queue: u32, bind: Bind) -> io::Result<()> {
        let mode = match bind {
            Bind::ZeroCopy => libc::XDP_ZEROCOPY,
            Bind::Copy => libc::XDP_COPY,
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: mode | libc::XDP_USE_NEED_WAKEUP,
            sxdp_ifindex: interface,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        let Some(fd) = &self.fd else { return Ok(()) };
        let length = size_of::<libc::sockaddr_xdp>() as libc::socklen_t;
        // SAFETY: the kernel reads `length` bytes from `address`, which lives across the call.
        let result = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Registers the memory. The kernel pins its pages, so it must outlive the socket: the pages stay until
/// the socket is closed even when the mapping goes.
fn register(fd: &OwnedFd, memory: &FrameMemory) -> io::Result<()> {
    let (start, length) = memory.region();
    let registration = Registration {
        address: start as u64,
        length: length as u64,
        chunk_size: FRAME_BYTES as u32,
        headroom: 0,
        flags: 0,
        transmit_metadata: 0,
    };
    set_option(fd, libc::XDP_UMEM_REG, &registration)
}

/// `struct xdp_umem_reg`. Kernels that know less of it accept it when the rest is zero.
#[repr(C)]
struct Registration {
    address: u64,
    length: u64,
    chunk_size: u32,
    headroom: u32,
    flags: u32,
    transmit_metadata: u32,
}

/// Maps a ring.
///
/// # Safety
/// `offset` and `at` are those of a ring of `size` entries of `T`, and it is mapped once.
unsafe fn map<T: Entry>(
    fd: &OwnedFd,
    offset: u64,
    at: &libc::xdp_ring_offset,
    size: u32,
) -> io::Result<(Memory, NonNull<u8>, Offsets)> {
    let place = |value: u64| usize::try_from(value).map_err(|_| io::Error::from(io::ErrorKind::InvalidData));
    let offsets = Offsets {
        producer: place(at.producer)?,
        consumer: place(at.consumer)?,
        flags: place(at.flags)?,
        entries: place(at.desc)?,
    };
    let length = offsets.entries + size as usize * size_of::<T>();
    let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
    // SAFETY: a fresh mapping at an address of the kernel's choice; result checked below.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, fd.as_raw_fd(), offset) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
    Ok((Memory::Mapped(Mapping { start, length }), start, offsets))
}

fn set_option<T>(fd: &OwnedFd, name: libc::c_int, value: &T) -> io::Result<()> {
    set(fd, libc::SOL_XDP, name, value)
}

fn set<T>(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes from `value`, which lives across the call.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option that is plain data.
fn get_option<T: Copy>(fd: &OwnedFd, name: libc::c_int) -> io::Result<T> {
    // SAFETY: every T that this is called for is plain data for which zero is valid.
    let mut value: T = unsafe { std::mem::zeroed() };
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `value`.
    let result =
        unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, name, (&raw mut value).cast(), &raw mut length) };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

const PAGE_OFFSET_RECEIVE: u64 = libc::XDP_PGOFF_RX_RING as u64;
const PAGE_OFFSET_TRANSMIT: u64 = libc::XDP_PGOFF_TX_RING as u64;
const XDP_PKT_CONTD: u32 = 1;
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;
const BUSY_POLL_MICROS: libc::c_int = 20;
