//! Point 5: where an in-dialog request may go. This is what makes us no open relay.
//!
//! It needs a proof: our signed Route token, or a live call whose Call-ID, tags and source it has. And it
//! needs a target (next Route, else Request-URI) that is a listed gateway, a listed source, a contact or
//! address of that call, or the other side as our token has signed it (that alone is left of a call after a
//! restart). A To tag or a Route proves nothing. A side that is reached where it really is (a phone, [`BySource`])
//! gets its requests there, whatever they name: by the call, which re-INVITEs keep up to date, else by the token. Everything else is 403; an ACK is dropped.
//!
//! Without our Route, or when its Request-URI still names us, it is routed from the call's entry: the
//! Request-URI becomes the other side's Contact, the next hop the other side's address.

use super::life::note_request;
use super::{Call, Calls, Side};
use crate::note::Note;
use crate::reason::{Reason, Step};
use crate::sources::{self, UnknownSources};
use crate::tables::{Number, Tables};
use proto::message::{Host, Method, Uri};
use proto::policy::{Answer, BySource, Inbound, Proof, Question, Target, TargetSet, Verdict};
use proto::time::{Micros, Now};
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow::{Break, Continue};

/// Longest wait for the address of a host name.
pub const RESOLVE_MAX: Micros = Micros::from_secs(2);

/// What the decision reads.
#[derive(Debug)]
pub struct Dialog<'d> {
    /// The tables.
    pub tables: &'d Tables,
    /// The calls of this shard.
    pub calls: &'d Calls,
    /// Where strangers are remembered.
    pub unknown: &'d mut UnknownSources,
}

/// A call as this request sees it.
#[derive(Clone, Copy)]
struct Live<'c> {
    call: &'c Call,
    from_initiator: bool,
}

/// The decision.
pub fn decide(
    dialog: &mut Dialog<'_>,
    request: &Inbound<'_>,
    proof: Proof,
    note: &mut Note,
    answer: Option<Answer>,
    targets: &mut TargetSet,
    now: Now,
) -> Verdict<Reason> {
    let refuse = |reason: Reason| match request.message.method() {
        Method::Ack => reason.verdict_for_ack(),
        _ => reason.verdict(),
    };
    match stages(dialog, request, proof, note, answer, targets, now) {
        Continue(()) => Verdict::Forward,
        Break(Verdict::Reply { reason, .. }) => refuse(reason),
        Break(verdict) => verdict,
    }
}

fn stages(
    dialog: &mut Dialog<'_>,
    request: &Inbound<'_>,
    proof: Proof,
    note: &mut Note,
    answer: Option<Answer>,
    targets: &mut TargetSet,
    now: Now,
) -> Step<()> {
    let found = dialog.calls.key(request.message).and_then(|key| dialog.calls.find(&key));
    let live = found.map(|(_, call, from_initiator)| Live { call, from_initiator });
    let has_token = matches!(proof, Proof::Token { .. });
    let signed = matches!(proof, Proof::Token { to_far_side: true, .. });
    prove(dialog, request, has_token, live, now)?;
    note_request(request.message, found.map(|(id, _, from_initiator)| (id, from_initiator)), note);
    let other_is_phone = live.is_some_and(|live| live.call.side(!live.from_initiator).by_source);
    match (has_token, request.next_route, live) {
        (true, _, Some(live)) if other_is_phone && (request.next_route.is_some() || !request.to_us) => {
            push(targets, by_call(live), &[])
        }
        (true, _, None) if let Some(address) = request.far_side => push(targets, at(dialog, request, address), &[]),
        (true, Some(route), _) => {
            let target = by_uri(dialog, request, &route, signed, live, answer)?;
            push(targets, target, &[])
        }
        (true, None, _) if !request.to_us => {
            let target = by_uri(dialog, request, &request.request_uri, signed, live, answer)?;
            push(targets, target, &[])
        }
        (_, _, Some(live)) => push(targets, by_call(live), dialog.calls.contact(live.call, !live.from_initiator)),
        (_, _, None) => Break(Reason::DialogUnknown.verdict()),
    }
}

/// The proof: a token, or a live call that the sender is a side of.
fn prove(
    dialog: &mut Dialog<'_>,
    request: &Inbound<'_>,
    has_token: bool,
    live: Option<Live<'_>>,
    now: Now,
) -> Step<()> {
    let source = request.source.peer.ip();
    if has_token || live.is_some_and(|live| is_from(dialog.tables, live, source)) {
        return Continue(());
    }
    if dialog.tables.sources.group(source).is_none() && !dialog.tables.is_gateway_host(source) {
        let reason = sources::refuse(dialog.tables, dialog.unknown, request.message, source, now);
        return Break(reason.verdict());
    }
    Break(Reason::DialogUnproven.verdict())
}

/// Whether `source` is where the sending side of the call is; any port, as many send from another.
fn is_from(tables: &Tables, live: Live<'_>, source: IpAddr) -> bool {
    let side = live.call.side(live.from_initiator);
    if side.address.ip().to_canonical() == source.to_canonical() {
        return true;
    }
    let gateway = live.call.gateway.filter(|_| !live.from_initiator);
    gateway
        .and_then(|number| tables.gateway(number))
        .is_some_and(|gateway| gateway.reply_from.iter().any(|prefix| prefix.contains(source)))
}

/// The other side of the call.
fn by_call(live: Live<'_>) -> Target {
    target_of(live.call.side(!live.from_initiator), live)
}

fn target_of(side: &Side, live: Live<'_>) -> Target {
    let gateway = live.call.gateway.filter(|_| side.address == live.call.responder.address);
    Target {
        gateway: gateway.map_or(Target::NO_GATEWAY, |number| number.0),
        listener: side.listener,
        by_source: BySource::Neither,
        next_hop: side.address,
        flow: side.flow,
        no_response: Micros(0),
    }
}

/// The side whose address our token has signed.
fn at(dialog: &Dialog<'_>, request: &Inbound<'_>, address: SocketAddr) -> Target {
    Target {
        gateway: Target::NO_GATEWAY,
        listener: request.leaves_by.unwrap_or_else(|| dialog.tables.listener_towards(address.ip())),
        by_source: BySource::Neither,
        next_hop: address,
        flow: 0,
        no_response: Micros(0),
    }
}

/// What the Route or Request-URI names, if a request may be sent there. `signed`: our token says so.
fn by_uri(
    dialog: &Dialog<'_>,
    request: &Inbound<'_>,
    uri: &Uri<'_>,
    signed: bool,
    live: Option<Live<'_>>,
    answer: Option<Answer>,
) -> Step<Target> {
    // A maddr parameter is the next hop in place of the host (RFC 3261 §19.1.1), and so is what is judged.
    let host = uri.maddr().unwrap_or(uri.host);
    if let Some(ip) = host.ip() {
        return listed(dialog, request, SocketAddr::new(ip, uri.effective_port()), signed, live);
    }
    if let Host::Name(name) = host
        && let Some(gateway) = dialog.tables.gateway_by_host(name, uri.port)
        && let Some(address) = gateway.address
    {
        return listed(dialog, request, address, signed, live);
    }
    let side = live.and_then(|live| side_with_contact(dialog, live, &host));
    match (answer, live.zip(side)) {
        (None, _) => Break(Verdict::Ask { question: Question::Resolve, deadline: RESOLVE_MAX }),
        (Some(Answer::Address(address)), Some((live, side))) => {
            Continue(Target { next_hop: address, ..target_of(side, live) })
        }
        (Some(Answer::Address(address)), None) => listed(dialog, request, address, signed, live),
        // The question's default: a contact of this call without an address is where its side is.
        (Some(_), Some((live, side))) => Continue(target_of(side, live)),
        (Some(_), None) => Break(Reason::DialogHostUnresolved.verdict()),
    }
}

/// The side of the call whose Contact has this host.
fn side_with_contact<'c>(dialog: &Dialog<'_>, live: Live<'c>, host: &Host<'_>) -> Option<&'c Side> {
    let has_host = |initiator: &bool| {
        let contact = Uri::parse(dialog.calls.contact(live.call, *initiator));
        contact.is_ok_and(|contact| contact.host.eq_ignore_case(host))
    };
    let sides = [!live.from_initiator, live.from_initiator];
    sides.into_iter().find(has_host).map(|initiator| live.call.side(initiator))
}

/// The target at `address`, if it is of this call, a gateway, a source, signed by us, or ourselves (who look again).
fn listed(
    dialog: &Dialog<'_>,
    request: &Inbound<'_>,
    address: SocketAddr,
    signed: bool,
    live: Option<Live<'_>>,
) -> Step<Target> {
    let tables = dialog.tables;
    let plain = |gateway: Option<Number>, listener: u16| Target {
        gateway: gateway.map_or(Target::NO_GATEWAY, |number| number.0),
        listener,
        by_source: BySource::Neither,
        next_hop: address,
        flow: 0,
        no_response: Micros(0),
    };
    if let Some(live) = live
        && let Some(side) = side_at(dialog, live, address)
    {
        return Continue(Target { next_hop: address, ..target_of(side, live) });
    }
    if let Some(gateway) = tables.gateway_by_address(address) {
        return Continue(plain(Some(gateway.number), gateway.listener));
    }
    if signed || tables.sources.names(address.ip()) || tables.own.has_address(address) {
        let towards = || tables.listener_towards(address.ip());
        return Continue(plain(None, request.leaves_by.unwrap_or_else(towards)));
    }
    Break(Reason::DialogTarget.verdict())
}

/// The side of the call that is at this address, or whose Contact names it.
fn side_at<'c>(dialog: &Dialog<'_>, live: Live<'c>, address: SocketAddr) -> Option<&'c Side> {
    let wanted = crate::tables::canonical(address);
    let is_at = |initiator: &bool| {
        crate::tables::canonical(live.call.side(*initiator).address) == wanted
            || Uri::parse(dialog.calls.contact(live.call, *initiator)).is_ok_and(|contact| {
                contact.host.ip() == Some(wanted.ip()) && contact.effective_port() == wanted.port()
            })
    };
    let sides = [!live.from_initiator, live.from_initiator];
    sides.into_iter().find(is_at).map(|initiator| live.call.side(initiator))
}

/// Adds the target; `request_uri`: the new one, empty: it stays.
fn push(targets: &mut TargetSet, target: Target, request_uri: &[u8]) -> Step<()> {
    if targets.push_with_uri(target, |out| out.put(request_uri)) {
        Continue(())
    } else {
        Break(Reason::RequestUriTooLong.verdict())
    }
}
