//! Prices as they are compared: exact, in one currency, in units of 10^-24.

use std::fmt;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worth(pub(super) i128);

/// What a unit of a deck's prices is worth, by the time from which it is.
#[derive(Clone, Debug, Default)]
pub struct Scales(Box<[(i64, i128)]>);

impl Scales {
    /// Always the same.
    pub(super) fn always(scale: i128) -> Self {
        Scales([(i64::MIN, scale)].into())
    }

    /// Each from its time on, in seconds since 1970.
    pub(super) fn from_times(mut scales: Vec<(i64, i128)>) -> Self {
        scales.sort_unstable();
        Scales(scales.into())
    }

    /// The one in force at a time.
    pub fn at(&self, at: i64) -> Option<i128> {
        let past = self.0.partition_point(|(from, _)| *from <= at);
        self.0.get(past.checked_sub(1)?).map(|(_, scale)| *scale)
    }
}

/// Decimals of a unit.
const DIGITS: usize = 24;

impl Worth {
    /// What is left of this price at that cost; `None`: beyond what can be counted.
    pub fn less(self, cost: Worth) -> Option<Worth> {
        self.0.checked_sub(cost.0).map(Worth)
    }

    /// In thousandths of a millionth, half up; what does not fit is the most or the least that does.
    pub fn nanos(self) -> i64 {
        const UNIT: i128 = 10_i128.pow(DIGITS as u32 - 9);
        let nanos = self.0.div_euclid(UNIT) + i128::from(self.0.rem_euclid(UNIT) >= UNIT / 2);
        i64::try_from(nanos).unwrap_or(if self.0 < 0 { i64::MIN } else { i64::MAX })
    }

    /// How many hundredths of a percent of `price` this is, rounded down; `None`: of nothing.
    pub fn basis_points_of(self, price: Worth) -> Option<i128> {
        self.0.checked_mul(10_000)?.checked_div_euclid(price.0)
    }
}

impl fmt::Display for Worth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = format!("{:0width$}", self.0.unsigned_abs(), width = DIGITS + 1);
        let (whole, fraction) = text.split_at(text.len() - DIGITS);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            fraction => write!(f, "{sign}{whole}.{fraction}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_that_is_past_holds() {
        let scales = Scales::from_times(vec![(200, 3), (100, 2)]);
        assert_eq!([99, 100, 199, 200, 900].map(|at| scales.at(at)), [None, Some(2), Some(2), Some(3), Some(3)]);
        assert_eq!((Scales::always(7).at(i64::MIN), Scales::default().at(0)), (Some(7), None));
    }

    #[test]
    fn worth_is_shown_exactly() {
        const ONE: i128 = 10_i128.pow(24);
        for (units, shown) in
            [(0, "0"), (ONE, "1"), (-ONE / 2, "-0.5"), (1, "0.000000000000000000000001"), (25 * ONE / 10, "2.5")]
        {
            assert_eq!(Worth(units).to_string(), shown);
        }
        let (price, cost) = (Worth(ONE * 3), Worth(ONE * 2));
        let left = price.less(cost);
        assert_eq!(left.and_then(|left| left.basis_points_of(price)), Some(3_333));
        assert_eq!(cost.less(price).and_then(|left| left.basis_points_of(cost)), Some(-5_000));
        assert_eq!((price.basis_points_of(Worth(0)), Worth(i128::MIN).less(price)), (None, None));
    }
}
