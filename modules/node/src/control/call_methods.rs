//! The methods `calls.*`: pages of live calls, counts of them, and ending one.
//!
//! Runs on the thread of the connection. Every part is one letter to one shard, so that many calls are read while they
//! go on.

use super::inbox::{Ask, Inbox};
use super::methods::{DEADLINE, late, params};
use super::rpc::{Outcome, RpcError};
use crate::reply::{CallLine, CallsEnded, Counted, Page, to_value};
use engine::ShardId;
use modules::calls::look::{CallLook, CallRow, EndCall};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Rows of one page, but for those of the last part.
const PAGE_ROWS: usize = 2_000;

/// Which calls are meant.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct List {
    /// What the caller's or the called number begins with, without `+`.
    number: String,
    customer: String,
    vendor: String,
    /// Where the last page ended.
    shard: u8,
    from: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Count {
    by: By,
    #[serde(default)]
    number: String,
    #[serde(default)]
    customer: String,
    #[serde(default)]
    vendor: String,
}

/// What calls are counted by.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    Customer,
    Vendor,
    Country,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    call_id: String,
}

/// A page of calls.
pub(super) fn list(inbox: &Inbox, given: Value) -> Outcome {
    let List { number, customer, vendor, shard, from } = params(given)?;
    let mut look = look_for(&number, &customer, &vendor);
    look.from = from;
    let mut walk = Walk { inbox, shard, look: Some(look) };
    let mut rows = Vec::new();
    while rows.len() < PAGE_ROWS && walk.part(|shard, row| rows.push(line_of(shard, &row)))? {}
    let next = walk.look.map(|look| (walk.shard, look.from));
    Ok(to_value(&Page { rows, next }))
}

/// How many calls there are, by kind.
pub(super) fn count(inbox: &Inbox, given: Value) -> Outcome {
    let Count { by, number, customer, vendor } = params(given)?;
    let mut walk = Walk { inbox, shard: 0, look: Some(look_for(&number, &customer, &vendor)) };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    while walk.part(|_, row| *counts.entry(kind_of(&row, by)).or_default() += 1)? {}
    let mut counts: Vec<_> = counts.into_iter().map(|(kind, count)| Counted { kind, count }).collect();
    counts.sort_by_key(|entry| std::cmp::Reverse(entry.count));
    Ok(to_value(&counts))
}

/// Ends the calls that have this Call-ID (forks have the same).
pub(super) fn end(inbox: &Inbox, given: Value) -> Outcome {
    let End { call_id } = params(given)?;
    let mut look = Box::new(CallLook::new());
    look.call_id = call_id.clone().into_bytes();
    let mut walk = Walk { inbox, shard: 0, look: Some(look) };
    let mut found = Vec::new();
    while walk.part(|shard, row| found.push((shard, row.number)))? {}
    let mut ended = 0;
    for (shard, number) in found {
        let asked = Box::new(EndCall { number, ended: false });
        let reply = inbox.ask(|reply| Ask::EndCall { shard: ShardId(shard), asked, reply }, DEADLINE);
        ended += u64::from(reply.ok_or_else(late)?.ended);
    }
    Ok(to_value(&CallsEnded { call_id, ended }))
}

/// Goes through all parts of all shards.
struct Walk<'i> {
    inbox: &'i Inbox,
    shard: u8,
    /// `None`: all have been seen.
    look: Option<Box<CallLook>>,
}

impl Walk<'_> {
    /// Sees one more part. False: there was none.
    fn part(&mut self, mut see: impl FnMut(u8, CallRow<'_>)) -> Result<bool, RpcError> {
        let Some(look) = self.look.take() else { return Ok(false) };
        let shard = ShardId(self.shard);
        let asked = self.inbox.ask(|reply| Ask::LookAtCalls { shard, look, reply }, DEADLINE);
        let Some(mut part) = asked else {
            // WHY no error behind the last shard: its channel is closed at once.
            return if self.shard == 0 { Err(late()) } else { Ok(false) };
        };
        part.rows().for_each(|row| see(self.shard, row));
        if part.done {
            self.shard += 1;
            part.from = 0;
        }
        self.look = Some(part);
        Ok(true)
    }
}

fn look_for(number: &str, customer: &str, vendor: &str) -> Box<CallLook> {
    let mut look = Box::new(CallLook::new());
    look.number = number.strip_prefix('+').unwrap_or(number).as_bytes().to_vec();
    look.customer = customer.as_bytes().to_vec();
    look.vendor = vendor.as_bytes().to_vec();
    look
}

fn line_of(shard: u8, row: &CallRow<'_>) -> CallLine {
    let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned());
    CallLine {
        call_id: some(row.call_id),
        caller: some(row.caller),
        called: some(row.called),
        customer: some(row.customer),
        vendor: some(row.vendor),
        gateway: some(row.gateway),
        seconds: row.seconds,
        ending: row.ending,
        shard,
    }
}

fn kind_of(row: &CallRow<'_>, by: By) -> String {
    let kind = match by {
        By::Customer => row.customer,
        By::Vendor => row.vendor,
        By::Country => country_code(row.called),
    };
    match (by, kind) {
        (_, []) => "none".to_owned(),
        (By::Country, code) => format!("+{}", String::from_utf8_lossy(code)),
        (_, name) => String::from_utf8_lossy(name).into_owned(),
    }
}

/// The country code of an E.164 number: one digit in the zones 1 and 7, two or three elsewhere (ITU-T E.164, list of
/// assigned country codes).
fn country_code(number: &[u8]) -> &[u8] {
    let digits = match number {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    };
    number.get(..digits).unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_codes_have_one_to_three_digits() {
        for (number, code) in [
            ("12125551234", "1"),
            ("79161234567", "7"),
            ("4930123", "49"),
            ("420123456", "420"),
            ("353123456", "353"),
            ("3912345", "39"),
            ("21261234", "212"),
            ("27123456", "27"),
            ("8801712", "880"),
            ("86101234", "86"),
            ("99890123", "998"),
            ("4", "4"),
            ("", ""),
        ] {
            assert_eq!(country_code(number.as_bytes()), code.as_bytes(), "{number}");
        }
    }
}
