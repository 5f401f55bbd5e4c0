//! Asks everything of a message, and checks what holds for every message, well formed or not.
//!
//! Used by the torture, corpus and property tests of this folder and by the fuzz targets.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod edit;

use proto::message::{
    Arena, Field, HeaderName, Malformation, Message, NameAddr, ParseError, Span, StartLine, Uri, Via, Writer,
    validate_request, validate_response,
};

/// Headers whose values are name-addrs.
pub(crate) const NAME_ADDR_HEADERS: [HeaderName; 10] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::Contact,
    HeaderName::Route,
    HeaderName::RecordRoute,
    HeaderName::Path,
    HeaderName::ServiceRoute,
    HeaderName::PAssertedIdentity,
    HeaderName::ReferTo,
    HeaderName::ReferredBy,
];

/// Parses `datagram` and checks the message, or what is left of it; returns what `parse` said.
pub(crate) fn datagram(datagram: &[u8]) -> Result<(), Malformation> {
    let mut arena = Arena::new();
    match Message::parse(datagram, &mut arena) {
        Ok(message) => {
            whole_message(&message, datagram);
            any_message(&message);
            fixed_point(&message);
            Ok(())
        }
        Err(ParseError { why, offset, partial }) => {
            assert!(usize::from(offset) <= datagram.len());
            assert!(!why.label().is_empty() && !why.phrase().is_empty());
            if let Some(partial) = partial {
                assert!(partial.is_request(), "only a request can be answered");
                any_message(&partial);
            }
            Err(why)
        }
    }
}

/// What holds for a message that `parse` accepted.
pub(crate) fn whole_message(message: &Message<'_>, datagram: &[u8]) {
    let bytes = message.bytes();
    let skipped = datagram.len() - bytes.len() - message.trailing();
    assert_eq!(datagram.get(skipped..skipped + bytes.len()), Some(bytes));
    assert!(datagram.get(..skipped).unwrap().iter().all(|octet| b"\r\n".contains(octet)));

    // The lines cover the header section without gap or overlap.
    let mut at = message.start_line_end();
    for field in message.fields() {
        assert_eq!(field.line.start, at);
        assert!(field.line.of(bytes).ends_with(b"\r\n"));
        at = field.line.end;
    }
    assert_eq!(at, message.header_end());
    assert_eq!(bytes.get(usize::from(at)..usize::from(at) + 2), Some(&b"\r\n"[..]));
    assert_eq!(usize::from(message.body_span().start), usize::from(at) + 2);
    if let Some(length) = message.content_length() {
        assert_eq!(message.body().len(), length as usize);
    }
    // Nothing in the header section could end a line or the text for somebody else.
    let section = bytes.get(..usize::from(at)).unwrap();
    for (offset, octet) in section.iter().enumerate() {
        match octet {
            b'\r' => assert_eq!(section[offset + 1], b'\n'),
            b'\n' => assert_eq!(section[offset - 1], b'\r'),
            0 => assert_eq!(section[offset - 1], b'\\'),
            _ => {}
        }
    }
}

/// What holds for every message, also for one that was only read in part.
pub(crate) fn any_message(message: &Message<'_>) {
    let bytes = message.bytes();
    for field in message.fields() {
        one_field(message, field);
    }
    for via in message.vias().flatten() {
        one_via(message, &via);
    }
    for name in NAME_ADDR_HEADERS {
        for address in message.name_addrs(name).flatten() {
            one_address(message, &address);
        }
    }
    assert_eq!(message.top_via().is_ok(), message.vias().next().is_some_and(|via| via.is_ok()));
    assert_eq!(message.from_tag(), message.from().map_or(&b""[..], |from| from.tag()));
    assert_eq!(message.to_tag(), message.to().map_or(&b""[..], |to| to.tag()));
    for token in message.tokens(HeaderName::ProxyRequire) {
        assert!(!token.is_empty() && !token.contains(&b','));
    }
    if let Ok(cseq) = message.cseq() {
        assert!(!cseq.method_bytes.is_empty());
    }
    assert!(message.max_forwards().ok().flatten().is_none_or(|hops| hops <= 255));
    assert!(message.request_uri().iter().all(|&octet| octet > b' ') || validate_request(message).is_err());
    match message.start_line() {
        StartLine::Request { .. } => {
            one_uri(message.request_uri());
            let _ = validate_request(message).map_err(|rejection| assert!((400..700).contains(&rejection.status)));
        }
        StartLine::Response { status, .. } => {
            assert!((100..700).contains(&status));
            let _ = validate_response(message);
        }
    }
    assert!(message.call_id().len() <= bytes.len());
    assert!(format!("{message:?}").starts_with("Message("));
}

fn one_field(message: &Message<'_>, field: &Field) {
    let bytes = message.bytes();
    let inside =
        |inner: Span, outer: Span| inner.start >= outer.start && inner.end <= outer.end && inner.start <= inner.end;
    assert!(usize::from(field.line.end) <= bytes.len());
    assert!(inside(field.value, field.line), "{field:?}");
    let value = field.value.of(bytes);
    let white_space = |octet: Option<&u8>| octet.is_some_and(|octet| b" \t\r\n".contains(octet));
    let tainted = value.contains(&b'\r') || value.contains(&b'\n');
    assert!(!white_space(value.last()) && (tainted || !white_space(value.first())), "{field:?}");
    let name = message.name_bytes(field);
    if field.name != HeaderName::Other {
        assert_eq!(HeaderName::of(name), field.name);
        assert!(message.all(field.name).any(|one| one == field));
        assert!(message.field(field.name).is_some());
    } else if !name.is_empty() {
        assert!(message.named(name).any(|one| one == field));
    }
}

fn one_via(message: &Message<'_>, via: &Via<'_>) {
    let bytes = message.bytes();
    let line = message.fields()[usize::from(via.field)].line;
    assert!(via.value.start >= line.start && via.value.end <= line.end);
    assert!(via.removal.start >= line.start && via.removal.end <= line.end);
    assert!(via.rport_span.end <= via.value.end && via.received_span.end <= via.value.end);
    assert_eq!(via.alone, via.removal == line);
    assert!(!via.host_bytes.is_empty());
    assert!(via.rport_span.is_empty() || via.rport_span.of(bytes).starts_with(b";"));
    assert!(via.received_span.is_empty() || via.received_span.of(bytes).starts_with(b";"));
    assert!(via.sent_by_port() != 0);
}

fn one_address(message: &Message<'_>, address: &NameAddr<'_>) {
    let bytes = message.bytes();
    let line = message.fields()[usize::from(address.field)].line;
    assert!(address.value.start >= line.start && address.value.end <= line.end);
    assert!(address.removal.start >= line.start && address.removal.end <= line.end);
    assert_eq!(address.uri_span.of(bytes), address.uri);
    assert_eq!(address.alone, address.removal == line);
    assert_eq!(address.param(b"tag").unwrap_or_default(), address.tag());
    assert!(!address.uri.iter().any(|octet| b" \t\r\n<>\"".contains(octet)));
    one_uri(address.uri);
}

/// What holds for every URI that `Uri::parse` accepts.
pub(crate) fn one_uri(bytes: &[u8]) {
    let Ok(uri) = Uri::parse(bytes) else { return };
    assert_eq!(uri.bytes(), bytes);
    assert!(uri.equivalent(&uri), "{}", bytes.escape_ascii());
    assert!(bytes.iter().all(|&octet| octet > b' ' && octet != 0x7f && !b"<>\"".contains(&octet)));
    assert_eq!(uri.user_span.of(bytes), uri.user.unwrap_or_default());
    let host_port = uri.host_port_span.of(bytes);
    assert!(host_port.starts_with(uri.host_bytes));
    assert!(uri.effective_port() != 0);
    assert!(uri.user_without_params().len() <= uri.user.unwrap_or_default().len());
    let _ = (uri.has_lr(), uri.transport(), uri.host.ip());
}

/// Prints what was parsed: each field as `Name: value`, everything in its order.
pub(crate) fn print(message: &Message<'_>) -> Vec<u8> {
    let mut room = vec![0; message.bytes().len() * 2 + 64];
    let mut out = Writer::new(&mut room);
    out.put(message.bytes().get(..usize::from(message.start_line_end())).unwrap());
    for field in message.fields() {
        out.put(message.name_bytes(field));
        out.put(b": ");
        out.put(field.value.of(message.bytes()));
        out.put(b"\r\n");
    }
    out.put(b"\r\n");
    out.put(message.body());
    let length = out.finish().unwrap();
    room.truncate(length);
    room
}

/// Parse, print, parse: the second print is the first, and both say the same.
pub(crate) fn fixed_point(message: &Message<'_>) {
    let printed = print(message);
    if printed.len() > limits::MESSAGE_BYTES_MAX {
        return;
    }
    let mut arena = Arena::new();
    let again = match Message::parse(&printed, &mut arena) {
        Ok(again) => again,
        // Printing may make a line one octet longer (`L:0`).
        Err(error) => {
            assert_eq!(error.why, Malformation::HeaderLineTooLong, "{}", printed.escape_ascii());
            return;
        }
    };
    assert_eq!(print(&again), printed);
    assert_eq!(again.fields().len(), message.fields().len());
    for (one, two) in message.fields().iter().zip(again.fields()) {
        assert_eq!(one.name, two.name);
        assert_eq!(one.value.of(message.bytes()), two.value.of(again.bytes()));
    }
    assert_eq!(again.body(), message.body());
    assert_eq!(again.method_bytes(), message.method_bytes());
    assert_eq!(again.status(), message.status());
    assert_eq!(validate_request(&again), validate_request(message));
    assert_eq!(validate_response(&again), validate_response(message));
    let said = |message: &Message<'_>| {
        let vias: Vec<String> = message
            .vias()
            .map(|via| {
                via.map_or_else(
                    |error| format!("{:?}", error.fault),
                    |via| {
                        format!("{:?}", (via.host, via.port, via.branch, via.rport, via.received, via.maddr, via.alone))
                    },
                )
            })
            .collect();
        (vias, message.from_tag().to_vec(), message.to_tag().to_vec())
    };
    assert_eq!(said(&again), said(message));
}

/// Divides an input of the fuzz target `edit`: a length, so many octets of script, a datagram.
pub(crate) fn split_script(input: &[u8]) -> (&[u8], &[u8]) {
    let (&length, rest) = input.split_first().unwrap_or((&0, &[]));
    rest.split_at(usize::from(length % 32).min(rest.len()))
}
