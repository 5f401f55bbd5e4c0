//! Histograms of times in microseconds (HDR: three significant digits, up to two minutes).

use hdrhistogram::Histogram;
use proto::time::Micros;

/// Longest time that is kept apart; longer ones count as this.
const MICROS_MAX: u64 = 120_000_000;
/// Significant decimal digits.
const DIGITS: u8 = 3;

/// What is timed. All but `transit` and `lag` belong to callers.
///
/// Everything that starts with a call counts from the moment the schedule meant it to start, so a
/// slow generator or target cannot hide (no coordinated omission).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// Intended start to the first response of any kind.
    FirstResponse,
    /// Intended start to the first 18x (post-dial delay).
    Ringing,
    /// Intended start to the 2xx (or, for a single request, its final response).
    Answer,
    /// BYE to its final response.
    Teardown,
    /// Intended start to the INVITE at the gateway.
    Transit,
    /// Intended start to the moment the INVITE was sent: the generator's own delay.
    Lag,
    /// Echo: intended start to the datagram's return.
    RoundTrip,
}

impl Timed {
    /// All of them, in the order of reports.
    pub const ALL: [Timed; 7] = [
        Timed::FirstResponse,
        Timed::Ringing,
        Timed::Answer,
        Timed::Teardown,
        Timed::Transit,
        Timed::Lag,
        Timed::RoundTrip,
    ];

    /// Name in reports.
    pub const fn label(self) -> &'static str {
        match self {
            Timed::FirstResponse => "first_response",
            Timed::Ringing => "ringing",
            Timed::Answer => "answer",
            Timed::Teardown => "teardown",
            Timed::Transit => "transit",
            Timed::Lag => "schedule_lag",
            Timed::RoundTrip => "round_trip",
        }
    }
}

/// One histogram for each [`Timed`].
pub struct Latencies(Vec<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        let histograms = Timed::ALL
            .iter()
            .map(|_| {
                Histogram::new_with_bounds(1, MICROS_MAX, DIGITS)
                    .unwrap_or_else(|error| unreachable!("constant bounds are valid: {error}"))
            })
            .collect();
        Latencies(histograms)
    }
}

impl Latencies {
    /// Records one time.
    pub fn record(&mut self, what: Timed, time: Micros) {
        if let Some(histogram) = self.0.get_mut(what as usize) {
            histogram.saturating_record(time.0);
        }
    }

    /// Adds the other's records.
    pub fn merge(&mut self, more: &Latencies) {
        for (sum, part) in self.0.iter_mut().zip(&more.0) {
            // Same bounds on both sides: cannot fail.
            let _ = sum.add(part);
        }
    }

    /// Forgets all records, keeps the memory.
    pub fn clear(&mut self) {
        for histogram in &mut self.0 {
            if !histogram.is_empty() {
                histogram.reset();
            }
        }
    }

    /// Figures of one histogram; `None` if nothing was recorded.
    pub fn figures(&self, what: Timed) -> Option<Figures> {
        let histogram = self.0.get(what as usize)?;
        if histogram.is_empty() {
            return None;
        }
        Some(Figures {
            count: histogram.len(),
            mean: histogram.mean(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        })
    }
}

/// What reports show of a histogram, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Figures {
    /// Records.
    pub count: u64,
    /// Average.
    pub mean: f64,
    /// Median.
    pub p50: u64,
    /// 90 % are faster.
    pub p90: u64,
    /// 99 % are faster.
    pub p99: u64,
    /// 99.9 % are faster.
    pub p999: u64,
    /// Slowest.
    pub max: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn records_stand_under_their_name_and_add_up() {
        for (place, what) in Timed::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, place);
        }
        let mut sum = Latencies::default();
        let mut part = Latencies::default();
        for time in 1..=1000 {
            part.record(Timed::Answer, Micros(time));
        }
        part.record(Timed::Answer, Micros(u64::MAX));
        sum.merge(&part);
        let figures = sum.figures(Timed::Answer).unwrap();
        assert_eq!(figures.count, 1001);
        assert!(figures.p50.abs_diff(500) <= 1);
        assert!(figures.max.abs_diff(MICROS_MAX) < MICROS_MAX / 500);
        assert_eq!(sum.figures(Timed::Lag), None);
        part.clear();
        assert_eq!(part.figures(Timed::Answer), None);
    }
}
