//! What has been read of a message once and is asked for again and again: the topmost Via, CSeq, and
//! the tags of From and To. Keeps offsets, in the arena, until the next message is parsed into it.
//!
//! WHY cells: a message is lent out by shared reference to everybody who handles it; who asks first
//! fills them. Only what was read without error is kept, except that an unreadable From or To has an
//! empty tag.

use super::cseq::CSeqParts;
use super::name::HeaderName;
use super::span::Span;
use super::via::ViaParts;
use core::cell::Cell;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memo {
    pub(super) top_via: Cell<Option<ViaParts>>,
    pub(super) cseq: Cell<Option<CSeqParts>>,
    from_tag: Cell<Option<Span>>,
    to_tag: Cell<Option<Span>>,
}

impl Memo {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.top_via.set(None);
        self.cseq.set(None);
        self.from_tag.set(None);
        self.to_tag.set(None);
    }

    /// The tag of From or To.
    pub(super) fn tag(&self, name: HeaderName) -> &Cell<Option<Span>> {
        if name == HeaderName::From { &self.from_tag } else { &self.to_tag }
    }
}
