//! Requests of our own. OPTIONS probes are non-INVITE client transactions without a server side; keep-alives of
//! phones are sent once and nothing is kept of them, for there may be millions.

use super::forward::own_egress;
use super::rewrite::write_via_line;
use super::{Outbox, Proxy, Settings};
use crate::message::{Message, Method, Writer};
use crate::policy::{Endpoint, Outcome, Policy, Target};
use crate::time::{Mono, Now};
use crate::token::{BranchKind, BranchToken, Owner};
use crate::transaction::{Branch, Key, ServerMachine};

/// A request that the policy wants sent.
#[derive(Clone, Copy, Debug)]
pub struct OwnRequest<'r> {
    /// Handed back with the answer ([`Policy::own_response`]).
    pub ticket: u64,
    /// Where it goes; its `no_response` is the longest wait, if it is shorter than Timer F.
    pub target: Target,
    /// Its method; not INVITE.
    pub method: Method,
    /// Its Call-ID.
    pub call_id: &'r [u8],
    /// Its From tag.
    pub from_tag: &'r [u8],
}

/// Longest Via line of ours: a host name with its port, and the token.
const VIA_BYTES_MAX: usize = 512;

/// A Via line under construction.
pub(super) struct ViaLine {
    text: [u8; VIA_BYTES_MAX],
    length: usize,
}

impl ViaLine {
    pub(super) fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

impl OwnRequest<'_> {
    /// Ticket of a request whose end nobody waits for.
    pub const NOBODY: u64 = u64::MAX;
}

impl<P: Policy> Proxy<P> {
    /// Sends a request of our own. `write` writes all of it and puts the Via line that it is given below
    /// the request line. False: no room, or nothing could be written; the policy hears nothing of it.
    pub fn send_own(
        &mut self,
        now: Now,
        request: &OwnRequest<'_>,
        mut write: impl FnMut(&mut Writer<'_>, &[u8]),
        out: &mut impl Outbox,
    ) -> bool {
        let key = Key(u128::from(self.next_random()) << 64 | u128::from(self.next_random()));
        let Some(listener) = self.settings.listener(request.target.listener) else {
            return false;
        };
        let source = Endpoint {
            listener: request.target.listener,
            local: listener.address,
            peer: request.target.next_hop,
            flow: request.target.flow,
        };
        let Some((via, owner)) = self.own_via(request, BranchKind::Stateful, key.id()) else {
            return false;
        };
        let mut buffer = core::mem::take(&mut self.outgoing);
        let mut writer = Writer::new(&mut buffer);
        write(&mut writer, via.text());
        let length = writer.finish().unwrap_or(0);
        let sent = self.open_own(now, request, (key, owner), source, buffer.get(..length).unwrap_or_default(), out);
        self.outgoing = buffer;
        sent
    }

    /// Sends a request of our own, once, and keeps nothing: an answer, whatever it says, comes to the policy under
    /// the request's ticket ([`Policy::keep_alive_answered`]). `write` as in [`Proxy::send_own`]. False: not sent.
    pub fn send_keep_alive(
        &mut self,
        request: &OwnRequest<'_>,
        mut write: impl FnMut(&mut Writer<'_>, &[u8]),
        out: &mut impl Outbox,
    ) -> bool {
        let Some((via, _)) = self.own_via(request, BranchKind::KeepAlive, request.ticket) else {
            return false;
        };
        let sent = out.transmit(&own_egress(&request.target), |writer| write(writer, via.text()));
        if sent {
            self.counters.request_sent(request.method);
        } else {
            self.counters.drop(super::Drop::NotSent);
        }
        sent
    }

    /// The Via line of a request of our own. `None`: no such listener, or the line is too long.
    pub(super) fn own_via(
        &self,
        request: &OwnRequest<'_>,
        kind: BranchKind,
        transaction: u64,
    ) -> Option<(ViaLine, Owner)> {
        self.settings.listener(request.target.listener)?;
        let Settings { node, own_slot, generation, ref keys, .. } = *self.settings;
        let owner = Owner { node, slot: own_slot, generation };
        let token = BranchToken { owner, kind, branch: 0, transaction, loop_hash: 0 };
        let signed = token.sign(&keys.seal(request.call_id, request.from_tag));
        let mut line = ViaLine { text: [0; VIA_BYTES_MAX], length: 0 };
        let mut via = Writer::new(&mut line.text);
        write_via_line(&self.settings, request.target.listener, None, &signed, &mut via);
        line.length = via.finish().ok()?;
        Some((line, owner))
    }

    fn open_own(
        &mut self,
        now: Now,
        request: &OwnRequest<'_>,
        (key, owner): (Key, Owner),
        source: Endpoint,
        bytes: &[u8],
        out: &mut impl Outbox,
    ) -> bool {
        if bytes.is_empty() {
            return false;
        }
        let Some(resend) = self.transactions.keep(bytes) else {
            return false;
        };
        let machine = ServerMachine::Own(request.ticket);
        let Some(transaction) = self.transactions.create_record(key, owner, source, 0, machine) else {
            self.transactions.free(Some(resend));
            return false;
        };
        let branch = Branch { resend: Some(resend), ..self.new_branch(now, transaction, 0, request.target, false) };
        let Some(index) = self.transactions.add_branch(branch) else {
            self.transactions.free(Some(resend));
            self.transactions.release(transaction, out);
            return false;
        };
        self.transactions.rearm_branch(index, out);
        if out.transmit(&own_egress(&request.target), |writer| writer.put(bytes)) {
            self.counters.request_sent(request.method);
        } else {
            self.counters.drop(super::Drop::NotSent);
        }
        true
    }

    /// The answer to a request of our own; a provisional one only stops nothing.
    pub(super) fn on_own_response(
        &mut self,
        now: Now,
        transaction: u32,
        ticket: u64,
        sent_at: Mono,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        if message.status() < 200 {
            return;
        }
        let after = now.mono.since(sent_at);
        if ticket != OwnRequest::NOBODY {
            self.policy.own_response(ticket, Outcome::Response(message.status()), after, now);
        }
        self.transactions.release(transaction, out);
    }
}
