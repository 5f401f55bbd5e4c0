//! URL-safe base 64 without padding (RFC 4648 §5), for texts of one fixed length: tokens. Called by `token` for every
//! message.
//!
//! WHY here: a token is read from each message and written into each request; with both lengths known to the
//! compiler this takes a third of what a general coder takes. The tests hold it against the `data-encoding` crate.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The six bits of each character as they stand in the bits of four, for each of the four places; [`INVALID`] for
/// what is no character of the alphabet.
static VALUES: [[u32; 256]; 4] = {
    let mut values = [[INVALID; 256]; 4];
    let mut place = 0;
    while place < 4 {
        let mut value = 0;
        while value < ALPHABET.len() {
            values[place][ALPHABET[value] as usize] = (value as u32) << (18 - 6 * place);
            value += 1;
        }
        place += 1;
    }
    values
};

/// Above all bits of four characters.
const INVALID: u32 = 1 << 31;

/// The bits of four characters.
#[inline(always)]
fn bits_of([a, b, c, d]: [u8; 4]) -> u32 {
    let [first, second, third, fourth] = &VALUES;
    first[usize::from(a)] | second[usize::from(b)] | third[usize::from(c)] | fourth[usize::from(d)]
}

/// Stands for zero bits.
const ZERO: u8 = ALPHABET[0];

/// Writes `bytes` as `CHARS` characters.
pub fn encode<const BYTES: usize, const CHARS: usize>(bytes: &[u8; BYTES]) -> [u8; CHARS] {
    const { assert!(CHARS == (BYTES * 8).div_ceil(6)) };
    let mut text = [0; CHARS];
    let digit = |bits: u32| ALPHABET[(bits & 0x3f) as usize];
    let (threes, last) = bytes.as_chunks::<3>();
    let (fours, rest) = text.as_chunks_mut::<4>();
    for (&[a, b, c], four) in threes.iter().zip(fours) {
        let bits = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
        *four = [digit(bits >> 18), digit(bits >> 12), digit(bits >> 6), digit(bits)];
    }
    match (last, rest) {
        (&[a], [first, second]) => {
            let bits = u32::from(a) << 4;
            (*first, *second) = (digit(bits >> 6), digit(bits));
        }
        (&[a, b], [first, second, third]) => {
            let bits = (u32::from(a) << 8 | u32::from(b)) << 2;
            (*first, *second, *third) = (digit(bits >> 12), digit(bits >> 6), digit(bits));
        }
        _ => {}
    }
    text
}

/// Reads `text`. `None`: a character is none of the alphabet's, or the last one says more than the bytes hold.
pub fn decode<const BYTES: usize, const CHARS: usize>(text: &[u8; CHARS]) -> Option<[u8; BYTES]> {
    const { assert!(CHARS == (BYTES * 8).div_ceil(6)) };
    let mut bytes = [0; BYTES];
    let (fours, last) = text.as_chunks::<4>();
    let (threes, rest) = bytes.as_chunks_mut::<3>();
    let mut seen = 0;
    for (four, three) in fours.iter().zip(threes) {
        let bits = bits_of(*four);
        seen |= bits;
        let [_, first, second, third] = bits.to_be_bytes();
        *three = [first, second, third];
    }
    // What the last characters say beyond the bytes must be nothing.
    match (last, rest) {
        (&[a, b], [first]) => {
            let bits = bits_of([a, b, ZERO, ZERO]);
            seen |= bits | if bits & 0xffff != 0 { INVALID } else { 0 };
            [_, *first, _, _] = bits.to_be_bytes();
        }
        (&[a, b, c], [first, second]) => {
            let bits = bits_of([a, b, c, ZERO]);
            seen |= bits | if bits & 0xff != 0 { INVALID } else { 0 };
            [_, *first, *second, _] = bits.to_be_bytes();
        }
        _ => {}
    }
    (seen & INVALID == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use data_encoding::BASE64URL_NOPAD;
    use proptest::prelude::*;

    fn agree<const BYTES: usize, const CHARS: usize>(bytes: [u8; BYTES], at: usize, character: u8) {
        let mut text: [u8; CHARS] = encode(&bytes);
        assert_eq!(BASE64URL_NOPAD.encode(&bytes).as_bytes(), text);
        assert_eq!(decode(&text), Some(bytes));
        text[at % CHARS] = character;
        assert_eq!(decode::<BYTES, CHARS>(&text).map(Vec::from), BASE64URL_NOPAD.decode(&text).ok());
    }

    use std::vec::Vec;

    proptest! {
        #[test]
        fn it_is_base_64(bytes: [u8; 28], at: usize, character: u8) {
            agree::<28, 38>(bytes, at, character);
            agree::<20, 27>(bytes[..20].try_into().unwrap(), at, character);
            agree::<21, 28>(bytes[..21].try_into().unwrap(), at, character);
        }
    }
}
