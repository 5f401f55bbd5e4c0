//! By which numbers a gateway is judged: `[probe]` and `[breaker]` of the TOML, compiled.

use proto::time::Micros;

/// When calls alone take a gateway out of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Calls in a row that got nothing.
    pub timeouts: u32,
    /// Until calls try it again.
    pub retry: Micros,
    /// Calls that must get a response then, one after the other.
    pub trial_calls: u32,
    /// Calls that got 503 within `unavailable_window`, and none anything else; 0: never.
    pub unavailable_calls: u32,
    /// See `unavailable_calls`.
    pub unavailable_window: Micros,
}

/// How a gateway is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRules {
    /// Between two probes, give or take a tenth.
    pub interval: Micros,
    /// After one that was missed; also how long an answer is waited for.
    pub retry: Micros,
    /// Missed ones in a row until it is down.
    pub down_after: u32,
    /// Answered ones in a row until it is up.
    pub up_after: u32,
    /// User part of From.
    pub from_user: Box<[u8]>,
    /// Host of From; `None`: what the listener gives out.
    pub from_host: Option<Box<[u8]>>,
    /// User part of the Request-URI, if there is one.
    pub request_user: Option<Box<[u8]>>,
    /// Listener to send from.
    pub listener: u16,
}

/// All that judges one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `None`: calls take nothing out of use.
    pub breaker: Option<BreakerRules>,
    /// `None`: not probed.
    pub probe: Option<ProbeRules>,
}

impl Default for BreakerRules {
    fn default() -> Self {
        BreakerRules {
            timeouts: 3,
            retry: Micros::from_secs(10),
            trial_calls: 3,
            unavailable_calls: 50,
            unavailable_window: Micros::from_secs(5),
        }
    }
}

impl Default for ProbeRules {
    fn default() -> Self {
        ProbeRules {
            interval: Micros::from_secs(10),
            retry: Micros::from_secs(2),
            down_after: 3,
            up_after: 2,
            from_user: Box::from(&b"probe"[..]),
            from_host: None,
            request_user: None,
            listener: 0,
        }
    }
}
