//! What a customer may spend, and what looks like fraud.

use crate::read::{Node, OffOr, Reader, Value, minutes, seconds};
use crate::schema::Kind;
use std::fmt;
use std::time::Duration;

choice! {
    /// What an alarm does.
    AlarmAction {
        /// It is counted and written to the log.
        Alarm = "alarm",
        /// The customer's new calls are refused for a while, too.
        Block = "block",
    }
}

section! {
    /// What looks like fraud in a customer's calls.
    Alarms {
        /// This many percent of the answered calls that ended in the window of `[class4.quality]` were short. Looked at
        /// from `short_calls_min` such calls on.
        live short_calls_percent: OffOr<u16> = OffOr::Off, within 1 => 100;
        /// With fewer calls that ended in the window their lengths say nothing.
        live short_calls_min: u32 = 50, within 1 => 1_000_000;
        /// This many calls in a row went to a number within 16 of the one before: somebody dials through a range.
        live sequential: OffOr<u32> = OffOr::Off, within 3 => 100_000;
        /// What an alarm does.
        live action: AlarmAction = AlarmAction::Alarm;
        /// How long new calls are refused after one.
        live block: Duration = minutes(15), within seconds(1) => minutes(7 * 24 * 60);
    }
}

/// Money in the currency that prices are compared in: above 0, exact to a thousandth of a millionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i64);

/// Units of an amount in one of its currency.
const NANOS: i64 = 1_000_000_000;

impl Amount {
    /// In thousandths of a millionth.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    fn of_text(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
            return None;
        }
        let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
        let nanos = whole.parse::<i64>().ok()?.checked_mul(NANOS)?.checked_add(fraction)?;
        (nanos > 0).then_some(Amount(nanos))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:09}", self.0 % NANOS);
        match fraction.trim_end_matches('0') {
            "" => write!(formatter, "{}", self.0 / NANOS),
            fraction => write!(formatter, "{}.{fraction}", self.0 / NANOS),
        }
    }
}

impl Value for Amount {
    fn kind() -> Kind {
        Kind::Text("an amount of money in quotes")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        let found = Amount::of_text(&text);
        if found.is_none() {
            reader.malformed(
                node,
                "not an amount above 0",
                "write an exact decimal number, such as \"250\" or \"99.50\"",
            );
        }
        found
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, nanos, shown) in
            [("250", 250 * NANOS, "250"), ("99.50", 99_500_000_000, "99.5"), ("0.000000001", 1, "0.000000001")]
        {
            let amount = Amount::of_text(text);
            assert_eq!(amount.map(Amount::nanos), Some(nanos));
            assert_eq!(amount.map(|amount| amount.to_string()).as_deref(), Some(shown));
        }
        for bad in ["", "0", "0.0", "-1", "1.", ".5", "1.0000000001", "1e3", "9223372037"] {
            assert_eq!(Amount::of_text(bad), None, "{bad}");
        }
    }
}
