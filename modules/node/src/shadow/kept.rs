//! What is in the shadow, kept in the state directory by the disk lane.

use super::Source;
use crate::disk::{Directory, atomic};
use crate::records::reader::Mark;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;

/// Where a shadow began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pub(super) candidate: Source,
    /// Microseconds since 1970.
    pub(super) since: u64,
    /// Who put it there.
    pub(super) who: String,
    /// The record from which on calls are judged: file and offset.
    pub(super) file: u64,
    pub(super) offset: u64,
}

impl Kept {
    pub(super) const fn mark(&self) -> Mark {
        Mark { file: self.file, offset: self.offset }
    }
}

/// The file in the state directory.
#[derive(Clone, Debug)]
pub struct ShadowFile {
    path: PathBuf,
}

impl ShadowFile {
    /// The file in the state directory.
    pub fn of(directory: &Directory) -> Self {
        ShadowFile { path: directory.file("shadow.json") }
    }

    /// What was in the shadow; damage is said and is none: no call hangs on it.
    pub(crate) fn read(&self) -> Result<Option<Kept>, String> {
        match std::fs::read(&self.path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(kept) => Ok(Some(kept)),
                Err(error) => Err(format!("{}: {error}", self.path.display())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", self.path.display())),
        }
    }

    /// Replaces the file, or removes it where nothing is in the shadow; returns once that is on the disk.
    pub(crate) fn write(&self, kept: Option<&Kept>) -> io::Result<()> {
        match kept {
            Some(kept) => atomic::replace(&self.path, &serde_json::to_vec_pretty(kept).map_err(io::Error::other)?),
            None => match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn what_was_kept_is_read_and_damage_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = ShadowFile::of(&Directory::open(folder.path()).unwrap());
        assert_eq!(file.read(), Ok(None));
        let kept = Kept { candidate: Source::Image("/x".into()), since: 5, who: "ann".into(), file: 3, offset: 99 };
        file.write(Some(&kept)).unwrap();
        assert_eq!((file.read(), kept.mark()), (Ok(Some(kept)), Mark { file: 3, offset: 99 }));
        file.write(None).unwrap();
        file.write(None).unwrap();
        assert_eq!(file.read(), Ok(None));
        std::fs::write(&file.path, "{").unwrap();
        assert!(file.read().unwrap_err().contains("shadow.json"));
    }
}
