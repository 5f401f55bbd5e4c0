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

/// Packets that were received: frames that we hold, until [`Umem::free_received`].
#[derive(Debug)]
pub struct Received {
    memory: Arc<Memory>,
    packets: Vec<Packet>,
}

/// A frame that we hold, and where in it the packet lies.
///
/// INVARIANT: the frame is one of the memory, offset and length lie within it.
#[derive(Debug)]
struct Packet {
    number: u32,
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

/// Where a frame is, in one comparable word: with us (free if the list of free ones has it, else held), or with
/// a ring of the socket with the number in the low byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State(u16);

impl State {
    const OURS: State = State(0);

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
            states: vec![State::OURS; frames].into_boxed_slice(),
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
        Some(Frame { number, of: self.memory.number })
    }

    /// Gives a frame back that we held.
    #[inline]
    pub fn free(&mut self, frame: Frame) {
        self.free.push(frame.number);
    }

    /// Gives the frames of the first `count` packets back.
    ///
    /// # Panics
    /// When they lie in another memory.
    pub fn free_received(&mut self, received: &mut Received, count: usize) {
        self.must_be_of(&received.memory);
        let Received { memory, packets } = received;
        let count = count.min(packets.len());
        self.free.extend(packets.drain(..count).map(|packet| {
            // WHY: where a driver has no room for the stamp, the next packet would be taken for as old as this one.
            if let Some(stamp) = memory.stamp_of(&packet) {
                // SAFETY: within the frame of the packet, which we hold and nobody reads any more.
                unsafe { stamp.write_unaligned(0) };
            }
            packet.number
        }));
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

    /// Hands at most `wanted` free frames to the kernel, to be received into by the socket `to`: their addresses for
    /// the ring, which must have room for all of them.
    #[inline]
    pub(super) fn lend_free(&mut self, to: u8, wanted: u32) -> impl Iterator<Item = u64> {
        let from = self.free.len().saturating_sub(wanted as usize);
        self.filling = self.filling.wrapping_add(self.free.len() - from);
        let (states, lent) = (&mut *self.states, State::lent(Borrower::Fill(to)));
        self.free.drain(from..).map(move |number| {
            if let Some(state) = states.get_mut(number as usize) {
                *state = lent;
            }
            u64::from(number) * FRAME_BYTES as u64
        })
    }

    /// Takes the frames back that `descriptors` name (of address, length, and whether the packet goes on in another
    /// frame), which the kernel has received into; those that the fill ring of `socket` does not have are counted and
    /// passed over. What reaches beyond its frame, or goes on in another one, is made an empty packet.
    #[inline]
    pub(super) fn reclaim_received(
        &mut self,
        received: &mut Received,
        socket: u8,
        descriptors: impl Iterator<Item = (u64, u32, bool)>,
    ) -> usize {
        self.must_be_of(&received.memory);
        let before = received.packets.len();
        let (states, lent, mut refused) = (&mut *self.states, State::lent(Borrower::Fill(socket)), 0);
        for (address, length, partial) in descriptors {
            let Some(number) = reclaim(states, address, lent) else {
                refused += 1;
                continue;
            };
            // INVARIANT: below 2,048.
            let offset = (address % FRAME_BYTES as u64) as u16;
            let fits = u64::from(offset) + u64::from(length) <= FRAME_BYTES as u64 && !partial;
            // INVARIANT: at most 2,048.
            received.packets.push(Packet { number, offset, length: if fits { length as u16 } else { 0 } });
        }
        let count = received.packets.len() - before;
        self.filling = self.filling.wrapping_sub(count);
        self.refused += refused;
        count
    }

    /// The frames that `addresses` lie in were sent, and are free again; those that the transmit ring of `socket`
    /// does not have are counted and passed over. Says how many came back.
    #[inline]
    pub(super) fn reclaim_sent(&mut self, socket: u8, addresses: impl Iterator<Item = u64>) -> usize {
        let before = self.free.len();
        let (states, lent, mut refused) = (&mut *self.states, State::lent(Borrower::Transmit(socket)), 0);
        for address in addresses {
            match reclaim(states, address, lent) {
                Some(number) => self.free.push(number),
                None => refused += 1,
            }
        }
        let count = self.free.len() - before;
        self.sending = self.sending.wrapping_sub(count);
        self.refused += refused;
        count
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
            let number = number as u32;
            self.set(number, State::OURS);
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
            match *state {
                State::OURS if *listed => found.free += 1,
                State::OURS => found.held += 1,
                _ if *listed => return Err(format!("frame {number} is {state:?} and in the list of free ones")),
                state if state.is_filling() => found.filling += 1,
                state if state.is_sending() => found.sending += 1,
                state => return Err(format!("frame {number} is {state:?}")),
            }
        }
        Ok(found)
    }

    /// Once a batch.
    fn must_be_of(&self, memory: &Memory) {
        assert!(memory.number == self.memory.number, "packets of another memory");
    }

    #[inline]
    fn set(&mut self, number: u32, state: State) {
        if let Some(place) = self.states.get_mut(number as usize) {
            *place = state;
        }
    }
}

/// Makes the frame that `address` lies in ours; `None`: it is not lent so.
#[inline(always)]
fn reclaim(states: &mut [State], address: u64, lent: State) -> Option<u32> {
    let number = address / FRAME_BYTES as u64;
    // INVARIANT: 64 bits are an index here.
    let state = states.get_mut(number as usize).filter(|state| **state == lent)?;
    *state = State::OURS;
    // INVARIANT: the number of a frame that exists is below 2^32.
    Some(number as u32)
}

impl Received {
    /// Room for so many packets of `memory`.
    pub fn new(memory: Arc<Memory>, most: usize) -> Self {
        Received { memory, packets: Vec::with_capacity(most) }
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The bytes of one.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&[u8]> {
        let packet = self.packets.get(at)?;
        let place = packet.number as usize * FRAME_BYTES + usize::from(packet.offset);
        // SAFETY: the packet lies within a frame of this memory, which we hold as long as it is listed here: nobody
        // writes to it, for there is no `Frame` of it.
        Some(unsafe { std::slice::from_raw_parts(self.memory.region.as_ptr().add(place), usize::from(packet.length)) })
    }

    /// What stands in the eight bytes before one: the XDP program's stamp, 0 where it could put none, or anything.
    #[inline]
    pub fn stamp(&self, at: usize) -> u64 {
        let stamp = self.packets.get(at).and_then(|packet| self.memory.stamp_of(packet));
        // SAFETY: within the frame of the packet, as in `get`.
        stamp.map_or(0, |stamp| unsafe { stamp.read_unaligned() })
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

    /// Where the stamp of a packet of this memory lies: within its frame.
    #[inline]
    fn stamp_of(&self, packet: &Packet) -> Option<*mut u64> {
        let at = usize::from(packet.offset).checked_sub(size_of::<u64>())?;
        Some(self.region.as_ptr().wrapping_add(packet.number as usize * FRAME_BYTES + at).cast())
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
mod tests;
