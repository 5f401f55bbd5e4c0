//! A candidate: read and checked as a reload reads and checks.

use crate::control::rpc::{RpcError, code};
use crate::control::{Gathered, reload};
use crate::deck_files::service;
use modules::Tables;
use modules::class4::DeckImage;
use modules::tables::Inputs;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tuning::Loaded;

/// What it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A whole configuration.
    Configuration(PathBuf),
    /// An image of decks, with the configuration in service.
    Image(PathBuf),
}

impl Source {
    /// For people.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Source::Configuration(_) => "configuration",
            Source::Image(_) => "image",
        }
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Source::Configuration(path) | Source::Image(path) => path,
        }
    }

    /// Reads it. `in_service`: the file that a reload reads.
    ///
    /// # Errors
    /// It cannot be read, is bad, or has no customers.
    pub(super) fn read(&self, in_service: &Path) -> Result<Candidate, RpcError> {
        let file = match self {
            Source::Configuration(path) => path,
            Source::Image(_) => in_service,
        };
        let loaded = tuning::load(file).map_err(|diagnostics| reload::bad(&diagnostics))?;
        let mut priced = loaded.config.clone();
        if let Source::Image(path) = self {
            priced.rating.image = Some(path.clone());
        }
        let bad = |why: String| RpcError::new(code::BAD_CONFIGURATION, why);
        let decks = service::image_of(&priced).map_err(|error| bad(error.to_string()))?;
        let decks =
            decks.ok_or_else(|| bad(format!("{} has no [[customer]]: its calls go by [[route]]", file.display())))?;
        Ok(Candidate { source: self.clone(), loaded, decks })
    }
}

/// A candidate that may be asked.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) source: Source,
    /// The configuration that it is, or is tried with.
    pub(super) loaded: Loaded,
    pub(super) decks: Arc<DeckImage>,
}

impl Candidate {
    /// Its tables. Vendors have the quality that those in service have by that name.
    ///
    /// # Errors
    /// There is too much of something.
    pub(super) fn tables(&self, gathered: &Gathered) -> Result<Arc<Tables>, RpcError> {
        let (addresses, marks) = Default::default();
        let inputs = Inputs {
            config: &self.loaded.config,
            addresses: &addresses,
            marks: &marks,
            local_addresses: &[],
            decks: Some(&self.decks),
        };
        let tables = Tables::build(&inputs, gathered.picture.tables.as_deref());
        let bad = |error: modules::tables::TablesError| RpcError::new(code::BAD_CONFIGURATION, error.to_string());
        tables.map(Arc::new).map_err(bad)
    }

    /// Whether its file still says what was read.
    pub(super) fn is_as_read(&self, again: &Candidate) -> bool {
        let same_text = match self.source {
            Source::Configuration(_) => self.loaded.source == again.loaded.source,
            Source::Image(_) => true,
        };
        same_text && self.decks.hash() == again.decks.hash()
    }
}
