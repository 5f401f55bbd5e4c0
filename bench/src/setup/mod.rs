//! From the command line to what each shard gets: addresses, behaviours, sizes.

mod echo;
mod registering;
mod workload;

pub use echo::EchoSetup;
pub use workload::Workload;

use std::{
    fs, io,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::PathBuf,
    time::Duration,
};

use proto::time::Micros;

use crate::{
    back_off::Timing,
    caller::{self, Kind},
    cli::{BehaviourArgs, CallArgs, GatewaysArgs, LoadArgs, RequestArgs, SharedArgs},
    duration::micros,
    gateway::behaviour::{Behaviour, BehaviourError, Behaviours, End, Outage, Outcome},
    host,
    identity::Run,
    message::requests::Registered,
    numbers::Numbers,
    schedule::{Plan, Rate},
    wire::SLOTS_MAX,
};

/// Why a command makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An address that is not loopback, without leave.
    #[error("{0} is not a loopback address; --allow-remote permits it (only send to hosts that are yours)")]
    Remote(IpAddr),
    /// A wildcard, or port 0.
    #[error("{0} is not an address that others can answer to; name address and port")]
    Unanswerable(SocketAddr),
    /// No free port on the loopback.
    #[error("no address to send from: {0}; name one with --from")]
    NoLocal(io::Error),
    /// A file of behaviours that cannot be opened.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// A file of behaviours that cannot be read.
    #[error("{0}: {1}")]
    Behaviour(PathBuf, BehaviourError),
    /// Anything else.
    #[error("{0}")]
    Usage(String),
}

/// A workload, ready to be launched.
#[derive(Debug)]
pub struct Setup {
    /// Name.
    pub workload: &'static str,
    /// What will happen, in a line.
    pub plan_text: String,
    /// Where calls go; `None`: gateways alone.
    pub load: Option<Load>,
    /// Gateways and their ways.
    pub gateways: Vec<(SocketAddr, Behaviour)>,
    /// Calls that gateways of one shard may have at the same time.
    pub gateway_places: u32,
    /// Ends after this time; `None`: when the calls are done, or by signal.
    pub duration: Option<Duration>,
    /// Common flags.
    pub shared: SharedArgs,
    /// IP addresses that traffic may go to.
    pub given: Vec<IpAddr>,
    /// Marks this run.
    pub run: Run,
    /// T1, T2.
    pub timing: Timing,
}

/// The callers of a workload.
#[derive(Debug)]
pub struct Load {
    /// When what starts.
    pub plan: Plan,
    /// Addresses of the callers.
    pub from: Vec<SocketAddr>,
    /// Settings of all callers; shards change numbers, sizes and seed.
    pub caller: caller::Settings,
    /// How long to wait after the last start.
    pub grace: Duration,
    /// Bounds of the exit code.
    pub max_failed: u64,
    /// Bounds of the exit code.
    pub max_lost: u64,
}

/// How long after the first response a caller cancels.
const CANCEL_AFTER: Duration = Duration::from_millis(100);
/// Length of a run that nobody bounded.
const LENGTH: Duration = Duration::from_secs(10);
/// Longest schedule; a bound by calls ends it.
const LENGTH_MAX: Duration = Duration::from_secs(86_400);

impl Setup {
    /// A workload of calls.
    pub fn calls(workload: Workload, args: CallArgs) -> Result<Self, SetupError> {
        let flags = args.behaviour.flags()?;
        let file = args.behaviour.file()?;
        let mut gateways = Vec::new();
        for (index, address) in args.gateways.iter().enumerate() {
            let preset = workload.behaviour(index == 0);
            let behaviour = file.of(*address, flags.as_ref().unwrap_or(&preset));
            gateways.push((*address, behaviour));
        }
        args.behaviour.add_to(&mut gateways)?;
        let mut setup = Self::of_load(workload.name(), Kind::Call, args.load, gateways)?;
        if let Some(load) = &mut setup.load {
            let caller = &mut load.caller;
            caller.expected = args.expect;
            caller.expected.extend_from_slice(workload.expected());
            caller.numbers = Numbers::from(args.numbers.first_number, args.numbers.numbers);
            caller.placing = args.placing.read()?;
            caller.hold = (!args.gateway_hangs_up).then(|| args.hold.map_or(Micros(0), micros));
            caller.patience = micros(args.patience.unwrap_or(workload.patience()));
            caller.cancel = (
                share("--cancel-share", args.cancel_share.unwrap_or(workload.cancel_share()))?,
                micros(args.cancel_after.unwrap_or(CANCEL_AFTER)),
            );
            caller.large = share("--large-share", args.large_share.unwrap_or(workload.large_share()))?;
        }
        setup.size_up();
        Ok(setup)
    }

    /// A workload of single requests.
    pub fn requests(workload: &'static str, kind: Kind, args: RequestArgs) -> Result<Self, SetupError> {
        let mut setup = Self::of_load(workload, kind, args.load, Vec::new())?;
        if let Some(load) = &mut setup.load {
            load.caller.expected = args.expect;
        }
        setup.size_up();
        Ok(setup)
    }

    /// Gateways alone.
    pub fn gateways(args: GatewaysArgs) -> Result<Self, SetupError> {
        let file = args.behaviour.file()?;
        let flags = args.behaviour.flags()?.unwrap_or_default();
        let mut addresses = args.listen;
        if addresses.is_empty() {
            addresses.extend(file.addresses());
        }
        if addresses.is_empty() {
            return Err(SetupError::Usage("no gateway: name them with --listen, or in the behaviour file".to_owned()));
        }
        let mut gateways: Vec<_> = addresses.into_iter().map(|address| (address, file.of(address, &flags))).collect();
        args.behaviour.add_to(&mut gateways)?;
        let mut setup = Setup {
            workload: "gateways",
            plan_text: format!("{} listening", gateways.len()),
            load: None,
            gateways,
            gateway_places: args.max_active,
            duration: args.duration,
            given: Vec::new(),
            run: Run(fastrand::u32(..)),
            timing: timing(&args.shared),
            shared: args.shared,
        };
        setup.check_addresses(None)?;
        Ok(setup)
    }

    fn of_load(
        workload: &'static str,
        kind: Kind,
        args: LoadArgs,
        gateways: Vec<(SocketAddr, Behaviour)>,
    ) -> Result<Self, SetupError> {
        let length = match (args.duration, args.calls) {
            (Some(duration), _) => duration,
            (None, None) => LENGTH,
            (None, Some(calls)) => {
                let seconds = calls as f64 / args.rate.starts_within(Duration::from_secs(1));
                let seconds = match args.rate {
                    // The count ends it; Poisson arrivals may take longer than the average.
                    Rate::Constant(_) => seconds * 2.0 + 1.0,
                    Rate::Ramp(..) | Rate::Steps(_) => seconds,
                };
                Duration::try_from_secs_f64(seconds).map_or(LENGTH_MAX, |length| length.min(LENGTH_MAX))
            }
        };
        let plan = Plan { rate: args.rate.clone(), arrivals: args.arrivals, length, starts_max: args.calls };
        let from = local_addresses(&args)?;
        let run = Run(fastrand::u32(..));
        let timing = timing(&args.shared);
        let plan_text = format!(
            "to {} at {:?}, {:?} arrivals, {} gateway(s)",
            args.target,
            plan.rate,
            plan.arrivals,
            gateways.len()
        );
        let caller = caller::Settings {
            run,
            timing,
            target: args.target,
            kind,
            hold: Some(Micros(0)),
            patience: micros(Workload::Call.patience()),
            cancel: (0.0, Micros(0)),
            large: 0.0,
            expected: Vec::new(),
            given: Vec::new(),
            numbers: Numbers::from(0, None),
            placing: None,
            registered: Registered::default(),
            places: args.max_active.unwrap_or(0),
            established: 0,
            seed: args.shared.seed,
            account: None,
        };
        let mut setup = Setup {
            workload,
            plan_text,
            load: Some(Load {
                plan,
                from,
                caller,
                grace: args.grace.unwrap_or(Duration::ZERO),
                max_failed: args.max_failed,
                max_lost: args.max_lost,
            }),
            gateways,
            gateway_places: 0,
            duration: None,
            given: Vec::new(),
            run,
            timing,
            shared: args.shared,
        };
        setup.check_addresses(Some(args.target))?;
        if let Some(load) = &mut setup.load {
            load.caller.given.clone_from(&setup.given);
        }
        Ok(setup)
    }

    /// Refuses what is not loopback unless it is allowed, and keeps what was given.
    fn check_addresses(&mut self, target: Option<SocketAddr>) -> Result<(), SetupError> {
        let own = self.gateways.iter().map(|(address, _)| *address);
        let own = own.chain(self.load.iter().flat_map(|load| load.from.iter().copied()));
        for address in own.chain(target) {
            if address.ip().is_unspecified() || address.port() == 0 {
                return Err(SetupError::Unanswerable(address));
            }
            self.given.push(address.ip());
        }
        self.given.extend_from_slice(&self.shared.hop);
        self.given.sort_unstable();
        self.given.dedup();
        let remote = self.given.iter().find(|ip| !ip.is_loopback());
        match remote {
            Some(ip) if !self.shared.allow_remote => Err(SetupError::Remote(*ip)),
            _ => Ok(()),
        }
    }

    /// How many calls can be open at once, for each shard, from rate and times.
    fn size_up(&mut self) {
        let Some(load) = &mut self.load else {
            return;
        };
        let caller = &mut load.caller;
        let slowest = self
            .gateways
            .iter()
            .flat_map(|(_, behaviour)| &behaviour.outcomes)
            .map(Outcome::longest)
            .max()
            .unwrap_or(Micros(0));
        // A call that nobody answers is kept for 64·T1 and then as long again (a late answer).
        let failing = caller.timing.t1.times(64 * 2);
        let up = slowest.0 + caller.hold.map_or(0, |hold| hold.0);
        let longest = Duration::from_micros(up + failing.0 + caller.patience.0.min(SLOW_CALL_MAX.0));
        let starts = load.plan.expected_starts();
        let shards = self.shared.shards.max(1) as u64;
        let at_once = |time: Duration| {
            let open = load.plan.rate.highest() * (time.as_secs_f64() + 1.0) * 1.2;
            let open = (open as u64).min(starts + starts / 10 + 1_000) / shards + 1_000;
            u32::try_from(open).unwrap_or(SLOTS_MAX).min(PLACES_MAX)
        };
        if caller.places == 0 {
            caller.places = at_once(longest);
        }
        // BYE is kept while a call is up, and while its BYE is repeated.
        caller.established = at_once(Duration::from_micros(up + failing.0 / 2)).min(caller.places);
        self.gateway_places = at_once(Duration::from_micros(up + failing.0 / 2));
        if load.grace.is_zero() {
            load.grace = longest + Duration::from_secs(2);
        }
    }
}

/// Ringing beyond this is not reckoned with in sizes: who tests it names --max-active.
const SLOW_CALL_MAX: Micros = Micros::from_secs(30);
/// Most calls of one shard at the same time.
const PLACES_MAX: u32 = 4_000_000;

impl Outcome {
    /// How long a call may take here until it is over, without what the caller adds.
    fn longest(&self) -> Micros {
        match self.end {
            End::Answer { after, hold } => Micros(after.0 + hold.map_or(0, |hold| hold.0)),
            End::Reject { after, .. } => after,
            End::RingOut | End::Silent => Micros(0),
        }
    }
}

impl BehaviourArgs {
    fn file(&self) -> Result<Behaviours, SetupError> {
        let Some(path) = &self.behaviour else {
            return Ok(Behaviours::default());
        };
        let text = fs::read_to_string(path).map_err(|error| SetupError::File(path.clone(), error))?;
        Behaviours::read(&text).map_err(|error| SetupError::Behaviour(path.clone(), error))
    }

    /// The behaviour that the flags describe; `None` if there are none.
    fn flags(&self) -> Result<Option<Behaviour>, SetupError> {
        let drop = share("--drop", self.drop.unwrap_or(0.0))?;
        let mut behaviour = match self.reject {
            Some(code) if (300..700).contains(&code) => Behaviour::reject(code),
            Some(code) => {
                return Err(SetupError::Usage(format!("--reject takes a code from 300 to 699, not {code}")));
            }
            None => Behaviour::default(),
        };
        let silent_flags = self.ring.is_none()
            && self.gateway_hold.is_none()
            && self.reject.is_none()
            && self.drop.is_none()
            && !self.no_trying;
        if silent_flags {
            return Ok(None);
        }
        behaviour.drop = drop;
        behaviour.trying &= !self.no_trying;
        for outcome in &mut behaviour.outcomes {
            if let End::Answer { after, hold } = &mut outcome.end {
                *after = self.ring.map_or(Micros(0), micros);
                *hold = self.gateway_hold.map(micros);
            }
        }
        Ok(Some(behaviour))
    }

    /// Adds the outages to the gateways that they name.
    fn add_to(&self, gateways: &mut [(SocketAddr, Behaviour)]) -> Result<(), SetupError> {
        for (address, at, lasts) in &self.outage {
            let gateway = gateways.iter_mut().find(|(known, _)| known == address);
            let Some((_, behaviour)) = gateway else {
                return Err(SetupError::Usage(format!("--outage names {address}, which is none of the gateways")));
            };
            behaviour.outages.push(Outage { at: *at, lasts: *lasts });
        }
        Ok(())
    }
}

fn share(flag: &str, value: f64) -> Result<f64, SetupError> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(SetupError::Usage(format!("{flag} is a share from 0 to 1")))
    }
}

/// T2 keeps its distance to T1 (RFC 3261: 4 s to 500 ms).
fn timing(shared: &SharedArgs) -> Timing {
    let t1 = micros(shared.t1);
    Timing { t1, t2: t1.times(8) }
}

/// The callers' addresses: those given, or free ports of the loopback, one for each shard at least.
fn local_addresses(args: &LoadArgs) -> Result<Vec<SocketAddr>, SetupError> {
    let mut from = args.from.clone();
    let shards = args.shared.shards.max(1);
    if from.is_empty() && !args.target.ip().is_loopback() {
        return Err(SetupError::Usage(
            "a target that is not loopback needs --from: the address that answers come to".to_owned(),
        ));
    }
    // The sockets are held until all are found, so that they differ.
    let mut held = Vec::new();
    while from.len() < shards {
        let ip = from.first().map_or(args.target.ip(), SocketAddr::ip);
        let socket = UdpSocket::bind((ip, 0)).map_err(SetupError::NoLocal)?;
        from.push(socket.local_addr().map_err(SetupError::NoLocal)?);
        held.push(socket);
    }
    Ok(from)
}

/// The cores of the shards: those given, or the last that this process may use (the first one is
/// where the target usually runs).
pub fn cores(shared: &SharedArgs) -> Result<Vec<usize>, SetupError> {
    if !shared.cores.is_empty() {
        if shared.cores.len() < shared.shards {
            return Err(SetupError::Usage(format!("{} shards need as many --cores", shared.shards)));
        }
        return Ok(shared.cores.clone());
    }
    let allowed = host::allowed_cores();
    if shared.shards == 0 || allowed.len() < shared.shards {
        return Err(SetupError::Usage(format!("--shards is from 1 to {}, the cores of this process", allowed.len())));
    }
    Ok(allowed.into_iter().rev().take(shared.shards).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn setup(line: &str) -> Result<Setup, SetupError> {
        let cli = Cli::try_parse_from(format!("tandem-bench {line}").split_whitespace()).unwrap();
        match cli.command {
            Command::Call(args) => Setup::calls(Workload::Call, args),
            Command::Wholesale(args) => Setup::calls(Workload::Wholesale, args),
            Command::Failover(args) => Setup::calls(Workload::Failover, args),
            Command::Gateways(args) => Setup::gateways(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_leaves_the_loopback_unasked() {
        for line in [
            "call --target 192.0.2.1:5060 --from 127.0.0.1:5090",
            "call --target 127.0.0.1:5060 --gateways 192.0.2.1:5071",
            "call --target 127.0.0.1:5060 --hop 192.0.2.7",
            "gateways --listen 192.0.2.1:5071",
        ] {
            assert!(matches!(setup(line), Err(SetupError::Remote(_))), "{line}");
            assert!(setup(&format!("{line} --allow-remote")).is_ok(), "{line}");
        }
        assert!(setup("gateways --listen 0.0.0.0:5071 --allow-remote").is_err());
    }

    #[test]
    fn presets_give_way_to_flags() {
        let gateways = "--gateways 127.0.0.1:5071,127.0.0.1:5072";
        let failover = setup(&format!("failover --target 127.0.0.1:5060 {gateways}")).unwrap();
        assert_eq!(failover.gateways[0].1, Behaviour::reject(503));
        assert_eq!(failover.gateways[1].1, Behaviour::default());
        let told = setup(&format!("failover --target 127.0.0.1:5060 {gateways} --ring 200ms"));
        let answers_late = End::Answer { after: Micros(200_000), hold: None };
        assert_eq!(told.unwrap().gateways[0].1.outcomes[0].end, answers_late);
    }

    #[test]
    fn sizes_follow_rate_and_times_and_never_exceed_the_calls() {
        let few = setup("call --target 127.0.0.1:5060 --rate 1000 --calls 500").unwrap();
        assert!(few.load.unwrap().caller.places < 3_000);
        let many = setup("call --target 127.0.0.1:5060 --rate 1000 --duration 60s --hold 10s");
        let places = many.unwrap().load.unwrap().caller.places;
        assert!((60_000..80_000).contains(&places), "{places}");
    }

    #[test]
    fn every_shard_has_an_address_to_call_from() {
        let load = setup("call --target 127.0.0.1:5060 --shards 2").unwrap().load.unwrap();
        assert_eq!(load.from.len(), 2);
        assert_ne!(load.from[0], load.from[1]);
    }
}
