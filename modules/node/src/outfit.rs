//! What a shard needs as soon as phones register or prove who they are. It has it from its start where the file has
//! domains; a reload that brings the first one, or the first accounts, has it made by the control lane and sent
//! ([`crate::letter::Letter::Outfit`]), for a shard allocates nothing itself.

use crate::app::{self, ShardApp};
use crate::held_replies::HeldReplies;
use crate::journal::JournalFigures;
use crate::module_question::ModuleQuestions;
use engine::ShardId;
use limits::registrar::HELD_REPLIES_BYTES;
use modules::Tables;
use modules::authentication::stage::Authentication;
use modules::registrar::Registrar;
use proto::time::Now;
use std::sync::Arc;
use tuning::Config;

/// For one shard. It comes back with what it takes the place of, to be dropped by who made it.
#[derive(Debug)]
pub struct Outfit {
    /// Who is registered.
    registrar: Option<Box<Registrar>>,
    /// Responses that wait for the disk, and questions to other shards.
    waiting: Option<(HeldReplies, ModuleQuestions)>,
    /// Who proves what.
    authentication: Option<Box<Authentication>>,
}

/// Makes outfits, for all shards at once.
pub trait Outfitter: Send {
    /// Whether shards have a registrar. It stays when the last domain goes: bindings end by their time.
    fn has_registrar(&self) -> bool;

    /// What shards lack for this configuration; in the order of the shards, none if they lack nothing. The journal runs
    /// then.
    ///
    /// # Errors
    /// The journal cannot be read, as a line for people. Nothing has changed.
    fn outfit(&mut self, config: &Config, tables: &Tables) -> Result<Outfits, String>;
}

/// What a configuration lacked.
#[derive(Debug, Default)]
pub struct Outfits {
    /// By shard.
    pub outfits: Vec<Outfit>,
    /// The journal's figures, if it has begun with this.
    pub journal: Option<Arc<JournalFigures>>,
}

impl Outfit {
    /// For a shard of a process of that setup.
    pub(crate) fn new(
        shard: ShardId,
        registrar: Option<Box<Registrar>>,
        authentication: Option<(&modules::authentication::Setup, &app::Setup)>,
        now: Now,
    ) -> Self {
        let waiting =
            registrar.is_some().then(|| (HeldReplies::new(HELD_REPLIES_BYTES), ModuleQuestions::new(shard, true)));
        let authentication = authentication
            .map(|(setup, of)| app::authentication(setup, shard, of.shards, of.proxy.keys.slot_secret(), now));
        Outfit { registrar, waiting, authentication }
    }

    /// Gives it to the shard. INVARIANT: the shard neither allocates nor frees by it.
    pub(crate) fn put_on(&mut self, app: &mut ShardApp) {
        if let Some(registrar) = self.registrar.take() {
            app.proxy.policy.take_registrar(registrar);
        }
        if let Some((replies, questions)) = &mut self.waiting {
            std::mem::swap(&mut app.pending.replies, replies);
            // WHY not always: with ported numbers asked for, boxes are under way.
            if app.pending.modules.are_none() {
                std::mem::swap(&mut app.pending.modules, questions);
            }
        }
        if let Some(authentication) = self.authentication.take() {
            app.proxy.policy.take_authentication(authentication);
        }
    }
}
