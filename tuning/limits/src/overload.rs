//! When a shard that cannot keep up turns new calls away. The two waits are defaults of `[overload]`.

/// How long datagrams may wait, in microseconds, before new calls are turned away if it lasts.
///
/// WHY: longer than any batch of work, and than the 10 ms for which a CPU quota stops a process at a time.
pub const WAIT_MICROS: u64 = 20_000;

/// How long a new call may have waited at most, in microseconds.
///
/// WHY: what was taken in meanwhile is still to come back several times, and waits two to three times as
/// long: with 50 ms, first responses stay within 200 ms and nobody repeats anything.
pub const WAIT_MAX_MICROS: u64 = 50_000;

/// How long a wait between the two must last, in microseconds, before it counts.
pub const PATIENCE_MICROS: u64 = 100_000;

/// For how long after a refusal there is no patience, in microseconds.
pub const ALERT_MICROS: u64 = 1_000_000;

const _: () = assert!(WAIT_MICROS < WAIT_MAX_MICROS && WAIT_MAX_MICROS < 500_000, "before T1 repeats it");
