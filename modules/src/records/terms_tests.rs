//! Bills against a model in rational numbers: slow and obvious.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;

fn exact(decimal: Decimal) -> BigRational {
    BigRational::new(BigInt::from(decimal.units), BigInt::from(decimal.digits.scale()))
}

/// Issue: from the 200 to the first BYE, rounded up to the second (`nearest` by deck), at least the initial increment,
/// then whole subsequent ones; fee + price / 60 × billed seconds, rounded once, half up.
fn naive(terms: &Terms, duration_us: u64) -> (u64, BigRational) {
    let second = BigRational::new(BigInt::from(duration_us), BigInt::from(1_000_000));
    let half = BigRational::new(BigInt::from(1), BigInt::from(2));
    let seconds = match terms.rounding {
        Rounding::Up => second.ceil(),
        Rounding::Nearest => (second + &half).floor(),
    };
    let mut billed = u64::from(terms.increments.initial);
    while BigRational::from(BigInt::from(billed)) < seconds {
        billed += u64::from(terms.increments.subsequent);
    }
    let cost = exact(terms.fee) + exact(terms.price) / BigInt::from(60) * BigInt::from(billed);
    let scale = BigInt::from(terms.digits.scale());
    (billed, (cost * &scale + half).floor() / scale)
}

fn terms() -> impl Strategy<Value = Terms> {
    let decimal = |most: i64| {
        (0..most, 0_u8..=8).prop_map(|(units, digits)| Decimal { units, digits: Digits::new(digits).unwrap() })
    };
    let rate = (1_i64..10_000_000, 0_u8..=6)
        .prop_map(|(units, digits)| Decimal { units, digits: Digits::new(digits).unwrap() });
    (decimal(10_000_000), decimal(1_000_000), 0_u16..120, 1_u16..90, any::<bool>(), 0_u8..=6, rate).prop_map(
        |(price, fee, initial, subsequent, nearest, digits, rate)| Terms {
            price,
            fee,
            increments: Increments { initial, subsequent },
            rounding: if nearest { Rounding::Nearest } else { Rounding::Up },
            digits: Digits::new(digits).unwrap(),
            rate: Some(rate),
        },
    )
}

fn put(terms: &Terms, side: &Side, fields: &mut Fields<'_>) {
    let rounding = if terms.rounding == Rounding::Nearest { NEAREST } else { b"up" };
    fields.decimal(side.price, terms.price).decimal(side.fee, terms.fee).increments(side.increments, terms.increments);
    fields.text(side.rounding, rounding).number(side.digits, terms.digits.count().into());
    fields.decimal(side.rate, terms.rate.unwrap());
}

proptest! {
    #[test]
    fn a_record_has_the_seconds_amounts_and_margin_of_the_model(
        sell in terms(), buy in terms(), duration_us in 0_u64..20_000_000_000,
    ) {
        let mut recorded = Vec::new();
        put(&sell, &SELL, &mut Fields::growing(&mut recorded));
        put(&buy, &BUY, &mut Fields::growing(&mut recorded));
        let mut billed = Vec::new();
        bill(&recorded, duration_us, true, &mut Fields::growing(&mut billed));
        let decimal = |field| field::find(&billed, field).and_then(field::as_decimal).map(exact);
        let (income, cost) = (naive(&sell, duration_us), naive(&buy, duration_us));
        prop_assert_eq!(field::number(&billed, Field::SellSeconds), Some(income.0));
        prop_assert_eq!(field::number(&billed, Field::BuySeconds), Some(cost.0));
        prop_assert_eq!(decimal(Field::SellAmount), Some(income.1.clone()));
        prop_assert_eq!(decimal(Field::BuyAmount), Some(cost.1.clone()));
        let left = income.1 * exact(sell.rate.unwrap()) - cost.1 * exact(buy.rate.unwrap());
        if let Some(margin) = decimal(Field::Margin) {
            prop_assert_eq!(margin, left);
        } else {
            prop_assert!(left.ceil().to_integer() > BigInt::from(8_000_000) || left.floor().to_integer() < BigInt::from(-8_000_000));
        }
    }
}

#[test]
fn what_has_no_price_has_no_bill() {
    let mut billed = Vec::new();
    bill(&[], 1_000_000, true, &mut Fields::growing(&mut billed));
    assert_eq!(billed, b"");
}

/// A dispute by hand: 61.2 s at 0.02 a minute in 60/60 against 0.015 EUR in 30/6 at 1.0837.
#[test]
fn a_margin_over_two_currencies_by_hand() {
    let decimal = |text| Decimal::parse(text).unwrap();
    let six = Digits::new(6).unwrap();
    let of = |price, initial, subsequent, rate| Terms {
        price: decimal(price),
        fee: Decimal::ZERO,
        increments: Increments { initial, subsequent },
        rounding: Rounding::Up,
        digits: six,
        rate: Some(decimal(rate)),
    };
    let (sell, buy) = (of("0.02", 60, 60, "1"), of("0.015", 30, 6, "1.0837"));
    let (income, cost) = (sell.bill(61_200_000).unwrap(), buy.bill(61_200_000).unwrap());
    assert_eq!((income.seconds, income.amount.to_string()), (120, "0.040000".to_owned()));
    assert_eq!((cost.seconds, cost.amount.to_string()), (66, "0.016500".to_owned()));
    assert_eq!(margin((&sell, &income), (&buy, &cost)).unwrap().to_string(), "0.02211895");
}
