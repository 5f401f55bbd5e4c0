//! The control lane's side of the rings to the shards.

use crate::letter::Letter;
use engine::{LaneEnd, ShardId};
use std::collections::VecDeque;
use std::time::Duration;

/// Posts letters in order and loses none: what finds a mailbox full waits here.
pub(super) struct Shards {
    lane: LaneEnd<Letter>,
    backlog: Vec<VecDeque<Letter>>,
}

/// The longest sleep while letters wait for room.
const BACKLOG_PAUSE: Duration = Duration::from_millis(1);

impl Shards {
    pub(super) fn new(lane: LaneEnd<Letter>) -> Self {
        let backlog = (0..lane.shards()).map(|_| VecDeque::new()).collect();
        Shards { lane, backlog }
    }

    pub(super) fn count(&self) -> usize {
        self.backlog.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.count()).filter_map(|index| u8::try_from(index).ok()).map(ShardId)
    }

    /// Posts to one shard, after everything that was posted to it before.
    pub(super) fn post(&mut self, to: ShardId, letter: Letter) {
        if let Some(queue) = self.backlog.get_mut(to.index()) {
            queue.push_back(letter);
        }
        self.flush();
    }

    /// Posts one letter to each shard.
    pub(super) fn post_all(&mut self, make: impl Fn() -> Letter) {
        for shard in self.ids() {
            self.post(shard, make());
        }
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn flush(&mut self) {
        for shard in self.ids() {
            let Some(queue) = self.backlog.get_mut(shard.index()) else { continue };
            while let Some(letter) = queue.pop_front() {
                if let Err(letter) = self.lane.post(shard, letter) {
                    queue.push_front(letter);
                    break;
                }
            }
        }
    }

    /// The next letter from any shard.
    pub(super) fn receive(&mut self) -> Option<(ShardId, Letter)> {
        self.lane.receive()
    }

    /// Sleeps until a letter or the bell comes, at most `longest`.
    pub(super) fn wait(&self, longest: Duration) {
        let waits = self.backlog.iter().any(|queue| !queue.is_empty());
        self.lane.wait(if waits { longest.min(BACKLOG_PAUSE) } else { longest });
    }
}
