//! The circuit breaker of one gateway address: what its calls say about it.
//!
//! ```text
//!            3 calls in a row get nothing, or 1 unreachable,
//!            or 50 calls in 5 s get nothing but 503
//!   Closed ------------------------------------------------> Open
//!     ^                                                       |  10 s, and a probe answered
//!     |  3 calls, one after the other,                        |  if it answers probes;
//!     |  get a response                                       v  or 2 probes answered
//!     +---------------------------------------------------- HalfOpen
//!                          a call gets nothing: back to Open
//! ```
//!
//! The numbers are those of [`BreakerRules`]. A response is proof of life, 503 included: carriers mean
//! "not this call" by it. A call that got nothing counts only if nobody else got anything since it was
//! sent, so that packet loss on a busy gateway opens nothing.

use super::health::Why;
use super::rules::BreakerRules;
use proto::time::{Micros, Mono};

/// A trial that came to no end (cancelled by its caller) holds up the next one this long.
pub const TRIAL_MAX: Micros = Micros::from_secs(5);

/// Where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// Calls pass.
    #[default]
    Closed,
    /// No calls.
    Open {
        /// What opened it.
        why: Why,
        /// When calls may try again.
        until: Mono,
    },
    /// Calls try, one after the other.
    HalfOpen {
        /// What had opened it.
        why: Why,
        /// Trials that got a response.
        passed: u32,
        /// One is under way; until then no other is sent.
        trying: Option<Mono>,
    },
}

/// The breaker of one address on one shard. All shards are told of what moves it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    position: Position,
    /// Calls in a row that got nothing.
    silent: u32,
    /// It opened again from a trial and was not closed since.
    trial_failed: bool,
    /// When a call last got a response; zero: never.
    last_response: Mono,
    refusals: Refusals,
}

/// Calls that got 503 and nothing else, by fifths of the window.
#[derive(Clone, Copy, Debug, Default)]
struct Refusals {
    fifths: [u32; 5],
    newest: u64,
}

/// What an input did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Nothing that others should know.
    No,
    /// It stands where it stood, but other shards should count this too.
    Counted,
    /// It stands elsewhere now.
    Yes,
}

impl Breaker {
    /// Where it stands.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Whether a call may be sent now.
    pub const fn lets_pass(&self) -> bool {
        matches!(self.position, Position::Closed | Position::HalfOpen { trying: None, .. })
    }

    /// A call is being sent.
    pub fn sending(&mut self, now: Mono) {
        if let Position::HalfOpen { trying, .. } = &mut self.position {
            *trying = Some(now.after(TRIAL_MAX));
        }
    }

    /// A call sent at `sent` got nothing.
    pub fn silence(&mut self, sent: Mono, rules: &BreakerRules, now: Mono) -> Moved {
        match self.position {
            Position::Open { .. } => Moved::No,
            Position::HalfOpen { .. } => self.fail_trial(Why::NoResponse, rules, now),
            Position::Closed if self.last_response > sent => Moved::No,
            Position::Closed => {
                self.silent = self.silent.saturating_add(1);
                if self.silent < rules.timeouts {
                    return Moved::Counted;
                }
                self.open(Why::NoResponse, rules, now)
            }
        }
    }

    /// The network says that nothing listens there.
    pub fn unreachable(&mut self, rules: &BreakerRules, now: Mono) -> Moved {
        match self.position {
            Position::Open { .. } => Moved::No,
            Position::HalfOpen { .. } => self.fail_trial(Why::Unreachable, rules, now),
            Position::Closed => self.open(Why::Unreachable, rules, now),
        }
    }

    /// A call got a response, in time.
    pub fn response(&mut self, status: u16, rules: &BreakerRules, now: Mono) -> Moved {
        self.last_response = now;
        let was_silent = core::mem::take(&mut self.silent) > 0;
        if status > 100 && status != 503 {
            self.refusals = Refusals::default();
        } else if status == 503
            && rules.unavailable_calls > 0
            && self.refusals.count(rules.unavailable_window, now) >= rules.unavailable_calls
            && self.position == Position::Closed
        {
            return self.open(Why::Answers503, rules, now);
        }
        match self.position {
            Position::Closed if was_silent => Moved::Counted,
            // WHY not by Open: it may answer what was sent before; it has to prove itself by new calls.
            Position::Closed | Position::Open { .. } => Moved::No,
            Position::HalfOpen { why: Why::Answers503, .. } if status == 503 => {
                self.fail_trial(Why::Answers503, rules, now)
            }
            Position::HalfOpen { why: Why::Answers503, .. } if status == 100 => Moved::No,
            Position::HalfOpen { why, passed, .. } => {
                if passed + 1 < rules.trial_calls {
                    self.position = Position::HalfOpen { why, passed: passed + 1, trying: None };
                    return Moved::Counted;
                }
                *self = Breaker { last_response: now, ..Breaker::default() };
                Moved::Yes
            }
        }
    }

    /// Another shard saw it refuse by 503 alone.
    pub fn refuses(&mut self, rules: &BreakerRules, now: Mono) -> Moved {
        if self.position == Position::Closed { self.open(Why::Answers503, rules, now) } else { Moved::No }
    }

    /// Probes in a row were answered, as many as bring a gateway up.
    pub fn probes_answered(&mut self) -> Moved {
        match self.position {
            // WHY not after a failed trial: some answer probes and no calls; there the time has to pass.
            Position::Open { why: why @ (Why::NoResponse | Why::Unreachable), .. } if !self.trial_failed => {
                self.half_open(why)
            }
            _ => Moved::No,
        }
    }

    /// Time passes. `probe_allows`: no probes tell about this gateway, or its last one was answered.
    pub fn tick(&mut self, probe_allows: bool, now: Mono) -> Moved {
        match self.position {
            Position::Open { why, until } if now >= until && probe_allows => self.half_open(why),
            Position::HalfOpen { why, passed, trying: Some(until) } if now >= until => {
                self.position = Position::HalfOpen { why, passed, trying: None };
                Moved::No
            }
            _ => Moved::No,
        }
    }

    /// When [`Breaker::tick`] could next move it.
    pub const fn deadline(&self) -> Option<Mono> {
        match self.position {
            Position::Open { until, .. } => Some(until),
            Position::HalfOpen { trying, .. } => trying,
            Position::Closed => None,
        }
    }

    fn open(&mut self, why: Why, rules: &BreakerRules, now: Mono) -> Moved {
        self.position = Position::Open { why, until: now.after(rules.retry) };
        self.silent = 0;
        self.refusals = Refusals::default();
        Moved::Yes
    }

    fn half_open(&mut self, why: Why) -> Moved {
        self.position = Position::HalfOpen { why, passed: 0, trying: None };
        Moved::Yes
    }

    fn fail_trial(&mut self, why: Why, rules: &BreakerRules, now: Mono) -> Moved {
        self.trial_failed = true;
        self.open(why, rules, now)
    }
}

impl Refusals {
    /// Counts one more; how many there were within the window.
    fn count(&mut self, window: Micros, now: Mono) -> u32 {
        let fifth = now.0 / (window.0 / 5).max(1);
        let passed = fifth.saturating_sub(self.newest);
        if passed >= 5 {
            self.fifths = [0; 5];
        } else {
            self.fifths.rotate_right(usize::try_from(passed).unwrap_or(0));
            self.fifths.iter_mut().zip(0..passed).for_each(|(count, _)| *count = 0);
        }
        self.newest = self.newest.max(fifth);
        let [newest, ..] = &mut self.fifths;
        *newest = newest.saturating_add(1);
        self.fifths.iter().fold(0, |sum: u32, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules = BreakerRules {
        timeouts: 3,
        retry: Micros::from_secs(10),
        trial_calls: 3,
        unavailable_calls: 50,
        unavailable_window: Micros::from_secs(5),
    };

    fn at(ms: u64) -> Mono {
        Mono(1_000_000_000).after(Micros::from_millis(ms))
    }

    fn is_open(breaker: &Breaker) -> bool {
        matches!(breaker.position(), Position::Open { .. })
    }

    #[test]
    fn three_silent_calls_open_it_and_a_response_between_them_does_not() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.silence(at(0), &RULES, at(2_000)), Moved::Counted);
        assert_eq!(breaker.silence(at(100), &RULES, at(2_100)), Moved::Counted);
        assert_eq!(breaker.response(503, &RULES, at(2_150)), Moved::Counted);
        let loss = breaker.silence(at(200), &RULES, at(2_200));
        assert_eq!(loss, Moved::No, "somebody was answered since it was sent");
        for sent in [2_200, 2_201] {
            assert_eq!(breaker.silence(at(sent), &RULES, at(sent + 2_000)), Moved::Counted);
        }
        assert_eq!(breaker.silence(at(2_202), &RULES, at(4_202)), Moved::Yes);
        assert!(is_open(&breaker) && !breaker.lets_pass());
    }

    #[test]
    fn one_unreachable_opens_it_and_trials_go_one_by_one() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.unreachable(&RULES, at(0)), Moved::Yes);
        assert_eq!(breaker.tick(true, at(9_999)), Moved::No);
        assert_eq!(breaker.tick(false, at(10_000)), Moved::No, "its probes are not answered");
        assert_eq!(breaker.tick(true, at(10_000)), Moved::Yes);
        for wanted in [Moved::Counted, Moved::Counted, Moved::Yes] {
            assert!(breaker.lets_pass());
            breaker.sending(at(10_000));
            assert!(!breaker.lets_pass(), "one at a time");
            assert_eq!(breaker.response(100, &RULES, at(10_010)), wanted);
        }
        assert_eq!(breaker.position(), Position::Closed);
    }

    #[test]
    fn a_failed_trial_opens_it_and_then_only_time_helps() {
        let mut breaker = Breaker::default();
        breaker.unreachable(&RULES, at(0));
        assert_eq!(breaker.probes_answered(), Moved::Yes);
        breaker.sending(at(1));
        assert_eq!(breaker.silence(at(1), &RULES, at(2_001)), Moved::Yes);
        assert_eq!(breaker.probes_answered(), Moved::No);
        assert_eq!(breaker.deadline(), Some(at(12_001)));
    }

    #[test]
    fn a_trial_that_never_ends_holds_up_the_next_for_five_seconds() {
        let mut breaker = Breaker::default();
        breaker.unreachable(&RULES, at(0));
        breaker.tick(true, at(10_000));
        breaker.sending(at(10_000));
        breaker.tick(true, at(14_999));
        assert!(!breaker.lets_pass());
        breaker.tick(true, at(15_000));
        assert!(breaker.lets_pass());
    }

    #[test]
    fn fifty_refusals_in_five_seconds_and_nothing_else_open_it() {
        let mut breaker = Breaker::default();
        for n in 0..49 {
            assert_eq!(breaker.response(100, &RULES, at(n * 80)), Moved::No);
            assert_eq!(breaker.response(503, &RULES, at(n * 80 + 1)), Moved::No);
        }
        breaker.response(486, &RULES, at(3_930));
        for n in 0..49 {
            assert_eq!(breaker.response(503, &RULES, at(4_000 + n)), Moved::No, "one was answered otherwise");
        }
        assert_eq!(breaker.response(503, &RULES, at(4_100)), Moved::Yes);
        assert!(is_open(&breaker));
    }

    #[test]
    fn refusals_that_are_spread_out_do_not_open_it() {
        let mut breaker = Breaker::default();
        for n in 0..500 {
            assert_eq!(breaker.response(503, &RULES, at(n * 130)), Moved::No);
        }
    }

    #[test]
    fn a_refusal_proves_life_unless_refusals_opened_it() {
        let one = BreakerRules { trial_calls: 1, ..RULES };
        let mut silent = Breaker::default();
        silent.unreachable(&one, at(0));
        silent.tick(true, at(10_000));
        assert_eq!(silent.response(503, &one, at(10_001)), Moved::Yes);
        assert_eq!(silent.position(), Position::Closed);

        let mut refusing = Breaker::default();
        refusing.refuses(&one, at(0));
        refusing.tick(true, at(10_000));
        assert_eq!(refusing.response(100, &one, at(10_001)), Moved::No);
        assert_eq!(refusing.response(503, &one, at(10_002)), Moved::Yes);
        assert!(is_open(&refusing));
    }
}
