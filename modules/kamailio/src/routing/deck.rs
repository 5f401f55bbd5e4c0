//! Plans as vendors and decks: a vendor for each gateway of a plan and weight, with a deck of ranks.
//!
//! A deck has the longest prefix win, each for itself. So a vendor's deck names a prefix only where what holds there is
//! something else than what holds at the next shorter prefix of the plan: another rank, or that it has none (closed).

use super::{Plan, Routing, Target};
use crate::report::Report;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// Its name, unique among all.
    pub name: String,
    /// Its gateway's place in [`Routing::gateways`].
    pub gateway: usize,
    /// Its plan's name.
    pub plan: String,
    /// Its share among equals.
    pub weight: u32,
    /// Digits taken off.
    pub strip: u32,
    /// Digits put before what is left.
    pub add: String,
    /// Numbers with `+`.
    pub plus: bool,
    /// Its deck, as CSV.
    pub deck: String,
}

/// Price of a rank, so that ranks stay small amounts whatever the plan.
fn price(rank: u32) -> String {
    format!("{}.{:04}", rank / 10_000, rank % 10_000)
}

/// A price above that of every rank.
pub const SELL: &str = "1000";

/// What every customer is charged: every number, nothing that means money.
pub fn sell_deck() -> String {
    let mut deck = "prefix as dialled,price\n".to_owned();
    for digit in 0..10 {
        let _ = writeln!(deck, "{digit},{SELL}");
    }
    deck
}

/// The vendors of all plans.
pub fn vendors(routing: &Routing, report: &mut Report) -> Vec<Vendor> {
    let mut all = Vec::new();
    for plan in &routing.plans {
        let mut rows: BTreeMap<(usize, u32), BTreeMap<String, Option<u32>>> = BTreeMap::new();
        for prefix in plan.rules.keys() {
            differences(plan, prefix, &mut rows);
        }
        if rows.len() > limits::PLAN_VENDORS_MAX {
            let most = limits::PLAN_VENDORS_MAX;
            let text = format!(
                "has {} gateways with weights of their own, and a plan {most} vendors: the others are left out",
                rows.len()
            );
            report.no_counterpart(plan.name.as_str(), text);
        }
        let mut used = 0;
        for ((gateway, weight), rows) in rows.into_iter().take(limits::PLAN_VENDORS_MAX) {
            if rows.values().any(Option::is_some) {
                all.extend(vendor(routing, plan, (gateway, weight), &rows, report));
                used += 1;
            }
        }
        report.taken(plan.name.as_str(), format!("{} prefixes with {used} vendors", plan.rules.len()));
    }
    let mut names = crate::output::Names::default();
    for vendor in &mut all {
        vendor.name = names.give(&vendor.name);
    }
    all
}

type Rows = BTreeMap<(usize, u32), BTreeMap<String, Option<u32>>>;

/// Rows that a prefix needs: what holds there and not at the next shorter one, and the other way round.
fn differences(plan: &Plan, prefix: &str, rows: &mut Rows) {
    let by_vendor = |targets: Vec<Target>| -> BTreeMap<(usize, u32), u32> {
        targets.into_iter().map(|target| ((target.gateway, target.weight), target.rank)).collect()
    };
    let here = by_vendor(plan.resolve(prefix));
    if prefix.is_empty() {
        // A deck has no row for every number: ten for their first digits, but for those that the plan names itself.
        for digit in (0..10).map(|digit: u8| digit.to_string()).filter(|digit| !plan.rules.contains_key(digit)) {
            for (vendor, rank) in &here {
                rows.entry(*vendor).or_default().insert(digit.clone(), Some(*rank));
            }
        }
        return;
    }
    let above = match plan.parent(prefix) {
        // The rows of the empty prefix stand at the first digit, which is this prefix itself.
        Some("") if prefix.len() == 1 => BTreeMap::new(),
        Some(parent) => by_vendor(plan.resolve(parent)),
        None => BTreeMap::new(),
    };
    for (vendor, rank) in &here {
        if above.get(vendor) != Some(rank) {
            rows.entry(*vendor).or_default().insert(prefix.to_owned(), Some(*rank));
        }
    }
    for vendor in above.keys().filter(|vendor| !here.contains_key(*vendor)) {
        rows.entry(*vendor).or_default().insert(prefix.to_owned(), None);
    }
}

fn vendor(
    routing: &Routing,
    plan: &Plan,
    (gateway, weight): (usize, u32),
    rows: &BTreeMap<String, Option<u32>>,
    report: &mut Report,
) -> Option<Vendor> {
    let known = routing.gateways.get(gateway)?;
    let several = plan
        .rules
        .values()
        .flat_map(|rule| &rule.targets)
        .any(|target| target.gateway == gateway && target.weight != weight);
    let name = format!("{}-{}{}", plan.name, known.name, if several { format!("-w{weight}") } else { String::new() });
    let mut deck = "prefix as dialled,price\n".to_owned();
    for (prefix, rank) in rows {
        let _ = match rank {
            Some(rank) => writeln!(deck, "{prefix},{}", price(*rank)),
            None => writeln!(deck, "{prefix},closed"),
        };
    }
    let (strip, add, plus) = outward(plan, known, &name, report);
    if strip > 0 {
        let text = "a number that has no more digits than are taken off it was not sent to it (drouting refused the call); here what is put before it is sent alone";
        report.otherwise(name.as_str(), text);
    }
    Some(Vendor { name, gateway, plan: plan.name.clone(), weight, strip, add, plus, deck })
}

/// Kamailio takes characters off a number as it came, its `+` among them; here they come off its digits.
fn outward(plan: &Plan, gateway: &super::Gateway, subject: &str, report: &mut Report) -> (u32, String, bool) {
    let prefix = gateway.prefix.strip_prefix('+');
    let add = prefix.unwrap_or(&gateway.prefix);
    let digits: String = add.chars().filter(|symbol| symbol.is_ascii_digit() || matches!(symbol, '*' | '#')).collect();
    if digits != add {
        report.no_counterpart(
            subject,
            format!("its prefix `{}` has what is no digit; `{digits}` is put before numbers", gateway.prefix),
        );
    }
    let with_plus = prefix.is_some();
    if !plan.plus {
        return (gateway.strip, digits, with_plus);
    }
    match gateway.strip {
        0 if gateway.prefix.is_empty() => (0, digits, true),
        0 => {
            report.otherwise(
                subject,
                format!("its prefix `{}` came before the `+` of numbers; here the `+` goes", gateway.prefix),
            );
            (0, digits, with_plus)
        }
        strip => (strip - 1, digits, with_plus),
    }
}
