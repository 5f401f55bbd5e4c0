//! The server side of a proxied request, and what the proxy keeps with it while it is open: plain data.

use super::{Key, TimerHandle, server_invite, server_non_invite};
use crate::message::Span;
use crate::policy::{Endpoint, Outcome, Question};
use crate::pool::Stored;
use crate::time::{Micros, Mono};
use crate::token::Owner;
use core::net::IpAddr;

/// A server transaction; small, since it stays for half a minute after its call was answered.
///
/// A request of our own (a probe) has one too, with [`ServerMachine::Own`], so that its branch is found
/// in the same way.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    /// What requests are matched by.
    pub key: Key,
    /// The owner that stands in the tokens of its branches; stays when it is handed over.
    pub owner: Owner,
    /// The server machine.
    pub machine: ServerMachine,
    /// From where the request came, and where responses go (their port is `reply_port`).
    pub source: Endpoint,
    /// RFC 3581: the source port, or the port of sent-by.
    pub reply_port: u16,
    /// Bit n: branch n was answered with a 2xx and is gone; its retransmissions still go upstream.
    pub accepted: u16,
    /// Where the first 2xx came from.
    pub accepted_from: Option<IpAddr>,
    /// Where the policy ends second answers: a hash of the To tag of the first 2xx, and of the last one that was ended; 0:
    /// none.
    pub answered_tag: u32,
    /// See `answered_tag`.
    pub ended_tag: u32,
    /// The last response sent; `None` while that is our 100.
    pub response: Option<Stored>,
    /// Index of its [`Context`] while the request is open or a branch still needs it; `u32::MAX`: gone.
    pub context: u32,
    /// First [`super::Branch`]; `u32::MAX`: none.
    pub branches: u32,
    /// Timer G; [`super::Branch::NEVER`]: not running.
    pub retransmit_at: Mono,
    /// Interval before that.
    pub interval: Micros,
    /// Timer H, I, J or L, or the deadline of a question.
    pub expire_at: Mono,
    /// The one timer armed for the earlier of the two.
    pub timer: TimerHandle,
}

/// The machine of a transaction with its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerMachine {
    /// RFC 3261 §17.2.1.
    Invite(server_invite::State),
    /// RFC 3261 §17.2.2.
    NonInvite(server_non_invite::State),
    /// None: the request is our own. The number is the policy's ticket.
    Own(u64),
}

/// The response context of RFC 3261 §16.7, with the request that it answers and the policy's note.
#[derive(Clone, Copy, Debug)]
pub struct Context<N> {
    /// The request as it came.
    pub request: Stored,
    /// Where the values of its From, its Call-ID and its To stand; empty when that was not noted.
    pub from_call_id_to: [Span; 3],
    /// Whether its To has a tag.
    pub in_dialog: bool,
    /// Where the value stands that a response gets back in its From or, within a dialog, in its To as well, since the
    /// request left with another (`proxy::shown_from`); empty: it gets none.
    pub originals: Span,
    /// The policy's.
    pub note: N,
    /// Branches opened so far; the next one's number.
    pub opened: u8,
    /// Branches without a final outcome.
    pub pending: u8,
    /// The caller has cancelled, or a 2xx or 6xx has come: no new branches.
    pub closed: bool,
    /// The caller has cancelled (§16.10).
    pub cancelled: bool,
    /// A final response went upstream.
    pub answered: bool,
    /// The best of the branches that have ended, by §16.7 step 6.
    pub best: Option<Best>,
    /// Questions asked so far.
    pub rounds: u8,
    /// Waiting for an answer of a lane or another shard.
    pub parked: Option<Parked>,
}

/// What would go upstream if nothing better came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// How that branch ended.
    pub outcome: Outcome,
    /// Its response as received; `None` if there was none.
    pub response: Option<Stored>,
    /// Number of the branch.
    pub branch: u8,
}

/// A request that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Which point asked.
    pub stage: Stage,
    /// What it asked.
    pub question: Question,
    /// How many it has asked before: an answer to an earlier one is not taken for this one's.
    pub round: u8,
}

/// The point at which a request was parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Point 1.
    NewRequest,
    /// Point 5.
    InDialog,
}

impl Transaction {
    /// Whether its machine has nothing left to do.
    pub const fn terminated(&self) -> bool {
        matches!(
            self.machine,
            ServerMachine::Invite(server_invite::State::Terminated)
                | ServerMachine::NonInvite(server_non_invite::State::Terminated)
        )
    }

    /// Whether it was created by an INVITE.
    pub const fn is_invite(&self) -> bool {
        matches!(self.machine, ServerMachine::Invite(_))
    }
}
