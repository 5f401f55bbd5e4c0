//! A transaction taken apart: what `hand_over` writes and reads. The same type both ways, so that one cannot
//! forget what the other has.

use crate::message::{Arena, Message};
use crate::policy::Outcome;
use crate::time::{Micros, Mono, Now};
use crate::transaction::encode::{Decoder, Plain, put_optional_text, put_text};
use crate::transaction::{
    Branch, ClientMachine, Parked, ServerMachine, Transaction, client_invite, client_non_invite, server_invite,
    server_non_invite,
};
use alloc::vec::Vec;

/// A transaction with all that hangs on it; texts stand where they were found.
#[derive(Debug)]
pub(super) struct Image<'b> {
    pub(super) record: Transaction,
    pub(super) response: Option<&'b [u8]>,
    pub(super) context: Option<ContextImage<'b>>,
    /// In the order in which they are to be hung: the oldest first.
    pub(super) branches: Vec<BranchImage<'b>>,
}

/// A response context.
#[derive(Debug)]
pub(super) struct ContextImage<'b> {
    pub(super) request: &'b [u8],
    /// The policy's note as it writes it.
    pub(super) note: &'b [u8],
    pub(super) opened: u8,
    pub(super) closed: bool,
    pub(super) cancelled: bool,
    pub(super) answered: bool,
    pub(super) rounds: u8,
    pub(super) parked: Option<Parked>,
    /// Outcome and branch of the best response.
    pub(super) best: Option<(Outcome, u8)>,
    pub(super) best_response: Option<&'b [u8]>,
}

/// A branch.
#[derive(Debug)]
pub(super) struct BranchImage<'b> {
    pub(super) plain: Branch,
    pub(super) request_uri: Option<&'b [u8]>,
    pub(super) edits: Option<&'b [u8]>,
    pub(super) resend: Option<&'b [u8]>,
    pub(super) challenges: Option<&'b [u8]>,
}

impl<'b> Image<'b> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.record.encode(out);
        put_optional_text(out, self.response);
        self.context.is_some().encode(out);
        if let Some(context) = &self.context {
            context.write(out);
        }
        // INVARIANT: a transaction has at most BRANCHES_MAX branches, and that is a byte.
        u8::try_from(self.branches.len()).unwrap_or(u8::MAX).encode(out);
        for branch in &self.branches {
            branch.plain.encode(out);
            put_optional_text(out, branch.request_uri);
            put_optional_text(out, branch.edits);
            put_optional_text(out, branch.resend);
            put_optional_text(out, branch.challenges);
        }
    }

    /// `None`: the bytes are no image, or more than one.
    pub(super) fn read(from: &mut Decoder<'b>) -> Option<Self> {
        let record = from.get()?;
        let response = from.optional_text()?;
        let context = if from.get()? { Some(ContextImage::read(from)?) } else { None };
        let count: u8 = from.get()?;
        let branches = (0..count).map(|_| BranchImage::read(from)).collect::<Option<_>>()?;
        from.is_at_end().then_some(Image { record, response, context, branches })
    }

    /// Whether a proxy with that many listeners can go on with it: whatever it waits for has a timer, whatever has
    /// to be sent can be made, and it will come to its end.
    pub(super) fn is_sound(&self, listeners: usize) -> bool {
        let known = |listener: u16| usize::from(listener) < listeners;
        let open = self.context.as_ref().is_some_and(|context| !context.answered);
        let pending = self.branches.iter().filter(|branch| branch.plain.pending()).count();
        let numbers_differ = self.branches.iter().enumerate().all(|(place, branch)| {
            !self.branches.iter().take(place).any(|other| other.plain.number == branch.plain.number)
        });
        let ends = match self.record.machine {
            ServerMachine::Invite(server_invite::State::Proceeding)
            | ServerMachine::NonInvite(server_non_invite::State::Trying | server_non_invite::State::Proceeding) => open,
            ServerMachine::Invite(server_invite::State::Terminated)
            | ServerMachine::NonInvite(server_non_invite::State::Terminated) => !self.branches.is_empty() && !open,
            ServerMachine::Own(_) => false,
            _ => self.record.expire_at != Branch::NEVER && !open,
        };
        ends && known(self.record.source.listener)
            && numbers_differ
            && self.branches.len() <= limits::BRANCHES_MAX
            && self.branches.iter().all(|branch| known(branch.plain.target.listener) && self.has_sound(branch))
            && self.context.as_ref().is_none_or(|context| context.is_sound(&self.record, pending))
    }

    fn has_sound(&self, branch: &BranchImage<'_>) -> bool {
        let plain = &branch.plain;
        let of_its_kind = matches!(plain.machine, ClientMachine::Invite(_)) == self.record.is_invite();
        let needs_request = matches!(
            plain.machine,
            ClientMachine::Invite(client_invite::State::Calling | client_invite::State::Proceeding)
                | ClientMachine::NonInvite(client_non_invite::State::Trying | client_non_invite::State::Proceeding)
        );
        let opened = self.context.as_ref().map_or(u8::MAX, |context| context.opened);
        of_its_kind
            && !plain.terminated()
            && plain.expire_at != Branch::NEVER
            && plain.number < opened
            && usize::from(plain.number) < limits::BRANCHES_MAX
            && (!needs_request || self.context.is_some())
    }

    /// From the clocks of whoever wrote it to ours.
    pub(super) fn move_to(&mut self, then: Now, now: Now) {
        let passed = Micros(now.wall.since(then.wall).0.min(UNDER_WAY_MAX.0));
        let moved = |moment: &mut Mono| {
            if *moment == Branch::NEVER {
                return;
            }
            let ahead = moment.since(then.mono).0;
            *moment = if ahead > 0 {
                now.mono.after(Micros(ahead.saturating_sub(passed.0)))
            } else {
                let behind = then.mono.since(*moment).0.saturating_add(passed.0);
                Mono(now.mono.0.saturating_sub(behind))
            };
        };
        moved(&mut self.record.retransmit_at);
        moved(&mut self.record.expire_at);
        for branch in &mut self.branches {
            moved(&mut branch.plain.sent_at);
            moved(&mut branch.plain.retransmit_at);
            moved(&mut branch.plain.give_up_at);
            moved(&mut branch.plain.ring_by);
            moved(&mut branch.plain.expire_at);
        }
    }
}

/// Longest time that an image is taken to have been under way: a wall clock that jumps fires no timers.
const UNDER_WAY_MAX: Micros = Micros::from_secs(10);

impl<'b> ContextImage<'b> {
    fn write(&self, out: &mut Vec<u8>) {
        put_text(out, self.request);
        put_text(out, self.note);
        self.opened.encode(out);
        self.closed.encode(out);
        self.cancelled.encode(out);
        self.answered.encode(out);
        self.rounds.encode(out);
        self.parked.encode(out);
        self.best.encode(out);
        put_optional_text(out, self.best_response);
    }

    fn read(from: &mut Decoder<'b>) -> Option<Self> {
        Some(ContextImage {
            request: from.text()?,
            note: from.text()?,
            opened: from.get()?,
            closed: from.get()?,
            cancelled: from.get()?,
            answered: from.get()?,
            rounds: from.get()?,
            parked: from.get()?,
            best: from.get()?,
            best_response: from.optional_text()?,
        })
    }

    fn is_sound(&self, record: &Transaction, pending: usize) -> bool {
        let mut arena = Arena::new();
        let request = Message::parse(self.request, &mut arena).is_ok_and(|message| message.is_request());
        let response =
            self.best_response.is_none_or(|best| Message::parse(best, &mut arena).is_ok_and(|best| !best.is_request()));
        let waits = match self.parked {
            Some(_) => !self.answered && pending == 0 && record.expire_at != Branch::NEVER,
            None => self.answered || pending > 0,
        };
        request && response && waits && usize::from(self.opened) <= limits::BRANCHES_MAX
    }
}

impl<'b> BranchImage<'b> {
    fn read(from: &mut Decoder<'b>) -> Option<Self> {
        Some(BranchImage {
            plain: from.get()?,
            request_uri: from.optional_text()?,
            edits: from.optional_text()?,
            resend: from.optional_text()?,
            challenges: from.optional_text()?,
        })
    }
}
