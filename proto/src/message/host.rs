//! Hosts: names, IPv4 addresses and IPv6 references (RFC 3261 §25.1, RFC 5118, RFC 5954).

use super::lex::{Cursor, HOST};
use super::span::Span;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host of a URI or of a sent-by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'m> {
    /// A domain name, as it stands there. Empty for schemes that have no host.
    Name(&'m [u8]),
    /// A dotted quad.
    V4(Ipv4Addr),
    /// An IPv6 address, whichever way it was written.
    V6(Ipv6Addr),
}

impl<'m> Host<'m> {
    /// Reads a host name, a dotted quad, or an IPv6 address in brackets. `None` if it is neither.
    pub fn parse(bytes: &'m [u8]) -> Option<Host<'m>> {
        match bytes {
            [b'[', address @ .., b']'] => ipv6(address).map(Host::V6),
            _ => name_or_ipv4(bytes),
        }
    }

    /// The same, and an IPv6 address without brackets too, as some write `received` (RFC 5118 §4.5).
    pub(super) fn parse_loosely(bytes: &'m [u8]) -> Option<Host<'m>> {
        Host::parse(bytes).or_else(|| ipv6(bytes).map(Host::V6))
    }

    /// The address, if it is one. An IPv4-mapped one counts as the IPv4 address in it, so that lists
    /// of addresses cannot be passed by another spelling (RFC 5118 §4.9).
    pub fn ip(&self) -> Option<IpAddr> {
        match *self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(address)),
            Host::V6(address) => Some(IpAddr::V6(address).to_canonical()),
        }
    }

    /// Whether both name the same host: addresses by value, names in any case.
    pub fn eq_ignore_case(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(one), Host::Name(two)) => one.eq_ignore_ascii_case(two),
            _ => self.ip().is_some() && self.ip() == other.ip(),
        }
    }
}

/// A host as offsets; small, since it is kept with what was read of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostPart {
    Name(Span),
    V4(Ipv4Addr),
    /// Where its text stands, from which it is read again: there are few.
    V6(Span),
}

impl HostPart {
    /// A host that was read at `span`.
    #[inline(always)]
    pub(super) fn new(host: Host<'_>, span: Span) -> HostPart {
        match host {
            Host::Name(_) => HostPart::Name(span),
            Host::V4(address) => HostPart::V4(address),
            Host::V6(_) => HostPart::V6(span),
        }
    }

    #[inline(always)]
    pub(super) fn of(self, bytes: &[u8]) -> Host<'_> {
        match self {
            HostPart::Name(span) => Host::Name(span.of(bytes)),
            HostPart::V4(address) => Host::V4(address),
            HostPart::V6(span) => again(span.of(bytes)),
        }
    }
}

/// An IPv6 address, which was read from this text before.
#[cold]
fn again(text: &[u8]) -> Host<'_> {
    Host::parse_loosely(text).unwrap_or(Host::Name(text))
}

/// Takes a host. `None` if there is none, or none that can be read.
#[inline]
pub(super) fn take_host<'m>(cursor: &mut Cursor<'m>) -> Option<Host<'m>> {
    if let Some((address, length)) = leading_ipv4(cursor.rest()) {
        cursor.take(length);
        return Some(Host::V4(address));
    }
    Host::parse(host_octets(cursor))
}

/// Takes the octets of a host: an IPv6 reference with its brackets, or name characters. Possibly none.
fn host_octets<'m>(cursor: &mut Cursor<'m>) -> &'m [u8] {
    let start = cursor.pos();
    if !cursor.eat(b'[') {
        return cursor.run(HOST);
    }
    while cursor.peek().is_some_and(|octet| octet.is_ascii_hexdigit() || octet == b':' || octet == b'.') {
        cursor.advance();
    }
    cursor.eat(b']');
    cursor.since(start)
}

fn name_or_ipv4(bytes: &[u8]) -> Option<Host<'_>> {
    if let Some((address, length)) = leading_ipv4(bytes)
        && length == bytes.len()
    {
        return Some(Host::V4(address));
    }
    // RFC 3261's toplabel starts with a letter: what has only digits and dots is an address or nothing.
    let is_number = |&octet: &u8| octet.is_ascii_digit() || octet == b'.';
    (HOST.has_all(bytes) && !bytes.iter().all(is_number)).then_some(Host::Name(bytes))
}

/// The dotted quad at the start of `octets`, with its length: four numbers up to 255 without leading zeros, which
/// some read as octal. `None` if what stands there goes on as a host name, or is no dotted quad.
#[inline]
pub(super) fn leading_ipv4(octets: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let digit = |at: usize| octets.get(at).map(|octet| octet.wrapping_sub(b'0')).filter(|&digit| digit < 10);
    let mut address = 0u32;
    let mut at = 0;
    for index in 0..4 {
        if index > 0 {
            if octets.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let mut part = u32::from(digit(at)?);
        at += 1;
        if part > 0
            && let Some(second) = digit(at)
        {
            part = part * 10 + u32::from(second);
            at += 1;
            if let Some(third) = digit(at) {
                part = part * 10 + u32::from(third);
                at += 1;
            }
        }
        if part > 255 {
            return None;
        }
        address = address << 8 | part;
    }
    octets.get(at).is_none_or(|&octet| !HOST.has(octet)).then(|| (Ipv4Addr::from_bits(address), at))
}

/// Longest text of an IPv6 address, `0000:...:255.255.255.255`, and one colon too many.
const IPV6_TEXT_MAX: usize = 46;

/// Reads an IPv6 address; three colons count as two (RFC 5118 §4.10: tolerate the old grammar's bug).
fn ipv6(bytes: &[u8]) -> Option<Ipv6Addr> {
    if bytes.len() > IPV6_TEXT_MAX {
        return None;
    }
    let text = core::str::from_utf8(bytes).ok()?;
    let Some(triple) = text.find(":::") else {
        return text.parse().ok();
    };
    let mut repaired = [0u8; IPV6_TEXT_MAX];
    let (before, after) = bytes.split_at_checked(triple)?;
    let after = after.get(1..)?;
    repaired.get_mut(..before.len())?.copy_from_slice(before);
    repaired.get_mut(before.len()..before.len() + after.len())?.copy_from_slice(after);
    core::str::from_utf8(repaired.get(..bytes.len() - 1)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        let v6 = |text: &str| text.parse().ok().map(Host::V6);
        assert_eq!(Host::parse(b"a-b.Example.com"), Some(Host::Name(b"a-b.Example.com")));
        assert_eq!(Host::parse(b"sip_1.example"), Some(Host::Name(b"sip_1.example")));
        assert_eq!(Host::parse(b"192.0.2.1"), Some(Host::V4([192, 0, 2, 1].into())));
        assert_eq!(Host::parse(b"[2001:db8::1]"), v6("2001:db8::1"));
        assert_eq!(Host::parse(b"[2001:db8:::192.0.2.1]"), v6("2001:db8::192.0.2.1"));
        assert_eq!(Host::parse_loosely(b"2001:db8::1"), v6("2001:db8::1"));
        for refused in [
            "",
            "[",
            "[]",
            "[1.2.3.4]",
            "[::1",
            "::1",
            "192.0.2.256",
            "192.0.2",
            "1",
            "192.0.2.01",
            "192.0.2.1.",
            "1.2.3.4.5",
            "1..2.3",
            ".",
            "999.0.0.1",
            "a b",
            "[::::1]",
            "[fe80::1%1]",
        ] {
            assert_eq!(Host::parse(refused.as_bytes()), None, "{refused}");
        }
    }

    #[test]
    fn one_address_has_many_spellings() {
        let same = |one: &[u8], two: &[u8]| {
            Host::parse(one).zip(Host::parse(two)).is_some_and(|(one, two)| one.eq_ignore_case(&two))
        };
        assert!(same(b"[::ffff:192.0.2.1]", b"192.0.2.1"));
        assert!(same(b"[2001:DB8:0:0::1]", b"[2001:db8::1]"));
        assert!(same(b"Example.COM", b"example.com"));
        assert!(!same(b"example.com", b"example.org"));
        assert!(!same(b"192.0.2.1", b"example.org"));
    }
}
