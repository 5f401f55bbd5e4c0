//! Starting: bind every address, choose the driver, start a pinned thread for each shard, and let
//! none of them take traffic before all are ready. Stopping, the reverse, is in [`running`].

use crate::app::App;
use crate::device::xdp::setup::{Prepared, XdpConfig, XdpQueue};
use crate::frame::ShardId;
use crate::links::{self, LinkConfig};
use crate::listener::{self, BindError, Deferred, Listener};
use crate::pools::Pools;
use crate::steering::Steering;
use crate::time::Micros;
use engine_sys::steer::Sets;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

mod choose;
mod running;
mod seat;

pub use choose::io_uring_available;
pub use running::Running;

/// How to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// One shard for each of these cores. Empty: every core that this process may run on.
    pub cores: Vec<usize>,
    /// What to listen on, at most `limits::LISTENERS_MAX`. A listener's index is its place here.
    pub listeners: Vec<Listener>,
    /// Which driver.
    pub driver: Driver,
    /// What AF_XDP serves, beside the kernel's sockets.
    pub xdp: XdpConfig,
    /// How the kernel spreads datagrams over shards.
    pub steering: Steering,
    /// Which datagrams can wait for all others, if any.
    pub deferred: Option<Deferred>,
    /// How much of everything each shard has.
    pub pools: Pools,
    /// How many lanes there are, at most `limits::LANES_MAX`.
    pub lanes: usize,
}

/// Which driver serves the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// AF_XDP on the interfaces that are named, where it is worth it; beside it, or alone, io_uring where
    /// the kernel has what is needed, else recvmmsg.
    #[default]
    Auto,
    /// io_uring, or no start.
    Uring,
    /// recvmmsg and sendmmsg.
    Mmsg,
    /// AF_XDP on the interfaces that are named, in whatever mode, or no start; beside it as with `Auto`.
    Xdp,
}

/// What serves, as it was found out at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// `"xdp"`, `"io_uring"` or `"mmsg"`.
    pub driver: &'static str,
    /// What serves each queue of AF_XDP's interfaces.
    pub queues: Vec<XdpQueue>,
    /// Why not a better one, if there is a better one.
    pub why: Option<String>,
    /// Whose socket receives a datagram, in words.
    pub steering: &'static str,
    /// Why not its owner's, if that was wished for.
    pub no_owner: Option<String>,
    /// The core of each shard.
    pub cores: Vec<usize>,
    /// The address of each listener.
    pub addresses: Vec<SocketAddr>,
}

/// Why the shards did not start.
#[derive(Debug)]
pub enum LaunchError {
    /// An address cannot be served.
    Bind(BindError),
    /// No such core, or more cores, listeners or lanes than there may be.
    Config(String),
    /// The driver that was asked for is not there.
    Driver(String),
    /// A shard could not get its memory, ring or thread.
    Shard {
        /// Which.
        shard: ShardId,
        /// What the system said.
        error: io::Error,
    },
    /// The application panicked while it was made.
    Panic,
}

/// Starts a shard for each core. `make` is called once on each shard's own thread, so the application
/// need not be `Send`. When this returns, all of them serve; when it fails, none ever did.
///
/// # Errors
/// See [`LaunchError`]; its text names the address or the shard, and what to do.
pub fn launch<A, F>(config: &Config, make: F) -> Result<Running<A::Letter>, LaunchError>
where
    A: App,
    F: Fn(ShardId) -> A + Send + Sync + 'static,
{
    let cores = choose::cores(config)?;
    config.pools.check().map_err(LaunchError::Config)?;
    let (driver, why) = choose::driver(config.driver)?;
    // WHY before the addresses are bound: what is refused here has taken nothing yet.
    let (xdp, no_xdp) = match choose::xdp(config, cores.len())? {
        Ok(prepared) => (Some(prepared), None),
        Err(why) => (None, why),
    };
    let sets = Sets {
        // INVARIANT: at most `limits::SHARDS_MAX`.
        shards: cores.len() as u32,
        large: driver.split(),
        deferred: config.deferred.map(|deferred| deferred.begins),
    };
    let deferred_wait = config.deferred.map_or(Micros(0), |deferred| deferred.receive_wait);
    let (steers, no_owner) =
        config.steering.prepare(&cores, &sets).map_err(|why| LaunchError::Config(cannot_steer(&why)))?;
    let groups = config
        .listeners
        .iter()
        .map(|listener| listener::bind(listener, &steers, &sets, deferred_wait))
        .collect::<Result<Vec<_>, _>>()
        .map_err(LaunchError::Bind)?;
    let serving = Serving {
        driver: if xdp.is_some() { "xdp" } else { driver.name() },
        queues: xdp.as_ref().map(Prepared::queues).unwrap_or_default(),
        why: no_xdp.or(why),
        steering: steers.name(),
        no_owner,
        cores: cores.clone(),
        addresses: groups.iter().map(|group| group.address).collect(),
    };
    let link_config = LinkConfig {
        shards: cores.len(),
        lanes: config.lanes,
        letters: config.pools.letters,
        hand_over_bytes: config.pools.hand_over_bytes,
    };
    let (links, lanes) = links::join(&link_config).map_err(|error| LaunchError::Shard { shard: ShardId(0), error })?;
    let mut running = Running::new(serving, &links, lanes);
    running.start(config, driver, xdp, groups, links, Arc::new(make))?;
    Ok(running)
}

fn cannot_steer(why: &str) -> String {
    format!("the kernel does not take the program that finds a datagram's shard: {why}; steering \"auto\" does without")
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LaunchError::Bind(error) => error.fmt(f),
            LaunchError::Config(text) | LaunchError::Driver(text) => f.write_str(text),
            LaunchError::Shard { shard, error } => {
                write!(f, "shard {} could not start: {error}; smaller pools need less memory", shard.0)
            }
            LaunchError::Panic => f.write_str("a shard panicked while it started"),
        }
    }
}

impl std::error::Error for LaunchError {}
