//! RFC 3261 §16.6 steps 1 to 8, as splices: the bytes of a request as it leaves. Bytes that no step touches
//! leave as they came, in their order.

use super::own_lines::Prepared;
use super::settings::uri_transport;
use super::shown_from::{OtherParty, write_parameter};
use super::{NextRoute, Preprocessed};
use crate::message::{Field, HeaderName, Host, Message, Method, Rport, Span, Splice, Uri, Via, Writer};
use crate::policy::{Edits, Endpoint};
use crate::steer::OwnRoute;
use crate::token::BRANCH_TOKEN_CHARS;
use core::net::IpAddr;

/// What distinguishes one branch's request from the one received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving<'p> {
    /// Listener it leaves by.
    pub(super) listener: u16,
    /// Step 2: its Request-URI; empty: as preprocessed.
    pub(super) request_uri: &'p [u8],
    /// Step 8: the token of our Via branch.
    pub(super) branch: [u8; BRANCH_TOKEN_CHARS],
    /// What the policy changes in its header.
    pub(super) edits: Edits<'p>,
    /// Step 4: what our Record-Route, or Path, says; `None`: none is added.
    pub(super) own_route: Option<OwnRoute>,
    /// RFC 5393: its share of Max-Breadth.
    pub(super) max_breadth: u32,
}

/// Writes the request as it leaves (step 1: a copy, edited).
pub(super) fn write_request(
    settings: &Prepared,
    message: &Message<'_>,
    pre: &Preprocessed<'_>,
    source: &Endpoint,
    leaving: &Leaving<'_>,
    out: &mut Writer<'_>,
) {
    let Ok(top) = message.top_via() else { return };
    // Step 6: a strict router comes next: its URI goes into the Request-URI, ours to the end of Route.
    let target = if leaving.request_uri.is_empty() { pre.request_uri } else { leaving.request_uri };
    let strict = pre.next_route.filter(|route| Uri::parse(route.uri).is_ok_and(|uri| !uri.has_lr()));
    let request_uri = strict.map_or(target, |route| route.uri);

    let mut splice = Splice::new(message.bytes(), out);
    if request_uri != message.request_uri() {
        splice.replace(message.request_uri_span(), |out| out.put(request_uri));
    }
    splice.insert(message.start_line_end(), |out| {
        write_via(settings, source, leaving, out);
        write_own_route(settings, message, source, leaving, out);
        if message.field(HeaderName::MaxForwards).is_none() {
            out.put(b"Max-Forwards: ");
            out.decimal(u64::from(limits::MAX_FORWARDS_DEFAULT));
            out.put(b"\r\n");
        }
        if message.field(HeaderName::MaxBreadth).is_none() {
            write_number(out, b"Max-Breadth: ", leaving.max_breadth);
        }
        write_added(leaving.edits, out);
    });
    if leaving.edits.is_empty() && pre.other_party.is_none() {
        edit_fields(message, pre, source, leaving, &top, strict, &mut splice, |_, _| {});
    } else {
        let party = other_party(pre, leaving.edits);
        edit_fields(message, pre, source, leaving, &top, strict, &mut splice, |field, splice| match party {
            Some(party) if party.is(field.name) => splice.replace(field.value, |out| party.write(message, out)),
            _ if leaving.edits.removes(message, field) => splice.cut(field.line),
            _ => {}
        });
    }
    if strict.is_some() {
        splice.insert(message.header_end(), |out| {
            out.put(b"Route: <");
            out.put(target);
            out.put(b">\r\n");
        });
    }
    splice.finish();
}

/// Who leaves under another URI.
pub(super) fn other_party<'p>(pre: &Preprocessed<'p>, edits: Edits<'p>) -> Option<OtherParty<'p>> {
    pre.other_party.or_else(|| OtherParty::of_edits(edits))
}

/// Lines that the policy puts in: Route values before all others, then the rest.
fn write_added(edits: Edits<'_>, out: &mut Writer<'_>) {
    if edits.is_empty() {
        return;
    }
    write_routes(edits, out);
    for line in edits.added() {
        out.put(line);
        out.put(b"\r\n");
    }
}

/// The policy's Route values.
pub(super) fn write_routes(edits: Edits<'_>, out: &mut Writer<'_>) {
    for values in edits.routes() {
        out.put(b"Route: ");
        out.put(values);
        out.put(b"\r\n");
    }
}

/// Edits of fields, in the order in which they stand. `others`: what becomes of those that no rule changes.
#[allow(clippy::too_many_arguments, reason = "the request with all that is found out about it")]
fn edit_fields(
    message: &Message<'_>,
    pre: &Preprocessed<'_>,
    source: &Endpoint,
    leaving: &Leaving<'_>,
    top: &Via<'_>,
    strict: Option<NextRoute<'_>>,
    splice: &mut Splice<'_, '_, '_>,
    others: impl Fn(&Field, &mut Splice<'_, '_, '_>),
) {
    let [first, second, restored] = pre.removals;
    let removals = [first, second, restored, strict.map(|route| route.removal)];
    for (place, field) in message.fields().iter().enumerate() {
        match field.name {
            HeaderName::Via if place == usize::from(top.field) => mark_via(top, source, splice),
            // Step 3.
            HeaderName::MaxForwards => {
                if let Ok(Some(number)) = message.max_forwards() {
                    let left = number.saturating_sub(1).min(u32::from(u8::MAX));
                    splice.replace(field.value, |out| out.decimal(u64::from(left)));
                }
            }
            HeaderName::MaxBreadth => {
                splice.replace(field.value, |out| out.decimal(u64::from(leaving.max_breadth)));
            }
            HeaderName::Route if removals.iter().any(Option::is_some) => {
                cut_routes(message, field.line, place, &removals, splice);
            }
            _ => others(field, splice),
        }
    }
}

/// RFC 3261 §18.2.1 and RFC 3581 §4: where it really came from, written into the top Via.
pub(super) fn mark_via(top: &Via<'_>, source: &Endpoint, splice: &mut Splice<'_, '_, '_>) {
    let asked = top.rport != Rport::Absent;
    let differs = top.host.ip() != Some(source.peer.ip());
    let received = |out: &mut Writer<'_>| {
        out.put(b";received=");
        out.ip_bare(source.peer.ip());
    };
    let rport = |out: &mut Writer<'_>| {
        out.put(b";rport=");
        out.decimal(u64::from(source.peer.port()));
    };
    let mark_received = asked || differs || top.received.is_some() || !top.received_span.is_empty();
    match (mark_received, asked) {
        (true, true) if top.received_span.start < top.rport_span.start => {
            splice.replace(top.received_span, received);
            splice.replace(top.rport_span, rport);
        }
        (true, true) => {
            splice.replace(top.rport_span, rport);
            splice.replace(top.received_span, received);
        }
        (true, false) => splice.replace(top.received_span, received),
        (false, _) => {}
    }
}

/// Step 8. `rport` always: the answer must find the port that we sent from.
fn write_via(settings: &Prepared, source: &Endpoint, leaving: &Leaving<'_>, out: &mut Writer<'_>) {
    write_via_line(settings, leaving.listener, settings.local(source, leaving.listener), &leaving.branch, out);
}

/// A Via line of ours, of that listener.
pub(super) fn write_via_line(
    settings: &Prepared,
    listener: u16,
    local: Option<IpAddr>,
    branch: &[u8; BRANCH_TOKEN_CHARS],
    out: &mut Writer<'_>,
) {
    match settings.lines(listener) {
        Some(lines) => out.put(&lines.via),
        None => write_via_start(settings, listener, local, out),
    }
    out.put(branch);
    out.put(b";rport\r\n");
}

/// What stands before the token, of a listener that gives out the address that it was asked at.
#[cold]
fn write_via_start(settings: &Prepared, listener: u16, local: Option<IpAddr>, out: &mut Writer<'_>) {
    let Some(listener) = settings.listener(listener) else { return out.fail() };
    listener.write_via_start(local, out);
}

/// Step 4. Two entries where listeners differ, so that each side finds the address it can reach: the upper
/// one for the side it leaves to.
fn write_own_route(
    settings: &Prepared,
    message: &Message<'_>,
    source: &Endpoint,
    leaving: &Leaving<'_>,
    out: &mut Writer<'_>,
) {
    let Some(route) = &leaving.own_route else {
        return;
    };
    let name: &[u8] = if message.method() == Method::Register { b"Path" } else { b"Record-Route" };
    let shown = leaving.edits.shown_from();
    let shown = shown.map(|shown| |out: &mut Writer<'_>| write_parameter(&settings.keys, message, shown, out));
    write_own_route_line(settings, source, leaving.listener, (name, route), shown.as_ref(), out);
    if leaving.listener != source.listener {
        write_own_route_line(settings, source, source.listener, (name, route), shown.as_ref(), out);
    }
}

fn write_own_route_line(
    settings: &Prepared,
    source: &Endpoint,
    listener: u16,
    (name, route): (&[u8], &OwnRoute),
    shown: Option<impl Fn(&mut Writer<'_>)>,
    out: &mut Writer<'_>,
) {
    let local = settings.local(source, listener);
    let prepared = if route.address.is_none() && shown.is_none() { settings.lines(listener) } else { None };
    out.put(name);
    if let Some(lines) = prepared {
        out.put(&lines.route);
        out.put(&route.token);
        return out.put(b">\r\n");
    }
    let Some(listener) = settings.listener(listener) else { return out.fail() };
    out.put(b": <sip:");
    listener.write_sent_by(local, out);
    out.put(uri_transport(listener.transport));
    out.put(b";lr;");
    if let Some(shown) = shown {
        shown(out);
    }
    route.write(out);
    out.put(b">\r\n");
}

fn write_number(out: &mut Writer<'_>, name: &[u8], number: u32) {
    out.put(name);
    out.decimal(u64::from(number));
    out.put(b"\r\n");
}

/// Cuts the values of one Route line that are taken off; the whole line if none stays.
fn cut_routes(
    message: &Message<'_>,
    line: Span,
    place: usize,
    removals: &[Option<Span>],
    splice: &mut Splice<'_, '_, '_>,
) {
    let removed = |removal: Span| removals.contains(&Some(removal));
    // Nearly always it has one value, which is ours.
    if removed(line) {
        return splice.cut(line);
    }
    let mut here = message.name_addrs(HeaderName::Route).flatten().filter(|route| usize::from(route.field) == place);
    if here.all(|route| removed(route.removal)) {
        splice.cut(line);
        return;
    }
    let here = message.name_addrs(HeaderName::Route).flatten().filter(|route| usize::from(route.field) == place);
    for route in here.filter(|route| removed(route.removal)) {
        splice.cut(route.removal);
    }
}

/// Where a response goes whose next Via this is, as we once wrote it (§18.2.2).
pub(super) fn reply_address(via: &Via<'_>) -> Option<core::net::SocketAddr> {
    let ip = via.received.as_ref().and_then(Host::ip).or_else(|| via.host.ip())?;
    let port = match via.rport {
        Rport::Port(port) => port,
        Rport::Absent | Rport::Empty => via.sent_by_port(),
    };
    Some(core::net::SocketAddr::new(ip, port))
}
