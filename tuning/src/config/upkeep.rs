//! `[probe]` and `[breaker]`: how the health of gateways is known.

use crate::read::{Host, ListenerName, milliseconds, minutes, seconds};
use std::time::Duration;

section! {
    /// OPTIONS to each gateway. An address in several sets is probed once, as its first set says.
    Probe {
        /// Between two probes of a gateway, give or take a tenth.
        live interval: Duration = seconds(10), within seconds(1) => minutes(60);
        /// Until the next probe after one that was not answered. Also how long an answer is waited for.
        live retry: Duration = seconds(2), within milliseconds(500) => minutes(10);
        /// Unanswered probes in a row that take a gateway out of use.
        live down_after: u32 = 3, within 1 => 100;
        /// Answered probes in a row that bring it back. Any response but 503 is an answer.
        live up_after: u32 = 2, within 1 => 100;
        /// User part of From, for gateways that ask for one.
        live from_user: String = "probe".to_owned();
        /// Host of From.
        live from_host: Option<Host> = None, derived "what the listener writes into Via";
        /// User part of the Request-URI.
        live request_user: Option<String> = None;
        /// Listener to probe from.
        live listener: Option<ListenerName> = None, derived "that of the set";
    }
}

section! {
    /// What calls teach about a gateway, beside probes.
    Breaker {
        /// Calls in a row that a gateway left without any response, or that could not be sent, that take
        /// it out of use.
        live timeouts: u32 = 3, within 1 => 1_000;
        /// Until a few calls try it again.
        live retry: Duration = seconds(10), within seconds(1) => minutes(60);
        /// How many calls try it, one after the other; all must get a response.
        live trial_calls: u32 = 3, within 1 => 100;
        /// A response is proof of life, 503 included. Only when at least so many calls within
        /// `unavailable_window` got nothing but 503 is the gateway taken out of use. 0: never.
        live unavailable_calls: u32 = 50, within 0 => 100_000;
        /// The time over which 503 are counted.
        live unavailable_window: Duration = seconds(5), within seconds(1) => minutes(5);
    }
}
