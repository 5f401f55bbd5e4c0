//! What decides where a request goes, in 32 bits: RFC 5393 §4.2.1. It stands in our Via branch, signed, and says when
//! the request comes back whether anything is different now.
//!
//! WHY no SipHash: nothing is proven by it. The token that carries it is, and who makes two of his own requests collide
//! gets 482 for one of them.

use super::{Preprocessed, Settings};
use crate::hash::Secret;
use crate::message::{HeaderName, Message};
use crate::policy::Endpoint;
use core::net::IpAddr;

/// Hash of what decides where a request goes (RFC 5393 §4.2.1): the Request-URI as received, the Route values
/// and the address it came from, by which routes are chosen; Call-ID, From tag and CSeq number, so that two
/// calls do not collide for long.
///
/// INVARIANT: an INVITE, its CANCEL and its ACK have the same hash: forwarded statelessly they carry the same
/// branch. WHY not the signing key: a request that loops through a cluster must be recognised by any node.
pub(super) fn loop_hash(settings: &Settings, source: &Endpoint, message: &Message<'_>, pre: &Preprocessed<'_>) -> u32 {
    let number = message.cseq().map_or(0, |cseq| cseq.number);
    let address = match source.peer.ip().to_canonical() {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let mut hash = FoldedHash::new(&settings.keys.slot_secret())
        .pair(pre.call.0, u64::from(number))
        .pair(address as u64, (address >> 64) as u64)
        .part(pre.request_uri)
        .part(message.from_tag());
    for field in message.all(HeaderName::Route) {
        hash = hash.part(field.value.of(message.bytes()));
    }
    hash.finish()
}

/// Two words at a time are multiplied, and the halves of the product folded together.
#[derive(Clone, Copy)]
struct FoldedHash {
    state: u64,
    key: u64,
}

/// Factors with as many ones as zeros, so that even a poor secret makes a good one.
const ODD: [u64; 4] = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93];

impl FoldedHash {
    #[inline(always)]
    fn new(secret: &Secret) -> FoldedHash {
        let key = u128::from_le_bytes(secret.0);
        FoldedHash { state: key as u64 ^ ODD[0], key: (key >> 64) as u64 ^ ODD[1] }
    }

    #[inline(always)]
    fn pair(self, first: u64, second: u64) -> FoldedHash {
        let product = u128::from(first ^ self.state).wrapping_mul(u128::from(second ^ self.key));
        // WHY the second word is added: a factor of zero must not swallow it.
        let state = (product as u64 ^ (product >> 64) as u64).wrapping_add(second.rotate_left(32));
        FoldedHash { state, ..self }
    }

    /// Adds a part with its length.
    #[inline(always)]
    fn part(self, bytes: &[u8]) -> FoldedHash {
        let (sixteens, rest) = bytes.as_chunks::<16>();
        let mut hash = self;
        for sixteen in sixteens {
            let words = u128::from_le_bytes(*sixteen);
            hash = hash.pair(words as u64, (words >> 64) as u64);
        }
        let words = match bytes.last_chunk::<16>() {
            // Some of it for the second time.
            Some(last) => u128::from_le_bytes(*last),
            None => rest.iter().rev().fold(0, |word, &octet| word << 8 | u128::from(octet)),
        };
        let length = bytes.len() as u64;
        hash.pair(words as u64 ^ length << 56, (words >> 64) as u64 ^ length)
    }

    #[inline(always)]
    fn finish(self) -> u32 {
        let FoldedHash { state, .. } = FoldedHash { key: ODD[2], ..self }.pair(ODD[3], 0);
        // INVARIANT: shifted to 32 bits.
        (state >> 32) as u32 ^ (state & 0xffff_ffff) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::format;

    const SECRET: Secret = Secret([7; 16]);

    #[test]
    fn neighbours_do_not_collide() {
        let mut seen = HashSet::new();
        for number in 0..40_000u32 {
            let uri = format!("sip:1555{number}@192.0.2.{}", number % 250);
            let hash = FoldedHash::new(&SECRET).pair(1, 2).part(uri.as_bytes());
            seen.insert(hash.part(b"").finish());
            seen.insert(hash.part(b"a").finish());
            seen.insert(hash.part(format!("{number}").as_bytes()).finish());
        }
        // Of 120,000 in 32 bits some two pairs fall together by chance.
        assert!(seen.len() > 119_980, "{}", seen.len());
    }

    #[test]
    fn every_octet_counts() {
        let text = [b'x'; 70];
        for length in 1..text.len() {
            let whole = &text[..length];
            let hash = FoldedHash::new(&SECRET).part(whole).finish();
            assert_ne!(hash, FoldedHash::new(&SECRET).part(&text[..length - 1]).finish(), "{length}");
            for at in 0..length {
                let mut changed = text;
                changed[at] = b'y';
                assert_ne!(hash, FoldedHash::new(&SECRET).part(&changed[..length]).finish(), "{at} of {length}");
            }
        }
    }
}
