//! Rules about stateless sets: nothing is kept, so nothing that needs memory of a call can work.

use super::Checker;
use super::sets::{sets, with_key};
use crate::read::OffOr;

pub(super) fn stateless_sets(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker).filter(|(_, set)| set.stateless) {
        let path = format!("set[{index}]");
        if set.algorithm.hashes.is_none() {
            let message = format!(
                "a stateless set cannot use `{}`: retransmissions of one request would go to different gateways",
                set.algorithm
            );
            let finding = checker
                .error("stateless-algorithm", &format!("{path}.algorithm"), message)
                .label("not a hash")
                .related(checker.marks.value(&format!("{path}.stateless")), "stateless")
                .remedy("write algorithm = \"hash-call-id\" or another hash, or remove `stateless`");
            checker.note(finding);
        }
        if let OffOr::On(_) = set.bounded {
            refuse(checker, &path, "bounded", "nothing counts the calls of a stateless set");
        }
        for key in ["failover_codes", "no_response_timeout", "attempts_max", "last_503"] {
            let harmless = match key {
                "failover_codes" => set.failover_codes.is_empty(),
                "no_response_timeout" => set.no_response_timeout == OffOr::Off,
                _ => false,
            };
            if checker.given(&format!("{path}.{key}")) && !harmless {
                refuse(checker, &path, key, "a stateless set has no failover: the request is not kept");
            }
        }
        let capped: Vec<_> = with_key(checker, index, set, "calls_max").map(|(nth, _)| nth).collect();
        for nth in capped {
            refuse(
                checker,
                &path,
                &format!("gateways[{nth}].calls_max"),
                "nothing counts the calls of a stateless set",
            );
        }
    }
}

fn refuse(checker: &mut Checker<'_>, set: &str, key: &str, why: &str) {
    let name = key.rsplit('.').next().unwrap_or(key);
    let finding = checker
        .error("stateless-setting", &format!("{set}.{key}"), format!("`{name}` has no effect: {why}"))
        .label("without effect")
        .related(checker.marks.value(&format!("{set}.stateless")), "stateless")
        .remedy(format!("remove `{name}`, or remove `stateless`"));
    checker.note(finding);
}
