//! URIs: `sip:`, `sips:`, `tel:`, and any other scheme as an opaque text (RFC 3261 §19.1, RFC 3966).
//! They are taken apart in `uri_parts`.

use super::error::UriError;
use super::escape::unescaped_eq_ignore_case;
use super::host::Host;
use super::scan::position_of;
use super::span::Span;
use super::transport::Transport;
use super::uri_parts::{Notes, UriParts};

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else: nothing but the scheme is read, so that 416 can be said.
    Other,
}

/// A URI taken apart. Its parts are as they stand there, escapes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'m> {
    /// The whole URI.
    pub(super) bytes: &'m [u8],
    /// Its scheme.
    pub scheme: Scheme,
    /// The user with its parameters (`user;par=u`); the number of a `tel:`. `None` without `@`.
    pub user: Option<&'m [u8]>,
    /// The password, if there is one (deprecated, but legal).
    pub password: Option<&'m [u8]>,
    /// The host; an empty name for `tel:` and other schemes.
    pub host: Host<'m>,
    /// Its octets, brackets included.
    pub host_bytes: &'m [u8],
    /// The port, if there is one.
    pub port: Option<u16>,
    /// The parameters after the first semicolon, without it; empty if there are none.
    pub params: &'m [u8],
    /// What follows `?`; empty if there is nothing.
    pub headers: &'m [u8],
    /// Where the user stands (without password), as offsets in the URI.
    pub user_span: Span,
    /// Where host and port stand, as offsets in the URI.
    pub host_port_span: Span,
    /// Which parameters it has.
    pub(super) notes: Notes,
}

impl<'m> Uri<'m> {
    /// Reads a URI of at most [`limits::URI_BYTES_MAX`] octets, without angle brackets.
    ///
    /// # Errors
    /// It is not one by RFC 3261 or RFC 3966; a raw `#` in the user part and an underscore in a host
    /// name are let through.
    // WHY inlined: nobody looks at all of it, and what nobody looks at is not made.
    #[inline(always)]
    pub fn parse(bytes: &'m [u8]) -> Result<Uri<'m>, UriError> {
        UriParts::read(bytes).map(|parts| parts.of(bytes))
    }

    /// The URI as it stands there.
    pub fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// The parameter of that name (any case, escapes undone); `Some(b"")` if it has no value, `None` if
    /// it is not there.
    pub fn param(&self, name: &[u8]) -> Option<&'m [u8]> {
        self.parameters().find(|(known, _)| unescaped_eq_ignore_case(known, name)).map(|(_, value)| value)
    }

    /// Whether the `lr` parameter is there: a loose router (RFC 3261 §19.1.1).
    pub fn has_lr(&self) -> bool {
        self.notes.may_have(Notes::LR) && self.param(b"lr").is_some()
    }

    /// The `transport` parameter.
    pub fn transport(&self) -> Option<Transport> {
        if self.notes.may_have(Notes::TRANSPORT) { self.param(b"transport").map(Transport::of) } else { None }
    }

    /// The host in the `maddr` parameter: the next hop in place of the URI's own (RFC 3261 §19.1.1).
    pub fn maddr(&self) -> Option<Host<'m>> {
        if self.notes.may_have(Notes::MADDR) { self.param(b"maddr").and_then(Host::parse) } else { None }
    }

    /// The user up to its first semicolon: the telephone number of `+12125551212;phone-context=x`. For
    /// `tel:` the number. Empty if there is no user.
    pub fn user_without_params(&self) -> &'m [u8] {
        let user = self.user.unwrap_or_default();
        user.split(|&octet| octet == b';').next().unwrap_or_default()
    }

    /// The port, or the default of scheme and transport (RFC 3261 §19.1.2).
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or_else(|| match (self.scheme, self.transport()) {
            (_, Some(transport @ (Transport::Ws | Transport::Wss))) => transport.default_port(),
            (Scheme::Sips, _) => Transport::Tls.default_port(),
            (_, Some(transport)) => transport.default_port(),
            (_, None) => Transport::Udp.default_port(),
        })
    }

    /// Whether both mean the same by RFC 3261 §19.1.4 (RFC 3966 §5 for `tel:`, octet for octet for
    /// other schemes). Not transitive, says the RFC.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        super::uri_equivalence::equivalent(self, other)
    }

    /// Names and values of the parameters, in their order.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'m [u8], &'m [u8])> + use<'m> {
        let mut rest = self.params;
        core::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = position_of(rest, b';').unwrap_or(rest.len());
                let parameter = rest.get(..end).unwrap_or_default();
                rest = rest.get(end + 1..).unwrap_or_default();
                if !parameter.is_empty() {
                    return Some(parameter);
                }
            }
            None
        })
        .map(|parameter| {
            let equals = position_of(parameter, b'=').unwrap_or(parameter.len());
            (parameter.get(..equals).unwrap_or_default(), parameter.get(equals + 1..).unwrap_or_default())
        })
    }
}
