//! `[timers]`: RFC 3261 §17, table 4, with RFC 6026.

use crate::read::{milliseconds, minutes, seconds};
use std::time::Duration;

section! {
    /// Timers of transactions. What follows from `t1` and `t4` moves with them unless it is given.
    Timers {
        /// Estimate of the round trip; first retransmission (§17.1.1.1).
        restart t1: Duration = milliseconds(500), within milliseconds(10) => seconds(10);
        /// Longest interval between retransmissions of requests other than INVITE and of responses to INVITE (§17.1.2.1).
        restart t2: Duration = seconds(4), within milliseconds(20) => seconds(60);
        /// How long a message may stay in the network; Timers I and K (§17.1.2.2).
        restart t4: Duration = seconds(5), within milliseconds(0) => seconds(60);
        /// An INVITE without any response ends (§17.1.1.2).
        restart timer_b: Duration = seconds(32), derived "64 × t1", within seconds(1) => minutes(10);
        /// An INVITE that rings without an end (§16.6 step 11: more than three minutes).
        restart timer_c: Duration = seconds(185), within seconds(10) => minutes(60);
        /// Response retransmissions of a failed INVITE are absorbed for so long (§17.1.1.2: at least 32 s).
        restart timer_d: Duration = seconds(32), derived "32s, or 64 × t1 when that is longer", within seconds(1) => minutes(10);
        /// Another request without a final response ends (§17.1.2.2).
        restart timer_f: Duration = seconds(32), derived "64 × t1", within seconds(1) => minutes(10);
        /// A failure response without its ACK is given up (§17.2.1).
        restart timer_h: Duration = seconds(32), derived "64 × t1", within seconds(1) => minutes(10);
        /// Retransmissions of a request that was answered are absorbed for so long (§17.2.2).
        restart timer_j: Duration = seconds(32), derived "64 × t1", within seconds(1) => minutes(10);
        /// Retransmissions of an INVITE that was accepted are absorbed for so long (RFC 6026 §7.1).
        restart timer_l: Duration = seconds(32), derived "64 × t1", within seconds(1) => minutes(10);
        /// Retransmissions of a 2xx are passed on for so long (RFC 6026 §7.2).
        restart timer_m: Duration = seconds(32), derived "64 × t1", within seconds(1) => minutes(10);
    }
}
