//! A 2xx to an INVITE that has had its final response already (forks, a CANCEL that came too late): where the policy
//! wants it ([`Policy::ends_second_answer`]), its dialog is ended here as RFC 3261 §13.2.2.4 has it: ACK, then BYE.
//!
//! A fork behind a target answers on the branch that was answered before: its 2xx has another To tag.
//!
//! The ACK is kept with the branch and sent again for each 2xx that comes again; the BYE is a client transaction of
//! its own. Both go by the route set and the remote target of the response, to the target that it came from.

use super::forward::own_egress;
use super::record_route::own_token;
use super::{Outbox, OwnRequest, Proxy};
use crate::hash::{KeyedHash, Purpose};
use crate::message::{HeaderName, Message, Method, Span, Uri, Writer};
use crate::policy::{BySource, Endpoint, Outcome, Policy, Target};
use crate::time::{Micros, Now};
use crate::token::{BranchKind, Keys};
use crate::transaction::{Branch, ServerMachine, server_invite};

impl<P: Policy> Proxy<P> {
    /// Whether a 2xx to a branch of this transaction is one that we end.
    pub(super) fn is_second_answer(&self, transaction: u32) -> bool {
        let (Some(record), Some(context)) =
            (self.transactions.record(transaction), self.transactions.context(transaction))
        else {
            return false;
        };
        let had_final = record.machine != ServerMachine::Invite(server_invite::State::Proceeding);
        had_final && self.policy.ends_second_answer(&context.note)
    }

    /// Acknowledges and ends it. The branch stays in Accepted until Timer M.
    pub(super) fn end_second_answer(&mut self, now: Now, index: u32, response: &Message<'_>, out: &mut impl Outbox) {
        self.counters.second_answers += 1;
        let timer_m = self.settings.timers.m;
        let Some(branch) = self.transactions.branch_mut(index) else { return };
        branch.retransmit_at = Branch::NEVER;
        branch.give_up_at = Branch::NEVER;
        branch.expire_at = now.mono.after(timer_m);
        let target = Target { no_response: Micros(0), ..branch.target };
        self.transactions.rearm_branch(index, out);
        let (call_id, from_tag) = (response.call_id(), response.from_tag());
        let request = |method| OwnRequest { ticket: OwnRequest::NOBODY, target, method, call_id, from_tag };
        let within = Within::of(&self.settings.keys, response);
        self.send_ack_of_answer(index, &request(Method::Ack), &within, out);
        self.send_bye_to_answer(now, request(Method::Bye), &within, out);
    }

    /// The first 2xx goes upstream: it is told from others by its To tag, where the policy ends those.
    pub(super) fn note_answer(&mut self, transaction: u32, response: &Message<'_>) {
        let ends = self.transactions.context(transaction).is_some_and(|it| self.policy.ends_second_answer(&it.note));
        let tag = if ends { self.tag_hash(response) } else { 0 };
        if let Some(record) = self.transactions.record_mut(transaction).filter(|record| record.answered_tag == 0) {
            record.answered_tag = tag;
        }
    }

    /// Whether a 2xx on a branch that has had its 2xx is of another dialog, which we end.
    pub(super) fn is_forked_answer(&self, transaction: u32, response: &Message<'_>) -> bool {
        let known = self.transactions.record(transaction).map_or(0, |record| record.answered_tag);
        known != 0 && known != self.tag_hash(response)
    }

    /// Acknowledges it, as often as it comes, and ends it once.
    pub(super) fn end_forked_answer(
        &mut self,
        now: Now,
        transaction: u32,
        source: &Endpoint,
        response: &Message<'_>,
        out: &mut impl Outbox,
    ) {
        let tag = self.tag_hash(response);
        let Some(record) = self.transactions.record_mut(transaction) else { return };
        let known = core::mem::replace(&mut record.ended_tag, tag) == tag;
        let target = Target {
            gateway: Target::NO_GATEWAY,
            listener: source.listener,
            by_source: BySource::Neither,
            next_hop: source.peer,
            flow: source.flow,
            no_response: Micros(0),
        };
        let (call_id, from_tag) = (response.call_id(), response.from_tag());
        let request = |method| OwnRequest { ticket: OwnRequest::NOBODY, target, method, call_id, from_tag };
        let within = Within::of(&self.settings.keys, response);
        self.send_ack_of_answer(u32::MAX, &request(Method::Ack), &within, out);
        if known {
            return self.counters.drop(super::Drop::ResponseRepeated);
        }
        self.counters.second_answers += 1;
        self.policy.forked_answer(response, source.peer, now);
        self.send_bye_to_answer(now, request(Method::Bye), &within, out);
    }

    /// Its end is the policy's to hear of, sent or not.
    fn send_bye_to_answer(&mut self, now: Now, request: OwnRequest<'_>, within: &Within<'_>, out: &mut impl Outbox) {
        let ticket = self.policy.bye_ticket();
        let request = OwnRequest { ticket, ..request };
        let sent = self.send_own(now, &request, |out, via| within.write(b"BYE", 1, via, out), out);
        if !sent && ticket != OwnRequest::NOBODY {
            self.policy.own_response(ticket, Outcome::Unreachable, Micros(0), now);
        }
    }

    /// Never 0.
    fn tag_hash(&self, response: &Message<'_>) -> u32 {
        let hash = KeyedHash::new(&self.settings.boot_secret, Purpose::Call).part(response.to_tag()).finish();
        (hash & 0xffff_fffe) as u32 | 1
    }

    /// Kept with the branch, if there is one.
    fn send_ack_of_answer(&mut self, index: u32, request: &OwnRequest<'_>, within: &Within<'_>, out: &mut impl Outbox) {
        // Nothing answers an ACK, so its number finds nothing.
        let number = self.next_random();
        let Some((via, _)) = self.own_via(request, BranchKind::Stateful, number) else { return };
        let mut buffer = core::mem::take(&mut self.outgoing);
        let mut writer = Writer::new(&mut buffer);
        within.write(b"ACK", 0, via.text(), &mut writer);
        let length = writer.finish().unwrap_or(0);
        let bytes = buffer.get(..length).unwrap_or_default();
        if !bytes.is_empty() && out.transmit(&own_egress(&request.target), |writer| writer.put(bytes)) {
            self.counters.request_sent(Method::Ack);
        } else {
            self.counters.drop(super::Drop::NotSent);
        }
        if self.transactions.branch(index).is_some() {
            let kept = self.transactions.keep(bytes);
            let old =
                self.transactions.branch_mut(index).and_then(|branch| core::mem::replace(&mut branch.resend, kept));
            self.transactions.free(old);
        }
        self.outgoing = buffer;
    }
}

/// Most Record-Route values beyond ours that are gone by.
const ROUTES_MAX: usize = limits::VIA_COUNT_MAX;

/// The dialog of a 2xx as its caller has it (RFC 3261 §12.1.2).
struct Within<'m> {
    response: &'m Message<'m>,
    /// The remote target.
    target: &'m [u8],
    /// The route set behind us, in the order of the response: the last is the nearest.
    routes: [Option<Span>; ROUTES_MAX],
}

impl<'m> Within<'m> {
    fn of(keys: &Keys, response: &'m Message<'m>) -> Self {
        let contact = response.name_addrs(HeaderName::Contact).next().and_then(Result::ok);
        let to = || response.to().map(|to| to.uri).unwrap_or_default();
        let mut routes = [None; ROUTES_MAX];
        let seal = keys.seal(response.call_id(), response.from_tag());
        let values = response.name_addrs(HeaderName::RecordRoute).map_while(Result::ok);
        let beyond = values.take_while(|value| {
            Uri::parse(value.uri).is_ok_and(|uri| own_token(keys, &seal, response, &uri).is_none())
        });
        for (place, value) in routes.iter_mut().zip(beyond) {
            *place = Some(value.value);
        }
        Within { response, target: contact.map_or_else(to, |contact| contact.uri), routes }
    }

    /// A request within it, `later` than the INVITE by so many numbers.
    fn write(&self, method: &[u8], later: u32, via: &[u8], out: &mut Writer<'_>) {
        let response = self.response;
        let number = response.cseq().map_or(0, |cseq| cseq.number);
        out.put(method);
        out.byte(b' ');
        out.put(self.target);
        out.put(b" SIP/2.0\r\n");
        out.put(via);
        for route in self.routes.iter().rev().flatten() {
            out.put(b"Route: ");
            out.put(route.of(response.bytes()));
            out.put(b"\r\n");
        }
        out.put(b"Max-Forwards: ");
        out.decimal(u64::from(limits::MAX_FORWARDS_DEFAULT));
        for (name, header) in [(&b"\r\nFrom: "[..], HeaderName::From), (b"\r\nTo: ", HeaderName::To)] {
            out.put(name);
            out.put(response.value(header).unwrap_or_default());
        }
        out.put(b"\r\nCall-ID: ");
        out.put(response.call_id());
        out.put(b"\r\nCSeq: ");
        out.decimal(u64::from(number.saturating_add(later)));
        out.byte(b' ');
        out.put(method);
        out.put(b"\r\nContent-Length: 0\r\n\r\n");
    }
}
