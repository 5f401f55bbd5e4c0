//! Days and hours at which a vendor is sent calls, by the clock of a time zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tuning::DaySet;

/// A window of a vendor.
#[derive(Clone, Debug)]
pub struct Hours {
    days: DaySet,
    /// Minutes since midnight.
    from: u16,
    to: u16,
    zone: TimeZone,
}

impl Hours {
    pub(super) fn new(window: &tuning::Window) -> Self {
        let (from, to) = (window.from.minutes(), window.to.minutes());
        Hours { days: window.days, from, to, zone: window.timezone.rules().clone() }
    }

    /// Whether it is open at `at`, in seconds since 1970.
    pub fn is_open(&self, at: i64) -> bool {
        let Ok(at) = Timestamp::from_second(at) else { return false };
        let local = self.zone.to_datetime(at);
        let today = u8::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        if self.from < self.to {
            return self.days.contains(today) && (self.from..self.to).contains(&minute);
        }
        // It ends on the day after that on which it began.
        let yesterday = (today + 6) % 7;
        self.days.contains(today) && minute >= self.from || self.days.contains(yesterday) && minute < self.to
    }
}

/// Whether any is open; without any a vendor is always sent calls.
pub(super) fn open(windows: &[Hours], at: i64) -> bool {
    windows.is_empty() || windows.iter().any(|window| window.is_open(at))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn hours(keys: &str) -> Hours {
        let text = format!(
            "[listen]\nudp = [\"198.51.100.1:5060\"]\n[[set]]\nname = \"s\"\ngateways = [\"sip:203.0.113.1\"]\n\
             [rating]\nimage = \"x\"\n[[deck]]\nname = \"d\"\nfile = \"x\"\ncurrency = \"USD\"\n\
             [[customer]]\nname = \"c\"\nsources = [\"192.0.2.0/24\"]\nplan = \"p\"\ndeck = \"d\"\n\
             [[vendor]]\nname = \"v\"\nset = \"s\"\nplans = [\"p\"]\ndeck = \"d\"\n[[vendor.window]]\n{keys}"
        );
        let loaded = tuning::parse(&text, "t.toml", &tuning::Environment::unknown());
        let config = loaded.unwrap_or_else(|findings| panic!("{findings:?}")).config;
        Hours::new(&config.vendors[0].windows[0])
    }

    fn at(time: &str) -> i64 {
        time.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let office = hours("days = \"mon-fri\"\nfrom = \"08:00\"\nto = \"18:00\"\ntimezone = \"Europe/Berlin\"\n");
        for (time, open) in [
            // Summer: two hours ahead; winter: one.
            ("2026-07-01T05:59:59Z", false),
            ("2026-07-01T06:00:00Z", true),
            ("2026-07-01T16:00:00Z", false),
            ("2026-12-01T06:59:59Z", false),
            ("2026-12-01T07:00:00Z", true),
            ("2026-12-05T10:00:00Z", false),
        ] {
            assert_eq!(office.is_open(at(time)), open, "{time}");
        }
        let night = hours("days = [\"fri\"]\nfrom = \"22:00\"\nto = \"06:00\"\n");
        for (time, open) in [
            ("2026-11-27T21:59:00Z", false),
            ("2026-11-27T22:00:00Z", true),
            ("2026-11-28T05:59:00Z", true),
            ("2026-11-28T06:00:00Z", false),
            ("2026-11-28T22:00:00Z", false),
            ("2026-11-27T05:00:00Z", false),
        ] {
            assert_eq!(night.is_open(at(time)), open, "{time}");
        }
        assert!(hours("days = \"sun-sat\"\n").is_open(0) && !hours("days = \"fri\"\n").is_open(0));
    }

    proptest! {
        /// Against the minutes of a week, written out.
        #[test]
        fn agrees_with_a_week_written_out(
            days in 1_u8..128, from in 0_u16..1_440, length in 1_u16..1_440, when in 0_u32..10_080,
        ) {
            let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
            let listed: Vec<&str> = (0..7).filter(|day| days & 1 << day != 0).map(|day| names[day]).collect();
            let to = (from + length) % 1_440;
            let window = hours(&format!(
                "days = {listed:?}\nfrom = \"{:02}:{:02}\"\nto = \"{:02}:{:02}\"\n",
                from / 60, from % 60, to / 60, to % 60
            ));
            let mut week = [false; 10_080];
            for day in (0..7_usize).filter(|day| days & 1 << day != 0) {
                for minute in 0..usize::from(length) {
                    week[(day * 1_440 + usize::from(from) + minute) % 10_080] = true;
                }
            }
            // 2026-11-23 is a Monday.
            let time = at("2026-11-23T00:00:00Z") + i64::from(when) * 60;
            prop_assert_eq!(window.is_open(time), week[when as usize]);
        }
    }
}
