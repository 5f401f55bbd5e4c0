//! What changes, added up by vendor, destination and hour.

use super::judge::Now;
use super::outcome::{OfDestination, OfHour, OfVendor, Outcome};
use super::past::Past;
use super::sums::{Moved, Sums, an_hour, finest, in_house, written};
use std::collections::BTreeMap;

/// Rows by vendor and destination; what is beyond is added to one row of their names alone.
///
/// WHY: destinations are names out of decks, and a shadow may stand for weeks.
const MOVED_MAX: usize = 100_000;

/// Hours of the clock that are told apart, the latest ones.
const HOURS_MAX: usize = 168;

const HOUR_US: u64 = 3_600_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Tally {
    currency: String,
    all: Moved,
    /// By vendor.
    vendors: BTreeMap<String, Moved>,
    /// By vendor before and after, and destination.
    moved: BTreeMap<(String, String, String), Moved>,
    /// By hours since 1970.
    hours: BTreeMap<u64, Moved>,
    refused: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn new(currency: &str) -> Self {
        let (all, vendors, moved, hours, refused) = <_>::default();
        Tally { currency: currency.to_owned(), all, vendors, moved, hours, refused }
    }

    pub(crate) fn add(&mut self, past: &Past, now: &Now) {
        let before = Sums {
            calls: 1,
            answered: past.duration_us.is_some().into(),
            duration_us: past.duration_us.unwrap_or(0),
            cost: in_house(past.cost.as_ref()),
            margin: finest(past.margin.as_deref()),
        };
        // Who answered is not known of another vendor: a call that was answered is, wherever it goes.
        let answered = past.duration_us.is_some() && !now.vendor.is_empty();
        let after = Sums {
            calls: 1,
            answered: answered.into(),
            duration_us: if answered { before.duration_us } else { 0 },
            cost: in_house(now.cost.as_ref()),
            margin: finest(now.margin.as_deref()),
        };
        self.all.join(before, after);
        self.vendors.entry(past.vendor.clone()).or_default().before.join(before);
        self.vendors.entry(now.vendor.clone()).or_default().after.join(after);
        self.hours.entry(past.at_us / HOUR_US).or_default().join(before, after);
        if self.hours.len() > HOURS_MAX {
            self.hours.pop_first();
        }
        if let Some(why) = now.refusal {
            *self.refused.entry(why).or_default() += 1;
        }
        if past.vendor != now.vendor || before.cost != after.cost || before.margin != after.margin {
            let destination = if now.destination.is_empty() { &past.destination } else { &now.destination };
            let mut key = (past.vendor.clone(), now.vendor.clone(), destination.clone());
            if self.moved.len() >= MOVED_MAX && !self.moved.contains_key(&key) {
                key.2 = "(others)".to_owned();
            }
            self.moved.entry(key).or_default().join(before, after);
        }
    }

    /// Margin of an hour, before and after, of a tally that grew for `seconds`.
    pub(crate) fn margin_an_hour(&self, seconds: u64) -> (String, String) {
        let Moved { before, after } = self.all;
        (written(an_hour(before.margin, seconds)), written(an_hour(after.margin, seconds)))
    }

    /// Changes, those that move the most margin first.
    fn changes(&self, rows: usize) -> Vec<OfDestination> {
        let mut all: Vec<_> = self.moved.iter().collect();
        all.sort_by_key(|(_, moved)| std::cmp::Reverse((moved.after.margin - moved.before.margin).unsigned_abs()));
        all.truncate(rows);
        let told = |((from, to, destination), moved): (&(String, String, String), &Moved)| OfDestination {
            from: from.clone(),
            to: to.clone(),
            destination: destination.clone(),
            calls: moved.told(),
        };
        all.into_iter().map(told).collect()
    }

    /// What it comes to, with at most `rows` changes. `odd`: records that could not be used.
    pub(crate) fn outcome(&self, rows: usize, odd: u64) -> Outcome {
        let vendor = |(vendor, moved): (&String, &Moved)| OfVendor { vendor: vendor.clone(), calls: moved.told() };
        let hour = |(hour, moved): (&u64, &Moved)| {
            let began = i64::try_from(hour * 3_600).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
            OfHour { hour: began.map_or_else(String::new, |began| began.to_string()), calls: moved.told() }
        };
        Outcome {
            currency: self.currency.clone(),
            all: self.all.told(),
            vendors: self.vendors.iter().map(vendor).collect(),
            changes: self.changes(rows),
            changes_total: self.moved.len(),
            hours: self.hours.iter().map(hour).collect(),
            refused: self.refused.iter().map(|(why, count)| ((*why).to_owned(), *count)).collect(),
            odd,
            before_unpriced: false,
            notes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(vendor: &str, cost: &str, margin: &str) -> Past {
        Past {
            vendor: vendor.into(),
            destination: "Germany".into(),
            duration_us: Some(60_000_000),
            cost: Some((cost.into(), "1.1".into())),
            margin: Some(margin.into()),
            ..Past::default()
        }
    }

    fn now(vendor: &str, cost: &str, margin: &str) -> Now {
        Now {
            vendor: vendor.into(),
            destination: "Germany".into(),
            cost: Some((cost.into(), "1".into())),
            margin: Some(margin.into()),
            ..Now::default()
        }
    }

    #[test]
    fn what_moves_is_added_up_and_what_stays_is_not_a_change() {
        let mut tally = Tally::new("USD");
        tally.add(&past("a", "0.01", "0.005"), &now("b", "0.008", "0.008"));
        tally.add(&past("a", "0.01", "0.005"), &now("b", "0.008", "0.008"));
        tally.add(&past("a", "0.01", "0.005"), &now("a", "0.011", "0.005"));
        tally.add(&past("a", "0.01", "0.005"), &Now { refusal: Some("no vendor takes it"), ..Now::default() });
        let told = tally.outcome(10, 0);
        assert_eq!(told.all.before.cost, "0.044");
        assert_eq!((told.all.after.answered, &*told.all.after.margin), (3, "0.021"));
        let moves: Vec<_> = told.changes.iter().map(|one| (&*one.from, &*one.to, one.calls.before.calls)).collect();
        assert_eq!(moves, [("a", "b", 2), ("a", "", 1)]);
        assert_eq!(told.refused["no vendor takes it"], 1);
        assert_eq!(tally.margin_an_hour(1_800), ("0.04".to_owned(), "0.042".to_owned()));
        let text = tally.outcome(1, 3).text();
        assert!(
            text.contains("1 of 2 by vendor") && text.contains("3 records or lines") && text.contains("nobody"),
            "{text}"
        );
    }

    #[test]
    fn hours_are_told_apart_and_bounded() {
        let mut tally = Tally::new("USD");
        for hour in 0..HOURS_MAX as u64 + 3 {
            tally.add(&Past { at_us: hour * HOUR_US + 5, ..past("a", "0.01", "0.005") }, &now("a", "0.011", "0.005"));
        }
        let told = tally.outcome(10, 0);
        assert_eq!((told.hours.len(), &*told.hours[0].hour), (HOURS_MAX, "1970-01-01T03:00:00Z"));
        assert_eq!(told.hours[0].calls.before.calls, 1);
        assert!(told.text().contains("nothing changes"));
    }
}
