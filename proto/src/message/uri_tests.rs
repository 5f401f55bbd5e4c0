//! Tests of `uri`, `escape` and `uri_equivalence`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::error::UriError;
use super::host::Host;
use super::transport::Transport;
use super::uri::{Scheme, Uri};
use std::format;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn error(text: &str) -> UriError {
    Uri::parse(text.as_bytes()).err().unwrap_or_else(|| panic!("{text} was accepted"))
}

#[test]
fn every_part() {
    let text = "SIP:alice;par=%40:se=cret@[2001:db8::1]:5070;transport=TCP;lr;x=%3b?Subject=a%20b&Priority=urgent";
    let uri = uri(text);
    assert_eq!(uri.scheme, Scheme::Sip);
    assert_eq!(uri.user, Some(&b"alice;par=%40"[..]));
    assert_eq!(uri.user_without_params(), b"alice");
    assert_eq!(uri.password, Some(&b"se=cret"[..]));
    assert_eq!(uri.host_bytes, b"[2001:db8::1]");
    assert_eq!(uri.port, Some(5070));
    assert_eq!(uri.params, b"transport=TCP;lr;x=%3b");
    assert_eq!(uri.headers, b"Subject=a%20b&Priority=urgent");
    assert_eq!(uri.user_span.of(text.as_bytes()), b"alice;par=%40");
    assert_eq!(uri.host_port_span.of(text.as_bytes()), b"[2001:db8::1]:5070");
    assert_eq!(uri.transport(), Some(Transport::Tcp));
    assert!(uri.has_lr());
    assert_eq!(uri.param(b"X"), Some(&b"%3b"[..]));
    assert_eq!(uri.param(b"y"), None);
}

#[test]
fn small_ones() {
    assert_eq!(uri("sip:a.example").user, None);
    assert_eq!(uri("sips:a.example").effective_port(), 5061);
    assert_eq!(uri("sip:a.example").effective_port(), 5060);
    assert_eq!(uri("sip:a.example;transport=tls").effective_port(), 5061);
    assert_eq!(uri("sip:a.example:7").effective_port(), 7);
    assert_eq!(uri("sip:192.0.2.1").host, Host::V4([192, 0, 2, 1].into()));
    assert_eq!(uri("sip:*72#@a").user, Some(&b"*72#"[..]));
    assert_eq!(uri("sip:a:@b").password, Some(&b""[..]));
    assert_eq!(uri("http://a.example/?x").scheme, Scheme::Other);
    assert!(uri("sip:a@b;%6C%72").has_lr());
}

#[test]
fn telephone_numbers() {
    let number = uri("tel:+1-(201)-555.0123;ext=5;phone-context=example.com");
    assert_eq!(number.scheme, Scheme::Tel);
    assert_eq!(number.user_without_params(), b"+1-(201)-555.0123");
    assert_eq!(number.param(b"phone-context"), Some(&b"example.com"[..]));
    assert!(number.equivalent(&uri("TEL:+12015550123;phone-context=EXAMPLE.com;ext=5")));
    assert!(!number.equivalent(&uri("tel:+12015550123;ext=5")));
    assert!(uri("tel:4;e%78t=1").equivalent(&uri("tel:4;E%58t=1")), "an escaped name is a name");
    assert_eq!(error("tel:"), UriError::Number);
    assert_eq!(error("tel:+"), UriError::Number);
    assert_eq!(error("tel:+1 2"), UriError::Number);
    assert_eq!(error("tel:+1;"), UriError::Parameter);
}

#[test]
fn what_is_refused() {
    assert_eq!(error(""), UriError::Scheme);
    assert_eq!(error("sip"), UriError::Scheme);
    assert_eq!(error("<sip:a>"), UriError::Scheme);
    assert_eq!(error("http:"), UriError::Scheme);
    assert_eq!(error("http:a b"), UriError::Octet);
    assert_eq!(error("sip:"), UriError::Host);
    assert_eq!(error("sip:@a"), UriError::User);
    assert_eq!(error("sip:a b@c"), UriError::User);
    assert_eq!(error("sip:a%4@c"), UriError::User);
    assert_eq!(error("sip:a%zz@c"), UriError::User);
    assert_eq!(error("sip:a@b@c"), UriError::TwoAts);
    assert_eq!(error("sip:a@b;c=d@e"), UriError::TwoAts);
    assert_eq!(error("sip:a@2001:db8::10"), UriError::Host);
    assert_eq!(error("sip:a@b:0"), UriError::Port);
    assert_eq!(error("sip:a@b:65536"), UriError::Port);
    assert_eq!(error("sip:a@b:4294967301"), UriError::Port);
    assert_eq!(error("sip:a@b:"), UriError::Port);
    assert_eq!(error("sip:a@b;"), UriError::Parameter);
    assert_eq!(error("sip:a@b;;c"), UriError::Parameter);
    assert_eq!(error("sip:a@b; lr"), UriError::Parameter);
    assert_eq!(error("sip:a@b?"), UriError::Headers);
    assert_eq!(error("sip:a@b?c d"), UriError::Headers);
    assert_eq!(error(&format!("sip:{}@b", "a".repeat(limits::URI_BYTES_MAX))), UriError::TooLong);
}

//= RFC 3261 §19.1.4: the RFC's own examples
#[test]
fn equivalence() {
    let same = |one: &str, two: &str| uri(one).equivalent(&uri(two)) && uri(two).equivalent(&uri(one));
    assert!(same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"));
    assert!(same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"));
    assert!(same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"));
    assert!(same(
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ));
    assert!(same(
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ));
    assert!(!same("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"));
    assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
    assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"));
    assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"));
    assert!(!same("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"));
    assert!(!same("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"));
    assert!(!same("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"));
    assert!(!same("sip:a@b", "sips:a@b"));
    assert!(!same("sip:a%3b@b", "sip:a;@b"), "an escaped reserved character is not the character");
    assert!(same("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"));
}
