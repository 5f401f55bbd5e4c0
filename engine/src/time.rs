//! The two clocks: monotonic for timers, wall for dates. Read once per turn by the shard, handed
//! down as an argument everywhere else, so that nothing above the engine ever asks for the time.

/// A moment on the monotonic clock, in microseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

/// A length of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

/// Wall-clock time in microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

/// Both clocks, read at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub mono: Mono,
    /// For dates.
    pub wall: Wall,
}

impl Now {
    /// Reads both clocks. Never enters the kernel where the vDSO serves them.
    pub fn read() -> Self {
        Now { mono: Mono::read(), wall: Wall::read() }
    }
}

impl Wall {
    /// Reads the wall clock alone.
    pub fn read() -> Self {
        Wall(engine_sys::clock::wall_micros())
    }
}

impl Mono {
    /// Reads the monotonic clock alone.
    pub fn read() -> Self {
        Mono(engine_sys::clock::monotonic_micros())
    }
    /// The moment `d` later, saturating.
    pub const fn after(self, d: Micros) -> Self {
        Mono(self.0.saturating_add(d.0))
    }
    /// Time since `earlier`; zero if that lies in the future.
    pub const fn since(self, earlier: Mono) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}

impl Micros {
    /// `n` milliseconds, saturating.
    pub const fn from_millis(n: u64) -> Self {
        Micros(n.saturating_mul(1_000))
    }
    /// `n` seconds, saturating.
    pub const fn from_secs(n: u64) -> Self {
        Micros(n.saturating_mul(1_000_000))
    }
}
