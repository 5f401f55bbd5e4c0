//! Header names known by number, compact forms folded in (RFC 3261 §7.3.3 and §20).
//!
//! A name is looked up by its length and its first eight octets in one table; longer names are
//! compared by their last eight octets too. `parse` asks once a header line.

/// A header name. What is not listed is [`HeaderName::Other`] and keeps its bytes in the message
/// ([`Message::named`](super::Message::named) finds it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the headers")]
pub enum HeaderName {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    MaxForwards,
    Route,
    RecordRoute,
    ContentLength,
    ContentType,
    Require,
    ProxyRequire,
    Supported,
    Unsupported,
    Expires,
    MinExpires,
    Authorization,
    ProxyAuthorization,
    WwwAuthenticate,
    ProxyAuthenticate,
    Reason,
    RetryAfter,
    Allow,
    Event,
    SubscriptionState,
    UserAgent,
    Server,
    Path,
    ServiceRoute,
    PAssertedIdentity,
    PPreferredIdentity,
    Privacy,
    Identity,
    SessionExpires,
    MinSe,
    RSeq,
    RAck,
    ReferTo,
    ReferredBy,
    Replaces,
    Date,
    MaxBreadth,
    Timestamp,
    Warning,
    Accept,
    ContentEncoding,
    Organization,
    Subject,
    /// Any other token.
    Other,
}

impl HeaderName {
    /// Number of variants, for tables indexed by header.
    pub const COUNT: usize = HeaderName::Other as usize + 1;

    /// The header of that name, in any case, compact or not.
    pub fn of(name: &[u8]) -> HeaderName {
        if name.iter().any(|&octet| octet <= b' ') {
            return HeaderName::Other;
        }
        lookup(name)
    }

    /// Its name as RFC 3261 writes it; `Other` for [`HeaderName::Other`], whose bytes only the message
    /// has.
    pub fn as_str(self) -> &'static str {
        KNOWN.iter().find(|(name, ..)| *name == self).map_or("Other", |(_, long, _)| long)
    }
}

/// Each known name and its compact form (`\0`: none).
const KNOWN: [(HeaderName, &str, u8); HeaderName::COUNT - 1] = [
    (HeaderName::Via, "Via", b'v'),
    (HeaderName::From, "From", b'f'),
    (HeaderName::To, "To", b't'),
    (HeaderName::CallId, "Call-ID", b'i'),
    (HeaderName::CSeq, "CSeq", 0),
    (HeaderName::Contact, "Contact", b'm'),
    (HeaderName::MaxForwards, "Max-Forwards", 0),
    (HeaderName::Route, "Route", 0),
    (HeaderName::RecordRoute, "Record-Route", 0),
    (HeaderName::ContentLength, "Content-Length", b'l'),
    (HeaderName::ContentType, "Content-Type", b'c'),
    (HeaderName::Require, "Require", 0),
    (HeaderName::ProxyRequire, "Proxy-Require", 0),
    (HeaderName::Supported, "Supported", b'k'),
    (HeaderName::Unsupported, "Unsupported", 0),
    (HeaderName::Expires, "Expires", 0),
    (HeaderName::MinExpires, "Min-Expires", 0),
    (HeaderName::Authorization, "Authorization", 0),
    (HeaderName::ProxyAuthorization, "Proxy-Authorization", 0),
    (HeaderName::WwwAuthenticate, "WWW-Authenticate", 0),
    (HeaderName::ProxyAuthenticate, "Proxy-Authenticate", 0),
    (HeaderName::Reason, "Reason", 0),
    (HeaderName::RetryAfter, "Retry-After", 0),
    (HeaderName::Allow, "Allow", 0),
    (HeaderName::Event, "Event", b'o'),
    (HeaderName::SubscriptionState, "Subscription-State", 0),
    (HeaderName::UserAgent, "User-Agent", 0),
    (HeaderName::Server, "Server", 0),
    (HeaderName::Path, "Path", 0),
    (HeaderName::ServiceRoute, "Service-Route", 0),
    (HeaderName::PAssertedIdentity, "P-Asserted-Identity", 0),
    (HeaderName::PPreferredIdentity, "P-Preferred-Identity", 0),
    (HeaderName::Privacy, "Privacy", 0),
    (HeaderName::Identity, "Identity", b'y'),
    (HeaderName::SessionExpires, "Session-Expires", b'x'),
    (HeaderName::MinSe, "Min-SE", 0),
    (HeaderName::RSeq, "RSeq", 0),
    (HeaderName::RAck, "RAck", 0),
    (HeaderName::ReferTo, "Refer-To", b'r'),
    (HeaderName::ReferredBy, "Referred-By", b'b'),
    (HeaderName::Replaces, "Replaces", 0),
    (HeaderName::Date, "Date", 0),
    (HeaderName::MaxBreadth, "Max-Breadth", 0),
    (HeaderName::Timestamp, "Timestamp", 0),
    (HeaderName::Warning, "Warning", 0),
    (HeaderName::Accept, "Accept", 0),
    (HeaderName::ContentEncoding, "Content-Encoding", b'e'),
    (HeaderName::Organization, "Organization", 0),
    (HeaderName::Subject, "Subject", b's'),
];

/// Sets bit 5 of each octet: letters become lower case.
///
/// WHY this is a safe comparison of names: among octets above the space only `@[\]^_` and their
/// partners `` `{|}~ `` DEL fall together besides letters, and no known name has one of those.
const FOLD: u128 = 0x2020_2020_2020_2020_2020_2020_2020_2020;

/// The first eight octets of `name`, the first in the lowest byte; zeros after its end.
pub(super) const fn start_of(name: &[u8]) -> u64 {
    let mut word = 0;
    let mut i = 0;
    while i < name.len() && i < 8 {
        word |= (name[i] as u64) << (8 * i);
        i += 1;
    }
    word
}

/// The first sixteen octets of `name`, the first in the lowest byte; zeros after its end.
const fn first_sixteen(name: &[u8]) -> u128 {
    let mut word = 0;
    let mut i = 0;
    while i < name.len() && i < 16 {
        word |= (name[i] as u128) << (8 * i);
        i += 1;
    }
    word
}

/// The header of that name.
///
/// INVARIANT: `name` holds no octet below the space.
pub(super) fn lookup(name: &[u8]) -> HeaderName {
    let entry = entry(first_sixteen(name), name.len());
    let is_rest = name.len() <= 16 || name.eq_ignore_ascii_case(entry.text);
    if entry.is(first_sixteen(name), name.len()) && is_rest { entry.name } else { HeaderName::Other }
}

/// The header whose name is the first `length` octets of `line`, at most sixteen.
///
/// INVARIANT: they hold no octet below the space.
#[inline(always)]
pub(super) fn lookup_short(line: &[u8; 16], length: usize) -> HeaderName {
    /// All bits of so many octets.
    const OCTETS: [u128; 17] = {
        let mut masks = [u128::MAX; 17];
        let mut count = 0;
        while count < 16 {
            masks[count] = (1 << (8 * count)) - 1;
            count += 1;
        }
        masks
    };
    let name = u128::from_le_bytes(*line) & OCTETS[length];
    let entry = entry(name, length);
    if entry.is(name, length) { entry.name } else { HeaderName::Other }
}

/// The only entry that a name could be.
#[inline(always)]
fn entry(start: u128, length: usize) -> &'static Entry {
    // What the fold makes of the zeros after the end is the same here and in the table.
    &TABLE[slot(start | FOLD, length)]
}

struct Entry {
    /// [`first_sixteen`], folded.
    start: u128,
    length: u8,
    name: HeaderName,
    /// Of names longer than sixteen octets: all of it.
    text: &'static [u8],
}

impl Entry {
    /// Whether a name of that start and length can be this one; up to sixteen octets it is.
    #[inline(always)]
    fn is(&self, start: u128, length: usize) -> bool {
        self.start == start | FOLD && usize::from(self.length) == length
    }
}

const SLOTS: usize = 256;

/// Spreads the names above over the table without a collision; `table` proves it at compile time.
/// When a name is added and the build fails here, try other odd numbers.
const MULTIPLIER: u64 = 0x8436_2e5f_1726_76b3;

static TABLE: [Entry; SLOTS] = table();

const fn slot(start: u128, length: usize) -> usize {
    ((start as u64 ^ length as u64).wrapping_mul(MULTIPLIER) >> 56) as usize
}

const fn table() -> [Entry; SLOTS] {
    let mut table = [const { Entry { start: 0, length: 0, name: HeaderName::Other, text: b"" } }; SLOTS];
    let mut i = 0;
    while i < KNOWN.len() {
        let (name, long, compact) = KNOWN[i];
        add(&mut table, name, first_sixteen(long.as_bytes()), long.len(), long.as_bytes());
        if compact != 0 {
            add(&mut table, name, compact as u128, 1, b"");
        }
        i += 1;
    }
    table
}

const fn add(table: &mut [Entry; SLOTS], name: HeaderName, start: u128, length: usize, text: &'static [u8]) {
    let start = start | FOLD;
    let entry = &mut table[slot(start, length)];
    assert!(entry.length == 0, "two header names in one slot: choose another MULTIPLIER");
    *entry = Entry { start, length: length as u8, name, text };
}

const _: () = assert!(HeaderName::COUNT <= 64, "repeated headers are one bit each of a u64");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for (index, (name, long, compact)) in KNOWN.into_iter().enumerate() {
            assert_eq!(name as usize, index, "{long}: the list is in the order of the enum");
            assert_eq!(HeaderName::of(long.as_bytes()), name, "{long}");
            assert_eq!(HeaderName::of(long.to_ascii_uppercase().as_bytes()), name, "{long}");
            assert_eq!(HeaderName::of(long.to_ascii_lowercase().as_bytes()), name, "{long}");
            assert_eq!(name.as_str(), long);
            if compact != 0 {
                assert_eq!(HeaderName::of(&[compact]), name, "{long}");
                assert_eq!(HeaderName::of(&[compact.to_ascii_uppercase()]), name, "{long}");
            }
        }
    }

    #[test]
    fn near_names_are_other() {
        for near in [
            "",
            "Call\rID",
            "To ",
            "V1a",
            "Vi",
            "Viaa",
            "Call_ID",
            "Contact-Length",
            "Content-Lengtj",
            "Content-Lengthh",
            "z",
            "C%6Fntact",
        ] {
            assert_eq!(HeaderName::of(near.as_bytes()), HeaderName::Other, "{near}");
        }
    }
}
