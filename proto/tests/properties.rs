//! Properties of parsing and editing over messages drawn at random: mostly well formed, with the
//! oddities that RFC 3261's grammar allows, and some that it does not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod exercise;

use exercise::edit;
use proptest::prelude::*;
use proptest::sample::select;
use proto::message::{Arena, HeaderName, Message, Span, Uri};

/// White space that may stand between the parts of a value.
fn space() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 3 => Just(" ".into()), 1 => select(&["  ", "\t", "\r\n ", " \r\n\t "][..]).prop_map(String::from)]
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}(\\.[a-z]{1,5}){0,2}",
        any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
        any::<[u16; 8]>().prop_map(|ip| format!("[{}]", std::net::Ipv6Addr::from(ip))),
    ]
}

fn port() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), (1u16..).prop_map(|port| format!(":{port}"))]
}

fn uri() -> impl Strategy<Value = String> {
    let user = prop_oneof![
        Just(String::new()),
        "[a-zA-Z0-9.!~*'()&=+$,;?/#_-]{1,12}(:[a-z0-9&=+$,]{0,4})?@",
        "(%[0-9a-fA-F]{2}){1,4}@"
    ];
    let parameters = prop::collection::vec(
        "(;[a-z-]{1,9}(=[a-zA-Z0-9:/+]{1,6})?)|;lr|;%6C%72|;transport=(udp|TCP)|;maddr=192\\.0\\.2\\.1",
        0..3,
    );
    prop_oneof![
        8 => (select(&["sip", "sips", "SIP"][..]), user, host(), port(), parameters, "(\\?[a-z]{1,4}=([a-z0-9]|%20){0,4})?")
            .prop_map(|(scheme, user, host, port, parameters, headers)| format!("{scheme}:{user}{host}{port}{}{headers}", parameters.concat())),
        1 => "tel:\\+?[0-9][0-9.()-]{0,12}(;phone-context=[a-z.]{1,8})?",
        1 => "x[a-z0-9+.-]{0,5}:[!#-;=?-~]{1,10}",
    ]
}

fn quoted() -> impl Strategy<Value = String> {
    r#""([ !#-\[\]-~é]|\\[ -~]){0,10}""#
}

fn parameters() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just(String::new()),
        "=[a-zA-Z0-9.!%*_+`'~/@=-]{1,9}",
        quoted().prop_map(|text| format!("={text}"))
    ];
    let one = (space(), select(&["tag", "x", "q", "expires", "+sip.instance", "lr"][..]), value, space())
        .prop_map(|(before, name, value, inside)| format!("{before};{inside}{name}{value}"));
    prop::collection::vec(one, 0..3).prop_map(|all| all.concat())
}

fn name_addr() -> impl Strategy<Value = String> {
    let display = prop_oneof![Just(String::new()), quoted(), "[A-Za-z.]{1,5}( [A-Za-z]{1,5}){0,2} "];
    prop_oneof![
        3 => (display, space(), uri(), parameters()).prop_map(|(display, space, uri, parameters)| format!("{display}{space}<{uri}>{parameters}")),
        1 => (uri(), parameters()).prop_map(|(uri, parameters)| format!("{uri}{parameters}")),
    ]
}

fn via() -> impl Strategy<Value = String> {
    let parameter = select(
        &[
            ";rport",
            ";rport=5061",
            ";received=192.0.2.7",
            ";received=[::1]",
            ";branch=z9hG4bKabc",
            ";branch=1",
            ";maddr=a.example",
            " ; ttl = 5",
            ";z=\",;\"",
        ][..],
    );
    (
        select(&["SIP/2.0/UDP ", "SIP/2.0/TLS ", "sip / 2.0 / tcp\t", "SIP/2.0/UDP\r\n "][..]),
        host(),
        port(),
        prop::collection::vec(parameter, 0..4),
    )
        .prop_map(|(protocol, host, port, parameters)| format!("{protocol}{host}{port}{}", parameters.concat()))
}

fn list(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (prop::collection::vec(value, 1..4), space(), space())
        .prop_map(|(values, before, after)| values.join(&format!("{before},{after}")))
}

/// Name, white space before the colon and after it, value.
fn header() -> impl Strategy<Value = String> {
    let named = |names: &'static [&'static str], value: BoxedStrategy<String>| (select(names), value);
    let content = prop_oneof![
        named(&["Via", "v", "VIA"], list(via()).boxed()),
        named(&["From", "f", "To", "t"], name_addr().boxed()),
        named(&["Contact", "m", "Route", "Record-Route", "route", "Path"], list(name_addr()).boxed()),
        named(&["Call-ID", "i"], "[!-~]{1,20}".boxed()),
        named(&["CSeq"], "[0-9]{1,11}(  ?)(INVITE|ACK|BYE|[A-Z]{1,5})".boxed()),
        named(&["Max-Forwards", "Expires"], "[0-9]{1,4}".boxed()),
        named(&["Proxy-Require", "Supported"], "[a-z]{1,5}(, ?[a-z]{1,5}){0,2}".boxed()),
        named(&["Date", "X-Unread", "User-Agent", "Subject"], "[ -~\u{1}é]{0,30}".boxed()),
    ];
    (content, select(&["", "", "", " ", "\t"][..]), space())
        .prop_map(|((name, value), before, after)| format!("{name}{before}:{after}{value}\r\n"))
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let request = (select(&["INVITE", "ACK", "BYE", "REGISTER", "X%41-~"][..]), uri())
        .prop_map(|(method, uri)| format!("{method} {uri} SIP/2.0\r\n"));
    let response = (100u16..700, "[ -~é]{0,12}").prop_map(|(status, reason)| format!("SIP/2.0 {status} {reason}\r\n"));
    let start = prop_oneof![3 => request, 1 => response];
    (
        start,
        prop::collection::vec(header(), 0..12),
        prop::collection::vec(any::<u8>(), 0..40),
        0usize..3,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(start, mut headers, body, framing, place)| {
            match framing {
                0 => {}
                1 => headers.insert(place.index(headers.len() + 1), format!("Content-Length: {}\r\n", body.len())),
                _ => headers.insert(place.index(headers.len() + 1), format!("l:{}\r\n", body.len() / 2)),
            }
            [start.as_bytes(), headers.concat().as_bytes(), b"\r\n", &body].concat()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// What is drawn is a message, so that the properties below are not about nothing.
    #[test]
    fn drawn_messages_are_accepted(datagram in message()) {
        prop_assert_eq!(exercise::datagram(&datagram), Ok(()));
    }

    /// Parse, print, parse is a fixed point, and spans stay inside, for damaged messages too.
    #[test]
    fn damaged_messages_hold_what_every_message_holds(
        datagram in message(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), select(&b"\0\t\n\r \",:;<=>@[\\]*%0a\xff"[..])), 1..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut datagram = datagram;
        for (place, octet) in damage {
            let place = place.index(datagram.len());
            datagram[place] = octet;
        }
        if cuts {
            datagram.truncate(cut.index(datagram.len()));
        }
        let _ = exercise::datagram(&datagram);
    }

    #[test]
    fn any_octets_are_survived(datagram in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = exercise::datagram(&datagram);
        exercise::one_uri(&datagram);
    }

    #[test]
    fn editing_leaves_the_rest_as_it_came(datagram in message(), script in prop::collection::vec(any::<u8>(), 1..20)) {
        edit::message(&datagram, &script);
    }

    #[test]
    fn splice_agrees_with_its_twin(
        source in prop::collection::vec(any::<u8>(), 0..200),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 6),
    ) {
        let mut places: Vec<u16> = places.iter().map(|place| u16::try_from(place.index(source.len() + 1)).unwrap()).collect();
        places.sort_unstable();
        let edits: Vec<_> = places.chunks_exact(2).map(|pair| Span { start: pair[0], end: pair[1] }).zip(texts).collect();
        edit::spliced(&source, &edits);
    }

    /// A drawn URI is read as what it was made of.
    #[test]
    fn uris_are_accepted(text in uri()) {
        let uri = Uri::parse(text.as_bytes());
        prop_assert!(uri.is_ok(), "{}: {:?}", text, uri);
        exercise::one_uri(text.as_bytes());
    }

    #[test]
    fn name_addrs_are_read_whole(display in quoted(), uri in uri(), tag in "[a-z0-9.-]{1,12}", before in space(), inside in space()) {
        let text = format!("ACK sip:a SIP/2.0\r\nTo:{before}{display}{before}<{uri}>{inside};{inside}tag{inside}={inside}{tag}\r\n\r\n");
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
        let to = message.to().unwrap();
        prop_assert_eq!(to.display, display.as_bytes());
        prop_assert_eq!(to.uri, uri.as_bytes());
        prop_assert_eq!(message.to_tag(), tag.as_bytes());
    }

    /// Known names in any case are found, and nothing else is.
    #[test]
    fn header_names(name in "[a-zA-Z-]{1,20}") {
        let found = HeaderName::of(name.as_bytes());
        let long = found != HeaderName::Other && found.as_str().eq_ignore_ascii_case(&name);
        prop_assert!(found == HeaderName::Other || long || name.len() == 1, "{}: {:?}", name, found);
    }
}
