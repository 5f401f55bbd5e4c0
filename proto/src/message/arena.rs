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
    /// For each [`HeaderName`], the index of its first field; [`Index::NONE`] if there is none.
    pub(super) first: [u8; HeaderName::COUNT],
    /// Bit n: the header of number n stands there more than once.
    pub(super) repeated: u64,
    /// What has been read already.
    pub(super) memo: Memo,
}

impl Index {
    pub(super) const NONE: u8 = u8::MAX;

    fn new() -> Index {
        Index { first: [Index::NONE; HeaderName::COUNT], repeated: 0, memo: Memo::default() }
    }

    pub(super) fn clear(&mut self) {
        self.first = [Index::NONE; HeaderName::COUNT];
        self.repeated = 0;
        self.memo.clear();
    }

    /// Notes that field number `position` is a `name`.
    ///
    /// INVARIANT: `position` is below [`limits::HEADER_COUNT_MAX`], which is below [`Index::NONE`].
    #[inline]
    pub(super) fn note(&mut self, name: HeaderName, position: usize) {
        let first = &mut self.first[name as usize];
        if *first == Index::NONE {
            *first = position as u8;
        } else {
            self.repeated |= 1 << (name as u8);
        }
    }
}

const _: () =
    assert!(limits::HEADER_COUNT_MAX < Index::NONE as usize, "a field's index is a u8, and one value means none");

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
