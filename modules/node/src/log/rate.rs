//! How many lines each kind of event may write: a token bucket a kind.

use std::collections::HashMap;

/// Lines of one kind that may come at once.
pub(super) const BURST: u64 = 20;

/// Lines of one kind that may come each second in the long run.
pub(super) const PER_SECOND: u64 = 2;

const MICROS_A_LINE: u64 = 1_000_000 / PER_SECOND;

/// Buckets by kind. Kinds are fixed words of the program, so there are few.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    kinds: HashMap<&'static str, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Moment up to which lines are paid for; a full bucket lies `BURST` lines behind now.
    paid_until: u64,
    held_back: u64,
}

impl Budgets {
    /// May a line of `kind` be written at `wall` (µs)? `Ok` says how many were held back before it.
    /// An `always` line is written whatever the bucket says, and takes nothing out of it.
    pub(super) fn spend(&mut self, kind: &'static str, wall: u64, always: bool) -> Result<u64, ()> {
        let full = wall.saturating_sub(BURST * MICROS_A_LINE);
        let bucket = self.kinds.entry(kind).or_insert(Bucket { paid_until: full, held_back: 0 });
        // WHY min: a wall clock that was set back must not silence a kind for as long.
        bucket.paid_until = bucket.paid_until.max(full).min(wall);
        if !always {
            if bucket.paid_until + MICROS_A_LINE > wall {
                bucket.held_back += 1;
                return Err(());
            }
            bucket.paid_until += MICROS_A_LINE;
        }
        Ok(std::mem::take(&mut bucket.held_back))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_burst_then_a_trickle() {
        let mut budgets = Budgets::default();
        let at_once = (0..100).filter(|_| budgets.spend("a", 1_000 * SECOND, false).is_ok()).count();
        assert_eq!(at_once as u64, BURST);
        let later = (0..100).filter(|_| budgets.spend("a", 1_001 * SECOND, false).is_ok()).count();
        assert_eq!(later as u64, PER_SECOND);
    }

    #[test]
    fn one_kind_does_not_use_up_the_budget_of_another() {
        let mut budgets = Budgets::default();
        while budgets.spend("a", SECOND, false).is_ok() {}
        assert_eq!(budgets.spend("b", SECOND, false), Ok(0));
    }

    #[test]
    fn what_was_held_back_is_told_once() {
        let mut budgets = Budgets::default();
        while budgets.spend("a", SECOND, false).is_ok() {}
        assert_eq!(budgets.spend("a", SECOND, true), Ok(1));
        assert_eq!(budgets.spend("a", 100 * SECOND, false), Ok(0));
    }

    #[test]
    fn a_clock_set_back_silences_nothing_for_long() {
        let mut budgets = Budgets::default();
        while budgets.spend("a", 1_000_000 * SECOND, false).is_ok() {}
        let _ = budgets.spend("a", SECOND, false);
        assert!(budgets.spend("a", 2 * SECOND, false).is_ok());
    }
}
