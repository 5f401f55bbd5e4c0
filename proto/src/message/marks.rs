//! Octets that matter, found many at a time: one bit for each octet, set where it is of a certain kind.
//!
//! [`Controls`] walks over the control characters of a header section (its line ends, nearly always), [`Delimiters`]
//! over what divides a value. Used by `parse` and by the readers of plain values.
//!
//! WHY `wide`: a comparison of sixteen octets, and the bits of its outcome, are one instruction each on every x86-64
//! and on ARM, and the crate offers them without `unsafe`.

use super::span::Span;
use wide::u8x16;

/// The control characters (below the space) from some offset on, in their order.
pub(super) struct Controls<'m> {
    bytes: &'m [u8],
    /// Offset of the octet of the lowest bit of `marks`.
    base: usize,
    marks: u64,
}

impl<'m> Controls<'m> {
    /// Those of `bytes` at and after `from`.
    #[inline(always)]
    pub(super) fn new(bytes: &'m [u8], from: usize) -> Controls<'m> {
        Controls { bytes, base: from, marks: controls_of_64(bytes, from) }
    }

    /// Offset of the next one; the length of `bytes` when there is none left.
    #[inline(always)]
    pub(super) fn next(&mut self) -> usize {
        while self.marks == 0 {
            self.base = self.base.wrapping_add(64);
            if self.base >= self.bytes.len() {
                self.base = self.bytes.len();
                return self.base;
            }
            self.marks = controls_of_64(self.bytes, self.base);
        }
        let place = self.marks.trailing_zeros() as usize;
        self.marks &= self.marks.wrapping_sub(1);
        self.base.wrapping_add(place)
    }
}

/// Bit n: octet `from` + n is a control character. None is set after the end of `bytes`.
#[inline(always)]
fn controls_of_64(bytes: &[u8], from: usize) -> u64 {
    let rest = bytes.get(from..).unwrap_or_default();
    match rest.first_chunk() {
        Some(octets) => controls(octets),
        None => controls(&padded(rest)),
    }
}

#[inline(always)]
fn controls(octets: &[u8; 64]) -> u64 {
    let (sixteens, _) = octets.as_chunks::<16>();
    let marks = |sixteen: &[u8; 16]| u64::from(at_most(u8x16::new(*sixteen), b' ' - 1).to_bitmask());
    sixteens.iter().rev().fold(0, |bits, sixteen| bits << 16 | marks(sixteen))
}

/// Index of the first colon; 16 if there is none.
#[inline(always)]
pub(super) fn first_colon(octets: &[u8; 16]) -> usize {
    let marks = u8x16::new(*octets).simd_eq(u8x16::splat(b':')).to_bitmask();
    (marks | 1 << 16).trailing_zeros() as usize
}

/// Stands on one delimiter of a value after the other: white space, control characters, `"`, `,`, `;`, `<`, `=`, `>`,
/// `?`, backslash and DEL. What lies between two of them is plain text.
pub(super) struct Delimiters<'m> {
    message: &'m [u8],
    /// Offset of the octet of the lowest bit of `marks`.
    base: usize,
    marks: u64,
    /// Offset after the value. What follows a value is white space, so the walk stands there before it goes beyond.
    end: usize,
    at: usize,
    octet: u8,
}

/// `;name` or `;name=value` without white space, quotation marks or anything that would not pass in every value.
pub(super) struct PlainParameter<'m> {
    pub(super) name: &'m [u8],
    /// Where the value stands; empty if it has none.
    pub(super) value: Span,
    /// From the semicolon to the last octet.
    pub(super) span: Span,
}

impl<'m> Delimiters<'m> {
    /// On the first delimiter of what stands between two offsets.
    #[inline(always)]
    pub(super) fn new(message: &'m [u8], start: usize, end: usize) -> Delimiters<'m> {
        let marks = delimiters_of_64(message, start);
        let mut first = Delimiters { message, base: start, marks, end, at: start, octet: 0 };
        first.advance();
        first
    }

    /// Offset of the delimiter, or of the end of the value.
    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The delimiter; behind the end of the message zero.
    #[inline(always)]
    pub(super) fn octet(&self) -> u8 {
        self.octet
    }

    /// Whether the value ends here.
    #[inline(always)]
    pub(super) fn at_end(&self) -> bool {
        self.at == self.end
    }

    /// On to the next one.
    #[inline(always)]
    pub(super) fn advance(&mut self) {
        if self.marks == 0 {
            self.load_more();
        }
        self.at = self.base.wrapping_add(self.marks.trailing_zeros() as usize);
        self.marks &= self.marks.wrapping_sub(1);
        self.octet = self.message.get(self.at).copied().unwrap_or(0);
    }

    /// Values are seldom longer than 64 octets.
    #[cold]
    fn load_more(&mut self) {
        while self.marks == 0 {
            self.base = self.base.wrapping_add(64);
            self.marks = delimiters_of_64(self.message, self.base);
        }
    }

    /// Takes the parameter whose semicolon it stands on, and is on the next semicolon or at the end then. `None`: it
    /// stands on something else, or the parameter is not plain.
    #[inline(always)]
    pub(super) fn parameter(&mut self) -> Option<PlainParameter<'m>> {
        if self.octet != b';' {
            return None;
        }
        let start = self.at;
        self.advance();
        let name = self.message.get(start.wrapping_add(1)..self.at)?;
        let mut value_start = self.at;
        if self.octet == b'=' {
            value_start = self.at.wrapping_add(1);
            while self.octet == b'=' {
                self.advance();
            }
            if self.at == value_start {
                return None;
            }
        }
        if name.is_empty() || !(self.at_end() || self.octet == b';') {
            return None;
        }
        Some(PlainParameter { name, value: Span::between(value_start, self.at), span: Span::between(start, self.at) })
    }
}

/// Bit n: octet `from` + n is a delimiter. After the end of `message` all are set.
#[inline(never)]
fn delimiters_of_64(message: &[u8], from: usize) -> u64 {
    let rest = message.get(from..).unwrap_or_default();
    match rest.first_chunk() {
        Some(octets) => delimiters(octets),
        None => delimiters(&padded(rest)),
    }
}

#[inline(always)]
fn delimiters(octets: &[u8; 64]) -> u64 {
    let (sixteens, _) = octets.as_chunks::<16>();
    let marks = |sixteen: &[u8; 16]| {
        let octets = u8x16::new(*sixteen);
        let is = |octet| octets.simd_eq(u8x16::splat(octet));
        // The octets up to the space, and the quotation mark, which differs from it in one bit.
        let space_or_quote = at_most(octets & u8x16::splat(!(b' ' ^ b'"')), b' ');
        let semicolon_to_question = at_most(octets - u8x16::splat(b';'), b'?' - b';');
        let others = is(b',') | is(b'\\') | is(0x7f);
        u64::from((space_or_quote | semicolon_to_question | others).to_bitmask())
    };
    sixteens.iter().rev().fold(0, |bits, sixteen| bits << 16 | marks(sixteen))
}

/// Which octets are at most `limit`.
#[inline(always)]
fn at_most(octets: u8x16, limit: u8) -> u8x16 {
    octets.min(u8x16::splat(limit)).simd_eq(octets)
}

/// The last octets of a message, with spaces after them.
#[cold]
fn padded<const N: usize>(rest: &[u8]) -> [u8; N] {
    let mut room = [b' '; N];
    if let Some(room) = room.get_mut(..rest.len()) {
        room.copy_from_slice(rest);
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// What stands in messages, and whatever else there is.
    fn octets() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![20 => 0x20u8..0x7f, 1 => any::<u8>()], 0..200)
    }

    proptest! {
        #[test]
        fn marks_agree_with_a_plain_search(bytes in octets(), from in 0usize..200, to in 0usize..200) {
            let (from, to) = (from.min(bytes.len()), to.min(bytes.len()));
            let mut controls = Controls::new(&bytes, from);
            for at in (from..bytes.len()).filter(|&at| bytes[at] < b' ') {
                prop_assert_eq!(controls.next(), at);
            }
            prop_assert_eq!((controls.next(), controls.next()), (bytes.len(), bytes.len()));

            let is_delimiter = |octet: u8| octet <= b' ' || b"\",;<=>?\\\x7f".contains(&octet);
            let mut delimiters = Delimiters::new(&bytes, from, to);
            for at in (from..bytes.len()).filter(|&at| is_delimiter(bytes[at])) {
                prop_assert_eq!((delimiters.at(), delimiters.octet(), delimiters.at_end()), (at, bytes[at], at == to));
                delimiters.advance();
            }
            prop_assert_eq!((delimiters.at(), delimiters.octet()), (bytes.len(), 0));
        }
    }
}
