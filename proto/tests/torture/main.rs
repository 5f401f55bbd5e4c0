//! The torture messages of RFC 4475 and RFC 5118: what is refused, and what is read of those that are
//! not. Each is also cut at every octet.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../exercise/mod.rs"]
mod exercise;
mod expected;

use expected::{Outcome, RFC4475, RFC5118};
use proto::message::{
    Arena, HeaderName, Host, Malformation, Message, Method, Scheme, Transport, Uri, validate_request, validate_response,
};
use std::path::Path;

fn read(set: &str, name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(set).join(format!("{name}.dat"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn messages() -> impl Iterator<Item = (&'static str, Vec<u8>, Outcome)> {
    let rfc4475 = RFC4475.iter().map(|&(name, outcome)| (name, read("rfc4475", name), outcome));
    let rfc5118 = RFC5118.iter().map(|&(name, outcome)| (name, read("rfc5118", name), outcome));
    rfc4475.chain(rfc5118)
}

/// What the message layer makes of a datagram: `parse`, then `validate`.
fn outcome(datagram: &[u8]) -> Outcome {
    let mut arena = Arena::new();
    match Message::parse(datagram, &mut arena) {
        Err(error) => match error.partial {
            Some(_) => Outcome::Answered(error.why.status()),
            None => Outcome::Dropped,
        },
        Ok(message) if message.is_request() => match validate_request(&message) {
            Ok(()) => Outcome::Accepted,
            Err(rejection) => Outcome::Answered(rejection.status),
        },
        Ok(message) => match validate_response(&message) {
            Ok(()) => Outcome::Accepted,
            Err(_) => Outcome::Dropped,
        },
    }
}

/// Runs `check` on a message that `parse` accepts.
fn with(set: &str, name: &str, check: impl FnOnce(&Message<'_>)) {
    let datagram = read(set, name);
    let mut arena = Arena::new();
    check(&Message::parse(&datagram, &mut arena).unwrap_or_else(|error| panic!("{name}: {error:?}")));
}

#[test]
fn each_message_comes_out_as_expected() {
    for (name, datagram, expected) in messages() {
        assert_eq!(outcome(&datagram), expected, "{name}");
    }
}

#[test]
fn each_message_holds_what_every_message_holds() {
    for (name, datagram, _) in messages() {
        println!("{name}");
        let _ = exercise::datagram(&datagram);
    }
}

#[test]
fn each_message_cut_at_every_octet() {
    for (name, datagram, _) in messages() {
        let header_section =
            datagram.windows(4).position(|four| four == b"\r\n\r\n").map_or(datagram.len(), |at| at + 4);
        for length in 0..datagram.len() {
            let cut = &datagram[..length];
            let result = exercise::datagram(cut);
            if length == 0 {
                assert_eq!(result, Err(Malformation::KeepAlive));
            } else if length < header_section {
                assert!(result.is_err(), "{name} cut at {length}");
            } else {
                body_was_cut(name, &datagram, cut, result);
            }
        }
    }
}

/// A body may only be short where no Content-Length says how long it is.
fn body_was_cut(name: &str, whole: &[u8], cut: &[u8], result: Result<(), Malformation>) {
    let mut arena = Arena::new();
    if let Ok(message) = Message::parse(whole, &mut arena) {
        let complete = message.content_length().is_none() || message.bytes().len() <= cut.len();
        let expected = if complete { Ok(()) } else { Err(Malformation::BodyTooShort) };
        assert_eq!(result, expected, "{name} cut at {}", cut.len());
    } else {
        assert!(result.is_err(), "{name} cut at {}", cut.len());
    }
}

#[test]
fn baddn_is_refused_for_its_display_name_too() {
    let mut datagram = read("rfc4475", "baddn");
    datagram.extend_from_slice(b"\r\n");
    assert_eq!(exercise::datagram(&datagram), Ok(()), "the empty line was missing");
    assert_eq!(outcome(&datagram), Outcome::Answered(400));
}

//= RFC 4475 §3.1.1.1
#[test]
fn wsinv_white_space_everywhere() {
    with("rfc4475", "wsinv", |message| {
        assert_eq!(message.method(), Method::Invite);
        assert_eq!(message.to_tag(), b"1918181833n");
        assert_eq!(message.from_tag(), b"98asjd8");
        assert_eq!(message.from().unwrap().display, br#""J Rosenberg \\\"""#);
        assert_eq!(message.max_forwards(), Ok(Some(68)));
        assert_eq!(message.cseq().unwrap().number, 9);
        assert_eq!(message.content_length(), Some(150));
        assert_eq!(message.body().len(), 150);
        let vias: Vec<_> = message.vias().map(Result::unwrap).collect();
        let read: Vec<_> = vias.iter().map(|via| (via.transport, via.host_bytes, via.branch, via.alone)).collect();
        assert_eq!(
            read,
            [
                (Transport::Udp, &b"192.0.2.2"[..], &b"390skdjuw"[..], true),
                (Transport::Tcp, b"spindle.example.com", b"z9hG4bK9ikj8", false),
                (Transport::Udp, b"192.168.255.111", b"z9hG4bK30239", false),
            ]
        );
        let odd = message.named(b"unknownheaderwithunusualvalue").next().unwrap();
        assert_eq!(odd.value.of(message.bytes()), b";;,,;;,;");
        assert_eq!(message.value(HeaderName::Subject), Some(&b""[..]));
        let contact = message.name_addrs(HeaderName::Contact).next().unwrap().unwrap();
        assert_eq!(contact.param(b"newparam"), Some(&b"newvalue"[..]));
        assert_eq!(contact.param(b"secondparam"), Some(&b""[..]));
        assert_eq!(contact.param(b"q"), Some(&b"0.33"[..]));
    });
}

//= RFC 4475 §3.1.1.2
#[test]
fn intmeth_unusual_characters() {
    with("rfc4475", "intmeth", |message| {
        assert_eq!(message.method(), Method::Other);
        assert_eq!(message.method_bytes(), br"!interesting-Method0123456789_*+`.%indeed'~");
        let uri = Uri::parse(message.request_uri()).unwrap();
        assert_eq!(uri.user, Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
        assert_eq!(uri.password, Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
        assert_eq!(uri.host, Host::Name(b"example.com"));
        assert_eq!(message.from_tag(), br"_token~1'+`*%!-.");
        assert_eq!(message.to().unwrap().display, b"\"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\"");
        assert_eq!(message.call_id(), br#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#);
    });
}

//= RFC 4475 §3.1.1.3 to §3.1.1.5: escapes
#[test]
fn escapes_are_not_undone_in_names_and_methods() {
    with("rfc4475", "esc01", |message| {
        let uri = Uri::parse(message.request_uri()).unwrap();
        assert_eq!(uri.user, Some(&b"sips%3Auser%40example.com"[..]));
        let contact = message.name_addrs(HeaderName::Contact).next().unwrap().unwrap();
        let contact = Uri::parse(contact.uri).unwrap();
        assert!(contact.has_lr());
        assert_eq!(contact.param(b"name"), Some(&b"v%61lue%25%34%31"[..]));
    });
    with("rfc4475", "escnull", |message| {
        let contacts: Vec<_> = message.name_addrs(HeaderName::Contact).map(|contact| contact.unwrap().uri).collect();
        assert_eq!(contacts, [&b"sip:%00@host5.example.com"[..], b"sip:%00%00@host5.example.com"]);
        let [one, two] = [contacts[0], contacts[1]].map(|uri| Uri::parse(uri).unwrap());
        assert!(!one.equivalent(&two));
    });
    with("rfc4475", "esc02", |message| {
        assert_eq!(message.method(), Method::Other);
        assert_eq!(message.all(HeaderName::Contact).count(), 2);
        assert_eq!(message.named(b"C%6Fntact").count(), 1);
    });
}

//= RFC 4475 §3.1.1.7
#[test]
fn longreq_is_read_whole() {
    with("rfc4475", "longreq", |message| {
        assert_eq!(message.vias().filter(Result::is_ok).count(), 34);
        assert_eq!(message.body().len(), 150);
    });
}

//= RFC 4475 §3.1.1.8
#[test]
fn dblreq_ends_where_content_length_says() {
    with("rfc4475", "dblreq", |message| {
        assert_eq!(message.method(), Method::Register);
        assert_eq!(message.body(), b"");
        assert_eq!(message.trailing(), 450);
    });
}

//= RFC 4475 §3.1.1.9 to §3.1.1.13
#[test]
fn the_other_valid_ones() {
    with("rfc4475", "semiuri", |message| {
        let uri = Uri::parse(message.request_uri()).unwrap();
        assert_eq!(uri.user, Some(&b"user;par=u%40example.net"[..]));
        assert_eq!(uri.user_without_params(), b"user");
        assert_eq!(uri.params, b"");
        assert_eq!(message.tokens(HeaderName::Accept).count(), 6);
    });
    with("rfc4475", "transports", |message| {
        let transports: Vec<_> = message.vias().map(|via| via.unwrap().transport).collect();
        assert_eq!(transports, [Transport::Udp, Transport::Sctp, Transport::Tls, Transport::Other, Transport::Tcp]);
    });
    with("rfc4475", "mpart01", |message| {
        assert_eq!(message.body().len(), 553);
        assert!(message.body().contains(&0));
    });
    with("rfc4475", "unreason", |message| {
        assert_eq!(message.status(), 200);
        assert!(message.reason().starts_with(b"= 2**3 * 5**2 "));
    });
    with("rfc4475", "noreason", |message| {
        assert_eq!((message.status(), message.reason()), (100, &b""[..]));
    });
}

//= RFC 4475 §3.3: what the proxy needs to decide
#[test]
fn the_proxy_finds_what_it_decides_by() {
    for name in ["unkscm", "novelsc"] {
        with("rfc4475", name, |message| {
            assert_eq!(Uri::parse(message.request_uri()).unwrap().scheme, Scheme::Other);
        });
    }
    with("rfc4475", "bext01", |message| {
        let tokens: Vec<_> = message.tokens(HeaderName::ProxyRequire).collect();
        assert_eq!(tokens, [&b"noProxiesSupportThis"[..], b"norDoAnyProxiesSupportThis"]);
    });
    with("rfc4475", "zeromf", |message| assert_eq!(message.max_forwards(), Ok(Some(0))));
    with("rfc4475", "bcast", |message| {
        let second = message.vias().nth(1).unwrap().unwrap();
        assert_eq!(second.host.ip(), Some([255, 255, 255, 255].into()));
    });
    with("rfc4475", "inv2543", |message| {
        assert_eq!(message.top_via().unwrap().branch, b"");
        assert_eq!(message.from_tag(), b"");
        assert_eq!(message.max_forwards(), Ok(None));
        assert_eq!(message.content_length(), None);
        assert!(message.body().starts_with(b"v=0\r\n"));
    });
    with("rfc4475", "cparam01", |message| {
        let contact = message.name_addrs(HeaderName::Contact).next().unwrap().unwrap();
        assert_eq!(contact.param(b"unknownparam"), Some(&b""[..]));
        assert_eq!(contact.uri, b"sip:+19725552222@gw1.example.net");
    });
    with("rfc4475", "cparam02", |message| {
        let contact = message.name_addrs(HeaderName::Contact).next().unwrap().unwrap();
        assert_eq!(contact.param(b"unknownparam"), None);
        assert_eq!(Uri::parse(contact.uri).unwrap().param(b"unknownparam"), Some(&b""[..]));
    });
    with("rfc4475", "regescrt", |message| {
        let contact = message.name_addrs(HeaderName::Contact).next().unwrap().unwrap();
        assert_eq!(Uri::parse(contact.uri).unwrap().headers, b"Route=%3Csip:sip.example.com%3E");
    });
}

/// A request that is refused says enough of itself to be answered.
#[test]
fn refused_requests_can_be_answered() {
    for name in ["clerr", "ncl", "lwsruri", "lwsstart", "trws", "mcl01", "baddn"] {
        let datagram = read("rfc4475", name);
        let mut arena = Arena::new();
        let error = Message::parse(&datagram, &mut arena).unwrap_err();
        let partial = error.partial.unwrap();
        assert!(partial.top_via().is_ok(), "{name}");
        assert!(partial.cseq().is_ok(), "{name}");
        assert_eq!(partial.call_id().split(|&octet| octet == b'.').next(), Some(name.as_bytes()));
    }
}

fn host_of_request_uri(name: &str) -> (Option<std::net::IpAddr>, Option<u16>) {
    let datagram = read("rfc5118", name);
    let mut arena = Arena::new();
    let message = Message::parse(&datagram, &mut arena).unwrap();
    let uri = Uri::parse(message.request_uri()).unwrap();
    (uri.host.ip(), uri.port)
}

//= RFC 5118 §4
#[test]
fn ipv6_references() {
    let ip = |text: &str| Some(text.parse().unwrap());
    assert_eq!(host_of_request_uri("ipv6-good"), (ip("2001:db8::10"), None));
    assert_eq!(host_of_request_uri("port-ambiguous"), (ip("2001:db8::10:5070"), None));
    assert_eq!(host_of_request_uri("port-unambiguous"), (ip("2001:db8::10"), Some(5070)));
    assert_eq!(host_of_request_uri("ipv6-bug-abnf-3-colons"), (ip("2001:db8::192.0.2.1"), None));
    assert_eq!(host_of_request_uri("ipv6-correct-abnf-2-colons"), (ip("2001:db8::192.0.2.1"), None));
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        with("rfc5118", name, |message| {
            let via = message.top_via().unwrap();
            assert_eq!(via.received.and_then(|host| host.ip()), ip("2001:db8::9:255"), "{name}");
        });
    }
    with("rfc5118", "mult-ip-in-header", |message| {
        let hosts: Vec<_> = message.vias().map(|via| via.unwrap().host.ip()).collect();
        assert_eq!(hosts, [ip("2001:db8::9:1"), ip("192.0.2.1"), ip("2001:db8::9:255")]);
    });
    with("rfc5118", "ipv4-mapped-ipv6", |message| {
        let hosts: Vec<_> = message.vias().map(|via| via.unwrap().host.ip()).collect();
        assert_eq!(hosts, [ip("192.0.2.10"), ip("192.0.2.2")]);
    });
}
