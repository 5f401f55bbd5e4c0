//! Echo load, from the command line.

use std::{net::SocketAddr, time::Duration};

use super::{PLACES_MAX, Setup, SetupError};
use crate::{
    caller::Kind,
    cli::{EchoArgs, SharedArgs},
    echo,
    schedule::Plan,
};

/// Echo load, ready to be launched.
#[derive(Debug)]
pub struct EchoSetup {
    /// When sequences start.
    pub plan: Plan,
    /// In a line.
    pub plan_text: String,
    /// Addresses to send from.
    pub from: Vec<SocketAddr>,
    /// What is sent.
    pub settings: echo::Settings,
    /// How long to wait after the last start.
    pub grace: Duration,
    /// Common flags.
    pub shared: SharedArgs,
    /// Bounds of the exit code.
    pub max_failed: u64,
}

impl EchoSetup {
    /// From the flags.
    pub fn new(args: EchoArgs) -> Result<Self, SetupError> {
        let sizes = echo::SIZE_MIN..=echo::SIZE_MAX;
        if args.size.is_empty() || args.size.iter().any(|size| !sizes.contains(size)) {
            return Err(SetupError::Usage(format!("--size takes bytes from {} to {}", echo::SIZE_MIN, echo::SIZE_MAX)));
        }
        if args.bursts.is_empty() || args.bursts.iter().any(|count| !(1..=100).contains(count)) {
            return Err(SetupError::Usage("a burst is from 1 to 100 datagrams".to_owned()));
        }
        let datagrams: usize = args.bursts.iter().sum();
        let setup = Setup::of_load("echo", Kind::Options, args.load, Vec::new())?;
        let Some(load) = setup.load else {
            return Err(SetupError::Usage("echo needs a target".to_owned()));
        };
        let open = load.plan.rate.highest() * ECHO_OPEN_SECONDS + 1_000.0;
        Ok(EchoSetup {
            plan_text: format!("{}, {datagrams} datagram(s) a start", setup.plan_text),
            settings: echo::Settings {
                run: setup.run,
                target: load.caller.target,
                sizes: args.size,
                bursts: args.bursts,
                last_absorbed: args.last_absorbed,
                // Saturating by the rules of float casts.
                places: (open as u32).min(PLACES_MAX),
                listeners: 0,
            },
            plan: load.plan,
            from: load.from,
            grace: Duration::from_secs(4),
            shared: setup.shared,
            max_failed: load.max_failed,
        })
    }
}

/// A sequence is open for this long at most, and a little.
const ECHO_OPEN_SECONDS: f64 = 2.5;
