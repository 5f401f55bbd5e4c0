//! When which gateway is asked by OPTIONS whether it lives, and what the question says.
//!
//! Each address has one shard that probes it, whatever number of sets it stands in; the results go to
//! all ([`super::event`]). Whoever runs the shard takes out what is due, sends it as a request of its
//! own (RFC 3261 §17.1.2, `proto`'s `send_own`), and its outcome comes back under the ticket; one of which
//! nothing is heard is missed by itself.

use super::Dispatcher;
use super::event::What;
use crate::tables::{Address, Mark, Number, Tables};
use algorithms::{Random, mix};
use proto::message::Writer;
use proto::policy::{BySource, Outcome, Target};
use proto::time::{Micros, Mono, Now};
use std::net::{IpAddr, SocketAddr};

/// A probe to be sent now.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Under this its outcome comes back.
    pub ticket: u64,
    /// Where it goes, and how long an answer is waited for.
    pub target: Target,
    call_id: [u8; ID_BYTES],
    from_tag: [u8; ID_BYTES],
}

/// Characters of a Call-ID and of a tag: 64 random bits each.
const ID_BYTES: usize = 16;

impl Probe {
    /// Its Call-ID.
    pub fn call_id(&self) -> &[u8] {
        &self.call_id
    }

    /// Its From tag.
    pub fn from_tag(&self) -> &[u8] {
        &self.from_tag
    }

    /// Writes the request; `via`: the Via line. Writes nothing if the gateway is no longer there.
    pub fn write(&self, tables: &Tables, out: &mut Writer<'_>, via: &[u8]) {
        let Some(address) = tables.address(self.target.next_hop) else { return };
        let Some(rules) = &address.rules.probe else { return };
        let gateway = address.gateways.first().and_then(|&slot| tables.gateway_at(slot));
        let Some(gateway) = gateway else { return };
        let us = tables.given_out.get(usize::from(self.target.listener)).map_or(&[][..], |text| text);
        let host = rules.from_host.as_deref().unwrap_or(us);
        let request_uri = |out: &mut Writer<'_>| {
            out.put(b"sip:");
            if let Some(user) = &rules.request_user {
                out.put(user);
                out.byte(b'@');
            }
            out.put(&gateway.host);
            if let Some(port) = gateway.port {
                out.byte(b':');
                out.decimal(u64::from(port));
            }
        };
        out.put(b"OPTIONS ");
        request_uri(out);
        out.put(b" SIP/2.0\r\n");
        out.put(via);
        out.put(b"Max-Forwards: 70\r\nFrom: <sip:");
        out.put(&rules.from_user);
        out.byte(b'@');
        out.put(host);
        out.put(b">;tag=");
        out.put(&self.from_tag);
        out.put(b"\r\nTo: <");
        request_uri(out);
        out.put(b">\r\nCall-ID: ");
        out.put(&self.call_id);
        out.put(b"\r\nCSeq: 1 OPTIONS\r\nContact: <sip:");
        out.put(us);
        out.put(b">\r\nAccept: application/sdp\r\nUser-Agent: Tandem\r\nContent-Length: 0\r\n\r\n");
    }
}

/// The addresses that this shard probes.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Sorted by address.
    entries: Vec<Entry>,
    /// The entries before the last reload; kept for its memory.
    before: Vec<Entry>,
    shard: u64,
    shards: u64,
    seed: u64,
    /// No entry has anything to do before this.
    earliest: Option<Mono>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: SocketAddr,
    interval: Micros,
    retry: Micros,
    /// When the next one is due.
    due: Mono,
    /// One was sent then and has not been answered.
    asked: Option<Mono>,
    /// Probes sent, for the jitter.
    count: u64,
}

/// The next thing to do.
enum Step {
    Missed(SocketAddr),
    Send(SocketAddr),
}

/// After its time a probe's own transaction reports that it is missed; if it could not be sent at all,
/// nobody does, and this much later we notice.
const GRACE: Micros = Micros::from_millis(100);

/// First probes are spread over this long.
const START: Micros = Micros::from_secs(1);

impl Dispatcher {
    /// When [`Dispatcher::next_probe`] has something to do next.
    pub const fn probe_deadline(&self) -> Option<Mono> {
        self.schedule.earliest
    }

    /// The next probe to send; to be called until there is none. Notices those that were missed.
    pub fn next_probe(&mut self, tables: &Tables, now: Now) -> Option<Probe> {
        while let Some(step) = self.schedule.next(now.mono) {
            match step {
                Step::Missed(address) => {
                    if let Some(address) = tables.address(address) {
                        self.learn(address, What::ProbeMissed, now);
                    }
                }
                Step::Send(address) => {
                    if let Some(probe) = tables.address(address).and_then(|known| self.probe(known)) {
                        return Some(probe);
                    }
                }
            }
        }
        None
    }

    /// A probe came to its end after `after`.
    pub fn probe_ended(&mut self, tables: &Tables, ticket: u64, outcome: Outcome, after: Micros, now: Now) {
        let number = u32::try_from(ticket).map(Number);
        let Some(known) = number.ok().and_then(|number| tables.address_numbered(number)) else { return };
        match outcome {
            Outcome::Response(status) => {
                if !self.schedule.answered(known.address) {
                    return;
                }
                self.learn(known, What::ProbeAnswered { status, latency: after }, now);
                let steady = self.addresses.get(known.number.slot()).is_some_and(|state| state.health.is_steady());
                self.schedule.rest(known.address, steady, now.mono);
            }
            _ if known.rules.probe.as_ref().is_some_and(|rules| self.may_not_have_left(rules.listener, after, now)) => {
                // Asked again as after a miss, which it is not.
                _ = self.schedule.missed(known.address, now.mono);
            }
            _ => self.probe_missed(known, now),
        }
    }

    /// The probe under way, if there is one, will not be answered.
    pub(super) fn probe_missed(&mut self, address: &Address, now: Now) {
        if self.schedule.missed(address.address, now.mono) {
            self.learn(address, What::ProbeMissed, now);
        }
    }

    fn probe(&mut self, address: &Address) -> Option<Probe> {
        let rules = address.rules.probe.as_ref()?;
        let target = Target {
            gateway: Target::NO_GATEWAY,
            listener: rules.listener,
            by_source: BySource::Neither,
            next_hop: address.address,
            flow: 0,
            no_response: rules.retry,
        };
        let ticket = u64::from(address.number.0);
        Some(Probe { ticket, target, call_id: id(&mut self.random), from_tag: id(&mut self.random) })
    }
}

impl Schedule {
    pub(super) fn new(shard: usize, shards: usize, seed: u64) -> Self {
        Schedule {
            entries: Vec::with_capacity(limits::GATEWAYS_MAX),
            before: Vec::with_capacity(limits::GATEWAYS_MAX),
            shard: shard as u64,
            shards: (shards as u64).max(1),
            seed,
            earliest: None,
        }
    }

    /// Which addresses are probed from now on; those that stay keep their time.
    pub(super) fn install(&mut self, tables: &Tables, now: Now) {
        core::mem::swap(&mut self.entries, &mut self.before);
        self.entries.clear();
        for address in tables.addresses.iter().flatten() {
            let Some(rules) = &address.rules.probe else { continue };
            let gateways = || address.gateways.iter().filter_map(|&slot| tables.gateway_at(slot));
            let wanted = gateways().any(|gateway| gateway.mark != Some(Mark::Disabled));
            if !wanted || hash(address.address) % self.shards != self.shard {
                continue;
            }
            let fresh = Entry {
                address: address.address,
                interval: rules.interval,
                retry: rules.retry,
                due: now.mono.after(part(START, self.seed ^ hash(address.address))),
                asked: None,
                count: 0,
            };
            let before = self.before.binary_search_by(|entry| entry.address.cmp(&address.address)).ok();
            let entry = match before.and_then(|at| self.before.get(at)) {
                Some(known) => Entry { interval: rules.interval, retry: rules.retry, ..*known },
                None => fresh,
            };
            self.entries.push(entry);
        }
        self.entries.sort_unstable_by_key(|entry| entry.address);
        self.set_earliest();
    }

    fn next(&mut self, now: Mono) -> Option<Step> {
        if self.earliest.is_none_or(|at| now < at) {
            return None;
        }
        let seed = self.seed;
        let step = self.entries.iter_mut().find(|entry| entry.deadline() <= now).map(|entry| {
            if entry.asked.take().is_some() {
                entry.due = now.after(entry.jittered(entry.retry, seed));
                return Step::Missed(entry.address);
            }
            entry.count += 1;
            entry.asked = Some(now);
            Step::Send(entry.address)
        });
        self.set_earliest();
        step
    }

    /// False: this address is not probed here.
    fn answered(&mut self, address: SocketAddr) -> bool {
        self.entry(address).map(|entry| entry.asked = None).is_some()
    }

    fn missed(&mut self, address: SocketAddr, now: Mono) -> bool {
        let seed = self.seed;
        let Some(entry) = self.entry(address) else { return false };
        let open = entry.asked.take().is_some();
        if open {
            entry.due = now.after(entry.jittered(entry.retry, seed));
        }
        self.set_earliest();
        open
    }

    fn rest(&mut self, address: SocketAddr, steady: bool, now: Mono) {
        let seed = self.seed;
        if let Some(entry) = self.entry(address) {
            let pause = if steady { entry.interval } else { entry.retry };
            entry.due = now.after(entry.jittered(pause, seed));
        }
        self.set_earliest();
    }

    fn entry(&mut self, address: SocketAddr) -> Option<&mut Entry> {
        let at = self.entries.binary_search_by(|entry| entry.address.cmp(&address)).ok()?;
        self.entries.get_mut(at)
    }

    fn set_earliest(&mut self) {
        self.earliest = self.entries.iter().map(Entry::deadline).min();
    }
}

impl Entry {
    fn deadline(&self) -> Mono {
        self.asked.map_or(self.due, |asked| asked.after(self.retry).after(GRACE))
    }

    /// `pause`, give or take a tenth.
    fn jittered(&self, pause: Micros, seed: u64) -> Micros {
        let tenth = Micros(pause.0 / 10);
        let spread = part(Micros(tenth.0 * 2), mix(seed ^ hash(self.address)).wrapping_add(self.count));
        Micros(pause.0 - tenth.0 + spread.0)
    }
}

/// A part of `whole` that depends on `bits` alone.
fn part(whole: Micros, bits: u64) -> Micros {
    Micros(if whole.0 == 0 { 0 } else { mix(bits) % whole.0 })
}

fn hash(address: SocketAddr) -> u64 {
    let octets = match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let bits = u128::from_be_bytes(octets);
    mix((bits as u64) ^ mix((bits >> 64) as u64) ^ u64::from(address.port()).rotate_left(48))
}

/// Sixteen hexadecimal digits.
fn id(random: &mut Random) -> [u8; ID_BYTES] {
    let mut text = [b'0'; ID_BYTES];
    let mut out = Writer::new(&mut text);
    out.hex(random.next(), ID_BYTES);
    text
}
