//! The state directory: found, made if missing, and locked for one process.

use super::StateError;
use limits::BIND_RETRY_MS;
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Folder of one Tandem. INVARIANT: while it is open no other process has it open.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Opens `path`, making it (owner only) if it does not exist.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let unusable = |error| StateError::new(path, error, "name a folder that this user may write: `dir` in [state]");
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let lock = File::create(path.join("lock")).map_err(unusable)?;
        lock_within(&lock, Duration::from_millis(BIND_RETRY_MS)).map_err(|error| match error {
            TryLockError::WouldBlock => StateError::new(
                path,
                "another tandem uses this folder",
                "end that one, or give each a folder of its own: `dir` in [state]",
            ),
            TryLockError::Error(error) => unusable(error),
        })?;
        Ok(Directory { path: path.to_owned(), _lock: lock })
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the lock; a predecessor that is on its way out may still have it for a moment.
fn lock_within(lock: &File, longest: Duration) -> Result<(), TryLockError> {
    let deadline = Instant::now() + longest;
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_RETRY),
            result => return result,
        }
    }
}

const LOCK_RETRY: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn is_made_for_the_owner_alone_and_held_by_one() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = Directory::open(&path).unwrap();
        assert_eq!(std::fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
        let refused = Directory::open(&path).unwrap_err();
        assert!(refused.to_string().contains("another tandem"), "{refused}");
        drop(first);
        Directory::open(&path).unwrap();
    }

    #[test]
    fn a_file_in_its_place_is_an_error_that_names_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("f");
        std::fs::write(&path, "").unwrap();
        assert!(Directory::open(&path).unwrap_err().to_string().contains(path.to_str().unwrap()));
    }
}
