//! Loops across carriers in the log: a line for each that shards have found, both carriers named.

use crate::log::{Level, Log, Record};
use modules::Tables;
use modules::class4::loops::Found;
use modules::tables::Number;

/// Writes those that were found since the last time. The log's own bound keeps a flood of them off the disk.
pub(super) fn say(tables: &Tables, log: &Log) {
    let Some(trunks) = &tables.class4 else { return };
    let (found, missing) = trunks.loops.take_told();
    let names = |number: Number| match trunks.customer(number) {
        Some(customer) => (customer.name.to_string(), customer.carrier_name.to_string()),
        None => ("one that is gone".to_owned(), String::new()),
    };
    for Found { customer, before, caller, called } in found {
        let ((back_from, back_carrier), (first, first_carrier)) = (names(customer), names(before.customer));
        let record = Record::new(Level::Warn, "carrier-loop")
            .with("customer", back_from)
            .with("carrier", back_carrier)
            .with("first_customer", first)
            .with("first_carrier", first_carrier)
            .with("caller", caller.to_string())
            .with("called", called.to_string())
            .with("after_ms", before.ago.0 / 1_000);
        log.send(record);
    }
    if missing > 0 {
        log.send(Record::new(Level::Warn, "carrier-loop").with("not_shown", missing));
    }
}
