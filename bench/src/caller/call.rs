//! The state of one call (or single request) of a caller.

use proto::time::Mono;

use crate::{
    back_off::BackOff,
    identity::Key,
    message::requests::{Particulars, Request},
    parked::ParkedId,
};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The request is out; nothing came back. Timers A and B, or E and F.
    Calling,
    /// A provisional response came; for a call, the time of patience runs.
    Proceeding,
    /// CANCEL is out. Timers E and F, and the wait for the INVITE's final response.
    Cancelling,
    /// Answered and acknowledged.
    Established,
    /// Our BYE is out. Timers E and F.
    Ending,
    /// Reported as failed; kept for 64·T1 so that a late answer is recognised and ended.
    GivenUp,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call<A> {
    pub(super) phase: Phase,
    /// What started it.
    pub(super) request: Request,
    /// Index of the caller's address.
    pub(super) line: usize,
    /// Will be cancelled while it rings.
    pub(super) will_cancel: bool,
    /// The CANCEL got its own response.
    pub(super) cancel_answered: bool,
    pub(super) rang: bool,
    /// Its 401 has been answered.
    pub(super) challenged: bool,
    pub(super) intended: Mono,
    pub(super) number: u64,
    pub(super) back_off: BackOff,
    pub(super) alarm: Option<A>,
    /// Hash of the To tag of the answer: tells a repeated 2xx from a second one.
    pub(super) answer_tag: u64,
    /// The BYE, or the REGISTER with its credentials, ready to send.
    pub(super) parked: Option<ParkedId>,
    pub(super) bye_hop: std::net::SocketAddr,
    pub(super) bye_sent: Mono,
}

impl<A> Call<A> {
    /// What its requests need.
    pub(super) fn particulars(&self, key: Key) -> Particulars {
        Particulars { key, intended: self.intended, number: self.number }
    }
}
