//! What a call costs one side: the terms of a deck as a record has them, and the bill that follows.
//!
//! The same fields twice, for what the customer is charged and for what the vendor charges. The shard writes the terms
//! that were in force at the INVITE; the lane bills by them when the call ends, whatever the decks say by then.

use super::field::{self, Field, Fields, Listed};
use crate::class4::Trunks;
use deck::billing::{Increments, Rounding, amount, billed_seconds};
use deck::image::{Found, State};
use deck::money::{Decimal, Digits, divide_half_up};
use std::io::Write;

/// The fields of one side.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    deck: Field,
    prefix: Field,
    destination: Field,
    origin: Field,
    price: Field,
    fee: Field,
    increments: Field,
    rounding: Field,
    digits: Field,
    currency: Field,
    rate: Field,
    seconds: Field,
    amount: Field,
}

/// What the customer is charged.
pub const SELL: Side = Side {
    deck: Field::SellDeck,
    prefix: Field::SellPrefix,
    destination: Field::SellDestination,
    origin: Field::SellOrigin,
    price: Field::SellPrice,
    fee: Field::SellFee,
    increments: Field::SellIncrements,
    rounding: Field::SellRounding,
    digits: Field::SellDigits,
    currency: Field::SellCurrency,
    rate: Field::SellRate,
    seconds: Field::SellSeconds,
    amount: Field::SellAmount,
};

/// What the vendor charges.
pub const BUY: Side = Side {
    deck: Field::BuyDeck,
    prefix: Field::BuyPrefix,
    destination: Field::BuyDestination,
    origin: Field::BuyOrigin,
    price: Field::BuyPrice,
    fee: Field::BuyFee,
    increments: Field::BuyIncrements,
    rounding: Field::BuyRounding,
    digits: Field::BuyDigits,
    currency: Field::BuyCurrency,
    rate: Field::BuyRate,
    seconds: Field::BuySeconds,
    amount: Field::BuyAmount,
};

const NEAREST: &[u8] = b"nearest";

/// Writes what a deck says of a call; `at`: when it came, in seconds since 1970.
pub(super) fn write(trunks: &Trunks, deck: u16, found: &Found, at: i64, side: &Side, fields: &mut Fields<'_>) {
    let index = usize::from(deck);
    let Some(about) = trunks.image.decks().get(index) else { return };
    let settings = &about.settings;
    fields.text(side.deck, settings.name.as_bytes()).text(side.currency, settings.currency.as_bytes());
    let Some(detail) = trunks.image.detail(index, found) else { return };
    // WHY ignored: writing into memory does not fail.
    fields.with(side.prefix, |out| drop(write!(out, "{}", found.code)));
    fields.text(side.destination, detail.destination.as_bytes()).text(side.origin, detail.origin.as_bytes());
    if found.state != State::Priced {
        return;
    }
    let rounding = if settings.rounding == Rounding::Nearest { NEAREST } else { b"up" };
    fields.decimal(side.price, detail.price).decimal(side.fee, detail.fee).text(side.rounding, rounding);
    fields.increments(side.increments, detail.increments).number(side.digits, settings.digits.count().into());
    if let Some(rate) = trunks.rate(deck, at) {
        fields.decimal(side.rate, rate);
    }
}

/// The terms of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Price of a minute.
    pub price: Decimal,
    /// Charged once.
    pub fee: Decimal,
    /// How time is counted.
    pub increments: Increments,
    /// How microseconds become seconds.
    pub rounding: Rounding,
    /// Decimals of the amount.
    pub digits: Digits,
    /// What one of its currency is in the currency of the house.
    pub rate: Option<Decimal>,
}

/// What one side is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Billed seconds.
    pub seconds: u64,
    /// The amount, in the deck's currency.
    pub amount: Decimal,
}

impl Terms {
    /// Of what a deck says of a call that came at `at`, in seconds since 1970; `None`: it has no price.
    pub fn of(trunks: &Trunks, deck: u16, found: &Found, at: i64) -> Option<Terms> {
        let index = usize::from(deck);
        let settings = &trunks.image.decks().get(index)?.settings;
        let detail = trunks.image.detail(index, found).filter(|_| found.state == State::Priced)?;
        Some(Terms {
            price: detail.price,
            fee: detail.fee,
            increments: detail.increments,
            rounding: settings.rounding,
            digits: settings.digits,
            rate: trunks.rate(deck, at),
        })
    }

    /// Of one side of a record; `None`: it has no price.
    pub fn read(fields: &Listed<'_>, side: &Side) -> Option<Terms> {
        let digits = fields.number(side.digits).and_then(|digits| u8::try_from(digits).ok());
        let nearest = fields.find(side.rounding) == Some(NEAREST);
        Some(Terms {
            price: fields.decimal(side.price)?,
            fee: fields.decimal(side.fee)?,
            increments: fields.find(side.increments).and_then(field::as_increments)?,
            rounding: if nearest { Rounding::Nearest } else { Rounding::Up },
            digits: digits.and_then(Digits::new)?,
            rate: fields.decimal(side.rate),
        })
    }

    /// What a call of that length costs; `None`: beyond what can be counted.
    pub fn bill(&self, duration_us: u64) -> Option<Bill> {
        let seconds = billed_seconds(duration_us, self.increments, self.rounding);
        Some(Bill { seconds, amount: amount(self.price, self.fee, seconds, self.digits)? })
    }

    /// An amount in units of 10^-24 of the currency of the house.
    fn in_house(&self, bill: &Bill) -> Option<i128> {
        let rate = self.rate?;
        let decimals = u32::from(bill.amount.digits.count()) + u32::from(rate.digits.count());
        let product = i128::from(bill.amount.units).checked_mul(i128::from(rate.units))?;
        product.checked_mul(10_i128.pow(HOUSE_DIGITS.checked_sub(decimals)?))
    }
}

/// Decimals with which amounts are subtracted: those of an amount and those of a rate.
const HOUSE_DIGITS: u32 = 2 * Digits::MAX.count() as u32;

/// What is left of a call, in the currency of the house, with as many decimals as there are: rounded half up only
/// beyond [`Digits::MAX`]. `None`: a rate is missing, or it is beyond what can be counted.
pub fn margin((sell, income): (&Terms, &Bill), (buy, cost): (&Terms, &Bill)) -> Option<Decimal> {
    let left = sell.in_house(income)?.checked_sub(buy.in_house(cost)?)?;
    let units = divide_half_up(left, 10_i128.pow(HOUSE_DIGITS - u32::from(Digits::MAX.count())))?;
    Some(Decimal { units, digits: Digits::MAX }.plain())
}

/// Bills both sides of a call of that length; the customer nothing, where it is `charged` none.
pub(super) fn bill(recorded: &[u8], duration_us: u64, charged: bool, fields: &mut Fields<'_>) {
    let recorded = Listed::of(recorded);
    let of = |side: &Side, charged: bool| {
        let terms = Terms::read(&recorded, side)?;
        let free = Bill { seconds: 0, amount: Decimal { units: 0, digits: terms.digits } };
        Some((terms, if charged { terms.bill(duration_us)? } else { free }))
    };
    let (sell, buy) = (of(&SELL, charged), of(&BUY, true));
    for (side, billed) in [(&SELL, &sell), (&BUY, &buy)] {
        if let Some((_, bill)) = billed {
            fields.number(side.seconds, bill.seconds).decimal(side.amount, bill.amount);
        }
    }
    if let (Some((sell, income)), Some((buy, cost))) = (&sell, &buy)
        && let Some(left) = margin((sell, income), (buy, cost))
    {
        fields.decimal(Field::Margin, left);
    }
}

#[cfg(test)]
#[path = "terms_tests.rs"]
mod tests;
