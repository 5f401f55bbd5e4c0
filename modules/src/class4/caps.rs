//! Caps of a trunk: calls at the same time, and new calls a second, for all shards together.
//!
//! A [`Load`] is shared by all shards and kept by name from one snapshot of the tables to the next. Nobody
//! waits: a step that another shard was quicker at is tried again at once. What [`Load::take`] gives is given
//! back exactly once, by [`Load::release`]; whoever holds it says so in its own state (a hunt, then a call).

use proto::time::Mono;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a trunk may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Most calls at the same time; `u32::MAX`: no bound.
    concurrent: u32,
    /// Bound of new calls a second.
    pace: Option<Pace>,
}

/// A token bucket as the moment at which it would be full again (GCRA): one number, so that one atomic holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// Nanoseconds a call takes.
    interval: u64,
    /// How far ahead of the clock the calls may be: a burst.
    tolerance: u64,
}

/// Which cap is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// As many calls live as may.
    Concurrent,
    /// More calls a second than may.
    Pace,
}

/// What a trunk does now.
#[derive(Debug, Default)]
pub struct Load {
    calls: AtomicU32,
    /// When the calls let in so far would be paid off at the allowed pace, in nanoseconds.
    paid_off: AtomicU64,
}

const NANOSECONDS: u64 = 1_000_000_000;

impl Caps {
    /// `cps` new calls a second with up to `burst` at once, `concurrent` at the same time; `None`: no bound.
    pub fn new(cps: Option<u32>, burst: Option<u32>, concurrent: Option<u32>) -> Self {
        let pace = cps.filter(|cps| *cps > 0).map(|cps| {
            // WHY up: the pace is never above the limit, and less than 0.01 % below it.
            let interval = NANOSECONDS.div_ceil(u64::from(cps));
            Pace { interval, tolerance: interval * u64::from(burst.unwrap_or(1).max(1)) }
        });
        Caps { concurrent: concurrent.unwrap_or(u32::MAX), pace }
    }

    /// New calls a second.
    pub fn cps(&self) -> Option<u64> {
        self.pace.map(|pace| NANOSECONDS / pace.interval.max(1))
    }

    /// Most calls at the same time.
    pub fn concurrent(&self) -> Option<u32> {
        (self.concurrent != u32::MAX).then_some(self.concurrent)
    }
}

/// A step of a pace that was taken: from where, and to where.
#[derive(Clone, Copy, Debug)]
struct Paid(u64, u64);

impl Pace {
    /// Where the next call brings it. `None`: that is too far ahead.
    fn step(self, paid_off: u64, now: Mono) -> Option<u64> {
        let now = now.0.saturating_mul(1_000);
        let next = paid_off.max(now).saturating_add(self.interval);
        (next <= now.saturating_add(self.tolerance)).then_some(next)
    }
}

impl Load {
    /// Lets one call in.
    ///
    /// # Errors
    /// A cap is used up; nothing was taken.
    pub fn take(&self, caps: &Caps, now: Mono) -> Result<(), Full> {
        // WHY a look first: what is refused takes no place for a moment, which another call could be refused for.
        self.look(caps, now)?;
        self.enter(caps)?;
        self.pay(caps, now).map(drop).inspect_err(|_| self.release())
    }

    /// Lets one call in here and there, or neither.
    ///
    /// # Errors
    /// Which cap is used up, and whether it is the other one's; nothing was taken.
    pub fn take_both(&self, caps: &Caps, other: (&Load, &Caps), now: Mono) -> Result<(), (Full, bool)> {
        let (their, theirs) = other;
        self.look(caps, now).map_err(|full| (full, false))?;
        their.look(theirs, now).map_err(|full| (full, true))?;
        self.enter(caps).map_err(|full| (full, false))?;
        let rest = || {
            their.enter(theirs).map_err(|full| (full, true))?;
            let steps = || {
                let own = self.pay(caps, now).map_err(|full| (full, false))?;
                their.pay(theirs, now).map(drop).map_err(|full| {
                    self.take_back(own);
                    (full, true)
                })
            };
            steps().inspect_err(|_| their.release())
        };
        rest().inspect_err(|_| self.release())
    }

    /// Whether a call could be let in now. Takes nothing.
    ///
    /// # Errors
    /// Which cap is used up.
    pub fn look(&self, caps: &Caps, now: Mono) -> Result<(), Full> {
        if self.calls() >= caps.concurrent {
            return Err(Full::Concurrent);
        }
        match caps.pace {
            Some(pace) if pace.step(self.paid_off.load(Relaxed), now).is_none() => Err(Full::Pace),
            _ => Ok(()),
        }
    }

    fn enter(&self, caps: &Caps) -> Result<(), Full> {
        let one_more = |calls: u32| calls.checked_add(1).filter(|_| calls < caps.concurrent);
        self.calls.fetch_update(Relaxed, Relaxed, one_more).map(drop).map_err(|_| Full::Concurrent)
    }

    fn pay(&self, caps: &Caps, now: Mono) -> Result<Option<Paid>, Full> {
        let Some(pace) = caps.pace else { return Ok(None) };
        let before = self.paid_off.fetch_update(Relaxed, Relaxed, |paid_off| pace.step(paid_off, now));
        let before = before.map_err(|_| Full::Pace)?;
        Ok(pace.step(before, now).map(|after| Paid(before, after)))
    }

    /// A step that was taken for nothing. INVARIANT: only while nobody has taken another one, or more would pass than
    /// may; else it is lost, which takes a third call within the same few nanoseconds.
    fn take_back(&self, paid: Option<Paid>) {
        if let Some(Paid(before, after)) = paid {
            let _ = self.paid_off.compare_exchange(after, before, Relaxed, Relaxed);
        }
    }

    /// Lets one call in, whatever the caps say: an emergency, or a gateway that was left and has answered after all.
    pub fn force(&self) {
        self.calls.fetch_add(1, Relaxed);
    }

    /// A call that was let in has ended.
    pub fn release(&self) {
        // INVARIANT: each was taken; a count that wrapped would refuse for ever.
        let _ = self.calls.fetch_update(Relaxed, Relaxed, |calls| calls.checked_sub(1));
    }

    /// Calls that live now.
    pub fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn never_more_at_once_and_none_refused_below() {
        let (load, caps) = (Load::default(), Caps::new(None, None, Some(2)));
        let take = || load.take(&caps, Mono(0));
        assert_eq!([take(), take(), take()], [Ok(()), Ok(()), Err(Full::Concurrent)]);
        load.release();
        assert_eq!([take(), take()], [Ok(()), Err(Full::Concurrent)]);
        (0..5).for_each(|_| load.release());
        assert_eq!((load.calls(), take()), (0, Ok(())));
    }

    #[test]
    fn who_comes_too_fast_takes_no_place() {
        let (load, caps) = (Load::default(), Caps::new(Some(10), Some(3), Some(100)));
        let taken = (0..50).filter(|_| load.take(&caps, Mono(1_000_000)).is_ok()).count();
        assert_eq!((taken, load.calls()), (3, 3));
        assert_eq!(load.take(&caps, Mono(1_000_000)), Err(Full::Pace));
        assert_eq!(load.take(&caps, Mono(1_100_001)), Ok(()));
    }

    #[test]
    fn both_let_a_call_in_or_neither_counts_it() {
        let (all, there) = (Load::default(), Load::default());
        let (caps, bound) = (Caps::new(Some(10), Some(4), Some(3)), Caps::new(Some(2), Some(2), Some(2)));
        let at = |ms: u64| Mono(1_000_000 + ms * 1_000);
        let take = |ms| all.take_both(&caps, (&there, &bound), at(ms));
        assert_eq!([take(0), take(0), take(0)], [Ok(()), Ok(()), Err((Full::Concurrent, true))]);
        there.release();
        assert_eq!((take(0), all.calls(), there.calls()), (Err((Full::Pace, true)), 2, 1));
        // What the other one refused has used up nothing here: two of four at once are left, and one place.
        assert_eq!([all.take(&caps, at(0)), all.take(&caps, at(0))], [Ok(()), Err(Full::Concurrent)]);
        assert_eq!(take(900), Err((Full::Concurrent, false)));
        all.release();
        assert_eq!((take(900), all.calls(), there.calls()), (Ok(()), 3, 2));
    }

    #[test]
    fn threads_that_take_two_caps_keep_both() {
        let (all, there) = (Load::default(), Load::default());
        let (caps, bound) = (Caps::new(None, None, Some(900)), Caps::new(Some(1), Some(300), Some(700)));
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1_000).filter(|_| all.take_both(&caps, (&there, &bound), Mono(0)).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((taken, all.calls(), there.calls()), (300, 300, 300));
    }

    #[test]
    fn threads_that_take_at_the_same_time_get_the_limit_and_no_more() {
        let (load, caps) = (Load::default(), Caps::new(None, None, Some(1_000)));
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1_000).filter(|_| load.take(&caps, Mono(0)).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((taken, load.calls()), (1_000, 1_000));
    }

    proptest! {
        /// WHY two at least: a bucket for one loses what comes due between two arrivals.
        /// Over any window at most limit × T + burst, and under excess at least limit × T less a thousandth or one call.
        #[test]
        fn pace_keeps_its_bounds(cps in 1_u32..5_000, burst in 2_u32..200, factor in 2_u64..5) {
            let (load, caps) = (Load::default(), Caps::new(Some(cps), Some(burst), None));
            let (step, seconds) = (1_000_000 / (u64::from(cps) * factor).max(1), 4);
            let mut passed = Vec::new();
            let mut now = 7_000_000;
            while now < 7_000_000 + seconds * 1_000_000 {
                if load.take(&caps, Mono(now)).is_ok() {
                    passed.push(now);
                }
                now += step.max(1);
            }
            let within = |from: u64, to: u64| passed.iter().filter(|at| (from..to).contains(*at)).count() as f64;
            for from in (7_000_000..10_000_000).step_by(250_000) {
                for length in [100_000, 500_000, 1_000_000] {
                    let most = f64::from(cps) * length as f64 / 1e6 + f64::from(burst);
                    prop_assert!(within(from, from + length) <= most + 1e-6);
                }
            }
            let least = f64::from(cps) * seconds as f64;
            prop_assert!(passed.len() as f64 >= least - (least * 0.001).max(1.0), "{} of {least}", passed.len());
        }
    }
}
