//! REGISTERs through the real parser, under a virtual clock: the rules of RFC 3261 §10, one a test, and a naive model
//! against random ones, with restarts, clocks that jump and batches that are lost.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod model;
mod rules;

use super::*;
use crate::tables::{Domain, Domains, Inputs, Tables};
use proto::message::{Arena, Message};
use proto::policy::{Endpoint, Inbound, TargetSet};
use proto::time::{Micros, Wall};
use std::net::SocketAddr;

const TOML: &str = "[listen]\nudp = [\"127.0.0.1:5060\"]\n[[domain]]\nname = \"example.com\"\n\
                    contacts_max = 3\nexpires = { default = \"600s\", min = \"60s\", max = \"3600s\", jitter_percent = 0 }\n";

/// One registrar with its clock and its disk.
struct Bench {
    registrar: Registrar,
    domains: Domains,
    now: Now,
    /// Batches that are on the disk.
    disk: Vec<Vec<u8>>,
}

/// What a REGISTER got.
struct Reply {
    reason: Reason,
    lines: String,
    /// The batch that must be on the disk before it leaves.
    held: Option<u64>,
}

impl Reply {
    /// The Contact lines, without `Contact: `.
    fn contacts(&self) -> Vec<&str> {
        self.lines.lines().filter_map(|line| line.strip_prefix("Contact: ")).collect()
    }
}

fn domains(toml: &str) -> Domains {
    let config = tuning::parse(toml, "test.toml", &tuning::Environment::unknown()).unwrap().config;
    let inputs = Inputs {
        config: &config,
        addresses: &Default::default(),
        marks: &Default::default(),
        local_addresses: &[],
        decks: None,
    };
    Tables::build(&inputs, None).unwrap().domains
}

fn setup(now: Now) -> Setup {
    Setup {
        clock: Clock::start(now),
        accounts: 1_000,
        bytes: 1 << 20,
        durability: Durability::Strict,
        boot_secret: Secret([1; 16]),
        gruu_secret: Secret([2; 16]),
        seed: 5,
    }
}

impl Bench {
    fn new(toml: &str) -> Self {
        let now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000) };
        let domains = domains(toml);
        let registrar = Registrar::new(&setup(now), &domains, now);
        Bench { registrar, domains, now, disk: Vec::new() }
    }

    fn domain(&self) -> &Domain {
        self.domains.get(0).unwrap()
    }

    fn wait(&mut self, seconds: u64) {
        self.now.mono = self.now.mono.after(Micros::from_secs(seconds));
        self.now.wall = Wall(self.now.wall.0 + seconds * 1_000_000);
        while self.registrar.deadline().is_some_and(|due| due <= self.now.mono) {
            self.registrar.expire(self.now);
        }
    }

    /// `lines`: what follows the usual headers, each line with its CRLF.
    fn register(&mut self, user: &str, call_id: &str, cseq: u32, lines: &str) -> Reply {
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK{cseq}\r\n\
             From: <sip:{user}@example.com>;tag=1\r\nTo: <sip:{user}@example.com>\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} REGISTER\r\nMax-Forwards: 70\r\nUser-Agent: test\r\n{lines}\r\n"
        );
        self.send(&text)
    }

    fn send(&mut self, text: &str) -> Reply {
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
        let peer: SocketAddr = "192.0.2.7:5070".parse().unwrap();
        let source = Endpoint { listener: 0, local: "127.0.0.1:5060".parse().unwrap(), peer, flow: 0 };
        let inbound = Inbound {
            message: &message,
            source,
            request_uri: message.parsed_request_uri().unwrap(),
            request_uri_bytes: message.request_uri(),
            next_route: None,
            leaves_by: None,
            far_side: None,
            to_us: true,
        };
        let mut targets = TargetSet::default();
        let domain = (0, self.domains.get(0).unwrap());
        let reason = self.registrar.register(domain, &inbound, &mut targets, self.now);
        let lines = String::from_utf8(targets.attachment().to_vec()).unwrap();
        Reply { reason, lines, held: targets.held_until() }
    }

    /// The disk takes what there is.
    fn sync(&mut self) {
        while let Some(mut batch) = self.registrar.take_batch() {
            self.disk.push(batch.bytes.clone());
            batch.kept = true;
            self.registrar.batch_back(batch);
        }
    }

    /// A new process, with what is on the disk; `shift`: seconds by which the wall clock had moved.
    fn restart(&mut self, shift: i64) {
        self.registrar = Registrar::new(&setup(self.now), &self.domains, self.now);
        for batch in &self.disk {
            let mut rest = &batch[..];
            while let Some((entry, behind)) = Entry::read(rest) {
                assert!(self.registrar.load(&entry, shift, None, self.now));
                rest = behind;
            }
            assert!(rest.is_empty());
        }
    }

    /// Contact URIs under which a user is reached now, sorted.
    fn located(&self, user: &str) -> Vec<String> {
        let uri = format!("sip:{user}@example.com");
        let uri = proto::message::Uri::parse(uri.as_bytes()).unwrap();
        let (mut room, mut named, mut found) = ([0; limits::USER_BYTES_MAX], None, Vec::new());
        let wanted = Wanted::read(&uri, self.registrar.gruu_secret(), &mut room, &mut named).unwrap();
        self.registrar.locate(0, &wanted, self.now, &mut found);
        let mut contacts: Vec<_> =
            Bindings(&found).map(|binding| String::from_utf8(binding.contact.to_vec()).unwrap()).collect();
        contacts.sort();
        contacts
    }
}
