//! RFC 3261 §16.7 step 8: what our Record-Route says changes on its way upstream.
//!
//! In a request our token says where the initiator is reached: the responder, who copies it, is let back to
//! him. In the 2xx that opens the dialog it says where the responder is reached, so that the initiator's
//! requests are let there after a restart too, when no call of the table vouches for them.

use super::preprocess::OWN_ROUTES_MAX;
use crate::message::{HeaderName, Message, Method, Span, Splice, Uri};
use crate::steer::{ROUTE_PARAMETER, token_to_responder};
use crate::token::{Keys, ROUTE_TOKEN_CHARS, RouteToken};

/// Our tokens in a response, and the one that takes their place.
pub(super) struct Renewed {
    /// Where they stand, in the order of the message.
    places: [Option<Span>; OWN_ROUTES_MAX],
    token: [u8; ROUTE_TOKEN_CHARS],
}

impl Renewed {
    /// What a response needs. `None`: it opens no dialog, or holds no token that was signed for this one.
    pub(super) fn of(keys: &Keys, response: &Message<'_>) -> Option<Renewed> {
        if response.method() != Method::Invite || !(200..300).contains(&response.status()) {
            return None;
        }
        response.field(HeaderName::RecordRoute)?;
        let mut places = [None; OWN_ROUTES_MAX];
        let mut free = places.iter_mut();
        let mut found = None;
        // Of the values above ours, the nearest: the next hop of the initiator's requests after us.
        let mut beyond = None;
        for value in response.name_addrs(HeaderName::RecordRoute) {
            let value = value.ok()?;
            let uri = Uri::parse(value.uri).ok()?;
            match own_token(keys, response, &uri) {
                Some(token) => {
                    *free.next()? = Some(Span {
                        start: value.uri_span.end.checked_sub(u16::try_from(ROUTE_TOKEN_CHARS).ok()?)?,
                        end: value.uri_span.end,
                    });
                    found = Some(token);
                }
                None if found.is_none() => beyond = Some(uri),
                None => {}
            }
        }
        let token = token_to_responder(keys, found?, response, beyond)?;
        Some(Renewed { places, token })
    }

    /// Writes those that stand before `until` and were not written yet.
    pub(super) fn write_before(&mut self, until: u16, splice: &mut Splice<'_, '_, '_>) {
        for place in &mut self.places {
            if let Some(span) = place.take_if(|span| span.start < until) {
                splice.replace(span, |out| out.put(&self.token));
            }
        }
    }
}

/// The token that we wrote at the end of our URI, if it opens the way to the initiator of this dialog.
fn own_token(keys: &Keys, response: &Message<'_>, uri: &Uri<'_>) -> Option<RouteToken> {
    let text = uri.param(ROUTE_PARAMETER)?;
    let token = RouteToken::read(text)?.verify(keys, response.call_id(), response.from_tag())?;
    (!token.to_responder && uri.bytes().ends_with(text)).then_some(token)
}
