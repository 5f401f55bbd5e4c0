//! At the start: which calls were open when the process before ended, however it did.
//!
//! The newest file with a checkpoint says where the records of calls stand that were open when it began; from there on
//! every record is read. What a power failure took is known by nobody but the next epoch's first record: it says what
//! the last known sequence was.

use super::files::{Fetcher, numbers};
use super::reader::{Portion, Told, read};
use modules::records::Ledger;
use modules::records::field::{Field, number};
use modules::records::ledger::{Place, Shelf, places};
use modules::records::record::{RECORD_HEAD, Record, RecordKind};
use modules::records::restore::Restored;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What was found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// The epoch before, and the last sequence known of it.
    pub previous: Option<(u64, u64)>,
    /// Where the records of open calls stand.
    open: Vec<Place>,
    /// What was not written whole, to be said.
    pub torn: Vec<(u64, usize)>,
}

/// A call as records name it.
type Name = (u64, u64);

impl Recovery {
    /// Reads the folder.
    ///
    /// # Errors
    /// It cannot be read, or is of a later release.
    pub fn read(folder: &Path) -> io::Result<Recovery> {
        let mut recovery = Recovery::default();
        let mut portions = Vec::new();
        for file in numbers(folder)?.into_iter().rev() {
            let portion = read(folder, file, 0)?;
            let begins = portion.records().next().is_some_and(|told| told.record.kind == RecordKind::Checkpoint);
            if portion.torn > 0 {
                recovery.torn.push((file, portion.torn));
            }
            portions.push(portion);
            if begins {
                break;
            }
        }
        let mut fetcher = Fetcher::new(folder);
        let mut open = BTreeMap::new();
        portions.iter().rev().for_each(|portion| recovery.follow(portion, &mut fetcher, &mut open));
        recovery.open = open.into_values().collect();
        Ok(recovery)
    }

    fn follow(&mut self, portion: &Portion, fetcher: &mut Fetcher, open: &mut BTreeMap<Name, Place>) {
        for Told { epoch, place, record, .. } in portion.records() {
            match record.kind {
                RecordKind::Checkpoint => {
                    for place in places(record.fields) {
                        let name = fetcher.fetch(place).and_then(|bytes| name_of(Record::read(&bytes)?.0.fields));
                        open.extend(name.map(|name| (name, place)));
                    }
                }
                RecordKind::Open | RecordKind::Interim => open.extend(name_of(record.fields).map(|name| (name, place))),
                RecordKind::Call => {
                    name_of(record.fields).map(|name| open.remove(&name));
                }
                RecordKind::Start | RecordKind::Attempt | RecordKind::Orphan => {}
            }
            if record.sequence > 0 {
                self.previous = Some((epoch, record.sequence));
            }
        }
    }

    /// Has the ledger know the open calls again; what their shards need of each, the oldest first.
    pub fn restore(&self, folder: &Path, ledger: &mut Ledger) -> Vec<Restored> {
        let mut fetcher = Fetcher::new(folder);
        let mut restored = Vec::new();
        for place in &self.open {
            let Some(mut bytes) = fetcher.fetch(*place).filter(|bytes| bytes.len() > RECORD_HEAD) else { continue };
            let fields = bytes.split_off(RECORD_HEAD);
            restored.push(Restored { call: ledger.restore(*place, &fields), fields });
        }
        restored.sort_by_key(Restored::answered);
        restored
    }
}

fn name_of(fields: &[u8]) -> Option<Name> {
    Some((number(fields, Field::CallEpoch)?, number(fields, Field::Call)?))
}
