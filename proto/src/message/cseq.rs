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
#[derive(Clone, Copy, Debug)]
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
