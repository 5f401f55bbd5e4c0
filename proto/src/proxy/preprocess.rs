//! RFC 3261 §16.4: route information preprocessing. A pure function of the request and the settings, so
//! that a request that is read again from the store comes out the same.

use super::Settings;
use crate::message::{HeaderName, Message, NameAddr, Span, Uri};
use crate::policy::Proof;
use crate::steer::{ROUTE_PARAMETER, verify_route};

/// A request with its own Route values recognised.
#[derive(Clone, Copy, Debug)]
pub struct Preprocessed<'m> {
    /// The Request-URI that counts: a strict router's is restored from the last Route value.
    pub request_uri: &'m [u8],
    /// The same, parsed.
    pub uri: Uri<'m>,
    /// Route values to be taken off, in the order in which they stand.
    pub removals: [Option<Span>; 3],
    /// The Route value that stays on top.
    pub next_route: Option<NameAddr<'m>>,
    /// Whether our token proves the dialog.
    pub proof: Proof,
    /// Listener named by the last of ours that was taken off.
    pub leaves_by: Option<u16>,
}

/// Routes of ours that may stand on top: two, where interfaces or families differ (double Record-Route).
const OWN_ROUTES_MAX: usize = 2;

/// Recognises what is ours. `None`: the Request-URI or a Route that counts cannot be read.
pub(super) fn preprocess<'m>(settings: &Settings, message: &Message<'m>) -> Option<Preprocessed<'m>> {
    let request_uri = message.request_uri();
    let mut done = Preprocessed {
        request_uri,
        uri: Uri::parse(request_uri).ok()?,
        removals: [None; 3],
        next_route: None,
        proof: Proof::None,
        leaves_by: None,
    };
    if message.field(HeaderName::Route).is_none() {
        return Some(done);
    }
    restore_request_uri(settings, message, &mut done)?;
    take_own_routes(settings, message, &mut done)?;
    Some(done)
}

/// A strict router has put our Record-Route URI into the Request-URI and the target at the end of Route.
fn restore_request_uri<'m>(settings: &Settings, message: &Message<'m>, done: &mut Preprocessed<'m>) -> Option<()> {
    if done.uri.param(ROUTE_PARAMETER).is_none() || settings.listener_of(&done.uri).is_none() {
        return Some(());
    }
    let last = message.name_addrs(HeaderName::Route).last()?.ok()?;
    let own = done.uri;
    believe(settings, message, &own, done);
    done.leaves_by = settings.listener_of(&own);
    done.request_uri = last.uri;
    done.uri = Uri::parse(last.uri).ok()?;
    done.removals = [None, None, Some(last.removal)];
    Some(())
}

fn take_own_routes<'m>(settings: &Settings, message: &Message<'m>, done: &mut Preprocessed<'m>) -> Option<()> {
    let restored = done.removals.last().copied().flatten();
    let mut taken = 0;
    for route in message.name_addrs(HeaderName::Route) {
        let route = route.ok()?;
        if Some(route.removal) == restored {
            break;
        }
        let uri = Uri::parse(route.uri).ok()?;
        let Some(listener) = settings.listener_of(&uri).filter(|_| taken < OWN_ROUTES_MAX) else {
            done.next_route = Some(route);
            break;
        };
        believe(settings, message, &uri, done);
        done.leaves_by = Some(listener);
        if let Some(place) = done.removals.get_mut(taken) {
            *place = Some(route.removal);
        }
        taken += 1;
    }
    Some(())
}

fn believe(settings: &Settings, message: &Message<'_>, uri: &Uri<'_>, done: &mut Preprocessed<'_>) {
    if done.proof == Proof::None
        && let Some((_, from_initiator)) = verify_route(&settings.keys, message, uri)
    {
        done.proof = Proof::Token { from_initiator };
    }
}
