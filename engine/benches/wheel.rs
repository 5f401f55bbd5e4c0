//! The timers of a call on the wheel: `cargo bench -p engine --bench wheel`.
#![allow(missing_docs, reason = "criterion's macros document nothing")]

#[allow(dead_code, reason = "its main is for instruction counts")]
#[path = "../examples/turn_wheel.rs"]
mod turn_wheel;

use criterion::{Criterion, criterion_group, criterion_main};
use turn_wheel::Turning;

fn wheel(criterion: &mut Criterion) {
    let mut turning = Turning::filled();
    criterion.bench_function("two timers armed, one disarmed, one fired, among 100,000", |bencher| {
        bencher.iter(|| turning.turn(1));
    });
}

criterion_group!(benches, wheel);
criterion_main!(benches);
