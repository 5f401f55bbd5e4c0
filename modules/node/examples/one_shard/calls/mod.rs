//! The work of one whole shard for a call, without a kernel: frames in, frames out, on the in-memory driver.
//!
//! Row W0 of `bench`. Each call is INVITE with SDP (about 800 bytes), 100, 180, 200, ACK, BYE, 200 through the real
//! shard as `tandem run` composes it: weighted dispatcher over two gateways, call table, Record-Route, probing on, all
//! timers. Calls go `--side-by-side` at a time, so that a turn has that many frames as under load; only the turns
//! are measured, not the two ends played here.
//!
//! ```text
//! one_shard calls [--calls 20000] [--warm 2000] [--gap 1000] [--side-by-side 8]
//! ```
//!
//! `--gap` is the virtual time between calls in microseconds: with 32 s of Timer L it says how many transactions are
//! kept. Prints one JSON object. `nanoseconds` are of this machine, `microseconds_at_2_4_ghz` of a core at that clock
//! (the clock is found by a chain of multiplications). Instructions are counted from outside:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='*counted*' one_shard calls --calls 800 --warm 400 --gap 100000
//! ```
//!
//! The sum that callgrind prints, divided by `--calls`, is instructions per call; each step is a function of its own
//! (`counted::invite`, ...), so that `callgrind_annotate --inclusive=yes` shows them apart.
mod shard;
mod text;

use engine::device::sim::SimDevice;
use engine::{Mono, Now, Shard, Wall};
use std::collections::HashMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tandem::app::ShardApp;

const TANDEM: &str = "192.0.2.1:5060";
const CALLER: &str = "192.0.2.10:5060";
const GATEWAYS: [&str; 2] = ["192.0.2.20:5060", "192.0.2.21:5060"];

type Turn = fn(&mut Shard<ShardApp, SimDevice>, Now);

/// One function for each step, for a profiler to tell apart.
mod counted {
    use super::*;

    macro_rules! turns {
        ($($name:ident)*) => {$(
            #[inline(never)]
            pub(super) fn $name(shard: &mut Shard<ShardApp, SimDevice>, now: Now) {
                // WHY: functions of the same code would be made one.
                black_box(stringify!($name));
                shard.step(now).unwrap();
            }
        )*};
    }

    turns!(invite trying ringing ok ack bye bye_ok timers);
}

/// The steps in their order; the last has no message, only time that passes.
const STEPS: [(&str, Turn, Turn); 8] = [
    ("invite", counted::invite, warm),
    ("100", counted::trying, warm),
    ("180", counted::ringing, warm),
    ("200", counted::ok, warm),
    ("ack", counted::ack, warm),
    ("bye", counted::bye, warm),
    ("bye_200", counted::bye_ok, warm),
    ("timers", counted::timers, warm),
];

#[inline(never)]
fn warm(shard: &mut Shard<ShardApp, SimDevice>, now: Now) {
    shard.step(now).unwrap();
}

/// What is played: both ends of the calls, and time.
struct Rig {
    shard: Shard<ShardApp, SimDevice>,
    now: u64,
    gap: u64,
    counting: bool,
    spent: [Duration; STEPS.len()],
    probes: u64,
    bytes_in: u64,
    frames: u64,
}

/// A frame that left: where to, and its text.
type Sent = (SocketAddr, String);

impl Rig {
    fn push(&mut self, from: SocketAddr, text: &str) {
        self.bytes_in += text.len() as u64;
        self.frames += 1;
        self.shard.device().push(0, TANDEM.parse().unwrap(), from, text.as_bytes());
    }

    /// One turn; what was sent, probes apart.
    fn turn(&mut self, step: usize) -> Vec<Sent> {
        let now = Now { mono: Mono(self.now), wall: Wall(self.now) };
        let (_, counted, warm) = STEPS[step];
        let start = Instant::now();
        if self.counting {
            counted(&mut self.shard, now)
        } else {
            warm(&mut self.shard, now)
        }
        self.spent[step] += start.elapsed();
        let mut sent = Vec::new();
        let take = |egress: &engine::Egress, bytes: &[u8]| (egress.peer, String::from_utf8(bytes.to_vec()).unwrap());
        while let Some(frame) = self.shard.device().take_sent(take) {
            sent.push(frame);
        }
        let (probes, others): (Vec<_>, Vec<_>) = sent.into_iter().partition(|(_, text)| text.starts_with("OPTIONS"));
        for (gateway, probe) in probes {
            self.probes += 1;
            self.shard.device().push(
                0,
                TANDEM.parse().unwrap(),
                gateway,
                text::response(&probe, "200 OK", "").as_bytes(),
            );
        }
        others
    }

    /// So many calls at once, from INVITE to the 200 of BYE.
    fn calls(&mut self, first: usize, count: usize) {
        let caller: SocketAddr = CALLER.parse().unwrap();
        let numbers = first..first + count;
        for number in numbers.clone() {
            self.push(caller, &text::request("INVITE", 1, number, None));
        }
        let sent = self.turn(0);
        let invites: Vec<Sent> = sent.into_iter().filter(|(_, text)| text.starts_with("INVITE")).collect();
        assert_eq!(invites.len(), count);
        for (step, status, body) in [(1, "100 Trying", ""), (2, "180 Ringing", ""), (3, "200 OK", text::SDP)] {
            for (gateway, invite) in &invites {
                self.push(*gateway, &text::response(invite, status, body));
            }
            assert_eq!(self.turn(step).len(), if step == 1 { 0 } else { count }, "{status}");
        }
        let dialogs: Vec<(String, SocketAddr)> = invites.iter().map(|(to, text)| (text::route(text), *to)).collect();
        for (number, (route, gateway)) in numbers.clone().zip(&dialogs) {
            self.push(caller, &text::request("ACK", 1, number, Some((route, *gateway))));
        }
        assert_eq!(self.turn(4).len(), count);
        for (number, (route, gateway)) in numbers.zip(&dialogs) {
            self.push(caller, &text::request("BYE", 2, number, Some((route, *gateway))));
        }
        let byes = self.turn(5);
        assert_eq!(byes.len(), count);
        for (gateway, bye) in &byes {
            self.push(*gateway, &text::response(bye, "200 OK", ""));
        }
        assert_eq!(self.turn(6).len(), count);
        self.now += self.gap * count as u64;
        self.turn(7);
    }

    fn run(&mut self, from: usize, count: usize, side_by_side: usize) {
        for first in (from..from + count).step_by(side_by_side) {
            self.calls(first, side_by_side.min(from + count - first));
        }
    }
}

/// The clock of this core in gigahertz: a 64-bit multiplication takes three cycles on every x86 since 2008, an
/// exclusive or one; each waits for the one before.
fn gigahertz() -> f64 {
    const CHAIN: u32 = 20_000_000;
    let (mut product, factor) = (black_box(3u64), black_box(5u64));
    let start = Instant::now();
    for link in 0..CHAIN {
        product = product.wrapping_mul(factor) ^ u64::from(link);
    }
    let spent = start.elapsed();
    black_box(product);
    f64::from(CHAIN) * 4.0 / spent.as_nanos() as f64
}

/// See the module.
pub(crate) fn run(flags: &HashMap<String, u64>) {
    let number = |name: &str, default: u64| flags.get(name).copied().unwrap_or(default);
    let (calls, warm) = (number("calls", 20_000) as usize, number("warm", 2_000) as usize);
    let (gap, side_by_side) = (number("gap", 1_000), number("side-by-side", 8) as usize);
    let shard = shard::shard(TANDEM, GATEWAYS, warm + calls);
    let spent = [Duration::ZERO; STEPS.len()];
    let mut rig = Rig { shard, now: 1, gap, counting: false, spent, probes: 0, bytes_in: 0, frames: 0 };
    rig.run(0, warm, side_by_side);
    let clock = gigahertz();
    (rig.counting, rig.spent, rig.bytes_in, rig.frames) = (true, spent, 0, 0);
    rig.run(warm, calls, side_by_side);
    let per_call = |spent: Duration| spent.as_nanos() as f64 / calls as f64;
    let by_step: serde_json::Map<String, serde_json::Value> = STEPS
        .iter()
        .zip(rig.spent)
        .map(|((name, ..), spent)| ((*name).to_owned(), per_call(spent).round().into()))
        .collect();
    let nanoseconds = per_call(rig.spent.iter().sum());
    let occupancy = rig.shard.app().proxy().occupancy();
    println!(
        "{}",
        serde_json::json!({
            "calls": calls,
            "nanoseconds": nanoseconds.round(),
            "microseconds_at_2_4_ghz": (nanoseconds * clock / 2.4).round() / 1000.0,
            "gigahertz": (clock * 100.0).round() / 100.0,
            "nanoseconds_by_step": by_step,
            "frames_in_per_call": rig.frames as f64 / calls as f64,
            "mean_frame_bytes": rig.bytes_in as f64 / rig.frames as f64,
            "probes": rig.probes,
            "transactions_kept": occupancy.transactions,
            "bytes_kept": occupancy.bytes,
            "bytes_of": {
                "transaction": size_of::<proto::transaction::Transaction>(),
                "branch": size_of::<proto::transaction::Branch>(),
                "context": size_of::<proto::transaction::Context<modules::Note>>(),
                "call": size_of::<modules::calls::Call>(),
            },
        })
    );
}
