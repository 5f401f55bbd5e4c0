//! What a shard tells about itself when asked, and all shards' answers as one.
//!
//! A [`ShardSnapshot`] is allocated by the control lane with room for everything, filled by the shard
//! without allocating, and sent back. [`Totals`] adds them up.

use crate::metric::{Kind, LABELS_MAX, Metric};
use engine::ShardId;
use modules::dispatcher::figures::GatewaySnapshot;
use modules::sources::UnknownSource;
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
    /// Which round of questions it belongs to; set by the control lane, kept by the shard.
    pub round: u64,
    /// Who filled it.
    pub shard: ShardId,
    /// Whether refused addresses are asked for: they are many and seldom wanted.
    pub wants_unknown: bool,
    /// Figures, gateways and addresses that found no room.
    pub left_out: u64,
    samples: Vec<Sample>,
    gateways: Vec<GatewaySnapshot>,
    unknown: Vec<UnknownSource>,
}

impl ShardSnapshot {
    /// Room for so many gateways and refused addresses. Allocates; for lanes.
    pub fn with_room(gateways: usize, unknown: usize) -> Self {
        ShardSnapshot {
            round: 0,
            shard: ShardId(0),
            wants_unknown: false,
            left_out: 0,
            samples: Vec::with_capacity(SAMPLES_MAX),
            gateways: Vec::with_capacity(gateways),
            unknown: Vec::with_capacity(unknown),
        }
    }

    /// Whether it has room for so many.
    pub fn has_room(&self, gateways: usize, unknown: usize) -> bool {
        self.gateways.capacity() >= gateways && self.unknown.capacity() >= unknown
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

    /// Adds an address whose requests were refused, if they are asked for.
    pub fn unknown(&mut self, source: UnknownSource) {
        if self.wants_unknown {
            push(&mut self.unknown, source, &mut self.left_out);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_snapshot_counts_what_it_leaves_out_and_never_grows() {
        let mut snapshot = ShardSnapshot::with_room(0, 0);
        for _ in 0..SAMPLES_MAX + 5 {
            snapshot.count(Metric::Calls, &[], 1);
        }
        assert_eq!((snapshot.samples().len(), snapshot.left_out), (SAMPLES_MAX, 5));
        snapshot.begin(ShardId(1));
        assert_eq!((snapshot.samples().len(), snapshot.left_out), (0, 0));
    }

    #[test]
    fn figures_of_shards_are_added_peaks_are_not() {
        let mut totals = Totals::default();
        let sample = |metric, labels, value| Sample { metric, labels, value };
        for (shard, value) in [(0, 5), (1, 7)] {
            totals.add(ShardId(shard), &sample(Metric::Requests, ["INVITE", "in", ""], value));
            totals.add(ShardId(shard), &sample(Metric::Busy, [""; LABELS_MAX], value));
        }
        totals.add(ShardId(0), &sample(Metric::Requests, ["BYE", "in", ""], 1));
        assert_eq!(
            totals.of(Metric::Requests).map(|(labels, _, value)| (labels[0], value)).collect::<Vec<_>>(),
            [("BYE", 1), ("INVITE", 12)]
        );
        assert_eq!(
            totals.of(Metric::Busy).map(|(_, shard, value)| (shard, value)).collect::<Vec<_>>(),
            [(Some(0), 5), (Some(1), 7)]
        );
        assert_eq!(totals.sum(Metric::Busy), 12);
    }
}
