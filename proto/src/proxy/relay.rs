//! RFC 3261 §16.7 steps 3, 8 and 9: responses on their way upstream, and again for whoever repeats his request.

use super::record_route::Renewed;
use super::reply::{Status, reply_egress, write_response};
use super::shown_from::Originals;
use super::{Outbox, Proxy};
use crate::message::{HeaderName, Message, Method, Span, Splice, Via, Writer};
use crate::policy::{Endpoint, Policy};
use crate::transaction::{Actions, Branch, ServerMachine, server_invite, server_non_invite};

impl<P: Policy> Proxy<P> {
    /// 101 to 199 goes upstream and is kept for retransmitted requests.
    pub(super) fn relay_provisional(&mut self, transaction: u32, message: &Message<'_>, out: &mut impl Outbox) {
        let mut buffer = core::mem::take(&mut self.outgoing);
        let mut writer = Writer::new(&mut buffer);
        write_relayed(message, None, None, self.transactions.originals(transaction), &mut writer, |_| {});
        let length = writer.finish().unwrap_or(0);
        let bytes = buffer.get(..length).unwrap_or_default();
        let kept = self.transactions.keep(bytes);
        if let Some(record) = self.transactions.record_mut(transaction) {
            record.machine = match record.machine {
                ServerMachine::Invite(state) => {
                    ServerMachine::Invite(server_invite::step(state, server_invite::Event::Provisional).0)
                }
                ServerMachine::NonInvite(state) => {
                    ServerMachine::NonInvite(server_non_invite::step(state, server_non_invite::Event::Provisional).0)
                }
                ServerMachine::Own(ticket) => ServerMachine::Own(ticket),
            };
            let old = core::mem::replace(&mut record.response, kept);
            let egress = reply_egress(&record.source, record.reply_port);
            self.transactions.free(old);
            if out.transmit(&egress, |writer| writer.put(bytes)) {
                self.counters.response_sent(message.method(), message.status());
            } else {
                self.counters.drop(super::Drop::NotSent);
            }
        } else {
            self.transactions.free(kept);
        }
        self.outgoing = buffer;
    }

    /// A 2xx from `source` goes upstream as it is, our Via taken off (step 3).
    pub(super) fn relay(&mut self, transaction: u32, source: &Endpoint, message: &Message<'_>, out: &mut impl Outbox) {
        let Some(record) = self.transactions.record(transaction) else {
            return;
        };
        let egress = reply_egress(&record.source, record.reply_port);
        let renewed = Renewed::of(&self.settings, message, source.peer);
        let waits_for = self.policy.answer_waits_for().filter(|_| message.method() == Method::Invite);
        let originals = self.transactions.originals(transaction);
        let write = |writer: &mut Writer<'_>| write_relayed(message, None, renewed, originals, writer, |_| {});
        let sent = match waits_for {
            Some(record) => out.transmit_when_durable(record, &egress, write),
            None => out.transmit(&egress, write),
        };
        if sent {
            self.counters.response_sent(message.method(), message.status());
        } else {
            self.counters.drop(super::Drop::NotSent);
        }
    }

    /// The last response again, for a retransmitted request or by Timer G. `request`: to make our 100 from.
    pub(super) fn resend_response(&mut self, transaction: u32, request: &Message<'_>, out: &mut impl Outbox) {
        let Some(record) = self.transactions.record(transaction) else {
            return;
        };
        let egress = reply_egress(&record.source, record.reply_port);
        match &record.response {
            Some(stored) => {
                let bytes = self.transactions.bytes(stored);
                out.transmit(&egress, |writer| writer.put(bytes));
            }
            None if in_proceeding(record.machine) => {
                let (settings, source) = (&self.settings, record.source);
                out.transmit(&egress, |writer| {
                    write_response(settings, request, &source, Status::of(100), b"", b"", writer)
                });
            }
            None => {}
        }
    }

    /// RFC 4320 §4.1: a non-INVITE that nobody has answered yet gets its 100.
    pub(super) fn send_trying(&mut self, transaction: u32, out: &mut impl Outbox) {
        let Some(record) = self.transactions.record_mut(transaction) else {
            return;
        };
        record.retransmit_at = Branch::NEVER;
        let ServerMachine::NonInvite(state) = record.machine else {
            return;
        };
        let (next, actions) = server_non_invite::step(state, server_non_invite::Event::Provisional);
        if !actions.has(Actions::SEND) {
            return;
        }
        record.machine = ServerMachine::NonInvite(next);
        self.with_kept_request(transaction, |proxy, _, request| {
            proxy.resend_response(transaction, request, out);
            proxy.counters.response_sent(request.method(), 100);
        });
    }
}

/// Before any response but our 100.
fn in_proceeding(machine: ServerMachine) -> bool {
    matches!(
        machine,
        ServerMachine::Invite(server_invite::State::Proceeding)
            | ServerMachine::NonInvite(server_non_invite::State::Proceeding)
    )
}

/// A response as it goes upstream: our Via off, our Record-Route renewed (of a 2xx), From and To as they are known there,
/// another status if wanted, headers added at the end.
///
/// WHY no Retry-After with 503: it would be taken for ours (§21.5.4), and nobody would send us calls for a while.
pub(super) fn write_relayed(
    message: &Message<'_>,
    status: Option<u16>,
    mut renewed: Option<Renewed>,
    originals: Option<Originals<'_>>,
    out: &mut Writer<'_>,
    add: impl FnOnce(&mut Writer<'_>),
) {
    let Ok(top) = message.top_via() else { return };
    let mut splice = match status {
        Some(status) => {
            out.put(b"SIP/2.0 ");
            out.decimal(u64::from(status));
            out.byte(b' ');
            out.put(super::reply::reason_phrase(status));
            out.put(b"\r\n");
            let rest = Span { start: message.start_line_end(), end: u16::MAX };
            Splice::within(message.bytes(), rest, out)
        }
        None => Splice::new(message.bytes(), out),
    };
    let without_retry = message.status() == 503 && message.field(HeaderName::RetryAfter).is_some();
    if without_retry || originals.is_some() {
        edit_fields(message, &top, without_retry, renewed, originals, &mut splice);
    } else {
        if let Some(renewed) = &mut renewed {
            renewed.write_before(top.removal.start, &mut splice);
        }
        splice.cut(top.removal);
        if let Some(renewed) = &mut renewed {
            renewed.write_before(message.header_end(), &mut splice);
        }
    }
    splice.insert(message.header_end(), add);
    splice.finish();
}

#[cold]
fn edit_fields(
    message: &Message<'_>,
    top: &Via<'_>,
    without_retry: bool,
    mut renewed: Option<Renewed>,
    originals: Option<Originals<'_>>,
    splice: &mut Splice<'_, '_, '_>,
) {
    for (place, field) in message.fields().iter().enumerate() {
        if let Some(renewed) = &mut renewed {
            renewed.write_before(field.line.start, splice);
        }
        match (field.name, originals) {
            _ if place == usize::from(top.field) => splice.cut(top.removal),
            (HeaderName::RetryAfter, _) if without_retry => splice.cut(field.line),
            (HeaderName::From, Some(Originals { from, .. })) => splice.replace(field.value, |out| out.put(from)),
            (HeaderName::To, Some(Originals { to: Some(to), .. })) => splice.replace(field.value, |out| out.put(to)),
            _ => {}
        }
    }
    if let Some(renewed) = &mut renewed {
        renewed.write_before(message.header_end(), splice);
    }
}
