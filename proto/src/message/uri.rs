//! URIs: `sip:`, `sips:`, `tel:`, and any other scheme as an opaque text (RFC 3261 §19.1, RFC 3966).

use super::error::UriError;
use super::escape::{has_sound_escapes, unescaped_eq_ignore_case};
use super::host::{Host, HostPart, leading_ipv4};
use super::lex::{HOST, PASSWORD, PHONE, SCHEME, URI_HEADER, URI_PARAMETER, USER};
use super::scan::position_of;
use super::span::{Span, narrow};
use super::text::URI_TEXT;
use super::transport::Transport;
use super::via::leading_port;

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
    bytes: &'m [u8],
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
}

/// A URI without password and headers, as offsets in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct UriParts {
    scheme: Scheme,
    user: Option<Span>,
    host: HostPart,
    host_span: Span,
    port: Option<u16>,
    params: Span,
    host_port_span: Span,
}

impl UriParts {
    /// The URI that stands in `bytes` alone.
    pub(super) fn of<'m>(&self, bytes: &'m [u8]) -> Uri<'m> {
        Uri {
            bytes,
            scheme: self.scheme,
            user: self.user.map(|user| user.of(bytes)),
            password: None,
            host: self.host.of(bytes),
            host_bytes: self.host_span.of(bytes),
            port: self.port,
            params: self.params.of(bytes),
            headers: b"",
            user_span: self.user.unwrap_or(Span::at(0)),
            host_port_span: self.host_port_span,
        }
    }
}

impl<'m> Uri<'m> {
    /// Reads a URI of at most [`limits::URI_BYTES_MAX`] octets, without angle brackets.
    ///
    /// # Errors
    /// It is not one by RFC 3261 or RFC 3966; a raw `#` in the user part and an underscore in a host
    /// name are let through.
    pub fn parse(bytes: &'m [u8]) -> Result<Uri<'m>, UriError> {
        if bytes.len() > limits::URI_BYTES_MAX {
            return Err(UriError::TooLong);
        }
        if let Some(rest) = bytes.strip_prefix(b"sip:") {
            return sip(Uri::blank(bytes, Scheme::Sip), rest, b"sip:".len());
        }
        let colon = bytes.iter().position(|&octet| !SCHEME.has(octet)).ok_or(UriError::Scheme)?;
        let (scheme, after) = bytes.split_at_checked(colon).unwrap_or_default();
        if after.first() != Some(&b':') || !scheme.first().is_some_and(u8::is_ascii_alphabetic) {
            return Err(UriError::Scheme);
        }
        let rest = after.get(1..).unwrap_or_default();
        let scheme = match scheme.len() {
            3 if scheme.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
            4 if scheme.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
            3 if scheme.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
            _ => Scheme::Other,
        };
        let blank = Uri::blank(bytes, scheme);
        match scheme {
            Scheme::Sip | Scheme::Sips => sip(blank, rest, colon + 1),
            Scheme::Tel => tel(blank, rest, colon + 1),
            Scheme::Other if rest.is_empty() => Err(UriError::Scheme),
            Scheme::Other if URI_TEXT.run_length(rest) == rest.len() => Ok(blank),
            Scheme::Other => Err(UriError::Octet),
        }
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
        self.param(b"lr").is_some()
    }

    /// The `transport` parameter.
    pub fn transport(&self) -> Option<Transport> {
        self.param(b"transport").map(Transport::of)
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

    /// The same as offsets; `None` for one with a password or headers, which hardly any has.
    pub(super) fn parts(&self) -> Option<UriParts> {
        if self.password.is_some() || !self.headers.is_empty() {
            return None;
        }
        let host_end = usize::from(self.host_port_span.start) + self.host_bytes.len();
        let host_span = Span { start: self.host_port_span.start, end: narrow(host_end) };
        Some(UriParts {
            scheme: self.scheme,
            user: self.user.map(|_| self.user_span),
            host: HostPart::new(self.host, host_span),
            host_span,
            port: self.port,
            params: Span::between(self.bytes.len() - self.params.len(), self.bytes.len()),
            host_port_span: self.host_port_span,
        })
    }

    fn blank(bytes: &'m [u8], scheme: Scheme) -> Uri<'m> {
        Uri {
            bytes,
            scheme,
            user: None,
            password: None,
            host: Host::Name(b""),
            host_bytes: b"",
            port: None,
            params: b"",
            headers: b"",
            user_span: Span::at(0),
            host_port_span: Span::at(0),
        }
    }
}

/// `[user[:password]@]host[:port][;parameters][?headers]`; `rest` stands at `offset` of the URI.
fn sip<'m>(mut uri: Uri<'m>, rest: &'m [u8], offset: usize) -> Result<Uri<'m>, UriError> {
    // The user part may hold `;` and `?`, the other parts no `@`: so `@` is looked for first.
    let plain_user = USER.run_length(rest);
    let mut after_user = 0;
    if rest.get(plain_user) == Some(&b'@') && plain_user > 0 {
        uri.user = rest.get(..plain_user);
        uri.user_span = Span::between(offset, offset + plain_user);
        after_user = plain_user + 1;
    } else if let Some(at) = position_of(rest, b'@') {
        userinfo(&mut uri, rest.get(..at).unwrap_or_default(), offset)?;
        after_user = at + 1;
    }
    let rest = rest.get(after_user..).unwrap_or_default();
    let offset = offset + after_user;
    let ipv4 = leading_ipv4(rest);
    let host_len = match (ipv4, rest.first()) {
        (Some((_, length)), _) => length,
        (None, Some(b'[')) => rest.iter().position(|&octet| octet == b']').ok_or(UriError::Host)? + 1,
        (None, _) => HOST.run_length(rest),
    };
    let (host, mut rest) = rest.split_at_checked(host_len).unwrap_or_default();
    uri.host_bytes = host;
    uri.host = match ipv4 {
        Some((address, _)) => Host::V4(address),
        None => Host::parse(host).ok_or(UriError::Host)?,
    };
    let mut host_port_len = host_len;
    if let Some(after_colon) = rest.strip_prefix(b":") {
        let (port, digits) = leading_port(after_colon).ok_or(UriError::Port)?;
        let after_port = after_colon.get(digits..).unwrap_or_default();
        uri.port = Some(port);
        host_port_len += 1 + digits;
        rest = after_port;
    }
    uri.host_port_span = Span::between(offset, offset + host_port_len);
    if rest.is_empty() {
        return Ok(uri);
    }
    params_and_headers(uri, rest).map_err(|error| match error {
        _ if rest.contains(&b'@') && uri.user.is_some() => UriError::TwoAts,
        error => error,
    })
}

/// `user[:password]`.
fn userinfo<'m>(uri: &mut Uri<'m>, userinfo: &'m [u8], offset: usize) -> Result<(), UriError> {
    let colon = userinfo.iter().position(|&octet| octet == b':').unwrap_or(userinfo.len());
    let (user, password) = userinfo.split_at_checked(colon).unwrap_or_default();
    if user.is_empty() || !has_sound_escapes(user, USER) {
        return Err(UriError::User);
    }
    if let Some(password) = password.strip_prefix(b":") {
        if !has_sound_escapes(password, PASSWORD) {
            return Err(UriError::User);
        }
        uri.password = Some(password);
    }
    uri.user = Some(user);
    uri.user_span = Span::between(offset, offset + user.len());
    Ok(())
}

/// What follows host and port.
fn params_and_headers<'m>(mut uri: Uri<'m>, rest: &'m [u8]) -> Result<Uri<'m>, UriError> {
    let question = position_of(rest, b'?').unwrap_or(rest.len());
    let (params, headers) = rest.split_at_checked(question).unwrap_or_default();
    if !params.is_empty() {
        uri.params = params.strip_prefix(b";").ok_or(UriError::Host)?;
        check_parameters(uri.params)?;
    }
    if let Some(headers) = headers.strip_prefix(b"?") {
        if headers.is_empty() || !has_sound_escapes(headers, URI_HEADER) {
            return Err(UriError::Headers);
        }
        uri.headers = headers;
    }
    Ok(uri)
}

/// `pname [= pvalue] *(; pname [= pvalue])`.
fn check_parameters(params: &[u8]) -> Result<(), UriError> {
    let mut rest = params;
    loop {
        rest = paramchars(rest).filter(|after| after.len() < rest.len()).ok_or(UriError::Parameter)?;
        if let Some(value) = rest.strip_prefix(b"=") {
            rest = paramchars(value).ok_or(UriError::Parameter)?;
        }
        match rest {
            [] => return Ok(()),
            [b';', next @ ..] => rest = next,
            _ => return Err(UriError::Parameter),
        }
    }
}

/// What follows `*paramchar`; `None` if one of its escapes is broken.
fn paramchars(octets: &[u8]) -> Option<&[u8]> {
    let mut rest = octets;
    loop {
        rest = rest.get(URI_PARAMETER.run_length(rest)..)?;
        rest = match rest {
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            [b'%', ..] => return None,
            _ => return Some(rest),
        };
    }
}

/// `tel:+1-201-555-0123;phone-context=x` (RFC 3966 §3).
fn tel<'m>(mut uri: Uri<'m>, rest: &'m [u8], offset: usize) -> Result<Uri<'m>, UriError> {
    let semicolon = rest.iter().position(|&octet| octet == b';').unwrap_or(rest.len());
    let (number, params) = rest.split_at_checked(semicolon).unwrap_or_default();
    let local = number.strip_prefix(b"+").unwrap_or(number);
    let has_digit = local.iter().any(|octet| octet.is_ascii_hexdigit() || matches!(octet, b'*' | b'#'));
    if !has_digit || !PHONE.has_all(local) {
        return Err(UriError::Number);
    }
    uri.user = Some(number);
    uri.user_span = Span::between(offset, offset + number.len());
    if let Some(params) = params.strip_prefix(b";") {
        check_parameters(params)?;
        uri.params = params;
    }
    Ok(uri)
}
