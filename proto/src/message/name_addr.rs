//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route, Record-Route, Path
//! (RFC 3261 §20.10, §25.1).

use super::arena::Field;
use super::error::{Fault, HeaderError};
use super::lex::{ADDR_SPEC, Cursor, DISPLAY_NAME, SCHEME, URI};
use super::list::{Place, Values};
use super::name::HeaderName;
use super::span::{Span, narrow};
use super::view::Message;
use core::iter::Peekable;

/// One value of such a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'m> {
    /// The display name as it stands there, quotation marks included; possibly empty.
    pub display: &'m [u8],
    /// The URI without angle brackets; `*` for `Contact: *`.
    pub uri: &'m [u8],
    /// Where it stands.
    pub uri_span: Span,
    /// The header parameters from the first semicolon on, without the white space round them; not the
    /// URI's own.
    pub params: &'m [u8],
    /// The `tag` parameter; empty if there is none.
    tag: &'m [u8],
    /// Where it stands.
    pub(super) tag_span: Span,
    /// This one value, without commas.
    pub value: Span,
    /// Index of its line in [`Message::fields`].
    pub field: u8,
    /// Whether it is the only value of its line.
    pub alone: bool,
    /// What to cut to take this value off: its whole line if it is alone, else it and one comma.
    pub removal: Span,
    /// Whether the URI stands in angle brackets.
    pub bracketed: bool,
}

impl<'m> NameAddr<'m> {
    /// The tag; empty if there is none.
    pub fn tag(&self) -> &'m [u8] {
        self.tag
    }

    /// The header parameter of that name (any case), quotation marks included; `Some(b"")` if it has no
    /// value, `None` if it is not there.
    pub fn param(&self, name: &[u8]) -> Option<&'m [u8]> {
        let mut cursor = Cursor::new(self.params, Span::between(0, self.params.len()));
        while let Ok(Some(parameter)) = cursor.parameter() {
            if parameter.name.eq_ignore_ascii_case(name) {
                return Some(parameter.value.unwrap_or_default());
            }
        }
        None
    }
}

/// All values of one such header.
pub(super) struct NameAddrs<'m>(Values<'m>);

impl<'m> NameAddrs<'m> {
    pub(super) fn new(message: &Message<'m>, name: HeaderName) -> NameAddrs<'m> {
        NameAddrs(Values::new(message, name))
    }
}

impl<'m> Iterator for NameAddrs<'m> {
    type Item = Result<NameAddr<'m>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read, |address, place: Place| {
            address.value = place.value;
            address.field = place.field;
            address.alone = place.alone;
            address.removal = place.removal;
        })
    }
}

/// Reads a header that has one value.
pub(super) fn only_name_addr<'m>(bytes: &'m [u8], field: &Field, position: usize) -> Result<NameAddr<'m>, HeaderError> {
    let mut cursor = Cursor::new(bytes, field.value);
    let read = read(&mut cursor, field).and_then(|address| match cursor.at_end() {
        true => Ok(address),
        false => Err(Fault::Trailing),
    });
    match read {
        Ok(mut address) => {
            address.value = field.value;
            address.field = u8::try_from(position).unwrap_or(u8::MAX);
            address.alone = true;
            address.removal = field.line;
            Ok(address)
        }
        Err(fault) => Err(HeaderError { header: field.name, fault, offset: narrow(cursor.pos()) }),
    }
}

/// What to cut to take off the first values: one span a line.
pub(super) struct Removals<'m> {
    message: Message<'m>,
    values: Peekable<NameAddrs<'m>>,
    left: usize,
}

impl<'m> Removals<'m> {
    pub(super) fn new(message: &Message<'m>, name: HeaderName, count: usize) -> Removals<'m> {
        Removals { message: *message, values: NameAddrs::new(message, name).peekable(), left: count }
    }
}

impl Iterator for Removals<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        self.left = self.left.checked_sub(1)?;
        let first = self.values.next()?.ok()?;
        while let Some(Ok(following)) = self.values.peek() {
            if following.field != first.field {
                break;
            }
            if self.left == 0 {
                return Some(Span { start: first.value.start, end: following.value.start });
            }
            self.left -= 1;
            self.values.next();
        }
        // No value of this line stays.
        let field = self.message.fields().get(usize::from(first.field))?;
        Some(field.line)
    }
}

/// Reads one value; the cursor stops after its last octet.
fn read<'m>(cursor: &mut Cursor<'m>, field: &Field) -> Result<NameAddr<'m>, Fault> {
    if field.name == HeaderName::Contact && cursor.peek() == Some(b'*') && field.value.len() == 1 {
        let start = cursor.pos();
        cursor.advance();
        return finish(cursor, &[], (cursor.since(start), Span::between(start, cursor.pos())), false);
    }
    let (display, bracketed) = display_name(cursor)?;
    let uri = if bracketed { bracketed_uri(cursor)? } else { addr_spec(cursor)? };
    finish(cursor, display, uri, bracketed)
}

/// Takes what stands before `<`. False: no `<` follows, and nothing is taken.
fn display_name<'m>(cursor: &mut Cursor<'m>) -> Result<(&'m [u8], bool), Fault> {
    let start = cursor.pos();
    if cursor.peek() == Some(b'"') {
        let display = cursor.quoted_string()?;
        cursor.skip_lws();
        return if cursor.peek() == Some(b'<') { Ok((display, true)) } else { Err(Fault::DisplayName) };
    }
    let display = cursor.run(DISPLAY_NAME);
    if cursor.peek() == Some(b'<') {
        return Ok((display.trim_ascii_end(), true));
    }
    cursor.return_to(start);
    Ok((&[], false))
}

/// Takes `<URI>`.
fn bracketed_uri<'m>(cursor: &mut Cursor<'m>) -> Result<(&'m [u8], Span), Fault> {
    cursor.advance();
    let start = cursor.pos();
    let uri = cursor.run(URI);
    let span = Span::between(start, cursor.pos());
    if cursor.eat(b'>') && has_scheme(uri) { Ok((uri, span)) } else { Err(Fault::Uri) }
}

/// Takes a URI without brackets: it ends before a semicolon or comma and must not hold a question
/// mark (RFC 3261 §20.10), because all three would belong to the header.
fn addr_spec<'m>(cursor: &mut Cursor<'m>) -> Result<(&'m [u8], Span), Fault> {
    let start = cursor.pos();
    let uri = cursor.run(ADDR_SPEC);
    let span = Span::between(start, cursor.pos());
    if cursor.peek() != Some(b'?') && has_scheme(uri) { Ok((uri, span)) } else { Err(Fault::Uri) }
}

/// Whether it starts with a scheme and a colon, and something follows.
fn has_scheme(uri: &[u8]) -> bool {
    let Some(colon) = uri.iter().position(|&octet| !SCHEME.has(octet)) else {
        return false;
    };
    uri.get(colon) == Some(&b':') && uri.len() > colon + 1 && uri.first().is_some_and(u8::is_ascii_alphabetic)
}

/// Takes the header parameters.
fn finish<'m>(
    cursor: &mut Cursor<'m>,
    display: &'m [u8],
    (uri, uri_span): (&'m [u8], Span),
    bracketed: bool,
) -> Result<NameAddr<'m>, Fault> {
    let after_uri = cursor.pos();
    let mut tag: Option<(&[u8], Span)> = None;
    while let Some(parameter) = cursor.parameter()? {
        if parameter.name.eq_ignore_ascii_case(b"tag") {
            let value = parameter.value.ok_or(Fault::Parameter)?;
            if tag.replace((value, parameter.value_span)).is_some() {
                return Err(Fault::RepeatedParameter);
            }
        }
    }
    let (tag, tag_span) = tag.unwrap_or_default();
    Ok(NameAddr {
        display,
        uri,
        uri_span,
        params: cursor.since(after_uri).trim_ascii_start(),
        tag,
        tag_span,
        value: Span::at(0),
        field: 0,
        alone: false,
        removal: Span::at(0),
        bracketed,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::message::Arena;
    use std::format;
    use std::vec::Vec;

    fn with<T>(headers: &str, check: impl FnOnce(&Message<'_>) -> T) -> T {
        let text = format!("OPTIONS sip:a@b.example SIP/2.0\r\n{headers}\r\n\r\n");
        let mut arena = Arena::new();
        check(&Message::parse(text.as_bytes(), &mut arena).unwrap())
    }

    fn fault(value: &str) -> Fault {
        with(&format!("From: {value}"), |message| message.from().unwrap_err().fault)
    }

    #[test]
    fn display_names_brackets_and_parameters() {
        let from = |value: &str, expected: (&str, &str, &str, &str, bool)| {
            with(&format!("f: {value}"), |message| {
                let from = message.from().unwrap();
                let text = |octets: &[u8]| std::string::String::from_utf8(octets.to_vec()).unwrap();
                let said = (text(from.display), text(from.uri), text(from.params), text(from.tag()), from.bracketed);
                let (display, uri, params, tag, bracketed) = expected;
                assert_eq!(said, (display.into(), uri.into(), params.into(), tag.into(), bracketed), "{value}");
                assert_eq!(message.from_tag(), from.tag());
            });
        };
        from("sip:a@b;tag=1", ("", "sip:a@b", ";tag=1", "1", false));
        from("<sip:a@b;tag=2>", ("", "sip:a@b;tag=2", "", "", true));
        from("<sip:a@b;x> ; Tag = 1 ;y", ("", "sip:a@b;x", "; Tag = 1 ;y", "1", true));
        from("A. B.  <tel:+1>;x=\";tag=9\";tag=1", ("A. B.", "tel:+1", ";x=\";tag=9\";tag=1", "1", true));
        from("\"a \\\"<sip:x@y>;tag=z\" <sip:a@b>", ("\"a \\\"<sip:x@y>;tag=z\"", "sip:a@b", "", "", true));
        from("\"\"<sip:a,b?c@d>", ("\"\"", "sip:a,b?c@d", "", "", true));
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(fault(""), Fault::Uri);
        assert_eq!(fault("<>"), Fault::Uri);
        assert_eq!(fault("*"), Fault::Uri);
        assert_eq!(fault("sip:"), Fault::Uri);
        assert_eq!(fault("1sip:a"), Fault::Uri);
        assert_eq!(fault("a@b"), Fault::Uri);
        assert_eq!(fault("<sip:a@b"), Fault::Uri);
        assert_eq!(fault("< sip:a@b>"), Fault::Uri);
        assert_eq!(fault("<sip:a b@c>"), Fault::Uri);
        assert_eq!(fault("sip:a@b?c=d"), Fault::Uri);
        assert_eq!(fault("a, b <sip:a@b>"), Fault::Uri);
        assert_eq!(fault("\"a <sip:a@b>"), Fault::QuotedString);
        assert_eq!(fault("\"a\" b <sip:a@b>"), Fault::DisplayName);
        assert_eq!(fault("<sip:a@b> c"), Fault::Trailing);
        assert_eq!(fault("<sip:a@b>;"), Fault::Parameter);
        assert_eq!(fault("<sip:a@b>;tag"), Fault::Parameter);
        assert_eq!(fault("<sip:a@b>;tag=1;tag=2"), Fault::RepeatedParameter);
        assert_eq!(fault("<sip:a@b>, <sip:c@d>"), Fault::Trailing);
    }

    #[test]
    fn a_star_is_a_contact_of_its_own() {
        with("Contact: *", |message| {
            let star = message.name_addrs(HeaderName::Contact).next().unwrap().unwrap();
            assert_eq!((star.uri, star.alone), (&b"*"[..], true));
        });
        with("Contact: *, <sip:a@b>", |message| {
            assert!(message.name_addrs(HeaderName::Contact).next().unwrap().is_err());
        });
    }

    #[test]
    fn removals_take_lines_and_parts_of_lines() {
        let routes = "Route: <sip:1>\r\nX: y\r\nRoute: <sip:2> , <sip:3>,<sip:4>\r\nRoute: <sip:5>";
        let after = |count: usize| {
            with(routes, |message| {
                let mut kept = message.bytes().to_vec();
                for span in message.removals(HeaderName::Route, count).collect::<Vec<_>>().into_iter().rev() {
                    kept.drain(usize::from(span.start)..usize::from(span.end));
                }
                let text = std::string::String::from_utf8(kept).unwrap();
                text.strip_prefix("OPTIONS sip:a@b.example SIP/2.0\r\n").unwrap().replace("\r\n", "|")
            })
        };
        assert_eq!(after(0), "Route: <sip:1>|X: y|Route: <sip:2> , <sip:3>,<sip:4>|Route: <sip:5>||");
        assert_eq!(after(1), "X: y|Route: <sip:2> , <sip:3>,<sip:4>|Route: <sip:5>||");
        assert_eq!(after(2), "X: y|Route: <sip:3>,<sip:4>|Route: <sip:5>||");
        assert_eq!(after(3), "X: y|Route: <sip:4>|Route: <sip:5>||");
        assert_eq!(after(4), "X: y|Route: <sip:5>||");
        assert_eq!(after(5), "X: y||");
        assert_eq!(after(9), "X: y||");
    }
}
