//! Which set gets a request: source group, listener, Request-URI domain and number prefix pick it, the
//! first route that matches. No match is 404.

use crate::reason::{Reason, Step};
use crate::tables::{Number, Route, Tables};
use proto::message::Host;
use proto::policy::Inbound;
use std::ops::ControlFlow::{Break, Continue};

/// The stage.
pub fn choose(tables: &Tables, source_group: u16, request: &Inbound<'_>) -> Step<Number> {
    match tables.routes.iter().find(|route| matches(route, source_group, request)) {
        Some(route) => Continue(route.set),
        None => Break(Reason::NoRoute.verdict()),
    }
}

fn matches(route: &Route, source_group: u16, request: &Inbound<'_>) -> bool {
    let uri = &request.request_uri;
    meets(&route.sources, |group| *group == source_group)
        && meets(&route.listeners, |listener| *listener == request.source.listener)
        && meets(&route.domains, |domain| is_host(&uri.host, domain))
        && meets(&route.prefixes, |prefix| prefix.matches(uri.user_without_params()))
}

/// No condition is met by everything; else one of them has to hold.
fn meets<T>(conditions: &[T], holds: impl Fn(&T) -> bool) -> bool {
    conditions.is_empty() || conditions.iter().any(holds)
}

fn is_host(host: &Host<'_>, wanted: &tuning::Host) -> bool {
    match (wanted, host) {
        (tuning::Host::Name(wanted), Host::Name(name)) => name.eq_ignore_ascii_case(wanted.as_bytes()),
        (tuning::Host::Address(wanted), host) => host.ip() == Some(wanted.to_canonical()),
        (tuning::Host::Name(_), _) => false,
    }
}
