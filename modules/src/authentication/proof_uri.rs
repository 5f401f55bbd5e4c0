//! Whether a proof was made for the request that brings it: its `uri` against the Request-URI (RFC 3261 §22.4, RFC 7616
//! §3.4.6). A proof for something else is a symptom of somebody who replays it, and gets 400.
//!
//! | `proof_uri` | Holds when |
//! |---|---|
//! | `"equal"` | both are the same by RFC 3261 §19.1.4 |
//! | `"alike"` | the users are the same, or the proof names none; the hosts mean the same: the same host, or names of one domain or of us |
//! | `"any"` | always |
//!
//! WHY not equal by default: phones put the port of their outbound proxy, a transport or an alias into one and not into
//! the other, some name the server alone (sipp does), and an edge proxy between us may have changed the Request-URI (§22.4
//! item 5 of RFC 3261 foresees it).

use crate::tables::Tables;
use proto::message::{Uri, unescaped_text};
use proto::policy::Inbound;
use tuning::ProofUri;

/// The rule. An empty `proved` is for nobody to judge here: without it there is no proof.
pub(super) fn is_for(tables: &Tables, rule: ProofUri, proved: &[u8], request: &Inbound<'_>) -> bool {
    // WHY first: the octets are nearly always the same.
    if rule == ProofUri::Any || proved.is_empty() || proved == request.request_uri_bytes {
        return true;
    }
    let Ok(proved) = Uri::parse(proved) else { return false };
    match rule {
        ProofUri::Any => true,
        ProofUri::Equal => proved.equivalent(&request.request_uri),
        ProofUri::Alike => {
            let request_uri = &request.request_uri;
            (proved.user_without_params().is_empty() || same_user(&proved, request_uri))
                && same_host(tables, &proved, request_uri)
        }
    }
}

fn same_user(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    let (mut room, mut other_room) = ([0; limits::USER_BYTES_MAX], [0; limits::USER_BYTES_MAX]);
    let one = unescaped_text(one.user_without_params(), &mut room);
    one.is_some() && one == unescaped_text(other.user_without_params(), &mut other_room)
}

fn same_host(tables: &Tables, one: &Uri<'_>, other: &Uri<'_>) -> bool {
    let domain = |uri: &Uri<'_>| tables.domains.find(&uri.host).map(|(index, _)| index);
    let ours = |uri: &Uri<'_>| domain(uri).is_some() || tables.own.is_us(&uri.host, uri.port);
    if one.host_bytes.eq_ignore_ascii_case(other.host_bytes) {
        return true;
    }
    match (domain(one), domain(other)) {
        (Some(one), Some(other)) => one == other,
        // One names a domain, the other our address.
        _ => ours(one) && ours(other),
    }
}
