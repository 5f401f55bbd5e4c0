//! Owner tokens: what we write into our Via branch and our Record-Route, and read back from a response
//! or an in-dialog request.
//!
//! A token names the owner (node, slot) and proves, by a MAC over itself, the Call-ID and the tag of the
//! dialog's initiator, that we wrote it for this very dialog. A To tag or a Route alone proves nothing.
//!
//! ```text
//!  byte   0        1       2..4   4..6   6           7        8..16          16..20     20..28
//!  Via    ver|kind key id  node   slot   generation  branch   transaction    loop hash  MAC
//!  Route  ver|kind key id  node   slot   generation  flags    far side (8..12), MAC (12..20)
//! ```
//!
//! Written in URL-safe base 64 without padding: token characters of RFC 3261 §25.1.

use crate::base64;
use crate::hash::{KeyedHash, Purpose, Secret, SignatureHash};

/// The cookie that starts every branch of RFC 3261 (§8.1.1.7).
pub const BRANCH_COOKIE: &[u8] = b"z9hG4bK";

/// Length of a branch token as written, without the cookie.
pub const BRANCH_TOKEN_CHARS: usize = 38;

/// Length of a route token as written.
pub const ROUTE_TOKEN_CHARS: usize = 27;

/// Most keys that verify at the same time (rotation needs two).
pub const KEYS_MAX: usize = 8;

/// Signing keys: the first signs, all verify.
#[derive(Clone, Debug)]
pub struct Keys {
    keys: [Option<(u8, Secret)>; KEYS_MAX],
    signing: (u8, Secret),
    /// Begun with the key that signs.
    signature: SignatureHash,
    /// The last of `keys`.
    slot_secret: Secret,
    /// Begun with that.
    slot: KeyedHash,
    /// The same.
    initiator: SignatureHash,
}

/// Who owns a dialog or a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Node of a cluster.
    pub node: u16,
    /// One of [`limits::SLOT_COUNT`] slots that calls map to.
    pub slot: u16,
    /// Generation of the process that wrote the token (a hot upgrade raises it).
    pub generation: u8,
}

/// What a branch token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchToken {
    /// Where the transaction lives.
    pub owner: Owner,
    /// Whether a transaction is kept for it.
    pub kind: BranchKind,
    /// Number of the branch within its transaction; of a stateless one the listener that its request came in by.
    pub branch: u8,
    /// The transaction's id ([`crate::transaction::Key::id`]).
    pub transaction: u64,
    /// Hash of the fields that decide routing (RFC 5393 §4.2.2).
    pub loop_hash: u32,
}

/// A branch token as written, and its MAC.
#[derive(Clone, Copy, Debug)]
pub struct SignedBranch {
    /// The token as written behind the cookie.
    pub text: [u8; BRANCH_TOKEN_CHARS],
    /// The MAC in it.
    pub mac: u64,
}

/// Whether anything is kept about the request that carries the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchKind {
    /// A client transaction of a proxied request, or one of our own.
    Stateful,
    /// Forwarded statelessly: nothing is kept.
    Stateless,
    /// A keep-alive of our own: nothing is kept either, and `transaction` is the policy's number for it.
    KeepAlive,
}

/// What a route token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteToken {
    /// Where the call lives.
    pub owner: Owner,
    /// It stands in the initiator's Route: the far side is the responder. Else it is the initiator.
    pub to_responder: bool,
    /// `far_side` is of an address that stands beside the token: where the far side really is (`steer`).
    pub by_source: bool,
    /// Of a token to the initiator: its 2xx is to name the address that it came from.
    pub responder_by_source: bool,
    /// The initiator's From is shown as another (`proxy::shown_from`).
    pub from_shown: bool,
    /// Hash of where requests to the far side go (see `steer`); 0: unknown. WHY: it opens the way to a side
    /// of the dialog whom no table names, after a restart too, and to nobody else.
    pub far_side: u32,
}

const VERSION: u8 = 1;
/// Flags of a route token.
const TO_RESPONDER: u8 = 1;
const BY_SOURCE: u8 = 2;
const RESPONDER_BY_SOURCE: u8 = 4;
const FROM_SHOWN: u8 = 8;
const KIND_STATEFUL: u8 = 1;
const KIND_STATELESS: u8 = 2;
const KIND_ROUTE: u8 = 3;
const KIND_KEEP_ALIVE: u8 = 4;
const BRANCH_BYTES: usize = 28;
const BRANCH_SIGNED: usize = 20;
const ROUTE_BYTES: usize = 20;
const ROUTE_SIGNED: usize = 12;

impl Keys {
    /// Keys by id; the first signs. More than [`KEYS_MAX`] are left out. `None` if there is none.
    pub fn new(keys: &[(u8, Secret)]) -> Option<Self> {
        let mut all = [None; KEYS_MAX];
        for (place, key) in all.iter_mut().zip(keys) {
            *place = Some(*key);
        }
        let signing = all.first().copied().flatten()?;
        let slot_secret = all.iter().flatten().next_back().map_or(signing.1, |(_, secret)| *secret);
        Some(Keys {
            keys: all,
            signing,
            signature: SignatureHash::new(&signing.1, Purpose::Signature),
            slot_secret,
            slot: KeyedHash::new(&slot_secret, Purpose::Slot),
            initiator: SignatureHash::new(&slot_secret, Purpose::Initiator),
        })
    }

    /// The seal of the key that signs, for this Call-ID and this tag of the dialog's initiator.
    pub fn seal(&self, call_id: &[u8], initiator_tag: &[u8]) -> Seal {
        Seal { key_id: self.signing.0, hash: self.signature.pair(call_id, initiator_tag) }
    }

    /// A hash of the slot secret for Call-IDs.
    #[inline]
    pub(crate) const fn slot_hash(&self) -> KeyedHash {
        self.slot
    }

    /// A hash of the slot secret for where a side of a dialog is.
    #[inline]
    pub(crate) const fn initiator_hash(&self) -> SignatureHash {
        self.initiator
    }

    /// Hashes of all keys for another purpose, the first of the one that signs.
    pub(crate) fn all(&self, purpose: Purpose) -> impl Iterator<Item = SignatureHash> {
        let others = self.keys.iter().flatten().filter(|(id, _)| *id != self.signing.0);
        core::iter::once(&self.signing).chain(others).map(move |(_, secret)| SignatureHash::new(secret, purpose))
    }

    fn by_id(&self, id: u8) -> Option<Secret> {
        let (signing_id, signing) = self.signing;
        if signing_id == id {
            return Some(signing);
        }
        self.keys.iter().flatten().find(|(key_id, _)| *key_id == id).map(|(_, secret)| *secret)
    }

    /// The secret that maps Call-IDs to slots: the oldest key, so that adding one to sign with moves no call.
    pub const fn slot_secret(&self) -> Secret {
        self.slot_secret
    }
}

impl BranchToken {
    /// The token as written behind the cookie.
    pub fn sign(&self, seal: &Seal) -> [u8; BRANCH_TOKEN_CHARS] {
        self.signed(seal).text
    }

    /// The same with its MAC, by which it can be recognised ([`Unverified::is`]).
    pub fn signed(&self, seal: &Seal) -> SignedBranch {
        let kind = match self.kind {
            BranchKind::Stateful => KIND_STATEFUL,
            BranchKind::Stateless => KIND_STATELESS,
            BranchKind::KeepAlive => KIND_KEEP_ALIVE,
        };
        let mut bytes = [0u8; BRANCH_BYTES];
        put(&mut bytes, 0, &head(kind, seal.key_id, &self.owner, self.branch));
        put(&mut bytes, 8, &self.transaction.to_be_bytes());
        put(&mut bytes, 16, &self.loop_hash.to_be_bytes());
        let mac = seal.mac(&signed_part(&bytes, BRANCH_SIGNED));
        put(&mut bytes, BRANCH_SIGNED, &mac);
        SignedBranch { text: base64::encode(&bytes), mac: u64::from_be_bytes(mac) }
    }

    /// Reads a branch parameter (cookie included) without believing it.
    pub fn read(branch: &[u8]) -> Option<Unverified<BranchToken>> {
        let text: &[u8; BRANCH_TOKEN_CHARS] = branch.strip_prefix(BRANCH_COOKIE)?.try_into().ok()?;
        let bytes: [u8; BRANCH_BYTES] = base64::decode(text)?;
        let (kind, key_id, owner, branch) = read_head(&bytes)?;
        let token = BranchToken {
            owner,
            kind: match kind {
                KIND_STATEFUL => BranchKind::Stateful,
                KIND_STATELESS => BranchKind::Stateless,
                KIND_KEEP_ALIVE => BranchKind::KeepAlive,
                _ => return None,
            },
            branch,
            transaction: u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?),
            loop_hash: u32::from_be_bytes(bytes.get(16..20)?.try_into().ok()?),
        };
        let signed = signed_part(&bytes, BRANCH_SIGNED);
        Some(Unverified { token, key_id, signed, mac: bytes.get(BRANCH_SIGNED..)?.try_into().ok()? })
    }
}

impl RouteToken {
    /// The token as written into our Record-Route URI.
    pub fn sign(&self, seal: &Seal) -> [u8; ROUTE_TOKEN_CHARS] {
        let mut bytes = [0u8; ROUTE_BYTES];
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(self.to_responder, TO_RESPONDER)
            | flag(self.by_source, BY_SOURCE)
            | flag(self.responder_by_source, RESPONDER_BY_SOURCE)
            | flag(self.from_shown, FROM_SHOWN);
        put(&mut bytes, 0, &head(KIND_ROUTE, seal.key_id, &self.owner, flags));
        put(&mut bytes, 8, &self.far_side.to_be_bytes());
        let mac = seal.mac(&signed_part(&bytes, ROUTE_SIGNED));
        put(&mut bytes, ROUTE_SIGNED, &mac);
        base64::encode(&bytes)
    }

    /// Reads the value of our Route parameter without believing it.
    pub fn read(text: &[u8]) -> Option<Unverified<RouteToken>> {
        let text: &[u8; ROUTE_TOKEN_CHARS] = text.try_into().ok()?;
        let bytes: [u8; ROUTE_BYTES] = base64::decode(text)?;
        let (kind, key_id, owner, flags) = read_head(&bytes)?;
        if kind != KIND_ROUTE {
            return None;
        }
        let far_side = u32::from_be_bytes(bytes.get(8..ROUTE_SIGNED)?.try_into().ok()?);
        let signed = signed_part(&bytes, ROUTE_SIGNED);
        let mac = bytes.get(ROUTE_SIGNED..)?.try_into().ok()?;
        Some(Unverified {
            token: RouteToken {
                owner,
                to_responder: flags & TO_RESPONDER != 0,
                by_source: flags & BY_SOURCE != 0,
                responder_by_source: flags & RESPONDER_BY_SOURCE != 0,
                from_shown: flags & FROM_SHOWN != 0,
                far_side,
            },
            key_id,
            signed,
            mac,
        })
    }
}

/// A token that was read but not yet proven.
#[derive(Clone, Copy, Debug)]
pub struct Unverified<T> {
    token: T,
    key_id: u8,
    signed: Signed,
    mac: [u8; 8],
}

impl<T: Copy + PartialEq> Unverified<T> {
    /// Whether it is this very token, which we once signed with this MAC. What it was signed for is not looked at.
    pub fn is(&self, token: &T, mac: u64) -> bool {
        // WHY: compared as one number, so that the time says nothing about how much of it was right.
        self.token == *token && mac != 0 && u64::from_be_bytes(self.mac) ^ mac == 0
    }

    /// What it says, if it is to be believed.
    pub const fn claim(&self) -> &T {
        &self.token
    }

    /// The token, if we signed it for this Call-ID and this tag of the dialog's initiator.
    pub fn verify(&self, keys: &Keys, call_id: &[u8], initiator_tag: &[u8]) -> Option<T> {
        let secret = keys.by_id(self.key_id)?;
        self.verify_by(&Seal::new(self.key_id, &secret, call_id, initiator_tag))
    }

    /// Whether it says that the key of this seal signed it.
    pub(crate) const fn is_sealed_by(&self, seal: &Seal) -> bool {
        self.key_id == seal.key_id
    }

    /// The token, if the key of this seal signed it, and for what the seal is for.
    pub(crate) fn verify_by(&self, seal: &Seal) -> Option<T> {
        // WHY: compared as one number, so that the time says nothing about how much of it was right.
        let same = u64::from_be_bytes(seal.mac(&self.signed)) ^ u64::from_be_bytes(self.mac) == 0;
        (self.is_sealed_by(seal) && same).then_some(self.token)
    }
}

fn head(kind: u8, key_id: u8, owner: &Owner, last: u8) -> [u8; 8] {
    let [node_high, node_low] = owner.node.to_be_bytes();
    let [slot_high, slot_low] = owner.slot.to_be_bytes();
    [VERSION << 4 | kind, key_id, node_high, node_low, slot_high, slot_low, owner.generation, last]
}

fn read_head(bytes: &[u8]) -> Option<(u8, u8, Owner, u8)> {
    let &[version_kind, key_id, node_high, node_low, slot_high, slot_low, generation, last, ..] = bytes else {
        return None;
    };
    if version_kind >> 4 != VERSION {
        return None;
    }
    let slot = u16::from_be_bytes([slot_high, slot_low]);
    if slot >= limits::SLOT_COUNT {
        return None;
    }
    let owner = Owner { node: u16::from_be_bytes([node_high, node_low]), slot, generation };
    Some((version_kind & 0x0f, key_id, owner, last))
}

/// What is signed of a token as whole words, zeros after its end. Its kind, in the first byte, says how long it is.
type Signed = [u64; 3];

fn signed_part<const BYTES: usize>(bytes: &[u8; BYTES], length: usize) -> Signed {
    let mut words = [0; 3];
    for (word, octets) in words.iter_mut().zip(bytes.get(..length).unwrap_or_default().chunks(8)) {
        let mut eight = [0; 8];
        put(&mut eight, 0, octets);
        *word = u64::from_le_bytes(eight);
    }
    words
}

/// What binds tokens to one dialog: the MAC of a key over Call-ID and initiator's tag, to go on with what the token
/// says. Worked out once for a message, however many of its tokens are signed or verified.
#[derive(Clone, Copy, Debug)]
pub struct Seal {
    key_id: u8,
    hash: SignatureHash,
}

impl Seal {
    fn new(key_id: u8, secret: &Secret, call_id: &[u8], initiator_tag: &[u8]) -> Seal {
        let hash = SignatureHash::new(secret, Purpose::Signature).pair(call_id, initiator_tag);
        Seal { key_id, hash }
    }

    fn mac(&self, signed: &Signed) -> [u8; 8] {
        let [first, second, third] = *signed;
        self.hash.number(first).number(second).number(third).finish_low().to_be_bytes()
    }
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(area) = bytes.get_mut(at..at.saturating_add(part.len())) {
        area.copy_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn keys(ids: &[u8]) -> Keys {
        let all: alloc::vec::Vec<_> = ids.iter().map(|&id| (id, Secret([id; 16]))).collect();
        Keys::new(&all).unwrap()
    }

    fn branch_token() -> BranchToken {
        BranchToken {
            owner: Owner { node: 513, slot: 4_095, generation: 7 },
            kind: BranchKind::Stateful,
            branch: 3,
            transaction: 0x0123_4567_89ab_cdef,
            loop_hash: 0xdead_beef,
        }
    }

    fn route_token() -> RouteToken {
        RouteToken {
            owner: branch_token().owner,
            to_responder: false,
            by_source: true,
            responder_by_source: true,
            from_shown: true,
            far_side: 0x0102_0304,
        }
    }

    fn with_cookie(text: &[u8]) -> alloc::vec::Vec<u8> {
        [BRANCH_COOKIE, text].concat()
    }

    #[test]
    fn a_branch_token_comes_back() {
        let keys = keys(&[1]);
        let text = branch_token().sign(&keys.seal(b"call@host", b"tag"));
        let read = BranchToken::read(&with_cookie(&text)).unwrap();
        assert_eq!(read.verify(&keys, b"call@host", b"tag"), Some(branch_token()));
    }

    #[test]
    fn another_call_or_tag_or_key_does_not_verify() {
        let text = with_cookie(&branch_token().sign(&keys(&[1]).seal(b"call@host", b"tag")));
        let read = BranchToken::read(&text).unwrap();
        assert_eq!(read.verify(&keys(&[1]), b"call@host2", b"tag"), None);
        assert_eq!(read.verify(&keys(&[1]), b"call@host", b"other"), None);
        assert_eq!(read.verify(&keys(&[2]), b"call@host", b"tag"), None);
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let keys = keys(&[1]);
        let token = route_token();
        let text = token.sign(&keys.seal(b"call", b"tag"));
        for at in 0..text.len() {
            let mut forged = text;
            let place = forged.get_mut(at).unwrap();
            *place = if *place == b'A' { b'B' } else { b'A' };
            let verified = RouteToken::read(&forged).and_then(|read| read.verify(&keys, b"call", b"tag"));
            assert_eq!(verified, None, "at {at}");
        }
    }

    #[test]
    fn an_older_key_still_verifies_and_the_first_signs() {
        let old = keys(&[1]);
        let both = keys(&[2, 1]);
        let token = route_token();
        let by_old = RouteToken::read(&token.sign(&old.seal(b"c", b"t"))).unwrap();
        assert_eq!(by_old.verify(&both, b"c", b"t"), Some(token));
        let by_new = RouteToken::read(&token.sign(&both.seal(b"c", b"t"))).unwrap();
        assert_eq!(by_new.verify(&old, b"c", b"t"), None);
        assert_eq!(old.slot_secret(), both.slot_secret());
    }

    #[test]
    fn a_route_token_is_no_branch_token() {
        let text = route_token().sign(&keys(&[1]).seal(b"c", b"t"));
        assert!(BranchToken::read(&with_cookie(&text)).is_none());
        assert!(BranchToken::read(b"z9hG4bK").is_none());
        assert!(BranchToken::read(b"").is_none());
    }
}
