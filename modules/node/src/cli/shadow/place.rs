//! A promoted file put where a start and a reload look for it; what was there is kept beside it as `….before`.

use crate::disk::atomic::{beside, sync_folder_of, unfinished};
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

/// Replaces `to` by `from` as a whole, with the owner and the permissions that `to` had.
///
/// # Errors
/// The disk's; then `to` is as it was.
pub(super) fn put(from: &Path, to: &Path) -> io::Result<()> {
    // WHY: what a link names is replaced, not the link.
    let to = &to.canonicalize().unwrap_or_else(|_| to.to_owned());
    let (unfinished, before) = (unfinished(to), beside(to, ".before"));
    let mut copy = File::create(&unfinished)?;
    io::copy(&mut File::open(from)?, &mut copy)?;
    if let Ok(was) = to.metadata() {
        copy.set_permissions(was.permissions())?;
        // Not allowed to others than root; who may not is the owner, or will be.
        let _ = fchown(&copy, Some(was.uid()), Some(was.gid()));
        match std::fs::remove_file(&before) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::hard_link(to, &before)?,
        }
    }
    copy.sync_all()?;
    std::fs::rename(&unfinished, to)?;
    sync_folder_of(to)?;
    if from == beside(to, super::super::deck::CANDIDATE_ENDING) {
        // It was made for this; one that stays is only in the way.
        let _ = std::fs::remove_file(from);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_new_file_has_the_old_ones_permissions_and_the_old_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to, link] = ["new", "tandem.toml", "link"].map(|name| folder.path().join(name));
        std::fs::write(&from, "new").unwrap();
        std::fs::write(&to, "old").unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&to, &link).unwrap();
        put(&from, &link).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"new");
        assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read(beside(&to, ".before")).unwrap(), b"old");
        std::fs::write(&from, "newer").unwrap();
        put(&from, &to).unwrap();
        assert_eq!(std::fs::read(beside(&to, ".before")).unwrap(), b"new");
        assert!(put(&folder.path().join("none"), &to).is_err());
        assert_eq!(std::fs::read(&to).unwrap(), b"newer");
    }
}
