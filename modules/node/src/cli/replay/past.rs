//! A call of the past, as its records tell it, and the attempts that failed before it was answered.

use crate::records::reader::{Mark, Reader};
use crate::records::shown;
use modules::records::record::RecordKind;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// Where it came from.
    pub(super) source: Option<SocketAddr>,
    /// Its Request-URI.
    pub(super) uri: String,
    /// URI of the caller's identity.
    pub(super) caller: Option<String>,
    /// When its INVITE came, in microseconds since 1970.
    pub(super) at_us: u64,
    /// How long it was; `None`: it was not answered.
    pub(super) duration_us: Option<u64>,
    /// The vendor that had it; empty: none.
    pub(super) vendor: String,
    /// Name of its destination.
    pub(super) destination: String,
    /// What the customer paid, the vendor got, and what was left, as the record says it in the currency of the house.
    pub(super) margin: Option<String>,
    /// Cost in the currency of the vendor's deck, and what one of it was in that of the house.
    pub(super) cost: Option<(String, String)>,
    /// Vendors that failed it.
    pub(super) failed: Vec<String>,
    /// It was an emergency.
    pub(super) emergency: bool,
}

/// Attempts that wait for the record of their call: calls of which only attempts are there stop waiting at this many.
const WAITING_MAX: usize = 1_000_000;

/// Calls `each` with every call of a folder of records, or of JSON lines. How many lines or records could not be used.
pub(super) fn read(from: &Path, each: &mut dyn FnMut(Past)) -> io::Result<u64> {
    let mut joining = Joining::default();
    if from.is_dir() {
        let mut reader = Reader::new(from, Mark::default());
        while let Some(portion) = reader.portion()? {
            for told in portion.records() {
                if matches!(told.record.kind, RecordKind::Call | RecordKind::Attempt) {
                    joining.take(&shown::json(&told), each);
                }
            }
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
#[derive(Default)]
struct Joining {
    failed: HashMap<(u64, u64, u64), Vec<String>>,
    odd: u64,
}

impl Joining {
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

fn past(record: &Value, failed: Vec<String>) -> Option<Past> {
    let given = |name: &str| Some(text(record, name)).filter(|text| !text.is_empty()).map(str::to_owned);
    let at: jiff::Timestamp = text(record, "setup_time").parse().ok()?;
    let answered = record.get("answer_time").is_some();
    Some(Past {
        source: text(record, "customer_address").parse().ok(),
        uri: given("called_received")?,
        caller: given("identity_received").or_else(|| given("caller_received")),
        at_us: u64::try_from(at.as_microsecond()).ok()?,
        duration_us: answered.then(|| record.get("duration_us").and_then(Value::as_u64).unwrap_or(0)),
        vendor: text(record, "vendor").to_owned(),
        destination: given("buy_destination").or_else(|| given("sell_destination")).unwrap_or_default(),
        margin: given("margin"),
        cost: given("buy_amount").zip(given("buy_rate")),
        failed,
        emergency: record.get("emergency").and_then(Value::as_u64).unwrap_or(0) != 0,
    })
}
