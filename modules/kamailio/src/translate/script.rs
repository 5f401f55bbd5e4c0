//! What the script made of the dispatcher: algorithms, failover, probing; and what it only seemed to make.

use super::{Given, ROUND_ROBIN};
use crate::dispatcher::DestinationSet;
use crate::read::script::Script;
use crate::report::Report;

/// Functions that take a set and an algorithm.
const SELECTS: &[&str] = &["ds_select_dst", "ds_select_domain", "ds_select", "ds_select_du", "ds_select_ru"];
/// Those of them that write the host of the Request-URI.
const SELECTS_DOMAIN: &[&str] = &["ds_select_domain", "ds_select_ru", "ds_next_domain"];

/// How a set was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) algorithm: i64,
    pub(super) keeps_request_uri: bool,
}

pub(super) fn use_of(set: i64, given: &Given<'_>, report: &mut Report) -> Use {
    let subject = format!("dispatcher set {set}");
    let of_set = |arguments: &&[String]| {
        arguments.first().and_then(|first| first.parse().ok()).is_none_or(|named: i64| named == set)
    };
    let algorithm = |arguments: &[String]| arguments.get(1).and_then(|second| second.parse::<i64>().ok());
    let by_script = given.script.calls(SELECTS).filter(of_set).find_map(algorithm);
    let said = given.algorithms.get(&set).copied().or(given.algorithm).or(by_script);
    let algorithm = said.unwrap_or_else(|| {
        let text = "nothing says which algorithm it was used with; 4 (round robin) is taken: give --script kamailio.cfg, or --algorithm SET=NUMBER";
        report.otherwise(subject.as_str(), text);
        ROUND_ROBIN
    });
    let writes_host = given.script.calls(SELECTS_DOMAIN).any(|arguments| of_set(&arguments));
    if !given.script.is_given() {
        let text = "the Request-URI is kept, as ds_select_dst() does; write `request_uri = \"gateway\"` if it was ds_select_domain()";
        report.otherwise(subject, text);
    }
    Use { algorithm, keeps_request_uri: !writes_host }
}

/// The set that the script asks for first.
pub(super) fn first_set(script: &Script) -> Option<i64> {
    script.calls(SELECTS).find_map(|arguments| arguments.first()?.parse().ok())
}

/// What all sets have in common.
pub(super) fn say_dispatcher(sets: &[DestinationSet], script: &Script, report: &mut Report) {
    let subject = "dispatcher";
    if !script.is_given() {
        let text = "without the script it is not known whether gateways were probed and failover worked: here both are on \
                    (OPTIONS every 10 s; 408, 500, 502, 503, 504 and 2 s of silence move a call on); give --script kamailio.cfg";
        report.otherwise(subject, text);
        return;
    }
    let number = |name: &str| script.number("dispatcher", name).unwrap_or(0);
    say_probing(sets, number("ds_ping_interval"), number("ds_probing_mode"), script, report);
    say_failover(number("flags"), script, report);
    if script.calls_any(&["forward"]) {
        report.otherwise(subject, "the script forwards without transactions: no failure route ever ran; here sets keep state unless `stateless` says otherwise");
    }
    if script.number("tm", "remap_503_500").unwrap_or(1) != 0 {
        report.otherwise(subject, "tm turned a last 503 into 500 (remap_503_500), so that callers did not advance; here it stays 503 (`last_503 = \"500\"` turns it)");
    }
}

fn say_probing(sets: &[DestinationSet], interval: i64, mode: i64, script: &Script, report: &mut Report) {
    let flagged = sets.iter().flat_map(|set| &set.destinations).filter(|one| one.is_probed()).count();
    let all: usize = sets.iter().map(|set| set.destinations.len()).sum();
    let marks = script.calls_any(&["ds_mark_dst"]);
    let text = match (interval, mode, flagged) {
        (0, _, _) => "no OPTIONS was ever sent (ds_ping_interval is not set)".to_owned(),
        (_, 1, _) => String::new(),
        (every, 3, _) => format!("only gateways marked so were probed, every {every} s (ds_probing_mode 3)"),
        (_, _, 0) if !marks => {
            "no OPTIONS was ever sent: ds_probing_mode is 0 or 2 and no gateway has flag 8, and the script never calls ds_mark_dst()".to_owned()
        }
        (every, _, flagged) if flagged < all => format!("{flagged} of {all} gateways were probed (flag 8), every {every} s, others only once a call had failed"),
        _ => String::new(),
    };
    let text = match text.as_str() {
        "" if interval == 10 => return,
        "" => format!("OPTIONS went out every {interval} s; here every 10 s (`interval` in [probe])"),
        _ => format!("{text}; here every gateway is probed, every 10 s, and one that does not answer gets no calls"),
    };
    report.otherwise("dispatcher", text);
}

fn say_failover(flags: i64, script: &Script, report: &mut Report) {
    let subject = "dispatcher";
    let next = script.calls_any(&["ds_next_dst", "ds_next_domain", "ds_next_du", "ds_next_ru"]);
    if !next || !script.calls_any(&["t_on_failure"]) {
        report.otherwise(
            subject,
            "there was no failover: no failure route calls ds_next_dst(); here the next gateway has its turn",
        );
        return;
    }
    if flags & 2 == 0 {
        report.otherwise(subject, "there was no failover although the script asks for it: `flags` lacks 2, so that ds_next_dst() found no list; here the next gateway has its turn");
        return;
    }
    match script.looks_at_408() {
        Some(false) => report.otherwise(
            subject,
            "failover missed a gateway that said nothing: Kamailio makes a 408 of it, and no t_check_status() of the script matches 408; \
             here 2 s of silence, or a 408 before an 18x, move the call on",
        ),
        Some(true) | None => {
            let silence = script.number("tm", "fr_timer").unwrap_or(30_000);
            report.otherwise(subject, format!("a silent gateway held a call for {silence} ms (fr_timer); here for 2 s (`no_response_timeout`)"));
        }
    }
    if !script.calls_any(&["ds_mark_dst"]) {
        report.otherwise(subject, "calls never took a gateway out: the script does not call ds_mark_dst(); here `breaker` does after timeouts and 503s in a row");
    }
}
