//! INVITE server transaction: RFC 3261 §17.2.1, figure 7, as RFC 6026 §7.1 and §8.7 correct it.
//!
//! ```text
//!                                  |INVITE
//!                                  |pass INV to TU
//!               INVITE             V send 100 if TU won't in 200 ms
//!               send response+------------+
//!                   +--------|            |--------+ 101-199 from TU
//!                   |        | Proceeding |        | send response
//!                   +------->|            |<-------+
//!                            |            |          Transport Err.
//!                            +------------+--------> inform TU (stays)
//!              300-699 from TU |        |2xx from TU
//!              send response   |        |send response
//!               +--------------+        +------------+
//!               |                                    |
//!               V  INVITE          Timer G           V
//!    send resp. +-----------+      send response  +-----------+ ACK to TU
//!          +----|           |---+                 |           |---+
//!          +--->| Completed |<--+                 | Accepted  |<--+
//!               |           |                     |           | 2xx from TU
//!               +-----------+--- Timer H -----+   |           | send response
//!                  | ACK         inform TU    |   +-----------+
//!                  V                          |     | Timer L
//!               +-----------+                 |     |
//!               | Confirmed |                 |     |
//!               +-----------+                 |     |
//!                  | Timer I                  |     |
//!                  V                          V     V
//!               +--------------------------------------+
//!               |              Terminated              |
//!               +--------------------------------------+
//! ```

use super::Actions;

/// States of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the figure's")]
pub enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Terminated,
}

/// Events of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the figure's")]
pub enum Event {
    /// The INVITE again.
    Invite,
    Ack,
    /// 101 to 199 from the transaction user (and its 100).
    Provisional,
    /// 2xx from the transaction user.
    Success,
    /// 300 to 699 from the transaction user.
    Failure,
    TransportError,
    TimerG,
    TimerH,
    TimerI,
    TimerL,
}

/// One step of the figure. What it does not show leaves everything as it is.
pub const fn step(state: State, event: Event) -> (State, Actions) {
    use Event::*;
    use State::*;
    match (state, event) {
        (Proceeding, Invite) => (Proceeding, Actions::RESEND),
        (Proceeding, Provisional) => (Proceeding, Actions::SEND),
        (Proceeding, Success) => (Accepted, Actions::SEND),
        (Proceeding, Failure) => (Completed, Actions::SEND),
        (Proceeding, TransportError) => (Proceeding, Actions::ERROR),

        (Completed, Invite) => (Completed, Actions::RESEND),
        (Completed, TimerG) => (Completed, Actions::RESEND),
        (Completed, TimerH) => (Terminated, Actions::TIMEOUT),
        (Completed, TransportError) => (Completed, Actions::ERROR),
        (Completed, Ack) => (Confirmed, Actions::NONE),

        (Confirmed, TimerI) => (Terminated, Actions::NONE),

        // WHY: an INVITE in Accepted is absorbed; the 2xx is repeated by the user agent that sent it.
        (Accepted, Success) => (Accepted, Actions::SEND),
        (Accepted, Ack) => (Accepted, Actions::PASS),
        (Accepted, TransportError) => (Accepted, Actions::ERROR),
        (Accepted, TimerL) => (Terminated, Actions::NONE),

        (Proceeding, Ack | TimerG | TimerH | TimerI | TimerL)
        | (Completed, Provisional | Success | Failure | TimerI | TimerL)
        | (Confirmed, Invite | Ack | Provisional | Success | Failure | TransportError | TimerG | TimerH | TimerL)
        | (Accepted, Invite | Provisional | Failure | TimerG | TimerH | TimerI)
        | (Terminated, _) => (state, Actions::NONE),
    }
}
