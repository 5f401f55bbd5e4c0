//! Digest credentials: the value of Authorization and Proxy-Authorization (RFC 3261 §20.7, §25.1; RFC 7616 §3.4).
//!
//! Read by whoever authenticates a request ([`Message::digest_credentials`]); nothing is copied, and quoted pairs stay
//! as they are, because they are hashed as they stand (RFC 7616 §3.4.2: `unq` takes off the quotation marks alone).

use super::error::Fault;
use super::lex::{Cursor, TOKEN};
use super::marks::Delimiters;
use super::name::HeaderName;
use super::span::Span;
use super::text::CREDENTIAL_TEXT;
use super::view::Message;

/// What a client answers to a challenge. Texts are without their quotation marks; absent ones are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DigestCredentials<'m> {
    /// The user name.
    pub username: &'m [u8],
    /// The realm that it belongs to.
    pub realm: &'m [u8],
    /// The nonce that was given out.
    pub nonce: &'m [u8],
    /// The URI that was asked for when it was hashed.
    pub uri: &'m [u8],
    /// The proof, in hexadecimal digits.
    pub response: &'m [u8],
    /// The algorithm; empty: MD5.
    pub algorithm: &'m [u8],
    /// The client's nonce.
    pub cnonce: &'m [u8],
    /// Quality of protection; empty: as in RFC 2069.
    pub qop: &'m [u8],
    /// How often the nonce was used, eight hexadecimal digits.
    pub nc: &'m [u8],
    /// Handed back as it was given out.
    pub opaque: &'m [u8],
}

/// Most parameters that are looked at.
///
/// WHY: twelve are defined. More than that is somebody's attempt to be expensive.
const PARAMETERS_MAX: usize = 24;

impl<'m> Message<'m> {
    /// The first credentials of the scheme Digest for `realm` (any case) in `name`, which is Authorization or
    /// Proxy-Authorization. `None`: there are none, or they cannot be read (RFC 3261 §22.3: a realm each line).
    pub fn digest_credentials(&self, name: HeaderName, realm: &[u8]) -> Option<DigestCredentials<'m>> {
        let bytes = self.bytes();
        self.all(name)
            .filter_map(|field| match DigestCredentials::plain(bytes, field.value) {
                None => DigestCredentials::read(bytes, field.value).ok().flatten(),
                plain => plain,
            })
            .find(|credentials| credentials.realm.eq_ignore_ascii_case(realm))
    }
}

impl<'m> DigestCredentials<'m> {
    /// Reads a value as nearly every client writes it: without escapes, and without white space but the one behind a
    /// comma. `None`: [`DigestCredentials::read`] tells.
    fn plain(message: &'m [u8], value: Span) -> Option<Self> {
        let (start, end) = (usize::from(value.start), usize::from(value.end));
        let mut name_at = start.wrapping_add(DIGEST.len());
        if !message.get(start..)?.starts_with(DIGEST) {
            return None;
        }
        let mut marks = Delimiters::new(message, name_at, end);
        let mut credentials = DigestCredentials::default();
        for _ in 0..PARAMETERS_MAX {
            let name = message.get(name_at..marks.at()).filter(|_| marks.octet() == b'=')?;
            let text = plain_value(message, &mut marks, end)?;
            let place = credentials.place(name).filter(|place| place.is_empty())?;
            *place = text;
            if marks.at_end() {
                return Some(credentials);
            }
            if marks.octet() != b',' {
                return None;
            }
            name_at = marks.at().wrapping_add(1);
            marks.advance();
            if marks.at() == name_at && marks.octet() == b' ' {
                name_at = name_at.wrapping_add(1);
                marks.advance();
            }
        }
        None
    }

    /// Reads one value. `Ok(None)`: of another scheme.
    fn read(message: &'m [u8], value: Span) -> Result<Option<Self>, Fault> {
        let mut cursor = Cursor::new(message, value);
        if !cursor.run(TOKEN).eq_ignore_ascii_case(b"Digest") {
            return Ok(None);
        }
        cursor.skip_lws();
        let mut credentials = DigestCredentials::default();
        for _ in 0..PARAMETERS_MAX {
            let name = cursor.run(TOKEN);
            cursor.skip_lws();
            if name.is_empty() || !cursor.eat(b'=') {
                return Err(Fault::Parameter);
            }
            cursor.skip_lws();
            let value = parameter_value(&mut cursor)?;
            if let Some(place) = credentials.place(name) {
                // WHY refused: of two the client may have meant either.
                if !place.is_empty() {
                    return Err(Fault::Parameter);
                }
                *place = value;
            }
            if cursor.next_value()?.is_none() {
                return Ok(Some(credentials));
            }
        }
        Err(Fault::Parameter)
    }

    fn place(&mut self, name: &[u8]) -> Option<&mut &'m [u8]> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        Some(match name.len() {
            2 if is(b"nc") => &mut self.nc,
            3 if is(b"uri") => &mut self.uri,
            3 if is(b"qop") => &mut self.qop,
            5 if is(b"realm") => &mut self.realm,
            5 if is(b"nonce") => &mut self.nonce,
            6 if is(b"cnonce") => &mut self.cnonce,
            6 if is(b"opaque") => &mut self.opaque,
            8 if is(b"username") => &mut self.username,
            8 if is(b"response") => &mut self.response,
            9 if is(b"algorithm") => &mut self.algorithm,
            _ => return None,
        })
    }
}

/// What stands behind the `=` that `marks` stand on, without its quotation marks; they stand behind it then.
#[inline(always)]
fn plain_value<'m>(message: &'m [u8], marks: &mut Delimiters<'m>, end: usize) -> Option<&'m [u8]> {
    let from = marks.at().wrapping_add(1);
    marks.advance();
    if marks.at() != from || marks.octet() != b'"' {
        return message.get(from..marks.at()).filter(|text| !text.is_empty() && marks.at() <= end);
    }
    loop {
        marks.advance();
        match marks.octet() {
            _ if marks.at() >= end => return None,
            b'"' => break,
            b' ' | b',' | b';' | b'<' | b'=' | b'>' | b'?' => {}
            _ => return None,
        }
    }
    let (text, behind) = (message.get(from.wrapping_add(1)..marks.at()), marks.at().wrapping_add(1));
    marks.advance();
    text.filter(|_| marks.at() == behind)
}

const DIGEST: &[u8] = b"Digest ";

/// A quoted string without its marks, or a run of text: clients write `qop="auth"` and `uri=sip:...` alike.
fn parameter_value<'m>(cursor: &mut Cursor<'m>) -> Result<&'m [u8], Fault> {
    if cursor.peek() == Some(b'"') {
        let quoted = cursor.quoted_string()?;
        return Ok(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
    }
    let text = cursor.text(CREDENTIAL_TEXT);
    if text.is_empty() { Err(Fault::Parameter) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::super::arena::Arena;
    use super::*;
    use std::format;
    use std::string::String;

    fn with<T>(lines: &str, look: impl FnOnce(Option<DigestCredentials<'_>>) -> T) -> T {
        let text = format!("REGISTER sip:biloxi.com SIP/2.0\r\nCall-ID: a\r\n{lines}\r\n\r\n");
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
        look(message.digest_credentials(HeaderName::Authorization, b"biloxi.com"))
    }

    fn texts(credentials: Option<DigestCredentials<'_>>) -> Option<[String; 5]> {
        credentials.map(|one| {
            [one.username, one.nonce, one.uri, one.response, one.nc].map(|text| String::from_utf8_lossy(text).into())
        })
    }

    #[test]
    fn the_example_of_rfc_3261_is_read() {
        let lines = "Authorization: Digest username=\"bob\",\r\n realm=\"biloxi.com\",\r\n \
                     nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",\r\n uri=\"sip:bob@biloxi.com\",\r\n qop=auth,\r\n \
                     nc=00000001,\r\n cnonce=\"0a4f113b\",\r\n response=\"6629fae49393a05397450978507c4ef1\",\r\n \
                     opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        with(lines, |credentials| {
            let one = credentials.unwrap();
            assert_eq!((one.username, one.realm), (&b"bob"[..], &b"biloxi.com"[..]));
            assert_eq!((one.nonce, one.uri), (&b"dcd98b7102dd2f0e8b11d0f600bfb0c093"[..], &b"sip:bob@biloxi.com"[..]));
            assert_eq!((one.qop, one.nc, one.cnonce), (&b"auth"[..], &b"00000001"[..], &b"0a4f113b"[..]));
            assert_eq!(one.response, b"6629fae49393a05397450978507c4ef1");
            assert_eq!((one.opaque, one.algorithm), (&b"5ccc069c403ebaf9f0171e9517f40e41"[..], &b""[..]));
        });
    }

    #[test]
    fn what_clients_write_otherwise_is_read_too() {
        let cases = [
            (
                "Authorization: digest USERNAME=\"a\" , realm = \"BILOXI.com\" ,nonce=\"n\", uri=sip:x@y;p=1",
                ["a", "n", "sip:x@y;p=1", "", ""],
            ),
            (
                "Authorization: Digest realm=\"biloxi.com\",username=\"a\\\"b, c=d\",uri=\"\",foo=bar,nc=1",
                ["a\\\"b, c=d", "", "", "", "1"],
            ),
            (
                "Authorization: Basic Zm9v\r\nAuthorization: Digest realm=\"other\",username=\"x\"\r\nAuthorization: Digest realm=\"biloxi.com\",username=\"y\"",
                ["y", "", "", "", ""],
            ),
        ];
        for (lines, expected) in cases {
            assert_eq!(with(lines, texts), Some(expected.map(String::from)), "{lines}");
        }
    }

    /// Whatever the reader of plain values takes, the other one reads the same way; and it takes what is usual.
    #[test]
    fn both_readers_agree() {
        let usual = "Digest username=\"3000000001\", realm=\"biloxi.com\", nonce=\"n/+=,; x\", uri=\"sip:b.com;p=1?a=b\", \
                      response=\"6629fae49393a05397450978507c4ef1\", algorithm=MD5, cnonce=\"\", qop=auth, nc=00000001";
        let look = |value: &str| {
            let text = format!("Authorization: {value}\r\n\r\n");
            let span = Span::between(15, 15 + value.len());
            let plain = DigestCredentials::plain(text.as_bytes(), span);
            let read = DigestCredentials::read(text.as_bytes(), span).ok().flatten();
            assert!(plain.is_none() || plain == read, "{value}");
            plain.is_some()
        };
        assert!(look(usual) && look(&usual.replace(", ", ",")));
        for place in 0..usual.len() {
            look(&usual[..place]);
            for octet in ["\"", "\\", ",", " ", "=", ";", "\t", "\u{1}", "a", "é"] {
                look(&format!("{}{octet}{}", &usual[..place], &usual[place..]));
                look(&format!("{}{octet}{}", &usual[..place], &usual[place + 1..]));
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_none() {
        let many = format!("Authorization: Digest realm=\"biloxi.com\"{}", ",a=b".repeat(40));
        for lines in [
            "X: y",
            "Authorization:",
            "Authorization: Digest",
            "Authorization: Digest realm",
            "Authorization: Digest realm=\"biloxi.com",
            "Authorization: Digest realm=\"biloxi.com\",",
            "Authorization: Digest realm=\"biloxi.com\" username=\"a\"",
            "Authorization: Digest realm=\"biloxi.com\",username=\"a\",username=\"b\"",
            "Authorization: Digest realm=\"biloxi.org\",username=\"a\"",
            "Proxy-Authorization: Digest realm=\"biloxi.com\",username=\"a\"",
            many.as_str(),
        ] {
            assert!(with(lines, |credentials| credentials.is_none()), "{lines}");
        }
    }
}
