//! What changes, added up by vendor and destination.

use super::judge::Now;
use super::past::Past;
use crate::cli::table::{Align, Column, colour, render};
use deck::money::{Decimal, Digits};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Sums are kept in units of 10^-12: amounts and margins have no more decimals.
const DIGITS: Digits = Digits::MAX;

/// One side of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    calls: u64,
    answered: u64,
    duration_us: u64,
    cost: i128,
    margin: i128,
}

/// Calls that go from one vendor to another, or stay.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    before: Sums,
    after: Sums,
}

/// See the module.
pub(super) struct Tally {
    currency: String,
    all: Moved,
    /// By vendor.
    vendors: BTreeMap<String, Moved>,
    /// By vendor before and after, and destination.
    moved: BTreeMap<(String, String, String), Moved>,
    refused: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn new(currency: &str) -> Self {
        let (all, vendors, moved, refused) = <_>::default();
        Tally { currency: currency.to_owned(), all, vendors, moved, refused }
    }

    pub(super) fn add(&mut self, past: &Past, now: &Now) {
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
        self.all.before.join(before);
        self.all.after.join(after);
        self.vendors.entry(past.vendor.clone()).or_default().before.join(before);
        self.vendors.entry(now.vendor.clone()).or_default().after.join(after);
        if let Some(why) = now.refusal {
            *self.refused.entry(why).or_default() += 1;
        }
        if past.vendor != now.vendor || before.cost != after.cost || before.margin != after.margin {
            let destination = if now.destination.is_empty() { &past.destination } else { &now.destination };
            let key = (past.vendor.clone(), now.vendor.clone(), destination.clone());
            let moved = self.moved.entry(key).or_default();
            moved.before.join(before);
            moved.after.join(after);
        }
    }

    /// Changes, those that move the most margin first.
    fn changes(&self, rows: usize) -> Vec<(&(String, String, String), &Moved)> {
        let mut all: Vec<_> = self.moved.iter().collect();
        all.sort_by_key(|(_, moved)| std::cmp::Reverse((moved.after.margin - moved.before.margin).unsigned_abs()));
        all.truncate(rows);
        all
    }

    pub(super) fn json(&self, rows: usize, odd: u64) -> Value {
        let sums = |sums: &Sums| {
            json!({
                "calls": sums.calls, "answered": sums.answered, "duration_us": sums.duration_us,
                "cost": written(sums.cost), "margin": written(sums.margin),
            })
        };
        let both = |moved: &Moved| json!({ "before": sums(&moved.before), "after": sums(&moved.after) });
        let vendors: Vec<Value> =
            self.vendors.iter().map(|(vendor, moved)| json!({ "vendor": vendor, "calls": both(moved) })).collect();
        let change = |((from, to, destination), moved): (&(String, String, String), &Moved)| json!({ "from": from, "to": to, "destination": destination, "calls": both(moved) });
        json!({
            "currency": self.currency, "all": both(&self.all), "vendors": vendors,
            "changes": self.changes(rows).into_iter().map(change).collect::<Vec<_>>(),
            "refused": self.refused, "odd": odd,
        })
    }

    pub(super) fn text(&self, rows: usize, odd: u64) -> String {
        const VENDORS: &[Column] = &[
            ("VENDOR", Align::Left),
            ("CALLS", Align::Right),
            ("THEN", Align::Right),
            ("COST", Align::Right),
            ("THEN", Align::Right),
            ("MARGIN", Align::Right),
            ("THEN", Align::Right),
        ];
        const CHANGES: &[Column] = &[
            ("FROM", Align::Left),
            ("TO", Align::Left),
            ("DESTINATION", Align::Left),
            ("CALLS", Align::Right),
            ("MINUTES", Align::Right),
            ("COST", Align::Right),
            ("MARGIN", Align::Right),
        ];
        let named = |vendor: &String| if vendor.is_empty() { "nobody".to_owned() } else { vendor.clone() };
        let all = std::iter::once(("all".to_owned(), &self.all));
        let vendors: Vec<_> = self
            .vendors
            .iter()
            .map(|(vendor, moved)| (named(vendor), moved))
            .chain(all)
            .map(|(vendor, Moved { before, after })| {
                vec![
                    vendor.into(),
                    before.calls.into(),
                    after.calls.into(),
                    written(before.cost).into(),
                    written(after.cost).into(),
                    written(before.margin).into(),
                    written(after.margin).into(),
                ]
            })
            .collect();
        let signed =
            |difference: i128| if difference > 0 { format!("+{}", written(difference)) } else { written(difference) };
        let changes: Vec<_> = self
            .changes(rows)
            .into_iter()
            .map(|((from, to, destination), Moved { before, after })| {
                let hundredths = before.duration_us / 600_000;
                vec![
                    named(from).into(),
                    named(to).into(),
                    destination.into(),
                    before.calls.into(),
                    format!("{}.{:02}", hundredths / 100, hundredths % 100).into(),
                    signed(after.cost - before.cost).into(),
                    signed(after.margin - before.margin).into(),
                ]
            })
            .collect();
        let mut text = format!("{} calls, amounts in {}\n", self.all.before.calls, self.currency);
        text += &render(VENDORS, &vendors, colour());
        let shown = changes.len();
        text += &match self.moved.len() {
            0 => "nothing changes\n".to_owned(),
            count => format!(
                "\nwhat changes, {shown} of {count} by vendor and destination\n{}",
                render(CHANGES, &changes, colour())
            ),
        };
        for (why, count) in &self.refused {
            text += &format!("{count} calls would be refused: {why}\n");
        }
        if odd > 0 {
            text += &format!("{odd} records or lines could not be used\n");
        }
        text
    }
}

impl Sums {
    fn join(&mut self, other: Sums) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.duration_us = self.duration_us.saturating_add(other.duration_us);
        self.cost = self.cost.saturating_add(other.cost);
        self.margin = self.margin.saturating_add(other.margin);
    }
}

fn finest(text: Option<&str>) -> i128 {
    let units = text.and_then(|text| Decimal::parse(text).ok()).and_then(|amount| amount.exactly(DIGITS));
    units.map_or(0, i128::from)
}

/// An amount with its rate, in units of 10^-12 of the currency of the house, rounded half up.
fn in_house(cost: Option<&(String, String)>) -> i128 {
    let Some((amount, rate)) = cost else { return 0 };
    let product = finest(Some(amount)).checked_mul(finest(Some(rate)));
    product.map_or(0, |product| (product + i128::from(DIGITS.scale() / 2)).div_euclid(i128::from(DIGITS.scale())))
}

/// A sum without zeros to spare.
fn written(sum: i128) -> String {
    let scale = u128::from(DIGITS.scale().unsigned_abs());
    let (sign, sum) = (if sum < 0 { "-" } else { "" }, sum.unsigned_abs());
    let fraction = format!("{:0width$}", sum % scale, width = usize::from(DIGITS.count()));
    let fraction = fraction.trim_end_matches('0');
    format!("{sign}{}{}{fraction}", sum / scale, if fraction.is_empty() { "" } else { "." })
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
        let json = tally.json(10, 0);
        assert_eq!(json["all"]["before"]["cost"], "0.044");
        assert_eq!((&json["all"]["after"]["answered"], &json["all"]["after"]["margin"]), (&3.into(), &"0.021".into()));
        let changes = json["changes"].as_array().map_or(0, Vec::len);
        assert_eq!(changes, 2, "{json:#}");
        assert_eq!((&json["changes"][0]["from"], &json["changes"][0]["to"]), (&"a".into(), &"b".into()));
        assert_eq!(json["refused"]["no vendor takes it"], 1);
        let text = tally.text(1, 3);
        assert!(
            text.contains("1 of 2 by vendor") && text.contains("3 records or lines") && text.contains("nobody"),
            "{text}"
        );
    }
}
