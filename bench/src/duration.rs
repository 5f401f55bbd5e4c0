//! Lengths of time as people write them: `200ms`, `1.5s`, `2m`, `1h`, `250us`.

use std::time::Duration;

use proto::time::Micros;
use serde::{Deserialize, Deserializer, de::Error as _};

/// Why a length of time cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no length of time; write for instance `200ms`, `1.5s` or `2m`")]
pub struct NoDuration(String);

/// Longest that is accepted: a day.
const SECONDS_MAX: f64 = 86_400.0;

/// Reads a length of time with its unit (`0` needs none).
pub fn parse(text: &str) -> Result<Duration, NoDuration> {
    let wrong = || NoDuration(text.to_owned());
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
    let (figure, unit) = text.split_at(unit_at);
    let figure: f64 = figure.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "us" | "µs" => figure / 1e6,
        "ms" => figure / 1e3,
        "s" => figure,
        "m" | "min" => figure * 60.0,
        "h" => figure * 3600.0,
        _ => return Err(wrong()),
    };
    if seconds > SECONDS_MAX {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// As timers count.
pub fn micros(duration: Duration) -> Micros {
    Micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

/// For serde's `deserialize_with`.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// For serde's `deserialize_with`, where the key may be left out.
pub fn deserialize_some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_understood_and_everything_else_is_refused() {
        for (text, millis) in [("200ms", 200), ("1.5s", 1500), ("2m", 120_000), ("0", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse("250us"), Ok(Duration::from_micros(250)));
        for wrong in ["", "5", "s", "-1s", "1 day", "25h", "1..5s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
