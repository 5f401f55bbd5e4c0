//! Exact sums of calls and money.

use super::outcome::{Change, Part};
use deck::money::{Decimal, Digits};

/// Sums are kept in units of 10^-12: amounts and margins have no more decimals.
const DIGITS: Digits = Digits::MAX;

/// One side of a change; money in the currency of the house.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) calls: u64,
    pub(super) answered: u64,
    pub(super) duration_us: u64,
    pub(super) cost: i128,
    pub(super) margin: i128,
}

/// Calls that go from one vendor to another, or stay.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub(super) before: Sums,
    pub(super) after: Sums,
}

impl Sums {
    pub(super) fn join(&mut self, other: Sums) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.duration_us = self.duration_us.saturating_add(other.duration_us);
        self.cost = self.cost.saturating_add(other.cost);
        self.margin = self.margin.saturating_add(other.margin);
    }

    fn part(&self) -> Part {
        Part {
            calls: self.calls,
            answered: self.answered,
            duration_us: self.duration_us,
            cost: written(self.cost),
            margin: written(self.margin),
        }
    }
}

impl Moved {
    pub(super) fn join(&mut self, before: Sums, after: Sums) {
        self.before.join(before);
        self.after.join(after);
    }

    /// As it is told.
    pub(super) fn told(&self) -> Change {
        Change { before: self.before.part(), after: self.after.part() }
    }
}

/// A decimal number in units of the sums; nothing where there is none.
pub(super) fn finest(text: Option<&str>) -> i128 {
    let units = text.and_then(|text| Decimal::parse(text).ok()).and_then(|amount| amount.exactly(DIGITS));
    units.map_or(0, i128::from)
}

/// An amount with its rate, in units of 10^-12 of the currency of the house, rounded half up.
pub(super) fn in_house(cost: Option<&(String, String)>) -> i128 {
    let Some((amount, rate)) = cost else { return 0 };
    let product = finest(Some(amount)).checked_mul(finest(Some(rate)));
    product.map_or(0, |product| (product + i128::from(DIGITS.scale() / 2)).div_euclid(i128::from(DIGITS.scale())))
}

/// What a sum that grew for `seconds` is in an hour, rounded towards zero.
pub(super) fn an_hour(sum: i128, seconds: u64) -> i128 {
    sum.saturating_mul(3_600).checked_div(i128::from(seconds)).unwrap_or(0)
}

/// A sum without zeros to spare.
pub(super) fn written(sum: i128) -> String {
    let scale = u128::from(DIGITS.scale().unsigned_abs());
    let (sign, sum) = (if sum < 0 { "-" } else { "" }, sum.unsigned_abs());
    let fraction = format!("{:0width$}", sum % scale, width = usize::from(DIGITS.count()));
    let fraction = fraction.trim_end_matches('0');
    format!("{sign}{}{}{fraction}", sum / scale, if fraction.is_empty() { "" } else { "." })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_and_an_hour_is_a_share_of_them() {
        assert_eq!(written(finest(Some("-0.050"))), "-0.05");
        assert_eq!(written(in_house(Some(&("0.01".into(), "1.1".into())))), "0.011");
        assert_eq!(written(an_hour(finest(Some("0.25")), 900)), "1");
        assert_eq!(an_hour(7, 0), 0);
    }
}
