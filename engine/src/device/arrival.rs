//! When a datagram arrived, from the kernel's stamp: what lets the application see how far behind it is.
//! Used by the socket drivers.

use crate::time::{Micros, Mono, Now, Wall};

/// The moment on the monotonic clock of a stamp on the wall clock, when both clocks said `now` at the
/// same time. Without a stamp, or with one that the clock cannot have given: now.
pub(super) fn arrival(now: Now, stamp: Option<Wall>) -> Mono {
    let Some(waited) = stamp.and_then(|stamp| now.wall.0.checked_sub(stamp.0)) else {
        return now.mono;
    };
    // WHY: the wall clock may be set between the stamp and now; nothing waits in a bounded buffer for long.
    if waited > WAIT_MAX.0 { now.mono } else { Mono(now.mono.0.saturating_sub(waited)) }
}

/// Longest wait that is believed.
const WAIT_MAX: Micros = Micros::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_believed_unless_the_clock_was_set() {
        let now = Now { mono: Mono(50_000_000), wall: Wall(1_700_000_000_000_000) };
        assert_eq!(arrival(now, None), now.mono);
        assert_eq!(arrival(now, Some(Wall(now.wall.0 - 70_000))), Mono(49_930_000));
        assert_eq!(arrival(now, Some(Wall(now.wall.0 + 1))), now.mono, "the clock was set back");
        assert_eq!(arrival(now, Some(Wall(now.wall.0 - 3_600_000_000))), now.mono, "or forth");
        let early = Now { mono: Mono(5), ..now };
        assert_eq!(arrival(early, Some(Wall(now.wall.0 - 70_000))), Mono(0));
    }
}
