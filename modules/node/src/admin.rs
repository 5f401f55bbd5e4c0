//! What operators may decide about a gateway, and the words for it.

use serde::{Deserialize, Serialize};

/// An operator's decision. "Enabled" is the absence of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// No new calls; calls and transactions that stand go on. Probed on.
    Draining,
    /// No new calls, not probed.
    Disabled,
}
