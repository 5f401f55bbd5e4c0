//! Requests inside a call: where they go and how they read (RFC 3261 §12).
//!
//! Both ends write the ACK and BYE from the message that made the dialog, so that nothing has to be
//! remembered of it but, for a BYE to come, its finished bytes.

use std::net::SocketAddr;

use proto::message::{HeaderName, Message, Uri, Writer};

/// Most Record-Route values that are followed.
const ROUTES_MAX: usize = 16;

/// Port of a SIP URI without one.
const DEFAULT_PORT: u16 = 5060;

/// Why a dialog cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPath {
    /// No Contact, or one that cannot be read.
    NoContact,
    /// A Record-Route that cannot be read, or too many.
    BadRoute,
    /// The next hop is a name; this generator asks no DNS.
    NotAnAddress,
}

/// Which end of the dialog we are: it decides the order of the route set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Caller: Record-Route of the answer, reversed (§12.1.2).
    Caller,
    /// Called: Record-Route of the request, in order (§12.1.1).
    Called,
}

/// Where requests of a dialog go.
#[derive(Debug)]
pub struct Path<'m> {
    request_uri: &'m [u8],
    routes: [&'m [u8]; ROUTES_MAX],
    route_count: usize,
    /// A strict router stands first: the remote target goes last into the Route (§12.2.1.1).
    last_route: Option<&'m [u8]>,
    /// First hop.
    pub next_hop: SocketAddr,
}

impl<'m> Path<'m> {
    /// Of the dialog that `message` (a 2xx for the caller, the INVITE for the called) makes.
    pub fn of(message: &Message<'m>, end: End) -> Result<Self, NoPath> {
        let mut routes: [&[u8]; ROUTES_MAX] = [b""; ROUTES_MAX];
        let mut first_hop: &[u8] = b"";
        let mut route_count = 0;
        for route in message.name_addrs(HeaderName::RecordRoute) {
            let route = route.map_err(|_| NoPath::BadRoute)?;
            let place = routes.get_mut(route_count).ok_or(NoPath::BadRoute)?;
            *place = route.value.of(message.bytes());
            if end == End::Caller || route_count == 0 {
                first_hop = route.uri;
            }
            route_count += 1;
        }
        if end == End::Caller
            && let Some(used) = routes.get_mut(..route_count)
        {
            used.reverse();
        }
        let target = message.name_addrs(HeaderName::Contact).next().and_then(Result::ok).ok_or(NoPath::NoContact)?.uri;
        if route_count == 0 {
            first_hop = target;
        }
        let hop = Uri::parse(first_hop).map_err(|_| NoPath::BadRoute)?;
        let ip = hop.host.ip().ok_or(NoPath::NotAnAddress)?;
        let next_hop = SocketAddr::new(ip, hop.port.unwrap_or(DEFAULT_PORT));
        if route_count == 0 || hop.has_lr() {
            return Ok(Path { request_uri: target, routes, route_count, last_route: None, next_hop });
        }
        routes.rotate_left(1);
        Ok(Path { request_uri: first_hop, routes, route_count: route_count - 1, last_route: Some(target), next_hop })
    }

    fn write_routes(&self, out: &mut Writer<'_>) {
        for route in self.routes.iter().take(self.route_count) {
            out.put(b"Route: ");
            out.put(route);
            out.put(b"\r\n");
        }
        if let Some(target) = self.last_route {
            out.put(b"Route: <");
            out.put(target);
            out.put(b">\r\n");
        }
    }
}

/// The parts of a request inside a dialog that are not the path.
#[derive(Clone, Copy, Debug)]
pub struct InDialog<'a> {
    /// `ACK` or `BYE`.
    pub method: &'static [u8],
    /// Our address, as the Via shows it.
    pub sent_by: &'a [u8],
    /// Branch of this request.
    pub branch: &'a [u8],
    /// From value of this request, with our tag.
    pub from: &'a [u8],
    /// To value of this request, with their tag.
    pub to: &'a [u8],
    /// Tag to append to the From value, where it does not have it yet.
    pub from_tag: Option<&'a [u8]>,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq number.
    pub cseq: u32,
}

impl InDialog<'_> {
    /// Writes the request.
    pub fn write(&self, path: &Path<'_>, out: &mut Writer<'_>) {
        out.put(self.method);
        out.byte(b' ');
        out.put(path.request_uri);
        out.put(b" SIP/2.0\r\nVia: SIP/2.0/UDP ");
        out.put(self.sent_by);
        out.put(b";branch=");
        out.put(self.branch);
        out.put(b";rport\r\n");
        path.write_routes(out);
        out.put(b"Max-Forwards: 70\r\nFrom: ");
        out.put(self.from);
        if let Some(tag) = self.from_tag {
            out.put(b";tag=");
            out.put(tag);
        }
        out.put(b"\r\nTo: ");
        out.put(self.to);
        out.put(b"\r\nCall-ID: ");
        out.put(self.call_id);
        out.put(b"\r\nCSeq: ");
        out.decimal(u64::from(self.cseq));
        out.byte(b' ');
        out.put(self.method);
        out.put(b"\r\nUser-Agent: tandem-bench\r\nContent-Length: 0\r\n\r\n");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proto::message::Arena;

    fn answer(lines: &str) -> String {
        format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKx\r\n{lines}\
             From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }

    fn bye(lines: &str, end: End) -> Result<(String, SocketAddr), NoPath> {
        let text = answer(lines);
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
        let path = Path::of(&message, end)?;
        let mut room = [0; 2048];
        let mut out = Writer::new(&mut room);
        InDialog {
            method: b"BYE",
            sent_by: b"127.0.0.1:5090",
            branch: b"z9hG4bKy",
            from: b"<sip:a@b>;tag=1",
            to: b"<sip:c@d>;tag=2",
            from_tag: None,
            call_id: b"x",
            cseq: 2,
        }
        .write(&path, &mut out);
        let length = out.finish().unwrap();
        let text = String::from_utf8(room[..length].to_vec()).unwrap();
        Ok((text, path.next_hop))
    }

    const CONTACT: &str = "Contact: <sip:g@127.0.0.9:5071>\r\n";

    #[test]
    fn without_routes_it_goes_to_the_contact() {
        let (text, hop) = bye(CONTACT, End::Caller).unwrap();
        assert!(text.starts_with("BYE sip:g@127.0.0.9:5071 SIP/2.0\r\nVia:"));
        assert!(!text.contains("Route:"));
        assert_eq!(hop.to_string(), "127.0.0.9:5071");
    }

    #[test]
    fn routes_are_reversed_for_the_caller_and_not_for_the_called() {
        let lines = format!(
            "Record-Route: <sip:127.0.0.1;lr>, <sip:127.0.0.2:5062;lr>\r\n\
             Record-Route: <sip:127.0.0.3:5063;lr>;x=\"1,2\"\r\n{CONTACT}"
        );
        let (text, hop) = bye(&lines, End::Caller).unwrap();
        assert!(text.contains(
            "Route: <sip:127.0.0.3:5063;lr>;x=\"1,2\"\r\nRoute: <sip:127.0.0.2:5062;lr>\r\n\
             Route: <sip:127.0.0.1;lr>\r\n"
        ));
        assert_eq!(hop.to_string(), "127.0.0.3:5063");
        let (text, hop) = bye(&lines, End::Called).unwrap();
        assert!(text.contains(
            "Route: <sip:127.0.0.1;lr>\r\nRoute: <sip:127.0.0.2:5062;lr>\r\n\
             Route: <sip:127.0.0.3:5063;lr>;x=\"1,2\"\r\n"
        ));
        assert_eq!(hop.to_string(), "127.0.0.1:5060");
    }

    #[test]
    fn a_strict_router_gets_the_target_as_the_last_route() {
        let lines = format!("Record-Route: <sip:127.0.0.2:5062;lr>\r\nRecord-Route: <sip:127.0.0.3>\r\n{CONTACT}");
        let (text, hop) = bye(&lines, End::Caller).unwrap();
        assert!(text.starts_with("BYE sip:127.0.0.3 SIP/2.0\r\n"));
        assert!(text.contains("rport\r\nRoute: <sip:127.0.0.2:5062;lr>\r\nRoute: <sip:g@127.0.0.9:5071>\r\nMax"));
        assert_eq!(hop.to_string(), "127.0.0.3:5060");
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        assert_eq!(bye("", End::Caller), Err(NoPath::NoContact));
        assert_eq!(bye("Contact: <sip:g@example.com>\r\n", End::Caller), Err(NoPath::NotAnAddress));
    }
}
