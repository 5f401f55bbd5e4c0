//! The control lane's part in authentication: questions of shards go on to the sources of accounts, errands of operators
//! go round all shards.

use super::inbox::Reply;
use super::lane::{Control, wall_micros};
use crate::accounts::{AccountLanes, Columns, Dialect, Report, Servers, Settings, Sink, SourceConfig, Tls};
use crate::errand::{Errand, Wish};
use crate::letter::Letter;
use crate::log::{Level, Record};
use crate::metric::Metric;
use crate::module_question::ModuleQuestion;
use crate::reply::{Ban, Bans};
use crate::snapshot::Sample;
use modules::class4::dip::answer;
use modules::question::{Asked, Subject};
use std::collections::BTreeMap;
use tuning::{Accounts, Config, DatabaseTls, RadiusDialect};

/// Sources of accounts, and errands under way.
pub struct AccountDesk {
    lanes: AccountLanes,
    sink: Sink,
    errands: BTreeMap<u64, Waiting>,
    next: u64,
}

struct Waiting {
    /// Boxes that are still with shards.
    out: usize,
    done: Bans,
    reply: Reply<Bans>,
}

impl AccountDesk {
    /// With the sources of a configuration.
    ///
    /// # Errors
    /// A source that cannot be prepared, with why.
    pub fn start(config: &Config, sink: Sink) -> Result<Self, String> {
        let lanes = AccountLanes::start(sources(config), &AccountLanes::default(), settings(config), &sink)?;
        Ok(AccountDesk { lanes, sink, errands: BTreeMap::new(), next: 0 })
    }

    /// Other sources, maybe, after a reload.
    ///
    /// # Errors
    /// As for [`AccountDesk::start`]; the sources stay as they are.
    pub fn follow(&mut self, config: &Config) -> Result<(), String> {
        self.lanes = AccountLanes::start(sources(config), &self.lanes, settings(config), &self.sink)?;
        Ok(())
    }

    /// The sources in figures.
    pub(super) fn samples(&self) -> impl Iterator<Item = Sample> + '_ {
        self.lanes.figures().flat_map(|(kind, figures)| {
            let sample = |metric, outcome, value| Sample { metric, labels: [kind, outcome, ""], value };
            [
                sample(Metric::AccountSources, "", 1),
                sample(Metric::AccountSourcesUp, "", u64::from(figures.up)),
                sample(Metric::AccountQuestions, "answered", figures.answered),
                sample(Metric::AccountQuestions, "failed", figures.failed),
                sample(Metric::AccountQuestions, "turned_away", figures.turned_away),
            ]
        })
    }
}

impl Control {
    /// A shard's question, to the source of its domain, or to who knows ported numbers.
    pub(super) fn ask_source(&mut self, question: Box<ModuleQuestion>) {
        let asked = Asked::of_number(question.number).map(|asked| asked.subject);
        if asked == Some(Subject::RoutingNumber) {
            let refused = match &self.lnp {
                Some(lnp) => lnp.ask(question).err(),
                None => Some(question),
            };
            if let Some(mut question) = refused {
                question.reply(answer::FAILED, b"");
                self.shards.post(question.from, Letter::Answered(question));
            }
            return;
        }
        if let Err(mut question) = self.accounts.lanes.ask(question) {
            question.reply(0, b"");
            self.shards.post(question.from, Letter::Answered(question));
        }
    }

    /// What a source has to say.
    pub(super) fn account_report(&mut self, report: Report) {
        match report {
            Report::Answer(question) => self.shards.post(question.from, Letter::Answered(question)),
            Report::State { source, up: true, .. } => {
                self.log.send(Record::new(Level::Info, "accounts-up").with("source", source).always());
            }
            Report::State { source, up: false, why } => {
                let record = Record::new(Level::Error, "accounts-down").with("source", source).with("why", why);
                self.log.send(record.always());
            }
        }
    }

    /// Sends an errand round.
    pub(super) fn send_errand(&mut self, wish: &Wish, who: &str, reply: Reply<Bans>) {
        if let Wish::Lift { source, username } = wish {
            let username = username.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let record = Record::new(Level::Info, "ban-lifted").with("source", source.to_string());
            self.log.send(record.with("username", username).with("user", who).always());
        }
        let number = self.accounts.next;
        self.accounts.next += 1;
        let out = self.shards.count();
        self.accounts.errands.insert(number, Waiting { out, done: Bans::default(), reply });
        self.shards.post_all(|| Letter::Errand(Box::new(Errand::new(number, wish.clone()))));
    }

    /// A box is back.
    pub(super) fn errand_back(&mut self, errand: &Errand) {
        let Some(waiting) = self.accounts.errands.get_mut(&errand.number) else { return };
        waiting.out = waiting.out.saturating_sub(1);
        waiting.done.count += errand.count;
        let now = wall_micros();
        waiting.done.bans.extend(errand.bans.iter().map(|ban| Ban {
            address: ban.source.to_string(),
            username: String::from_utf8_lossy(ban.username()).into_owned(),
            failures: ban.failures,
            since: ban.since.0,
            until: now.saturating_add(ban.left.0),
        }));
        if waiting.out == 0
            && let Some(waiting) = self.accounts.errands.remove(&errand.number)
        {
            // WHY ignored: whoever asked may have gone away.
            let _ = waiting.reply.send(waiting.done);
        }
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        deadline: config.authentication.source_deadline,
        under_way_max: usize::try_from(config.authentication.source_questions).unwrap_or(usize::MAX),
    }
}

/// Domains with accounts, and their sources.
pub fn sources(config: &Config) -> Vec<(String, SourceConfig)> {
    let source = |domain: &tuning::Domain| Some((domain.name.to_string(), source_of(domain.accounts.as_ref()?)?));
    config.domains.iter().filter_map(source).collect()
}

fn source_of(accounts: &Accounts) -> Option<SourceConfig> {
    if let Some(path) = &accounts.file {
        return Some(SourceConfig::File(path.clone()));
    }
    if let Some(path) = &accounts.sqlite {
        return Some(SourceConfig::Sqlite(path.clone()));
    }
    let tls = || match accounts.tls {
        DatabaseTls::Off => Tls::Off,
        DatabaseTls::Require => Tls::Encrypted,
        DatabaseTls::Verify => Tls::Verified(accounts.tls_authorities.clone()),
    };
    let columns = || Columns {
        table: accounts.table.clone(),
        username: accounts.username_column.clone(),
        domain: accounts.domain_column.clone(),
        password: accounts.password_column.clone(),
        ha1: accounts.ha1_column.clone(),
        ha1b: accounts.ha1b_column.clone(),
        sha256: accounts.sha256_column.clone(),
        sha512_256: accounts.sha512_256_column.clone(),
    };
    if let Some(connection) = &accounts.postgres {
        return Some(SourceConfig::Postgres(connection.clone(), tls(), columns()));
    }
    if let Some(connection) = &accounts.mysql {
        return Some(SourceConfig::MySql(connection.clone(), tls(), columns()));
    }
    let servers = Servers {
        names: accounts.radius.clone(),
        secret: accounts.radius_secret.as_ref().map_or("", tuning::Secret::reveal).as_bytes().to_vec(),
        dialect: match accounts.radius_dialect {
            RadiusDialect::Rfc5090 => Dialect::Rfc5090,
            RadiusDialect::Sterman => Dialect::Sterman,
        },
        wait: accounts.radius_wait,
        tries: accounts.radius_tries,
        authenticator_required: accounts.radius_authenticator_required,
        append_realm: accounts.radius_append_realm,
    };
    (!servers.names.is_empty()).then_some(SourceConfig::Radius(servers))
}
