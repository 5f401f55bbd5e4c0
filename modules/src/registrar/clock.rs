//! The registrar's clock: seconds since 1970 as the wall said at the start, counted on by the monotonic clock.
//!
//! WHY: a wall clock that is put right must neither end a million bindings nor keep them for ever. What the journal
//! needs to find the same moments again after a restart, it notes for itself: both clocks, with every sync.

use proto::time::Now;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Seconds of this clock when the monotonic one stood at 0.
    base: u64,
}

impl Clock {
    /// Set by the wall clock.
    pub fn start(now: Now) -> Self {
        Clock { base: (now.wall.0 / MICROS).saturating_sub(now.mono.0 / MICROS) }
    }

    /// Its second.
    pub fn second(&self, now: Now) -> u32 {
        u32::try_from(self.base.saturating_add(now.mono.0 / MICROS)).unwrap_or(u32::MAX)
    }

    /// The whole second `later` than now, on the monotonic clock, at the earliest.
    pub fn mono_of(&self, second: u32) -> proto::time::Mono {
        proto::time::Mono(u64::from(second).saturating_sub(self.base).saturating_mul(MICROS))
    }
}

const MICROS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proto::time::{Mono, Wall};

    #[test]
    fn the_wall_may_jump_and_seconds_pass_all_the_same() {
        let at = |mono: u64, wall: u64| Now { mono: Mono(mono * MICROS), wall: Wall(wall * MICROS) };
        let clock = Clock::start(at(50, 1_700_000_000));
        assert_eq!(clock.second(at(50, 1_700_000_000)), 1_700_000_000);
        assert_eq!(clock.second(at(60, 1_700_003_600)), 1_700_000_010);
        assert_eq!(clock.second(at(70, 1_600_000_000)), 1_700_000_020);
        assert_eq!(clock.mono_of(1_700_000_010), Mono(60 * MICROS));
    }
}
