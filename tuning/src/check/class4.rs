//! Rules about customers, vendors and their plans.

use super::{Checker, repeated};
use crate::config::RequestUri;
use crate::read::suggestion;
use std::collections::{BTreeMap, BTreeSet};

/// Two trunks of one name.
pub(super) fn duplicate_trunks(checker: &mut Checker<'_>) {
    let config = checker.config;
    let customers: Vec<&str> = config.customers.iter().map(|customer| customer.name.as_str()).collect();
    let vendors: Vec<&str> = config.vendors.iter().map(|vendor| vendor.name.as_str()).collect();
    for (table, names) in [("customer", customers), ("vendor", vendors)] {
        for (earlier, index) in repeated(names.iter()) {
            let name = names.get(index).copied().unwrap_or_default();
            let message = format!("two {table}s are named `{name}`");
            let finding = checker
                .error("duplicate-name", &format!("{table}[{index}].name"), message)
                .label("again")
                .related(checker.marks.value(&format!("{table}[{earlier}].name")), "first here")
                .remedy(format!("give each {table} a name of its own"));
            checker.note(finding);
        }
    }
}

/// A plan that no vendor lists is no way for any call.
pub(super) fn known_plans(checker: &mut Checker<'_>) {
    let config = checker.config;
    let plans: BTreeSet<&str> = config.vendors.iter().flat_map(|vendor| &vendor.plans).map(String::as_str).collect();
    for (index, customer) in config.customers.iter().enumerate() {
        if plans.contains(customer.plan.as_str()) {
            continue;
        }
        let (plan, path) = (&customer.plan, format!("customer[{index}].plan"));
        let finding = checker.error("unknown-plan", &path, format!("no vendor belongs to the plan `{plan}`"));
        checker.note(match suggestion(plan, plans.iter().copied()) {
            Some(likely) => finding.label(format!("did you mean {likely:?}?")).remedy(format!("write {likely:?}")),
            None => finding.label("has no vendors").remedy(format!("add {plan:?} to `plans` of some [[vendor]]")),
        });
    }
    for (index, vendor) in config.vendors.iter().enumerate() {
        if vendor.plans.is_empty() {
            let message = format!("the vendor `{}` belongs to no plan: it gets no calls", vendor.name);
            let finding = checker.error("empty-plans", &format!("vendor[{index}].plans"), message);
            checker.note(finding.label("empty").remedy("write the plans of the customers that may use it"));
        }
    }
}

pub(super) fn without_sources(checker: &mut Checker<'_>) {
    for (index, customer) in checker.config.customers.iter().enumerate() {
        if customer.sources.is_empty() {
            let message = format!("the customer `{}` can send from nowhere", customer.name);
            let finding = checker.error("empty-sources", &format!("customer[{index}].sources"), message);
            checker.note(finding.label("empty").remedy("write its addresses, such as [\"192.0.2.0/28\"]"));
        }
    }
}

/// One source and tech prefix of two customers: whom a call is charged to would be chance.
pub(super) fn overlapping_sources(checker: &mut Checker<'_>) {
    let customers = checker.config.customers.iter().enumerate();
    let all: Vec<_> = customers
        .flat_map(|(index, customer)| {
            let tech = customer.tech_prefix.as_ref();
            customer.sources.iter().enumerate().map(move |(nth, source)| (index, nth, (*source, tech)))
        })
        .collect();
    for (earlier, again) in repeated(all.iter().map(|(_, _, key)| *key)) {
        let (Some((first, first_nth, _)), Some((index, nth, (source, tech)))) = (all.get(earlier), all.get(again))
        else {
            continue;
        };
        let with = tech.map_or(String::new(), |tech| format!(" with tech prefix {}", tech.as_str()));
        let message = format!("calls from {source}{with} belong to two customers, or to one twice");
        let finding = checker
            .error("overlapping-sources", &format!("customer[{index}].sources[{nth}]"), message)
            .label("again")
            .related(checker.marks.value(&format!("customer[{first}].sources[{first_nth}]")), "first here")
            .remedy("tell them apart by prefix, port or tech_prefix");
        checker.note(finding);
    }
}

/// A customer all of whose vendors are its own carrier.
pub(super) fn somebody_else(checker: &mut Checker<'_>) {
    let config = checker.config;
    for (index, customer) in config.customers.iter().enumerate() {
        let mut vendors = config.vendors.iter().filter(|vendor| vendor.plans.contains(&customer.plan)).peekable();
        if vendors.peek().is_none() || vendors.any(|vendor| vendor.carrier() != customer.carrier()) {
            continue;
        }
        let message = format!("every vendor of the plan `{}` is `{}` itself", customer.plan, customer.carrier());
        let finding = checker.error("only-itself", &format!("customer[{index}].plan"), message);
        checker.note(finding.label("no call would have a way").remedy("add a vendor of another carrier to the plan"));
    }
}

/// What a vendor's set has to do: keep state, so that the next vendor's turn can come, and write numbers.
pub(super) fn vendors_sets(checker: &mut Checker<'_>) {
    let config = checker.config;
    for (index, vendor) in config.vendors.iter().enumerate() {
        let Some(set) = config.sets.get(vendor.set.index()) else { continue };
        let (why, remedy) = match (set.stateless, set.request_uri) {
            (true, _) => ("is stateless: no vendor after it would be tried", "remove `stateless` from the set"),
            (_, RequestUri::Keep) => (
                "keeps the Request-URI: the number would leave as the customer wrote it",
                "remove `request_uri` from the set",
            ),
            _ => continue,
        };
        let message = format!("the set `{}` of the vendor `{}` {why}", set.name, vendor.name);
        let finding = checker.error("vendor-set", &format!("vendor[{index}].set"), message);
        checker.note(finding.remedy(remedy));
    }
}

pub(super) fn size_of_plans(checker: &mut Checker<'_>) {
    let config = checker.config;
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, vendor) in config.vendors.iter().enumerate() {
        for plan in vendor.plans.iter().collect::<BTreeSet<_>>() {
            let size = sizes.entry(plan).or_default();
            *size += 1;
            if *size == limits::PLAN_VENDORS_MAX + 1 {
                let most = limits::PLAN_VENDORS_MAX;
                let message = format!("the plan `{plan}` has more than {most} vendors");
                let finding = checker.error("too-many-vendors", &format!("vendor[{index}].plans"), message);
                checker.note(finding.label("one too many").remedy("make a plan of its own for some of them"));
            }
        }
    }
}

/// Calls are priced by the compiled image.
pub(super) fn an_image(checker: &mut Checker<'_>) {
    let config = checker.config;
    if !config.customers.is_empty() && config.rating.image.is_none() {
        let message = "customers' calls are priced, and there is no image of the decks";
        let finding = checker.error("no-deck-image", "customer[0].deck", message);
        let remedy = "add [rating] with image = \"decks.image\", and make it by `tandem deck build --config FILE`";
        checker.note(finding.label("by what?").remedy(remedy));
    }
}
