//! `[[set]]` and its gateways.

use super::{Algorithm, Breaker, HashVariables, Probe};
use crate::read::{GatewayUri, ListenerName, Network, OffOr, SetName, StatusCodes, milliseconds, seconds};
use crate::schema::defaults;
use std::time::Duration;

choice! {
    /// What the Request-URI becomes when a call goes to a gateway.
    RequestUri {
        /// The user part stays, host and port become the gateway's.
        Gateway = "gateway",
        /// It stays as it came.
        Keep = "keep",
    }
}

choice! {
    /// What the caller gets when 503 is the best that any gateway answered.
    LastUnavailable {
        /// 503 without Retry-After: the caller may advance to his next route.
        Unavailable = "503",
        /// 500, as RFC 3261 §16.7 step 6 has it.
        ServerError = "500",
    }
}

choice! {
    /// Whose choices a hash makes.
    Compat {
        /// Our own: when a gateway goes, its calls are spread over all others, and no other call moves.
        Off = "off",
        /// Those of Kamailio's dispatcher, bit for bit: calls stay where they were, and the calls of a gateway that goes are
        /// its neighbour's. Every gateway counts alike, in the file's order.
        Kamailio = "kamailio",
    }
}

section! {
    /// Gateways that calls are spread over.
    Set {
        /// Name; unique in the file.
        live name: String;
        /// The gateways. A string stands for a gateway with this URI.
        live gateways: Vec<Gateway>;
        /// How the gateway of a call is picked.
        live algorithm: Algorithm = Algorithm::default();
        /// What the Request-URI becomes.
        live request_uri: RequestUri = RequestUri::Gateway;
        /// Listener to send from.
        live listener: Option<ListenerName> = None, derived "the first listener of the gateway's address family";
        /// For hashes: no gateway gets more than so many times its share of the active calls; what is
        /// above goes to the next by hash.
        live bounded: OffOr<f64> = OffOr::Off, within 1.0 => 10.0;
        /// What `hash-variables` hashes: texts and variables of the request, in the words of Kamailio's `hash_pvar`.
        live hash_variables: HashVariables = HashVariables::default();
        /// For hashes: whose choices they make.
        live compat: Compat = Compat::Off;
        /// Forward without transactions: less work, no failover, no CANCEL or Timer C of our own. Hashes only.
        live stateless: bool = false;
        /// The set to try when every gateway of this one is down or full.
        live overflow: Option<SetName> = None;
        /// Final responses that move a call to the next gateway; 408 only before any 18x. `[]`: none.
        live failover_codes: StatusCodes = StatusCodes::of(&[408, 500, 502, 503, 504]);
        /// A gateway that has said nothing at all for so long is given up and the call moves on: three
        /// INVITEs by default. The attempt lives on: a late answer is still taken.
        live no_response_timeout: OffOr<Duration> = OffOr::On(seconds(2)), within milliseconds(100) => seconds(32);
        /// Most gateways that one call tries.
        live attempts_max: u32 = 5, within 1 => 16;
        /// What a 503 becomes when no gateway is left.
        live last_503: LastUnavailable = LastUnavailable::Unavailable;
        /// How its gateways are asked whether they live.
        live probe: OffOr<Probe> = OffOr::On(defaults()), inherits "probe";
        /// When calls alone take one of its gateways out of use.
        live breaker: OffOr<Breaker> = OffOr::On(defaults()), inherits "breaker";
    }
}

section! {
    /// One place to send calls to.
    Gateway shorthand uri {
        /// Where it is. A host name is looked up (RFC 3263), and each address found counts as a gateway of its own.
        live uri: GatewayUri;
        /// Name for commands, statistics and logs; unique in the file.
        live name: String = String::new(), derived "the host and port";
        /// Share of the calls, against the other gateways of the set. 0: only when the others failed.
        live weight: u32 = 1, within 0 => 1_000_000;
        /// For `priority`: the lowest number is used first.
        live priority: u32 = 0, within 0 => 65_535;
        /// Other addresses that it answers from.
        live reply_from: Vec<Network> = Vec::new();
        /// Most active calls; above it is full and calls go elsewhere.
        live calls_max: Option<u32> = None, within 1 => 100_000_000;
    }
}
