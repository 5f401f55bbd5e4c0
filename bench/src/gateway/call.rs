//! The state of one call at a gateway.

use std::net::SocketAddr;

use proto::time::Mono;

use super::{behaviour::Outcome, table::BranchHash};
use crate::{
    back_off::BackOff,
    message::replies::{PlainEnd, Reply},
    parked::ParkedId,
};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No final response yet.
    Proceeding,
    /// The 2xx is out, its ACK is awaited (RFC 3261 §13.3.1.4).
    Answered,
    /// A failure is out, its ACK is awaited: Timers G and H.
    Rejected,
    /// Up.
    Established,
    /// Our BYE is out: Timers E and F.
    Ending,
}

/// One call.
pub(super) struct Call<A> {
    /// Index of the gateway.
    pub(super) gateway: usize,
    pub(super) phase: Phase,
    pub(super) outcome: Outcome,
    pub(super) branch: BranchHash,
    pub(super) invited: Mono,
    /// Where its responses go.
    pub(super) reply_to: SocketAddr,
    /// What its responses copy from the INVITE.
    pub(super) block: ParkedId,
    pub(super) plain: PlainEnd,
    /// Sent last: repeated when the INVITE comes again, or by the timer.
    pub(super) last_reply: Option<Reply>,
    pub(super) rang: bool,
    pub(super) back_off: BackOff,
    pub(super) alarm: Option<A>,
    /// The BYE and where it goes, if this gateway hangs up.
    pub(super) bye: Option<(ParkedId, SocketAddr)>,
}
