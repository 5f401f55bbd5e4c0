//! Keyed hashing: the one place where bytes from the network become table keys, shards and signatures.
//!
//! SipHash with 128 bits of output (Aumasson and Bernstein, 2012), because Call-IDs, branches and tags are
//! chosen by whoever sends them: without the key nobody can aim at one bucket or one shard, nor forge a
//! token. SipHash-1-3 for tables ([`KeyedHash`]), SipHash-2-4 for what is a proof ([`SignatureHash`]).
//!
//! WHY the rounds stand here: everything hashed is a list of short parts. Each part begins a word of its own, so
//! that no part is shifted into the one before it; a streaming hasher spends two thirds of its time on that. The
//! tests hold it against the `siphasher` crate.

use core::net::IpAddr;

/// A secret of 128 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A hash for tables.
pub type KeyedHash = SipHash<1, 3>;

/// A hash that proves something to us when it comes back from the network.
pub type SignatureHash = SipHash<2, 4>;

/// A hash under construction: `C` rounds for each word, `D` at the end.
///
/// INVARIANT: the words hashed are the purpose, then each part as its length and its octets, the last word
/// filled up with zeros. No two lists of parts run together.
#[derive(Clone, Copy)]
pub struct SipHash<const C: usize, const D: usize> {
    v: [u64; 4],
    words: u64,
}

impl<const C: usize, const D: usize> core::fmt::Debug for SipHash<C, D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SipHash(..)")
    }
}

impl<const C: usize, const D: usize> SipHash<C, D> {
    /// A hash for one purpose: hashes of different purposes never equal by construction.
    #[inline]
    pub fn new(secret: &Secret, purpose: Purpose) -> Self {
        let key = u128::from_le_bytes(secret.0);
        let (low, high) = (key as u64, (key >> 64) as u64);
        let v = [
            low ^ 0x736f_6d65_7073_6575,
            high ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            low ^ 0x6c79_6765_6e65_7261,
            high ^ 0x7465_6462_7974_6573,
        ];
        SipHash { v, words: 0 }.number(purpose as u64)
    }

    /// Adds a part.
    #[inline]
    pub fn part(self, bytes: &[u8]) -> Self {
        self.number(bytes.len() as u64).words(bytes, |word| word)
    }

    /// Adds two parts, their lengths in one word.
    ///
    /// INVARIANT: parts are shorter than 2^32 octets: they are of one message.
    #[inline]
    pub fn pair(self, first: &[u8], second: &[u8]) -> Self {
        let lengths = (first.len() as u64) | (second.len() as u64) << 32;
        self.number(lengths).words(first, |word| word).words(second, |word| word)
    }

    /// Adds a part in lower case (hosts, RFC 3261 §19.1.4).
    #[inline]
    pub fn part_lower(self, bytes: &[u8]) -> Self {
        self.number(bytes.len() as u64).words(bytes, lower_case)
    }

    /// Adds an address; an IPv4 one and the same mapped into IPv6 are one.
    #[inline(always)]
    pub fn address(self, ip: IpAddr) -> Self {
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let bits = ip.to_bits();
        self.number((bits >> 64) as u64).number(bits as u64)
    }

    /// Adds a number.
    #[inline]
    pub fn number(mut self, number: u64) -> Self {
        self.words = self.words.wrapping_add(1);
        self.v[3] ^= number;
        self.rounds(C);
        self.v[0] ^= number;
        self
    }

    /// All 128 bits.
    #[inline]
    pub fn finish(mut self) -> u128 {
        let low = self.last_word();
        self.v[1] ^= 0xdd;
        self.rounds(D);
        u128::from(low) | u128::from(self.fold()) << 64
    }

    /// The lower 64 bits of [`SipHash::finish`], for less.
    #[inline]
    pub fn finish_low(mut self) -> u64 {
        self.last_word()
    }

    fn last_word(&mut self) -> u64 {
        // The number of octets modulo 256, in the highest byte of a word of its own.
        let number = self.words.wrapping_mul(8) << 56;
        self.v[3] ^= number;
        self.rounds(C);
        self.v[0] ^= number;
        self.v[2] ^= 0xee;
        self.rounds(D);
        self.fold()
    }

    #[inline(always)]
    fn words(self, bytes: &[u8], change: impl Fn(u64) -> u64) -> Self {
        let mut hash = self;
        let (whole, rest) = bytes.as_chunks::<8>();
        for word in whole {
            hash = hash.number(change(u64::from_le_bytes(*word)));
        }
        if rest.is_empty() { hash } else { hash.number(change(last_octets(bytes, rest))) }
    }

    #[inline(always)]
    const fn fold(&self) -> u64 {
        self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3]
    }

    #[inline(always)]
    const fn rounds(&mut self, count: usize) {
        let [mut a, mut b, mut c, mut d] = self.v;
        let mut round = 0;
        while round < count {
            a = a.wrapping_add(b);
            c = c.wrapping_add(d);
            b = b.rotate_left(13) ^ a;
            d = d.rotate_left(16) ^ c;
            a = a.rotate_left(32).wrapping_add(d);
            c = c.wrapping_add(b);
            d = d.rotate_left(21) ^ a;
            b = b.rotate_left(17) ^ c;
            c = c.rotate_left(32);
            round += 1;
        }
        self.v = [a, b, c, d];
    }
}

/// Eight octets in lower case: bit 5 is set where an ASCII letter is a capital.
#[inline(always)]
const fn lower_case(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low = word & (ONES * 0x7f);
    // The highest bit of each octet says whether it is at least `A`, or above `Z`; nothing is carried over.
    let from_a = low + ONES * (0x80 - b'A' as u64);
    let above_z = low + ONES * (0x7f - b'Z' as u64);
    let capitals = (from_a ^ above_z) & !word & (ONES * 0x80);
    word | capitals >> 2
}

/// The last octets of `bytes`, fewer than eight, as a word with zeros above them.
#[inline(always)]
fn last_octets(bytes: &[u8], rest: &[u8]) -> u64 {
    match bytes.last_chunk::<8>() {
        // The shift is 8 to 56.
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        None => rest.iter().rev().fold(0, |word, &octet| word << 8 | u64::from(octet)),
    }
}

/// What a hash is for; the first word of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Server transaction key, RFC 3261 §17.2.3.
    Transaction = 1,
    /// Checksum of a transaction on its way to another process.
    HandOver = 10,
    /// Call-ID to slot.
    Slot = 2,
    /// Signature of a token.
    Signature = 3,
    /// To tag of our own responses.
    Tag = 4,
    /// Branch of a statelessly forwarded request, RFC 3261 §16.11.
    Stateless = 6,
    /// Key of a call in a table.
    Call = 7,
    /// Rendezvous hashing of targets.
    Choice = 8,
    /// Where requests to the initiator of a dialog go.
    Initiator = 9,
    /// Where a side of a dialog really is.
    Address = 11,
    /// The numbers of a call, which comes back from another carrier.
    Numbers = 12,
    /// A From that others see in place of the caller's own.
    ShownFrom = 13,
    /// MAC of a digest nonce, RFC 7616 §3.3.
    Nonce = 30,
    /// An account in tables of nonce counts, credentials and failures.
    Account = 31,
    /// A source address in tables of failures.
    Source = 32,
    /// HA1 of users that there are not.
    Decoy = 33,
    /// User to slot.
    UserSlot = 20,
    /// Key of a user in the registrar's table.
    User = 21,
    /// A GRUU of ours (RFC 5627).
    Gruu = 22,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Secret = Secret([7; 16]);

    #[test]
    fn parts_do_not_run_together() {
        let ab_c = KeyedHash::new(&SECRET, Purpose::Transaction).part(b"ab").part(b"c").finish();
        let a_bc = KeyedHash::new(&SECRET, Purpose::Transaction).part(b"a").part(b"bc").finish();
        assert_ne!(ab_c, a_bc);
    }

    #[test]
    fn purposes_differ() {
        let one = KeyedHash::new(&SECRET, Purpose::Slot).part(b"x").finish();
        let two = KeyedHash::new(&SECRET, Purpose::Tag).part(b"x").finish();
        assert_ne!(one, two);
    }

    #[test]
    fn every_octet_in_lower_case() {
        for octet in 0..=255u8 {
            let mixed = [octet, b'A', octet, 0xff, octet, b'z', octet, b'['];
            let lower = u64::from_le_bytes(mixed.map(|octet| octet.to_ascii_lowercase()));
            assert_eq!(lower_case(u64::from_le_bytes(mixed)), lower, "{octet}");
        }
    }

    #[test]
    fn lower_case_equals_its_lower_case() {
        let long = b"A-Very-Long.Host-Name.That-Needs.More-Than-32.Bytes.example.COM";
        let lower = long.to_ascii_lowercase();
        let one = KeyedHash::new(&SECRET, Purpose::Transaction).part_lower(long).finish();
        let two = KeyedHash::new(&SECRET, Purpose::Transaction).part_lower(&lower).finish();
        assert_eq!(one, two);
    }

    /// The same words through the `siphasher` crate.
    fn octets_of(purpose: Purpose, parts: &[&[u8]]) -> std::vec::Vec<u8> {
        let mut all = std::vec::Vec::from((purpose as u64).to_le_bytes());
        for part in parts {
            all.extend_from_slice(&(part.len() as u64).to_le_bytes());
            all.extend_from_slice(part);
            all.resize(all.len().next_multiple_of(8), 0);
        }
        all
    }

    #[test]
    fn it_is_siphash() {
        use siphasher::sip128::{SipHasher13, SipHasher24};
        let text = b"A-Very-Long.Host-Name.That-Needs.More-Than-32.Bytes.example.COM";
        for first in 0..text.len() {
            let parts = [&text[..first], &text[first..], &text[first / 2..first]];
            let octets = octets_of(Purpose::Slot, &parts);
            let [one, two, three] = parts;
            let table = || KeyedHash::new(&SECRET, Purpose::Slot).part(one).part(two).part(three);
            let proof = SignatureHash::new(&SECRET, Purpose::Slot).part(one).part(two).part(three);
            assert_eq!(table().finish(), SipHasher13::new_with_key(&SECRET.0).hash(&octets).as_u128());
            assert_eq!(proof.finish(), SipHasher24::new_with_key(&SECRET.0).hash(&octets).as_u128());
            assert_eq!(u128::from(table().finish_low()), table().finish() & u128::from(u64::MAX));
        }
    }
}
