//! Images on disk: replaced as a whole, read into memory when asked.

use super::FileError;
use crate::disk::atomic::{beside, sync_folder_of, unfinished};
use deck::image::Image;
use engine_sys::resident_file::ResidentFile;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Reads the image in `path` into memory and checks it.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn open_image(path: &Path) -> Result<Image<ResidentFile>, FileError> {
    let file = File::open(path).map_err(|error| FileError::new(path, 0, error))?;
    let octets = ResidentFile::new(&file).map_err(|error| FileError::new(path, 0, error))?;
    Image::open(octets).map_err(|error| FileError::new(path, 0, error))
}

/// Replaces `path` by an image: whoever has read the old one keeps it. Returns once it is on the disk.
///
/// # Errors
/// When it cannot be written; then the old one stands.
pub fn write_image(path: &Path, octets: &[u8]) -> Result<(), FileError> {
    let fail = |error: std::io::Error| FileError::new(path, 0, error);
    let unfinished = unfinished(path);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&unfinished)?;
        file.write_all(octets)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)?;
        sync_folder_of(path)
    };
    write().map_err(fail)
}

/// Where the image stands that was replaced last.
pub fn previous(path: &Path) -> PathBuf {
    beside(path, ".previous")
}

/// The image in `path` that is about to be replaced, held under another name.
#[derive(Debug)]
pub struct Replaced {
    path: PathBuf,
    held: PathBuf,
}

impl Replaced {
    /// Holds it. `None`: there is none.
    ///
    /// # Errors
    /// The disk's.
    pub fn hold(path: &Path) -> Result<Option<Self>, FileError> {
        let held = beside(path, ".replaced");
        // WHY: one may be left over from a build that was ended.
        let _ = std::fs::remove_file(&held);
        match std::fs::hard_link(path, &held).or_else(|_| std::fs::copy(path, &held).map(drop)) {
            Ok(()) => Ok(Some(Replaced { path: path.to_owned(), held })),
            Err(_) if !path.exists() => Ok(None),
            Err(error) => Err(FileError::new(path, 0, error)),
        }
    }

    /// Another one has taken its place: it is what a roll-back goes to.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(self) -> Result<(), FileError> {
        std::fs::rename(&self.held, previous(&self.path)).map_err(|error| FileError::new(&self.path, 0, error))
    }
}

impl Drop for Replaced {
    fn drop(&mut self) {
        // Gone already where it was kept.
        let _ = std::fs::remove_file(&self.held);
    }
}

/// The image before and the one in `path` change places; at every moment there is one in `path`.
///
/// # Errors
/// There is none before, or the disk's; then nothing has changed.
pub fn roll_back(path: &Path) -> Result<(), FileError> {
    let before = previous(path);
    if !before.exists() {
        return Err(FileError::new(path, 0, "there is no image before it: nothing was built in its place yet"));
    }
    let fail = |error: std::io::Error| FileError::new(path, 0, error);
    let replaced = Replaced::hold(path)?;
    std::fs::rename(&before, path).map_err(fail)?;
    replaced.map_or(Ok(()), Replaced::keep)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn what_was_replaced_comes_back_and_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decks.image");
        let read = || String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        assert!(Replaced::hold(&path).unwrap().is_none() && roll_back(&path).is_err());
        for octets in ["one", "two"] {
            let replaced = Replaced::hold(&path).unwrap();
            write_image(&path, octets.as_bytes()).unwrap();
            replaced.into_iter().for_each(|replaced| replaced.keep().unwrap());
        }
        drop(Replaced::hold(&path).unwrap());
        for wanted in ["one", "two", "one"] {
            roll_back(&path).unwrap();
            assert_eq!(read(), wanted);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
    }
}
