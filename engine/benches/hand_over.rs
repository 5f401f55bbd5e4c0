//! A frame from shard to shard: `cargo bench -p engine --bench hand_over`. Needs two cores that are free.
#![allow(missing_docs, reason = "criterion's macros document nothing")]

#[allow(dead_code, reason = "its main is for instruction counts")]
#[path = "../examples/hand_over.rs"]
mod hand_over;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hand_over::{BATCH, apart, shards, together};
use std::time::Duration;

/// Frames of one measurement between two cores: its begin and end must not count.
const FRAMES: u64 = 100_000;

fn hand_over(criterion: &mut Criterion) {
    let mut both = shards();
    criterion.bench_function("frame handed over, between two cores", |bencher| {
        bencher.iter_custom(|times| {
            let seconds = apart(&mut both, FRAMES);
            Duration::from_secs_f64(seconds / FRAMES as f64 * times as f64)
        });
    });
    let mut group = criterion.benchmark_group("on one core");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("batch of frames handed over", |bencher| {
        bencher.iter(|| together(&mut both, BATCH));
    });
    group.finish();
}

criterion_group!(benches, hand_over);
criterion_main!(benches);
