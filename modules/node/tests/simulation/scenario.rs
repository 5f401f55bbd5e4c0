//! What happens in one world: everything that is drawn before it begins.

use crate::callers::Plan;
use crate::gateways::Character;
use crate::network::{Conditions, MS, SECOND};
use fastrand::Rng;
use std::net::SocketAddr;

/// Where Tandem listens.
pub(crate) const TANDEM: ([u8; 4], u16) = ([198, 51, 100, 1], 5060);

const CALLERS: u8 = 3;

const ALGORITHMS: [&str; 8] =
    ["weighted", "round-robin", "priority", "least-calls", "random", "hash-call-id", "parallel", "parallel"];

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) shards: u8,
    pub(crate) conditions: Conditions,
    pub(crate) gateways: Vec<GatewayPlan>,
    pub(crate) calls: Vec<Plan>,
    /// When Tandem gets a new file, and the algorithm in it.
    pub(crate) reloads: Vec<(u64, &'static str)>,
    pub(crate) algorithm: &'static str,
    probes: bool,
    last_503: &'static str,
}

/// One gateway.
#[derive(Clone, Debug)]
pub(crate) struct GatewayPlan {
    pub(crate) address: SocketAddr,
    pub(crate) character: Character,
    /// Switched off from and until.
    pub(crate) off: Option<(u64, u64)>,
    /// Its host refuses packets (ICMP) when it does not run.
    pub(crate) refuses: bool,
}

impl Scenario {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let lossless = rng.f64() < 0.4;
        let conditions = Conditions {
            loss: if lossless { 0.0 } else { rng.f64() * 0.3 },
            duplication: if rng.bool() { 0.0 } else { rng.f64() * 0.2 },
            delay: if rng.bool() { 0.0 } else { rng.f64() * 0.1 },
        };
        let gateways = (1..=rng.u8(1..=5)).map(|number| gateway(number, rng)).collect();
        let calls = (0..rng.usize(2..=8)).map(|_| call(rng)).collect();
        Scenario {
            shards: rng.u8(1..=8),
            conditions,
            gateways,
            calls,
            reloads: (0..rng.usize(0..=2)).map(|_| (rng.u64(SECOND..30 * SECOND), algorithm(rng))).collect(),
            algorithm: algorithm(rng),
            probes: rng.f64() < 0.4,
            last_503: if rng.bool() { "503" } else { "500" },
        }
    }

    /// Tandem's configuration with this algorithm.
    pub(crate) fn toml(&self, algorithm: &str) -> String {
        let gateways: Vec<String> = self
            .gateways
            .iter()
            .enumerate()
            .map(|(index, gateway)| {
                let options = match algorithm {
                    "priority" => format!(", priority = {index}"),
                    "parallel" | "round-robin" => String::new(),
                    _ => format!(", weight = {}", 10 + 20 * index),
                };
                format!("{{ uri = \"sip:{}\"{options} }}", gateway.address)
            })
            .collect();
        format!(
            "sources = [\"192.0.2.0/24\"]\n[listen]\nudp = [\"{}\"]\n[policy]\ncall_max_seconds = 60\n[[set]]\n\
             name = \"carriers\"\nalgorithm = \"{}\"\nlast_503 = \"{}\"\n{}gateways = [\n{}\n]\n",
            SocketAddr::from(TANDEM),
            algorithm,
            self.last_503,
            if self.probes { "" } else { "probe = \"off\"\n" },
            gateways.join(",\n")
        )
    }

    /// Nothing is lost, and every gateway stays as it is.
    pub(crate) fn is_steady(&self) -> bool {
        self.conditions.loss == 0.0 && self.gateways.iter().all(|gateway| gateway.off.is_none())
    }
}

fn algorithm(rng: &mut Rng) -> &'static str {
    ALGORITHMS[rng.usize(..ALGORITHMS.len())]
}

fn gateway(number: u8, rng: &mut Rng) -> GatewayPlan {
    let codes = [503, 503, 486, 404, 500, 603];
    let character = match rng.u8(..20) {
        0..9 => Character::Answers,
        9..11 => Character::Slow,
        11..14 => Character::Refuses(codes[rng.usize(..codes.len())]),
        14 => Character::Rings,
        15 => Character::Tries,
        16..18 => Character::Moody,
        _ => Character::Dead,
    };
    let off = (rng.f64() < 0.25).then(|| {
        let from = rng.u64(0..15 * SECOND);
        (from, from + rng.u64(SECOND..20 * SECOND))
    });
    GatewayPlan { address: SocketAddr::from(([203, 0, 113, number], 5060)), character, off, refuses: rng.bool() }
}

fn call(rng: &mut Rng) -> Plan {
    let mut maybe = |share: f64, longest: u64| (rng.f64() < share).then(|| rng.u64(0..longest));
    Plan {
        cancel_after: maybe(0.3, 6 * SECOND),
        hang_up_after: maybe(0.7, 6 * SECOND),
        vanishes_after: maybe(0.1, 12 * SECOND),
        start: rng.u64(MS..15 * SECOND),
        caller: SocketAddr::from(([192, 0, 2, rng.u8(1..=CALLERS)], 5060)),
    }
}
