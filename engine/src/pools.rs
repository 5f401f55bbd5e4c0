//! How much of everything a shard reserves at its start.

use crate::time::Micros;

/// Sizes, for each shard. All of it is taken and touched at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pools {
    /// Timers.
    pub timers: usize,
    /// Send slots of `limits::SEND_SLOT_BYTES`.
    pub send_slots: usize,
    /// Send slots of `limits::LARGE_SLOT_BYTES`.
    pub large_send_slots: usize,
    /// Receive buffers of `limits::SEND_SLOT_BYTES` (io_uring), a power of two.
    pub receive_buffers: usize,
    /// Receive buffers for the largest messages (io_uring), a power of two.
    pub large_receive_buffers: usize,
    /// Letters in one mailbox; there is one for each ordered pair of shards and lanes.
    pub letters: usize,
    /// Bytes of all hand-over rings into one shard together.
    pub hand_over_bytes: usize,
    /// How long a busy shard sleeps for more than one frame to come (io_uring); zero: not at all.
    pub gather: Micros,
}

impl Default for Pools {
    fn default() -> Self {
        Pools {
            timers: 262_144,
            send_slots: 1_024,
            large_send_slots: 32,
            receive_buffers: 1_024,
            large_receive_buffers: 32,
            letters: 1_024,
            hand_over_bytes: 4 * 1024 * 1024,
            gather: Micros(limits::GATHER_MICROS),
        }
    }
}

impl Pools {
    /// Whether these can be reserved at all.
    ///
    /// # Errors
    /// Which cannot, and why, in words for an operator.
    pub fn check(&self) -> Result<(), String> {
        for (name, count) in
            [("receive buffers", self.receive_buffers), ("large receive buffers", self.large_receive_buffers)]
        {
            if !count.is_power_of_two() || count > RECEIVE_BUFFERS_MAX {
                return Err(format!("{count} {name}: must be a power of two, at most {RECEIVE_BUFFERS_MAX}"));
            }
        }
        for (name, count, most) in [
            ("timers", self.timers, TIMERS_MAX),
            ("send slots", self.send_slots, SEND_SLOTS_MAX),
            ("large send slots", self.large_send_slots, SEND_SLOTS_MAX),
            ("letters", self.letters, LETTERS_MAX),
        ] {
            if count == 0 || count > most {
                return Err(format!("{count} {name}: must be 1 to {most}"));
            }
        }
        Ok(())
    }
}

/// What a ring of provided buffers holds at most.
const RECEIVE_BUFFERS_MAX: usize = 32_768;
/// WHY: both kinds together, and two requests for each socket, fit the largest submission queue (32,768).
const SEND_SLOTS_MAX: usize = 16_000;
/// WHY: 4 GiB of memory; more is a mistake.
const TIMERS_MAX: usize = 1 << 27;
const LETTERS_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_can_be_reserved_and_nonsense_is_named() {
        let pools = Pools::default();
        assert_eq!(pools.check(), Ok(()));
        for (wrong, word) in [
            (Pools { receive_buffers: 1_000, ..pools }, "power of two"),
            (Pools { timers: 0, ..pools }, "0 timers"),
            (Pools { send_slots: 20_000, ..pools }, "1 to 16000"),
        ] {
            let text = wrong.check().err().unwrap_or_default();
            assert!(text.contains(word), "{text}");
        }
    }
}
