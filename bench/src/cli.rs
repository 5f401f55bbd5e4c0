//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    duration,
    schedule::{Arrivals, Rate},
};

/// Load generator for SIP proxies: callers and gateways on Tandem's own drivers.
#[derive(Debug, Parser)]
#[command(name = "tandem-bench", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Workloads.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Calls: INVITE, 100, 180, 200, ACK, BYE, 200. Without --gateways this is the caller's side alone.
    #[command(visible_alias = "uac")]
    Call(CallArgs),
    /// The same calls, named for a target that keeps no state.
    CallStateless(CallArgs),
    /// Calls that are cancelled while they ring; 487 is what is expected.
    Cancel(CallArgs),
    /// Calls whose first gateway answers 503 to everything.
    Failover(CallArgs),
    /// Calls beyond what the target can carry; 503 is counted as turned away, not as failed.
    Overload(CallArgs),
    /// A wholesale mix: 35 % answered over up to four attempts, 503, 404, 486, ring-out, CANCEL, some
    /// INVITEs of 2.5 KB.
    Wholesale(CallArgs),
    /// OPTIONS to the target itself.
    Options(RequestArgs),
    /// REGISTER of a new contact each, or of the same ones again and again.
    Register(RegisterArgs),
    /// The same with the credentials that the registrar asks for: MD5 or SHA-256.
    RegisterDigest(DigestArgs),
    /// Gateways alone, until a signal.
    Gateways(GatewaysArgs),
    /// Datagrams to an echo program: the floor under every other figure.
    Echo(EchoArgs),
}

/// What every workload needs.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// Where traffic goes.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub target: SocketAddr,
    /// Starts a second: `1000`, `1000..5000` (ramp) or `1000,2000,4000` (steps, over the duration).
    #[arg(long, default_value = "100")]
    pub rate: Rate,
    /// Spread of the starts.
    #[arg(long, default_value = "constant")]
    pub arrivals: Arrivals,
    /// Length of the run (default: 10s, or what --calls takes).
    #[arg(long, value_parser = duration::parse)]
    pub duration: Option<Duration>,
    /// Ends after so many starts.
    #[arg(long, visible_alias = "requests", value_name = "COUNT")]
    pub calls: Option<u64>,
    /// Addresses to send from, taken in turn (default: a free port of the target's loopback).
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS:PORT,...")]
    pub from: Vec<SocketAddr>,
    /// What is common to all commands.
    #[command(flatten)]
    pub shared: SharedArgs,
    /// Most failed attempts for which the exit code is still 0.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub max_failed: u64,
    /// Most calls lost after their answer (BYE failed) for which the exit code is still 0.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub max_lost: u64,
    /// Open calls at the same time (default: from rate and times).
    #[arg(long, value_name = "COUNT")]
    pub max_active: Option<u32>,
    /// How long to wait for open calls after the last start (default: as long as SIP may take).
    #[arg(long, value_parser = duration::parse)]
    pub grace: Option<Duration>,
}

/// What every command needs.
#[derive(Clone, Debug, Args)]
pub struct SharedArgs {
    /// Shards, one core each.
    #[arg(long, default_value_t = 1)]
    pub shards: usize,
    /// Cores of the shards (default: the last ones that this process may use).
    #[arg(long, value_delimiter = ',', value_name = "CORE,...")]
    pub cores: Vec<usize>,
    /// Driver.
    #[arg(long, default_value = "auto")]
    pub driver: DriverName,
    /// Allows addresses that are not loopback. Only send to hosts that are yours.
    #[arg(long)]
    pub allow_remote: bool,
    /// Further IP addresses that Record-Route and Contact may lead to.
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS,...")]
    pub hop: Vec<std::net::IpAddr>,
    /// Seed of all draws; the same seed makes the same calls.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Form of the summary on standard output.
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// No line a second on standard error.
    #[arg(long)]
    pub quiet: bool,
    /// T1 of RFC 3261: the first interval of repetition.
    #[arg(long, default_value = "500ms", value_parser = duration::parse)]
    pub t1: Duration,
}

/// Shape of calls and gateways.
#[derive(Clone, Debug, Args)]
pub struct CallArgs {
    /// Load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Length of a call; the caller hangs up after it (default: 0, at once).
    #[arg(long, value_parser = duration::parse, conflicts_with = "gateway_hangs_up")]
    pub hold: Option<Duration>,
    /// The caller does not hang up: the gateways' `hold` does.
    #[arg(long)]
    pub gateway_hangs_up: bool,
    /// The caller cancels what rings longer (default: 180s; wholesale: 1s).
    #[arg(long, value_parser = duration::parse)]
    pub patience: Option<Duration>,
    /// Share of calls that the caller cancels, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub cancel_share: Option<f64>,
    /// How long after the first response it does.
    #[arg(long, value_parser = duration::parse)]
    pub cancel_after: Option<Duration>,
    /// Share of INVITEs that are 2.5 KB large, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub large_share: Option<f64>,
    /// Final failures that are no failure of the run.
    #[arg(long, value_delimiter = ',', value_name = "CODE,...")]
    pub expect: Vec<u16>,
    /// Whom they call.
    #[command(flatten)]
    pub numbers: NumberArgs,
    /// Which of these, where a Tandem has their location.
    #[command(flatten)]
    pub placing: PlacingArgs,
    /// Gateways to play, if any.
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS:PORT,...")]
    pub gateways: Vec<SocketAddr>,
    /// How they behave.
    #[command(flatten)]
    pub behaviour: BehaviourArgs,
}

/// Shape of single requests.
#[derive(Clone, Debug, Args)]
pub struct RequestArgs {
    /// Load.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Final failures that are no failure of the run.
    #[arg(long, value_delimiter = ',', value_name = "CODE,...")]
    pub expect: Vec<u16>,
}

/// Numbers that are called or registered.
#[derive(Clone, Debug, Args)]
pub struct NumberArgs {
    /// Digits of the lowest number.
    #[arg(long, default_value_t = 3_000_000_000, value_name = "NUMBER")]
    pub first_number: u64,
    /// How many numbers there are: all are used, in mixed order, before any comes again (default: each is new).
    #[arg(long, value_name = "COUNT")]
    pub numbers: Option<u32>,
}

/// Calls to users of a Tandem with several shards, chosen by where their location lies.
#[derive(Clone, Debug, Args)]
pub struct PlacingArgs {
    /// Calls only users whom the shard of their call has itself, or only such as another shard must be asked for.
    #[arg(long, requires_all = ["tandem_key", "tandem_shards"])]
    pub location: Option<LocationSide>,
    /// The Tandem's key, by which both are found.
    #[arg(long, value_name = "FILE")]
    pub tandem_key: Option<PathBuf>,
    /// Its shards.
    #[arg(long, value_name = "COUNT")]
    pub tandem_shards: Option<u16>,
}

/// Shape of registrations.
#[derive(Clone, Debug, Args)]
pub struct RegisterArgs {
    /// What all single requests have.
    #[command(flatten)]
    pub request: RequestArgs,
    /// What they register.
    #[command(flatten)]
    pub numbers: NumberArgs,
    /// What stands before the digits in the user's name; `+49` registers whom `call` calls.
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub prefix: String,
    /// Where the Contacts lead (default: the address that the REGISTER comes from).
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub contact: Option<SocketAddr>,
}

/// Shape of registrations with credentials.
#[derive(Clone, Debug, Args)]
pub struct DigestArgs {
    /// What all registrations have.
    #[command(flatten)]
    pub register: RegisterArgs,
    /// User name in the credentials (default: the number that is registered).
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Password, the same for all.
    #[arg(long, value_name = "WORD")]
    pub password: String,
    /// Uses a nonce again, with the next nonce count, until it is refused: half the messages.
    #[arg(long)]
    pub reuse_nonce: bool,
}

/// Gateways without callers.
#[derive(Clone, Debug, Args)]
pub struct GatewaysArgs {
    /// Where they listen (default: every address in the behaviour file).
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS:PORT,...")]
    pub listen: Vec<SocketAddr>,
    /// How they behave.
    #[command(flatten)]
    pub behaviour: BehaviourArgs,
    /// What is common to all commands.
    #[command(flatten)]
    pub shared: SharedArgs,
    /// Ends after this time (default: by signal).
    #[arg(long, value_parser = duration::parse)]
    pub duration: Option<Duration>,
    /// Open calls at the same time.
    #[arg(long, default_value_t = 100_000, value_name = "COUNT")]
    pub max_active: u32,
}

/// What gateways do, by flags; a file says more.
#[derive(Clone, Debug, Args)]
pub struct BehaviourArgs {
    /// TOML file of behaviours; flags hold for gateways that it does not name.
    #[arg(long, value_name = "FILE")]
    pub behaviour: Option<PathBuf>,
    /// Rings so long before it answers (default: 0).
    #[arg(long, value_parser = duration::parse)]
    pub ring: Option<Duration>,
    /// The gateway hangs up after this time.
    #[arg(long, value_parser = duration::parse)]
    pub gateway_hold: Option<Duration>,
    /// Rejects everything with this code.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["ring", "gateway_hold"])]
    pub reject: Option<u16>,
    /// Throws away this share of all datagrams that arrive, 0 to 1.
    #[arg(long, value_name = "SHARE")]
    pub drop: Option<f64>,
    /// Sends no 100.
    #[arg(long)]
    pub no_trying: bool,
    /// One gateway is dead for a while: `127.0.0.1:5072@5s+4s` from second 5 for 4 seconds.
    #[arg(long, value_name = "ADDRESS:PORT@AT+LENGTH", value_parser = parse_outage)]
    pub outage: Vec<(SocketAddr, Duration, Duration)>,
}

/// The floor.
#[derive(Clone, Debug, Args)]
pub struct EchoArgs {
    /// Load; a start is one burst sequence (see --bursts).
    #[command(flatten)]
    pub load: LoadArgs,
    /// Sizes of the datagrams, in turn.
    #[arg(long, value_delimiter = ',', default_value = "800", value_name = "BYTES,...")]
    pub size: Vec<usize>,
    /// Datagrams that one start sends: each figure is a burst, sent when the one before has come back.
    /// `1,3,2,1` moves like a call: INVITE; 100, 180 and 200; ACK and BYE; 200.
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "COUNT,...")]
    pub bursts: Vec<usize>,
    /// The last burst does not come back: for an echo program that absorbs its datagrams, as the target
    /// of a call that is turned away absorbs the ACK.
    #[arg(long)]
    pub last_absorbed: bool,
}

/// Drivers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DriverName {
    /// io_uring where the kernel has what it takes.
    Auto,
    /// io_uring.
    Uring,
    /// recvmmsg and sendmmsg.
    Mmsg,
}

/// Where the location of who is called lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LocationSide {
    /// On the shard of the call.
    Same,
    /// On another.
    Other,
}

/// Forms of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn parse_outage(text: &str) -> Result<(SocketAddr, Duration, Duration), String> {
    let wrong = || format!("`{text}` is no outage; write for instance 127.0.0.1:5072@5s+4s");
    let (address, times) = text.split_once('@').ok_or_else(wrong)?;
    let (at, lasts) = times.split_once('+').ok_or_else(wrong)?;
    Ok((
        address.parse().map_err(|_| wrong())?,
        duration::parse(at).map_err(|_| wrong())?,
        duration::parse(lasts).map_err(|_| wrong())?,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_read_as_documented() {
        let line = "tandem-bench call --target 127.0.0.1:5060 --rate 1000 --calls 5000 \
            --gateways 127.0.0.1:5071,127.0.0.1:5072 --hold 1s --ring 200ms --from 127.0.0.1:5090 \
            --outage 127.0.0.1:5072@5s+4s";
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Call(args) = cli.command else {
            panic!("not a call");
        };
        assert_eq!(args.gateways.len(), 2);
        assert_eq!(args.behaviour.outage[0].2, Duration::from_secs(4));
        for wrong in [
            "tandem-bench call",
            "tandem-bench call --target localhost --rate 1",
            "tandem-bench call --target 127.0.0.1:5060 --rate 0",
            "tandem-bench call --target 127.0.0.1:5060 --outage 127.0.0.1:5072@5s",
        ] {
            assert!(Cli::try_parse_from(wrong.split_whitespace()).is_err());
        }
    }
}
