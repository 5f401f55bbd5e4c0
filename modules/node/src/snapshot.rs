//! What a shard tells about itself when asked, and all shards' answers as one.
//!
//! A [`ShardSnapshot`] is allocated by the control lane with room for everything, filled by the shard
//! without allocating, and sent back. [`Totals`] adds them up.

use crate::metric::{Kind, LABELS_MAX, Metric};
use engine::ShardId;
use modules::{GatewaySnapshot, UnknownSource};
use std::collections::BTreeMap;

/// Most figures of one shard. What does not fit is counted in [`ShardSnapshot::left_out`].
pub const SAMPLES_MAX: usize = 1_024;

/// Labels of a figure, in the order of its definition; unused ones are empty.
pub type Labels = [&'static str; LABELS_MAX];

/// One figure of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which.
    pub metric: Metric,
    /// Its labels.
    pub labels: Labels,
    /// In the program's unit.
    pub value: u64,
}

/// What one shard knows. INVARIANT: filling it never allocates; every vector keeps its first capacity.
#[derive(Debug)]
pub struct ShardSnapshot {
    /// Who filled it.
    pub shard: ShardId,
    /// Which round of questions it belongs to; set by the control lane, kept by the shard.
    pub round: u64,
    samples: Vec<Sample>,
    /// Figures, gateways and sources that found no room.
    pub left_out: u64,
    gateways: Vec<GatewaySnapshot>,
    unknown: Vec<UnknownSource>,
}

impl ShardSnapshot {
    /// Room for so many gateways and unknown sources. Allocates; for lanes.
    pub fn with_room(gateways: usize, unknown: usize) -> Self {
        ShardSnapshot {
            shard: ShardId(0),
            round: 0,
            samples: Vec::with_capacity(SAMPLES_MAX),
            left_out: 0,
            gateways: Vec::with_capacity(gateways),
            unknown: Vec::with_capacity(unknown),
        }
    }

    /// Empties it for `shard`, which is about to fill it.
    pub fn begin(&mut self, shard: ShardId) {
        self.shard = shard;
        self.samples.clear();
        self.gateways.clear();
        self.unknown.clear();
        self.left_out = 0;
    }

    /// Adds a figure. Labels beyond those of its definition are ignored.
    pub fn count(&mut self, metric: Metric, labels: &[&'static str], value: u64) {
        let mut all: Labels = [""; LABELS_MAX];
        for (room, label) in all.iter_mut().zip(labels) {
            *room = label;
        }
        let sample = Sample { metric, labels: all, value };
        push(&mut self.samples, sample, &mut self.left_out);
    }

    /// Adds a gateway.
    pub fn gateway(&mut self, gateway: GatewaySnapshot) {
        push(&mut self.gateways, gateway, &mut self.left_out);
    }

    /// Adds an address whose requests were refused.
    pub fn unknown(&mut self, source: UnknownSource) {
        push(&mut self.unknown, source, &mut self.left_out);
    }

    /// The figures.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The gateways as this shard sees them.
    pub fn gateways(&self) -> &[GatewaySnapshot] {
        &self.gateways
    }

    /// The addresses that this shard refused.
    pub fn unknown_sources(&self) -> &[UnknownSource] {
        &self.unknown
    }
}

/// Adds within the capacity, or counts.
fn push<T>(list: &mut Vec<T>, item: T, left_out: &mut u64) {
    if list.len() < list.capacity() {
        list.push(item);
    } else {
        *left_out += 1;
    }
}

/// Key of a figure over all shards: which, its labels, and the shard where it is kept apart by shard.
pub type TotalKey = (Metric, Labels, Option<u8>);

/// Figures of all shards.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    figures: BTreeMap<TotalKey, u64>,
}

impl Totals {
    /// Adds a shard's figure as its kind says.
    pub fn add(&mut self, shard: ShardId, sample: &Sample) {
        let definition = sample.metric.definition();
        let shard = definition.by_shard.then_some(shard.0);
        let total = self.figures.entry((sample.metric, sample.labels, shard)).or_default();
        *total = match definition.kind {
            Kind::Counter | Kind::Gauge => total.saturating_add(sample.value),
            Kind::Peak => sample.value.max(*total),
        };
    }

    /// Every figure, in the order of [`Metric::ALL`], then by labels and shard.
    pub fn iter(&self) -> impl Iterator<Item = (&TotalKey, u64)> {
        self.figures.iter().map(|(key, value)| (key, *value))
    }

    /// The figures of one metric.
    pub fn of(&self, metric: Metric) -> impl Iterator<Item = (&Labels, Option<u8>, u64)> {
        self.figures
            .range((metric, [""; LABELS_MAX], None)..)
            .take_while(move |((found, ..), _)| *found == metric)
            .map(|((_, labels, shard), value)| (labels, *shard, *value))
    }

    /// Sum of all figures of one metric.
    pub fn sum(&self, metric: Metric) -> u64 {
        self.of(metric).map(|(_, _, value)| value).fold(0, u64::saturating_add)
    }
}
