//! The folder of journal files: all that the journal needs of a disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A disk, or what stands for one in tests.
pub trait Medium {
    /// A file that is being appended to.
    type Open: Appending;

    /// Numbers of the files there are, in any order.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn numbers(&self) -> io::Result<Vec<u64>>;
    /// All bytes of a file.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, number: u64) -> io::Result<Vec<u8>>;
    /// Makes an empty file. When this returns, its name is on the disk.
    ///
    /// # Errors
    /// It cannot be made.
    fn create(&mut self, number: u64) -> io::Result<Self::Open>;
    /// Shortens a file. When this returns, the disk has it so.
    ///
    /// # Errors
    /// It cannot be done.
    fn cut(&mut self, number: u64, length: u64) -> io::Result<()>;
    /// Removes a file; it may come back after a crash.
    ///
    /// # Errors
    /// It cannot be done.
    fn remove(&mut self, number: u64) -> io::Result<()>;
    /// What it is called, for messages.
    fn name(&self, number: u64) -> String;
}

/// See [`Medium`].
pub trait Appending {
    /// Writes behind all that is there. When it fails, a part may be there.
    ///
    /// # Errors
    /// The disk is full or broken.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when the disk has everything. After a failure nothing may be assumed of what was appended.
    ///
    /// # Errors
    /// The disk is full or broken.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder of files.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

const ENDING: &str = "journal";

impl Folder {
    /// Makes the folder (for the owner alone) if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Folder { path: path.to_owned() })
    }

    fn file(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:010}.{ENDING}"))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Medium for Folder {
    type Open = File;

    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if path.extension().is_some_and(|ending| ending == ENDING) {
                numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
            }
        }
        Ok(numbers)
    }

    fn read(&self, number: u64) -> io::Result<Vec<u8>> {
        std::fs::read(self.file(number))
    }

    fn create(&mut self, number: u64) -> io::Result<File> {
        let path = self.file(number);
        // A file of that number is left from an attempt that failed before anything was on the disk.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        self.sync_names()?;
        Ok(file)
    }

    fn cut(&mut self, number: u64, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.file(number))?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn remove(&mut self, number: u64) -> io::Result<()> {
        std::fs::remove_file(self.file(number))
    }

    fn name(&self, number: u64) -> String {
        self.file(number).display().to_string()
    }
}

impl Appending for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
