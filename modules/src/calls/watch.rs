//! Customers' calls are watched: each has a moment at which something has to be looked at (its longest life, the end
//! of its session, an ACK that has not come, a question to its sides). What is due is found by the second.
//!
//! A ring of seconds, each with a list of calls. Whoever runs the shard wakes once a second while there are any.
//! A file without customers has room for none.

use super::CallId;
use super::end::CallEnd;
use proto::pool::Slab;
use proto::time::{Micros, Mono};

/// What is watched of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// Whose it is.
    pub(crate) call: CallId,
    /// Second in which the session is over (RFC 4028); 0: it has no end.
    pub(crate) session_over: u32,
    /// Second in which both sides are asked again whether they know the call; 0: never.
    pub(crate) ask: u32,
    /// Second in which its customer's balance is looked at again; 0: never.
    pub(crate) credit: u32,
    /// Bits of the sides whose last CSeq is older than what they may have sent since ([`Watch::INITIATOR`]).
    pub(crate) cseq_is_old: u8,
    /// How often our BYE was refused, by the side that it was for.
    pub(crate) refused: [u8; 2],
    /// Those of our BYEs that were refused, and are sent again.
    pub(crate) byes_again: u8,
    /// In which second they are; 0: none was refused.
    pub(crate) again: u32,
    /// The ACK of its 2xx has passed.
    pub(crate) acknowledged: bool,
    /// Questions in a row that the initiator and the responder left unanswered.
    pub(crate) missed: [u8; 2],
    /// We are ending it, and why.
    pub(crate) ending: Option<CallEnd>,
    /// Requests of ours that are to be sent ([`Watch::BYE`], [`Watch::OPTIONS`], to either side).
    pub(crate) to_send: u8,
    /// Our BYEs that have no outcome yet.
    pub(crate) unanswered: u8,
    due: u32,
    earlier: u32,
    later: u32,
}

const NONE: u32 = u32::MAX;

/// Seconds of the ring. WHY: longer than an hour, so that an ordinary call is looked at once or twice.
const SECONDS: usize = 4_096;

impl Watch {
    /// Bit of `to_send`: a BYE to the initiator; the next bit: to the responder.
    pub(crate) const BYE: u8 = 1;
    /// Bit of `to_send`: OPTIONS to the initiator; the next bit: to the responder.
    pub(crate) const OPTIONS: u8 = 4;
    /// Bit of `cseq_is_old`: the initiator's; the next bit: the responder's.
    pub(crate) const INITIATOR: u8 = 1;

    pub(crate) const fn new(call: CallId) -> Self {
        Watch {
            call,
            session_over: 0,
            ask: 0,
            credit: 0,
            cseq_is_old: 0,
            refused: [0; 2],
            byes_again: 0,
            again: 0,
            acknowledged: false,
            missed: [0; 2],
            ending: None,
            to_send: 0,
            unanswered: 0,
            due: 0,
            earlier: NONE,
            later: NONE,
        }
    }
}

/// Those of a shard.
#[derive(Debug)]
pub(crate) struct Watches {
    slab: Slab<Watch>,
    /// First call of each second.
    seconds: Vec<u32>,
    /// The second that is looked at next.
    next: u32,
}

/// The second of a moment.
pub(crate) fn second(now: Mono) -> u32 {
    u32::try_from(now.0 / 1_000_000).unwrap_or(u32::MAX)
}

impl Watches {
    /// Room for so many calls; for none it takes no memory.
    pub(crate) fn new(calls: u32) -> Self {
        let seconds = if calls == 0 { Vec::new() } else { vec![NONE; SECONDS] };
        Watches { slab: Slab::new(calls), seconds, next: 0 }
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Watch> {
        self.slab.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Watch> {
        self.slab.get_mut(index)
    }

    /// Begins to watch; it is due in the second `due`. `None`: no room.
    pub(crate) fn begin(&mut self, watch: Watch, due: u32, now: Mono) -> Option<u32> {
        if self.slab.is_empty() {
            self.next = second(now);
        }
        let index = self.slab.insert(watch).ok()?;
        self.link(index, due);
        Some(index)
    }

    /// It is due in another second.
    pub(crate) fn put_off(&mut self, index: u32, due: u32) {
        self.unlink(index);
        self.link(index, due);
    }

    /// The call is over.
    pub(crate) fn end(&mut self, index: u32) {
        self.unlink(index);
        self.slab.remove(index);
    }

    /// When the next second is to be looked at. `None`: nothing is watched.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        (!self.slab.is_empty()).then(|| Mono(u64::from(self.next) * 1_000_000))
    }

    /// The next call that is due; it is due again in the next second unless it is put off. `None`: none is by now.
    pub(crate) fn due(&mut self, now: Mono) -> Option<u32> {
        let last = second(now);
        if self.slab.is_empty() {
            return None;
        }
        while self.next <= last {
            let index = self.seconds.get(place(self.next)).copied().unwrap_or(NONE);
            if index == NONE {
                self.next += 1;
                continue;
            }
            self.put_off(index, self.next + 1);
            return Some(index);
        }
        None
    }

    fn link(&mut self, index: u32, due: u32) {
        let furthest = self.next.saturating_add(SECONDS as u32 - 1);
        let due = due.clamp(self.next, furthest);
        let Some(first) = self.seconds.get_mut(place(due)) else { return };
        let later = std::mem::replace(first, index);
        if let Some(watch) = self.slab.get_mut(index) {
            (watch.due, watch.earlier, watch.later) = (due, NONE, later);
        }
        if let Some(watch) = self.slab.get_mut(later) {
            watch.earlier = index;
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(&Watch { due, earlier, later, .. }) = self.slab.get(index) else { return };
        match self.slab.get_mut(earlier) {
            Some(watch) => watch.later = later,
            None => self.seconds.get_mut(place(due)).into_iter().for_each(|first| *first = later),
        }
        if let Some(watch) = self.slab.get_mut(later) {
            watch.earlier = earlier;
        }
    }
}

/// Whole seconds from now until `span` has passed.
pub(crate) fn in_seconds(now: Mono, span: Micros) -> u32 {
    second(now).saturating_add(u32::try_from(span.0.div_ceil(1_000_000)).unwrap_or(u32::MAX))
}

const fn place(second: u32) -> usize {
    second as usize % SECONDS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::num::NonZeroU64;

    fn call(number: u64) -> CallId {
        CallId(NonZeroU64::new(number + 1).unwrap())
    }

    proptest! {
        /// Against a map: each is due in its second, in time, and not before it, but for those far away.
        #[test]
        fn each_is_due_in_its_second(steps in prop::collection::vec((0_u8..4, 0_u32..9_000, 0_u64..4_000), 1..200)) {
            let mut now = Mono(77_000_000);
            let mut watches = Watches::new(16);
            let mut model: BTreeMap<u32, u32> = BTreeMap::new();
            for (step, span, pass) in steps {
                let due = second(now) + 1 + span;
                let some = model.keys().nth(span as usize % model.len().max(1)).copied();
                match (step, some) {
                    (0, _) => {
                        if let Some(index) = watches.begin(Watch::new(call(0)), due, now) {
                            model.insert(index, due);
                        }
                    }
                    (1, Some(index)) => {
                        watches.put_off(index, due);
                        model.insert(index, due);
                    }
                    (2, Some(index)) => {
                        watches.end(index);
                        model.remove(&index);
                    }
                    _ => now = now.after(Micros::from_secs(pass)),
                }
                while let Some(index) = watches.due(now) {
                    let wanted = model[&index];
                    if wanted > second(now) {
                        prop_assert!(wanted >= second(now), "early only where the ring is too short");
                        watches.put_off(index, wanted);
                    } else {
                        watches.end(index);
                        model.remove(&index);
                    }
                }
                prop_assert!(model.values().all(|due| *due > second(now)), "nothing is late");
                prop_assert_eq!(watches.deadline().is_none(), model.is_empty());
            }
        }
    }

    #[test]
    fn without_room_nothing_is_watched() {
        let mut watches = Watches::new(0);
        assert_eq!(watches.begin(Watch::new(call(1)), 5, Mono(0)), None);
        assert_eq!((watches.deadline(), watches.due(Mono(9_000_000))), (None, None));
    }
}
