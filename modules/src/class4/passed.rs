//! Why a vendor that may take a call does not get it when its turn comes.

use super::caps::Full;

/// Why a vendor that might have taken a call was passed over when its turn came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// It answered 503 for this destination lately.
    Held503,
    /// It has as many calls as it may have.
    Concurrent,
    /// It gets as many calls a second as it may.
    Cps,
    /// None of its gateways is up, or below its own bound.
    NoGateway,
}

impl Passed {
    /// Name for people and records.
    pub const fn label(self) -> &'static str {
        match self {
            Passed::Held503 => "answered 503 for this destination lately",
            Passed::Concurrent => "at its cap of calls",
            Passed::Cps => "at its cap of calls a second",
            Passed::NoGateway => "no gateway that is up",
        }
    }
}

impl From<Full> for Passed {
    fn from(full: Full) -> Self {
        match full {
            Full::Concurrent => Passed::Concurrent,
            Full::Pace => Passed::Cps,
        }
    }
}
