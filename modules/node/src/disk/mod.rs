//! The disk lane: everything that Tandem keeps over a restart, and the thread that writes it.
//!
//! At start, before any shard runs, `run` opens the [`Directory`] and reads it. Afterwards only this
//! lane's thread touches it: the control lane sends a [`Job`] and, where an operator waits for the
//! result, gets a [`Saved`] back. No shard knows that there is a disk.

mod admin;
pub(crate) mod atomic;
mod credit;
mod directory;
pub mod keys;
mod last_good;

pub use admin::{ADMIN_ENTRIES_MAX, AdminEntry, AdminFile, AdminStates};
pub use credit::{CreditBook, CreditEntry, CreditFile};
pub use directory::Directory;
pub use last_good::LastGood;

use crate::shadow::{Kept, ShadowFile};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Jobs that may wait for the disk; more are refused, so that a stuck disk costs no memory.
pub const JOBS_MAX: usize = 64;

/// Why something of the state directory cannot be used, with the path and what to do.
#[derive(Debug)]
pub struct StateError {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

impl StateError {
    fn new(path: impl Into<PathBuf>, why: impl fmt::Display, remedy: impl Into<String>) -> Self {
        StateError { path: path.into(), why: why.to_string(), remedy: remedy.into() }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path.display(), self.why, self.remedy)
    }
}

impl std::error::Error for StateError {}

/// Something to keep.
#[derive(Debug)]
pub enum Job {
    /// The admin states of all gateways, whole.
    Admin(AdminStates),
    /// The balances of all customers, whole.
    Credit(CreditBook),
    /// A configuration that was taken into service: the text as it was read.
    Good(String),
    /// What is in the shadow; `None`: nothing.
    Shadow(Option<Kept>),
}

/// Told once the job is on the disk, or cannot be.
pub type Saved = io::Result<()>;

/// The way to the disk lane. Its thread ends when this and all clones are dropped.
#[derive(Clone, Debug)]
pub struct DiskLane {
    jobs: SyncSender<(Job, Sender<Saved>)>,
}

impl DiskLane {
    /// Starts the thread, which owns `directory` (and with it the lock) from now on.
    pub fn start(directory: Directory) -> io::Result<(Self, JoinHandle<()>)> {
        let (jobs, inbox) = sync_channel(JOBS_MAX);
        let thread = std::thread::Builder::new().name("tandem-disk".into()).spawn(move || work(&directory, &inbox))?;
        Ok((DiskLane { jobs }, thread))
    }

    /// Puts a job in the queue; the receiver hears of its end. Never waits.
    pub fn submit(&self, job: Job) -> Receiver<Saved> {
        let (done, outcome) = std::sync::mpsc::channel();
        if let Err(refused) = self.jobs.try_send((job, done)) {
            let (_, done) = match refused {
                std::sync::mpsc::TrySendError::Full(job) | std::sync::mpsc::TrySendError::Disconnected(job) => job,
            };
            // WHY: the receiver is in our hand, so this cannot fail.
            let _ = done.send(Err(io::Error::other("the disk lane is stuck: too many writes wait")));
        }
        outcome
    }
}

fn work(directory: &Directory, inbox: &Receiver<(Job, Sender<Saved>)>) {
    while let Ok((job, done)) = inbox.recv() {
        let outcome = match job {
            Job::Admin(states) => AdminFile::of(directory).write(&states),
            Job::Credit(book) => CreditFile::of(directory).write(&book),
            Job::Good(text) => LastGood::of(directory).push(&text),
            Job::Shadow(kept) => ShadowFile::of(directory).write(kept.as_ref()),
        };
        // A caller that no longer waits is no error.
        let _ = done.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_job_is_on_disk_once_its_outcome_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let (lane, thread) = DiskLane::start(directory).unwrap();
        lane.submit(Job::Good("a = 1\n".into())).recv().unwrap().unwrap();
        lane.submit(Job::Good("a = 2\n".into())).recv().unwrap().unwrap();
        drop(lane);
        thread.join().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        assert_eq!(LastGood::of(&directory).previous().unwrap().as_deref(), Some("a = 1\n"));
    }

    #[test]
    fn a_folder_that_vanished_is_an_error_and_not_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (lane, _) = DiskLane::start(Directory::open(&path).unwrap()).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        assert!(lane.submit(Job::Good("a = 1\n".into())).recv().unwrap().is_err());
    }
}
