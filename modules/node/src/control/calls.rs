//! Calls as operators see and end them: parts asked of one shard after another, each a letter.
//!
//! The lane only carries boxes between askers and shards; a shard answers its letters in their order.

use super::inbox::Reply;
use super::shards::Shards;
use crate::letter::Letter;
use engine::ShardId;
use modules::calls::look::{CallLook, EndCall};
use std::collections::VecDeque;

/// Who waits for what a shard sends back.
#[derive(Debug, Default)]
pub(super) struct Calls {
    looks: Vec<VecDeque<Reply<Box<CallLook>>>>,
    ends: Vec<VecDeque<Reply<Box<EndCall>>>>,
}

impl Calls {
    pub(super) fn new(shards: usize) -> Self {
        Calls {
            looks: (0..shards).map(|_| VecDeque::new()).collect(),
            ends: (0..shards).map(|_| VecDeque::new()).collect(),
        }
    }

    /// Asks a shard for a part. One that there is not answers nothing: the asker sees its channel close.
    pub(super) fn look(
        &mut self,
        shards: &mut Shards,
        shard: ShardId,
        look: Box<CallLook>,
        reply: Reply<Box<CallLook>>,
    ) {
        if let Some(waiting) = self.looks.get_mut(shard.index()) {
            waiting.push_back(reply);
            shards.post(shard, Letter::LookAtCalls(look));
        }
    }

    /// Asks a shard to end a call.
    pub(super) fn end(&mut self, shards: &mut Shards, shard: ShardId, asked: Box<EndCall>, reply: Reply<Box<EndCall>>) {
        if let Some(waiting) = self.ends.get_mut(shard.index()) {
            waiting.push_back(reply);
            shards.post(shard, Letter::EndCall(asked));
        }
    }

    /// A part has come. Who asked may have gone away.
    pub(super) fn part(&mut self, shard: ShardId, look: Box<CallLook>) {
        if let Some(reply) = self.looks.get_mut(shard.index()).and_then(VecDeque::pop_front) {
            let _ = reply.send(look);
        }
    }

    /// A call is being ended, or was not there.
    pub(super) fn ended(&mut self, shard: ShardId, asked: Box<EndCall>) {
        if let Some(reply) = self.ends.get_mut(shard.index()).and_then(VecDeque::pop_front) {
            let _ = reply.send(asked);
        }
    }
}
