//! The methods `registrations.*`: pages of bindings, counts of them, and taking a user's away.
//!
//! Runs on the thread of the connection. Every part is one letter to one shard, so that a million bindings are read
//! while calls go on.

use super::inbox::{Ask, Inbox};
use super::methods::{DEADLINE, late, params};
use super::rpc::{Outcome, RpcError, code};
use crate::reply::{Counted, Page, RegistrationRow, Unregistered, to_value};
use engine::ShardId;
use modules::registrar::{Look, Row, Unregister};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Rows of one page, but for those of the last part.
const PAGE_ROWS: usize = 2_000;

/// Kinds that a count tells apart; the rest is one more.
const COUNTED_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    #[serde(default)]
    domain: String,
    #[serde(default)]
    user: String,
    /// The user is only a beginning.
    #[serde(default)]
    prefix: bool,
    /// Where the last page ended.
    #[serde(default)]
    shard: u8,
    #[serde(default)]
    from: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Count {
    by: By,
    #[serde(default)]
    domain: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    prefix: bool,
}

/// What bindings are counted by.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Domain,
    Agent,
    Expiry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remove {
    domain: String,
    user: String,
}

/// A page of bindings.
pub(super) fn list(inbox: &Inbox, given: Value) -> Outcome {
    let List { domain, user, prefix, shard, from } = params(given)?;
    let mut walk = Walk { inbox, shard, look: Some(look_for(&domain, &user, prefix, from)) };
    let mut rows = Vec::new();
    while rows.len() < PAGE_ROWS && walk.part(|row| rows.push(row_of(&row)))? {}
    let next = walk.look.map(|look| (walk.shard, look.from));
    Ok(to_value(&Page { rows, next }))
}

/// How many bindings there are, by kind.
pub(super) fn count(inbox: &Inbox, given: Value) -> Outcome {
    let Count { by, domain, user, prefix } = params(given)?;
    let mut walk = Walk { inbox, shard: 0, look: Some(look_for(&domain, &user, prefix, 0)) };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    while walk.part(|row| {
        let kind = kind_of(&row, by);
        let known = counts.len() < COUNTED_MAX || counts.contains_key(&kind);
        *counts.entry(if known { kind } else { "others".to_owned() }).or_default() += 1;
    })? {}
    let mut counts: Vec<_> = counts.into_iter().map(|(kind, count)| Counted { kind, count }).collect();
    if !matches!(by, By::Expiry) {
        counts.sort_by_key(|entry| std::cmp::Reverse(entry.count));
    }
    Ok(to_value(&counts))
}

/// Takes all bindings of a user away.
pub(super) fn remove(inbox: &Inbox, given: Value) -> Outcome {
    let Remove { domain, user } = params(given)?;
    let mut removed = 0;
    for shard in 0..u8::MAX {
        let asked = Unregister { domain: domain.clone().into_bytes(), user: user.clone().into_bytes(), removed: None };
        let asked = Box::new(asked);
        let Some(reply) = inbox.ask(|reply| Ask::Unregister { shard: ShardId(shard), asked, reply }, DEADLINE) else {
            break;
        };
        let why = || RpcError::new(code::INTERNAL, "the journal cannot be written: nothing is changed");
        removed += reply.removed.ok_or_else(why)?;
    }
    Ok(to_value(&Unregistered { domain, user, removed: removed as u64 }))
}

/// Goes through all parts of all shards.
struct Walk<'i> {
    inbox: &'i Inbox,
    shard: u8,
    /// `None`: all have been seen.
    look: Option<Box<Look>>,
}

impl Walk<'_> {
    /// Sees one more part. False: there was none.
    fn part(&mut self, mut see: impl FnMut(Row<'_>)) -> Result<bool, RpcError> {
        let Some(look) = self.look.take() else { return Ok(false) };
        let shard = ShardId(self.shard);
        let asked = self.inbox.ask(|reply| Ask::Look { shard, look, reply }, DEADLINE);
        let Some(mut part) = asked else {
            // WHY no error behind the last shard: its channel is closed at once.
            return if self.shard == 0 { Err(late()) } else { Ok(false) };
        };
        part.rows().for_each(&mut see);
        if part.done {
            self.shard += 1;
            part.from = 0;
        }
        self.look = Some(part);
        Ok(true)
    }
}

fn look_for(domain: &str, user: &str, prefix: bool, from: u32) -> Box<Look> {
    let (domain, user) = (domain.as_bytes().to_vec(), user.as_bytes().to_vec());
    let mut look = Look::new(domain, user, prefix);
    look.from = from;
    Box::new(look)
}

fn row_of(row: &Row<'_>) -> RegistrationRow {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| text(bytes));
    let binding = &row.binding;
    RegistrationRow {
        user: text(row.user),
        domain: text(row.domain),
        contact: text(binding.contact),
        expires: row.left,
        q: f64::from(binding.q) / 1_000.0,
        source: binding.source.to_string(),
        agent: text(binding.agent),
        call_id: text(binding.call_id),
        cseq: binding.cseq,
        path: some(binding.path),
        instance: some(binding.instance),
        reg_id: (binding.reg_id != 0).then_some(binding.reg_id),
    }
}

fn kind_of(row: &Row<'_>, by: By) -> String {
    match by {
        By::Domain => String::from_utf8_lossy(row.domain).into_owned(),
        By::Agent if row.binding.agent.is_empty() => "none given".to_owned(),
        By::Agent => String::from_utf8_lossy(row.binding.agent).into_owned(),
        // In minutes, so that the order of the texts is that of the numbers.
        By::Expiry => format!("{:>5} min", row.left.div_ceil(60)),
    }
}
