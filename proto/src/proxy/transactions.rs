//! The pools of a shard's transactions and how their records hang together.
//!
//! INVARIANT: a record is in the index from creation to release. It is released when its server machine
//! is terminated and no branch hangs on it. Its context (the request, the note, the best response) goes
//! earlier: as soon as the caller has a final response and no branch needs the request again.

use super::settings::Capacity;
use super::shown_from::Originals;
use super::{Occupancy, Outbox};
use crate::message::{HeaderName, Message, Span};
use crate::policy::{Edits, Endpoint};
use crate::pool::{ByteStore, Index, Slab, Stored};
use crate::time::Mono;
use crate::token::Owner;
use crate::transaction::{
    Branch, ClientMachine, Context, Key, ServerMachine, TimerHandle, TimerToken, Transaction, client_invite,
    client_non_invite,
};

pub(super) const NONE: u32 = u32::MAX;

// WHY: a configuration is held against the host's memory by these. 32 bytes: four places of the index.
const _: () = assert!(size_of::<Option<Transaction>>() + 32 <= limits::pool::TRANSACTION_BYTES as usize);
const _: () = assert!(size_of::<Option<Branch>>() <= limits::pool::BRANCH_BYTES as usize);

#[derive(Debug)]
pub(super) struct Transactions<N> {
    records: Slab<Transaction>,
    index: Index,
    contexts: Slab<Context<N>>,
    branches: Slab<Branch>,
    store: ByteStore,
    /// First branch without any response; they are few and short-lived, and a dead peer is looked for here.
    silent: u32,
    open: u32,
}

impl<N: Copy> Transactions<N> {
    pub(super) fn new(capacity: &Capacity) -> Self {
        Transactions {
            records: Slab::new(capacity.transactions),
            index: Index::new(capacity.transactions),
            contexts: Slab::new(capacity.open),
            branches: Slab::new(capacity.branches),
            store: ByteStore::new(capacity.bytes),
            silent: NONE,
            open: 0,
        }
    }

    pub(super) fn occupancy(&self) -> Occupancy {
        Occupancy {
            transactions: self.records.len(),
            open: self.open,
            branches: self.branches.len(),
            bytes: self.store.used(),
        }
    }

    pub(super) const fn open(&self) -> u32 {
        self.open
    }

    // Finding.

    pub(super) fn find(&self, key: Key) -> Option<u32> {
        self.index.find(key.id(), |index| self.records.get(index).is_some_and(|record| record.key == key))
    }

    pub(super) fn find_id(&self, id: u64) -> Option<u32> {
        self.index.find(id, |index| self.records.get(index).is_some_and(|record| record.key.id() == id))
    }

    pub(super) fn record(&self, index: u32) -> Option<&Transaction> {
        self.records.get(index)
    }

    pub(super) fn record_mut(&mut self, index: u32) -> Option<&mut Transaction> {
        self.records.get_mut(index)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = (u32, &Transaction)> {
        self.records.iter()
    }

    pub(super) fn context(&self, transaction: u32) -> Option<&Context<N>> {
        self.contexts.get(self.records.get(transaction)?.context)
    }

    pub(super) fn context_mut(&mut self, transaction: u32) -> Option<&mut Context<N>> {
        self.contexts.get_mut(self.records.get(transaction)?.context)
    }

    pub(super) fn branch(&self, index: u32) -> Option<&Branch> {
        self.branches.get(index)
    }

    pub(super) fn branch_mut(&mut self, index: u32) -> Option<&mut Branch> {
        self.branches.get_mut(index)
    }

    pub(super) fn branch_by_number(&self, transaction: u32, number: u8) -> Option<u32> {
        self.branches_of(transaction).find(|(_, branch)| branch.number == number).map(|(index, _)| index)
    }

    pub(super) fn branches_of(&self, transaction: u32) -> impl Iterator<Item = (u32, &Branch)> {
        let mut next = self.records.get(transaction).map_or(NONE, |record| record.branches);
        core::iter::from_fn(move || {
            let index = next;
            let branch = self.branches.get(index)?;
            next = branch.next;
            Some((index, branch))
        })
    }

    /// Indices of a transaction's branches, copied, so that they can be changed meanwhile.
    pub(super) fn branch_indices(&self, transaction: u32) -> impl Iterator<Item = u32> + use<N> {
        let mut all = [NONE; limits::BRANCHES_MAX];
        for (place, (index, _)) in all.iter_mut().zip(self.branches_of(transaction)) {
            *place = index;
        }
        all.into_iter().take_while(|&index| index != NONE)
    }

    // Bytes.

    pub(super) fn keep(&mut self, bytes: &[u8]) -> Option<Stored> {
        self.store.keep(bytes)
    }

    pub(super) fn bytes(&self, stored: &Stored) -> &[u8] {
        self.store.get(stored)
    }

    /// The changes to the header of a branch's request.
    #[inline]
    pub(super) fn edits(&self, branch: &Branch) -> Edits<'_> {
        branch.edits.as_ref().map_or_else(Edits::default, |stored| Edits::new(self.store.get(stored)))
    }

    pub(super) fn free(&mut self, stored: Option<Stored>) {
        if let Some(stored) = stored {
            self.store.free(stored);
        }
    }

    /// The caller's request; empty when it is no longer kept.
    pub(super) fn request(&self, transaction: u32) -> &[u8] {
        self.context(transaction).map_or(&[], |context| self.store.get(&context.request))
    }

    /// The values of From, Call-ID and To of the caller's request, and whether its To has a tag; empty when they are not
    /// known.
    #[inline]
    pub(super) fn kept_from_call_id_to(&self, transaction: u32) -> Option<([&[u8]; 3], bool)> {
        let context = self.context(transaction)?;
        let request = self.store.get(&context.request);
        Some((context.from_call_id_to.map(|span| span.of(request)), context.in_dialog))
    }

    /// The policy's note and the caller's request.
    #[inline]
    pub(super) fn note_and_request(&mut self, transaction: u32) -> Option<(&mut N, &[u8])> {
        let context = self.contexts.get_mut(self.records.get(transaction)?.context)?;
        Some((&mut context.note, self.store.get(&context.request)))
    }

    /// The request leaves under another From or To: its responses get back those that stand in it.
    #[cold]
    pub(super) fn note_originals(&mut self, transaction: u32, request: &Message<'_>) {
        let value = |name| request.field(name).map_or(Span::at(0), |field| field.value);
        let [from, call_id, to] = [HeaderName::From, HeaderName::CallId, HeaderName::To].map(value);
        let within = !request.to_tag().is_empty();
        if let Some(context) = self.context_mut(transaction) {
            context.from_call_id_to = [from, call_id, to];
            context.in_dialog = within;
            context.originals = if within { to } else { from };
        }
    }

    /// What responses to the request get back on their way upstream.
    #[inline]
    pub(super) fn originals(&self, transaction: u32) -> Option<Originals<'_>> {
        let context = self.context(transaction).filter(|context| !context.originals.is_empty())?;
        let ([from, ..], request) = (context.from_call_id_to, self.store.get(&context.request));
        let to = (context.originals != from).then(|| context.originals.of(request));
        Some(Originals { from: from.of(request), to })
    }

    // Records.

    /// A record without a context: a request of our own.
    pub(super) fn create_record(
        &mut self,
        key: Key,
        owner: Owner,
        source: Endpoint,
        reply_port: u16,
        machine: ServerMachine,
    ) -> Option<u32> {
        self.insert_record(Transaction {
            key,
            owner,
            machine,
            source,
            reply_port,
            accepted: 0,
            accepted_from: None,
            answered_tag: 0,
            ended_tag: 0,
            response: None,
            context: NONE,
            branches: NONE,
            retransmit_at: Branch::NEVER,
            interval: crate::time::Micros(0),
            expire_at: Branch::NEVER,
            timer: TimerHandle::default(),
        })
    }

    /// Takes in a record on which nothing hangs yet.
    pub(super) fn insert_record(&mut self, record: Transaction) -> Option<u32> {
        let key = record.key;
        let index = self.records.insert(record).ok()?;
        if !self.index.insert(key.id(), index) {
            self.records.remove(index);
            return None;
        }
        Some(index)
    }

    /// Hangs a context on a record that has none.
    pub(super) fn insert_context(&mut self, transaction: u32, context: Context<N>) -> Option<()> {
        let record = self.records.get_mut(transaction)?;
        let answered = context.answered;
        record.context = self.contexts.insert(context).ok()?;
        self.open += u32::from(!answered);
        Some(())
    }

    /// A record with its context. `None`: one of the pools is full, and nothing has changed.
    #[allow(clippy::too_many_arguments, reason = "what a transaction begins with")]
    pub(super) fn create(
        &mut self,
        key: Key,
        owner: Owner,
        source: Endpoint,
        reply_port: u16,
        machine: ServerMachine,
        message: &Message<'_>,
        note: N,
    ) -> Option<u32> {
        let request = self.store.keep(message.bytes())?;
        let value = |name| message.field(name).map_or(Span::at(0), |field| field.value);
        let context = Context {
            request,
            from_call_id_to: [HeaderName::From, HeaderName::CallId, HeaderName::To].map(value),
            in_dialog: !message.to_tag().is_empty(),
            originals: Span::at(0),
            note,
            opened: 0,
            pending: 0,
            closed: false,
            cancelled: false,
            answered: false,
            best: None,
            rounds: 0,
            parked: None,
        };
        let Some(index) = self.create_record(key, owner, source, reply_port, machine) else {
            self.store.free(request);
            return None;
        };
        if self.insert_context(index, context).is_none() {
            self.index.remove(key.id(), index);
            self.records.remove(index);
            self.store.free(request);
            return None;
        }
        Some(index)
    }

    /// The final response went upstream, or never will.
    pub(super) fn mark_answered(&mut self, transaction: u32) {
        if let Some(context) = self.context_mut(transaction)
            && !context.answered
        {
            context.answered = true;
            context.closed = true;
            self.open -= 1;
        }
    }

    /// Lets go of the context if nobody needs it, then of the record if nothing is left of it.
    pub(super) fn settle(&mut self, transaction: u32, out: &mut impl Outbox) {
        // Branches of a request with originals stay as long as a response may come.
        let all = self.context(transaction).is_some_and(|context| !context.originals.is_empty());
        let needed = self.branches_of(transaction).any(|(_, branch)| all || needs_request(branch));
        if !needed && self.context(transaction).is_some_and(|context| context.answered) {
            self.drop_context(transaction);
        }
        let over = self
            .records
            .get(transaction)
            .is_some_and(|record| record.terminated() && record.branches == NONE && record.context == NONE);
        if over {
            self.release(transaction, out);
        }
    }

    fn drop_context(&mut self, transaction: u32) {
        let Some(record) = self.records.get_mut(transaction) else {
            return;
        };
        let index = core::mem::replace(&mut record.context, NONE);
        if let Some(context) = self.contexts.remove(index) {
            self.store.free(context.request);
            self.free(context.best.and_then(|best| best.response));
            if !context.answered {
                self.open -= 1;
            }
        }
    }

    /// Forgets a transaction and all that hangs on it.
    pub(super) fn release(&mut self, transaction: u32, out: &mut impl Outbox) {
        for branch in self.branch_indices(transaction) {
            self.remove_branch(branch, out);
        }
        self.drop_context(transaction);
        if let Some(record) = self.records.remove(transaction) {
            self.index.remove(record.key.id(), transaction);
            self.free(record.response);
            out.disarm(record.timer);
        }
    }

    // Branches.

    /// Whether one more branch fits.
    pub(super) fn has_room_for_branch(&self) -> bool {
        self.branches.len() < self.branches.capacity()
    }

    /// Hangs a branch on its transaction. `None`: full.
    pub(super) fn add_branch(&mut self, mut branch: Branch) -> Option<u32> {
        let transaction = branch.transaction;
        let record = self.records.get_mut(transaction)?;
        branch.next = record.branches;
        let silent = branch.silent() && branch.pending();
        branch.silent_previous = NONE;
        branch.silent_next = NONE;
        let index = self.branches.insert(branch).ok()?;
        record.branches = index;
        if silent {
            self.link_silent(index);
        }
        if let Some(context) = self.context_mut(transaction) {
            context.pending += 1;
        }
        Some(index)
    }

    /// Takes a branch off its transaction.
    pub(super) fn remove_branch(&mut self, index: u32, out: &mut impl Outbox) {
        self.unlink_silent(index);
        let Some(branch) = self.branches.remove(index) else {
            return;
        };
        out.disarm(branch.timer);
        self.free(branch.request_uri);
        self.free(branch.edits);
        self.free(branch.resend);
        self.free(branch.challenges);
        if branch.outcome.is_none()
            && let Some(context) = self.context_mut(branch.transaction)
        {
            context.pending = context.pending.saturating_sub(1);
        }
        let Some(record) = self.records.get_mut(branch.transaction) else {
            return;
        };
        if record.branches == index {
            record.branches = branch.next;
            return;
        }
        let mut at = record.branches;
        while let Some(previous) = self.branches.get_mut(at) {
            if previous.next == index {
                previous.next = branch.next;
                return;
            }
            at = previous.next;
        }
    }

    /// Arms the one timer of a branch for its next moment.
    pub(super) fn rearm_branch(&mut self, index: u32, out: &mut impl Outbox) {
        if let Some(branch) = self.branches.get_mut(index) {
            branch.timer = rearm(branch.timer, branch.next_moment(), TimerToken::Branch(index), out);
        }
    }

    /// Arms the one timer of a transaction for its next moment.
    pub(super) fn rearm_record(&mut self, index: u32, out: &mut impl Outbox) {
        if let Some(record) = self.records.get_mut(index) {
            let moment = record.retransmit_at.min(record.expire_at);
            record.timer = rearm(record.timer, moment, TimerToken::Transaction(index), out);
        }
    }

    // Branches without any response.

    pub(super) fn silent_branches(&self) -> impl Iterator<Item = (u32, &Branch)> {
        let mut next = self.silent;
        core::iter::from_fn(move || {
            let index = next;
            let branch = self.branches.get(index)?;
            next = branch.silent_next;
            Some((index, branch))
        })
    }

    fn link_silent(&mut self, index: u32) {
        let next = core::mem::replace(&mut self.silent, index);
        if let Some(branch) = self.branches.get_mut(index) {
            branch.silent_next = next;
        }
        if let Some(branch) = self.branches.get_mut(next) {
            branch.silent_previous = index;
        }
    }

    /// To be called when a branch has had its first response or has ended; again does no harm.
    pub(super) fn unlink_silent(&mut self, index: u32) {
        let Some(branch) = self.branches.get_mut(index) else {
            return;
        };
        let (previous, next) = (branch.silent_previous, branch.silent_next);
        branch.silent_previous = NONE;
        branch.silent_next = NONE;
        match self.branches.get_mut(previous) {
            Some(branch) => branch.silent_next = next,
            None if self.silent == index => self.silent = next,
            None => return,
        }
        if let Some(branch) = self.branches.get_mut(next) {
            branch.silent_previous = previous;
        }
    }
}

fn rearm(timer: TimerHandle, moment: Mono, token: TimerToken, out: &mut impl Outbox) -> TimerHandle {
    if timer != TimerHandle::default() {
        out.disarm(timer);
    }
    if moment == Branch::NEVER { TimerHandle::default() } else { out.arm(moment, token) }
}

/// Retransmission, CANCEL and ACK are made from the caller's request.
fn needs_request(branch: &Branch) -> bool {
    match branch.machine {
        ClientMachine::Invite(state) => {
            matches!(state, client_invite::State::Calling | client_invite::State::Proceeding)
        }
        ClientMachine::NonInvite(state) => {
            matches!(state, client_non_invite::State::Trying | client_non_invite::State::Proceeding)
        }
    }
}
