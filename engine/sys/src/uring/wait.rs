//! How long one `io_uring_enter` waits, and for how many completions.
//!
//! Since Linux 6.12 it can gather: sleep for several completions, but after a short time take what
//! there is, and if there is nothing, sleep on until the first one.

use io_uring::IoUring;
use io_uring::types::Timespec;
use std::time::Duration;

/// How an exchange waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    at_most: Option<Duration>,
    /// More than one only while gathering.
    wanted: u32,
    gather: Duration,
}

impl Wait {
    /// Not at all.
    pub const NOT: Wait = Wait { at_most: Some(Duration::ZERO), wanted: 0, gather: Duration::ZERO };

    /// For the first completion, at most so long (`None`: for ever).
    pub fn at_most(longest: Option<Duration>) -> Self {
        match longest {
            Some(Duration::ZERO) => Wait::NOT,
            longest => Wait { at_most: longest, wanted: 1, gather: Duration::ZERO },
        }
    }

    /// The same, but for the time `gather` for `wanted` completions. No change if it is too short for that.
    pub fn gathering(self, wanted: u32, gather: Duration) -> Self {
        let short = self.at_most.is_some_and(|longest| longest <= gather);
        if short || gather.is_zero() || wanted < 2 {
            return self;
        }
        // WHY an end: without one, the kernel takes the time of gathering for the time to wait at most.
        Wait { at_most: Some(self.at_most.unwrap_or(GATHER_ENDS_AFTER)), wanted, gather }
    }

    /// For kernels that cannot gather.
    pub(super) fn without_gathering(self) -> Self {
        Wait { wanted: self.wanted.min(1), gather: Duration::ZERO, ..self }
    }

    /// The longest wait.
    pub(super) fn timeout(self) -> Option<Duration> {
        self.at_most
    }

    /// What the kernel is told: how many completions to wait for, and the rest. `timeout` is that of
    /// [`Wait::timeout`]; it must live until the call returns.
    pub(super) fn arguments(self, timeout: Option<&Timespec>) -> (u32, Arguments) {
        let arguments = Arguments {
            signals: 0,
            signals_bytes: 0,
            gather_micros: u32::try_from(self.gather.as_micros()).unwrap_or(u32::MAX),
            timeout: timeout.map_or(0, |timeout| std::ptr::from_ref(timeout) as u64),
        };
        (self.wanted, arguments)
    }
}

/// `struct io_uring_getevents_arg`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Arguments {
    signals: u64,
    signals_bytes: u32,
    gather_micros: u32,
    timeout: u64,
}

/// Whether this kernel can gather (IORING_FEAT_MIN_TIMEOUT).
pub(super) fn gathers(ring: &IoUring) -> bool {
    ring.params().is_feature_min_timeout()
}

const GATHER_ENDS_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const GATHER: Duration = Duration::from_micros(100);

    #[test]
    fn gathering_always_has_an_end_and_never_outlasts_the_wait() {
        let told = |wait: Wait| {
            let timeout = wait.timeout().map(Timespec::from);
            let (wanted, arguments) = wait.arguments(timeout.as_ref());
            (wanted, arguments.gather_micros, wait.timeout())
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(told(Wait::at_most(None)), (1, 0, None));
        assert_eq!(told(Wait::at_most(None).gathering(4, GATHER)), (4, 100, Some(GATHER_ENDS_AFTER)));
        assert_eq!(told(Wait::at_most(second).gathering(4, GATHER)), (4, 100, second));
        assert_eq!(told(Wait::at_most(second).gathering(4, GATHER).without_gathering()), (1, 0, second));
        for short in [GATHER, Duration::ZERO] {
            let wait = Wait::at_most(Some(short));
            assert_eq!(wait.gathering(4, GATHER), wait);
        }
        assert_eq!(told(Wait::NOT.gathering(4, GATHER)).0, 0);
    }
}
