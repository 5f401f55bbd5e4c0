//! Rules about sets: what their algorithm looks at, and what becomes of their calls.

use super::{Checker, repeated};
use crate::config::{Compat, Gateway, Set};
use crate::read::OffOr;

pub(super) fn some_set(checker: &mut Checker<'_>) {
    if checker.config.sets.is_empty() && checker.config.domains.is_empty() {
        let finding = checker.error("no-set", "set", "there is no set: calls have nowhere to go");
        checker.note(finding.remedy("add [[set]] with name = \"carriers\" and gateways = [\"sip:192.0.2.1:5060\"]"));
    }
}

pub(super) fn duplicate_sets(checker: &mut Checker<'_>) {
    for (earlier, index) in repeated(checker.config.sets.iter().map(|set| set.name.as_str())) {
        let Some(set) = checker.config.sets.get(index) else {
            continue;
        };
        let finding = checker
            .error("duplicate-name", &format!("set[{index}].name"), format!("two sets are named `{}`", set.name))
            .label("again")
            .related(checker.marks.value(&format!("set[{earlier}].name")), "first here")
            .remedy("give each set a name of its own");
        checker.note(finding);
    }
}

pub(super) fn empty_sets(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker) {
        if set.gateways.is_empty() {
            let message = format!("the set `{}` has no gateways: its calls get 503", set.name);
            let finding = checker.warning("empty-set", &format!("set[{index}].gateways"), message);
            checker.note(finding.label("empty").remedy("add gateways, or remove the set and its routes"));
        }
    }
}

/// A weight that the algorithm does not look at: the operator expects shares that will not come.
pub(super) fn ignored_weights(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker) {
        if set.algorithm.weights {
            continue;
        }
        let Some((nth, _)) = with_key(checker, index, set, "weight").next() else {
            continue;
        };
        let message =
            format!("the weights of the set `{}` are ignored: `{}` does not look at them", set.name, set.algorithm);
        let finding = checker
            .error("ignored-weight", &format!("set[{index}].gateways[{nth}].weight"), message)
            .label("without effect")
            .related(checker.given_place(&format!("set[{index}].algorithm")), "the algorithm")
            .remedy("write algorithm = \"weighted\", or remove the weights");
        checker.note(finding);
    }
}

/// 70 beside a gateway without weight: that one has 1, hardly what was meant.
pub(super) fn partial_weights(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker) {
        let weighted = with_key(checker, index, set, "weight").count();
        if !set.algorithm.weights || weighted == 0 || weighted == set.gateways.len() {
            continue;
        }
        let path = |nth: usize| format!("set[{index}].gateways[{nth}]");
        let Some(nth) = (0..set.gateways.len()).find(|nth| !checker.given(&format!("{}.weight", path(*nth)))) else {
            continue;
        };
        let message = format!("some gateways of the set `{}` have a weight and others have none", set.name);
        let finding = checker
            .warning("partial-weights", &path(nth), message)
            .label("has the default weight, 1")
            .remedy("write a weight for each gateway of the set");
        checker.note(finding);
    }
}

pub(super) fn zero_weights(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker) {
        let none = !set.gateways.is_empty() && set.gateways.iter().all(|gateway| gateway.weight == 0);
        if none && set.algorithm.weights {
            let message = format!("no gateway of the set `{}` would get calls: every weight is 0", set.name);
            let finding = checker.error("zero-weights", &format!("set[{index}].gateways[0].weight"), message);
            checker.note(finding.label("0, as all others").remedy("give at least one gateway a weight above 0"));
        }
    }
}

pub(super) fn ignored_priorities(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker) {
        if set.algorithm.priorities {
            continue;
        }
        let Some((nth, _)) = with_key(checker, index, set, "priority").next() else {
            continue;
        };
        let message =
            format!("the priorities of the set `{}` are ignored: `{}` does not look at them", set.name, set.algorithm);
        let finding = checker
            .error("ignored-priority", &format!("set[{index}].gateways[{nth}].priority"), message)
            .label("without effect")
            .related(checker.given_place(&format!("set[{index}].algorithm")), "the algorithm")
            .remedy("write algorithm = \"priority\", or remove the priorities");
        checker.note(finding);
    }
}

/// Choices of Kamailio are those of a hash by place: nothing else has them.
pub(super) fn compat_without_effect(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker) {
        if set.compat == Compat::Off {
            continue;
        }
        let (why, remedy) = match (set.algorithm.hashes, &set.bounded) {
            (None, _) => (
                "only hashes make Kamailio's choices",
                "write a hash such as algorithm = \"hash-call-id\", or remove `compat`",
            ),
            (Some(algorithms::Subject::Domain), _) => (
                "Kamailio has no hash by domain alone",
                "write algorithm = \"hash-variables\" with hash_variables = \"$rd\", or remove `compat`",
            ),
            (Some(_), OffOr::On(_)) => ("Kamailio's choices are not bounded", "remove `bounded` or `compat`"),
            (Some(_), OffOr::Off) => continue,
        };
        let message = format!("`compat` of the set `{}` has no effect beside its other keys", set.name);
        let finding = checker.error("ignored-compat", &format!("set[{index}].compat"), message).label(why);
        checker.note(finding.remedy(remedy));
    }
}

pub(super) fn variables_without_hash(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker) {
        let path = format!("set[{index}].hash_variables");
        if !checker.given(&path) || set.algorithm.hashes == Some(algorithms::Subject::Variables) {
            continue;
        }
        let message = format!("`hash_variables` has no effect with the algorithm `{}`", set.algorithm);
        let finding = checker.error("ignored-variables", &path, message).label("nobody reads them");
        checker.note(finding.remedy("write algorithm = \"hash-variables\", or remove `hash_variables`"));
    }
}

pub(super) fn bounded_without_hash(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker) {
        if set.bounded == OffOr::Off || set.algorithm.hashes.is_some() {
            continue;
        }
        let message = format!("`bounded` has no effect with the algorithm `{}`", set.algorithm);
        let finding = checker
            .error("ignored-bound", &format!("set[{index}].bounded"), message)
            .label("only hashes are bounded")
            .related(checker.given_place(&format!("set[{index}].algorithm")), "the algorithm")
            .remedy("write a hash such as algorithm = \"hash-caller\", or remove `bounded`");
        checker.note(finding);
    }
}

/// Every shard reserves state for all gateways at start.
pub(super) fn counts(checker: &mut Checker<'_>) {
    let config = checker.config;
    if config.sets.len() > limits::SETS_MAX {
        let finding = checker.error("too-many-sets", "set", format!("there are {} sets", config.sets.len()));
        checker.note(finding.remedy(format!("keep at most {}", limits::SETS_MAX)));
    }
    let total: usize = config.sets.iter().map(|set| set.gateways.len()).sum();
    if total > limits::GATEWAYS_MAX {
        let finding = checker.error("too-many-gateways", "set", format!("there are {total} gateways"));
        checker.note(finding.remedy(format!("keep at most {} in all sets together", limits::GATEWAYS_MAX)));
    }
    for (index, set) in sets(checker) {
        let count = set.gateways.len();
        if count > limits::SET_GATEWAYS_MAX {
            let message = format!("the set `{}` has {count} gateways", set.name);
            let finding = checker.error("too-many-gateways", &format!("set[{index}].gateways"), message);
            let remedy = format!("keep at most {} in a set; each call looks at all of them", limits::SET_GATEWAYS_MAX);
            checker.note(finding.remedy(remedy));
        }
    }
}

/// A parallel set needs a branch for each gateway.
pub(super) fn parallel_branches(checker: &mut Checker<'_>) {
    for (index, set) in sets(checker) {
        if set.algorithm.parallel && set.gateways.len() > limits::BRANCHES_MAX {
            let message = format!("`{}` would ring {} gateways at once", set.name, set.gateways.len());
            let finding = checker.error("too-many-branches", &format!("set[{index}].gateways"), message);
            checker.note(finding.remedy(format!("keep at most {} gateways in a parallel set", limits::BRANCHES_MAX)));
        }
    }
}

/// A chain of overflows must end.
pub(super) fn overflow_cycles(checker: &mut Checker<'_>) {
    let next = |index: usize| checker.config.sets.get(index)?.overflow.as_ref().map(|set| set.index());
    let mut findings = Vec::new();
    for (index, set) in sets(checker) {
        let mut chain = vec![index];
        while let Some(following) = chain.last().and_then(|last| next(*last)) {
            if following == index {
                break;
            }
            if chain.contains(&following) {
                chain.clear();
                break;
            }
            chain.push(following);
        }
        // WHY: reported once, at the first of its sets.
        let closed = chain.last().and_then(|last| next(*last)) == Some(index);
        if !closed || chain.iter().any(|member| *member < index) {
            continue;
        }
        let names: Vec<_> =
            chain.iter().chain([&index]).filter_map(|member| checker.config.sets.get(*member)).collect();
        let names: Vec<_> = names.iter().map(|set| format!("`{}`", set.name)).collect();
        let finding = checker
            .error(
                "overflow-cycle",
                &format!("set[{index}].overflow"),
                format!("overflow goes in a circle: {}", names.join(" to ")),
            )
            .label(format!("`{}` comes back to itself", set.name))
            .remedy("remove the `overflow` of the last set of the chain");
        findings.push(finding);
    }
    checker.findings.append(&mut findings);
}

pub(super) fn probing_off(checker: &mut Checker<'_>) {
    let everywhere = checker.config.probe == OffOr::Off;
    if everywhere {
        let message = "no gateway is probed: a dead one is found by the calls that it loses";
        let finding = checker.warning("probing-off", "probe", message).label("off");
        checker.note(finding.remedy("remove this line, or write a longer interval"));
    }
    for (index, set) in sets(checker).filter(|(_, set)| set.probe == OffOr::Off) {
        let path = format!("set[{index}].probe");
        if set.breaker == OffOr::Off {
            let message = format!("nothing notices that a gateway of `{}` is dead: neither probes nor calls", set.name);
            let finding = checker.error("health-unknown", &format!("set[{index}].breaker"), message);
            checker.note(finding.label("off, as probing is").remedy("leave at least one of `probe` and `breaker` on"));
        } else if !everywhere || checker.given(&path) {
            let message = format!(
                "the gateways of `{}` are not probed: a dead one is found by the calls that it loses",
                set.name
            );
            let remedy = "remove this line, or write a longer interval: probe = { interval = \"60s\" }";
            let finding = checker.warning("probing-off", &path, message);
            checker.note(finding.label("off").remedy(remedy));
        }
    }
}

pub(super) fn sets<'c>(checker: &Checker<'c>) -> impl Iterator<Item = (usize, &'c Set)> + use<'c> {
    checker.config.sets.iter().enumerate()
}

/// Gateways of a set for which the file gives `key`.
pub(super) fn with_key<'a>(
    checker: &'a Checker<'_>,
    set_index: usize,
    set: &'a Set,
    key: &'a str,
) -> impl Iterator<Item = (usize, &'a Gateway)> {
    let gateways = set.gateways.iter().enumerate();
    gateways.filter(move |(nth, _)| checker.given(&format!("set[{set_index}].gateways[{nth}].{key}")))
}
