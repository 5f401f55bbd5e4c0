//! `[overload]`: when a shard that cannot keep up turns new calls away.

use crate::read::{milliseconds, seconds};
use std::time::Duration;

section! {
    /// A shard that is behind answers new calls with 503, so that what was begun is carried to its end.
    Overload {
        /// New calls are turned away while datagrams wait longer than this for their shard, once it has lasted for 100 ms.
        restart wait: Duration = Duration::from_micros(limits::overload::WAIT_MICROS), within milliseconds(1) => seconds(1);
        /// A new call that has waited for so long is turned away at once.
        restart wait_max: Duration = Duration::from_micros(limits::overload::WAIT_MAX_MICROS), within milliseconds(2) => seconds(2);
    }
}
