//! RFC 3261 §16.11: forwarding without keeping anything. Used for stateless sets and for every ACK of a 2xx.
//!
//! The branch is a pure function of the request, so that a retransmission leaves with the same one. It
//! carries a hash of the address that the response has to go back to: a gateway cannot make us send a
//! response elsewhere by changing the second Via.

use super::counters::Drop;
use super::loop_hash::loop_hash;
use super::preprocess::Preprocessed;
use super::record_route::Renewed;
use super::rewrite::{Leaving, reply_address, write_request};
use super::validate::breadth;
use super::{Egress, Outbox, Proxy, Settings, forward, relay::write_relayed};
use crate::hash::{Purpose, SignatureHash};
use crate::message::{Message, Method};
use crate::policy::{Endpoint, Policy};
use crate::token::{BranchKind, BranchToken};
use core::net::SocketAddr;

impl<P: Policy> Proxy<P> {
    /// Forwards to the one target in the target set. `unanswered`: no response will come (it is the ACK of a 2xx), and
    /// this number tells its transaction from others; else it is that of the way back.
    pub(super) fn forward_statelessly(
        &mut self,
        source: &Endpoint,
        message: &Message<'_>,
        pre: &Preprocessed<'_>,
        unanswered: Option<u64>,
        out: &mut impl Outbox,
    ) {
        let settings = &self.settings;
        let (Some((target, request_uri)), Ok(top)) = (self.targets.iter().next(), message.top_via()) else {
            return self.counters.drop(Drop::Policy);
        };
        let back = || SocketAddr::new(source.peer.ip(), self.reply_port(&top, source));
        let way_back = || way_back(settings, top.branch, top.host_bytes, back());
        let owner = settings.owner_of(message, pre.call);
        let token = BranchToken {
            owner,
            kind: BranchKind::Stateless,
            // WHY: the response leaves by the listener that the request came in by, and nothing else knows it.
            branch: u8::try_from(source.listener).unwrap_or(0),
            transaction: unanswered.unwrap_or_else(way_back),
            loop_hash: loop_hash(settings, source, message, pre),
        };
        let leaving = Leaving {
            listener: target.listener,
            request_uri,
            branch: token.sign(&pre.seal),
            edits: self.targets.edits(0),
            own_route: forward::route_of(settings, owner, message, pre, source, &target, self.targets.edits(0)),
            max_breadth: breadth(message).unwrap_or(limits::MAX_BREADTH),
        };
        let egress = forward::egress_of(settings, source, &target);
        if out.transmit(&egress, |writer| write_request(settings, message, pre, source, &leaving, writer)) {
            self.counters.request_sent(message.method());
        } else {
            self.counters.drop(Drop::NotSent);
        }
    }

    /// A response to a statelessly forwarded request goes where its second Via says, if that is what we wrote.
    pub(super) fn relay_statelessly(
        &mut self,
        token: &BranchToken,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let Some(Ok(second)) = message.vias().nth(1) else {
            return self.counters.drop(Drop::ResponseForNobody);
        };
        let Some(back) = reply_address(&second) else {
            return self.counters.drop(Drop::ResponseForNobody);
        };
        if way_back(&self.settings, second.branch, second.host_bytes, back) != token.transaction {
            return self.counters.drop(Drop::ResponseForNobody);
        }
        if message.method() == Method::Ack {
            return self.counters.drop(Drop::ResponseNotOurs);
        }
        let listener = u16::from(token.branch);
        let egress = Egress { listener, local: self.settings.local(source, listener), peer: back, flow: 0 };
        let renewed = Renewed::of(&self.settings, message, source.peer);
        if out.transmit(&egress, |writer| write_relayed(message, None, renewed, None, writer, |_| {})) {
            self.counters.response_sent(message.method(), message.status());
        } else {
            self.counters.drop(Drop::NotSent);
        }
    }
}

/// The second Via in one number: whose request it was, and where the response goes.
fn way_back(settings: &Settings, branch: &[u8], sent_by_host: &[u8], back: SocketAddr) -> u64 {
    SignatureHash::new(&settings.keys.slot_secret(), Purpose::Stateless)
        .part(branch)
        .part_lower(sent_by_host)
        .address(back.ip())
        .number(u64::from(back.port()))
        .finish_low()
}
