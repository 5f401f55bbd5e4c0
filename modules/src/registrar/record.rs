//! What is kept of an account and its bindings, as bytes: the same in memory and in the journal.
//!
//! | Account | | Binding | |
//! |---|---|---|---|
//! | length of all | 2 | length of all | 2 |
//! | domain | 2 | flags, listener | 2 |
//! | length of the user | 1 | expires, updated, CSeq, reg-id | 16 |
//! | bindings | 1 | q, methods, source's port | 6 |
//! | the user | | lengths of agent, instance | 2 |
//! | the bindings | | lengths of Contact, Path, Call-ID | 6 |
//! | | | source's address, flow, then the texts | |
//!
//! Numbers are little-endian. Times are seconds of the registrar's clock ([`super::clock`]).

use std::net::{IpAddr, SocketAddr};

/// Bytes of an account before its user.
pub(super) const ACCOUNT_HEAD: usize = 6;

const BINDING_HEAD: usize = 34;

/// Where a binding's flags stand. The upper half is `reachability`'s.
pub(super) const FLAGS_AT: usize = 2;

const V6: u8 = 1;
const FLOW: u8 = 2;
const GRUU: u8 = 4;
const DIRECT: u8 = 8;

/// One binding of an address of record (RFC 3261 §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'r> {
    /// The Contact URI, as it came.
    pub contact: &'r [u8],
    /// The Call-ID that registered it.
    pub call_id: &'r [u8],
    /// Its CSeq.
    pub cseq: u32,
    /// The User-Agent, cut to what is kept.
    pub agent: &'r [u8],
    /// `+sip.instance` without quotation marks (RFC 5626); empty: none.
    pub instance: &'r [u8],
    /// `reg-id` (RFC 5626); 0: none.
    pub reg_id: u32,
    /// Path values, as they came, separated by commas (RFC 3327); empty: none.
    pub path: &'r [u8],
    /// Where the REGISTER came from.
    pub source: SocketAddr,
    /// Which listener took it.
    pub listener: u8,
    /// Which connection; 0 over UDP.
    pub flow: u64,
    /// Second in which it ends.
    pub expires: u32,
    /// Second of its last refresh.
    pub updated: u32,
    /// Preference in thousandths.
    pub q: u16,
    /// Methods that it takes, one bit each (`method as u8`); 0: it did not say.
    pub methods: u16,
    /// The phone supports GRUU (RFC 5627).
    pub gruu: bool,
    /// The request came straight from the phone, with no proxy between.
    pub direct: bool,
}

impl<'r> Binding<'r> {
    /// Reads one binding; returns it and the bytes behind it. `None`: these are not the bytes of one.
    pub fn read(bytes: &'r [u8]) -> Option<(Binding<'r>, &'r [u8])> {
        let length = usize::from(u16::from_le_bytes(*bytes.first_chunk()?));
        let (all, rest) = bytes.split_at_checked(length)?;
        let (head, mut texts) = all.split_at_checked(BINDING_HEAD)?;
        let short = |at: usize| head.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
        let word = |at: usize| head.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let mut take = |length: usize| {
            let (text, rest) = texts.split_at_checked(length)?;
            texts = rest;
            Some(text)
        };
        let flags = *head.get(2)?;
        let ip: IpAddr = match flags & V6 {
            0 => IpAddr::from(*take(4)?.first_chunk::<4>()?),
            _ => IpAddr::from(*take(16)?.first_chunk::<16>()?),
        };
        let flow = if flags & FLOW == 0 { 0 } else { u64::from_le_bytes(*take(8)?.first_chunk()?) };
        let binding = Binding {
            contact: take(usize::from(short(28)?))?,
            call_id: take(usize::from(short(32)?))?,
            cseq: word(12)?,
            agent: take(usize::from(*head.get(26)?))?,
            instance: take(usize::from(*head.get(27)?))?,
            reg_id: word(16)?,
            path: take(usize::from(short(30)?))?,
            source: SocketAddr::new(ip, short(24)?),
            listener: *head.get(3)?,
            flow,
            expires: word(4)?,
            updated: word(8)?,
            q: short(20)?,
            methods: short(22)?,
            gruu: flags & GRUU != 0,
            direct: flags & DIRECT != 0,
        };
        texts.is_empty().then_some((binding, rest))
    }

    /// Appends it. INVARIANT: its texts are within the bounds of `limits`, so that their lengths fit.
    pub fn write(&self, out: &mut Vec<u8>) {
        let from = out.len();
        let ip = self.source.ip().to_canonical();
        let flags = [(ip.is_ipv6(), V6), (self.flow != 0, FLOW), (self.gruu, GRUU), (self.direct, DIRECT)];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |flags, (_, bit)| flags | bit);
        out.extend_from_slice(&[0, 0, flags, self.listener]);
        for word in [self.expires, self.updated, self.cseq, self.reg_id] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for short in [self.q, self.methods, self.source.port()] {
            out.extend_from_slice(&short.to_le_bytes());
        }
        out.extend_from_slice(&[byte(self.agent.len()), byte(self.instance.len())]);
        for text in [self.contact, self.path, self.call_id] {
            out.extend_from_slice(&short(text.len()).to_le_bytes());
        }
        match ip {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
        if self.flow != 0 {
            out.extend_from_slice(&self.flow.to_le_bytes());
        }
        for text in [self.contact, self.call_id, self.agent, self.instance, self.path] {
            out.extend_from_slice(text);
        }
        set_length(out, from);
    }

    /// Whether it is in force at `now`, within `grace` seconds of its end.
    pub fn is_live(&self, now: u32, grace: u32) -> bool {
        self.expires.saturating_add(grace) > now
    }
}

/// An account of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account<'r> {
    pub(super) domain: u16,
    pub(super) user: &'r [u8],
    pub(super) count: u8,
    /// Its bindings, one behind the other.
    pub(super) bindings: &'r [u8],
}

impl<'r> Account<'r> {
    /// Reads a record.
    pub(super) fn read(bytes: &'r [u8]) -> Option<Account<'r>> {
        let (head, rest) = bytes.split_at_checked(ACCOUNT_HEAD)?;
        let &[_, _, low, high, user, count] = head else { return None };
        let (user, bindings) = rest.split_at_checked(usize::from(user))?;
        Some(Account { domain: u16::from_le_bytes([low, high]), user, count, bindings })
    }

    /// Where in the record the binding begins that `is_it`.
    pub(super) fn offset_of(&self, mut is_it: impl FnMut(&Binding<'_>) -> bool) -> Option<usize> {
        let mut rest = self.bindings;
        while let Some((binding, behind)) = Binding::read(rest) {
            if is_it(&binding) {
                return Some(ACCOUNT_HEAD + self.user.len() + self.bindings.len() - rest.len());
            }
            rest = behind;
        }
        None
    }

    /// Its bindings in their order.
    pub(super) fn bindings(&self) -> Bindings<'r> {
        Bindings(self.bindings)
    }
}

/// Begins a record in what is empty; [`finish`] ends it.
pub(super) fn begin(domain: u16, user: &[u8], out: &mut Vec<u8>) {
    let [low, high] = domain.to_le_bytes();
    out.clear();
    out.extend_from_slice(&[0, 0, low, high, byte(user.len()), 0]);
    out.extend_from_slice(user);
}

/// Ends a record of so many bindings. False: it is longer than any may be.
pub(super) fn finish(count: usize, out: &mut [u8]) -> bool {
    if let Some(room) = out.get_mut(5) {
        *room = byte(count);
    }
    set_length(out, 0);
    out.len() <= super::store::RECORD_BYTES_MAX
}

/// Length of the record that begins here.
pub(super) fn length(head: &[u8]) -> usize {
    head.first_chunk().map_or(0, |bytes| usize::from(u16::from_le_bytes(*bytes)))
}

/// Bindings one behind the other; ends at bytes that are none.
#[derive(Clone, Debug)]
pub struct Bindings<'r>(pub(super) &'r [u8]);

impl<'r> Bindings<'r> {
    /// Of bytes that [`Binding::write`] wrote.
    pub const fn new(bytes: &'r [u8]) -> Self {
        Bindings(bytes)
    }
}

impl<'r> Iterator for Bindings<'r> {
    type Item = Binding<'r>;

    fn next(&mut self) -> Option<Binding<'r>> {
        let (binding, rest) = Binding::read(self.0)?;
        self.0 = rest;
        Some(binding)
    }
}

fn set_length(out: &mut [u8], from: usize) {
    let length = short(out.len() - from).to_le_bytes();
    if let Some(room) = out.get_mut(from..from + 2) {
        room.copy_from_slice(&length);
    }
}

fn byte(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    /// A binding with everything.
    pub(in super::super) fn sample() -> Binding<'static> {
        Binding {
            contact: b"sip:alice@192.168.1.23:5062;transport=udp",
            call_id: b"1j9FpLxk3uxtm8tn@biloxi.example.com",
            cseq: 1_826,
            agent: b"Yealink SIP-T46S 66.84.0.15",
            instance: b"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>",
            reg_id: 2,
            path: b"<sip:p1.example.com;lr>,<sip:p2.example.com;lr>",
            source: "[2001:db8::1]:40123".parse().unwrap(),
            listener: 3,
            flow: 77,
            expires: 1_800_000_000,
            updated: 1_799_999_000,
            q: 700,
            methods: 0x1ff,
            gruu: true,
            direct: false,
        }
    }

    #[test]
    fn a_binding_comes_back_and_none_comes_from_less() {
        let small = Binding {
            path: b"",
            instance: b"",
            flow: 0,
            source: "192.0.2.1:5060".parse().unwrap(),
            direct: true,
            ..sample()
        };
        for binding in [sample(), small] {
            let mut bytes = Vec::new();
            binding.write(&mut bytes);
            assert_eq!(Binding::read(&bytes), Some((binding, &b""[..])));
            assert!((0..bytes.len()).all(|length| Binding::read(&bytes[..length]).is_none()));
        }
    }

    #[test]
    fn an_account_comes_back() {
        let mut bytes = Vec::new();
        begin(7, b"alice", &mut bytes);
        sample().write(&mut bytes);
        sample().write(&mut bytes);
        assert!(finish(2, &mut bytes));
        assert_eq!(length(&bytes), bytes.len());
        let account = Account::read(&bytes).unwrap();
        assert_eq!((account.domain, account.user, account.count), (7, &b"alice"[..], 2));
        assert_eq!(account.bindings().collect::<Vec<_>>(), [sample(), sample()]);
    }

    #[test]
    fn a_typical_phone_takes_less_than_192_bytes() {
        let phone = Binding {
            contact: b"sip:1000123@192.168.1.23:5060",
            call_id: b"8f2c1b6e4d3a4f0b9c7d@192.168.1.23",
            instance: b"",
            path: b"",
            flow: 0,
            source: "192.0.2.1:5060".parse().unwrap(),
            ..sample()
        };
        let mut bytes = Vec::new();
        begin(7, b"1000123", &mut bytes);
        phone.write(&mut bytes);
        assert!(finish(1, &mut bytes) && bytes.len() <= 144, "{}", bytes.len());
    }
}
