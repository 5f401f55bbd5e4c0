//! Transactions: the four machines of RFC 3261 §17 (with RFC 6026 and RFC 4320) as tables, and the
//! records that they move.
//!
//! The machines ([`client_invite`], [`client_non_invite`], [`server_invite`], [`server_non_invite`]) are
//! pure functions from state and event to state and actions. Records are plain data without pointers:
//! a [`Transaction`] is the server side of a proxied request, a [`Branch`] one client transaction of it.
//! `proxy` feeds events in and carries the actions out.

pub mod client_invite;
pub mod client_non_invite;
pub mod server_invite;
pub mod server_non_invite;

mod branch;
pub(crate) mod encode;
mod key;
mod record;
mod timer;

pub use branch::{Branch, CancelState, ClientMachine};
pub use encode::DecodeError;
pub use key::Key;
pub use record::{Best, Context, Parked, ServerMachine, Stage, Transaction};
pub use timer::{TimerHandle, TimerToken, Timers};

/// What a machine wants done, as a set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Actions(u8);

impl Actions {
    /// Nothing.
    pub const NONE: Actions = Actions(0);
    /// Send again what was sent last on this side.
    pub const RESEND: Actions = Actions(1);
    /// Hand the message to the transaction user.
    pub const PASS: Actions = Actions(2);
    /// Send the response that the transaction user gave.
    pub const SEND: Actions = Actions(4);
    /// Make an ACK for the response and send it (RFC 3261 §17.1.1.3).
    pub const ACK: Actions = Actions(8);
    /// Tell the transaction user that nobody answered.
    pub const TIMEOUT: Actions = Actions(16);
    /// Tell the transaction user that the transport failed.
    pub const ERROR: Actions = Actions(32);

    /// Both.
    pub const fn and(self, other: Actions) -> Actions {
        Actions(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    pub const fn has(self, other: Actions) -> bool {
        self.0 & other.0 == other.0
    }
}

impl core::fmt::Debug for Actions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names = [
            (Actions::RESEND, "resend"),
            (Actions::PASS, "pass"),
            (Actions::SEND, "send"),
            (Actions::ACK, "ack"),
            (Actions::TIMEOUT, "timeout"),
            (Actions::ERROR, "error"),
        ];
        let mut first = true;
        for (action, name) in names {
            if self.has(action) {
                f.write_str(if first { "" } else { "+" })?;
                f.write_str(name)?;
                first = false;
            }
        }
        if first { f.write_str("-") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
