//! `%HH` escapes of URIs (RFC 3261 §25.1): checked, and undone while comparing, never in place and
//! never twice.

use super::lex::Class;
use super::writer::Writer;

/// Whether all octets are in `class` or are whole escapes.
pub(super) fn has_sound_escapes(octets: &[u8], class: Class) -> bool {
    let mut rest = octets;
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            (b'%', _) => return false,
            (octet, after) if class.has(*octet) => after,
            _ => return false,
        };
    }
    true
}

/// One octet of a URI's text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Unescaped {
    pub(super) octet: u8,
    pub(super) was_escaped: bool,
}

/// The octets with whole escapes undone.
pub(super) fn unescaped(octets: &[u8]) -> impl Iterator<Item = Unescaped> {
    let mut rest = octets;
    core::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        if let (b'%', [high, low, after @ ..]) = (first, after)
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            rest = after;
            return Some(Unescaped { octet: high << 4 | low, was_escaped: true });
        }
        rest = after;
        Some(Unescaped { octet: *first, was_escaped: false })
    })
}

/// The octets with whole escapes undone, written into `room` if there are any. `None`: they do not fit.
pub fn unescaped_text<'t>(octets: &'t [u8], room: &'t mut [u8]) -> Option<&'t [u8]> {
    if !octets.contains(&b'%') {
        return Some(octets);
    }
    let mut length = 0;
    for one in unescaped(octets) {
        *room.get_mut(length)? = one.octet;
        length += 1;
    }
    room.get(..length)
}

/// Writes the octets with whole escapes undone.
pub(crate) fn unescape_into(octets: &[u8], out: &mut Writer<'_>) {
    unescaped(octets).for_each(|one| out.byte(one.octet));
}

/// Whether `escaped`, escapes undone, is `plain` in any case.
pub(super) fn unescaped_eq_ignore_case(escaped: &[u8], plain: &[u8]) -> bool {
    if !escaped.contains(&b'%') {
        return escaped.eq_ignore_ascii_case(plain);
    }
    unescaped(escaped).map(|one| one.octet.to_ascii_lowercase()).eq(plain.iter().map(u8::to_ascii_lowercase))
}

fn hex_digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
