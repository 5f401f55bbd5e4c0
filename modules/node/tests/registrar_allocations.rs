//! Once warm, a shard registers phones and calls them without allocating: challenges, new bindings, refreshes and
//! removals with a proof each, the journal between them and their 200, and calls to who is registered. The journal's lane
//! and the source of accounts are this test; what they allocate does not count.
//!
//! One test, alone in its program: the allocator counts for all threads.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "composed/mod.rs"]
mod composed;

use composed::Room;
use engine::device::sim::SimDevice;
use engine::{LaneEnd, LinkConfig, Mono, Now, Shard, ShardId, ShardStats, Wall};
use modules::authentication::algorithm::Algorithm;
use modules::authentication::credentials::Ha1s;
use modules::authentication::living::Living;
use modules::authentication::question::write_answer;
use modules::authentication::{self, Said};
use modules::registrar::{self, Clock, Durability, Registrar};
use proto::proxy::Capacity;
use proto::transaction::Timers;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use tandem::app::ShardApp;
use tandem::letter::Letter;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TANDEM: &str = "192.0.2.1:5060";
const PEER: &str = "192.0.2.10:5060";
const PHONE: &str = "198.51.100.20:40123";
const TOML: &str = r#"
sources = ["192.0.2.10/32"]
[listen]
udp = ["192.0.2.1:5060"]
[[set]]
name = "unused"
gateways = [{ uri = "sip:192.0.2.20:5060" }]
probe = "off"
[[domain]]
name = "example.com"
accounts = { file = "accounts.toml" }
[registrar]
keep_alive = "off"
[authentication]
nonce = "86400s"
remembered = "86400s"
accounts_per_shard = 1024
failures_per_shard = 64
"#;

/// Users who come and go; rounds of all of them before counting begins, and counted ones.
const USERS: usize = 100;
const WARM: usize = 5;
const COUNTED: usize = 20;
const GAP: u64 = 100_000;

/// Enough for a few hundred calls.
const ROOM: Room = Room {
    capacity: Capacity { transactions: 2_048, open: 256, branches: 512, bytes: 4 << 20 },
    calls: 1_024,
    open_requests: 256,
};

struct Rig {
    shard: Shard<ShardApp, SimDevice>,
    lanes: Vec<LaneEnd<Letter>>,
    now: u64,
    allocations: usize,
    asked: usize,
    serial: usize,
}

impl Rig {
    /// One message in, and all that follows from it, with whatever lanes have to answer; what was sent.
    fn exchange(&mut self, from: &str, text: &str) -> Vec<String> {
        self.shard.device().push(0, TANDEM.parse().unwrap(), from.parse().unwrap(), text.as_bytes());
        let mut sent = Vec::new();
        loop {
            self.step();
            let take = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            while let Some(text) = self.shard.device().take_sent(|_, bytes| take(bytes)) {
                sent.push(text);
            }
            if !self.serve_lanes() {
                return sent;
            }
        }
    }

    /// The journal keeps what comes, and the source of accounts knows everybody. False: nobody asked for anything.
    fn serve_lanes(&mut self) -> bool {
        let mut answers = Vec::new();
        for (lane, end) in self.lanes.iter_mut().enumerate() {
            while let Some((_, letter)) = end.receive() {
                match letter {
                    Letter::Journal(mut batch) => {
                        batch.kept = true;
                        answers.push((lane, Letter::JournalBack(batch)));
                    }
                    Letter::Ask(mut question) => {
                        self.asked += 1;
                        let query = authentication::question::Query::read(question.bytes()).unwrap();
                        let ha1s = Ha1s::of_password(query.credentials.username, b"example.com", b"secret");
                        let mut bytes = Vec::new();
                        let number = write_answer(Some(&Said::Known(ha1s)), &mut bytes);
                        question.reply(number, &bytes);
                        answers.push((lane, Letter::Answered(question)));
                    }
                    _ => {}
                }
            }
        }
        let any = !answers.is_empty();
        for (lane, letter) in answers {
            assert!(self.lanes[lane].post(ShardId(0), letter).is_ok());
        }
        any
    }

    fn step(&mut self) {
        let region = Region::new(ALLOCATOR);
        self.shard.step(Now { mono: Mono(self.now), wall: Wall(self.now) }).unwrap();
        let change = region.change();
        self.allocations += change.allocations + change.reallocations;
    }

    /// Registers with a proof; the nonce of a challenge, if there is no `nonce` yet.
    fn register(&mut self, user: usize, expires: u32, nonce: Option<(&str, u32)>) -> String {
        self.serial += 1;
        let proof = nonce.map_or(String::new(), |(nonce, count)| credentials(user, nonce, count));
        let serial = self.serial;
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK{serial};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:u{user}@example.com>;tag=f\r\nTo: <sip:u{user}@example.com>\r\n\
             Call-ID: u{user}\r\nCSeq: {serial} REGISTER\r\nContact: <sip:u{user}@10.0.0.5:5060>\r\n\
             Expires: {expires}\r\n{proof}User-Agent: phone\r\nContent-Length: 0\r\n\r\n"
        );
        let mut sent = self.exchange(PHONE, &text);
        assert_eq!(sent.len(), 1, "{sent:?}");
        let answer = sent.remove(0);
        let status = if nonce.is_some() { "SIP/2.0 200 " } else { "SIP/2.0 401 " };
        assert!(answer.starts_with(status), "{answer}");
        answer
    }

    /// A peer calls the user, whose phone answers, and hangs up.
    fn call(&mut self, user: usize) {
        self.serial += 1;
        let id = self.serial;
        let sent = self.exchange(PEER, &request("INVITE", user, id, "", ""));
        let invite = sent.iter().find(|text| text.starts_with("INVITE ")).unwrap().clone();
        assert!(invite.starts_with(&format!("INVITE sip:u{user}@10.0.0.5:5060 ")), "{invite}");
        assert_eq!(self.exchange(PHONE, &response(&invite, "180 Ringing", user)).len(), 1);
        assert_eq!(self.exchange(PHONE, &response(&invite, "200 OK", user)).len(), 1);
        let route = invite.split("\r\n").find_map(|line| line.strip_prefix("Record-Route: ")).unwrap();
        let route = format!("Route: {route}\r\n");
        assert_eq!(self.exchange(PEER, &request("ACK", user, id, ";tag=b", &route)).len(), 1);
        let bye = self.exchange(PEER, &request("BYE", user, id, ";tag=b", &route)).remove(0);
        assert_eq!(self.exchange(PHONE, &response(&bye, "200 OK", user)).len(), 1);
    }

    /// A user comes, stays, is called, and goes.
    fn round(&mut self, user: usize) {
        let challenge = self.register(user, 300, None);
        let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        self.register(user, 300, Some((&nonce, 1)));
        self.now += GAP;
        self.step();
        self.register(user, 300, Some((&nonce, 2)));
        self.call(user);
        self.register(user, 0, Some((&nonce, 3)));
        self.now += GAP;
        self.step();
    }
}

fn credentials(user: usize, nonce: &str, count: u32) -> String {
    let hash = |text: &str| {
        let hex = Algorithm::Md5.hash(&[text.as_bytes()]).hex();
        String::from_utf8(hex.as_bytes().to_vec()).unwrap()
    };
    let (ha1, ha2) = (hash(&format!("u{user}:example.com:secret")), hash("REGISTER:sip:example.com"));
    let response = hash(&format!("{ha1}:{nonce}:{count:08x}:c:auth:{ha2}"));
    format!(
        "Authorization: Digest username=\"u{user}\", realm=\"example.com\", nonce=\"{nonce}\", uri=\"sip:example.com\", \
         response=\"{response}\", algorithm=MD5, cnonce=\"c\", qop=auth, nc={count:08x}\r\n"
    )
}

fn request(method: &str, user: usize, call: usize, to_tag: &str, route: &str) -> String {
    let uri = if to_tag.is_empty() { format!("sip:u{user}@example.com") } else { format!("sip:u{user}@10.0.0.5:5060") };
    let number = if method == "BYE" { 2 } else { 1 };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{call}{method};rport\r\n\
         Max-Forwards: 70\r\n{route}From: <sip:15551230001@192.0.2.10>;tag=a{call}\r\n\
         To: <sip:u{user}@example.com>{to_tag}\r\nCall-ID: {call}@192.0.2.10\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:15551230001@192.0.2.10>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn response(request: &str, status: &str, user: usize) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.split("\r\n") {
        match line.split(':').next().unwrap() {
            "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => text.push_str(&format!("{line}\r\n")),
            "To" => text.push_str(&format!("{};tag=b\r\n", line.split(";tag").next().unwrap())),
            _ => {}
        }
    }
    text + &format!("Contact: <sip:u{user}@10.0.0.5:5060>\r\nContent-Length: 0\r\n\r\n")
}

fn rig() -> Rig {
    let (config, tables) = composed::compile(TOML, None, None);
    let setup = composed::setup(&[TANDEM.parse().unwrap()], 1, Timers::default(), ROOM, 1);
    let (boot_secret, slot_secret) = (setup.proxy.boot_secret, setup.proxy.keys.slot_secret());
    let begin = proto::time::Now { mono: proto::time::Mono(1), wall: proto::time::Wall(1) };
    let authentication = authentication::Setup {
        nonce_secrets: vec![slot_secret],
        boot_secret,
        seed: 1,
        accounts: config.authentication.accounts_per_shard,
        failures: config.authentication.failures_per_shard,
        rules: tables.realms.rules,
        living: Arc::new(Living::new(boot_secret)),
    };
    let registrar = registrar::Setup {
        clock: Clock::start(begin),
        accounts: 1_000,
        bytes: 1 << 20,
        durability: Durability::Strict,
        boot_secret,
        gruu_secret: slot_secret,
        seed: 1,
    };
    let registrar = Box::new(Registrar::new(&registrar, &tables.domains, begin));
    let link_config = LinkConfig { shards: 1, lanes: 2, letters: 64, hand_over_bytes: 1 };
    let (mut links, lanes) = engine::join_virtual(&link_config);
    let app = ShardApp::new(ShardId(0), &setup, Arc::new(tables), begin)
        .authenticating(Some(&authentication), begin)
        .registering(Some(registrar));
    let stats = Arc::new(ShardStats::default());
    let shard = Shard::new(app, SimDevice::new(64, 1), links.remove(0), 4_096, Mono(1), stats);
    Rig { shard, lanes, now: 1_000_000, allocations: 0, asked: 0, serial: 0 }
}

#[test]
fn phones_register_and_are_called_without_allocating() {
    let mut rig = rig();
    let rounds = |rig: &mut Rig, count: usize| (0..count * USERS).for_each(|number| rig.round(number % USERS));
    rounds(&mut rig, WARM);
    assert_eq!(rig.asked, USERS, "the source was asked for each user once");
    rig.allocations = 0;
    rounds(&mut rig, COUNTED);
    assert_eq!((rig.allocations, rig.asked), (0, USERS));
    let policy = &rig.shard.app().proxy().policy;
    let (proven, bindings) = (policy.proofs().unwrap().proven, policy.registrations().unwrap().bindings);
    assert_eq!((proven, bindings), ((3 * (WARM + COUNTED) * USERS) as u64, 0));
}
