//! The look-up of a transaction: `cargo bench -p proto --bench transactions`.
#![allow(missing_docs, reason = "criterion's macros document nothing")]

#[allow(dead_code, reason = "its main is for instruction counts")]
#[path = "../examples/find_transaction.rs"]
mod find_transaction;

use criterion::{Criterion, criterion_group, criterion_main};
use find_transaction::Table;
use std::time::Duration;

fn transactions(criterion: &mut Criterion) {
    let table = Table::filled();
    criterion.bench_function("transaction look-up among 100,000", |bencher| {
        bencher.iter_custom(|times| Duration::from_secs_f64(table.look_up(times)));
    });
}

criterion_group!(benches, transactions);
criterion_main!(benches);
