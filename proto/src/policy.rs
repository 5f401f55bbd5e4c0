//! What a proxy asks of its policy: the six named points, the verdicts, and what travels with them.
//!
//! RFC 3261 §16 says how to forward and leaves to local policy whether and where to. `proxy` calls
//! an implementation of [`Policy`] at six points and nowhere else; `modules` implement it. A policy
//! does no I/O: same input, same state, same `now`, same verdict. What must be looked up elsewhere
//! is asked for by [`Verdict::Ask`], and the transaction waits parked, not the shard.

mod edits;
mod targets;

pub use edits::{EditWriter, Edits};
pub use targets::{BySource, Patience, Target, TargetSet};

use crate::message::{Message, Uri};
use crate::time::{Micros, Mono, Now};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Where a message came from, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Index of our listener in the configuration.
    pub listener: u16,
    /// Our address, as asked by the peer: answers leave from it (wildcard listeners).
    pub local: SocketAddr,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The connection, for streams; 0 over UDP.
    pub flow: u64,
}

/// A request as the points see it: parsed, valid by §16.3, preprocessed by §16.4.
#[derive(Clone, Copy, Debug)]
pub struct Inbound<'m> {
    /// The message as it came.
    pub message: &'m Message<'m>,
    /// Where it came from.
    pub source: Endpoint,
    /// The Request-URI after preprocessing (a strict router's is restored from Route).
    pub request_uri: Uri<'m>,
    /// Bytes of that URI.
    pub request_uri_bytes: &'m [u8],
    /// The Route value that remains on top after our own was taken off.
    pub next_route: Option<Uri<'m>>,
    /// Listener named by the last Route value of ours that was taken off: by it the request should
    /// leave (double Record-Route). `None`: there was none.
    pub leaves_by: Option<u16>,
    /// Where the side that the request is for really is, by our signed Route: it goes there, whatever its target
    /// names (a Contact behind NAT). Outside a dialog the Route was our Path (RFC 3327). `None`: ours says nothing of
    /// it.
    pub far_side: Option<SocketAddr>,
    /// The Request-URI names this proxy (a listener, an advertised address or a domain of ours).
    pub to_us: bool,
}

/// Why an in-dialog request may be believed to belong to a dialog that we let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Our signed Route token verified; `from_initiator` says which side sends.
    Token {
        /// The sender is the side that sent the first INVITE.
        from_initiator: bool,
        /// It goes where the other side is reached, as that side said when the dialog began (its next
        /// Record-Route behind us, else its Contact).
        to_far_side: bool,
    },
    /// No token, or one that does not verify. Only a live call can vouch for it.
    None,
}

/// What a policy decides about a request (points 1 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<R> {
    /// Forward statefully to the targets in the [`TargetSet`].
    Forward,
    /// Forward statelessly to the one target in the [`TargetSet`] (§16.11).
    ForwardStateless,
    /// Answer it ourselves, with the header lines attached to the [`TargetSet`]. Nothing is kept of a request
    /// that is answered at once: the same request again is asked about again.
    Reply {
        /// Status code, 200 to 699.
        status: u16,
        /// Counted under this.
        reason: R,
    },
    /// Ask a lane or another shard; come back with the answer, or with [`Answer::Late`] at the deadline.
    Ask {
        /// What is asked; the policy's own number, handed to [`crate::proxy::Outbox::ask`].
        question: Question,
        /// The longest wait.
        deadline: Micros,
    },
    /// Say nothing.
    Drop(R),
}

/// How a source that may not be served is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<R> {
    /// With this status, statelessly.
    Reply {
        /// Status code, 300 to 699.
        status: u16,
        /// Counted under this.
        reason: R,
    },
    /// In silence.
    Drop(R),
}

/// A question for a lane or another shard. The text (a host name, a user) stands in the outbox's call. An answer
/// of many bytes is given to the policy by its owner, just before [`Answer::Module`] comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The addresses of the host of the Request-URI or next Route (RFC 3263).
    Resolve,
    /// A question of a module, by its number. Its bytes are attached to the [`TargetSet`].
    Module(u32),
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The address of the host asked for.
    Address(SocketAddr),
    /// It is known that there is none.
    Nothing,
    /// A module's own answer.
    Module(u64),
    /// The deadline passed first; the question's default holds.
    Late,
}

/// How a branch ended, or what it has brought so far (points 3, 4 and 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A final response of this status from the target.
    Response(u16),
    /// No response at all within the target's `no_response` time: given up, but still alive.
    GivenUp,
    /// Nothing beyond a 100 within [`Patience::ringing`]: cancelled.
    NotRinging,
    /// Timer B or F, or Timer C, fired (a local 408).
    TimedOut {
        /// A provisional response other than 100 had come.
        ringing: bool,
    },
    /// The transport reported the target unreachable (a local 503).
    Unreachable,
}

impl Outcome {
    /// The status code that stands for it upstream (RFC 3261 §16.7 to §16.9).
    pub const fn status(self) -> u16 {
        match self {
            Outcome::Response(status) => status,
            Outcome::GivenUp | Outcome::NotRinging | Outcome::TimedOut { .. } => 408,
            Outcome::Unreachable => 503,
        }
    }
}

/// What to do when every branch so far has failed (point 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Try the targets now in the [`TargetSet`].
    Advance,
    /// Send a response of our own in place of it, with the header lines attached to the [`TargetSet`].
    Answer {
        /// Status code, 300 to 699.
        status: u16,
    },
    /// Send the best response upstream, under this status if another is wanted.
    Send {
        /// `Some(500)` turns a last 503 into 500 (§16.7 step 6); `None`: as it came.
        status: Option<u16>,
    },
}

/// What becomes of an INVITE that has taken as long as [`Patience::overdue`] allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It may go on; the policy is asked again then.
    Wait(Mono),
    /// It goes on, and the policy is not asked again.
    Forget,
    /// All branches are cancelled, and this response of our own is sent at once, with the header lines attached to
    /// the [`TargetSet`].
    End {
        /// Status code, 300 to 699.
        status: u16,
    },
}

/// What point 3 is told about a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseContext<'m> {
    /// The branch's target.
    pub target: Target,
    /// From where the response came.
    pub source: SocketAddr,
    /// The request as it came from the caller.
    pub request: &'m [u8],
    /// Where that had come from.
    pub caller: Endpoint,
    /// Since the branch's request was first sent.
    pub after: Micros,
    /// First response of any kind on this branch.
    pub first: bool,
    /// Slot of the Call-ID: what a call belongs to when shards change in number.
    pub slot: u16,
}

/// What point 6 is told.
#[derive(Clone, Copy, Debug)]
pub struct End<'m> {
    /// Status sent upstream; 0: the caller got none (an ACK, or nothing could be sent).
    pub status: u16,
    /// The request as it came from the caller; empty once it is no longer kept.
    pub request: &'m [u8],
    /// Where that had come from.
    pub caller: Endpoint,
}

/// How a note travels when its transaction is handed over. By default it does not, and starts anew.
pub trait NoteEncoding: Copy + Default {
    /// Appends the note to `out`.
    fn encode(&self, _out: &mut Vec<u8>) {}

    /// Reads back what [`NoteEncoding::encode`] wrote. `None`: it did not write that.
    fn decode(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then(Self::default)
    }
}

impl NoteEncoding for () {}

impl NoteEncoding for u32 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// The policy of a proxy. One value a shard; all its state is its own.
pub trait Policy {
    /// What the policy keeps with each transaction: plain data, no pointers.
    type Note: Copy + Default + core::fmt::Debug;
    /// Typed reasons of replies and drops; each has one counter.
    type Reason: Copy + core::fmt::Debug;

    /// The gate of points 1 and 5, before anything is done for a request: may this source be served at
    /// all? Asked for requests without a To tag and for malformed ones. `None`: yes.
    fn admit(&mut self, message: &Message<'_>, source: &Endpoint, now: Now) -> Option<Refusal<Self::Reason>>;

    /// Point 1: a request outside any dialog. A CANCEL comes here only if it cancels nothing that is
    /// kept: a stateless set forwards it as it did the INVITE, anything else is answered 481. Fills `targets` for a `Forward`. Called again with
    /// `answer` after an `Ask`.
    fn new_request(
        &mut self,
        request: &Inbound<'_>,
        note: &mut Self::Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Verdict<Self::Reason>;

    /// Point 2: a branch before it leaves. May refuse it (a cap, a gateway that went down since).
    fn branch(&mut self, request: &[u8], target: &Target, note: &mut Self::Note, now: Now) -> bool;

    /// Point 3: a response to a branch: provisional, 2xx or other final. It has been matched and its source accepted.
    fn response(&mut self, response: &Message<'_>, context: &ResponseContext<'_>, note: &mut Self::Note, now: Now);

    /// A branch ended without a final response from its target (part of point 3: silence is an answer too).
    fn silence(&mut self, target: &Target, outcome: Outcome, note: &mut Self::Note, now: Now);

    /// Point 4: no branch is pending, none has succeeded, and no 6xx has come. `best` is the outcome
    /// that §16.7 step 6 prefers.
    fn best_response(
        &mut self,
        request: &Inbound<'_>,
        best: Outcome,
        note: &mut Self::Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Choice;

    /// Point 5: a request with a To tag. `Forward` and `ForwardStateless` need a target that is
    /// listed or belongs to the dialog.
    fn in_dialog(
        &mut self,
        request: &Inbound<'_>,
        proof: Proof,
        note: &mut Self::Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Verdict<Self::Reason>;

    /// An INVITE is not answered yet, and the time that the policy gave it has passed ([`Patience::overdue`]).
    fn overdue(&mut self, note: &mut Self::Note, targets: &mut TargetSet, now: Now) -> Overdue {
        let _ = (note, targets, now);
        Overdue::Forget
    }

    /// A 2xx has come to an INVITE that has had its final response, from another branch: whether we end its dialog
    /// ourselves (ACK and BYE) in place of passing it on (RFC 3261 §16.7 step 5). Point 3 hears of it in any case.
    fn ends_second_answer(&self, note: &Self::Note) -> bool {
        let _ = note;
        false
    }

    /// A fork behind a target that has answered has answered too, and is ended by us (see
    /// [`Policy::ends_second_answer`]). Point 3 does not hear of it.
    fn forked_answer(&mut self, response: &Message<'_>, source: SocketAddr, now: Now) {
        let _ = (response, source, now);
    }

    /// The ticket of the BYE that ends the second answer which the policy has just heard of, at point 3 or by
    /// [`Policy::forked_answer`].
    fn bye_ticket(&mut self) -> u64 {
        crate::proxy::OwnRequest::NOBODY
    }

    /// Point 6: the transaction is over for the caller (final response sent, or none can be).
    fn transaction_end(&mut self, end: &End<'_>, note: &mut Self::Note, now: Now);

    /// A transaction of another process or shard goes on here, with the note that came with it (hand-over).
    /// Numbers in it that mean something else here are the policy's to put right.
    fn taken_over(&mut self, _request: &[u8], _note: &mut Self::Note, _now: Now) {}

    /// The same for the target of each of its branches; called before [`Policy::taken_over`].
    fn target_taken_over(&mut self, _target: &mut Target) {}

    /// What a 2xx of an INVITE has to wait for before it goes upstream, as [`crate::proxy::Outbox`] knows it: its
    /// record. Asked each time that one passes, repeated ones included. `None`: it leaves at once.
    fn answer_waits_for(&self) -> Option<u64> {
        None
    }

    /// A request that the policy itself sent (a probe) was answered, timed out or could not be sent.
    /// `after`: since it was first sent.
    fn own_response(&mut self, ticket: u64, outcome: Outcome, after: Micros, now: Now);

    /// A response to `target` was dropped because it came from `source`, which may not answer for it.
    fn response_refused(&mut self, target: &Target, source: SocketAddr) {
        let _ = (target, source);
    }

    /// Whether a response to `target` may come from `source` although that is not its address.
    fn answers_for(&self, target: &Target, source: IpAddr) -> bool;

    /// A keep-alive that the policy sent under this ticket was answered ([`crate::proxy::Proxy::send_keep_alive`]).
    fn keep_alive_answered(&mut self, ticket: u64, now: Now) {
        let _ = (ticket, now);
    }

    /// Whether a new call is carried even by a shard that is behind: an emergency.
    fn is_urgent(&self, message: &Message<'_>, source: &Endpoint) -> bool {
        let _ = (message, source);
        false
    }

    /// Whether responses to this source go back to the port that it sent from, asked for or not (RFC 3581): a
    /// phone may be behind NAT. Asked when the top Via has no `rport`.
    fn answers_to_source_port(&self, source: &Endpoint) -> bool {
        let _ = source;
        false
    }

    /// Whether a host and port name this proxy (a listener, an advertised address, a domain of ours).
    fn is_us(&self, host: &crate::message::Host<'_>, port: Option<u16>) -> bool;
}
