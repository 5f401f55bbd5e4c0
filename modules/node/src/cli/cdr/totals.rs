//! `tandem cdr --totals`: sums by customer and vendor, and where sequences have gaps.

use crate::cli::client::print;
use crate::cli::table::{Align, Column, colour, render};
use crate::records::reader::{Mark, Reader, Told};
use crate::records::shown;
use deck::money::{Decimal, Digits};
use modules::records::Field;
use modules::records::field::{as_decimal, find, number};
use modules::records::record::RecordKind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Sums are kept in units of 10^-12: amounts and margins have no more decimals.
const DIGITS: Digits = Digits::MAX;

/// Of one customer and vendor.
#[derive(Debug, Default)]
struct Sums {
    calls: u64,
    answered: u64,
    duration_us: u64,
    sell_seconds: u64,
    buy_seconds: u64,
    /// By currency.
    income: BTreeMap<String, i128>,
    cost: BTreeMap<String, i128>,
    margin: BTreeMap<String, i128>,
}

/// Records that are missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    node: u16,
    epoch: u64,
    /// The first and the last that is missing.
    from: u64,
    to: u64,
}

/// Finds gaps, record by record in their order.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    last: Option<(u16, u64, u64)>,
    found: Vec<Gap>,
}

impl Gaps {
    pub(super) fn see(&mut self, node: u16, epoch: u64, sequence: u64, previous: Option<(u64, u64)>) {
        if sequence == 0 {
            return;
        }
        match self.last {
            Some((last_node, last_epoch, last)) if (last_node, last_epoch) == (node, epoch) => {
                self.gap(node, epoch, last + 1, sequence - 1);
            }
            // WHY not of the first epoch: files from before it are gone by their age.
            None => {}
            Some((last_node, last_epoch, last)) => {
                if let Some((_, known)) = previous.filter(|(epoch, _)| *epoch == last_epoch) {
                    self.gap(last_node, last_epoch, last + 1, known);
                }
                self.gap(node, epoch, 1, sequence - 1);
            }
        }
        self.last = Some((node, epoch, sequence));
    }

    fn gap(&mut self, node: u16, epoch: u64, from: u64, to: u64) {
        if from <= to {
            self.found.push(Gap { node, epoch, from, to });
        }
    }
}

pub(super) fn show(folder: &Path, as_json: bool, wants: impl Fn(&Told<'_>) -> bool) -> io::Result<()> {
    let mut reader = Reader::new(folder, Mark::default());
    let mut sums = BTreeMap::<(String, String), Sums>::new();
    let (mut gaps, mut orphans) = (Gaps::default(), 0u64);
    while let Some(portion) = reader.portion()? {
        for told in portion.records() {
            let fields = told.record.fields;
            let previous = number(fields, Field::PreviousEpoch).zip(number(fields, Field::PreviousSequence));
            gaps.see(told.node, told.epoch, told.record.sequence, previous);
            orphans += u64::from(told.record.kind == RecordKind::Orphan && wants(&told));
            if told.record.kind == RecordKind::Call && wants(&told) {
                let key = (shown::text(&told, Field::Customer), shown::text(&told, Field::Vendor));
                sums.entry(key).or_default().add(&told);
            }
        }
    }
    let text = if as_json { format!("{:#}\n", json_of(&sums, &gaps, orphans)) } else { text_of(&sums, &gaps, orphans) };
    print(&text);
    Ok(())
}

impl Sums {
    fn add(&mut self, told: &Told<'_>) {
        let fields = told.record.fields;
        self.calls += 1;
        if number(fields, Field::Answer).is_none() {
            return;
        }
        self.answered += 1;
        let of = |field| number(fields, field).unwrap_or(0);
        self.duration_us += of(Field::Duration);
        self.sell_seconds += of(Field::SellSeconds);
        self.buy_seconds += of(Field::BuySeconds);
        for (sums, amount, currency) in [
            (&mut self.income, Field::SellAmount, Field::SellCurrency),
            (&mut self.cost, Field::BuyAmount, Field::BuyCurrency),
            (&mut self.margin, Field::Margin, Field::Currency),
        ] {
            if let Some(amount) = find(fields, amount).and_then(as_decimal) {
                *sums.entry(shown::text(told, currency)).or_default() += finest(amount);
            }
        }
    }
}

fn finest(amount: Decimal) -> i128 {
    i128::from(amount.units) * i128::from(DIGITS.scale() / amount.digits.scale())
}

/// A sum as people write it: without zeros to spare.
fn money(sums: &BTreeMap<String, i128>) -> Vec<String> {
    let one = |(currency, sum): (&String, &i128)| {
        let scale = u128::from(DIGITS.scale().unsigned_abs());
        let (sign, sum) = (if *sum < 0 { "-" } else { "" }, sum.unsigned_abs());
        let fraction = format!("{:0width$}", sum % scale, width = usize::from(DIGITS.count()));
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{}{point}{fraction} {currency}", sum / scale)
    };
    sums.iter().map(one).collect()
}

fn json_of(sums: &BTreeMap<(String, String), Sums>, gaps: &Gaps, orphans: u64) -> Value {
    let row = |((customer, vendor), sums): (&(String, String), &Sums)| {
        json!({
            "customer": customer, "vendor": vendor, "calls": sums.calls, "answered": sums.answered,
            "duration_us": sums.duration_us, "sell_billed_seconds": sums.sell_seconds,
            "buy_billed_seconds": sums.buy_seconds, "income": money(&sums.income), "cost": money(&sums.cost),
            "margin": money(&sums.margin),
        })
    };
    let gap = |gap: &Gap| json!({ "node": gap.node, "epoch": gap.epoch, "from": gap.from, "to": gap.to });
    json!({
        "totals": sums.iter().map(row).collect::<Vec<_>>(),
        "orphans": orphans,
        "gaps": gaps.found.iter().map(gap).collect::<Vec<_>>(),
    })
}

fn text_of(sums: &BTreeMap<(String, String), Sums>, gaps: &Gaps, orphans: u64) -> String {
    const COLUMNS: &[Column] = &[
        ("customer", Align::Left),
        ("vendor", Align::Left),
        ("calls", Align::Right),
        ("answered", Align::Right),
        ("minutes", Align::Right),
        ("income", Align::Right),
        ("cost", Align::Right),
        ("margin", Align::Right),
    ];
    let rows: Vec<_> = sums
        .iter()
        .map(|((customer, vendor), sums)| {
            let minutes = sums.duration_us / 600_000;
            vec![
                customer.into(),
                vendor.into(),
                sums.calls.into(),
                sums.answered.into(),
                format!("{}.{:02}", minutes / 100, minutes % 100).into(),
                money(&sums.income).join(", ").into(),
                money(&sums.cost).join(", ").into(),
                money(&sums.margin).join(", ").into(),
            ]
        })
        .collect();
    let mut text = render(COLUMNS, &rows, colour());
    if orphans > 0 {
        text += &format!("{orphans} BYEs for calls that were not known\n");
    }
    for gap in &gaps.found {
        text += &format!("missing: node {} epoch {}, records {} to {}\n", gap.node, gap.epoch, gap.from, gap.to);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_found_within_an_epoch_and_at_its_ends() {
        let mut gaps = Gaps::default();
        let seen = [
            (5, 10, None),
            (5, 11, None),
            (5, 14, None),
            (5, 0, None),
            (6, 1, Some((5, 14))),
            (7, 1, Some((6, 3))),
            (8, 2, None),
        ];
        seen.into_iter().for_each(|(epoch, sequence, previous)| gaps.see(1, epoch, sequence, previous));
        let gap = |epoch, from, to| Gap { node: 1, epoch, from, to };
        assert_eq!(gaps.found, [gap(5, 12, 13), gap(6, 2, 3), gap(8, 1, 1)]);
    }

    #[test]
    fn sums_are_shown_exactly() {
        let sums = BTreeMap::from([
            ("EUR".to_owned(), -1_500_000_000_000),
            ("USD".to_owned(), 2_000_000_000_000),
            ("XAU".to_owned(), 1),
        ]);
        assert_eq!(money(&sums), ["-1.5 EUR", "2 USD", "0.000000000001 XAU"]);
    }
}
