//! Tests of `parse`, `start_line` and `validate`: what is told apart, and what is refused and why.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use std::format;
use std::string::String;
use std::vec::Vec;

const HEADERS: &str = "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\nFrom: <sip:a@a.example>;tag=1\r\nTo: <sip:b@b.example>\r\nCall-ID: c@a.example\r\nCSeq: 1 OPTIONS\r\n";

fn request(more: &str) -> String {
    format!("OPTIONS sip:b@b.example SIP/2.0\r\n{HEADERS}{more}\r\n")
}

fn parsed<T>(datagram: &[u8], check: impl FnOnce(&Message<'_>) -> T) -> T {
    let mut arena = Arena::new();
    check(
        &Message::parse(datagram, &mut arena).unwrap_or_else(|error| panic!("{error:?}: {}", datagram.escape_ascii())),
    )
}

/// Why it is refused, and whether it can be answered.
fn malformed(datagram: impl AsRef<[u8]>) -> (Malformation, bool) {
    let mut arena = Arena::new();
    let error = Message::parse(datagram.as_ref(), &mut arena).unwrap_err();
    (error.why, error.partial.is_some())
}

fn rejected(text: &str) -> RejectReason {
    parsed(text.as_bytes(), |message| validate_request(message).unwrap_err().reason)
}

fn dropped(text: &str) -> Malformation {
    parsed(text.as_bytes(), |message| validate_response(message).unwrap_err())
}

#[test]
fn keep_alives_and_leading_line_ends() {
    for keep_alive in ["", "\r\n", "\r\n\r\n"] {
        assert_eq!(malformed(keep_alive), (Malformation::KeepAlive, false));
    }
    let text = format!("\r\n\r\n{}body", request("Content-Length: 4\r\n"));
    parsed(text.as_bytes(), |message| {
        assert_eq!(message.bytes(), &text.as_bytes()[4..]);
        assert_eq!(message.body(), b"body");
        assert_eq!(message.trailing(), 0);
    });
    assert_eq!(malformed("\n"), (Malformation::NotSip, false));
    assert_eq!(malformed("\r\n\n"), (Malformation::NotSip, false));
}

#[test]
fn start_lines() {
    let line = |line: &str| malformed(format!("{line}\r\n{HEADERS}\r\n"));
    assert_eq!(line("OPTIONS"), (Malformation::NotSip, false));
    assert_eq!(line("OPT\0IONS sip:a SIP/2.0"), (Malformation::NotSip, false));
    assert_eq!(line("GET / HTTP/1.1"), (Malformation::RequestLine, true));
    assert_eq!(line("OPTIONS SIP/2.0"), (Malformation::RequestLine, true));
    assert_eq!(line("OPTIONS  SIP/2.0"), (Malformation::RequestLine, true));
    assert_eq!(line("OPTIONS sip:a"), (Malformation::RequestLine, true));
    assert_eq!(line("OPTIONS sip:a SIP/2.0 "), (Malformation::RequestLine, true));
    assert_eq!(line("OPTIONS sip:a SIP/2.x"), (Malformation::RequestLine, true));
    assert_eq!(line("OPTIONS\tsip:a SIP/2.0"), (Malformation::NotSip, false));
    assert_eq!(line("OPTIONS sip:a\tb SIP/2.0"), (Malformation::RequestLine, true));
    assert_eq!(line("OPTIONS sip:a\nb SIP/2.0"), (Malformation::BareLineBreak, false));
    for status_line in
        ["SIP/2.0 20 OK", "SIP/2.0 2000 OK", "SIP/3.0 200 OK", "SIP/2.0  200 OK", "SIP/2.0", "SIP/2.0 200OK"]
    {
        assert_eq!(line(status_line), (Malformation::StatusLine, false), "{status_line}");
    }
    for status_line in ["SIP/2.0 099 OK", "SIP/2.0 700 OK", "SIP/2.0 -12 OK"] {
        assert_eq!(line(status_line), (Malformation::StatusCode, false), "{status_line}");
    }
    for status_line in ["SIP/2.0 486 Busy", "SIP/2.0 486 ", "SIP/2.0 486", "sip/2.0 486 \u{fc}\tx"] {
        parsed(format!("{status_line}\r\n{HEADERS}\r\n").as_bytes(), |message| {
            assert_eq!(message.status(), 486);
            assert_eq!(message.method(), Method::Options);
            assert!(!message.is_request());
            validate_response(message).unwrap();
        });
    }
}

#[test]
fn names_that_would_hide_a_header() {
    for name in ["X-Bypass;", "X\u{1}", "X\u{7f}", "X\u{a0}", "(X)", "To\u{1}", "X y", "", "To\r"] {
        let (why, answerable) = malformed(request(&format!("{name}: y\r\n")));
        assert!(answerable, "{name:?}");
        assert_eq!(why, Malformation::HeaderName, "{name:?}");
    }
    // Right after the start line there is nothing to continue.
    let text = request("").replace("\r\nVia", "\r\n Via");
    assert_eq!(malformed(text), (Malformation::HeaderName, true));
}

#[test]
fn a_space_before_the_colon_hides_nothing() {
    assert_eq!(rejected(&request("To : <sip:c@c.example>\r\n")), RejectReason::HeaderRepeated);
    assert_eq!(malformed(request("Content-Length\t : 0\r\nl:0\r\n")).0, Malformation::ContentLengthRepeated);
    parsed(request("X-Y \t: z\r\n").as_bytes(), |message| {
        let field = message.named(b"x-y").next().unwrap();
        assert_eq!(message.name_bytes(field), b"X-Y");
        assert_eq!(field.value.of(message.bytes()), b"z");
    });
}

#[test]
fn bare_line_breaks_and_nuls() {
    for (value, why) in [
        ("a\rb", Malformation::BareLineBreak),
        ("a\nb", Malformation::BareLineBreak),
        ("a\0b", Malformation::BareNul),
        ("\0", Malformation::BareNul),
        ("a\r\r\nb: c", Malformation::BareLineBreak),
    ] {
        let text = request(&format!("Z: {value}\r\n"));
        assert_eq!(malformed(&text), (why, true), "{value:?}");
    }
    // What a reply would copy is not read from such a line.
    let text = request("").replace("<sip:b@b.example>", "<sip:b@b.example>\nVia: x");
    let mut arena = Arena::new();
    let error = Message::parse(text.as_bytes(), &mut arena).unwrap_err();
    assert_eq!(error.why, Malformation::BareLineBreak);
    let partial = error.partial.unwrap();
    assert!(partial.field(HeaderName::To).is_none());
    assert!(partial.field(HeaderName::From).is_some());
}

#[test]
fn other_control_characters_pass_where_no_rule_reads_and_are_counted() {
    parsed(request("Z: a\u{1}b\u{2}\tc\r\n y\r\n").as_bytes(), |message| {
        assert_eq!(message.odd_octets(), 2);
        validate_request(message).unwrap();
    });
    assert_eq!(rejected(&request("").replace("c@a", "c\u{1}@a")), RejectReason::CallId);
    assert_eq!(rejected(&request("").replace("tag=1", "tag=1\u{1}")), RejectReason::FromTo);
}

#[test]
fn foldings() {
    let text = request("Z:\r\n\ta \r\n  b\t\r\n \r\nQ: \r\n");
    parsed(text.as_bytes(), |message| {
        let value = |name: &[u8]| message.named(name).next().unwrap().value.of(message.bytes());
        assert_eq!(value(b"Z"), b"a \r\n  b");
        assert_eq!(value(b"Q"), b"");
        let lines: Vec<_> = message.named(b"Z").map(|field| field.line.of(message.bytes())).collect();
        assert_eq!(lines, [b"Z:\r\n\ta \r\n  b\t\r\n \r\n"]);
    });
}

#[test]
fn bodies_and_their_length() {
    let with_body = |more: &str, body: &str| format!("{}{body}", request(more));
    parsed(with_body("", "all of it").as_bytes(), |message| {
        assert_eq!((message.body(), message.content_length()), (&b"all of it"[..], None));
    });
    parsed(with_body("l: 3\r\n", "abcdef").as_bytes(), |message| {
        assert_eq!((message.body(), message.trailing(), message.content_length()), (&b"abc"[..], 3, Some(3)));
        assert!(message.bytes().ends_with(b"\r\n\r\nabc"));
    });
    let refused = |more: &str| malformed(with_body(more, "abc"));
    assert_eq!(refused("Content-Length: 4\r\n"), (Malformation::BodyTooShort, true));
    assert_eq!(refused("Content-Length: 3\r\nl: 3\r\n"), (Malformation::ContentLengthRepeated, true));
    for number in ["", "-1", "+3", "0x3", "3 3", "3,3", "3;a", "4294967296", "18446744073709551619", "\u{663}"] {
        assert_eq!(
            refused(&format!("Content-Length: {number}\r\n")),
            (Malformation::ContentLengthUnreadable, true),
            "{number}"
        );
    }
    assert_eq!(refused("Content-Length: 4294967295\r\n"), (Malformation::BodyTooShort, true));
}

#[test]
fn limits_hold() {
    let long = "x".repeat(limits::HEADER_LINE_BYTES_MAX - "Z: \r\n".len());
    parsed(request(&format!("Z: {long}\r\n")).as_bytes(), |message| validate_request(message).unwrap());
    assert_eq!(malformed(request(&format!("Z: {long}y\r\n"))), (Malformation::HeaderLineTooLong, true));
    let many = "Z: y\r\n".repeat(limits::HEADER_COUNT_MAX - 5);
    parsed(request(&many).as_bytes(), |message| assert_eq!(message.fields().len(), limits::HEADER_COUNT_MAX));
    assert_eq!(malformed(request(&format!("{many}Z: y\r\n"))), (Malformation::TooManyHeaders, true));
    let body = "x".repeat(limits::MESSAGE_BYTES_MAX - request("").len());
    parsed(format!("{}{body}", request("")).as_bytes(), |message| assert_eq!(message.body().len(), body.len()));
    assert_eq!(malformed(format!("{}{body}x", request(""))), (Malformation::MessageTooLong, false));
    let vias = ", SIP/2.0/UDP b".repeat(limits::VIA_COUNT_MAX - 1);
    let text = request("").replace("branch=z9hG4bK1", &format!("branch=z9hG4bK1{vias}"));
    parsed(text.as_bytes(), |message| validate_request(message).unwrap());
    assert_eq!(rejected(&text.replace("From", "v: SIP/2.0/UDP c\r\nFrom")), RejectReason::ViaCount);
    let uri = format!("sip:{}", "a".repeat(limits::URI_BYTES_MAX));
    assert_eq!(
        rejected(&request("").replace("OPTIONS sip:b@b.example", &format!("OPTIONS {uri}"))),
        RejectReason::RequestUriTooLong
    );
    assert_eq!(Rejection::from(RejectReason::RequestUriTooLong).status, 414);
}

#[test]
fn an_empty_arena_refuses_and_does_not_allocate() {
    let text = request("");
    let mut arena = Arena::empty();
    assert_eq!(Message::parse(text.as_bytes(), &mut arena).unwrap_err().why, Malformation::TooManyHeaders);
}

#[test]
fn requests_that_are_refused() {
    parsed(request("").as_bytes(), |message| validate_request(message).unwrap());
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let without = request("").replace(&format!("{name}:"), "Z:");
        assert_eq!(rejected(&without), RejectReason::HeaderMissing, "{name}");
    }
    for twice in ["f: <sip:a@b>", "t: <sip:a@b>", "i: x", "CSEQ: 1 OPTIONS"] {
        assert_eq!(rejected(&request(&format!("{twice}\r\n"))), RejectReason::HeaderRepeated, "{twice}");
    }
    assert_eq!(rejected(&request("Max-Forwards: 1\r\nMax-Forwards: 1\r\n")), RejectReason::HeaderRepeated);
    assert_eq!(rejected(&request("Max-Forwards: x\r\n")), RejectReason::Count);
    assert_eq!(rejected(&request("Max-Breadth: 1,2\r\n")), RejectReason::Count);
    assert_eq!(rejected(&request("Route: sip:a?b\r\n")), RejectReason::Route);
    assert_eq!(rejected(&request("v: SIP/2.0/UDP a;\r\n")), RejectReason::Via);
    assert_eq!(rejected(&request("").replace("z9hG4bK1", "Z9HG4BK")), RejectReason::BranchEmpty);
    assert_eq!(rejected(&request("").replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE")), RejectReason::CSeqMethod);
    for cseq in ["4294967296 OPTIONS", "OPTIONS", "1", "1OPTIONS", "-1 OPTIONS", "1 OPTIONS x"] {
        assert_eq!(rejected(&request("").replace("1 OPTIONS", cseq)), RejectReason::CSeq, "{cseq}");
    }
    assert_eq!(
        rejected(&request("").replace("OPTIONS sip:b@b.example", "OPTIONS sip:b@b.example?x=y")),
        RejectReason::RequestUriHeaders
    );
    assert_eq!(
        rejected(&request("").replace("sip:b@b.example SIP/2.0", "sip:b@b.example SIP/2.1")),
        RejectReason::Version
    );
    let long_tag = format!("tag={}", "x".repeat(limits::TAG_BYTES_MAX + 1));
    assert_eq!(rejected(&request("").replace("tag=1", &long_tag)), RejectReason::FromTo);
}

#[test]
fn a_contact_is_checked_where_it_is_used() {
    let bad = request("Contact: sip:a?b\r\n");
    parsed(bad.as_bytes(), |message| validate_request(message).unwrap());
    assert_eq!(rejected(&bad.replace("OPTIONS", "INVITE")), RejectReason::Contact);
}

#[test]
fn responses_that_are_dropped() {
    let response = |from: &str, to: &str| {
        request("").replace("OPTIONS sip:b@b.example SIP/2.0", "SIP/2.0 200 OK").replace(from, to)
    };
    parsed(response("", "").as_bytes(), |message| validate_response(message).unwrap());
    assert_eq!(dropped(&response("CSeq:", "Z:")), Malformation::Missing(HeaderName::CSeq));
    assert_eq!(dropped(&response("CSeq:", "To: <sip:x>\r\nCSeq:")), Malformation::Repeated(HeaderName::To));
    assert_eq!(dropped(&response("1 OPTIONS", "4294967296 OPTIONS")), Malformation::Unreadable(HeaderName::CSeq));
    assert_eq!(dropped(&response("<sip:b@b.example>", "<sip:b")), Malformation::Unreadable(HeaderName::To));
    assert_eq!(dropped(&response("<sip:a@a.example>", "<sip:a")), Malformation::Unreadable(HeaderName::From));
    assert_eq!(dropped(&response("c@a.example", "c d")), Malformation::Unreadable(HeaderName::CallId));
    assert_eq!(dropped(&response("UDP a.example", "UDP")), Malformation::Unreadable(HeaderName::Via));
}

#[test]
fn labels_are_distinct_and_in_order() {
    let labels: std::collections::BTreeSet<_> = Malformation::ALL.iter().map(|why| why.label()).collect();
    assert_eq!(labels.len(), Malformation::COUNT);
    assert!(Malformation::ALL.iter().enumerate().all(|(index, why)| why.index() == index));
    let labels: std::collections::BTreeSet<_> = RejectReason::ALL.iter().map(|reason| reason.label()).collect();
    assert_eq!(labels.len(), RejectReason::COUNT);
    assert!(RejectReason::ALL.iter().enumerate().all(|(index, &reason)| reason as usize == index));
}
