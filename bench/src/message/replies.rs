//! Responses of gateways (and of callers, to the BYE of a gateway): RFC 3261 §8.2.6, RFC 3581.
//!
//! What a response copies from its request is written once into a [block](write_block) and kept while
//! responses may follow; a response is a status line, that block, and the headers of its kind.

use std::net::SocketAddr;

use proto::message::{HeaderName, Message, Rport, Writer};

use super::sdp;

/// Which response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 100.
    Trying,
    /// 180.
    Ringing,
    /// 183 with a session description.
    Progress,
    /// 200 to an INVITE, with a session description.
    Answer,
    /// 200 to anything else.
    Ok,
    /// A failure.
    Failure(u16),
}

impl Reply {
    /// Whether it makes or confirms a dialog, and so carries Record-Route and Contact.
    const fn is_of_dialog(self) -> bool {
        matches!(self, Reply::Ringing | Reply::Progress | Reply::Answer)
    }
}

/// Where the block of a response ends if it needs no Record-Route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlainEnd(pub usize);

/// Writes what every response to `request` copies: Via, From, To with `to_tag`, Call-ID, CSeq, and
/// after [`PlainEnd`] its Record-Route.
pub fn write_block(request: &Message<'_>, peer: SocketAddr, to_tag: &[u8], out: &mut Writer<'_>) -> PlainEnd {
    write_vias(request, peer, out);
    copy_lines(request, HeaderName::From, out);
    if let Some(to) = request.value(HeaderName::To) {
        out.put(b"To: ");
        out.put(to);
        if request.to_tag().is_empty() {
            out.put(b";tag=");
            out.put(to_tag);
        }
        out.put(b"\r\n");
    }
    copy_lines(request, HeaderName::CallId, out);
    copy_lines(request, HeaderName::CSeq, out);
    let plain_end = PlainEnd(out.len());
    copy_lines(request, HeaderName::RecordRoute, out);
    plain_end
}

/// Where responses to `request` go (§18.2.2, RFC 3581 §4).
pub fn reply_to(request: &Message<'_>, peer: SocketAddr) -> SocketAddr {
    match request.top_via() {
        Ok(via) if matches!(via.rport, Rport::Absent) => SocketAddr::new(peer.ip(), via.sent_by_port()),
        _ => peer,
    }
}

/// All Via lines, the topmost value with `received` and `rport` where they are due.
fn write_vias(request: &Message<'_>, peer: SocketAddr, out: &mut Writer<'_>) {
    let bytes = request.bytes();
    let mut lines = request.all(HeaderName::Via);
    if let (Ok(via), Some(first)) = (request.top_via(), lines.next()) {
        let asked = !matches!(via.rport, Rport::Absent);
        let cut = if asked { via.rport_span } else { via.value };
        let insert_at = if asked { cut.start } else { cut.end };
        out.put(between(bytes, first.line.start, insert_at));
        if asked {
            out.put(b";rport=");
            out.decimal(u64::from(peer.port()));
        }
        if via.received.is_none() && (asked || via.host.ip() != Some(peer.ip())) {
            out.put(b";received=");
            out.ip_bare(peer.ip());
        }
        out.put(between(bytes, cut.end, first.line.end));
    }
    for line in lines {
        out.put(line.line.of(bytes));
    }
}

fn between(bytes: &[u8], start: u16, end: u16) -> &[u8] {
    bytes.get(usize::from(start)..usize::from(end)).unwrap_or_default()
}

fn copy_lines(request: &Message<'_>, name: HeaderName, out: &mut Writer<'_>) {
    for field in request.all(name) {
        out.put(field.line.of(request.bytes()));
    }
}

/// The parts of responses that depend on the address they come from.
pub struct Replies {
    contact: Vec<u8>,
    session: Vec<u8>,
}

impl Replies {
    /// For the gateway at `local`.
    pub fn new(local: SocketAddr) -> Self {
        let answer = sdp::answer(local.ip());
        let session = format!(
            "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{}",
            sdp::crlf_bytes(&answer),
            answer.replace('\n', "\r\n"),
        );
        Replies { contact: format!("Contact: <sip:gateway@{local}>\r\n").into_bytes(), session: session.into_bytes() }
    }

    /// Writes the response whose block was written before.
    pub fn write(&self, reply: Reply, block: &[u8], plain: PlainEnd, out: &mut Writer<'_>) {
        write_status_line(reply, out);
        if reply.is_of_dialog() {
            out.put(block);
            out.put(&self.contact);
        } else {
            out.put(block.get(..plain.0).unwrap_or(block));
        }
        self.write_end(reply, out);
    }

    /// Writes the response straight from its request, with nothing kept.
    pub fn write_once(
        &self,
        reply: Reply,
        request: &Message<'_>,
        peer: SocketAddr,
        to_tag: &[u8],
        out: &mut Writer<'_>,
    ) {
        write_status_line(reply, out);
        write_block(request, peer, to_tag, out);
        self.write_end(reply, out);
    }

    fn write_end(&self, reply: Reply, out: &mut Writer<'_>) {
        match reply {
            Reply::Progress | Reply::Answer => {
                out.put(b"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nServer: tandem-bench\r\n");
                out.put(&self.session);
            }
            Reply::Ok => {
                out.put(b"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nContent-Length: 0\r\n\r\n");
            }
            Reply::Trying | Reply::Ringing | Reply::Failure(_) => {
                out.put(b"Content-Length: 0\r\n\r\n");
            }
        }
    }
}

fn write_status_line(reply: Reply, out: &mut Writer<'_>) {
    let (code, reason): (u16, &[u8]) = match reply {
        Reply::Trying => (100, b"Trying"),
        Reply::Ringing => (180, b"Ringing"),
        Reply::Progress => (183, b"Session Progress"),
        Reply::Answer | Reply::Ok => (200, b"OK"),
        Reply::Failure(code) => (code, reason(code)),
    };
    out.put(b"SIP/2.0 ");
    out.decimal(u64::from(code));
    out.byte(b' ');
    out.put(reason);
    out.put(b"\r\n");
}

/// Reason phrases of the failures that gateways are made to send (§21).
const fn reason(code: u16) -> &'static [u8] {
    match code {
        302 => b"Moved Temporarily",
        403 => b"Forbidden",
        404 => b"Not Found",
        408 => b"Request Timeout",
        480 => b"Temporarily Unavailable",
        481 => b"Call/Transaction Does Not Exist",
        486 => b"Busy Here",
        487 => b"Request Terminated",
        488 => b"Not Acceptable Here",
        500 => b"Server Internal Error",
        501 => b"Not Implemented",
        502 => b"Bad Gateway",
        503 => b"Service Unavailable",
        504 => b"Server Time-out",
        600 => b"Busy Everywhere",
        603 => b"Decline",
        _ => b"Failure",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proto::message::Arena;

    const INVITE: &str = "INVITE sip:x@127.0.0.1 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 127.0.0.7:5060;branch=z9hG4bKa;rport, SIP/2.0/UDP h:1;branch=z9hG4bKb\r\n\
        v: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bKc\r\n\
        Record-Route: <sip:127.0.0.7;lr>\r\nFrom: <sip:a@b>;tag=1\r\nTo: sip:x@127.0.0.1\r\n\
        Call-ID: 77\r\nCSeq: 5 INVITE\r\nContact: <sip:a@127.0.0.9>\r\nContent-Length: 0\r\n\r\n";

    fn reply(reply: Reply, request: &str, peer: &str) -> (String, SocketAddr) {
        let mut arena = Arena::new();
        let request = Message::parse(request.as_bytes(), &mut arena).unwrap();
        let peer = peer.parse().unwrap();
        let mut room = [0; 2048];
        let mut block = Writer::new(&mut room);
        let plain = write_block(&request, peer, b"mine", &mut block);
        let block_length = block.finish().unwrap();
        let mut out_room = [0; 2048];
        let mut out = Writer::new(&mut out_room);
        Replies::new("127.0.0.1:5071".parse().unwrap()).write(reply, &room[..block_length], plain, &mut out);
        let length = out.finish().unwrap();
        let text = String::from_utf8(out_room[..length].to_vec()).unwrap();
        (text, reply_to(&request, peer))
    }

    #[test]
    fn an_answer_carries_what_the_caller_needs() {
        let (text, to) = reply(Reply::Answer, INVITE, "127.0.0.7:5099");
        assert!(text.starts_with("SIP/2.0 200 OK\r\n"));
        assert!(text.contains(
            "Via: SIP/2.0/UDP 127.0.0.7:5060;branch=z9hG4bKa;rport=5099;received=127.0.0.7, \
             SIP/2.0/UDP h:1;branch=z9hG4bKb\r\nv: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bKc\r\n"
        ));
        assert!(text.contains("To: sip:x@127.0.0.1;tag=mine\r\n"));
        assert!(text.contains("Record-Route: <sip:127.0.0.7;lr>\r\nContact: <sip:gateway@127"));
        assert_eq!(to.to_string(), "127.0.0.7:5099");
        let mut arena = Arena::new();
        let parsed = Message::parse(text.as_bytes(), &mut arena).unwrap();
        assert_eq!(parsed.bytes().len(), text.len());
    }

    #[test]
    fn without_rport_it_goes_to_the_port_of_the_via() {
        let request = INVITE.replace(";rport", "");
        let (text, to) = reply(Reply::Failure(486), &request, "127.0.0.8:5099");
        assert!(text.starts_with(
            "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 127.0.0.7:5060;branch=z9hG4bKa;received=127.0.0.8, "
        ));
        assert!(!text.contains("Record-Route"));
        assert_eq!(to.to_string(), "127.0.0.8:5060");
    }
}
