//! The record lane's thread.

use super::backlog::Backlog;
use super::figures::RecordFigures;
use super::files::{Fetcher, Files};
use super::recovery::Recovery;
use super::ship::Position;
use super::sync::Syncer;
use super::traffic::Traffic;
use crate::letter::Letter;
use crate::log::{Level, Log, Record};
use engine::{LaneEnd, LaneWaker, ShardId};
use modules::records::event::Event;
use modules::records::ledger::Page;
use modules::records::{Batch, Ledger, Record as CallRecord};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Least time between the beginnings of two writes, while more comes.
///
/// WHY: a write and two wakings, here and at a shard, cost some 20 µs whatever is in it; so many a second are 4 % of a core
/// at most, and a 2xx waits for half of the millisecond that it may.
const PACE: Duration = Duration::from_micros(500);

/// Between two tries of a disk that does not work, and looks at the clock.
const LOOK: Duration = Duration::from_millis(500);

/// Between two looks at files that are too old.
const TIDY: Duration = Duration::from_secs(60);

/// How records are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// New calls are refused while the disk does not work.
    pub refuse_when_full: bool,
    /// Files are kept for so long.
    pub keep: Duration,
    /// How far receivers have got: no file that one needs is removed.
    pub receivers: Vec<Position>,
}

/// The thread, and the way to end it.
#[derive(Debug)]
pub struct RecordLane {
    stop: Arc<AtomicBool>,
    waker: LaneWaker,
    thread: Option<JoinHandle<()>>,
    figures: Arc<RecordFigures>,
    traffic: Arc<Traffic>,
}

impl RecordLane {
    /// Starts it. `recovery`: what is known of the epoch before.
    ///
    /// # Errors
    /// No thread could be made.
    pub fn start(
        lane: LaneEnd<Letter>,
        files: Files,
        mut ledger: Ledger,
        recovery: &Recovery,
        settings: Settings,
        log: Log,
    ) -> io::Result<Self> {
        let (stop, figures) = (Arc::<AtomicBool>::default(), Arc::<RecordFigures>::default());
        let traffic = Arc::new(Traffic::new().map_err(io::Error::other)?);
        let waker = lane.waker();
        let mut page = Page::default();
        ledger.start(recovery.previous, env!("CARGO_PKG_VERSION"), wall(), &mut page);
        ledger.lost(recovery.begun(), wall(), &mut page);
        let syncer = Syncer::start(Arc::clone(&figures))?;
        let work = Work {
            fetcher: Fetcher::new(files.folder()),
            lane,
            files,
            ledger,
            page,
            backlog: Backlog::default(),
            syncer,
            settings,
            log,
            stop: Arc::clone(&stop),
            figures: Arc::clone(&figures),
            traffic: Arc::clone(&traffic),
            back: Vec::new(),
            closed: false,
        };
        let thread = std::thread::Builder::new().name("tandem-records".into()).spawn(move || work.run())?;
        Ok(RecordLane { stop, waker, thread: Some(thread), figures, traffic })
    }

    /// Figures by customer, vendor and destination.
    pub const fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// What it has done.
    pub const fn figures(&self) -> &Arc<RecordFigures> {
        &self.figures
    }
}

impl Drop for RecordLane {
    /// Ends it when all that has come is on the disk.
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // WHY: a thread that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

struct Work {
    lane: LaneEnd<Letter>,
    files: Files,
    ledger: Ledger,
    fetcher: Fetcher,
    /// Records that are being made.
    page: Page,
    backlog: Backlog,
    syncer: Syncer,
    settings: Settings,
    log: Log,
    stop: Arc<AtomicBool>,
    figures: Arc<RecordFigures>,
    traffic: Arc<Traffic>,
    /// Batches to be sent back when their records are written.
    back: Vec<(usize, Box<Batch>)>,
    /// New calls are refused.
    closed: bool,
}

impl Work {
    fn run(mut self) {
        let (mut began, mut looked, mut tidied) = (Instant::now(), Instant::now(), Instant::now());
        self.keep();
        loop {
            let stopping = self.stop.load(SeqCst);
            self.receive();
            let now = Instant::now();
            let busy = !self.back.is_empty();
            if busy && (stopping || now >= began + PACE) {
                began = now;
                self.keep();
            } else if busy {
                std::thread::sleep(began + PACE - now);
            } else if stopping {
                return;
            } else if now >= looked + LOOK {
                looked = now;
                self.look();
                if now >= tidied + TIDY {
                    tidied = now;
                    self.tidy();
                }
            } else {
                self.lane.wait((looked + LOOK).saturating_duration_since(now));
            }
        }
    }

    fn receive(&mut self) {
        while let Some((shard, letter)) = self.lane.receive() {
            // INVARIANT: shards send nothing else to this lane.
            let Letter::Records(batch) = letter else { continue };
            let mut rest = &batch.bytes[..];
            while let Some((event, behind)) = Event::read(rest) {
                self.ledger.take(&event, &mut self.fetcher, &mut self.page);
                rest = behind;
            }
            self.back.push((shard.index(), batch));
        }
    }

    /// What is due by the clock, and another try of a disk that does not work.
    fn look(&mut self) {
        self.ledger.tick(wall(), &mut self.fetcher, &mut self.page);
        if !self.page.bytes.is_empty() || !self.backlog.is_empty() {
            self.keep();
        }
    }

    /// Hands to the kernel what has come, then sends the batches back.
    fn keep(&mut self) {
        let at = wall();
        if !self.page.bytes.is_empty() {
            let page = std::mem::take(&mut self.page);
            CallRecord::all(&page.bytes).for_each(|record| self.traffic.count(&record));
            self.backlog.push(page, &mut self.files);
        }
        let began = Instant::now();
        let written = match self.figures.broken.load(Relaxed) {
            // WHY not at once: a disk that is full is tried twice a second, whatever comes.
            1 if !self.back.is_empty() => Err(None),
            _ => self.backlog.write(&mut self.files, &mut self.ledger, at).map_err(Some),
        };
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let figures = Arc::clone(&self.figures);
        match written {
            Ok(records) => {
                figures.written.fetch_add(records, Relaxed);
                figures.writes.fetch_add(1, Relaxed);
                figures.longest_micros.fetch_max(took, Relaxed);
                self.files.current().into_iter().for_each(|file| self.syncer.want(file));
                self.works();
            }
            Err(Some(error)) => self.failed(&error),
            Err(None) => {}
        }
        figures.waiting.store(self.backlog.records(), Relaxed);
        figures.lost.store(self.backlog.lost, Relaxed);
        figures.open.store(self.ledger.open() as u64, Relaxed);
        figures.unknown.store(self.ledger.unknown(), Relaxed);
        for (shard, batch) in std::mem::take(&mut self.back) {
            self.post(shard, Letter::RecordsBack(batch));
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.figures.failures.fetch_add(1, Relaxed);
        if self.figures.broken.swap(1, Relaxed) == 1 {
            return;
        }
        let refuse = self.settings.refuse_when_full;
        let state = if refuse { "fail: new calls get 503" } else { "fail: calls go on, their records wait in memory" };
        let record = Record::new(Level::Error, "records").with("state", state).with("why", error.to_string());
        self.log.send(record.always());
        if refuse {
            self.close(true);
        }
    }

    /// The disk works.
    fn works(&mut self) {
        if self.figures.broken.swap(0, Relaxed) == 1 {
            let record =
                Record::new(Level::Info, "records").with("state", "work again").with("lost", self.backlog.lost);
            self.log.send(record.always());
        }
        if self.closed {
            self.close(false);
        }
    }

    fn close(&mut self, closed: bool) {
        self.closed = closed;
        for shard in 0..self.lane.shards() {
            self.post(shard, Letter::RecordsClosed(closed));
        }
    }

    /// Files that are too old go, as far as no open call stands in them.
    fn tidy(&mut self) {
        let shipped = |position: &Position| position.read().map_or(0, |mark| mark.file);
        let shipped = self.settings.receivers.iter().map(shipped);
        let bound = shipped.chain(self.ledger.oldest_file()).min().unwrap_or(u64::MAX);
        let removed = self.files.remove_old(self.settings.keep, bound);
        if removed > 0 {
            self.log.send(Record::new(Level::Info, "records").with("removed_files", removed));
        }
        self.figures.bytes.store(self.files.total(), Relaxed);
    }

    fn post(&mut self, shard: usize, mut letter: Letter) {
        let Ok(to) = u8::try_from(shard).map(ShardId) else { return };
        // A mailbox is full only while its shard is far behind; the boxes must get home all the same.
        while let Err(back) = self.lane.post(to, letter) {
            if self.stop.load(SeqCst) {
                return;
            }
            letter = back;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn wall() -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(wall.as_micros()).unwrap_or(u64::MAX)
}
