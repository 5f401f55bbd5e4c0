//! Non-INVITE server transaction: RFC 3261 §17.2.2, figure 8; RFC 4320 forbids it a late 408.
//!
//! ```text
//!                                   |Request received
//!                                   |pass to TU
//!                                   V
//!                             +-----------+
//!                             |  Trying   |-------------+
//!                             +-----------+             |
//!                                   |1xx from TU        |200-699 from TU
//!                                   |send response      |send response
//!                Request            V      1xx from TU  |
//!                send response+-----------+send response|
//!                    +--------|           |--------+    |
//!                    |        | Proceeding|        |    |
//!                    +------->|           |<-------+    |
//!                             +-----------+             |
//!                                   |200-699 from TU    |
//!                 Request           |send response      |
//!                 send response     V                   |
//!                    +--------+-----------+             |
//!                    |        | Completed |<------------+
//!                    +------->+-----------+
//!                                   | Timer J
//!                                   V
//!                             +-----------+
//!                             | Terminated|
//!                             +-----------+
//! ```

use super::Actions;

/// States of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the figure's")]
pub enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// Events of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the figure's")]
pub enum Event {
    /// The request again.
    Request,
    /// 1xx from the transaction user.
    Provisional,
    /// 200 to 699 from the transaction user.
    Final,
    TransportError,
    TimerJ,
}

/// One step of the figure. What it does not show leaves everything as it is.
pub const fn step(state: State, event: Event) -> (State, Actions) {
    use Event::*;
    use State::*;
    match (state, event) {
        (Trying, Provisional) => (Proceeding, Actions::SEND),
        (Trying, Final) => (Completed, Actions::SEND),

        (Proceeding, Request) => (Proceeding, Actions::RESEND),
        (Proceeding, Provisional) => (Proceeding, Actions::SEND),
        (Proceeding, Final) => (Completed, Actions::SEND),
        (Proceeding, TransportError) => (Terminated, Actions::ERROR),

        (Completed, Request) => (Completed, Actions::RESEND),
        (Completed, TransportError) => (Terminated, Actions::ERROR),
        (Completed, TimerJ) => (Terminated, Actions::NONE),

        (Trying, Request | TransportError | TimerJ)
        | (Proceeding, TimerJ)
        | (Completed, Provisional | Final)
        | (Terminated, _) => (state, Actions::NONE),
    }
}
