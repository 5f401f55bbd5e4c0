//! What comes of each torture message: RFC 4475 (49 messages) and RFC 5118 (12, with CRLF line ends
//! and Content-Lengths as on the wire).
//!
//! Where the RFC leaves a choice, ours is the strict one: a lenient proxy before a different parser is
//! how headers are smuggled.

/// What the message layer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It passes; what becomes of it is decided by the proxy.
    Accepted,
    /// A request that is answered with this status code.
    Answered(u16),
    /// A response that is dropped.
    Dropped,
}

use Outcome::{Accepted, Answered, Dropped};

/// File name without `.dat`, outcome.
pub(crate) const RFC4475: [(&str, Outcome); 49] = [
    // §3.1.1: valid
    ("wsinv", Accepted),
    ("intmeth", Accepted),
    ("esc01", Accepted),
    ("escnull", Accepted),
    ("esc02", Accepted),
    ("lwsdisp", Accepted),
    ("longreq", Accepted),
    ("dblreq", Accepted),
    ("semiuri", Accepted),
    ("transports", Accepted),
    ("mpart01", Accepted),
    ("unreason", Accepted),
    ("noreason", Accepted),
    // §3.1.2: invalid
    ("badinv01", Answered(400)),
    ("clerr", Answered(400)),
    ("ncl", Answered(400)),
    ("scalar02", Answered(400)),
    ("scalarlg", Dropped),
    ("quotbal", Answered(400)),
    ("ltgtruri", Answered(400)),
    ("lwsruri", Answered(400)),
    ("lwsstart", Answered(400)),
    ("trws", Answered(400)),
    ("escruri", Answered(400)),
    ("baddate", Accepted),
    ("regbadct", Answered(400)),
    ("badaspec", Answered(400)),
    ("baddn", Answered(400)),
    ("badvers", Answered(505)),
    ("mismatch01", Answered(400)),
    ("mismatch02", Answered(400)),
    ("bigcode", Dropped),
    // §3.2: transaction layer
    ("badbranch", Answered(400)),
    // §3.3: application layer; the proxy answers 416, 416, 420 and 483 to four of them
    ("insuf", Answered(400)),
    ("unkscm", Accepted),
    ("novelsc", Accepted),
    ("unksm2", Accepted),
    ("bext01", Accepted),
    ("invut", Accepted),
    ("regaut01", Accepted),
    ("multi01", Answered(400)),
    ("mcl01", Answered(400)),
    ("bcast", Accepted),
    ("zeromf", Accepted),
    ("cparam01", Accepted),
    ("cparam02", Accepted),
    ("regescrt", Accepted),
    ("sdp01", Accepted),
    // §3.4: RFC 2543
    ("inv2543", Accepted),
];

/// File name without `.dat`, outcome.
pub(crate) const RFC5118: [(&str, Outcome); 12] = [
    ("ipv6-good", Accepted),
    ("ipv6-bad", Answered(400)),
    ("port-ambiguous", Accepted),
    ("port-unambiguous", Accepted),
    ("via-received-param-with-delim", Accepted),
    ("via-received-param-no-delim", Accepted),
    ("ipv6-in-sdp", Accepted),
    ("mult-ip-in-header", Accepted),
    ("mult-ip-in-sdp", Accepted),
    ("ipv4-mapped-ipv6", Accepted),
    ("ipv6-bug-abnf-3-colons", Accepted),
    ("ipv6-correct-abnf-2-colons", Accepted),
];
