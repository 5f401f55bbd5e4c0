//! What the lane does with batches, but for threads and clocks: one frame for all that have come, and rounds in which
//! everything is said again so that old files can go.

use super::log::Log;
use super::medium::Medium;
use modules::registrar::Batch;
use std::io;

/// Files may hold so many times what holds now, before a round begins.
const GARBAGE_FACTOR: u64 = 2;

/// A batch and the shard that it came from.
pub type Sent = (usize, Box<Batch>);

/// See the module.
pub struct Keeper<M: Medium> {
    log: Log<M>,
    file_bytes: u64,
    /// By shard: bytes that hold, and the last round that is said.
    live: Vec<u64>,
    said: Vec<u64>,
    round: u64,
    /// Files before this one go when the round is over.
    boundary: u64,
    broken: bool,
    /// There are files of a version that is not written: all is to be said again, so that they go.
    converting: bool,
}

impl<M: Medium> Keeper<M> {
    /// For so many shards.
    pub fn new(log: Log<M>, shards: usize, file_bytes: u64) -> Self {
        Keeper {
            log,
            file_bytes,
            live: vec![0; shards],
            said: vec![0; shards],
            round: 0,
            boundary: 0,
            broken: false,
            converting: false,
        }
    }

    /// There are files of a later version than the one that is written: they go as soon as all was said again.
    #[must_use]
    pub fn converting(mut self, converting: bool) -> Self {
        self.converting = converting;
        self
    }

    /// Whether there still are.
    pub fn is_converting(&self) -> bool {
        self.converting
    }

    /// Bytes of all files.
    pub fn total(&self) -> u64 {
        self.log.total()
    }

    /// Whether the last write failed.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Makes all batches durable in one frame, and marks each as kept or not.
    ///
    /// # Errors
    /// Why they are not.
    pub fn keep(&mut self, sent: &mut [Sent], second: u32, wall: u64) -> io::Result<()> {
        let written = match self.broken {
            true => Err(io::Error::other("the journal is closed")),
            false => self.log.append(sent.iter().map(|(_, batch)| batch.bytes.as_slice()), second, wall),
        };
        self.broken |= written.is_err();
        for (shard, batch) in sent {
            batch.kept = written.is_ok();
            if let (Some(live), Some(said), true) = (self.live.get_mut(*shard), self.said.get_mut(*shard), batch.kept) {
                *live = batch.live_bytes;
                *said = (*said).max(batch.rewritten);
            }
        }
        if written.is_ok() {
            self.end_round();
        }
        written
    }

    /// Tries whether the disk works again.
    pub fn mend(&mut self, second: u32, wall: u64) -> bool {
        self.broken = self.log.append(std::iter::empty(), second, wall).is_err();
        !self.broken
    }

    /// Notes how the clocks stand.
    ///
    /// # Errors
    /// The disk is full or broken.
    pub fn note_clocks(&mut self, second: u32, wall: u64) -> io::Result<()> {
        self.keep(&mut [], second, wall)
    }

    /// A round that begins now, if there is too much garbage: every shard shall say everything again.
    pub fn begin_round(&mut self) -> Option<u64> {
        let live: u64 = self.live.iter().sum();
        let too_much = self.log.total() > GARBAGE_FACTOR * live + 2 * self.file_bytes;
        if self.broken || self.is_in_round() || !(too_much || self.converting) {
            return None;
        }
        self.round += 1;
        self.boundary = self.log.roll();
        Some(self.round)
    }

    fn is_in_round(&self) -> bool {
        self.said.iter().any(|said| *said < self.round)
    }

    fn end_round(&mut self) {
        if self.boundary > 0 && !self.is_in_round() {
            // What cannot be removed is tried again with the next round.
            self.converting &= !self.log.remove_before(self.boundary);
            self.boundary = 0;
        }
    }
}
