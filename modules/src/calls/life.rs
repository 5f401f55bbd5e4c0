//! How responses open and refresh calls (point 3), and how BYE closes them (point 6).

use super::{Call, CallId, Calls, Opening};
use crate::dispatcher::Dispatcher;
use crate::note::{Kind, Note};
use crate::tables::Number;
use proto::message::{HeaderName, Message, Method, Span};
use proto::policy::{ResponseContext, Target};
use proto::time::{Micros, Mono};

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

/// A response passes.
pub fn answered(
    calls: &mut Calls,
    dispatcher: &mut Dispatcher,
    response: &Message<'_>,
    context: &ResponseContext<'_>,
    note: &mut Note,
    now: Mono,
) {
    if !(200..300).contains(&response.status()) {
        return;
    }
    let theirs = contact(response).of(response.bytes());
    let ours = note.contact.of(context.request);
    match note.kind {
        Kind::Opens => open(calls, dispatcher, response, context, (ours, theirs), note, now),
        Kind::Refreshes => {
            if let Some(call) = note.call {
                calls.refresh(call, note.from_initiator, ours);
                calls.refresh(call, !note.from_initiator, theirs);
            }
        }
        Kind::Closes | Kind::Other => {}
    }
}

fn open(
    calls: &mut Calls,
    dispatcher: &mut Dispatcher,
    response: &Message<'_>,
    context: &ResponseContext<'_>,
    (initiator_contact, responder_contact): (&[u8], &[u8]),
    note: &mut Note,
    now: Mono,
) {
    let Some(key) = calls.key(response) else { return };
    if !note.answer((key.hash & 0xffff_ffff) as u32) {
        return;
    }
    let gateway = (context.target.gateway != Target::NO_GATEWAY).then_some(Number(context.target.gateway));
    let opening = Opening {
        key,
        gateway,
        initiator: context.caller,
        initiator_contact,
        responder: context.target.next_hop,
        responder_listener: context.target.listener,
        responder_flow: context.target.flow,
        responder_contact,
    };
    let opened = calls.open(&opening, now);
    if let Some(gateway) = gateway {
        dispatcher.call_answered(gateway, opened.is_some());
    }
}

/// The transaction of a request is over; `status` was sent to its sender. The final answer to a BYE closes
/// the call, a 408 of our own included; a challenge does not, for the BYE comes again.
pub fn ended(calls: &mut Calls, dispatcher: &mut Dispatcher, status: u16, note: &mut Note) {
    if note.kind != Kind::Closes || matches!(status, 401 | 407) {
        return;
    }
    if let Some(call) = note.call.take().and_then(|id| calls.close(id)) {
        closed(dispatcher, &call);
    }
}

/// Closes calls that have lived for `longest`, at most `bound` of them. True: there may be more.
pub fn expire(calls: &mut Calls, dispatcher: &mut Dispatcher, longest: Micros, bound: usize, now: Mono) -> bool {
    for _ in 0..bound {
        match calls.expire(longest, now) {
            Some(call) => closed(dispatcher, &call),
            None => return false,
        }
    }
    true
}

fn closed(dispatcher: &mut Dispatcher, call: &Call) {
    if let Some(gateway) = call.gateway {
        dispatcher.call_closed(gateway);
    }
}

fn contact(message: &Message<'_>) -> Span {
    match message.name_addrs(HeaderName::Contact).next() {
        Some(Ok(contact)) => contact.uri_span,
        _ => Span::default(),
    }
}
