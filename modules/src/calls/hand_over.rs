//! Calls move to another process (hot upgrade) or to another number of shards, beside the open transactions
//! (`proto::proxy`'s `export` and `import`).
//!
//! Both sides have the same boot secret, which calls are found by. Gateways are named by the exporter's numbers; what
//! they are called goes before ([`crate::Origin`]). Ages travel, not moments: the clocks of two processes need not agree.
//!
//! ```text
//! version  slot  age  flags  hash  gateway  record  heard ago  initiator, responder: address, listener, flow, CSeq, Contact
//!    1      2     8     1     16     1+4       8        8
//! and of a customer's call: six texts (`identity`), seconds of its session that are left, why it is being ended
//!                                                                   4                            1
//! ```

use super::end::CallEnd;
use super::identity::CONTACTS;
use super::oversee::{Lifetimes, Resumed};
use super::texts::Part;
use super::{Call, CallId, Calls, Identity, Key, Opening, Side};
use crate::dispatcher::Dispatcher;
use crate::encoding::{Decoder, Encoder};
use crate::tables::Number;
use proto::policy::{BySource, Endpoint};
use proto::time::{Micros, Mono};

/// Why a call was not taken over. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOverError {
    /// Another version, cut short, or not what [`export`] writes.
    Damaged,
    /// The call is here already, or there is no room.
    NotTaken,
}

const VERSION: u8 = 4;
const EARLY: u8 = 1;
const INITIATOR_FIRST: u8 = 2;
const INITIATOR_BY_SOURCE: u8 = 4;
const RESPONDER_BY_SOURCE: u8 = 8;
/// A customer's call, watched.
const WATCHED: u8 = 16;
const ACKNOWLEDGED: u8 = 32;
const FLAGS: u8 = EARLY | INITIATOR_FIRST | INITIATOR_BY_SOURCE | RESPONDER_BY_SOURCE | WATCHED | ACKNOWLEDGED;

/// Hands every call to `sink`, a frame each, the oldest first. Allocates: off the packet path.
pub fn export(calls: &Calls, now: Mono, mut sink: impl FnMut(&[u8])) {
    let mut frame = Vec::new();
    let mut next = calls.slab.get(calls.oldest);
    while let Some(call) = next {
        frame.clear();
        write(calls, call, now, &mut frame);
        sink(&frame);
        next = calls.slab.get(call.newer);
    }
}

/// For how long the call in a frame has lived. `None`: the frame is damaged.
pub(crate) fn age(frame: &[u8]) -> Option<Micros> {
    let mut from = Decoder::new(frame);
    from.byte().filter(|version| *version == VERSION)?;
    from.short()?;
    from.long().map(Micros)
}

/// Takes in one call, if `mine` says that its slot belongs here. False: it does not. `here` gives our number of
/// the exporter's gateway; a call whose gateway has none here goes on, charged to nobody.
///
/// INVARIANT: frames come in the order of age, the oldest first, for in this order calls expire. One that comes too
/// late expires with those before it.
///
/// # Errors
/// See [`HandOverError`].
pub fn import(
    calls: &mut Calls,
    dispatcher: &mut Dispatcher,
    frame: &[u8],
    here: impl FnOnce(Number) -> Option<Number>,
    mine: impl FnOnce(u16) -> bool,
    lifetimes: &Lifetimes,
    now: Mono,
) -> Result<bool, HandOverError> {
    let mut from = Decoder::new(frame);
    let slot = match (from.byte(), from.short()) {
        (Some(VERSION), Some(slot)) => slot,
        _ => return Err(HandOverError::Damaged),
    };
    if !mine(slot) {
        return Ok(false);
    }
    let Read { mut opening, age, record, heard, resumed } = read(&mut from, slot).ok_or(HandOverError::Damaged)?;
    let opened = Mono(now.0.saturating_sub(age.0));
    opening.gateway = opening.gateway.and_then(here);
    let id = calls.open(&opening, opened).ok_or(HandOverError::NotTaken)?;
    calls.recorded(id, record);
    calls.lives(id, Mono(now.0.saturating_sub(heard.0)));
    calls.resume(id, &resumed, lifetimes, now);
    if let Some(gateway) = opening.gateway.filter(|_| !opening.early) {
        dispatcher.call_taken_over(gateway);
    }
    Ok(true)
}

/// Appends one call, for its record.
pub(crate) fn write_one(calls: &Calls, id: CallId, now: Mono, out: &mut Vec<u8>) {
    if let Some(call) = calls.get(id) {
        write(calls, call, now, out);
    }
}

/// What [`write_one`] wrote in a process before, under a key of this one. `None`: another release wrote it.
pub(crate) fn read_state(state: &[u8], key: Key, slot: u16) -> Option<(Opening<'_>, Resumed)> {
    let mut from = Decoder::new(state);
    from.byte().filter(|version| *version == VERSION)?;
    from.short()?;
    let read = read(&mut from, slot)?;
    // What is written with the record has not been acknowledged yet; what lived on has.
    let resumed = Resumed { acknowledged: true, cseq_is_old: true, ..read.resumed };
    Some((Opening { key, early: false, ..read.opening }, resumed))
}

fn write(calls: &Calls, call: &Call, now: Mono, frame: &mut Vec<u8>) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let resumed = calls.resumed(call, now);
    let flags = flag(call.early, EARLY)
        | flag(call.initiator_first, INITIATOR_FIRST)
        | flag(call.initiator.by_source, INITIATOR_BY_SOURCE)
        | flag(call.responder.by_source, RESPONDER_BY_SOURCE)
        | flag(resumed.is_watched, WATCHED)
        | flag(resumed.acknowledged, ACKNOWLEDGED);
    let mut out = Encoder::new(frame);
    out.number([VERSION]).number(call.slot.to_le_bytes()).number(now.since(call.opened).0.to_le_bytes());
    out.number([flags]).number(call.hash.to_le_bytes());
    out.flag(call.gateway.is_some()).number(call.gateway.map_or(0, |gateway| gateway.0).to_le_bytes());
    out.number(call.record.to_le_bytes()).number(now.since(call.heard).0.to_le_bytes());
    for ((side, cseq), initiator) in [&call.initiator, &call.responder].into_iter().zip(call.cseq).zip([true, false]) {
        // Whether it is reached by its source stands in the flags.
        let Side { address, listener, flow, by_source: _ } = side;
        out.address(*address).number(listener.to_le_bytes()).number(flow.to_le_bytes());
        out.number(cseq.to_le_bytes()).text(calls.contact(call, initiator));
    }
    for part in Part::ALL.into_iter().skip(CONTACTS) {
        out.text(calls.part(call, part));
    }
    out.number(resumed.session_left.to_le_bytes()).number([resumed.ending.map_or(0, CallEnd::number)]);
}

/// A call as it stands in a frame.
struct Read<'b> {
    opening: Opening<'b>,
    age: Micros,
    record: u64,
    /// How long ago it was heard of.
    heard: Micros,
    resumed: Resumed,
}

fn read<'b>(from: &mut Decoder<'b>, slot: u16) -> Option<Read<'b>> {
    let age = Micros(from.long()?);
    let flags = from.byte().filter(|flags| flags & !FLAGS == 0)?;
    let hash = u128::from_le_bytes(from.number()?);
    let (has_gateway, gateway) = (from.flag()?, from.word()?);
    let (record, heard) = (from.long()?, Micros(from.long()?));
    let mut side = || Some((from.address()?, from.short()?, from.long()?, from.word()?, from.text()?));
    let (initiator, responder) = (side()?, side()?);
    let mut identity = [&[][..]; Part::ALL.len() - CONTACTS];
    for text in &mut identity {
        *text = from.text()?;
    }
    let (session_left, ending) = (from.word()?, from.byte()?);
    from.end()?;
    let ending = if ending == 0 { None } else { Some(CallEnd::of_number(ending)?) };
    let acknowledged = flags & ACKNOWLEDGED != 0;
    let is_watched = flags & WATCHED != 0;
    let resumed =
        Resumed { is_watched, responder_cseq: responder.3, session_left, acknowledged, ending, cseq_is_old: false };
    let opening = Opening {
        key: Key { hash, from_first: flags & INITIATOR_FIRST != 0 },
        slot,
        early: flags & EARLY != 0,
        by_source: BySource::of(flags & INITIATOR_BY_SOURCE != 0, flags & RESPONDER_BY_SOURCE != 0),
        gateway: has_gateway.then_some(Number(gateway)),
        // `local` is not kept with a call.
        initiator: Endpoint { listener: initiator.1, local: initiator.0, peer: initiator.0, flow: initiator.2 },
        initiator_contact: initiator.4,
        responder: responder.0,
        responder_listener: responder.1,
        responder_flow: responder.2,
        responder_contact: responder.4,
        identity: Identity::Kept(identity),
        cseq: initiator.3,
    };
    Some(Read { opening, age, record, heard, resumed })
}
