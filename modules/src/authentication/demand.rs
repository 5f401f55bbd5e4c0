//! Who has to prove what: which requests, from where. The safe default: everything outside a dialog that does not come
//! from a peer that the file names.
//!
//! | Method | From a named peer or a gateway | From anywhere else |
//! |---|---|---|
//! | REGISTER for a domain with accounts | a proof, 401 | a proof, 401 |
//! | ACK, CANCEL | nothing: they cannot be sent again with a proof (RFC 3261 §22.1) | nothing |
//! | any other, its From of a domain with accounts | nothing | a proof, 407 |
//! | any other | nothing | nothing: it is a stranger's |
//!
//! `any` names nobody: with `sources = ["any"]` phones still prove who they are.

use super::challenge::Asker;
use crate::tables::Tables;
use proto::message::{Message, Method, Uri};
use std::net::IpAddr;

/// A proof that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Index of the domain.
    pub domain: u16,
    /// As what we ask.
    pub asker: Asker,
}

/// What a request outside any dialog has to prove; `None`: nothing.
pub fn of(tables: &Tables, message: &Message<'_>, source: IpAddr) -> Option<Demand> {
    let (party, asker) = match message.method() {
        Method::Ack | Method::Cancel => return None,
        Method::Register => (message.to(), Asker::Server),
        _ if is_named(tables, source) => return None,
        _ => (message.from(), Asker::Proxy),
    };
    let uri = Uri::parse(party.ok()?.uri).ok()?;
    let (domain, _) = tables.domains.find(&uri.host)?;
    tables.realms.get(domain)?;
    Some(Demand { domain, asker })
}

/// Whether phones of that domain at `source` prove who they are when they call: their proofs are for us.
pub fn asks(tables: &Tables, domain: u16, source: IpAddr) -> bool {
    tables.realms.get(domain).is_some() && !is_named(tables, source)
}

fn is_named(tables: &Tables, source: IpAddr) -> bool {
    tables.sources.names(source) || tables.is_gateway_host(source)
}
