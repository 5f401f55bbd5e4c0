//! The policy's part of a hand-over: what it says of itself to another process, and what it makes of what another one
//! says. `proto::proxy`'s `export` and `import` carry the notes.

use crate::calls::hand_over::{self, HandOverError};
use crate::calls::oversee::Lifetimes;
use crate::note::Note;
use crate::origin::{self, Origin, OriginError};
use crate::policy::TandemPolicy;
use crate::tables::Number;
use proto::policy::Target;
use proto::time::{Micros, Now};

/// What came from another process, and how.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Whose transactions are being taken over; `None`: those of a shard with the same tables.
    origin: Option<Origin>,
    /// Calls and branches whose gateway is in no set any more.
    gone: u64,
}

impl TandemPolicy {
    /// Appends what the numbers in calls and notes are called.
    pub fn export_names(&self, out: &mut Vec<u8>) {
        origin::write(&self.tables, out);
    }

    /// Hands every call to `sink`, a frame each, for another shard or process. Allocates: off the packet path.
    pub fn export_calls(&self, now: Now, sink: impl FnMut(&[u8])) {
        hand_over::export(&self.calls, now.mono, sink);
    }

    /// What [`TandemPolicy::export_names`] wrote elsewhere, in our numbers.
    ///
    /// # Errors
    /// It did not write that, or has other listeners.
    pub fn read_names(&self, names: &[u8]) -> Result<Origin, OriginError> {
        Origin::read(names, &self.tables)
    }

    /// The notes and branches that `Proxy::import` brings from now on have the numbers of this origin; `None`: ours.
    pub fn expect_from(&mut self, origin: Option<Origin>) {
        self.arrivals.origin = origin;
    }

    /// Takes in a call that another shard or process exported, if `mine` says that its slot belongs here. `origin`:
    /// what its numbers mean; `None`: they are ours.
    ///
    /// # Errors
    /// The frame is damaged, the call is here already, or there is no room.
    pub fn import_call(
        &mut self,
        now: Now,
        frame: &[u8],
        origin: Option<&Origin>,
        mine: impl FnOnce(u16) -> bool,
    ) -> Result<bool, HandOverError> {
        let gone = &mut self.arrivals.gone;
        let here = |theirs| translate(origin, theirs, gone);
        let lifetimes = Lifetimes::of(&self.tables);
        hand_over::import(&mut self.calls, &mut self.dispatcher, frame, here, mine, &lifetimes, now.mono)
    }

    /// For how long a call in a frame has lived; `None`: the frame is damaged. Calls have to be imported in the order
    /// of their age.
    pub fn age_of_call(frame: &[u8]) -> Option<Micros> {
        hand_over::age(frame)
    }

    /// Calls and branches that were taken over although their gateway is in no set any more.
    pub const fn gateways_gone(&self) -> u64 {
        self.arrivals.gone
    }

    /// A transaction was taken over: what it has under way is charged to its gateways here.
    pub(crate) fn note_taken_over(&mut self, note: &mut Note) {
        if let Some(origin) = &self.arrivals.origin {
            note.set = note.set.and_then(|set| origin.set(set));
            note.attempts.renumber(|theirs| origin.gateway(theirs));
        }
        for gateway in note.attempts.open() {
            self.dispatcher.attempt_taken_over(gateway);
        }
    }

    /// A branch was taken over: its gateway, if it still is one.
    pub(crate) fn branch_taken_over(&mut self, target: &mut Target) {
        if target.gateway == Target::NO_GATEWAY {
            return;
        }
        let number = translate(self.arrivals.origin.as_ref(), Number(target.gateway), &mut self.arrivals.gone);
        target.gateway = number.map_or(Target::NO_GATEWAY, |number| number.0);
    }
}

fn translate(origin: Option<&Origin>, theirs: Number, gone: &mut u64) -> Option<Number> {
    let ours = origin.map_or(Some(theirs), |origin| origin.gateway(theirs));
    *gone += u64::from(ours.is_none());
    ours
}
