//! RFC 3261 §16.6: branches are opened, and their requests leave.

use super::loop_hash::loop_hash;
use super::preprocess::{Preprocessed, UriText};
use super::rewrite::{Leaving, other_party, write_request};
use super::validate::breadth;
use super::{Egress, Outbox, Proxy, settings};
use crate::message::{Message, Method};
use crate::policy::{Edits, Endpoint, Outcome, Policy, Target};
use crate::steer::{OwnRoute, own_path, own_route};
use crate::time::{Micros, Mono, Now};
use crate::token::{BranchKind, BranchToken, Owner};
use crate::transaction::{
    Branch, CancelState, ClientMachine, TimerHandle, Transaction, client_invite, client_non_invite,
};

impl<P: Policy> Proxy<P> {
    /// Opens a branch for every target in the target set. False: none could be opened, which is a failure like
    /// any other, and [`Proxy::choose`] says what becomes of it.
    pub(super) fn open_branches(
        &mut self,
        now: Now,
        transaction: u32,
        message: &Message<'_>,
        pre: &Preprocessed<'_>,
        out: &mut impl Outbox,
    ) -> bool {
        self.allow_time(now, transaction, out);
        let count = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        let shares = Shares::of(message, count);
        // RFC 5393 §5.3.3.1: more branches than breadth cannot be opened.
        let allowed = usize::try_from(shares.total).unwrap_or(usize::MAX);
        for place in 0..self.targets.len().min(allowed) {
            if !self.open_branch(now, transaction, message, pre, place, shares.each, out) {
                self.note_failure(transaction, Outcome::Unreachable);
            }
        }
        self.transactions.context(transaction).is_some_and(|context| context.pending > 0)
    }

    /// §16.6 for the target in one place of the target set. False: it could not be opened, or the policy refused it.
    #[allow(clippy::too_many_arguments, reason = "one branch's own facts beside the request's")]
    fn open_branch(
        &mut self,
        now: Now,
        transaction: u32,
        message: &Message<'_>,
        pre: &Preprocessed<'_>,
        place: usize,
        max_breadth: u32,
        out: &mut impl Outbox,
    ) -> bool {
        let (Some(record), Some(context), Some((target, request_uri))) =
            (self.transactions.record(transaction), self.transactions.context(transaction), self.targets.get(place))
        else {
            return false;
        };
        let (source, number, mut note) = (record.source, context.opened, context.note);
        if usize::from(number) >= limits::BRANCHES_MAX || !self.transactions.has_room_for_branch() {
            return false;
        }
        let as_it_came = request_uri.is_empty() || request_uri == pre.request_uri;
        let kept_uri = if as_it_came { None } else { self.transactions.keep(request_uri) };
        if kept_uri.is_none() && !as_it_came {
            return false;
        }
        let edits = self.targets.edits(place);
        let kept_edits = if edits.is_empty() { None } else { self.transactions.keep(edits.bytes()) };
        if kept_edits.is_none() && !edits.is_empty() {
            self.transactions.free(kept_uri);
            return false;
        }
        // WHY last: a policy that has said yes to a branch will hear how it ended.
        let wanted = self.policy.branch(message.bytes(), &target, &mut note, now);
        if let Some(context) = self.transactions.context_mut(transaction) {
            context.opened += 1;
            context.note = note;
        }
        if !wanted {
            self.transactions.free(kept_uri);
            self.transactions.free(kept_edits);
            return false;
        }
        let mut branch = Branch {
            request_uri: kept_uri,
            edits: kept_edits,
            loop_hash: loop_hash(&self.settings, &source, message, pre),
            max_breadth,
            ..self.new_branch(now, transaction, number, target, message.method() == Method::Invite)
        };
        let ringing = self.targets.patience().ringing;
        if ringing != Micros(0) {
            branch.ring_by = now.mono.after(ringing);
            branch.give_up_at = branch.give_up_at.min(branch.ring_by);
        }
        let Some(index) = self.transactions.add_branch(branch) else {
            self.transactions.free(kept_uri);
            self.transactions.free(kept_edits);
            return false;
        };
        if other_party(pre, self.targets.edits(place)).is_some() {
            self.transactions.note_originals(transaction, message);
        }
        self.counters.branches += 1;
        self.send_branch(index, message, pre, out);
        self.transactions.rearm_branch(index, out);
        true
    }

    /// A branch in its first state, with its timers by §17.1.1.2 and §17.1.2.2.
    pub(super) fn new_branch(&self, now: Now, transaction: u32, number: u8, target: Target, invite: bool) -> Branch {
        let timers = &self.settings.timers;
        let reliable = settings::reliable(self.settings.transport(target.listener));
        let moment = |after: Micros| {
            if after == Micros(0) { Branch::NEVER } else { now.mono.after(after) }
        };
        Branch {
            transaction,
            next: u32::MAX,
            number,
            machine: if invite {
                ClientMachine::Invite(client_invite::State::Calling)
            } else {
                ClientMachine::NonInvite(client_non_invite::State::Trying)
            },
            answered: false,
            ringing: false,
            given_up: false,
            cancel: CancelState::None,
            outcome: None,
            target,
            loop_hash: 0,
            mac: 0,
            max_breadth: 0,
            request_uri: None,
            edits: None,
            resend: None,
            challenges: None,
            sent_at: now.mono,
            retransmit_at: if reliable { Branch::NEVER } else { now.mono.after(timers.t1) },
            interval: timers.t1,
            give_up_at: moment(target.no_response),
            ring_by: Branch::NEVER,
            expire_at: now.mono.after(if invite { timers.b } else { timers.f }),
            timer: TimerHandle::default(),
            silent_previous: u32::MAX,
            silent_next: u32::MAX,
        }
    }

    /// Sends a branch's request, for the first time or again.
    pub(super) fn send_branch(
        &mut self,
        index: u32,
        message: &Message<'_>,
        pre: &Preprocessed<'_>,
        out: &mut impl Outbox,
    ) {
        let Some(branch) = self.transactions.branch(index) else {
            return;
        };
        let Some(record) = self.transactions.record(branch.transaction) else {
            return;
        };
        let settings = &self.settings;
        let request_uri = branch.request_uri.as_ref().map_or(&[][..], |stored| self.transactions.bytes(stored));
        let owner = record.owner;
        let token = branch_token(branch, record).signed(&pre.seal);
        let edits = self.transactions.edits(branch);
        let leaving = Leaving {
            listener: branch.target.listener,
            request_uri,
            branch: token.text,
            edits,
            own_route: route_of(settings, owner, message, pre, &record.source, &branch.target, edits),
            max_breadth: branch.max_breadth,
        };
        let egress = egress_of(settings, &record.source, &branch.target);
        let source = record.source;
        let sent = out.transmit(&egress, |writer| {
            write_request(settings, message, pre, &source, &leaving, writer);
        });
        if sent {
            self.counters.request_sent(message.method());
        } else {
            self.counters.drop(super::Drop::NotSent);
        }
        if let Some(branch) = self.transactions.branch_mut(index) {
            branch.mac = token.mac;
        }
    }

    /// Sends a branch's request again (Timers A and E).
    pub(super) fn resend_branch(&mut self, index: u32, out: &mut impl Outbox) {
        let Some(transaction) = self.transactions.branch(index).map(|branch| branch.transaction) else {
            return;
        };
        self.counters.retransmissions_sent += 1;
        if self.send_kept(index, out) {
            return;
        }
        self.with_kept_request(transaction, |proxy, source, message| {
            let mut text = UriText::default();
            if let Some(pre) = proxy.preprocessed(source, message, &mut text) {
                proxy.send_branch(index, message, &pre, out);
            }
        });
    }

    /// Sends what a branch keeps to be sent again: its ACK, or a request of our own. False: nothing is kept.
    pub(super) fn send_kept(&mut self, index: u32, out: &mut impl Outbox) -> bool {
        let Some(branch) = self.transactions.branch(index) else {
            return false;
        };
        let (Some(kept), Some(record)) = (branch.resend, self.transactions.record(branch.transaction)) else {
            return false;
        };
        let egress = egress_of(&self.settings, &record.source, &branch.target);
        let bytes = self.transactions.bytes(&kept);
        if !out.transmit(&egress, |writer| writer.put(bytes)) {
            self.counters.drop(super::Drop::NotSent);
        }
        true
    }
}

/// §16.6 step 8: what our Via branch says.
pub(super) fn branch_token(branch: &Branch, record: &Transaction) -> BranchToken {
    BranchToken {
        owner: record.owner,
        kind: BranchKind::Stateful,
        branch: branch.number,
        transaction: record.key.id(),
        loop_hash: branch.loop_hash,
    }
}

/// §16.6 step 4: what our Record-Route says, in requests that may create a dialog; within one the route set stands
/// (§12.2). Of a REGISTER the same of our Path, if it comes from a phone that is to be reached through us (RFC 3327).
pub(super) fn route_of(
    settings: &settings::Settings,
    owner: Owner,
    message: &Message<'_>,
    pre: &Preprocessed<'_>,
    source: &Endpoint,
    target: &Target,
    edits: Edits<'_>,
) -> Option<OwnRoute> {
    if !message.to_tag().is_empty() {
        return None;
    }
    match message.method() {
        Method::Invite | Method::Subscribe | Method::Refer => {
            let shown = edits.shown_from().is_some();
            Some(own_route(&settings.keys, &pre.seal, pre.call, owner, message, source.peer, target.by_source, shown))
        }
        Method::Register if target.by_source.caller() => Some(own_path(&settings.keys, owner, source.peer)),
        _ => None,
    }
}

/// Where a branch's messages go, and from which address.
pub(super) fn egress_of(settings: &settings::Settings, source: &Endpoint, target: &Target) -> Egress {
    Egress { local: settings.local(source, target.listener), ..own_egress(target) }
}

/// The same for requests of our own.
pub(super) fn own_egress(target: &Target) -> Egress {
    Egress { listener: target.listener, local: None, peer: target.next_hop, flow: target.flow }
}

/// RFC 5393 §5.3.3: Max-Breadth is shared out among parallel branches.
struct Shares {
    /// Breadth of the request, or the one that it is given.
    total: u32,
    /// Share of each branch.
    each: u32,
}

impl Shares {
    fn of(message: &Message<'_>, branches: u32) -> Shares {
        let total = breadth(message).unwrap_or(limits::MAX_BREADTH);
        Shares { total, each: (total / branches.max(1)).max(1) }
    }
}

/// The moment of the next retransmission, the interval doubled up to `longest`.
pub(super) fn back_off(now: Mono, interval: &mut Micros, longest: Micros) -> Mono {
    *interval = Micros(interval.0.saturating_mul(2).min(longest.0));
    now.after(*interval)
}
