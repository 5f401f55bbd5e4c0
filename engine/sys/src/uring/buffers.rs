//! A ring of provided buffers: the application adds them at the tail, the kernel takes them.

use crate::memory::Region;
use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

pub(super) struct BufferRing {
    /// The entries, shared with the kernel, which only reads them.
    entries: Region,
    buffers: Region,
    stride: usize,
    count: u16,
    tail: u16,
    /// Buffers that the kernel took and that were not given back yet.
    out: u16,
}

impl BufferRing {
    /// Registers `count` buffers (a power of two) of `bytes` as `group`.
    pub(super) fn register(ring: &IoUring, group: u16, count: u16, bytes: usize) -> io::Result<Self> {
        if !count.is_power_of_two() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // WHY: buffers at multiples of 2 KiB would begin in few cache sets and evict one another's
        // first lines; one line more a buffer spreads them over all sets.
        let stride = bytes.next_multiple_of(CACHE_LINE) + CACHE_LINE;
        let mut this = BufferRing {
            entries: Region::new(usize::from(count) * size_of::<BufRingEntry>())?,
            buffers: Region::new(usize::from(count) * stride)?,
            stride,
            count,
            tail: 0,
            out: count,
        };
        // SAFETY: the entries are page-aligned and large enough; they are unmapped only after the ring
        // is closed (`Uring` declares its ring first) or the group unregistered.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(this.entries.as_ptr() as u64, count, group, 0)?;
        }
        for buffer in 0..count {
            this.provide(buffer);
        }
        Ok(this)
    }

    /// Gives a buffer to the kernel.
    pub(super) fn provide(&mut self, buffer: u16) {
        if buffer >= self.count {
            return;
        }
        let place = usize::from(self.tail & (self.count - 1));
        let address = self.buffers.as_ptr().wrapping_add(usize::from(buffer) * self.stride);
        let entries: *mut BufRingEntry = self.entries.as_ptr().cast();
        // SAFETY: `place` is below `count`, so the entry lies in the mapping; the kernel does not read
        // it before the tail below has passed it.
        let entry = unsafe { &mut *entries.add(place) };
        entry.set_addr(address as u64);
        entry.set_len(self.stride as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        self.out = self.out.saturating_sub(1);
        // SAFETY: the first entry is initialised memory of this mapping; its last field is the tail.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: aligned for u16, valid for as long as the mapping; the kernel reads it atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// The kernel took one.
    pub(super) fn took(&mut self) {
        self.out = self.out.saturating_add(1);
    }

    /// The first `length` bytes of a buffer that the kernel is done with.
    pub(super) fn bytes(&self, buffer: u16, length: usize) -> Option<&[u8]> {
        if buffer >= self.count {
            return None;
        }
        let start = usize::from(buffer) * self.stride;
        self.buffers.get(start..start + length.min(self.stride))
    }

    /// WHY: arming on an empty ring fails at once, and on a nearly empty one soon.
    pub(super) fn worth_arming(&self) -> bool {
        self.count - self.out.min(self.count) >= (self.count / 4).max(1)
    }
}

const CACHE_LINE: usize = 64;
