//! What a shard gives the disk lane to keep, and how far the lane has come. No I/O here.
//!
//! Records go into a batch; the batch goes to the lane when the last one is back (group commit: while the disk is
//! at work the next batch fills). A response that tells of a record waits for the number of its batch.
//!
//! A record says all that holds of one account, so that the last one of an account is the whole truth and any
//! earlier one may be forgotten. When the lane wants to drop old files it asks for everything to be said again
//! ([`Journal::rewrite`]); that goes along with the batches, a bounded part with each.

use super::record::{Account, Binding, Bindings};
use limits::registrar::JOURNAL_BATCH_BYTES;

/// What of a batch said-again records may fill, so that room is left for new ones.
const REWRITE_BYTES: usize = JOURNAL_BATCH_BYTES / 4;

/// The longest record: an account's, with the name of its domain.
const ENTRY_BYTES_MAX: usize = super::store::RECORD_BYTES_MAX + 300;

/// When responses leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has what they tell of.
    Strict,
    /// At once.
    Relaxed,
    /// At once, and nothing is kept: there is no disk.
    None,
}

/// Records on their way to the disk, and back as an empty box.
#[derive(Debug)]
pub struct Batch {
    /// Counts the shard's batches from 1.
    pub number: u64,
    /// Records, one behind the other.
    pub bytes: Vec<u8>,
    /// Bytes of all records that hold now: what a journal without garbage would be long.
    pub live_bytes: u64,
    /// With this batch everything has been said again that held when this round of it began; 0: not so.
    pub rewritten: u64,
    /// Set by the lane: it is on the disk.
    pub kept: bool,
}

/// Of one shard.
#[derive(Debug)]
pub(super) struct Journal {
    durability: Durability,
    filling: Box<Batch>,
    spare: Option<Box<Batch>>,
    /// What the disk did not take: it goes first when the disk works again, so that what is removed here is removed there.
    lost: Option<Box<Batch>>,
    /// The last batch that is on the disk.
    synced: u64,
    broken: bool,
    round: u64,
    /// The next account to be said again; `None`: all are.
    rewriting: Option<u32>,
}

impl Journal {
    pub(super) fn new(durability: Durability) -> Self {
        let room = if durability == Durability::None { 0 } else { JOURNAL_BATCH_BYTES };
        let batch = |number| {
            Box::new(Batch { number, bytes: Vec::with_capacity(room), live_bytes: 0, rewritten: 0, kept: false })
        };
        Journal {
            durability,
            filling: batch(1),
            spare: (room > 0).then(|| batch(0)),
            lost: None,
            synced: 0,
            broken: false,
            round: 0,
            rewriting: None,
        }
    }

    /// Whether a record can be taken: the disk works, and there is room.
    pub(super) fn is_open(&self) -> bool {
        self.durability == Durability::None
            || !self.broken && self.filling.bytes.len() + ENTRY_BYTES_MAX <= JOURNAL_BATCH_BYTES
    }

    /// Whether the disk does not work.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The batch that must be on the disk before anything may be told of what has been recorded so far; `None`:
    /// nothing need be waited for.
    pub(super) fn pending(&self) -> Option<u64> {
        if self.durability != Durability::Strict {
            return None;
        }
        let last = if self.filling.bytes.is_empty() { self.filling.number - 1 } else { self.filling.number };
        (last > self.synced).then_some(last)
    }

    /// Records what holds of an account now.
    pub(super) fn record(&mut self, domain: &[u8], account: &Account<'_>) {
        if self.durability != Durability::None {
            write_entry(domain, account, &mut self.filling.bytes);
        }
    }

    /// The batch for the disk, when there is one to send and the last is back. `next` gives the record and domain
    /// of an account at a number or behind it, and its number.
    pub(super) fn take<'t>(
        &mut self,
        live_bytes: u64,
        next: impl Fn(u32) -> Option<(u32, &'t [u8], Account<'t>)>,
    ) -> Option<Box<Batch>> {
        if self.broken {
            return None;
        }
        if let Some(lost) = self.lost.take() {
            return Some(lost);
        }
        self.spare.as_ref()?;
        let mut rewritten = 0;
        if let Some(mut number) = self.rewriting {
            let full = (self.filling.bytes.len() + REWRITE_BYTES).min(JOURNAL_BATCH_BYTES - ENTRY_BYTES_MAX);
            while self.filling.bytes.len() < full {
                let Some((found, domain, account)) = next(number) else {
                    rewritten = self.round;
                    break;
                };
                write_entry(domain, &account, &mut self.filling.bytes);
                number = found + 1;
            }
            self.rewriting = (rewritten == 0).then_some(number);
        }
        if self.filling.bytes.is_empty() && rewritten == 0 {
            return None;
        }
        let mut empty = self.spare.take()?;
        empty.number = self.filling.number + 1;
        let mut full = std::mem::replace(&mut self.filling, empty);
        (full.live_bytes, full.rewritten, full.kept) = (live_bytes, rewritten, false);
        Some(full)
    }

    /// A batch is back. Whether it is on the disk; if not, the disk does not work and what it told of may be told to
    /// nobody.
    pub(super) fn back(&mut self, mut batch: Box<Batch>) -> bool {
        let kept = batch.kept;
        if kept {
            self.synced = self.synced.max(batch.number);
            batch.bytes.clear();
            self.spare = Some(batch);
        } else {
            self.broken = true;
            self.lost = Some(batch);
        }
        kept
    }

    /// The disk works again. What was lost was told to nobody; it is sent again.
    pub(super) fn mend(&mut self) {
        self.broken = false;
    }

    /// Everything that holds is to be said again.
    pub(super) fn rewrite(&mut self, round: u64) {
        self.round = round;
        self.rewriting = Some(0);
    }

    /// Whether a batch with more of what is said again could be sent at once.
    pub(super) fn has_more(&self) -> bool {
        let more = self.rewriting.is_some() || !self.filling.bytes.is_empty();
        !self.broken && (self.lost.is_some() || self.spare.is_some() && more)
    }
}

/// One record of a batch, read back.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'b> {
    /// Name of the domain.
    pub domain: &'b [u8],
    /// The user, escapes undone.
    pub user: &'b [u8],
    bindings: &'b [u8],
}

impl<'b> Entry<'b> {
    /// Reads one; returns it and the bytes behind it. `None`: these are not the bytes of one.
    pub fn read(bytes: &'b [u8]) -> Option<(Entry<'b>, &'b [u8])> {
        let length = usize::from(u16::from_le_bytes(*bytes.first_chunk()?));
        let (entry, rest) = bytes.get(2..)?.split_at_checked(length)?;
        let (&domain, entry) = entry.split_first()?;
        let (domain, entry) = entry.split_at_checked(usize::from(domain))?;
        let (&user, entry) = entry.split_first()?;
        let (user, entry) = entry.split_at_checked(usize::from(user))?;
        let (&count, bindings) = entry.split_first()?;
        let read = Entry { domain, user, bindings };
        (read.bindings().count() == usize::from(count)).then_some((read, rest))
    }

    /// Its bindings; none: the account has none any more.
    pub fn bindings(&self) -> impl Iterator<Item = Binding<'b>> + use<'b> {
        Bindings(self.bindings)
    }
}

/// Appends an entry of an account with these bindings, for a journal that is not written by a registrar. False: it is
/// longer than any may be, and nothing was appended.
pub fn append_entry(domain: &[u8], user: &[u8], bindings: &[Binding<'_>], out: &mut Vec<u8>) -> bool {
    let mut record = Vec::new();
    super::record::begin(0, user, &mut record);
    bindings.iter().for_each(|binding| binding.write(&mut record));
    let fits = super::record::finish(bindings.len(), &mut record);
    match Account::read(&record).filter(|_| fits) {
        Some(account) => {
            write_entry(domain, &account, out);
            true
        }
        None => false,
    }
}

pub(super) fn write_entry(domain: &[u8], account: &Account<'_>, out: &mut Vec<u8>) {
    let from = out.len();
    // INVARIANT: names of domains are host names, users are bounded, records are shorter than 64 KB.
    let byte = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
    out.extend_from_slice(&[0, 0, byte(domain.len())]);
    out.extend_from_slice(domain);
    out.push(byte(account.user.len()));
    out.extend_from_slice(account.user);
    out.push(account.count);
    out.extend_from_slice(account.bindings);
    let length = u16::try_from(out.len() - from - 2).unwrap_or(u16::MAX).to_le_bytes();
    if let Some(room) = out.get_mut(from..from + 2) {
        room.copy_from_slice(&length);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::super::record::tests::sample;
    use super::*;

    fn account(bindings: &[u8]) -> Account<'_> {
        Account { domain: 0, user: b"alice", count: 1, bindings }
    }

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        sample().write(&mut bytes);
        bytes
    }

    #[test]
    fn an_entry_comes_back_and_none_comes_from_less() {
        let bindings = bytes();
        let mut out = Vec::new();
        write_entry(b"example.com", &account(&bindings), &mut out);
        let (entry, rest) = Entry::read(&out).unwrap();
        assert_eq!((entry.domain, entry.user, rest), (&b"example.com"[..], &b"alice"[..], &b""[..]));
        assert_eq!(entry.bindings().collect::<Vec<_>>(), [sample()]);
        assert!((0..out.len()).all(|length| Entry::read(&out[..length]).is_none()));
    }

    #[test]
    fn while_one_batch_is_on_its_way_the_next_one_fills() {
        let bindings = bytes();
        let mut journal = Journal::new(Durability::Strict);
        assert_eq!(journal.pending(), None);
        journal.record(b"example.com", &account(&bindings));
        assert_eq!(journal.pending(), Some(1));
        let mut first = journal.take(0, |_| None).unwrap();
        journal.record(b"example.com", &account(&bindings));
        assert!(journal.take(0, |_| None).is_none(), "the first is not back");
        assert_eq!(journal.pending(), Some(2));
        first.kept = true;
        assert!(journal.back(first));
        let mut second = journal.take(0, |_| None).unwrap();
        assert_eq!(second.number, 2);
        second.kept = true;
        journal.back(second);
        assert_eq!(journal.pending(), None);
    }

    #[test]
    fn a_batch_that_was_not_kept_closes_the_journal_until_it_is_mended() {
        let bindings = bytes();
        let mut journal = Journal::new(Durability::Strict);
        journal.record(b"example.com", &account(&bindings));
        let lost = journal.take(0, |_| None).unwrap();
        let bytes = lost.bytes.clone();
        assert!(!journal.back(lost) && !journal.is_open() && journal.take(0, |_| None).is_none());
        journal.mend();
        assert!(journal.is_open() && journal.has_more());
        // It goes again, and what it tells of waits for it.
        assert_eq!(journal.pending(), Some(1));
        let mut again = journal.take(0, |_| None).unwrap();
        assert_eq!((again.number, &again.bytes), (1, &bytes));
        again.kept = true;
        assert!(journal.back(again) && journal.pending().is_none());
    }

    #[test]
    fn everything_is_said_again_in_parts() {
        let bindings = bytes();
        let mut journal = Journal::new(Durability::Relaxed);
        journal.rewrite(7);
        let next = |number: u32| (number < 5_000).then_some((number, &b"example.com"[..], account(&bindings)));
        let (mut batches, mut entries) = (0, 0);
        loop {
            let mut batch = journal.take(0, next).unwrap();
            let mut rest = &batch.bytes[..];
            while let Some((_, behind)) = Entry::read(rest) {
                rest = behind;
                entries += 1;
            }
            batches += 1;
            let done = batch.rewritten == 7;
            batch.kept = true;
            journal.back(batch);
            if done {
                break;
            }
        }
        assert!(batches > 5 && entries == 5_000, "{batches} {entries}");
        assert!(journal.take(0, next).is_none());
    }

    #[test]
    fn a_round_of_which_a_part_was_lost_goes_on_with_it() {
        let bindings = bytes();
        let mut journal = Journal::new(Durability::Strict);
        journal.rewrite(7);
        let next = |number: u32| (number < 2_000).then_some((number, &b"example.com"[..], account(&bindings)));
        let lost = journal.take(0, next).unwrap();
        assert_eq!(lost.rewritten, 0, "a first part");
        journal.back(lost);
        journal.mend();
        let mut entries = 0;
        loop {
            let mut batch = journal.take(0, next).unwrap();
            let mut rest = &batch.bytes[..];
            while let Some((_, behind)) = Entry::read(rest) {
                rest = behind;
                entries += 1;
            }
            let done = batch.rewritten == 7;
            batch.kept = true;
            journal.back(batch);
            if done {
                break;
            }
        }
        assert_eq!(entries, 2_000);
    }

    #[test]
    fn a_full_batch_takes_no_more() {
        let bindings = bytes();
        let mut journal = Journal::new(Durability::Strict);
        while journal.is_open() {
            journal.record(b"example.com", &account(&bindings));
        }
        assert!(journal.filling.bytes.len() <= JOURNAL_BATCH_BYTES);
    }
}
