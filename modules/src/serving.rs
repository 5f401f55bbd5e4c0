//! Whether this proxy takes new work, and what it tells peers who ask by OPTIONS.

use crate::calls::Calls;
use crate::reason::{Reason, Step};
use crate::tables::Tables;
use proto::message::Method;
use proto::policy::Inbound;
use std::ops::ControlFlow::{Break, Continue};

/// How requests outside any dialog are served. In-dialog requests and responses always pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serving {
    /// As configured.
    #[default]
    Normal,
    /// OPTIONS get 503, so that peers move away; new calls are still carried.
    Leaving,
    /// Every new request gets 503.
    Refusing,
}

/// The stage of OPTIONS to us, with or without a user part, but not to a user of a domain of ours. Strangers' did
/// not pass the gate.
pub fn answer_options(tables: &Tables, serving: Serving, request: &Inbound<'_>) -> Step<()> {
    if !request.to_us || request.message.method() != Method::Options {
        return Continue(());
    }
    if request.request_uri.user.is_some() && tables.domains.find(&request.request_uri.host).is_some() {
        return Continue(());
    }
    let reason = match serving {
        Serving::Normal => Reason::OptionsAnswered,
        Serving::Leaving | Serving::Refusing => Reason::OptionsWhileDraining,
    };
    Break(reason.verdict())
}

/// The stage that turns new work away: while draining, and when there is no room for another call.
pub fn take_in(serving: Serving, calls: &Calls, request: &Inbound<'_>) -> Step<()> {
    match request.message.method() {
        // What is in progress goes on, and a CANCEL that reaches this point was for a stateless set.
        Method::Cancel => Continue(()),
        Method::Ack => Break(Reason::StrayAck.verdict()),
        _ if serving == Serving::Refusing => Break(Reason::Draining.verdict()),
        Method::Invite if calls.is_full() => Break(Reason::CallTableFull.verdict()),
        _ => Continue(()),
    }
}
