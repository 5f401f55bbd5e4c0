//! `lcr_gw`, `lcr_rule`, `lcr_rule_target`: the longest prefix first, then the lowest priority, then chance by weight, and
//! shorter prefixes after that unless a rule stops.

use super::{Gateway, Plan, Routing, Target, digits};
use crate::dispatcher::destination_uri;
use crate::output::Names;
use crate::read::script::Script;
use crate::report::Report;
use crate::table::{Row, Table};
use std::collections::BTreeMap;

/// `lcr_id` of gateways that every instance has.
const EVERY: i64 = 0;
/// Longest prefix of `lcr_rule`.
const PREFIX_MAX: u32 = 16;
/// One more than the highest priority.
const PRIORITIES: u32 = 256;

/// Reads the three tables. `now`: seconds since 1970, for gateways that are out of use until a time.
pub fn read(tables: &[&Table], script: &Script, now: i64, report: &mut Report) -> Routing {
    let of = |name: &'static str| tables.iter().filter(move |table| table.name == name).flat_map(|table| table.rows());
    let mut routing = Routing::default();
    let mut places = BTreeMap::new();
    let mut names = Names::default();
    for row in of("lcr_gw") {
        if let Some(gateway) = gateway(&row, now, &mut names, report) {
            places.insert((row.number_or("lcr_id", EVERY), row.number_or("id", 0)), routing.gateways.len());
            routing.gateways.push(gateway);
        }
    }
    let by_priority_alone = script.number("lcr", "priority_ordering").unwrap_or(0) != 0;
    let mut plans: BTreeMap<i64, Plan> = BTreeMap::new();
    let mut prefixes: BTreeMap<(i64, i64), String> = BTreeMap::new();
    for row in of("lcr_rule") {
        let (instance, rule) = (row.number_or("lcr_id", 1), row.number_or("id", 0));
        let Some((prefix, plus)) = prefix(&row, report) else { continue };
        let plan = plans.entry(instance).or_insert_with(|| Plan { name: format!("lcr-{instance}"), ..Plan::default() });
        say_plus(plan, plus, &prefix, report);
        plan.rules.entry(prefix.clone()).or_default().stops |= row.number_or("stopper", 0) == 1;
        prefixes.insert((instance, rule), prefix);
    }
    for row in of("lcr_rule_target") {
        let instance = row.number_or("lcr_id", 1);
        let (rule, id) = (row.number_or("rule_id", 0), row.number_or("gw_id", 0));
        let subject = || format!("lcr_rule_target row {}", row.number);
        let Some(prefix) = prefixes.get(&(instance, rule)) else {
            report.odd(subject(), "its rule is not there, or was left out");
            continue;
        };
        let Some(gateway) = places.get(&(instance, id)).or_else(|| places.get(&(EVERY, id))).copied() else {
            report.odd(subject(), "its gateway is not there, or was left out");
            continue;
        };
        let priority = u32::try_from(row.number_or("priority", 0)).unwrap_or(0).min(PRIORITIES - 1);
        let length = u32::try_from(prefix.len()).unwrap_or(PREFIX_MAX);
        let rank = if by_priority_alone { priority } else { PREFIX_MAX.saturating_sub(length) * PRIORITIES + priority };
        let weight = u32::try_from(row.number_or("weight", 1)).unwrap_or(1).clamp(1, 254);
        let rules = plans.get_mut(&instance).and_then(|plan| plan.rules.get_mut(prefix));
        rules.into_iter().for_each(|rule| rule.targets.push(Target { gateway, rank, weight }));
    }
    routing.plans = plans.into_values().collect();
    say_unfair(&routing, report);
    if !routing.plans.is_empty() {
        say_failover(script, report);
    }
    routing
}

fn gateway(row: &Row<'_>, now: i64, names: &mut Names, report: &mut Report) -> Option<Gateway> {
    let id = row.number_or("id", 0);
    let name = row.text("gw_name").map_or_else(|| format!("lcr-gw-{id}"), str::to_owned);
    let subject = format!("lcr_gw {name}");
    let defunct = row.number_or("defunct", 0);
    if defunct > now {
        report.no_counterpart(
            subject,
            "is out of use (`defunct`) and left out: `tandem gateways disable` takes one out of use here",
        );
        return None;
    }
    if row.number("uri_scheme") == Some(2) {
        report.no_counterpart(subject, "has the scheme sips; UDP alone is spoken so far");
        return None;
    }
    if let Some(transport @ 2..=4) = row.number("transport") {
        let name = ["TCP", "TLS", "SCTP"].get(usize::try_from(transport - 2).unwrap_or(0)).unwrap_or(&"");
        report.no_counterpart(subject, format!("goes over {name}; UDP alone is spoken so far"));
        return None;
    }
    let (address, host) = (row.text("ip_addr"), row.text("hostname"));
    if let (Some(address), Some(host)) = (address, host) {
        report.otherwise(
            subject.as_str(),
            format!("the Request-URI had the host `{host}` and went to {address}; here it has {address}"),
        );
    }
    for (column, what) in
        [("params", "parameters of its URI"), ("tag", "tag for the script"), ("flags", "flags for the script")]
    {
        if let Some(value) = row.text(column).filter(|value| *value != "0") {
            report.no_counterpart(subject.as_str(), format!("`{value}`: {what}"));
        }
    }
    let host = address.or(host)?;
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let port =
        row.number("port").filter(|port| (1..=65_535).contains(port)).map_or(String::new(), |port| format!(":{port}"));
    let (uri, _) = destination_uri(&format!("sip:{host}{port}")).ok()?;
    let strip = u32::try_from(row.number_or("strip", 0)).unwrap_or(0);
    Some(Gateway { name: names.give(&name), uri, strip, prefix: row.text("prefix").unwrap_or_default().to_owned() })
}

/// The prefix of a rule that can be one of ours.
fn prefix(row: &Row<'_>, report: &mut Report) -> Option<(String, bool)> {
    let subject = format!("lcr_rule row {}", row.number);
    if row.number_or("enabled", 1) == 0 {
        report.odd(subject, "is not enabled");
        return None;
    }
    for (column, what) in [
        ("from_uri", "the caller's URI"),
        ("request_uri", "the Request-URI"),
        ("mt_tvalue", "a table of callers (mtree)"),
    ] {
        if let Some(pattern) = row.text(column) {
            report.no_counterpart(subject, format!("is for what `{pattern}` says of {what}, and is left out with its gateways: routes go by customer and prefix"));
            return None;
        }
    }
    match digits(row.text("prefix").unwrap_or_default()) {
        Ok(read) => Some(read),
        Err(why) => {
            report.no_counterpart(subject, why);
            None
        }
    }
}

pub(super) fn say_plus(plan: &mut Plan, plus: bool, prefix: &str, report: &mut Report) {
    let first = plan.rules.is_empty();
    if first {
        plan.plus = plus;
    } else if plan.plus != plus && !prefix.is_empty() {
        plan.plus &= plus;
        report.otherwise(plan.name.as_str(), "has prefixes with and without `+`, which Kamailio held against numbers as they were written; both mean the same here");
    }
}

/// Weights that lcr did not deal as they say.
fn say_unfair(routing: &Routing, report: &mut Report) {
    for plan in &routing.plans {
        for (prefix, rule) in &plan.rules {
            let mut equals: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            rule.targets.iter().for_each(|target| equals.entry(target.rank).or_default().push(target.weight));
            for weights in
                equals.values().filter(|weights| weights.iter().any(|weight| Some(weight) != weights.first()))
            {
                let sum: u32 = weights.iter().sum();
                let shown = |share: f64| format!("{:.1} %", share * 100.0);
                let was: Vec<String> = first_choices(weights).into_iter().map(shown).collect();
                let is: Vec<String> = weights.iter().map(|weight| shown(f64::from(*weight) / f64::from(sum))).collect();
                let text = format!(
                    "weights {weights:?}: lcr multiplies each by a random number and takes the largest, which gave {}; \
                                    here each has its share, {}",
                    was.join(", "),
                    is.join(", ")
                );
                report.otherwise(format!("{} prefix {prefix}", plan.name), text);
            }
        }
    }
}

/// How often each comes first when the largest of weight times a uniform random number does.
pub(crate) fn first_choices(weights: &[u32]) -> Vec<f64> {
    // P(i) = 1/w_i · ∫ over 0..w_i of Π_{j≠i} min(1, x/w_j) dx: a power of x between two neighbouring weights.
    let mut bounds: Vec<f64> = weights.iter().map(|weight| f64::from(*weight)).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let chance = |own: usize| {
        let weight = weights.get(own).map_or(1.0, |weight| f64::from(*weight));
        let (mut sum, mut from) = (0.0_f64, 0.0_f64);
        for to in bounds.iter().copied().filter(|to| *to <= weight) {
            // Others whose weight is above this piece: their factor is x/w.
            let above = weights
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != own)
                .map(|(_, weight)| f64::from(*weight))
                .filter(|other| *other >= to);
            let (mut power, mut scale) = (1, 1.0);
            for other in above {
                (power, scale) = (power + 1, scale / other);
            }
            sum += scale * (to.powi(power) - from.powi(power)) / f64::from(power);
            from = to;
        }
        sum / weight
    };
    (0..weights.len()).map(chance).collect()
}

fn say_failover(script: &Script, report: &mut Report) {
    if script.is_given() && !script.calls_any(&["next_gw"]) {
        report.otherwise(
            "lcr",
            "the script never calls next_gw(): the first gateway was the only one; here the next ones follow",
        );
    }
}
