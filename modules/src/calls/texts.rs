//! What calls keep of what was said: Contacts of both sides, and of a customer's call all that a request of our own
//! within it needs (RFC 3261 §12.2.1.1).
//!
//! A call has one block: eight lengths, then the parts. An ordinary one fits [`ORDINARY_BYTES`]; a longer one takes a
//! larger block of the same store and is counted. Nothing is ever cut: what finds no room is not kept at all.

use proto::pool::{ByteStore, Stored};

/// A part of what is kept of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// URI of the initiator's Contact: its remote target.
    InitiatorContact,
    /// URI of the responder's Contact.
    ResponderContact,
    /// The Call-ID.
    CallId,
    /// The initiator with its tag: the From of its requests.
    InitiatorName,
    /// The responder with its tag.
    ResponderName,
    /// Route values from us to the initiator, with commas between.
    InitiatorRoutes,
    /// Route values from us to the responder.
    ResponderRoutes,
    /// The called number with its country code.
    Called,
}

impl Part {
    pub(crate) const ALL: [Part; 8] = [
        Part::InitiatorContact,
        Part::ResponderContact,
        Part::CallId,
        Part::InitiatorName,
        Part::ResponderName,
        Part::InitiatorRoutes,
        Part::ResponderRoutes,
        Part::Called,
    ];

    /// A side's Contact.
    pub(crate) const fn contact(initiator: bool) -> Self {
        if initiator { Part::InitiatorContact } else { Part::ResponderContact }
    }
}

/// Bytes of the block of an ordinary call: 208 of text.
pub(super) const ORDINARY_BYTES: usize = 224;

/// The lengths of the parts.
const HEAD: usize = 2 * Part::ALL.len();

/// The blocks of all calls of a shard.
#[derive(Debug)]
pub(super) struct Texts {
    store: ByteStore,
    /// A block is put together here.
    scratch: Vec<u8>,
    /// What was kept, while something is put in its place.
    old: Vec<u8>,
    /// Blocks that are longer than an ordinary one, now.
    long: u32,
    /// Texts that were not kept for lack of room.
    lost: u64,
}

impl Texts {
    pub(super) fn new(bytes: usize) -> Self {
        let room = || Vec::with_capacity(limits::SEND_SLOT_BYTES);
        Texts { store: ByteStore::new(bytes), scratch: room(), old: room(), long: 0, lost: 0 }
    }

    /// Keeps what `write` appends for each part. `None`: there is no room, or nothing is to be kept.
    pub(super) fn keep(&mut self, mut write: impl FnMut(Part, &mut Vec<u8>)) -> Option<Stored> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let kept = compose(&mut scratch, &mut write).and_then(|()| self.store.keep(&scratch));
        let wanted = scratch.len() > HEAD;
        self.scratch = scratch;
        let kept = match kept {
            Some(block) if !wanted => {
                self.store.free(block);
                None
            }
            kept => kept,
        };
        self.lost += u64::from(wanted && kept.is_none());
        self.long += u32::from(kept.is_some_and(|block| is_long(&block)));
        kept
    }

    /// A part; empty if it is not kept.
    pub(super) fn part(&self, block: Option<&Stored>, part: Part) -> &[u8] {
        let bytes = block.map_or(&[][..], |block| self.store.get(block));
        let mut start = HEAD;
        for (index, length) in bytes.chunks_exact(2).take(Part::ALL.len()).enumerate() {
            let length = usize::from(u16::from_le_bytes(length.try_into().unwrap_or_default()));
            if index == part as usize {
                return bytes.get(start..start + length).unwrap_or_default();
            }
            start += length;
        }
        &[]
    }

    /// Another text for one part. The block that holds then; without room for it: none at all.
    pub(super) fn replace(&mut self, block: Option<Stored>, part: Part, text: &[u8]) -> Option<Stored> {
        let mut old = std::mem::take(&mut self.old);
        old.clear();
        old.extend_from_slice(block.as_ref().map_or(&[], |block| self.store.get(block)));
        self.free(block);
        let mut rest = old.get(HEAD..).unwrap_or_default();
        let mut lengths = old.chunks_exact(2);
        let kept = self.keep(|at, out| {
            let length = lengths.next().map_or(0, |two| u16::from_le_bytes(two.try_into().unwrap_or_default()));
            let (before, behind) = rest.split_at_checked(usize::from(length)).unwrap_or_default();
            rest = behind;
            out.extend_from_slice(if at == part { text } else { before });
        });
        self.old = old;
        kept
    }

    pub(super) fn free(&mut self, block: Option<Stored>) {
        if let Some(block) = block {
            self.long -= u32::from(is_long(&block));
            self.store.free(block);
        }
    }

    /// Blocks that are longer than ordinary ones, now.
    pub(super) const fn long(&self) -> u32 {
        self.long
    }

    /// Texts that were not kept.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// A text that is too long to be a URI or a name that anybody has to copy.
    pub(super) fn lose(&mut self) {
        self.lost += 1;
    }
}

fn compose(scratch: &mut Vec<u8>, write: &mut impl FnMut(Part, &mut Vec<u8>)) -> Option<()> {
    scratch.clear();
    scratch.resize(HEAD, 0);
    for part in Part::ALL {
        let start = scratch.len();
        write(part, scratch);
        let length = u16::try_from(scratch.len() - start).ok()?;
        scratch.get_mut(2 * part as usize..)?.first_chunk_mut().map(|place| *place = length.to_le_bytes())?;
    }
    Some(())
}

const fn is_long(block: &Stored) -> bool {
    block.len() > ORDINARY_BYTES
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn texts() -> Texts {
        Texts::new(1 << 17)
    }

    fn keep(texts: &mut Texts, call_id: &[u8]) -> Option<Stored> {
        texts.keep(|part, out| match part {
            Part::InitiatorContact => out.extend_from_slice(b"sip:a@b"),
            Part::CallId => out.extend_from_slice(call_id),
            Part::Called => out.extend_from_slice(b"4930"),
            _ => {}
        })
    }

    #[test]
    fn each_part_comes_back_and_is_replaced_alone() {
        let mut texts = texts();
        let block = keep(&mut texts, b"id");
        for (part, text) in
            [(Part::InitiatorContact, &b"sip:a@b"[..]), (Part::CallId, b"id"), (Part::ResponderName, b"")]
        {
            assert_eq!(texts.part(block.as_ref(), part), text);
        }
        let block = texts.replace(block, Part::ResponderContact, b"sip:other@host");
        let block = texts.replace(block, Part::InitiatorContact, b"");
        let now = Part::ALL.map(|part| texts.part(block.as_ref(), part).to_vec());
        assert_eq!(now.map(|text| String::from_utf8(text).unwrap()).join("|"), "|sip:other@host|id|||||4930");
        assert_eq!(texts.part(None, Part::CallId), b"");
        texts.free(block);
        assert_eq!((texts.store.used(), texts.lost(), texts.long()), (0, 0, 0));
    }

    #[test]
    fn long_ones_are_kept_whole_and_counted_and_what_finds_no_room_is_not_kept() {
        let mut texts = texts();
        let long = vec![b'x'; 400];
        let block = keep(&mut texts, &long);
        assert_eq!((texts.part(block.as_ref(), Part::CallId), texts.long()), (&long[..], 1));
        texts.free(block);
        assert_eq!(texts.long(), 0);
        let larger = vec![b'x'; 66_000];
        assert_eq!((keep(&mut texts, &larger), texts.lost()), (None, 1));
        let blocks: Vec<_> = (0..3).map(|_| keep(&mut texts, &vec![b'x'; 50_000])).collect();
        assert!(blocks[0].is_some() && blocks[1].is_some() && blocks[2].is_none());
        assert_eq!(texts.keep(|_, _| {}), None);
        assert_eq!(texts.lost(), 2);
    }
}
