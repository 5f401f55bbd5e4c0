//! `dr_gateways`, `dr_rules`, `dr_gw_lists`, `dr_groups`: of the longest prefix the rule of the highest priority, whose list
//! is tried in its order and nothing after it.

use super::lcr::say_plus;
use super::{Gateway, Plan, Routing, Rule, Target, digits};
use crate::dispatcher::destination_uri;
use crate::output::Names;
use crate::read::script::Script;
use crate::report::Report;
use crate::table::Table;
use std::collections::BTreeMap;

/// Most gateways of a list that Kamailio looks at.
const LIST_MAX: usize = 32;
/// Lists that name lists, at most.
const LIST_DEPTH_MAX: usize = 4;

/// Reads the tables.
pub fn read(tables: &[&Table], script: &Script, report: &mut Report) -> Routing {
    let of = |name: &'static str| tables.iter().filter(move |table| table.name == name).flat_map(|table| table.rows());
    let mut routing = Routing::default();
    let (mut places, mut names) = (BTreeMap::new(), Names::default());
    for row in of("dr_gateways") {
        let id = row.text("gwid").unwrap_or_default();
        let name = row
            .text("description")
            .filter(|text| text.len() <= 32)
            .map_or_else(|| format!("dr-gw-{id}"), str::to_owned);
        let subject = format!("dr_gateways {id}");
        match destination_uri(row.text("address").unwrap_or_default()) {
            Ok((uri, left_out)) => {
                left_out
                    .iter()
                    .for_each(|what| report.no_counterpart(subject.as_str(), format!("the {what} is left out")));
                if let Some(attrs) = row.text("attrs") {
                    report.no_counterpart(subject.as_str(), format!("`{attrs}`: attributes for the script"));
                }
                let strip = u32::try_from(row.number_or("strip", 0)).unwrap_or(0);
                let prefix = row.text("pri_prefix").unwrap_or_default().to_owned();
                places.insert(id.to_owned(), routing.gateways.len());
                routing.gateways.push(Gateway { name: names.give(&name), uri, strip, prefix });
            }
            Err(why) => report.no_counterpart(subject, why.to_string()),
        }
    }
    let lists: BTreeMap<String, String> = of("dr_gw_lists")
        .filter_map(|row| Some((row.text("id")?.to_owned(), row.text("gwlist")?.to_owned())))
        .collect();
    let sort_order = script.number("drouting", "sort_order").unwrap_or(0);
    let mut plans: BTreeMap<i64, Plan> = BTreeMap::new();
    // By group and prefix: the priority of the rule that is in the plan.
    let mut priorities: BTreeMap<(i64, String), i64> = BTreeMap::new();
    for row in of("dr_rules") {
        let subject = format!("dr_rules row {}", row.number);
        let (prefix, plus) = match digits(row.text("prefix").unwrap_or_default()) {
            Ok(read) => read,
            Err(why) => {
                report.no_counterpart(subject, why);
                continue;
            }
        };
        if let Some(time) = row.text("timerec").filter(|time| !time.trim_matches('|').is_empty()) {
            report.no_counterpart(subject, format!("holds at times (`{time}`) and is left out: a deck's rows have an effective and an expiry time alone"));
            continue;
        }
        if let Some(route) = row.text("routeid").filter(|route| *route != "0") {
            report.no_counterpart(subject.as_str(), format!("ran the script's route `{route}` before its gateways"));
        }
        let targets = targets(row.text("gwlist").unwrap_or_default(), &lists, &places, sort_order, &subject, report);
        let priority = row.number_or("priority", 0);
        for group in
            row.text("groupid").unwrap_or("0").split([',', ';']).filter_map(|group| group.trim().parse::<i64>().ok())
        {
            let plan = plans.entry(group).or_insert_with(|| Plan { name: format!("dr-{group}"), ..Plan::default() });
            say_plus(plan, plus, &prefix, report);
            // Of equal priorities the first row stays before.
            let key = (group, prefix.clone());
            if priorities.get(&key).is_some_and(|known| *known >= priority) {
                report.odd(
                    subject.as_str(),
                    "comes behind a rule of the same prefix and at least its priority: Kamailio never came to it",
                );
                continue;
            }
            priorities.insert(key, priority);
            plan.rules.insert(prefix.clone(), Rule { targets: targets.clone(), stops: true });
        }
    }
    routing.plans = plans.into_values().collect();
    let groups = of("dr_groups").count();
    if groups > 0 {
        report.no_counterpart(
            "dr_groups",
            format!("{groups} callers have a group by their From: give each customer its `plan` (dr-GROUP)"),
        );
    }
    say_sort_order(&routing, sort_order, script, report);
    routing
}

/// A list as `1,2|3;#4` has it: in its order, or by chance within what semicolons part.
fn targets(
    list: &str,
    lists: &BTreeMap<String, String>,
    places: &BTreeMap<String, usize>,
    sort_order: i64,
    subject: &str,
    report: &mut Report,
) -> Vec<Target> {
    let mut list = list.to_owned();
    for _ in 0..LIST_DEPTH_MAX {
        let Some((before, named)) = list.split_once('#') else { break };
        let (id, after) = named.split_at(named.find(|symbol: char| !symbol.is_ascii_digit()).unwrap_or(named.len()));
        if !lists.contains_key(id) {
            report.odd(subject, format!("names the list #{id}, which is not there"));
        }
        list = format!("{before}{}{after}", lists.get(id).map_or("", String::as_str));
    }
    let (mut found, mut rank): (Vec<Target>, u32) = (Vec::new(), 0);
    for group in list.split(';') {
        for id in group.split([',', '|']).map(str::trim).filter(|id| !id.is_empty()) {
            match places.get(id) {
                Some(gateway) if found.len() < LIST_MAX => {
                    found.push(Target { gateway: *gateway, rank, weight: 1 });
                    rank += u32::from(sort_order == 0);
                }
                Some(_) => {
                    report.odd(subject, format!("gateway {id} stands behind the {LIST_MAX} that Kamailio looks at"))
                }
                None => report.odd(subject, format!("gateway {id} is not there, or was left out")),
            }
        }
        rank += u32::from(sort_order != 0);
    }
    found
}

fn say_sort_order(routing: &Routing, sort_order: i64, script: &Script, report: &mut Report) {
    if routing.plans.is_empty() {
        return;
    }
    match sort_order {
        0 => {}
        1 => report.otherwise("drouting", "sort_order 1 draws the first two of each group of gateways and takes the rest in order; here all of a group are drawn"),
        _ => report.otherwise("drouting", "sort_order 2 draws one gateway of each group and never tries the others; here they follow"),
    }
    if script.is_given() && !script.calls_any(&["use_next_gw", "next_routing"]) {
        report.otherwise(
            "drouting",
            "the script never calls use_next_gw(): the first gateway was the only one; here the next ones follow",
        );
    }
    report.otherwise("drouting", "a number with any sign but digits, * # + found no prefix at all and went by rules without one; here it is refused as malformed");
}
