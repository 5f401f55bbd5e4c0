//! The policy as a whole: messages through the real parser, tables from real TOML, a virtual clock.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod authentication;
mod calls;
mod class4;
mod class4_bounds;
mod class4_choice;
mod dialogs;
mod failover;
mod hand_over;
mod health;
mod new_requests;
mod phones;
mod probes;
mod reload;

use crate::dispatcher::figures::{Figures, GatewaySnapshot};
use crate::dispatcher::health::State;
use crate::tables::{Inputs, Mark, Number, Tables};
use crate::{Note, Reason, Setup, TandemPolicy};
use proto::hash::Secret;
use proto::message::{Arena, Message, Uri};
use proto::policy::{
    Answer, Choice, End, Endpoint, Inbound, Outcome, Policy, Proof, ResponseContext, Target, TargetSet, Verdict,
};
use proto::time::{Micros, Mono, Now, Wall};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

/// What stands before the sets of most tests: callers are 192.0.2.0/24, we are 198.51.100.1.
const HEAD: &str = "sources = [\"192.0.2.0/24\"]\n[listen]\nudp = [\"198.51.100.1:5060\"]\n";

/// The caller of most tests.
const CALLER: &str = "192.0.2.1:5060";

/// Room for calls in every test.
const CALLS: u32 = 1_000;

/// The slot of every call.
const SLOT: u16 = 77;

/// A policy with its clock.
struct Bench {
    policy: TandemPolicy,
    now: Now,
    addresses: HashMap<tuning::HostPort, Vec<crate::tables::NamedAddress>>,
    marks: BTreeMap<String, Mark>,
    decks: Option<Arc<crate::class4::DeckImage>>,
    /// What the token of the next in-dialog request says.
    far_side: Option<SocketAddr>,
}

/// A request under way: what the proxy would keep.
struct Transaction {
    text: String,
    source: SocketAddr,
    note: Note,
    targets: Vec<(Target, String)>,
    /// What is changed in the header of each.
    edits: Vec<String>,
    sent: Mono,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn parse_toml(text: &str) -> tuning::Config {
    match tuning::parse(text, "test.toml", &tuning::Environment::unknown()) {
        Ok(loaded) => loaded.config,
        Err(findings) => panic!("{findings:?}"),
    }
}

impl Bench {
    /// `toml` after [`HEAD`].
    fn new(toml: &str) -> Self {
        Bench::with(&format!("{HEAD}{toml}"), 0, 1)
    }

    fn with(toml: &str, shard: usize, shards: usize) -> Self {
        Bench::with_decks(toml, shard, shards, None)
    }

    fn with_decks(toml: &str, shard: usize, shards: usize, decks: Option<Arc<crate::class4::DeckImage>>) -> Self {
        let now = Now { mono: Mono(1_000_000_000), wall: Wall(1_700_000_000_000_000) };
        let (addresses, marks) = (HashMap::new(), BTreeMap::new());
        let tables = build(toml, &addresses, &marks, decks.as_ref(), None);
        let setup = Setup {
            shard,
            shards,
            calls: CALLS,
            open_requests: CALLS,
            unknown_sources: 64,
            boot_secret: Secret([1; 16]),
            choice_secret: Secret([2; 16]),
            seed: 3,
        };
        let registrar = phones::registrar(&setup, &tables, now);
        let mut bench =
            Bench { policy: TandemPolicy::new(&setup, tables, now), now, addresses, marks, decks, far_side: None };
        if bench.policy.has_phones() {
            bench.policy.take_registrar(registrar);
        }
        bench
    }

    fn reload(&mut self, toml: &str) {
        let toml = format!("{HEAD}{toml}");
        let tables = build(&toml, &self.addresses, &self.marks, self.decks.as_ref(), Some(self.policy.tables()));
        self.policy.install(tables, self.now);
    }

    fn wait(&mut self, ms: u64) {
        self.now.mono = self.now.mono.after(Micros::from_millis(ms));
        self.now.wall = Wall(self.now.wall.0 + ms * 1_000);
    }

    /// A request outside a dialog; the verdict, and the transaction if it is forwarded.
    fn request(&mut self, text: &str, source: &str) -> (Verdict<Reason>, Transaction) {
        let mut transaction = self.transaction(text, source);
        let verdict = self.ask(&mut transaction, |policy, request, note, targets, now| {
            match policy.admit(request.message, &request.source, now) {
                Some(proto::policy::Refusal::Reply { status, reason }) => Verdict::Reply { status, reason },
                Some(proto::policy::Refusal::Drop(reason)) => Verdict::Drop(reason),
                None => policy.new_request(request, note, None, targets, now),
            }
        });
        (verdict, transaction)
    }

    /// An in-dialog request.
    fn in_dialog(
        &mut self,
        text: &str,
        source: &str,
        proof: Proof,
        answer: Option<Answer>,
    ) -> (Verdict<Reason>, Transaction) {
        let mut transaction = self.transaction(text, source);
        let verdict = self.ask(&mut transaction, |policy, request, note, targets, now| {
            policy.in_dialog(request, proof, note, answer, targets, now)
        });
        (verdict, transaction)
    }

    /// An INVITE from the caller that must be forwarded; the name of its (first) gateway.
    fn call(&mut self, id: &str) -> (String, Transaction) {
        let (verdict, transaction) = self.request(&invite(id), CALLER);
        assert_eq!(verdict, Verdict::Forward, "{id}");
        (self.gateway_of(&transaction.targets[0].0), transaction)
    }

    fn gateway_of(&self, target: &Target) -> String {
        self.policy.tables().gateway(Number(target.gateway)).unwrap().name.to_string()
    }

    /// A response from the target that was tried last.
    fn respond(&mut self, transaction: &mut Transaction, status: u16, to_tag: &str) {
        let target = transaction.targets.last().unwrap().0;
        self.respond_from(transaction, target, status, to_tag, "");
    }

    fn respond_from(&mut self, transaction: &mut Transaction, target: Target, status: u16, to_tag: &str, extra: &str) {
        let text = response(&transaction.text, status, to_tag, extra);
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
        let context = ResponseContext {
            target,
            source: target.next_hop,
            request: transaction.text.as_bytes(),
            caller: endpoint(transaction.source),
            after: self.now.mono.since(transaction.sent),
            first: true,
            slot: SLOT,
        };
        self.policy.response(&message, &context, &mut transaction.note, self.now);
    }

    /// The target that was tried last ended like this.
    fn silence(&mut self, transaction: &mut Transaction, outcome: Outcome) {
        let target = transaction.targets.last().unwrap().0;
        self.policy.silence(&target, outcome, &mut transaction.note, self.now);
    }

    /// Point 4. The name of the next gateway, or the choice to send.
    fn next(&mut self, transaction: &mut Transaction, best: Outcome) -> Result<String, Option<u16>> {
        let choice = self.ask(transaction, |policy, request, note, targets, now| {
            policy.best_response(request, best, note, targets, now)
        });
        transaction.sent = self.now.mono;
        match choice {
            Choice::Advance => Ok(self.gateway_of(&transaction.targets.last().unwrap().0)),
            Choice::Answer { status } => Err(Some(status)),
            Choice::Send { status } => Err(status),
        }
    }

    fn end(&mut self, mut transaction: Transaction, status: u16) {
        let (request, caller) = (transaction.text.as_bytes(), endpoint(transaction.source));
        self.policy.transaction_end(&End { status, request, caller }, &mut transaction.note, self.now);
    }

    /// A call set up and answered, with this Contact of the gateway.
    fn established(&mut self, id: &str, contact: &str) -> (String, Transaction) {
        let (gateway, mut transaction) = self.call(id);
        let target = transaction.targets[0].0;
        self.respond_from(&mut transaction, target, 200, "uas", &format!("Contact: <{contact}>\r\n"));
        (gateway, transaction)
    }

    fn snapshot(&self, name: &str) -> GatewaySnapshot {
        let tables = self.policy.tables().clone();
        self.policy.gateways().find(|row| &*tables.gateway(row.number).unwrap().name == name).unwrap()
    }

    fn state(&self, name: &str) -> State {
        self.snapshot(name).state
    }

    fn figures(&self, name: &str) -> Figures {
        self.snapshot(name).figures
    }

    fn count(&self, reason: Reason) -> u64 {
        self.policy.reasons().iter().find(|(known, _)| *known == reason).unwrap().1
    }

    fn transaction(&self, text: &str, source: &str) -> Transaction {
        let (text, source, targets) = (text.to_owned(), address(source), Vec::new());
        Transaction { text, source, note: Note::default(), targets, edits: Vec::new(), sent: self.now.mono }
    }

    fn ask<R>(
        &mut self,
        transaction: &mut Transaction,
        ask: impl FnOnce(&mut TandemPolicy, &Inbound<'_>, &mut Note, &mut TargetSet, Now) -> R,
    ) -> R {
        let mut arena = Arena::new();
        let message = Message::parse(transaction.text.as_bytes(), &mut arena).unwrap();
        let uri = Uri::parse(message.request_uri()).unwrap();
        let route = message.name_addrs(proto::message::HeaderName::Route).next();
        let request = Inbound {
            message: &message,
            source: endpoint(transaction.source),
            request_uri: uri,
            request_uri_bytes: message.request_uri(),
            next_route: route.map(|route| Uri::parse(route.unwrap().uri).unwrap()),
            far_side: self.far_side,
            leaves_by: None,
            to_us: self.policy.is_us(&uri.host, uri.port),
        };
        let mut targets = TargetSet::default();
        let result = ask(&mut self.policy, &request, &mut transaction.note, &mut targets, self.now);
        let found = targets.iter().map(|(target, uri)| (target, String::from_utf8(uri.to_vec()).unwrap()));
        transaction.edits =
            (0..targets.len()).map(|place| String::from_utf8(targets.edits(place).bytes().to_vec()).unwrap()).collect();
        for (target, uri) in found {
            // Point 2 is for branches, and what goes statelessly has none.
            let tables = self.policy.tables();
            let set = tables.gateway(Number(target.gateway)).and_then(|gateway| tables.set(gateway.set));
            let stateless = set.is_some_and(|set| set.stateless);
            assert!(
                stateless || self.policy.branch(transaction.text.as_bytes(), &target, &mut transaction.note, self.now)
            );
            transaction.targets.push((target, uri));
        }
        result
    }
}

fn build(
    toml: &str,
    addresses: &HashMap<tuning::HostPort, Vec<crate::tables::NamedAddress>>,
    marks: &BTreeMap<String, Mark>,
    decks: Option<&Arc<crate::class4::DeckImage>>,
    previous: Option<&Tables>,
) -> Arc<Tables> {
    let config = parse_toml(toml);
    Arc::new(
        Tables::build(&Inputs { config: &config, addresses, marks, local_addresses: &[], decks }, previous).unwrap(),
    )
}

fn endpoint(peer: SocketAddr) -> Endpoint {
    Endpoint { listener: 0, local: address("198.51.100.1:5060"), peer, flow: 0 }
}

fn invite(id: &str) -> String {
    message("INVITE", "sip:4930123@198.51.100.1", id, "uac", "")
}

/// A request with From tag `from` and To tag `to` (empty: none), and a Contact.
fn message(method: &str, uri: &str, id: &str, from: &str, to: &str) -> String {
    let tag = if to.is_empty() { String::new() } else { format!(";tag={to}") };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.com>;tag={from}\r\nTo: <sip:bob@example.com>{tag}\r\nCall-ID: {id}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:alice@192.0.2.1:5062>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A response to `request`, with this To tag if the request had none.
fn response(request: &str, status: u16, to_tag: &str, extra: &str) -> String {
    let keep = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let mut text = format!("SIP/2.0 {status} X\r\n");
    for line in request.split("\r\n").filter(|line| keep.iter().any(|name| line.starts_with(name))) {
        text += line;
        if line.starts_with("To:") && !line.contains("tag=") && !to_tag.is_empty() {
            text += &format!(";tag={to_tag}");
        }
        text += "\r\n";
    }
    text + extra + "Content-Length: 0\r\n\r\n"
}

const TWO: &str = "[[set]]\nname = \"carriers\"\ngateways = [\n\
    { uri = \"sip:203.0.113.1\", name = \"a\", weight = 70 },\n\
    { uri = \"sip:203.0.113.2:5070\", name = \"b\", weight = 30 },\n]\n";
