//! From a datagram to a [`Message`] in one pass over its header section (RFC 3261 §7, §18.3).
//!
//! Called for every datagram. Finds lines, names, values and the body; reads no value except
//! Content-Length. Only CRLF ends a line. After the first fault the pass goes on, so that a request
//! can be answered; the fault that came first is the one reported.

use super::arena::{Arena, Field, Index};
use super::error::{Malformation, ParseError};
use super::header_line::{HeaderLine, any_line, octets_at, plain_line};
use super::lex::decimal;
use super::marks::Controls;
use super::name::HeaderName;
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
    let mut found = Found { content_length: None, trouble: first.trouble.map(|why| (why, 0)), odd_octets: 0 };
    let (count, header_end) = header_section(bytes, first.end, &mut arena.fields, &mut arena.index, &mut found);
    let Found { content_length, mut trouble, odd_octets } = found;

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

#[inline(always)]
fn is_empty_line(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n"))
}

/// What the pass over the header lines finds besides them.
struct Found {
    content_length: Option<u32>,
    /// The first fault and its offset.
    trouble: Option<(Malformation, usize)>,
    /// Control characters in values, other than HTAB and those of foldings.
    odd_octets: u16,
}

/// Reads header fields from `at` to the empty line; returns how many, and the offset of the empty line or of the first
/// line that is not complete.
#[inline(never)]
fn header_section(
    bytes: &[u8],
    mut at: usize,
    fields: &mut [Field],
    index: &mut Index,
    found: &mut Found,
) -> (usize, usize) {
    let mut controls = Controls::new(bytes, at);
    let (mut count, mut present) = (0, 0);
    loop {
        let plain = match octets_at::<16>(bytes, at) {
            Some([b'\r', b'\n', ..]) => break,
            Some(head) => plain_line(bytes, at, head, &mut controls),
            None if is_empty_line(bytes, at) => break,
            None => None,
        };
        let line = match plain {
            Some(line) => line,
            None => match found.odd_line(bytes, at) {
                Some(line) => {
                    controls = Controls::new(bytes, line.end);
                    line
                }
                None => {
                    found.fault(Malformation::HeadersUnterminated, at);
                    break;
                }
            },
        };
        let value = Span::between(line.value_start, line.value_end);
        match fields.get_mut(count) {
            Some(room) => {
                let whole = Span::between(at, line.end);
                *room = Field { name: line.name, name_len: narrow(line.name_len), line: whole, value };
                present = index.note(line.name, count, present);
                // There are at most `HEADER_COUNT_MAX`.
                count = count.wrapping_add(1);
                if line.name == HeaderName::ContentLength {
                    found.content_length(bytes, value);
                }
            }
            None => found.fault(Malformation::TooManyHeaders, at),
        }
        at = line.end;
    }
    index.seen.present = present;
    (count, at)
}

impl Found {
    /// Reads a line that is not plain.
    #[cold]
    fn odd_line(&mut self, bytes: &[u8], at: usize) -> Option<HeaderLine> {
        let (line, oddities) = any_line(bytes, at)?;
        if let Some((why, offset)) = oddities.fault {
            self.fault(why, offset);
        }
        self.odd_octets = self.odd_octets.saturating_add(oddities.octets);
        Some(line)
    }

    #[cold]
    fn fault(&mut self, why: Malformation, offset: usize) {
        self.trouble.get_or_insert((why, offset));
    }

    #[inline(never)]
    fn content_length(&mut self, bytes: &[u8], value: Span) {
        if self.content_length.is_some() {
            self.fault(Malformation::ContentLengthRepeated, usize::from(value.start));
            return;
        }
        self.content_length = decimal(value.of(bytes));
        if self.content_length.is_none() {
            self.fault(Malformation::ContentLengthUnreadable, usize::from(value.start));
        }
    }
}
