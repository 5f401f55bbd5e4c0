//! What changes, as programs get it (JSON: fields are added, never renamed) and as people read it.

use crate::cli::table::{Align, Column, Text, colour, render};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One side of a change; amounts are exact decimal numbers in the currency of the house.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Calls.
    pub(crate) calls: u64,
    /// Answered ones.
    pub(crate) answered: u64,
    /// How long they were together.
    pub(crate) duration_us: u64,
    /// What vendors get.
    pub(crate) cost: String,
    /// What is left of what customers pay.
    pub(crate) margin: String,
}

/// Both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// As it was.
    pub(crate) before: Part,
    /// By the other configuration.
    pub(crate) after: Part,
}

/// A vendor's calls; an empty name: nobody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OfVendor {
    pub(crate) vendor: String,
    pub(crate) calls: Change,
}

/// Calls to a destination that go from a vendor to another, or cost something else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OfDestination {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) destination: String,
    pub(crate) calls: Change,
}

/// Calls of one hour of the clock (UTC).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OfHour {
    pub(crate) hour: String,
    pub(crate) calls: Change,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Of all amounts.
    pub(crate) currency: String,
    pub(crate) all: Change,
    /// By vendor.
    pub(crate) vendors: Vec<OfVendor>,
    /// By vendor before and after, and destination; those that move the most margin first.
    pub(crate) changes: Vec<OfDestination>,
    /// Rows of changes there are, those left out included.
    #[serde(default)]
    pub(crate) changes_total: usize,
    /// By hour of the INVITE, the latest ones.
    #[serde(default)]
    pub(crate) hours: Vec<OfHour>,
    /// Calls that the other configuration refuses, by reason.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Records or lines that could not be used.
    pub(crate) odd: u64,
    /// What calls cost before is not known: a capture tells of no price.
    #[serde(default)]
    pub(crate) before_unpriced: bool,
    /// What has to be known of it, a line each.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
}

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
    ("THEN", Align::Right),
    ("MARGIN", Align::Right),
    ("THEN", Align::Right),
];

const HOURS: &[Column] = &[
    ("HOUR (UTC)", Align::Left),
    ("CALLS", Align::Right),
    ("COST", Align::Right),
    ("THEN", Align::Right),
    ("MARGIN", Align::Right),
    ("THEN", Align::Right),
];

impl Outcome {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} calls, amounts in {}\n", self.all.before.calls, self.currency);
        text += &render(VENDORS, &self.vendor_rows(), colour());
        text += &match (self.changes.len(), self.changes_total) {
            (_, 0) => "nothing changes\n".to_owned(),
            (shown, all) => {
                let table = render(CHANGES, &self.change_rows(), colour());
                format!("\nwhat changes, {shown} of {all} by vendor and destination\n{table}")
            }
        };
        if self.hours.len() > 1 {
            text += &format!("\nby hour\n{}", render(HOURS, &self.hour_rows(), colour()));
        }
        for (why, count) in &self.refused {
            text += &format!("{count} calls would be refused: {why}\n");
        }
        if self.odd > 0 {
            text += &format!("{} records or lines could not be used\n", self.odd);
        }
        for note in &self.notes {
            text += &format!("note: {note}\n");
        }
        text
    }

    fn vendor_rows(&self) -> Vec<Vec<Text>> {
        let all = OfVendor { vendor: "all".into(), calls: self.all.clone() };
        let rows = self.vendors.iter().chain(std::iter::once(&all));
        rows.map(|OfVendor { vendor, calls: Change { before, after } }| {
            let mut row = vec![named(vendor).into(), before.calls.into(), after.calls.into()];
            row.extend(self.money(before, after));
            row
        })
        .collect()
    }

    fn change_rows(&self) -> Vec<Vec<Text>> {
        let row = |of: &OfDestination| {
            let Change { before, after } = &of.calls;
            let hundredths = before.duration_us / 600_000;
            let minutes = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let mut row = vec![named(&of.from).into(), named(&of.to).into(), (&of.destination).into()];
            row.extend([before.calls.into(), minutes.into()]);
            row.extend(self.money(before, after));
            row
        };
        self.changes.iter().map(row).collect()
    }

    fn hour_rows(&self) -> Vec<Vec<Text>> {
        let row = |of: &OfHour| {
            let Change { before, after } = &of.calls;
            let mut row = vec![(&of.hour).into(), before.calls.into()];
            row.extend(self.money(before, after));
            row
        };
        self.hours.iter().map(row).collect()
    }

    fn money(&self, before: &Part, after: &Part) -> [Text; 4] {
        let was = |amount: &String| Text::from(if self.before_unpriced { "-" } else { amount });
        [was(&before.cost), (&after.cost).into(), was(&before.margin), (&after.margin).into()]
    }
}

fn named(vendor: &str) -> &str {
    if vendor.is_empty() { "nobody" } else { vendor }
}
