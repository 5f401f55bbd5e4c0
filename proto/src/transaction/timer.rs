//! The timers of RFC 3261 (table 4) and how the wheel names them.

use crate::time::Micros;

/// Lengths of the timers. [`Timers::default`] is RFC 3261's table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip time estimate: 500 ms. First interval of Timers A, E and G.
    pub t1: Micros,
    /// Longest interval of Timers E and G: 4 s.
    pub t2: Micros,
    /// How long a message may stay in the network: 5 s. Timers I and K.
    pub t4: Micros,
    /// INVITE client without any response: 64 T1.
    pub b: Micros,
    /// Proxied INVITE after its last provisional response: more than 3 minutes (§16.6 step 11).
    pub c: Micros,
    /// Retransmitted final responses to an INVITE are acknowledged this long: at least 32 s.
    pub d: Micros,
    /// Non-INVITE client without a final response: 64 T1.
    pub f: Micros,
    /// Wait for an ACK: 64 T1.
    pub h: Micros,
    /// Retransmitted non-INVITE requests are absorbed this long: 64 T1.
    pub j: Micros,
    /// Accepted INVITE server: 64 T1 (RFC 6026 §7.1).
    pub l: Micros,
    /// Accepted INVITE client: 64 T1 (RFC 6026 §7.2).
    pub m: Micros,
}

impl Timers {
    /// All of table 4 from T1, T2, T4 and C.
    pub const fn from_t1(t1: Micros, t2: Micros, t4: Micros, c: Micros) -> Self {
        let all = t1.times(64);
        Timers {
            t1,
            t2,
            t4,
            b: all,
            c,
            d: if all.0 > 32_000_000 { all } else { Micros(32_000_000) },
            f: all,
            h: all,
            j: all,
            l: all,
            m: all,
        }
    }
}

impl Timers {
    /// How long it takes Timer E to be reset to T2 (RFC 4320 §4.1): 3.5 s.
    pub const fn e_at_t2(&self) -> Micros {
        let (mut passed, mut interval) = (Micros(0), self.t1);
        while interval.0 < self.t2.0 && interval.0 > 0 {
            passed = Micros(passed.0.saturating_add(interval.0));
            interval = interval.times(2);
        }
        passed
    }
}

impl Default for Timers {
    fn default() -> Self {
        Timers::from_t1(Micros::from_millis(500), Micros::from_secs(4), Micros::from_secs(5), Micros::from_secs(185))
    }
}

/// The wheel's name for an armed timer; opaque here. Zero: none is armed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerHandle(pub u64);

/// What the wheel hands back when a timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerToken {
    /// The timer of a [`super::Transaction`], by index.
    Transaction(u32),
    /// The timer of a [`super::Branch`], by index.
    Branch(u32),
}

impl TimerToken {
    /// As a number, for a wheel that knows none of this.
    pub const fn to_bits(self) -> u64 {
        match self {
            TimerToken::Transaction(index) => index as u64,
            TimerToken::Branch(index) => 1 << 32 | index as u64,
        }
    }

    /// Back from [`TimerToken::to_bits`]. `None` for what it never made.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        let index = (bits & 0xffff_ffff) as u32;
        match bits >> 32 {
            0 => Some(TimerToken::Transaction(index)),
            1 => Some(TimerToken::Branch(index)),
            _ => None,
        }
    }
}
