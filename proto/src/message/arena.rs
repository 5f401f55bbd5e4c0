//! Where the offsets of one message's headers lie: allocated once a shard, reused for each message.

use super::memo::Memo;
use super::name::HeaderName;
use super::span::Span;
use alloc::boxed::Box;
use alloc::vec;

/// One header field: offsets into the message's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, if it is a known one.
    pub name: HeaderName,
    /// Octets of the name as it stands there.
    pub name_len: u16,
    /// From the first octet of the name to after the CRLF that ends the field, foldings included.
    pub line: Span,
    /// The value without leading and trailing white space; foldings inside are kept.
    pub value: Span,
}

/// Room for the header fields of one message. Its capacity is [`limits::HEADER_COUNT_MAX`], fixed;
/// parsing into it never allocates.
#[derive(Debug)]
pub struct Arena {
    pub(super) fields: Box<[Field]>,
    pub(super) index: Index,
}

/// Which header stands where.
#[derive(Debug)]
pub(super) struct Index {
    /// For each [`HeaderName`] that is present, the index of its first field.
    first: [u8; HeaderName::COUNT],
    pub(super) seen: Seen,
    /// What has been read already.
    pub(super) memo: Memo,
}

/// Which headers a message has, one [`bit`] each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// They stand there.
    pub(super) present: u64,
    /// They stand there twice or more.
    pub(super) repeated: u64,
}

impl Index {
    fn new() -> Index {
        Index { first: [0; HeaderName::COUNT], seen: Seen::default(), memo: Memo::default() }
    }

    pub(super) fn clear(&mut self) {
        self.seen = Seen::default();
        self.memo.clear();
    }

    /// Notes that field number `position` is a `name`; `present` is what was there before, and what is there now comes
    /// back.
    ///
    /// INVARIANT: `position` is below [`limits::HEADER_COUNT_MAX`], which fits in a byte.
    #[inline(always)]
    pub(super) fn note(&mut self, name: HeaderName, position: usize, present: u64) -> u64 {
        let bit = bit(name);
        if present & bit != 0 {
            self.seen.repeated |= bit;
        } else {
            self.first[name as usize] = position as u8;
        }
        present | bit
    }

    /// Index of the first field of that name.
    #[inline(always)]
    pub(super) fn first(&self, name: HeaderName) -> Option<usize> {
        (self.seen.present & bit(name) != 0).then(|| usize::from(self.first[name as usize]))
    }
}

/// The bit of a header in a set of headers.
#[inline(always)]
pub(super) const fn bit(name: HeaderName) -> u64 {
    1 << (name as u8)
}

const _: () = assert!(limits::HEADER_COUNT_MAX <= u8::MAX as usize, "a field's index is a u8");

const NO_FIELD: Field =
    Field { name: HeaderName::Other, name_len: 0, line: Span { start: 0, end: 0 }, value: Span { start: 0, end: 0 } };

impl Arena {
    /// Room for [`limits::HEADER_COUNT_MAX`] header fields: the one allocation.
    pub fn new() -> Arena {
        Arena { fields: vec![NO_FIELD; limits::HEADER_COUNT_MAX].into_boxed_slice(), index: Index::new() }
    }

    /// No room at all, and no allocation: what stands in for an arena that was taken out
    /// (`mem::replace`). A message with headers does not fit in it.
    pub fn empty() -> Arena {
        Arena { fields: Box::default(), index: Index::new() }
    }
}

impl Default for Arena {
    fn default() -> Arena {
        Arena::new()
    }
}
