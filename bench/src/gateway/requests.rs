//! What requests do at a gateway.

use std::net::SocketAddr;

use proto::{
    message::{HeaderName, Message},
    time::Mono,
};

use super::{
    Gateways,
    behaviour::{End, Outcome},
    call::{Call, Phase},
    table::{BranchHash, Known},
    tally,
};
use crate::{
    back_off::{BackOff, Repeated},
    identity::{self, Key, Leg},
    message::{
        dialog::{self, InDialog, Path},
        replies::{self, PlainEnd, Reply},
    },
    parked::ParkedId,
    report::{Book, latency::Timed},
    wire::Wire,
};

/// Tag of responses that make no call.
const ALONE_TAG: &[u8] = b"tb-alone";

impl<A: Copy> Gateways<A> {
    pub(super) fn on_invite<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        index: usize,
        peer: SocketAddr,
        invite: &Message<'_>,
    ) {
        if !invite.to_tag().is_empty() {
            // Inside a call: this gateway changes no session.
            tally(book, index).other_requests += 1;
            self.reply_once(wire, book, index, peer, invite, Reply::Failure(488));
            return;
        }
        let Some(branch) = self.table.hash(invite) else {
            tally(book, index).strays += 1;
            return;
        };
        match self.table.get(branch) {
            Some(Known::Live(key)) => {
                tally(book, index).invites_repeated += 1;
                // An answered INVITE is absorbed (RFC 6026): the timer repeats the 2xx.
                if self.calls.get(key).is_some_and(|call| matches!(call.phase, Phase::Proceeding | Phase::Rejected)) {
                    self.repeat_reply(wire, book, key);
                }
            }
            Some(Known::Ended | Known::Silent) => tally(book, index).invites_repeated += 1,
            None => self.on_new_invite(wire, book, index, peer, invite, branch),
        }
    }

    fn on_new_invite<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        index: usize,
        peer: SocketAddr,
        invite: &Message<'_>,
        branch: BranchHash,
    ) {
        let now = wire.now();
        if let Some(intended) = identity::intended_start(invite.call_id()) {
            book.latencies.record(Timed::Transit, now.since(intended));
        }
        self.note_sight(now, book, index);
        let draw = self.random.f64();
        let Some(behaviour) = self.gateways.get(index).map(|gateway| &gateway.behaviour) else {
            return;
        };
        let (trying, drawn) = (behaviour.trying, behaviour.draw(draw).copied());
        let Some(outcome) = drawn.filter(|outcome| outcome.end != End::Silent) else {
            self.table.end(branch, Known::Silent, now);
            return;
        };
        let Some(key) = self.take(now, index, peer, invite, branch, outcome) else {
            tally(book, index).no_place += 1;
            self.reply_once(wire, book, index, peer, invite, Reply::Failure(503));
            return;
        };
        if trying {
            self.reply(wire, book, key, Reply::Trying);
        }
        self.advance(wire, book, key);
    }

    /// Makes the state of a new call; `None` if there is no place for it.
    fn take(
        &mut self,
        now: Mono,
        index: usize,
        peer: SocketAddr,
        invite: &Message<'_>,
        branch: BranchHash,
        outcome: Outcome,
    ) -> Option<Key> {
        let tag_of = |key| identity::tag(self.settings.run, key);
        let mut plain = PlainEnd::default();
        let next = self.calls.next_key()?;
        let block = self.blocks.park(|out| plain = replies::write_block(invite, peer, &tag_of(next), out)).ok()?;
        let bye = match outcome.end {
            End::Answer { hold: Some(_), .. } => self.park_bye(index, next, invite),
            _ => None,
        };
        let call = Call {
            gateway: index,
            phase: Phase::Proceeding,
            outcome,
            branch,
            invited: now,
            reply_to: replies::reply_to(invite, peer),
            block,
            plain,
            last_reply: None,
            rang: false,
            back_off: BackOff::start(Repeated::FinalResponse, self.settings.timing, now),
            alarm: None,
            bye,
        };
        let key = self.calls.insert(call).ok()?;
        debug_assert_eq!(key, next);
        self.table.insert(branch, key);
        Some(key)
    }

    /// Writes the BYE of a gateway that hangs up, while the INVITE is at hand (RFC 3261 §12.1.1).
    fn park_bye(&mut self, index: usize, key: Key, invite: &Message<'_>) -> Option<(ParkedId, SocketAddr)> {
        let path = Path::of(invite, dialog::End::Called).ok()?;
        if !self.settings.given.contains(&path.next_hop.ip()) {
            return None;
        }
        let tag = identity::tag(self.settings.run, key);
        let branch = identity::branch(self.settings.run, key, Leg::Bye);
        let bye = InDialog {
            method: b"BYE",
            sent_by: &self.gateways.get(index)?.local,
            branch: &branch,
            from: invite.value(HeaderName::To)?,
            to: invite.value(HeaderName::From)?,
            from_tag: Some(&tag),
            call_id: invite.call_id(),
            cseq: 1,
        };
        let parked = self.byes.park(|out| bye.write(&path, out)).ok()?;
        Some((parked, path.next_hop))
    }

    pub(super) fn on_ack<W: Wire<Alarm = A>>(&mut self, wire: &mut W, ack: &Message<'_>) {
        let Some(key) = identity::key_of_tag(self.settings.run, ack.to_tag()) else {
            return;
        };
        let now = wire.now();
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        match call.phase {
            Phase::Answered => {
                call.phase = Phase::Established;
                let until = match (call.outcome.end, &call.bye) {
                    (End::Answer { hold: Some(h), .. }, Some(_)) => h,
                    _ => super::FORGET_AFTER,
                };
                self.rearm(wire, key, now.after(until));
            }
            Phase::Rejected => self.remove(wire, key),
            Phase::Proceeding | Phase::Established | Phase::Ending => {}
        }
    }

    pub(super) fn on_cancel<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        index: usize,
        peer: SocketAddr,
        cancel: &Message<'_>,
    ) {
        let known = self.table.hash(cancel).and_then(|hash| self.table.get(hash));
        let reply = match known {
            Some(Known::Silent) => return,
            Some(Known::Live(_) | Known::Ended) => Reply::Ok,
            None => {
                tally(book, index).unknown_dialogs += 1;
                Reply::Failure(481)
            }
        };
        self.reply_once(wire, book, index, peer, cancel, reply);
        if let Some(Known::Live(key)) = known
            && self.calls.get(key).is_some_and(|call| call.phase == Phase::Proceeding)
        {
            tally(book, index).cancelled += 1;
            self.finish(wire, book, key, Reply::Failure(487));
        }
    }

    pub(super) fn on_bye<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        index: usize,
        peer: SocketAddr,
        bye: &Message<'_>,
    ) {
        let key = identity::key_of_tag(self.settings.run, bye.to_tag()).filter(|key| self.calls.knew(*key));
        let Some(key) = key else {
            tally(book, index).unknown_dialogs += 1;
            self.reply_once(wire, book, index, peer, bye, Reply::Failure(481));
            return;
        };
        self.reply_once(wire, book, index, peer, bye, Reply::Ok);
        if let Some(call) = self.calls.get(key)
            && matches!(call.phase, Phase::Answered | Phase::Established | Phase::Ending)
        {
            tally(book, index).completed += 1;
            self.remove(wire, key);
        }
    }

    /// Everything that arrives at a dead gateway.
    pub(super) fn on_outage(&mut self, now: Mono, book: &mut Book, index: usize, message: &Message<'_>) {
        let tally = tally(book, index);
        tally.outage_dropped += 1;
        if message.is_request()
            && message.method() == proto::message::Method::Invite
            && message.to_tag().is_empty()
            && let Some(branch) = self.table.hash(message)
            && self.table.get(branch).is_none()
        {
            tally.outage_invites += 1;
            tally.seen.last_in_outage = Some(now);
            self.table.end(branch, Known::Silent, now);
        }
    }

    /// Counts a new INVITE and when it was seen.
    fn note_sight(&self, now: Mono, book: &mut Book, index: usize) {
        let tally = tally(book, index);
        tally.invites += 1;
        tally.seen.first.get_or_insert(now);
        tally.seen.last = Some(now);
        let since_begin = now.since(self.settings.begin);
        let after_outage = self.gateways.get(index).is_some_and(|gateway| {
            let outages = &gateway.behaviour.outages;
            outages.iter().any(|o| since_begin > crate::duration::micros(o.at + o.lasts))
        });
        if after_outage {
            tally.seen.first_after_outage.get_or_insert(now);
        }
    }

    /// A response that nothing is kept of.
    pub(super) fn reply_once<W: Wire<Alarm = A>>(
        &self,
        wire: &mut W,
        book: &mut Book,
        index: usize,
        peer: SocketAddr,
        request: &Message<'_>,
        reply: Reply,
    ) {
        let Some(gateway) = self.gateways.get(index) else {
            return;
        };
        let to = replies::reply_to(request, peer);
        let sent = wire.send(gateway.listener, to, |out| {
            gateway.replies.write_once(reply, request, peer, ALONE_TAG, out);
        });
        tally(book, index).unsent += u64::from(!sent);
    }
}
