//! Who may send.
//!
//! Addresses of the source groups may; a request from anywhere else is a stranger's, is remembered in
//! [`UnknownSources`] (`tandem sources --unknown`) and is dropped or gets 403. A gateway is no source by being
//! a gateway: a carrier that also sends calls is listed as one.

mod prefixes;
mod unknown;

pub use prefixes::{Prefix, PrefixTable};
pub use unknown::{UnknownSource, UnknownSources};

use crate::phones::flow;
use crate::reason::{Reason, Step};
use crate::tables::Tables;
use proto::message::{Message, Method};
use proto::policy::{Endpoint, Inbound};
use proto::time::Now;
use std::net::IpAddr;
use std::ops::ControlFlow::{Break, Continue};

/// Source groups, compiled.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    groups: PrefixTable<u16>,
    /// Prefixes that name peers: what an in-dialog request may be sent to.
    named: PrefixTable<()>,
    /// Names of the groups by index.
    pub names: Vec<Box<str>>,
    /// Strangers get 403 rather than nothing.
    pub forbid_strangers: bool,
}

impl Sources {
    /// Compiles the groups. `customers`: where calls of customers come from; they are in no group, but no strangers.
    pub fn build(
        groups: &[tuning::SourceGroup],
        customers: impl Iterator<Item = tuning::Network>,
        strangers: tuning::Strangers,
    ) -> Self {
        let mut all = Vec::new();
        let mut named = Vec::new();
        for (index, group) in (0u16..).zip(groups) {
            let prefixes: Vec<Prefix> = group.prefixes.iter().flat_map(Prefix::of_network).collect();
            // WHY: "any" and "all of loopback" say who may send, but name nobody. Taken as targets they
            // would make us relay to whatever a replayed Route asks for.
            let loopback_at_large = prefixes.iter().any(|prefix| prefix.is_loopback_network());
            let names_nobody = |prefix: &Prefix| prefix.is_any() || loopback_at_large && prefix.address.is_loopback();
            named.extend(prefixes.iter().filter(|prefix| !names_nobody(prefix)).map(|prefix| (*prefix, ())));
            all.extend(prefixes.iter().map(|prefix| (*prefix, index)));
        }
        let customers: Vec<Prefix> = customers.flat_map(|network| Prefix::of_network(&network)).collect();
        named.extend(customers.iter().filter(|prefix| !prefix.is_any()).map(|prefix| (*prefix, ())));
        all.extend(customers.iter().map(|prefix| (*prefix, NO_GROUP)));
        Sources {
            groups: PrefixTable::build(&all),
            named: PrefixTable::build(&named),
            names: groups.iter().map(|group| group.name.as_str().into()).collect(),
            forbid_strangers: strangers == tuning::Strangers::Forbid,
        }
    }

    /// The group of an address: that of the longest prefix.
    pub fn group(&self, address: IpAddr) -> Option<u16> {
        self.groups.find(address)
    }

    /// Whether the file names this address as a source, `any` aside.
    pub fn names(&self, address: IpAddr) -> bool {
        self.named.find(address).is_some()
    }
}

/// What stands for a group where a customer's address is in none; no route names it.
const NO_GROUP: u16 = u16::MAX;

/// The gate: whether this source may be served at all. `None`: yes. Gateways may ask by OPTIONS whether we live.
pub fn gate(
    tables: &Tables,
    unknown: &mut UnknownSources,
    message: &Message<'_>,
    source: &Endpoint,
    now: Now,
) -> Option<Reason> {
    let address = source.peer.ip();
    let asks = message.method() == Method::Options && tables.is_gateway_host(address);
    let knocks = || !tables.domains.is_empty() && flow::may_knock(tables, message, address);
    if asks || tables.sources.group(address).is_some() || knocks() {
        return None;
    }
    Some(refuse(tables, unknown, message, address, now))
}

/// The stage: index of the sender's source group.
pub fn group(tables: &Tables, unknown: &mut UnknownSources, request: &Inbound<'_>, now: Now) -> Step<u16> {
    let address = request.source.peer.ip();
    match tables.sources.group(address) {
        Some(group) => Continue(group),
        None => Break(refuse(tables, unknown, request.message, address, now).verdict()),
    }
}

/// What a stranger's request gets. He is remembered.
pub fn refuse(
    tables: &Tables,
    unknown: &mut UnknownSources,
    message: &Message<'_>,
    address: IpAddr,
    now: Now,
) -> Reason {
    unknown.remember(address, message, now);
    match message.method() {
        // WHY always dropped: OPTIONS is what scanners send; an answer invites the next packet.
        Method::Options => Reason::StrangerOptions,
        _ if tables.sources.forbid_strangers => Reason::StrangerForbidden,
        _ => Reason::StrangerDropped,
    }
}
