//! The ids that a call carries in its Call-ID, tags and branches, and back.
//!
//! Both ends find the state of a call by index, without a table: a [`Key`] is a place in a slab and
//! the generation of that place, written as sixteen hexadecimal digits wherever SIP wants an id. A
//! key that comes back with another generation belongs to a call that has ended.

use proto::time::Mono;

/// Which call of a slab: its place, and how often that place has been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Index in the slab.
    pub slot: u32,
    /// Use of that index; grows by one each time.
    pub generation: u32,
}

/// Marks everything that this run of the generator wrote (random, so that two runs never meet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run(pub u32);

/// The request a branch belongs to; the last letter of the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// INVITE, its CANCEL and its ACK for a failure (RFC 3261 §17.1.1.3: same branch).
    Invite,
    /// ACK for a 2xx.
    Ack,
    /// BYE.
    Bye,
    /// BYE to an answer that nobody wants; its response is not waited for.
    Unwanted,
    /// A request outside of calls: OPTIONS, REGISTER.
    Single,
    /// The same request once more, with the credentials that were asked for.
    Credentials,
}

impl Leg {
    const fn letter(self) -> u8 {
        match self {
            Leg::Invite => b'i',
            Leg::Ack => b'a',
            Leg::Bye => b'b',
            Leg::Unwanted => b'u',
            Leg::Single => b's',
            Leg::Credentials => b'c',
        }
    }

    const fn of_letter(letter: u8) -> Option<Leg> {
        Some(match letter {
            b'i' => Leg::Invite,
            b'a' => Leg::Ack,
            b'b' => Leg::Bye,
            b'u' => Leg::Unwanted,
            b's' => Leg::Single,
            b'c' => Leg::Credentials,
            _ => return None,
        })
    }
}

/// RFC 3261 §8.1.1.7 magic cookie, with our mark.
const BRANCH_PREFIX: &[u8] = b"z9hG4bK-tb-";
const CALL_ID_PREFIX: &[u8] = b"tb-";
/// Digits of a key, of a run, of a moment.
const KEY_DIGITS: usize = 16;
const RUN_DIGITS: usize = 8;
const MOMENT_DIGITS: usize = 14;

/// Bytes of a tag: run and key.
pub const TAG_BYTES: usize = RUN_DIGITS + KEY_DIGITS;
/// Bytes of a branch.
pub const BRANCH_BYTES: usize = BRANCH_PREFIX.len() + TAG_BYTES + 1;
/// Bytes of a Call-ID.
pub const CALL_ID_BYTES: usize = CALL_ID_PREFIX.len() + TAG_BYTES + 1 + MOMENT_DIGITS;

/// A From tag of our callers or a To tag of our gateways.
pub fn tag(run: Run, key: Key) -> [u8; TAG_BYTES] {
    let mut out = [0; TAG_BYTES];
    let (run_part, key_part) = out.split_at_mut(RUN_DIGITS);
    put_hex(run_part, u64::from(run.0));
    put_hex(key_part, key.packed());
    out
}

/// The key in a tag of this run.
pub fn key_of_tag(run: Run, tag: &[u8]) -> Option<Key> {
    let (run_part, key_part) = tag.split_at_checked(RUN_DIGITS)?;
    if key_part.len() != KEY_DIGITS || hex(run_part)? != u64::from(run.0) {
        return None;
    }
    Some(Key::unpack(hex(key_part)?))
}

/// A branch of one of our requests.
pub fn branch(run: Run, key: Key, leg: Leg) -> [u8; BRANCH_BYTES] {
    let mut out = [0; BRANCH_BYTES];
    let (prefix, rest) = out.split_at_mut(BRANCH_PREFIX.len());
    prefix.copy_from_slice(BRANCH_PREFIX);
    let (ids, letter) = rest.split_at_mut(TAG_BYTES);
    ids.copy_from_slice(&tag(run, key));
    letter.fill(leg.letter());
    out
}

/// The key and the request in a branch of this run.
pub fn key_of_branch(run: Run, branch: &[u8]) -> Option<(Key, Leg)> {
    let rest = branch.strip_prefix(BRANCH_PREFIX)?;
    let (ids, letter) = rest.split_at_checked(TAG_BYTES)?;
    let [letter] = letter else { return None };
    Some((key_of_tag(run, ids)?, Leg::of_letter(*letter)?))
}

/// A Call-ID that also says when the call was meant to start.
///
/// WHY: a gateway of the same host reads the moment and so measures how long the INVITE took
/// through the proxy, without asking the caller. The monotonic clock is the host's.
pub fn call_id(run: Run, key: Key, intended: Mono) -> [u8; CALL_ID_BYTES] {
    let mut out = [0; CALL_ID_BYTES];
    let (prefix, rest) = out.split_at_mut(CALL_ID_PREFIX.len());
    prefix.copy_from_slice(CALL_ID_PREFIX);
    let (ids, rest) = rest.split_at_mut(TAG_BYTES);
    ids.copy_from_slice(&tag(run, key));
    let (dash, moment) = rest.split_at_mut(1);
    dash.fill(b'-');
    put_hex(moment, intended.0);
    out
}

/// The moment in a Call-ID that any run of this generator wrote.
pub fn intended_start(call_id: &[u8]) -> Option<Mono> {
    let rest = call_id.strip_prefix(CALL_ID_PREFIX)?;
    let (ids, rest) = rest.split_at_checked(TAG_BYTES)?;
    hex(ids.get(..RUN_DIGITS)?)?;
    let digits = rest.strip_prefix(b"-")?;
    if digits.len() != MOMENT_DIGITS {
        return None;
    }
    hex(digits).map(Mono)
}

impl Key {
    fn packed(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.generation)
    }

    fn unpack(packed: u64) -> Key {
        // The halves of a u64 fit by construction.
        let [a, b, c, d, e, f, g, h] = packed.to_be_bytes();
        Key { slot: u32::from_be_bytes([a, b, c, d]), generation: u32::from_be_bytes([e, f, g, h]) }
    }
}

/// Fills all of `out` with the low digits of `value`.
fn put_hex(out: &mut [u8], mut value: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for place in out.iter_mut().rev() {
        *place = DIGITS[(value & 0xf) as usize];
        value >>= 4;
    }
}

/// Reads lower-case hexadecimal digits, at most sixteen.
fn hex(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(sum << 4 | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const RUN: Run = Run(0xdead_beef);
    const KEY: Key = Key { slot: 0x0102_0304, generation: 0xffff_fffe };

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(key_of_tag(RUN, &tag(RUN, KEY)), Some(KEY));
        for leg in [Leg::Invite, Leg::Ack, Leg::Bye, Leg::Unwanted, Leg::Single, Leg::Credentials] {
            assert_eq!(key_of_branch(RUN, &branch(RUN, KEY, leg)), Some((KEY, leg)));
        }
        let moment = Mono(123_456_789_012);
        assert_eq!(intended_start(&call_id(RUN, KEY, moment)), Some(moment));
    }

    #[test]
    fn another_run_and_broken_ids_are_refused() {
        let mut ours = tag(RUN, KEY);
        assert_eq!(key_of_tag(Run(1), &ours), None);
        ours[3] = b'g';
        assert_eq!(key_of_tag(RUN, &ours), None);
        assert_eq!(key_of_tag(RUN, b""), None);
        assert_eq!(key_of_branch(RUN, b"z9hG4bK-tb-"), None);
        let mut cut = branch(RUN, KEY, Leg::Bye).to_vec();
        cut.pop();
        assert_eq!(key_of_branch(RUN, &cut), None);
        assert_eq!(intended_start(b"a84b4c76e66710@pc33.atlanta.com"), None);
    }
}
