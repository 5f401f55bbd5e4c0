//! The calls of a shard: opened when a 2xx to INVITE passes, closed by the final answer to a BYE or
//! after the longest life of a call. A reliable provisional response opens an early one, because PRACK
//! and UPDATE (RFC 3262, RFC 3311) need the Contacts too; it ends with its INVITE if no 2xx comes.
//!
//! `active` and `least-calls` count them, and [`dialog`] routes by them what peers send without our
//! Route. Memory is reserved once: a full table means that no new call is let in (point 1), while
//! established ones go on.

pub mod dialog;
pub mod end;
pub mod hand_over;
mod identity;
pub mod life;
pub mod look;
pub mod oversee;
pub mod own_request;
mod texts;
mod watch;

use crate::class4::Charge;
use crate::tables::Number;
use end::EndCounts;
pub use identity::Identity;
use proto::hash::{KeyedHash, Purpose, Secret};
use proto::message::Message;
use proto::policy::{BySource, Endpoint};
use proto::pool::{Index, Slab, Stored};
use proto::time::{Micros, Mono};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use texts::{Part, Texts};
use watch::Watches;

/// See the module.
#[derive(Debug)]
pub struct Calls {
    slab: Slab<Call>,
    index: Index,
    texts: Texts,
    /// Those of customers.
    watches: Watches,
    /// Calls that have requests of ours to be sent.
    senders: VecDeque<CallId>,
    /// The last such request that was sent: its memory is used again.
    request: Vec<u8>,
    ends: EndCounts,
    /// A hash for keys, begun.
    keyed: KeyedHash,
    /// Oldest and newest: all live equally long, so the order of opening is the order of expiry.
    oldest: u32,
    newest: u32,
    opened: u64,
    early: u32,
}

/// What names a call: the upper half of its key's hash. The same on every shard that has the same boot secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId(pub(crate) NonZeroU64);

/// Keyed hash of Call-ID and both tags, the same from either side; and from which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    hash: u128,
    /// The From tag sorts before the To tag.
    from_first: bool,
}

/// An established call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    hash: u128,
    /// The initiator's tag sorts before the other one.
    initiator_first: bool,
    older: u32,
    newer: u32,
    /// Slot of its Call-ID: which shard it moves to when their number changes.
    pub slot: u16,
    /// Not answered yet: an early dialog with reliable provisional responses (RFC 3262). Not counted.
    pub early: bool,
    /// When it was opened.
    pub opened: Mono,
    /// The gateway that answered it; `None`: none of a table.
    pub gateway: Option<Number>,
    /// Whose customer's and vendor's places it holds.
    pub charge: Charge,
    /// Number of its record; 0: it has none.
    pub record: u64,
    /// When a message within it last passed: it lived then.
    pub heard: Mono,
    /// What is kept of its texts.
    text: Option<Stored>,
    /// Its [`watch::Watch`]; [`NONE`]: it is not watched.
    watch: u32,
    /// Highest CSeq seen from the initiator and from the responder; 0: none.
    cseq: [u32; 2],
    /// The side that sent the INVITE.
    pub initiator: Side,
    /// The side that answered it.
    pub responder: Side,
}

/// One side of a call.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// Where it is.
    pub address: SocketAddr,
    /// Our listener towards it.
    pub listener: u16,
    /// Connection, for streams; 0 over UDP.
    pub flow: u64,
    /// Requests to it go to `address`, whatever they name: a phone, which may be behind NAT.
    pub by_source: bool,
}

/// What a call is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'m> {
    /// Its key, as of a message from the initiator, or as of a response to it.
    pub key: Key,
    /// Slot of its Call-ID.
    pub slot: u16,
    /// It is an early dialog; [`Calls::confirm`] makes it a call.
    pub early: bool,
    /// The gateway that answered.
    pub gateway: Option<Number>,
    /// Where the initiator is.
    pub initiator: Endpoint,
    /// URI of the initiator's Contact; empty: none.
    pub initiator_contact: &'m [u8],
    /// Sides that are reached where they really are.
    pub by_source: BySource,
    /// Where the responder is.
    pub responder: SocketAddr,
    /// Our listener towards it.
    pub responder_listener: u16,
    /// Connection towards it.
    pub responder_flow: u64,
    /// URI of the responder's Contact; empty: none.
    pub responder_contact: &'m [u8],
    /// What requests of our own within it need; of customers' calls alone.
    pub identity: Identity<'m>,
    /// CSeq of the INVITE; 0: not known.
    pub cseq: u32,
}

const NONE: u32 = u32::MAX;

/// Bytes reserved for the texts of one call: two Contacts of ordinary length.
const CONTACT_BYTES: usize = 192;

/// The same where calls are customers', one in sixteen of which may be long ([`Texts`]).
const TEXT_BYTES: usize = texts::ORDINARY_BYTES + texts::ORDINARY_BYTES / 16;

/// Calls that wait for their requests to be sent; a further one waits a second.
const SENDERS_MAX: usize = 1_024;

const _: () = assert!(
    size_of::<Option<Call>>() + TEXT_BYTES + size_of::<Option<watch::Watch>>() + 16
        <= limits::pool::CALL_BYTES as usize,
    "as checked against memory before the start"
);

impl Calls {
    /// Room for `capacity` calls; `watched`: customers' calls among them. `secret`: a key of this boot.
    pub fn new(capacity: u32, watched: bool, secret: Secret) -> Self {
        let text_bytes = if watched { TEXT_BYTES } else { CONTACT_BYTES };
        Calls {
            slab: Slab::new(capacity),
            index: Index::new(capacity),
            texts: Texts::new((capacity as usize).saturating_mul(text_bytes)),
            watches: Watches::new(if watched { capacity } else { 0 }),
            senders: VecDeque::with_capacity(if watched { SENDERS_MAX } else { 0 }),
            request: Vec::with_capacity(if watched { limits::SEND_SLOT_BYTES } else { 0 }),
            ends: EndCounts::default(),
            keyed: KeyedHash::new(&secret, Purpose::Call),
            oldest: NONE,
            newest: NONE,
            opened: 0,
            early: 0,
        }
    }

    /// The key of the call that a message belongs to; `None` without both tags or without Call-ID.
    pub fn key(&self, message: &Message<'_>) -> Option<Key> {
        let (call_id, from, to) = (message.call_id(), message.from_tag(), message.to_tag());
        self.key_of(call_id, from, to)
    }

    /// The same of its parts: the Call-ID, the tags of From and To.
    pub fn key_of(&self, call_id: &[u8], from: &[u8], to: &[u8]) -> Option<Key> {
        if call_id.is_empty() || from.is_empty() || to.is_empty() {
            return None;
        }
        let from_first = from < to;
        let (first, second) = if from_first { (from, to) } else { (to, from) };
        let hash = self.keyed.part(call_id).pair(first, second).finish();
        Some(Key { hash, from_first })
    }

    /// The call under a key, and whether the From of the message is the initiator's.
    pub fn find(&self, key: &Key) -> Option<(CallId, &Call, bool)> {
        let same = |place: u32| self.slab.get(place).is_some_and(|call| call.hash == key.hash);
        let call = self.slab.get(self.index.find(spread(key.hash), same)?)?;
        Some((key.id(), call, call.initiator_first == key.from_first))
    }

    /// The call, if it still lives.
    pub fn get(&self, id: CallId) -> Option<&Call> {
        self.slab.get(self.place(id)?)
    }

    fn place(&self, id: CallId) -> Option<u32> {
        let same = |place: u32| self.slab.get(place).is_some_and(|call| id_of(call.hash) == id);
        self.index.find(id.0.get(), same)
    }

    /// URI of the Contact of the initiator, or of the other side; empty if it had none or it did not fit.
    pub fn contact(&self, call: &Call, initiator: bool) -> &[u8] {
        self.part(call, Part::contact(initiator))
    }

    fn part(&self, call: &Call, part: Part) -> &[u8] {
        self.texts.part(call.text.as_ref(), part)
    }

    /// Opens a call. `None`: the table is full, or there is one under this key.
    pub fn open(&mut self, opening: &Opening<'_>, now: Mono) -> Option<CallId> {
        if self.is_full() || self.find(&opening.key).is_some() {
            return None;
        }
        let initiator = Side {
            address: opening.initiator.peer,
            listener: opening.initiator.listener,
            flow: opening.initiator.flow,
            by_source: opening.by_source.caller(),
        };
        let responder = Side {
            address: opening.responder,
            listener: opening.responder_listener,
            flow: opening.responder_flow,
            by_source: opening.by_source.callee(),
        };
        let call = Call {
            hash: opening.key.hash,
            initiator_first: opening.key.from_first,
            older: self.newest,
            newer: NONE,
            slot: opening.slot,
            early: opening.early,
            opened: now,
            gateway: opening.gateway,
            charge: Charge::NOBODY,
            record: 0,
            heard: now,
            text: self.keep(opening),
            watch: NONE,
            cseq: [opening.cseq, 0],
            initiator,
            responder,
        };
        let place = self.slab.insert(call).ok()?;
        // INVARIANT: the index has room for as many as the slab.
        self.index.insert(spread(opening.key.hash), place);
        match self.slab.get_mut(self.newest) {
            Some(previous) => previous.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
        if opening.early {
            self.early += 1;
        } else {
            self.opened += 1;
        }
        Some(opening.key.id())
    }

    /// The early dialog is answered: from now on it is a call. False: it was one, or is gone.
    pub fn confirm(&mut self, id: CallId) -> bool {
        let Some(place) = self.place(id) else { return false };
        let Some(call) = self.slab.get_mut(place).filter(|call| call.early) else { return false };
        call.early = false;
        self.early -= 1;
        self.opened += 1;
        true
    }

    /// The call holds these places from now on. False: it is gone.
    pub(crate) fn charge(&mut self, id: CallId, charge: Charge) -> bool {
        let Some(call) = self.place(id).and_then(|place| self.slab.get_mut(place)) else { return false };
        call.charge = charge;
        true
    }

    /// The call has this record from now on. False: it is gone.
    pub fn recorded(&mut self, id: CallId, record: u64) -> bool {
        let Some(call) = self.place(id).and_then(|place| self.slab.get_mut(place)) else { return false };
        call.record = record;
        true
    }

    /// A message within the call passed: it lives.
    pub fn lives(&mut self, id: CallId, now: Mono) {
        if let Some(call) = self.place(id).and_then(|place| self.slab.get_mut(place)) {
            call.heard = now;
        }
    }

    /// A side gave a new Contact (target refresh, RFC 3261 §12.2). An empty one changes nothing.
    pub fn refresh(&mut self, id: CallId, of_initiator: bool, contact: &[u8]) {
        let Some(call) = self.place(id).and_then(|place| self.slab.get_mut(place)) else { return };
        let part = Part::contact(of_initiator);
        if contact.is_empty() || self.texts.part(call.text.as_ref(), part) == contact {
            return;
        }
        let contact = if contact.len() > limits::URI_BYTES_MAX { &[] } else { contact };
        if contact.is_empty() {
            self.texts.lose();
        }
        call.text = self.texts.replace(call.text.take(), part, contact);
    }

    /// A side that is reached where it really is was heard from this address (a NAT binding moved).
    pub fn heard_from(&mut self, id: CallId, initiator: bool, address: SocketAddr) {
        let Some(call) = self.place(id).and_then(|place| self.slab.get_mut(place)) else { return };
        let side = if initiator { &mut call.initiator } else { &mut call.responder };
        if side.by_source {
            side.address = address;
        }
    }

    /// Closes a call. What it was, if it still lived.
    pub fn close(&mut self, id: CallId) -> Option<Call> {
        let place = self.place(id)?;
        let call = self.slab.remove(place)?;
        self.index.remove(spread(call.hash), place);
        self.early -= u32::from(call.early);
        match self.slab.get_mut(call.older) {
            Some(older) => older.newer = call.newer,
            None => self.oldest = call.newer,
        }
        match self.slab.get_mut(call.newer) {
            Some(newer) => newer.older = call.older,
            None => self.newest = call.older,
        }
        self.texts.free(call.text);
        self.watches.end(call.watch);
        Some(call)
    }

    /// Closes the oldest call if it has lived for `longest`; to be called until there is none.
    pub fn expire(&mut self, longest: Micros, now: Mono) -> Option<Call> {
        if now < self.deadline(longest)? {
            return None;
        }
        let id = id_of(self.slab.get(self.oldest)?.hash);
        self.close(id)
    }

    /// When the oldest call will have lived for `longest`. One that we would end ourselves by then has time for it.
    pub fn deadline(&self, longest: Micros) -> Option<Mono> {
        let call = self.slab.get(self.oldest)?;
        let end = call.opened.after(longest);
        Some(if call.watch == NONE { end } else { end.after(oversee::ENDING_MAX) })
    }

    /// Whether no further call fits.
    pub fn is_full(&self) -> bool {
        self.slab.len() >= self.slab.capacity()
    }

    /// Numbers for the statistics.
    pub fn figures(&self) -> CallFigures {
        CallFigures {
            active: self.slab.len() - self.early,
            early: self.early,
            capacity: self.slab.capacity(),
            opened: self.opened,
            texts_lost: self.texts.lost(),
            texts_long: self.texts.long(),
        }
    }

    /// Counts the end of a call that was never in the table.
    pub(crate) fn count_end(&mut self, end: end::CallEnd) {
        self.ends.count(end);
    }

    /// How calls have ended.
    pub const fn ends(&self) -> &EndCounts {
        &self.ends
    }

    fn keep(&mut self, opening: &Opening<'_>) -> Option<Stored> {
        let contacts = [opening.initiator_contact, opening.responder_contact];
        let [initiator, responder] = contacts.map(|uri| if uri.len() > limits::URI_BYTES_MAX { &[][..] } else { uri });
        for (given, kept) in contacts.into_iter().zip([initiator, responder]) {
            if given.len() != kept.len() {
                self.texts.lose();
            }
        }
        self.texts.keep(|part, out| match part {
            Part::InitiatorContact => out.extend_from_slice(initiator),
            Part::ResponderContact => out.extend_from_slice(responder),
            _ => opening.identity.write(part, out),
        })
    }
}

/// The call table in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallFigures {
    /// Calls established now.
    pub active: u32,
    /// Early dialogs beside them.
    pub early: u32,
    /// Most of both.
    pub capacity: u32,
    /// Calls opened since the start.
    pub opened: u64,
    /// Texts of calls that were not kept for lack of room: such a call is routed by its addresses alone, and is not
    /// ended by us.
    pub texts_lost: u64,
    /// Calls whose texts are longer than those of an ordinary call, now.
    pub texts_long: u32,
}

impl Call {
    /// The side that sent the first INVITE, or the other.
    pub const fn side(&self, initiator: bool) -> &Side {
        if initiator { &self.initiator } else { &self.responder }
    }
}

impl Key {
    /// The name of the call under this key.
    pub const fn id(&self) -> CallId {
        id_of(self.hash)
    }
}

const fn id_of(hash: u128) -> CallId {
    CallId(match NonZeroU64::new(spread(hash)) {
        Some(id) => id,
        None => NonZeroU64::MIN,
    })
}

/// Under which number a call stands in the index: never zero, so that a note needs no flag for "none".
const fn spread(hash: u128) -> u64 {
    let upper = (hash >> 64) as u64;
    if upper == 0 { 1 } else { upper }
}
