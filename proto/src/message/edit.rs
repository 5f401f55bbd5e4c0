//! Copying a message with changes: bytes that no edit touches leave as they came, in their order.
//!
//! Called by the proxy for each branch and each response: one source, one output buffer, edits in
//! ascending order, each written straight to where it leaves from.

use super::name::HeaderName;
use super::span::Span;
use super::view::Message;
use super::writer::Writer;

/// Copies `source` to a [`Writer`] up to each edit, then the edit instead of what it covers.
///
/// Edits come in ascending order and do not overlap. One that does not is a programming error: it is
/// asserted in debug builds and otherwise fails the writer like an overflow.
#[derive(Debug)]
pub struct Splice<'s, 'w, 'o> {
    source: &'s [u8],
    out: &'w mut Writer<'o>,
    /// INVARIANT: everything before this offset of `source` is copied, replaced or cut.
    done: usize,
}

impl<'s, 'w, 'o> Splice<'s, 'w, 'o> {
    /// From `source`, usually [`Message::bytes`].
    pub fn new(source: &'s [u8], out: &'w mut Writer<'o>) -> Splice<'s, 'w, 'o> {
        Splice { source, out, done: 0 }
    }

    /// Copies only what stands in `span`; edits keep the offsets of the whole `source`.
    pub fn within(source: &'s [u8], span: Span, out: &'w mut Writer<'o>) -> Splice<'s, 'w, 'o> {
        let end = usize::from(span.end).min(source.len());
        Splice { source: source.get(..end).unwrap_or_default(), out, done: usize::from(span.start).min(end) }
    }

    /// Copies up to `span`, then writes what `write` writes instead of it.
    #[inline]
    pub fn replace(&mut self, span: Span, write: impl FnOnce(&mut Writer<'o>)) {
        let (start, end) = (usize::from(span.start), usize::from(span.end));
        match self.source.get(self.done..start) {
            Some(untouched) if start <= end && end <= self.source.len() => {
                self.out.put(untouched);
                write(self.out);
                self.done = end;
            }
            _ => {
                debug_assert!(false, "edit {span:?} after {} of {}", self.done, self.source.len());
                self.out.fail();
            }
        }
    }

    /// Copies up to `at`, then writes what `write` writes.
    #[inline]
    pub fn insert(&mut self, at: u16, write: impl FnOnce(&mut Writer<'o>)) {
        self.replace(Span::at(at), write);
    }

    /// Copies up to `span` and leaves it out.
    #[inline]
    pub fn cut(&mut self, span: Span) {
        self.replace(span, |_| {});
    }

    /// Copies the rest.
    pub fn finish(self) {
        self.out.put(self.source.get(self.done..).unwrap_or_default());
    }
}

/// Writes `message` with another body and the Content-Length that goes with it: the header keeps its
/// place and its form (compact or not), and is added last if there was none.
pub fn replace_body(message: &Message<'_>, body: &[u8], out: &mut Writer<'_>) {
    let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let mut splice = Splice::new(message.bytes(), out);
    match message.field(HeaderName::ContentLength) {
        Some(field) => splice.replace(field.value, |out| out.decimal(length)),
        None => splice.insert(message.header_end(), |out| {
            out.put(b"Content-Length: ");
            out.decimal(length);
            out.put(b"\r\n");
        }),
    }
    splice.replace(message.body_span(), |out| out.put(body));
    splice.finish();
}
