//! What hash algorithms read of a request, and the hash of it: our own, keyed, or Kamailio's.

use crate::tables::{Set, Tables};
use algorithms::{Subject, kamailio};
use proto::hash::{KeyedHash, Purpose, Secret};
use proto::message::{Host, NameAddr, Uri};
use proto::policy::Inbound;
use std::io::Write as _;
use tuning::{HashPart, HashVariable};

/// Keyed: nobody outside can aim calls at a gateway.
pub(super) fn own(secret: &Secret, subject: Subject, tables: &Tables, set: &Set, request: &Inbound<'_>) -> u64 {
    let message = request.message;
    let hash = KeyedHash::new(secret, Purpose::Choice);
    let hash = match subject {
        Subject::CallId => hash.part(message.call_id()),
        Subject::Caller => party(hash, message.from().ok()),
        Subject::Callee => party(hash, message.to().ok()),
        Subject::Domain => hash.part_lower(tenant(tables, request)),
        Subject::RequestUri => {
            let uri = &request.request_uri;
            let port = u64::from(uri.effective_port());
            hash.part(uri.user.unwrap_or_default()).part_lower(uri.host_bytes).number(port)
        }
        Subject::Variables => {
            let mut hash = hash;
            each_variable(set, request, |octets| hash = hash.part(octets));
            hash
        }
    };
    (hash.finish() >> 64) as u64
}

/// The number that Kamailio's dispatcher makes of the same request.
pub(super) fn kamailios(subject: Subject, set: &Set, request: &Inbound<'_>) -> u64 {
    let message = request.message;
    let hash = kamailio::Hash::default();
    let hash = match subject {
        Subject::CallId => hash.octets(message.call_id()),
        Subject::Caller => uri_of(message.from().ok()).map_or(hash, |uri| user_and_host(hash, &uri)),
        Subject::Callee => uri_of(message.to().ok()).map_or(hash, |uri| user_and_host(hash, &uri)),
        // INVARIANT: the check refuses it with `compat`.
        Subject::Domain => hash.octets(request.request_uri.host_bytes),
        Subject::RequestUri => user_and_host(hash, &request.request_uri),
        Subject::Variables => {
            let mut hash = hash;
            each_variable(set, request, |octets| hash = hash.octets(octets));
            hash
        }
    };
    u64::from(hash.finish())
}

/// `user`, then `host` or `host:port`, the port left out where it is 5060.
fn user_and_host(hash: kamailio::Hash, uri: &Uri<'_>) -> kamailio::Hash {
    let hash = hash.octets(uri.user.unwrap_or_default()).end().octets(uri.host_bytes);
    match uri.port {
        Some(port) if port != KAMAILIO_DEFAULT_PORT => {
            let mut digits = [0; 6];
            hash.octets(written(&mut digits, format_args!(":{port}")))
        }
        _ => hash,
    }
}

const KAMAILIO_DEFAULT_PORT: u16 = 5060;

/// Calls `each` with every part of the set's `hash_variables`. What a request lacks is `<null>`, as Kamailio prints it.
fn each_variable(set: &Set, request: &Inbound<'_>, mut each: impl FnMut(&[u8])) {
    let message = request.message;
    for part in &set.hash_variables {
        let variable = match part {
            HashPart::Text(text) => {
                each(text.as_bytes());
                continue;
            }
            HashPart::Variable(variable) => *variable,
        };
        let (from, to) = (message.from().ok(), message.to().ok());
        match variable {
            HashVariable::CallId => each(message.call_id()),
            HashVariable::FromUri => each(from.map_or(NULL, |from| from.uri)),
            HashVariable::FromUser => each(uri_of(from).and_then(|uri| uri.user).unwrap_or(NULL)),
            HashVariable::FromDomain => each(uri_of(from).map_or(NULL, |uri| uri.host_bytes)),
            HashVariable::ToUri => each(to.map_or(NULL, |to| to.uri)),
            HashVariable::ToUser => each(uri_of(to).and_then(|uri| uri.user).unwrap_or(NULL)),
            HashVariable::ToDomain => each(uri_of(to).map_or(NULL, |uri| uri.host_bytes)),
            HashVariable::RequestUri => each(request.request_uri_bytes),
            HashVariable::RequestUser => each(request.request_uri.user.unwrap_or(NULL)),
            HashVariable::RequestDomain => each(request.request_uri.host_bytes),
            HashVariable::SourceAddress => {
                let mut digits = [0; 64];
                each(written(&mut digits, format_args!("{}", request.source.peer.ip())));
            }
        }
    }
}

fn uri_of(party: Option<NameAddr<'_>>) -> Option<Uri<'_>> {
    Uri::parse(party?.uri).ok()
}

const NULL: &[u8] = b"<null>";

/// What was written into the room, without allocating.
fn written<'r>(room: &'r mut [u8], what: std::fmt::Arguments<'_>) -> &'r [u8] {
    let whole = room.len();
    let mut rest = &mut room[..];
    // INVARIANT: the rooms above are larger than any port and any address.
    let _ = rest.write_fmt(what);
    let length = whole - rest.len();
    room.get(..length).unwrap_or_default()
}

/// The host that says whose a request is: the name of our domain, whichever of its aliases stands there; where a phone
/// wrote our own address, that of its From.
fn tenant<'t>(tables: &'t Tables, request: &Inbound<'t>) -> &'t [u8] {
    let named = |host: &Host<'_>| tables.domains.find(host).map(|(_, domain)| &*domain.name);
    let of_sender = || {
        let uri = Uri::parse(request.message.from().ok()?.uri).ok().filter(|_| request.to_us)?;
        named(&uri.host)
    };
    named(&request.request_uri.host).or_else(of_sender).unwrap_or(request.request_uri.host_bytes)
}

/// User and host of a From or To, which is how parties are told apart.
fn party(hash: KeyedHash, party: Option<NameAddr<'_>>) -> KeyedHash {
    match party.map(|party| (party.uri, Uri::parse(party.uri))) {
        Some((_, Ok(uri))) => hash.part(uri.user_without_params()).part_lower(uri.host_bytes),
        Some((bytes, Err(_))) => hash.part(bytes),
        None => hash,
    }
}
