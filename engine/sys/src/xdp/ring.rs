//! One ring between us and the kernel: a single producer, a single consumer, entries of plain data.
//!
//! Each side keeps what it last saw of the other and looks again only when that is used up, so that
//! the shared cache line is touched once a batch.

use crate::memory::Region;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// An entry of a receive or transmit ring (`struct xdp_desc`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Descriptor {
    /// Where in the UMEM.
    pub address: u64,
    /// How many bytes.
    pub length: u32,
    /// XDP_PKT_CONTD and others.
    pub options: u32,
}

/// What can stand in a ring.
pub trait Entry: Copy + Default + sealed::Sealed {}
impl Entry for u64 {}
impl Entry for Descriptor {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u64 {}
    impl Sealed for super::Descriptor {}
}

/// Memory that a ring lies in.
#[derive(Debug)]
pub(super) enum Memory {
    /// Shared with the kernel.
    Mapped(#[allow(dead_code, reason = "kept alive for the pointers into it")] Mapping),
    /// Our own, shared by two ends in this process.
    Own(#[allow(dead_code, reason = "kept alive for the pointers into it")] Arc<Shared>),
}

/// Memory of our own that two ends reach.
#[derive(Debug)]
pub(super) struct Shared(Region);

// SAFETY: its bytes are reached by the two ends alone, which keep to the protocol of a ring.
unsafe impl Sync for Shared {}

/// A mapping of a socket's ring.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) start: NonNull<u8>,
    pub(super) length: usize,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the ring that pointed into it goes with it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Offsets of a ring's parts in its memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offsets {
    pub(super) producer: usize,
    pub(super) consumer: usize,
    pub(super) flags: usize,
    pub(super) entries: usize,
}

/// One end of a ring, with what both kinds of ends need.
#[derive(Debug)]
struct End<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    mask: u32,
    /// Our own position, not yet published.
    own: u32,
    /// What we last saw of the other side: up to here we may go.
    limit: u32,
    _memory: Memory,
}

// SAFETY: an end is used by one thread at a time; the other side is reached by atomics only.
unsafe impl<T: Send> Send for End<T> {}

/// The end that puts entries in.
#[derive(Debug)]
pub struct Producer<T>(End<T>);

/// The end that takes entries out.
#[derive(Debug)]
pub struct Consumer<T>(End<T>);

impl<T: Entry> End<T> {
    /// # Safety
    /// `memory` holds a ring of `size` (a power of two) entries of `T` at `offsets`, and starts at `start`.
    unsafe fn new(memory: Memory, start: NonNull<u8>, offsets: Offsets, size: u32) -> Self {
        // SAFETY: the caller vouches for the offsets; the kernel aligns all of them.
        unsafe {
            End {
                producer: start.add(offsets.producer).cast(),
                consumer: start.add(offsets.consumer).cast(),
                flags: start.add(offsets.flags).cast(),
                entries: start.add(offsets.entries).cast(),
                mask: size - 1,
                own: 0,
                limit: 0,
                _memory: memory,
            }
        }
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: points into memory that lives as long as `self` (see `new`).
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.consumer.as_ref() }
    }

    fn flags(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.flags.as_ref() }
    }

    #[inline]
    fn entry(&self, position: u32) -> *mut T {
        // SAFETY: masked, so within the ring's entries.
        unsafe { self.entries.as_ptr().add((position & self.mask) as usize) }
    }
}

impl<T: Entry> Producer<T> {
    /// # Safety
    /// As [`End::new`]; nobody else produces into this ring.
    pub(super) unsafe fn new(memory: Memory, start: NonNull<u8>, offsets: Offsets, size: u32) -> Self {
        // SAFETY: passed on to the caller.
        let mut end = unsafe { End::new(memory, start, offsets, size) };
        end.own = end.producer().load(Ordering::Relaxed);
        end.limit = end.consumer().load(Ordering::Acquire).wrapping_add(size);
        Producer(end)
    }

    /// Places that are free, as far as is known without looking again, or after looking again when
    /// that is less than `wanted`.
    #[inline]
    pub fn room(&mut self, wanted: u32) -> u32 {
        let end = &mut self.0;
        let room = end.limit.wrapping_sub(end.own);
        if room >= wanted {
            return room;
        }
        end.limit = end.consumer().load(Ordering::Acquire).wrapping_add(end.mask + 1);
        end.limit.wrapping_sub(end.own)
    }

    /// Puts one in; false when the ring is full. It is seen after [`Producer::publish`].
    #[inline]
    pub fn push(&mut self, value: T) -> bool {
        if self.room(1) == 0 {
            return false;
        }
        let place = self.0.entry(self.0.own);
        // SAFETY: the place is within the ring, and the consumer does not read it before it is published.
        unsafe { place.write(value) };
        self.0.own = self.0.own.wrapping_add(1);
        true
    }

    /// Puts all of these in, as far as there is room as [`Producer::room`] said; returns how many that were. They are
    /// seen after [`Producer::publish`].
    #[inline]
    pub fn fill(&mut self, values: impl Iterator<Item = T>) -> u32 {
        let end = &mut self.0;
        let (entries, mask, first) = (end.entries, end.mask, end.own);
        let mut own = first;
        for value in values.take(end.limit.wrapping_sub(first) as usize) {
            // SAFETY: masked, so within the ring's entries, and the consumer does not read it before it is published.
            unsafe { entries.add((own & mask) as usize).write(value) };
            own = own.wrapping_add(1);
        }
        end.own = own;
        own.wrapping_sub(first)
    }

    /// Shows the other side all that was put in.
    #[inline]
    pub fn publish(&self) {
        self.0.producer().store(self.0.own, Ordering::Release);
    }

    /// True when the other side asks to be woken by a system call.
    #[inline]
    pub fn needs_wakeup(&self) -> bool {
        self.0.flags().load(Ordering::Relaxed) & NEED_WAKEUP != 0
    }

    /// Entries that the other side has not taken yet.
    pub fn outstanding(&self) -> u32 {
        self.0.own.wrapping_sub(self.0.consumer().load(Ordering::Acquire))
    }
}

impl<T: Entry> Consumer<T> {
    /// # Safety
    /// As [`End::new`]; nobody else consumes from this ring.
    pub(super) unsafe fn new(memory: Memory, start: NonNull<u8>, offsets: Offsets, size: u32) -> Self {
        // SAFETY: passed on to the caller.
        let mut end = unsafe { End::new(memory, start, offsets, size) };
        end.own = end.consumer().load(Ordering::Relaxed);
        end.limit = end.own;
        Consumer(end)
    }

    /// True when there is something to take.
    #[inline]
    pub fn any(&mut self) -> bool {
        if self.0.own == self.0.limit {
            self.0.limit = self.0.producer().load(Ordering::Acquire);
        }
        self.0.own != self.0.limit
    }

    /// Takes out what has been published, at most `most`. The places are free for the other side after
    /// [`Consumer::publish`].
    #[inline]
    pub fn drain(&mut self, most: u32) -> impl Iterator<Item = T> {
        let end = &mut self.0;
        end.limit = end.producer().load(Ordering::Acquire);
        let (first, count) = (end.own, end.limit.wrapping_sub(end.own).min(most));
        end.own = first.wrapping_add(count);
        let (entries, mask) = (end.entries, end.mask);
        (0..count).map(move |step| {
            let place = (first.wrapping_add(step) & mask) as usize;
            // SAFETY: masked, so within the ring's entries, which the iterator's borrow keeps; the producer has
            // published it and does not write to it before we publish ours; every bit pattern is a `T`.
            unsafe { entries.add(place).read() }
        })
    }

    /// Takes one out. Its place is free for the other side after [`Consumer::publish`].
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if !self.any() {
            return None;
        }
        // SAFETY: the place is within the ring, the producer has published it and does not write to it
        // before we publish ours; every bit pattern is a `T`.
        let value = unsafe { self.0.entry(self.0.own).read() };
        self.0.own = self.0.own.wrapping_add(1);
        Some(value)
    }

    /// Lets the other side use the places of all that was taken.
    #[inline]
    pub fn publish(&self) {
        self.0.consumer().store(self.0.own, Ordering::Release);
    }

    /// Asks to be woken, or no longer: what the kernel does to us, for a ring of our own.
    pub fn set_needs_wakeup(&self, needs: bool) {
        self.0.flags().store(if needs { NEED_WAKEUP } else { 0 }, Ordering::Relaxed);
    }
}

/// A ring of `size` entries (a power of two) in memory of our own, for tests and measurements that play
/// the kernel.
///
/// # Errors
/// When there is not enough memory, or `size` is no power of two.
pub fn in_memory<T: Entry>(size: u32) -> io::Result<(Producer<T>, Consumer<T>)> {
    if !size.is_power_of_two() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Each on a cache line pair of its own.
    let offsets = Offsets { producer: 0, consumer: 128, flags: 256, entries: 384 };
    let region = Arc::new(Shared(Region::new(offsets.entries + size as usize * size_of::<T>())?));
    let start = NonNull::new(region.0.as_ptr()).ok_or(io::ErrorKind::OutOfMemory)?;
    // SAFETY: the region is zeroed, large enough for this layout, and kept alive by both ends; each end
    // exists once.
    unsafe {
        let producer = Producer::new(Memory::Own(Arc::clone(&region)), start, offsets, size);
        Ok((producer, Consumer::new(Memory::Own(region), start, offsets, size)))
    }
}

/// XDP_RING_NEED_WAKEUP
const NEED_WAKEUP: u32 = 1;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn what_goes_in_comes_out_once_it_is_published() {
        let (mut producer, mut consumer) = in_memory::<u64>(4).unwrap();
        for round in 0..100u64 {
            assert!(producer.push(round) && producer.push(round + 1));
            assert_eq!(consumer.pop(), None, "not published");
            producer.publish();
            assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some(round), Some(round + 1), None));
            consumer.publish();
        }
    }

    #[test]
    fn a_full_ring_takes_no_more_until_places_are_given_back() {
        let (mut producer, mut consumer) = in_memory::<u64>(2).unwrap();
        assert!(producer.push(1) && producer.push(2) && !producer.push(3));
        producer.publish();
        assert_eq!(consumer.pop(), Some(1));
        assert!(!producer.push(3), "taken, but not given back");
        consumer.publish();
        assert!(producer.push(3));
        assert_eq!(producer.outstanding(), 2);
    }

    #[test]
    fn positions_wrap() {
        let (mut producer, mut consumer) = in_memory::<u64>(2).unwrap();
        for end in [&mut producer.0, &mut consumer.0] {
            end.producer().store(u32::MAX, Ordering::Relaxed);
            end.consumer().store(u32::MAX, Ordering::Relaxed);
            end.own = u32::MAX;
            end.limit = u32::MAX;
        }
        for value in 0..10 {
            assert!(producer.push(value));
            producer.publish();
            assert_eq!(consumer.pop(), Some(value));
            consumer.publish();
        }
    }
}
