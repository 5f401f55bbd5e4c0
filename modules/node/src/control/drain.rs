//! Drain and the end of the process, as plain data: what holds at which moment.

use modules::Serving;
use std::time::{Duration, Instant};

/// How new requests are served, and when that changes by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drain {
    serving: Serving,
    /// When `Leaving` becomes `Refusing`.
    refuse_at: Option<Instant>,
}

impl Drain {
    /// What holds.
    pub(super) fn serving(&self) -> Serving {
        self.serving
    }

    /// Begins: OPTIONS get 503 now, new calls after `carry_on`. A drain that runs already is not prolonged.
    pub(super) fn begin(&mut self, now: Instant, carry_on: Duration) {
        if self.serving == Serving::Normal {
            self.serving = Serving::Leaving;
            self.refuse_at = Some(now + carry_on);
        }
        self.tick(now);
    }

    /// Refuses new requests from now on.
    pub(super) fn refuse(&mut self) {
        *self = Drain { serving: Serving::Refusing, refuse_at: None };
    }

    /// Takes it back.
    pub(super) fn end(&mut self) {
        *self = Drain::default();
    }

    /// Time passes. True: what holds has changed.
    pub(super) fn tick(&mut self, now: Instant) -> bool {
        let due = self.refuse_at.is_some_and(|at| at <= now);
        if due {
            self.refuse();
        }
        due
    }

    /// When something changes by itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.refuse_at
    }

    /// Whole seconds until new calls are refused; `None`: they are already, or nothing drains.
    pub(super) fn refusing_in(&self, now: Instant) -> Option<u64> {
        let left = self.refuse_at?.saturating_duration_since(now);
        u64::try_from(left.as_millis().div_ceil(1_000)).ok()
    }
}

/// The word for it in replies, logs and metrics.
pub(super) fn word(serving: Serving) -> &'static str {
    match serving {
        Serving::Normal => "normal",
        Serving::Leaving => "leaving",
        Serving::Refusing => "refusing",
    }
}

/// The process is about to end: until no transaction is open, but not for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    deadline: Instant,
    quiet_since: Option<Instant>,
    idle: bool,
}

/// How long there must be no open transaction while answered ones are still kept.
///
/// WHY: the last responses may have to be sent again, and the ACK and retransmissions of the last 2xx
/// have to pass through us.
const QUIET: Duration = Duration::from_secs(1);

impl Ending {
    /// Ends at `now + longest` at the latest.
    pub(super) fn new(now: Instant, longest: Duration) -> Self {
        Ending { deadline: now + longest, quiet_since: None, idle: false }
    }

    /// At `now` so many transactions are without a final response, and so many are kept in all.
    pub(super) fn look(&mut self, now: Instant, unfinished: u64, kept: u64) {
        self.idle = unfinished == 0 && kept == 0;
        self.quiet_since = match unfinished {
            0 => self.quiet_since.or(Some(now)),
            _ => None,
        };
    }

    /// Whether to end now.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.idle || now >= self.deadline || self.quiet_since.is_some_and(|since| now >= since + QUIET)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn leaving_becomes_refusing_at_its_time() {
        let start = Instant::now();
        let mut drain = Drain::default();
        drain.begin(start, 30 * SECOND);
        assert_eq!((drain.serving(), drain.refusing_in(start)), (Serving::Leaving, Some(30)));
        drain.begin(start + 20 * SECOND, 30 * SECOND);
        assert!(!drain.tick(start + 29 * SECOND));
        assert!(drain.tick(start + 30 * SECOND));
        assert_eq!((drain.serving(), drain.refusing_in(start)), (Serving::Refusing, None));
        assert!(!drain.tick(start + 31 * SECOND));
        drain.end();
        assert_eq!(drain.serving(), Serving::Normal);
    }

    #[test]
    fn without_time_to_carry_on_it_refuses_at_once() {
        let mut drain = Drain::default();
        drain.begin(Instant::now(), Duration::ZERO);
        assert_eq!(drain.serving(), Serving::Refusing);
    }

    #[test]
    fn the_end_comes_when_it_is_quiet_or_at_the_deadline() {
        let start = Instant::now();
        let mut ending = Ending::new(start, 30 * SECOND);
        ending.look(start, 5, 9);
        assert!(!ending.is_over(start + 29 * SECOND));
        assert!(ending.is_over(start + 30 * SECOND));
        ending.look(start + 3 * SECOND, 0, 9);
        ending.look(start + 3 * SECOND + SECOND / 2, 0, 9);
        assert!(!ending.is_over(start + 3 * SECOND + SECOND / 2));
        assert!(ending.is_over(start + 4 * SECOND));
        ending.look(start + 4 * SECOND, 1, 9);
        assert!(!ending.is_over(start + 5 * SECOND), "another one came");
    }

    #[test]
    fn with_nothing_kept_at_all_it_ends_at_once() {
        let start = Instant::now();
        let mut ending = Ending::new(start, 30 * SECOND);
        assert!(!ending.is_over(start), "before the first look nothing is known");
        ending.look(start, 0, 0);
        assert!(ending.is_over(start));
    }
}
