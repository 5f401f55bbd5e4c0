//! The control lane's loop: letters from shards, asks from everybody else, and time.

use super::accounts::AccountDesk;
use super::calls::Calls;
use super::credit::CreditKeeper;
use super::drain::{Drain, Ending};
use super::engine_figures;
use super::gather::{Gathered, Gatherer, Room, Waiter};
use super::inbox::{Ask, Signal};
use super::names::Names;
use super::notice::Notices;
use super::registrations::Registrations;
use super::shards::Shards;
use super::view::Picture;
use super::watch::GatewayWatch;
use crate::disk::{AdminStates, CreditBook, DiskLane};
use crate::dns::{DnsLane, Report};
use crate::journal::JournalFigures;
use crate::letter::{AnswerKind, Letter};
use crate::lnp::LnpLane;
use crate::log::{Level, Log, Record};
use crate::metric::{self, Metric};
use crate::notify;
use crate::outfit::Outfitter;
use crate::records::RecordFigures;
use crate::records::Traffic;
use crate::records::ship::Shipping;
use crate::snapshot::Labels;
use engine::{LaneEnd, ShardId, ShardStats, XdpCounters};
use modules::Tables;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tuning::Config;

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
    /// What customers have paid in and spent.
    pub credit: CreditBook,
    /// Addresses of this host.
    pub local_addresses: Vec<IpAddr>,
    /// The engine's counters, by shard.
    pub stats: Vec<Arc<ShardStats>>,
    /// What AF_XDP's programs count, where they serve.
    pub xdp: Option<Arc<XdpCounters>>,
    /// io_uring or mmsg.
    pub driver: &'static str,
    /// What the journal's lane has done, where phones register.
    pub journal: Option<Arc<JournalFigures>>,
    /// What the record lane has done, where calls are recorded.
    pub records: Option<Arc<RecordFigures>>,
    /// Figures by customer, vendor and destination, where calls are recorded.
    pub traffic: Option<Arc<Traffic>>,
    /// How records are shipped, by receiver.
    pub shipping: Vec<Arc<Shipping>>,
    /// Where to keep things.
    pub disk: DiskLane,
    /// Who looks up names.
    pub dns: DnsLane,
    /// Who asks for accounts.
    pub accounts: AccountDesk,
    /// Who asks for ported numbers.
    pub lnp: Option<LnpLane>,
    /// Who makes what shards need once phones register.
    pub outfitter: Box<dyn Outfitter>,
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
    pub(super) shards: Shards,
    pub(super) queue: Receiver<Ask>,
    /// WHY an Arc: tables are made of it again whenever an address or a decision changes.
    pub(super) config: Arc<Config>,
    pub(super) tables: Arc<Tables>,
    pub(super) names: Names,
    /// WHY an Arc: every gathered picture has it, and it seldom changes.
    pub(super) admin: Arc<AdminStates>,
    pub(super) local_addresses: Vec<IpAddr>,
    pub(super) stats: Vec<Arc<ShardStats>>,
    pub(super) xdp: Option<Arc<XdpCounters>>,
    pub(super) driver: &'static str,
    pub(super) journal: Option<Arc<JournalFigures>>,
    pub(super) records: Option<Arc<RecordFigures>>,
    pub(super) traffic: Option<Arc<Traffic>>,
    pub(super) shipping: Vec<Arc<Shipping>>,
    pub(super) disk: DiskLane,
    pub(super) dns: DnsLane,
    pub(super) accounts: AccountDesk,
    pub(super) log: Log,
    pub(super) drain: Drain,
    pub(super) ending: Option<Ending>,
    pub(super) next_end_look: Instant,
    pub(super) gatherer: Gatherer,
    pub(super) watch: GatewayWatch,
    pub(super) notices: Notices,
    pub(super) started: u64,
    pub(super) reloads: [u64; 2],
    pub(super) calls: Calls,
    pub(super) registrations: Registrations,
    pub(super) credit: CreditKeeper,
    pub(super) lnp: Option<LnpLane>,
    pub(super) outfitter: Box<dyn Outfitter>,
}

/// The longest sleep of the lane: how late it may notice that a shard has ended.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Between two looks at open transactions before the end.
const END_LOOK: Duration = Duration::from_millis(50);

impl Control {
    /// The lane, with the gateways' names being looked up.
    pub fn new(parts: Parts) -> Self {
        let now = Instant::now();
        let shards = Shards::new(parts.lane);
        let control = Control {
            calls: Calls::new(shards.count()),
            credit: CreditKeeper::new(parts.credit, &parts.tables),
            registrations: Registrations::new(shards.count()),
            gatherer: Gatherer::new(shards.count()),
            shards,
            queue: parts.queue,
            tables: parts.tables,
            names: Names::default(),
            admin: Arc::new(parts.admin),
            local_addresses: parts.local_addresses,
            stats: parts.stats,
            xdp: parts.xdp,
            driver: parts.driver,
            journal: parts.journal,
            records: parts.records,
            traffic: parts.traffic,
            shipping: parts.shipping,
            disk: parts.disk,
            dns: parts.dns,
            accounts: parts.accounts,
            lnp: parts.lnp,
            outfitter: parts.outfitter,
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
        if now >= self.credit.deadline() {
            // Nobody waits for it.
            drop(self.keep_credit());
            super::loops::say(&self.tables, &self.log);
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
            Letter::Outfit(outfit) => drop(outfit),
            Letter::Snapshot(snapshot) => self.gatherer.returned(shard, snapshot),
            Letter::Gateway(_) => self.watch.event(now),
            Letter::Question(question) => {
                if let Err(mut question) = self.dns.ask(question) {
                    question.reply(AnswerKind::Failed, []);
                    self.shards.post(question.shard, Letter::Answer(question));
                }
            }
            Letter::Ask(question) => self.ask_source(question),
            Letter::Errand(errand) => self.errand_back(&errand),
            Letter::LookAtCalls(look) => self.calls.part(shard, look),
            Letter::EndCall(asked) => self.calls.ended(shard, asked),
            Letter::Look(look) => self.registrations.part(shard, look),
            Letter::Unregister(asked) => self.registrations.removed(shard, asked),
            // INVARIANT: shards do not send these to this lane; the last two answer what this lane does not ask.
            Letter::Install(_)
            | Letter::Serve(_)
            | Letter::Answer(_)
            | Letter::Answered(_)
            | Letter::Journal(_)
            | Letter::JournalBack(_)
            | Letter::JournalMended
            | Letter::JournalRound(_)
            | Letter::Export
            | Letter::Import(_) => {}
            Letter::Records(_) | Letter::RecordsBack(_) | Letter::RecordsClosed(_) => {}
            Letter::Exported { .. } | Letter::Imported { .. } => {}
        }
    }

    fn ask(&mut self, ask: Ask, now: Instant) -> Option<End> {
        match ask {
            Ask::Gather { unknown, reply } => self.gatherer.want(Waiter::Client(reply), unknown),
            Ask::Gateway { name, state, who, why, reply } => drop(reply.send(self.decide(&name, state, who, why))),
            Ask::Reload { next, decks, from, forced, who, reply } => {
                notify::reloading();
                let outcome = self.reload(&next, decks, from, forced, &who);
                notify::ready("carries calls");
                let _ = reply.send(outcome);
            }
            Ask::ReloadFailed => self.count_reload(false),
            Ask::Credit { customer, change, who, reply } => {
                let _ = reply.send(self.change_credit(&customer, change, &who));
            }
            Ask::Serve { drain, who, reply } => drop(reply.send(self.serve(drain, &who, now))),
            Ask::LookAtCalls { shard, look, reply } => self.calls.look(&mut self.shards, shard, look, reply),
            Ask::EndCall { shard, asked, reply } => self.calls.end(&mut self.shards, shard, asked, reply),
            Ask::Look { shard, look, reply } => self.registrations.look(&mut self.shards, shard, look, reply),
            Ask::Unregister { shard, asked, reply } => {
                self.registrations.remove(&mut self.shards, shard, asked, reply);
            }
            Ask::Dns(Report::Answer(question)) => self.shards.post(question.shard, Letter::Answer(question)),
            Ask::Dns(Report::Watched(service, news)) => self.learn(service, news),
            Ask::Accounts(report) => self.account_report(report),
            Ask::Errand { wish, who, reply } => self.send_errand(&wish, &who, reply),
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
        let programs = self.xdp.iter().flat_map(|counters| engine_figures::of_programs(counters));
        // WHY shard 0: they are nobody's, and no figure of theirs is told apart by shard.
        programs.for_each(|sample| gathered.totals.add(ShardId(0), &sample));
        for sample in self.journal.iter().flat_map(|figures| figures.samples()) {
            gathered.totals.add(ShardId(0), &sample);
        }
        for sample in self.records.iter().flat_map(|figures| figures.samples()) {
            gathered.totals.add(ShardId(0), &sample);
        }
        for sample in self.shipping.iter().flat_map(|shipping| shipping.samples()) {
            gathered.totals.add(ShardId(0), &sample);
        }
        self.accounts.samples().for_each(|sample| gathered.totals.add(ShardId(0), &sample));
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
            traffic: self.traffic.clone(),
            log_lines: [load(&counters.written), load(&counters.suppressed), load(&counters.lost)],
        }
    }

    fn room(&self) -> Room {
        let unknown = usize::try_from(self.config.limits.unknown_sources_per_shard).unwrap_or(usize::MAX);
        // WHY rounded up: a gateway more must not mean new boxes; and the shard rounds its table up too.
        let gateways = (self.tables.gateways.len() + 1).next_power_of_two();
        Room { gateways, unknown: unknown.next_power_of_two() }
    }
}

/// The wall clock, in microseconds since 1970.
pub(super) fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
