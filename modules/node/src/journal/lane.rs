//! The journal's thread.

use super::keeper::{Keeper, Sent};
use super::medium::Folder;
use crate::letter::Letter;
use crate::log::{Level, Log, Record};
use crate::metric::Metric;
use crate::snapshot::Sample;
use engine::{LaneEnd, LaneWaker, ShardId};
use modules::registrar::Clock;
use proto::time::{Mono, Now, Wall};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Least time between the beginnings of two syncs.
///
/// WHY: a sync costs the same for one record and for a thousand. Two milliseconds are not noticed by a phone, and hold
/// the disk's work below 500 syncs a second.
const PACE: Duration = Duration::from_millis(2);

/// The same where nobody waits for it (`durability = "relaxed"`); a crash loses no more than this.
const PACE_RELAXED: Duration = Duration::from_millis(500);

/// Between two looks at clocks, and at a disk that does not work.
const LOOK: Duration = Duration::from_secs(1);

/// Seconds that the clocks may drift apart before that is noted.
const DRIFT_MAX: u64 = 2;

/// What the lane has done; read by the metrics.
#[derive(Debug, Default)]
pub struct JournalFigures {
    /// Syncs that returned.
    pub syncs: AtomicU64,
    /// Writes or syncs that failed.
    pub failures: AtomicU64,
    /// Bytes of all files.
    pub bytes: AtomicU64,
    /// The longest sync, in microseconds.
    pub longest_micros: AtomicU64,
    /// 1 while the disk does not work.
    pub broken: AtomicU64,
}

impl JournalFigures {
    /// As they are shown.
    pub(crate) fn samples(&self) -> impl Iterator<Item = Sample> {
        let load = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        let figures = [
            (Metric::JournalWrites, "kept", load(&self.syncs)),
            (Metric::JournalWrites, "failed", load(&self.failures)),
            (Metric::JournalBytes, "", load(&self.bytes)),
            (Metric::JournalBroken, "", load(&self.broken)),
            (Metric::JournalLongest, "", load(&self.longest_micros)),
        ];
        figures.into_iter().map(|(metric, label, value)| Sample { metric, labels: [label, "", ""], value })
    }
}

/// The thread, and the way to end it.
#[derive(Debug)]
pub struct JournalLane {
    stop: Arc<AtomicBool>,
    waker: LaneWaker,
    thread: Option<JoinHandle<()>>,
    figures: Arc<JournalFigures>,
}

impl JournalLane {
    /// Starts it. `relaxed`: nobody waits for it.
    ///
    /// # Errors
    /// No thread could be made.
    pub fn start(
        lane: LaneEnd<Letter>,
        keeper: Keeper<Folder>,
        clock: Clock,
        relaxed: bool,
        log: Log,
    ) -> std::io::Result<Self> {
        let (stop, figures) = (Arc::<AtomicBool>::default(), Arc::<JournalFigures>::default());
        let waker = lane.waker();
        let pace = if relaxed { PACE_RELAXED } else { PACE };
        let work = Work {
            lane,
            keeper,
            clock,
            pace,
            log,
            stop: Arc::clone(&stop),
            figures: Arc::clone(&figures),
            sent: Vec::new(),
            drift: None,
        };
        let thread = std::thread::Builder::new().name("tandem-journal".into()).spawn(move || work.run())?;
        Ok(JournalLane { stop, waker, thread: Some(thread), figures })
    }

    /// What it has done.
    pub const fn figures(&self) -> &Arc<JournalFigures> {
        &self.figures
    }
}

impl Drop for JournalLane {
    /// Ends it when all that has come is on the disk.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // WHY: a thread that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

/// By how many seconds the wall clock is ahead of the registrars' clock; behind: below 0.
fn ahead(wall: u64, second: u32) -> i64 {
    i64::try_from(wall).unwrap_or(i64::MAX).saturating_sub(i64::from(second))
}

struct Work {
    lane: LaneEnd<Letter>,
    keeper: Keeper<Folder>,
    clock: Clock,
    pace: Duration,
    log: Log,
    stop: Arc<AtomicBool>,
    figures: Arc<JournalFigures>,
    sent: Vec<Sent>,
    /// Wall minus registrars' clock, as the disk has it.
    drift: Option<i64>,
}

impl Work {
    fn run(mut self) {
        let (mut began, mut looked) = (Instant::now(), Instant::now());
        let (second, wall) = self.clocks();
        // WHY before anything is written: what was loaded moves with a jump as well.
        self.drift = Some(ahead(wall, second));
        loop {
            self.receive();
            let stopping = self.stop.load(Ordering::SeqCst);
            let now = Instant::now();
            if !self.sent.is_empty() && (stopping || now >= began + self.pace) {
                began = now;
                self.keep();
            } else if stopping {
                return;
            } else if now >= looked + LOOK {
                looked = now;
                self.look();
            } else {
                let due = if self.sent.is_empty() { looked + LOOK } else { began + self.pace };
                self.pause(due.saturating_duration_since(now));
            }
        }
    }

    fn pause(&self, time: Duration) {
        if self.sent.is_empty() {
            self.lane.wait(time);
        } else {
            // WHY not woken by what comes: it goes with this sync anyway.
            std::thread::sleep(time);
        }
    }

    fn receive(&mut self) {
        while let Some((shard, letter)) = self.lane.receive() {
            // INVARIANT: shards send nothing else to this lane.
            if let Letter::Journal(batch) = letter {
                self.sent.push((shard.index(), batch));
            }
        }
    }

    fn keep(&mut self) {
        let (second, wall) = self.clocks();
        let began = Instant::now();
        let converting = self.keeper.is_converting();
        let kept = self.keeper.keep(&mut self.sent, second, wall);
        if converting && !self.keeper.is_converting() {
            let record =
                Record::new(Level::Info, "journal").with("state", "all files are of the version that is written");
            self.log.send(record.always());
        }
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        match kept {
            Ok(()) => {
                self.drift = Some(ahead(wall, second));
                self.figures.syncs.fetch_add(1, Ordering::Relaxed);
                self.figures.longest_micros.fetch_max(took, Ordering::Relaxed);
            }
            Err(error) => self.failed(&error),
        }
        self.figures.bytes.store(self.keeper.total(), Ordering::Relaxed);
        for (shard, batch) in std::mem::take(&mut self.sent) {
            self.post(shard, Letter::JournalBack(batch));
        }
        self.begin_round();
    }

    fn begin_round(&mut self) {
        if let Some(round) = self.keeper.begin_round() {
            for shard in 0..self.lane.shards() {
                self.post(shard, Letter::JournalRound(round));
            }
        }
    }

    /// Clocks that moved are noted; a disk that does not work is tried.
    fn look(&mut self) {
        let (second, wall) = self.clocks();
        if self.keeper.is_broken() {
            if self.keeper.mend(second, wall) {
                self.figures.broken.store(0, Ordering::Relaxed);
                self.log.send(Record::new(Level::Info, "journal").with("state", "works again").always());
                for shard in 0..self.lane.shards() {
                    self.post(shard, Letter::JournalMended);
                }
            }
            return;
        }
        if self.keeper.is_converting() {
            self.begin_round();
        }
        let drift = ahead(wall, second);
        if self.drift.is_some_and(|noted| noted.abs_diff(drift) >= DRIFT_MAX) {
            match self.keeper.note_clocks(second, wall) {
                Ok(()) => self.drift = Some(drift),
                Err(error) => {
                    self.failed(&error);
                    // Shards hear of it by the next batch that comes back.
                }
            }
        }
    }

    fn failed(&self, error: &std::io::Error) {
        self.figures.failures.fetch_add(1, Ordering::Relaxed);
        if self.figures.broken.swap(1, Ordering::Relaxed) == 0 {
            let record = Record::new(Level::Error, "journal").with("state", "fails: REGISTERs get 503, calls go on");
            self.log.send(record.with("why", error.to_string()).always());
        }
    }

    fn clocks(&self) -> (u32, u64) {
        let now = engine::Now::read();
        let now = Now { mono: Mono(now.mono.0), wall: Wall(now.wall.0) };
        (self.clock.second(now), now.wall.0 / 1_000_000)
    }

    fn post(&mut self, shard: usize, mut letter: Letter) {
        let Ok(to) = u8::try_from(shard).map(ShardId) else { return };
        // A mailbox is full only while its shard is far behind; the boxes must get home all the same.
        while let Err(back) = self.lane.post(to, letter) {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            letter = back;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
