//! RFC 3261 §16.10 and §9: a CANCEL from the caller, and the CANCELs and ACKs that we make ourselves.

use super::counters::Drop;
use super::forward::{branch_token, egress_of};
use super::own_lines::Prepared;
use super::preprocess::{Preprocessed, UriText};
use super::reply::Arrival;
use super::rewrite::{other_party, write_routes, write_via_line};
use super::{Outbox, Proxy};
use crate::message::{HeaderName, Message, Method, Uri, Via, Writer};
use crate::policy::{Edits, Policy};
use crate::time::Now;
use crate::transaction::{Branch, CancelState, ClientMachine, Key, Transaction, client_invite};
use core::net::IpAddr;

impl<P: Policy> Proxy<P> {
    pub(super) fn on_cancel(
        &mut self,
        now: Now,
        arrival: &Arrival,
        top: &Via<'_>,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let cancelled = Key::of_cancelled(&self.settings.boot_secret, message, top);
        let found = self.transactions.find(cancelled).and_then(|at| Some((at, self.transactions.record(at)?)));
        let Some((transaction, record)) = found.filter(|(_, record)| record.is_invite()) else {
            return self.on_new_request(now, arrival, message, out);
        };
        if record.source.peer.ip() != arrival.source.peer.ip() {
            return self.counters.drop(Drop::CancelFromElsewhere);
        }
        // §9.2: the To tag is that of our response to the INVITE.
        self.reply_statelessly(&Arrival { key: cancelled, ..*arrival }, message, 200, out);
        let Some(context) = self.transactions.context_mut(transaction) else {
            return;
        };
        if context.answered || context.cancelled {
            return;
        }
        context.cancelled = true;
        context.closed = true;
        if context.parked.take().is_some() || context.pending == 0 {
            return self.send_own_final(now, transaction, 487, out);
        }
        self.cancel_pending(now, transaction, out);
    }

    /// §16.7 step 10, §16.10: every branch that may still bring a final response is cancelled.
    pub(super) fn cancel_pending(&mut self, now: Now, transaction: u32, out: &mut impl Outbox) {
        for index in self.transactions.branch_indices(transaction) {
            let Some(branch) = self.transactions.branch_mut(index) else {
                continue;
            };
            match (branch.machine, branch.cancel) {
                (ClientMachine::Invite(client_invite::State::Proceeding), CancelState::None) => {
                    self.send_cancel(now, index, out);
                    self.transactions.rearm_branch(index, out);
                }
                // §9.1: not before a provisional response has come.
                (ClientMachine::Invite(client_invite::State::Calling), CancelState::None) => {
                    branch.cancel = CancelState::Wanted;
                }
                _ => {}
            }
        }
    }

    /// Sends the CANCEL of a branch in Proceeding, and starts its Timer E; the INVITE has 64 T1 to end.
    pub(super) fn send_cancel(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        let timers = self.settings.timers;
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        let reliable = super::settings::reliable(self.settings.transport(branch.target.listener));
        branch.cancel = CancelState::Sent;
        branch.interval = timers.t1;
        branch.retransmit_at = if reliable { Branch::NEVER } else { now.mono.after(timers.t1) };
        branch.expire_at = now.mono.after(timers.t1.times(64));
        self.counters.request_sent(Method::Cancel);
        self.resend_cancel(index, out);
    }

    pub(super) fn resend_cancel(&mut self, index: u32, out: &mut impl Outbox) {
        self.with_branch_request(index, |proxy, branch, record, message, pre| {
            let egress = egress_of(&proxy.settings, &record.source, &branch.target);
            let request_uri = proxy.branch_uri(branch, pre);
            let edits = proxy.transactions.edits(branch);
            out.transmit(&egress, |writer| {
                write_hop_by_hop(
                    &proxy.settings,
                    message,
                    pre,
                    branch,
                    record,
                    edits,
                    b"CANCEL",
                    request_uri,
                    None,
                    writer,
                );
            });
        });
    }

    /// A response to our CANCEL: it is not sent again. Nothing goes upstream.
    pub(super) fn on_cancel_response(&mut self, index: u32, message: &Message<'_>, out: &mut impl Outbox) {
        if message.status() < 200 {
            return;
        }
        if let Some(branch) = self.transactions.branch_mut(index)
            && branch.cancel == CancelState::Sent
        {
            branch.cancel = CancelState::Done;
            branch.retransmit_at = Branch::NEVER;
            self.transactions.rearm_branch(index, out);
        }
    }

    /// §17.1.1.3: the ACK for a failed INVITE, made from the INVITE with the To of the response; kept, since
    /// the response may come again.
    pub(super) fn send_ack(&mut self, index: u32, response: &Message<'_>, out: &mut impl Outbox) {
        let mut buffer = core::mem::take(&mut self.outgoing);
        let to = response.value(HeaderName::To).unwrap_or_default();
        let made = self.with_branch_request(index, |proxy, branch, record, message, pre| {
            let request_uri = proxy.branch_uri(branch, pre);
            let mut writer = Writer::new(&mut buffer);
            let edits = proxy.transactions.edits(branch);
            write_hop_by_hop(
                &proxy.settings,
                message,
                pre,
                branch,
                record,
                edits,
                b"ACK",
                request_uri,
                Some(to),
                &mut writer,
            );
            (writer.finish().unwrap_or(0), egress_of(&proxy.settings, &record.source, &branch.target))
        });
        if let Some((length, egress)) = made {
            let bytes = buffer.get(..length).unwrap_or_default();
            if out.transmit(&egress, |writer| writer.put(bytes)) {
                self.counters.request_sent(Method::Ack);
            } else {
                self.counters.drop(Drop::NotSent);
            }
            let kept = self.transactions.keep(bytes);
            if let Some(branch) = self.transactions.branch_mut(index) {
                let old = core::mem::replace(&mut branch.resend, kept);
                self.transactions.free(old);
            }
        }
        self.outgoing = buffer;
    }

    fn branch_uri<'b>(&'b self, branch: &'b Branch, pre: &Preprocessed<'b>) -> &'b [u8] {
        branch.request_uri.as_ref().map_or(pre.request_uri, |stored| self.transactions.bytes(stored))
    }

    fn with_branch_request<R>(
        &mut self,
        index: u32,
        act: impl FnOnce(&Self, &Branch, &Transaction, &Message<'_>, &Preprocessed<'_>) -> R,
    ) -> Option<R> {
        let transaction = self.transactions.branch(index)?.transaction;
        self.with_kept_request(transaction, |proxy, source, message| {
            let mut text = UriText::default();
            let pre = proxy.preprocessed(source, message, &mut text)?;
            let branch = proxy.transactions.branch(index)?;
            let record = proxy.transactions.record(transaction)?;
            Some(act(proxy, branch, record, message, &pre))
        })
        .flatten()
    }
}

/// A CANCEL or ACK for a branch: its own top Via alone, From, Call-ID, CSeq number and Route of the
/// request as it was sent (§9.1, §17.1.1.3). `to`: that of the response; `None`: of the request.
#[allow(clippy::too_many_arguments, reason = "the parts of the request that they are made of")]
fn write_hop_by_hop(
    settings: &Prepared,
    message: &Message<'_>,
    pre: &Preprocessed<'_>,
    branch: &Branch,
    record: &Transaction,
    edits: Edits<'_>,
    method: &[u8],
    request_uri: &[u8],
    to: Option<&[u8]>,
    out: &mut Writer<'_>,
) {
    let strict = pre.next_route.filter(|route| Uri::parse(route.uri).is_ok_and(|uri| !uri.has_lr()));
    out.put(method);
    out.byte(b' ');
    out.put(strict.map_or(request_uri, |route| route.uri));
    out.put(b" SIP/2.0\r\n");
    let token = branch_token(branch, record);
    let signed = token.sign(&pre.seal);
    let local: Option<IpAddr> = settings.local(&record.source, branch.target.listener);
    write_via_line(settings, branch.target.listener, local, &signed, out);
    write_routes(edits, out);
    for route in message.name_addrs(HeaderName::Route).flatten() {
        let taken_off =
            pre.removals.contains(&Some(route.removal)) || strict.is_some_and(|first| first.value == route.value);
        if !taken_off {
            out.put(b"Route: ");
            out.put(route.value.of(message.bytes()));
            out.put(b"\r\n");
        }
    }
    if strict.is_some() {
        out.put(b"Route: <");
        out.put(request_uri);
        out.put(b">\r\n");
    }
    out.put(b"Max-Forwards: ");
    out.decimal(u64::from(limits::MAX_FORWARDS_DEFAULT));
    let party = other_party(pre, edits);
    let as_sent = |name: HeaderName, out: &mut Writer<'_>| match party {
        Some(party) if party.is(name) => party.write(message, out),
        _ => out.put(message.value(name).unwrap_or_default()),
    };
    out.put(b"\r\nFrom: ");
    as_sent(HeaderName::From, out);
    out.put(b"\r\nTo: ");
    match to {
        Some(to) => out.put(to),
        None => as_sent(HeaderName::To, out),
    }
    out.put(b"\r\nCall-ID: ");
    out.put(message.call_id());
    out.put(b"\r\nCSeq: ");
    out.decimal(message.cseq().map_or(0, |cseq| u64::from(cseq.number)));
    out.byte(b' ');
    out.put(method);
    out.put(b"\r\nContent-Length: 0\r\n\r\n");
}
