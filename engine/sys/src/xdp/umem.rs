//! UMEM: the memory of a shard's AF_XDP sockets, cut into frames, and the account of every frame.
//!
//! A frame is free, held by us (as a [`Frame`], which cannot be copied), or with the kernel: in a fill
//! ring to be received into, or in a transmit ring to be sent, always of one certain socket.
//!
//! INVARIANT: the kernel touches a frame only between `Umem::lend` or `lend_free` and `Umem::reclaim`. A `Frame`
//! exists for exactly those that we hold, once, so reading and writing one never races with the kernel
//! or with another holder. An address that comes back from the kernel but was not lent to that ring is
//! refused and counted.
//!
//! WHY memory and account are two values: a received frame is read in place while an answer is written
//! into another.

use crate::memory::Region;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a frame.
///
/// WHY: a power of two (aligned chunks), half a page, and an Ethernet frame of 1,518 bytes fits behind
/// the 256 bytes that drivers keep in front.
pub const FRAME_BYTES: usize = 2_048;

/// Bytes that the kernel keeps in front of a received packet (XDP_PACKET_HEADROOM).
pub const RECEIVE_HEADROOM: usize = 256;

/// Longest packet that can be received.
pub const RECEIVE_BYTES_MAX: usize = FRAME_BYTES - RECEIVE_HEADROOM;

/// A frame that we hold. Give it back with [`Umem::free`] or lend it to the kernel.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    number: u32,
    /// Number of the memory that it lies in.
    of: u32,
}

/// A packet that was received: a frame that we hold, and where in it the packet lies.
///
/// INVARIANT: offset and length lie within the frame.
#[derive(Debug)]
pub struct Packet {
    frame: Frame,
    offset: u16,
    length: u16,
}

/// The memory of a UMEM.
#[derive(Debug)]
pub struct Memory {
    region: Region,
    /// No other memory of this process has it, or ever had.
    number: u32,
}

// SAFETY: bytes are reached only by way of a `Frame`, of which there is one for each place.
unsafe impl Sync for Memory {}

/// Which ring of which socket a frame is lent to.
#[derive(Clone, Copy)]
enum Borrower {
    /// The fill ring of the socket with this number: to be received into.
    Fill(u8),
    /// The transmit ring of the socket with this number: to be sent.
    Transmit(u8),
}

/// Where all frames are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Frames that there are.
    pub frames: usize,
    /// Free.
    pub free: usize,
    /// Held by us.
    pub held: usize,
    /// With the kernel, to be received into.
    pub filling: usize,
    /// With the kernel, to be sent.
    pub sending: usize,
    /// Addresses that the kernel gave back without having them: 0 unless a driver is broken.
    pub refused: u64,
}

/// The memory and its account.
#[derive(Debug)]
pub struct Umem {
    memory: Arc<Memory>,
    states: Box<[State]>,
    /// Last in, first out, so that the same few frames stay in cache.
    free: Vec<u32>,
    /// Most frames that may be lent to be received into: the others stay for sending.
    filling_max: usize,
    filling: usize,
    sending: usize,
    refused: u64,
}

/// Where a frame is, in one comparable word: free, held, or with a ring of the socket with the number in the
/// low byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State(u16);

impl State {
    const FREE: State = State(0);
    const HELD: State = State(1);

    const fn lent(to: Borrower) -> Self {
        match to {
            Borrower::Fill(socket) => State(0x100 | socket as u16),
            Borrower::Transmit(socket) => State(0x200 | socket as u16),
        }
    }

    const fn is_filling(self) -> bool {
        self.0 & 0x100 != 0
    }

    const fn is_sending(self) -> bool {
        self.0 & 0x200 != 0
    }
}

impl Umem {
    /// Memory of frames, all free: at most `receive` of them are lent to be received into at a time, and
    /// `send` are left.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn new(receive: usize, send: usize) -> io::Result<Self> {
        let frames = receive.saturating_add(send);
        let count = u32::try_from(frames).map_err(|_| io::ErrorKind::InvalidInput)?;
        // WHY checked: a number that comes again would make frames of another memory good in this one.
        let number = MEMORIES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| number.checked_add(1));
        let number = number.map_err(|_| io::ErrorKind::OutOfMemory)?;
        let region = Region::new(frames.saturating_mul(FRAME_BYTES))?;
        Ok(Umem {
            memory: Arc::new(Memory { region, number }),
            states: vec![State::FREE; frames].into_boxed_slice(),
            free: (0..count).rev().collect(),
            filling_max: receive,
            filling: 0,
            sending: 0,
            refused: 0,
        })
    }

    /// Takes a free frame.
    #[inline]
    pub fn take(&mut self) -> Option<Frame> {
        let number = self.free.pop()?;
        self.set(number, State::HELD);
        Some(self.frame(number))
    }

    /// Gives a frame back that we held.
    #[inline]
    pub fn free(&mut self, frame: Frame) {
        self.put_back(frame.number);
    }

    /// Gives the frame of a packet back.
    #[inline]
    pub fn free_packet(&mut self, packet: Packet) {
        self.put_back(packet.frame.number);
    }

    /// Frames that may still be lent to be received into.
    pub fn fill_room(&self) -> usize {
        self.filling_max.saturating_sub(self.filling)
    }

    /// The memory, to read and write frames.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Hands a frame to the kernel, to be sent by the socket `to`; returns its address for the ring.
    #[inline]
    pub(super) fn lend(&mut self, frame: Frame, to: u8) -> u64 {
        self.sending = self.sending.wrapping_add(1);
        self.set(frame.number, State::lent(Borrower::Transmit(to)));
        u64::from(frame.number) * FRAME_BYTES as u64
    }

    /// Hands a free frame to the kernel, to be received into by the socket `to`; returns its address for the ring.
    #[inline]
    pub(super) fn lend_free(&mut self, to: u8) -> Option<u64> {
        let number = self.free.pop()?;
        self.filling = self.filling.wrapping_add(1);
        self.set(number, State::lent(Borrower::Fill(to)));
        Some(u64::from(number) * FRAME_BYTES as u64)
    }

    /// Takes the frame back that `address` lies in, with the `length` bytes from there on, which the kernel
    /// has received into it; `None` (counted) when the fill ring of `socket` does not have it. What reaches
    /// beyond the frame, or goes on in another one, is made an empty packet.
    #[inline]
    pub(super) fn reclaim_received(&mut self, address: u64, length: u32, partial: bool, socket: u8) -> Option<Packet> {
        let number = self.reclaim(address, Borrower::Fill(socket), State::HELD)?;
        self.filling = self.filling.wrapping_sub(1);
        // INVARIANT: below 2,048.
        let offset = (address % FRAME_BYTES as u64) as u16;
        let fits = u64::from(offset) + u64::from(length) <= FRAME_BYTES as u64 && !partial;
        // INVARIANT: at most 2,048.
        let length = if fits { length as u16 } else { 0 };
        Some(Packet { frame: self.frame(number), offset, length })
    }

    /// The frame that `address` lies in was sent, and is free again; false (counted) when the transmit ring of
    /// `socket` does not have it.
    #[inline]
    pub(super) fn reclaim_sent(&mut self, address: u64, socket: u8) -> bool {
        let Some(number) = self.reclaim(address, Borrower::Transmit(socket), State::FREE) else {
            return false;
        };
        self.sending = self.sending.wrapping_sub(1);
        self.free.push(number);
        true
    }

    #[inline]
    fn reclaim(&mut self, address: u64, from: Borrower, now: State) -> Option<u32> {
        // INVARIANT: what does not fit 32 bits after this is no frame's number: see the next line.
        let number = usize::try_from(address / FRAME_BYTES as u64).ok();
        let state = number.and_then(|number| self.states.get_mut(number));
        let Some(state) = state.filter(|state| **state == State::lent(from)) else {
            self.refused += 1;
            return None;
        };
        *state = now;
        // INVARIANT: the number of a frame that exists is below 2^32.
        Some((address / FRAME_BYTES as u64) as u32)
    }

    /// Takes every frame back that socket number `socket` still has. Only once it is closed: until then
    /// the kernel may write into them.
    pub(super) fn reclaim_all(&mut self, socket: u8) {
        for number in 0..self.states.len() {
            match self.states.get(number) {
                Some(state) if *state == State::lent(Borrower::Fill(socket)) => self.filling -= 1,
                Some(state) if *state == State::lent(Borrower::Transmit(socket)) => self.sending -= 1,
                _ => continue,
            }
            // INVARIANT: there are at most 2^32 frames.
            self.put_back(number as u32);
        }
    }

    /// Where all frames are, as it was kept from frame to frame.
    pub fn account(&self) -> Account {
        let away = self.free.len() + self.filling + self.sending;
        Account {
            frames: self.states.len(),
            free: self.free.len(),
            held: self.states.len().saturating_sub(away),
            filling: self.filling,
            sending: self.sending,
            refused: self.refused,
        }
    }

    /// The same, found by looking at every frame. Slow: for tests.
    ///
    /// # Errors
    /// When a frame is listed as free twice, or is not what the lists say.
    pub fn audit(&self) -> Result<Account, String> {
        let mut found = Account { frames: self.states.len(), refused: self.refused, ..Account::default() };
        let mut listed = vec![false; self.states.len()];
        for number in &self.free {
            let seen = listed.get_mut(*number as usize).ok_or_else(|| format!("frame {number} does not exist"))?;
            if std::mem::replace(seen, true) {
                return Err(format!("frame {number} is free twice"));
            }
        }
        for (number, (state, listed)) in self.states.iter().zip(&listed).enumerate() {
            if (*state == State::FREE) != *listed {
                return Err(format!("frame {number} is {state:?} and its place in the list of free ones {listed}"));
            }
            match *state {
                State::FREE => found.free += 1,
                State::HELD => found.held += 1,
                state if state.is_filling() => found.filling += 1,
                state if state.is_sending() => found.sending += 1,
                state => return Err(format!("frame {number} is {state:?}")),
            }
        }
        Ok(found)
    }

    #[inline]
    fn frame(&self, number: u32) -> Frame {
        Frame { number, of: self.memory.number }
    }

    #[inline]
    fn put_back(&mut self, number: u32) {
        self.set(number, State::FREE);
        self.free.push(number);
    }

    #[inline]
    fn set(&mut self, number: u32, state: State) {
        if let Some(place) = self.states.get_mut(number as usize) {
            *place = state;
        }
    }
}

impl Memory {
    /// The bytes of a frame.
    ///
    /// # Panics
    /// When the frame lies in another memory.
    #[inline]
    pub fn bytes<'a>(&'a self, frame: &'a Frame) -> &'a [u8; FRAME_BYTES] {
        // SAFETY: the frame lies in this memory, is held by us, and is borrowed; only `bytes_mut` of the
        // same frame could write to it.
        unsafe { &*self.place(frame).cast() }
    }

    /// The bytes of a frame, to be written.
    ///
    /// # Panics
    /// When the frame lies in another memory.
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the frame is borrowed mutably, and there is one for each place")]
    pub fn bytes_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8; FRAME_BYTES] {
        // SAFETY: the frame lies in this memory and is held by us; there is one `Frame` for each place,
        // and it is borrowed mutably.
        unsafe { &mut *self.place(frame).cast() }
    }

    /// The bytes of a packet that was received.
    ///
    /// # Panics
    /// When it lies in another memory.
    #[inline]
    pub fn packet<'a>(&'a self, packet: &'a Packet) -> &'a [u8] {
        let start = self.place(&packet.frame).wrapping_add(usize::from(packet.offset));
        // SAFETY: as in `bytes`; a packet lies within its frame.
        unsafe { std::slice::from_raw_parts(start, usize::from(packet.length)) }
    }

    /// Where `address` lies, if `length` bytes from there are within one frame.
    pub(super) fn lent(&self, address: u64, length: usize) -> Option<*mut u8> {
        let address = usize::try_from(address).ok()?;
        let within = address % FRAME_BYTES + length <= FRAME_BYTES && address + length <= self.region.len();
        within.then(|| self.region.as_ptr().wrapping_add(address))
    }

    /// Start and length, to be registered.
    pub(super) fn region(&self) -> (*mut u8, usize) {
        (self.region.as_ptr(), self.region.len())
    }

    #[inline]
    fn place(&self, frame: &Frame) -> *mut u8 {
        assert!(frame.of == self.number, "a frame of another memory");
        // INVARIANT: a UMEM numbers its frames within its memory.
        self.region.as_ptr().wrapping_add(frame.number as usize * FRAME_BYTES)
    }
}

/// Memories that there were.
static MEMORIES: AtomicU32 = AtomicU32::new(0);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn every_frame_is_somewhere_and_only_there() {
        let mut umem = Umem::new(4, 4).unwrap();
        let frame = umem.take().unwrap();
        let second = umem.take().unwrap();
        umem.free(frame);
        let address = umem.lend_free(0).unwrap();
        assert_eq!(umem.account(), Account { frames: 8, free: 6, held: 1, filling: 1, ..Account::default() });
        assert!(!umem.reclaim_sent(address, 0), "another ring");
        assert!(umem.reclaim_received(address, 60, false, 1).is_none(), "another socket");
        assert!(umem.reclaim_received(1 << 50, 60, false, 0).is_none(), "no such frame");
        let packet = umem.reclaim_received(address + 256, 60, false, 0).unwrap();
        assert_eq!(umem.memory().packet(&packet).len(), 60);
        assert!(umem.reclaim_received(address, 60, false, 0).is_none(), "twice");
        umem.free_packet(packet);
        let address = umem.lend(second, 3);
        assert_eq!(umem.account(), Account { frames: 8, free: 7, sending: 1, refused: 4, ..Account::default() });
        assert!(umem.reclaim_sent(address, 3));
        assert_eq!(umem.account(), Account { frames: 8, free: 8, refused: 4, ..Account::default() });
        assert_eq!(umem.audit(), Ok(umem.account()));
    }

    #[test]
    fn a_packet_never_reaches_beyond_its_frame() {
        let mut umem = Umem::new(4, 4).unwrap();
        for (offset, length, partial, read) in [
            (256, 1_792, false, 1_792),
            (256, 1_793, false, 0),
            (0, 2_048, false, 2_048),
            (2_047, 1, false, 1),
            (2_047, u32::MAX, false, 0),
            (256, 60, true, 0),
        ] {
            let address = umem.lend_free(0).unwrap() + offset;
            let packet = umem.reclaim_received(address, length, partial, 0).unwrap();
            assert_eq!(umem.memory().packet(&packet).len(), read, "{offset} {length}");
            umem.free_packet(packet);
        }
    }

    #[test]
    fn a_closed_sockets_frames_come_back() {
        let mut umem = Umem::new(4, 4).unwrap();
        umem.lend_free(0).unwrap();
        umem.lend_free(1).unwrap();
        let frame = umem.take().unwrap();
        umem.lend(frame, 0);
        umem.reclaim_all(0);
        assert_eq!(umem.audit(), Ok(Account { frames: 8, free: 7, filling: 1, ..Account::default() }));
        assert_eq!(umem.audit(), Ok(umem.account()));
    }

    #[test]
    fn frames_do_not_overlap() {
        let mut umem = Umem::new(1, 1).unwrap();
        let (mut first, mut second) = (umem.take().unwrap(), umem.take().unwrap());
        let memory = Arc::clone(umem.memory());
        memory.bytes_mut(&mut first).fill(1);
        memory.bytes_mut(&mut second).fill(2);
        assert!(memory.bytes(&first).iter().all(|byte| *byte == 1));
        assert_eq!(memory.bytes(&second).len(), FRAME_BYTES);
    }

    #[test]
    #[should_panic(expected = "another memory")]
    fn a_frame_is_good_in_its_own_memory_only() {
        let (mut one, other) = (Umem::new(1, 1).unwrap(), Umem::new(1, 1).unwrap());
        let frame = one.take().unwrap();
        other.memory().bytes(&frame);
    }
}
