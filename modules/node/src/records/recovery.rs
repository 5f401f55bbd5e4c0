//! At the start: which calls were open when the process before ended, however it did.
//!
//! The newest file with a checkpoint says where the records of calls stand that were open when it began; from there on
//! every record is read. What a power failure took is known by nobody but the next epoch's first record: it says what
//! the last known sequence was.

use super::files::{Fetcher, numbers};
use super::reader::{Portion, Told, read};
use modules::records::Ledger;
use modules::records::field::{Field, find, number};
use modules::records::ledger::{Place, Shelf, accounts, charged, places};
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
    /// What attempts told of themselves that were under way, of calls without an answer.
    begun: Vec<Vec<u8>>,
    /// What had been charged to customers' balances.
    charged: BTreeMap<Vec<u8>, i64>,
    /// What was not written whole, to be said.
    pub torn: Vec<(u64, usize)>,
}

/// A call as records name it.
type Name = (u64, u64);

/// What is not over by what was read so far.
#[derive(Default)]
struct Pending {
    open: BTreeMap<Name, Place>,
    begun: BTreeMap<(Name, u64), Vec<u8>>,
}

impl Pending {
    /// A call's attempts are over. INVARIANT: those that have a record were told of before their call's answer or end.
    fn forget_attempts(&mut self, name: Name) {
        let attempts: Vec<_> = self.begun.range((name, 0)..=(name, u64::MAX)).map(|(key, _)| *key).collect();
        attempts.iter().for_each(|key| drop(self.begun.remove(key)));
    }
}

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
        let mut found = Pending::default();
        portions.iter().rev().for_each(|portion| recovery.follow(portion, &mut fetcher, &mut found));
        recovery.open = found.open.into_values().collect();
        recovery.begun = found.begun.into_values().collect();
        Ok(recovery)
    }

    fn follow(&mut self, portion: &Portion, fetcher: &mut Fetcher, found: &mut Pending) {
        for Told { epoch, place, record, .. } in portion.records() {
            match (record.kind, name_of(record.fields)) {
                (RecordKind::Checkpoint, _) => {
                    self.charged = accounts(record.fields).map(|(name, charged)| (name.to_vec(), charged)).collect();
                    for place in places(record.fields) {
                        let Some(bytes) = fetcher.fetch(place) else { continue };
                        let Some((record, _)) = Record::read(&bytes) else { continue };
                        let Some(name) = name_of(record.fields) else { continue };
                        if record.kind == RecordKind::Begun {
                            found.begun.insert((name, attempt_of(record.fields)), record.fields.to_vec());
                        } else {
                            found.open.insert(name, place);
                        }
                    }
                }
                (RecordKind::Begun, Some(name)) => {
                    found.begun.insert((name, attempt_of(record.fields)), record.fields.to_vec());
                }
                (RecordKind::Attempt, Some(name)) => drop(found.begun.remove(&(name, attempt_of(record.fields)))),
                (RecordKind::Open | RecordKind::Interim, Some(name)) => {
                    found.open.insert(name, place);
                    found.forget_attempts(name);
                }
                (RecordKind::Call, Some(name)) => {
                    found.open.remove(&name);
                    found.forget_attempts(name);
                }
                _ => {}
            }
            if let (Some(charged), Some(customer)) = (charged(record.fields), find(record.fields, Field::Customer)) {
                let known = self.charged.entry(customer.to_vec()).or_insert(charged);
                *known = charged.max(*known);
            }
            if record.sequence > 0 {
                self.previous = Some((epoch, record.sequence));
            }
        }
    }

    /// Attempts that were under way, of calls without an answer.
    pub fn begun(&self) -> &[Vec<u8>] {
        &self.begun
    }

    /// What had been charged to each customer's balance by the calls that are recorded.
    pub fn charged(&self) -> impl Iterator<Item = (String, i64)> + '_ {
        self.charged.iter().map(|(name, charged)| (String::from_utf8_lossy(name).into_owned(), *charged))
    }

    /// Has the ledger know the open calls again; what their shards need of each, the oldest first.
    pub fn restore(&self, folder: &Path, ledger: &mut Ledger) -> Vec<Restored> {
        ledger.restore_charged(self.charged.clone());
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

fn attempt_of(fields: &[u8]) -> u64 {
    number(fields, Field::Attempt).unwrap_or(0)
}
