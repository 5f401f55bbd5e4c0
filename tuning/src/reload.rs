//! A reload: what differs, what of it holds at once, and when a file is refused.
//!
//! Called by the node when the file is read again; the running configuration changes only when
//! [`reload`] says `Ok`, and then as a whole.

use crate::check::check;
use crate::config::{Config, SourceGroup};
use crate::diagnostic::Severity;
use crate::environment::Environment;
use crate::load::Loaded;
use crate::read::{Marks, OffOr};
use crate::resolve::resolve;
use crate::schema::{Effect, Key, Section, show};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// What a reload does.
#[derive(Clone, Debug)]
pub struct Reload {
    /// What holds from now on: the new file, but what needs a restart as it runs.
    pub config: Config,
    /// Everything that differs, in the order of the file's sections.
    pub changes: Vec<Change>,
}

/// One difference between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about: `set carriers, gateway 192.0.2.1:5060, weight`.
    pub subject: String,
    /// What stood there.
    pub old: Option<String>,
    /// What stands there now.
    pub new: Option<String>,
    /// Whether it holds at once.
    pub effect: Effect,
}

/// Why a reload changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It would take away so much that it is probably a mistake; done when forced.
    Unsafe(String),
    /// It mixes changes that need a restart with changes that need those.
    NeedsRestart(String),
}

/// Prepares the change from the running configuration to a file that was read and checked.
///
/// # Errors
///
/// When the file would empty a set or take away more than half of all gateways and is not `forced`,
/// or when it can only hold as a whole after a restart.
pub fn reload(running: &Config, next: &Loaded, forced: bool) -> Result<Reload, Refusal> {
    if let Some(refusal) = guard(running, &next.config).filter(|_| !forced) {
        return Err(Refusal::Unsafe(refusal));
    }
    if running.customers.is_empty() && !next.config.customers.is_empty() {
        let why = "the first [[customer]] needs room for hunting, which is reserved at the start";
        return Err(Refusal::NeedsRestart(why.to_owned()));
    }
    let mut config = next.config.clone();
    Section::keep_restart(&mut config, running);
    // WHY: marks of the file would not fit; what the file itself says has been checked already.
    let marks = Marks::default();
    let mut findings = resolve(&mut config, &marks);
    if findings.is_empty() {
        findings = check(&config, &marks, &Environment::unknown());
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<_> = errors.map(|finding| finding.message.as_str()).collect();
    if !errors.is_empty() {
        return Err(Refusal::NeedsRestart(errors.join("; ")));
    }
    let changes = Config::difference(running, &next.config);
    Ok(Reload { config, changes })
}

/// Why `next` is probably a mistake; `None`: it is not.
pub fn guard(running: &Config, next: &Config) -> Option<String> {
    for set in &running.sets {
        let emptied = next.sets.iter().any(|new| new.name == set.name && new.gateways.is_empty());
        if emptied && !set.gateways.is_empty() {
            return Some(format!("it would take all {} gateways from the set `{}`", set.gateways.len(), set.name));
        }
    }
    let targets = |config: &Config| -> HashSet<String> {
        let gateways = config.sets.iter().flat_map(|set| &set.gateways);
        gateways.map(|gateway| gateway.uri.to_string()).collect()
    };
    let (old, new) = (targets(running), targets(next));
    let gone = old.difference(&new).count();
    (gone * 2 > old.len()).then(|| format!("it would take away {gone} of {} gateways", old.len()))
}

impl Config {
    /// Everything that differs between two configurations.
    pub fn difference(old: &Config, new: &Config) -> Vec<Change> {
        let mut changes = Vec::new();
        compare_tables(&mut changes, "", &without_copies(old), &without_copies(new), &Config::keys());
        changes.extend(changed_secrets(old, new));
        changes
    }
}

/// Secrets that differ where what is shown of them does not.
fn changed_secrets(old: &Config, new: &Config) -> Vec<Change> {
    let mut pairs = Vec::new();
    for domain in &new.domains {
        let before = old.domains.iter().find(|before| before.name == domain.name);
        if let (Some(before), Some(after)) = (before.and_then(|before| before.accounts.as_ref()), &domain.accounts)
            && before.print_table() == after.print_table()
        {
            let subject = format!("domain {}, accounts", domain.name);
            pairs.push((subject, Effect::Live, before.secrets(), after.secrets()));
        }
    }
    if let (OffOr::On(before), OffOr::On(after)) = (&old.records, &new.records)
        && before.print_table() == after.print_table()
    {
        pairs.push(("records".to_owned(), Effect::Restart, before.secrets(), after.secrets()));
    }
    let changes = pairs.into_iter().flat_map(|(subject, effect, before, after)| {
        let differ = before.into_iter().zip(after).filter(|(before, after)| before != after);
        let changes = differ.map(move |((key, _), _)| Change {
            subject: format!("{subject}, {key}: another secret"),
            old: None,
            new: None,
            effect,
        });
        changes.collect::<Vec<_>>()
    });
    changes.collect()
}

/// The group that `sources` makes is the same thing twice.
fn without_copies(config: &Config) -> toml::Table {
    let mut config = config.clone();
    if !config.sources.is_empty() {
        config.source_groups.retain(|group| group.name != SourceGroup::DEFAULT_NAME);
    }
    config.print_table()
}

fn compare_tables(changes: &mut Vec<Change>, subject: &str, old: &toml::Table, new: &toml::Table, keys: &[Key]) {
    for key in keys {
        let (before, after) = (old.get(key.name), new.get(key.name));
        if before == after {
            continue;
        }
        let subject = if subject.is_empty() { key.name.to_owned() } else { format!("{subject}, {}", key.name) };
        match (before, after, key.kind.table_keys()) {
            (Some(toml::Value::Table(before)), Some(toml::Value::Table(after)), Some(keys)) => {
                compare_tables(changes, &subject, before, after, &keys);
            }
            (Some(toml::Value::Array(before)), Some(toml::Value::Array(after)), Some(keys)) => {
                compare_lists(changes, &subject, before, after, &keys, key.effect);
            }
            _ => changes.push(Change { subject, old: before.map(show), new: after.map(show), effect: key.effect }),
        }
    }
}

/// Lists of tables: entries with a name are the same when the name is; others when all is.
fn compare_lists(
    changes: &mut Vec<Change>,
    subject: &str,
    old: &[toml::Value],
    new: &[toml::Value],
    keys: &[Key],
    effect: Effect,
) {
    let named = keys.iter().any(|key| key.name == "name");
    let identity = |entry: &toml::Value| match entry.get("name").and_then(toml::Value::as_str) {
        Some(name) if named => name.to_owned(),
        _ => show(entry),
    };
    let subject_of = |id: &str| if named { format!("{subject} {id}") } else { subject.to_owned() };
    let by_identity = |list: &[toml::Value]| -> HashMap<String, toml::Value> {
        list.iter().map(|entry| (identity(entry), entry.clone())).collect()
    };
    let (in_old, in_new) = (by_identity(old), by_identity(new));
    let before_changes = changes.len();
    for entry in old {
        let id = identity(entry);
        match (in_new.get(&id), entry) {
            (Some(toml::Value::Table(after)), toml::Value::Table(before)) if named => {
                compare_tables(changes, &subject_of(&id), before, after, keys);
            }
            (Some(_), _) => {}
            (None, _) => changes.push(Change { subject: subject_of(&id), old: Some(show(entry)), new: None, effect }),
        }
    }
    for entry in new {
        let id = identity(entry);
        if !in_old.contains_key(&id) {
            changes.push(Change { subject: subject_of(&id), old: None, new: Some(show(entry)), effect });
        }
    }
    if changes.len() == before_changes {
        let order = |list: &[toml::Value]| Some(list.iter().map(&identity).collect::<Vec<_>>().join(", "));
        changes.push(Change { subject: format!("{subject}, order"), old: order(old), new: order(new), effect });
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.old, &self.new) {
            (None, Some(new)) => write!(formatter, "{}: added: {new}", self.subject),
            (Some(old), None) => write!(formatter, "{}: removed: {old}", self.subject),
            (Some(old), Some(new)) => write!(formatter, "{}: {old} becomes {new}", self.subject),
            (None, None) => write!(formatter, "{}", self.subject),
        }?;
        formatter.write_str(match self.effect {
            Effect::Live => "",
            Effect::Restart => " (after a restart)",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unsafe(why) => write!(formatter, "refused: {why}; force it if it is meant so"),
            Refusal::NeedsRestart(why) => write!(formatter, "refused: without a restart, {why}"),
        }
    }
}

impl std::error::Error for Refusal {}
