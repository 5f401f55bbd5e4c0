//! Letters between shards and lanes: one lock-free single-producer ring for each ordered pair.
//!
//! Letters are the control class: never shed. A full mailbox gives the letter back to its poster.
//! Whoever posted wakes the receiver at the end of its turn, and only if it sleeps.

use crate::frame::{LaneId, NetworkError, ShardId};
use crate::wake::Waker;
use rtrb::{Consumer, Producer};
use std::sync::Arc;
use std::time::Duration;

/// Whom a letter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A shard.
    Shard(ShardId),
    /// A lane.
    Lane(LaneId),
}

/// What a shard's mailbox carries.
pub(crate) enum Parcel<L> {
    Letter(L),
    NetworkError(NetworkError),
}

/// A lane's end of its mailboxes: posts to every shard and receives from every shard.
pub struct LaneEnd<L> {
    pub(crate) me: LaneId,
    pub(crate) to_shards: Vec<Producer<Parcel<L>>>,
    pub(crate) from_shards: Vec<Consumer<L>>,
    pub(crate) shards: Vec<Arc<Waker>>,
    pub(crate) waker: Arc<Waker>,
    /// Where `receive` looks first, so that one busy shard does not starve the others.
    pub(crate) next: usize,
}

impl<L> LaneEnd<L> {
    /// Which lane this is.
    pub fn me(&self) -> LaneId {
        self.me
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.to_shards.len()
    }

    /// Posts a letter and wakes the shard if it sleeps.
    ///
    /// # Errors
    /// Gives the letter back when the mailbox is full or there is no such shard.
    pub fn post(&mut self, to: ShardId, letter: L) -> Result<(), L> {
        let Some(ring) = self.to_shards.get_mut(to.index()) else {
            return Err(letter);
        };
        match ring.push(Parcel::Letter(letter)) {
            Ok(()) => {}
            Err(rtrb::PushError::Full(Parcel::Letter(letter))) => return Err(letter),
            // WHY: what comes back is what was pushed, and that was a letter.
            Err(rtrb::PushError::Full(Parcel::NetworkError(_))) => unreachable!("pushed a letter"),
        }
        if let Some(waker) = self.shards.get(to.index()) {
            waker.wake();
        }
        Ok(())
    }

    /// The next letter from any shard, taking turns among them.
    pub fn receive(&mut self) -> Option<(ShardId, L)> {
        let count = self.from_shards.len();
        for step in 0..count {
            let index = (self.next + step) % count;
            if let Some(Ok(letter)) = self.from_shards.get_mut(index).map(Consumer::pop) {
                self.next = (index + 1) % count;
                return Some((ShardId(u8::try_from(index).unwrap_or(u8::MAX)), letter));
            }
        }
        None
    }

    /// Sleeps until a letter is there, [`LaneWaker::wake`] is called or `timeout` passes; returns at
    /// once if a letter waits. May return early without cause.
    pub fn wait(&self, timeout: Duration) {
        self.waker.about_to_sleep();
        if self.from_shards.iter().all(Consumer::is_empty) {
            self.waker.sleep(timeout);
        }
        self.waker.awake();
    }

    /// Something with which other threads can end [`LaneEnd::wait`].
    pub fn waker(&self) -> LaneWaker {
        LaneWaker(Arc::clone(&self.waker))
    }
}

/// Ends a lane's wait from any thread.
#[derive(Clone, Debug)]
pub struct LaneWaker(Arc<Waker>);

impl LaneWaker {
    /// Wakes the lane if it sleeps.
    pub fn wake(&self) {
        self.0.wake();
    }
}
