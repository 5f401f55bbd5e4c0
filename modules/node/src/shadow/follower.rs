//! The thread that follows the record files and judges each call that ends.

use crate::records::reader::{Mark, Reader};
use crate::replay::judge::Judge;
use crate::replay::past::Joining;
use crate::replay::tally::Tally;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks at the files when all is judged.
const LOOK: Duration = Duration::from_millis(200);

/// Nice value of the thread: calls go first, and whatever keeps them.
const NICE: i32 = 10;

/// What has come of it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tally: Tally,
    /// Records that could not be used.
    pub(super) odd: u64,
    /// Why records cannot be read; `None`: they can.
    pub(super) trouble: Option<String>,
}

/// The thread, and the way to change its judge and to end it.
#[derive(Debug)]
pub(super) struct Follower {
    found: Arc<Mutex<Found>>,
    judges: Option<SyncSender<Judge>>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts it behind `mark`.
    ///
    /// # Errors
    /// No thread could be made.
    pub(super) fn start(folder: &Path, mark: Mark, judge: Judge) -> std::io::Result<Self> {
        let tally = Tally::new(judge.currency().unwrap_or_default());
        let found = Arc::new(Mutex::new(Found { tally, odd: 0, trouble: None }));
        let (judges, changed) = sync_channel(1);
        let work =
            Work { reader: Reader::new(folder, mark), joining: Joining::default(), judge, found: Arc::clone(&found) };
        let thread = std::thread::Builder::new().name("tandem-shadow".into()).spawn(move || work.run(&changed))?;
        Ok(Follower { found, judges: Some(judges), thread: Some(thread) })
    }

    /// What has come of it so far.
    pub(super) fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls whose records come from now on are judged by another one.
    pub(super) fn change(&self, judge: Judge) {
        if let Some(judges) = &self.judges {
            // A thread that has ended judges no more.
            let _ = judges.send(judge);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.judges.take());
        if let Some(thread) = self.thread.take() {
            // WHY: a thread that panicked has nothing more to judge.
            let _ = thread.join();
        }
    }
}

struct Work {
    reader: Reader,
    joining: Joining,
    judge: Judge,
    found: Arc<Mutex<Found>>,
}

impl Work {
    fn run(mut self, changed: &Receiver<Judge>) {
        // WHY not an error: it is merely less polite then.
        let _ = rustix::process::nice(NICE);
        loop {
            let waits = self.look();
            match changed.recv_timeout(waits) {
                Ok(judge) => self.judge = judge,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Judges what has come; how long to wait for more.
    fn look(&mut self) -> Duration {
        let portion = match self.reader.portion() {
            Ok(portion) => portion,
            Err(error) => {
                self.found().trouble = Some(error.to_string());
                return LOOK;
            }
        };
        let Some(portion) = portion else {
            self.found().trouble = None;
            return LOOK;
        };
        let Work { joining, judge, found, .. } = self;
        // WHY a lock for each call: whoever asks waits for one call, not for a file of them.
        joining.portion(&portion, &mut |past| {
            let now = judge.judge(&past);
            found.lock().unwrap_or_else(PoisonError::into_inner).tally.add(&past, &now);
        });
        let odd = self.joining.odd;
        let mut found = self.found();
        (found.odd, found.trouble) = (odd, None);
        Duration::ZERO
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
