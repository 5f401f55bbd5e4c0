//! A set of destinations as `[[set]]`, and what the script made of it.

use super::{Chosen, DestinationSet, destination_uri};
use crate::output::{Document, Names, inline};
use crate::read::script::Script;
use crate::report::Report;
use std::collections::BTreeSet;

/// What is written with.
#[derive(Debug)]
pub struct Writing<'w> {
    /// Names of gateways, unique in the file.
    pub names: &'w mut Names,
    /// The script.
    pub script: &'w Script,
    /// Keep hash choices as Kamailio makes them.
    pub compat: bool,
    /// The Request-URI stays as it came.
    pub keeps_request_uri: bool,
    /// The file.
    pub document: &'w mut Document,
    /// What came of it.
    pub report: &'w mut Report,
}

/// Writes a set that has this algorithm of Kamailio. `false`: none of its gateways can be one of ours.
pub fn write(set: &DestinationSet, number: i64, writing: &mut Writing<'_>) -> bool {
    let subject = format!("dispatcher set {}", set.id);
    let kept = usable(set, &subject, writing.report);
    if kept.destinations.is_empty() {
        return false;
    }
    let chosen = Chosen::of(number, &kept, &subject, writing.report);
    say_order(&kept, number, &subject, writing.report);
    say_attributes(&kept, number, &subject, writing.report);
    let (word, variables) = hashed(number, chosen.word, writing.script);
    let use_default = writing.script.number("dispatcher", "ds_use_default").unwrap_or(0) != 0;
    let mut gateways = Vec::new();
    for (at, one) in kept.destinations.iter().enumerate() {
        let Ok((uri, _)) = destination_uri(&one.uri) else { continue };
        let mut keys = Vec::new();
        let named = one.attribute("duid").filter(|duid| !duid.is_empty());
        let host = uri.trim_start_matches("sip:");
        let name = match named {
            Some(duid) => writing.names.give(duid),
            None => writing.names.give_as_it_is(host.to_owned()),
        };
        keys.push(("uri", toml::Value::String(uri.clone())));
        if name != host {
            keys.push(("name", toml::Value::String(name)));
        }
        let last = at + 1 == kept.destinations.len();
        if let Some(weight) = chosen.weights.get(at) {
            keys.push(("weight", i64::from(*weight).into()));
        } else if use_default && chosen.hashes {
            keys.push(("weight", i64::from(!last).into()));
        }
        keys.extend(chosen.priorities.get(at).map(|priority| ("priority", i64::from(*priority).into())));
        let maxload = one
            .attribute("maxload")
            .and_then(|value| value.parse::<i64>().ok())
            .filter(|load| *load > 0 && number == 10);
        keys.extend(maxload.map(|load| ("calls_max", load.into())));
        gateways.push(inline(&keys));
    }
    let document = &mut *writing.document;
    document.section("[[set]]");
    document.string("name", &set_name(set.id));
    document.string("algorithm", word);
    if let Some(variables) = variables {
        document.string("hash_variables", &variables);
    }
    if chosen.hashes && writing.compat {
        document.string("compat", "kamailio");
    } else if chosen.hashes {
        let text = "hashes are other ones: the share of each gateway stays, single calls and callers move (keep them with --compat)";
        writing.report.otherwise(subject.as_str(), text);
    }
    if writing.keeps_request_uri {
        document.string("request_uri", "keep");
    }
    document.lines("gateways", &gateways);
    writing.report.taken(subject, format!("{} gateways, algorithm {number} as `{word}`", gateways.len()));
    true
}

/// What is hashed: flag 1 of the dispatcher takes the user alone, algorithm 7 what `hash_pvar` names.
fn hashed(number: i64, word: &'static str, script: &Script) -> (&'static str, Option<String>) {
    let user_alone = script.number("dispatcher", "flags").unwrap_or(0) & 1 != 0;
    let variables = match number {
        1 if user_alone => "$fU",
        2 if user_alone => "$tU",
        3 if user_alone => "$rU",
        7 => script.parameter("dispatcher", "hash_pvar").unwrap_or("$ci"),
        _ => return (word, None),
    };
    ("hash-variables", Some(variables.to_owned()))
}

/// What a set is called in the file.
pub fn set_name(id: i64) -> String {
    format!("set-{id}")
}

/// Without what cannot be a gateway here.
fn usable(set: &DestinationSet, subject: &str, report: &mut Report) -> DestinationSet {
    let mut kept = DestinationSet { id: set.id, destinations: Vec::new() };
    let mut seen = BTreeSet::new();
    for one in &set.destinations {
        if let Some(why) = one.is_out() {
            let text = format!(
                "{} is {why} and left out; a hash counted it and passed it over, and is divided by one less now",
                one.uri
            );
            report.no_counterpart(subject, text);
            continue;
        }
        match destination_uri(&one.uri) {
            Err(why) => report.no_counterpart(subject, format!("{} {why}", one.uri)),
            Ok((uri, left_out)) if seen.insert(uri.clone()) => {
                for what in left_out {
                    report.no_counterpart(subject, format!("{}: the {what} is left out", one.uri));
                }
                kept.destinations.push(one.clone());
            }
            Ok(_) => {
                report.otherwise(
                    subject,
                    format!("{} stands there twice, and had twice the calls; it is here once", one.uri),
                );
            }
        }
    }
    kept
}

/// The order in which gateways come, where that is another than the file's.
fn say_order(set: &DestinationSet, number: i64, subject: &str, report: &mut Report) {
    let first = set.destinations.first().map_or(0, |one| one.priority);
    let equal = set.destinations.iter().skip(1).any(|one| one.priority == first);
    if equal && matches!(number, 8 | 14) {
        let order: Vec<&str> = set.destinations.iter().map(|one| one.uri.as_str()).collect();
        let text = format!(
            "gateways of equal priority are taken in reversed order of the file, the last line first: {}; so it is here",
            order.join(", ")
        );
        report.otherwise(subject, text);
    } else if set.destinations.iter().any(|one| one.priority != first) && !matches!(number, 8 | 14 | 15) {
        let text = format!(
            "algorithm {number} reads no priorities: gateways of every priority had calls from the start; so it is here"
        );
        report.otherwise(subject, text);
    }
}

/// Attributes that the algorithm or Tandem does not read.
fn say_attributes(set: &DestinationSet, number: i64, subject: &str, report: &mut Report) {
    let why = |name: &str| match name {
        "duid" | "weight" => None,
        "rweight" if number == 11 => None,
        "rweight" => Some("is read by algorithm 11 alone"),
        "maxload" if number == 10 => None,
        "maxload" => Some("is read by algorithm 10 alone; `calls_max` of a gateway bounds its calls with any"),
        "socket" | "sockname" => {
            Some("has no counterpart for a gateway: `listener` of a set names the listener that its calls leave by")
        }
        "ping_socket" => Some("has no counterpart for a gateway: `listener` in `probe` of a set"),
        "ping_from" => Some("has no counterpart for a gateway: `from_user` and `from_host` in `probe` of a set"),
        "obproxy" => Some("has no counterpart: calls go to the gateway itself"),
        "cc" | "latency" => Some("has no counterpart: shares do not follow the latency of OPTIONS"),
        "ocmin" | "ocmax" | "ocrate" => {
            Some("has no counterpart: a gateway that is behind answers 503, and its breaker counts that")
        }
        _ => Some("is for the script to read, and there is none"),
    };
    let mut said = BTreeSet::new();
    for (name, value) in set.destinations.iter().flat_map(|one| &one.attributes) {
        if let Some(why) = why(name).filter(|_| said.insert(name)) {
            report.no_counterpart(subject, format!("`{name}={value}` {why}"));
        }
    }
}
