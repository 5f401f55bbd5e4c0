//! A file as memory: mapped, read only, every page present and locked before it is used.
//!
//! For images that are made once and replaced by renaming, never written in place.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// A private read-only mapping of a whole file.
#[derive(Debug)]
pub struct MappedFile {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a MappedFile owns its mapping as a Box<[u8]> owns its allocation; nothing is tied to a thread.
unsafe impl Send for MappedFile {}
// SAFETY: it is only ever read.
unsafe impl Sync for MappedFile {}

impl MappedFile {
    /// Maps `file` and brings all of it into memory.
    ///
    /// The file must not be written to or cut while it is mapped: what made it replaces it by a rename.
    ///
    /// # Errors
    /// When it is empty, cannot be mapped, or there is not enough memory. That it cannot be locked
    /// (RLIMIT_MEMLOCK) is no error.
    pub fn new(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_POPULATE;
        // SAFETY: a fresh mapping of a readable file at an address of the kernel's choice; result checked below.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, flags, file.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range is our own mapping. A wish: failure is harmless.
        unsafe { libc::madvise(start, length, libc::MADV_HUGEPAGE) };
        // SAFETY: the range is our own mapping. Without the right to lock, it stays swappable.
        unsafe { libc::mlock(start, length) };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(MappedFile { start, length })
    }
}

impl Deref for MappedFile {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is `length` octets, readable, and lives as long as `self`. The file is not
        // changed while it is mapped, as `new` demands.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nobody borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::io::Write;

    #[test]
    fn shows_the_file_even_after_its_name_is_gone() {
        let path = std::env::temp_dir().join(format!("tandem-mapped-{}", std::process::id()));
        File::create(&path).unwrap().write_all(&[7; 10_000]).unwrap();
        let mapped = MappedFile::new(&File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mapped.len(), 10_000);
        assert!(mapped.iter().all(|octet| *octet == 7));
    }

    #[test]
    fn an_empty_file_is_refused() {
        let path = std::env::temp_dir().join(format!("tandem-empty-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        drop(file);
        assert!(MappedFile::new(&File::open(&path).unwrap()).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
