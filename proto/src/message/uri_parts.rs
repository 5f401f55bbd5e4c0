//! A URI read into offsets (RFC 3261 §19.1.1, RFC 3966 §3). [`super::uri`] says what they mean.

use super::error::UriError;
use super::escape::has_sound_escapes;
use super::host::{Host, HostPart, leading_ipv4};
use super::lex::{HOST, PASSWORD, PHONE, SCHEME, URI_HEADER, URI_PARAMETER, USER};
use super::scan::position_of;
use super::span::{Span, narrow};
use super::text::URI_TEXT;
use super::uri::{Scheme, Uri};
use super::via::leading_port;

/// A URI as offsets in it; the fields are [`Uri`]'s.
#[derive(Clone, Copy, Debug)]
pub(super) struct UriParts {
    scheme: Scheme,
    user: Option<Span>,
    password: Option<Span>,
    host: HostPart,
    host_span: Span,
    port: Option<u16>,
    host_port_end: u16,
    params: Span,
    notes: Notes,
    pub(super) headers: Span,
}

/// What parameters a URI has, of those that are asked for in every message: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes(u8);

impl Notes {
    pub(super) const LR: Notes = Notes(1);
    pub(super) const TRANSPORT: Notes = Notes(2);
    pub(super) const MADDR: Notes = Notes(4);
    /// A name is written with escapes: it may be any.
    const ESCAPED: Notes = Notes(8);

    /// Whether that parameter may be there.
    #[inline(always)]
    pub(super) const fn may_have(self, parameter: Notes) -> bool {
        self.0 & (parameter.0 | Notes::ESCAPED.0) != 0
    }

    #[inline(always)]
    fn note(&mut self, name: &[u8]) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        self.0 |= match name.len() {
            2 if is(b"lr") => Notes::LR.0,
            9 if is(b"transport") => Notes::TRANSPORT.0,
            5 if is(b"maddr") => Notes::MADDR.0,
            _ => 0,
        };
    }
}

impl UriParts {
    /// The URI that stands in `bytes` alone.
    #[inline(always)]
    pub(super) fn of<'m>(&self, bytes: &'m [u8]) -> Uri<'m> {
        let user_span = self.user.unwrap_or(Span::at(0));
        Uri {
            bytes,
            scheme: self.scheme,
            user: self.user.map(|user| user.of(bytes)),
            password: self.password.map(|password| password.of(bytes)),
            host: self.host.of(bytes),
            host_bytes: self.host_span.of(bytes),
            port: self.port,
            params: self.params.of(bytes),
            headers: self.headers.of(bytes),
            user_span,
            host_port_span: Span { start: self.host_span.start, end: self.host_port_end },
            notes: self.notes,
        }
    }

    /// Reads a URI (see [`Uri::parse`]).
    pub(super) fn read(bytes: &[u8]) -> Result<UriParts, UriError> {
        if bytes.len() > limits::URI_BYTES_MAX {
            return Err(UriError::TooLong);
        }
        if bytes.starts_with(b"sip:") {
            return sip(bytes, Scheme::Sip, b"sip:".len());
        }
        let colon = bytes.iter().position(|&octet| !SCHEME.has(octet)).ok_or(UriError::Scheme)?;
        let (scheme, after) = bytes.split_at_checked(colon).unwrap_or_default();
        if after.first() != Some(&b':') || !scheme.first().is_some_and(u8::is_ascii_alphabetic) {
            return Err(UriError::Scheme);
        }
        let rest = after.get(1..).unwrap_or_default();
        match scheme.len() {
            3 if scheme.eq_ignore_ascii_case(b"sip") => sip(bytes, Scheme::Sip, colon + 1),
            4 if scheme.eq_ignore_ascii_case(b"sips") => sip(bytes, Scheme::Sips, colon + 1),
            3 if scheme.eq_ignore_ascii_case(b"tel") => tel(rest, colon + 1),
            _ if rest.is_empty() => Err(UriError::Scheme),
            _ if URI_TEXT.run_length(rest) == rest.len() => Ok(UriParts::without_host(Scheme::Other)),
            _ => Err(UriError::Octet),
        }
    }

    const fn without_host(scheme: Scheme) -> UriParts {
        UriParts {
            scheme,
            user: None,
            password: None,
            host: HostPart::Name(Span::at(0)),
            host_span: Span::at(0),
            port: None,
            host_port_end: 0,
            params: Span::at(0),
            notes: Notes(0),
            headers: Span::at(0),
        }
    }
}

/// `[user[:password]@]host[:port][;parameters][?headers]`, from offset `start` of the URI on.
fn sip(uri: &[u8], scheme: Scheme, start: usize) -> Result<UriParts, UriError> {
    let rest = uri.get(start..).unwrap_or_default();
    // The user part may hold `;` and `?`, the other parts no `@`: so `@` is looked for first.
    let plain_user = USER.run_length(rest);
    let (mut user, mut password) = (None, None);
    let mut host_start = start;
    if rest.get(plain_user) == Some(&b'@') && plain_user > 0 {
        user = Some(Span::between(start, start + plain_user));
        host_start = start + plain_user + 1;
    } else if let Some(at) = position_of(rest, b'@') {
        let (user_len, has_password) = userinfo(rest.get(..at).unwrap_or_default())?;
        user = Some(Span::between(start, start + user_len));
        password = has_password.then(|| Span::between(start + user_len + 1, start + at));
        host_start = start + at + 1;
    }
    let rest = uri.get(host_start..).unwrap_or_default();
    let (host, host_len) = host(rest, host_start)?;
    let host_end = host_start + host_len;
    let (mut port, mut host_port_end) = (None, host_end);
    if let Some(after_colon) = rest.get(host_len..).unwrap_or_default().strip_prefix(b":") {
        let (number, digits) = leading_port(after_colon).ok_or(UriError::Port)?;
        (port, host_port_end) = (Some(number), host_end + 1 + digits);
    }
    let end = Span::between(uri.len(), uri.len());
    let mut parts = UriParts {
        scheme,
        user,
        password,
        host,
        host_span: Span::between(host_start, host_end),
        port,
        host_port_end: narrow(host_port_end),
        params: end,
        notes: Notes(0),
        headers: end,
    };
    if host_port_end < uri.len() {
        let rest = uri.get(host_port_end..).unwrap_or_default();
        params_and_headers(&mut parts, rest, host_port_end).map_err(|error| match error {
            _ if rest.contains(&b'@') && user.is_some() => UriError::TwoAts,
            error => error,
        })?;
    }
    Ok(parts)
}

/// `user[:password]`: how long the user is, and whether there is a password.
#[cold]
fn userinfo(userinfo: &[u8]) -> Result<(usize, bool), UriError> {
    let colon = userinfo.iter().position(|&octet| octet == b':').unwrap_or(userinfo.len());
    let (user, password) = userinfo.split_at_checked(colon).unwrap_or_default();
    let password = password.strip_prefix(b":");
    let sound = !user.is_empty()
        && has_sound_escapes(user, USER)
        && password.is_none_or(|password| has_sound_escapes(password, PASSWORD));
    if sound { Ok((colon, password.is_some())) } else { Err(UriError::User) }
}

/// The host that `rest` begins with, which stands at offset `start` of the URI, and its length.
#[inline(always)]
fn host(rest: &[u8], start: usize) -> Result<(HostPart, usize), UriError> {
    if let Some((address, length)) = leading_ipv4(rest) {
        return Ok((HostPart::V4(address), length));
    }
    let length = match rest.first() {
        Some(b'[') => rest.iter().position(|&octet| octet == b']').ok_or(UriError::Host)? + 1,
        _ => HOST.run_length(rest),
    };
    let host = Host::parse(rest.get(..length).unwrap_or_default()).ok_or(UriError::Host)?;
    Ok((HostPart::new(host, Span::between(start, start + length)), length))
}

/// What follows host and port: `rest`, at offset `start` of the URI.
fn params_and_headers(parts: &mut UriParts, rest: &[u8], start: usize) -> Result<(), UriError> {
    let question = position_of(rest, b'?').unwrap_or(rest.len());
    let (params, headers) = rest.split_at_checked(question).unwrap_or_default();
    if !params.is_empty() {
        parts.notes = check_parameters(params.strip_prefix(b";").ok_or(UriError::Host)?)?;
        parts.params = Span::between(start + 1, start + question);
    }
    if let Some(headers) = headers.strip_prefix(b"?") {
        if headers.is_empty() || !has_sound_escapes(headers, URI_HEADER) {
            return Err(UriError::Headers);
        }
        parts.headers = Span::between(start + question + 1, start + rest.len());
    }
    Ok(())
}

/// `pname [= pvalue] *(; pname [= pvalue])`.
fn check_parameters(params: &[u8]) -> Result<Notes, UriError> {
    let mut notes = Notes(0);
    let mut rest = params;
    loop {
        let (length, escaped) = paramchars(rest).filter(|(length, _)| *length > 0).ok_or(UriError::Parameter)?;
        let (name, after) = rest.split_at_checked(length).unwrap_or_default();
        notes.note(name);
        if escaped {
            notes.0 |= Notes::ESCAPED.0;
        }
        rest = after;
        if let Some(value) = rest.strip_prefix(b"=") {
            let (length, _) = paramchars(value).ok_or(UriError::Parameter)?;
            rest = value.get(length..).unwrap_or_default();
        }
        match rest {
            [] => return Ok(notes),
            [b';', next @ ..] => rest = next,
            _ => return Err(UriError::Parameter),
        }
    }
}

/// How many octets of `*paramchar` there are, and whether escapes are among them; `None` if one is broken.
fn paramchars(octets: &[u8]) -> Option<(usize, bool)> {
    let length = URI_PARAMETER.run_length(octets);
    if octets.get(length) == Some(&b'%') { escaped_paramchars(octets, length) } else { Some((length, false)) }
}

/// The same where an escape stands at `at`.
#[cold]
fn escaped_paramchars(octets: &[u8], at: usize) -> Option<(usize, bool)> {
    let mut length = at;
    loop {
        match octets.get(length..).unwrap_or_default() {
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                length += 3 + URI_PARAMETER.run_length(after);
            }
            [b'%', ..] => return None,
            _ => return Some((length, true)),
        }
    }
}

/// `+1-201-555-0123;phone-context=x` (RFC 3966 §3), behind the scheme, which ends at `start`.
fn tel(rest: &[u8], start: usize) -> Result<UriParts, UriError> {
    let semicolon = rest.iter().position(|&octet| octet == b';').unwrap_or(rest.len());
    let (number, params) = rest.split_at_checked(semicolon).unwrap_or_default();
    let local = number.strip_prefix(b"+").unwrap_or(number);
    let has_digit = local.iter().any(|octet| octet.is_ascii_hexdigit() || matches!(octet, b'*' | b'#'));
    if !has_digit || !PHONE.has_all(local) {
        return Err(UriError::Number);
    }
    let mut parts = UriParts::without_host(Scheme::Tel);
    parts.user = Some(Span::between(start, start + semicolon));
    if let Some(params) = params.strip_prefix(b";") {
        parts.notes = check_parameters(params)?;
        parts.params = Span::between(start + semicolon + 1, start + rest.len());
    }
    Ok(parts)
}
