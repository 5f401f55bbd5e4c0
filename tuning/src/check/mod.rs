//! What operators get wrong beyond syntax: every rule that a configuration must meet to make sense.
//!
//! Rules stand by subject, one function each; [`check`] is the list of all. Names are resolved and
//! defaults filled in before. Rules about the host ask the [`Environment`], never the host itself.

mod class4;
mod decks;
mod domains;
mod driver;
mod failover;
mod gateways;
mod host;
mod listeners;
mod process;
mod records;
mod routes;
mod sets;
mod sources;
mod stateless;
mod timers;
mod trunk_choice;
mod trunk_headers;

use crate::config::Config;
use crate::diagnostic::Finding;
use crate::environment::Environment;
use crate::read::Marks;
use std::collections::HashMap;
use std::hash::Hash;

/// Every rule, by subject.
const RULES: &[fn(&mut Checker<'_>)] = &[
    listeners::some_listener,
    listeners::duplicate_listeners,
    listeners::bindable_ports,
    sources::open_listeners,
    sources::empty_groups,
    sources::duplicate_groups,
    sources::duplicate_prefixes,
    sets::some_set,
    sets::duplicate_sets,
    sets::empty_sets,
    sets::ignored_weights,
    sets::partial_weights,
    sets::zero_weights,
    sets::ignored_priorities,
    sets::bounded_without_hash,
    sets::compat_without_effect,
    sets::variables_without_hash,
    sets::parallel_branches,
    sets::counts,
    sets::overflow_cycles,
    sets::probing_off,
    stateless::stateless_sets,
    gateways::ourselves,
    gateways::no_destination,
    gateways::duplicate_gateways,
    gateways::duplicate_names,
    gateways::reachable_families,
    gateways::loopback_senders,
    gateways::name_servers,
    gateways::probe_conflicts,
    failover::nowhere_to_go,
    failover::codes_nobody_sends,
    failover::silence,
    routes::no_routes,
    routes::unreached_sets,
    routes::shadowed_routes,
    routes::empty_conditions,
    timers::transaction_timers,
    timers::given_up_attempts,
    timers::probes,
    timers::overload_waits,
    timers::dns,
    host::cores,
    host::shard_count,
    host::memory,
    host::memory_of_bindings,
    host::open_files,
    host::pool_order,
    host::ring_sizes,
    driver::interfaces,
    driver::known_interfaces,
    process::group_access,
    process::key_files,
    domains::duplicate_domains,
    domains::open_domains,
    domains::stateless_media,
    domains::way_between_phones,
    domains::keep_alive_rate,
    domains::one_source_of_accounts,
    domains::expiry_order,
    domains::accounts,
    domains::proof_rows,
    records::nobody_recorded,
    records::name_of_the_table,
    records::secret_of_radius,
    class4::duplicate_trunks,
    class4::known_plans,
    class4::without_sources,
    class4::overlapping_sources,
    class4::somebody_else,
    class4::vendors_sets,
    class4::size_of_plans,
    class4::an_image,
    trunk_headers::header_rules,
    trunk_choice::pins,
    trunk_choice::destinations,
    trunk_choice::end_of_calls,
    trunk_choice::windows,
    trunk_choice::emergency,
    trunk_choice::lnp_servers,
    trunk_choice::rates_of_one_time,
    decks::duplicate_decks,
    decks::convertible_currencies,
    decks::deck_files,
];

/// Every finding about a configuration that could be read.
pub(crate) fn check(config: &Config, marks: &Marks, environment: &Environment) -> Vec<Finding> {
    let mut checker = Checker { config, marks, environment, findings: Vec::new() };
    for rule in RULES {
        rule(&mut checker);
    }
    checker.findings
}

/// What rules see, and where they put what they find.
pub(crate) struct Checker<'c> {
    config: &'c Config,
    marks: &'c Marks,
    environment: &'c Environment,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    /// An error at the value of `path`; not yet noted.
    fn error(&self, rule: &'static str, path: &str, message: impl Into<String>) -> Finding {
        Finding::error(rule, self.marks.value(path), message)
    }

    /// A warning at the value of `path`; not yet noted.
    fn warning(&self, rule: &'static str, path: &str, message: impl Into<String>) -> Finding {
        Finding::warning(rule, self.marks.value(path), message)
    }

    /// The place of a value that the file gives itself: for pointing at what a finding relates to.
    fn given_place(&self, path: &str) -> Option<std::ops::Range<usize>> {
        self.marks.value(path).filter(|_| self.given(path))
    }

    fn note(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The file gives the value at `path` itself.
    fn given(&self, path: &str) -> bool {
        self.marks.given(path)
    }
}

/// For each entry that equals an earlier one: (index of the earlier one, own index).
fn repeated<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> Vec<(usize, usize)> {
    let mut first = HashMap::new();
    let mut repeats = Vec::new();
    for (index, key) in keys.enumerate() {
        match first.get(&key) {
            Some(&earlier) => repeats.push((earlier, index)),
            None => {
                first.insert(key, index);
            }
        }
    }
    repeats
}
