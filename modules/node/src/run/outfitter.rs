//! The first `[[domain]]`, or the first accounts, by a reload: what was left out at the start is made now.
//!
//! Called on the control lane. WHY it may read the journal there, on a disk that may be slow: nobody has registered until
//! now, so that no phone waits for this lane, and calls never do.

use super::compose::{self, Randomness};
use super::registrations::Registrations;
use crate::app;
use crate::journal::JournalLane;
use crate::letter::Letter;
use crate::log::Log;
use crate::outfit::{Outfit, Outfits, Outfitter};
use engine::{LaneEnd, ShardId};
use modules::Tables;
use modules::authentication::living::Living;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tuning::Config;

/// The journal's lane, for whoever ends it.
pub(super) type Journal = Arc<Mutex<Option<JournalLane>>>;

/// See the module.
pub(super) struct ReloadOutfitter {
    /// The journal's end of the rings, while no journal runs.
    pub(super) lane: Option<LaneEnd<Letter>>,
    pub(super) has_registrar: bool,
    pub(super) has_authentication: bool,
    pub(super) setup: app::Setup,
    pub(super) random: Randomness,
    pub(super) living: Arc<Living>,
    /// The state directory.
    pub(super) state: PathBuf,
    pub(super) journal: Journal,
    pub(super) log: Log,
}

impl Outfitter for ReloadOutfitter {
    fn has_registrar(&self) -> bool {
        self.has_registrar
    }

    fn outfit(&mut self, config: &Config, tables: &Tables) -> Result<Outfits, String> {
        let mut made = Outfits::default();
        let mut registrations = None;
        if !self.has_registrar && !config.domains.is_empty() {
            let read = Registrations::read(config, &self.state, &self.setup, &self.random, tables, &self.living)?;
            let lane = self.lane.take().ok_or("the journal has no lane")?;
            let journal = read.start(config, lane, &self.log)?;
            made.journal = Some(Arc::clone(journal.figures()));
            if let Ok(mut place) = self.journal.lock() {
                *place = Some(journal);
            }
            registrations = Some(read);
            self.has_registrar = true;
        }
        let authentication = compose::authentication(config, &self.setup, tables, &self.living);
        let authentication = authentication.filter(|_| !self.has_authentication);
        self.has_authentication |= authentication.is_some();
        if registrations.is_none() && authentication.is_none() {
            return Ok(made);
        }
        let now = super::now();
        made.outfits = (0..self.setup.shards)
            .filter_map(|shard| u8::try_from(shard).ok())
            .map(|shard| {
                let registrar = registrations.as_ref().and_then(|read| read.take(usize::from(shard)));
                let proofs = authentication.as_ref().map(|setup| (setup, &self.setup));
                Outfit::new(ShardId(shard), registrar, proofs, now)
            })
            .collect();
        Ok(made)
    }
}
