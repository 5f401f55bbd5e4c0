//! SIP messages to calls: the INVITE of a customer, the INVITEs that left for gateways, the answer, the BYE.
//!
//! Legs are one call by their Call-ID, as a proxy leaves it. The first INVITE is the customer's, wherever the capture was
//! made; INVITEs from the address that it went to are attempts. The answer is the vendor's 200 where the capture has it,
//! else the one to the customer.

use super::datagram::{Datagram, Datagrams};
use super::file;
use crate::replay::past::Past;
use proto::message::{Arena, HeaderName, Message, Method};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Calls that are known at the same time; more are not looked at.
const CALLS_MAX: usize = 1_000_000;

/// For how long repetitions of an ended call's messages may come (64 × T1 of RFC 3261).
const LINGER_US: u64 = 32_000_000;

/// What a capture held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::replay) struct Seen {
    /// Messages that are no SIP, and calls beyond what is kept.
    pub(in crate::replay) odd: u64,
    /// Packets of a link layer that is not known.
    pub(in crate::replay) foreign: u64,
    /// TCP segments of SIP's port.
    pub(in crate::replay) tcp: u64,
    /// Calls that had no end in it: answered ones count until the last packet.
    pub(in crate::replay) unfinished: u64,
}

/// Calls `each` with every call of a capture. `vendor_at`: whose gateway an address is.
///
/// # Errors
/// The file cannot be read, or is damaged.
pub(in crate::replay) fn read(
    path: &Path,
    vendor_at: &dyn Fn(SocketAddr) -> Option<String>,
    each: &mut dyn FnMut(Past),
) -> io::Result<Seen> {
    let mut datagrams = Datagrams::new();
    let mut calls = Calls { live: HashMap::new(), ended: VecDeque::new(), last_us: 0, seen: Seen::default() };
    let mut arena = Arena::new();
    file::read(path, &mut |packet| {
        datagrams.packet(packet, &mut |datagram| calls.datagram(datagram, &mut arena, vendor_at, each));
    })?;
    Ok(calls.finish(vendor_at, each, &datagrams))
}

/// A call as the wire shows it.
#[derive(Debug)]
struct Call {
    at_us: u64,
    source: SocketAddr,
    /// Where its INVITE went: the proxy.
    proxy: SocketAddr,
    uri: String,
    from: Option<String>,
    identity: Option<String>,
    /// Gateways that it was sent to.
    attempts: Vec<SocketAddr>,
    answered_us: Option<u64>,
    /// Who answered.
    answered_by: Option<SocketAddr>,
    told: bool,
}

#[derive(Debug)]
struct Calls {
    live: HashMap<Vec<u8>, Call>,
    /// Calls that are told, until repetitions of theirs are over.
    ended: VecDeque<(u64, Vec<u8>)>,
    last_us: u64,
    seen: Seen,
}

impl Calls {
    fn datagram(
        &mut self,
        datagram: &Datagram<'_>,
        arena: &mut Arena,
        vendor_at: &dyn Fn(SocketAddr) -> Option<String>,
        each: &mut dyn FnMut(Past),
    ) {
        self.last_us = self.last_us.max(datagram.at_us);
        while let Some((_, call_id)) = self.ended.pop_front_if(|(until, _)| *until < datagram.at_us) {
            self.live.remove(&call_id);
        }
        // WHY: keep-alives, RTP and whatever else runs over UDP is no odd SIP.
        let first = datagram.payload.split(|octet| *octet == b'\n').next().unwrap_or_default();
        if !first.windows(7).any(|window| window == b"SIP/2.0") {
            return;
        }
        let Ok(message) = Message::parse(datagram.payload, arena) else {
            self.seen.odd += 1;
            return;
        };
        let over = match message.is_request() {
            true => self.request(&message, datagram),
            false => self.response(&message, datagram),
        };
        if let Some(end_us) = over
            && let Some(call) = self.live.get_mut(message.call_id()).filter(|call| !call.told)
        {
            call.told = true;
            self.ended.push_back((datagram.at_us + LINGER_US, message.call_id().to_vec()));
            each(call.past(end_us, vendor_at));
        }
    }

    /// When the call ended, if this ends it.
    fn request(&mut self, message: &Message<'_>, datagram: &Datagram<'_>) -> Option<u64> {
        let call_id = message.call_id();
        match (message.method(), self.live.get_mut(call_id)) {
            (Method::Invite, Some(call)) => {
                let attempt = datagram.from.ip() == call.proxy.ip() && datagram.to != call.source;
                if attempt && message.to_tag().is_empty() && !call.told && call.attempts.last() != Some(&datagram.to) {
                    call.attempts.push(datagram.to);
                }
                None
            }
            (Method::Invite, None) if message.to_tag().is_empty() => {
                if self.live.len() >= CALLS_MAX {
                    self.seen.odd += 1;
                    return None;
                }
                self.live.insert(call_id.to_vec(), Call::new(message, datagram));
                None
            }
            (Method::Bye, Some(call)) if call.answered_us.is_some() => Some(datagram.at_us),
            _ => None,
        }
    }

    fn response(&mut self, message: &Message<'_>, datagram: &Datagram<'_>) -> Option<u64> {
        if message.cseq().is_ok_and(|cseq| cseq.method != Method::Invite) {
            return None;
        }
        let call = self.live.get_mut(message.call_id())?;
        let to_customer = datagram.to == call.source;
        match message.status() {
            200..300 if call.answered_us.is_none() => {
                call.answered_us = Some(datagram.at_us);
                call.answered_by = Some(datagram.from).filter(|_| !to_customer);
                None
            }
            // A challenge is followed by the INVITE with credentials.
            401 | 407 => None,
            300.. if to_customer && call.answered_us.is_none() => Some(datagram.at_us),
            _ => None,
        }
    }

    /// Calls without an end.
    fn finish(
        mut self,
        vendor_at: &dyn Fn(SocketAddr) -> Option<String>,
        each: &mut dyn FnMut(Past),
        datagrams: &Datagrams,
    ) -> Seen {
        let mut left: Vec<_> = self.live.into_values().filter(|call| !call.told).collect();
        left.sort_by_key(|call| call.at_us);
        self.seen.unfinished = left.len() as u64;
        for call in left {
            each(call.past(self.last_us, vendor_at));
        }
        Seen { foreign: datagrams.foreign, tcp: datagrams.tcp, ..self.seen }
    }
}

impl Call {
    fn new(message: &Message<'_>, datagram: &Datagram<'_>) -> Self {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Call {
            at_us: datagram.at_us,
            source: datagram.from,
            proxy: datagram.to,
            uri: text(message.request_uri()),
            from: message.from().ok().map(|from| text(from.uri)),
            identity: message.value(HeaderName::PAssertedIdentity).map(text),
            attempts: Vec::new(),
            answered_us: None,
            answered_by: None,
            told: false,
        }
    }

    fn past(&self, end_us: u64, vendor_at: &dyn Fn(SocketAddr) -> Option<String>) -> Past {
        // An address that no vendor has is shown as it is.
        let name = |address: SocketAddr| vendor_at(address).unwrap_or_else(|| address.to_string());
        let had = self.answered_by.or(self.attempts.last().copied());
        let vendor = had.map(name).unwrap_or_default();
        let mut failed: Vec<_> = self.attempts.iter().copied().map(name).collect();
        failed.retain(|name| *name != vendor);
        Past {
            source: Some(self.source),
            uri: self.uri.clone(),
            from: self.from.clone(),
            identity: self.identity.clone(),
            at_us: self.at_us,
            duration_us: self.answered_us.map(|answered| end_us.saturating_sub(answered)),
            vendor,
            failed,
            ..Past::default()
        }
    }
}
