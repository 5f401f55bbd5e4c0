//! How well vendors carry calls, from live traffic over a window: ASR, NER, PDD and short calls.
//!
//! A [`Quality`] is shared by all shards and kept by name from one snapshot of the tables to the next, as caps are.
//! The window is a ring of cells, each for an eighth of it; a cell whose time has come again begins at nothing. Who
//! counts into a cell just as another shard clears it may lose that one count: this is a statistic, not money.
//!
//! - **ASR**: calls answered of the calls that the vendor was given.
//! - **NER**: those that ended as no vendor could help: answered, busy, not answered, no such number (E.425).
//! - **PDD**: from the INVITE to the vendor until its first 18x or 2xx.
//! - **Short calls**: of the answered ones that have ended, those shorter than `short_call`.

use proto::time::Wall;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tuning::QualityMeasure;

/// See the module.
#[derive(Debug, Default)]
pub struct Quality {
    cells: [Cell; CELLS],
}

#[derive(Debug, Default)]
struct Cell {
    /// Which stretch of time it is for.
    epoch: AtomicU64,
    counts: [AtomicU64; COUNTS],
}

const CELLS: usize = 8;
const COUNTS: usize = 7;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The vendor was given a call.
    Attempt,
    /// It was answered.
    Answer,
    /// It ended as no other vendor could have helped.
    Effective,
    /// Its first 18x or 2xx came.
    Heard,
    /// Milliseconds until then.
    HeardAfter,
    /// An answered call has ended.
    End,
    /// After a short time.
    Short,
}

/// How quality is counted and judged.
#[derive(Clone, Debug)]
pub struct QualityRules {
    /// Seconds of a cell.
    cell: u64,
    /// With fewer attempts in the window nothing is known of a vendor.
    attempts_min: u64,
    by: Box<[QualityMeasure]>,
    /// Answered calls shorter than this are short ones.
    pub short_call: Duration,
}

/// The counts of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures([u64; COUNTS]);

/// Where a vendor stands by quality: the lowest first. Measures that differ by less than a step are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank([u16; MEASURES]);

const MEASURES: usize = QualityMeasure::WORDS.len();

/// Steps of a measure, so that chance does not turn the order with every call: 5 in a hundred, half a second.
const SHARE_STEP: u64 = 50;
const DELAY_STEP_MS: u64 = 500;

impl QualityRules {
    pub(super) fn new(quality: &tuning::Quality) -> Self {
        QualityRules {
            cell: (quality.window.as_secs() / CELLS as u64).max(1),
            attempts_min: u64::from(quality.attempts_min),
            by: quality.by.clone().into(),
            short_call: quality.short_call,
        }
    }

    fn epoch(&self, at: i64) -> u64 {
        // INVARIANT: never 0, which is that of a cell that was never counted into.
        u64::try_from(at).unwrap_or(0) / self.cell + 1
    }
}

/// Seconds since 1970.
pub(super) fn seconds(wall: Wall) -> i64 {
    i64::try_from(wall.0 / 1_000_000).unwrap_or(i64::MAX)
}

impl Quality {
    /// Counts at a time in seconds since 1970.
    pub fn count(&self, rules: &QualityRules, at: i64, count: Count, amount: u64) {
        let epoch = rules.epoch(at);
        let Some(cell) = usize::try_from(epoch % CELLS as u64).ok().and_then(|place| self.cells.get(place)) else {
            return;
        };
        let known = cell.epoch.load(Relaxed);
        if known != epoch && cell.epoch.compare_exchange(known, epoch, Relaxed, Relaxed).is_ok() {
            cell.counts.iter().for_each(|count| count.store(0, Relaxed));
        }
        if let Some(place) = cell.counts.get(count as usize) {
            place.fetch_add(amount, Relaxed);
        }
    }

    /// What was counted in the window that ends at a time.
    pub fn figures(&self, rules: &QualityRules, at: i64) -> Figures {
        let newest = rules.epoch(at);
        let mut figures = Figures::default();
        for cell in &self.cells {
            let epoch = cell.epoch.load(Relaxed);
            if epoch <= newest && newest - epoch < CELLS as u64 {
                for (sum, count) in figures.0.iter_mut().zip(&cell.counts) {
                    *sum = sum.saturating_add(count.load(Relaxed));
                }
            }
        }
        figures
    }
}

impl Figures {
    /// How often.
    pub fn of(&self, count: Count) -> u64 {
        self.0.get(count as usize).copied().unwrap_or(0)
    }

    /// A share in thousandths; `None`: of nothing.
    fn share(&self, part: Count, all: Count) -> Option<u64> {
        (self.of(part) * 1_000).checked_div(self.of(all)).map(|share| share.min(1_000))
    }

    /// Answered of the calls given, in thousandths.
    pub fn asr(&self) -> Option<u64> {
        self.share(Count::Answer, Count::Attempt)
    }

    /// Calls that ended as no vendor could help, in thousandths of the calls given.
    pub fn ner(&self) -> Option<u64> {
        self.share(Count::Effective, Count::Attempt)
    }

    /// Mean post-dial delay in milliseconds.
    pub fn pdd_ms(&self) -> Option<u64> {
        self.of(Count::HeardAfter).checked_div(self.of(Count::Heard))
    }

    /// Short calls in thousandths of those that have ended.
    pub fn short(&self) -> Option<u64> {
        self.share(Count::Short, Count::End)
    }

    /// Where it stands. Nothing is known of who had few attempts: it is tried before all others until it has had them.
    pub fn rank(&self, rules: &QualityRules) -> Rank {
        let mut rank = Rank::default();
        if self.of(Count::Attempt) < rules.attempts_min {
            return rank;
        }
        for (place, measure) in rank.0.iter_mut().zip(&rules.by) {
            let step = match measure {
                QualityMeasure::Asr => (1_000 - self.asr().unwrap_or(0)) / SHARE_STEP,
                QualityMeasure::Ner => (1_000 - self.ner().unwrap_or(0)) / SHARE_STEP,
                QualityMeasure::Pdd => self.pdd_ms().unwrap_or(0) / DELAY_STEP_MS,
                QualityMeasure::Short => self.short().unwrap_or(0) / SHARE_STEP,
            };
            // One more: who is known never ties with who is not.
            *place = u16::try_from(step).unwrap_or(u16::MAX - 1) + 1;
        }
        rank
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn rules(by: &[QualityMeasure]) -> QualityRules {
        QualityRules { cell: 100, attempts_min: 10, by: by.into(), short_call: Duration::from_secs(6) }
    }

    fn of(counts: &[(Count, u64)]) -> Figures {
        let quality = Quality::default();
        counts.iter().for_each(|(count, amount)| quality.count(&rules(&[]), 1_000, *count, *amount));
        quality.figures(&rules(&[]), 1_000)
    }

    #[test]
    fn figures_are_shares_and_means() {
        let figures = of(&[
            (Count::Attempt, 200),
            (Count::Answer, 90),
            (Count::Effective, 150),
            (Count::Heard, 160),
            (Count::HeardAfter, 240_000),
            (Count::End, 80),
            (Count::Short, 8),
        ]);
        assert_eq!((figures.asr(), figures.ner()), (Some(450), Some(750)));
        assert_eq!((figures.pdd_ms(), figures.short()), (Some(1_500), Some(100)));
        let none = Figures::default();
        assert_eq!((none.asr(), none.ner(), none.pdd_ms(), none.short()), (None, None, None, None));
    }

    #[test]
    fn ranks_follow_the_measures_in_their_order() {
        use QualityMeasure::{Asr, Pdd};
        let quick = of(&[(Count::Attempt, 100), (Count::Answer, 40), (Count::Heard, 1), (Count::HeardAfter, 400)]);
        let good = of(&[(Count::Attempt, 100), (Count::Answer, 60), (Count::Heard, 1), (Count::HeardAfter, 4_000)]);
        let new = of(&[(Count::Attempt, 9)]);
        assert!(good.rank(&rules(&[Asr, Pdd])) < quick.rank(&rules(&[Asr, Pdd])));
        assert!(quick.rank(&rules(&[Pdd, Asr])) < good.rank(&rules(&[Pdd, Asr])));
        assert!(new.rank(&rules(&[Asr])) < good.rank(&rules(&[Asr])), "not known: tried first");
        let alike = of(&[(Count::Attempt, 100), (Count::Answer, 59)]);
        assert_eq!(alike.rank(&rules(&[Asr])), good.rank(&rules(&[Asr])), "less than a step");
    }

    proptest! {
        /// Against a list of all that was counted.
        #[test]
        fn a_window_is_its_last_cells(counted in prop::collection::vec((0_i64..300, 1_u64..5), 0..60)) {
            let (quality, rules) = (Quality::default(), rules(&[]));
            let (mut at, mut all) = (1_000_000, Vec::new());
            for (step, amount) in counted {
                at += step;
                quality.count(&rules, at, Count::Attempt, amount);
                all.push((at, amount));
                let first = at / 100 - 7;
                let expected: u64 = all.iter().filter(|(when, _)| when / 100 >= first).map(|(_, amount)| amount).sum();
                prop_assert_eq!(quality.figures(&rules, at).of(Count::Attempt), expected);
            }
        }
    }
}
