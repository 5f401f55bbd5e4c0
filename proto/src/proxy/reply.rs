//! Responses of our own (RFC 3261 §8.2.6), made statelessly where nothing is kept (§8.2.7).
//!
//! The To tag is a keyed hash of the transaction's key: every retransmission draws the same response, and
//! the ACK of one that was not kept is recognised by it.

use super::counters::Refused;
use super::rewrite::mark_via;
use super::{Egress, Outbox, Proxy, Settings};
use crate::hash::{Purpose, SignatureHash};
use crate::message::{HeaderName, Message, Method, Rport, Splice, Via, Writer};
use crate::policy::{Endpoint, Policy};
use crate::transaction::Key;
use core::net::SocketAddr;

/// A request on its way in, with what replying to it and matching it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) source: Endpoint,
    pub(super) reply_port: u16,
    pub(super) key: Key,
}

/// Status code and Reason-Phrase of a response of our own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) phrase: &'static [u8],
}

impl Status {
    /// With the usual phrase.
    pub(super) const fn of(code: u16) -> Status {
        Status { code, phrase: reason_phrase(code) }
    }
}

impl From<u16> for Status {
    fn from(code: u16) -> Status {
        Status::of(code)
    }
}

impl Arrival {
    pub(super) fn egress(&self) -> Egress {
        reply_egress(&self.source, self.reply_port)
    }
}

/// Where responses to a request from `source` go.
pub(super) fn reply_egress(source: &Endpoint, reply_port: u16) -> Egress {
    Egress {
        listener: source.listener,
        local: (!source.local.ip().is_unspecified()).then(|| source.local.ip()),
        peer: SocketAddr::new(source.peer.ip(), reply_port),
        flow: source.flow,
    }
}

impl<P: Policy> Proxy<P> {
    /// Where a response to a request with this top Via, as we write it, goes (§18.2.2): never anywhere but back to
    /// the address that the request came from; `maddr` would let a sender aim at others and is not followed.
    pub(super) fn reply_port(&self, top: &Via<'_>, source: &Endpoint) -> u16 {
        if top.rport == Rport::Absent && !self.policy.answers_to_source_port(source) {
            top.sent_by_port()
        } else {
            source.peer.port()
        }
    }

    /// Answers and forgets.
    pub(super) fn reply_statelessly(
        &mut self,
        arrival: &Arrival,
        request: &Message<'_>,
        status: impl Into<Status>,
        out: &mut impl Outbox,
    ) {
        let status = status.into();
        if request.method() == Method::Ack {
            return;
        }
        let settings = &self.settings;
        // A 100 has none of ours.
        let tag = if status.code > 100 { to_tag(settings, arrival.key) } else { [0; TO_TAG_CHARS] };
        let sent = out.transmit(&arrival.egress(), |writer| {
            write_response(settings, request, &arrival.source, status, &tag, b"", writer);
        });
        self.count_reply(request, status, sent);
    }

    /// The policy's own answer, with the header lines that it attached, when the record that it waits for is
    /// durable; and forgets.
    pub(super) fn reply_as_decided(
        &mut self,
        arrival: &Arrival,
        request: &Message<'_>,
        status: u16,
        out: &mut impl Outbox,
    ) {
        let (settings, targets, status) = (&self.settings, &self.targets, Status::of(status));
        if request.method() == Method::Ack {
            return;
        }
        let tag = to_tag(settings, arrival.key);
        let write = |writer: &mut Writer<'_>| {
            write_response(settings, request, &arrival.source, status, &tag, targets.attachment(), writer);
        };
        let sent = match targets.held_until() {
            Some(record) => out.transmit_when_durable(record, &arrival.egress(), write),
            None => out.transmit(&arrival.egress(), write),
        };
        self.count_reply(request, status, sent);
    }

    fn count_reply(&mut self, request: &Message<'_>, status: Status, sent: bool) {
        if sent {
            self.counters.response_sent(request.method(), status.code);
        } else {
            self.counters.drop(super::Drop::NotSent);
        }
    }

    /// Answers a request that the proxy itself refuses.
    pub(super) fn refuse(&mut self, arrival: &Arrival, request: &Message<'_>, why: Refused, out: &mut impl Outbox) {
        self.counters.refuse(why);
        if let Some(status) = why.status() {
            self.reply_statelessly(arrival, request, status, out);
        }
    }

    /// A request that could not be read to its end, or is not valid: answered if what was read allows it.
    pub(super) fn refuse_invalid(
        &mut self,
        source: &Endpoint,
        request: &Message<'_>,
        status: Status,
        out: &mut impl Outbox,
    ) {
        let top = request.top_via().ok();
        let key = top.map_or(Key(0), |via| Key::of(&self.settings.boot_secret, request, &via));
        let reply_port = top.map_or(source.peer.port(), |via| self.reply_port(&via, source));
        self.reply_statelessly(&Arrival { source: *source, reply_port, key }, request, status, out);
    }
}

/// Length of the To tag of our own responses.
pub(super) const TO_TAG_CHARS: usize = 16;

/// The To tag of our own responses in the transaction with this key: hexadecimal digits.
pub(super) fn to_tag(settings: &Settings, key: Key) -> [u8; TO_TAG_CHARS] {
    let hash = SignatureHash::new(&settings.boot_secret, Purpose::Tag).number(key.id()).finish_low();
    let mut tag = [0u8; TO_TAG_CHARS];
    let mut writer = Writer::new(&mut tag);
    writer.hex(hash, TO_TAG_CHARS);
    tag
}

/// Writes a response to `request`. What §8.2.6.2 copies is copied byte for byte, as far as it is there. `lines`:
/// further whole header lines.
pub(super) fn write_response(
    settings: &Settings,
    request: &Message<'_>,
    source: &Endpoint,
    status: Status,
    to_tag: &[u8],
    lines: &[u8],
    out: &mut Writer<'_>,
) {
    out.put(b"SIP/2.0 ");
    out.decimal(u64::from(status.code));
    out.byte(b' ');
    out.put(status.phrase);
    out.put(b"\r\n");
    let top = request.top_via().ok();
    for (place, field) in request.fields().iter().enumerate() {
        let line = field.line.of(request.bytes());
        match field.name {
            HeaderName::Via => match top.filter(|via| usize::from(via.field) == place) {
                Some(via) => write_top_via(request, &via, source, place, out),
                None => out.put(line),
            },
            HeaderName::To if request.to_tag().is_empty() && status.code > 100 => {
                out.put(b"To: ");
                out.put(field.value.of(request.bytes()));
                out.put(b";tag=");
                out.put(to_tag);
                out.put(b"\r\n");
            }
            HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq => out.put(line),
            HeaderName::Timestamp if status.code == 100 => out.put(line),
            _ => {}
        }
    }
    out.put(lines);
    write_extra(request, status.code, out);
    if !settings.server.is_empty() {
        out.put(b"Server: ");
        out.put(&settings.server);
        out.put(b"\r\n");
    }
    out.put(b"Content-Length: 0\r\n\r\n");
}

fn write_top_via(request: &Message<'_>, via: &Via<'_>, source: &Endpoint, place: usize, out: &mut Writer<'_>) {
    let Some(field) = request.fields().get(place) else {
        return;
    };
    let mut line = Splice::within(request.bytes(), field.line, out);
    mark_via(via, source, &mut line);
    line.finish();
}

/// Headers that a status calls for.
fn write_extra(request: &Message<'_>, status: u16, out: &mut Writer<'_>) {
    match (status, request.method()) {
        // RFC 3261 §8.2.2.3: what of Proxy-Require (or Require) is not supported.
        (420, _) => {
            for token in request.tokens(HeaderName::ProxyRequire) {
                out.put(b"Unsupported: ");
                out.put(token);
                out.put(b"\r\n");
            }
        }
        // RFC 3261 §11.2.
        (200, Method::Options) => out.put(
            b"Accept: */*\r\nAccept-Encoding: identity\r\nAccept-Language: en\r\nAllow: INVITE, ACK, CANCEL, BYE, \
OPTIONS, PRACK, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, PUBLISH, REGISTER\r\nSupported: \r\n",
        ),
        _ => {}
    }
}

/// RFC 3261 §21 and its extensions.
pub(super) const fn reason_phrase(status: u16) -> &'static [u8] {
    match status {
        100 => b"Trying",
        180 => b"Ringing",
        183 => b"Session Progress",
        200 => b"OK",
        202 => b"Accepted",
        302 => b"Moved Temporarily",
        400 => b"Bad Request",
        401 => b"Unauthorized",
        403 => b"Forbidden",
        404 => b"Not Found",
        405 => b"Method Not Allowed",
        407 => b"Proxy Authentication Required",
        408 => b"Request Timeout",
        410 => b"Gone",
        413 => b"Request Entity Too Large",
        414 => b"Request-URI Too Long",
        416 => b"Unsupported URI Scheme",
        420 => b"Bad Extension",
        421 => b"Extension Required",
        423 => b"Interval Too Brief",
        439 => b"First Hop Lacks Outbound Support",
        440 => b"Max-Breadth Exceeded",
        480 => b"Temporarily Unavailable",
        481 => b"Call/Transaction Does Not Exist",
        482 => b"Loop Detected",
        483 => b"Too Many Hops",
        484 => b"Address Incomplete",
        486 => b"Busy Here",
        487 => b"Request Terminated",
        488 => b"Not Acceptable Here",
        500 => b"Server Internal Error",
        501 => b"Not Implemented",
        502 => b"Bad Gateway",
        503 => b"Service Unavailable",
        504 => b"Server Time-out",
        505 => b"Version Not Supported",
        513 => b"Message Too Large",
        600 => b"Busy Everywhere",
        603 => b"Decline",
        604 => b"Does Not Exist Anywhere",
        606 => b"Not Acceptable",
        _ => match status / 100 {
            1 => b"Progress",
            2 => b"OK",
            3 => b"Redirection",
            4 => b"Request Failure",
            5 => b"Server Failure",
            _ => b"Global Failure",
        },
    }
}
