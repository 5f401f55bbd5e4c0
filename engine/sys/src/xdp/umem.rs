//! UMEM: the memory of a shard's AF_XDP sockets, cut into frames, and the account of every frame.
//!
//! A frame is free, held by us (as a [`Frame`], which cannot be copied), or with the kernel: in a fill
//! ring to be received into, or in a transmit ring to be sent, always of one certain socket.
//!
//! INVARIANT: the kernel touches a frame only between [`Umem::lend`] and [`Umem::reclaim`]. A `Frame`
//! exists for exactly those that we hold, once, so reading and writing one never races with the kernel
//! or with another holder. An address that comes back from the kernel but was not lent to that ring is
//! refused and counted.
//!
//! WHY memory and account are two values: a received frame is read in place while an answer is written
//! into another.

use crate::memory::Region;
use std::io;
use std::sync::Arc;

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
    /// Where the memory starts that it lies in.
    of: usize,
}

/// The memory of a UMEM.
#[derive(Debug)]
pub struct Memory(Region);

// SAFETY: bytes are reached only by way of a `Frame`, of which there is one for each place.
unsafe impl Sync for Memory {}

/// Which ring of which socket a frame is lent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Borrower {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Held,
    Lent(Borrower),
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
        Ok(Umem {
            memory: Arc::new(Memory(Region::new(frames.saturating_mul(FRAME_BYTES))?)),
            states: vec![State::Free; frames].into_boxed_slice(),
            free: (0..count).rev().collect(),
            filling_max: receive,
            filling: 0,
            sending: 0,
            refused: 0,
        })
    }

    /// Takes a free frame.
    pub fn take(&mut self) -> Option<Frame> {
        let number = self.free.pop()?;
        self.set(number, State::Held);
        Some(self.frame(number))
    }

    /// Gives a frame back that we held.
    pub fn free(&mut self, frame: Frame) {
        self.set(frame.number, State::Free);
        self.free.push(frame.number);
    }

    /// Frames that may still be lent to be received into.
    pub fn fill_room(&self) -> usize {
        self.filling_max.saturating_sub(self.filling)
    }

    /// The memory, to read and write frames.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Hands a frame to the kernel; returns its address for the ring.
    pub(super) fn lend(&mut self, frame: Frame, to: Borrower) -> u64 {
        match to {
            Borrower::Fill(_) => self.filling += 1,
            Borrower::Transmit(_) => self.sending += 1,
        }
        self.set(frame.number, State::Lent(to));
        u64::from(frame.number) * FRAME_BYTES as u64
    }

    /// Takes the frame back that `address` lies in, with the offset of `address` in it; `None` (counted)
    /// when `from` does not have it.
    pub(super) fn reclaim(&mut self, address: u64, from: Borrower) -> Option<(Frame, usize)> {
        let number = usize::try_from(address / FRAME_BYTES as u64).ok();
        let state = number.and_then(|number| self.states.get_mut(number));
        let Some(state) = state.filter(|state| **state == State::Lent(from)) else {
            self.refused += 1;
            return None;
        };
        *state = State::Held;
        match from {
            Borrower::Fill(_) => self.filling -= 1,
            Borrower::Transmit(_) => self.sending -= 1,
        }
        let offset = address % FRAME_BYTES as u64;
        // INVARIANT: the number of a frame that exists is below 2^32, and the offset below 2,048.
        Some((self.frame((address / FRAME_BYTES as u64) as u32), offset as usize))
    }

    /// Takes every frame back that socket number `socket` still has. Only once it is closed: until then
    /// the kernel may write into them.
    pub(super) fn reclaim_all(&mut self, socket: u8) {
        for number in 0..self.states.len() {
            match self.states.get(number) {
                Some(State::Lent(Borrower::Fill(of))) if *of == socket => self.filling -= 1,
                Some(State::Lent(Borrower::Transmit(of))) if *of == socket => self.sending -= 1,
                _ => continue,
            }
            // INVARIANT: there are at most 2^32 frames.
            let number = number as u32;
            self.set(number, State::Free);
            self.free.push(number);
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
            if (*state == State::Free) != *listed {
                return Err(format!("frame {number} is {state:?} and its place in the list of free ones {listed}"));
            }
            match state {
                State::Free => found.free += 1,
                State::Held => found.held += 1,
                State::Lent(Borrower::Fill(_)) => found.filling += 1,
                State::Lent(Borrower::Transmit(_)) => found.sending += 1,
            }
        }
        Ok(found)
    }

    fn frame(&self, number: u32) -> Frame {
        Frame { number, of: self.memory.start() }
    }

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
    pub fn bytes<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        // SAFETY: the frame lies in this memory, is held by us, and is borrowed; only `bytes_mut` of the
        // same frame could write to it.
        unsafe { std::slice::from_raw_parts(self.place(frame), FRAME_BYTES) }
    }

    /// The bytes of a frame, to be written.
    ///
    /// # Panics
    /// When the frame lies in another memory.
    #[allow(clippy::mut_from_ref, reason = "the frame is borrowed mutably, and there is one for each place")]
    pub fn bytes_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        // SAFETY: the frame lies in this memory and is held by us; there is one `Frame` for each place,
        // and it is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.place(frame), FRAME_BYTES) }
    }

    /// Where `address` lies, if `length` bytes from there are within one frame.
    pub(super) fn lent(&self, address: u64, length: usize) -> Option<*mut u8> {
        let address = usize::try_from(address).ok()?;
        let within = address % FRAME_BYTES + length <= FRAME_BYTES && address + length <= self.0.len();
        within.then(|| self.0.as_ptr().wrapping_add(address))
    }

    /// Start and length, to be registered.
    pub(super) fn region(&self) -> (*mut u8, usize) {
        (self.0.as_ptr(), self.0.len())
    }

    fn start(&self) -> usize {
        self.0.as_ptr() as usize
    }

    fn place(&self, frame: &Frame) -> *mut u8 {
        assert_eq!(frame.of, self.start(), "a frame of another memory");
        // INVARIANT: a UMEM numbers its frames within its memory.
        self.0.as_ptr().wrapping_add(frame.number as usize * FRAME_BYTES)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn every_frame_is_somewhere_and_only_there() {
        let mut umem = Umem::new(4, 4).unwrap();
        let frame = umem.take().unwrap();
        let second = umem.take().unwrap();
        let address = umem.lend(frame, Borrower::Fill(0));
        assert_eq!(umem.account(), Account { frames: 8, free: 6, held: 1, filling: 1, ..Account::default() });
        assert!(umem.reclaim(address, Borrower::Transmit(0)).is_none(), "another ring");
        assert!(umem.reclaim(address, Borrower::Fill(1)).is_none(), "another socket");
        assert!(umem.reclaim(1 << 40, Borrower::Fill(0)).is_none(), "no such frame");
        let (frame, offset) = umem.reclaim(address + 256, Borrower::Fill(0)).unwrap();
        assert_eq!(offset, 256);
        assert!(umem.reclaim(address, Borrower::Fill(0)).is_none(), "twice");
        umem.free(frame);
        umem.free(second);
        assert_eq!(umem.account(), Account { frames: 8, free: 8, refused: 4, ..Account::default() });
        assert_eq!(umem.audit(), Ok(umem.account()));
    }

    #[test]
    fn a_closed_sockets_frames_come_back() {
        let mut umem = Umem::new(4, 4).unwrap();
        for borrower in [Borrower::Fill(0), Borrower::Transmit(0), Borrower::Fill(1)] {
            let frame = umem.take().unwrap();
            umem.lend(frame, borrower);
        }
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
