//! Where something lies in a message: two `u16` offsets, half the size of a slice.

/// A range of a message's bytes. Offsets fit `u16` because of [`limits::MESSAGE_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Span {
    /// Offset of the first octet.
    pub start: u16,
    /// Offset after the last octet.
    pub end: u16,
}

impl Span {
    /// The empty range at `position`.
    pub const fn at(position: u16) -> Span {
        Span { start: position, end: position }
    }

    /// The octets of `bytes` that the range covers; empty if it is not a range of `bytes`.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }

    /// Number of octets; zero for a range that is upside down.
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether it covers nothing.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// A range from offsets known to lie inside a message.
    pub(super) fn between(start: usize, end: usize) -> Span {
        Span { start: narrow(start), end: narrow(end) }
    }
}

/// An offset as it is stored.
///
/// INVARIANT: callers pass offsets into a message, and `parse` refuses what is longer than
/// [`limits::MESSAGE_BYTES_MAX`]; the cast loses nothing.
#[inline]
pub(super) fn narrow(offset: usize) -> u16 {
    debug_assert!(offset <= limits::MESSAGE_BYTES_MAX);
    offset as u16
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn a_range_outside_the_bytes_is_empty() {
        assert_eq!(Span { start: 1, end: 3 }.of(b"abc"), b"bc");
        assert_eq!(Span { start: 1, end: 4 }.of(b"abc"), b"");
        assert_eq!(Span { start: 3, end: 1 }.of(b"abc"), b"");
        assert_eq!(Span { start: 3, end: 1 }.len(), 0);
        assert_eq!(Span::at(2).of(b"abc"), b"");
    }
}
