//! How far a receiver has got: one line of a file, replaced as a whole.

use crate::disk::atomic;
use crate::records::reader::Mark;
use std::io;
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Clone, Debug)]
pub struct Position {
    path: PathBuf,
}

impl Position {
    /// Of a receiver, beside the record files.
    pub fn of(folder: &Path, receiver: &str) -> Self {
        Position { path: folder.join(format!("{receiver}.shipped")) }
    }

    /// How far it has got; the beginning, if nothing is known.
    ///
    /// # Errors
    /// The file cannot be read, or says what nobody wrote.
    pub fn read(&self) -> io::Result<Mark> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Mark::default()),
            read => read?,
        };
        let mut words = text.split_whitespace().map(str::parse);
        match (words.next(), words.next(), words.next()) {
            (Some(Ok(file)), Some(Ok(offset)), None) => Ok(Mark { file, offset }),
            _ => Err(io::Error::other(format!("{}: says no position", self.path.display()))),
        }
    }

    /// Notes how far it has got.
    ///
    /// # Errors
    /// The disk is full or broken; what is shipped then may be shipped again.
    pub fn write(&self, mark: Mark) -> io::Result<()> {
        atomic::replace(&self.path, format!("{} {}\n", mark.file, mark.offset).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_position_comes_back_and_nonsense_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let position = Position::of(folder.path(), "postgres");
        assert_eq!(position.read().unwrap(), Mark::default());
        let mark = Mark { file: 7, offset: 4_096 };
        position.write(mark).unwrap();
        assert_eq!(position.read().unwrap(), mark);
        std::fs::write(folder.path().join("postgres.shipped"), "7").unwrap();
        assert!(position.read().is_err());
    }
}
