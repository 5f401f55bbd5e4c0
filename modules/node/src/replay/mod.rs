//! Calls of the past through another configuration, each at its own time: for `tandem replay`, offline, and for the
//! shadow of a running process ([`crate::shadow`]).
//!
//! What is decided is decided by the code of the path. A vendor that failed a call, or was passed over at a cap or with
//! its gateways down, fails it again, so that what changes is the configuration's doing and not a bad hour's. What a
//! customer's caps, credit or alarms refused, or a full disk, is refused again: those are the running process's and
//! are not replayed. Chance among equals is drawn from a seed.
//!
//! | File | What |
//! |---|---|
//! | `source.rs` | where calls come from: records, lines, a capture |
//! | `past.rs` | a call, from its records |
//! | `capture/` | a call, from the wire |
//! | `judge.rs` | what the other configuration makes of it |
//! | `tally.rs` | what changes, added up |
//! | `sums.rs` | exact sums of calls and money |
//! | `outcome.rs` | the sums as programs and people get them |

mod capture;
pub(crate) mod judge;
pub(crate) mod outcome;
pub(crate) mod past;
pub(crate) mod source;
mod sums;
pub(crate) mod tally;
