//! What is done for phones: which way their calls to one another take, and how the ways to them are kept open.

use crate::read::{minutes, seconds};
use std::time::Duration;

choice! {
    /// Which way a call from one phone of a domain to another takes.
    BetweenPhones {
        /// Straight to the other phone.
        Direct = "direct",
        /// By way of the media set, which calls the other phone through us.
        Media = "media",
    }
}

choice! {
    /// What a keep-alive is.
    KeepAliveKind {
        /// An OPTIONS: any answer says that the phone is there.
        Options = "options",
        /// Two line ends (RFC 5626 §3.5.1): the least, but most phones do not answer over UDP.
        Crlf = "crlf",
    }
}

section! {
    /// Keep-alives to phones behind NAT, and to no others. They are spread evenly over the interval.
    KeepAlive {
        /// What is sent.
        live send: KeepAliveKind = KeepAliveKind::Options;
        /// How often each phone gets one. WHY 25 seconds: NATs forget a UDP binding after 30.
        live interval: Duration = seconds(25), within seconds(5) => minutes(10);
        /// A binding goes when so many in a row were not answered, if its phone has ever answered one; 0: it stays
        /// until it expires.
        live misses_max: u32 = 0, within 0 => 7;
    }
}
