//! Headers with several values: over all lines of one name, and over the commas in each
//! (RFC 3261 §7.3.1). Used by Via and by the name-addr headers.

use super::arena::Field;
use super::error::{Fault, HeaderError};
use super::lex::Cursor;
use super::memo::Memo;
use super::name::HeaderName;
use super::span::{Span, narrow};
use super::view::Message;

/// Where a value stands among others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) value: Span,
    pub(super) field: u8,
    pub(super) alone: bool,
    pub(super) removal: Span,
}

impl Place {
    /// Of the only value of a line.
    pub(super) fn only(field: &Field, position: usize) -> Place {
        let number = u8::try_from(position).unwrap_or(u8::MAX);
        Place { value: field.value, field: number, alone: true, removal: field.line }
    }
}

/// Walks over values; ends after the first error.
pub(super) struct Values<'m> {
    message: Message<'m>,
    name: HeaderName,
    /// The field that is read, or the next to look at if `cursor` is `None`.
    field: usize,
    /// In a field, at the start of a value.
    cursor: Option<Cursor<'m>>,
    /// End of the value before, in the same field.
    previous_end: Option<usize>,
}

impl<'m> Values<'m> {
    pub(super) fn new(message: &Message<'m>, name: HeaderName) -> Values<'m> {
        let first = message.first(name).unwrap_or(message.fields().len());
        Values { message: *message, name, field: first, cursor: None, previous_end: None }
    }

    /// The first value, if it was read before and stands alone in its line; then the walk goes on behind it.
    pub(super) fn known<T>(
        &mut self,
        memo: impl FnOnce(&Memo) -> Option<T>,
        place: impl FnOnce(&T) -> Place,
    ) -> Option<T> {
        let fresh = self.cursor.is_none() && self.message.first(self.name) == Some(self.field);
        let value = fresh.then(|| memo(self.message.memo())).flatten()?;
        place(&value).alone.then(|| {
            self.field += 1;
            value
        })
    }

    /// Reads the next value with `read` and tells it where it stands with `put`.
    pub(super) fn next<T>(
        &mut self,
        read: impl FnOnce(&mut Cursor<'m>, &Field) -> Result<T, Fault>,
        put: impl FnOnce(&mut T, Place),
    ) -> Option<Result<T, HeaderError>> {
        let (field, mut cursor) = self.here()?;
        let start = cursor.pos();
        let outcome = read(&mut cursor, field).and_then(|value| {
            let end = cursor.pos();
            Ok((value, end, cursor.next_value()?))
        });
        let (mut value, end, next) = match outcome {
            Ok(read) => read,
            Err(fault) => {
                self.field = self.message.fields().len();
                self.cursor = None;
                return Some(Err(HeaderError { header: self.name, fault, offset: narrow(cursor.pos()) }));
            }
        };
        let removal = match (next, self.previous_end) {
            (Some(next), _) => Span::between(start, next),
            (None, Some(previous_end)) => Span::between(previous_end, end),
            (None, None) => field.line,
        };
        put(
            &mut value,
            Place {
                value: Span::between(start, end),
                field: u8::try_from(self.field).unwrap_or(u8::MAX),
                alone: next.is_none() && self.previous_end.is_none(),
                removal,
            },
        );
        if next.is_some() {
            self.cursor = Some(cursor);
            self.previous_end = Some(end);
        } else {
            self.cursor = None;
            self.previous_end = None;
            self.field += 1;
        }
        Some(Ok(value))
    }

    /// The field and the place in it where the next value starts.
    fn here(&mut self) -> Option<(&'m Field, Cursor<'m>)> {
        let fields = self.message.fields();
        if self.cursor.is_none() {
            if !self.message.is_repeated(self.name) && self.message.first(self.name) != Some(self.field) {
                return None;
            }
            let ahead = fields.get(self.field..)?.iter().position(|field| field.name == self.name)?;
            self.field += ahead;
        }
        let field = fields.get(self.field)?;
        Some((field, self.cursor.unwrap_or_else(|| Cursor::new(self.message.bytes(), field.value))))
    }
}
