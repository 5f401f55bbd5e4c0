//! Which shard of a Tandem has a call, and which the user who is called: for measuring what a question between them
//! costs.
//!
//! Tandem places both by keyed hashes. Who has its key can choose whom to call, so that all users, or none, are on the
//! shard of their call.

use proto::{hash::Secret, steer, token::Keys};

/// What a key file holds: 32 bytes in hexadecimal digits, of which the first 16 are the secret.
const KEY_BYTES: usize = 32;

/// Chooses users for calls.
#[derive(Clone, Debug)]
pub struct Placing {
    keys: Keys,
    shards: u16,
    same: bool,
}

impl Placing {
    /// By the text of a key file. `same`: users shall be on the shard of their call. `None`: the text is no key, or a
    /// single shard has everything.
    pub fn new(key: &str, shards: u16, same: bool) -> Option<Self> {
        let digits = key.trim();
        if digits.len() != 2 * KEY_BYTES || shards < 2 {
            return None;
        }
        let byte = |place: usize| u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok();
        let mut secret = [0; 16];
        for (place, room) in secret.iter_mut().enumerate() {
            *room = byte(place)?;
        }
        let keys = Keys::new(&[(byte(16)?, Secret(secret))])?;
        Some(Placing { keys, shards, same })
    }

    /// Whether this user suits the call.
    pub fn suits(&self, call_id: &[u8], user: &[u8]) -> bool {
        let shard = |slot| steer::shard_of_slot(slot, self.shards);
        let call = shard(steer::slot_of_call_id(&self.keys, call_id));
        (call == shard(steer::slot_of_plain_user(&self.keys.slot_secret(), user))) == self.same
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_user_suits_either_those_who_ask_or_those_who_do_not() {
        let key = "07".repeat(KEY_BYTES);
        let (same, other) = (Placing::new(&key, 2, true).unwrap(), Placing::new(&key, 2, false).unwrap());
        let suits = (0..1_000)
            .filter(|number| {
                let (call, user) = (format!("call-{number}"), format!("+49{number:010}"));
                let suits = same.suits(call.as_bytes(), user.as_bytes());
                assert_ne!(suits, other.suits(call.as_bytes(), user.as_bytes()));
                suits
            })
            .count();
        assert!((400..600).contains(&suits), "{suits}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(Placing::new("07", 2, true).is_none() && Placing::new(&"0g".repeat(32), 2, true).is_none());
        assert!(Placing::new(&"07".repeat(KEY_BYTES), 1, true).is_none());
    }
}
