//! What operators decided about gateways: disabled or draining, by whom, why and since when. It
//! outlives restart and reload.
//!
//! A gateway that is not in the file is enabled. Entries of gateways that the configuration does
//! not have (any more) stay: they may come back, and must not come back enabled.

use super::{Directory, StateError, atomic};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// Most entries that are kept; far more than any configuration has gateways.
pub const ADMIN_ENTRIES_MAX: usize = 65_536;

/// The states by gateway name.
pub type AdminStates = BTreeMap<String, AdminEntry>;

/// What was decided about one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminEntry {
    /// Disabled or draining.
    pub state: crate::admin::AdminState,
    /// The user who asked for it.
    pub who: String,
    /// His reason.
    pub why: String,
    /// When, in microseconds since 1970 (UTC).
    pub since: u64,
}

/// The file in the state directory.
#[derive(Debug)]
pub struct AdminFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    gateways: AdminStates,
}

const VERSION: u32 = 1;

impl AdminFile {
    /// The file in the state directory.
    pub fn of(directory: &Directory) -> Self {
        AdminFile { path: directory.file("gateways.json") }
    }

    /// All entries; none if there is no file.
    pub fn read(&self) -> Result<AdminStates, StateError> {
        let damaged = |why: &dyn std::fmt::Display| {
            StateError::new(
                &self.path,
                why,
                "put back a copy, or move the file away to start with every gateway enabled",
            )
        };
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(AdminStates::new()),
            Err(error) => return Err(damaged(&error)),
        };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| damaged(&error))?;
        if stored.version != VERSION {
            return Err(damaged(&format!("version {} is not known to this release", stored.version)));
        }
        Ok(stored.gateways)
    }

    /// Replaces the file; returns once it is on the disk.
    pub fn write(&self, states: &AdminStates) -> io::Result<()> {
        if states.len() > ADMIN_ENTRIES_MAX {
            return Err(io::Error::other(format!("more than {ADMIN_ENTRIES_MAX} gateways have an admin state")));
        }
        let stored = Stored { version: VERSION, gateways: states.clone() };
        let mut bytes = serde_json::to_vec_pretty(&stored)?;
        bytes.push(b'\n');
        atomic::replace(&self.path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::admin::AdminState;

    fn some() -> AdminStates {
        let entry =
            |state| AdminEntry { state, who: "ann".into(), why: "ticket \"7\"\n".into(), since: 1_700_000_000_000_000 };
        [("a".to_owned(), entry(AdminState::Disabled)), ("b:5060".to_owned(), entry(AdminState::Draining))].into()
    }

    #[test]
    fn who_and_why_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = AdminFile::of(&Directory::open(folder.path()).unwrap());
        assert_eq!(file.read().unwrap(), AdminStates::new());
        file.write(&some()).unwrap();
        assert_eq!(file.read().unwrap(), some());
    }

    #[test]
    fn a_file_cut_at_any_byte_is_refused_and_never_read_as_enabled() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let file = AdminFile::of(&directory);
        file.write(&some()).unwrap();
        let whole = std::fs::read(directory.file("gateways.json")).unwrap();
        for cut in 0..whole.len() - 1 {
            std::fs::write(directory.file("gateways.json"), &whole[..cut]).unwrap();
            assert!(file.read().is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_later_version_is_refused_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        std::fs::write(directory.file("gateways.json"), r#"{"version":2,"gateways":{}}"#).unwrap();
        let error = AdminFile::of(&directory).read().unwrap_err();
        assert!(error.to_string().contains("version 2") && error.to_string().contains("move the file away"));
    }
}
