//! Once warm, a shard carries calls without allocating: 10,000 whole calls through the real shard, its timers
//! included, counted by an allocator that sees everything.
//!
//! One test, alone in its program: the allocator counts for all threads.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "composed/mod.rs"]
mod composed;

use composed::Room;
use engine::device::sim::SimDevice;
use engine::{LinkConfig, Mono, Now, Shard, ShardId, ShardStats, Wall};
use modules::class4::{DeckImage, DeckOctets};
use proto::proxy::Capacity;
use proto::transaction::Timers;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use tandem::app::ShardApp;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TANDEM: &str = "192.0.2.1:5060";
const CALLER: &str = "192.0.2.10:5060";
const GATEWAY: &str = "192.0.2.20:5060";
const TOML: &str = r#"
sources = ["192.0.2.0/24"]
[listen]
udp = ["192.0.2.1:5060"]
[[set]]
name = "carriers"
gateways = [{ uri = "sip:192.0.2.20:5060" }]
probe = "off"
"#;

/// The same calls as a customer's, priced and charged.
const CLASS4: &str = r#"
[listen]
udp = ["192.0.2.1:5060"]
[[set]]
name = "carriers"
gateways = [{ uri = "sip:192.0.2.20:5060" }]
probe = "off"
[rating]
image = "decks.image"
[[deck]]
name = "deck"
file = "deck.csv"
currency = "USD"
[[customer]]
name = "acme"
sources = ["192.0.2.0/24"]
plan = "all"
deck = "deck"
cps = 1000
concurrent = 100
[[vendor]]
name = "delta"
set = "carriers"
plans = ["all"]
deck = "deck"
"#;

/// Calls before counting begins, and calls counted; one every 100 ms, so that what stays for 32 s comes and goes.
const WARM: usize = 1_000;
const COUNTED: usize = 10_000;
const GAP: u64 = 100_000;

/// Enough for a few hundred calls.
const ROOM: Room = Room {
    capacity: Capacity { transactions: 2_048, open: 256, branches: 512, bytes: 4 << 20 },
    calls: 1_024,
    open_requests: 256,
};

struct Rig {
    shard: Shard<ShardApp, SimDevice>,
    now: u64,
    allocations: usize,
}

impl Rig {
    /// One message in, all that follows from it; what was sent.
    fn exchange(&mut self, from: &str, text: &str) -> Vec<String> {
        self.shard.device().push(0, TANDEM.parse().unwrap(), from.parse().unwrap(), text.as_bytes());
        self.step();
        let mut sent = Vec::new();
        while self.shard.device().take_sent(|_, bytes| sent.push(String::from_utf8(bytes.to_vec()).unwrap())).is_some()
        {
        }
        sent
    }

    fn step(&mut self) {
        let region = Region::new(ALLOCATOR);
        self.shard.step(Now { mono: Mono(self.now), wall: Wall(self.now) }).unwrap();
        let change = region.change();
        self.allocations += change.allocations + change.reallocations;
    }

    fn call(&mut self, number: usize) {
        let invite = &self.exchange(CALLER, &request("INVITE", 1, number, "", ""))[1];
        let invite = invite.clone();
        assert_eq!(self.exchange(GATEWAY, &response(&invite, "180 Ringing")).len(), 1);
        assert_eq!(self.exchange(GATEWAY, &response(&invite, "200 OK")).len(), 1);
        let route = invite.split("\r\n").find_map(|line| line.strip_prefix("Record-Route: ")).unwrap();
        let route = format!("Route: {route}\r\n");
        assert_eq!(self.exchange(CALLER, &request("ACK", 1, number, ";tag=b", &route)).len(), 1);
        let bye = self.exchange(CALLER, &request("BYE", 2, number, ";tag=b", &route)).remove(0);
        assert_eq!(self.exchange(GATEWAY, &response(&bye, "200 OK")).len(), 1);
        self.now += GAP;
        self.step();
    }
}

fn request(method: &str, number: u32, call: usize, to_tag: &str, route: &str) -> String {
    let uri = if to_tag.is_empty() { "sip:15551230002@192.0.2.1" } else { "sip:15551230002@192.0.2.20" };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{call}{method};rport\r\n\
         Max-Forwards: 70\r\n{route}From: <sip:15551230001@192.0.2.10>;tag=a{call}\r\n\
         To: <sip:15551230002@192.0.2.1>{to_tag}\r\nCall-ID: {call}@192.0.2.10\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:15551230001@192.0.2.10>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn response(request: &str, status: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.split("\r\n") {
        match line.split(':').next().unwrap() {
            "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => text.push_str(&format!("{line}\r\n")),
            "To" => text.push_str(&format!("{};tag=b\r\n", line.split(";tag").next().unwrap())),
            _ => {}
        }
    }
    text + "Contact: <sip:15551230002@192.0.2.20>\r\nContent-Length: 0\r\n\r\n"
}

/// One deck that prices all of North America.
fn decks() -> Arc<DeckImage> {
    let increments = deck::billing::Increments::SECOND;
    let zone = jiff::tz::TimeZone::UTC;
    let reading = deck::read::Settings { zone, dates: None, increments, currency: "USD".to_owned() };
    let mut reader = deck::read::DeckReader::new(reading);
    reader.push(b"prefix,destination,price\n1,North America,0.01\n");
    let settings = deck::compile::DeckSettings {
        name: "deck".to_owned(),
        currency: "USD".to_owned(),
        digits: deck::money::Digits::default(),
        rounding: deck::billing::Rounding::Up,
        rate_on: deck::image::RateOn::Lrn,
    };
    let source = deck::compile::DeckSource { settings, rows: reader.finish().rows, origins: Vec::new() };
    let octets = deck::compile::compile(&[source], &deck::nanp::StateTable::default(), &mut |_| {}).unwrap();
    Arc::new(DeckImage::open(DeckOctets::new(octets)).unwrap())
}

/// `recorded`: events of calls are gathered too; the lane that they are for is not there, and gives them back at once.
fn rig(toml: &str, recorded: bool) -> Rig {
    let (_, tables) = composed::compile(toml, None, Some(&decks()));
    let setup = composed::setup(&[TANDEM.parse().unwrap()], 1, Timers::default(), ROOM, 1);
    let link_config = LinkConfig { shards: 1, lanes: 1, letters: 64, hand_over_bytes: 1 };
    let (mut links, _lanes) = engine::join_virtual(&link_config);
    let begin = proto::time::Now { mono: proto::time::Mono(1), wall: proto::time::Wall(1) };
    let open: Option<&[_]> = if recorded { Some(&[]) } else { None };
    let app = ShardApp::new(ShardId(0), &setup, Arc::new(tables), begin).recording(open, 256, begin);
    let stats = Arc::new(ShardStats::default());
    let shard = Shard::new(app, SimDevice::new(64, 1), links.remove(0), 4_096, Mono(1), stats);
    Rig { shard, now: 1, allocations: 0 }
}

#[test]
fn ten_thousand_calls_allocate_nothing() {
    for (toml, recorded) in [(TOML, false), (CLASS4, false), (CLASS4, true)] {
        let mut rig = rig(toml, recorded);
        (0..WARM).for_each(|number| rig.call(number));
        rig.allocations = 0;
        (WARM..WARM + COUNTED).for_each(|number| rig.call(number));
        assert_eq!(rig.allocations, 0);
        let policy = &rig.shard.app().proxy().policy;
        let carried: u64 = policy.gateways().map(|gateway| gateway.figures.carried).sum();
        assert_eq!((carried, policy.hunting().open()), ((WARM + COUNTED) as u64, 0));
        let customers = policy.tables().class4.iter().flat_map(|trunks| trunks.customers());
        assert_eq!(policy.record_events_lost(), 0);
        assert!(customers.map(|customer| customer.load.calls()).all(|calls| calls == 0));
    }
}
