//! The choice of a gateway among four: `cargo bench -p modules --bench dispatcher`.
#![allow(missing_docs, reason = "criterion's macros document nothing")]

#[allow(dead_code, reason = "its main is for instruction counts")]
#[path = "../examples/choose_gateway.rs"]
mod choose_gateway;

use choose_gateway::Set;
use criterion::{Criterion, criterion_group, criterion_main};

fn dispatcher(criterion: &mut Criterion) {
    for name in ["weighted", "round-robin", "least-calls", "hash-call-id"] {
        let mut set = Set::new(name);
        let mut hash = 0;
        criterion.bench_function(&format!("choice by {name}"), |bencher| {
            bencher.iter(|| {
                hash += 1;
                set.choose(hash)
            });
        });
    }
}

criterion_group!(benches, dispatcher);
criterion_main!(benches);
