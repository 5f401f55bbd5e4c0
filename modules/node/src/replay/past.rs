//! A call of the past, as its records tell it, and the attempts that failed before it was answered.

use super::judge::Now;
use crate::records::reader::{Mark, Portion, Reader};
use crate::records::shown;
use modules::Reason;
use modules::records::record::RecordKind;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// Where it came from.
    pub(crate) source: Option<SocketAddr>,
    /// Its Request-URI.
    pub(crate) uri: String,
    /// URI of From.
    pub(crate) from: Option<String>,
    /// P-Asserted-Identity, as its sender asserts it.
    pub(crate) identity: Option<String>,
    /// When its INVITE came, in microseconds since 1970.
    pub(crate) at_us: u64,
    /// How long it was; `None`: it was not answered.
    pub(crate) duration_us: Option<u64>,
    /// The vendor that had it; empty: none.
    pub(crate) vendor: String,
    /// Name of its destination.
    pub(crate) destination: String,
    /// What the customer paid, the vendor got, and what was left, as the record says it in the currency of the house.
    pub(crate) margin: Option<String>,
    /// Cost in the currency of the vendor's deck, and what one of it was in that of the house.
    pub(crate) cost: Option<(String, String)>,
    /// Vendors that failed it, or were passed over, before that one.
    pub(crate) failed: Vec<String>,
    /// Number that decks were asked with.
    pub(crate) routing: Option<String>,
    /// The process refused it for what no deck or trunk's rule says: caps, credit, alarms, records, load.
    pub(crate) turned_away: bool,
    /// It was an emergency.
    pub(crate) emergency: bool,
}

impl Past {
    /// The same call, had it gone as another decision says.
    pub(crate) fn decided_by(self, decision: Now) -> Past {
        let duration_us = self.duration_us.filter(|_| !decision.vendor.is_empty());
        let Now { vendor, destination, cost, margin, .. } = decision;
        Past { vendor, destination, cost, margin, duration_us, ..self }
    }
}

/// Attempts that wait for the record of their call: calls of which only attempts are there stop waiting at this many.
const WAITING_MAX: usize = 1_000_000;

/// Causes under which a process refuses calls whatever the decks and the rules of trunks are.
const TURNED_AWAY: [Reason; 7] = [
    Reason::CustomerCps,
    Reason::CustomerConcurrent,
    Reason::CustomerCredit,
    Reason::CustomerSpend,
    Reason::CustomerAlarm,
    Reason::RecordsClosed,
    Reason::HuntsFull,
];

/// Calls `each` with every call of a folder of records, or of JSON lines. How many lines or records could not be used.
///
/// # Errors
/// They cannot be read.
pub(super) fn read(from: &Path, each: &mut dyn FnMut(Past)) -> io::Result<u64> {
    let mut joining = Joining::default();
    if from.is_dir() {
        let mut reader = Reader::new(from, Mark::default());
        while let Some(portion) = reader.portion()? {
            joining.portion(&portion, each);
        }
        return Ok(joining.odd);
    }
    for line in BufReader::new(File::open(from)?).lines() {
        let line = line?;
        match serde_json::from_str(&line) {
            Ok(value) => joining.take(&value, each),
            Err(_) => joining.odd += u64::from(!line.trim().is_empty()),
        }
    }
    Ok(joining.odd)
}

/// Puts attempts and calls together.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    failed: HashMap<(u64, u64, u64), Vec<String>>,
    /// Records or lines that could not be used.
    pub(crate) odd: u64,
}

impl Joining {
    /// Calls `each` with every call of a portion of records.
    pub(crate) fn portion(&mut self, portion: &Portion, each: &mut dyn FnMut(Past)) {
        for told in portion.records() {
            if matches!(told.record.kind, RecordKind::Call | RecordKind::Attempt) {
                self.take(&shown::json(&told), each);
            }
        }
    }

    fn take(&mut self, record: &Value, each: &mut dyn FnMut(Past)) {
        let number = |name: &str| record.get(name).and_then(Value::as_u64).unwrap_or(0);
        let key = (number("node"), number("call_epoch"), number("call"));
        match text(record, "kind") {
            "attempt" if record.get("answer_time").is_none() => {
                if self.failed.len() >= WAITING_MAX {
                    self.failed.clear();
                }
                self.failed.entry(key).or_default().push(text(record, "vendor").to_owned());
            }
            "call" => {
                let failed = self.failed.remove(&key).unwrap_or_default();
                match past(record, failed) {
                    Some(past) => each(past),
                    None => self.odd += 1,
                }
            }
            _ => {}
        }
    }
}

fn text<'r>(record: &'r Value, name: &str) -> &'r str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn past(record: &Value, mut failed: Vec<String>) -> Option<Past> {
    let given = |name: &str| Some(text(record, name)).filter(|text| !text.is_empty()).map(str::to_owned);
    let at: jiff::Timestamp = text(record, "setup_time").parse().ok()?;
    let answered = record.get("answer_time").is_some();
    let vendor = text(record, "vendor").to_owned();
    failed.extend(before(record, &vendor).map(str::to_owned));
    // WHY: the vendor at which the hunt stopped is tried again, whatever it said, and its gateways one after the other.
    failed.retain(|name| *name != vendor);
    let cause = text(record, "cause");
    Some(Past {
        source: text(record, "customer_address").parse().ok(),
        uri: given("called_received")?,
        from: given("caller_received"),
        identity: given("identity_received"),
        at_us: u64::try_from(at.as_microsecond()).ok()?,
        duration_us: answered.then(|| record.get("duration_us").and_then(Value::as_u64).unwrap_or(0)),
        vendor,
        destination: given("buy_destination").or_else(|| given("sell_destination")).unwrap_or_default(),
        margin: given("margin"),
        cost: given("buy_amount").zip(given("buy_rate")),
        failed,
        emergency: record.get("emergency").and_then(Value::as_u64).unwrap_or(0) != 0,
        routing: given("routing_number"),
        turned_away: !answered && TURNED_AWAY.iter().any(|reason| reason.label() == cause),
    })
}

/// Vendors whose turn was before that of `vendor`, by the explanation of the choice; all where nobody had the call.
fn before<'r>(record: &'r Value, vendor: &'r str) -> impl Iterator<Item = &'r str> {
    let stood = record.get("choice").and_then(Value::as_array).into_iter().flatten();
    let routed = stood.filter(|stood| text(stood, "standing") == ROUTED).map(|stood| text(stood, "vendor"));
    routed.take_while(move |name| *name != vendor)
}

const ROUTED: &str = modules::class4::Standing::Routed.label();

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use serde_json::json;

    fn joined(records: &[Value]) -> Vec<Past> {
        let (mut joining, mut calls) = (Joining::default(), Vec::new());
        records.iter().for_each(|record| joining.take(record, &mut |past| calls.push(past)));
        assert_eq!(joining.odd, 0);
        calls
    }

    fn call(more: Value) -> Value {
        let mut call = json!({
            "kind": "call", "node": 1, "call_epoch": 7, "call": 1, "setup_time": "2026-01-31T14:00:00Z",
            "called_received": "sip:4930@x", "choice": [
                { "vendor": "a", "standing": "routed" }, { "vendor": "b", "standing": "routed" },
                { "vendor": "c", "standing": "routed" }, { "vendor": "d", "standing": "closed" },
            ],
        });
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    }

    #[test]
    fn who_failed_or_was_passed_over_fails_again_but_not_who_had_the_call() {
        let attempt =
            |vendor: &str| json!({ "kind": "attempt", "node": 1, "call_epoch": 7, "call": 1, "vendor": vendor });
        let answered = call(json!({ "vendor": "c", "answer_time": "2026-01-31T14:00:01Z", "duration_us": 5 }));
        let calls = joined(&[attempt("b"), attempt("c"), answered]);
        let mut failed = calls[0].failed.clone();
        failed.sort();
        failed.dedup();
        // a was at its cap, b refused, c's first gateway was down.
        assert_eq!((failed, calls[0].duration_us), (vec!["a".to_owned(), "b".to_owned()], Some(5)));
        let busy = joined(&[attempt("a"), call(json!({ "vendor": "a", "status": 486, "cause": "rejected" }))]);
        assert_eq!((busy[0].failed.len(), busy[0].turned_away), (0, false));
        let nobody = joined(&[call(json!({ "status": 503, "cause": "no_vendor" }))]);
        assert_eq!((nobody[0].failed.join(" "), nobody[0].turned_away), ("a b c".to_owned(), false));
        let capped = joined(&[call(json!({ "status": 503, "cause": "customer_cps" }))]);
        assert!(capped[0].turned_away);
    }
}
