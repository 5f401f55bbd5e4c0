//! Rules about gateways: who they are, and whether they can be reached.

use super::{Checker, repeated};
use crate::config::{Gateway, Listener};
use crate::read::{Host, HostPort, OffOr, SIP_PORT};
use crate::resolve::names_us;
use std::net::{IpAddr, SocketAddr};

/// A gateway that is this proxy: every call would come back until Max-Forwards ends it.
pub(super) fn ourselves(checker: &mut Checker<'_>) {
    for (path, gateway) in gateways(checker) {
        let Some(listener) = listener_hit(checker, &gateway.uri.0) else {
            continue;
        };
        let place = checker.config.listen.udp.iter().position(|other| other.address == listener.address);
        let place = place.and_then(|index| checker.marks.value(&format!("listen.udp[{index}]")));
        let message = format!("the gateway `{}` is this proxy itself: calls would go in a circle", gateway.name);
        let finding = checker
            .error("gateway-is-us", &format!("{path}.uri"), message)
            .label("ourselves")
            .related(place, "we listen here")
            .remedy("write the gateway's own address and port");
        checker.note(finding);
    }
}

/// The listener that would receive what is sent to `target`.
fn listener_hit<'c>(checker: &Checker<'c>, target: &HostPort) -> Option<&'c Listener> {
    let config = checker.config;
    let port = target.port.unwrap_or(SIP_PORT);
    let address = match &target.host {
        Host::Address(address) => Some(*address),
        Host::Name(name) if name == "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
        Host::Name(_) => None,
    };
    config.listen.udp.iter().find(|listener| {
        let own = listener.address;
        let by_address = address.is_some_and(|address| {
            let local = address.is_loopback() || checker.environment.addresses.contains(&address);
            let wildcard = own.ip().is_unspecified() && local && serves_family(own, address);
            own.port() == port && (own.ip() == address || wildcard)
        });
        let advertised = listener.sent_by();
        let by_name = names_us(config, &target.host) && (own.port() == port || advertised.port == Some(port));
        by_address || by_name
    })
}

/// A listener on `[::]` receives IPv6 only: each family has its own listener.
fn serves_family(own: SocketAddr, address: IpAddr) -> bool {
    own.is_ipv4() == address.is_ipv4()
}

/// Addresses that nothing can be sent to.
pub(super) fn no_destination(checker: &mut Checker<'_>) {
    for (path, gateway) in gateways(checker) {
        let Host::Address(address) = gateway.uri.0.host else {
            continue;
        };
        let broadcast = address == IpAddr::from([255, 255, 255, 255]);
        if address.is_unspecified() || address.is_multicast() || broadcast {
            let finding = checker.error(
                "no-destination",
                &format!("{path}.uri"),
                format!("{address} is not the address of a host"),
            );
            checker.note(finding.label("not one host").remedy("write the gateway's own address"));
        }
    }
}

pub(super) fn duplicate_gateways(checker: &mut Checker<'_>) {
    for (index, set) in checker.config.sets.iter().enumerate() {
        let targets = set.gateways.iter().map(|gateway| (&gateway.uri.0.host, gateway.uri.0.port.unwrap_or(SIP_PORT)));
        for (earlier, again) in repeated(targets) {
            let Some(gateway) = set.gateways.get(again) else {
                continue;
            };
            let message = format!("{} is twice in the set `{}`", gateway.uri, set.name);
            let finding = checker
                .error("duplicate-gateway", &format!("set[{index}].gateways[{again}].uri"), message)
                .label("again")
                .related(checker.marks.value(&format!("set[{index}].gateways[{earlier}].uri")), "first here")
                .remedy("remove one of the two; for a larger share write a higher `weight`");
            checker.note(finding);
        }
    }
}

/// Commands and statistics know gateways by name.
pub(super) fn duplicate_names(checker: &mut Checker<'_>) {
    let all: Vec<_> = gateways(checker).collect();
    for (earlier, again) in repeated(all.iter().map(|(_, gateway)| gateway.name.as_str())) {
        let (Some((first_path, first)), Some((path, gateway))) = (all.get(earlier), all.get(again)) else {
            continue;
        };
        let same_set = first_path.split('.').next() == path.split('.').next();
        if same_set && first.uri == gateway.uri {
            continue;
        }
        let named = checker.given(&format!("{path}.name"));
        let finding = checker
            .error(
                "duplicate-name",
                &format!("{path}.{}", if named { "name" } else { "uri" }),
                format!("two gateways are named `{}`", gateway.name),
            )
            .label(if named { "again" } else { "named after its host and port" })
            .related(
                checker.marks.value(&format!("{first_path}.name")).or(checker.marks.value(first_path)),
                "first here",
            )
            .remedy(format!("give this one a name of its own: {{ uri = \"{}\", name = \"...\" }}", gateway.uri));
        checker.note(finding);
    }
}

/// IPv6 gateways need an IPv6 listener to send from, and the other way round.
pub(super) fn reachable_families(checker: &mut Checker<'_>) {
    for (path, gateway) in gateways(checker) {
        let Some(target) = gateway.uri.0.address() else {
            continue;
        };
        let family = if target.is_ipv4() { "IPv4" } else { "IPv6" };
        let sender = listener_of_set(checker, &path);
        let (found, whose) = match sender {
            Some(listener) => (listener.address.is_ipv4() == target.is_ipv4(), "the listener of its set is not"),
            None => {
                let listeners = &checker.config.listen.udp;
                let found = listeners.iter().any(|listener| listener.address.is_ipv4() == target.is_ipv4());
                (found || listeners.is_empty(), "no listener is")
            }
        };
        if !found {
            let message = format!("the gateway `{}` cannot be reached: it is {family}, {whose}", gateway.name);
            let usual = if target.is_ipv4() { "0.0.0.0:5060" } else { "[::]:5060" };
            let finding = checker.error("no-listener-for-gateway", &format!("{path}.uri"), message);
            checker.note(finding.label(family).remedy(format!("add an {family} listener such as \"{usual}\"")));
        }
    }
}

/// The kernel refuses to send from a loopback address to another host.
pub(super) fn loopback_senders(checker: &mut Checker<'_>) {
    for (path, gateway) in gateways(checker) {
        let Some(target) = gateway.uri.0.address().filter(|target| !target.ip().is_loopback()) else {
            continue;
        };
        let of_family = |listener: &&Listener| listener.address.is_ipv4() == target.is_ipv4();
        let sender = listener_of_set(checker, &path).or_else(|| checker.config.listen.udp.iter().find(of_family));
        let Some(sender) = sender.filter(|sender| sender.address.ip().is_loopback() && of_family(sender)) else {
            continue;
        };
        let index =
            checker.config.listen.udp.iter().position(|listener| listener.address == sender.address).unwrap_or(0);
        let message = format!(
            "the gateway `{}` cannot be reached from {}: loopback does not leave the host",
            gateway.name, sender.address
        );
        let finding = checker
            .error("loopback-sender", &format!("{path}.uri"), message)
            .label("on another host")
            .related(checker.marks.value(&format!("listen.udp[{index}]")), "sent from here")
            .remedy("listen on an address of this host that the gateway can reach, or choose the set's `listener`");
        checker.note(finding);
    }
}

/// Gateways by name need somebody to ask.
pub(super) fn name_servers(checker: &mut Checker<'_>) {
    if checker.environment.name_servers != Some(false) || !checker.config.dns.servers.is_empty() {
        return;
    }
    let named = gateways(checker).find(|(_, gateway)| matches!(gateway.uri.0.host, Host::Name(_)));
    if let Some((path, gateway)) = named {
        let message = format!("`{}` has to be looked up, and this host knows no name server", gateway.uri);
        let finding = checker.error("no-name-server", &format!("{path}.uri"), message);
        checker.note(finding.label("a name").remedy("add [dns] servers = [\"192.0.2.53\"], or write the address"));
    }
}

/// One address is probed once: two sets that want it differently cannot both have their way.
pub(super) fn probe_conflicts(checker: &mut Checker<'_>) {
    let sets = &checker.config.sets;
    let all: Vec<_> = gateways(checker).collect();
    let set_of = |path: &str| set_index(path).and_then(|index| sets.get(index));
    for (earlier, again) in repeated(all.iter().map(|(_, gateway)| &gateway.uri)) {
        let (Some((first_path, _)), Some((path, gateway))) = (all.get(earlier), all.get(again)) else {
            continue;
        };
        let (Some(first), Some(second)) = (set_of(first_path), set_of(path)) else {
            continue;
        };
        if first.name == second.name || first.probe == second.probe || second.probe == OffOr::Off {
            continue;
        }
        let message =
            format!("{} is probed as `{}` says; what `{}` says is not used", gateway.uri, first.name, second.name);
        let finding = checker
            .warning("probe-conflict", &format!("{}.probe", path.split('.').next().unwrap_or(path)), message)
            .label("not used for this gateway")
            .remedy("write the same probe settings in both sets");
        checker.note(finding);
    }
}

/// Every gateway of the file with its path.
fn gateways<'c>(checker: &Checker<'c>) -> impl Iterator<Item = (String, &'c Gateway)> + use<'c> {
    let sets = checker.config.sets.iter().enumerate();
    sets.flat_map(|(index, set)| {
        let gateways = set.gateways.iter().enumerate();
        gateways.map(move |(nth, gateway)| (format!("set[{index}].gateways[{nth}]"), gateway))
    })
}

fn listener_of_set<'c>(checker: &Checker<'c>, path: &str) -> Option<&'c Listener> {
    let set = checker.config.sets.get(set_index(path)?)?;
    checker.config.listen.udp.get(set.listener.as_ref()?.index())
}

/// 3 for `set[3].gateways[1]`.
fn set_index(path: &str) -> Option<usize> {
    path.strip_prefix("set[")?.split(']').next()?.parse().ok()
}
