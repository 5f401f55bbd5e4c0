//! What each gateway did, in numbers: kept by each shard, added up by whoever shows them.

use super::Dispatcher;
use super::health::{Health, State, Why};
use crate::tables::{Number, Tables};
use proto::time::{Micros, Wall};
use std::net::SocketAddr;

/// How an attempt at a gateway failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No response at all in time.
    NoResponse,
    /// Nothing beyond a 100 in the time that a vendor has to ring.
    NotRinging,
    /// A response, but no final one in time.
    TimedOut,
    /// The network reported it unreachable.
    Unreachable,
    /// 503.
    Unavailable,
    /// 3xx.
    Redirected,
    /// 4xx.
    ClientFailure,
    /// 5xx but 503.
    ServerFailure,
    /// 6xx.
    GlobalFailure,
}

impl Cause {
    /// All, in the order of their numbers.
    pub const ALL: [Cause; 9] = [
        Cause::NoResponse,
        Cause::NotRinging,
        Cause::TimedOut,
        Cause::Unreachable,
        Cause::Unavailable,
        Cause::Redirected,
        Cause::ClientFailure,
        Cause::ServerFailure,
        Cause::GlobalFailure,
    ];

    /// Name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Cause::NoResponse => "no_response",
            Cause::NotRinging => "not_ringing",
            Cause::TimedOut => "timed_out",
            Cause::Unreachable => "unreachable",
            Cause::Unavailable => "503",
            Cause::Redirected => "3xx",
            Cause::ClientFailure => "4xx",
            Cause::ServerFailure => "5xx",
            Cause::GlobalFailure => "6xx",
        }
    }

    /// The cause that a failing status stands for; `None` below 300.
    pub const fn of_status(status: u16) -> Option<Cause> {
        match status {
            0..300 => None,
            300..400 => Some(Cause::Redirected),
            400..500 => Some(Cause::ClientFailure),
            503 => Some(Cause::Unavailable),
            500..600 => Some(Cause::ServerFailure),
            _ => Some(Cause::GlobalFailure),
        }
    }
}

/// Numbers of one gateway on one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests sent to it outside dialogs, each attempt counted.
    pub attempts: u64,
    /// INVITEs that it answered with 2xx.
    pub carried: u64,
    /// Attempts that failed, by [`Cause`].
    pub failed: [u64; Cause::ALL.len()],
    /// First responses that came after the attempt had been given up.
    pub late: u64,
    /// Responses that were refused because they came from an address that is not its own.
    pub refused_responses: u64,
    /// Where the last of them came from: `reply_from` may be missing it.
    pub refused_from: Option<SocketAddr>,
    /// Calls that are established now.
    pub active: u32,
    /// Requests under way to it now.
    pub pending: u32,
}

impl Figures {
    /// Failed attempts of all causes.
    pub fn failed_in_all(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Adds what another shard counted.
    pub fn add(&mut self, other: &Figures) {
        self.attempts += other.attempts;
        self.carried += other.carried;
        self.failed.iter_mut().zip(other.failed).for_each(|(sum, count)| *sum += count);
        self.late += other.late;
        self.refused_responses += other.refused_responses;
        self.refused_from = other.refused_from.or(self.refused_from);
        self.active = self.active.saturating_add(other.active);
        self.pending = self.pending.saturating_add(other.pending);
    }

    /// What the gateway carries now: calls, and those being set up.
    pub(super) fn load(&self) -> u32 {
        self.active.saturating_add(self.pending)
    }

    /// A request is meant for it; `kept`: its end will be known, and it is an attempt once its branch leaves.
    pub(super) fn chosen(&mut self, kept: bool) {
        self.attempts += u64::from(!kept);
        self.pending = self.pending.saturating_add(u32::from(kept));
    }

    pub(super) fn count(&mut self, cause: Cause) {
        self.failed.get_mut(cause as usize).into_iter().for_each(|count| *count += 1);
    }
}

/// One gateway as one shard sees it: a line of `tandem gateways`.
#[derive(Clone, Copy, Debug)]
pub struct GatewaySnapshot {
    /// The gateway; [`Tables::gateway`] has its name, address and set.
    pub number: Number,
    /// Its state.
    pub state: State,
    /// Since when, by probes and calls; an operator's mark is dated by whoever keeps it.
    pub since: Wall,
    /// Why.
    pub why: Why,
    /// How long the last answered probe took; zero: none was.
    pub probe_latency: Micros,
    /// Its numbers.
    pub figures: Figures,
}

impl Dispatcher {
    /// Every gateway of the tables.
    pub fn snapshots<'d>(&'d self, tables: &'d Tables) -> impl Iterator<Item = GatewaySnapshot> + 'd {
        tables.gateways.iter().flatten().map(|gateway| {
            let (state, since, why) = self.state(gateway);
            GatewaySnapshot {
                number: gateway.number,
                state,
                since,
                why,
                probe_latency: super::health_of(&self.addresses, gateway).map_or(Micros(0), Health::latency),
                figures: self.figures(gateway.number),
            }
        })
    }

    fn figures(&self, gateway: Number) -> Figures {
        let state = self.gateways.get(gateway.slot()).filter(|state| state.number == Some(gateway));
        state.map(|state| state.figures).unwrap_or_default()
    }
}
