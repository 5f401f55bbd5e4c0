//! RADIUS accounting (RFC 2866) with the attributes of Kamailio's `acc_radius`: Start when a call is answered, Interim-Update
//! each hour, Stop when it ends, Failed for one that nobody answered. Attempts are not told of.
//!
//! A request is repeated, then put to the next server; it counts as delivered when one has answered. Acct-Session-Id is
//! the key of the call at its node, so that a repeated request can be told from another call.

use super::{Parcel, Receiver};
use md5::{Digest, Md5};
use serde_json::Value;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

/// How long a server has to answer, and how often it is asked.
const WAIT: Duration = Duration::from_secs(1);
const TRIES: u32 = 3;

/// Longest packet (RFC 2866 §3).
const PACKET_BYTES_MAX: usize = 4_096;

const ACCOUNTING_REQUEST: u8 = 4;
const ACCOUNTING_RESPONSE: u8 = 5;

/// Values of Acct-Status-Type (RFC 2866 §5.1); 15 is Kamailio's.
const START: u32 = 1;
const STOP: u32 = 2;
const INTERIM: u32 = 3;
const FAILED: u32 = 15;

/// Service-Type Sip-Session.
const SIP_SESSION: u32 = 15;

/// Sip-Method INVITE and BYE.
const INVITE: u32 = 1;
const BYE: u32 = 8;

/// Numbers of attributes.
mod attribute {
    pub(super) const USER_NAME: u8 = 1;
    pub(super) const NAS_IP_ADDRESS: u8 = 4;
    pub(super) const SERVICE_TYPE: u8 = 6;
    pub(super) const CALLED_STATION_ID: u8 = 30;
    pub(super) const CALLING_STATION_ID: u8 = 31;
    pub(super) const NAS_IDENTIFIER: u8 = 32;
    pub(super) const ACCT_STATUS_TYPE: u8 = 40;
    pub(super) const ACCT_DELAY_TIME: u8 = 41;
    pub(super) const ACCT_SESSION_ID: u8 = 44;
    pub(super) const ACCT_SESSION_TIME: u8 = 46;
    pub(super) const ACCT_MULTI_SESSION_ID: u8 = 50;
    pub(super) const EVENT_TIMESTAMP: u8 = 55;
    pub(super) const NAS_IPV6_ADDRESS: u8 = 95;
    pub(super) const SIP_METHOD: u8 = 101;
    pub(super) const SIP_RESPONSE_CODE: u8 = 102;
    pub(super) const SIP_TO_TAG: u8 = 104;
    pub(super) const SIP_FROM_TAG: u8 = 105;
    pub(super) const SIP_TRANSLATED_REQUEST_URI: u8 = 107;
}

/// See the module.
pub struct Radius {
    servers: Vec<String>,
    secret: Vec<u8>,
    identifier: u8,
}

impl Radius {
    /// `servers`: `host:port`, in the order in which they are asked.
    pub fn new(servers: &[String], secret: &str) -> Self {
        Radius { servers: servers.to_vec(), secret: secret.as_bytes().to_vec(), identifier: 0 }
    }

    fn account(&mut self, parcel: &Parcel) -> Result<(), String> {
        let Some(attributes) = attributes(parcel) else { return Ok(()) };
        let mut why = "no server".to_owned();
        for server in &self.servers {
            self.identifier = self.identifier.wrapping_add(1);
            let request = request(self.identifier, &attributes, &self.secret);
            match ask(server, &request, &self.secret) {
                Ok(()) => return Ok(()),
                Err(error) => why = format!("{server}: {error}"),
            }
        }
        Err(why)
    }
}

impl Receiver for Radius {
    fn name(&self) -> &'static str {
        "radius"
    }

    fn deliver(&mut self, parcels: &[Parcel]) -> Result<(), String> {
        parcels.iter().try_for_each(|parcel| self.account(parcel))
    }
}

fn ask(server: &str, request: &[u8], secret: &[u8]) -> io::Result<()> {
    let address = server.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("its name has no address"))?;
    let unspecified: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(unspecified)?;
    // A connected socket takes packets from this server alone, and hears of its ICMP errors.
    socket.connect(address)?;
    let mut room = [0; PACKET_BYTES_MAX];
    for _ in 0..TRIES {
        socket.send(request)?;
        let until = Instant::now() + WAIT;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut room) {
                Ok(length) if answers(room.get(..length).unwrap_or_default(), request, secret) => return Ok(()),
                // WHY it goes on: whoever can send from that address could else end our wait.
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Err(io::Error::other("does not answer"))
}

/// An Accounting-Request; its authenticator is a digest of it (RFC 2866 §3).
fn request(identifier: u8, attributes: &[u8], secret: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + attributes.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![ACCOUNTING_REQUEST, identifier];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(attributes);
    let digest = Md5::new().chain_update(&bytes).chain_update(secret).finalize();
    bytes.splice(4..20, digest);
    bytes
}

/// Whether this is the server's answer to the request (RFC 2866 §3).
fn answers(answer: &[u8], request: &[u8], secret: &[u8]) -> bool {
    let (Some((head, rest)), Some(asked)) = (answer.split_at_checked(4), request.get(4..20)) else { return false };
    let Some((authenticator, attributes)) = rest.split_at_checked(16) else { return false };
    let digest = Md5::new().chain_update(head).chain_update(asked).chain_update(attributes).chain_update(secret);
    head.first() == Some(&ACCOUNTING_RESPONSE)
        && head.get(1) == request.get(1)
        && head.get(2..) == u16::try_from(answer.len()).ok().map(u16::to_be_bytes).as_ref().map(<[u8; 2]>::as_slice)
        && digest.finalize().as_slice() == authenticator
}

/// Attributes of a record that is told of; `None`: it is not.
fn attributes(parcel: &Parcel) -> Option<Vec<u8>> {
    let record = &parcel.record;
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| record.get(name).and_then(Value::as_u64);
    let answered = record.get("answer_time").is_some();
    let (status, when) = match (text("kind"), answered) {
        ("open", _) => (START, "answer_time"),
        ("interim", _) => (INTERIM, "record_time"),
        ("call", true) => (STOP, "end_time"),
        ("call", false) => (FAILED, "end_time"),
        _ => return None,
    };
    let mut out = Vec::new();
    let seconds = |name: &str| text(name).parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    let happened = seconds(when);
    let mut put = |number: u8, value: &[u8]| {
        let value = value.get(..253).unwrap_or(value);
        if !value.is_empty() {
            // INVARIANT: what is cut to so much has a length of one byte.
            out.extend_from_slice(&[number, u8::try_from(value.len() + 2).unwrap_or(u8::MAX)]);
            out.extend_from_slice(value);
        }
    };
    let word = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    put(attribute::ACCT_STATUS_TYPE, &status.to_be_bytes());
    put(attribute::SERVICE_TYPE, &SIP_SESSION.to_be_bytes());
    put(attribute::SIP_METHOD, &if status == STOP { BYE } else { INVITE }.to_be_bytes());
    put(attribute::SIP_RESPONSE_CODE, &word(number("status").unwrap_or(0)));
    let happened = happened.and_then(|second| u64::try_from(second).ok());
    happened.into_iter().for_each(|second| put(attribute::EVENT_TIMESTAMP, &word(second)));
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0);
    put(attribute::ACCT_DELAY_TIME, &word(happened.map_or(0, |second| now.saturating_sub(second))));
    put(attribute::SIP_FROM_TAG, text("from_tag").as_bytes());
    put(attribute::SIP_TO_TAG, text("to_tag").as_bytes());
    let key = |name| number(name).unwrap_or(0);
    let session = format!("{}-{}-{}", parcel.node, key("call_epoch"), key("call"));
    put(attribute::ACCT_SESSION_ID, session.as_bytes());
    put(attribute::ACCT_MULTI_SESSION_ID, text("call_id").as_bytes());
    put(attribute::USER_NAME, text("customer").as_bytes());
    put(attribute::CALLING_STATION_ID, first(&[text("caller"), text("caller_received")]).as_bytes());
    put(attribute::CALLED_STATION_ID, first(&[text("called"), text("called_received")]).as_bytes());
    put(attribute::SIP_TRANSLATED_REQUEST_URI, text("called_sent").as_bytes());
    put(attribute::NAS_IDENTIFIER, format!("tandem-{}", parcel.node).as_bytes());
    match text("customer_local_address").parse::<SocketAddr>().map(|address| address.ip()) {
        Ok(IpAddr::V4(v4)) => put(attribute::NAS_IP_ADDRESS, &v4.octets()),
        Ok(IpAddr::V6(v6)) => put(attribute::NAS_IPV6_ADDRESS, &v6.octets()),
        Err(_) => {}
    }
    if status != START && status != FAILED {
        put(attribute::ACCT_SESSION_TIME, &word(number("duration_us").unwrap_or(0).div_ceil(1_000_000)));
    }
    Some(out)
}

fn first<'t>(texts: &[&'t str]) -> &'t str {
    texts.iter().find(|text| !text.is_empty()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use serde_json::json;

    fn parcel(record: Value) -> Parcel {
        Parcel { node: 3, epoch: 7, sequence: 9, record }
    }

    /// Value of an attribute.
    fn value(attributes: &[u8], wanted: u8) -> Option<&[u8]> {
        let mut rest = attributes;
        while let [number, length, ..] = *rest {
            let (whole, behind) = rest.split_at(usize::from(length));
            if number == wanted {
                return Some(&whole[2..]);
            }
            rest = behind;
        }
        None
    }

    #[test]
    fn kinds_become_statuses() {
        let status = |record| attributes(&parcel(record)).map(|bytes| value(&bytes, 40).unwrap()[3]);
        assert_eq!(status(json!({ "kind": "open" })), Some(1));
        assert_eq!(status(json!({ "kind": "interim" })), Some(3));
        assert_eq!(status(json!({ "kind": "call", "answer_time": "2026-01-01T00:00:00Z" })), Some(2));
        assert_eq!(status(json!({ "kind": "call" })), Some(15));
        assert_eq!(status(json!({ "kind": "attempt" })), None);
    }

    #[test]
    fn a_stop_says_how_long_and_whose() {
        let record = json!({
            "kind": "call", "answer_time": "2026-01-01T00:00:00.5Z", "end_time": "2026-01-01T00:00:10Z", "status": 200,
            "duration_us": 9_500_000, "customer": "acme", "call": 5, "call_epoch": 7, "call_id": "x@y", "caller": "4930",
            "customer_local_address": "192.0.2.1:5060", "from_tag": "a".repeat(300),
        });
        let bytes = attributes(&parcel(record)).unwrap();
        assert_eq!(value(&bytes, 46), Some(&10u32.to_be_bytes()[..]));
        assert_eq!((value(&bytes, 1), value(&bytes, 44)), (Some(&b"acme"[..]), Some(&b"3-7-5"[..])));
        assert_eq!((value(&bytes, 4), value(&bytes, 105).unwrap().len()), (Some(&[192, 0, 2, 1][..]), 253));
        assert_eq!(value(&bytes, 55), Some(&1_767_225_610u32.to_be_bytes()[..]));
    }

    /// RFC 2866 §3: both authenticators.
    #[test]
    fn only_the_servers_own_answer_counts() {
        let asked = request(7, &[40, 6, 0, 0, 0, 1], b"secret");
        let mut zeroed = asked.clone();
        zeroed[4..20].fill(0);
        let digest = Md5::new().chain_update(&zeroed).chain_update(b"secret").finalize();
        assert_eq!(&asked[4..20], digest.as_slice());
        let answer = |secret: &[u8]| {
            let head = [ACCOUNTING_RESPONSE, 7, 0, 20];
            let digest = Md5::new().chain_update(head).chain_update(&asked[4..20]).chain_update(secret).finalize();
            [&head[..], digest.as_slice()].concat()
        };
        assert!(answers(&answer(b"secret"), &asked, b"secret"));
        assert!(!answers(&answer(b"other"), &asked, b"secret") && !answers(&[], &asked, b"secret"));
        let mut other = answer(b"secret");
        other[1] = 8;
        assert!(!answers(&other, &asked, b"secret"));
    }
}
