//! The thread that ships records to one receiver.

use super::{Parcel, Position, Receiver};
use crate::log::{Level, Log, Record};
use crate::metric::Metric;
use crate::records::reader::{Portion, Reader};
use crate::records::shown;
use crate::snapshot::Sample;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver as Queue, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Records that are delivered together.
const DELIVERY_MAX: usize = 256;

/// Between two looks at the files when all is shipped.
const LOOK: Duration = Duration::from_millis(200);

/// Between two tries of a receiver that takes nothing: doubled up to the longest.
const RETRY: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// How it goes; read by the metrics.
#[derive(Debug)]
pub struct Shipping {
    receiver: &'static str,
    /// Records that the receiver has.
    shipped: AtomicU64,
    /// Deliveries that failed.
    failures: AtomicU64,
    /// 1 while it takes records, or there were none yet.
    up: AtomicU64,
}

impl Shipping {
    /// As they are shown.
    pub(crate) fn samples(&self) -> impl Iterator<Item = Sample> {
        let figures = [
            (Metric::RecordsShipped, self.shipped.load(Relaxed)),
            (Metric::ShippingFailures, self.failures.load(Relaxed)),
            (Metric::ReceiverUp, self.up.load(Relaxed)),
        ];
        let labels = [self.receiver, "", ""];
        figures.into_iter().map(move |(metric, value)| Sample { metric, labels, value })
    }
}

/// The thread, and the way to end it.
#[derive(Debug)]
pub struct ShipLane {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    shipping: Arc<Shipping>,
}

impl ShipLane {
    /// Starts it.
    ///
    /// # Errors
    /// Its position cannot be read, or no thread could be made.
    pub fn start(folder: &Path, receiver: Box<dyn Receiver>, log: Log) -> std::io::Result<Self> {
        let name = receiver.name();
        let position = Position::of(folder, name);
        let reader = Reader::new(folder, position.read()?);
        let counts = || AtomicU64::new(0);
        let shipping = Shipping { receiver: name, shipped: counts(), failures: counts(), up: AtomicU64::new(1) };
        let shipping = Arc::new(shipping);
        let (stop, stopped) = sync_channel(1);
        let work = Work { reader, position, receiver, log, stopped, shipping: Arc::clone(&shipping), retry: RETRY };
        let thread = std::thread::Builder::new().name("tandem-ship".into()).spawn(move || work.run())?;
        Ok(ShipLane { stop: Some(stop), thread: Some(thread), shipping })
    }

    /// How it goes.
    pub const fn shipping(&self) -> &Arc<Shipping> {
        &self.shipping
    }
}

impl Drop for ShipLane {
    /// Ends it after what it is at; what is not shipped will be by the next start.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // WHY: a thread that panicked has nothing more to ship.
            let _ = thread.join();
        }
    }
}

struct Work {
    reader: Reader,
    position: Position,
    receiver: Box<dyn Receiver>,
    log: Log,
    stopped: Queue<()>,
    shipping: Arc<Shipping>,
    retry: Duration,
}

impl Work {
    fn run(mut self) {
        loop {
            let waits = match self.reader.portion() {
                Ok(Some(portion)) => {
                    if !self.ship(&portion) {
                        return;
                    }
                    Duration::ZERO
                }
                Ok(None) => LOOK,
                Err(error) => {
                    self.fails(&error.to_string());
                    RETRY_MAX
                }
            };
            if self.is_stopped(waits) {
                return;
            }
        }
    }

    /// False: it is to end.
    fn ship(&mut self, portion: &Portion) -> bool {
        let told = portion.records().filter(|told| told.record.sequence > 0);
        let mut told = told.peekable();
        while told.peek().is_some() {
            let parcels: Vec<_> = told
                .by_ref()
                .take(DELIVERY_MAX)
                .map(|told| Parcel {
                    node: told.node,
                    epoch: told.epoch,
                    sequence: told.record.sequence,
                    record: shown::json(&told),
                })
                .collect();
            while let Err(why) = self.receiver.deliver(&parcels) {
                self.fails(&why);
                if self.is_stopped(self.retry) {
                    return false;
                }
                self.retry = (self.retry * 2).min(RETRY_MAX);
            }
            self.works(parcels.len());
        }
        if let Err(error) = self.position.write(portion.next) {
            // What is shipped will be shipped again, and kept once.
            self.fails(&error.to_string());
        }
        true
    }

    fn is_stopped(&self, within: Duration) -> bool {
        self.stopped.recv_timeout(within) != Err(RecvTimeoutError::Timeout)
    }

    fn works(&mut self, records: usize) {
        self.retry = RETRY;
        self.shipping.shipped.fetch_add(records as u64, Relaxed);
        if self.shipping.up.swap(1, Relaxed) == 0 {
            let record = Record::new(Level::Info, "shipping").with("receiver", self.receiver.name());
            self.log.send(record.with("state", "takes records again").always());
        }
    }

    fn fails(&self, why: &str) {
        self.shipping.failures.fetch_add(1, Relaxed);
        if self.shipping.up.swap(0, Relaxed) == 1 {
            let record = Record::new(Level::Error, "shipping").with("receiver", self.receiver.name());
            self.log.send(record.with("state", "fails: records wait on the disk").with("why", why).always());
        }
    }
}
