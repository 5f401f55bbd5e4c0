//! GRUUs (RFC 5627): a URI that reaches one phone of an account, wherever it is.
//!
//! The public one names user and instance: `sip:alice@example.com;gr=urn:uuid:...`. The temporary one names neither:
//! its user is what both say, encrypted, and it holds as long as the phone registers under the same Call-ID (§3.2).
//! No state is kept for either: the key is that of our tokens, so they hold over a restart.
//!
//! The encryption is SIV in shape: a keyed hash of the plain text is both its check and the start of the key stream,
//! so that a changed text is found and no two streams are the same.

use super::record::Binding;
use proto::hash::{Purpose, Secret, SignatureHash};
use proto::message::Writer;

/// What the user of a temporary GRUU begins with.
const PREFIX: &[u8] = b"tgruu.";

/// The parameter that makes a URI a GRUU.
pub(super) const PARAMETER: &[u8] = b"gr";

/// Bytes before the user: second of issue, hashes of instance and Call-ID.
const HEAD: usize = 12;

const PLAIN_MAX: usize = HEAD + limits::USER_BYTES_MAX;

/// A temporary GRUU to be written.
pub(super) struct Temporary<'b> {
    pub(super) user: &'b [u8],
    pub(super) binding: &'b Binding<'b>,
}

/// A temporary GRUU read: whose it is, and for which binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    text: [u8; PLAIN_MAX],
    length: usize,
}

/// The public GRUU of an instance.
pub(super) fn write_public(user: &[u8], domain: &[u8], instance: &[u8], out: &mut Writer<'_>) {
    out.put(b"sip:");
    write_escaped(user, b"&=+$,;?/", out);
    out.byte(b'@');
    out.put(domain);
    out.put(b";gr=");
    // §5.4.1: the instance without its angle brackets; it is a URN, which a parameter holds but for a few octets.
    write_escaped(without_brackets(instance), b"[]/:&+$", out);
}

/// The instance as it stands in a public GRUU.
pub(super) fn without_brackets(instance: &[u8]) -> &[u8] {
    instance.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(instance)
}

impl Temporary<'_> {
    /// `sip:tgruu.<check><text>@domain;gr`.
    pub(super) fn write(&self, secret: &Secret, domain: &[u8], out: &mut Writer<'_>) {
        let mut plain = [0; PLAIN_MAX];
        let length = HEAD + self.user.len();
        let Some((head, user)) = plain.get_mut(..length).and_then(|plain| plain.split_at_mut_checked(HEAD)) else {
            return;
        };
        let parts =
            [self.binding.updated, hash_of(secret, self.binding.instance), hash_of(secret, self.binding.call_id)];
        for (room, part) in head.chunks_exact_mut(4).zip(parts) {
            room.copy_from_slice(&part.to_le_bytes());
        }
        user.copy_from_slice(self.user);
        let Some(text) = plain.get_mut(..length) else { return };
        let check = check_of(secret, text);
        encrypt(secret, check, text);
        out.put(b"sip:");
        out.put(PREFIX);
        out.hex(check, 16);
        text.iter().for_each(|octet| out.hex(u64::from(*octet), 2));
        out.byte(b'@');
        out.put(domain);
        out.put(b";gr");
    }
}

impl Named {
    /// Reads the user of a temporary GRUU. `None`: it is none of ours.
    pub fn read(secret: &Secret, user: &[u8]) -> Option<Named> {
        let digits = user.strip_prefix(PREFIX)?;
        let (check, text) = digits.split_at_checked(16)?;
        let check = u64::from_str_radix(std::str::from_utf8(check).ok()?, 16).ok()?;
        let length = text.len() / 2;
        let mut named = Named { text: [0; PLAIN_MAX], length };
        let room = named.text.get_mut(..length).filter(|_| text.len() % 2 == 0 && length > HEAD)?;
        for (room, pair) in room.iter_mut().zip(text.chunks_exact(2)) {
            *room = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        encrypt(secret, check, room);
        (check_of(secret, room) == check).then_some(named)
    }

    /// The account.
    pub fn user(&self) -> &[u8] {
        self.text.get(HEAD..self.length).unwrap_or_default()
    }

    /// Whether it is for this binding, and its Call-ID is still the same.
    pub fn is_for(&self, secret: &Secret, binding: &Binding<'_>) -> bool {
        let part = |at: usize| self.text.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        part(4) == Some(hash_of(secret, binding.instance)) && part(8) == Some(hash_of(secret, binding.call_id))
    }
}

fn hash_of(secret: &Secret, text: &[u8]) -> u32 {
    (SignatureHash::new(secret, Purpose::Gruu).number(1).part(text).finish_low() & u64::from(u32::MAX)) as u32
}

fn check_of(secret: &Secret, text: &[u8]) -> u64 {
    SignatureHash::new(secret, Purpose::Gruu).number(2).part(text).finish_low()
}

/// Encrypts and decrypts: the same.
fn encrypt(secret: &Secret, check: u64, text: &mut [u8]) {
    for (count, block) in (0u64..).zip(text.chunks_mut(16)) {
        let stream = SignatureHash::new(secret, Purpose::Gruu).number(3).number(check).number(count).finish();
        block.iter_mut().zip(stream.to_le_bytes()).for_each(|(octet, key)| *octet ^= key);
    }
}

/// A user or parameter as it stands in a URI: what is neither unreserved nor in `also` is escaped (RFC 3261 §25.1).
pub(super) fn write_escaped(text: &[u8], also: &[u8], out: &mut Writer<'_>) {
    for octet in text {
        if octet.is_ascii_alphanumeric() || b"-_.!~*'()".contains(octet) || also.contains(octet) {
            out.byte(*octet);
        } else {
            out.byte(b'%');
            out.hex(u64::from(*octet), 2);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::super::record::tests::sample;
    use super::*;

    const SECRET: Secret = Secret([5; 16]);

    fn written(user: &str, binding: &Binding<'_>) -> String {
        let mut room = [0; 1_024];
        let mut out = Writer::new(&mut room);
        Temporary { user: user.as_bytes(), binding }.write(&SECRET, b"example.com", &mut out);
        String::from_utf8(out.written().to_vec()).unwrap()
    }

    fn user_part(uri: &str) -> &str {
        uri.strip_prefix("sip:").unwrap().split('@').next().unwrap()
    }

    #[test]
    fn a_temporary_one_says_nothing_and_is_read_back() {
        let uri = written("alice", &sample());
        assert!(uri.ends_with("@example.com;gr") && !uri.contains("alice"), "{uri}");
        let named = Named::read(&SECRET, user_part(&uri).as_bytes()).unwrap();
        assert_eq!(named.user(), b"alice");
        assert!(named.is_for(&SECRET, &sample()));
        assert!(!named.is_for(&SECRET, &Binding { call_id: b"another", ..sample() }), "§3.2: a new Call-ID ends it");
        assert!(!named.is_for(&SECRET, &Binding { instance: b"<urn:x>", ..sample() }));
        let later = written("alice", &Binding { updated: sample().updated + 1, ..sample() });
        assert_ne!(uri, later, "each refresh brings a new one");
    }

    #[test]
    fn a_changed_one_is_none_of_ours() {
        let uri = written("alice", &sample());
        let user = user_part(&uri).as_bytes();
        for at in PREFIX.len()..user.len() {
            let mut changed = user.to_vec();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(Named::read(&SECRET, &changed), None, "{at}");
        }
        assert!((0..user.len()).all(|length| Named::read(&SECRET, &user[..length]).is_none()));
        assert_eq!(Named::read(&Secret([6; 16]), user), None);
    }

    #[test]
    fn the_public_one_names_user_and_instance() {
        let mut room = [0; 256];
        let mut out = Writer::new(&mut room);
        write_public(b"al ice", b"example.com", b"<urn:uuid:f81d4fae>", &mut out);
        assert_eq!(out.written(), b"sip:al%20ice@example.com;gr=urn:uuid:f81d4fae");
    }
}
