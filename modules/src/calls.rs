//! The calls of a shard: opened when a 2xx to INVITE passes, closed by the final answer to a BYE or
//! after the longest life of a call. A reliable provisional response opens an early one, because PRACK
//! and UPDATE (RFC 3262, RFC 3311) need the Contacts too; it ends with its INVITE if no 2xx comes.
//!
//! `active` and `least-calls` count them, and [`dialog`] routes by them what peers send without our
//! Route. Memory is reserved once: a full table means that no new call is let in (point 1), while
//! established ones go on.

pub mod dialog;
pub mod hand_over;
pub mod life;

use crate::class4::Charge;
use crate::tables::Number;
use proto::hash::{KeyedHash, Purpose, Secret};
use proto::message::Message;
use proto::policy::{BySource, Endpoint};
use proto::pool::{ByteStore, Index, Slab, Stored};
use proto::time::{Micros, Mono};
use std::net::SocketAddr;
use std::num::NonZeroU64;

/// See the module.
#[derive(Debug)]
pub struct Calls {
    slab: Slab<Call>,
    index: Index,
    contacts: ByteStore,
    secret: Secret,
    /// Oldest and newest: all live equally long, so the order of opening is the order of expiry.
    oldest: u32,
    newest: u32,
    /// Contacts that did not fit; such a call is routed by its addresses alone.
    contacts_lost: u64,
    expired: u64,
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
    /// URI of its Contact.
    contact: Option<Stored>,
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
}

const NONE: u32 = u32::MAX;

/// Bytes reserved for the Contacts of one call: two of ordinary length.
const CONTACT_BYTES: usize = 192;

const _: () = assert!(
    size_of::<Option<Call>>() + CONTACT_BYTES + 16 <= limits::pool::CALL_BYTES as usize,
    "as checked against memory before the start"
);

impl Calls {
    /// Room for `capacity` calls. `secret`: a key of this boot.
    pub fn new(capacity: u32, secret: Secret) -> Self {
        Calls {
            slab: Slab::new(capacity),
            index: Index::new(capacity),
            contacts: ByteStore::new((capacity as usize).saturating_mul(CONTACT_BYTES)),
            secret,
            oldest: NONE,
            newest: NONE,
            contacts_lost: 0,
            expired: 0,
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
        let hash = KeyedHash::new(&self.secret, Purpose::Call).part(call_id).pair(first, second).finish();
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

    /// URI of a side's Contact; empty if it had none or it did not fit.
    pub fn contact(&self, side: &Side) -> &[u8] {
        side.contact.as_ref().map_or(&[], |stored| self.contacts.get(stored))
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
            contact: self.keep(opening.initiator_contact),
        };
        let responder = Side {
            address: opening.responder,
            listener: opening.responder_listener,
            flow: opening.responder_flow,
            by_source: opening.by_source.callee(),
            contact: self.keep(opening.responder_contact),
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
    pub fn charge(&mut self, id: CallId, charge: Charge) -> bool {
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
        let Some(place) = self.place(id) else { return };
        let Some(call) = self.slab.get(place) else { return };
        let side = if of_initiator { call.initiator } else { call.responder };
        if contact.is_empty() || self.contact(&side) == contact {
            return;
        }
        if let Some(old) = side.contact {
            self.contacts.free(old);
        }
        let kept = self.keep(contact);
        if let Some(call) = self.slab.get_mut(place) {
            let side = if of_initiator { &mut call.initiator } else { &mut call.responder };
            side.contact = kept;
        }
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
        for side in [call.initiator, call.responder] {
            if let Some(stored) = side.contact {
                self.contacts.free(stored);
            }
        }
        Some(call)
    }

    /// Closes the oldest call if it has lived for `longest`; to be called until there is none.
    pub fn expire(&mut self, longest: Micros, now: Mono) -> Option<Call> {
        let call = self.slab.get(self.oldest)?;
        if now.since(call.opened) < longest {
            return None;
        }
        let id = id_of(call.hash);
        self.expired += 1;
        self.close(id)
    }

    /// When the oldest call will have lived for `longest`.
    pub fn deadline(&self, longest: Micros) -> Option<Mono> {
        Some(self.slab.get(self.oldest)?.opened.after(longest))
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
            expired: self.expired,
            contacts_lost: self.contacts_lost,
        }
    }

    fn keep(&mut self, contact: &[u8]) -> Option<Stored> {
        if contact.is_empty() {
            return None;
        }
        let fits = contact.len() <= limits::URI_BYTES_MAX;
        let kept = fits.then(|| self.contacts.keep(contact)).flatten();
        self.contacts_lost += u64::from(kept.is_none());
        kept
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
    /// Calls closed because they had lived as long as a call may.
    pub expired: u64,
    /// Contacts that were not kept for lack of room.
    pub contacts_lost: u64,
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
