//! Runs a workload: starts the shards, adds up what they report, says how it goes, ends it.
//!
//! Each shard is an engine of its own with its own addresses: callers and gateways are spread over
//! the shards, and no datagram needs to change shards.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use engine::{Config, Driver, LaneEnd, LaunchError, Listener, Mono, Pools, Running, ShardId};
use proto::time::Micros;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    caller::{Caller, Kind},
    cli::{DriverName, SharedArgs},
    echo::Echo,
    gateway::{self, Gateways, behaviour::Behaviour},
    host::{self, HostTime, UdpDrops},
    report::{
        limit::EngineCounts,
        progress::Progress,
        summary::{Point, Summary},
        totals::Totals,
    },
    reporter::{Letter, MAIN},
    schedule::{Due, Schedule},
    setup::{self, EchoSetup, Setup, SetupError},
    station::Station,
};

/// Why a workload could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The command makes no sense.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The engine did not start.
    #[error("{0}")]
    Launch(LaunchError),
    /// A shard or a signal handler failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<LaunchError> for RunError {
    fn from(error: LaunchError) -> Self {
        RunError::Launch(error)
    }
}

/// Send slots of one shard: what a turn may send.
const SEND_SLOTS: usize = 4_096;
/// Among them for messages over 2 KB.
const LARGE_SEND_SLOTS: usize = 256;
/// Receive buffers of one shard.
const RECEIVE_BUFFERS: usize = 2_048;
/// Receive buffers for messages over 2 KB.
const LARGE_RECEIVE_BUFFERS: usize = 64;
/// Shards do not hand frames over; the ring is there but small.
const HAND_OVER_BYTES: usize = 64 * 1024;
/// Letters on their way: a book, its spare and the commands.
const LETTERS: usize = 16;

/// A running shard: its engine and the main thread's end of its mailbox.
pub struct Shard {
    running: Running<Letter>,
    lane: LaneEnd<Letter>,
}

impl Shard {
    /// Starts one shard on `core` that listens at `addresses`.
    pub fn launch<A, F>(
        shared: &SharedArgs,
        core: usize,
        addresses: &[SocketAddr],
        timers: usize,
        make: F,
    ) -> Result<Self, RunError>
    where
        A: engine::App<Letter = Letter>,
        F: Fn(ShardId) -> A + Send + Sync + 'static,
    {
        let config = Config {
            cores: vec![core],
            listeners: addresses.iter().copied().map(Listener::new).collect(),
            driver: match shared.driver {
                DriverName::Auto => Driver::Auto,
                DriverName::Uring => Driver::Uring,
                DriverName::Mmsg => Driver::Mmsg,
            },
            steering: engine::Steering::default(),
            deferred: None,
            pools: Pools {
                timers,
                send_slots: SEND_SLOTS,
                large_send_slots: LARGE_SEND_SLOTS,
                receive_buffers: RECEIVE_BUFFERS,
                large_receive_buffers: LARGE_RECEIVE_BUFFERS,
                letters: LETTERS,
                hand_over_bytes: HAND_OVER_BYTES,
                // WHY: a generator that waits for company measures its own waiting.
                gather: engine::Micros(0),
            },
            lanes: 1,
            xdp: engine::XdpConfig::default(),
        };
        let mut running = engine::launch(&config, make)?;
        let lane =
            running.take_lane(MAIN).ok_or_else(|| io::Error::other("the engine has no lane for the main thread"))?;
        Ok(Shard { running, lane })
    }

    /// WHY a loop: letters are never lost, but the mailbox may be full for a moment.
    fn post(&mut self, mut letter: Letter) {
        while let Err(back) = self.lane.post(ShardId(0), letter) {
            if self.running.any_ended() {
                return;
            }
            letter = back;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What a run needs beside its shards.
pub struct Course {
    /// Name of the workload.
    pub workload: &'static str,
    /// In a line.
    pub plan_text: String,
    /// Where datagrams go, if to one place.
    pub target: Option<SocketAddr>,
    /// Gateways, and those of each shard.
    pub gateways: Vec<SocketAddr>,
    /// Indices into `gateways`, by shard.
    pub gateways_of: Vec<Vec<usize>>,
    /// The schedule takes so long; `None`: no schedule, until a signal.
    pub length: Option<Duration>,
    /// How long calls may take after the schedule.
    pub grace: Duration,
    /// Whether outcomes are those of calls.
    pub has_calls: bool,
    /// Whether to write a line a second.
    pub progress: bool,
}

/// Runs a workload of callers, gateways or both.
pub fn run(setup: Setup) -> Result<Summary, RunError> {
    let cores = setup::cores(&setup.shared)?;
    let (mut gateways_of, mut shards) = (Vec::new(), Vec::new());
    for (index, core) in cores.iter().take(setup.shared.shards).enumerate() {
        let (shard, gateways) = launch_station(&setup, index, *core)?;
        shards.push(shard);
        gateways_of.push(gateways);
    }
    let course = Course {
        workload: setup.workload,
        plan_text: setup.plan_text,
        target: setup.load.as_ref().map(|load| load.caller.target),
        gateways: setup.gateways.iter().map(|(address, _)| *address).collect(),
        gateways_of,
        length: match &setup.load {
            Some(load) => Some(load.plan.length),
            None => setup.duration,
        },
        grace: setup.load.as_ref().map_or(Duration::ZERO, |load| load.grace),
        has_calls: setup.load.as_ref().is_none_or(|load| load.caller.kind == Kind::Call),
        progress: !setup.shared.quiet,
    };
    let ends_when_done = setup.load.is_some();
    conduct(course, shards, ends_when_done)
}

/// Starts shard `index` with its part of callers and gateways; gives the gateways' indices.
fn launch_station(setup: &Setup, index: usize, core: usize) -> Result<(Shard, Vec<usize>), RunError> {
    let shards = setup.shared.shards;
    let mine = |count: usize| (0..count).filter(move |place| place % shards == index);
    let from: Vec<SocketAddr> = setup.load.iter().flat_map(|load| &load.from).copied().collect();
    let from: Vec<SocketAddr> = mine(from.len()).filter_map(|place| from.get(place).copied()).collect();
    let gateway_indices: Vec<usize> = mine(setup.gateways.len()).collect();
    let gateways: Vec<(SocketAddr, Behaviour)> =
        gateway_indices.iter().filter_map(|place| setup.gateways.get(*place).cloned()).collect();
    let mut addresses = from.clone();
    addresses.extend(gateways.iter().map(|(address, _)| *address));

    let seed = setup.shared.seed.wrapping_add(index as u64);
    let hangs_up = gateways.iter().any(|(_, behaviour)| behaviour.hangs_up());
    let gateway_places = if gateways.is_empty() { 0 } else { setup.gateway_places };
    let gateway_settings = gateway::Settings {
        run: setup.run,
        timing: setup.timing,
        given: setup.given.clone(),
        places: gateway_places,
        hung_up_here: if hangs_up { gateway_places } else { 0 },
        ended: gateway_places,
        seed,
        begin: proto::time::Mono(0),
    };
    let callers = setup.load.as_ref().map(|load| {
        let mut settings = load.caller.clone();
        settings.numbers = settings.numbers.of_shard(index as u64, shards as u64);
        settings.seed = seed;
        (settings, load.plan.clone())
    });
    let caller_places = callers.as_ref().map_or(0, |(settings, _)| settings.places);
    let timers = caller_places as usize + gateway_places as usize + 16;
    let make = move |_| {
        let first_gateway = u16::try_from(from.len()).unwrap_or(u16::MAX);
        let callers = callers.clone().map(|(settings, plan)| {
            let lines: Vec<(u16, SocketAddr)> = (0u16..).zip(from.iter().copied()).collect();
            let schedule = Schedule::new(plan, index as u64, shards as u64, seed);
            (Caller::new(settings, &lines), first_gateway, Due::new(schedule))
        });
        let places = (first_gateway..)
            .zip(gateways.iter())
            .map(|(listener, (address, behaviour))| (listener, *address, behaviour.clone()))
            .collect();
        let count = gateways.len();
        let gateways = Gateways::new(gateway_settings.clone(), places);
        Station::new(callers, gateways, count)
    };
    let shard = Shard::launch(&setup.shared, core, &addresses, timers, make)?;
    Ok((shard, gateway_indices))
}

/// Runs echo load.
pub fn run_echo(setup: EchoSetup) -> Result<Summary, RunError> {
    let cores = setup::cores(&setup.shared)?;
    let count = setup.shared.shards;
    let mut shards = Vec::new();
    for (index, core) in cores.into_iter().take(count).enumerate() {
        let from: Vec<SocketAddr> = setup.from.iter().copied().skip(index).step_by(count).collect();
        let mut settings = setup.settings.clone();
        settings.listeners = u16::try_from(from.len()).unwrap_or(u16::MAX);
        let (plan, seed) = (setup.plan.clone(), setup.shared.seed);
        let timers = settings.places as usize + 16;
        let make = move |_| {
            let schedule = Schedule::new(plan.clone(), index as u64, count as u64, seed);
            Echo::new(settings.clone(), Due::new(schedule))
        };
        shards.push(Shard::launch(&setup.shared, core, &from, timers, make)?);
    }
    let course = Course {
        workload: "echo",
        plan_text: setup.plan_text,
        target: Some(setup.settings.target),
        gateways: Vec::new(),
        gateways_of: vec![Vec::new(); count],
        length: Some(setup.plan.length),
        grace: setup.grace,
        has_calls: false,
        progress: !setup.shared.quiet,
    };
    conduct(course, shards, true)
}

/// Times of the conductor.
const BEGIN_AFTER: engine::Micros = engine::Micros::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// After the first signal, what is open may end in order for so long.
const HANG_UP_TIME: Duration = Duration::from_secs(3);
/// A shard that does not close in this time is given up.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// Lets the shards begin, and ends them: when all are done, when time is over, or by signal.
pub fn conduct(course: Course, mut shards: Vec<Shard>, ends_when_done: bool) -> Result<Summary, RunError> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let drops_before = UdpDrops::read();
    let host_before = HostTime::read();
    let begin = Mono::read().after(BEGIN_AFTER);
    for shard in &mut shards {
        shard.post(Letter::Begin(proto::time::Mono(begin.0)));
    }
    let mut watch = Watch::new(&course, shards, begin);
    let deadline = course.length.map(|length| Instant::now() + length + course.grace);
    let mut interrupted = false;
    loop {
        watch.look(LOOK_EVERY)?;
        if signals.pending().next().is_some() {
            interrupted = true;
            break;
        }
        let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if over || (ends_when_done && watch.whole.done()) {
            break;
        }
    }
    if interrupted || !watch.whole.done() {
        watch.hang_up(&mut signals)?;
    }
    let drops = UdpDrops::read();
    watch.close()?;
    let target_drops = course
        .target
        .filter(|target| target.ip().is_loopback())
        .map(|target| drops.at(target).saturating_sub(drops_before.at(target)));
    Ok(Summary {
        workload: course.workload,
        plan: course.plan_text,
        driver: watch.driver(),
        begin: proto::time::Mono(begin.0),
        elapsed: watch.elapsed(),
        engine: watch.engine_counts(),
        target_drops,
        stolen: HostTime::read().stolen_since(&host_before),
        interrupted,
        has_calls: course.has_calls,
        series: std::mem::take(&mut watch.series),
        totals: watch.end()?,
    })
}

/// The shards as the main thread sees them.
struct Watch {
    shards: Vec<Shard>,
    whole: Totals,
    recent: Totals,
    series: Vec<Point>,
    begin: Mono,
    last_progress: Instant,
    progress: bool,
}

impl Watch {
    fn new(course: &Course, shards: Vec<Shard>, begin: Mono) -> Self {
        let totals = || Totals::new(&course.gateways, course.gateways_of.clone());
        Watch {
            shards,
            whole: totals(),
            recent: totals(),
            series: Vec::new(),
            begin,
            last_progress: Instant::now(),
            progress: course.progress,
        }
    }

    /// Waits a little, takes the books that have come, prints the line of the second.
    fn look(&mut self, wait: Duration) -> Result<(), RunError> {
        if let Some(first) = self.shards.first() {
            first.lane.wait(wait);
        }
        for (index, shard) in self.shards.iter_mut().enumerate() {
            while let Some((_, letter)) = shard.lane.receive() {
                if let Letter::Book(book) = letter {
                    self.whole.add(index, &book);
                    self.recent.add(index, &book);
                    self.series.push(Point::of(&self.whole, book.closed));
                    shard.post(Letter::Spare(book));
                }
            }
            if shard.running.any_ended() && !self.whole.closed() {
                return Err(io::Error::other(format!("shard {index} ended by itself")).into());
            }
        }
        let since = self.last_progress.elapsed();
        if since >= PROGRESS_EVERY {
            if self.progress {
                let line = Progress {
                    elapsed: self.elapsed(),
                    recent: &self.recent,
                    interval: crate::duration::micros(since),
                };
                eprintln!("{line}");
            }
            self.recent.clear();
            self.last_progress = Instant::now();
        }
        Ok(())
    }

    /// Ends what is open in order, for a few seconds at most; a further signal ends that, too.
    fn hang_up(&mut self, signals: &mut Signals) -> Result<(), RunError> {
        for shard in &mut self.shards {
            shard.post(Letter::HangUp);
        }
        let until = Instant::now() + HANG_UP_TIME;
        // At least one look: the books still say what was before the letter.
        loop {
            self.look(LOOK_EVERY)?;
            let over = Instant::now() >= until || signals.pending().next().is_some();
            if over || (self.whole.done() && self.whole.active() == 0) {
                return Ok(());
            }
        }
    }

    /// Takes the last books.
    fn close(&mut self) -> Result<(), RunError> {
        for shard in &mut self.shards {
            shard.post(Letter::Close);
        }
        let until = Instant::now() + CLOSE_TIME;
        while !self.whole.closed() {
            self.look(LOOK_EVERY)?;
            if Instant::now() >= until {
                return Err(io::Error::other("a shard did not report its end").into());
            }
        }
        Ok(())
    }

    fn elapsed(&self) -> Micros {
        Micros(Mono::read().since(self.begin).0)
    }

    fn driver(&self) -> &'static str {
        self.shards.first().map_or("none", |shard| shard.running.serving().driver)
    }

    fn engine_counts(&self) -> EngineCounts {
        let mut sum = EngineCounts::default();
        for stats in self.shards.iter().filter_map(|shard| shard.running.stats(ShardId(0))) {
            sum.kernel_drops += stats.kernel_drops.get();
            sum.send_no_slot += stats.send_no_slot.get();
            sum.send_failed += stats.send_failed.get();
            sum.timers_refused += stats.timers_refused.get();
            sum.waited_for_core_us = host::waited_for_core() / 1_000;
            sum.longest_turn_us = sum.longest_turn_us.max(stats.longest_turn_micros.get());
        }
        sum
    }

    /// Stops the threads.
    fn end(self) -> Result<Totals, RunError> {
        for shard in self.shards {
            shard.running.stop();
            shard.running.join()?;
        }
        Ok(self.whole)
    }
}
