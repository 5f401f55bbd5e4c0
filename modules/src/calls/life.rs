//! How responses open and refresh calls (point 3), and how BYE closes them (point 6).
//!
//! [`closed`] is passed once by every call that was open, whatever ended it, and gives its places back.

use super::end::CallEnd;
use super::oversee::Lifetimes;
use super::{Call, CallId, Calls, Identity, Key, Opening};
use crate::class4::Charge;
use crate::dispatcher::Dispatcher;
use crate::note::{Kind, Note};
use crate::records::{Ending, Records};
use crate::tables::{Number, Tables};
use proto::message::{HeaderName, Message, Method, Span};
use proto::policy::{ResponseContext, Target};
use proto::time::{Mono, Now};

/// What the request will mean to its call; called when it is let through.
pub fn note_request(message: &Message<'_>, call: Option<(CallId, bool)>, note: &mut Note) {
    note.call = call.map(|(id, _)| id);
    note.from_initiator = call.is_none_or(|(_, from_initiator)| from_initiator);
    note.kind = match (message.method(), message.to_tag().is_empty()) {
        (Method::Invite, true) => Kind::Opens,
        (Method::Invite | Method::Update, false) => Kind::Refreshes,
        (Method::Bye, _) => Kind::Closes,
        _ => Kind::Other,
    };
    if matches!(note.kind, Kind::Opens | Kind::Refreshes) {
        note.contact = contact(message);
    }
}

/// A response passes. The call that it opened, if it did and there was room. `called`: the number that a customer's
/// INVITE is for; `None`: it is no customer's.
#[allow(clippy::too_many_arguments, reason = "the parts of a policy, borrowed apart")]
pub fn answered(
    calls: &mut Calls,
    dispatcher: &mut Dispatcher,
    tables: &Tables,
    called: Option<&[u8]>,
    response: &Message<'_>,
    context: &ResponseContext<'_>,
    note: &mut Note,
    now: Mono,
) -> Option<CallId> {
    let reliable = (101..200).contains(&response.status()) && response.field(HeaderName::RSeq).is_some();
    let success = (200..300).contains(&response.status());
    match note.kind {
        Kind::Opens if success || reliable => {
            let identity = called.map_or(Identity::Unknown, |called| Identity::Said { response, tables, called });
            if success {
                return open(calls, dispatcher, response, identity, context, note, now);
            }
            open_early(calls, response, identity, context, note, now);
        }
        Kind::Refreshes if success => {
            if let Some(call) = note.call {
                calls.refresh(call, note.from_initiator, note.contact.of(context.request));
                calls.refresh(call, !note.from_initiator, contact(response).of(response.bytes()));
                calls.heard_from(call, note.from_initiator, context.caller.peer);
                calls.heard_from(call, !note.from_initiator, context.source);
                if tables.class4.is_some() {
                    calls.session_refreshed(call, response, &Lifetimes::of(tables), now);
                }
            }
        }
        _ => {}
    }
    None
}

fn open(
    calls: &mut Calls,
    dispatcher: &mut Dispatcher,
    response: &Message<'_>,
    identity: Identity<'_>,
    context: &ResponseContext<'_>,
    note: &mut Note,
    now: Mono,
) -> Option<CallId> {
    let key = calls.key(response)?;
    if !note.answer((key.hash & 0xffff_ffff) as u32) {
        return None;
    }
    let early = calls.find(&key).map(|(id, ..)| id);
    let kept = match early {
        Some(id) => {
            calls.refresh(id, false, contact(response).of(response.bytes()));
            calls.confirm(id).then_some(id)
        }
        None => calls.open(&opening(key, false, response, identity, context, note), now),
    };
    if let Some(gateway) = gateway(context) {
        dispatcher.call_answered(gateway, kept.is_some());
    }
    kept
}

/// An early dialog, if the INVITE has room to remember it.
fn open_early(
    calls: &mut Calls,
    response: &Message<'_>,
    identity: Identity<'_>,
    context: &ResponseContext<'_>,
    note: &mut Note,
    now: Mono,
) {
    let Some(key) = calls.key(response) else { return };
    let Some(place) = note.early.iter().position(Option::is_none) else { return };
    if let Some(id) = calls.open(&opening(key, true, response, identity, context, note), now)
        && let Some(place) = note.early.get_mut(place)
    {
        *place = Some(id);
    }
}

fn opening<'m>(
    key: Key,
    early: bool,
    response: &Message<'m>,
    identity: Identity<'m>,
    context: &ResponseContext<'m>,
    note: &Note,
) -> Opening<'m> {
    Opening {
        key,
        slot: context.slot,
        early,
        gateway: gateway(context),
        initiator: context.caller,
        initiator_contact: note.contact.of(context.request),
        by_source: context.target.by_source,
        responder: if context.target.by_source.callee() { context.source } else { context.target.next_hop },
        responder_listener: context.target.listener,
        responder_flow: context.target.flow,
        responder_contact: contact(response).of(response.bytes()),
        identity,
        cseq: response.cseq().map_or(0, |cseq| cseq.number),
    }
}

fn gateway(context: &ResponseContext<'_>) -> Option<Number> {
    (context.target.gateway != Target::NO_GATEWAY).then_some(Number(context.target.gateway))
}

/// The transaction of a request is over; `status` was sent to its sender. The final answer to a BYE closes
/// the call, a 408 of our own included; a challenge does not, for the BYE comes again.
/// Early dialogs of an INVITE end with it, unless they have become calls.
pub fn ended(
    calls: &mut Calls,
    dispatcher: &mut Dispatcher,
    tables: &Tables,
    status: u16,
    note: &mut Note,
    records: Option<&mut Records>,
    now: Now,
) {
    for place in &mut note.early {
        let id = place.take().filter(|id| calls.get(*id).is_some_and(|call| call.early));
        id.map(|id| calls.close(id));
    }
    if note.kind != Kind::Closes {
        return;
    }
    if matches!(status, 401 | 407) {
        if let Some((records, call)) = records.zip(note.call.and_then(|id| calls.get(id))) {
            records.bye_refused(call, now);
        }
        return;
    }
    if let Some(call) = note.call.take().and_then(|id| calls.close(id)) {
        let end = if note.from_initiator { CallEnd::ByeFromCaller } else { CallEnd::ByeFromCallee };
        closed(calls, dispatcher, tables, &call, end, records, now);
    }
}

/// Time has passed: customers' calls that have outlived what keeps them alive begin to end, and entries that have
/// lived as long as the tables allow are closed; at most `bound` of each. True: there may be more.
pub fn expire(
    calls: &mut Calls,
    dispatcher: &mut Dispatcher,
    tables: &Tables,
    bound: usize,
    mut records: Option<&mut Records>,
    now: Now,
) -> bool {
    let more = calls.oversee(tables, bound, now.mono);
    for _ in 0..bound {
        let Some(call) = calls.expire(tables.call_max, now.mono) else { return more };
        closed(calls, dispatcher, tables, &call, CallEnd::Forgotten, records.as_deref_mut(), now);
    }
    true
}

/// A call is over: it is counted and recorded, and its places are given back.
pub fn closed(
    calls: &mut Calls,
    dispatcher: &mut Dispatcher,
    tables: &Tables,
    call: &Call,
    end: CallEnd,
    records: Option<&mut Records>,
    now: Now,
) {
    if !call.early {
        calls.ends.count(end);
    }
    let trunks = tables.class4.as_ref().filter(|_| call.charge != Charge::NOBODY);
    trunks.into_iter().for_each(|trunks| trunks.ended(call.charge, call.opened, now));
    if let Some(records) = records {
        // WHY after: what was charged for it is in its record, from which balances are restored after a crash.
        records.ended(call, Ending::of(end), trunks.and_then(|trunks| trunks.charged(call.charge)), now);
    }
    if let Some(gateway) = call.gateway.filter(|_| !call.early) {
        dispatcher.call_closed(gateway);
    }
}

fn contact(message: &Message<'_>) -> Span {
    match message.name_addrs(HeaderName::Contact).next() {
        Some(Ok(contact)) => contact.uri_span,
        _ => Span::default(),
    }
}
