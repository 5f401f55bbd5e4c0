//! From a datagram to a [`Message`] in one pass over its header section (RFC 3261 §7, §18.3).
//!
//! Called for every datagram. Finds lines, names, values and the body; reads no value except
//! Content-Length. Only CRLF ends a line. After the first fault the pass goes on, so that a request
//! can be answered; the fault that came first is the one reported.

use super::arena::{Arena, Field, Index};
use super::error::{Malformation, ParseError};
use super::lex::{LWS, TOKEN, decimal};
use super::name::{HeaderName, folded_start, folded_start_of_word, lookup};
use super::scan::{name_end, next_control, word_at};
use super::span::{Span, narrow};
use super::start_line::{StartLine, first_line};
use super::view::{Layout, Message};

/// Reads a datagram (see [`Message::parse`]).
pub(super) fn parse<'m>(datagram: &'m [u8], arena: &'m mut Arena) -> Result<Message<'m>, ParseError<'m>> {
    let fail = |why, offset: usize| ParseError { why, offset: narrow(offset), partial: None };
    if datagram.len() > limits::MESSAGE_BYTES_MAX {
        return Err(fail(Malformation::MessageTooLong, limits::MESSAGE_BYTES_MAX));
    }
    let skipped = leading_line_ends(datagram);
    let bytes = datagram.get(skipped..).unwrap_or_default();
    if bytes.is_empty() {
        return Err(fail(Malformation::KeepAlive, 0));
    }
    let first = first_line(bytes).map_err(|(why, offset)| fail(why, skipped + offset))?;

    arena.index.clear();
    let mut headers = HeaderPass {
        bytes,
        fields: &mut arena.fields,
        index: &mut arena.index,
        count: 0,
        content_length: None,
        trouble: first.trouble.map(|why| (why, 0)),
        odd_octets: 0,
    };
    let header_end = headers.run(first.end);
    let HeaderPass { count, content_length, mut trouble, odd_octets, .. } = headers;

    let terminated = bytes.get(header_end) == Some(&b'\r') && bytes.get(header_end + 1) == Some(&b'\n');
    let body_start = if terminated { header_end + 2 } else { bytes.len() };
    let available = bytes.len() - body_start;
    let body_len = match content_length.map(|length| usize::try_from(length).unwrap_or(usize::MAX)) {
        Some(length) if length <= available => length,
        Some(_) => {
            trouble.get_or_insert((Malformation::BodyTooShort, body_start));
            available
        }
        None => available,
    };
    let end = body_start + body_len;
    let layout = Layout {
        start: first.line,
        start_line_end: narrow(first.end),
        header_end: narrow(header_end),
        body_start: narrow(body_start),
        trailing: narrow(bytes.len() - end),
        content_length,
        foreign_version: first.foreign_version,
        odd_octets,
    };
    let arena: &'m Arena = arena;
    let fields = arena.fields.get(..count).unwrap_or_default();
    let message = Message::new(bytes.get(..end).unwrap_or_default(), fields, &arena.index, layout);
    match trouble {
        None => Ok(message),
        Some((why, offset)) => {
            let partial = matches!(first.line, StartLine::Request { .. }).then_some(message);
            Err(ParseError { why, offset: narrow(skipped + offset), partial })
        }
    }
}

/// Octets of the CRLFs before a start line (RFC 3261 §7.5).
fn leading_line_ends(datagram: &[u8]) -> usize {
    let mut at = 0;
    while datagram.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
        at += 2;
    }
    at
}

/// The pass over the header lines.
struct HeaderPass<'p> {
    bytes: &'p [u8],
    fields: &'p mut [Field],
    index: &'p mut Index,
    count: usize,
    content_length: Option<u32>,
    /// The first fault and its offset.
    trouble: Option<(Malformation, usize)>,
    /// Control characters in values, other than HTAB and those of foldings.
    odd_octets: u16,
}

/// Where a value ends.
struct ValueEnd {
    /// After the CRLF.
    line_end: usize,
    /// A bare CR, LF or NUL stands in it.
    tainted: bool,
}

impl HeaderPass<'_> {
    /// Reads header fields from `at` to the empty line; returns the offset of the empty line, or of
    /// the first line that is not complete.
    fn run(&mut self, mut at: usize) -> usize {
        loop {
            match self.bytes.get(at) {
                Some(b'\r') if self.bytes.get(at + 1) == Some(&b'\n') => return at,
                Some(_) => {}
                None => break,
            }
            let Some(next) = self.field(at) else { break };
            at = next;
        }
        self.fault(Malformation::HeadersUnterminated, at);
        at
    }

    #[cold]
    fn fault(&mut self, why: Malformation, offset: usize) {
        self.trouble.get_or_insert((why, offset));
    }

    /// Reads the field at `start`; returns the offset after it, `None` if the message ends before it does.
    fn field(&mut self, start: usize) -> Option<usize> {
        let stop = name_end(self.bytes, start);
        let (mut name, name_len, value_from) = if self.bytes.get(stop) == Some(&b':') && stop > start {
            (self.name(start, stop), stop - start, stop + 1)
        } else {
            self.odd_name(start, stop)
        };
        let value_start = self.skip_white_space(value_from);
        let ValueEnd { line_end, tainted } = self.value_end(value_start)?;
        if tainted {
            name = HeaderName::Other;
        }
        let value = Span::between(value_start.min(line_end), self.trim_end(value_start, line_end));
        if line_end - start > limits::HEADER_LINE_BYTES_MAX {
            self.fault(Malformation::HeaderLineTooLong, start);
        }
        let field = Field { name, name_len: narrow(name_len), line: Span::between(start, line_end), value };
        match (self.fields.get_mut(self.count), u8::try_from(self.count)) {
            (Some(room), Ok(position)) => {
                *room = field;
                self.index.note(name, position);
                self.count += 1;
            }
            _ => self.fault(Malformation::TooManyHeaders, start),
        }
        if name == HeaderName::ContentLength {
            self.content_length(value);
        }
        Some(line_end)
    }

    /// The name from `start` to the colon at `stop`.
    #[inline]
    fn name(&mut self, start: usize, stop: usize) -> HeaderName {
        let octets = self.bytes.get(start..stop).unwrap_or_default();
        let folded = match word_at(self.bytes, start) {
            Some(word) => folded_start_of_word(word, octets.len()),
            None => folded_start(octets),
        };
        let name = lookup(folded, octets);
        if name == HeaderName::Other && !TOKEN.has_all(octets) {
            self.fault(Malformation::HeaderName, start);
        }
        name
    }

    /// A name that a space or something worse follows. RFC 3261's HCOLON allows spaces and tabs
    /// before the colon: such a header is the one it says it is, for us as for the next hop. Without a
    /// colon the whole line counts as a value of nothing.
    #[cold]
    fn odd_name(&mut self, start: usize, stop: usize) -> (HeaderName, usize, usize) {
        let mut colon = stop;
        while matches!(self.bytes.get(colon), Some(b' ' | b'\t')) {
            colon += 1;
        }
        if stop > start && self.bytes.get(colon) == Some(&b':') {
            return (self.name(start, stop), stop - start, colon + 1);
        }
        self.fault(Malformation::HeaderName, start);
        (HeaderName::Other, 0, start)
    }

    /// Offset of the first octet of a value: past spaces, tabs and foldings.
    #[inline]
    fn skip_white_space(&self, mut at: usize) -> usize {
        loop {
            match self.bytes.get(at) {
                Some(b' ' | b'\t') => at += 1,
                Some(b'\r') if self.is_folding(at) => at += 3,
                _ => return at,
            }
        }
    }

    /// CRLF and a space or tab.
    #[inline]
    fn is_folding(&self, at: usize) -> bool {
        matches!(self.bytes.get(at..at + 3), Some(b"\r\n " | b"\r\n\t"))
    }

    /// Finds the CRLF that ends the value at `from`; `None` if there is none.
    #[inline]
    fn value_end(&mut self, from: usize) -> Option<ValueEnd> {
        let mut tainted = false;
        let mut at = next_control(self.bytes, from);
        loop {
            match self.bytes.get(at)? {
                b'\r' if self.bytes.get(at + 1) == Some(&b'\n') => match self.bytes.get(at + 2) {
                    Some(b' ' | b'\t') => at += 2,
                    _ => {
                        return Some(ValueEnd { line_end: at + 2, tainted });
                    }
                },
                b'\r' | b'\n' => {
                    self.fault(Malformation::BareLineBreak, at);
                    tainted = true;
                }
                0 if at == from || self.bytes.get(at - 1) != Some(&b'\\') => {
                    self.fault(Malformation::BareNul, at);
                    tainted = true;
                }
                b'\t' => {}
                _ => self.odd_octets = self.odd_octets.saturating_add(1),
            }
            at = next_control(self.bytes, at + 1);
        }
    }

    /// Offset after the last octet of the value that is not white space.
    #[inline]
    fn trim_end(&self, value_start: usize, line_end: usize) -> usize {
        let mut end = line_end - 2;
        while end > value_start && self.bytes.get(end - 1).is_some_and(|&octet| LWS.has(octet)) {
            end -= 1;
        }
        end.max(value_start.min(line_end))
    }

    fn content_length(&mut self, value: Span) {
        if self.content_length.is_some() {
            self.fault(Malformation::ContentLengthRepeated, usize::from(value.start));
            return;
        }
        self.content_length = decimal(value.of(self.bytes));
        if self.content_length.is_none() {
            self.fault(Malformation::ContentLengthUnreadable, usize::from(value.start));
        }
    }
}
