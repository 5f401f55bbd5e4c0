//! Trouble that figures tell of, as lines in the log: so many refused for want of room, so many datagrams
//! lost, so many calls from addresses that are nobody's, since the last look.
//!
//! WHY figures: shards count everything anyway, so trouble costs them nothing more, and a flood of it is
//! a line every few seconds.

use super::gather::Gathered;
use crate::log::{Level, Log, Record};
use crate::metric::Metric;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// What is trouble: a metric, its first label (none: all of them), the event's word, how bad it is.
const TROUBLE: &[(Metric, Option<&str>, &str, Level)] = &[
    (Metric::Rejected, Some("no_room"), "pool-full", Level::Error),
    (Metric::Rejected, Some("call_table_full"), "pool-full", Level::Error),
    (Metric::Timers, Some("refused"), "pool-full", Level::Error),
    (Metric::DatagramsLost, None, "datagrams-lost", Level::Error),
    (Metric::HandOversShed, None, "hand-overs-shed", Level::Error),
    (Metric::Letters, Some("refused"), "letters-refused", Level::Error),
    (Metric::Rejected, Some("no_gateway"), "no-gateway", Level::Warn),
    (Metric::Rejected, Some("no_route"), "no-route", Level::Warn),
    (Metric::Rejected, Some("loop"), "loop", Level::Warn),
    (Metric::Rejected, Some("dialog_unproven"), "forged-request", Level::Warn),
    (Metric::Rejected, Some("dialog_target"), "forged-request", Level::Warn),
    (Metric::Dropped, Some("cancel_from_elsewhere"), "forged-request", Level::Warn),
    (Metric::Dropped, Some("response_not_ours"), "forged-response", Level::Warn),
    (Metric::Dropped, Some("response_from_elsewhere"), "forged-response", Level::Warn),
    (Metric::UnknownSources, None, "unknown-sources", Level::Warn),
];

/// The figures as they were at the last look.
#[derive(Debug)]
pub(super) struct Notices {
    seen: BTreeMap<(Metric, &'static str), u64>,
    last: Instant,
}

impl Notices {
    /// Everything is at zero `now`.
    pub(super) fn new(now: Instant) -> Self {
        Notices { seen: BTreeMap::new(), last: now }
    }

    /// Logs what has grown since the last look, if that is long enough ago.
    pub(super) fn look(&mut self, gathered: &Gathered, now: Instant, log: &Log) {
        let since = now.saturating_duration_since(self.last);
        if since < INTERVAL {
            return;
        }
        self.last = now;
        for (metric, wanted, event, level) in TROUBLE {
            for (labels, _, total) in gathered.totals.of(*metric) {
                let what = labels.first().copied().unwrap_or_default();
                if wanted.is_some_and(|wanted| wanted != what) {
                    continue;
                }
                let before = self.seen.insert((*metric, what), total).unwrap_or_default();
                // A shard that was silent this time is missing from the total: it will be back.
                if let Some(more @ 1..) = total.checked_sub(before) {
                    log.send(
                        Record::new(*level, event)
                            .with("what", what)
                            .with("count", more)
                            .with("seconds", since.as_secs())
                            .with("total", total),
                    );
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::log::{Format, Style};
    use crate::snapshot::Sample;
    use engine::ShardId;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl crate::log::Outlet for Sink {}
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn gathered(counts: &[(Metric, &'static str, u64)]) -> Gathered {
        let mut gathered = Gathered::default();
        for (metric, label, value) in counts {
            let sample = Sample { metric: *metric, labels: [label, "", ""], value: *value };
            gathered.totals.add(ShardId(0), &sample);
        }
        gathered
    }

    #[test]
    fn trouble_is_a_line_each_interval_and_the_rest_is_none() {
        let sink = Sink::default();
        let style = Style { level: Level::Info, format: Format::Text, lines_per_second: 20 };
        let (log, thread) = Log::start(style, sink.clone()).unwrap();
        let start = Instant::now();
        let mut notices = Notices::new(start);
        let first =
            [(Metric::Rejected, "no_room", 7), (Metric::Rejected, "max_forwards", 9), (Metric::UnknownSources, "", 3)];
        notices.look(&gathered(&first), start + INTERVAL / 2, &log);
        notices.look(&gathered(&first), start + INTERVAL, &log);
        notices.look(&gathered(&first), start + INTERVAL * 2, &log);
        notices.look(&gathered(&[(Metric::Rejected, "no_room", 2)]), start + INTERVAL * 3, &log);
        notices.look(&gathered(&[(Metric::Rejected, "no_room", 12)]), start + INTERVAL * 4, &log);
        drop(log);
        thread.join().unwrap();
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(
            lines,
            [
                "error pool-full what=no_room count=7 seconds=5 total=7",
                "warn unknown-sources what=\"\" count=3 seconds=5 total=3",
                "error pool-full what=no_room count=10 seconds=5 total=12",
            ]
        );
    }
}
