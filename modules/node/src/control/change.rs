//! What operators and name servers change: decisions, reloads, drain, addresses. Each change is taken
//! into service as a whole, written to the log with who asked for it, and kept by the disk lane.

use super::admin;
use super::drain::{Ending, word};
use super::lane::{Control, End, wall_micros};
use super::names::Names;
use super::rpc::{RpcError, code};
use crate::admin::AdminState;
use crate::disk::{AdminEntry, AdminStates, Job, Saved};
use crate::dns::{Service, Watched};
use crate::letter::Letter;
use crate::log::{Level, Record};
use crate::notify;
use crate::reply::{self, GatewayChanged};
use modules::Tables;
use modules::class4::DeckImage;
use modules::tables::Inputs;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use tuning::{Config, Effect, Loaded};

/// Changes of a reload that are written to the log, one a line; of more the number is.
const CHANGES_LOGGED_MAX: usize = 100;

impl Control {
    fn decks_in_service(&self) -> Option<&Arc<DeckImage>> {
        self.tables.class4.as_ref().map(|trunks| &trunks.image)
    }

    /// Makes tables of `config` and what is known, and gives them to all shards, with what phones need if they have it
    /// not yet. `decks`: `None` for those in service.
    fn install(&mut self, config: &Config, admin: &AdminStates, decks: Option<Arc<DeckImage>>) -> Result<(), RpcError> {
        let decks = decks.or_else(|| self.decks_in_service().cloned());
        let inputs = Inputs {
            config,
            addresses: &self.names.addresses(),
            marks: &admin::marks(admin),
            local_addresses: &self.local_addresses,
            decks: decks.as_ref(),
        };
        let tables = Tables::build(&inputs, Some(&self.tables))
            .map_err(|error| RpcError::new(code::BAD_CONFIGURATION, format!("it cannot be carried: {error}")))?;
        let outfits = self.outfitter.outfit(config, &tables).map_err(|why| {
            RpcError::new(code::REFUSED, format!("phones cannot register: {why}; what was in service still is"))
        })?;
        self.journal = outfits.journal.or_else(|| self.journal.take());
        for (shard, outfit) in self.shards.ids().zip(outfits.outfits) {
            self.shards.post(shard, Letter::Outfit(Box::new(outfit)));
        }
        self.tables = Arc::new(tables);
        self.credit.restore(&self.tables);
        let tables = Arc::clone(&self.tables);
        self.shards.post_all(|| Letter::Install(Arc::clone(&tables)));
        Ok(())
    }

    pub(super) fn watch_names(&self) {
        if !self.dns.watch(Names::wanted(&self.config)) {
            self.log.send(
                Record::new(Level::Error, "dns-busy").with("what", "names of gateways are not looked up").always(),
            );
        }
    }

    pub(super) fn learn(&mut self, service: Service, news: Watched) {
        let (level, why) = match &news {
            Watched::Fresh(_) => (Level::Info, ""),
            Watched::Stale(_, why) | Watched::Unresolved(why) => (Level::Warn, why.as_str()),
        };
        let addresses: Vec<_> = news.targets().iter().map(|target| target.address.to_string()).collect();
        let mut record = Record::new(level, "name").with("name", service.host.as_str());
        record = record.with("addresses", addresses.join(" ")).with("why", why);
        self.log.send(record);
        if self.names.learn(service, news) {
            let (config, admin) = (Arc::clone(&self.config), Arc::clone(&self.admin));
            if let Err(error) = self.install(&config, &admin, None) {
                self.log.send(Record::new(Level::Error, "name").with("why", error.message).always());
            }
        }
    }

    pub(super) fn decide(
        &mut self,
        name: &str,
        state: Option<AdminState>,
        who: String,
        why: String,
    ) -> Result<(GatewayChanged, Receiver<Saved>), RpcError> {
        let mut states = AdminStates::clone(&self.admin);
        let log = Record::new(Level::Info, "gateway-decision").with("user", who.as_str()).with("why", why.as_str());
        let entry = state.map(|state| AdminEntry { state, who, why, since: wall_micros() });
        let changed = admin::decide(&mut states, &self.config, name, entry)?;
        let config = Arc::clone(&self.config);
        self.install(&config, &states, None)?;
        self.admin = Arc::new(states);
        let saved = self.disk.submit(Job::Admin(AdminStates::clone(&self.admin)));
        let log = log.with("gateway", name).with("was", changed.before.as_str()).with("now", changed.now.as_str());
        self.log.send(log.always());
        Ok((changed, saved))
    }

    /// All or nothing: the new configuration holds on return, or what held still does.
    pub(super) fn reload(
        &mut self,
        next: &Loaded,
        decks: Option<Arc<DeckImage>>,
        from: String,
        forced: bool,
        who: &str,
    ) -> Result<(reply::Reload, Receiver<Saved>), RpcError> {
        let outcome = self.try_reload(next, decks, from, forced);
        self.count_reload(outcome.is_ok());
        match &outcome {
            Ok(reply) => self.log_reload(reply, who),
            Err(error) => self.log.send(
                Record::new(Level::Error, "reload-refused")
                    .with("user", who)
                    .with("why", error.message.as_str())
                    .always(),
            ),
        }
        outcome.map(|reply| (reply, self.disk.submit(Job::Good(next.source.to_string()))))
    }

    fn try_reload(
        &mut self,
        next: &Loaded,
        decks: Option<Arc<DeckImage>>,
        from: String,
        forced: bool,
    ) -> Result<reply::Reload, RpcError> {
        let mut running = Cow::Borrowed(&*self.config);
        if !self.outfitter.has_registrar() {
            // WHY: nothing was made by these yet.
            let running = running.to_mut();
            running.registrar = next.config.registrar.clone();
            running.authentication = next.config.authentication.clone();
        }
        let reload = tuning::reload(&running, next, forced).map_err(|refusal| {
            let hint = if matches!(refusal, tuning::Refusal::Unsafe(_)) { " (--force)" } else { "" };
            RpcError::new(code::REFUSED, format!("{refusal}{hint}; what was in service still is"))
        })?;
        let (live, restart): (Vec<_>, Vec<_>) = reload.changes.iter().partition(|change| change.effect == Effect::Live);
        let hash = |decks: Option<&Arc<DeckImage>>| decks.map(|decks| decks.hash());
        let (before, after) = (hash(self.decks_in_service()), hash(decks.as_ref()));
        let others = after.is_some() && before != after;
        if !live.is_empty() || others {
            let wanted = Names::wanted(&reload.config);
            let admin = Arc::clone(&self.admin);
            self.install(&reload.config, &admin, decks)?;
            self.names.keep(&wanted);
        }
        if let Err(why) = self.accounts.follow(&reload.config) {
            self.log.send(Record::new(Level::Error, "accounts-not-followed").with("why", why).always());
        }
        self.config = Arc::new(reload.config);
        self.watch_names();
        let lines = |changes: Vec<&tuning::Change>| changes.iter().map(ToString::to_string).collect();
        let mut changed: Vec<String> = lines(live);
        changed.extend(after.filter(|_| others).map(|hash| format!("image of decks: now {hash}")));
        Ok(reply::Reload {
            from,
            changed,
            needs_restart: lines(restart),
            warnings: if next.warnings.is_empty() { String::new() } else { next.warnings.render(false) },
            generation: self.tables.generation,
        })
    }

    pub(super) fn count_reload(&mut self, done: bool) {
        let [taken, refused] = &mut self.reloads;
        *(if done { taken } else { refused }) += 1;
    }

    fn log_reload(&self, reply: &reply::Reload, who: &str) {
        let changes = reply.changed.iter().chain(&reply.needs_restart);
        for change in changes.clone().take(CHANGES_LOGGED_MAX) {
            self.log.send(Record::new(Level::Info, "reload-change").with("change", change.as_str()).always());
        }
        self.log.send(
            Record::new(Level::Info, "reload")
                .with("user", who)
                .with("from", reply.from.as_str())
                .with("changes", changes.count())
                .with("generation", reply.generation)
                .always(),
        );
    }

    pub(super) fn serve(&mut self, drain: bool, who: &str, now: Instant) -> reply::Drain {
        if drain {
            self.drain.begin(now, Duration::from_secs(u64::from(self.config.drain_new_calls_seconds)));
        } else if self.ending.is_none() {
            self.drain.end();
        }
        self.announce_serving(who);
        reply::Drain { serving: word(self.drain.serving()).into(), refusing_in_seconds: self.drain.refusing_in(now) }
    }

    /// SIGTERM or SIGINT.
    pub(super) fn terminate(&mut self, now: Instant) -> Option<End> {
        if self.ending.is_some() {
            self.log.send(Record::new(Level::Warn, "end").with("why", "a second signal").always());
            return Some(End::AtOnce);
        }
        notify::stopping();
        self.drain.refuse();
        self.announce_serving("signal");
        let longest = Duration::from_secs(u64::from(self.config.drain_seconds));
        self.ending = Some(Ending::new(now, longest));
        self.next_end_look = now;
        None
    }

    pub(super) fn announce_serving(&mut self, who: &str) {
        let serving = self.drain.serving();
        self.shards.post_all(|| Letter::Serve(serving));
        self.log.send(Record::new(Level::Info, "serving").with("now", word(serving)).with("user", who).always());
    }
}
