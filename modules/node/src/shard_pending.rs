//! What of a shard's work waits for others: questions under way, to name servers and of modules, and responses that wait
//! for the disk.

use crate::held_replies::HeldReplies;
use crate::module_question::ModuleQuestions;
use crate::shard_questions::Questions;
use engine::ShardId;
use limits::registrar::HELD_REPLIES_BYTES;

/// Lent to the proxy's outbox.
#[derive(Debug)]
pub(crate) struct Pending {
    /// For addresses of hosts.
    pub(crate) names: Questions,
    /// Of modules.
    pub(crate) modules: ModuleQuestions,
    /// Until the journal has what they tell of.
    pub(crate) replies: HeldReplies,
    /// 2xx of INVITEs, until their records are written.
    pub(crate) answers: HeldReplies,
}

impl Pending {
    /// Of one shard; `registers`: there are domains; `dips`: ported numbers are asked for.
    pub(crate) fn new(shard: ShardId, registers: bool, dips: bool) -> Self {
        Pending {
            names: Questions::new(shard),
            modules: ModuleQuestions::new(shard, registers || dips),
            replies: HeldReplies::new(if registers { HELD_REPLIES_BYTES } else { 0 }),
            answers: HeldReplies::new(0),
        }
    }
}
