//! Starting: bind every address, choose the driver, start a pinned thread for each shard, and let
//! none of them take traffic before all are ready. Stopping: the reverse.

use crate::app::App;
use crate::device::Device;
use crate::device::mmsg::MmsgDevice;
use crate::device::uring::{LARGE_SPLIT, UringDevice};
use crate::frame::{LaneId, ShardId};
use crate::links::{self, LinkConfig, Links};
use crate::listener::{self, BindError, Group, Listener, Steering};
use crate::mailbox::LaneEnd;
use crate::pools::Pools;
use crate::shard::Shard;
use crate::stats::ShardStats;
use crate::time::Mono;
use crate::wake::Waker;
use engine_sys::socket::UdpSocket;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// How to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// One shard for each of these cores. Empty: every core that this process may run on.
    pub cores: Vec<usize>,
    /// What to listen on, at most `limits::LISTENERS_MAX`. A listener's index is its place here.
    pub listeners: Vec<Listener>,
    /// Which driver.
    pub driver: Driver,
    /// How the kernel spreads datagrams over shards.
    pub steering: Steering,
    /// How much of everything each shard has.
    pub pools: Pools,
    /// How many lanes there are, at most `limits::LANES_MAX`.
    pub lanes: usize,
}

/// Which driver serves the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// io_uring where the kernel has what is needed, else recvmmsg.
    #[default]
    Auto,
    /// io_uring, or no start.
    Uring,
    /// recvmmsg and sendmmsg.
    Mmsg,
}

/// What serves, as it was found out at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// `"io_uring"` or `"mmsg"`.
    pub driver: &'static str,
    /// Why not a better one, if there is a better one.
    pub why: Option<String>,
    /// The core of each shard.
    pub cores: Vec<usize>,
    /// The address of each listener.
    pub addresses: Vec<SocketAddr>,
}

/// Shards that run. Dropping it stops them.
pub struct Running<L> {
    serving: Serving,
    locked: bool,
    lanes: Vec<Option<LaneEnd<L>>>,
    stats: Vec<Arc<ShardStats>>,
    wakers: Vec<Arc<Waker>>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    stop: Arc<AtomicBool>,
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
    let cores = choose_cores(config)?;
    config.pools.check().map_err(LaunchError::Config)?;
    let (driver, why) = choose_driver(config.driver)?;
    let groups = config
        .listeners
        .iter()
        .map(|listener| listener::bind(listener, &cores, &config.steering, driver.split()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(LaunchError::Bind)?;
    let serving = Serving {
        driver: driver.name(),
        why,
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
    let mut running = Running {
        serving,
        locked: false,
        lanes: lanes.into_iter().map(Some).collect(),
        stats: cores.iter().map(|_| Arc::default()).collect(),
        wakers: links.iter().map(|links| Arc::clone(&links.inward.waker)).collect(),
        threads: Vec::new(),
        stop: Arc::default(),
    };
    running.start(config, driver, groups, links, Arc::new(make))?;
    running.locked = engine_sys::memory::lock_all().is_ok();
    Ok(running)
}

impl<L: Send + 'static> Running<L> {
    /// Starts the threads, waits until each is ready or one failed, and lets them go.
    fn start<A, F>(
        &mut self,
        config: &Config,
        driver: Kind,
        groups: Vec<Group>,
        links: Vec<Links<L>>,
        make: Arc<F>,
    ) -> Result<(), LaunchError>
    where
        A: App<Letter = L>,
        F: Fn(ShardId) -> A + Send + Sync + 'static,
    {
        let (ready, readiness) = channel();
        let mut gates = Vec::new();
        let shares = share_out(groups, links.len());
        for (index, (links, sockets)) in links.into_iter().zip(shares).enumerate() {
            let shard = ShardId(u8::try_from(index).unwrap_or(u8::MAX));
            let (go, gate) = channel();
            let seat = Seat {
                shard,
                core: self.serving.cores.get(index).copied().unwrap_or(0),
                driver,
                pools: config.pools,
                sockets,
                stats: self.stats.get(index).map(Arc::clone).unwrap_or_default(),
                stop: Arc::clone(&self.stop),
                ready: ready.clone(),
                gate,
            };
            let make = Arc::clone(&make);
            let thread = std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || seat.serve(links, &*make))
                .map_err(|error| LaunchError::Shard { shard, error })?;
            self.threads.push(thread);
            gates.push(go);
        }
        drop(ready);
        for _ in 0..self.threads.len() {
            match readiness.recv() {
                Ok((_, Ok(()))) => {}
                Ok((shard, Err(error))) => return Err(LaunchError::Shard { shard, error }),
                Err(_) => return Err(LaunchError::Panic),
            }
        }
        // INVARIANT: every shard is ready; a gate that is dropped without this ends its shard.
        for go in gates {
            let _ = go.send(());
        }
        Ok(())
    }

    /// What serves.
    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    /// Whether the process could be locked into memory (CAP_IPC_LOCK or a large RLIMIT_MEMLOCK); if
    /// not, a host short of memory may swap parts of it out.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.stats.len()
    }

    /// The counters of a shard.
    pub fn stats(&self, shard: ShardId) -> Option<&Arc<ShardStats>> {
        self.stats.get(shard.index())
    }

    /// Takes a lane's end, to be moved to its thread; `None` the second time.
    pub fn take_lane(&mut self, lane: LaneId) -> Option<LaneEnd<L>> {
        self.lanes.get_mut(lane.index())?.take()
    }

    /// Tells all shards to stop after their current turn.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        for waker in &self.wakers {
            waker.wake();
        }
    }

    /// True as soon as one shard has ended: asked to, by failure or by panic.
    pub fn any_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Waits until all shards have ended and their sockets are closed. Call [`Running::stop`] first,
    /// unless they are to be waited for as long as they run.
    ///
    /// # Errors
    /// The first failure of a driver, or the panic of a shard as `ErrorKind::Other`.
    pub fn join(mut self) -> io::Result<()> {
        let mut result = Ok(());
        for (index, thread) in self.threads.drain(..).enumerate() {
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other(format!("shard {index} panicked"))));
            result = result.and(ended);
        }
        result
    }
}

impl<L> Drop for Running<L> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for waker in &self.wakers {
            waker.wake();
        }
        for thread in self.threads.drain(..) {
            // WHY: who wants to know how a shard ended calls `join`.
            let _ = thread.join();
        }
    }
}

/// Everything that a shard's thread needs to begin.
struct Seat {
    shard: ShardId,
    core: usize,
    driver: Kind,
    pools: Pools,
    sockets: Sockets,
    stats: Arc<ShardStats>,
    stop: Arc<AtomicBool>,
    ready: Sender<Readiness>,
    gate: Receiver<()>,
}

type Readiness = (ShardId, io::Result<()>);

/// One shard's sockets, by listener.
#[derive(Default)]
struct Sockets {
    ordinary: Vec<UdpSocket>,
    large: Vec<UdpSocket>,
}

impl Seat {
    /// The life of a shard's thread.
    fn serve<A: App>(mut self, links: Links<A::Letter>, make: &impl Fn(ShardId) -> A) -> io::Result<()> {
        // WHY: a core that vanished between the check and now costs speed, not service.
        core_affinity::set_for_current(core_affinity::CoreId { id: self.core });
        let waker = Arc::clone(&links.inward.waker);
        let stats = Arc::clone(&self.stats);
        let sockets = std::mem::take(&mut self.sockets);
        match self.driver {
            Kind::Uring => {
                let Sockets { ordinary, large } = sockets;
                let device = UringDevice::new(ordinary, large, &self.pools, &waker, stats);
                self.run(device, links, make)
            }
            Kind::Mmsg => {
                let device = MmsgDevice::new(sockets.ordinary, &self.pools, waker, stats);
                self.run(device, links, make)
            }
        }
    }

    /// Says whether it is ready, waits for the others, and turns until it is stopped.
    fn run<A: App, D: Device>(
        self,
        device: io::Result<D>,
        links: Links<A::Letter>,
        make: &impl Fn(ShardId) -> A,
    ) -> io::Result<()> {
        let device = match device {
            Ok(device) => device,
            Err(error) => {
                // WHY: nobody listens any more only if another shard failed first.
                let _ = self.ready.send((self.shard, Err(error)));
                return Ok(());
            }
        };
        let app = make(self.shard);
        let mut shard = Shard::new(app, device, links, self.pools.timers, Mono::read(), self.stats);
        let _ = self.ready.send((self.shard, Ok(())));
        // INVARIANT: dropped before waiting, so that the launcher sees a shard that panicked.
        drop(self.ready);
        if self.gate.recv().is_err() {
            return Ok(());
        }
        shard.run(&self.stop)
    }
}

/// Gives each shard its socket of every listener.
fn share_out(groups: Vec<Group>, shards: usize) -> Vec<Sockets> {
    let mut shares: Vec<Sockets> = (0..shards).map(|_| Sockets::default()).collect();
    for group in groups {
        for (share, socket) in shares.iter_mut().zip(group.ordinary) {
            share.ordinary.push(socket);
        }
        for (share, socket) in shares.iter_mut().zip(group.large) {
            share.large.push(socket);
        }
    }
    shares
}

/// A driver that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Uring,
    Mmsg,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Uring => "io_uring",
            Kind::Mmsg => "mmsg",
        }
    }

    fn split(self) -> Option<engine_sys::steer::LargeSplit> {
        match self {
            Kind::Uring => Some(LARGE_SPLIT),
            Kind::Mmsg => None,
        }
    }
}

/// Whether io_uring can be used here; if not, why, in words for an operator.
///
/// # Errors
/// The reason.
pub fn io_uring_available() -> Result<(), String> {
    engine_sys::uring::probe()
}

fn choose_driver(wanted: Driver) -> Result<(Kind, Option<String>), LaunchError> {
    match wanted {
        Driver::Mmsg => Ok((Kind::Mmsg, Some("the configuration asks for it".to_owned()))),
        Driver::Uring => match io_uring_available() {
            Ok(()) => Ok((Kind::Uring, None)),
            Err(why) => Err(LaunchError::Driver(format!("{why}; driver \"auto\" falls back to recvmmsg"))),
        },
        Driver::Auto => Ok(match io_uring_available() {
            Ok(()) => (Kind::Uring, None),
            Err(why) => (Kind::Mmsg, Some(why)),
        }),
    }
}

fn choose_cores(config: &Config) -> Result<Vec<usize>, LaunchError> {
    let permitted: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    let mut cores = config.cores.clone();
    if cores.is_empty() {
        cores = permitted.iter().copied().take(limits::SHARDS_MAX).collect();
    }
    let too_many = |what: &str, count: usize, most: usize| {
        (count > most).then(|| LaunchError::Config(format!("{count} {what}, at most {most} are possible")))
    };
    if let Some(core) = cores.iter().find(|core| !permitted.contains(core)) {
        let text = format!("core {core} does not exist or is not permitted; permitted are {permitted:?}");
        return Err(LaunchError::Config(text));
    }
    if cores.is_empty() {
        return Err(LaunchError::Config("no core to run on".to_owned()));
    }
    let error = too_many("shards", cores.len(), limits::SHARDS_MAX)
        .or_else(|| too_many("listeners", config.listeners.len(), limits::LISTENERS_MAX))
        .or_else(|| too_many("lanes", config.lanes, limits::LANES_MAX));
    error.map_or(Ok(cores), Err)
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
