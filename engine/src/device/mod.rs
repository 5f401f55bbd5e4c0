//! The one interface of all drivers: exchange with the network once per turn, read what came, write
//! what is to go.
//!
//! A driver has two halves, so that the application can write answers straight into send slots
//! while it reads a received frame in place. Called by `shard.rs` and, for sends, `outbox.rs`.
//!
//! Room for other drivers: one that writes link headers itself lends out slots that begin behind the
//! room for them; one that serves several kinds of sources (a queue of a NIC beside sockets) waits for
//! all of them in its one `exchange`; one for streams gives each connection a flow id, and a send that
//! fails later is reported as [`Input::Error`].

use crate::frame::{Egress, Frame, NetworkError};
use crate::time::{Micros, Mono};
use std::io;
use std::os::fd::BorrowedFd;

mod arrival;
mod gather;
pub mod mmsg;
mod pending;
pub mod sim;
pub mod uring;
pub mod xdp;

/// A driver for datagrams.
pub trait Device {
    /// Where received input is read.
    type Receiver<'a>: Receive
    where
        Self: 'a;
    /// Where output is written.
    type Transmitter<'a>: Transmit
    where
        Self: 'a;

    /// Sends all that is queued, waits for input for at most `wait` (`None`: as long as it takes),
    /// and collects it. Wakes early when the shard's waker is signalled.
    ///
    /// # Errors
    /// Only what makes the driver unusable; the shard ends.
    fn exchange(&mut self, wait: Option<Micros>) -> io::Result<()>;

    /// Both halves at once.
    fn halves(&mut self) -> (Self::Receiver<'_>, Self::Transmitter<'_>);

    /// True when the next [`Device::exchange`] must not wait: input or sends are left over.
    fn backlog(&self) -> bool;

    /// Sends what is queued, takes everything back from the kernel and closes the sockets.
    fn close(&mut self);
}

/// A driver for the kernel's sockets, which can stand beside another that has descriptors of its own.
pub trait Beside: Device {
    /// Ends a wait when `descriptor` is readable. Nothing is read from it. It must be taken out with
    /// [`Beside::unwatch`] before it is closed.
    fn watch(&mut self, descriptor: BorrowedFd<'_>);

    /// No longer waits for `descriptor`.
    fn unwatch(&mut self, descriptor: BorrowedFd<'_>);
}

/// One piece of input.
#[derive(Debug)]
pub enum Input<'a> {
    /// A frame. It lies in the driver's memory until the next call of [`Receive::next`].
    Frame(Frame<'a>),
    /// The network reported an unreachable destination.
    Error(NetworkError),
}

/// The receiving half.
pub trait Receive {
    /// The next input that the last exchange collected; stamps frames with `now`.
    fn next(&mut self, now: Mono) -> Option<Input<'_>>;
}

/// Size class of a send slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotSize {
    /// `limits::SEND_SLOT_BYTES`: nearly every message.
    Small,
    /// `limits::LARGE_SLOT_BYTES`: the largest message there is.
    Large,
}

/// The sending half.
pub trait Transmit {
    /// A free slot to write into; `None` when none is left. Reserving twice without a commit gives
    /// the same slot.
    fn reserve(&mut self, size: SlotSize) -> Option<&mut [u8]>;

    /// Queues the first `len` bytes of the slot that was reserved last. It leaves with the next
    /// exchange; frames to one peer leave in the order of their commits. False: there is no such
    /// listener.
    fn commit(&mut self, egress: &Egress, len: usize) -> bool;
}

impl<T: Receive + ?Sized> Receive for &mut T {
    fn next(&mut self, now: Mono) -> Option<Input<'_>> {
        (**self).next(now)
    }
}

impl<T: Transmit + ?Sized> Transmit for &mut T {
    fn reserve(&mut self, size: SlotSize) -> Option<&mut [u8]> {
        (**self).reserve(size)
    }

    fn commit(&mut self, egress: &Egress, len: usize) -> bool {
        (**self).commit(egress, len)
    }
}
