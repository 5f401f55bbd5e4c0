//! Registrations as operators see and change them: parts asked of one shard after another, each a letter.
//!
//! The lane only carries boxes between askers and shards; a shard answers its letters in their order.

use super::inbox::Reply;
use super::shards::Shards;
use crate::letter::Letter;
use engine::ShardId;
use modules::registrar::{Look, Unregister};
use std::collections::VecDeque;

/// Who waits for what a shard sends back.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    looks: Vec<VecDeque<Reply<Box<Look>>>>,
    removals: Vec<VecDeque<Reply<Box<Unregister>>>>,
}

impl Registrations {
    pub(super) fn new(shards: usize) -> Self {
        Registrations {
            looks: (0..shards).map(|_| VecDeque::new()).collect(),
            removals: (0..shards).map(|_| VecDeque::new()).collect(),
        }
    }

    /// Asks a shard for a part. One that there is not answers nothing: the asker sees its channel close.
    pub(super) fn look(&mut self, shards: &mut Shards, shard: ShardId, look: Box<Look>, reply: Reply<Box<Look>>) {
        if let Some(waiting) = self.looks.get_mut(shard.index()) {
            waiting.push_back(reply);
            shards.post(shard, Letter::Look(look));
        }
    }

    /// Asks a shard to take a user's bindings away.
    pub(super) fn remove(
        &mut self,
        shards: &mut Shards,
        shard: ShardId,
        asked: Box<Unregister>,
        reply: Reply<Box<Unregister>>,
    ) {
        if let Some(waiting) = self.removals.get_mut(shard.index()) {
            waiting.push_back(reply);
            shards.post(shard, Letter::Unregister(asked));
        }
    }

    /// A part has come. Who asked may have gone away.
    pub(super) fn part(&mut self, shard: ShardId, look: Box<Look>) {
        if let Some(reply) = self.looks.get_mut(shard.index()).and_then(VecDeque::pop_front) {
            let _ = reply.send(look);
        }
    }

    /// Bindings are gone, or were not there.
    pub(super) fn removed(&mut self, shard: ShardId, asked: Box<Unregister>) {
        if let Some(reply) = self.removals.get_mut(shard.index()).and_then(VecDeque::pop_front) {
            let _ = reply.send(asked);
        }
    }
}
