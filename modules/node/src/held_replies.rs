//! Responses that wait for the disk: written at once, sent when the journal has what they tell of.
//!
//! One ring of bytes a shard, made at the start. Responses leave in the order in which they came.

use crate::letter::Letter;
use engine::{Egress, Outbox};
use std::collections::VecDeque;

/// Responses that may wait at the same time; they are 500 to 1,000 bytes long.
const HELD_MAX: usize = 8_192;

/// Longest response that waits.
const REPLY_BYTES_MAX: usize = 32_768;

/// What `write` returns when its buffer is too small.
const TOO_SMALL: usize = usize::MAX;

#[derive(Debug)]
struct Held {
    batch: u64,
    egress: Egress,
    from: usize,
    length: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct HeldReplies {
    held: VecDeque<Held>,
    bytes: Box<[u8]>,
    /// Batches up to this one are on the disk.
    synced: u64,
    /// Responses that found no room: their requests come again.
    pub(crate) refused: u64,
    /// Responses that tell of what was not kept.
    pub(crate) dropped: u64,
}

impl HeldReplies {
    /// With so many bytes of room; 0: nothing ever waits.
    pub(crate) fn new(bytes: usize) -> Self {
        let held = if bytes > 0 { HELD_MAX } else { 0 };
        HeldReplies {
            held: VecDeque::with_capacity(held),
            bytes: vec![0; bytes].into(),
            synced: 0,
            refused: 0,
            dropped: 0,
        }
    }

    /// Keeps a response until `batch` is on the disk. `write` fills a buffer and says how much, or that it is too
    /// small. False: no room.
    pub(crate) fn hold(&mut self, batch: u64, egress: Egress, mut write: impl FnMut(&mut [u8]) -> usize) -> bool {
        let from = self.room().filter(|_| self.held.len() < HELD_MAX);
        let length = from.and_then(|from| {
            let length = write(self.bytes.get_mut(from..from + REPLY_BYTES_MAX)?);
            (length != TOO_SMALL && length > 0).then_some(length)
        });
        match from.zip(length) {
            Some((from, length)) => self.held.push_back(Held { batch, egress, from, length }),
            None => self.refused += 1,
        }
        length.is_some()
    }

    /// Batches up to `batch` are on the disk.
    pub(crate) fn synced(&mut self, batch: u64) {
        self.synced = self.synced.max(batch);
    }

    /// Batches up to `batch` are lost: what waits for them may not be said.
    pub(crate) fn lost(&mut self, batch: u64) {
        while self.held.front().is_some_and(|held| held.batch <= batch && held.batch > self.synced) {
            self.held.pop_front();
            self.dropped += 1;
        }
    }

    /// Sends what may be said now, as far as there are slots.
    pub(crate) fn release(&mut self, out: &mut Outbox<'_, Letter>) {
        while let Some(held) = self.held.front().filter(|held| held.batch <= self.synced) {
            let bytes = self.bytes.get(held.from..held.from + held.length).unwrap_or_default();
            if !out.transmit_bytes(&held.egress, bytes) {
                return;
            }
            self.held.pop_front();
        }
    }

    /// Whether something could be sent at once.
    pub(crate) fn is_due(&self) -> bool {
        self.held.front().is_some_and(|held| held.batch <= self.synced)
    }

    /// Where the longest response fits, behind the last one or at the beginning.
    fn room(&self) -> Option<usize> {
        let (Some(first), Some(last)) = (self.held.front(), self.held.back()) else {
            return (!self.bytes.is_empty()).then_some(0);
        };
        let behind = last.from + last.length;
        if last.from >= first.from {
            if behind + REPLY_BYTES_MAX <= self.bytes.len() {
                return Some(behind);
            }
            return (REPLY_BYTES_MAX <= first.from).then_some(0);
        }
        (behind + REPLY_BYTES_MAX <= first.from).then_some(behind)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn egress() -> Egress {
        Egress { listener: 0, local: None, peer: "192.0.2.1:5060".parse().unwrap(), flow: 0 }
    }

    /// Many times round the ring: what waits is never overwritten.
    #[test]
    fn what_waits_stays_whole_while_others_come_and_go() {
        let mut replies = HeldReplies::new(limits::registrar::HELD_REPLIES_BYTES);
        let mut batch = 0u64;
        for round in 0..60_000u64 {
            batch += 1;
            let fill = |room: &mut [u8]| {
                let length = 400 + usize::try_from(round % 700).unwrap();
                room[..length].fill(u8::try_from(round % 251).unwrap());
                length
            };
            if !replies.hold(batch, egress(), fill) || round % 3 == 0 {
                let held = replies.held.pop_front().unwrap();
                let round = held.batch - 1;
                let bytes = &replies.bytes[held.from..held.from + held.length];
                assert!(bytes.iter().all(|byte| u64::from(*byte) == round % 251), "{round}");
            }
        }
        assert!(replies.refused > 0 && replies.held.len() > 1_000);
    }

    #[test]
    fn what_was_lost_is_not_said() {
        let mut replies = HeldReplies::new(limits::registrar::HELD_REPLIES_BYTES);
        for batch in [1, 2, 2, 3] {
            assert!(replies.hold(batch, egress(), |_| 10));
        }
        replies.synced(1);
        assert!(replies.is_due());
        replies.held.pop_front();
        replies.lost(2);
        assert_eq!((replies.dropped, replies.held.len(), replies.is_due()), (2, 1, false));
    }

    #[test]
    fn a_shard_without_domains_has_no_room() {
        assert!(!HeldReplies::new(0).hold(1, egress(), |_| 10));
    }
}
