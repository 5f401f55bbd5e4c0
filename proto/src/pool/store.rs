//! Bytes that outlive their datagram: requests of open transactions, responses kept for retransmission.
//!
//! One region, cut into chunks of 64 KB; a chunk serves blocks of one size class at a time and returns
//! to the common pool when its last block is freed. So memory follows the traffic's mix of sizes, and
//! everything is constant time.

use alloc::vec::Vec;
use core::num::NonZeroU32;

/// A run of bytes in the [`ByteStore`]. Must be given back with [`ByteStore::free`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Counted from one. WHY: an `Option` of it takes no more room, and records have several.
    chunk: NonZeroU32,
    block: u16,
    len: u16,
}

/// The region.
#[derive(Debug)]
pub struct ByteStore {
    region: Vec<u8>,
    chunks: Vec<Chunk>,
    /// First chunk with a free block, by class.
    partial: [u32; CLASSES.len()],
    /// First chunk that serves no class.
    idle: u32,
    bytes_used: u64,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    class: u8,
    used: u16,
    /// Blocks below this were handed out at least once; the others are fresh.
    fresh: u16,
    /// First freed block, or [`NO_BLOCK`]; the next one stands in its first two bytes.
    freed: u16,
    previous: u32,
    next: u32,
}

const CHUNK_BYTES: usize = 65_536;
const NONE: u32 = u32::MAX;
const NO_BLOCK: u16 = u16::MAX;

/// Block sizes. WHY these: responses of Tandem's own lie near 300, usual ones near 450, INVITEs with SDP
/// between 700 and 1,400, and each step wastes at most a third. 224: what is kept of a call.
const CLASSES: [usize; 15] =
    [64, 128, 224, 256, 384, 512, 640, 768, 1_024, 1_280, 1_536, 2_048, 4_096, 16_384, CHUNK_BYTES];

impl Stored {
    /// How many bytes it holds.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    const fn chunk(&self) -> u32 {
        self.chunk.get() - 1
    }
}

impl ByteStore {
    /// A store of at least `bytes`, all of it written once.
    pub fn new(bytes: usize) -> Self {
        let count = bytes.div_ceil(CHUNK_BYTES).min(NONE as usize - 1);
        let chunks = (0..count as u32)
            .map(|index| Chunk {
                class: 0,
                used: 0,
                fresh: 0,
                freed: NO_BLOCK,
                previous: NONE,
                next: if index as usize + 1 == count { NONE } else { index + 1 },
            })
            .collect();
        let mut region = alloc::vec![0u8; count * CHUNK_BYTES];
        // WHY: zeroed memory from the system is not mapped yet; one write a page maps it.
        region.iter_mut().step_by(4_096).for_each(|byte| *byte = 1);
        ByteStore {
            region,
            chunks,
            partial: [NONE; CLASSES.len()],
            idle: if count == 0 { NONE } else { 0 },
            bytes_used: 0,
        }
    }

    /// Keeps a copy of `bytes`. `None`: full, or longer than [`limits::MESSAGE_BYTES_MAX`].
    pub fn keep(&mut self, bytes: &[u8]) -> Option<Stored> {
        let len = u16::try_from(bytes.len()).ok()?;
        let class = CLASSES.iter().position(|&size| size >= bytes.len())?;
        let index = self.chunk_with_room(class)?;
        let block = self.take_block(index, class)?;
        let stored = Stored { chunk: NonZeroU32::MIN.checked_add(index)?, block, len };
        let at = self.position(&stored)?;
        self.region.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        self.bytes_used += CLASSES.get(class).copied().unwrap_or(0) as u64;
        Some(stored)
    }

    /// The bytes kept.
    pub fn get(&self, stored: &Stored) -> &[u8] {
        self.position(stored).and_then(|at| self.region.get(at..at + usize::from(stored.len))).unwrap_or_default()
    }

    /// Gives the bytes back.
    pub fn free(&mut self, stored: Stored) {
        let Some(at) = self.position(&stored) else {
            return;
        };
        let index = stored.chunk();
        let Some(chunk) = self.chunks.get_mut(index as usize) else {
            return;
        };
        let class = usize::from(chunk.class);
        let size = CLASSES.get(class).copied().unwrap_or(CHUNK_BYTES);
        if let Some(link) = self.region.get_mut(at..at + 2) {
            link.copy_from_slice(&chunk.freed.to_le_bytes());
        }
        let was_full = usize::from(chunk.used) == CHUNK_BYTES / size;
        chunk.freed = stored.block;
        chunk.used = chunk.used.saturating_sub(1);
        let empty = chunk.used == 0;
        self.bytes_used = self.bytes_used.saturating_sub(size as u64);
        if !was_full && empty {
            self.unlink(index, class);
        }
        if empty {
            self.retire(index);
        } else if was_full {
            self.link(index, class);
        }
    }

    /// Bytes in blocks that are handed out.
    pub const fn used(&self) -> u64 {
        self.bytes_used
    }

    /// Size of the region in bytes.
    pub fn capacity(&self) -> u64 {
        self.region.len() as u64
    }

    fn position(&self, stored: &Stored) -> Option<usize> {
        let index = stored.chunk() as usize;
        let class = usize::from(self.chunks.get(index)?.class);
        Some(index * CHUNK_BYTES + usize::from(stored.block) * CLASSES.get(class)?)
    }

    fn chunk_with_room(&mut self, class: usize) -> Option<u32> {
        let partial = *self.partial.get(class)?;
        if partial != NONE {
            return Some(partial);
        }
        let index = self.idle;
        let chunk = self.chunks.get_mut(index as usize)?;
        self.idle = chunk.next;
        *chunk = Chunk { class: class as u8, used: 0, fresh: 0, freed: NO_BLOCK, previous: NONE, next: NONE };
        self.link(index, class);
        Some(index)
    }

    fn take_block(&mut self, index: u32, class: usize) -> Option<u16> {
        let size = *CLASSES.get(class)?;
        let chunk = self.chunks.get_mut(index as usize)?;
        let block = if chunk.freed == NO_BLOCK {
            chunk.fresh += 1;
            chunk.fresh - 1
        } else {
            let block = chunk.freed;
            let at = index as usize * CHUNK_BYTES + usize::from(block) * size;
            chunk.freed = u16::from_le_bytes(self.region.get(at..at + 2)?.try_into().ok()?);
            block
        };
        chunk.used += 1;
        if usize::from(chunk.used) == CHUNK_BYTES / size {
            self.unlink(index, class);
        }
        Some(block)
    }

    fn link(&mut self, index: u32, class: usize) {
        let Some(first) = self.partial.get_mut(class) else {
            return;
        };
        let next = core::mem::replace(first, index);
        if let Some(chunk) = self.chunks.get_mut(index as usize) {
            chunk.previous = NONE;
            chunk.next = next;
        }
        if let Some(chunk) = self.chunks.get_mut(next as usize) {
            chunk.previous = index;
        }
    }

    fn unlink(&mut self, index: u32, class: usize) {
        let Some(&Chunk { previous, next, .. }) = self.chunks.get(index as usize) else {
            return;
        };
        match self.chunks.get_mut(previous as usize) {
            Some(chunk) => chunk.next = next,
            None => {
                if let Some(first) = self.partial.get_mut(class) {
                    *first = next;
                }
            }
        }
        if let Some(chunk) = self.chunks.get_mut(next as usize) {
            chunk.previous = previous;
        }
    }

    fn retire(&mut self, index: u32) {
        if let Some(chunk) = self.chunks.get_mut(index as usize) {
            chunk.next = self.idle;
            chunk.previous = NONE;
            self.idle = index;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is kept stays as it was, whatever is kept and freed around it; and all of it can be had again.
        #[test]
        fn keeps_and_frees(sizes in prop::collection::vec((0usize..3_000, any::<u8>(), any::<bool>()), 1..300)) {
            let mut store = ByteStore::new(8 * CHUNK_BYTES);
            let mut live: Vec<(Stored, Vec<u8>)> = Vec::new();
            for (size, fill, free) in sizes {
                if free && !live.is_empty() {
                    let (stored, _) = live.swap_remove(usize::from(fill) % live.len());
                    store.free(stored);
                } else {
                    let bytes = alloc::vec![fill; size];
                    if let Some(stored) = store.keep(&bytes) {
                        live.push((stored, bytes));
                    }
                }
                for (stored, bytes) in &live {
                    prop_assert_eq!(store.get(stored), bytes.as_slice());
                }
            }
            for (stored, _) in live {
                store.free(stored);
            }
            prop_assert_eq!(store.used(), 0);
            for _ in 0..8 {
                prop_assert!(store.keep(&alloc::vec![1; 60_000]).is_some());
            }
            prop_assert!(store.keep(b"one more").is_none());
        }
    }

    #[test]
    fn a_full_chunk_comes_back() {
        let mut store = ByteStore::new(CHUNK_BYTES);
        let all: Vec<_> = (0..1_024).map(|_| store.keep(&[9; 64]).unwrap()).collect();
        assert!(store.keep(b"x").is_none());
        all.into_iter().for_each(|stored| store.free(stored));
        assert!(store.keep(&[0; 65_535]).is_some());
    }
}
