//! Numbers and dialling codes as sixteen symbols in one `u64`: digit + 1 in each four bits from the top,
//! 0 where it ends.
//!
//! So codes sort as texts do, a code stands right before those that it is the beginning of, and the trie
//! takes its steps by shifting.

use std::fmt;

/// Most digits of a code: those of a number (E.164 §6.2.1).
pub const CODE_DIGITS_MAX: usize = 15;

/// The first digits of numbers: what a row of a deck is for. At most [`CODE_DIGITS_MAX`] digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u64);

/// Symbols that one `u64` holds.
const SYMBOLS: usize = 16;

impl Code {
    /// The code that every number begins with.
    pub const EMPTY: Code = Code(0);

    /// Reads digits, nothing else; `None` for anything else, and for more than [`CODE_DIGITS_MAX`].
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.len() > CODE_DIGITS_MAX {
            return None;
        }
        digits
            .iter()
            .try_fold((0, 60_u32), |(packed, shift), byte| {
                let symbol = byte.is_ascii_digit().then(|| u64::from(byte - b'0') + 1)?;
                Some((packed | symbol << shift, shift.saturating_sub(4)))
            })
            .map(|(packed, _)| Code(packed))
    }

    /// A number that is asked about: a leading `+` is skipped, and digits beyond the longest code are not
    /// looked at. `None` when it has none, or anything else among the first ones.
    pub fn of_number(number: &[u8]) -> Option<Self> {
        let digits = number.strip_prefix(b"+").unwrap_or(number);
        let digits = digits.get(..CODE_DIGITS_MAX).unwrap_or(digits);
        Self::parse(digits).filter(|code| !code.is_empty())
    }

    /// From what an image holds; `None` when no code looks like that.
    pub const fn from_packed(packed: u64) -> Option<Self> {
        let length = Code(packed).len();
        let mut at = 0;
        while at < SYMBOLS {
            let symbol = packed >> (60 - 4 * at) & 15;
            if (symbol == 0) != (at >= length) || symbol > 10 {
                return None;
            }
            at += 1;
        }
        if length > CODE_DIGITS_MAX { None } else { Some(Code(packed)) }
    }

    /// From a leaf of an image's trie, whatever stands there: only for comparing.
    #[inline]
    pub(crate) const fn of_leaf(packed: u64) -> Self {
        Code(packed)
    }

    /// As an image holds it.
    pub const fn packed(self) -> u64 {
        self.0
    }

    /// How many digits.
    pub const fn len(self) -> usize {
        SYMBOLS - self.0.trailing_zeros() as usize / 4
    }

    /// No digit at all.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The symbol at `place`: 0 at the end and beyond, digit + 1 before.
    pub(crate) const fn symbol(self, place: usize) -> usize {
        if place < SYMBOLS { (self.0 >> (60 - 4 * place) & 15) as usize } else { 0 }
    }

    /// Whether `other` begins with it.
    pub const fn begins(self, other: Code) -> bool {
        let length = self.len();
        length == 0 || (self.0 ^ other.0) >> (64 - 4 * length) == 0
    }

    /// The first `length` digits, or all when there are fewer.
    #[must_use]
    pub const fn first(self, length: usize) -> Code {
        if length == 0 {
            Code(0)
        } else if length >= SYMBOLS {
            self
        } else {
            Code(self.0 & (u64::MAX << (64 - 4 * length)))
        }
    }

    /// So many times 0, [`CODE_DIGITS_MAX`] at most.
    pub(crate) const fn of_zeros(count: usize) -> Code {
        Code(0x1111_1111_1111_1110).first(if count > CODE_DIGITS_MAX { CODE_DIGITS_MAX } else { count })
    }

    /// Without its first `length` digits.
    #[must_use]
    pub const fn without(self, length: usize) -> Code {
        if length >= SYMBOLS { Code(0) } else { Code(self.0 << (4 * length)) }
    }

    /// Its digits as a whole number.
    pub const fn value(self) -> u64 {
        let (mut value, mut place) = (0, 0);
        while self.symbol(place) != 0 {
            value = value * 10 + self.symbol(place) as u64 - 1;
            place += 1;
        }
        value
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.len()).try_for_each(|place| write!(f, "{}", self.symbol(place).saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_lose_plus_and_tail() {
        let shown = |number: &str| Code::of_number(number.as_bytes()).map(|code| code.to_string());
        assert_eq!(shown("+4479").as_deref(), Some("4479"));
        assert_eq!(shown("12345678901234567890").as_deref(), Some("123456789012345"));
        assert_eq!([shown(""), shown("+"), shown("44a"), shown("++44"), shown("#31")], [const { None }; 5]);
    }

    proptest! {
        #[test]
        fn behaves_as_the_text_does(a in "[0-9]{0,15}", b in "[0-9]{0,15}", length in 0_usize..17) {
            let (x, y) = (Code::parse(a.as_bytes()).unwrap(), Code::parse(b.as_bytes()).unwrap());
            prop_assert_eq!(x.to_string(), a.clone());
            prop_assert_eq!(x.len(), a.len());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.begins(y), b.starts_with(&a));
            prop_assert_eq!(x.first(length).to_string(), a.get(..length).unwrap_or(&a));
            prop_assert_eq!(x.without(length).to_string(), a.get(length..).unwrap_or_default());
            prop_assert_eq!(x.value(), a.parse().unwrap_or(0));
            prop_assert_eq!(Code::from_packed(x.packed()), Some(x));
        }

        #[test]
        fn only_codes_are_taken_from_an_image(packed: u64) {
            if let Some(code) = Code::from_packed(packed) {
                prop_assert_eq!(Code::parse(code.to_string().as_bytes()), Some(code));
            }
        }
    }
}
