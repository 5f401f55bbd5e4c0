//! A file in memory: read as a whole onto huge pages, every page present and locked before it is used.
//!
//! WHY not mapped: pages of a file are small ones wherever the file system has no larger ones ready, and a look-up that
//! touches lines all over hundreds of megabytes then waits for the page tables longer than for the lines. What is done
//! to the file afterwards does not matter.

use crate::memory::Region;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;

/// The octets of a file as they were when it was read.
#[derive(Debug)]
pub struct ResidentFile {
    memory: Region,
    length: usize,
}

// SAFETY: once it is made nobody writes to its memory: there is no way to `&mut` of it.
unsafe impl Sync for ResidentFile {}

impl ResidentFile {
    /// Reads all of `file`, from where it stands.
    ///
    /// # Errors
    /// When it is empty, cannot be read, is cut meanwhile, or there is not enough memory. That it cannot be locked
    /// (RLIMIT_MEMLOCK) is no error.
    pub fn new(mut file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut memory = Region::new(length)?;
        file.read_exact(memory.get_mut(..length).unwrap_or_default())?;
        Ok(ResidentFile { memory, length })
    }
}

impl Deref for ResidentFile {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.memory.get(..self.length).unwrap_or_default()
    }
}

impl AsRef<[u8]> for ResidentFile {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::io::Write;

    #[test]
    fn shows_the_file_as_it_was() {
        let path = std::env::temp_dir().join(format!("tandem-resident-{}", std::process::id()));
        File::create(&path).unwrap().write_all(&[7; 10_000]).unwrap();
        let resident = ResidentFile::new(&File::open(&path).unwrap()).unwrap();
        File::create(&path).unwrap().write_all(&[8; 100]).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(resident.len(), 10_000);
        assert!(resident.iter().all(|octet| *octet == 7));
    }

    #[test]
    fn an_empty_file_is_refused() {
        let path = std::env::temp_dir().join(format!("tandem-empty-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        drop(file);
        assert!(ResidentFile::new(&File::open(&path).unwrap()).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
