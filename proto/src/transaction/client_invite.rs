//! INVITE client transaction: RFC 3261 §17.1.1, figure 5, as RFC 6026 §8.4 corrects it.
//!
//! ```text
//!                                |INVITE from TU
//!              Timer A fires     |INVITE sent      Timer B fires
//!              Reset A,          V                 or Transport Err.
//!              INVITE sent +-----------+           inform TU
//!                +---------|           |--------------------------+
//!                |         |  Calling  |                          |
//!                +-------->|           |-----------+              |
//! 300-699                  +-----------+ 2xx       |              |
//! ACK sent                    |  |       2xx to TU |              |
//! resp. to TU                 |  |1xx              |              |
//! +---------------------------+  |1xx to TU        |              |
//! |                              V                 |              |
//! |  1xx to TU +---------------+ 1xx               |              |
//! |       +----|               |---+               |              |
//! |       +--->|  Proceeding   |   |               |              |
//! |            |               |------------------>|              |
//! |            +---------------+  2xx, 2xx to TU   |              |
//! |              | 300-699                         |              |
//! |              | ACK sent, resp. to TU           |              |
//! |              V                                 V              |
//! |  300-699   +-----------+ Transport Err.  +-----------+        |
//! |  ACK sent  |           | Inform TU       |           | 2xx    |
//! +----------->| Completed |---------------->| Accepted  |--+ to TU
//!      +-------|           |                 |           |<-+     |
//!      +------>+-----------+                 +-----------+        |
//!                | Timer D fires               | Timer M fires    |
//!                V                             V                  |
//!              +---------------------------------+                |
//!              |           Terminated            |<---------------+
//!              +---------------------------------+
//! ```

use super::Actions;

/// States of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the figure's")]
pub enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

/// Events of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the figure's")]
pub enum Event {
    /// 100 to 199.
    Provisional,
    /// 200 to 299.
    Success,
    /// 300 to 699.
    Failure,
    TransportError,
    TimerA,
    TimerB,
    TimerD,
    TimerM,
}

/// One step of the figure. What it does not show leaves everything as it is.
pub const fn step(state: State, event: Event) -> (State, Actions) {
    use Event::*;
    use State::*;
    match (state, event) {
        (Calling, TimerA) => (Calling, Actions::RESEND),
        (Calling, TimerB) => (Terminated, Actions::TIMEOUT),
        (Calling, TransportError) => (Terminated, Actions::ERROR),
        (Calling, Provisional) => (Proceeding, Actions::PASS),
        (Calling, Success) => (Accepted, Actions::PASS),
        (Calling, Failure) => (Completed, Actions::ACK.and(Actions::PASS)),

        (Proceeding, Provisional) => (Proceeding, Actions::PASS),
        (Proceeding, Success) => (Accepted, Actions::PASS),
        (Proceeding, Failure) => (Completed, Actions::ACK.and(Actions::PASS)),

        (Completed, Failure) => (Completed, Actions::ACK),
        (Completed, TransportError) => (Terminated, Actions::ERROR),
        (Completed, TimerD) => (Terminated, Actions::NONE),

        (Accepted, Success) => (Accepted, Actions::PASS),
        (Accepted, TimerM) => (Terminated, Actions::NONE),

        (Calling, TimerD | TimerM)
        | (Proceeding, TransportError | TimerA | TimerB | TimerD | TimerM)
        | (Completed, Provisional | Success | TimerA | TimerB | TimerM)
        | (Accepted, Provisional | Failure | TransportError | TimerA | TimerB | TimerD)
        | (Terminated, _) => (state, Actions::NONE),
    }
}
