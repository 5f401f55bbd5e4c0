//! What the control socket answers with: the same types on the side of the server, which fills them,
//! and of the commands, which show them. Their JSON is the contract with scripts; fields are added,
//! never renamed.

use crate::disk::AdminEntry;
use crate::replay::outcome::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One address of one gateway: a line of `tandem gateways`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GatewayRow {
    /// Its set.
    pub set: String,
    /// Its name in the file.
    pub name: String,
    /// Where it is; none while its name has no address.
    pub address: Option<String>,
    /// Its share as configured.
    pub weight: u32,
    /// For the algorithm `priority`.
    pub priority: u32,
    /// up, trying, down, draining, disabled or unresolved.
    pub state: String,
    /// Why it is in that state.
    pub why: String,
    /// Since when: microseconds since 1970 (UTC).
    pub since: u64,
    /// Requests sent there outside dialogs since the process started, each attempt counted.
    pub attempts: u64,
    /// Calls that it answered.
    pub carried: u64,
    /// Calls that stand now.
    pub active: u64,
    /// Attempts that failed: no response, unreachable, or a failing final response.
    pub failed: u64,
    /// Failed attempts by cause.
    pub failed_by: BTreeMap<String, u64>,
    /// Time that the last answered probe took, in microseconds.
    pub probe_micros: Option<u64>,
    /// Responses from it that were not believed: forged branches and strange addresses.
    pub refused_responses: u64,
    /// Where the last of them came from.
    #[serde(default)]
    pub refused_from: Option<String>,
    /// An operator's decision about it.
    pub admin: Option<AdminEntry>,
}

/// `tandem gateways`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gateways {
    /// In the order of the file.
    pub gateways: Vec<GatewayRow>,
    /// Decisions about gateways that the configuration does not have now.
    pub absent: BTreeMap<String, AdminEntry>,
}

/// A customer's account: a line of `tandem credit`. Amounts are exact decimal numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditRow {
    /// The customer.
    pub customer: String,
    /// Of all amounts.
    pub currency: String,
    /// New calls need a balance above 0.
    pub credit: bool,
    /// What is left.
    pub balance: String,
    /// What was spent, running calls included.
    pub spent: String,
    /// What running calls cost a minute.
    pub a_minute: String,
    /// Spent in this hour of the clock (UTC).
    pub hour: String,
    /// Most that may be.
    pub hour_most: Option<String>,
    /// Spent in this day (UTC).
    pub day: String,
    /// Most that may be.
    pub day_most: Option<String>,
    /// Alarms since the start.
    pub alarms: u64,
    /// Until when new calls are refused for one, in seconds since 1970; 0: they are not.
    pub blocked_until: u64,
}

impl CreditRow {
    /// Why new calls are refused; `None`: they are not.
    pub fn refused(&self) -> Option<&'static str> {
        let amount = |text: &str| deck::money::Decimal::parse(text).ok();
        let used_up =
            |spent: &str, most: &Option<String>| most.as_ref().is_some_and(|most| amount(spent) >= amount(most));
        let empty = self.credit && amount(&self.balance).is_none_or(|balance| balance.units <= 0);
        match () {
            () if self.blocked_until > 0 => Some("refused: alarm"),
            () if empty => Some("refused: no balance"),
            () if used_up(&self.hour, &self.hour_most) => Some("refused: spend of the hour"),
            () if used_up(&self.day, &self.day_most) => Some("refused: spend of the day"),
            () => None,
        }
    }
}

/// `tandem credit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// One a customer.
    pub accounts: Vec<CreditRow>,
}

/// A refused address: a line of `tandem sources --unknown`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownSource {
    /// The address.
    pub address: String,
    /// Requests refused.
    pub count: u64,
    /// The first: microseconds since 1970 (UTC).
    pub first: u64,
    /// The last.
    pub last: u64,
    /// From of the last one, cut to a bound, bytes that are no text replaced.
    pub from: String,
    /// To of the last one.
    pub to: String,
}

/// `tandem sources --unknown`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownSources {
    /// The most frequent first.
    pub unknown: Vec<UnknownSource>,
}

/// One figure of `tandem stats`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its Prometheus name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value, in the unit that its name says.
    pub value: f64,
}

/// `tandem stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Version of the program.
    pub version: String,
    /// Seconds since the process started.
    pub uptime_seconds: u64,
    /// How new requests are served: normal, leaving or refusing.
    pub serving: String,
    /// Builds of the tables since start.
    pub generation: u64,
    /// Threads that carry traffic.
    pub shards: usize,
    /// Shards that did not answer in time; their figures are missing.
    pub silent_shards: Vec<u8>,
    /// io_uring or mmsg.
    pub driver: String,
    /// All figures.
    pub figures: Vec<Figure>,
}

/// `tandem reload`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reload {
    /// Where the configuration came from: a path, or "previous".
    pub from: String,
    /// What changed and holds now, a line each.
    pub changed: Vec<String>,
    /// What changed in the file and holds after a restart only, a line each.
    pub needs_restart: Vec<String>,
    /// Warnings about the file, as text.
    pub warnings: String,
    /// Number of the tables that hold now.
    pub generation: u64,
}

/// `tandem shadow`, `shadow status`, `shadow drop`. Amounts are exact decimal numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shadow {
    /// empty, evaluating or failed.
    pub(crate) state: String,
    /// configuration or image.
    pub(crate) kind: String,
    /// Its file.
    pub(crate) path: PathBuf,
    /// Hash of its image of decks.
    pub(crate) image: String,
    /// Who put it there.
    pub(crate) who: String,
    /// When: microseconds since 1970 (UTC).
    pub(crate) since: u64,
    /// Seconds since then.
    pub(crate) seconds: u64,
    /// Margin of an hour, as calls went.
    pub(crate) margin_an_hour_before: String,
    /// As they would have gone.
    pub(crate) margin_an_hour_after: String,
    /// What would have changed.
    pub(crate) outcome: Outcome,
    /// What went wrong.
    pub(crate) note: Option<String>,
}

/// `tandem shadow promote`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Promoted {
    /// What changed.
    pub(crate) reload: Reload,
    /// A file that has to be put in place, so that the next start or reload finds it; the command does it.
    pub(crate) in_place: Option<InPlace>,
    /// What went wrong.
    pub(crate) note: Option<String>,
}

/// What is in service and where it is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InPlace {
    /// The candidate's file.
    pub(crate) from: PathBuf,
    /// Where a start and a reload look.
    pub(crate) to: PathBuf,
}

/// `tandem drain`, `tandem undrain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// How new requests are served from now on: normal, leaving or refusing.
    pub serving: String,
    /// Seconds until new calls get 503; none when they do already, or nothing drains.
    pub refusing_in_seconds: Option<u64>,
}

/// A gateway was disabled, enabled or drained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayChanged {
    /// Its name.
    pub name: String,
    /// Decision before: enabled, draining or disabled.
    pub before: String,
    /// Decision now.
    pub now: String,
}

/// `tandem bans`, and what came of other errands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bans {
    /// Who is shut out.
    pub bans: Vec<Ban>,
    /// Bans that are not listed, or that were lifted.
    pub count: u64,
}

/// One who is shut out for failed proofs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// From where.
    pub address: String,
    /// Whose proofs failed; empty: the whole address is shut out.
    pub username: String,
    /// Failed proofs.
    pub failures: u32,
    /// Since when, in microseconds since 1970.
    pub since: u64,
    /// Until when.
    pub until: u64,
}

/// Parameters as JSON; none of these types can fail to be written.
pub fn to_value(reply: &impl Serialize) -> Value {
    serde_json::to_value(reply).unwrap_or(Value::Null)
}

/// One call: a line of `tandem calls`. What is not known of one that is no customer's is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLine {
    /// Its Call-ID.
    pub call_id: Option<String>,
    /// User part of the caller's From.
    pub caller: Option<String>,
    /// The called number with its country code.
    pub called: Option<String>,
    /// The customer.
    pub customer: Option<String>,
    /// The vendor.
    pub vendor: Option<String>,
    /// The gateway that answered.
    pub gateway: Option<String>,
    /// Seconds since its answer.
    pub seconds: u32,
    /// It is being ended by Tandem.
    pub ending: bool,
    /// The shard that it lives on.
    pub shard: u8,
}

/// `tandem calls end`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsEnded {
    /// The Call-ID.
    pub call_id: String,
    /// Calls that are being ended.
    pub ended: u64,
}

/// One binding: a line of `tandem registrations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegistrationRow {
    /// The user, escapes undone.
    pub user: String,
    /// Its domain.
    pub domain: String,
    /// The Contact URI, as it came.
    pub contact: String,
    /// Seconds that are left; 0: it is over, and stands a little longer.
    pub expires: u32,
    /// Preference.
    pub q: f64,
    /// Where the REGISTER came from.
    pub source: String,
    /// User-Agent, as far as it is kept.
    pub agent: String,
    /// The Call-ID that registered it.
    pub call_id: String,
    /// Its CSeq.
    pub cseq: u32,
    /// Path values (RFC 3327).
    pub path: Option<String>,
    /// Instance (RFC 5626).
    pub instance: Option<String>,
    /// Flow of that instance (RFC 5626).
    pub reg_id: Option<u32>,
}

/// A page of a long list: `tandem registrations`, `tandem calls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<R> {
    /// Rows, in no order.
    pub rows: Vec<R>,
    /// `shard` and `from` of the next page; none: this was the last.
    pub next: Option<(u8, u32)>,
}

/// A line of such a list's `--count`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What is counted together: a domain, an agent, a customer, ...
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// `tandem registrations remove`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unregistered {
    /// The domain.
    pub domain: String,
    /// The user.
    pub user: String,
    /// Bindings that are gone.
    pub removed: u64,
}
