//! Names that are watched: each is looked up again when its answer is over, for as long as it is wanted.

use super::locate::{Located, Lookup};
use super::{Report, Service, Sink, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// Lookups of watched names that are under way at the same time.
const AT_ONCE_MAX: usize = 16;

/// What is known of a watched name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// These are its addresses.
    Fresh(Vec<Target>),
    /// These were its addresses; since then no lookup has brought any, for this reason.
    Stale(Vec<Target>, String),
    /// No lookup has ever brought an address, for this reason.
    Unresolved(String),
}

impl Watched {
    /// The addresses to use.
    pub fn targets(&self) -> &[Target] {
        match self {
            Watched::Fresh(targets) | Watched::Stale(targets, _) => targets,
            Watched::Unresolved(_) => &[],
        }
    }

    /// What is known after another lookup.
    fn then(self, located: Located) -> Watched {
        let why = match located {
            Located::Found(mut targets, _) => {
                targets.sort_unstable();
                return Watched::Fresh(targets);
            }
            Located::Nothing(_) => "the name has no address".to_owned(),
            Located::Failed(why) => why,
        };
        match self {
            Watched::Fresh(targets) | Watched::Stale(targets, _) => Watched::Stale(targets, why),
            Watched::Unresolved(_) => Watched::Unresolved(why),
        }
    }
}

/// The names that are watched now.
#[derive(Debug)]
pub(super) struct Watches {
    tasks: BTreeMap<Service, AbortHandle>,
    at_once: Arc<Semaphore>,
}

impl Default for Watches {
    fn default() -> Self {
        Watches { tasks: BTreeMap::new(), at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }
}

impl Watches {
    /// Watches exactly `wanted`: what is watched already goes on undisturbed.
    pub(super) fn set(&mut self, wanted: BTreeSet<Service>, lookup: &Arc<Lookup>, sink: &Sink) {
        self.tasks.retain(|service, task| {
            let stays = wanted.contains(service);
            if !stays {
                task.abort();
            }
            stays
        });
        for service in wanted {
            let start = || {
                let watch = watch(service.clone(), Arc::clone(lookup), Arc::clone(sink), Arc::clone(&self.at_once));
                tokio::spawn(watch).abort_handle()
            };
            self.tasks.entry(service.clone()).or_insert_with(start);
        }
    }
}

async fn watch(service: Service, lookup: Arc<Lookup>, sink: Sink, at_once: Arc<Semaphore>) {
    let mut known = Watched::Unresolved(String::new());
    loop {
        let located = {
            let _place = at_once.acquire().await;
            lookup.locate(&service).await
        };
        let again = match &located {
            Located::Found(_, holds) => *holds,
            Located::Nothing(_) | Located::Failed(_) => lookup.settings.ttl_min,
        };
        let now = known.clone().then(located);
        if now != known {
            known = now;
            sink(Report::Watched(service.clone(), known.clone()));
        }
        tokio::time::sleep(again).await;
    }
}
