//! What customers have paid in and spent, so that it outlives a restart: whole, every few seconds while it changes.
//!
//! After a `kill -9` what was spent since the last writing is forgotten, and what calls had cost that were running.

use super::{Directory, StateError, atomic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// By name of the customer.
pub type CreditBook = BTreeMap<String, CreditEntry>;

/// One customer's; amounts in thousandths of a millionth of the currency that prices are compared in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditEntry {
    /// Paid in.
    pub paid: i64,
    /// Spent.
    pub spent: i64,
    /// Number of the last hour since 1970, and what had been spent when it began.
    #[serde(default)]
    pub hour: (i64, i64),
    /// The same of the day.
    #[serde(default)]
    pub day: (i64, i64),
}

/// The file in the state directory.
#[derive(Debug)]
pub struct CreditFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    customers: CreditBook,
}

const VERSION: u32 = 1;

impl CreditFile {
    /// The file in the state directory.
    pub fn of(directory: &Directory) -> Self {
        CreditFile { path: directory.file("credit.json") }
    }

    /// All entries; none if there is no file.
    ///
    /// # Errors
    /// It cannot be read: nobody starts with balances that are not known.
    pub fn read(&self) -> Result<CreditBook, StateError> {
        let damaged = |why: &dyn std::fmt::Display| {
            let remedy = "put back a copy, or move the file away to start with empty balances";
            StateError::new(&self.path, why, remedy)
        };
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(CreditBook::new()),
            Err(error) => return Err(damaged(&error)),
        };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
        if stored.version != VERSION {
            return Err(damaged(&format!("version {} is not known to this release", stored.version)));
        }
        Ok(stored.customers)
    }

    /// Replaces the file; returns once it is on the disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, book: &CreditBook) -> io::Result<()> {
        let stored = Stored { version: VERSION, customers: book.clone() };
        let bytes = serde_json::to_vec_pretty(&stored).map_err(io::Error::other)?;
        atomic::replace(&self.path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn what_was_written_is_read_and_damage_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = CreditFile::of(&Directory::open(folder.path()).unwrap());
        assert_eq!(file.read().unwrap(), CreditBook::new());
        let book =
            CreditBook::from([("acme".to_owned(), CreditEntry { paid: 5, spent: 3, hour: (7, 2), day: (1, 0) })]);
        file.write(&book).unwrap();
        assert_eq!(file.read().unwrap(), book);
        std::fs::write(&file.path, "{\"version\":2,\"customers\":{}}").unwrap();
        assert!(file.read().unwrap_err().to_string().contains("version 2"));
        std::fs::write(&file.path, "{").unwrap();
        assert!(file.read().is_err());
    }
}
