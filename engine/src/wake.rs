//! Waking a thread that sleeps in the kernel: a flag says that it sleeps, an eventfd ends the sleep.
//!
//! A sender that finds the flag down pays one fence and no system call. The protocol is Dekker's:
//! the sleeper raises the flag and then looks at its mailboxes once more; the sender fills a mailbox
//! and then looks at the flag. Both in sequentially consistent order, so at least one sees the other.

use engine_sys::event::Event;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

/// The bell of one thread. Alone on its cache line pair, so that ringing disturbs nobody else.
#[derive(Debug)]
#[repr(align(128))]
pub struct Waker {
    sleeping: AtomicBool,
    /// `None` where nobody ever sleeps (simulation).
    event: Option<Event>,
}

impl Waker {
    /// A waker with an eventfd.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Waker { sleeping: AtomicBool::new(false), event: Some(Event::new()?) }))
    }

    /// A waker for shards that a test steps by hand.
    pub fn of_nobody() -> Arc<Self> {
        Arc::new(Waker { sleeping: AtomicBool::new(false), event: None })
    }

    /// The descriptor that becomes readable, for a driver to wait on.
    pub fn event(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// Says that this thread is about to sleep. It must look at its mailboxes once more after this.
    pub fn about_to_sleep(&self) {
        self.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Says that this thread is awake.
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Wakes the thread if it sleeps; true if it had to.
    pub fn wake(&self) -> bool {
        fence(Ordering::SeqCst);
        if !self.sleeping.load(Ordering::Relaxed) || !self.sleeping.swap(false, Ordering::AcqRel) {
            return false;
        }
        if let Some(event) = &self.event {
            event.signal();
        }
        true
    }

    /// Sleeps on the eventfd alone, for threads that have no driver.
    pub fn sleep(&self, timeout: Duration) {
        if let Some(event) = &self.event {
            event.wait(timeout);
            event.drain();
        }
    }
}
