//! A driver without a network: a test pushes frames in and takes frames out. Deterministic, never
//! waits, and once its stores have grown to what is in use it allocates nothing.

use super::{Beside, Device, Input, Receive, SlotSize, Transmit};
use crate::frame::{Egress, Frame, NetworkError};
use crate::time::{Micros, Mono};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

/// The device of one simulated shard.
pub struct SimDevice {
    receiver: SimReceiver,
    transmitter: SimTransmitter,
}

/// Its receiving half.
pub struct SimReceiver {
    waiting: VecDeque<Arrival>,
    /// The first of them was lent out by `next`.
    lent: bool,
    spare: Vec<Vec<u8>>,
    /// Frames that may still be read in this turn.
    quota: usize,
}

/// Its sending half.
pub struct SimTransmitter {
    sent: VecDeque<(Egress, Vec<u8>)>,
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    reserved: Option<SlotSize>,
}

enum Arrival {
    Frame { listener: u16, local: SocketAddr, peer: SocketAddr, flow: u64, bytes: Vec<u8> },
    Error(NetworkError),
}

impl SimDevice {
    /// A device with so many send slots of each class; a slot stays in use until its frame is taken.
    pub fn new(small_slots: usize, large_slots: usize) -> Self {
        SimDevice {
            receiver: SimReceiver { waiting: VecDeque::new(), lent: false, spare: Vec::new(), quota: 0 },
            transmitter: SimTransmitter {
                sent: VecDeque::with_capacity(small_slots + large_slots),
                small: vec![vec![0; limits::SEND_SLOT_BYTES]; small_slots],
                large: vec![vec![0; limits::LARGE_SLOT_BYTES]; large_slots],
                reserved: None,
            },
        }
    }

    /// Lets a frame arrive at `local`.
    pub fn push(&mut self, listener: u16, local: SocketAddr, peer: SocketAddr, bytes: &[u8]) {
        self.push_over(listener, local, peer, 0, bytes);
    }

    /// Lets a frame arrive over the stream connection `flow`.
    pub fn push_over(&mut self, listener: u16, local: SocketAddr, peer: SocketAddr, flow: u64, bytes: &[u8]) {
        let mut store = self.receiver.spare.pop().unwrap_or_default();
        store.clear();
        store.extend_from_slice(bytes);
        self.receiver.waiting.push_back(Arrival::Frame { listener, local, peer, flow, bytes: store });
    }

    /// Lets the network report an error.
    pub fn push_error(&mut self, error: NetworkError) {
        self.receiver.waiting.push_back(Arrival::Error(error));
    }

    /// Frames and errors that the shard has not read yet.
    pub fn waiting(&self) -> usize {
        self.receiver.waiting.len() - usize::from(self.receiver.lent)
    }

    /// Takes the oldest frame that was sent, lends it to `look` and frees its slot. `None`: there is
    /// none.
    pub fn take_sent<R>(&mut self, look: impl FnOnce(&Egress, &[u8]) -> R) -> Option<R> {
        let (egress, mut bytes) = self.transmitter.sent.pop_front()?;
        let result = look(&egress, &bytes);
        let large = bytes.capacity() >= limits::LARGE_SLOT_BYTES;
        let (pool, room) = if large {
            (&mut self.transmitter.large, limits::LARGE_SLOT_BYTES)
        } else {
            (&mut self.transmitter.small, limits::SEND_SLOT_BYTES)
        };
        bytes.resize(room, 0);
        pool.push(bytes);
        Some(result)
    }
}

impl Device for SimDevice {
    type Receiver<'a> = &'a mut SimReceiver;
    type Transmitter<'a> = &'a mut SimTransmitter;

    fn exchange(&mut self, _wait: Option<Micros>) -> io::Result<()> {
        self.receiver.quota = limits::RECEIVE_BATCH_MAX;
        Ok(())
    }

    fn halves(&mut self) -> (&mut SimReceiver, &mut SimTransmitter) {
        (&mut self.receiver, &mut self.transmitter)
    }

    fn backlog(&self) -> bool {
        self.waiting() > 0
    }

    fn close(&mut self) {
        self.receiver.waiting.clear();
        self.receiver.lent = false;
    }
}

/// It never waits, so there is nothing to watch.
impl Beside for SimDevice {
    fn watch(&mut self, _descriptor: BorrowedFd<'_>) {}
    fn unwatch(&mut self, _descriptor: BorrowedFd<'_>) {}
}

impl Receive for SimReceiver {
    fn next(&mut self, now: Mono) -> Option<Input<'_>> {
        if core::mem::take(&mut self.lent)
            && let Some(Arrival::Frame { bytes, .. }) = self.waiting.pop_front()
        {
            self.spare.push(bytes);
        }
        self.quota = self.quota.checked_sub(1)?;
        let arrival = self.waiting.front()?;
        self.lent = true;
        Some(match arrival {
            Arrival::Error(error) => Input::Error(*error),
            Arrival::Frame { listener, local, peer, flow, bytes } => Input::Frame(Frame {
                listener: *listener,
                local: *local,
                peer: *peer,
                flow: *flow,
                received: now,
                bytes,
            }),
        })
    }
}

impl SimTransmitter {
    fn pool(&mut self, size: SlotSize) -> &mut Vec<Vec<u8>> {
        match size {
            SlotSize::Small => &mut self.small,
            SlotSize::Large => &mut self.large,
        }
    }
}

impl Transmit for SimTransmitter {
    fn reserve(&mut self, size: SlotSize) -> Option<&mut [u8]> {
        self.reserved = Some(size);
        self.pool(size).last_mut().map(Vec::as_mut_slice)
    }

    fn commit(&mut self, egress: &Egress, len: usize) -> bool {
        let Some(mut bytes) = self.reserved.take().and_then(|size| self.pool(size).pop()) else {
            return false;
        };
        bytes.truncate(len);
        self.sent.push_back((*egress, bytes));
        true
    }
}
