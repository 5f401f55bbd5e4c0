//! Before the shards start: which calls were open is read from the record files, and goes to them. Afterwards: the
//! record lane.

use crate::disk::CreditBook;
use crate::letter::Letter;
use crate::log::{Level, Log, Record};
use crate::records::files::{self, Files, Rotation};
use crate::records::recovery::Recovery;
use crate::records::ship::{Nats, Position, Postgres, Radius, Receiver, ShipLane};
use crate::records::{RecordLane, Settings};
use engine::LaneEnd;
use modules::records::Ledger;
use modules::records::restore::Restored;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tuning::{Config, Records, WhenFull};

const DAY: Duration = Duration::from_secs(86_400);

/// What the lanes begin with.
struct Start {
    files: Files,
    ledger: Ledger,
    receivers: Vec<Box<dyn Receiver>>,
}

/// The lanes that write and ship.
pub(super) struct Lanes {
    pub(super) records: RecordLane,
    pub(super) ships: Vec<ShipLane>,
}

/// What the shards and the lanes begin with.
pub(super) struct Recording {
    /// Calls that were open, the oldest first.
    pub(super) open: Vec<Restored>,
    recovery: Recovery,
    /// Taken by the lane once.
    start: Mutex<Option<Start>>,
    settings: Settings,
}

impl Recording {
    /// Reads what there is; `None` where calls are not recorded.
    pub(super) fn read(config: &Config) -> Result<Option<Self>, String> {
        let Some(records) = config.records.on() else { return Ok(None) };
        let folder = records.dir.display();
        let failed = |error: std::io::Error| format!("records in {folder}: {error}");
        files::make(&records.dir).map_err(failed)?;
        let recovery = Recovery::read(&records.dir).map_err(failed)?;
        let epoch = epoch(&recovery);
        let files = Files::open(rotation(config, records, epoch)).map_err(failed)?;
        let mut ledger = Ledger::new(epoch);
        let open = recovery.restore(&records.dir, &mut ledger);
        let receivers = receivers(records)?;
        let positions = receivers.iter().map(|receiver| Position::of(&records.dir, receiver.name()));
        let settings = Settings {
            refuse_when_full: records.when_full == WhenFull::Refuse,
            keep: DAY * records.keep_days,
            receivers: positions.collect(),
        };
        let start = Start { files, ledger, receivers };
        Ok(Some(Recording { open, recovery, start: Mutex::new(Some(start)), settings }))
    }

    /// Balances as the records have them: what was spent in the seconds before a crash is in them, and not yet in the book,
    /// which has what running calls had cost by then in its place. Those are charged by themselves again.
    pub(super) fn bring_up_to_date(&self, book: &mut CreditBook) {
        for (customer, charged) in self.recovery.charged() {
            book.entry(customer).or_default().spent = charged;
        }
    }

    /// Says what was found, and starts the lanes.
    pub(super) fn start(&self, lane: LaneEnd<Letter>, log: &Log) -> Result<Lanes, String> {
        for (file, bytes) in &self.recovery.torn {
            let record = Record::new(Level::Warn, "records").with("file", *file).with("unfinished_bytes", *bytes);
            log.send(record.always());
        }
        log.send(
            Record::new(Level::Info, "records")
                .with("open_calls", self.open.len())
                .with("lost_attempts", self.recovery.begun().len())
                .always(),
        );
        let taken = self.start.lock().ok().and_then(|mut start| start.take());
        let Some(Start { files, ledger, receivers }) = taken else {
            return Err("the record lane was started before".into());
        };
        let folder = files.folder().to_owned();
        let records = RecordLane::start(lane, files, ledger, &self.recovery, self.settings.clone(), log.clone());
        let ships = receivers.into_iter().map(|receiver| ShipLane::start(&folder, receiver, log.clone()));
        let text = |error: std::io::Error| error.to_string();
        Ok(Lanes { records: records.map_err(text)?, ships: ships.collect::<Result<_, _>>().map_err(text)? })
    }
}

fn rotation(config: &Config, records: &Records, epoch: u64) -> Rotation {
    Rotation {
        folder: records.dir.clone(),
        node: config.keys.node,
        epoch,
        bytes: u64::from(records.file_mebibytes) << 20,
        age: records.file_age,
    }
}

/// Whom records are shipped to.
fn receivers(records: &Records) -> Result<Vec<Box<dyn Receiver>>, String> {
    let mut receivers: Vec<Box<dyn Receiver>> = Vec::new();
    if let Some(connection) = &records.postgres {
        let receiver = Postgres::new(connection.reveal(), &records.postgres_table);
        receivers.push(Box::new(receiver.map_err(|why| format!("postgres in [records]: {why}"))?));
    }
    if let Some(server) = &records.nats {
        let receiver = Nats::new(server.reveal(), &records.nats_subject);
        receivers.push(Box::new(receiver.map_err(|why| format!("nats in [records]: {why}"))?));
    }
    if !records.radius.is_empty() {
        receivers.push(Box::new(Radius::new(
            &records.radius,
            records.radius_secret.as_ref().map_or("", tuning::Secret::reveal),
        )));
    }
    Ok(receivers)
}

/// INVARIANT: later than any before, whatever the clock says: it is a key at receivers.
fn epoch(recovery: &Recovery) -> u64 {
    recovery.previous.map_or(0, |(epoch, _)| epoch + 1).max(now_ms())
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
