//! How the rate runs over time: constant, ramp or steps.
//!
//! Written as the operator types it: `1000`, `1000..5000` (ramp over the whole run) or
//! `1000,2000,4000` (equal steps over the whole run). What the schedule needs is the inverse: at
//! which second is the n-th start due.

use std::{str::FromStr, time::Duration};

/// Calls (or requests) a second, over the run.
#[derive(Clone, Debug, PartialEq)]
pub enum Rate {
    /// The same all the time.
    Constant(f64),
    /// Grows (or falls) evenly from the first to the second figure.
    Ramp(f64, f64),
    /// One figure after the other, each for the same time.
    Steps(Vec<f64>),
}

/// Why a rate cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no rate; write `1000`, `1000..5000` (ramp) or `1000,2000,4000` (steps)")]
pub struct NoRate(String);

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let figure = |part: &str| {
            part.trim()
                .parse::<f64>()
                .ok()
                .filter(|rate| rate.is_finite() && *rate > 0.0)
                .ok_or_else(|| NoRate(text.to_owned()))
        };
        if let Some((from, to)) = text.split_once("..") {
            let (from, to) = (figure(from)?, figure(to)?);
            return Ok(if from == to { Rate::Constant(from) } else { Rate::Ramp(from, to) });
        }
        let mut steps = text.split(',').map(figure).collect::<Result<Vec<_>, _>>()?;
        Ok(match steps.as_mut_slice() {
            [only] => Rate::Constant(*only),
            _ => Rate::Steps(steps),
        })
    }
}

impl Rate {
    /// The highest figure.
    pub fn highest(&self) -> f64 {
        match self {
            Rate::Constant(rate) => *rate,
            Rate::Ramp(from, to) => from.max(*to),
            Rate::Steps(steps) => steps.iter().copied().fold(0.0, f64::max),
        }
    }

    /// Starts due in a run of this length.
    pub fn starts_within(&self, length: Duration) -> f64 {
        let seconds = length.as_secs_f64();
        match self {
            Rate::Constant(rate) => rate * seconds,
            Rate::Ramp(from, to) => (from + to) / 2.0 * seconds,
            Rate::Steps(steps) => steps.iter().sum::<f64>() * seconds / steps.len() as f64,
        }
    }

    /// The second at which `starts` starts (a fraction is fine) are due; beyond the end of the run
    /// the last rate goes on.
    pub fn second_of(&self, starts: f64, length: Duration) -> f64 {
        let seconds = length.as_secs_f64();
        match self {
            Rate::Constant(rate) => starts / rate,
            Rate::Ramp(from, to) => ramp_second(starts, *from, *to, seconds),
            Rate::Steps(steps) => {
                let step_seconds = seconds / steps.len() as f64;
                let mut left = starts;
                let mut begin = 0.0;
                for (index, rate) in steps.iter().enumerate() {
                    let due_in_step = rate * step_seconds;
                    if left < due_in_step || index + 1 == steps.len() {
                        return begin + left / rate;
                    }
                    left -= due_in_step;
                    begin += step_seconds;
                }
                begin
            }
        }
    }
}

/// Solves `from·t + (to − from)·t²/2·seconds = starts` for t.
fn ramp_second(starts: f64, from: f64, to: f64, seconds: f64) -> f64 {
    let whole = (from + to) / 2.0 * seconds;
    if starts >= whole {
        return seconds + (starts - whole) / to;
    }
    let slope = (to - from) / seconds;
    let root = (from * from + 2.0 * slope * starts).max(0.0).sqrt();
    (root - from) / slope
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const RUN: Duration = Duration::from_secs(10);

    #[test]
    fn rates_are_read_as_operators_write_them() {
        assert_eq!("1000".parse(), Ok(Rate::Constant(1000.0)));
        assert_eq!("0.5".parse(), Ok(Rate::Constant(0.5)));
        assert_eq!("100..500".parse(), Ok(Rate::Ramp(100.0, 500.0)));
        assert_eq!("1000, 2000,4000".parse(), Ok(Rate::Steps(vec![1000.0, 2000.0, 4000.0])));
        for wrong in ["", "0", "-1", "x", "1..", "1,,2", "inf", "NaN"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn starts_and_seconds_are_inverse() {
        for text in ["1000", "100..500", "500..100", "1000,2000,500"] {
            let rate: Rate = text.parse().unwrap();
            let all = rate.starts_within(RUN);
            assert!((rate.second_of(all, RUN) - 10.0).abs() < 1e-9, "{text}");
            let mut last = 0.0;
            for n in 1..1000 {
                let second = rate.second_of(all * f64::from(n) / 1000.0, RUN);
                assert!(second > last, "{text} goes back at {n}");
                last = second;
            }
        }
    }

    #[test]
    fn a_ramp_is_halfway_in_rate_at_half_time() {
        let rate = Rate::Ramp(100.0, 300.0);
        // 5 s at an average of 150 a second.
        assert!((rate.second_of(750.0, RUN) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn steps_change_where_they_should() {
        let rate = Rate::Steps(vec![10.0, 100.0]);
        assert!((rate.second_of(50.0, RUN) - 5.0).abs() < 1e-9);
        assert!((rate.second_of(150.0, RUN) - 6.0).abs() < 1e-9);
        assert!((rate.second_of(650.0, RUN) - 11.0).abs() < 1e-9, "goes on");
    }
}
