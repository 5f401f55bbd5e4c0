//! Via values (RFC 3261 §20.42, RFC 3581, RFC 5118).

use super::arena::Field;
use super::error::{Fault, HeaderError};
use super::host::{Host, HostPart, take_host};
use super::lex::{Cursor, DIGIT, LWS, Parameter, TOKEN, decimal};
use super::list::{Place, Values};
use super::name::HeaderName;
use super::span::Span;
use super::transport::Transport;
use super::view::Message;

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
#[derive(Clone, Copy, Debug)]
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
    place: Place,
}

impl ViaParts {
    pub(super) fn of(self, bytes: &[u8]) -> Via<'_> {
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
pub(super) struct Vias<'m>(Values<'m>);

impl<'m> Vias<'m> {
    pub(super) fn new(message: &Message<'m>) -> Vias<'m> {
        Vias(Values::new(message, HeaderName::Via))
    }
}

impl Iterator for Vias<'_> {
    type Item = Result<ViaParts, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(read, |via, place| via.place = place)
    }
}

/// Reads one value; the cursor stops after its last octet.
fn read(cursor: &mut Cursor<'_>, _: &Field) -> Result<ViaParts, Fault> {
    let transport = sent_protocol(cursor)?;
    let host_start = cursor.pos();
    let host = Host::parse(take_host(cursor)).ok_or(Fault::Host)?;
    let host_span = Span::between(host_start, cursor.pos());
    let mut via = ViaParts {
        transport,
        host: HostPart::new(host, host_span),
        host_span,
        port: port(cursor)?,
        branch: Span::at(0),
        received: None,
        rport: Rport::Absent,
        maddr: None,
        rport_span: Span::at(0),
        received_span: Span::at(0),
        place: Place::default(),
    };
    let mut seen = 0u8;
    while let Some(parameter) = cursor.parameter()? {
        take_parameter(&mut via, &parameter, &mut seen)?;
    }
    let end = Span::between(cursor.pos(), cursor.pos());
    if via.rport == Rport::Absent {
        via.rport_span = end;
    }
    if via.received_span.is_empty() {
        via.received_span = end;
    }
    Ok(via)
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
    cursor.skip_lws();
    if !cursor.eat(b':') {
        cursor.return_to(before);
        return Ok(None);
    }
    cursor.skip_lws();
    port_number(cursor.run(DIGIT)).map(Some).ok_or(Fault::Port)
}

/// 1 to 65,535.
pub(super) fn port_number(digits: &[u8]) -> Option<u16> {
    decimal(digits).and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0)
}

fn take_parameter(via: &mut ViaParts, parameter: &Parameter<'_>, seen: &mut u8) -> Result<(), Fault> {
    const BRANCH: u8 = 1;
    const RECEIVED: u8 = 2;
    const RPORT: u8 = 4;
    const MADDR: u8 = 8;
    let bit = match parameter.name.len() {
        6 if parameter.name == b"branch" || parameter.name.eq_ignore_ascii_case(b"branch") => BRANCH,
        8 if parameter.name.eq_ignore_ascii_case(b"received") => RECEIVED,
        5 if parameter.name == b"rport" || parameter.name.eq_ignore_ascii_case(b"rport") => RPORT,
        5 if parameter.name.eq_ignore_ascii_case(b"maddr") => MADDR,
        _ => return Ok(()),
    };
    if *seen & bit != 0 {
        return Err(Fault::RepeatedParameter);
    }
    *seen |= bit;
    match bit {
        BRANCH if parameter.value.is_none() => return Err(Fault::Parameter),
        BRANCH => via.branch = parameter.value_span,
        RECEIVED => {
            via.received = host_value(parameter);
            via.received_span = parameter.span;
        }
        RPORT => {
            via.rport = match parameter.value {
                None => Rport::Empty,
                Some(digits) => Rport::Port(port_number(digits).ok_or(Fault::Port)?),
            };
            via.rport_span = parameter.span;
        }
        _ => via.maddr = host_value(parameter),
    }
    Ok(())
}

/// A parameter's value as a host, if it is one.
fn host_value(parameter: &Parameter<'_>) -> Option<HostPart> {
    let host = Host::parse_loosely(parameter.value?)?;
    Some(HostPart::new(host, parameter.value_span))
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
