//! CSeq (RFC 3261 §20.16).

use super::error::Fault;
use super::lex::{Cursor, LWS, TOKEN};
use super::method::Method;
use super::span::Span;

/// The value of a CSeq header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'m> {
    /// The sequence number.
    pub number: u32,
    /// The method by number.
    pub method: Method,
    /// Its octets.
    pub method_bytes: &'m [u8],
}

/// The same as offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CSeqParts {
    number: u32,
    method: Method,
    method_span: Span,
}

impl CSeqParts {
    #[inline(always)]
    pub(super) fn of<'m>(&self, bytes: &'m [u8]) -> CSeq<'m> {
        CSeq { number: self.number, method: self.method, method_bytes: self.method_span.of(bytes) }
    }

    /// Reads `1*DIGIT LWS Method`.
    pub(super) fn read(bytes: &[u8], value: Span) -> Result<CSeqParts, Fault> {
        match CSeqParts::read_plain(bytes, value) {
            Some(parts) => Ok(parts),
            None => CSeqParts::read_any(bytes, value),
        }
    }

    /// As nearly all are: a number that is not long, one space, a method that is known.
    #[inline(always)]
    fn read_plain(bytes: &[u8], value: Span) -> Option<CSeqParts> {
        let text = value.of(bytes);
        let (mut number, mut digits) = (0u32, 0);
        while let Some(digit) = text.get(digits).map(|octet| octet.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
            number = number.wrapping_mul(10).wrapping_add(u32::from(digit));
            digits += 1;
        }
        // Nine digits fit in 32 bits.
        if !(1..=9).contains(&digits) || text.get(digits) != Some(&b' ') {
            return None;
        }
        let method = Method::of(text.get(digits + 1..)?);
        let method_start = usize::from(value.start) + digits + 1;
        let method_span = Span::between(method_start, usize::from(value.end));
        (method != Method::Other).then_some(CSeqParts { number, method, method_span })
    }

    #[cold]
    fn read_any(bytes: &[u8], value: Span) -> Result<CSeqParts, Fault> {
        let mut cursor = Cursor::new(bytes, value);
        let number = cursor.number(u32::MAX)?;
        if cursor.run(LWS).is_empty() {
            return Err(Fault::Number);
        }
        let method_start = cursor.pos();
        let method_bytes = cursor.run(TOKEN);
        if method_bytes.is_empty() {
            return Err(Fault::Token);
        }
        if !cursor.at_end() {
            return Err(Fault::Trailing);
        }
        let method_span = Span::between(method_start, cursor.pos());
        Ok(CSeqParts { number, method: Method::of(method_bytes), method_span })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is read as plain is read so by the reader of everything.
        #[test]
        fn plain_agrees_with_any(text in "[0-9]{0,11}( |  |\t|\r\n |)(INVITE|ACK|BYE|OPTIONS|Invite|X-Y|)( |\\(|)") {
            let value = Span::between(0, text.len());
            if let Some(plain) = CSeqParts::read_plain(text.as_bytes(), value) {
                prop_assert_eq!(CSeqParts::read_any(text.as_bytes(), value), Ok(plain));
            }
        }
    }

    #[test]
    fn usual_ones_are_plain() {
        for text in ["1 INVITE", "102 BYE", "999999999 ACK"] {
            assert!(CSeqParts::read_plain(text.as_bytes(), Span::between(0, text.len())).is_some(), "{text}");
        }
    }
}
