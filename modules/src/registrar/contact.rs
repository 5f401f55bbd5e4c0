//! The Contacts of a REGISTER, read whole before anything is done (RFC 3261 §10.3 items 6 and 7, RFC 5626 §6).

use crate::reason::Reason;
use crate::tables::Expires;
use limits::registrar::{CONTACT_BYTES_MAX, INSTANCE_BYTES_MAX, PATH_BYTES_MAX};
use proto::message::{HeaderName, Message, Method, NameAddr, Scheme, Uri};

/// What one Contact wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'m> {
    pub(super) uri: Uri<'m>,
    /// Seconds; 0: gone.
    pub(super) expires: u32,
    /// Thousandths.
    pub(super) q: u16,
    pub(super) methods: u16,
    pub(super) instance: &'m [u8],
    pub(super) reg_id: u32,
}

/// All that a REGISTER wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Contacts {
    /// Nothing: tell me my bindings (§10.2.3).
    None,
    /// `*` with Expires 0: all of them gone (§10.2.2).
    All,
    /// Those in the list.
    Listed,
}

/// Contacts in their order.
pub(super) type List<'m> = [Option<Wanted<'m>>; limits::CONTACTS_MAX];

/// The longest that is granted to nobody asks: more counts as this (RFC 3261 §20.19).
const SECONDS_MAX: u32 = u32::MAX / 2;

/// Reads them into `list`, which is empty. `outbound`: `reg-id` counts.
///
/// # Errors
/// Why the request is refused as a whole.
pub(super) fn read<'m>(
    message: &Message<'m>,
    expires: &Expires,
    outbound: bool,
    list: &mut List<'m>,
) -> Result<Contacts, Reason> {
    let of_header = message.value(HeaderName::Expires).map(|text| seconds(text).unwrap_or(expires.default));
    let (mut count, mut star, mut with_reg_id, mut staying) = (0, false, false, 0);
    for contact in message.name_addrs(HeaderName::Contact) {
        let contact = contact.map_err(|_| Reason::ContactMalformed)?;
        if contact.uri == b"*" {
            star = true;
        }
        let room = list.get_mut(count).ok_or(Reason::ContactsTooMany)?;
        count += 1;
        if !star {
            let wanted = wanted(&contact, of_header, expires, outbound)?;
            with_reg_id |= wanted.reg_id != 0;
            staying += usize::from(wanted.expires > 0);
            *room = Some(wanted);
        }
    }
    match (star, count) {
        (true, 1) if of_header == Some(0) => Ok(Contacts::All),
        (true, _) => Err(Reason::ContactStar),
        (false, 0) => Ok(Contacts::None),
        // RFC 5626 §6: one flow at a time.
        (false, _) if with_reg_id && staying > 1 => Err(Reason::ContactFlows),
        (false, _) => Ok(Contacts::Listed),
    }
}

fn wanted<'m>(
    contact: &NameAddr<'m>,
    of_header: Option<u32>,
    expires: &Expires,
    outbound: bool,
) -> Result<Wanted<'m>, Reason> {
    let uri = Uri::parse(contact.uri).map_err(|_| Reason::ContactMalformed)?;
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) || contact.uri.len() > CONTACT_BYTES_MAX {
        return Err(Reason::ContactMalformed);
    }
    // §10.3 item 7: what cannot be read counts as the default.
    let own = contact.param(b"expires").map(|text| seconds(text).unwrap_or(expires.default));
    let asked = own.or(of_header).unwrap_or(expires.default);
    if asked > 0 && asked < expires.min {
        return Err(Reason::ExpiresTooBrief);
    }
    let instance = contact.param(b"+sip.instance").map_or(&b""[..], unquoted);
    let reg_id = contact.param(b"reg-id").and_then(seconds).unwrap_or(0);
    Ok(Wanted {
        uri,
        expires: asked.min(expires.max),
        q: contact.param(b"q").map_or(1_000, thousandths),
        methods: contact.param(b"methods").map_or(0, |list| methods(unquoted(list).split(|&byte| byte == b','))),
        instance: if instance.len() <= INSTANCE_BYTES_MAX { instance } else { b"" },
        // RFC 5626 §6: one without an instance is ignored.
        reg_id: if outbound && !instance.is_empty() { reg_id } else { 0 },
    })
}

/// One bit for each method that we know; the Allow header says the same.
pub(super) fn methods<'m>(names: impl Iterator<Item = &'m [u8]>) -> u16 {
    names.fold(0, |bits, name| match Method::of(name.trim_ascii()) {
        Method::Other => bits,
        method => bits | 1 << method as u8,
    })
}

/// The Path of the request into `out`, its values separated by commas (RFC 3327 §5.3).
pub(super) fn path(message: &Message<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
    out.clear();
    if message.field(HeaderName::Path).is_none() {
        return Ok(());
    }
    for value in message.name_addrs(HeaderName::Path) {
        let value = value.map_err(|_| Reason::PathMalformed)?;
        let text = value.value.of(message.bytes());
        if !out.is_empty() {
            out.push(b',');
        }
        if Uri::parse(value.uri).is_err() || !value.bracketed || out.len() + text.len() > PATH_BYTES_MAX {
            return Err(Reason::PathMalformed);
        }
        out.extend_from_slice(text);
    }
    Ok(())
}

/// RFC 5626 §6: whether outbound processing may be done: the phone is our neighbour, or its edge said `ob`.
pub(super) fn is_outbound(message: &Message<'_>) -> bool {
    if is_direct(message) {
        return true;
    }
    let first = message.name_addrs(HeaderName::Path).next().and_then(Result::ok);
    first.and_then(|value| Uri::parse(value.uri).ok()?.param(b"ob")).is_some()
}

/// Whether nobody stood between us and the phone.
pub(super) fn is_direct(message: &Message<'_>) -> bool {
    !message.is_repeated(HeaderName::Via) && message.vias().nth(1).is_none()
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text)
}

/// Delta seconds; more than can be meant is the most.
pub(super) fn seconds(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = || text.iter().try_fold(0u32, |sum, digit| sum.checked_mul(10)?.checked_add(u32::from(digit - b'0')));
    digits.then(|| number().unwrap_or(SECONDS_MAX).min(SECONDS_MAX))
}

/// `0`, `0.5`, `1.000` (RFC 3261 §25.1, qvalue); what is none counts as 1.
fn thousandths(text: &[u8]) -> u16 {
    let (whole, part) = match text.iter().position(|&byte| byte == b'.') {
        Some(dot) => (text.get(..dot).unwrap_or_default(), text.get(dot + 1..).unwrap_or_default()),
        None => (text, &b""[..]),
    };
    if whole == b"1" || whole != b"0" && !whole.is_empty() || part.len() > 3 || !part.iter().all(u8::is_ascii_digit) {
        return 1_000;
    }
    let padded = part.iter().copied().chain(std::iter::repeat(b'0')).take(3);
    padded.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_are_read_as_they_are_written() {
        for (text, q) in [
            ("1", 1_000),
            ("1.0", 1_000),
            ("0.7", 700),
            ("0.05", 50),
            (".5", 500),
            ("0", 0),
            ("x", 1_000),
            ("0.1234", 1_000),
        ] {
            assert_eq!(thousandths(text.as_bytes()), q, "{text}");
        }
    }

    #[test]
    fn seconds_are_bounded_and_words_are_none() {
        assert_eq!((seconds(b"3600"), seconds(b"0"), seconds(b"-1"), seconds(b"")), (Some(3_600), Some(0), None, None));
        assert_eq!(seconds(b"99999999999999999999"), Some(SECONDS_MAX));
    }

    #[test]
    fn methods_are_bits() {
        let bits = methods(b"INVITE, BYE,FOO".split(|&byte| byte == b','));
        assert_eq!(bits, 1 << Method::Invite as u8 | 1 << Method::Bye as u8);
    }
}
