//! The work of one whole shard for a REGISTER, without a kernel and without a disk: frames in, frames out, on the
//! in-memory driver.
//!
//! Refreshes of bindings that are there, through the real shard as `tandem run` composes it: parsed, its account found,
//! the binding changed, what changed given to the journal's lane, and answered when that says that the disk has it. With
//! `--digest 1` each brings credentials (MD5) for a nonce of its own; the REGISTER that drew the nonce does not count.
//!
//! ```text
//! one_shard registers [--registers 20000] [--warm 2000] [--users 1000] [--digest 0] [--side-by-side 8]
//! ```
//!
//! Prints one JSON object. Instructions are counted from outside:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*counted*' one_shard registers --registers 800 --warm 1000 --digest 1
//! ```
mod shard;

use engine::device::sim::SimDevice;
use engine::{LaneEnd, Mono, Now, Shard, ShardId, Wall};
use modules::authentication::Said;
use modules::authentication::algorithm::Algorithm;
use modules::authentication::credentials::Ha1s;
use modules::authentication::question::{Query, write_answer};
use std::collections::HashMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tandem::app::ShardApp;
use tandem::letter::Letter;

const TANDEM: &str = "192.0.2.1:5060";
const PHONE: &str = "198.51.100.20:5060";
const DOMAIN: &str = "example.com";
const PASSWORD: &str = "open-sesame";
/// Virtual time between turns, in microseconds.
const GAP: u64 = 1_000;

/// Functions of their own, for a profiler to tell apart.
mod counted {
    use super::*;

    #[inline(never)]
    pub(super) fn register(shard: &mut Shard<ShardApp, SimDevice>, now: Now) {
        black_box("register");
        shard.step(now).unwrap();
    }
}

struct Rig {
    shard: Shard<ShardApp, SimDevice>,
    lanes: Vec<LaneEnd<Letter>>,
    now: u64,
    digest: bool,
    users: usize,
    serial: u64,
    counting: bool,
    spent: Duration,
}

impl Rig {
    fn push(&mut self, text: &str) {
        let phone: SocketAddr = PHONE.parse().unwrap();
        self.shard.device().push(0, TANDEM.parse().unwrap(), phone, text.as_bytes());
    }

    fn turn(&mut self, counts: bool) {
        let now = Now { mono: Mono(self.now), wall: Wall(1_700_000_000_000_000 + self.now) };
        if !(counts && self.counting) {
            return self.shard.step(now).unwrap();
        }
        let start = Instant::now();
        counted::register(&mut self.shard, now);
        self.spent += start.elapsed();
    }

    /// Turns until no lane has anything more to say; what was sent.
    fn turns(&mut self, counts: bool) -> Vec<String> {
        let mut sent = Vec::new();
        loop {
            self.turn(counts);
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
                        let query = Query::read(question.bytes()).unwrap();
                        let name = query.credentials.username;
                        let ha1s = Ha1s::of_password(name, DOMAIN.as_bytes(), PASSWORD.as_bytes());
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

    /// So many users register at once; with a proof, after each was asked for one.
    fn registers(&mut self, first: usize, count: usize) {
        let users: Vec<usize> = (first..first + count).map(|number| number % self.users).collect();
        let proofs: Vec<String> = if self.digest { self.proofs(&users) } else { vec![String::new(); count] };
        for (user, proof) in users.iter().zip(&proofs) {
            let text = self.register(*user, proof);
            self.push(&text);
        }
        let sent = self.turns(true);
        assert!(sent.len() == count && sent.iter().all(|text| text.starts_with("SIP/2.0 200 ")), "{sent:?}");
        self.now += GAP;
    }

    fn proofs(&mut self, users: &[usize]) -> Vec<String> {
        for user in users {
            let text = self.register(*user, "");
            self.push(&text);
        }
        let challenges = self.turns(false);
        assert_eq!(challenges.len(), users.len());
        let nonce = |text: &String| text.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        users.iter().zip(&challenges).map(|(user, text)| credentials(*user, &nonce(text))).collect()
    }

    fn register(&mut self, user: usize, proof: &str) -> String {
        self.serial += 1;
        let serial = self.serial;
        format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK-{serial:014};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user:010}@{DOMAIN}>;tag=a{user}\r\nTo: <sip:{user:010}@{DOMAIN}>\r\n\
             Call-ID: tb-7f000001{user:016}-00000000000000\r\nCSeq: {serial} REGISTER\r\n\
             Contact: <sip:{user:010}@{PHONE}>\r\nExpires: 3600\r\n{proof}User-Agent: Example/1.0\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }

    fn run(&mut self, from: usize, count: usize, side_by_side: usize) {
        for first in (from..from + count).step_by(side_by_side) {
            self.registers(first, side_by_side.min(from + count - first));
        }
    }
}

fn credentials(user: usize, nonce: &str) -> String {
    let hash = |text: &str| {
        let hex = Algorithm::Md5.hash(&[text.as_bytes()]).hex();
        String::from_utf8(hex.as_bytes().to_vec()).unwrap()
    };
    let (ha1, ha2) = (hash(&format!("{user:010}:{DOMAIN}:{PASSWORD}")), hash(&format!("REGISTER:sip:{DOMAIN}")));
    let response = hash(&format!("{ha1}:{nonce}:00000001:{user:016x}:auth:{ha2}"));
    format!(
        "Authorization: Digest username=\"{user:010}\", realm=\"{DOMAIN}\", nonce=\"{nonce}\", uri=\"sip:{DOMAIN}\", \
         response=\"{response}\", algorithm=MD5, cnonce=\"{user:016x}\", qop=auth, nc=00000001\r\n"
    )
}

/// See the module.
pub(crate) fn run(flags: &HashMap<String, u64>) {
    let number = |name: &str, default: usize| flags.get(name).map_or(default, |number| *number as usize);
    let (registers, warm, users) = (number("registers", 20_000), number("warm", 2_000), number("users", 1_000));
    let (digest, side_by_side) = (number("digest", 0) != 0, number("side-by-side", 8));
    let (shard, lanes) = shard::shard(TANDEM, DOMAIN, digest, users);
    let spent = Duration::ZERO;
    let mut rig = Rig { shard, lanes, now: 1_000_000, digest, users, serial: 0, counting: false, spent };
    rig.run(0, warm, side_by_side);
    rig.counting = true;
    rig.run(warm, registers, side_by_side);
    let bindings = rig.shard.app().proxy().policy.registrations().unwrap().bindings;
    println!(
        "{}",
        serde_json::json!({
            "registers": registers,
            "nanoseconds": (rig.spent.as_nanos() as f64 / registers as f64).round(),
            "bindings": bindings,
        })
    );
}
