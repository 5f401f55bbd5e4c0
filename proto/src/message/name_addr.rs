//! `name-addr` and `addr-spec` with header parameters: From, To, Contact, Route, Record-Route, Path
//! (RFC 3261 §20.10, §25.1).

use super::arena::Field;
use super::error::{Fault, HeaderError};
use super::lex::{Cursor, DISPLAY_NAME, SCHEME, TOKEN};
use super::list::{Place, Values};
use super::marks::Delimiters;
use super::name::HeaderName;
use super::span::{Span, narrow};
use super::text::{ADDR_SPEC_TEXT, URI_TEXT};
use super::view::Message;

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
                return Some(parameter.value.of(self.params));
            }
        }
        None
    }
}

/// The same as offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameAddrParts {
    display: Span,
    uri: Span,
    params: Span,
    pub(super) tag: Span,
    bracketed: bool,
    pub(super) place: Place,
}

impl NameAddrParts {
    pub(super) fn of<'m>(&self, bytes: &'m [u8]) -> NameAddr<'m> {
        NameAddr {
            display: self.display.of(bytes),
            uri: self.uri.of(bytes),
            uri_span: self.uri,
            params: self.params.of(bytes),
            tag: self.tag.of(bytes),
            value: self.place.value,
            field: self.place.field,
            alone: self.place.alone,
            removal: self.place.removal,
            bracketed: self.bracketed,
        }
    }
}

/// All values of one such header.
pub(super) enum NameAddrs<'m> {
    /// Nearly always there is one or none.
    Sole(Option<&'m NameAddrParts>),
    Several(Values<'m>),
}

impl<'m> NameAddrs<'m> {
    #[inline]
    pub(super) fn new(message: &Message<'m>, name: HeaderName) -> NameAddrs<'m> {
        if message.first(name).is_none() {
            return NameAddrs::Sole(None);
        }
        match message.name_addr_parts(name) {
            Ok(only) if !message.is_repeated(name) => NameAddrs::Sole(Some(only)),
            _ => NameAddrs::Several(Values::new(message, name)),
        }
    }
}

impl Iterator for NameAddrs<'_> {
    type Item = Result<NameAddrParts, HeaderError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            NameAddrs::Sole(value) => value.take().map(|value| Ok(*value)),
            NameAddrs::Several(values) => values.next(read, |address, place| address.place = place),
        }
    }
}

/// Reads a header that has one value.
pub(super) fn only_name_addr(bytes: &[u8], field: &Field, position: usize) -> Result<NameAddrParts, HeaderError> {
    if let Some(address) = plain(bytes, field.value) {
        return Ok(NameAddrParts { place: Place::only(field, position), ..address });
    }
    let mut cursor = Cursor::new(bytes, field.value);
    let read = read(&mut cursor, field).and_then(|address| match cursor.at_end() {
        true => Ok(address),
        false => Err(Fault::Trailing),
    });
    match read {
        Ok(mut address) => {
            address.place = Place::only(field, position);
            Ok(address)
        }
        Err(fault) => Err(HeaderError { header: field.name, fault, offset: narrow(cursor.pos()) }),
    }
}

/// Reads a line with one value that is `start`, which begins with `<` and a scheme, so many token characters and `>`.
/// `None`: it is not that. The same property test holds it to [`read`].
#[inline]
pub(super) fn known_name_addr(
    bytes: &[u8],
    field: &Field,
    position: usize,
    start: &[u8],
    characters: usize,
) -> Option<NameAddrParts> {
    let rest = field.value.of(bytes).strip_prefix(start)?;
    let (token, bracket) = rest.split_at_checked(characters)?;
    if bracket != b">" || !TOKEN.has_all(token) {
        return None;
    }
    let Span { start, end } = field.value;
    Some(NameAddrParts {
        display: Span::at(start),
        // The value has two brackets at least.
        uri: Span { start: start.wrapping_add(1), end: end.wrapping_sub(1) },
        params: Span::at(end),
        tag: Span::default(),
        bracketed: true,
        place: Place::only(field, position),
    })
}

/// Reads a line with one value as nearly all are: a URI in angle brackets, before it nothing or a quoted string,
/// behind it parameters without white space or quotation marks. `None`: it is not like that, and is [`read`]'s
/// matter. A property test holds it to that.
#[inline]
fn plain(bytes: &[u8], value: Span) -> Option<NameAddrParts> {
    let (start, end) = (usize::from(value.start), usize::from(value.end));
    let mut delimiters = Delimiters::new(bytes, start, end);
    let mut display_end = start;
    if delimiters.octet() == b'"' {
        display_end = plain_quoted_string(&mut delimiters, start)?;
    }
    let uri_start = delimiters.at() + 1;
    if delimiters.octet() != b'<' || (display_end == start && delimiters.at() != start) {
        return None;
    }
    delimiters.advance();
    while matches!(delimiters.octet(), b';' | b'=' | b',' | b'?' | b'\\') {
        delimiters.advance();
    }
    let uri = Span::between(uri_start, delimiters.at());
    let after_uri = delimiters.at() + 1;
    if delimiters.octet() != b'>' || !has_scheme(uri.of(bytes)) {
        return None;
    }
    delimiters.advance();
    if delimiters.at() != after_uri {
        return None;
    }
    let (mut params, mut tag) = (Span::between(after_uri, after_uri), Span::default());
    while !delimiters.at_end() {
        let parameter = delimiters.parameter()?;
        params.end = parameter.span.end;
        match parameter.name {
            b"tag" if tag.is_empty() && !parameter.value.is_empty() => tag = parameter.value,
            // It may be a tag written otherwise.
            name if name.len() == b"tag".len() || !TOKEN.has_all(name) => return None,
            _ => {}
        }
    }
    let display = Span::between(start, display_end);
    Some(NameAddrParts { display, uri, params, tag, bracketed: true, place: Place::default() })
}

/// Goes from the quotation mark at `start` to the `<` behind the string, with at most one space between them; gives
/// the offset after the string.
#[inline(always)]
fn plain_quoted_string(delimiters: &mut Delimiters<'_>, start: usize) -> Option<usize> {
    if delimiters.at() != start {
        return None;
    }
    delimiters.advance();
    while matches!(delimiters.octet(), b' ' | b',' | b';' | b'<' | b'=' | b'>' | b'?') {
        delimiters.advance();
    }
    let after = delimiters.at() + 1;
    if delimiters.octet() != b'"' {
        return None;
    }
    delimiters.advance();
    let space = delimiters.octet() == b' ' && delimiters.at() == after;
    if space {
        delimiters.advance();
    }
    (delimiters.at() == after + usize::from(space)).then_some(after)
}

/// Reads one value; the cursor stops after its last octet.
fn read(cursor: &mut Cursor<'_>, field: &Field) -> Result<NameAddrParts, Fault> {
    let start = cursor.pos();
    if cursor.peek() == Some(b'*') && field.name == HeaderName::Contact && field.value.len() == 1 {
        cursor.advance();
        return finish(cursor, Span::between(start, start), Span::between(start, cursor.pos()), false);
    }
    let (display, bracketed) = display_name(cursor)?;
    let uri = if bracketed { bracketed_uri(cursor)? } else { addr_spec(cursor)? };
    finish(cursor, display, uri, bracketed)
}

/// Takes what stands before `<`. False: no `<` follows, and nothing is taken.
fn display_name(cursor: &mut Cursor<'_>) -> Result<(Span, bool), Fault> {
    let start = cursor.pos();
    if cursor.peek() == Some(b'<') {
        return Ok((Span::between(start, start), true));
    }
    if cursor.peek() == Some(b'"') {
        cursor.quoted_string()?;
        let display = Span::between(start, cursor.pos());
        cursor.skip_lws();
        return if cursor.peek() == Some(b'<') { Ok((display, true)) } else { Err(Fault::DisplayName) };
    }
    let display = cursor.run(DISPLAY_NAME).trim_ascii_end();
    if cursor.peek() == Some(b'<') {
        return Ok((Span::between(start, start + display.len()), true));
    }
    cursor.return_to(start);
    Ok((Span::between(start, start), false))
}

/// Takes `<URI>`.
fn bracketed_uri(cursor: &mut Cursor<'_>) -> Result<Span, Fault> {
    cursor.advance();
    let start = cursor.pos();
    let uri = cursor.text(URI_TEXT);
    let span = Span::between(start, cursor.pos());
    if cursor.eat(b'>') && has_scheme(uri) { Ok(span) } else { Err(Fault::Uri) }
}

/// Takes a URI without brackets: it ends before a semicolon or comma and must not hold a question
/// mark (RFC 3261 §20.10), because all three would belong to the header.
fn addr_spec(cursor: &mut Cursor<'_>) -> Result<Span, Fault> {
    let start = cursor.pos();
    let uri = cursor.text(ADDR_SPEC_TEXT);
    let span = Span::between(start, cursor.pos());
    if cursor.peek() != Some(b'?') && has_scheme(uri) { Ok(span) } else { Err(Fault::Uri) }
}

/// Whether it starts with a scheme and a colon, and something follows.
fn has_scheme(uri: &[u8]) -> bool {
    if let [b's', b'i', b'p', b':', _, ..] = uri {
        return true;
    }
    let Some(colon) = uri.iter().position(|&octet| !SCHEME.has(octet)) else { return false };
    uri.get(colon) == Some(&b':') && uri.len() > colon + 1 && uri.first().is_some_and(u8::is_ascii_alphabetic)
}

/// Takes the header parameters.
#[inline(always)]
fn finish(cursor: &mut Cursor<'_>, display: Span, uri: Span, bracketed: bool) -> Result<NameAddrParts, Fault> {
    let after_uri = cursor.pos();
    let mut params: Option<Span> = None;
    let mut tag: Option<Span> = None;
    while let Some(parameter) = cursor.parameter()? {
        params =
            Some(Span { start: params.map_or(parameter.span.start, |params| params.start), end: parameter.span.end });
        if parameter.name.len() == b"tag".len() && parameter.name.eq_ignore_ascii_case(b"tag") {
            if !parameter.has_value {
                return Err(Fault::Parameter);
            }
            if tag.replace(parameter.value).is_some() {
                return Err(Fault::RepeatedParameter);
            }
        }
    }
    Ok(NameAddrParts {
        display,
        uri,
        params: params.unwrap_or(Span::between(after_uri, after_uri)),
        tag: tag.unwrap_or_default(),
        bracketed,
        place: Place::default(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::message::Arena;
    use proptest::prelude::*;
    use std::format;

    fn with<T>(headers: &str, check: impl FnOnce(&Message<'_>) -> T) -> T {
        let text = format!("OPTIONS sip:a@b.example SIP/2.0\r\n{headers}\r\n\r\n");
        let mut arena = Arena::new();
        check(&Message::parse(text.as_bytes(), &mut arena).unwrap())
    }

    fn fault(value: &str) -> Fault {
        with(&format!("From: {value}"), |message| message.from().unwrap_err().fault)
    }

    proptest! {
        /// What is read as plain is read so by the reader of everything.
        #[test]
        fn plain_agrees_with_any(
            display in "(\"[a-z ,;<>?=é]{0,6}(\\\\.)?\"( |  |)|Alice |)",
            uri in "(<|<|<| )(sip:|tel:|s|)[a-z0-9@:;=,?\\\\ ]{0,20}(>|>|>|)",
            parameters in "(((;|; | ;)(tag|Tag|x|tagged|q|)(=([a-z0-9=?]{0,9}|\"a\")|))|,| ){0,3}",
            before in "[ -~]{0,3}",
            behind in "(\r\n[ -~]{0,40})?",
        ) {
            let text = format!("{before}{display}{uri}{parameters}{behind}");
            let value = Span::between(before.len(), text.len() - behind.len());
            if let Some(plain) = plain(text.as_bytes(), value) {
                let field = Field { name: HeaderName::From, name_len: 0, line: value, value };
                let mut cursor = Cursor::new(text.as_bytes(), value);
                prop_assert_eq!(read(&mut cursor, &field), Ok(plain));
                prop_assert!(cursor.at_end());
            }
        }

        /// What is recognised is read so by the reader of everything.
        #[test]
        fn known_agrees_with_any(
            start in "<sip:[a-z0-9@:;=,?]{0,12}",
            token in "[A-Za-z0-9_-]{3,5}|[ -~]{4}",
            behind in ">|>;x|> |",
        ) {
            let text = format!("{start}{token}{behind}");
            let value = Span::between(0, text.len());
            let field = Field { name: HeaderName::Route, name_len: 0, line: value, value };
            if let Some(known) = known_name_addr(text.as_bytes(), &field, 0, start.as_bytes(), 4) {
                let mut cursor = Cursor::new(text.as_bytes(), value);
                let read = read(&mut cursor, &field).map(|parts| NameAddrParts { place: known.place, ..parts });
                prop_assert_eq!(read, Ok(known));
                prop_assert!(cursor.at_end());
            }
        }
    }

    #[test]
    fn usual_ones_are_plain() {
        for text in [
            "<sip:15551230001@192.0.2.10:5060>",
            "\"Alice B\" <sip:a@192.0.2.10>;tag=a1",
            "\"+4420\"<sip:a@b;user=phone>;x;tag=a1",
            "<sip:192.0.2.1:5060;lr;tt=abc_-012>",
        ] {
            assert!(plain(text.as_bytes(), Span::between(0, text.len())).is_some(), "{text}");
        }
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
}
