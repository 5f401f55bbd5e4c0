//! Rules about failover: a list of codes that can never do anything is believed to protect.

use super::Checker;
use super::sets::sets;
use crate::config::Set;
use crate::read::{Host, OffOr};

/// A list that the file gives, in a set whose calls cannot move.
pub(super) fn nowhere_to_go(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker).filter(|(_, set)| !set.stateless && !set.failover_codes.is_empty()) {
        let path = format!("set[{index}].failover_codes");
        if !checker.given(&path) {
            continue;
        }
        let (why, remedy) = match set {
            _ if is_single(set) => {
                ("the set has one gateway and no `overflow`", "add a gateway or an `overflow`, or remove the list")
            }
            Set { algorithm, .. } if algorithm.parallel => {
                ("`parallel` tries all gateways at once", "write another algorithm, or remove the list")
            }
            Set { attempts_max: 1, .. } => {
                ("`attempts_max` is 1", "write attempts_max = 2 or more, or remove the list")
            }
            _ => continue,
        };
        let message = format!("the failover of `{}` never happens: {why}", set.name);
        let finding = checker.error("failover-never", &path, message);
        checker.note(finding.label("calls have nowhere to move").remedy(remedy));
    }
}

/// One gateway by address: a name may stand for several.
fn is_single(set: &Set) -> bool {
    let by_address = |host: &Host| matches!(host, Host::Address(_));
    set.overflow.is_none()
        && set.gateways.len() == 1
        && set.gateways.iter().all(|gateway| by_address(&gateway.uri.0.host))
}

/// Codes that never reach the point where a call could move on.
pub(super) fn codes_nobody_sends(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker).filter(|(_, set)| !set.stateless) {
        let path = format!("set[{index}].failover_codes");
        let global = set.failover_codes.iter().filter(|code| *code >= 600).count();
        let cancelled = set.failover_codes.contains(487) && !(400..500).all(|code| set.failover_codes.contains(code));
        let message = match (global, cancelled) {
            (0, false) => continue,
            (0, true) => "487 never moves a call: a gateway sends it only for a call that its caller has cancelled",
            _ => "6xx never moves a call: it ends the search for everybody (RFC 3261 §16.7 step 5)",
        };
        let everything = set.failover_codes.iter().all(|code| code >= 600 || code == 487);
        let label = if everything { "nothing can produce these codes" } else { "part of this has no effect" };
        let remedy =
            if global > 0 { "remove the codes from 600 on; for busy everywhere use 486" } else { "remove 487" };
        let finding = checker.error("failover-code-never", &path, message);
        checker.note(finding.label(label).remedy(remedy));
    }
}

/// A dead gateway sends no code at all.
pub(super) fn silence(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker).filter(|(_, set)| !set.stateless) {
        let uncovered = !set.failover_codes.contains(408);
        if set.no_response_timeout != OffOr::Off || set.failover_codes.is_empty() || is_single(set) {
            continue;
        }
        let message = if uncovered {
            format!(
                "calls of `{}` never leave a dead gateway: its silence becomes 408, which is not in `failover_codes`",
                set.name
            )
        } else {
            format!("calls of `{}` leave a dead gateway only after Timer B, when their callers have given up", set.name)
        };
        let finding = checker
            .error("failover-too-late", &format!("set[{index}].no_response_timeout"), message)
            .label("off")
            .remedy("remove this line, or write a time such as no_response_timeout = \"2s\"");
        checker.note(finding);
    }
}
