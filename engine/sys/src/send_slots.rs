//! Slots that outgoing datagrams are written into, each with the header that the kernel reads.
//!
//! Two pools: ordinary slots, handed out last-in first-out so that the same few stay in cache, and
//! slots that take the largest message. A slot is free, or committed: its header is filled.

use crate::address::RawAddress;
use crate::ancillary::{self, SOURCE_BYTES};
use crate::memory::Region;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The slots of one shard.
#[derive(Debug)]
pub struct SendSlots {
    small: Pool,
    large: Pool,
    /// By slot id: all small ones, then all large ones. The pointers in a header lead to the boxed
    /// slice itself and to the pools' mappings, neither of which ever moves.
    headers: Box<[Header]>,
    /// What `reserve` gave out last.
    reserved: Option<usize>,
}

/// Names a committed slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(u32);

#[derive(Debug)]
struct Pool {
    memory: Region,
    slot_bytes: usize,
    first_id: usize,
    free: Vec<usize>,
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Header {
    message: libc::msghdr,
    payload: libc::iovec,
    name: RawAddress,
    control: Aligned,
    socket: u16,
    tries: u8,
    committed: bool,
}

#[derive(Debug)]
#[repr(C, align(8))]
struct Aligned([u8; SOURCE_BYTES]);

impl SendSlots {
    /// `small` slots of `small_bytes` and `large` ones of `large_bytes`.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn new(small: usize, small_bytes: usize, large: usize, large_bytes: usize) -> io::Result<Self> {
        Ok(SendSlots {
            small: Pool::new(small, small_bytes, 0)?,
            large: Pool::new(large, large_bytes, small)?,
            headers: (0..small + large).map(|_| Header::new()).collect(),
            reserved: None,
        })
    }

    /// A free small (or large) slot to write into. It is taken by [`SendSlots::commit`] only.
    pub fn reserve(&mut self, large: bool) -> Option<&mut [u8]> {
        let pool = if large { &mut self.large } else { &mut self.small };
        let id = *pool.free.last()?;
        self.reserved = Some(id);
        pool.slot_mut(id)
    }

    /// Takes the slot that was reserved last: `length` bytes of it go to `peer`, from `source` if
    /// given, on socket number `socket`. `None` when nothing was reserved.
    pub fn commit(&mut self, socket: u16, peer: SocketAddr, source: Option<IpAddr>, length: usize) -> Option<SlotId> {
        let id = self.reserved.take()?;
        let pool = self.pool_of(id);
        pool.free.pop_if(|free| *free == id)?;
        let bytes = pool.slot_mut(id)?;
        let length = length.min(bytes.len());
        let start = bytes.as_mut_ptr();
        self.headers.get_mut(id)?.fill(socket, peer, source, start, length);
        Some(SlotId(u32::try_from(id).ok()?))
    }

    /// Gives a slot back.
    ///
    /// # Panics
    /// When it is free already: it would be handed out twice.
    pub fn release(&mut self, slot: SlotId) {
        let id = slot.0 as usize;
        let header = &mut self.headers[id];
        assert!(header.committed, "only a committed slot can be released");
        header.committed = false;
        self.pool_of(id).free.push(id);
    }

    /// The socket number that a slot was committed for.
    pub fn socket(&self, slot: SlotId) -> u16 {
        self.headers[slot.0 as usize].socket
    }

    /// Payload length of a slot.
    pub fn length(&self, slot: SlotId) -> usize {
        self.headers[slot.0 as usize].payload.iov_len
    }

    /// Destination of a slot.
    pub fn peer(&self, slot: SlotId) -> Option<SocketAddr> {
        RawAddress::decode(self.headers[slot.0 as usize].name.as_bytes())
    }

    /// Counts one more try; returns how many there were before.
    pub fn count_try(&mut self, slot: SlotId) -> u8 {
        let header = &mut self.headers[slot.0 as usize];
        let tries = header.tries;
        header.tries = tries.saturating_add(1);
        tries
    }

    /// Free small slots.
    pub fn free_small(&self) -> usize {
        self.small.free.len()
    }

    /// The kernel's header of a slot, and the pieces it points to.
    pub(crate) fn message(&self, slot: SlotId) -> &libc::msghdr {
        &self.headers[slot.0 as usize].message
    }

    /// Where a slot's payload lies, and how long it is.
    pub(crate) fn payload(&self, slot: SlotId) -> (*const u8, u32) {
        let payload = &self.headers[slot.0 as usize].payload;
        // INVARIANT: a payload is never longer than its slot, far below u32.
        (payload.iov_base.cast_const().cast(), payload.iov_len as u32)
    }

    fn pool_of(&mut self, id: usize) -> &mut Pool {
        if id < self.large.first_id { &mut self.small } else { &mut self.large }
    }
}

impl SlotId {
    /// As a number, to travel through the kernel.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn from_number(number: u32) -> Self {
        SlotId(number)
    }
}

impl Pool {
    fn new(count: usize, slot_bytes: usize, first_id: usize) -> io::Result<Self> {
        Ok(Pool {
            memory: Region::new(count * slot_bytes)?,
            slot_bytes,
            first_id,
            free: (first_id..first_id + count).rev().collect(),
        })
    }

    fn slot_mut(&mut self, id: usize) -> Option<&mut [u8]> {
        let start = (id - self.first_id) * self.slot_bytes;
        self.memory.get_mut(start..start + self.slot_bytes)
    }
}

impl Header {
    fn new() -> Self {
        Header {
            // SAFETY: msghdr is plain data for which zero is valid.
            message: unsafe { std::mem::zeroed() },
            payload: libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 },
            name: RawAddress::EMPTY,
            control: Aligned([0; SOURCE_BYTES]),
            socket: 0,
            tries: 0,
            committed: false,
        }
    }

    fn fill(&mut self, socket: u16, peer: SocketAddr, source: Option<IpAddr>, start: *mut u8, length: usize) {
        self.socket = socket;
        self.tries = 0;
        self.committed = true;
        self.name = RawAddress::from(peer);
        self.payload.iov_base = start.cast();
        self.payload.iov_len = length;
        let control_length = source.map_or(0, |ip| ancillary::write_source(&mut self.control.0, ip));
        self.message.msg_name = (&raw mut self.name).cast();
        self.message.msg_namelen = self.name.as_bytes().len() as libc::socklen_t;
        self.message.msg_iov = &raw mut self.payload;
        self.message.msg_iovlen = 1;
        self.message.msg_control =
            if control_length == 0 { std::ptr::null_mut() } else { self.control.0.as_mut_ptr().cast() };
        self.message.msg_controllen = control_length;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn peer() -> SocketAddr {
        "192.0.2.1:5060".parse().unwrap()
    }

    #[test]
    fn reserving_twice_gives_the_same_slot_and_commit_takes_it() {
        let mut slots = SendSlots::new(2, 64, 1, 128).unwrap();
        let first = slots.reserve(false).unwrap().as_ptr();
        assert_eq!(slots.reserve(false).unwrap().as_ptr(), first);
        let id = slots.commit(3, peer(), None, 10).unwrap();
        assert_eq!((slots.socket(id), slots.length(id), slots.peer(id)), (3, 10, Some(peer())));
        assert_ne!(slots.reserve(false).unwrap().as_ptr(), first);
        slots.commit(0, peer(), None, 10).unwrap();
        assert!(slots.reserve(false).is_none(), "both small slots are taken");
        assert_eq!(slots.reserve(true).unwrap().len(), 128);
        slots.release(id);
        assert_eq!(slots.reserve(false).unwrap().as_ptr(), first, "last in, first out");
    }

    #[test]
    fn commit_needs_a_reservation() {
        let mut slots = SendSlots::new(1, 64, 1, 128).unwrap();
        assert!(slots.commit(0, peer(), None, 1).is_none());
    }

    #[test]
    #[should_panic(expected = "only a committed slot")]
    fn a_slot_is_released_once() {
        let mut slots = SendSlots::new(1, 64, 1, 128).unwrap();
        slots.reserve(false).unwrap();
        let id = slots.commit(0, peer(), None, 1).unwrap();
        slots.release(id);
        slots.release(id);
    }
}
