//! How the record lane does; read by the metrics.

use crate::metric::Metric;
use crate::snapshot::Sample;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// See the module.
#[derive(Debug, Default)]
pub struct RecordFigures {
    /// Records that are with the kernel.
    pub written: AtomicU64,
    /// Records that are lost: too many waited for the disk.
    pub lost: AtomicU64,
    /// Records that wait for the disk.
    pub waiting: AtomicU64,
    /// Events about calls whose beginning was lost.
    pub unknown: AtomicU64,
    /// Writes that returned.
    pub writes: AtomicU64,
    /// Writes that failed.
    pub failures: AtomicU64,
    /// Syncs that returned.
    pub syncs: AtomicU64,
    /// Syncs that failed.
    pub sync_failures: AtomicU64,
    /// The longest write, in microseconds.
    pub longest_micros: AtomicU64,
    /// The longest sync, in microseconds.
    pub longest_sync_micros: AtomicU64,
    /// Bytes of all files.
    pub bytes: AtomicU64,
    /// Answered calls that are known.
    pub open: AtomicU64,
    /// 1 while the disk does not work.
    pub broken: AtomicU64,
}

impl RecordFigures {
    /// As they are shown.
    pub(crate) fn samples(&self) -> impl Iterator<Item = Sample> {
        let figures = [
            (Metric::CallRecords, "written", &self.written),
            (Metric::CallRecords, "lost", &self.lost),
            (Metric::CallRecordsWaiting, "", &self.waiting),
            (Metric::Events, "call_event_without_beginning", &self.unknown),
            (Metric::RecordWrites, "written", &self.writes),
            (Metric::RecordWrites, "failed", &self.failures),
            (Metric::RecordWrites, "synced", &self.syncs),
            (Metric::RecordWrites, "sync_failed", &self.sync_failures),
            (Metric::RecordBytes, "", &self.bytes),
            (Metric::RecordedCalls, "", &self.open),
            (Metric::RecordsBroken, "", &self.broken),
            (Metric::RecordLongestWrite, "", &self.longest_micros),
            (Metric::RecordLongestSync, "", &self.longest_sync_micros),
        ];
        figures
            .map(|(metric, label, value)| Sample { metric, labels: [label, "", ""], value: value.load(Relaxed) })
            .into_iter()
    }
}
