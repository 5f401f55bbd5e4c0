//! What bounds the choice of vendors beside prices: pinned route lists, times of day, emergency numbers, refusals held.

use super::NumberPrefix;
use crate::read::{Node, Reader, Value};
use crate::schema::Kind;
use jiff::tz::TimeZone;
use std::fmt;
use toml::de::DeValue;

section! {
    /// A route list of a customer: numbers that begin so go to these vendors first.
    Pin {
        /// Beginnings of numbers, with country code.
        live prefixes: Vec<NumberPrefix>;
        /// Names of vendors of the customer's plan, in the order of their turns.
        live vendors: Vec<String>;
        /// Other vendors of the plan get none of these calls.
        live only: bool = false;
    }
}

section! {
    /// Bounds of a customer's calls to a destination, all shards together. The longest of all its `prefixes` holds for a
    /// number; where none does, its destination in the customer's deck.
    CappedDestination {
        /// Name; unique within the customer.
        live name: String;
        /// Beginnings of numbers, with country code.
        live prefixes: Vec<NumberPrefix> = Vec::new();
        /// Destinations as the customer's deck names them.
        live deck_destinations: Vec<String> = Vec::new();
        /// Most new calls a second.
        live cps: Option<u32> = None, within 1 => 100_000;
        /// Calls that may come at once above that pace.
        live burst: Option<u32> = None, derived "a tenth of cps, at least 2", within 1 => 100_000;
        /// Most calls at the same time, ringing ones included.
        live concurrent: Option<u32> = None, within 1 => 100_000_000;
    }
}

section! {
    /// Days and hours at which a vendor is sent calls, by the clock of a time zone.
    Window {
        /// Days on which it begins: "mon" to "sun", or a range such as "mon-fri".
        live days: DaySet = DaySet::ALL;
        /// When it begins.
        live from: TimeOfDay = TimeOfDay(0);
        /// When it ends, at the latest "24:00"; before `from`: on the day after.
        live to: TimeOfDay = TimeOfDay(MINUTES_A_DAY);
        /// Whose clock.
        live timezone: Zone = Zone::utc();
    }
}

section! {
    /// Numbers that are always carried: no cap, credit, margin, price, bar or overload stops them.
    Emergency {
        /// The numbers, whole, as customers dial them after their tech prefix, or with country code.
        live numbers: Vec<NumberPrefix> = Vec::new();
        /// Names of the vendors that they go to, in this order.
        live vendors: Vec<String> = Vec::new();
    }
}

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaySet(u8);

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl DaySet {
    /// Every day.
    pub const ALL: DaySet = DaySet(0x7f);

    /// Whether a day is among them; 0 is Monday.
    pub const fn contains(self, day: u8) -> bool {
        day < 7 && self.0 & (1 << day) != 0
    }

    fn of_text(text: &str) -> Option<Self> {
        let day = |name: &str| DAYS.iter().position(|day| *day == name.trim());
        let Some((first, last)) = text.split_once('-') else {
            return day(text).map(|day| DaySet(1 << day));
        };
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        Some(DaySet((0..=length).fold(0, |set, step| set | 1 << ((first + step) % 7))))
    }
}

impl Value for DaySet {
    fn kind() -> Kind {
        Kind::Either(vec![
            Kind::Text("a day or a range of days, such as \"mon-fri\""),
            Kind::List(Box::new(Kind::Text("a day"))),
        ])
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let parts: Vec<&Node<'_>> = match node.get_ref() {
            DeValue::Array(parts) => parts.iter().collect(),
            _ => vec![node],
        };
        let mut set = DaySet(0);
        for part in parts {
            let found = match part.get_ref() {
                DeValue::String(text) => DaySet::of_text(text),
                _ => None,
            };
            let Some(found) = found else {
                reader.malformed(part, "not a day", "write \"mon\", \"mon-fri\" or [\"mon\", \"sat-sun\"]");
                return None;
            };
            set.0 |= found.0;
        }
        if set.0 == 0 {
            reader.malformed(node, "no day at all", "write \"mon-sun\" for every day");
            return None;
        }
        Some(set)
    }
    fn print(&self) -> Option<toml::Value> {
        let days = (0_u8..).zip(DAYS).filter(|(day, _)| self.contains(*day));
        Some(toml::Value::Array(days.map(|(_, name)| toml::Value::String(name.to_owned())).collect()))
    }
}

/// Minutes since midnight, 24:00 included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

const MINUTES_A_DAY: u16 = 24 * 60;

impl TimeOfDay {
    /// Minutes since midnight.
    pub const fn minutes(self) -> u16 {
        self.0
    }

    fn of_text(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let two = |digits: &str| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (hours, minutes) =
            (two(hours).then(|| hours.parse::<u16>().ok())??, two(minutes).then(|| minutes.parse::<u16>().ok())??);
        let all = hours * 60 + minutes;
        (minutes < 60 && all <= MINUTES_A_DAY).then_some(TimeOfDay(all))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Value for TimeOfDay {
    fn kind() -> Kind {
        Kind::Text("a time of day, such as \"08:30\"")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        let found = TimeOfDay::of_text(&text);
        if found.is_none() {
            reader.malformed(node, "not a time of day", "write hours and minutes, \"00:00\" to \"24:00\"");
        }
        found
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

/// A time zone by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    fn utc() -> Self {
        Zone { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// Its rules.
    pub const fn rules(&self) -> &TimeZone {
        &self.zone
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Value for Zone {
    fn kind() -> Kind {
        Kind::Text("the name of a time zone")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let name = String::read(node, reader, None)?;
        match TimeZone::get(&name) {
            Ok(zone) => Some(Zone { name, zone }),
            Err(_) => {
                reader.malformed(node, "not a time zone", "write a name such as \"UTC\" or \"Europe/Berlin\"");
                None
            }
        }
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.name.clone()))
    }
}

/// A moment in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    fn of_text(text: &str) -> Option<Self> {
        let moment = text.parse::<jiff::Timestamp>().map(|time| time.as_second());
        // WHY the length: a time without its offset would be read as a date too.
        let date = || {
            let date = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == "2026-12-01".len())?;
            Some(TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_second())
        };
        moment.ok().or_else(date).map(Moment)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(formatter, "{time}"),
            Err(_) => write!(formatter, "{}", self.0),
        }
    }
}

impl Value for Moment {
    fn kind() -> Kind {
        Kind::Text("a date (its 00:00 UTC) or a time, such as \"2026-12-01T00:00:00+01:00\"")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = match node.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(written) => written.to_string(),
            _ => String::new(),
        };
        let found = Moment::of_text(text.trim());
        if found.is_none() {
            let remedy = "write a date such as 2026-12-01, or a time with its offset, such as 2026-12-01T00:00:00Z";
            reader.malformed(node, "not a moment", remedy);
        }
        found
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn days() {
        let days = |text: &str| DaySet::of_text(text).map(|set| set.0);
        assert_eq!([days("mon"), days("mon-fri"), days("sat-sun")], [Some(1), Some(0x1f), Some(0x60)]);
        assert_eq!([days("fri-mon"), days("sun-sun"), days("mon-sun")], [Some(0x71), Some(0x40), Some(0x7f)]);
        assert_eq!([days("monday"), days("mon-"), days("")], [None; 3]);
        assert!(DaySet(0x60).contains(5) && !DaySet(0x60).contains(4) && !DaySet::ALL.contains(7));
    }

    #[test]
    fn times_of_day() {
        for (text, minutes) in [("00:00", 0), ("08:30", 510), ("24:00", 1_440)] {
            let time = TimeOfDay::of_text(text).unwrap();
            assert_eq!((time.minutes(), time.to_string()), (minutes, text.to_owned()));
        }
        for bad in ["8:30", "24:01", "08:60", "0830", "08:3", "", "+8:30"] {
            assert_eq!(TimeOfDay::of_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments() {
        let seconds = |text: &str| Moment::of_text(text).map(|moment| moment.0);
        assert_eq!(seconds("2026-12-01"), Some(1_796_083_200));
        assert_eq!(seconds("2026-12-01T01:00:00+01:00"), seconds("2026-12-01T00:00:00Z"));
        assert_eq!([seconds("2026-12-01T00:00:00"), seconds("tomorrow"), seconds("")], [None; 3], "whose clock?");
        assert_eq!(Moment::of_text("2026-12-01").unwrap().to_string(), "2026-12-01T00:00:00Z");
    }
}
