//! How many lines each kind of event may write: a token bucket a kind.

use std::collections::HashMap;

/// Buckets by kind. Kinds are fixed words of the program, so there are few.
///
/// A bucket holds the lines of one second: as many may come at once, and then as many each second.
#[derive(Debug)]
pub(super) struct Budgets {
    kinds: HashMap<&'static str, Bucket>,
    micros_a_line: u64,
}

#[derive(Debug)]
struct Bucket {
    /// Moment up to which lines are paid for; a full bucket lies one second behind now.
    paid_until: u64,
    held_back: u64,
}

const SECOND: u64 = 1_000_000;

impl Budgets {
    /// Buckets of so many lines a second, at least one.
    pub(super) fn new(lines_per_second: u32) -> Self {
        Budgets { kinds: HashMap::new(), micros_a_line: SECOND / u64::from(lines_per_second.max(1)) }
    }

    /// May a line of `kind` be written at `wall` (µs)? `Ok` says how many were held back before it.
    /// An `always` line is written whatever the bucket says, and takes nothing out of it.
    pub(super) fn spend(&mut self, kind: &'static str, wall: u64, always: bool) -> Result<u64, ()> {
        let full = wall.saturating_sub(SECOND);
        let bucket = self.kinds.entry(kind).or_insert(Bucket { paid_until: full, held_back: 0 });
        // WHY min: a wall clock that was set back must not silence a kind for as long.
        bucket.paid_until = bucket.paid_until.max(full).min(wall);
        if !always {
            if bucket.paid_until + self.micros_a_line > wall {
                bucket.held_back += 1;
                return Err(());
            }
            bucket.paid_until += self.micros_a_line;
        }
        Ok(std::mem::take(&mut bucket.held_back))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let mut budgets = Budgets::new(20);
        let at_once = (0..100).filter(|_| budgets.spend("a", 1_000 * SECOND, false).is_ok()).count();
        assert_eq!(at_once, 20);
        let half_a_second_later = (0..100).filter(|_| budgets.spend("a", 1_000 * SECOND + SECOND / 2, false).is_ok());
        assert_eq!(half_a_second_later.count(), 10);
    }

    #[test]
    fn one_kind_does_not_use_up_the_budget_of_another() {
        let mut budgets = Budgets::new(1);
        while budgets.spend("a", SECOND, false).is_ok() {}
        assert_eq!(budgets.spend("b", SECOND, false), Ok(0));
    }

    #[test]
    fn what_was_held_back_is_told_once() {
        let mut budgets = Budgets::new(20);
        while budgets.spend("a", SECOND, false).is_ok() {}
        assert_eq!(budgets.spend("a", SECOND, true), Ok(1));
        assert_eq!(budgets.spend("a", 100 * SECOND, false), Ok(0));
    }

    #[test]
    fn a_clock_set_back_silences_nothing_for_long() {
        let mut budgets = Budgets::new(20);
        while budgets.spend("a", 1_000_000 * SECOND, false).is_ok() {}
        let _ = budgets.spend("a", SECOND, false);
        assert!(budgets.spend("a", 2 * SECOND, false).is_ok());
    }
}
