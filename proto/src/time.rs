//! Time is an argument: two clocks, both given by whoever calls.
//!
//! Monotonic time drives timers; wall time dates things (logs, nonces, records). Nothing in this
//! crate reads either from the operating system, so a test of Timer B never sleeps.

/// A moment or a duration-free point on the monotonic clock, in microseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

/// A length of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

/// Wall-clock time in microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

/// Both clocks, read once per batch of input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub mono: Mono,
    /// For dates.
    pub wall: Wall,
}

impl Micros {
    /// `n` milliseconds.
    pub const fn from_millis(n: u64) -> Self {
        Micros(n.saturating_mul(1_000))
    }
    /// `n` seconds.
    pub const fn from_secs(n: u64) -> Self {
        Micros(n.saturating_mul(1_000_000))
    }
    /// `self * n`, saturating.
    pub const fn times(self, n: u64) -> Self {
        Micros(self.0.saturating_mul(n))
    }
}

impl Wall {
    /// Time since `earlier`; zero if that lies in the future.
    pub const fn since(self, earlier: Wall) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}

impl Mono {
    /// The moment `d` later, saturating.
    pub const fn after(self, d: Micros) -> Self {
        Mono(self.0.saturating_add(d.0))
    }
    /// Time since `earlier`; zero if that lies in the future.
    pub const fn since(self, earlier: Mono) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}
