//! Where accounts are: lanes that ask files, databases and RADIUS servers for what shards need to know of a user.
//!
//! Each source has a thread of its own, so that one that hangs holds up nobody else's. A question is answered at the
//! latest at its deadline; so many are under way at most, and of the same question asked twice one goes out
//! ([`desk`]). A source that fails again and again is left alone for a moment. Who asks gets "failed" then, and
//! that REGISTER gets 503; what shards remember of users goes on.
//!
//! | File | Holds |
//! |---|---|
//! | `desk` | questions in, answers out: deadline, budget, single flight, breaker |
//! | `source` | which source a domain has |
//! | `stored` | what is stored of an account, and the HA1s that it yields |
//! | `file` | a TOML file |
//! | `sqlite`, `store` | the embedded database, asked; and kept by `tandem accounts` |
//! | `import` | CSV and dumps of Kamailio's `subscriber` |
//! | `columns`, `postgres`, `mysql` | databases with Kamailio's columns, or others |
//! | `tls` | TLS to databases |
//! | `radius` | RADIUS servers that judge proofs themselves |

mod columns;
mod desk;
mod file;
pub mod import;
mod mysql;
mod postgres;
mod radius;
mod source;
mod sqlite;
pub mod store;
mod stored;
#[cfg(test)]
mod tests;
mod tls;

pub use columns::Columns;
pub use desk::{Figures, Report, Settings, Sink};
pub use file::{FileAccount, read as read_file};
pub use radius::{Dialect, Servers};
pub use source::SourceConfig;
pub use stored::Stored;
pub use tls::Tls;

use crate::module_question::ModuleQuestion;
use desk::Lane;
use modules::authentication::question::Query;
use std::sync::Arc;

/// The ways to all sources. A source's thread ends when this is dropped.
#[derive(Debug, Default)]
pub struct AccountLanes {
    lanes: Vec<(SourceConfig, Arc<Lane>)>,
    /// Domain, and its place in `lanes`.
    domains: Vec<(Box<[u8]>, usize)>,
}

impl AccountLanes {
    /// Starts a thread for each source; domains with the same source share it. Those of `previous` that stay go on.
    ///
    /// # Errors
    /// No thread or no runtime is to be had.
    pub fn start(
        domains: Vec<(String, SourceConfig)>,
        previous: &AccountLanes,
        settings: Settings,
        sink: &Sink,
    ) -> Result<Self, String> {
        let mut all = AccountLanes::default();
        for (domain, config) in domains {
            let place = match all.lanes.iter().position(|(known, _)| *known == config) {
                Some(place) => place,
                None => {
                    let kept =
                        previous.lanes.iter().find(|(known, _)| *known == config).map(|(_, lane)| Arc::clone(lane));
                    let lane = match kept.filter(|lane| lane.settings() == settings) {
                        Some(lane) => lane,
                        None => Arc::new(Lane::start(&config, settings, Arc::clone(sink))?),
                    };
                    all.lanes.push((config, lane));
                    all.lanes.len() - 1
                }
            };
            all.domains.push((domain.into_bytes().into(), place));
        }
        Ok(all)
    }

    /// Takes a shard's question; gives it back when its domain has no source or its source's desk is full. Never waits.
    ///
    /// # Errors
    /// The question, to be answered with a failure.
    pub fn ask(&self, question: Box<ModuleQuestion>) -> Result<(), Box<ModuleQuestion>> {
        let domain = Query::read(question.bytes()).map(|query| query.domain);
        let place = domain.and_then(|domain| self.domains.iter().find(|(name, _)| **name == *domain));
        match place.and_then(|(_, place)| self.lanes.get(*place)) {
            Some((_, lane)) => lane.ask(question),
            None => Err(question),
        }
    }

    /// Each source, by its kind.
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, Figures)> + '_ {
        self.lanes.iter().map(|(config, lane)| (config.kind(), lane.figures()))
    }
}
