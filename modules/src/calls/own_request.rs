//! Requests of our own within a call: BYE to a side, and OPTIONS that ask a side whether it still knows the call.
//!
//! As if from the other side (RFC 3261 §12.2.1.1): its name and tag, its CSeq, the Call-ID, the remote target and the
//! route set of the side that it goes to; over the address and listener that the call has of that side. A BYE takes
//! the CSeq that comes next and is the last request in its direction; OPTIONS use the last one again, so that what
//! the other side sends next is not taken for old.
//!
//! Whoever runs the shard takes them out, sends each as a request of its own (`proto`'s `send_own`, which repeats it),
//! gives its memory back, and its outcome comes back under its ticket.

use super::end::CallEnd;
use super::texts::Part;
use super::watch::Watch;
use super::{Call, CallId, Calls};
use proto::message::{Method, Uri, Writer};
use proto::policy::{BySource, Target};
use proto::time::Micros;
use std::io::Write;
use std::ops::Range;

/// A request to be sent now.
#[derive(Debug)]
pub struct CallRequest {
    /// Under this its outcome comes back.
    pub ticket: Ticket,
    /// Where it goes.
    pub target: Target,
    /// Its method: BYE or OPTIONS.
    pub method: Method,
    /// The request without a Via.
    bytes: Vec<u8>,
    /// Where the Via goes.
    start_line: usize,
    call_id: Range<usize>,
    from_tag: Range<usize>,
}

/// Names a request and its call: the call's number, so that a reused place of the table is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// Marks a ticket as of a call; probes have numbers below it.
const OF_A_CALL: u64 = 1 << 63;
const TO_INITIATOR: u64 = 1 << 62;
const IS_BYE: u64 = 1 << 61;

impl Ticket {
    fn new(call: CallId, to_initiator: bool, bye: bool) -> Self {
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        Ticket(call.0.get() >> 3 | OF_A_CALL | flag(to_initiator, TO_INITIATOR) | flag(bye, IS_BYE))
    }

    /// The ticket, if it is of a call.
    pub fn of(number: u64) -> Option<Self> {
        (number & OF_A_CALL != 0).then_some(Ticket(number))
    }

    pub(super) const fn to_initiator(self) -> bool {
        self.0 & TO_INITIATOR != 0
    }

    pub(super) const fn is_bye(self) -> bool {
        self.0 & IS_BYE != 0
    }
}

impl CallRequest {
    /// Its Call-ID.
    pub fn call_id(&self) -> &[u8] {
        self.bytes.get(self.call_id.clone()).unwrap_or_default()
    }

    /// Its From tag.
    pub fn from_tag(&self) -> &[u8] {
        self.bytes.get(self.from_tag.clone()).unwrap_or_default()
    }

    /// Writes it; `via`: the Via line.
    pub fn write(&self, out: &mut Writer<'_>, via: &[u8]) {
        let (start_line, rest) = self.bytes.split_at_checked(self.start_line).unwrap_or_default();
        out.put(start_line);
        out.put(via);
        out.put(rest);
    }
}

impl Calls {
    /// The next request to send; to be called until there is none. Each is given back by [`Calls::request_sent`].
    pub fn next_request(&mut self) -> Option<CallRequest> {
        loop {
            let id = *self.senders.front()?;
            let place = self.place(id);
            let call = place.and_then(|place| self.slab.get(place)).copied();
            let watch = call.and_then(|call| self.watches.get_mut(call.watch)).filter(|watch| watch.to_send != 0);
            let (Some(place), Some(call), Some(watch)) = (place, call, watch) else {
                self.senders.pop_front();
                continue;
            };
            let bit = watch.to_send.trailing_zeros();
            watch.to_send &= watch.to_send - 1;
            let (bye, to_initiator) = (1 << bit < Watch::OPTIONS, bit.is_multiple_of(2));
            let ending = watch.ending;
            let [initiator, responder] = call.cseq;
            let last = if to_initiator { responder } else { initiator };
            // Its From is the other side.
            let side = if to_initiator { Watch::INITIATOR << 1 } else { Watch::INITIATOR };
            let is_old = watch.cseq_is_old & side != 0;
            let number = if bye { next_cseq(last, is_old) } else { last.max(1) };
            if let (true, Some(call)) = (bye, self.slab.get_mut(place)) {
                watch.cseq_is_old &= !side;
                // The number of this BYE is used up.
                let [initiator, responder] = &mut call.cseq;
                *(if to_initiator { responder } else { initiator }) = number;
            }
            return Some(self.request(&call, id, to_initiator, number, ending.filter(|_| bye)));
        }
    }

    /// A request was handed to the network, or could not be; its memory comes back.
    pub fn request_sent(&mut self, request: CallRequest) {
        self.request = request.bytes;
    }

    fn request(
        &mut self,
        call: &Call,
        id: CallId,
        to_initiator: bool,
        number: u32,
        bye: Option<CallEnd>,
    ) -> CallRequest {
        let mut bytes = std::mem::take(&mut self.request);
        bytes.clear();
        let part = |part| self.part(call, part);
        let (method, word) = if bye.is_some() { (Method::Bye, "BYE") } else { (Method::Options, "OPTIONS") };
        let (from, to, routes) = match to_initiator {
            true => (Part::ResponderName, Part::InitiatorName, part(Part::InitiatorRoutes)),
            false => (Part::InitiatorName, Part::ResponderName, part(Part::ResponderRoutes)),
        };
        let side = call.side(to_initiator);
        let contact = part(Part::contact(to_initiator));
        let strict = strict_route(routes).filter(|_| !contact.is_empty());
        let request_uri = strict.map_or(contact, |(first, _)| first);
        put(&mut bytes, [word.as_bytes(), b" ", request_uri, b""]);
        if contact.is_empty() {
            // INVARIANT: memory takes what is written.
            let _ = write!(bytes, "sip:{}", side.address);
        }
        put(&mut bytes, [b" SIP/2.0\r\n", b"", b"", b""]);
        let start_line = bytes.len();
        match strict {
            // The remote target is the last of the route set then.
            Some((_, [])) => put(&mut bytes, [b"Route: <", contact, b">\r\n", b""]),
            Some((_, rest)) => {
                put(&mut bytes, [b"Route: ", rest, b",<", contact]);
                put(&mut bytes, [b">\r\n", b"", b"", b""]);
            }
            None if routes.is_empty() => {}
            None => put(&mut bytes, [b"Route: ", routes, b"\r\n", b""]),
        }
        let from_tag = tag_of(part(from));
        put(&mut bytes, [b"Max-Forwards: 70\r\nFrom: ", b"", b"", b""]);
        let from_start = bytes.len();
        put(&mut bytes, [part(from), b"\r\nTo: ", part(to), b"\r\nCall-ID: "]);
        let call_id_start = bytes.len();
        put(&mut bytes, [part(Part::CallId), b"\r\nCSeq: ", b"", b""]);
        let call_id = call_id_start..call_id_start + part(Part::CallId).len();
        // INVARIANT: memory takes what is written.
        let _ = write!(bytes, "{number} {word}\r\n");
        let _ = match bye {
            Some(end) if end.cause() > 0 => write!(bytes, "Reason: Q.850;cause={}\r\n", end.cause()),
            _ => Ok(()),
        };
        put(&mut bytes, [b"Content-Length: 0\r\n\r\n", b"", b"", b""]);
        let target = Target {
            gateway: Target::NO_GATEWAY,
            listener: side.listener,
            by_source: BySource::Neither,
            next_hop: side.address,
            flow: side.flow,
            no_response: Micros(0),
        };
        let from_tag = from_start + from_tag.start..from_start + from_tag.end;
        let ticket = Ticket::new(id, to_initiator, bye.is_some());
        CallRequest { ticket, target, method, bytes, start_line, call_id, from_tag }
    }

    /// The call of a ticket, if it still lives.
    pub(super) fn of_ticket(&self, ticket: Ticket) -> Option<CallId> {
        let number = ticket.0 << 3;
        let same = |place: u32| self.slab.get(place).is_some_and(|call| super::spread(call.hash) >> 3 == number >> 3);
        let place = self.index.find(number, same)?;
        self.slab.get(place).map(|call| super::id_of(call.hash))
    }
}

/// The number of our BYE: higher than any that the side whose name it bears can have used.
///
/// WHY so far where that is old (after a crash it is the INVITE's, or that of the last re-INVITE): a number only has to be
/// higher than the last (RFC 3261 §12.2.2), and below 2^31 (§8.1.1.5). A million is twelve days at a request a second.
fn next_cseq(last: u32, is_old: bool) -> u32 {
    let step = if is_old { 1 << 20 } else { 1 };
    last.saturating_add(step).min(i32::MAX.unsigned_abs())
}

/// The first of a route set if it is a strict router (RFC 3261 §12.2.1.1): its URI, without what may not stand in a
/// Request-URI, and the others.
fn strict_route(routes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut quoted, mut open, mut end) = (false, None, None);
    for (at, octet) in routes.iter().enumerate() {
        match octet {
            b'"' => quoted = !quoted,
            b'<' if !quoted && open.is_none() => open = Some(at),
            b'>' if !quoted => {
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    let (open, close) = (open?, end?);
    let comma = routes.get(close..)?.iter().position(|octet| *octet == b',').map_or(routes.len(), |at| close + at);
    let (first, rest) = routes.split_at_checked(comma)?;
    let uri = first.get(open + 1..close)?;
    let parsed = Uri::parse(uri).ok()?;
    let is_loose = parsed.params.split(|octet| *octet == b';').any(|parameter| {
        let name = parameter.split(|octet| *octet == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"lr")
    });
    // Headers may not stand in a Request-URI (§19.1.1).
    let plain = uri.split(|octet| *octet == b'?').next().unwrap_or(uri);
    (!is_loose).then_some((plain, rest.strip_prefix(b",").unwrap_or(rest).trim_ascii()))
}

fn put(out: &mut Vec<u8>, parts: [&[u8]; 4]) {
    parts.into_iter().for_each(|part| out.extend_from_slice(part));
}

/// Where the tag stands in a name-addr or addr-spec with parameters.
fn tag_of(name: &[u8]) -> Range<usize> {
    let mut start = name.iter().rposition(|octet| *octet == b'>').map_or(0, |at| at + 1);
    for parameter in name.get(start..).unwrap_or_default().split(|octet| *octet == b';') {
        let text = parameter.trim_ascii_start();
        if text.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"tag=")) {
            let begin = start + (parameter.len() - text.len()) + 4;
            return begin..begin + text.trim_ascii_end().len() - 4;
        }
        start += parameter.len() + 1;
    }
    0..0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_strict_router_is_the_request_uri() {
        let of = |routes: &str| {
            strict_route(routes.as_bytes())
                .map(|(uri, rest)| [uri, rest].map(|part| String::from_utf8_lossy(part).into_owned()))
        };
        let strict = |uri: &str, rest: &str| Some([uri.to_owned(), rest.to_owned()]);
        assert_eq!(of("<sip:a.example;lr>,<sip:b.example>"), None);
        assert_eq!(of("<sip:a.example;x=y;lr=on>"), None);
        assert_eq!(of("<sip:a.example>, <sip:b.example;lr>"), strict("sip:a.example", "<sip:b.example;lr>"));
        assert_eq!(
            of("\"A, <x>\" <sip:u,v@a.example;maddr=1.2.3.4?Subject=x>"),
            strict("sip:u,v@a.example;maddr=1.2.3.4", "")
        );
        assert_eq!((of(""), of("nonsense")), (None, None));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        assert_eq!((next_cseq(7, false), next_cseq(7, true)), (8, 1_048_583));
        assert_eq!((next_cseq(2_147_483_000, true), next_cseq(u32::MAX, false)), (2_147_483_647, 2_147_483_647));
    }

    #[test]
    fn tags_are_found_where_they_stand() {
        for (name, tag) in [
            ("<sip:a@b>;tag=x1", "x1"),
            ("\"A;tag=no>\" <sip:a@b;tag=uri>;x=y ; Tag=yes ;z", "yes"),
            ("sip:a@b;tag=short", "short"),
            ("<sip:a@b>", ""),
            ("<sip:a@b>;tag=", ""),
        ] {
            assert_eq!(name.get(tag_of(name.as_bytes())), Some(tag), "{name}");
        }
    }
}
