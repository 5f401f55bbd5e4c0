//! Loops across carriers: the same caller and called number, back from another carrier within seconds.
//!
//! The second INVITE has another Call-ID, so another shard may have it: what is remembered is one table for all of them,
//! of fixed size, kept from one snapshot of the tables to the next. Nobody waits. A place is two words of which the
//! first is the hash of the numbers mixed with the second (customer and time), so that a place that two shards write at
//! once is no call's. The newest call stands in the place of the oldest of its bucket; what is forgotten early, or lost
//! to another shard that wrote the same place, is noted again at the loop's next round.

use crate::tables::Number;
use deck::Code;
use proto::hash::{KeyedHash, Purpose, Secret};
use proto::time::{Micros, Mono};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// See the module.
#[derive(Debug)]
pub struct Loops {
    buckets: Box<[Bucket]>,
    /// The same on all shards.
    secret: OnceLock<Secret>,
    /// Loops for the log.
    told: [Told; limits::LOOPS_TOLD],
    /// How many there were, and how many of them were taken out.
    telling: AtomicU64,
    taken: AtomicU64,
}

/// One line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([Place; 4]);

#[derive(Debug, Default)]
struct Place {
    /// Hash of the numbers, mixed with what stands beside it.
    mixed: AtomicU64,
    /// Customer in the high half, time in the low one; 0: nothing.
    value: AtomicU64,
}

/// The numbers of a call, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers(u64);

/// The call with the same numbers that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// Whose it was.
    pub customer: Number,
    /// How long ago it came, to a hundredth of a second.
    pub ago: Micros,
}

/// A loop, as the log tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// From whom the call came back.
    pub customer: Number,
    /// And who had sent it before.
    pub before: Before,
    /// The caller.
    pub caller: Code,
    /// The called number.
    pub called: Code,
}

/// One of the last loops: valid where `stamp` is its own number before and after it was read.
#[derive(Debug, Default)]
struct Told {
    stamp: AtomicU64,
    customer: AtomicU32,
    before: AtomicU32,
    ago: AtomicU64,
    caller: AtomicU64,
    called: AtomicU64,
}

/// Microseconds in the unit of what is remembered: 32 bits of it are 497 days.
const UNIT: u64 = 10_000;

impl Default for Loops {
    fn default() -> Self {
        Loops::with_room(limits::LOOP_PLACES)
    }
}

impl Loops {
    /// Room for so many calls, in buckets of four.
    pub fn with_room(places: usize) -> Self {
        Loops {
            buckets: (0..places.div_ceil(4).max(1)).map(|_| Bucket::default()).collect(),
            secret: OnceLock::new(),
            told: std::array::from_fn(|_| Told::default()),
            telling: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        }
    }

    /// The key of this boot; the first one holds.
    pub fn keyed(&self, secret: Secret) {
        self.secret.get_or_init(|| secret);
    }

    /// The numbers of a call.
    pub fn numbers(&self, caller: Code, called: Code) -> Numbers {
        let secret = self.secret.get().copied().unwrap_or(Secret([0; 16]));
        let (caller, called) = (caller.packed().to_le_bytes(), called.packed().to_le_bytes());
        let hash = KeyedHash::new(&secret, Purpose::Numbers).pair(&caller, &called).finish();
        Numbers((hash & u128::from(u64::MAX)) as u64)
    }

    /// The call with these numbers that came last, if that is no longer ago than `window`.
    pub fn before(&self, numbers: Numbers, window: Micros, now: Mono) -> Option<Before> {
        let places = &self.bucket(numbers)?.0;
        let value = places.iter().find_map(|place| place.value_of(numbers))?;
        let ago = Micros(u64::from(age(value, now)) * UNIT);
        (ago <= window).then_some(Before { customer: Number((value >> 32) as u32), ago })
    }

    /// A call with these numbers is sent on. True: another one was forgotten for it, though it came within `window`.
    pub(super) fn note(&self, numbers: Numbers, customer: Number, window: Micros, now: Mono) -> bool {
        let Some(Bucket(places)) = self.bucket(numbers) else { return false };
        let value = u64::from(customer.0) << 32 | u64::from(in_units(now));
        let own = places.iter().find(|place| place.value_of(numbers).is_some());
        let stale = || places.iter().max_by_key(|place| place.staleness(now));
        let Some(place) = own.or_else(stale) else { return false };
        let early = own.is_none() && place.staleness(now).saturating_mul(UNIT) <= window.0;
        // WHY this order: whoever reads in between finds a place of nobody.
        place.value.store(value, Release);
        place.mixed.store(numbers.0 ^ spread(value), Release);
        early
    }

    /// A loop was found: for the log.
    pub(super) fn tell(&self, found: &Found) {
        let number = self.telling.fetch_add(1, Relaxed);
        let Some(told) = self.told.get(place_of(number)) else { return };
        told.stamp.store(0, Relaxed);
        std::sync::atomic::fence(Release);
        told.customer.store(found.customer.0, Relaxed);
        told.before.store(found.before.customer.0, Relaxed);
        told.ago.store(found.before.ago.0, Relaxed);
        told.caller.store(found.caller.packed(), Relaxed);
        told.called.store(found.called.packed(), Relaxed);
        told.stamp.store(number + 1, Release);
    }

    /// Loops that were found since the last time, for whoever writes the log; and how many of them are not among these.
    pub fn take_told(&self) -> (Vec<Found>, u64) {
        let end = self.telling.load(Acquire);
        let from = self.taken.swap(end, Relaxed);
        let kept = from.max(end.saturating_sub(limits::LOOPS_TOLD as u64));
        let found: Vec<Found> =
            (kept..end).filter_map(|number| self.told.get(place_of(number))?.read(number)).collect();
        let missing = (end - from).saturating_sub(found.len() as u64);
        (found, missing)
    }

    fn bucket(&self, numbers: Numbers) -> Option<&Bucket> {
        let buckets = u64::try_from(self.buckets.len()).ok()?;
        let at = (u128::from(numbers.0) * u128::from(buckets)) >> 64;
        self.buckets.get(usize::try_from(at).ok()?)
    }
}

impl Place {
    /// What stands here, if it is of these numbers.
    fn value_of(&self, numbers: Numbers) -> Option<u64> {
        let mixed = self.mixed.load(Acquire);
        let value = self.value.load(Acquire);
        (value != 0 && mixed ^ spread(value) == numbers.0).then_some(value)
    }

    /// The longer ago, the better it is taken.
    fn staleness(&self, now: Mono) -> u64 {
        match self.value.load(Relaxed) {
            0 => u64::MAX,
            value => u64::from(age(value, now)),
        }
    }
}

impl Told {
    fn read(&self, number: u64) -> Option<Found> {
        let before = self.stamp.load(Acquire);
        let found = Found {
            customer: Number(self.customer.load(Relaxed)),
            before: Before { customer: Number(self.before.load(Relaxed)), ago: Micros(self.ago.load(Relaxed)) },
            caller: Code::from_packed(self.caller.load(Relaxed))?,
            called: Code::from_packed(self.called.load(Relaxed))?,
        };
        std::sync::atomic::fence(Acquire);
        (before == number + 1 && self.stamp.load(Relaxed) == before).then_some(found)
    }
}

const fn place_of(number: u64) -> usize {
    (number % limits::LOOPS_TOLD as u64) as usize
}

/// Never 0, so that a place with a value is one that is taken.
const fn in_units(now: Mono) -> u32 {
    ((now.0 / UNIT) & 0xffff_ffff) as u32 | 1
}

const fn age(value: u64, now: Mono) -> u32 {
    in_units(now).wrapping_sub((value & 0xffff_ffff) as u32)
}

/// Fibonacci hashing: neighbouring values differ in all bits.
const fn spread(value: u64) -> u64 {
    value.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const WINDOW: Micros = Micros::from_secs(10);

    fn code(digits: &str) -> Code {
        Code::parse(digits.as_bytes()).unwrap()
    }

    fn at(ms: u64) -> Mono {
        Mono(5_000_000_000 + ms * 1_000)
    }

    #[test]
    fn the_last_call_with_the_same_numbers_is_known_for_a_while() {
        let loops = Loops::with_room(64);
        let (ab, ba) = (loops.numbers(code("4930"), code("4420")), loops.numbers(code("4420"), code("4930")));
        assert!(!loops.note(ab, Number(7), WINDOW, at(0)));
        let before = loops.before(ab, WINDOW, at(400)).unwrap();
        assert_eq!(before.customer, Number(7));
        assert!(before.ago.0.abs_diff(400_000) <= 2 * UNIT, "{before:?}");
        assert_eq!(loops.before(ba, WINDOW, at(400)), None, "the other way round is another call");
        assert!(loops.before(ab, WINDOW, at(9_970)).is_some() && loops.before(ab, WINDOW, at(10_030)).is_none());
        loops.note(ab, Number(8), WINDOW, at(9_000));
        assert_eq!(loops.before(ab, WINDOW, at(12_000)).unwrap().customer, Number(8));
    }

    #[test]
    fn a_full_bucket_forgets_the_oldest_and_says_when_that_was_early() {
        let loops = Loops::with_room(4);
        let calls: Vec<Numbers> = (0..5).map(|n| loops.numbers(code("1"), code(&format!("49{n}")))).collect();
        let noted: Vec<bool> =
            (0..5).map(|n| loops.note(calls[n], Number(n as u32), WINDOW, at(n as u64 * 100))).collect();
        assert_eq!(noted, [false, false, false, false, true]);
        let known: Vec<bool> = calls.iter().map(|call| loops.before(*call, WINDOW, at(500)).is_some()).collect();
        assert_eq!(known, [false, true, true, true, true]);
        assert!(!loops.note(calls[0], Number(0), WINDOW, at(60_000)), "what is past is forgotten without a word");
    }

    #[test]
    fn what_is_told_comes_once_and_what_was_overwritten_is_counted() {
        let loops = Loops::with_room(4);
        let found = |n: u32| {
            let before = Before { customer: Number(n + 1), ago: Micros(20_000) };
            Found { customer: Number(n), before, caller: code("49"), called: code("44") }
        };
        assert_eq!(loops.take_told(), (vec![], 0));
        loops.tell(&found(1));
        assert_eq!(loops.take_told(), (vec![found(1)], 0));
        let many = limits::LOOPS_TOLD as u32 + 5;
        (0..many).for_each(|n| loops.tell(&found(n)));
        let (told, missing) = loops.take_told();
        assert_eq!((told.len(), missing, told[0], loops.take_told()), (limits::LOOPS_TOLD, 5, found(5), (vec![], 0)));
    }

    #[test]
    fn threads_that_write_at_once_invent_no_call() {
        let loops = Loops::with_room(8);
        let calls: Vec<Numbers> = (0..64).map(|n| loops.numbers(code("1"), code(&format!("49{n}")))).collect();
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let (loops, calls) = (&loops, &calls);
                scope.spawn(move || {
                    for round in 0..20_000_usize {
                        // Each number is of one customer alone.
                        let n = (round * 7 + thread * 16) % 64;
                        loops.note(calls[n], Number(n as u32 + 100), WINDOW, at(1));
                        let other = (round * 13) % 64;
                        if let Some(before) = loops.before(calls[other], WINDOW, at(1)) {
                            assert_eq!(before.customer, Number(other as u32 + 100));
                        }
                    }
                });
            }
        });
    }
}
