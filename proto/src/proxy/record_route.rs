//! RFC 3261 §16.7 step 8: what our Record-Route says changes on its way upstream.
//!
//! In a request our token says where the initiator is reached: the responder, who copies it, is let back to
//! him. In the 2xx that opens the dialog it says where the responder is reached, so that the initiator's
//! requests are let there after a restart too, when no call of the table vouches for them. Of a side that may be
//! behind NAT it says where it really is ([`crate::policy::BySource`]).

use super::own_lines::Prepared;
use super::preprocess::OWN_ROUTES_MAX;
use crate::message::{HeaderName, Message, Method, Span, Splice, Uri};
use crate::steer::{ADDRESS_PARAMETER, OwnRoute, ROUTE_PARAMETER, route_to_responder};
use crate::token::{Keys, ROUTE_TOKEN_CHARS, RouteToken, Seal};
use core::net::SocketAddr;

/// Our tokens in a response, and the one that takes their place.
#[derive(Clone, Copy)]
pub(super) struct Renewed {
    /// Where they stand, in the order of the message.
    places: [Option<Span>; OWN_ROUTES_MAX],
    route: OwnRoute,
}

impl Renewed {
    /// What a response from `source` needs. `None`: it opens no dialog, or holds no token that was signed for this one.
    pub(super) fn of(settings: &Prepared, response: &Message<'_>, source: SocketAddr) -> Option<Renewed> {
        let keys = &settings.keys;
        if !matches!(response.method(), Method::Invite | Method::Subscribe) || !(200..300).contains(&response.status())
        {
            return None;
        }
        response.field(HeaderName::RecordRoute)?;
        settings.recognise_routes(response, HeaderName::RecordRoute);
        let seal = keys.seal(response.call_id(), response.from_tag());
        let mut places = [None; OWN_ROUTES_MAX];
        let mut free = places.iter_mut();
        let mut found = None;
        // Of the values above ours, the nearest: the next hop of the initiator's requests after us.
        let mut beyond = None;
        for value in response.name_addrs(HeaderName::RecordRoute) {
            let value = value.ok()?;
            let known = settings.own_uri(value.uri);
            if let Some(token) = known.and_then(|own| verified_token(keys, &seal, response, own.token))
                && !token.to_responder
                && !token.by_source
            {
                *free.next()? =
                    Some(Span { start: value.uri_span.end.checked_sub(OWN_LENGTH)?, end: value.uri_span.end });
                found = Some(token);
                continue;
            }
            let uri = Uri::parse(value.uri).ok()?;
            match own_token(keys, &seal, response, &uri) {
                Some(token) => {
                    let length = own_length(&uri, &token)?;
                    *free.next()? =
                        Some(Span { start: value.uri_span.end.checked_sub(length)?, end: value.uri_span.end });
                    found = Some(token);
                }
                None if found.is_none() => beyond = Some(uri),
                None => {}
            }
        }
        let route = route_to_responder(keys, &seal, found?, response, source, beyond)?;
        Some(Renewed { places, route })
    }

    /// Writes those that stand before `until` and were not written yet.
    pub(super) fn write_before(&mut self, until: u16, splice: &mut Splice<'_, '_, '_>) {
        for place in &mut self.places {
            if let Some(span) = place.take_if(|span| span.start < until) {
                splice.replace(span, |out| self.route.write(out));
            }
        }
    }
}

/// The token that we wrote at the end of our URI, if it opens the way to the initiator of this dialog.
pub(super) fn own_token(keys: &Keys, seal: &Seal, response: &Message<'_>, uri: &Uri<'_>) -> Option<RouteToken> {
    let text = uri.param(ROUTE_PARAMETER)?;
    let token = verified_token(keys, seal, response, text)?;
    (!token.to_responder && uri.bytes().ends_with(text)).then_some(token)
}

/// A token of ours, if it was signed for this dialog.
fn verified_token(keys: &Keys, seal: &Seal, response: &Message<'_>, text: &[u8]) -> Option<RouteToken> {
    let unverified = RouteToken::read(text)?;
    match unverified.is_sealed_by(seal) {
        true => unverified.verify_by(seal),
        false => unverified.verify(keys, response.call_id(), response.from_tag()),
    }
}

/// Octets at the end of our URI that are ours, where no address stands before the token.
const OWN_LENGTH: u16 = (ROUTE_PARAMETER.len() + 1 + ROUTE_TOKEN_CHARS) as u16;

/// Octets at the end of our URI that are ours, the address before the token included. `None`: it is not as we wrote it.
fn own_length(uri: &Uri<'_>, token: &RouteToken) -> Option<u16> {
    let parameter = |name: &[u8]| Some(name.len() + 1 + uri.param(name)?.len());
    let mut length = parameter(ROUTE_PARAMETER)?;
    let mut first = ROUTE_PARAMETER;
    if token.by_source {
        length += parameter(ADDRESS_PARAMETER)? + 1;
        first = ADDRESS_PARAMETER;
    }
    let tail = uri.bytes().get(uri.bytes().len().checked_sub(length)?..)?;
    if tail.starts_with(first) { u16::try_from(length).ok() } else { None }
}
