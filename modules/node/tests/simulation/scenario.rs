//! What happens in one world: everything that is drawn before it begins.

use crate::callers::Plan;
use crate::file::File;
use crate::gateways::Character;
use crate::network::{Conditions, MS, SECOND};
use fastrand::Rng;
use std::net::{Ipv6Addr, SocketAddr};

/// Where Tandem listens, by family.
const TANDEM_V4: ([u8; 4], u16) = ([198, 51, 100, 1], 5060);
const TANDEM_V6: ([u16; 8], u16) = ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 5060);

const CALLERS: u8 = 4;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) shards: u8,
    pub(crate) conditions: Conditions,
    pub(crate) gateways: Vec<GatewayPlan>,
    pub(crate) calls: Vec<Plan>,
    pub(crate) file: File,
    pub(crate) changes: Vec<Change>,
    /// Pools are so small that they are full, until the first hand-over.
    pub(crate) tight: bool,
}

/// Tandem gets a new file.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) at: u64,
    pub(crate) file: File,
    /// In a new process; `None`: by a reload.
    pub(crate) hand_over: Option<HandOver>,
}

/// A new process takes over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandOver {
    pub(crate) shards: u8,
    /// Nobody serves for so long; what arrives meanwhile waits.
    pub(crate) gap: u64,
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

/// Tandem's address for those of the family of `peer`.
pub(crate) fn tandem_for(peer: SocketAddr) -> SocketAddr {
    if peer.is_ipv4() { SocketAddr::from(TANDEM_V4) } else { SocketAddr::from(TANDEM_V6) }
}

/// Tandem's listeners in the order of the file.
pub(crate) fn listeners() -> [SocketAddr; 2] {
    [SocketAddr::from(TANDEM_V4), SocketAddr::from(TANDEM_V6)]
}

impl Scenario {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let lossless = rng.f64() < 0.4;
        let conditions = Conditions {
            loss: if lossless { 0.0 } else { rng.f64() * 0.3 },
            duplication: if rng.bool() { 0.0 } else { rng.f64() * 0.2 },
            delay: if rng.bool() { 0.0 } else { rng.f64() * 0.1 },
        };
        let gateways: Vec<GatewayPlan> = (1..=rng.u8(1..=5)).map(|number| gateway(number, rng)).collect();
        let stateless = rng.f64() < 0.08;
        let calls = (0..rng.usize(2..=8)).map(|_| call(stateless, rng)).collect();
        let file = File::draw(&gateways, stateless, rng);
        let changes = (0..rng.usize(0..=3)).map(|_| change(&file, rng)).collect();
        Scenario { shards: rng.u8(1..=8), conditions, gateways, calls, file, changes, tight: rng.f64() < 0.1 }
    }

    /// Nothing is lost, every gateway stays as it is, and there is room for all.
    pub(crate) fn is_steady(&self) -> bool {
        !self.tight && self.conditions.loss == 0.0 && self.gateways.iter().all(|gateway| gateway.off.is_none())
    }

    /// Health moves choices, those of stateless sets too.
    pub(crate) fn health_may_move(&self) -> bool {
        self.file.probes || self.gateways.iter().any(|gateway| gateway.refuses)
    }

    /// Addresses of gateways that stand in every file.
    pub(crate) fn always_listed(&self) -> Vec<SocketAddr> {
        let files = || self.changes.iter().map(|change| &change.file).chain([&self.file]);
        let addresses = self.gateways.iter().map(|gateway| gateway.address);
        addresses.filter(|address| files().all(|file| file.lists(*address))).collect()
    }
}

fn change(first: &File, rng: &mut Rng) -> Change {
    let hand_over =
        rng.bool().then(|| HandOver { shards: rng.u8(1..=8), gap: if rng.bool() { 0 } else { rng.u64(0..300 * MS) } });
    Change { at: rng.u64(SECOND..25 * SECOND), file: first.draw_next(rng), hand_over }
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
    let v4 = SocketAddr::from(([203, 0, 113, number], 5060));
    let v6 = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, number.into()), 5060));
    GatewayPlan { address: if rng.f64() < 0.25 { v6 } else { v4 }, character, off, refuses: rng.bool() }
}

fn call(stateless: bool, rng: &mut Rng) -> Plan {
    let number = rng.u8(1..=CALLERS);
    let v6 = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, number.into()), 5060));
    let mut maybe = |share: f64, longest: u64| (rng.f64() < share).then(|| rng.u64(0..longest));
    Plan {
        cancel_after: maybe(0.3, 6 * SECOND),
        hang_up_after: maybe(0.7, 6 * SECOND),
        vanishes_after: maybe(0.1, 12 * SECOND),
        invites_again_after: maybe(0.3, 3 * SECOND),
        updates: rng.bool(),
        // Without a call of its own only our Route leads a request on.
        ignores_routes: !stateless && rng.f64() < 0.3,
        start: rng.u64(MS..15 * SECOND),
        caller: if number == CALLERS { v6 } else { SocketAddr::from(([192, 0, 2, number], 5060)) },
    }
}
