//! What operators do with the shadow. Runs on the thread of the control connection that asks, or of the reload.

use super::candidate::{Candidate, Source};
use super::follower::Follower;
use super::kept::Kept;
use crate::control::reload::install;
use crate::control::rpc::{RpcError, code};
use crate::control::{Ask, Inbox};
use crate::disk::{DiskLane, Job};
use crate::log::{Level, Log, Record};
use crate::records::reader;
use crate::replay::judge::Judge;
use crate::reply::{self, InPlace};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest wait for the control lane.
const DEADLINE: Duration = Duration::from_secs(4);

/// Longest wait for the disk.
const DISK_DEADLINE: Duration = Duration::from_secs(4);

/// See the module.
#[derive(Debug)]
pub struct Desk {
    /// Where records are written; `None`: calls are not recorded.
    records: Option<PathBuf>,
    /// The file that a reload reads.
    file: PathBuf,
    disk: DiskLane,
    log: Log,
    inside: Mutex<Option<Shadow>>,
}

/// What is in the shadow.
#[derive(Debug)]
struct Shadow {
    kept: Kept,
    /// `Err`: it could not be read again after a restart or a reload, and why.
    candidate: Result<(Candidate, Follower), String>,
}

impl Desk {
    /// With nothing in the shadow.
    pub fn new(records: Option<PathBuf>, file: PathBuf, disk: DiskLane, log: Log) -> Self {
        Desk { records, file, disk, log, inside: Mutex::default() }
    }

    /// Puts back what was in the shadow when the process before ended.
    pub(crate) fn resume(&self, kept: Kept, inbox: &Inbox) {
        let candidate = self.follow(&kept, inbox).map_err(|error| error.message);
        let (level, state) = match &candidate {
            Ok(_) => (Level::Info, "goes on"),
            Err(_) => (Level::Warn, "cannot go on"),
        };
        let why = candidate.as_ref().err().cloned().unwrap_or_default();
        self.say(Record::new(level, "shadow").with("state", state).with("why", why), &kept.candidate);
        *self.inside() = Some(Shadow { kept, candidate });
    }

    /// Puts a candidate into the shadow; what was there goes.
    ///
    /// # Errors
    /// Calls are not recorded, or it is no candidate; what was there stays.
    pub(crate) fn start(&self, source: Source, who: &str, inbox: &Inbox) -> Result<reply::Shadow, RpcError> {
        let failed = |error: std::io::Error| RpcError::new(code::INTERNAL, format!("records: {error}"));
        let end = reader::end(self.folder()?).map_err(failed)?;
        let kept =
            Kept { candidate: source, since: wall_micros(), who: who.to_owned(), file: end.file, offset: end.offset };
        let (candidate, follower) = self.follow(&kept, inbox)?;
        let saved = self.keep(Some(kept.clone()));
        self.say(Record::new(Level::Info, "shadow").with("state", "begins").with("user", who), &kept.candidate);
        let mut inside = self.inside();
        *inside = Some(Shadow { kept, candidate: Ok((candidate, follower)) });
        let mut reply = told(inside.as_ref(), 0);
        drop(inside);
        reply.note = saved.err();
        Ok(reply)
    }

    /// What has come of it, with at most `rows` changes.
    pub(crate) fn status(&self, rows: usize) -> reply::Shadow {
        told(self.inside().as_ref(), rows)
    }

    /// Takes away what is in the shadow; what had come of it.
    ///
    /// # Errors
    /// Nothing is there.
    pub(crate) fn drop_it(&self, who: &str) -> Result<reply::Shadow, RpcError> {
        let taken = self.inside().take().ok_or_else(nothing)?;
        let mut reply = told(Some(&taken), 0);
        reply.note = self.keep(None).err();
        self.say(Record::new(Level::Info, "shadow").with("state", "dropped").with("user", who), &taken.kept.candidate);
        Ok(reply)
    }

    /// Takes the candidate into service, all or nothing, by the checks of a reload.
    ///
    /// # Errors
    /// Nothing is in the shadow, its file has changed since it was put there, or the reload is refused; then it stays.
    pub(crate) fn promote(&self, forced: bool, who: &str, inbox: &Inbox) -> Result<reply::Promoted, RpcError> {
        let mut inside = self.inside();
        let shadow = inside.as_ref().ok_or_else(nothing)?;
        let source = &shadow.kept.candidate;
        let refused = |why: String| RpcError::new(code::REFUSED, format!("{why}; what was in service still is"));
        let judged = match &shadow.candidate {
            Ok((judged, _)) => judged,
            Err(why) => return Err(refused(format!("it could not be evaluated: {why}"))),
        };
        let again = source.read(&self.file)?;
        if !judged.is_as_read(&again) {
            let path = source.path().display();
            return Err(refused(format!("{path} is not what was evaluated any more: put it into the shadow again")));
        }
        let place = InPlace {
            from: source.path().to_owned(),
            to: match source {
                Source::Configuration(_) => self.file.clone(),
                Source::Image(_) => again.loaded.config.rating.image.clone().unwrap_or_default(),
            },
        };
        let from = format!("{} (shadow)", source.path().display());
        let reload = install(inbox, &self.log, again.loaded, Some(again.decks), from, forced, who)?;
        let record = Record::new(Level::Info, "shadow").with("state", "promoted").with("user", who);
        self.say(record, source);
        *inside = None;
        drop(inside);
        let in_place = (place.from != place.to).then_some(place);
        Ok(reply::Promoted { reload, in_place, note: self.keep(None).err() })
    }

    /// Another configuration is in service: an image is tried with that one from now on.
    pub(crate) fn reloaded(&self, inbox: &Inbox) {
        let mut inside = self.inside();
        let Some(shadow) = inside.as_mut() else { return };
        if let Source::Configuration(_) = shadow.kept.candidate {
            return;
        }
        let before = std::mem::replace(&mut shadow.candidate, Err(String::new()));
        let again = shadow.kept.candidate.read(&self.file);
        let renewed = match (before, again) {
            (Ok((judged, follower)), Ok(again)) if judged.is_as_read(&again) => judge(&again, inbox).map(|judge| {
                follower.change(judge);
                (again, follower)
            }),
            // WHY not the changed file: only an operator changes what is judged.
            (Ok(_), Ok(_)) => Err(RpcError::new(code::REFUSED, "its file has changed")),
            (Err(_), Ok(_)) => self.follow(&shadow.kept, inbox),
            (_, Err(error)) => Err(error),
        };
        shadow.candidate = renewed.map_err(|error| error.message);
    }

    /// Reads a candidate and follows the records with it.
    fn follow(&self, kept: &Kept, inbox: &Inbox) -> Result<(Candidate, Follower), RpcError> {
        let folder = self.folder()?;
        let candidate = kept.candidate.read(&self.file)?;
        let judge = judge(&candidate, inbox)?;
        let failed = |error: std::io::Error| RpcError::new(code::INTERNAL, error.to_string());
        let follower = Follower::start(folder, kept.mark(), judge).map_err(failed)?;
        Ok((candidate, follower))
    }

    fn folder(&self) -> Result<&PathBuf, RpcError> {
        let why = "the shadow is judged by call records: put [records] into the file in service and restart";
        self.records.as_ref().ok_or_else(|| RpcError::new(code::REFUSED, why))
    }

    fn keep(&self, kept: Option<Kept>) -> Result<(), String> {
        match self.disk.submit(Job::Shadow(kept)).recv_timeout(DISK_DEADLINE) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("that does not outlive a restart: {error}")),
            Err(_) => Err("the disk has not confirmed it yet".to_owned()),
        }
    }

    fn say(&self, record: Record, source: &Source) {
        self.log.send(record.with(source.kind(), source.path().display().to_string()).always());
    }

    fn inside(&self) -> MutexGuard<'_, Option<Shadow>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge(candidate: &Candidate, inbox: &Inbox) -> Result<Judge, RpcError> {
    let late = || RpcError::new(code::INTERNAL, "the control lane did not answer in time");
    let gathered = inbox.ask(|reply| Ask::Gather { unknown: false, reply }, DEADLINE).ok_or_else(late)?;
    candidate.tables(&gathered).map(Judge::new)
}

fn nothing() -> RpcError {
    RpcError::new(code::NOT_FOUND, "nothing is in the shadow: put something there with `tandem shadow FILE`")
}

fn told(shadow: Option<&Shadow>, rows: usize) -> reply::Shadow {
    let Some(Shadow { kept, candidate }) = shadow else {
        return reply::Shadow { state: "empty".into(), ..reply::Shadow::default() };
    };
    let seconds = wall_micros().saturating_sub(kept.since) / 1_000_000;
    let mut told = reply::Shadow {
        state: "evaluating".into(),
        kind: kept.candidate.kind().into(),
        path: kept.candidate.path().to_owned(),
        who: kept.who.clone(),
        since: kept.since,
        seconds,
        ..reply::Shadow::default()
    };
    match candidate {
        Ok((candidate, follower)) => {
            let found = follower.found();
            told.image = candidate.decks.hash().to_string();
            // WHY at least a second: right after the start nothing can be said of an hour.
            (told.margin_an_hour_before, told.margin_an_hour_after) = found.tally.margin_an_hour(seconds.max(1));
            told.outcome = found.tally.outcome(rows, found.odd);
            told.note.clone_from(&found.trouble);
        }
        Err(why) => (told.state, told.note) = ("failed".into(), Some(why.clone())),
    }
    told
}

fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
