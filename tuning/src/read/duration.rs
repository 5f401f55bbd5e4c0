//! Durations: a whole number and a unit in a string.

use super::reader::Reader;
use super::value::{Node, Value};
use crate::schema::Kind;
use std::time::Duration;
use toml::de::DeValue;

/// Units with their length in microseconds, longest first.
const UNITS: [(&str, u64); 5] = [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// Longest duration of any key: a bound for arithmetic, far above what any key allows.
const DAYS_MAX: u64 = 365;

pub(crate) const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

impl Value for Duration {
    fn kind() -> Kind {
        Kind::Duration { low: "0s".to_owned(), high: format!("{}h", DAYS_MAX * 24) }
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        match node.get_ref() {
            DeValue::String(text) => {
                let value = parse(text);
                if value.is_none() {
                    reader.malformed(
                        node,
                        "not a duration",
                        "write a whole number and us, ms, s, m or h: \"500ms\", \"2s\"",
                    );
                }
                value
            }
            DeValue::Integer(integer) => {
                let remedy = format!("write the unit too: \"{0}s\" or \"{0}ms\"", integer.as_str());
                reader.malformed(node, "a duration needs its unit", remedy);
                None
            }
            _ => {
                reader.wrong_type(node, &Self::kind().in_words());
                None
            }
        }
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(print(*self)))
    }
    fn is_within(&self, low: &toml::Value, high: &toml::Value) -> bool {
        let bound = |value: &toml::Value| value.as_str().and_then(parse);
        bound(low).is_none_or(|low| *self >= low) && bound(high).is_none_or(|high| *self <= high)
    }
}

fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(digits)?;
    let (_, length) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    let microseconds = count.parse::<u64>().ok()?.checked_mul(*length)?;
    (microseconds <= DAYS_MAX * 24 * 3_600_000_000).then_some(Duration::from_micros(microseconds))
}

/// In the largest unit that keeps it a whole number, but minutes only from two on: "90s", "3m", "500ms".
fn print(duration: Duration) -> String {
    let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    for (unit, length) in UNITS {
        let whole = microseconds.is_multiple_of(length);
        if whole && microseconds >= length && (unit != "m" && unit != "h" || microseconds >= 2 * length) {
            return format!("{}{unit}", microseconds / length);
        }
    }
    "0s".to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        for text in ["0s", "1us", "1500us", "500ms", "2s", "60s", "90s", "3m", "12h"] {
            assert_eq!(print(parse(text).unwrap()), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "5", "s", "-1s", "1.5s", "1d", "1 s x", "99999999999999999999s", "8761h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
