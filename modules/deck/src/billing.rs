//! What a call costs: increments, connection fee, one rounding a call.
//!
//! From the vendor's 200 to the first BYE received, in whole seconds (rounded up, or `nearest`), at
//! least the initial increment, then whole subsequent ones; amount = fee + price / 60 × billed seconds,
//! rounded once, half up, to the digits that the deck bills in.

use crate::money::{Decimal, Digits, divide_half_up};

/// How time is counted, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Increments {
    /// Least time that an answered call is billed.
    pub initial: u16,
    /// Steps after that; at least 1.
    pub subsequent: u16,
}

impl Increments {
    /// By the second, from the first.
    pub const SECOND: Increments = Increments { initial: 1, subsequent: 1 };
}

/// How microseconds become seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rounding {
    /// A second that has begun is a second.
    #[default]
    Up,
    /// The nearest second; half a second is one.
    Nearest,
}

/// Longest call that is priced, in seconds: ten years. Longer ones are a clock that jumped.
pub const CALL_SECONDS_MAX: u64 = 315_360_000;

/// Seconds that a call of `duration_us` microseconds is billed. A call of no duration is billed the
/// initial increment: it was answered.
pub fn billed_seconds(duration_us: u64, increments: Increments, rounding: Rounding) -> u64 {
    let seconds = match rounding {
        Rounding::Up => duration_us.div_ceil(MICROSECONDS),
        Rounding::Nearest => duration_us / MICROSECONDS + u64::from(duration_us % MICROSECONDS >= MICROSECONDS / 2),
    };
    let seconds = seconds.min(CALL_SECONDS_MAX);
    let initial = u64::from(increments.initial);
    let step = u64::from(increments.subsequent.max(1));
    initial + seconds.saturating_sub(initial).div_ceil(step) * step
}

/// What `billed` seconds cost at `price` a minute after `fee`, with `digits` decimals.
/// `None` when it does not fit 63 bits.
pub fn amount(price: Decimal, fee: Decimal, billed: u64, digits: Digits) -> Option<Decimal> {
    let scale = |decimal: Decimal| i128::from(decimal.digits.scale());
    // Everything over one divisor, so that there is one rounding: price · seconds / (60 · Sp) + fee / Sf.
    let time = i128::from(price.units).checked_mul(i128::from(billed))?.checked_mul(scale(fee))?;
    let connect = i128::from(fee.units).checked_mul(60)?.checked_mul(scale(price))?;
    let numerator = time.checked_add(connect)?.checked_mul(i128::from(digits.scale()))?;
    let divisor = scale(price).checked_mul(scale(fee))?.checked_mul(60)?;
    Some(Decimal { units: divide_half_up(numerator, divisor)?, digits })
}

const MICROSECONDS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use proptest::prelude::*;

    fn increments(initial: u16, subsequent: u16) -> Increments {
        Increments { initial, subsequent }
    }

    #[test]
    fn seconds_as_carriers_bill_them() {
        let up =
            |seconds_us, initial, subsequent| billed_seconds(seconds_us, increments(initial, subsequent), Rounding::Up);
        assert_eq!(up(1, 1, 1), 1);
        assert_eq!(up(1_000_000, 1, 1), 1);
        assert_eq!(up(1_000_001, 1, 1), 2);
        assert_eq!(up(0, 30, 6), 30);
        assert_eq!(up(30_000_000, 30, 6), 30);
        assert_eq!(up(30_000_001, 30, 6), 36);
        assert_eq!(up(61_000_000, 60, 60), 120);
        assert_eq!(up(u64::MAX, 1, 1), CALL_SECONDS_MAX);
        let nearest = |seconds_us| billed_seconds(seconds_us, Increments::SECOND, Rounding::Nearest);
        assert_eq!((nearest(1_499_999), nearest(1_500_000)), (1, 2));
    }

    #[test]
    fn an_invoice_by_hand() {
        let decimal = |text| Decimal::parse(text).unwrap();
        let six = Digits::new(6).unwrap();
        // 0.0123 × 37 / 60 = 0.007585 exactly.
        assert_eq!(amount(decimal("0.0123"), Decimal::ZERO, 37, six), Some(decimal("0.007585")));
        // 0.01 / 60 × 1 + 0.05 = 0.0501666… → 0.050167.
        assert_eq!(amount(decimal("0.01"), decimal("0.05"), 1, six), Some(decimal("0.050167")));
        assert_eq!(amount(decimal("0.000003"), Decimal::ZERO, 10, six), Some(decimal("0.000001")), "half goes up");
    }

    /// The rule of the `//!` in rational numbers, slow and obvious.
    fn naive_amount(price: Decimal, fee: Decimal, billed: u64, digits: Digits) -> BigInt {
        let exact = |d: Decimal| BigRational::new(BigInt::from(d.units), BigInt::from(d.digits.scale()));
        let cost = exact(fee) + exact(price) * BigRational::new(BigInt::from(billed), BigInt::from(60));
        let scaled = cost * BigInt::from(digits.scale());
        (scaled + BigRational::new(BigInt::from(1), BigInt::from(2))).floor().to_integer()
    }

    /// Adds one increment after the other until the call fits.
    fn naive_seconds(duration_us: u64, increments: Increments) -> u64 {
        let mut billed = u64::from(increments.initial);
        while billed * 1_000_000 < duration_us {
            billed += u64::from(increments.subsequent);
        }
        billed
    }

    proptest! {
        #[test]
        fn amounts_are_those_of_rational_numbers(
            price in 0_i64..10_000_000_000, fee in 0_i64..10_000_000_000,
            m in 0_u8..=9, n in 0_u8..=9, billed in 0_u64..1_000_000, digits in 0_u8..=8,
        ) {
            let digits = Digits::new(digits).unwrap();
            let price = Decimal { units: price, digits: Digits::new(m).unwrap() };
            let fee = Decimal { units: fee, digits: Digits::new(n).unwrap() };
            let naive = naive_amount(price, fee, billed, digits);
            match amount(price, fee, billed, digits) {
                Some(found) => prop_assert_eq!(BigInt::from(found.units), naive),
                None => prop_assert!(naive > BigInt::from(i64::MAX)),
            }
        }

        #[test]
        fn seconds_are_those_of_a_loop(us in 0_u64..20_000_000_000, initial in 0_u16..200, subsequent in 1_u16..200) {
            let increments = increments(initial, subsequent);
            prop_assert_eq!(billed_seconds(us, increments, Rounding::Up), naive_seconds(us, increments));
        }
    }
}
