//! What an application may do with the world: send, arm and disarm timers, hand frames over, post
//! letters. Lent to every call of `App`; nothing here blocks or allocates.

use crate::device::{SlotSize, Transmit};
use crate::frame::{Egress, Frame, ShardId};
use crate::hand_over::Class;
use crate::links::Outward;
use crate::mailbox::Address;
use crate::stats::ShardStats;
use crate::time::Mono;
use crate::wheel::{TimerHandle, Wheel};

/// Lent to the application for the length of one call.
pub struct Outbox<'a, L> {
    pub(crate) transmitter: &'a mut dyn Transmit,
    pub(crate) wheel: &'a mut Wheel,
    pub(crate) outward: &'a mut Outward<L>,
    pub(crate) stats: &'a ShardStats,
}

impl<L> Outbox<'_, L> {
    /// Queues a frame, written by `fill` straight into a send slot.
    ///
    /// `fill` gets the slot and returns how many bytes it wrote; 0 sends nothing. When it returns
    /// `usize::MAX`, it is called once more with a slot that takes the largest message. Frames to one
    /// peer leave in the order of these calls, at the end of the turn.
    ///
    /// Returns false when nothing was queued: no slot free (counted), nothing written, more claimed
    /// than the slot holds, or no such listener.
    pub fn transmit(&mut self, egress: &Egress, mut fill: impl FnMut(&mut [u8]) -> usize) -> bool {
        for size in [SlotSize::Small, SlotSize::Large] {
            let Some(slot) = self.transmitter.reserve(size) else {
                self.stats.send_no_slot.add(1);
                return false;
            };
            let room = slot.len();
            let length = fill(slot);
            if length > 0 && length <= room {
                let queued = self.transmitter.commit(egress, length);
                if queued {
                    self.stats.frames_out.add(1);
                    self.stats.bytes_out.add(length as u64);
                }
                return queued;
            }
            if length != usize::MAX {
                return false;
            }
        }
        false
    }

    /// Queues a frame whose bytes exist already.
    pub fn transmit_bytes(&mut self, egress: &Egress, bytes: &[u8]) -> bool {
        self.transmit(egress, |slot| match slot.get_mut(..bytes.len()) {
            Some(slot) => {
                slot.copy_from_slice(bytes);
                bytes.len()
            }
            None => usize::MAX,
        })
    }

    /// Arms a timer for `at`. When all timers are in use, the handle names none and it never fires
    /// (counted); keep below [`Outbox::timers_free`].
    pub fn arm(&mut self, at: Mono, token: u64) -> TimerHandle {
        self.try_arm(at, token).unwrap_or(TimerHandle::NONE)
    }

    /// Arms a timer for `at`; `None` when all are in use (counted).
    pub fn try_arm(&mut self, at: Mono, token: u64) -> Option<TimerHandle> {
        let handle = self.wheel.arm(at, token);
        if handle.is_none() {
            self.stats.timers_refused.add(1);
        }
        handle
    }

    /// Disarms a timer; a handle that is stale does nothing.
    pub fn disarm(&mut self, handle: TimerHandle) {
        self.wheel.disarm(handle);
    }

    /// How many more timers can be armed: what admission looks at before it takes new work.
    pub fn timers_free(&self) -> usize {
        self.wheel.free()
    }

    /// Hands a frame to the shard that owns it. False: shed (counted by class), or for
    /// [`Class::Stream`] held back; also when `to` is this shard or there is none such.
    pub fn hand_over(&mut self, to: ShardId, class: Class, frame: &Frame<'_>) -> bool {
        let sent = self.outward.frames_to(to).is_some_and(|ring| ring.send(class, frame));
        if sent {
            self.outward.touch(to);
            self.stats.hand_over_out.add(1);
        } else {
            match class {
                Class::NewCall => self.stats.hand_over_shed_new_call.add(1),
                Class::Other => self.stats.hand_over_shed_other.add(1),
                Class::Stream => self.stats.hand_over_held_stream.add(1),
            }
        }
        sent
    }

    /// Posts a letter to a shard (this one included) or a lane.
    ///
    /// # Errors
    /// Gives the letter back when the mailbox is full or there is no such address.
    pub fn post(&mut self, to: Address, letter: L) -> Result<(), L> {
        let result = self.outward.post(to, letter);
        match &result {
            Ok(()) => self.stats.letters_out.add(1),
            Err(_) => self.stats.letters_refused.add(1),
        }
        result
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.outward.shards()
    }

    /// Which shard this is.
    pub fn me(&self) -> ShardId {
        self.outward.me
    }
}
