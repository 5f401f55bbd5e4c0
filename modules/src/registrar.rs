//! The registrar of one shard (RFC 3261 §10): who is registered, under which contacts, until when.
//!
//! A user belongs to the shard that its name hashes to (`proto::steer`), so a REGISTER and a question of where the
//! user is meet its state on one thread. Called by [`crate::route`]; what it keeps goes to the disk through batches
//! that its owner fetches ([`Registrar::take_batch`]), and comes back from it at the start ([`Registrar::load`]).
//!
//! | To change | Open |
//! |---|---|
//! | what a REGISTER does | `register.rs`, what it may say `contact.rs` |
//! | what is answered | `answer.rs`, GRUUs `gruu.rs` |
//! | what is kept of a registrar behind us | `granted.rs` |
//! | where a call to a user goes | `location.rs`, in which order `forks.rs` |
//! | what is kept of a binding | `record.rs` |
//! | which phones are behind NAT, and whether they answer | `reachability.rs` |
//! | where records and accounts lie, when they end | `store.rs`, `table.rs` |
//! | what goes to the disk, what waits for it | `journal.rs` |
//! | what `tandem registrations` sees | `look.rs` |

mod answer;
mod clock;
mod contact;
mod date;
mod forks;
mod granted;
mod gruu;
mod journal;
mod location;
mod look;
mod names;
mod reachability;
mod record;
mod register;
mod store;
mod table;
#[cfg(test)]
mod tests;

pub use clock::Clock;
pub use forks::{ForkId, Forks};
pub use gruu::Named;
pub use journal::{Batch, Durability, Entry, append_entry};
pub use location::{Presence, Wanted};
pub use look::{Look, Row, Unregister};
pub use reachability::Ticket;
pub use record::{Binding, Bindings};

use crate::authentication::living::Living;
use crate::reason::Reason;
use crate::tables::Domains;
use date::DateLine;
use journal::Journal;
use limits::registrar::{EXPIRED_PER_TURN_MAX, GRACE_SECONDS};
use names::Names;
use proto::hash::Secret;
use proto::message::Arena;
use proto::time::{Micros, Mono, Now};
use record::Account;
use table::{AccountId, Table};

/// What a registrar is made with.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The clock, the same for all shards and the journal.
    pub clock: Clock,
    /// Most accounts of this shard.
    pub accounts: usize,
    /// Memory for their bindings, in bytes.
    pub bytes: usize,
    /// When responses leave.
    pub durability: Durability,
    /// Key of this boot, for the table.
    pub boot_secret: Secret,
    /// Key of GRUUs: the same after a restart.
    pub gruu_secret: Secret,
    /// Seed of this shard's random numbers.
    pub seed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Registrar {
    clock: Clock,
    table: Table,
    names: Names,
    journal: Journal,
    gruu_secret: Secret,
    random: Random,
    bindings: u64,
    expired: u64,
    /// The record under construction.
    scratch: Vec<u8>,
    /// The Path of the request in hand.
    path: Vec<u8>,
    date: DateLine,
    /// For the request that a response in hand answers.
    arena: Option<Arena>,
}

/// What a registrar holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Users with a binding.
    pub accounts: u64,
    /// Their bindings, those in their grace included.
    pub bindings: u64,
    /// Bindings that ended for their age.
    pub expired: u64,
    /// Bytes of records, in use.
    pub used_bytes: u64,
    /// Bytes for records, taken from the system.
    pub taken_bytes: u64,
    /// The disk does not work.
    pub broken: bool,
}

impl Registrar {
    /// Reserves its index; memory for records is taken as it is needed.
    pub fn new(setup: &Setup, domains: &Domains, now: Now) -> Self {
        let clock = setup.clock;
        let mut names = Names::default();
        names.install(domains);
        Registrar {
            table: Table::new(setup.accounts, setup.bytes, setup.boot_secret, clock.second(now)),
            clock,
            names,
            journal: Journal::new(setup.durability),
            gruu_secret: setup.gruu_secret,
            random: Random(setup.seed),
            bindings: 0,
            expired: 0,
            scratch: Vec::with_capacity(store::RECORD_BYTES_MAX),
            path: Vec::with_capacity(limits::registrar::PATH_BYTES_MAX),
            date: DateLine::new(),
            arena: Some(Arena::new()),
        }
    }

    /// Other tables hold from now on.
    pub fn install(&mut self, domains: &Domains) {
        self.names.install(domains);
    }

    /// The key of its GRUUs.
    pub const fn gruu_secret(&self) -> &Secret {
        &self.gruu_secret
    }

    /// What it holds.
    pub fn figures(&self) -> Figures {
        let (used_bytes, taken_bytes) = self.table.bytes();
        Figures {
            accounts: self.table.len() as u64,
            bindings: self.bindings,
            expired: self.expired,
            used_bytes,
            taken_bytes,
            broken: self.journal.is_broken(),
        }
    }

    /// Takes in what was on the disk, later entries of an account after earlier ones. `shift`: seconds to be added to
    /// its times. `living`: is told where its bindings live. False: there is no room, or no such domain any more.
    pub fn load(&mut self, entry: &Entry<'_>, shift: i64, living: Option<&Living>, now: Now) -> bool {
        let Some(number) = self.names.of_name(entry.domain) else { return false };
        let second = self.clock.second(now);
        let known = self.table.find(number, entry.user);
        let before = known.map_or(0, |id| self.count_of(id));
        let mut record = std::mem::take(&mut self.scratch);
        record::begin(number, entry.user, &mut record);
        let (mut count, mut due) = (0, u32::MAX);
        for binding in entry.bindings() {
            let updated = shifted(binding.updated, shift);
            // WHY: however clocks went, none has more left than it was once granted.
            let expires = shifted(binding.expires, shift)
                .min(second.saturating_add(binding.expires - binding.updated.min(binding.expires)));
            let binding = Binding { expires, updated: updated.min(second), ..binding };
            if binding.is_live(second, GRACE_SECONDS) {
                binding.write(&mut record);
                (count, due) = (count + 1, due.min(expires.saturating_add(GRACE_SECONDS)));
                if let Some(living) = living.filter(|_| expires > second) {
                    let left = Micros::from_secs(u64::from(expires.saturating_sub(second)));
                    living.note(binding.source.ip(), left, now.mono);
                }
            }
        }
        let fits = record::finish(count, &mut record);
        let kept = match (known, count) {
            (Some(id), 0) => {
                self.table.remove(id);
                true
            }
            (None, 0) => true,
            _ => fits && self.keep(known, &record, due).is_some(),
        };
        self.scratch = record;
        if kept {
            self.count_bindings(before, count);
        }
        kept
    }

    /// When [`Registrar::expire`] has something to do next.
    pub fn deadline(&self) -> Option<Mono> {
        self.table.due().map(|second| self.clock.mono_of(second.saturating_add(1)))
    }

    /// Ends what is over, a bounded number at once. True: there is more.
    pub fn expire(&mut self, now: Now) -> bool {
        let second = self.clock.second(now);
        for _ in 0..EXPIRED_PER_TURN_MAX {
            let Some(id) = self.table.next_due(second) else { return false };
            self.end_what_is_over(id, second);
        }
        true
    }

    /// The batch for the disk, if there is one and the last is back.
    pub fn take_batch(&mut self) -> Option<Box<Batch>> {
        let Registrar { table, names, journal, .. } = self;
        let live_bytes = table.bytes().0;
        journal.take(live_bytes, |number| {
            let id = table.from(number)?;
            let account = Account::read(table.record(id))?;
            Some((id.number(), names.name(account.domain), account))
        })
    }

    /// A batch is back: whether it is on the disk, and its number.
    pub fn batch_back(&mut self, batch: Box<Batch>) -> (bool, u64) {
        let number = batch.number;
        (self.journal.back(batch), number)
    }

    /// The disk works again.
    pub fn mend(&mut self) {
        self.journal.mend();
    }

    /// Everything that holds is to be recorded again, along with what comes.
    pub fn rewrite(&mut self, round: u64) {
        self.journal.rewrite(round);
    }

    /// Whether a batch could be sent at once.
    pub fn has_batch(&self) -> bool {
        self.journal.has_more()
    }

    /// Removes all bindings of a user, as an operator wants. How many there were; `None`: the disk does not work.
    pub fn remove(&mut self, domain: &[u8], user: &[u8]) -> Option<usize> {
        let found = self.names.of_name(domain).and_then(|number| self.table.find(number, user));
        let Some(id) = found else { return Some(0) };
        self.may_change().ok()?;
        let account = Account::read(self.table.record(id))?;
        let count = usize::from(account.count);
        let gone = Account { count: 0, bindings: b"", ..account };
        self.journal.record(self.names.name(account.domain), &gone);
        self.table.remove(id);
        self.count_bindings(count, 0);
        Some(count)
    }

    fn end_what_is_over(&mut self, id: AccountId, second: u32) {
        let mut record = std::mem::take(&mut self.scratch);
        let account = Account::read(self.table.record(id));
        let (mut count, mut due, mut before) = (0, u32::MAX, 0);
        if let Some(account) = account {
            before = usize::from(account.count);
            record::begin(account.domain, account.user, &mut record);
            for binding in account.bindings().filter(|binding| binding.is_live(second, GRACE_SECONDS)) {
                binding.write(&mut record);
                (count, due) = (count + 1, due.min(binding.expires.saturating_add(GRACE_SECONDS)));
            }
        }
        // WHY nothing is recorded: times end by themselves, after a restart too.
        if count == 0 {
            self.table.remove(id);
        } else if count == before {
            self.table.look_again(id, due);
        } else if !(record::finish(count, &mut record) && self.keep(Some(id), &record, due).is_some()) {
            self.table.look_again(id, due);
            count = before;
        }
        self.scratch = record;
        self.expired += (before - count) as u64;
        self.count_bindings(before, count);
    }

    /// The record of an account takes the place of what was there; none if it has no bindings. The account, if it
    /// still is one.
    fn put(
        &mut self,
        known: Option<AccountId>,
        record: &[u8],
        count: usize,
        before: usize,
        due: u32,
    ) -> Result<Option<AccountId>, Reason> {
        self.may_change()?;
        let account = Account::read(record).ok_or(Reason::RegistrarFull)?;
        let kept = match known {
            Some(id) if count == 0 => {
                self.table.remove(id);
                None
            }
            _ => Some(self.keep(known, record, due).ok_or(Reason::RegistrarFull)?),
        };
        self.count_bindings(before, count);
        self.journal.record(self.names.name(account.domain), &account);
        Ok(kept)
    }

    /// In memory. `None`: there is no room, and nothing has changed.
    fn keep(&mut self, known: Option<AccountId>, record: &[u8], due: u32) -> Option<AccountId> {
        let id = self.table.put(known, record, due)?;
        self.table.remind(id, reachability::is_any_behind_nat(record));
        Some(id)
    }

    fn may_change(&self) -> Result<(), Reason> {
        match (self.journal.is_broken(), self.journal.is_open()) {
            (true, _) => Err(Reason::JournalBroken),
            (_, false) => Err(Reason::JournalBehind),
            _ => Ok(()),
        }
    }

    fn bindings_of(&self, id: Option<AccountId>) -> Bindings<'_> {
        let record = id.map_or(&b""[..], |id| self.table.record(id));
        Account::read(record).map_or(Bindings(b""), |account| account.bindings())
    }

    fn count_of(&self, id: AccountId) -> usize {
        Account::read(self.table.record(id)).map_or(0, |account| usize::from(account.count))
    }

    fn count_bindings(&mut self, before: usize, after: usize) {
        self.bindings = (self.bindings + after as u64).saturating_sub(before as u64);
    }
}

fn shifted(second: u32, shift: i64) -> u32 {
    u32::try_from((i64::from(second) + shift).max(0)).unwrap_or(u32::MAX)
}

/// splitmix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
