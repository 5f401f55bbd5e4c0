//! Plans as `[[customer]]`, `[[vendor]]` and `[[deck]]`.

use super::{IMAGE, Making};
use crate::output::Names;
use crate::routing::{Plan, Routing, deck};
use crate::senders::{Group, Sender};
use std::collections::BTreeMap;

/// Currency of ranks: ISO 4217 has it for "no currency".
const NO_CURRENCY: &str = "XXX";

/// Most attempts of a call.
const ATTEMPTS_MAX: usize = 16;

impl Making<'_> {
    pub(super) fn class4(&mut self, routing: &Routing, groups: &[Group]) -> Result<(), String> {
        if routing.plans.is_empty() {
            return Ok(());
        }
        let vendors = deck::vendors(routing, &mut self.report);
        let plans: Vec<&Plan> =
            routing.plans.iter().filter(|plan| vendors.iter().any(|vendor| vendor.plan == plan.name)).collect();
        let Some(first) = plans.first() else {
            return Err("no prefix has a gateway that could be one here: the report says why".into());
        };
        self.report.otherwise(
            "prices",
            "Kamailio knows none: the order of gateways stands in the decks as prices of the currency XXX, the lowest first; with your vendors' decks in their place it is by price",
        );
        self.document.section("[rating]");
        self.document.string("currency", NO_CURRENCY);
        self.document.string("image", &format!("{}/{IMAGE}", self.given.folder));
        let longest =
            plans.iter().flat_map(|plan| plan.rules.keys().map(|prefix| plan.resolve(prefix).len())).max().unwrap_or(1);
        self.document.section("[class4]");
        self.document.number("attempts_max", i64::try_from(longest.clamp(1, ATTEMPTS_MAX)).unwrap_or(5));
        if longest > ATTEMPTS_MAX {
            self.report.otherwise(
                "class4",
                format!("lists have up to {longest} gateways; a call tries {ATTEMPTS_MAX} at most here"),
            );
        }
        self.deck("sell", deck::sell_deck());
        let mut sets: BTreeMap<usize, String> = BTreeMap::new();
        for vendor in vendors {
            let set = match sets.get(&vendor.gateway) {
                Some(set) => set.clone(),
                None => {
                    let set = self.set_of(routing, vendor.gateway);
                    sets.insert(vendor.gateway, set.clone());
                    set
                }
            };
            self.deck(&vendor.name, vendor.deck.clone());
            self.document.section("[[vendor]]");
            self.document.string("name", &vendor.name);
            self.document.string("set", &set);
            self.document.strings("plans", [vendor.plan.as_str()]);
            self.document.string("deck", &vendor.name);
            if vendor.weight != 1 {
                self.document.number("weight", i64::from(vendor.weight));
            }
            if vendor.strip > 0 {
                self.document.number("strip", i64::from(vendor.strip));
            }
            if !vendor.add.is_empty() {
                self.document.string("add", &vendor.add);
            }
            if vendor.plus {
                self.document.key("plus", &true.into());
            }
        }
        let first = first.name.clone();
        let names: Vec<String> = plans.iter().map(|plan| plan.name.clone()).collect();
        self.customers(groups, &first, &names);
        Ok(())
    }

    fn deck(&mut self, name: &str, text: String) {
        let file = format!("{name}.csv");
        self.document.section("[[deck]]");
        self.document.string("name", name);
        self.document.string("file", &format!("{}/decks/{file}", self.given.folder));
        self.document.string("currency", NO_CURRENCY);
        self.decks.push((file, text));
    }

    fn set_of(&mut self, routing: &Routing, gateway: usize) -> String {
        let Some(gateway) = routing.gateways.get(gateway) else { return String::new() };
        let set = self.sets.give(&gateway.name);
        let host = gateway.uri.trim_start_matches("sip:");
        let name = self.gateways.give_as_it_is(host.to_owned());
        self.document.section("[[set]]");
        self.document.string("name", &set);
        let mut keys = vec![("uri", gateway.uri.clone().into())];
        if name != host {
            keys.push(("name", name.into()));
        }
        self.document.lines("gateways", &[crate::output::inline(&keys)]);
        set
    }

    fn customers(&mut self, groups: &[Group], first: &str, plans: &[String]) {
        let mut names = Names::default();
        let everybody = Group { tag: Some("everybody".to_owned()), ..Group::default() };
        let given: Vec<String> = self.given.sources.to_vec();
        let mut all: Vec<(&Group, Vec<String>)> =
            groups.iter().map(|group| (group, group.senders.iter().map(Sender::trunk).collect())).collect();
        if !given.is_empty() {
            all.push((&everybody, given));
        }
        for (group, sources) in all {
            let of_number = group.number.and_then(|number| {
                plans.iter().find(|plan| **plan == format!("dr-{number}") || **plan == format!("lcr-{number}"))
            });
            let plan = of_number.map_or(first, String::as_str);
            let name = names.give(&group.name());
            if plans.len() > 1 {
                self.report.otherwise(
                    name.as_str(),
                    format!(
                        "the script decided by which of {} its calls go; `{plan}` stands in the file",
                        plans.join(", ")
                    ),
                );
            }
            self.document.section("[[customer]]");
            self.document.string("name", &name);
            self.document.strings("sources", sources.iter().map(String::as_str));
            self.document.string("plan", plan);
            self.document.string("deck", "sell");
            self.report.taken(name, format!("a customer with {} sources", sources.len()));
        }
    }
}
