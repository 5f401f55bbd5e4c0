//! Prices as they are compared: exact, in one currency, in units of 10^-24.

use std::fmt;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worth(pub(super) i128);

/// Decimals of a unit.
const DIGITS: usize = 24;

impl Worth {
    /// What is left of this price at that cost; `None`: beyond what can be counted.
    pub fn less(self, cost: Worth) -> Option<Worth> {
        self.0.checked_sub(cost.0).map(Worth)
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
