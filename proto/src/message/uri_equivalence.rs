//! Whether two URIs mean the same (RFC 3261 §19.1.4, RFC 5954 for IPv6, RFC 3966 §5 for `tel:`).

use super::escape::unescaped;
use super::uri::{Scheme, Uri};

/// See [`Uri::equivalent`].
pub(super) fn equivalent(one: &Uri<'_>, two: &Uri<'_>) -> bool {
    if one.scheme != two.scheme {
        return false;
    }
    match one.scheme {
        Scheme::Sip | Scheme::Sips => {
            same_optional(one.user, two.user)
                && same_optional(one.password, two.password)
                && one.host.eq_ignore_case(&two.host)
                && one.port == two.port
                && DECISIVE.iter().all(|name| one.param(name).is_some() == two.param(name).is_some())
                && shared_parameters_match(one, two)
                && same_headers(one.headers, two.headers)
        }
        Scheme::Tel => {
            digits(one.user_without_params()).eq(digits(two.user_without_params()))
                && all_parameters_in(one, two)
                && all_parameters_in(two, one)
        }
        Scheme::Other => one.bytes() == two.bytes(),
    }
}

/// Parameters that never match their own absence.
const DECISIVE: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];

/// Characters that an escape does not stand for: they mean something where they are (RFC 3261 §25.1).
const RESERVED: &[u8] = b";/?:@&=+$,";

/// Case-sensitive; a character outside the reserved set is its own escape.
fn same_text(one: &[u8], two: &[u8]) -> bool {
    let key = |octets| unescaped(octets).map(|text| (text.octet, text.was_escaped && RESERVED.contains(&text.octet)));
    key(one).eq(key(two))
}

/// The same in any case.
fn same_text_ignoring_case(one: &[u8], two: &[u8]) -> bool {
    let key = |octets| {
        unescaped(octets)
            .map(|text| (text.octet.to_ascii_lowercase(), text.was_escaped && RESERVED.contains(&text.octet)))
    };
    key(one).eq(key(two))
}

fn same_optional(one: Option<&[u8]>, two: Option<&[u8]>) -> bool {
    match (one, two) {
        (None, None) => true,
        (Some(one), Some(two)) => same_text(one, two),
        _ => false,
    }
}

/// A parameter must not stand there twice (RFC 3261 §19.1.1); where it does, the first counts, as for
/// [`Uri::param`].
fn shared_parameters_match(one: &Uri<'_>, two: &Uri<'_>) -> bool {
    one.parameters().all(|(name, _)| match (first(one, name), first(two, name)) {
        (Some(one), Some(two)) => same_text_ignoring_case(one, two),
        _ => true,
    })
}

fn first<'m>(uri: &Uri<'m>, name: &[u8]) -> Option<&'m [u8]> {
    let found = uri.parameters().find(|(other, _)| same_text_ignoring_case(name, other));
    found.map(|(_, value)| value)
}

/// Headers in any order, but none may be missing.
fn same_headers(one: &[u8], two: &[u8]) -> bool {
    let headers = |text: &'_ [u8]| text.split(|&octet| octet == b'&').filter(|header| !header.is_empty()).count();
    let contained = |one: &[u8], two: &[u8]| {
        one.split(|&octet| octet == b'&')
            .all(|header| two.split(|&octet| octet == b'&').any(|other| same_header(header, other)))
    };
    headers(one) == headers(two) && contained(one, two) && contained(two, one)
}

fn same_header(one: &[u8], two: &[u8]) -> bool {
    let equals = |header: &[u8]| header.iter().position(|&octet| octet == b'=').unwrap_or(header.len());
    let (one_name, one_value) = one.split_at_checked(equals(one)).unwrap_or_default();
    let (two_name, two_value) = two.split_at_checked(equals(two)).unwrap_or_default();
    same_text_ignoring_case(one_name, two_name) && same_text(one_value, two_value)
}

/// Digits without visual separators, in one case.
fn digits(number: &[u8]) -> impl Iterator<Item = u8> {
    number.iter().filter(|octet| !b"-.()".contains(octet)).map(u8::to_ascii_lowercase)
}

fn all_parameters_in(one: &Uri<'_>, two: &Uri<'_>) -> bool {
    one.parameters().all(|(name, value)| {
        two.parameters().any(|(other_name, other)| {
            same_text_ignoring_case(name, other_name) && same_text_ignoring_case(value, other)
        })
    })
}
