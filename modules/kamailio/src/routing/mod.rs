//! `lcr`, `drouting` and `carrierroute` as one thing: prefixes, and behind each its gateways in their order.
//!
//! None of the three knows a price. What puts one gateway before another there becomes a rank, ranks become prices of
//! the currency XXX ("no currency"), and Tandem's order by price is Kamailio's order.

pub mod carrierroute;
pub mod deck;
pub mod drouting;
pub mod lcr;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

/// A gateway of one of the three modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Its name.
    pub name: String,
    /// Its URI.
    pub uri: String,
    /// Characters taken off the number.
    pub strip: u32,
    /// What is put before the rest.
    pub prefix: String,
}

/// A gateway behind a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its place in [`Routing::gateways`].
    pub gateway: usize,
    /// The lowest comes first.
    pub rank: u32,
    /// Its share among those of one rank.
    pub weight: u32,
}

/// What stands behind a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its gateways.
    pub targets: Vec<Target>,
    /// Shorter prefixes are not looked at.
    pub stops: bool,
}

/// Prefixes that belong together: an instance of `lcr`, a group of `drouting`, a carrier's domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// By prefix, without `+`.
    pub rules: BTreeMap<String, Rule>,
    /// Its prefixes were written with `+`, and so were the numbers that met them.
    pub plus: bool,
}

/// All of one Kamailio.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// The gateways.
    pub gateways: Vec<Gateway>,
    /// The plans.
    pub plans: Vec<Plan>,
}

/// Longest prefix of a deck.
const PREFIX_DIGITS_MAX: usize = 15;

impl Routing {
    /// Takes in another module's.
    pub fn join(&mut self, other: Routing) {
        let first = self.gateways.len();
        self.gateways.extend(other.gateways);
        self.plans.extend(other.plans.into_iter().map(|mut plan| {
            let targets = plan.rules.values_mut().flat_map(|rule| &mut rule.targets);
            targets.for_each(|target| target.gateway += first);
            plan
        }));
    }
}

impl Plan {
    /// Gateways of a number whose longest prefix of the plan is this one, each once, in their order.
    pub fn resolve(&self, prefix: &str) -> Vec<Target> {
        let mut found = Vec::new();
        for length in (0..=prefix.len()).rev() {
            let Some(rule) = prefix.get(..length).and_then(|prefix| self.rules.get(prefix)) else { continue };
            found.extend_from_slice(&rule.targets);
            if rule.stops {
                break;
            }
        }
        found.sort_by_key(|target| target.rank);
        let mut seen = BTreeSet::new();
        found.retain(|target| seen.insert(target.gateway));
        found
    }

    /// The longest shorter prefix of the plan.
    pub fn parent<'p>(&self, prefix: &'p str) -> Option<&'p str> {
        (0..prefix.len())
            .rev()
            .filter_map(|length| prefix.get(..length))
            .find(|shorter| self.rules.contains_key(*shorter))
    }
}

/// A prefix as decks write it, and whether it had a `+`; why not, if it cannot be one.
pub(crate) fn digits(prefix: &str) -> Result<(String, bool), String> {
    let (plus, digits) = match prefix.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, prefix),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("the prefix `{prefix}` has what is no digit: decks have digits alone"));
    }
    if digits.len() > PREFIX_DIGITS_MAX {
        return Err(format!("the prefix `{prefix}` is longer than {PREFIX_DIGITS_MAX} digits"));
    }
    Ok((digits.to_owned(), plus))
}
