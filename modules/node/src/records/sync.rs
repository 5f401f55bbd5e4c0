//! The thread that has the disk keep what the kernel has: beside the one that writes, so that no 2xx waits for a sync.

use super::figures::RecordFigures;
use std::fs::File;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between a write and the beginning of its sync, at most.
pub(super) const PACE: Duration = Duration::from_millis(4);

#[derive(Debug, Default)]
struct Wanted {
    file: Option<Arc<File>>,
    /// Files that were given up since the last sync.
    before: Vec<Arc<File>>,
    stop: bool,
}

#[derive(Debug, Default)]
struct Shared {
    wanted: Mutex<Wanted>,
    bell: Condvar,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// # Errors
    /// No thread could be made.
    pub(super) fn start(figures: Arc<RecordFigures>) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("tandem-rec-sync".into()).spawn(move || run(&theirs, &figures))?;
        Ok(Syncer { shared, thread: Some(thread) })
    }

    /// Something was written to this file.
    pub(super) fn want(&self, file: &Arc<File>) {
        let mut wanted = self.shared.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = wanted.file.replace(Arc::clone(file));
        wanted.before.extend(before.filter(|before| !Arc::ptr_eq(before, file)));
        self.shared.bell.notify_one();
    }
}

impl Drop for Syncer {
    /// Ends it when the disk has everything.
    fn drop(&mut self) {
        self.shared.wanted.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.shared.bell.notify_one();
        if let Some(thread) = self.thread.take() {
            // WHY: a thread that panicked has nothing more to sync.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, figures: &RecordFigures) {
    let mut wanted = shared.wanted.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let stop = wanted.stop;
        let files: Vec<_> = std::mem::take(&mut wanted.before).into_iter().chain(wanted.file.take()).collect();
        if files.is_empty() {
            if stop {
                return;
            }
            wanted = shared.bell.wait(wanted).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        drop(wanted);
        let began = Instant::now();
        for file in files {
            let outcome = if file.sync_data().is_ok() { &figures.syncs } else { &figures.sync_failures };
            outcome.fetch_add(1, Relaxed);
        }
        let took = began.elapsed();
        figures.longest_sync_micros.fetch_max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        if !stop {
            std::thread::sleep(PACE.saturating_sub(took));
        }
        wanted = shared.wanted.lock().unwrap_or_else(PoisonError::into_inner);
    }
}
