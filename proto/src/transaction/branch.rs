//! One client transaction of a proxied request (or of a request of our own): plain data.

use super::{TimerHandle, client_invite, client_non_invite};
use crate::policy::{Outcome, Target};
use crate::pool::Stored;
use crate::time::{Micros, Mono};

/// A branch. Found by its transaction's id and its number, both of which stand in the token of our Via.
#[derive(Clone, Copy, Debug)]
pub struct Branch {
    /// Index of the [`super::Transaction`] it belongs to.
    pub transaction: u32,
    /// Next branch of the same transaction; `u32::MAX`: none.
    pub next: u32,
    /// Its number within the transaction.
    pub number: u8,
    /// The client machine.
    pub machine: ClientMachine,
    /// A response of any kind has come.
    pub answered: bool,
    /// A provisional response other than 100 has come.
    pub ringing: bool,
    /// No response came in the target's time: no more INVITEs, and a late 1xx draws a CANCEL.
    pub given_up: bool,
    /// The CANCEL of this branch.
    pub cancel: CancelState,
    /// How it ended for the response context; `None` while it is pending.
    pub outcome: Option<Outcome>,
    /// Where it goes.
    pub target: Target,
    /// RFC 5393 hash that stands in its token.
    pub loop_hash: u32,
    /// The MAC of its token, as sent; 0: not known.
    pub mac: u64,
    /// Its share of Max-Breadth (RFC 5393 §5.3.3); 0 for a request of our own.
    pub max_breadth: u32,
    /// The Request-URI it goes with; `None`: as it came.
    pub request_uri: Option<Stored>,
    /// The changes to its header ([`crate::policy::Edits`]); `None`: none.
    pub edits: Option<Stored>,
    /// What is sent again: the ACK of a failed INVITE, or the request if it is our own.
    pub resend: Option<Stored>,
    /// The challenges of its 401 or 407, as header lines.
    pub challenges: Option<Stored>,
    /// When the request was first sent.
    pub sent_at: Mono,
    /// Timer A or E, or the CANCEL's E: next retransmission; [`Branch::NEVER`]: none.
    pub retransmit_at: Mono,
    /// Interval before that.
    pub interval: Micros,
    /// The target's `no_response` time, and once it has answered (or if that is earlier) `ring_by`; [`Branch::NEVER`]: none.
    pub give_up_at: Mono,
    /// Until when a provisional response beyond 100 has to come ([`crate::policy::Patience`]); [`Branch::NEVER`]: no limit.
    pub ring_by: Mono,
    /// Timer B, C, D, F, K or M, by state.
    pub expire_at: Mono,
    /// The one timer armed for the earliest of the three.
    pub timer: TimerHandle,
    /// Neighbours in the list of branches without any response.
    pub silent_previous: u32,
    /// See `silent_previous`.
    pub silent_next: u32,
}

/// The machine of a branch with its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMachine {
    /// RFC 3261 §17.1.1.
    Invite(client_invite::State),
    /// RFC 3261 §17.1.2.
    NonInvite(client_non_invite::State),
}

/// A CANCEL of ours (RFC 3261 §9.1): a small client transaction of its own beside the INVITE's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelState {
    /// Nobody wants it cancelled.
    None,
    /// To be sent when the first provisional response comes.
    Wanted,
    /// Sent, not answered: retransmitted by Timer E.
    Sent,
    /// Answered, or given up.
    Done,
}

impl Branch {
    /// A moment that does not come.
    pub const NEVER: Mono = Mono(u64::MAX);

    /// The earliest of its moments.
    pub fn next_moment(&self) -> Mono {
        self.retransmit_at.min(self.give_up_at).min(self.expire_at)
    }

    /// Whether a final outcome is still awaited from it.
    pub const fn pending(&self) -> bool {
        self.outcome.is_none()
    }

    /// Waiting for the first response of any kind (Calling, or Trying).
    pub const fn silent(&self) -> bool {
        matches!(
            self.machine,
            ClientMachine::Invite(client_invite::State::Calling)
                | ClientMachine::NonInvite(client_non_invite::State::Trying)
        )
    }

    /// Its machine has nothing left to do.
    pub const fn terminated(&self) -> bool {
        matches!(
            self.machine,
            ClientMachine::Invite(client_invite::State::Terminated)
                | ClientMachine::NonInvite(client_non_invite::State::Terminated)
        )
    }
}
