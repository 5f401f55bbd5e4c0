//! Memory that is there before it is needed: mapped, on huge pages where the kernel has some, touched
//! and locked.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A private anonymous mapping, page-aligned, zeroed, every page present.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a Region owns its mapping as a Box<[u8]> owns its allocation; nothing is tied to a thread.
unsafe impl Send for Region {}

impl Region {
    /// Maps at least `length` bytes.
    ///
    /// # Errors
    /// When there is not enough memory. That it cannot be locked (RLIMIT_MEMLOCK) is no error.
    pub fn new(length: usize) -> io::Result<Self> {
        let length = length.max(1).next_multiple_of(PAGE_BYTES);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice; result checked below.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let region = Region { start, length };
        region.populate()?;
        Ok(region)
    }

    /// Where it starts.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn populate(&self) -> io::Result<()> {
        let start = self.start.as_ptr().cast();
        // SAFETY: the range is our own mapping. Huge pages are a wish: failure is harmless.
        unsafe { libc::madvise(start, self.length, libc::MADV_HUGEPAGE) };
        // SAFETY: as above; this faults every page in for writing.
        if unsafe { libc::madvise(start, self.length, libc::MADV_POPULATE_WRITE) } != 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EINVAL) {
                return Err(error);
            }
            // Kernels before 5.14 do not know it: touch each page by hand.
            for offset in (0..self.length).step_by(PAGE_BYTES) {
                // SAFETY: `offset` lies within the mapping.
                unsafe { self.start.as_ptr().add(offset).write_volatile(0) };
            }
        }
        // SAFETY: the range is our own mapping. Without the right to lock, it stays swappable.
        unsafe { libc::mlock(start, self.length) };
        Ok(())
    }
}

impl Deref for Region {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is `length` initialised bytes and lives as long as `self`; whoever lets
        // the kernel write to it (see `uring`) hands out slices of what the kernel is done with only.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes it exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nobody borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Locks what is mapped now, program text included, page by page as it is touched, so that none of
/// it is ever read back from disk.
///
/// WHY: not what is mapped later: under a small RLIMIT_MEMLOCK that would make allocations fail.
///
/// # Errors
/// When RLIMIT_MEMLOCK or the missing CAP_IPC_LOCK forbids it.
pub fn lock_all() -> io::Result<()> {
    let flags = libc::MCL_CURRENT | libc::MCL_ONFAULT;
    // SAFETY: no pointers.
    if unsafe { libc::mlockall(flags) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const PAGE_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn is_zeroed_writable_and_rounded_up_to_pages() {
        let mut region = Region::new(5000).unwrap();
        assert_eq!(region.len(), 8192);
        assert!(region.iter().all(|byte| *byte == 0));
        region[8191] = 7;
        assert_eq!(region[8191], 7);
    }
}
