//! Open transactions move to another process (hot upgrade) or to another number of shards.
//!
//! [`Proxy::export`] writes each as one frame, [`Proxy::import`] takes in those whose slot is its own and goes on
//! where they were: branches, timers, kept messages, the policy's note, and a question that was put and not
//! answered, which is put again. Requests of our own (probes) are of this start only and stay behind.
//!
//! ```text
//! version  checksum  fingerprint  slot  exporter's clocks  image
//!    1        8          8          2         8 + 8
//! ```
//!
//! Both sides have the same listeners, keys and boot secret ([`super::Settings::boot_secret`] names transactions
//! in the branches that are out in the network). Moments travel as they are and are moved by what the clocks of
//! both sides say; the wall clock tells how long a frame was under way.

use super::image::{BranchImage, ContextImage, Image};
use super::preprocess::UriText;
use super::{Outbox, Proxy};
use crate::hash::{KeyedHash, Purpose, Secret};
use crate::message::Span;
use crate::policy::{NoteEncoding, Policy};
use crate::time::{Mono, Now, Wall};
use crate::transaction::encode::{Decoder, Plain, VERSION};
use crate::transaction::{Best, Branch, Context, DecodeError, ServerMachine, Transaction};
use alloc::vec::Vec;

/// Octets of version and checksum.
const HEAD: usize = 9;

impl<P: Policy> Proxy<P>
where
    P::Note: NoteEncoding,
{
    /// Hands every transaction to `sink`, a frame each, in no particular order. Allocates, and changes nothing:
    /// whoever calls it feeds this proxy no more.
    pub fn export(&self, now: Now, mut sink: impl FnMut(&[u8])) {
        let (mut frame, mut note) = (Vec::new(), Vec::new());
        for (index, record) in self.transactions.records() {
            if matches!(record.machine, ServerMachine::Own(_)) {
                continue;
            }
            frame.clear();
            frame.resize(HEAD, VERSION);
            (self.fingerprint(), record.owner.slot).encode(&mut frame);
            (now.mono, now.wall.0).encode(&mut frame);
            note.clear();
            self.image(index, record, &mut note).write(&mut frame);
            let sum = checksum(frame.get(HEAD..).unwrap_or_default()).to_le_bytes();
            if let Some(place) = frame.get_mut(1..HEAD) {
                place.copy_from_slice(&sum);
            }
            sink(&frame);
        }
    }

    /// Takes in one frame, if `mine` says that its slot belongs here. False: it does not.
    ///
    /// # Errors
    /// The frame is of another version, damaged, written under another secret, here already, or does not fit.
    /// Nothing has changed then.
    pub fn import(
        &mut self,
        now: Now,
        frame: &[u8],
        mine: impl FnOnce(u16) -> bool,
        out: &mut impl Outbox,
    ) -> Result<bool, DecodeError> {
        let mut from = self.open_frame(frame)?;
        if !from.get().is_some_and(mine) {
            return Ok(false);
        }
        let (mono, wall): (Mono, u64) = from.get().ok_or(DecodeError::Damaged)?;
        let mut image = Image::read(&mut from).ok_or(DecodeError::Damaged)?;
        if !image.is_sound(self.settings.listeners.len()) {
            return Err(DecodeError::Damaged);
        }
        let note = match &image.context {
            Some(context) => P::Note::decode(context.note).ok_or(DecodeError::Note)?,
            None => P::Note::default(),
        };
        if self.transactions.find(image.record.key).is_some() {
            return Err(DecodeError::AlreadyHere);
        }
        image.move_to(Now { mono, wall: Wall(wall) }, now);
        let transaction = self.transactions.insert_record(image.record).ok_or(DecodeError::Full)?;
        if self.hang(transaction, &image, note).is_none() {
            self.transactions.release(transaction, out);
            return Err(DecodeError::Full);
        }
        self.go_on(now, transaction, out);
        Ok(true)
    }

    /// Everything of a transaction; `note` is where the policy's note is written.
    fn image<'b>(&'b self, index: u32, record: &Transaction, note: &'b mut Vec<u8>) -> Image<'b> {
        let store = &self.transactions;
        let context = store.context(index).map(|context| {
            context.note.encode(note);
            ContextImage {
                request: store.bytes(&context.request),
                note,
                opened: context.opened,
                closed: context.closed,
                cancelled: context.cancelled,
                answered: context.answered,
                rounds: context.rounds,
                parked: context.parked,
                best: context.best.map(|best| (best.outcome, best.branch)),
                best_response: context.best.and_then(|best| best.response).map(|stored| store.bytes(&stored)),
            }
        });
        let mut branches: Vec<_> = store
            .branches_of(index)
            .map(|(_, branch)| BranchImage {
                plain: *branch,
                request_uri: branch.request_uri.map(|stored| store.bytes(&stored)),
                edits: branch.edits.map(|stored| store.bytes(&stored)),
                resend: branch.resend.map(|stored| store.bytes(&stored)),
                challenges: branch.challenges.map(|stored| store.bytes(&stored)),
            })
            .collect();
        branches.reverse();
        Image { record: *record, response: record.response.map(|stored| store.bytes(&stored)), context, branches }
    }

    /// What stands behind version, checksum and fingerprint, if all three are as they should be.
    fn open_frame<'b>(&self, frame: &'b [u8]) -> Result<Decoder<'b>, DecodeError> {
        let (&version, rest) = frame.split_first().ok_or(DecodeError::Damaged)?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let (sum, body) = rest.split_at_checked(HEAD - 1).ok_or(DecodeError::Damaged)?;
        if *sum != checksum(body).to_le_bytes() {
            return Err(DecodeError::Damaged);
        }
        let mut from = Decoder::new(body);
        if from.get() == Some(self.fingerprint()) { Ok(from) } else { Err(DecodeError::OtherSecret) }
    }

    /// Hangs everything on a record that is in. `None`: something did not fit; what did fit hangs on the record.
    fn hang(&mut self, transaction: u32, image: &Image<'_>, note: P::Note) -> Option<()> {
        if let Some(response) = image.response {
            let kept = self.transactions.keep(response)?;
            self.transactions.record_mut(transaction)?.response = Some(kept);
        }
        if let Some(context) = &image.context {
            self.hang_context(transaction, context, note)?;
        }
        for branch in &image.branches {
            self.hang_branch(transaction, branch)?;
        }
        let pending = image.branches.iter().filter(|branch| branch.plain.pending()).count();
        if let Some(context) = self.transactions.context_mut(transaction) {
            context.pending = u8::try_from(pending).unwrap_or(u8::MAX);
        }
        Some(())
    }

    fn hang_context(&mut self, transaction: u32, image: &ContextImage<'_>, note: P::Note) -> Option<()> {
        let request = self.transactions.keep(image.request)?;
        let context = Context {
            request,
            from_call_id_to: [Span::at(0); 3],
            in_dialog: false,
            originals: Span::at(0),
            note,
            opened: image.opened,
            pending: 0,
            closed: image.closed,
            cancelled: image.cancelled,
            answered: image.answered,
            best: image.best.map(|(outcome, branch)| Best { outcome, response: None, branch }),
            rounds: image.rounds,
            parked: image.parked,
        };
        if self.transactions.insert_context(transaction, context).is_none() {
            self.transactions.free(Some(request));
            return None;
        }
        if let Some(response) = image.best_response {
            let kept = self.transactions.keep(response)?;
            match self.transactions.context_mut(transaction).and_then(|context| context.best.as_mut()) {
                Some(best) => best.response = Some(kept),
                None => self.transactions.free(Some(kept)),
            }
        }
        Some(())
    }

    fn hang_branch(&mut self, transaction: u32, image: &BranchImage<'_>) -> Option<()> {
        let mut target = image.plain.target;
        self.policy.target_taken_over(&mut target);
        let index = self.transactions.add_branch(Branch { transaction, target, ..image.plain })?;
        if let Some(request_uri) = image.request_uri {
            let kept = self.transactions.keep(request_uri)?;
            self.transactions.branch_mut(index)?.request_uri = Some(kept);
        }
        if let Some(edits) = image.edits {
            let kept = self.transactions.keep(edits)?;
            self.transactions.branch_mut(index)?.edits = Some(kept);
        }
        if let Some(resend) = image.resend {
            let kept = self.transactions.keep(resend)?;
            self.transactions.branch_mut(index)?.resend = Some(kept);
        }
        if let Some(challenges) = image.challenges {
            let kept = self.transactions.keep(challenges)?;
            self.transactions.branch_mut(index)?.challenges = Some(kept);
        }
        Some(())
    }

    /// Timers run, the policy hears of it, and a question is put again.
    fn go_on(&mut self, now: Now, transaction: u32, out: &mut impl Outbox) {
        self.transactions.rearm_record(transaction, out);
        for branch in self.transactions.branch_indices(transaction) {
            self.transactions.rearm_branch(branch, out);
        }
        self.with_kept_request(transaction, |proxy, source, message| {
            let edited = |branch| proxy.transactions.edits(branch).shown_from().is_some();
            let mut text = UriText::default();
            let mut by_route =
                || proxy.preprocessed(source, message, &mut text).is_some_and(|pre| pre.other_party.is_some());
            if proxy.transactions.branches_of(transaction).any(|(_, branch)| edited(branch)) || by_route() {
                proxy.transactions.note_originals(transaction, message);
            }
        });
        let Some(context) = self.transactions.context(transaction) else { return };
        let (mut note, answered) = (context.note, context.answered);
        self.policy.taken_over(self.transactions.request(transaction), &mut note, now);
        if let Some(context) = self.transactions.context_mut(transaction) {
            context.note = note;
        }
        if !answered {
            self.ask_again(transaction, out);
        }
    }

    /// Says whose keys these are, and nothing about the secret.
    fn fingerprint(&self) -> u64 {
        let hash = KeyedHash::new(&self.settings.boot_secret, Purpose::HandOver).finish();
        (hash & u128::from(u64::MAX)) as u64
    }
}

/// Against damage, not against malice: frames come from a process of ours.
fn checksum(body: &[u8]) -> u64 {
    (KeyedHash::new(&Secret([0; 16]), Purpose::HandOver).part(body).finish() & u128::from(u64::MAX)) as u64
}
