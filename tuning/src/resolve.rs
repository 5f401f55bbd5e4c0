//! Makes a configuration complete: derived defaults are filled in, names become indices.
//!
//! Called once after reading, before [`crate::check`]; and again when a reload keeps parts of the
//! old configuration, because indices move.

use crate::config::{Config, Limits, Probe, Route, SourceGroup, Strangers, Timers};
use crate::diagnostic::Finding;
use crate::environment::Environment;
use crate::read::{Host, Marks, Network, OffOr, suggestion};
use std::collections::HashMap;
use std::time::Duration;

/// Everything that does not need names: gateway names, timers that follow T1, paths, sources.
pub(crate) fn fill_in(config: &mut Config, marks: &mut Marks, environment: &Environment) {
    for domain in &mut config.domains {
        domain.realm.get_or_insert_with(|| domain.name.to_string());
    }
    for listener in &mut config.listen.udp {
        if listener.name.is_empty() {
            listener.name = listener.address.to_string();
        }
    }
    for gateway in config.sets.iter_mut().flat_map(|set| &mut set.gateways) {
        if gateway.name.is_empty() {
            let target = &gateway.uri.0;
            gateway.name = target.address().map_or_else(|| target.to_string(), |address| address.to_string());
        }
    }
    default_sources(config, marks);
    if !config.customers.is_empty() && !marks.given("policy.strangers") {
        config.policy.strangers = Strangers::Forbid;
    }
    for burst in config.customers.iter_mut().map(|customer| (customer.cps, &mut customer.burst)) {
        derive_burst(burst);
    }
    let destinations = config.customers.iter_mut().flat_map(|customer| &mut customer.destinations);
    for burst in destinations.map(|destination| (destination.cps, &mut destination.burst)) {
        derive_burst(burst);
    }
    for burst in config.vendors.iter_mut().map(|vendor| (vendor.cps, &mut vendor.burst)) {
        derive_burst(burst);
    }
    // WHY not then: customers' calls go where their plan says, and nobody else's may go to a vendor.
    if config.routes.is_empty()
        && config.customers.is_empty()
        && let [only] = config.sets.as_slice()
    {
        config.routes.push(Route::everything_to(&only.name));
    }
    derive_timers(&mut config.timers, marks);
    derive_pools(&mut config.limits, marks);
    if config.control.socket.as_os_str().is_empty() {
        config.control.socket = environment.runtime_dir.join("control.sock");
    }
    if config.state.dir.as_os_str().is_empty() {
        config.state.dir = environment.state_dir.clone();
    }
    if let OffOr::On(records) = &mut config.records
        && records.dir.as_os_str().is_empty()
    {
        records.dir = config.state.dir.join("records");
    }
    if config.keys.dir.as_os_str().is_empty() {
        config.keys.dir = config.state.dir.join("keys");
    }
}

fn derive_burst((cps, burst): (Option<u32>, &mut Option<u32>)) {
    *burst = burst.or_else(|| cps.map(|cps| (cps / 10).max(2)));
}

/// The top-level `sources` becomes a group like any other too, at the end of the list.
fn default_sources(config: &mut Config, marks: &mut Marks) {
    let listeners = &config.listen.udp;
    let loopback_only = listeners.iter().all(|listener| listener.address.ip().is_loopback());
    if loopback_only && !marks.given("sources") && config.source_groups.is_empty() && config.customers.is_empty() {
        config.sources = loopback_networks();
    }
    if !config.sources.is_empty() {
        let group = format!("source[{}]", config.source_groups.len());
        marks.alias(&format!("{group}.prefixes"), "sources");
        marks.alias(&group, "sources");
        config
            .source_groups
            .push(SourceGroup { name: SourceGroup::DEFAULT_NAME.to_owned(), prefixes: config.sources.clone() });
    }
}

fn loopback_networks() -> Vec<Network> {
    ["127.0.0.0/8", "::1/128"].iter().filter_map(|prefix| prefix.parse().ok()).map(Network::Prefix).collect()
}

fn derive_timers(timers: &mut Timers, marks: &Marks) {
    let follows_t1 = timers.t1.saturating_mul(64);
    let derive = |path: &str, timer: &mut Duration, value: Duration| {
        if !marks.given(path) {
            *timer = value;
        }
    };
    derive("timers.timer_b", &mut timers.timer_b, follows_t1);
    derive("timers.timer_d", &mut timers.timer_d, follows_t1.max(Duration::from_secs(32)));
    derive("timers.timer_f", &mut timers.timer_f, follows_t1);
    derive("timers.timer_h", &mut timers.timer_h, follows_t1);
    derive("timers.timer_j", &mut timers.timer_j, follows_t1);
    derive("timers.timer_l", &mut timers.timer_l, follows_t1);
    derive("timers.timer_m", &mut timers.timer_m, follows_t1);
}

fn derive_pools(limits: &mut Limits, marks: &Marks) {
    let transactions = limits.transactions_per_shard;
    let derive = |path: &str, pool: &mut u32, value: u32| {
        if !marks.given(path) {
            *pool = value;
        }
    };
    derive("limits.open_requests_per_shard", &mut limits.open_requests_per_shard, (transactions / 4).max(64));
    derive("limits.branches_per_shard", &mut limits.branches_per_shard, transactions);
    derive("limits.timers_per_shard", &mut limits.timers_per_shard, transactions.saturating_mul(3));
}

/// Gives every reference its index; each name that nothing has becomes a finding.
pub(crate) fn resolve(config: &mut Config, marks: &Marks) -> Vec<Finding> {
    let listeners = config.listen.udp.iter().enumerate();
    let by_name = listeners.clone().map(|(index, listener)| (listener.name.clone(), index));
    let by_address = listeners.map(|(index, listener)| (listener.address.to_string(), index));
    let listeners = Names::new("listener", by_address.chain(by_name));
    let sets = config.sets.iter().enumerate().rev();
    let sets = Names::new("set", sets.map(|(index, set)| (set.name.clone(), index)));
    let groups = config.source_groups.iter().enumerate().rev();
    let sources = Names::new("source group", groups.map(|(index, group)| (group.name.clone(), index)));
    let decks = config.decks.iter().enumerate().rev();
    let decks = Names::new("deck", decks.map(|(index, deck)| (deck.name.clone(), index)));
    let mut findings = Vec::new();
    let mut note = |finding: Option<Finding>| findings.extend(finding);

    for (index, set) in config.sets.iter_mut().enumerate() {
        let path = format!("set[{index}]");
        if let Some(overflow) = &mut set.overflow {
            note(sets.find(marks, &format!("{path}.overflow"), &overflow.name, &mut overflow.index));
        }
        if let Some(listener) = &mut set.listener {
            note(listeners.find(marks, &format!("{path}.listener"), &listener.name, &mut listener.index));
        }
        if let OffOr::On(Probe { listener: Some(listener), .. }) = &mut set.probe {
            // WHY: what a set inherits from the top level is reported there, once.
            let own = format!("{path}.probe.listener");
            let at = if marks.given(&own) { own.as_str() } else { "probe.listener" };
            note(listeners.find(marks, at, &listener.name, &mut listener.index));
        }
    }
    for (index, domain) in config.domains.iter_mut().enumerate() {
        if let Some(media) = &mut domain.media {
            note(sets.find(marks, &format!("domain[{index}].media"), &media.name, &mut media.index));
        }
        if let Some(registrar) = &mut domain.registrar {
            note(sets.find(marks, &format!("domain[{index}].registrar"), &registrar.name, &mut registrar.index));
        }
        for (row, proof) in domain.proof.iter_mut().enumerate() {
            for (nth, source) in proof.source.iter_mut().enumerate() {
                let at = one_of(marks, format!("domain[{index}].proof[{row}].source"), nth);
                note(sources.find(marks, &at, &source.name, &mut source.index));
            }
        }
    }
    if let OffOr::On(Probe { listener: Some(listener), .. }) = &mut config.probe {
        note(listeners.find(marks, "probe.listener", &listener.name, &mut listener.index));
    }
    for (index, customer) in config.customers.iter_mut().enumerate() {
        let deck = &mut customer.deck;
        note(decks.find(marks, &format!("customer[{index}].deck"), &deck.name, &mut deck.index));
    }
    for (index, vendor) in config.vendors.iter_mut().enumerate() {
        let (set, deck) = (&mut vendor.set, &mut vendor.deck);
        note(sets.find(marks, &format!("vendor[{index}].set"), &set.name, &mut set.index));
        note(decks.find(marks, &format!("vendor[{index}].deck"), &deck.name, &mut deck.index));
    }
    for (index, route) in config.routes.iter_mut().enumerate() {
        let path = format!("route[{index}]");
        note(sets.find(marks, &format!("{path}.set"), &route.set.name, &mut route.set.index));
        for (nth, source) in route.source.iter_mut().enumerate() {
            let at = one_of(marks, format!("{path}.source"), nth);
            note(sources.find(marks, &at, &source.name, &mut source.index));
        }
        for (nth, listener) in route.listener.iter_mut().enumerate() {
            let at = one_of(marks, format!("{path}.listener"), nth);
            note(listeners.find(marks, &at, &listener.name, &mut listener.index));
        }
    }
    findings
}

/// The path of the nth value of a key that takes one or many.
fn one_of(marks: &Marks, path: String, nth: usize) -> String {
    let entry = format!("{path}[{nth}]");
    if marks.given(&entry) { entry } else { path }
}

/// Everything of one kind that can be named.
struct Names {
    what: &'static str,
    index: HashMap<String, usize>,
}

impl Names {
    /// Of entries with the same name the last counts.
    fn new(what: &'static str, names: impl Iterator<Item = (String, usize)>) -> Self {
        Names { what, index: names.collect() }
    }

    fn find(&self, marks: &Marks, path: &str, name: &str, index: &mut usize) -> Option<Finding> {
        if let Some(found) = self.index.get(name) {
            *index = *found;
            return None;
        }
        let what = self.what;
        let mut known: Vec<&str> = self.index.keys().map(String::as_str).collect();
        known.sort_unstable();
        let finding = Finding::error("unknown-name", marks.value(path), format!("there is no {what} `{name}`"));
        if let Some(likely) = suggestion(name, known.iter().copied()) {
            return Some(finding.label(format!("did you mean {likely:?}?")).remedy(format!("write {likely:?}")));
        }
        let shown: Vec<_> = known.iter().take(NAMES_SHOWN_MAX).map(|name| format!("{name:?}")).collect();
        let declare = format!("declare the {what} `{name}`");
        let remedy =
            if shown.is_empty() { declare } else { format!("write one of {}, or {declare}", shown.join(", ")) };
        Some(finding.label("not declared").remedy(remedy))
    }
}

/// Most names that a message lists.
const NAMES_SHOWN_MAX: usize = 8;

/// Whether `host` is one of the names that mean this proxy.
pub(crate) fn names_us(config: &Config, host: &Host) -> bool {
    let advertised = config.listen.udp.iter().filter_map(|listener| listener.advertise.as_ref());
    config.host_names.contains(host) || advertised.into_iter().any(|advertised| advertised.host == *host)
}
