//! Rules about times: those that must stand in an order to do anything.

use super::Checker;
use super::sets::sets;
use crate::read::OffOr;
use std::time::Duration;

/// Least Timer C of a proxy (RFC 3261 §16.6 step 11).
const TIMER_C_LEAST: Duration = Duration::from_secs(180);

pub(super) fn transaction_timers(checker: &mut Checker<'_>) {
    let timers = &checker.config.timers;
    let orders = [
        (
            "t1",
            timers.t1,
            "t2",
            timers.t2,
            "retransmissions would get faster instead of slower",
        ),
        (
            "t2",
            timers.t2,
            "timer_f",
            timers.timer_f,
            "a request would end before it is repeated at its slowest",
        ),
        (
            "t1",
            timers.t1,
            "timer_b",
            timers.timer_b,
            "an INVITE would end before it is repeated",
        ),
        (
            "t2",
            timers.t2,
            "timer_h",
            timers.timer_h,
            "a response would be given up before it is repeated at its slowest",
        ),
        (
            "timer_b",
            timers.timer_b,
            "timer_c",
            timers.timer_c,
            "a call that rings would end before one that is silent",
        ),
        (
            "timer_f",
            timers.timer_f,
            "timer_j",
            timers.timer_j,
            "a repeated request would be taken for a new one",
        ),
        (
            "timer_b",
            timers.timer_b,
            "timer_l",
            timers.timer_l,
            "a repeated INVITE would be taken for a new call",
        ),
        (
            "timer_b",
            timers.timer_b,
            "timer_m",
            timers.timer_m,
            "a repeated 2xx would be lost",
        ),
    ];
    for (short, least, long, most, why) in orders {
        if least <= most {
            continue;
        }
        let (path, other) = (format!("timers.{long}"), format!("timers.{short}"));
        let (path, other) = if checker.given(&path) {
            (path, other)
        } else {
            (other, path)
        };
        let finding = checker
            .error(
                "timer-order",
                &path,
                format!("`{short}` ({least:?}) is longer than `{long}` ({most:?}): {why}"),
            )
            .label("out of order")
            .remedy(format!(
                "write a `{long}` of at least {least:?}, or a shorter `{short}`"
            ));
        let finding = if checker.given(&other) {
            finding.related(checker.marks.value(&other), "against this")
        } else {
            finding
        };
        checker.note(finding);
    }
    if timers.timer_c <= TIMER_C_LEAST {
        let message = format!(
            "Timer C must be longer than 3 minutes (RFC 3261 §16.6 step 11), not {:?}",
            timers.timer_c
        );
        let finding = checker.warning("timer-c-short", "timers.timer_c", message);
        checker.note(
            finding
                .label("calls that ring long are cut")
                .remedy("write timer_c = \"185s\" or more"),
        );
    }
}

/// `no_response_timeout` lies between the first repetition and Timer B.
pub(super) fn given_up_attempts(checker: &mut Checker<'_>) {
    let timers = &checker.config.timers;
    for (index, set) in sets(checker).filter(|(_, set)| !set.stateless) {
        let OffOr::On(timeout) = set.no_response_timeout else {
            continue;
        };
        let path = format!("set[{index}].no_response_timeout");
        if timeout >= timers.timer_b {
            let message = format!(
                "`no_response_timeout` ({timeout:?}) never ends: Timer B ({:?}) comes first",
                timers.timer_b
            );
            let finding = checker
                .error("timer-order", &path, message)
                .label("not shorter than Timer B")
                .related(
                    checker
                        .marks
                        .value("timers.timer_b")
                        .filter(|_| checker.given("timers.timer_b")),
                    "Timer B",
                )
                .remedy("write a shorter time: \"2s\" allows three INVITEs");
            checker.note(finding);
        } else if timeout <= timers.t1 {
            let message = format!(
                "a gateway is given up after {timeout:?}, before its INVITE is repeated: one lost packet moves the call"
            );
            let finding = checker
                .error("timer-order", &path, message)
                .label("not longer than `t1`");
            checker.note(finding.remedy(format!("write at least {:?}", timers.t1 * 4)));
        }
    }
}

pub(super) fn probes(checker: &mut Checker<'_>) {
    let own = sets(checker).filter(|(index, _)| checker.given(&format!("set[{index}].probe")));
    let own = own.map(|(index, set)| (format!("set[{index}].probe"), &set.probe));
    let all: Vec<_> = std::iter::once(("probe".to_owned(), &checker.config.probe))
        .chain(own)
        .collect();
    for (path, probe) in all {
        let OffOr::On(probe) = probe else { continue };
        if probe.retry > probe.interval {
            let message = format!(
                "after a miss the next probe ({:?}) would come later than after an answer ({:?})",
                probe.retry, probe.interval
            );
            let at = if checker.given(&format!("{path}.retry")) {
                "retry"
            } else {
                "interval"
            };
            let finding = checker
                .error("timer-order", &format!("{path}.{at}"), message)
                .label("out of order");
            checker.note(finding.remedy("write a `retry` that is shorter than `interval`"));
        }
    }
}

pub(super) fn dns(checker: &mut Checker<'_>) {
    let dns = &checker.config.dns;
    if dns.ttl_min > dns.ttl_max {
        let message = format!(
            "`ttl_min` ({:?}) is longer than `ttl_max` ({:?})",
            dns.ttl_min, dns.ttl_max
        );
        let at = if checker.given("dns.ttl_min") {
            "dns.ttl_min"
        } else {
            "dns.ttl_max"
        };
        let finding = checker
            .error("timer-order", at, message)
            .label("out of order");
        checker.note(finding.remedy("write a `ttl_min` that is not longer than `ttl_max`"));
    }
}
