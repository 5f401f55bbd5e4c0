//! The hash functions of digest authentication (RFC 7616 §3.2, RFC 8760 §2.1) and what they make.

use md5::Md5;
use sha2::{Sha256, Sha512_256};
use subtle::ConstantTimeEq as _;

/// A hash function that a domain may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// What every client in the field knows.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512 cut to 256 bits (FIPS 180-4 §5.3.6).
    Sha512_256,
}

/// Octets of the longest hash.
pub const HASH_BYTES_MAX: usize = 32;

/// What a hash function made.
#[derive(Clone, Copy)]
pub struct Hash {
    bytes: [u8; HASH_BYTES_MAX],
    algorithm: Algorithm,
}

/// A hash in lower-case hexadecimal digits, as it is hashed again and sent.
#[derive(Clone, Copy, Debug)]
pub struct HexHash {
    digits: [u8; 2 * HASH_BYTES_MAX],
    len: usize,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256];

    /// Its name in challenges.
    pub const fn token(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha512_256 => "SHA-512-256",
        }
    }

    /// The function of that name, in any case; no name means MD5 (RFC 7616 §3.3).
    pub fn named(token: &[u8]) -> Option<Self> {
        let named = |one: &Algorithm| token.eq_ignore_ascii_case(one.token().as_bytes());
        if token.is_empty() { Some(Algorithm::Md5) } else { Algorithm::ALL.into_iter().find(named) }
    }

    /// Octets of what it makes.
    pub const fn hash_bytes(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha256 | Algorithm::Sha512_256 => 32,
        }
    }

    /// The hash of `parts` with colons between them.
    pub fn hash(self, parts: &[&[u8]]) -> Hash {
        match self {
            Algorithm::Md5 => self.of::<Md5>(parts),
            Algorithm::Sha256 => self.of::<Sha256>(parts),
            Algorithm::Sha512_256 => self.of::<Sha512_256>(parts),
        }
    }

    fn of<D: md5::digest::Digest>(self, parts: &[&[u8]]) -> Hash {
        let mut room = [0; JOINED_BYTES];
        // WHY joined: a function that is given many short texts spends more on them than on hashing.
        let made = match join(parts, &mut room) {
            Some(joined) => D::digest(joined),
            None => {
                let mut function = D::new();
                for (place, part) in parts.iter().enumerate() {
                    if place > 0 {
                        function.update(b":");
                    }
                    function.update(part);
                }
                function.finalize()
            }
        };
        let mut bytes = [0; HASH_BYTES_MAX];
        bytes.iter_mut().zip(made).for_each(|(to, from)| *to = from);
        Hash { bytes, algorithm: self }
    }
}

impl Hash {
    /// A hash that was made elsewhere. `None`: of another length.
    pub fn from_bytes(algorithm: Algorithm, made: &[u8]) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES_MAX];
        bytes.get_mut(..algorithm.hash_bytes())?.copy_from_slice(made.get(..algorithm.hash_bytes())?);
        (made.len() == algorithm.hash_bytes()).then_some(Hash { bytes, algorithm })
    }

    /// The same in hexadecimal digits of any case.
    pub fn from_hex(algorithm: Algorithm, digits: &[u8]) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES_MAX];
        if digits.len() != 2 * algorithm.hash_bytes() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Hash { bytes, algorithm })
    }

    /// Its octets.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.algorithm.hash_bytes()).unwrap_or_default()
    }

    /// Which function made it.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its octets as digits.
    pub fn hex(&self) -> HexHash {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 2 * HASH_BYTES_MAX];
        for (pair, &byte) in digits.chunks_exact_mut(2).zip(self.bytes()) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        HexHash { digits, len: 2 * self.algorithm.hash_bytes() }
    }

    /// Whether `digits` of any case are this hash, in a time that does not depend on where they differ.
    pub fn is(&self, digits: &[u8]) -> bool {
        let own = self.hex();
        // A letter becomes a small one by the bit 0x20, which digits have; what has neither that bit nor that of letters
        // is none of both.
        let differ = own
            .as_bytes()
            .iter()
            .zip(digits)
            .fold(0u8, |differ, (own, given)| differ | (own ^ (given | 0x20)) | (!(given | given >> 1) & 0x20));
        bool::from(differ.ct_eq(&0)) && digits.len() == own.len
    }
}

impl HexHash {
    /// The digits.
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

// WHY not derived: whoever has an HA1 can answer challenges, so it must not get into a log.
impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hash({})", self.algorithm.token())
    }
}

/// The parts with colons between them; `None`: they are longer than the room.
fn join<'r>(parts: &[&[u8]], room: &'r mut [u8; JOINED_BYTES]) -> Option<&'r [u8]> {
    let mut length = 0;
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            *room.get_mut(length)? = b':';
            length += 1;
        }
        room.get_mut(length..length + part.len())?.copy_from_slice(part);
        length += part.len();
    }
    room.get(..length)
}

/// What the proof of a phone takes, with SHA-256 as well.
const JOINED_BYTES: usize = 320;

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn names_are_those_of_rfc_8760() {
        for (name, expected) in [
            (&b""[..], Some(Algorithm::Md5)),
            (b"md5", Some(Algorithm::Md5)),
            (b"SHA-256", Some(Algorithm::Sha256)),
            (b"sha-512-256", Some(Algorithm::Sha512_256)),
            (b"MD5-sess", None),
            (b"SHA-1", None),
        ] {
            assert_eq!(Algorithm::named(name), expected);
        }
    }

    #[test]
    fn hashes_are_those_of_their_standards() {
        // RFC 1321 A.5, and FIPS 180-4's example "abc".
        for (algorithm, digits) in [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (Algorithm::Sha512_256, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
        ] {
            let hash = algorithm.hash(&[b"abc"]);
            assert_eq!(hash.hex().as_bytes(), digits.as_bytes());
            assert!(hash.is(digits.as_bytes()) && hash.is(digits.to_uppercase().as_bytes()));
            assert_eq!(Hash::from_bytes(algorithm, hash.bytes()).unwrap().bytes(), hash.bytes());
        }
    }

    #[test]
    fn what_differs_in_any_digit_or_length_is_not_it() {
        for algorithm in Algorithm::ALL {
            let hash = algorithm.hash(&[b"a", b"b"]);
            let digits = hash.hex().as_bytes().to_vec();
            for place in 0..digits.len() {
                let mut other = digits.clone();
                other[place] = if other[place] == b'0' { b'1' } else { b'0' };
                assert!(!hash.is(&other), "{place}");
                assert!(!hash.is(&digits[..place]));
                other[place] = b'g';
                assert!(!hash.is(&other));
            }
        }
        assert!(
            !Hash { bytes: [0; HASH_BYTES_MAX], algorithm: Algorithm::Md5 }.is(b"zz"),
            "nothing is no hash of zeros"
        );
    }
}
