//! Changes to the header of one branch's request, as a policy wants them: fields taken out, fields put in, Route
//! values put before the others (a phone's Path, RFC 3327).
//!
//! Written by a policy with its target ([`super::TargetSet::push_edited`]), kept with the branch as bytes, carried
//! out by `proxy::rewrite` whenever the request is sent, and its Route values by the CANCEL and ACK that go with it.
//! A request without edits pays one test for them.
//!
//! An edit is a line: `-Name`, `+Name: value`, `>value` (of Route) or `@uri` (shown as that of From).

use crate::message::{Field, HeaderName, Message, Writer};

/// The edits of one branch. Empty: the header leaves as it came, but for the rules of RFC 3261 §16.6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edits<'e>(&'e [u8]);

const REMOVE: u8 = b'-';
const ADD: u8 = b'+';
const ROUTE: u8 = b'>';
const FROM: u8 = b'@';
const END: &[u8] = b"\r\n";

impl<'e> Edits<'e> {
    /// What an [`EditWriter`] wrote.
    pub(crate) const fn new(lines: &'e [u8]) -> Self {
        Edits(lines)
    }

    /// As bytes, to be kept: a line each.
    pub const fn bytes(self) -> &'e [u8] {
        self.0
    }

    /// Whether nothing is changed.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether a field of a message is taken out.
    pub(crate) fn removes(self, message: &Message<'_>, field: &Field) -> bool {
        self.of(REMOVE).any(|name| {
            let known = HeaderName::of(name);
            known == field.name && (known != HeaderName::Other || name.eq_ignore_ascii_case(name_of(message, field)))
        })
    }

    /// Lines that are put in, without their CRLF.
    pub(crate) fn added(self) -> impl Iterator<Item = &'e [u8]> {
        self.of(ADD)
    }

    /// Values of Route that are put before all others, the topmost first.
    pub(crate) fn routes(self) -> impl Iterator<Item = &'e [u8]> {
        self.of(ROUTE)
    }

    /// The URI that others see in From in place of the caller's own.
    pub(crate) fn shown_from(self) -> Option<&'e [u8]> {
        if self.is_empty() { None } else { self.of(FROM).next() }
    }

    fn of(self, kind: u8) -> impl Iterator<Item = &'e [u8]> {
        let lines = self.0.split(|&octet| octet == b'\n').filter_map(|line| line.strip_suffix(b"\r"));
        lines.filter_map(move |line| line.split_first().filter(|(first, _)| **first == kind).map(|(_, rest)| rest))
    }
}

fn name_of<'m>(message: &Message<'m>, field: &Field) -> &'m [u8] {
    field.line.of(message.bytes()).get(..usize::from(field.name_len)).unwrap_or_default()
}

/// Writes edits. A name or value with a line break in it, or a field that the proxy's own rules own
/// ([`EditWriter::remove`]), makes the whole target fail: nobody outside can put lines into a request by what he sends.
#[derive(Debug)]
pub struct EditWriter<'w, 'o> {
    out: &'w mut Writer<'o>,
}

impl<'w, 'o> EditWriter<'w, 'o> {
    pub(super) fn new(out: &'w mut Writer<'o>) -> Self {
        EditWriter { out }
    }

    /// Takes out every field of this name, in its compact form too. Not of those by which the proxy and its
    /// neighbours find their way: Via, Route, Record-Route, Max-Forwards, From, To, Call-ID, CSeq, Content-Length.
    pub fn remove(&mut self, name: &[u8]) {
        if is_the_proxys(name) {
            return self.out.fail();
        }
        self.line(REMOVE, |out| out.put(name));
    }

    /// Puts in a field above all that came.
    pub fn add(&mut self, name: &[u8], value: impl FnOnce(&mut Writer<'o>)) {
        if is_the_proxys(name) {
            return self.out.fail();
        }
        self.line(ADD, |out| {
            out.put(name);
            out.put(b": ");
            value(out);
        });
    }

    /// Puts a field in place of all that came under its name.
    pub fn set(&mut self, name: &[u8], value: impl FnOnce(&mut Writer<'o>)) {
        self.remove(name);
        self.add(name, value);
    }

    /// Puts values of Route (one, or several with commas) before all others and after those of earlier calls.
    ///
    /// INVARIANT: the first has `lr`: the next hop is no strict router (RFC 3327 §5.1 wants it of a Path).
    pub fn route(&mut self, values: &[u8]) {
        self.line(ROUTE, |out| out.put(values));
    }

    /// Others see this URI in From; the caller goes on seeing its own, within the dialog that the request opens too.
    /// For requests outside any dialog that are forwarded statefully. No changes to From are possible otherwise.
    pub fn show_from(&mut self, uri: impl FnOnce(&mut Writer<'o>)) {
        self.line(FROM, uri);
    }

    /// What was to be changed cannot be: the whole target fails.
    pub fn fail(&mut self) {
        self.out.fail();
    }

    fn line(&mut self, kind: u8, write: impl FnOnce(&mut Writer<'o>)) {
        let start = self.out.len();
        self.out.byte(kind);
        write(self.out);
        let written = self.out.written().get(start..).unwrap_or_default();
        if written.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return self.out.fail();
        }
        self.out.put(END);
    }
}

fn is_the_proxys(name: &[u8]) -> bool {
    matches!(
        HeaderName::of(name),
        HeaderName::Via
            | HeaderName::Route
            | HeaderName::RecordRoute
            | HeaderName::MaxForwards
            | HeaderName::MaxBreadth
            | HeaderName::From
            | HeaderName::To
            | HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::ContentLength
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::message::Arena;
    use std::vec::Vec;

    fn edits(room: &mut [u8], write: impl FnOnce(&mut EditWriter<'_, '_>)) -> Option<Edits<'_>> {
        let mut out = Writer::new(room);
        write(&mut EditWriter::new(&mut out));
        let length = out.finish().ok()?;
        Some(Edits::new(&room[..length]))
    }

    #[test]
    fn each_kind_is_found_again() {
        let mut room = [0; 256];
        let edits = edits(&mut room, |edits| {
            edits.set(b"P-Asserted-Identity", |out| out.put(b"<sip:a@b.example>"));
            edits.route(b"<sip:edge.example;lr>");
            edits.remove(b"X-Secret");
            edits.show_from(|out| out.put(b"sip:a@b.example"));
            edits.route(b"<sip:inner.example;lr>");
        })
        .unwrap();
        assert_eq!(edits.added().collect::<Vec<_>>(), [b"P-Asserted-Identity: <sip:a@b.example>"]);
        assert_eq!(edits.routes().collect::<Vec<_>>(), [&b"<sip:edge.example;lr>"[..], b"<sip:inner.example;lr>"]);
        assert_eq!(edits.shown_from(), Some(&b"sip:a@b.example"[..]));
        let text =
            b"INVITE sip:a@b SIP/2.0\r\nSubject: x\r\nx-SECRET : y\r\nX-Secrets: z\r\np-asserted-identity: q\r\n\r\n";
        let mut arena = Arena::new();
        let message = Message::parse(text, &mut arena).unwrap();
        let removed: Vec<_> = message.fields().iter().map(|field| edits.removes(&message, field)).collect();
        assert_eq!(removed, [false, true, false, true]);
    }

    #[test]
    fn what_would_be_more_than_a_line_is_refused() {
        let mut room = [0; 64];
        for value in [&b"a\r\nVia: x"[..], b"a\nb", b"\r", b"\0"] {
            assert_eq!(edits(&mut room, |edits| edits.add(b"X", |out| out.put(value))), None);
            assert_eq!(edits(&mut room, |edits| edits.route(value)), None);
            assert_eq!(edits(&mut room, |edits| edits.remove(value)), None);
        }
        assert_eq!(edits(&mut room, |edits| edits.remove(b"v")), None, "the compact form of Via");
        assert_eq!(edits(&mut room, |edits| edits.add(b"CSeq", |out| out.put(b"1 BYE"))), None);
        assert_eq!(edits(&mut room, |edits| edits.add(b"X", |out| out.put(&[b'a'; 70]))), None, "no room");
        assert_eq!(edits(&mut room, |_| {}).unwrap(), Edits::default());
    }
}
