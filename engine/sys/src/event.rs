//! An eventfd: a descriptor that one thread makes readable for another to wait on.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A non-blocking eventfd.
#[derive(Debug)]
pub struct Event(File);

impl Event {
    /// Opens one.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Event(File::from(fd)))
    }

    /// Makes it readable.
    pub fn signal(&self) {
        // WHY: the only failure is a counter at its maximum, and then it is readable anyway.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Makes it unreadable again.
    pub fn drain(&self) {
        let mut counter = [0; 8];
        // WHY: the only failure is that nobody had signalled.
        let _ = (&self.0).read(&mut counter);
    }

    /// Waits until it is readable, or `timeout` passes.
    pub fn wait(&self, timeout: Duration) {
        let mut set = crate::socket::PollSet::new([self.as_fd()]);
        // WHY: a failed or interrupted wait is a short wait; every caller looks again.
        let _ = set.wait(Some(timeout));
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Event {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}
