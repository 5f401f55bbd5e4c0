//! A schedule against the clock: what is due now, and when to look again.

use proto::time::{Micros, Mono};

use super::Schedule;

/// The starts of one shard in time.
#[derive(Debug)]
pub struct Due {
    schedule: Schedule,
    begin: Option<Mono>,
    next: Option<Mono>,
}

impl Due {
    /// Nothing is due before [`Due::begin`].
    pub fn new(schedule: Schedule) -> Self {
        Due { schedule, begin: None, next: None }
    }

    /// The schedule counts from `begin`.
    pub fn begin(&mut self, begin: Mono) {
        self.begin = Some(begin);
        self.look_ahead();
    }

    /// When the next start is due; `None`: never.
    pub fn next(&self) -> Option<Mono> {
        self.next
    }

    /// The intended moment of a start that is due at `now`.
    pub fn take(&mut self, now: Mono) -> Option<Mono> {
        let due = self.next.filter(|at| *at <= now)?;
        self.look_ahead();
        Some(due)
    }

    /// Nothing more is due.
    pub fn give_up(&mut self) {
        self.begin = None;
        self.next = None;
    }

    fn look_ahead(&mut self) {
        self.next = match (self.begin, self.schedule.next()) {
            (Some(begin), Some(offset)) => Some(begin.after(Micros(offset))),
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Arrivals, Plan, Rate};
    use std::time::Duration;

    #[test]
    fn starts_are_due_at_their_moment_and_none_is_left_out() {
        let plan = Plan {
            rate: Rate::Constant(1_000.0),
            arrivals: Arrivals::Constant,
            length: Duration::from_secs(1),
            starts_max: Some(4),
        };
        let mut due = Due::new(Schedule::new(plan, 0, 1, 1));
        assert_eq!((due.next(), due.take(Mono(u64::MAX))), (None, None));
        due.begin(Mono(500));
        assert_eq!(due.take(Mono(499)), None);
        assert_eq!(due.take(Mono(500)), Some(Mono(500)));
        // Late: both come, with the moments at which they should have.
        assert_eq!(due.take(Mono(9_000)), Some(Mono(1_500)));
        assert_eq!(due.take(Mono(9_000)), Some(Mono(2_500)));
        due.give_up();
        assert_eq!(due.take(Mono(9_000)), None);
    }
}
