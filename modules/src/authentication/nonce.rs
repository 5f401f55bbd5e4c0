//! Nonces that cost no state (RFC 7616 §3.3, §5.4): when it was made, some salt, and a keyed hash over both, the realm
//! and the source that asked. Who was challenged can be told from the nonce itself, after a restart too, because the
//! keys lie in the state directory.
//!
//! ```text
//! made (ms since 1970)  salt  SipHash-2-4-128(made, salt, realm, source address)   -> 38 characters of base 64
//!          6              6                     16
//! ```

use proto::base64;
use proto::hash::{Purpose, Secret, SignatureHash};
use proto::time::{Micros, Now};
use std::net::IpAddr;

/// Characters of a nonce.
pub const NONCE_CHARS: usize = 38;

const NONCE_BYTES: usize = 28;

/// How far in the future a nonce may be made: shards and nodes read their clocks apart.
const AHEAD_MS: u64 = 2_000;

/// Six octets hold it.
const SALT_MASK: u64 = (1 << 48) - 1;

/// A nonce of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    /// When it was made, in milliseconds of [`Clock`].
    pub made: u64,
    /// What tells it from others of that moment.
    pub salt: u64,
}

/// The clock of nonces: the wall clock at the start, from then on the monotonic one.
///
/// WHY: a wall clock that is put back must not make all nonces stale, nor one that is put on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base_ms: i64,
}

impl Clock {
    /// Starts at `now`.
    pub fn new(now: Now) -> Self {
        Clock { base_ms: millis(now.wall.0).wrapping_sub(millis(now.mono.0)) }
    }

    /// Milliseconds since 1970.
    pub fn read(self, now: Now) -> u64 {
        u64::try_from(self.base_ms.wrapping_add(millis(now.mono.0))).unwrap_or(0)
    }
}

fn millis(micros: u64) -> i64 {
    i64::try_from(micros / 1_000).unwrap_or(i64::MAX)
}

/// What makes and knows nonces.
#[derive(Clone, Debug)]
pub struct Nonces {
    /// The first signs, all verify.
    secrets: Vec<Secret>,
    clock: Clock,
}

impl Nonces {
    /// `secrets`: the keys of the state directory, the one that signs first; at least one.
    pub fn new(secrets: Vec<Secret>, now: Now) -> Self {
        Nonces { secrets, clock: Clock::new(now) }
    }

    /// The clock that dates them.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// A new nonce for `source`. `salt`: a random number.
    pub fn make(&self, realm: &[u8], source: IpAddr, salt: u64, now: Now) -> [u8; NONCE_CHARS] {
        let nonce = Nonce { made: self.clock.read(now), salt: salt & SALT_MASK };
        let mac = self.secrets.first().map_or(0, |secret| nonce.mac(secret, realm, source));
        base64::encode::<NONCE_BYTES, NONCE_CHARS>(&nonce.bytes(mac))
    }

    /// The nonce, if it is ours, was made for this realm and source, and is not older than `lifetime`.
    pub fn read(&self, text: &[u8], realm: &[u8], source: IpAddr, lifetime: Micros, now: Now) -> Option<Nonce> {
        let bytes = base64::decode::<NONCE_BYTES, NONCE_CHARS>(text.try_into().ok()?)?;
        let (made, rest) = bytes.split_first_chunk::<6>()?;
        let (salt, mac) = rest.split_first_chunk::<6>()?;
        let nonce = Nonce { made: six_octets(made), salt: six_octets(salt) };
        let mac = u128::from_le_bytes(mac.try_into().ok()?);
        if !self.secrets.iter().any(|secret| is_same(nonce.mac(secret, realm, source), mac)) {
            return None;
        }
        let now = self.clock.read(now);
        let alive = nonce.made <= now.saturating_add(AHEAD_MS) && now.saturating_sub(nonce.made) <= lifetime.0 / 1_000;
        alive.then_some(nonce)
    }
}

impl Nonce {
    fn mac(self, secret: &Secret, realm: &[u8], source: IpAddr) -> u128 {
        let hash = SignatureHash::new(secret, Purpose::Nonce).number(self.made).number(self.salt);
        hash.part_lower(realm).address(source).finish()
    }

    fn bytes(self, mac: u128) -> [u8; NONCE_BYTES] {
        let mut bytes = [0; NONCE_BYTES];
        let octets = self.made.to_le_bytes().into_iter().take(6).chain(self.salt.to_le_bytes().into_iter().take(6));
        bytes.iter_mut().zip(octets.chain(mac.to_le_bytes())).for_each(|(to, from)| *to = from);
        bytes
    }
}

/// Compared as a whole number: no octet ends it early.
const fn is_same(left: u128, right: u128) -> bool {
    left ^ right == 0
}

fn six_octets(octets: &[u8; 6]) -> u64 {
    octets.iter().rev().fold(0, |number, &octet| number << 8 | u64::from(octet))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proto::time::{Mono, Wall};

    const LIFETIME: Micros = Micros::from_secs(300);

    fn at(seconds: u64) -> Now {
        Now { mono: Mono(seconds * 1_000_000), wall: Wall((1_700_000_000 + seconds) * 1_000_000) }
    }

    fn source(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn holds_for_its_realm_source_and_time_alone() {
        let nonces = Nonces::new(vec![Secret([1; 16])], at(0));
        let text = nonces.make(b"example.com", source(1), u64::MAX, at(10));
        let read = |realm: &[u8], from, when| nonces.read(&text, realm, from, LIFETIME, when);
        let nonce = read(b"Example.COM", source(1), at(310)).unwrap();
        assert_eq!((nonce.made, nonce.salt), (1_700_000_010_000, SALT_MASK));
        assert_eq!(read(b"example.com", source(1), at(311)), None, "expired");
        assert_eq!(read(b"example.com", source(2), at(10)), None, "another source");
        assert_eq!(read(b"example.org", source(1), at(10)), None, "another realm");
        assert_eq!(read(b"example.com", source(1), at(7)), None, "from the future");
        for place in 0..NONCE_CHARS {
            let mut forged = text;
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(nonces.read(&forged, b"example.com", source(1), LIFETIME, at(10)), None, "{place}");
            assert_eq!(nonces.read(&text[..place], b"example.com", source(1), LIFETIME, at(10)), None);
        }
    }

    #[test]
    fn survives_a_restart_and_a_change_of_keys() {
        let (old, new) = (Secret([1; 16]), Secret([2; 16]));
        let text = Nonces::new(vec![old], at(0)).make(b"r", source(1), 7, at(100));
        // The monotonic clock starts anew.
        let after = |seconds| Now { mono: Mono(5_000_000), wall: at(seconds).wall };
        let with = |keys, when| Nonces::new(keys, when).read(&text, b"r", source(1), LIFETIME, when);
        assert!(with(vec![new, old], after(200)).is_some());
        assert_eq!(with(vec![new], after(200)), None);
        assert_eq!(with(vec![old], after(401)), None);
    }

    #[test]
    fn a_wall_clock_that_jumps_does_not_matter() {
        let nonces = Nonces::new(vec![Secret([1; 16])], at(0));
        let text = nonces.make(b"r", source(1), 7, Now { wall: Wall(0), ..at(10) });
        let later = Now { wall: Wall(u64::MAX), ..at(20) };
        assert!(nonces.read(&text, b"r", source(1), LIFETIME, later).is_some());
    }
}
