//! Point 4: every gateway tried so far has failed. Another one, or the best response?
//!
//! Serial, in the algorithm's order, no gateway twice. A final response moves the call on only if its
//! code is among the set's `failover_codes`, a 408 only before any 18x; no response, a timeout before an
//! 18x and an unreachable gateway always do. Then the set that this one overflows to. The caller sees the
//! best response; a last 503 stays 503, which callers read as "try your next route" (a deliberate
//! departure from RFC 3261 §16.7 step 6), unless the set says `last_503 = "500"`.

use super::Dispatcher;
use crate::note::Note;
use crate::tables::Tables;
use proto::policy::{Choice, Inbound, Outcome, TargetSet};
use proto::time::Now;

impl Dispatcher {
    /// The choice.
    pub fn best_response(
        &mut self,
        tables: &Tables,
        request: &Inbound<'_>,
        best: Outcome,
        note: &mut Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Choice {
        // A set that a reload took away ends the search.
        let Some(set) = note.set.and_then(|set| tables.set(set)) else { return Choice::Send { status: None } };
        let last = Choice::Send { status: (set.last_503_as_500 && best.status() == 503).then_some(500) };
        if note.settled || set.stateless || note.tried_of_set() >= set.attempts_max {
            return last;
        }
        note.ringing = false;
        match self.place(tables, set.number, request, note, targets, now) {
            Ok(true) => Choice::Advance,
            Ok(false) | Err(_) => last,
        }
    }
}
