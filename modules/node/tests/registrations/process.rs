//! One process of Tandem: its shards, and what its journal lane does, without threads.

use crate::accounts::Accounts;
use crate::composed::{self, Room};
use crate::disk::Disk;
use engine::device::sim::SimDevice;
use engine::{Egress, LaneEnd, LinkConfig, Micros, Mono, Now, Shard, ShardId, ShardStats, Wall};
use modules::Tables;
use modules::authentication::{self, living::Living};
use modules::registrar::{self, Clock, Durability, Registrar};
use proto::hash::Secret;
use proto::proxy::Capacity;
use proto::transaction::Timers;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tandem::app::{Setup, ShardApp};
use tandem::journal::keeper::{Keeper, Sent};
use tandem::journal::load::load;
use tandem::journal::log::Log;
use tandem::journal::survey::Survey;
use tandem::letter::Letter;
use tuning::Config;

pub(crate) const TANDEM: &str = "192.0.2.1:5060";

const TOML: &str = "sources = [\"192.0.2.0/24\"]\n[listen]\nudp = [\"192.0.2.1:5060\"]\n\
    [[domain]]\nname = \"example.com\"\nexpires = { min = \"1s\", jitter_percent = 0 }\n\
    [[set]]\nname = \"unused\"\nprobe = \"off\"\ngateways = [\"sip:192.0.2.250\"]\n\
    [registrar]\nkeep_alive = \"off\"\n";

/// Who registers proves to be whom. Nobody is ever shut out: a right proof must always hold.
const DIGEST_TOML: &str = "[authentication]\nnonce = \"60s\"\nremembered = \"20s\"\nunknown_remembered = \"5s\"\n\
    user_failures = 1000\naddress_failures = 100000\naddress_questions = 1000000\n\
    address_questions_burst = 1000000\naccounts_per_shard = 256\nfailures_per_shard = 64\n";

const ROOM: Room = Room {
    capacity: Capacity { transactions: 256, open: 128, branches: 256, bytes: 1 << 19 },
    calls: 16,
    open_requests: 16,
};

/// So short that rounds in which all is said again are ordinary.
const FILE_BYTES: u64 = 1_500;

/// Turns in which all that follows from one event at the same moment must be over.
const TURNS_MAX: usize = 1_000;

/// What a process starts with.
pub(crate) struct Start {
    pub(crate) shards: u16,
    /// Of the journal.
    pub(crate) version: u16,
    pub(crate) session: u64,
    /// Its users have accounts, with this source.
    pub(crate) accounts: Option<Accounts>,
    /// What earlier processes gave out passes for its own, and for never used: a planted fault.
    pub(crate) forgets_windows: bool,
}

/// See the module.
pub(crate) struct Process {
    shards: Vec<Shard<ShardApp, SimDevice>>,
    journal: LaneEnd<Letter>,
    control: LaneEnd<Letter>,
    accounts: Accounts,
    keeper: Keeper<Disk>,
    clock: Clock,
    /// Wall minus registrars' clock, as the disk has it.
    drift: i64,
}

impl Process {
    /// Starts on what the disk has.
    ///
    /// # Errors
    /// It would not start.
    pub(crate) fn start(disk: &Disk, start: Start, now: Now) -> Result<Self, String> {
        let Start { shards, version, session, accounts, forgets_windows } = start;
        let mut medium = disk.clone();
        let survey = Survey::take(&mut medium).map_err(|damage| damage.to_string())?;
        let (config, tables) = compile(accounts.is_some());
        let setup = composed::setup(&[TANDEM.parse().unwrap()], shards, Timers::default(), ROOM, 1);
        let (tables, at) = (Arc::new(tables), times(now));
        // WHY not `at`: windows take no nonce that was made before they began.
        let windows_at = if forgets_windows { long_before(at) } else { at };
        let clock = Clock::start(at);
        let links = LinkConfig { shards: usize::from(shards), lanes: 2, letters: 256, hand_over_bytes: 1 << 16 };
        let (links, mut lanes) = engine::join_virtual(&links);
        let mut made = Vec::new();
        for (number, link) in (0u16..).zip(links) {
            let mut registrar = Box::new(Registrar::new(&registrar_setup(clock, number), &tables.domains, at));
            let slot_secret = setup.proxy.keys.slot_secret();
            load(&survey, &mut registrar, &slot_secret, (number, shards), |_| None, at)
                .map_err(|damage| damage.to_string())?;
            let id = ShardId(u8::try_from(number).unwrap());
            let boot = if forgets_windows { 0 } else { session };
            let seed = boot << 8 | u64::from(number);
            let proving = accounts.is_some().then(|| authentication_setup(&setup, &config, &tables, seed));
            let app = ShardApp::new(id, &setup, Arc::clone(&tables), at)
                .authenticating(proving.as_ref(), windows_at)
                .registering(Some(registrar));
            made.push(Shard::new(app, SimDevice::new(64, 1), link, 1_024, now.mono, Arc::new(ShardStats::default())));
        }
        let log = Log::new(medium, survey.position(), survey.lengths(), version, session, FILE_BYTES);
        let keeper = Keeper::new(log, usize::from(shards), FILE_BYTES).converting(survey.version > version);
        let (journal, control) = (lanes.remove(1), lanes.remove(0));
        let accounts = accounts.unwrap_or_default();
        Ok(Process { shards: made, journal, control, accounts, keeper, clock, drift: 0 })
    }

    /// A datagram arrives at a shard, whichever owns what it is about.
    pub(crate) fn deliver(&mut self, shard: usize, from: SocketAddr, text: &str) {
        let shard = shard % self.shards.len();
        self.shards[shard].device().push(0, TANDEM.parse().unwrap(), from, text.as_bytes());
    }

    /// Turns until nobody has anything to do; what was sent, and whereto.
    pub(crate) fn settle(&mut self, now: Now, sent: &mut Vec<(SocketAddr, String)>) {
        for _ in 0..TURNS_MAX {
            let mut idle = true;
            for shard in &mut self.shards {
                if shard.idle_for(now.mono) == Some(Micros(0)) {
                    idle = false;
                    shard.step(now).unwrap();
                    let mut take = |egress: &Egress, bytes: &[u8]| {
                        sent.push((egress.peer, String::from_utf8(bytes.to_vec()).unwrap()));
                    };
                    while shard.device().take_sent(&mut take).is_some() {}
                }
            }
            idle &= !self.ask_accounts();
            if idle {
                return;
            }
        }
        panic!("the shards do not come to rest");
    }

    /// The source of accounts has its turn. False: it said nothing.
    fn ask_accounts(&mut self) -> bool {
        while let Some((_, letter)) = self.control.receive() {
            if let Letter::Ask(question) = letter {
                self.accounts.take(question);
            }
        }
        let mut any = false;
        for answer in self.accounts.answers() {
            any = true;
            assert!(self.control.post(answer.from, Letter::Answered(answer)).is_ok(), "a mailbox is full");
        }
        any
    }

    /// The source of accounts.
    pub(crate) fn accounts(&mut self) -> &mut Accounts {
        &mut self.accounts
    }

    /// How long nobody has anything to do.
    pub(crate) fn idle_for(&self, now: Now) -> Option<u64> {
        self.shards.iter().filter_map(|shard| shard.idle_for(now.mono)).map(|idle| idle.0).min()
    }

    /// The journal's turn. `forgets`: batches go back as kept without having been written (a planted fault).
    pub(crate) fn write(&mut self, now: Now, forgets: bool) {
        let mut sent: Vec<Sent> = Vec::new();
        while let Some((shard, letter)) = self.journal.receive() {
            if let Letter::Journal(batch) = letter {
                sent.push((shard.index(), batch));
            }
        }
        if self.keeper.is_broken() {
            let (second, wall) = self.clocks(now);
            if self.keeper.mend(second, wall) {
                self.post_all(|| Letter::JournalMended);
            }
        }
        if !sent.is_empty() {
            let (second, wall) = self.clocks(now);
            if forgets {
                sent.iter_mut().for_each(|(_, batch)| batch.kept = true);
            } else if self.keeper.keep(&mut sent, second, wall).is_ok() {
                self.drift = i64::try_from(wall).unwrap() - i64::from(second);
            }
            for (shard, batch) in sent {
                let id = ShardId(u8::try_from(shard).unwrap());
                assert!(self.journal.post(id, Letter::JournalBack(batch)).is_ok());
            }
        }
        if let Some(round) = self.keeper.begin_round() {
            self.post_all(|| Letter::JournalRound(round));
        }
    }

    /// The lane looks at the clocks, as it does every second.
    pub(crate) fn look(&mut self, now: Now) {
        let (second, wall) = self.clocks(now);
        let drift = i64::try_from(wall).unwrap() - i64::from(second);
        if self.drift.abs_diff(drift) >= 2 && self.keeper.note_clocks(second, wall).is_ok() {
            self.drift = drift;
        }
    }

    fn clocks(&self, now: Now) -> (u32, u64) {
        (self.clock.second(times(now)), now.wall.0 / 1_000_000)
    }

    fn post_all(&mut self, letter: impl Fn() -> Letter) {
        for id in (0..).map(ShardId).take(self.shards.len()) {
            assert!(self.journal.post(id, letter()).is_ok(), "a mailbox is full");
        }
    }
}

fn times(now: Now) -> proto::time::Now {
    proto::time::Now { mono: proto::time::Mono(now.mono.0), wall: proto::time::Wall(now.wall.0) }
}

/// A moment, in microseconds of both clocks.
pub(crate) fn moment(mono: u64, wall: u64) -> Now {
    Now { mono: Mono(mono), wall: Wall(wall) }
}

/// The file and its tables: the same for every process.
fn compile(accounts: bool) -> (Config, Tables) {
    if !accounts {
        return composed::compile(TOML, None, None);
    }
    let domain = "name = \"example.com\"\n";
    let toml = TOML.replace(domain, &format!("{domain}accounts = {{ file = \"accounts.toml\" }}\n"));
    composed::compile(&(toml + DIGEST_TOML), None, None)
}

/// Both clocks, at a time before any nonce was made.
fn long_before(at: proto::time::Now) -> proto::time::Now {
    let wall = at.wall.0.saturating_sub(at.mono.0);
    proto::time::Now { mono: proto::time::Mono(0), wall: proto::time::Wall(wall) }
}

fn authentication_setup(setup: &Setup, config: &Config, tables: &Tables, seed: u64) -> authentication::Setup {
    authentication::Setup {
        nonce_secrets: vec![setup.proxy.keys.slot_secret()],
        boot_secret: Secret((u128::from(seed >> 8) << 64).to_le_bytes()),
        seed,
        accounts: config.authentication.accounts_per_shard,
        failures: config.authentication.failures_per_shard,
        rules: tables.realms.rules,
        living: living(setup.proxy.boot_secret),
    }
}

/// WHY one for all: it spares addresses from being shut out, and none is.
fn living(secret: Secret) -> Arc<Living> {
    static LIVING: OnceLock<Arc<Living>> = OnceLock::new();
    Arc::clone(LIVING.get_or_init(|| Arc::new(Living::new(secret))))
}

fn registrar_setup(clock: Clock, shard: u16) -> registrar::Setup {
    registrar::Setup {
        clock,
        accounts: 64,
        bytes: 1 << 20,
        durability: Durability::Strict,
        boot_secret: Secret([3; 16]),
        gruu_secret: Secret([4; 16]),
        seed: u64::from(shard),
    }
}
