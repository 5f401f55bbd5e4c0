//! Via values (RFC 3261 §20.42, RFC 3581, RFC 5118).

use super::arena::Field;
use super::error::{Fault, HeaderError};
use super::host::{Host, HostPart, leading_ipv4, take_host};
use super::lex::{Cursor, LWS, Parameter, TOKEN, decimal};
use super::list::{Place, Values};
use super::marks::Delimiters;
use super::name::HeaderName;
use super::span::Span;
use super::transport::Transport;
use super::view::{Message, absent};
use alloc::vec::Vec;

/// One Via value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'m> {
    /// The transport it says the message was sent over.
    pub transport: Transport,
    /// The host of sent-by.
    pub host: Host<'m>,
    /// Its octets, brackets included.
    pub host_bytes: &'m [u8],
    /// The port of sent-by, if it has one.
    pub port: Option<u16>,
    /// The branch; empty if there is none (RFC 2543).
    pub branch: &'m [u8],
    /// `received`, if it is there and readable.
    pub received: Option<Host<'m>>,
    /// `rport`.
    pub rport: Rport,
    /// `maddr`, if it is there and readable.
    pub maddr: Option<Host<'m>>,
    /// This one value, without commas.
    pub value: Span,
    /// Index of its line in [`Message::fields`].
    pub field: u8,
    /// Whether it is the only value of its line.
    pub alone: bool,
    /// `;rport` or `;rport=5060`; the empty range at the value's end if there is none.
    pub rport_span: Span,
    /// `;received=...`; the empty range at the value's end if there is none.
    pub received_span: Span,
    /// What to cut to take this value off: its whole line if it is alone, else it and one comma.
    pub removal: Span,
}

/// The `rport` parameter (RFC 3581 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rport {
    /// Not there.
    Absent,
    /// There without a value: the sender asks for it.
    Empty,
    /// Filled in.
    Port(u16),
}

impl Via<'_> {
    /// The port of sent-by, or the transport's default.
    pub fn sent_by_port(&self) -> u16 {
        self.port.unwrap_or(self.transport.default_port())
    }

    /// Whether the branch starts with RFC 3261's magic cookie, in any case (§8.1.1.7).
    pub fn has_cookie(&self) -> bool {
        self.branch.get(..BRANCH_COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(BRANCH_COOKIE))
    }
}

/// What RFC 3261's branches start with.
pub const BRANCH_COOKIE: &[u8] = b"z9hG4bK";

/// A Via value as offsets; the fields are [`Via`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ViaParts {
    transport: Transport,
    host: HostPart,
    host_span: Span,
    port: Option<u16>,
    branch: Span,
    received: Option<HostPart>,
    rport: Rport,
    maddr: Option<HostPart>,
    rport_span: Span,
    received_span: Span,
    pub(super) place: Place,
}

impl ViaParts {
    /// Before anything is read.
    const BLANK: ViaParts = ViaParts {
        transport: Transport::Udp,
        host: HostPart::Name(Span { start: 0, end: 0 }),
        host_span: Span { start: 0, end: 0 },
        port: None,
        branch: Span { start: 0, end: 0 },
        received: None,
        rport: Rport::Absent,
        maddr: None,
        rport_span: Span { start: 0, end: 0 },
        received_span: Span { start: 0, end: 0 },
        place: Place { value: Span { start: 0, end: 0 }, field: 0, alone: false, removal: Span { start: 0, end: 0 } },
    };

    #[inline(always)]
    pub(super) fn of<'m>(&self, bytes: &'m [u8]) -> Via<'m> {
        Via {
            transport: self.transport,
            host: self.host.of(bytes),
            host_bytes: self.host_span.of(bytes),
            port: self.port,
            branch: self.branch.of(bytes),
            received: self.received.map(|host| host.of(bytes)),
            rport: self.rport,
            maddr: self.maddr.map(|host| host.of(bytes)),
            value: self.place.value,
            field: self.place.field,
            alone: self.place.alone,
            rport_span: self.rport_span,
            received_span: self.received_span,
            removal: self.place.removal,
        }
    }
}

/// All Via values of a message.
pub(super) enum Vias<'m> {
    /// In requests that come straight from a caller there is one, and it was read before.
    Sole(Option<&'m ViaParts>),
    Several(Values<'m>),
}

impl<'m> Vias<'m> {
    #[inline]
    pub(super) fn new(message: &Message<'m>) -> Vias<'m> {
        match message.memo().top_via.get() {
            Some(top) if top.place.alone && !message.is_repeated(HeaderName::Via) => Vias::Sole(Some(top)),
            _ => Vias::Several(Values::new(message, HeaderName::Via)),
        }
    }
}

/// Reads the topmost value.
pub(super) fn top_via(message: &Message<'_>) -> Result<ViaParts, HeaderError> {
    let position = message.first(HeaderName::Via).ok_or(absent(HeaderName::Via))?;
    let field = message.fields().get(position).ok_or(absent(HeaderName::Via))?;
    // Nearly always one line with one value.
    if let Some(via) = plain(message.bytes(), field.value) {
        return Ok(ViaParts { place: Place::only(field, position), ..via });
    }
    Vias::new(message).next().unwrap_or(Err(absent(HeaderName::Via)))
}

/// Reads every value; how many there are, one more than may be if there are more than that.
pub(super) fn count_vias(message: &Message<'_>) -> Result<usize, HeaderError> {
    let known = message.memo().top_via.get().filter(|top| top.place.alone).map(|top| usize::from(top.place.field));
    let mut count = 0;
    for (position, field) in message.fields().iter().enumerate() {
        if field.name != HeaderName::Via {
            continue;
        }
        if known != Some(position) {
            // Nearly always one value to a line.
            if plain(message.bytes(), field.value).is_none() {
                return Vias::new(message)
                    .take(limits::VIA_COUNT_MAX + 1)
                    .try_fold(0, |count, via| via.map(|_| count + 1));
            }
        }
        count += 1;
    }
    Ok(count)
}

impl Iterator for Vias<'_> {
    type Item = Result<ViaParts, HeaderError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let values = match self {
            Vias::Sole(value) => return value.take().map(|value| Ok(*value)),
            Vias::Several(values) => values,
        };
        if let Some(known) = values.known(|memo| memo.top_via.get().copied(), |via| via.place) {
            return Some(Ok(known));
        }
        values.next(read, |via, place| via.place = place)
    }
}

/// Reads a line with one value as nearly all are: UDP, an IPv4 address, parameters without white space or quotation
/// marks. `None`: it is not like that, and is [`read`]'s matter. A property test holds it to that.
fn plain(bytes: &[u8], value: Span) -> Option<ViaParts> {
    const PROTOCOL: &[u8] = b"SIP/2.0/UDP ";
    let end = usize::from(value.end);
    let rest = value.of(bytes).strip_prefix(PROTOCOL)?;
    let (address, host_len) = leading_ipv4(rest)?;
    let host_start = usize::from(value.start) + PROTOCOL.len();
    let host_end = host_start + host_len;
    let (mut port, mut after) = (None, host_end);
    if rest.get(host_len) == Some(&b':') {
        let (number, digits) = leading_port(rest.get(host_len + 1..)?)?;
        (port, after) = (Some(number), host_end + 1 + digits);
    }
    let delimiters = Delimiters::new(bytes, after, end);
    if delimiters.at() != after {
        return None;
    }
    let via = ViaParts {
        host: HostPart::V4(address),
        host_span: Span::between(host_start, host_end),
        port,
        ..ViaParts::BLANK
    };
    plain_parameters(bytes, value, delimiters, via)
}

/// Goes on from a delimiter behind sent-by, or behind the branch, to the end of the value.
#[inline(always)]
fn plain_parameters(bytes: &[u8], value: Span, mut delimiters: Delimiters<'_>, before: ViaParts) -> Option<ViaParts> {
    let (mut branch, mut received, mut rport) = (before.branch, None, Rport::Absent);
    let (mut received_span, mut rport_span) = (Span::at(value.end), Span::at(value.end));
    while !delimiters.at_end() {
        let parameter = delimiters.parameter()?;
        match parameter.name {
            b"branch" if branch.is_empty() && !parameter.value.is_empty() => branch = parameter.value,
            b"rport" if rport == Rport::Absent => {
                rport = match parameter.value.of(bytes) {
                    [] => Rport::Empty,
                    digits => Rport::Port(leading_port(digits).filter(|(_, length)| *length == digits.len())?.0),
                };
                rport_span = parameter.span;
            }
            b"received" if received_span.is_empty() => {
                let text = parameter.value.of(bytes);
                let (address, _) = leading_ipv4(text).filter(|(_, length)| *length == text.len())?;
                received = Some(HostPart::V4(address));
                received_span = parameter.span;
            }
            // Of these lengths are the parameters that mean something, in any case.
            name if matches!(name.len(), 5 | 6 | 8) || !TOKEN.has_all(name) => return None,
            _ => {}
        }
    }
    Some(ViaParts { branch, received, rport, rport_span, received_span, ..before })
}

/// What the Via values of one sender start with, up to the middle of the branch: read once.
#[derive(Clone, Debug)]
pub struct KnownVia {
    text: Vec<u8>,
    parts: ViaParts,
}

impl KnownVia {
    /// `start` ends in the branch, which is the only parameter. `None`: it is over another transport than UDP, or its
    /// host is no IPv4 address.
    pub fn new(start: &[u8]) -> Option<KnownVia> {
        let whole = Span::between(0, start.len());
        let parts = plain(start, whole).filter(|parts| usize::from(parts.branch.end) == start.len())?;
        Some(KnownVia { text: start.to_vec(), parts })
    }

    /// Reads a value that starts so; `None`: it does not, or is not plain.
    #[inline]
    fn read(&self, bytes: &[u8], value: Span) -> Option<ViaParts> {
        if !value.of(bytes).starts_with(&self.text) {
            return None;
        }
        let start = usize::from(value.start);
        let shifted = |offset: u16| start + usize::from(offset);
        let delimiters = Delimiters::new(bytes, start + self.text.len(), usize::from(value.end));
        let branch = Span::between(shifted(self.parts.branch.start), delimiters.at());
        let host_span = Span::between(shifted(self.parts.host_span.start), shifted(self.parts.host_span.end));
        plain_parameters(bytes, value, delimiters, ViaParts { branch, host_span, ..self.parts })
    }
}

/// Reads the topmost value, if it starts as one that is known.
#[inline]
pub(super) fn known_top_via(message: &Message<'_>, known: &KnownVia) -> Option<ViaParts> {
    let position = message.first(HeaderName::Via)?;
    let field = message.fields().get(position)?;
    let via = known.read(message.bytes(), field.value)?;
    Some(ViaParts { place: Place::only(field, position), ..via })
}

/// Reads one value; the cursor stops after its last octet.
fn read(cursor: &mut Cursor<'_>, _: &Field) -> Result<ViaParts, Fault> {
    let mut via = ViaParts::BLANK;
    read_into(&mut via, cursor).map(|()| via)
}

/// The same, written where it is wanted: it is a hundred octets.
fn read_into(via: &mut ViaParts, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    via.transport = sent_protocol(cursor)?;
    let host_start = cursor.pos();
    let host = take_host(cursor).ok_or(Fault::Host)?;
    via.host_span = Span::between(host_start, cursor.pos());
    via.host = HostPart::new(host, via.host_span);
    via.port = port(cursor)?;
    let mut seen = 0u8;
    while let Some(parameter) = cursor.parameter()? {
        take_parameter(via, cursor, &parameter, &mut seen)?;
    }
    let end = Span::between(cursor.pos(), cursor.pos());
    if via.rport == Rport::Absent {
        via.rport_span = end;
    }
    if via.received_span.is_empty() {
        via.received_span = end;
    }
    Ok(())
}

/// `SIP / 2.0 / UDP` and the white space after it. Name and version may be any token: who answers 505
/// must still read where to.
fn sent_protocol(cursor: &mut Cursor<'_>) -> Result<Transport, Fault> {
    if cursor.eat_exactly(b"SIP/2.0/UDP ") {
        cursor.skip_lws();
        return Ok(Transport::Udp);
    }
    for _ in 0..2 {
        if cursor.run(TOKEN).is_empty() {
            return Err(Fault::Protocol);
        }
        cursor.skip_lws();
        if !cursor.eat(b'/') {
            return Err(Fault::Protocol);
        }
        cursor.skip_lws();
    }
    let transport = cursor.run(TOKEN);
    if transport.is_empty() || cursor.run(LWS).is_empty() {
        return Err(Fault::Protocol);
    }
    Ok(Transport::of(transport))
}

/// `[COLON port]` of a sent-by.
fn port(cursor: &mut Cursor<'_>) -> Result<Option<u16>, Fault> {
    let before = cursor.pos();
    if cursor.peek() == Some(b';') {
        return Ok(None);
    }
    cursor.skip_lws();
    if !cursor.eat(b':') {
        cursor.return_to(before);
        return Ok(None);
    }
    cursor.skip_lws();
    let (port, length) = leading_port(cursor.rest()).ok_or(Fault::Port)?;
    cursor.take(length);
    Ok(Some(port))
}

/// The port that `octets` begin with, 1 to 65,535, and how many digits it has.
#[inline]
pub(super) fn leading_port(octets: &[u8]) -> Option<(u16, usize)> {
    let mut port = 0u32;
    let mut length = 0;
    while let Some(digit) = octets.get(length).map(|octet| octet.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        port = port.wrapping_mul(10).wrapping_add(u32::from(digit));
        length += 1;
        // Leading zeros are no fault; what is above 65,535 stays above it.
        if port > u32::from(u16::MAX) {
            return None;
        }
    }
    u16::try_from(port).ok().filter(|&port| port != 0).map(|port| (port, length))
}

/// 1 to 65,535.
fn port_number(digits: &[u8]) -> Option<u16> {
    decimal(digits).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0)
}

#[inline(always)]
fn take_parameter(
    via: &mut ViaParts,
    cursor: &Cursor<'_>,
    parameter: &Parameter<'_>,
    seen: &mut u8,
) -> Result<(), Fault> {
    const BRANCH: u8 = 1;
    const RECEIVED: u8 = 2;
    const RPORT: u8 = 4;
    const MADDR: u8 = 8;
    let is = |name: &[u8]| parameter.name == name || parameter.name.eq_ignore_ascii_case(name);
    let bit = match parameter.name.len() {
        6 if is(b"branch") => BRANCH,
        8 if is(b"received") => RECEIVED,
        5 if is(b"rport") => RPORT,
        5 if is(b"maddr") => MADDR,
        _ => return Ok(()),
    };
    if *seen & bit != 0 {
        return Err(Fault::RepeatedParameter);
    }
    *seen |= bit;
    match bit {
        BRANCH if !parameter.has_value => return Err(Fault::Parameter),
        BRANCH => via.branch = parameter.value,
        RECEIVED => {
            via.received = host_value(cursor, parameter);
            via.received_span = parameter.span;
        }
        RPORT => {
            via.rport = match parameter.has_value {
                false => Rport::Empty,
                true => Rport::Port(port_number(cursor.octets(parameter.value)).ok_or(Fault::Port)?),
            };
            via.rport_span = parameter.span;
        }
        _ => via.maddr = host_value(cursor, parameter),
    }
    Ok(())
}

/// A parameter's value as a host, if it is one.
fn host_value(cursor: &Cursor<'_>, parameter: &Parameter<'_>) -> Option<HostPart> {
    let host = Host::parse_loosely(cursor.octets(parameter.value))?;
    Some(HostPart::new(host, parameter.value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::message::Arena;
    use proptest::prelude::*;
    use std::format;
    use std::vec::Vec;

    fn with<T>(headers: &str, check: impl FnOnce(&Message<'_>) -> T) -> T {
        let text = format!("OPTIONS sip:a@b.example SIP/2.0\r\n{headers}\r\n\r\n");
        let mut arena = Arena::new();
        check(&Message::parse(text.as_bytes(), &mut arena).unwrap())
    }

    fn fault(value: &str) -> Fault {
        with(&format!("Via: {value}"), |message| message.vias().find_map(Result::err).unwrap().fault)
    }

    #[test]
    fn every_part_is_found_with_its_place() {
        with(
            "v: SIP/2.0/UDP 192.0.2.1:5070;rport=5071 ; received=192.0.2.9;branch=z9hG4bKx;maddr=m.example;ttl=1;z",
            |message| {
                let via = message.top_via().unwrap();
                assert_eq!(via.transport, Transport::Udp);
                assert_eq!((via.host_bytes, via.port), (&b"192.0.2.1"[..], Some(5070)));
                assert_eq!(via.branch, b"z9hG4bKx");
                assert!(via.has_cookie() && via.alone);
                assert_eq!(via.rport, Rport::Port(5071));
                assert_eq!(via.rport_span.of(message.bytes()), b";rport=5071");
                assert_eq!(via.received_span.of(message.bytes()), b"; received=192.0.2.9");
                assert_eq!(via.received, Host::parse(b"192.0.2.9"));
                assert_eq!(via.maddr, Some(Host::Name(b"m.example")));
                assert_eq!(via.removal, message.fields()[0].line);
            },
        );
    }

    proptest! {
        /// What is read as plain is read so by the reader of everything.
        #[test]
        fn plain_agrees_with_any(
            host in "SIP/2.0/UDP (192\\.0\\.2\\.[0-9]{1,3}|h\\.example|1\\.2\\.3)(:[0-9]{1,5}|:|)",
            parameters in "(;|; | ;)?((branch|Branch|rport|received|maddr|ttl|alias|x)(=(z9hG4bK[a-z=?]{0,9}|192\\.0\\.2\\.[0-9]|[0-9]{1,5}|\"a;b\"|)|)(;|;|;| ;|,)){0,5}[a-z]{0,3}",
            before in "[ -~]{0,3}",
            behind in "(\r\n[ -~]{0,40})?",
        ) {
            let text = format!("{before}{host}{parameters}{behind}");
            let value = Span::between(before.len(), before.len() + host.len() + parameters.len());
            if let Some(plain) = plain(text.as_bytes(), value) {
                let mut cursor = Cursor::new(text.as_bytes(), value);
                let mut any = ViaParts::BLANK;
                prop_assert_eq!(read_into(&mut any, &mut cursor), Ok(()));
                prop_assert!(cursor.at_end());
                prop_assert_eq!(plain, any);
            }
        }
    }

    #[test]
    fn usual_ones_are_plain() {
        for text in [
            "SIP/2.0/UDP 192.0.2.1",
            "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-524287-1---3f9c2a7be1d04f58;rport",
            "SIP/2.0/UDP 192.0.2.10:5060;rport=5060;received=192.0.2.10;branch=z9hG4bK-1;i=a;alias=b",
        ] {
            let is_plain = plain(text.as_bytes(), Span::between(0, text.len())).is_some();
            assert_eq!(is_plain, !text.contains("alias"), "{text}");
        }
    }

    #[test]
    fn parameters_to_add_have_a_place() {
        with("Via: SIP/2.0/TLS h.example;branch=1 \r\n , SIP/2.0/UDP i", |message| {
            let via = message.top_via().unwrap();
            assert_eq!((via.rport, via.received), (Rport::Absent, None));
            assert_eq!(via.rport_span, Span::at(via.value.end));
            assert_eq!(via.received_span, Span::at(via.value.end));
            assert_eq!(via.value.of(message.bytes()), b"SIP/2.0/TLS h.example;branch=1");
            assert_eq!(via.removal.of(message.bytes()), b"SIP/2.0/TLS h.example;branch=1 \r\n , ");
            assert_eq!(via.sent_by_port(), 5061);
            assert!(!via.has_cookie());
        });
        with("Via: SIP/2.0/UDP h;rport;branch=1", |message| {
            let via = message.top_via().unwrap();
            assert_eq!((via.rport, via.rport_span.of(message.bytes())), (Rport::Empty, &b";rport"[..]));
        });
    }

    #[test]
    fn values_over_lines_and_commas() {
        with("Via: SIP/2.0/UDP a;x=\"1,2\", SIP/2.0/TCP b\r\nFrom: <sip:c>\r\nVia: SIP/2.0/WSS [::1]:1", |message| {
            let vias: Vec<_> = message.vias().map(Result::unwrap).collect();
            let said: Vec<_> = vias.iter().map(|via| (via.host_bytes, via.field, via.alone)).collect();
            assert_eq!(said, [(&b"a"[..], 0, false), (b"b", 0, false), (b"[::1]", 2, true)]);
            assert_eq!(vias[1].removal.of(message.bytes()), b", SIP/2.0/TCP b");
            assert_eq!(vias[2].transport, Transport::Wss);
        });
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(fault(""), Fault::Protocol);
        assert_eq!(fault("SIP/2.0 a"), Fault::Protocol);
        assert_eq!(fault("SIP/2.0/UDP"), Fault::Protocol);
        assert_eq!(fault("SIP/2.0/UDP ;branch=1"), Fault::Host);
        assert_eq!(fault("SIP/2.0/UDP 2001:db8::1"), Fault::Host);
        assert_eq!(fault("SIP/2.0/UDP a:65536"), Fault::Port);
        assert_eq!(fault("SIP/2.0/UDP a:0"), Fault::Port);
        assert_eq!(fault("SIP/2.0/UDP a:"), Fault::Port);
        assert_eq!(fault("SIP/2.0/UDP a:4294967301"), Fault::Port);
        assert_eq!(fault("SIP/2.0/UDP a;rport=x"), Fault::Port);
        assert_eq!(fault("SIP/2.0/UDP a;branch="), Fault::Parameter);
        assert_eq!(fault("SIP/2.0/UDP a;branch"), Fault::Parameter);
        assert_eq!(fault("SIP/2.0/UDP a;"), Fault::Parameter);
        assert_eq!(fault("SIP/2.0/UDP a;branch=1;branch=2"), Fault::RepeatedParameter);
        assert_eq!(fault("SIP/2.0/UDP a;x=\"1"), Fault::QuotedString);
        assert_eq!(fault("SIP/2.0/UDP a b"), Fault::Trailing);
        assert_eq!(fault("SIP/2.0/UDP a,"), Fault::Empty);
        assert_eq!(fault("SIP/2.0/UDP a,,SIP/2.0/UDP b"), Fault::Protocol);
    }

    #[test]
    fn the_walk_ends_after_an_error() {
        with("Via: SIP/2.0/UDP a;, SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c", |message| {
            assert_eq!(message.vias().count(), 1);
        });
    }
}
