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
//! `any` names nobody: with `sources = ["any"]` phones still prove who they are. Before this table stand the rows of the
//! domain's `proof`, for methods and sources where it shall be otherwise.

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

/// A row of a domain's `proof`, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// One bit for each method (`method as u32`); 0: every method.
    methods: u32,
    /// Indices of source groups; none: wherever it comes from.
    sources: Vec<u16>,
    needed: bool,
}

const _: () = assert!(Method::COUNT <= u32::BITS as usize, "one bit a method");

impl Row {
    /// From the file.
    pub(super) fn build(row: &tuning::ProofRow) -> Self {
        let bit = |name: &String| 1 << Method::of(name.as_bytes()) as u32;
        Row {
            methods: row.methods.iter().map(bit).fold(0, |bits, bit| bits | bit),
            sources: row.source.iter().filter_map(|source| u16::try_from(source.index()).ok()).collect(),
            needed: row.needed,
        }
    }

    fn is_for(&self, method: Method, group: Option<u16>) -> bool {
        (self.methods == 0 || self.methods & 1 << method as u32 != 0)
            && (self.sources.is_empty() || group.is_some_and(|group| self.sources.contains(&group)))
    }
}

/// What a request outside any dialog has to prove; `None`: nothing.
pub fn of(tables: &Tables, message: &Message<'_>, source: IpAddr) -> Option<Demand> {
    let (party, asker) = match message.method() {
        Method::Ack | Method::Cancel => return None,
        Method::Register => (message.to(), Asker::Server),
        _ => (message.from(), Asker::Proxy),
    };
    let uri = Uri::parse(party.ok()?.uri).ok()?;
    let (domain, _) = tables.domains.find(&uri.host)?;
    is_needed(tables, domain, message.method(), source).then_some(Demand { domain, asker })
}

/// Whether phones of that domain at `source` prove who they are when they call: their proofs are for us.
pub fn asks(tables: &Tables, domain: u16, source: IpAddr) -> bool {
    is_needed(tables, domain, Method::Invite, source)
}

fn is_needed(tables: &Tables, domain: u16, method: Method, source: IpAddr) -> bool {
    let Some(realm) = tables.realms.get(domain) else { return false };
    let group = tables.sources.group(source);
    match realm.rows.iter().find(|row| row.is_for(method, group)) {
        Some(row) => row.needed,
        None => method == Method::Register || !(tables.sources.names(source) || tables.is_gateway_host(source)),
    }
}
