//! Before the shards start: what was registered is read from the disk, and goes to them. Afterwards: the journal's lane.

use super::Randomness;
use super::compose;
use crate::app;
use crate::journal::keeper::Keeper;
use crate::journal::load::{Loaded, load};
use crate::journal::log::{Log, Position};
use crate::journal::medium::Folder;
use crate::journal::survey::Survey;
use crate::journal::{JournalLane, frame};
use crate::letter::Letter;
use crate::log::{Level, Log as Lines, Record};
use engine::LaneEnd;
use modules::Tables;
use modules::authentication::living::Living;
use modules::registrar::{Clock, Registrar};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tuning::{Config, Durability};

/// The folder in the state directory.
pub(crate) const FOLDER: &str = "registrations";

/// What the shards and the lane begin with.
pub(super) struct Registrations {
    /// By shard; taken by it once.
    registrars: Vec<Mutex<Option<Box<Registrar>>>>,
    path: PathBuf,
    position: Position,
    lengths: Vec<(u64, u64)>,
    clock: Clock,
    cut: Option<String>,
    /// The highest version of a file.
    version: u16,
    loaded: Loaded,
}

impl Registrations {
    /// Reads everything, in parallel for the shards. `living`: is told where authenticated bindings live.
    pub(super) fn read(
        config: &Config,
        state: &Path,
        of: &app::Setup,
        random: &Randomness,
        tables: &Tables,
        living: &Living,
    ) -> Result<Self, String> {
        let path = state.join(FOLDER);
        let mut folder = Folder::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut survey = Survey::take(&mut folder).map_err(|damage| damage.to_string())?;
        let now = super::now();
        let clock = Clock::start(now);
        let (keys, count) = (&of.proxy.keys, of.shards);
        let setup = compose::registrar(config, keys, clock, random);
        let slot_secret = keys.slot_secret();
        let read = &survey;
        let make = |shard: u16| {
            let setup = modules::registrar::Setup { seed: setup.seed ^ u64::from(shard + 1), ..setup };
            let mut registrar = Box::new(Registrar::new(&setup, &tables.domains, now));
            let lives_at = |domain: &[u8]| {
                tables.domains.named(domain).is_some_and(|(_, domain)| domain.authenticates).then_some(living)
            };
            let loaded = load(read, &mut registrar, &slot_secret, (shard, count), lives_at, now)?;
            Ok((registrar, loaded))
        };
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count).map(|shard| scope.spawn(move || make(shard))).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        let (mut registrars, mut all) = (Vec::new(), Loaded::default());
        for one in made {
            let (registrar, loaded) = one
                .map_err(|_| "registrations could not be read: a thread panicked".to_owned())?
                .map_err(|damage: crate::journal::survey::Damage| damage.to_string())?;
            all.entries += loaded.entries;
            all.dropped += loaded.dropped;
            registrars.push(Mutex::new(Some(registrar)));
        }
        Ok(Registrations {
            registrars,
            position: survey.position(),
            lengths: survey.lengths(),
            cut: survey.cut.take(),
            version: survey.version,
            path,
            clock,
            loaded: all,
        })
    }

    /// The registrar of a shard; `None` the second time.
    pub(super) fn take(&self, shard: usize) -> Option<Box<Registrar>> {
        self.registrars.get(shard)?.lock().ok()?.take()
    }

    /// Says what was found, and starts the lane.
    pub(super) fn start(&self, config: &Config, lane: LaneEnd<Letter>, log: &Lines) -> Result<JournalLane, String> {
        if let Some(cut) = &self.cut {
            log.send(Record::new(Level::Warn, "journal").with("cut", cut.as_str()).always());
        }
        let read = Record::new(Level::Info, "journal").with("entries", self.loaded.entries);
        let version = u16::try_from(config.registrar.journal_version).unwrap_or(frame::VERSION);
        let converting = self.version > version;
        let read = read.with("dropped", self.loaded.dropped).with("version", u64::from(version));
        let read = if converting { read.with("files-of", u64::from(self.version)) } else { read };
        log.send(read.always());
        let file_bytes = u64::from(config.registrar.journal_file_mebibytes) << 20;
        let session = getrandom::u64().map_err(|error| format!("the kernel's random numbers: {error}"))?;
        let folder = Folder::open(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))?;
        let journal = Log::new(folder, self.position, self.lengths.clone(), version, session, file_bytes);
        let keeper = Keeper::new(journal, self.registrars.len(), file_bytes).converting(converting);
        let relaxed = config.registrar.durability == Durability::Relaxed;
        JournalLane::start(lane, keeper, self.clock, relaxed, log.clone()).map_err(|error| error.to_string())
    }
}
