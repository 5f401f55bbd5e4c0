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
        ("t1", timers.t1, "t2", timers.t2, "retransmissions would get faster instead of slower"),
        ("t1", timers.t1, "timer_b", timers.timer_b, "an INVITE would end before it is repeated"),
        ("t1", timers.t1, "timer_f", timers.timer_f, "a request would end before it is repeated"),
        ("t1", timers.t1, "timer_h", timers.timer_h, "a response would be given up before it is repeated"),
        ("timer_b", timers.timer_b, "timer_c", timers.timer_c, "a call that rings would end before one that is silent"),
        ("timer_f", timers.timer_f, "timer_j", timers.timer_j, "a repeated request would be taken for a new one"),
        ("timer_b", timers.timer_b, "timer_l", timers.timer_l, "a repeated INVITE would be taken for a new call"),
        ("timer_b", timers.timer_b, "timer_m", timers.timer_m, "a repeated 2xx would be lost"),
    ];
    for (short, least, long, most, why) in orders {
        if least <= most {
            continue;
        }
        let (first, second) = (origin(checker, long), origin(checker, short));
        let message = format!("`{short}` ({least:?}) is longer than `{long}` ({most:?}): {why}");
        let finding = checker.error("timer-order", &first, message).label("out of order");
        let finding = match first == second {
            true => finding,
            false => finding.related(checker.given_place(&second), "against this"),
        };
        checker.note(finding.remedy(format!("write a `{long}` of at least {least:?}, or a shorter `{short}`")));
    }
    if timers.timer_c <= TIMER_C_LEAST {
        let message =
            format!("Timer C must be longer than 3 minutes (RFC 3261 §16.6 step 11), not {:?}", timers.timer_c);
        let finding = checker.warning("timer-c-short", "timers.timer_c", message);
        checker.note(finding.label("calls that ring long are cut").remedy("write timer_c = \"185s\" or more"));
    }
}

/// The key that a timer has its value from: itself, or T1 when it follows that.
fn origin(checker: &Checker<'_>, timer: &str) -> String {
    let own = format!("timers.{timer}");
    if checker.given(&own) { own } else { "timers.t1".to_owned() }
}

/// Bounds of the wait under overload: patience ends before the bound, the bound before callers repeat themselves.
pub(super) fn overload_waits(checker: &mut Checker<'_>) {
    let OffOr::On(overload) = &checker.config.overload else {
        return;
    };
    let (wait, longest, t1) = (overload.wait, overload.wait_max, checker.config.timers.t1);
    let (message, remedy) = if wait >= longest {
        let message =
            format!("`wait` ({wait:?}) is not shorter than `wait_max` ({longest:?}): there is no patience between");
        (message, "write a shorter `wait`, or a longer `wait_max`")
    } else if longest >= t1 && checker.given("overload.wait_max") {
        let message = format!("`wait_max` ({longest:?}) is not shorter than `t1` ({t1:?}): callers repeat what waits");
        (message, "write a `wait_max` of at most a few tenths of `t1`")
    } else {
        return;
    };
    let place = if checker.given("overload.wait_max") { "overload.wait_max" } else { "overload.wait" };
    let finding = checker.error("overload-waits", place, message);
    checker.note(finding.label("out of order").remedy(remedy));
}

/// `no_response_timeout` lies between the first repetition and Timer B.
pub(super) fn given_up_attempts(checker: &mut Checker<'_>) {
    let timers = &checker.config.timers;
    for (index, set) in sets(checker).filter(|(_, set)| !set.stateless) {
        let OffOr::On(timeout) = set.no_response_timeout else {
            continue;
        };
        let own = format!("set[{index}].no_response_timeout");
        let at = |timer| {
            if checker.given(&own) { own.clone() } else { origin(checker, timer) }
        };
        if timeout >= timers.timer_b {
            let name = &set.name;
            let message = format!(
                "`no_response_timeout` of `{name}` ({timeout:?}) never ends: Timer B ({:?}) comes first",
                timers.timer_b
            );
            let finding = checker.error("timer-order", &at("timer_b"), message).label("out of order");
            checker
                .note(finding.remedy(
                    "write a shorter `no_response_timeout`: \"2s\" allows three INVITEs with the default `t1`",
                ));
        } else if timeout <= timers.t1 {
            let message = format!(
                "a gateway of `{}` is given up after {timeout:?}, before its INVITE is repeated ({:?}): one lost packet moves the call",
                set.name, timers.t1
            );
            let finding = checker.error("timer-order", &at("t1"), message).label("out of order");
            checker.note(finding.remedy(format!("write a `no_response_timeout` of {:?} or more", timers.t1 * 4)));
        }
    }
}

pub(super) fn probes(checker: &mut Checker<'_>) {
    let own = sets(checker).filter(|(index, _)| checker.given(&format!("set[{index}].probe")));
    let own = own.map(|(index, set)| (format!("set[{index}].probe"), &set.probe));
    let all: Vec<_> = std::iter::once(("probe".to_owned(), &checker.config.probe)).chain(own).collect();
    for (path, probe) in all {
        let OffOr::On(probe) = probe else { continue };
        if probe.retry > probe.interval {
            let message = format!(
                "after a miss the next probe ({:?}) would come later than after an answer ({:?})",
                probe.retry, probe.interval
            );
            let at = if checker.given(&format!("{path}.retry")) { "retry" } else { "interval" };
            let finding = checker.error("timer-order", &format!("{path}.{at}"), message).label("out of order");
            checker.note(finding.remedy("write a `retry` that is shorter than `interval`"));
        }
    }
}

pub(super) fn dns(checker: &mut Checker<'_>) {
    let dns = &checker.config.dns;
    if dns.ttl_min > dns.ttl_max {
        let message = format!("`ttl_min` ({:?}) is longer than `ttl_max` ({:?})", dns.ttl_min, dns.ttl_max);
        let at = if checker.given("dns.ttl_min") { "dns.ttl_min" } else { "dns.ttl_max" };
        let finding = checker.error("timer-order", at, message).label("out of order");
        checker.note(finding.remedy("write a `ttl_min` that is not longer than `ttl_max`"));
    }
}
