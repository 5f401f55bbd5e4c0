//! `[class4.lnp]`: where ported numbers are asked for, when a call comes without routing number.

use super::NumberPrefix;
use crate::read::{milliseconds, minutes};
use std::net::SocketAddr;
use std::time::Duration;

choice! {
    /// How it is asked.
    LnpMethod {
        /// INVITE to a redirect server; the routing number stands in the Contact of its 302.
        Redirect = "redirect",
        /// NAPTR in the domain name system (ENUM, RFC 6116); the routing number stands in the URI.
        Enum = "enum",
    }
}

section! {
    /// Where ported numbers are asked for, when a call comes without routing number (RFC 4694 `rn`).
    Lnp {
        /// How it is asked.
        restart method: LnpMethod = LnpMethod::Redirect;
        /// Redirect servers, asked one after the other, or name servers for ENUM.
        restart servers: Vec<SocketAddr> = Vec::new(), derived "for ENUM those of `[dns]`";
        /// Domain that ENUM asks below.
        restart domain: String = "e164.arpa".to_owned();
        /// Beginnings of numbers, with country code, that are asked for; none: all.
        restart prefixes: Vec<NumberPrefix> = Vec::new();
        /// Longest wait; after it the call is routed by the dialled number.
        restart timeout: Duration = milliseconds(200), within milliseconds(10) => milliseconds(2_000);
        /// How long an answer is kept.
        restart keep: Duration = minutes(60), within milliseconds(0) => minutes(24 * 60);
    }
}
