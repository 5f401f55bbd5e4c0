//! What a shard gives the record lane, and how far the lane has come. No I/O here.
//!
//! Events go into a batch; the batch goes to the lane when the last one is back. The 2xx of an INVITE waits until the
//! batch with its event is back: then its record is with the kernel.

use super::event::{EVENT_HEAD, Event, Happened};
use super::field::Fields;
use limits::records::{BATCH_BYTES, EVENT_BYTES_MAX};

/// Events on their way to the lane, and back as an empty box.
#[derive(Debug)]
pub struct Batch {
    /// Counts the shard's batches from 1.
    pub number: u64,
    /// Events, one behind the other.
    pub bytes: Vec<u8>,
}

/// Of one shard.
#[derive(Debug)]
pub(super) struct Outgoing {
    filling: Box<Batch>,
    spare: Option<Box<Batch>>,
    /// The last batch that is back.
    back: u64,
    /// The lane says that new calls are to be refused.
    closed: bool,
    /// Events that found no room.
    lost: u64,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        let batch = |number| Box::new(Batch { number, bytes: Vec::with_capacity(BATCH_BYTES) });
        Outgoing { filling: batch(1), spare: Some(batch(0)), back: 0, closed: false, lost: 0 }
    }

    /// Whether a new call may be let in: records are written, and there is room for all that may come of it.
    pub(super) fn takes_calls(&self) -> bool {
        !self.closed && self.filling.bytes.len() <= BATCH_BYTES / 2
    }

    pub(super) const fn close(&mut self, closed: bool) {
        self.closed = closed;
    }

    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Adds an event. Without room it is lost, and counted.
    pub(super) fn event(&mut self, happened: Happened, call: u64, at: u64, tell: impl FnOnce(&mut Fields<'_>)) {
        if self.filling.bytes.len() + EVENT_HEAD + EVENT_BYTES_MAX > BATCH_BYTES {
            self.lost += 1;
            return;
        }
        Event::write(&mut self.filling.bytes, happened, call, at, tell);
    }

    /// The batch that must be back before an answer may be told of; `None`: nothing need be waited for.
    pub(super) fn pending(&self) -> Option<u64> {
        let last = if self.filling.bytes.is_empty() { self.filling.number - 1 } else { self.filling.number };
        (last > self.back).then_some(last)
    }

    /// The batch for the lane, when there is one to send and the last is back.
    pub(super) fn take(&mut self) -> Option<Box<Batch>> {
        if self.filling.bytes.is_empty() {
            return None;
        }
        let mut empty = self.spare.take()?;
        empty.number = self.filling.number + 1;
        Some(std::mem::replace(&mut self.filling, empty))
    }

    /// A batch is back: its number.
    pub(super) fn back(&mut self, mut batch: Box<Batch>) -> u64 {
        self.back = self.back.max(batch.number);
        batch.bytes.clear();
        self.spare = Some(batch);
        self.back
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn while_one_batch_is_on_its_way_the_next_one_fills() {
        let mut outgoing = Outgoing::new();
        assert_eq!((outgoing.pending(), outgoing.take().is_none()), (None, true));
        outgoing.event(Happened::Setup, 1, 1, |_| ());
        assert_eq!(outgoing.pending(), Some(1));
        let first = outgoing.take().unwrap();
        outgoing.event(Happened::Setup, 2, 1, |_| ());
        assert!(outgoing.take().is_none(), "the first is not back");
        assert_eq!((outgoing.back(first), outgoing.pending()), (1, Some(2)));
        let second = outgoing.take().unwrap();
        assert_eq!((outgoing.back(second), outgoing.pending()), (2, None));
    }

    #[test]
    fn new_calls_leave_room_for_those_in_progress_and_what_is_lost_is_counted() {
        let mut outgoing = Outgoing::new();
        let capacity = outgoing.filling.bytes.capacity();
        let mut events = 0;
        while outgoing.lost() == 0 {
            outgoing.event(Happened::Setup, 1, 1, |fields| {
                fields.text(super::super::field::Field::Reason, &[7; 1_000]);
            });
            events += 1;
            assert_eq!(outgoing.takes_calls(), outgoing.filling.bytes.len() <= BATCH_BYTES / 2);
        }
        assert!(events > 4_000 && outgoing.filling.bytes.capacity() == capacity);
    }
}
