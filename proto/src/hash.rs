//! Keyed hashing: the one place where bytes from the network become table keys, shards and signatures.
//!
//! SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012), because Call-IDs, branches and
//! tags are chosen by whoever sends them: without the key nobody can aim at one bucket or one shard,
//! nor forge a token.

use core::hash::Hasher;
use core::net::IpAddr;
use siphasher::sip128::{Hasher128, SipHasher24};

/// A secret of 128 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 16]);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A hash under construction. Parts are length-prefixed, so that no two lists of parts run together.
pub struct KeyedHash(SipHasher24);

impl KeyedHash {
    /// A hash for one purpose: hashes of different purposes never equal by construction.
    pub fn new(secret: &Secret, purpose: Purpose) -> Self {
        let mut hasher = SipHasher24::new_with_key(&secret.0);
        hasher.write_u8(purpose as u8);
        KeyedHash(hasher)
    }

    /// Adds a part.
    pub fn part(mut self, bytes: &[u8]) -> Self {
        self.0.write_u64(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.write(bytes);
        self
    }

    /// Adds a part in lower case (hosts, RFC 3261 §19.1.4).
    pub fn part_lower(mut self, bytes: &[u8]) -> Self {
        self.0.write_u64(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        for chunk in bytes.chunks(32) {
            let mut lower = [0u8; 32];
            let Some(area) = lower.get_mut(..chunk.len()) else {
                continue;
            };
            area.copy_from_slice(chunk);
            area.make_ascii_lowercase();
            self.0.write(area);
        }
        self
    }

    /// Adds an address; an IPv4 one and the same mapped into IPv6 are one.
    pub fn address(self, ip: IpAddr) -> Self {
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        self.part(&ip.octets())
    }

    /// Adds a number.
    pub fn number(mut self, n: u64) -> Self {
        self.0.write_u64(n);
        self
    }

    /// All 128 bits.
    pub fn finish(self) -> u128 {
        self.0.finish128().as_u128()
    }
}

/// What a hash is for; the first byte of its input.
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
    /// Loop detection, RFC 5393 §4.2.2.
    Loop = 5,
    /// Branch of a statelessly forwarded request, RFC 3261 §16.11.
    Stateless = 6,
    /// Key of a call in a table.
    Call = 7,
    /// Rendezvous hashing of targets.
    Choice = 8,
    /// Where requests to the initiator of a dialog go.
    Initiator = 9,
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
    fn lower_case_equals_its_lower_case() {
        let long = b"A-Very-Long.Host-Name.That-Needs.More-Than-32.Bytes.example.COM";
        let lower = long.to_ascii_lowercase();
        let one = KeyedHash::new(&SECRET, Purpose::Transaction).part_lower(long).finish();
        let two = KeyedHash::new(&SECRET, Purpose::Transaction).part_lower(&lower).finish();
        assert_eq!(one, two);
    }
}
