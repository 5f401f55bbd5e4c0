//! Non-INVITE client transaction: RFC 3261 §17.1.2, figure 6.
//!
//! ```text
//!                                   |Request from TU
//!                                   |send request
//!               Timer E             V
//!               send request  +-----------+
//!                   +---------|           |-------------------+
//!                   |         |  Trying   |  Timer F          |
//!                   +-------->|           |  or Transport Err.|
//!                             +-----------+  inform TU        |
//!                200-699         |  |                         |
//!                resp. to TU     |  |1xx                      |
//!                +---------------+  |resp. to TU              |
//!                |                  V                         |
//!                |   Timer E  +-----------+                   |
//!                |   send req +---------|           |         |
//!                |                  |   |Proceeding |  Timer F|
//!                |                  +-->|           |-------->|
//!                |         1xx, to TU   +-----------+         |
//!                |                       | 200-699, to TU     |
//!                |                       V                    |
//!                |             +-----------+                  |
//!                +------------>| Completed |                  |
//!                              +-----------+                  |
//!                                | Timer K                    |
//!                                V                            |
//!                              +-----------+                  |
//!                              | Terminated|<-----------------+
//!                              +-----------+
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
    /// 100 to 199.
    Provisional,
    /// 200 to 699.
    Final,
    TransportError,
    TimerE,
    TimerF,
    TimerK,
}

/// One step of the figure. What it does not show leaves everything as it is.
pub const fn step(state: State, event: Event) -> (State, Actions) {
    use Event::*;
    use State::*;
    match (state, event) {
        (Trying, TimerE) => (Trying, Actions::RESEND),
        (Trying, TimerF) => (Terminated, Actions::TIMEOUT),
        (Trying, TransportError) => (Terminated, Actions::ERROR),
        (Trying, Provisional) => (Proceeding, Actions::PASS),
        (Trying, Final) => (Completed, Actions::PASS),

        (Proceeding, TimerE) => (Proceeding, Actions::RESEND),
        (Proceeding, TimerF) => (Terminated, Actions::TIMEOUT),
        (Proceeding, TransportError) => (Terminated, Actions::ERROR),
        (Proceeding, Provisional) => (Proceeding, Actions::PASS),
        (Proceeding, Final) => (Completed, Actions::PASS),

        (Completed, TimerK) => (Terminated, Actions::NONE),

        (Trying | Proceeding, TimerK)
        | (Completed, Provisional | Final | TransportError | TimerE | TimerF)
        | (Terminated, _) => (state, Actions::NONE),
    }
}
