//! RFC 3261 §16.4: route information preprocessing. Depends on the request, where it came from, the settings
//! and what the policy calls ours, so that a request that is read again from the store comes out the same.

use super::Proxy;
use super::shown_from::OtherParty;
use crate::message::{HeaderName, Host, Message, NameAddr, Span, Transport, Uri, Writer};
use crate::policy::{Endpoint, Policy, Proof};
use crate::steer::{
    CallHash, ROUTE_PARAMETER, address_of_path, hash_of_target, signed_address, verify_route, verify_route_token,
};
use crate::token::{Keys, RouteToken, Seal};
use core::net::SocketAddr;

/// A request with its own Route values recognised.
#[derive(Clone, Copy, Debug)]
pub struct Preprocessed<'m> {
    /// The Request-URI that counts: a strict router's is restored from the last Route value, and a `maddr`
    /// that names us is taken off.
    pub request_uri: &'m [u8],
    /// The same, parsed.
    pub uri: Uri<'m>,
    /// Route values to be taken off, in the order in which they stand.
    pub removals: [Option<Span>; 3],
    /// The Route value that stays on top.
    pub next_route: Option<NextRoute<'m>>,
    /// Whether our token proves the dialog.
    pub proof: Proof,
    /// Hash of its Call-ID.
    pub(super) call: CallHash,
    /// What binds our tokens to its dialog, if its sender began it.
    pub(super) seal: Seal,
    /// Where its token says that the side which the request is for is reached; 0: it says nothing of it.
    far_side_hash: u32,
    /// The address that the token signs for it.
    pub far_side: Option<SocketAddr>,
    /// Listener named by the last of ours that was taken off.
    pub leaves_by: Option<u16>,
    /// The Request-URI names this proxy.
    pub to_us: bool,
    /// Who is shown under another URI, by our Route.
    pub(super) other_party: Option<OtherParty<'m>>,
}

/// The Route value that stays on top. WHY not all that was read of it: this is moved about.
#[derive(Clone, Copy, Debug)]
pub struct NextRoute<'m> {
    /// Its URI.
    pub uri: &'m [u8],
    /// Where it stands, and what to cut to take it off.
    pub(super) value: Span,
    /// See there.
    pub(super) removal: Span,
}

/// Room for a Request-URI that had to be written anew; none is taken before it is needed.
#[derive(Debug, Default)]
pub(super) struct UriText(Option<[u8; limits::URI_BYTES_MAX]>);

/// Routes of ours that may stand on top: two, where interfaces or families differ (double Record-Route).
pub(super) const OWN_ROUTES_MAX: usize = 2;

impl<P: Policy> Proxy<P> {
    /// Recognises what is ours. `None`: the Request-URI or a Route that counts cannot be read.
    pub(super) fn preprocessed<'m>(
        &self,
        source: &Endpoint,
        message: &Message<'m>,
        text: &'m mut UriText,
    ) -> Option<Preprocessed<'m>> {
        let mut done = Preprocessed::begun(&self.settings.keys, message)?;
        self.preprocess(&mut done, source, message, text)?;
        Some(done)
    }

    /// The same, of what [`Preprocessed::begun`] gave. WHY: it is large, and stays where it is.
    pub(super) fn preprocess<'m>(
        &self,
        done: &mut Preprocessed<'m>,
        source: &Endpoint,
        message: &Message<'m>,
        text: &'m mut UriText,
    ) -> Option<()> {
        if message.field(HeaderName::Route).is_some() {
            self.restore_request_uri(source, message, done)?;
            self.take_own_routes(source, message, done)?;
            self.judge_target(done);
        }
        if let Some(maddr) = done.uri.maddr() {
            self.take_maddr(source, &maddr, done, text);
        }
        done.to_us = self.names_us(source, &done.uri.host, done.uri.port);
        Some(())
    }

    /// A strict router has put our Record-Route URI into the Request-URI and the target at the end of Route.
    fn restore_request_uri<'m>(
        &self,
        source: &Endpoint,
        message: &Message<'m>,
        done: &mut Preprocessed<'m>,
    ) -> Option<()> {
        let own = done.uri;
        if own.param(ROUTE_PARAMETER).is_none() || !self.takes_for_own(source, message, &own, done) {
            return Some(());
        }
        let last = message.name_addrs(HeaderName::Route).last()?.ok()?;
        done.leaves_by = self.settings.listener_of(&own);
        done.request_uri = last.uri;
        done.uri = Uri::parse(last.uri).ok()?;
        done.removals = [None, None, Some(last.removal)];
        Some(())
    }

    fn take_own_routes<'m>(&self, source: &Endpoint, message: &Message<'m>, done: &mut Preprocessed<'m>) -> Option<()> {
        let restored = done.removals.last().copied().flatten();
        for (taken, route) in message.name_addrs(HeaderName::Route).enumerate() {
            let route = route.ok()?;
            if Some(route.removal) == restored {
                break;
            }
            if taken < OWN_ROUTES_MAX && self.is_known_own(message, route.uri, done) {
                if let Some(place) = done.removals.get_mut(taken) {
                    *place = Some(route.removal);
                }
                continue;
            }
            let uri = Uri::parse(route.uri).ok()?;
            if taken == OWN_ROUTES_MAX || !self.takes_for_own(source, message, &uri, done) {
                let NameAddr { uri, value, removal, .. } = route;
                done.next_route = Some(NextRoute { uri, value, removal });
                break;
            }
            done.leaves_by = self.settings.listener_of(&uri);
            if let Some(place) = done.removals.get_mut(taken) {
                *place = Some(route.removal);
            }
        }
        Some(())
    }

    /// Whether a Route is as we write it, with a token that this node signed for this dialog: what nearly all are.
    fn is_known_own(&self, message: &Message<'_>, uri: &[u8], done: &mut Preprocessed<'_>) -> bool {
        let Some(own) = self.settings.own_uri(uri) else { return false };
        match verify_route_token(&self.settings.keys, &done.seal, message, own.token) {
            // The address that it signs would stand before the token, and does not. Nor does a shown From.
            Some((token, from_initiator)) if token.owner.node == self.settings.node && !token.from_shown => {
                done.leaves_by = own.listener;
                done.note_proof(&token, from_initiator);
                true
            }
            _ => false,
        }
    }

    /// Whether a Route names this proxy: by its host and port, or since it carries a token that this node signed
    /// for this dialog (a wildcard listener gives out whatever address it was asked at). Notes what it proves.
    fn takes_for_own<'m>(
        &self,
        source: &Endpoint,
        message: &Message<'m>,
        uri: &Uri<'m>,
        done: &mut Preprocessed<'m>,
    ) -> bool {
        let verified = verify_route(&self.settings.keys, &done.seal, message, uri);
        // Outside a dialog it may be the Path of a phone that registered through us.
        let path = if message.to_tag().is_empty() { address_of_path(&self.settings.keys, uri) } else { None };
        done.far_side = done.far_side.or(path);
        let own = path.is_some()
            || verified.is_some_and(|(token, _)| token.owner.node == self.settings.node)
            || self.names_us(source, &uri.host, uri.port);
        if own
            && let Some((token, from_initiator)) = verified
            && done.note_proof(&token, from_initiator)
        {
            if token.from_shown {
                done.other_party = OtherParty::of_route(&self.settings.keys, message, uri, from_initiator);
                if done.other_party.is_none() {
                    // Whoever took the shown From out of the Route proves nothing.
                    done.proof = Proof::None;
                }
            }
            if token.to_responder == from_initiator {
                done.far_side = signed_address(&self.settings.keys, done.call, &token, uri);
            }
        }
        own
    }

    /// Whether a host and port are ours: by what the policy knows, or since the request came to that very address
    /// (a wildcard listener is asked at any address of the host).
    pub(super) fn names_us(&self, source: &Endpoint, host: &Host<'_>, port: Option<u16>) -> bool {
        let asked = |ip| {
            let port = port.unwrap_or(Transport::Udp.default_port());
            SocketAddr::new(ip, port) == SocketAddr::new(source.local.ip().to_canonical(), source.local.port())
        };
        self.policy.is_us(host, port) || host.ip().is_some_and(asked)
    }

    /// Notes whether a request goes where our token says that the other side of its dialog is reached.
    fn judge_target(&self, done: &mut Preprocessed<'_>) {
        let call = done.call;
        let Proof::Token { to_far_side, .. } = &mut done.proof else {
            return;
        };
        let target = done.next_route.map_or(Some(done.uri), |route| Uri::parse(route.uri).ok());
        let hash = |uri| hash_of_target(&self.settings.keys, call, &uri);
        *to_far_side = done.far_side.is_some()
            || done.far_side_hash != 0 && target.is_some_and(|uri| hash(uri) == done.far_side_hash);
    }

    /// A `maddr` that names us goes, with the port and transport that came with it, if the request came in that
    /// way. Any other stays: it is where the request is to go.
    #[cold]
    fn take_maddr<'m>(&self, source: &Endpoint, maddr: &Host<'_>, done: &mut Preprocessed<'m>, text: &'m mut UriText) {
        let uri = done.uri;
        let (port, transport) = (uri.effective_port(), uri.transport().unwrap_or(Transport::Udp));
        let came_that_way = self
            .settings
            .listener(source.listener)
            .is_some_and(|listener| listener.address.port() == port && listener.transport == transport);
        if !came_that_way || !self.names_us(source, maddr, Some(port)) {
            return;
        }
        let room = text.0.insert([0; limits::URI_BYTES_MAX]);
        let mut writer = Writer::new(room);
        write_without_maddr(&uri, &mut writer);
        let Ok(length) = writer.finish() else { return };
        let written: &'m [u8] = room.get(..length).unwrap_or_default();
        if let Ok(uri) = Uri::parse(written) {
            done.request_uri = written;
            done.uri = uri;
        }
    }
}

impl<'m> Preprocessed<'m> {
    /// Before any Route is looked at. `None`: the Request-URI cannot be read.
    #[inline(always)]
    pub(super) fn begun(keys: &Keys, message: &Message<'m>) -> Option<Preprocessed<'m>> {
        Some(Preprocessed {
            request_uri: message.request_uri(),
            uri: message.parsed_request_uri().ok()?,
            removals: [None; 3],
            next_route: None,
            proof: Proof::None,
            call: CallHash::of(keys, message.call_id()),
            seal: keys.seal(message.call_id(), message.from_tag()),
            far_side_hash: 0,
            far_side: None,
            leaves_by: None,
            to_us: false,
            other_party: None,
        })
    }

    /// Notes what a token proves; whether it is the first to do so.
    fn note_proof(&mut self, token: &RouteToken, from_initiator: bool) -> bool {
        if self.proof != Proof::None {
            return false;
        }
        self.proof = Proof::Token { from_initiator, to_far_side: false };
        if token.to_responder == from_initiator {
            self.far_side_hash = token.far_side;
        }
        true
    }
}

/// The URI without `maddr`, and without a port or transport other than the default.
fn write_without_maddr(uri: &Uri<'_>, out: &mut Writer<'_>) {
    let before_host = uri.bytes().get(..usize::from(uri.host_port_span.start)).unwrap_or_default();
    out.put(before_host);
    out.put(uri.host_bytes);
    if uri.port == Some(Transport::Udp.default_port()) {
        out.byte(b':');
        out.decimal(u64::from(Transport::Udp.default_port()));
    }
    for parameter in uri.params.split(|&octet| octet == b';') {
        let name = parameter.split(|&octet| octet == b'=').next().unwrap_or_default();
        if !name.eq_ignore_ascii_case(b"maddr") && !name.eq_ignore_ascii_case(b"transport") {
            out.byte(b';');
            out.put(parameter);
        }
    }
}
