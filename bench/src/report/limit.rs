//! Whether the generator itself was the limit: then the figures say nothing of the target.

use proto::time::Micros;

use super::{latency::Timed, tally::Failure, totals::Totals};

/// What the engine counted on all shards of the generator.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct EngineCounts {
    /// Datagrams that came faster than the generator read them.
    pub kernel_drops: u64,
    /// Sends without a free slot.
    pub send_no_slot: u64,
    /// Sends that the kernel refused.
    pub send_failed: u64,
    /// Timers that could not be armed.
    pub timers_refused: u64,
    /// Longest turn of a shard, in microseconds.
    pub longest_turn_us: u64,
    /// Time that shards were ready to run while others had their cores, in microseconds.
    pub waited_for_core_us: u64,
}

/// A start that is later than this for more than one call in a hundred is late.
const LAG_P99_MAX: Micros = Micros::from_millis(5);
/// A shard that works more than this share of the time has no reserve.
const BUSY_MAX: f64 = 0.95;

/// A shard that waits longer than this share of the time for its core shares it with somebody.
const WAITED_MAX: f64 = 0.02;

/// The reasons why the generator was the limit; empty: it was not.
pub fn reasons(totals: &Totals, engine: &EngineCounts, elapsed: Micros) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(lag) = totals.latencies.figures(Timed::Lag)
        && lag.p99 > LAG_P99_MAX.0
    {
        reasons.push(format!("calls started late: {:.1} ms for one in a hundred", lag.p99 as f64 / 1e3));
    }
    for (shard, cpu) in totals.cpu.iter().enumerate() {
        let busy = cpu.0 as f64 / elapsed.0.max(1) as f64;
        if busy > BUSY_MAX {
            reasons.push(format!("shard {shard} used {:.0} % of its core", busy * 100.0));
        }
    }
    let all_time = elapsed.0.max(1) as f64 * totals.cpu.len().max(1) as f64;
    let waited = engine.waited_for_core_us as f64 / all_time;
    if waited > WAITED_MAX {
        reasons.push(format!("other programs had its cores for {:.0} % of the time", waited * 100.0));
    }
    let no_place = totals.caller.failures[Failure::NoPlace as usize];
    if no_place > 0 {
        reasons.push(format!("{no_place} calls found no place (raise --max-active)"));
    }
    for (count, what) in [
        (engine.kernel_drops, "datagrams came faster than they were read"),
        (engine.send_no_slot, "datagrams found no room to be sent"),
        (engine.send_failed, "datagrams were refused by the kernel"),
        (engine.timers_refused, "timers found no room"),
    ] {
        if count > 0 {
            reasons.push(format!("{count} {what}"));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_generator_is_no_limit_and_a_busy_one_says_so() {
        let mut totals = Totals::new(&[], vec![vec![]]);
        let second = Micros::from_secs(1);
        assert!(reasons(&totals, &EngineCounts::default(), second).is_empty());
        totals.cpu = vec![Micros(970_000)];
        totals.latencies.record(Timed::Lag, Micros(9_000));
        totals.caller.fail(Failure::NoPlace);
        let engine = EngineCounts { kernel_drops: 3, waited_for_core_us: 100_000, ..EngineCounts::default() };
        let reasons = reasons(&totals, &engine, second);
        assert_eq!(reasons.len(), 5, "{reasons:?}");
        assert!(reasons[0].contains("9.0 ms"));
        assert!(reasons[1].contains("97 %"));
        assert!(reasons[2].contains("10 %"));
    }
}
