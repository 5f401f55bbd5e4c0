//! The engine's counters under the names of [`Metric`].

use crate::metric::Metric;
use crate::snapshot::{Labels, Sample};
use engine::{ShardStats, XdpCounters};

/// All counters of one shard. One that has no place of its own here is an event under its own name.
pub(super) fn samples(stats: &ShardStats) -> impl Iterator<Item = Sample> {
    stats.all().map(|(name, value)| {
        let (metric, label) = place(name);
        let labels: Labels = [label, "", ""];
        Sample { metric, labels, value }
    })
}

/// What AF_XDP's programs counted, on all interfaces together.
pub(super) fn of_programs(counters: &XdpCounters) -> impl Iterator<Item = Sample> {
    counters.all().map(|(verdict, value)| Sample { metric: Metric::XdpPackets, labels: [verdict, "", ""], value })
}

fn place(name: &'static str) -> (Metric, &'static str) {
    match name {
        "frames_in" => (Metric::Datagrams, "in"),
        "frames_out" => (Metric::Datagrams, "out"),
        "bytes_in" => (Metric::Bytes, "in"),
        "bytes_out" => (Metric::Bytes, "out"),
        "frames_truncated" => (Metric::DatagramsLost, "truncated"),
        "frames_unreadable" => (Metric::DatagramsLost, "unreadable"),
        "kernel_drops" => (Metric::DatagramsLost, "receive_buffer"),
        "deferred_drops" => (Metric::DatagramsLost, "register_buffer"),
        "send_no_slot" => (Metric::DatagramsLost, "no_send_slot"),
        "send_failed" => (Metric::DatagramsLost, "send_failed"),
        "send_repeated" => (Metric::Repeats, "send"),
        "receive_out_of_buffers" => (Metric::Repeats, "receive_out_of_buffers"),
        "receive_rearmed" => (Metric::Repeats, "receive_rearmed"),
        "hand_over_in" => (Metric::HandOvers, "in"),
        "hand_over_out" => (Metric::HandOvers, "out"),
        "hand_over_shed_new_call" => (Metric::HandOversShed, "new_call"),
        "hand_over_shed_other" => (Metric::HandOversShed, "other"),
        "hand_over_held_stream" => (Metric::HandOversShed, "stream_held"),
        "letters_in" => (Metric::Letters, "received"),
        "letters_out" => (Metric::Letters, "posted"),
        "letters_refused" => (Metric::Letters, "refused"),
        "timers_fired" => (Metric::Timers, "fired"),
        "timers_refused" => (Metric::Timers, "refused"),
        "timers_armed" => (Metric::TimersArmed, ""),
        "turns" => (Metric::Turns, ""),
        "busy_micros" => (Metric::Busy, ""),
        "wait_micros" => (Metric::Wait, ""),
        "longest_turn_micros" => (Metric::LongestTurn, ""),
        "longest_queue_micros" => (Metric::LongestQueue, ""),
        other => (Metric::Events, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_counter_has_one_place() {
        let stats = ShardStats::default();
        stats.frames_in.add(5);
        let places: Vec<_> = samples(&stats).map(|sample| (sample.metric, sample.labels)).collect();
        assert_eq!(places.len(), places.iter().collect::<BTreeSet<_>>().len());
        assert!(samples(&stats).any(|sample| (sample.metric, sample.value) == (Metric::Datagrams, 5)));
        // What a driver counts of itself is an event by design.
        let is_stray = |place: &&(Metric, [&str; 3])| place.0 == Metric::Events && !place.1[0].starts_with("xdp_");
        let strays: Vec<_> = places.iter().filter(is_stray).collect();
        assert!(strays.len() < places.len() / 4, "counters without a place of their own: {strays:?}");
    }
}
