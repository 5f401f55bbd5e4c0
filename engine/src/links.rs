//! Everything that joins shards and lanes: built once, for all ordered pairs, before any starts.

use crate::frame::{LaneId, ShardId};
use crate::hand_over::{self, FrameReceiver, FrameSender};
use crate::mailbox::{Address, LaneEnd, Parcel};
use crate::wake::Waker;
use rtrb::{Consumer, Producer, RingBuffer};
use std::io;
use std::sync::Arc;

/// How many shards and lanes there are, and how much room their rings have.
#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    /// Shards, 1 to `limits::SHARDS_MAX`.
    pub shards: usize,
    /// Lanes, 0 to `limits::LANES_MAX`.
    pub lanes: usize,
    /// Letters that one mailbox holds; there is one for each ordered pair.
    pub letters: usize,
    /// Bytes of all hand-over rings into one shard together (at least 256 KiB for each are used).
    pub hand_over_bytes: usize,
}

/// A shard's ends of everything.
pub struct Links<L> {
    pub(crate) inward: Inward<L>,
    pub(crate) outward: Outward<L>,
}

/// The ends of all shards and of all lanes, in their order.
pub type Ends<L> = (Vec<Links<L>>, Vec<LaneEnd<L>>);

/// What comes to a shard.
pub(crate) struct Inward<L> {
    pub(crate) letters: Vec<Consumer<Parcel<L>>>,
    pub(crate) frames: Vec<FrameReceiver>,
    pub(crate) waker: Arc<Waker>,
}

/// What goes from a shard.
pub(crate) struct Outward<L> {
    pub(crate) me: ShardId,
    letters: Vec<Producer<Parcel<L>>>,
    lanes: Vec<Producer<L>>,
    /// By target; `None` for the shard itself.
    frames: Vec<Option<FrameSender>>,
    shard_wakers: Vec<Arc<Waker>>,
    lane_wakers: Vec<Arc<Waker>>,
    /// Shards (low bits) that got something this turn, and lanes.
    touched_shards: u64,
    touched_lanes: u64,
}

/// Joins shards that sleep in the kernel.
///
/// # Errors
/// When the process is out of descriptors.
pub fn join<L>(config: &LinkConfig) -> io::Result<Ends<L>> {
    let shards = (0..config.shards).map(|_| Waker::new()).collect::<Result<_, _>>()?;
    let lanes = (0..config.lanes).map(|_| Waker::new()).collect::<Result<_, _>>()?;
    Ok(build(config, shards, lanes))
}

/// Joins shards that a test steps by hand: no descriptors, nobody sleeps.
pub fn join_virtual<L>(config: &LinkConfig) -> Ends<L> {
    let shards = (0..config.shards).map(|_| Waker::of_nobody()).collect();
    let lanes = (0..config.lanes).map(|_| Waker::of_nobody()).collect();
    build(config, shards, lanes)
}

fn build<L>(config: &LinkConfig, shard_wakers: Vec<Arc<Waker>>, lane_wakers: Vec<Arc<Waker>>) -> Ends<L> {
    let ring_bytes = config.hand_over_bytes / config.shards.saturating_sub(1).max(1);
    let mut shards: Vec<Links<L>> = ids(config.shards)
        .zip(&shard_wakers)
        .map(|(id, waker)| Links {
            inward: Inward { letters: Vec::new(), frames: Vec::new(), waker: Arc::clone(waker) },
            outward: Outward {
                me: ShardId(id),
                letters: Vec::new(),
                lanes: Vec::new(),
                frames: Vec::new(),
                shard_wakers: shard_wakers.clone(),
                lane_wakers: lane_wakers.clone(),
                touched_shards: 0,
                touched_lanes: 0,
            },
        })
        .collect();
    let mut lanes: Vec<LaneEnd<L>> = ids(config.lanes)
        .zip(&lane_wakers)
        .map(|(id, waker)| LaneEnd {
            me: LaneId(id),
            to_shards: Vec::new(),
            from_shards: Vec::new(),
            shards: shard_wakers.clone(),
            waker: Arc::clone(waker),
            next: 0,
        })
        .collect();

    for from in 0..shards.len() {
        for to in 0..shards.len() {
            let (producer, consumer) = RingBuffer::new(config.letters);
            shards[from].outward.letters.push(producer);
            shards[to].inward.letters.push(consumer);
            let frames = (from != to).then(|| hand_over::pair(shards[from].outward.me, ring_bytes));
            let (sender, receiver) = frames.unzip();
            shards[from].outward.frames.push(sender);
            shards[to].inward.frames.extend(receiver);
        }
    }
    for lane in &mut lanes {
        for shard in &mut shards {
            let (producer, consumer) = RingBuffer::new(config.letters);
            lane.to_shards.push(producer);
            shard.inward.letters.push(consumer);
            let (producer, consumer) = RingBuffer::new(config.letters);
            shard.outward.lanes.push(producer);
            lane.from_shards.push(consumer);
        }
    }
    (shards, lanes)
}

fn ids(count: usize) -> impl Iterator<Item = u8> {
    0..u8::try_from(count).unwrap_or(u8::MAX)
}

impl<L> Inward<L> {
    /// True when another shard or a lane has left something.
    pub(crate) fn any(&self) -> bool {
        self.letters.iter().any(|ring| !ring.is_empty()) || self.frames.iter().any(|ring| !ring.is_empty())
    }
}

impl<L> Outward<L> {
    pub(crate) fn shards(&self) -> usize {
        self.shard_wakers.len()
    }

    pub(crate) fn frames_to(&mut self, to: ShardId) -> Option<&mut FrameSender> {
        self.frames.get_mut(to.index())?.as_mut()
    }

    pub(crate) fn post(&mut self, to: Address, letter: L) -> Result<(), L> {
        match to {
            Address::Shard(shard) => match self.post_to_shard(shard, Parcel::Letter(letter)) {
                Err(Parcel::Letter(letter)) => Err(letter),
                _ => Ok(()),
            },
            Address::Lane(lane) => {
                let Some(ring) = self.lanes.get_mut(lane.index()) else {
                    return Err(letter);
                };
                ring.push(letter).map_err(|rtrb::PushError::Full(letter)| letter)?;
                self.touched_lanes |= 1 << lane.0;
                Ok(())
            }
        }
    }

    pub(crate) fn post_to_shard(&mut self, to: ShardId, parcel: Parcel<L>) -> Result<(), Parcel<L>> {
        let Some(ring) = self.letters.get_mut(to.index()) else {
            return Err(parcel);
        };
        ring.push(parcel).map_err(|rtrb::PushError::Full(parcel)| parcel)?;
        self.touch(to);
        Ok(())
    }

    /// Notes that `to` got something, for [`Outward::wake_touched`].
    pub(crate) fn touch(&mut self, to: ShardId) {
        self.touched_shards |= 1 << to.0;
    }

    /// Wakes whoever got something since the last call and sleeps; returns how many did.
    pub(crate) fn wake_touched(&mut self) -> u64 {
        let mut woken = 0;
        let mut ring_all = |mut touched: u64, wakers: &[Arc<Waker>]| {
            while touched != 0 {
                let index = touched.trailing_zeros() as usize;
                touched &= touched - 1;
                woken += wakers.get(index).map_or(0, |waker| u64::from(waker.wake()));
            }
        };
        ring_all(std::mem::take(&mut self.touched_shards), &self.shard_wakers);
        ring_all(std::mem::take(&mut self.touched_lanes), &self.lane_wakers);
        woken
    }
}

const _: () = assert!(limits::SHARDS_MAX <= 64 && limits::LANES_MAX <= 64, "touched sets are u64");
