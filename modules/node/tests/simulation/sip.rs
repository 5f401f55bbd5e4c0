//! Messages as the endpoints and the witness see them: read by the parser alone, written by hand.

use proto::message::{Arena, HeaderName, Message, Method};
use std::net::SocketAddr;

/// A message that was read.
#[derive(Clone, Debug)]
pub(crate) struct Sip {
    /// Of a request; `None` for a response.
    pub(crate) request_uri: Option<String>,
    /// Of a response: 0 for a request.
    pub(crate) status: u16,
    pub(crate) method: Method,
    pub(crate) vias: Vec<String>,
    /// Of the top Via.
    pub(crate) branch: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) from_tag: String,
    pub(crate) to_tag: String,
    pub(crate) call_id: String,
    pub(crate) sequence: u32,
    pub(crate) record_routes: Vec<String>,
    /// URI.
    pub(crate) contact: String,
    /// A provisional response that wants a PRACK (RFC 3262).
    pub(crate) reliable: bool,
    pub(crate) body: Vec<u8>,
}

impl Sip {
    /// `None`: it cannot be read.
    pub(crate) fn read(bytes: &[u8]) -> Option<Sip> {
        let mut arena = Arena::new();
        let message = Message::parse(bytes, &mut arena).ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let addresses = |name| message.name_addrs(name).flatten();
        Some(Sip {
            request_uri: message.is_request().then(|| text(message.request_uri())),
            status: if message.is_request() { 0 } else { message.status() },
            method: message.cseq().ok()?.method,
            vias: message.vias().flatten().map(|via| text(via.value.of(bytes))).collect(),
            branch: text(message.top_via().ok()?.branch),
            from: text(message.value(HeaderName::From)?),
            to: text(message.value(HeaderName::To)?),
            from_tag: text(message.from_tag()),
            to_tag: text(message.to_tag()),
            call_id: text(message.call_id()),
            sequence: message.cseq().ok()?.number,
            record_routes: addresses(HeaderName::RecordRoute).map(|route| text(route.value.of(bytes))).collect(),
            contact: addresses(HeaderName::Contact).next().map(|contact| text(contact.uri)).unwrap_or_default(),
            reliable: message.value(HeaderName::RSeq).is_some(),
            body: message.body().to_vec(),
        })
    }

    /// Names the INVITE that it is, or belongs to.
    pub(crate) fn invite(&self) -> (String, u32) {
        (self.call_id.clone(), self.sequence)
    }

    pub(crate) fn is_request(&self) -> bool {
        self.request_uri.is_some()
    }

    pub(crate) fn is_final(&self) -> bool {
        self.status >= 200
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A request that an endpoint makes.
pub(crate) struct Request<'r> {
    pub(crate) method: &'r str,
    pub(crate) request_uri: &'r str,
    pub(crate) sent_by: SocketAddr,
    pub(crate) branch: &'r str,
    pub(crate) routes: &'r [String],
    pub(crate) from: &'r str,
    pub(crate) to: &'r str,
    pub(crate) call_id: &'r str,
    pub(crate) sequence: u32,
    pub(crate) body: &'r str,
}

impl Request<'_> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let Request { method, request_uri, sent_by, branch, from, to, call_id, sequence, body, .. } = self;
        let routes: String = self.routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        format!(
            "{method} {request_uri} SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch={branch};rport\r\n\
             Max-Forwards: 70\r\n{routes}From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {sequence} {method}\r\nContact: <sip:{sent_by}>\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

/// The response of the endpoint at `contact` to `request`, with `to_tag` if that has none.
pub(crate) fn respond(request: &Sip, status: u16, to_tag: &str, contact: SocketAddr, body: &str) -> Vec<u8> {
    respond_with(request, status, to_tag, contact, "", body)
}

/// The same with these header lines.
pub(crate) fn respond_with(
    request: &Sip,
    status: u16,
    to_tag: &str,
    contact: SocketAddr,
    lines_of_its_own: &str,
    body: &str,
) -> Vec<u8> {
    let lines = |name: &str, values: &[String]| -> String {
        values.iter().map(|value| format!("{name}: {value}\r\n")).collect()
    };
    let tag = if request.to_tag.is_empty() && status > 100 { format!(";tag={to_tag}") } else { String::new() };
    format!(
        "SIP/2.0 {status} {}\r\n{}{}From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {} {}\r\n\
         Contact: <sip:{contact}>\r\n{lines_of_its_own}Content-Length: {}\r\n\r\n{body}",
        phrase(status),
        lines("Via", &request.vias),
        lines("Record-Route", &request.record_routes),
        request.from,
        request.to,
        request.call_id,
        request.sequence,
        request.method.as_str(),
        body.len()
    )
    .into_bytes()
}

fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        101..=199 => "Ringing",
        200..=299 => "OK",
        487 => "Request Terminated",
        503 => "Service Unavailable",
        _ => "Refused",
    }
}
