//! Dates of many habits. What is a date stands here; what day it means where day and month could be
//! either is decided at the end of the deck, by all its dates together.

use jiff::civil;
use jiff::tz::TimeZone;

/// Which of two numbers is the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DateOrder {
    /// 31/01/2026.
    DayFirst,
    /// 01/31/2026.
    MonthFirst,
}

/// A date as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Day and time in the deck's time zone.
    Civil(civil::DateTime),
    /// A moment: the text had an offset. Seconds since 1970.
    Moment(i64),
    /// Two numbers, a year and a time.
    Either { first: i8, second: i8, year: i16, time: civil::Time },
}

impl Written {
    /// What order the text proves, when it could not be read the other way round.
    pub(crate) fn proves(self) -> Option<DateOrder> {
        match self {
            Written::Either { first, .. } if first > 12 => Some(DateOrder::DayFirst),
            Written::Either { second, .. } if second > 12 => Some(DateOrder::MonthFirst),
            _ => None,
        }
    }

    /// Whether it is two days, depending on the order.
    pub(crate) fn is_ambiguous(self) -> bool {
        matches!(self, Written::Either { first, second, .. } if first <= 12 && second <= 12 && first != second)
    }

    /// Seconds since 1970. A time that the zone skips or has twice is the one that holds before the change.
    pub(crate) fn seconds(self, order: DateOrder, zone: &TimeZone) -> Option<i64> {
        let civil = match self {
            Written::Moment(seconds) => return Some(seconds),
            Written::Civil(civil) => civil,
            Written::Either { first, second, year, time } => {
                let (day, month) = if order == DateOrder::DayFirst { (first, second) } else { (second, first) };
                civil::Date::new(year, month, day).ok()?.to_datetime(time)
            }
        };
        Some(zone.to_ambiguous_timestamp(civil).compatible().ok()?.as_second())
    }
}

/// Reads one; `None` when it is none.
pub(crate) fn parse(text: &str) -> Option<Written> {
    let text = text.trim();
    if let Some(serial) = spreadsheet_serial(text) {
        return Some(serial);
    }
    let (date, time) = split_time(text);
    let (time, offset) = parse_time(time)?;
    let written = parse_date(date, time)?;
    match (offset, written) {
        (None, written) => Some(written),
        (Some(offset), Written::Civil(civil)) => {
            let zone = TimeZone::fixed(jiff::tz::Offset::from_seconds(offset).ok()?);
            Some(Written::Moment(zone.to_timestamp(civil).ok()?.as_second()))
        }
        (Some(_), _) => None,
    }
}

/// Days since 30 December 1899, as spreadsheets hold dates: 2000 to 2099, a fraction is the time.
fn spreadsheet_serial(text: &str) -> Option<Written> {
    let (days, fraction) = text.split_once('.').unwrap_or((text, ""));
    let days: i64 = (days.len() == 5).then(|| days.parse().ok())??;
    if !(36_526..73_051).contains(&days) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.get(..9).unwrap_or(fraction);
    let parts: i64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let scale = 10_i64.pow(u32::try_from(digits.len()).ok()?);
    let seconds = (parts * 86_400 + scale / 2) / scale;
    let span = jiff::Span::new().try_days(days).ok()?.try_seconds(seconds).ok()?;
    Some(Written::Civil(civil::date(1899, 12, 30).at(0, 0, 0, 0).checked_add(span).ok()?))
}

/// Where the date ends and a time begins: at a `T` after a digit, or before the first word with a colon.
fn split_time(text: &str) -> (&str, &str) {
    if let Some((date, time)) = text.split_once('T')
        && date.ends_with(|c: char| c.is_ascii_digit())
        && time.starts_with(|c: char| c.is_ascii_digit())
    {
        return (date, time);
    }
    match text.find(':').and_then(|colon| text.get(..colon)?.rfind(' ')) {
        Some(blank) => (text.get(..blank).unwrap_or(text), text.get(blank + 1..).unwrap_or("")),
        None => (text, ""),
    }
}

/// `14:00`, `14:00:30.000`, `2:00 PM`, with `Z`, `UTC`, `+02:00`; empty is midnight. With the offset in seconds.
fn parse_time(text: &str) -> Option<(civil::Time, Option<i32>)> {
    if text.is_empty() {
        return Some((civil::Time::midnight(), None));
    }
    let upper = text.to_ascii_uppercase();
    let (clock, offset) = split_offset(upper.trim())?;
    let (clock, half) = match clock.strip_suffix("PM").map(|clock| (clock, true)) {
        Some((clock, afternoon)) => (clock, Some(afternoon)),
        None => clock.strip_suffix("AM").map_or((clock, None), |clock| (clock, Some(false))),
    };
    let mut parts = clock.trim().split(':');
    let hour: i8 = parts.next()?.parse().ok()?;
    let minute: i8 = parts.next()?.parse().ok()?;
    let second: i8 = match parts.next() {
        Some(second) => second.split('.').next()?.parse().ok()?,
        None => 0,
    };
    if parts.next().is_some() {
        return None;
    }
    let hour = match half {
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
    };
    Some((civil::Time::new(hour, minute, second, 0).ok()?, offset))
}

fn split_offset(clock: &str) -> Option<(&str, Option<i32>)> {
    for zulu in ["UTC", "GMT", "Z"] {
        if let Some(clock) = clock.strip_suffix(zulu) {
            return Some((clock.trim_end(), Some(0)));
        }
    }
    let Some(at) = clock.rfind(['+', '-']) else {
        return Some((clock, None));
    };
    let (clock, offset) = clock.split_at(at);
    let negative = offset.starts_with('-');
    let digits: String = offset.get(1..)?.chars().filter(|c| *c != ':').collect();
    let value: i32 = digits.parse().ok().filter(|value| *value >= 0)?;
    let seconds = match digits.len() {
        1 | 2 => value * 3600,
        4 => value / 100 * 3600 + value % 100 * 60,
        _ => return None,
    };
    Some((clock.trim_end(), Some(if negative { -seconds } else { seconds })))
}

fn parse_date(text: &str, time: civil::Time) -> Option<Written> {
    let parts: Vec<&str> = text.split(['-', '/', '.', ' ', ',']).filter(|part| !part.is_empty()).collect();
    let civil = |year: i16, month: i8, day: i8| {
        Some(Written::Civil(civil::Date::new(year, month, day).ok()?.to_datetime(time)))
    };
    match *parts.as_slice() {
        [whole] if whole.len() == 8 && whole.bytes().all(|byte| byte.is_ascii_digit()) => {
            civil(whole.get(..4)?.parse().ok()?, whole.get(4..6)?.parse().ok()?, whole.get(6..)?.parse().ok()?)
        }
        [y, m, d] if y.len() == 4 && y.bytes().all(|byte| byte.is_ascii_digit()) => {
            civil(y.parse().ok()?, month(m)?, day(d)?)
        }
        [a, b, y] => match (named_month(a), named_month(b)) {
            // WHY: with dots the day stands first wherever dots are used.
            (None, None) if text.contains('.') && !text.contains(['/', '-']) => civil(year(y)?, month(b)?, day(a)?),
            (None, None) => {
                let (first, second) = (day(a)?, day(b)?);
                (first <= 12 || second <= 12).then_some(())?;
                Some(Written::Either { first, second, year: year(y)?, time })
            }
            (Some(month), None) => civil(year(y)?, month, day(b)?),
            (None, Some(month)) => civil(year(y)?, month, day(a)?),
            (Some(_), Some(_)) => None,
        },
        _ => None,
    }
}

/// A day of a month, with `st`, `nd`, `rd` or `th`.
fn day(text: &str) -> Option<i8> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    digits.parse().ok().filter(|day| (1..=31).contains(day))
}

fn month(text: &str) -> Option<i8> {
    named_month(text).or_else(|| text.parse().ok().filter(|month| (1..=12).contains(month)))
}

/// Four digits, or two after 2000.
fn year(text: &str) -> Option<i16> {
    let year: i16 = text.parse().ok()?;
    match text.len() {
        2 => Some(2000 + year),
        4 => Some(year),
        _ => None,
    }
}

fn named_month(text: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let text = text.to_ascii_lowercase();
    let name = if text == "sept" { "sep" } else { text.as_str() };
    let place = MONTHS.iter().position(|month| name.len() >= 3 && month.starts_with(name))?;
    i8::try_from(place + 1).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str) -> Option<String> {
        let seconds = parse(text)?.seconds(DateOrder::DayFirst, &TimeZone::UTC)?;
        Some(jiff::Timestamp::from_second(seconds).unwrap().to_string())
    }

    #[test]
    fn dates_of_many_habits() {
        for text in [
            "2026-01-31",
            "2026/1/31",
            "31.01.2026",
            "31/01/26",
            "31-Jan-2026",
            "31-JAN-26",
            "Jan 31, 2026",
            "31 January 2026",
            "20260131",
            "46053",
            "46053.0",
            "January 31st 2026",
            "2026-01-31 00:00",
            "31.1.2026 0:00:00",
            "2026-01-31T00:00:00Z",
            "2026-01-31T02:00:00+02:00",
            "2026-01-30 22:30:00-0130",
            "31/01/2026 12:00:00 AM",
        ] {
            assert_eq!(utc(text).as_deref(), Some("2026-01-31T00:00:00Z"), "{text}");
        }
        assert_eq!(utc("46053.5").as_deref(), Some("2026-01-31T12:00:00Z"));
        assert_eq!(utc("1/31/2026 2:05 PM"), None, "no such day in this order");
        assert_eq!(utc("31/1/2026 2:05 PM").as_deref(), Some("2026-01-31T14:05:00Z"));
        for text in
            ["", "soon", "2026-02-30", "31/13/2026x", "2026-13-01", "13:00 PM", "99999", "1/2", "40/40/2026", "1.2.3.4"]
        {
            assert_eq!(utc(text), None, "{text}");
        }
    }

    #[test]
    fn the_order_of_day_and_month_is_proven_or_not() {
        assert_eq!(parse("31/01/2026").unwrap().proves(), Some(DateOrder::DayFirst));
        assert_eq!(parse("01/31/2026").unwrap().proves(), Some(DateOrder::MonthFirst));
        assert!(parse("01/02/2026").unwrap().is_ambiguous());
        assert!(!parse("02/02/2026").unwrap().is_ambiguous());
        assert!(!parse("01.02.2026").unwrap().is_ambiguous(), "with dots the day stands first");
    }

    #[test]
    fn a_bare_date_is_midnight_in_the_decks_zone_on_both_sides_of_a_change() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text| {
            jiff::Timestamp::from_second(parse(text).unwrap().seconds(DateOrder::DayFirst, &zone).unwrap()).unwrap()
        };
        assert_eq!(at("2026-03-29").to_string(), "2026-03-28T23:00:00Z");
        assert_eq!(at("2026-03-30").to_string(), "2026-03-29T22:00:00Z");
        assert_eq!(at("2026-03-29 02:30").to_string(), "2026-03-29T01:30:00Z", "skipped: as before the change");
        assert_eq!(at("2026-10-25 02:30").to_string(), "2026-10-25T00:30:00Z", "twice: the first");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9a-zA-Z/.:+, -]{0,24}|\\PC{0,24}") {
            if let Some(written) = parse(&text) {
                let _ = written.seconds(DateOrder::MonthFirst, &TimeZone::UTC);
            }
        }

        #[test]
        fn every_day_comes_back(days in 0_i64..30_000) {
            let date = civil::date(2000, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
            for text in [date.strftime("%d.%m.%Y"), date.strftime("%Y%m%d"), date.strftime("%d-%b-%y"), date.strftime("%B %d, %Y")] {
                prop_assert_eq!(utc(&text.to_string()), Some(format!("{date}T00:00:00Z")));
            }
        }
    }
}
