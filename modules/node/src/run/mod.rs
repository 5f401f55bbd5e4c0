//! `tandem run`: starts everything in its order, is the control lane while it runs, and ends it.
//!
//! | Step | What can go wrong |
//! |---|---|
//! | configuration | it is bad: exit 78, with the findings of `tandem check` |
//! | state directory, keys, decisions | it belongs to another tandem, or is damaged |
//! | shards, each with a [`ShardApp`] | an address is served already, a core or memory is missing |
//! | lanes, control socket, metrics | a path or port is taken |
//!
//! Nothing is announced before all of it serves; if a step fails, what had started ends again.

mod banner;
mod compose;
mod interfaces;
mod outfitter;
mod recording;
mod registrations;
mod signals;

use crate::accounts::Report;
use crate::app::{self, ShardApp};
use crate::cli::Exit;
use crate::control::accounts::AccountDesk;
use crate::control::methods::Methods;
use crate::control::permission::{Access, Permissions};
use crate::control::reload::Sources;
use crate::control::socket::{ControlSocket, SocketFile};
use crate::control::{Ask, Control, End, Inbox, Parts, metrics_page};
use crate::deck_files::service;
use crate::disk::keys;
use crate::disk::{AdminFile, CreditFile, Directory, DiskLane, Job, LastGood};
use crate::dns::{self, DnsLane};
use crate::journal::JournalLane;
use crate::letter::Letter;
use crate::lnp::{self, LnpLane};
use crate::log::{Format, Level, Log, LogFile, Record, Style};
use crate::metrics::MetricsLane;
use crate::shadow::{Desk, ShadowFile};
use crate::{lanes, notify};
use banner::{Started, banner};
use compose::Randomness;
pub(crate) use compose::cores as shard_cores;
use engine::{LaneEnd, LaneId, Running};
use modules::Tables;
use modules::authentication::living::Living;
use modules::tables::Inputs;
use outfitter::{Journal, ReloadOutfitter};
use proto::token::Keys;
use recording::{Lanes, Recording};
pub(crate) use registrations::FOLDER as REGISTRATIONS;
use registrations::Registrations;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tuning::{Config, Environment, Loaded, LogDestination, LogFormat, LogLevel, SocketAccess};

/// How long a start waits for addresses of gateways by name. Those that come later are used when they come.
const NAMES_DEADLINE: Duration = Duration::from_millis(400);

/// Longest wait for the figures of a metrics page.
const FIGURES_DEADLINE: Duration = Duration::from_secs(4);

/// Longest wait for the last lines of the log at the end.
const LOG_DEADLINE: Duration = Duration::from_secs(1);

/// Longest wait for the last balances to be on the disk at the end.
const CREDIT_DEADLINE: Duration = Duration::from_secs(4);

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// Why a start failed, as a line for people.
type Failure = String;

/// Runs until a signal ends it.
pub fn run(path: &Path) -> Exit {
    let began = Instant::now();
    // WHY what is free now: pools are touched at once, and a start that cannot have them must not begin.
    let loaded = match tuning::load_against(path, &Environment::before_start()) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            eprint!("{}", diagnostics.render(crate::cli::colour_on_stderr()));
            return Exit::BadConfiguration;
        }
    };
    if !loaded.warnings.is_empty() {
        eprint!("{}", loaded.warnings.render(crate::cli::colour_on_stderr()));
    }
    match start(path, &loaded, began) {
        Ok(process) => process.serve(),
        Err(why) => {
            eprintln!("tandem: {why}");
            Exit::Failed
        }
    }
}

/// Everything that runs.
struct Process {
    control: Control,
    running: Running<Letter>,
    journal: Option<JournalLane>,
    /// The same where a reload brought the first domain.
    journal_of_reload: Journal,
    records: Option<Lanes>,
    log: Log,
    _socket: SocketFile,
}

fn start(path: &Path, loaded: &Loaded, began: Instant) -> Result<Process, Failure> {
    let config = &loaded.config;
    let environment = Environment::of_this_host();
    let directory = Directory::open(&config.state.dir).map_err(|error| not_ours(config, &error))?;
    let admin = AdminFile::of(&directory).read().map_err(|error| error.to_string())?;
    let mut credit = CreditFile::of(&directory).read().map_err(|error| error.to_string())?;
    let last_good = LastGood::of(&directory);
    let shadow_file = ShadowFile::of(&directory);
    let decks = service::image_of(config).map_err(|error| error.to_string())?;
    let tables = Inputs {
        config,
        addresses: &Default::default(),
        marks: &crate::control::marks(&admin),
        local_addresses: &environment.addresses,
        decks: decks.as_ref(),
    };
    let tables = Arc::new(Tables::build(&tables, None).map_err(|error| format!("{}: {error}", path.display()))?);
    let keys = read_keys(config)?;
    let random = Randomness::draw().map_err(|error| format!("the kernel's random numbers: {error}"))?;
    let shards = compose::cores(config, &environment).len();
    let setup = compose::shard(config, keys, shards, &random).ok_or("too many shards")?;
    let living = Arc::new(Living::new(random.boot_secret));
    let state = directory.path().to_owned();
    let registrations = read_registrations(config, &state, &setup, &random, &tables, &living)?;
    let recording = Recording::read(config)?.map(Arc::new);
    recording.iter().for_each(|recording| recording.bring_up_to_date(&mut credit));
    let read = (registrations.clone(), recording.clone());
    let authentication = compose::authentication(config, &setup, &tables, &living);
    let mut running = launch(config, &environment, &setup, authentication.clone(), &tables, read)?;
    let Some(lane) = running.take_lane(LaneId(0)) else { return Err("the engine has no lane".into()) };

    // WHY now: threads started from here on inherit where this one may run.
    lanes::keep_off(&running.serving().cores);
    let text = |error: std::io::Error| error.to_string();
    let log = start_log(config)?;
    if let Some(events) = running.take_xdp_events() {
        interfaces::start(events, log.clone()).map_err(|error| error.to_string())?;
    }
    let has_registrar = registrations.is_some();
    let journal_lane = running.take_lane(LaneId(1)).ok_or("the engine has no lane for the journal")?;
    let (journal, journal_lane) = start_journal(config, registrations, journal_lane, &log)?;
    let records = start_records(recording, &mut running, &log)?;
    let (disk, _) = DiskLane::start(directory).map_err(text)?;
    let (inbox, queue) = Inbox::new(lane.waker());
    let dns = start_dns(config, &inbox)?;
    let accounts = start_accounts(config, &inbox)?;
    let lnp = start_lnp(config, &inbox)?;
    let driver = running.serving().driver;
    let stats = (0..running.shards()).filter_map(|index| u8::try_from(index).ok());
    let stats = stats.filter_map(|index| running.stats(engine::ShardId(index)).cloned()).collect();
    let local_addresses = environment.addresses;
    let kept = disk.submit(Job::Good(loaded.source.to_string()));
    // WHY whole: `tandem shadow` has it read by processes with other working directories.
    let file = std::path::absolute(path).map_err(text)?;
    let recorded = config.records.on().map(|records| records.dir.clone());
    let shadow = Arc::new(Desk::new(recorded, file, disk.clone(), log.clone()));
    let (config_in_force, log_of_lane) = (config.clone(), log.clone());
    let journal_of_reload = Journal::default();
    let outfitter = Box::new(ReloadOutfitter {
        lane: journal_lane,
        has_registrar,
        has_authentication: authentication.is_some(),
        setup,
        random,
        living,
        state,
        journal: Arc::clone(&journal_of_reload),
        log: log.clone(),
    });
    let parts = Parts {
        lane,
        queue,
        config: config_in_force,
        tables,
        admin,
        credit,
        local_addresses,
        stats,
        xdp: running.xdp_counters().cloned(),
        driver,
        journal: journal.as_ref().map(|lane| Arc::clone(lane.figures())),
        outfitter,
        records: records.as_ref().map(|lanes| Arc::clone(lanes.records.figures())),
        traffic: records.as_ref().map(|lanes| Arc::clone(lanes.records.traffic())),
        shipping: records.iter().flat_map(|lanes| lanes.ships.iter().map(|ship| Arc::clone(ship.shipping()))).collect(),
        disk,
        dns,
        accounts,
        lnp,
        log: log_of_lane,
    };
    let mut control = Control::new(parts);
    let unresolved = control.settle(NAMES_DEADLINE);

    let sources = Sources { file: path.to_owned(), last_good, shadow };
    let socket = start_socket(config, Methods { inbox: inbox.clone(), sources: sources.clone(), log: log.clone() })?;
    let metrics = start_metrics(config, &inbox)?;
    signals::start(&inbox, sources.clone(), log.clone()).map_err(text)?;
    resume_shadow(&shadow_file, sources.shadow, inbox.clone(), &log)?;
    // WHY only now: on a slow disk this has run beside everything else.
    if let Ok(Err(error)) = kept.recv_timeout(Duration::ZERO) {
        return Err(format!("{}: {error}", config.state.dir.display()));
    }
    let started = Started {
        config,
        serving: running.serving(),
        metrics,
        socket: &config.control.socket,
        unresolved,
        took: began.elapsed(),
    };
    // A terminal that has gone away is no reason not to carry calls.
    let _ = std::io::stdout().write_all(banner(&started).as_bytes());
    notify::ready("carries calls");
    Ok(Process { control, running, journal, journal_of_reload, records, log, _socket: socket })
}

/// What was in the shadow is there again, as soon as the control lane answers; calls do not wait for it.
fn resume_shadow(file: &ShadowFile, desk: Arc<Desk>, inbox: Inbox, log: &Log) -> Result<(), Failure> {
    match file.read() {
        Ok(None) => Ok(()),
        Ok(Some(kept)) => {
            let resuming = std::thread::Builder::new().name("tandem-shadow".into());
            resuming.spawn(move || desk.resume(kept, &inbox)).map(drop).map_err(|error| error.to_string())
        }
        Err(why) => {
            log.send(Record::new(Level::Warn, "shadow").with("state", "is lost").with("why", why).always());
            Ok(())
        }
    }
}

impl Process {
    /// Serves until the end; then stops the shards and closes what is open.
    fn serve(mut self) -> Exit {
        let end = self.control.run(|| self.running.any_ended());
        self.running.stop();
        let ended = self.running.join();
        // WHY after the shards: nobody spends any more.
        if let Some(saved) = self.control.keep_credit() {
            let _ = saved.recv_timeout(CREDIT_DEADLINE);
        }
        // WHY after the shards: what they sent last is on the disk before the process ends.
        drop(self.journal);
        drop(self.journal_of_reload.lock().map(|mut journal| journal.take()));
        drop(self.records);
        self.log.flush(LOG_DEADLINE);
        match (end, ended) {
            (End::Drained | End::AtOnce, Ok(())) => Exit::Good,
            (_, Err(error)) => {
                eprintln!("tandem: {error}");
                Exit::Failed
            }
            (End::ShardEnded, Ok(())) => {
                eprintln!("tandem: a shard has ended by itself");
                Exit::Failed
            }
        }
    }
}

fn read_keys(config: &Config) -> Result<Keys, Failure> {
    let keys = if config.keys.files.is_empty() {
        keys::read_or_create(&config.keys.dir)
    } else {
        keys::read_files(&config.keys.files)
    };
    let keys = keys.map_err(|error| error.to_string())?;
    Keys::new(&keys).ok_or_else(|| "there is no key to sign with".to_owned())
}

/// What was registered before; `None` where nobody registers.
fn read_registrations(
    config: &Config,
    state: &Path,
    setup: &app::Setup,
    random: &Randomness,
    tables: &Tables,
    living: &Living,
) -> Result<Option<Arc<Registrations>>, Failure> {
    if config.domains.is_empty() {
        return Ok(None);
    }
    let read = Registrations::read(config, state, setup, random, tables, living);
    read.map(|read| Some(Arc::new(read)))
}

/// The journal, or its lane for the first domain that a reload brings.
fn start_journal(
    config: &Config,
    registrations: Option<Arc<Registrations>>,
    lane: LaneEnd<Letter>,
    log: &Log,
) -> Result<(Option<JournalLane>, Option<LaneEnd<Letter>>), Failure> {
    match registrations {
        Some(registrations) => Ok((Some(registrations.start(config, lane, log)?), None)),
        None => Ok((None, Some(lane))),
    }
}

fn start_records(
    recording: Option<Arc<Recording>>,
    running: &mut Running<Letter>,
    log: &Log,
) -> Result<Option<Lanes>, Failure> {
    let (Some(recording), Some(lane)) = (recording, running.take_lane(LaneId(2))) else { return Ok(None) };
    recording.start(lane, log).map(Some)
}

fn launch(
    config: &Config,
    environment: &Environment,
    setup: &app::Setup,
    authentication: Option<modules::authentication::Setup>,
    tables: &Arc<Tables>,
    (registrations, recording): (Option<Arc<Registrations>>, Option<Arc<Recording>>),
) -> Result<Running<Letter>, Failure> {
    let engine = compose::engine(config, environment, &setup.proxy.keys);
    let (setup, waits) = (setup.clone(), compose::waits(config));
    let tables = Arc::clone(tables);
    let hunts = config.limits.open_requests_per_shard;
    engine::launch(&engine, move |shard| {
        let now = now();
        let registrar = registrations.as_ref().and_then(|registrations| registrations.take(shard.index()));
        ShardApp::new(shard, &setup, Arc::clone(&tables), now)
            .admitting(waits)
            .registering(registrar)
            .recording(recording.as_deref().map(|recording| recording.open.as_slice()), hunts, now)
            .authenticating(authentication.as_ref(), now)
    })
    .map_err(|error| error.to_string())
}

fn now() -> proto::time::Now {
    let now = engine::Now::read();
    proto::time::Now { mono: proto::time::Mono(now.mono.0), wall: proto::time::Wall(now.wall.0) }
}

/// The state directory could not be had. If another tandem has it, it serves our addresses too, most likely.
fn not_ours(config: &Config, error: &crate::disk::StateError) -> Failure {
    let is_taken = |address: &SocketAddr| {
        let bound = std::net::UdpSocket::bind(address);
        bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
    };
    let taken = config.listen.udp.iter().map(|listener| listener.address).filter(is_taken);
    let taken: Vec<_> = taken.map(|address| address.to_string()).collect();
    match taken.as_slice() {
        [] => error.to_string(),
        taken => format!("{} is served already by another process; {error}", taken.join(", ")),
    }
}

fn start_log(config: &Config) -> Result<Log, Failure> {
    let style = Style {
        level: match config.log.level {
            LogLevel::Error => Level::Error,
            LogLevel::Warn => Level::Warn,
            LogLevel::Info => Level::Info,
            LogLevel::Debug => Level::Debug,
        },
        format: match config.log.format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        },
        lines_per_second: config.log.lines_per_second,
    };
    let started = match &config.log.destination {
        LogDestination::Stderr => Log::start(style, std::io::stderr()),
        LogDestination::Stdout => Log::start(style, std::io::stdout()),
        LogDestination::File(path) => LogFile::open(path).and_then(|file| Log::start(style, file)),
    };
    started.map(|(log, _)| log).map_err(|error| format!("the log cannot be written: {error}"))
}

fn start_dns(config: &Config, inbox: &Inbox) -> Result<DnsLane, Failure> {
    let settings = dns::Settings {
        servers: config.dns.servers.iter().map(|server| SocketAddr::new(*server, DNS_PORT)).collect(),
        timeout: config.dns.timeout,
        ttl_min: config.dns.ttl_min,
        ttl_max: config.dns.ttl_max,
    };
    let inbox = inbox.clone();
    DnsLane::start(settings, Arc::new(move |report| inbox.tell(Ask::Dns(report)))).map_err(|why| format!("DNS: {why}"))
}

fn start_accounts(config: &Config, inbox: &Inbox) -> Result<AccountDesk, Failure> {
    let inbox = inbox.clone();
    let sink = Arc::new(move |report| inbox.tell(Ask::Accounts(report)));
    AccountDesk::start(config, sink).map_err(|why| format!("accounts: {why}"))
}

/// Who asks for ported numbers, where they are asked for.
fn start_lnp(config: &Config, inbox: &Inbox) -> Result<Option<LnpLane>, Failure> {
    let Some(lnp) = config.class4.lnp.on() else { return Ok(None) };
    let (inbox, dns) = (inbox.clone(), config.dns.servers.iter().map(|server| SocketAddr::new(*server, DNS_PORT)));
    let settings = lnp::Settings {
        method: lnp.method,
        servers: if lnp.servers.is_empty() { dns.collect() } else { lnp.servers.clone() },
        domain: lnp.domain.clone(),
        timeout: lnp.timeout,
        keep: lnp.keep,
    };
    let sink = Arc::new(move |question| inbox.tell(Ask::Accounts(Report::Answer(question))));
    LnpLane::start(settings, sink).map(Some).map_err(|why| format!("ported numbers: {why}"))
}

fn start_socket(config: &Config, methods: Methods) -> Result<SocketFile, Failure> {
    let access = match config.control.group_access {
        SocketAccess::Read => Access::Read,
        SocketAccess::Write => Access::Write,
    };
    let permissions = Permissions::new(config.control.group.as_deref().map(|group| (group, access)))?;
    let path = &config.control.socket;
    let bound = ControlSocket::bind(path, &permissions);
    let served = bound.and_then(|socket| {
        socket.serve(permissions, move |peer, permissions, line| methods.answer(peer, permissions, line))
    });
    served.map_err(|error| format!("control socket {}: {error}; name another: `socket` in [control]", path.display()))
}

fn start_metrics(config: &Config, inbox: &Inbox) -> Result<Option<SocketAddr>, Failure> {
    let Some(address) = config.metrics.listen else { return Ok(None) };
    let inbox = inbox.clone();
    let make_page = move || {
        let gathered = inbox.ask(|reply| Ask::Gather { unknown: false, reply }, FIGURES_DEADLINE)?;
        Some(metrics_page(&gathered))
    };
    let lane = MetricsLane::start(address, Arc::new(make_page));
    lane.map(|lane| Some(lane.address())).map_err(|error| format!("metrics on {address}: {error}"))
}
