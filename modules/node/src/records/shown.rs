//! A record as people and programs read it: JSON with a key for each field that it has, a line of CSV with a column for
//! each that there is.

use super::reader::Told;
use modules::records::choice;
use modules::records::field::{self, Field, Kind, Read};
use modules::records::sdp::codecs;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Columns before those of the fields.
const FIRST: [&str; 5] = ["kind", "node", "epoch", "sequence", "record_time"];

/// Microseconds since 1970 as a time.
pub fn time(us: u64) -> String {
    let time = i64::try_from(us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    time.map_or_else(|| us.to_string(), |time| format!("{time:.6}"))
}

/// The fields that are shown, each once: what came later holds.
fn fields<'b>(told: &Told<'b>) -> BTreeMap<Field, &'b [u8]> {
    let known = Read(told.record.fields).filter_map(|(number, bytes, _)| Some((Field::of_number(number)?, bytes)));
    known.filter(|(field, _)| field.kind() != Kind::Inner).collect()
}

/// A text field of a record.
pub fn text(told: &Told<'_>, field: Field) -> String {
    String::from_utf8_lossy(field::find(told.record.fields, field).unwrap_or_default()).into_owned()
}

/// As JSON.
pub fn json(told: &Told<'_>) -> Value {
    let mut object = Map::new();
    object.insert("kind".into(), told.record.kind.name().into());
    object.insert("node".into(), told.node.into());
    object.insert("epoch".into(), told.epoch.into());
    object.insert("sequence".into(), told.record.sequence.into());
    object.insert("record_time".into(), time(told.record.at).into());
    for (field, bytes) in fields(told) {
        object.insert(field.name().into(), value(field, bytes));
    }
    Value::Object(object)
}

fn value(field: Field, bytes: &[u8]) -> Value {
    match field.kind() {
        Kind::Number => field::as_number(bytes).map_or(Value::Null, Value::from),
        Kind::Codecs => codecs(bytes).collect(),
        Kind::Choice => choice::read(bytes)
            .into_iter()
            .map(|stood| {
                json!({
                    "vendor": stood.vendor, "standing": stood.standing, "prefix": stood.prefix,
                    "price": stood.price.map(|price| price.to_string()), "currency": stood.currency,
                })
            })
            .collect(),
        _ => Value::String(plain(field, bytes)),
    }
}

/// As one word.
fn plain(field: Field, bytes: &[u8]) -> String {
    let number = || field::as_number(bytes).unwrap_or(0);
    match field.kind() {
        // WHY no NUL: databases refuse texts with one.
        Kind::Text | Kind::Inner => String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}"),
        Kind::Time => time(number()),
        Kind::Number => number().to_string(),
        Kind::Decimal => field::as_decimal(bytes).map_or_else(String::new, |decimal| decimal.to_string()),
        Kind::Address => field::as_address(bytes).map_or_else(String::new, |address| address.to_string()),
        Kind::Increments => field::as_increments(bytes)
            .map_or_else(String::new, |steps| format!("{}/{}", steps.initial, steps.subsequent)),
        Kind::Codecs => codecs(bytes).collect::<Vec<_>>().join(" "),
        Kind::Choice => {
            let word = |stood: choice::Stood| {
                let price = stood.price.map_or_else(String::new, |price| format!(" {price} {}", stood.currency));
                format!("{}{price}: {}", stood.vendor, stood.standing)
            };
            choice::read(bytes).into_iter().map(word).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Names of the columns of CSV.
pub fn columns() -> Vec<&'static str> {
    let fields = Field::ALL.iter().filter(|field| field.kind() != Kind::Inner).map(|field| field.name());
    FIRST.into_iter().chain(fields).collect()
}

/// A line of CSV: the columns' values.
pub fn row(told: &Told<'_>) -> Vec<String> {
    let fields = fields(told);
    let first = [
        told.record.kind.name().to_owned(),
        told.node.to_string(),
        told.epoch.to_string(),
        told.record.sequence.to_string(),
        time(told.record.at),
    ];
    let values = Field::ALL.iter().filter(|field| field.kind() != Kind::Inner);
    let values = values.map(|field| fields.get(field).map_or_else(String::new, |bytes| plain(*field, bytes)));
    first.into_iter().chain(values).collect()
}
