//! The control lane's loop: letters from shards, asks from everybody else, and time.

use super::drain::{Drain, Ending, word};
use super::gather::{Gathered, Gatherer, Room, Waiter};
use super::inbox::{Ask, Signal};
use super::names::Names;
use super::notice::Notices;
use super::rpc::{RpcError, code};
use super::shards::Shards;
use super::view::Picture;
use super::watch::GatewayWatch;
use super::{admin, engine_figures};
use crate::admin::AdminState;
use crate::disk::{AdminEntry, AdminStates, DiskLane, Job, Saved};
use crate::dns::{DnsLane, Report, Watched};
use crate::letter::{AnswerKind, Letter};
use crate::log::{Level, Log, Record};
use crate::metric::{self, Metric};
use crate::notify;
use crate::reply::{self, GatewayChanged};
use crate::snapshot::Labels;
use engine::{LaneEnd, ShardId, ShardStats};
use modules::Tables;
use modules::tables::Inputs;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tuning::{Config, Effect, Loaded};

/// Everything that the lane is made of.
pub struct Parts {
    /// The rings to the shards.
    pub lane: LaneEnd<Letter>,
    /// What others ask.
    pub queue: Receiver<Ask>,
    /// The configuration that the shards run with.
    pub config: Config,
    /// The tables that the shards have.
    pub tables: Arc<Tables>,
    /// Operators' decisions.
    pub admin: AdminStates,
    /// Addresses of this host.
    pub local_addresses: Vec<IpAddr>,
    /// The engine's counters, by shard.
    pub stats: Vec<Arc<ShardStats>>,
    /// io_uring or mmsg.
    pub driver: &'static str,
    /// Where to keep things.
    pub disk: DiskLane,
    /// Who looks up names.
    pub dns: DnsLane,
    /// Who writes lines.
    pub log: Log,
}

/// How the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A signal came, and what was open finished or ran out of time.
    Drained,
    /// A second signal came.
    AtOnce,
    /// A shard ended by itself.
    ShardEnded,
}

/// The control lane.
pub struct Control {
    shards: Shards,
    queue: Receiver<Ask>,
    /// WHY an Arc: tables are made of it again whenever an address or a decision changes.
    config: Arc<Config>,
    tables: Arc<Tables>,
    names: Names,
    /// WHY an Arc: every gathered picture has it, and it seldom changes.
    admin: Arc<AdminStates>,
    local_addresses: Vec<IpAddr>,
    stats: Vec<Arc<ShardStats>>,
    driver: &'static str,
    disk: DiskLane,
    dns: DnsLane,
    log: Log,
    drain: Drain,
    ending: Option<Ending>,
    next_end_look: Instant,
    gatherer: Gatherer,
    watch: GatewayWatch,
    notices: Notices,
    started: u64,
    reloads: [u64; 2],
}

/// The longest sleep of the lane: how late it may notice that a shard has ended.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Between two looks at open transactions before the end.
const END_LOOK: Duration = Duration::from_millis(50);

/// Changes of a reload that are written to the log, one a line; of more the number is.
const CHANGES_LOGGED_MAX: usize = 100;

impl Control {
    /// The lane, with the gateways' names being looked up.
    pub fn new(parts: Parts) -> Self {
        let now = Instant::now();
        let shards = Shards::new(parts.lane);
        let control = Control {
            gatherer: Gatherer::new(shards.count()),
            shards,
            queue: parts.queue,
            tables: parts.tables,
            names: Names::default(),
            admin: Arc::new(parts.admin),
            local_addresses: parts.local_addresses,
            stats: parts.stats,
            driver: parts.driver,
            disk: parts.disk,
            dns: parts.dns,
            log: parts.log,
            drain: Drain::default(),
            ending: None,
            next_end_look: now,
            watch: GatewayWatch::new(now),
            notices: Notices::new(now),
            started: wall_micros(),
            reloads: [0; 2],
            config: Arc::new(parts.config),
        };
        control.watch_names();
        control
    }

    /// Runs until every gateway's name has been looked up once, at most `longest`, so that the first
    /// call already finds addresses. The number of names that are still unknown.
    pub fn settle(&mut self, longest: Duration) -> usize {
        let wanted = Names::wanted(&self.config).len();
        let deadline = Instant::now() + longest;
        loop {
            let now = Instant::now();
            self.turn(now);
            let missing = wanted.saturating_sub(self.names.answered());
            if missing == 0 || now >= deadline {
                return missing;
            }
            self.shards.wait(self.pause(now).min(Duration::from_millis(5)));
        }
    }

    /// The tables in force.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Runs until the process is to end. `shard_ended` is asked now and then.
    pub fn run(&mut self, shard_ended: impl Fn() -> bool) -> End {
        loop {
            let now = Instant::now();
            if let Some(end) = self.turn(now) {
                return end;
            }
            if self.ending.is_some_and(|ending| ending.is_over(now)) {
                return End::Drained;
            }
            if shard_ended() {
                self.log.send(Record::new(Level::Error, "shard-ended").always());
                return End::ShardEnded;
            }
            self.shards.wait(self.pause(now));
        }
    }

    /// Takes in everything that has come and does what is due.
    fn turn(&mut self, now: Instant) -> Option<End> {
        while let Some((shard, letter)) = self.shards.receive() {
            self.letter(shard, letter, now);
        }
        while let Ok(ask) = self.queue.try_recv() {
            if let Some(end) = self.ask(ask, now) {
                return Some(end);
            }
        }
        self.shards.flush();
        if self.drain.tick(now) {
            self.announce_serving("drain");
        }
        if self.watch.is_due(now) {
            self.gatherer.want(Waiter::Lane, false);
        }
        if self.ending.is_some() && now >= self.next_end_look {
            self.next_end_look = now + END_LOOK;
            self.gatherer.want(Waiter::Lane, false);
        }
        if let Some((gathered, waiters)) = self.gatherer.finish(now) {
            self.hand_out(gathered, waiters, now);
        }
        let room = self.room();
        self.gatherer.start(&mut self.shards, room, now);
        None
    }

    /// How long nothing will be due.
    fn pause(&self, now: Instant) -> Duration {
        let ending = self.ending.map(|_| self.next_end_look);
        let due = [Some(self.watch.deadline()), self.gatherer.deadline(), ending, self.drain.deadline()];
        let next = due.into_iter().flatten().min().unwrap_or(now + PAUSE_MAX);
        next.saturating_duration_since(now).clamp(Duration::from_millis(1), PAUSE_MAX)
    }

    fn letter(&mut self, shard: ShardId, letter: Letter, now: Instant) {
        match letter {
            // WHY here: dropping tables frees memory, which a shard never does.
            Letter::Retired { tables, .. } => drop(tables),
            Letter::Snapshot(snapshot) => self.gatherer.returned(shard, snapshot),
            Letter::Gateway(_) => self.watch.event(now),
            Letter::Question(question) => {
                if let Err(mut question) = self.dns.ask(question) {
                    question.reply(AnswerKind::Failed, []);
                    self.shards.post(question.shard, Letter::Answer(question));
                }
            }
            // INVARIANT: shards do not send these to lanes.
            Letter::Install(_) | Letter::Serve(_) | Letter::Answer(_) => {}
        }
    }

    fn ask(&mut self, ask: Ask, now: Instant) -> Option<End> {
        match ask {
            Ask::Gather { unknown, reply } => self.gatherer.want(Waiter::Client(reply), unknown),
            Ask::Gateway { name, state, who, why, reply } => drop(reply.send(self.decide(&name, state, who, why))),
            Ask::Reload { next, from, forced, who, reply } => {
                notify::reloading();
                let outcome = self.reload(&next, from, forced, &who);
                notify::ready("carries calls");
                let _ = reply.send(outcome);
            }
            Ask::ReloadFailed => self.count_reload(false),
            Ask::Serve { drain, who, reply } => drop(reply.send(self.serve(drain, &who, now))),
            Ask::Dns(Report::Answer(question)) => self.shards.post(question.shard, Letter::Answer(question)),
            Ask::Dns(Report::Watched(service, news)) => self.learn(service, news),
            Ask::Signal(Signal::Terminate) => return self.terminate(now),
        }
        None
    }

    /// Answers everybody who waited for a round of figures.
    fn hand_out(&mut self, mut gathered: Gathered, waiters: Vec<Waiter>, now: Instant) {
        gathered.picture = self.picture();
        for (shard, stats) in self.shards.ids().zip(&self.stats) {
            engine_figures::samples(stats).for_each(|sample| gathered.totals.add(shard, &sample));
        }
        self.watch.look(&gathered, &self.log);
        self.notices.look(&gathered, now, &self.log);
        if let Some(ending) = self.ending.as_mut().filter(|_| gathered.silent.is_empty()) {
            let transactions = || gathered.totals.of(Metric::Transactions);
            let open = transactions().filter(|(labels, ..)| labels.first() == Some(&metric::OPEN_TRANSACTIONS));
            let count = |(_, _, count): (&Labels, _, u64)| count;
            ending.look(now, open.map(count).sum(), transactions().map(count).sum());
        }
        let gathered = Arc::new(gathered);
        for waiter in waiters {
            if let Waiter::Client(reply) = waiter {
                let _ = reply.send(Arc::clone(&gathered));
            }
        }
    }

    fn picture(&self) -> Picture {
        let counters = self.log.counters();
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        Picture {
            tables: Some(Arc::clone(&self.tables)),
            admin: Arc::clone(&self.admin),
            serving: self.drain.serving(),
            driver: self.driver,
            shards: self.shards.count(),
            started: self.started,
            now: wall_micros(),
            reloads: self.reloads,
            log_lines: [load(&counters.written), load(&counters.suppressed), load(&counters.lost)],
        }
    }

    fn room(&self) -> Room {
        let unknown = usize::try_from(self.config.limits.unknown_sources_per_shard).unwrap_or(usize::MAX);
        // WHY rounded up: a gateway more must not mean new boxes; and the shard rounds its table up too.
        let gateways = (self.tables.gateways.len() + 1).next_power_of_two();
        Room { gateways, unknown: unknown.next_power_of_two() }
    }

    /// Makes tables of `config` and what is known, and gives them to all shards.
    fn install(&mut self, config: &Config, admin: &AdminStates) -> Result<(), RpcError> {
        let inputs = Inputs {
            config,
            addresses: &self.names.addresses(),
            marks: &admin::marks(admin),
            local_addresses: &self.local_addresses,
        };
        let tables = Tables::build(&inputs, Some(&self.tables))
            .map_err(|error| RpcError::new(code::BAD_CONFIGURATION, format!("it cannot be carried: {error}")))?;
        self.tables = Arc::new(tables);
        let tables = Arc::clone(&self.tables);
        self.shards.post_all(|| Letter::Install(Arc::clone(&tables)));
        Ok(())
    }

    fn watch_names(&self) {
        if !self.dns.watch(Names::wanted(&self.config)) {
            self.log.send(
                Record::new(Level::Error, "dns-busy").with("what", "names of gateways are not looked up").always(),
            );
        }
    }

    fn learn(&mut self, service: crate::dns::Service, news: Watched) {
        let (level, why) = match &news {
            Watched::Fresh(_) => (Level::Info, ""),
            Watched::Stale(_, why) | Watched::Unresolved(why) => (Level::Warn, why.as_str()),
        };
        let addresses: Vec<_> = news.targets().iter().map(|target| target.address.to_string()).collect();
        let mut record = Record::new(level, "name").with("name", service.host.as_str());
        record = record.with("addresses", addresses.join(" ")).with("why", why);
        self.log.send(record);
        if self.names.learn(service, news) {
            let (config, admin) = (Arc::clone(&self.config), Arc::clone(&self.admin));
            if let Err(error) = self.install(&config, &admin) {
                self.log.send(Record::new(Level::Error, "name").with("why", error.message).always());
            }
        }
    }

    fn decide(
        &mut self,
        name: &str,
        state: Option<AdminState>,
        who: String,
        why: String,
    ) -> Result<(GatewayChanged, Receiver<Saved>), RpcError> {
        let mut states = AdminStates::clone(&self.admin);
        let log = Record::new(Level::Info, "gateway-decision").with("user", who.as_str()).with("why", why.as_str());
        let entry = state.map(|state| AdminEntry { state, who, why, since: wall_micros() });
        let changed = admin::decide(&mut states, &self.config, name, entry)?;
        let config = Arc::clone(&self.config);
        self.install(&config, &states)?;
        self.admin = Arc::new(states);
        let saved = self.disk.submit(Job::Admin(AdminStates::clone(&self.admin)));
        let log = log.with("gateway", name).with("was", changed.before.as_str()).with("now", changed.now.as_str());
        self.log.send(log.always());
        Ok((changed, saved))
    }

    /// All or nothing: the new configuration holds on return, or what held still does.
    fn reload(
        &mut self,
        next: &Loaded,
        from: String,
        forced: bool,
        who: &str,
    ) -> Result<(reply::Reload, Receiver<Saved>), RpcError> {
        let outcome = self.try_reload(next, from, forced);
        self.count_reload(outcome.is_ok());
        match &outcome {
            Ok(reply) => self.log_reload(reply, who),
            Err(error) => self.log.send(
                Record::new(Level::Error, "reload-refused")
                    .with("user", who)
                    .with("why", error.message.as_str())
                    .always(),
            ),
        }
        outcome.map(|reply| (reply, self.disk.submit(Job::Good(next.source.to_string()))))
    }

    fn try_reload(&mut self, next: &Loaded, from: String, forced: bool) -> Result<reply::Reload, RpcError> {
        let reload = tuning::reload(&self.config, next, forced).map_err(|refusal| {
            let hint = if matches!(refusal, tuning::Refusal::Unsafe(_)) { " (--force)" } else { "" };
            RpcError::new(code::REFUSED, format!("{refusal}{hint}; what was in service still is"))
        })?;
        let (live, restart): (Vec<_>, Vec<_>) = reload.changes.iter().partition(|change| change.effect == Effect::Live);
        if !live.is_empty() {
            let wanted = Names::wanted(&reload.config);
            let admin = Arc::clone(&self.admin);
            self.install(&reload.config, &admin)?;
            self.names.keep(&wanted);
        }
        self.config = Arc::new(reload.config);
        self.watch_names();
        let lines = |changes: Vec<&tuning::Change>| changes.iter().map(ToString::to_string).collect();
        Ok(reply::Reload {
            from,
            changed: lines(live),
            needs_restart: lines(restart),
            warnings: if next.warnings.is_empty() { String::new() } else { next.warnings.render(false) },
            generation: self.tables.generation,
        })
    }

    fn count_reload(&mut self, done: bool) {
        let [taken, refused] = &mut self.reloads;
        *(if done { taken } else { refused }) += 1;
    }

    fn log_reload(&self, reply: &reply::Reload, who: &str) {
        let changes = reply.changed.iter().chain(&reply.needs_restart);
        for change in changes.clone().take(CHANGES_LOGGED_MAX) {
            self.log.send(Record::new(Level::Info, "reload-change").with("change", change.as_str()).always());
        }
        self.log.send(
            Record::new(Level::Info, "reload")
                .with("user", who)
                .with("from", reply.from.as_str())
                .with("changes", changes.count())
                .with("generation", reply.generation)
                .always(),
        );
    }

    fn serve(&mut self, drain: bool, who: &str, now: Instant) -> reply::Drain {
        if drain {
            self.drain.begin(now, Duration::from_secs(u64::from(self.config.drain_new_calls_seconds)));
        } else if self.ending.is_none() {
            self.drain.end();
        }
        self.announce_serving(who);
        reply::Drain { serving: word(self.drain.serving()).into(), refusing_in_seconds: self.drain.refusing_in(now) }
    }

    /// SIGTERM or SIGINT.
    fn terminate(&mut self, now: Instant) -> Option<End> {
        if self.ending.is_some() {
            self.log.send(Record::new(Level::Warn, "end").with("why", "a second signal").always());
            return Some(End::AtOnce);
        }
        notify::stopping();
        self.drain.refuse();
        self.announce_serving("signal");
        let longest = Duration::from_secs(u64::from(self.config.drain_seconds));
        self.ending = Some(Ending::new(now, longest));
        self.next_end_look = now;
        None
    }

    fn announce_serving(&mut self, who: &str) {
        let serving = self.drain.serving();
        self.shards.post_all(|| Letter::Serve(serving));
        self.log.send(Record::new(Level::Info, "serving").with("now", word(serving)).with("user", who).always());
    }
}

/// The wall clock, in microseconds since 1970.
fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
