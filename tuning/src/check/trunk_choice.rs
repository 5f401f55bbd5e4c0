//! Rules about pinned route lists, windows of vendors, emergency numbers and effective times of rates.

use super::{Checker, repeated};
use crate::config::LnpMethod;
use crate::read::suggestion;

/// Vendors of route lists belong to the plan; a prefix has one list.
pub(super) fn pins(checker: &mut Checker<'_>) {
    let config = checker.config;
    for (index, customer) in config.customers.iter().enumerate() {
        let known: Vec<&str> = config
            .vendors
            .iter()
            .filter(|vendor| vendor.plans.contains(&customer.plan))
            .map(|vendor| vendor.name.as_str())
            .collect();
        for (nth, pin) in customer.pins.iter().enumerate() {
            let path = format!("customer[{index}].pin[{nth}]");
            let what = format!("a vendor of the plan `{}`", customer.plan);
            vendors_by_name(checker, &format!("{path}.vendors"), &pin.vendors, &known, &what);
            if pin.prefixes.is_empty() {
                let finding = checker.error("empty-pin", &format!("{path}.prefixes"), "a route list for no number");
                checker.note(finding.label("empty").remedy("write prefixes such as [\"49\"]"));
            }
        }
        let lists = customer.pins.iter().enumerate();
        let prefixes: Vec<_> =
            lists.flat_map(|(nth, pin)| pin.prefixes.iter().map(move |prefix| (nth, prefix))).collect();
        for (_, again) in repeated(prefixes.iter().map(|(_, prefix)| prefix.as_str())) {
            let Some((nth, prefix)) = prefixes.get(again) else { continue };
            let message = format!("two route lists of `{}` are for {}", customer.name, prefix.as_str());
            let finding = checker.error("overlapping-pins", &format!("customer[{index}].pin[{nth}].prefixes"), message);
            checker.note(finding.label("again").remedy("write each prefix in one list"));
        }
    }
}

fn vendors_by_name(checker: &mut Checker<'_>, path: &str, names: &[String], known: &[&str], what: &str) {
    if names.is_empty() || names.len() > limits::PIN_VENDORS_MAX {
        let most = limits::PIN_VENDORS_MAX;
        let finding = checker.error("length-of-list", path, format!("a list of {} vendors", names.len()));
        checker.note(finding.label("too few or too many").remedy(format!("write 1 to {most} names of vendors")));
    }
    for (nth, name) in names.iter().enumerate().filter(|(_, name)| !known.contains(&name.as_str())) {
        let finding = checker.error("unknown-vendor", &format!("{path}[{nth}]"), format!("`{name}` is not {what}"));
        checker.note(match suggestion(name, known.iter().copied()) {
            Some(likely) => finding.label(format!("did you mean {likely:?}?")).remedy(format!("write {likely:?}")),
            None => finding.label("not known").remedy(format!("write the name of {what}")),
        });
    }
}

/// Each bound of a customer's destination is for some numbers, bounds something, and is the only one for its prefixes.
pub(super) fn destinations(checker: &mut Checker<'_>) {
    let config = checker.config;
    for (index, customer) in config.customers.iter().enumerate() {
        let all = &customer.destinations;
        let at = |nth: usize, key: &str| format!("customer[{index}].destination[{nth}].{key}");
        for (nth, one) in all.iter().enumerate() {
            if one.prefixes.is_empty() && one.deck_destinations.is_empty() {
                let message = format!("the destination `{}` of `{}` is no number's", one.name, customer.name);
                let finding = checker.error("empty-destination", &at(nth, "name"), message);
                checker.note(finding.label("of what?").remedy("write `prefixes` or `deck_destinations`"));
            }
            if one.cps.is_none() && one.concurrent.is_none() {
                let message = format!("the destination `{}` of `{}` has no bound", one.name, customer.name);
                let finding = checker.error("no-bound", &at(nth, "name"), message);
                checker.note(finding.label("bounds nothing").remedy("write `cps` or `concurrent`"));
            }
        }
        let (names, prefixes, decks): (Vec<_>, Vec<_>, Vec<_>) = (
            all.iter().enumerate().map(|(nth, one)| (nth, one.name.as_str())).collect(),
            every(all.iter().map(|one| one.prefixes.iter().map(crate::config::NumberPrefix::as_str))),
            every(all.iter().map(|one| one.deck_destinations.iter().map(String::as_str))),
        );
        for (key, texts) in [("name", names), ("prefixes", prefixes), ("deck_destinations", decks)] {
            for (_, again) in repeated(texts.iter().map(|(_, text)| *text)) {
                let Some((nth, text)) = texts.get(again) else { continue };
                let message = format!("two destinations of `{}` have the same {key}: {text}", customer.name);
                let finding = checker.error("overlapping-destinations", &at(*nth, key), message);
                checker.note(finding.label("again").remedy("write each name, prefix and destination once"));
            }
        }
    }
}

/// The texts of several lists, each with the number of its list.
fn every<'t>(lists: impl Iterator<Item = impl Iterator<Item = &'t str>>) -> Vec<(usize, &'t str)> {
    lists.enumerate().flat_map(|(nth, list)| list.map(move |text| (nth, text))).collect()
}

/// Running calls are ended for a balance, which only a customer with credit has.
pub(super) fn end_of_calls(checker: &mut Checker<'_>) {
    for (index, customer) in checker.config.customers.iter().enumerate() {
        if customer.end_calls && !customer.credit {
            let message = format!("`end_calls` of `{}` does nothing: it has no balance", customer.name);
            let finding = checker.error("ignored-end-calls", &format!("customer[{index}].end_calls"), message);
            checker.note(finding.label("without credit").remedy("add `credit = true`, or remove it"));
        }
    }
}

/// A window that never opens.
pub(super) fn windows(checker: &mut Checker<'_>) {
    for (index, vendor) in checker.config.vendors.iter().enumerate() {
        for (nth, window) in vendor.windows.iter().enumerate().filter(|(_, window)| window.from == window.to) {
            let message = format!("a window of `{}` ends when it begins, at {}", vendor.name, window.from);
            let finding = checker.error("empty-window", &format!("vendor[{index}].window[{nth}].to"), message);
            checker.note(finding.label("never open").remedy("leave `from` and `to` out for whole days"));
        }
    }
}

/// Emergency numbers need vendors, which belong to no plan necessarily.
pub(super) fn emergency(checker: &mut Checker<'_>) {
    let config = checker.config;
    let emergency = &config.class4.emergency;
    if emergency.numbers.is_empty() && emergency.vendors.is_empty() {
        return;
    }
    let known: Vec<&str> = config.vendors.iter().map(|vendor| vendor.name.as_str()).collect();
    vendors_by_name(checker, "class4.emergency.vendors", &emergency.vendors, &known, "a vendor of the file");
    if emergency.numbers.is_empty() {
        let finding = checker.error("no-emergency-numbers", "class4.emergency.numbers", "vendors for no number");
        checker.note(finding.label("empty").remedy("write the numbers, such as [\"112\"]"));
    }
}

/// A redirect server has to be somewhere.
pub(super) fn lnp_servers(checker: &mut Checker<'_>) {
    let lnp = checker.config.class4.lnp.on();
    if lnp.is_some_and(|lnp| lnp.method == LnpMethod::Redirect && lnp.servers.is_empty()) {
        let finding = checker.error("no-lnp-servers", "class4.lnp.servers", "nobody is asked for ported numbers");
        checker.note(finding.label("empty").remedy("write the redirect servers, such as [\"192.0.2.1:5060\"]"));
    }
}

/// Two rates for one pair from one time on.
pub(super) fn rates_of_one_time(checker: &mut Checker<'_>) {
    let exchanges = &checker.config.exchanges;
    let keys = exchanges.iter().map(|one| (one.from.as_str(), one.to.as_str(), one.effective));
    for (earlier, index) in repeated(keys) {
        let Some(exchange) = exchanges.get(index) else { continue };
        let (from, to) = (exchange.from.as_str(), exchange.to.as_str());
        let since = exchange.effective.map_or("ever".to_owned(), |at| at.to_string());
        let finding = checker
            .error(
                "two-exchange-rates",
                &format!("exchange[{index}].rate"),
                format!("two rates of {from} in {to} since {since}"),
            )
            .label("again")
            .related(checker.marks.value(&format!("exchange[{earlier}].rate")), "first here")
            .remedy("keep one, or say by `effective` from when on each holds");
        checker.note(finding);
    }
}
