//! Compiles the configuration into [`Tables`].

use super::numbering::{Full, Number};
use super::{Address, Domains, Gateway, Numbers, Own, Route, Set, Tables, canonical, listener_towards};
use crate::authentication::realms::Realms;
use crate::class4::{DeckImage, Trunks};
use crate::dispatcher::rules::{BreakerRules, ProbeRules, Rules};
use crate::sources::{Prefix, Sources};
use algorithms::mix;
use proto::time::Micros;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tuning::{Config, HostPort, LastUnavailable, RequestUri};

/// All that tables are made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'i> {
    /// The configuration, checked.
    pub config: &'i Config,
    /// Addresses of the gateways by name, best first; the last good answer when there is no new one.
    pub addresses: &'i HashMap<HostPort, Vec<NamedAddress>>,
    /// What operators said, by gateway name.
    pub marks: &'i BTreeMap<String, Mark>,
    /// Addresses of this host: what wildcard listeners stand for.
    pub local_addresses: &'i [IpAddr],
    /// The decks by which customers' calls are priced; needed only with customers.
    pub decks: Option<&'i Arc<DeckImage>>,
}

/// One address of a gateway by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedAddress {
    /// Where it is.
    pub address: SocketAddr,
    /// Its part of the gateway's calls, against the other addresses of the name (RFC 2782: the weight among
    /// those of the best priority). 0: only when the others failed.
    pub share: u32,
}

impl From<SocketAddr> for NamedAddress {
    /// An address among equals.
    fn from(address: SocketAddr) -> Self {
        NamedAddress { address, share: 1 }
    }
}

/// An operator's word about a gateway. Who and why is kept by whoever keeps the marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// No calls.
    Disabled,
    /// No new calls.
    Draining,
}

/// Why no tables could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TablesError {
    /// More gateway addresses than [`limits::GATEWAYS_MAX`].
    TooManyGateways,
    /// More sets than [`limits::SETS_MAX`].
    TooManySets,
    /// A set with more gateway addresses than [`limits::SET_GATEWAYS_MAX`].
    SetTooLarge,
    /// More customers or vendors than [`limits::TRUNKS_MAX`].
    TooManyTrunks,
    /// There are customers, but no image that has all their decks and their vendors'.
    NoDecks,
    /// An index of the configuration names nothing: it was not checked.
    Unchecked,
}

impl std::fmt::Display for TablesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TablesError::TooManyGateways => {
                write!(f, "more than {} gateway addresses", limits::GATEWAYS_MAX)
            }
            TablesError::TooManySets => write!(f, "more than {} sets", limits::SETS_MAX),
            TablesError::SetTooLarge => {
                write!(f, "a set with more than {} gateway addresses", limits::SET_GATEWAYS_MAX)
            }
            TablesError::TooManyTrunks => write!(f, "more than {} customers or vendors", limits::TRUNKS_MAX),
            TablesError::NoDecks => {
                f.write_str("the image of the decks lacks one that a customer or vendor has: run `tandem deck build`")
            }
            TablesError::Unchecked => f.write_str("the configuration was not checked"),
        }
    }
}

impl std::error::Error for TablesError {}

/// Weights of a set with gateways of several addresses are scaled by this, so that the addresses of one
/// gateway can divide its share: exact for up to six equal addresses, and for shares in percent.
const WEIGHT_SCALE: u32 = 600;

fn keep_alive(config: &tuning::Config) -> Option<crate::phones::keep_alive::Rules> {
    let rules = config.registrar.keep_alive.on().filter(|_| !config.domains.is_empty())?;
    Some(crate::phones::keep_alive::Rules {
        crlf: rules.send == tuning::KeepAliveKind::Crlf,
        interval: Micros(u64::try_from(rules.interval.as_micros()).unwrap_or(u64::MAX)),
        misses_max: u8::try_from(rules.misses_max).unwrap_or(u8::MAX),
    })
}

impl Tables {
    /// Compiles. `previous`: the tables that hold now; what stays keeps its number.
    ///
    /// # Errors
    /// A bound of [`limits`] is exceeded.
    pub fn build(inputs: &Inputs<'_>, previous: Option<&Tables>) -> Result<Tables, TablesError> {
        let config = inputs.config;
        let listeners: Vec<SocketAddr> = config.listen.udp.iter().map(|listener| listener.address).collect();
        let given_out: Vec<HostPort> = config.listen.udp.iter().map(tuning::Listener::sent_by).collect();
        let hosts = given_out
            .iter()
            .filter(|given| !is_unspecified(given))
            .map(|given| (&given.host, given.port))
            .chain(config.host_names.iter().map(|host| (host, None)))
            .chain(
                config
                    .domains
                    .iter()
                    .flat_map(|domain| std::iter::once(&domain.name).chain(&domain.aliases))
                    .map(|host| (host, None)),
            );
        let own = Own::new(&listeners, hosts, inputs.local_addresses);
        let plan: Vec<Vec<PlannedGateway<'_>>> = config.sets.iter().map(|set| plan_gateways(set, inputs)).collect();
        let numbers = renew(previous.map(|tables| &tables.numbers), config, &plan)?;
        let mut tables = Tables {
            generation: previous.map_or(0, |tables| tables.generation + 1),
            given_out: given_out.iter().map(|given| written(given, inputs.local_addresses)).collect(),
            own,
            sources: Sources::build(
                &config.source_groups,
                config.customers.iter().flat_map(|customer| &customer.sources).map(|source| source.network),
                config.policy.strangers,
            ),
            class4: None,
            call_max: Micros::from_secs(u64::from(config.policy.call_max_seconds)),
            domains: Domains::default(),
            realms: Realms::build(config),
            keep_alive: keep_alive(config),
            routes: Vec::new(),
            sets: vacant(numbers.sets.slots()),
            set_order: Vec::new(),
            gateways: vacant(numbers.gateways.slots()),
            addresses: vacant(numbers.addresses.slots()),
            by_address: Vec::new(),
            listeners,
            numbers,
        };
        for (set, gateways) in config.sets.iter().zip(&plan) {
            tables.add_set(config, set, gateways)?;
        }
        tables.by_address =
            tables.addresses.iter().flatten().map(|address| (address.address, address.number.slot_index())).collect();
        tables.by_address.sort_unstable();
        tables.routes = routes(config, &tables.numbers)?;
        let set = |index| set_number(config, &tables.numbers, index);
        let class4 = Trunks::build(config, inputs.decks, set, previous.and_then(|tables| tables.class4.as_ref()))?;
        tables.class4 = class4;
        tables.domains = Domains::build(&config.domains, |index| set_number(config, &tables.numbers, index))?;
        Ok(tables)
    }

    fn add_set(
        &mut self,
        config: &Config,
        set: &tuning::Set,
        gateways: &[PlannedGateway<'_>],
    ) -> Result<(), TablesError> {
        let number = self.numbers.sets.get(&set.name).ok_or(TablesError::Unchecked)?;
        let mut slots = Vec::new();
        for gateway in gateways {
            slots.extend(self.add_gateway(set, number, gateway)?);
        }
        if slots.len() > limits::SET_GATEWAYS_MAX {
            return Err(TablesError::SetTooLarge);
        }
        let overflow = match &set.overflow {
            Some(name) => Some(set_number(config, &self.numbers, name.index())?),
            None => None,
        };
        let algorithm = set.algorithm.get();
        let compiled = Set {
            number,
            name: set.name.as_str().into(),
            algorithm,
            bounded: set.bounded.on().map_or(0, |factor| thousandths(*factor)),
            compat: set.compat == tuning::Compat::Kamailio,
            hash_variables: set.hash_variables.parts().into(),
            gateways: slots,
            rewrite: set.request_uri == RequestUri::Gateway,
            stateless: set.stateless,
            overflow,
            failover_codes: set.failover_codes,
            no_response: set.no_response_timeout.on().map_or(Micros(0), |time| micros(*time)),
            attempts_max: usize::try_from(set.attempts_max)
                .unwrap_or(limits::BRANCHES_MAX)
                .clamp(1, limits::BRANCHES_MAX),
            last_503_as_500: set.last_503 == LastUnavailable::ServerError,
        };
        self.set_order.push(number.slot_index());
        put(&mut self.sets, number, compiled)
    }

    fn add_gateway(
        &mut self,
        set: &tuning::Set,
        of: Number,
        planned: &PlannedGateway<'_>,
    ) -> Result<Option<u16>, TablesError> {
        let key = (planned.config.name.clone(), planned.address);
        let number = self.numbers.gateways.get(&key).ok_or(TablesError::Unchecked)?;
        if self.gateways.get(number.slot()).is_some_and(Option::is_some) {
            // The same name and address twice in one set: one gateway.
            return Ok(None);
        }
        let listener = match (&set.listener, planned.address) {
            (Some(name), _) => u16::try_from(name.index()).unwrap_or(0),
            (None, Some(address)) => listener_towards(&self.listeners, address.ip()),
            (None, None) => 0,
        };
        let address_slot = match planned.address {
            Some(address) => Some(self.add_address(address, number, set, listener)?),
            None => None,
        };
        let uri = &planned.config.uri.0;
        let gateway = Gateway {
            number,
            name: planned.config.name.as_str().into(),
            set: of,
            address: planned.address,
            address_slot,
            host: uri.host.to_string().to_ascii_lowercase().into_bytes().into(),
            port: uri.port,
            listener,
            weight: planned.weight,
            priority: u16::try_from(planned.config.priority).unwrap_or(u16::MAX),
            key: rendezvous_key(&planned.config.name, planned.address),
            reply_from: planned.config.reply_from.iter().flat_map(Prefix::of_network).collect(),
            calls_max: planned.config.calls_max,
            mark: planned.mark,
        };
        put(&mut self.gateways, number, gateway)?;
        Ok(Some(number.slot_index()))
    }

    fn add_address(
        &mut self,
        address: SocketAddr,
        gateway: Number,
        set: &tuning::Set,
        listener: u16,
    ) -> Result<u16, TablesError> {
        let number = self.numbers.addresses.get(&address).ok_or(TablesError::Unchecked)?;
        match self.addresses.get_mut(number.slot()) {
            Some(Some(known)) => known.gateways.push(gateway.slot_index()),
            _ => {
                let rules = Rules {
                    breaker: set.breaker.on().map(breaker_rules),
                    probe: set.probe.on().map(|probe| probe_rules(probe, listener)),
                };
                let gateways = vec![gateway.slot_index()];
                put(&mut self.addresses, number, Address { number, address, rules, gateways })?;
            }
        }
        Ok(number.slot_index())
    }
}

fn is_unspecified(given: &HostPort) -> bool {
    matches!(given.host, tuning::Host::Address(ip) if ip.is_unspecified())
}

/// As text; for a wildcard one of the host's addresses, that others can reach if there is one.
fn written(given: &HostPort, local: &[IpAddr]) -> Box<[u8]> {
    let tuning::Host::Address(ip) = given.host else { return given.to_string().into_bytes().into() };
    let of_family = || local.iter().filter(|own| own.is_ipv4() == ip.is_ipv4());
    let reachable = of_family().find(|own| !own.is_loopback()).or_else(|| of_family().next());
    let ip = reachable.copied().filter(|_| ip.is_unspecified()).unwrap_or(ip);
    HostPort { host: tuning::Host::Address(ip), port: given.port }.to_string().into_bytes().into()
}

/// One address of one gateway, or a gateway without any.
struct PlannedGateway<'c> {
    config: &'c tuning::Gateway,
    address: Option<SocketAddr>,
    weight: u32,
    mark: Option<Mark>,
}

fn plan_gateways<'c>(set: &'c tuning::Set, inputs: &Inputs<'c>) -> Vec<PlannedGateway<'c>> {
    let addresses_of = |gateway: &tuning::Gateway| -> Vec<NamedAddress> {
        let uri = &gateway.uri.0;
        let mut addresses = match uri.address() {
            Some(address) => vec![address.into()],
            None => inputs.addresses.get(uri).cloned().unwrap_or_default(),
        };
        addresses.iter_mut().for_each(|named| named.address = canonical(named.address));
        addresses
    };
    let several = set.gateways.iter().any(|gateway| addresses_of(gateway).len() > 1);
    let scale = if several { WEIGHT_SCALE } else { 1 };
    let mut planned = Vec::new();
    for gateway in &set.gateways {
        let addresses = addresses_of(gateway);
        let mark = inputs.marks.get(&gateway.name).copied();
        let scaled = gateway.weight.saturating_mul(scale);
        if addresses.is_empty() {
            planned.push(PlannedGateway { config: gateway, address: None, weight: scaled, mark });
        }
        let shares = addresses.iter().map(|named| u64::from(named.share)).sum();
        for NamedAddress { address, share } in addresses {
            let weight = part(scaled, share, shares);
            planned.push(PlannedGateway { config: gateway, address: Some(address), weight, mark });
        }
    }
    planned
}

/// `share` of `shares` of a weight; at least 1 of what is more than nothing.
fn part(weight: u32, share: u32, shares: u64) -> u32 {
    if weight == 0 || share == 0 {
        return 0;
    }
    let part = u64::from(weight) * u64::from(share) / shares.max(1);
    u32::try_from(part).unwrap_or(u32::MAX).max(1)
}

fn renew(
    previous: Option<&Numbers>,
    config: &Config,
    plan: &[Vec<PlannedGateway<'_>>],
) -> Result<Numbers, TablesError> {
    let nothing = Numbers::default();
    let previous = previous.unwrap_or(&nothing);
    let gateways = || plan.iter().flatten();
    let sets = config.sets.iter().map(|set| set.name.clone());
    let named = gateways().map(|gateway| (gateway.config.name.clone(), gateway.address));
    let addresses = gateways().filter_map(|gateway| gateway.address);
    let many = |_: Full| TablesError::TooManyGateways;
    Ok(Numbers {
        sets: previous.sets.renew(sets, limits::SETS_MAX).map_err(|_| TablesError::TooManySets)?,
        gateways: previous.gateways.renew(named, limits::GATEWAYS_MAX).map_err(many)?,
        addresses: previous.addresses.renew(addresses, limits::GATEWAYS_MAX).map_err(many)?,
    })
}

/// The routes of the file; without any, everything goes to the only set.
fn routes(config: &Config, numbers: &Numbers) -> Result<Vec<Route>, TablesError> {
    let index = |index: usize| u16::try_from(index).unwrap_or(u16::MAX);
    let mut routes = Vec::new();
    for route in &config.routes {
        routes.push(Route {
            sources: route.source.iter().map(|name| index(name.index())).collect(),
            listeners: route.listener.iter().map(|name| index(name.index())).collect(),
            domains: route.domain.to_vec(),
            prefixes: route.prefix.to_vec(),
            set: set_number(config, numbers, route.set.index())?,
        });
    }
    let nobody_else = config.customers.is_empty();
    if let ([], [_], true) = (config.routes.as_slice(), config.sets.as_slice(), nobody_else) {
        let set = set_number(config, numbers, 0)?;
        let (sources, listeners, domains, prefixes) = Default::default();
        routes.push(Route { sources, listeners, domains, prefixes, set });
    }
    Ok(routes)
}

fn set_number(config: &Config, numbers: &Numbers, index: usize) -> Result<Number, TablesError> {
    let set = config.sets.get(index).ok_or(TablesError::Unchecked)?;
    numbers.sets.get(&set.name).ok_or(TablesError::Unchecked)
}

fn breaker_rules(breaker: &tuning::Breaker) -> BreakerRules {
    BreakerRules {
        timeouts: breaker.timeouts,
        retry: micros(breaker.retry),
        trial_calls: breaker.trial_calls,
        unavailable_calls: breaker.unavailable_calls,
        unavailable_window: micros(breaker.unavailable_window),
    }
}

fn probe_rules(probe: &tuning::Probe, listener_of_set: u16) -> ProbeRules {
    let listener = probe.listener.as_ref().map(tuning::ListenerName::index);
    ProbeRules {
        interval: micros(probe.interval),
        retry: micros(probe.retry),
        down_after: probe.down_after,
        up_after: probe.up_after,
        from_user: probe.from_user.as_bytes().into(),
        from_host: probe.from_host.as_ref().map(|host| host.to_string().into_bytes().into()),
        request_user: probe.request_user.as_ref().map(|user| user.as_bytes().into()),
        listener: listener.and_then(|index| u16::try_from(index).ok()).unwrap_or(listener_of_set),
    }
}

/// FNV-1a, finished by [`mix`]. WHY unkeyed: the subject's hash, with which it is mixed, is keyed; and
/// this one has to be the same on every node and after every restart.
fn rendezvous_key(name: &str, address: Option<SocketAddr>) -> u64 {
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    let text = name.bytes().chain([0]).chain(address.bytes());
    mix(text.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)))
}

fn micros(duration: Duration) -> Micros {
    Micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within 1,000 and 100,000")]
fn thousandths(factor: f64) -> u32 {
    (factor * 1_000.0).round().clamp(1_000.0, 100_000.0) as u32
}

fn vacant<T>(slots: usize) -> Vec<Option<T>> {
    (0..slots).map(|_| None).collect()
}

fn put<T>(places: &mut [Option<T>], number: Number, value: T) -> Result<(), TablesError> {
    *places.get_mut(number.slot()).ok_or(TablesError::Unchecked)? = Some(value);
    Ok(())
}
