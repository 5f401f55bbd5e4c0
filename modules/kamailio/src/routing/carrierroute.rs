//! `carrierroute`: of the longest prefix one host, by a hash with the shares that `prob` says.

use super::lcr::say_plus;
use super::{Gateway, Plan, Routing, Target, digits};
use crate::dispatcher::destination_uri;
use crate::output::Names;
use crate::report::Report;
use crate::table::Table;
use std::collections::BTreeMap;

/// Weight of `prob` 1.
const WHOLE: f64 = 1_000.0;

/// Reads the tables.
pub fn read(tables: &[&Table], report: &mut Report) -> Routing {
    let of = |name: &'static str| tables.iter().filter(move |table| table.name == name).flat_map(|table| table.rows());
    let named = |name: &'static str, column: &'static str| -> BTreeMap<i64, String> {
        of(name).filter_map(|row| Some((row.number("id")?, row.text(column)?.to_owned()))).collect()
    };
    let (carriers, domains) = (named("carrier_name", "carrier"), named("domain_name", "domain"));
    let mut routing = Routing::default();
    let mut places: BTreeMap<(String, u32, String), usize> = BTreeMap::new();
    let (mut names, mut plans): (Names, BTreeMap<(i64, i64), Plan>) = <_>::default();
    for row in of("carrierroute") {
        let subject = format!("carrierroute row {}", row.number);
        let read = digits(row.text("scan_prefix").unwrap_or_default()).map_err(|why| why.clone());
        let host = destination_uri(row.text("rewrite_host").unwrap_or_default());
        let (prefix, plus, uri) = match (read, host) {
            (Ok((prefix, plus)), Ok((uri, _))) => (prefix, plus, uri),
            (Err(why), _) => {
                report.no_counterpart(subject, why);
                continue;
            }
            (_, Err(why)) => {
                report.no_counterpart(subject, why.to_string());
                continue;
            }
        };
        if row.number_or("flags", 0) != 0 || row.number_or("mask", 0) != 0 {
            report.no_counterpart(subject, "is for calls with flags of the script, and is left out");
            continue;
        }
        if let Some(suffix) = row.text("rewrite_suffix") {
            report.no_counterpart(subject.as_str(), format!("`{suffix}` is not put behind numbers"));
        }
        let prob =
            row.text("prob").and_then(|text| text.parse::<f64>().ok()).filter(|prob| prob.is_finite()).unwrap_or(0.0);
        if prob <= 0.0 {
            report.no_counterpart(subject, "has the probability 0 and is left out: Kamailio never chose it first");
            continue;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within 1 and 1,000,000")]
        let weight = (prob * WHOLE).round().clamp(1.0, 1_000_000.0) as u32;
        let strip = u32::try_from(row.number_or("strip", 0)).unwrap_or(0);
        let rewrite = row.text("rewrite_prefix").unwrap_or_default().to_owned();
        let gateway = *places.entry((uri.clone(), strip, rewrite.clone())).or_insert_with(|| {
            let name = names.give(uri.trim_start_matches("sip:"));
            routing.gateways.push(Gateway { name, uri, strip, prefix: rewrite });
            routing.gateways.len() - 1
        });
        let (carrier, domain) = (row.number_or("carrier", 0), row.number_or("domain", 0));
        let plan = plans.entry((carrier, domain)).or_insert_with(|| {
            let word =
                |names: &BTreeMap<i64, String>, id: i64| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
            Plan {
                name: crate::output::plain_name(&format!("cr-{}-{}", word(&carriers, carrier), word(&domains, domain))),
                ..Plan::default()
            }
        });
        say_plus(plan, plus, &prefix, report);
        let rule = plan.rules.entry(prefix).or_default();
        rule.stops = true;
        rule.targets.push(Target { gateway, rank: 0, weight });
    }
    routing.plans = plans.into_values().collect();
    let failures = of("carrierfailureroute").count();
    if failures > 0 {
        let text = format!(
            "{failures} rows say which domain follows after which code: here the other gateways of a prefix follow, and `advance_codes` of a vendor says when"
        );
        report.no_counterpart("carrierfailureroute", text);
    }
    if !routing.plans.is_empty() {
        report.otherwise("carrierroute", "a gateway was drawn by a hash (of what the script named); here by chance, with the same shares, and the others follow when it fails");
    }
    routing
}
