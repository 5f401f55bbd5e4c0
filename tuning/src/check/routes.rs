//! Rules about routes: every set is reached, every route can match.

use super::Checker;
use crate::config::Route;
use std::fmt::Write as _;

/// With several sets somebody has to say which calls go where.
pub(super) fn no_routes(checker: &mut Checker<'_>) {
    let config = checker.config;
    if config.sets.len() < 2 || !config.routes.is_empty() || !config.customers.is_empty() {
        return;
    }
    let mut remedy = "say which calls go where:".to_owned();
    for set in &config.sets {
        let _ = write!(remedy, "\n\n[[route]]\nset = \"{}\"\nprefix = \"...\"", set.name);
    }
    let message = "there are several sets and no route: no call would find one";
    let finding = checker.error("no-route", "set[1]", message);
    checker.note(finding.label("which calls come here?").remedy(remedy));
}

/// A set that no route names and no reached set overflows to.
pub(super) fn unreached_sets(checker: &mut Checker<'_>) {
    let config = checker.config;
    if config.routes.is_empty() && config.customers.is_empty() {
        return;
    }
    let mut reached: Vec<usize> = config.routes.iter().map(|route| route.set.index()).collect();
    let of_domains = config.domains.iter().flat_map(|domain| [&domain.media, &domain.registrar]);
    reached.extend(of_domains.flatten().map(|set| set.index()));
    reached.extend(config.vendors.iter().map(|vendor| vendor.set.index()));
    let mut position = 0;
    while let Some(index) = reached.get(position) {
        position += 1;
        let overflow = config.sets.get(*index).and_then(|set| set.overflow.as_ref()).map(|set| set.index());
        reached.extend(overflow.filter(|next| !reached.contains(next)));
    }
    for (index, set) in config.sets.iter().enumerate() {
        // WHY: a second set of the same name is reported as such.
        let by_name = reached.iter().filter_map(|index| config.sets.get(*index)).any(|other| other.name == set.name);
        if !by_name {
            let message = format!("nobody reaches the set `{}`: no route and no overflow leads to it", set.name);
            let finding = checker.error("unreached-set", &format!("set[{index}].name"), message);
            let remedy = format!("add [[route]] with set = \"{}\", or remove the set", set.name);
            checker.note(finding.label("gets no calls").remedy(remedy));
        }
    }
}

/// A route behind one that takes everything it would take.
pub(super) fn shadowed_routes(checker: &mut Checker<'_>) {
    let routes = &checker.config.routes;
    for (index, route) in routes.iter().enumerate() {
        let Some(earlier) = routes.iter().take(index).position(|earlier| takes_all_of(earlier, route)) else {
            continue;
        };
        let message = format!("this route to `{}` never matches: an earlier one takes all its calls", route.set.name);
        let finding = checker
            .error("shadowed-route", &format!("route[{index}]"), message)
            .label("no call comes this far")
            .related(checker.marks.value(&format!("route[{earlier}]")), "takes them first")
            .remedy("put the narrower route first, or remove this one");
        checker.note(finding);
    }
}

/// Whether every call that `later` is for is one that `earlier` is for.
fn takes_all_of(earlier: &Route, later: &Route) -> bool {
    fn covers<T>(earlier: &[T], later: &[T], covers_one: impl Fn(&T, &T) -> bool) -> bool {
        earlier.is_empty()
            || (!later.is_empty() && later.iter().all(|narrow| earlier.iter().any(|wide| covers_one(wide, narrow))))
    }
    covers(&earlier.source, &later.source, |wide, narrow| wide == narrow)
        && covers(&earlier.listener, &later.listener, |wide, narrow| wide.index() == narrow.index())
        && covers(&earlier.domain, &later.domain, |wide, narrow| wide == narrow)
        && covers(&earlier.prefix, &later.prefix, |wide, narrow| narrow.as_str().starts_with(wide.as_str()))
}

/// `prefix = []` would be no condition at all: the opposite of what it looks like.
pub(super) fn empty_conditions(checker: &mut Checker<'_>) {
    for (index, route) in checker.config.routes.iter().enumerate() {
        let conditions = [
            ("source", route.source.is_empty()),
            ("listener", route.listener.is_empty()),
            ("domain", route.domain.is_empty()),
            ("prefix", route.prefix.is_empty()),
        ];
        for (key, empty) in conditions {
            let path = format!("route[{index}].{key}");
            if empty && checker.given(&path) {
                let finding = checker.error(
                    "empty-condition",
                    &path,
                    format!("`{key}` is empty: the route would be for every {key}"),
                );
                checker.note(finding.label("empty").remedy(format!("write what it is for, or remove `{key}`")));
            }
        }
    }
}
