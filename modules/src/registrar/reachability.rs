//! Which bindings are behind NAT, and whether their phones answer keep-alives. Called by [`crate::phones::keep_alive`].
//!
//! What a phone has answered stands in spare bits of its binding, in memory alone: a refresh begins anew.

use super::Registrar;
use super::record::{self, Account, Binding};
use super::table::AccountId;
use limits::registrar::GRACE_SECONDS;
use proto::hash::{KeyedHash, Purpose};
use proto::message::Uri;
use proto::time::Now;

/// Names a binding for as long as it lasts: the place of its account and a hash of its Contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub u64);

impl Registrar {
    /// Places that accounts may have.
    pub fn places(&self) -> u32 {
        self.table.places()
    }

    /// The first binding behind NAT among those of the account in this place, `skip` of all passed over; and how many
    /// are to be passed over after it.
    pub fn behind_nat(&self, place: u32, skip: usize, now: Now) -> Option<(Binding<'_>, Ticket, usize)> {
        let id = AccountId::of(place);
        if !self.table.is_reminded(id) {
            return None;
        }
        let account = Account::read(self.table.record(id))?;
        let second = self.clock.second(now);
        let mut bindings = account.bindings().enumerate().skip(skip);
        let (nth, binding) = bindings.find(|(_, binding)| binding.is_live(second, 0) && is_behind_nat(binding))?;
        Some((binding, Ticket(u64::from(place) << 32 | u64::from(self.hash_of(&binding))), nth + 1))
    }

    /// A keep-alive is sent to it. How many in a row it has not answered, if it has ever answered one.
    pub fn reminded(&mut self, ticket: Ticket) -> Option<u8> {
        let flags = self.flags_mut(ticket)?;
        let missed = (*flags & MISSED) >> MISSED_SHIFT;
        *flags = *flags & !MISSED | (missed + 1).min(MISSED_MAX) << MISSED_SHIFT;
        (*flags & ANSWERED != 0).then_some(missed)
    }

    /// It has answered.
    pub fn answered(&mut self, ticket: Ticket) {
        if let Some(flags) = self.flags_mut(ticket) {
            *flags = *flags & !MISSED | ANSWERED;
        }
    }

    /// Takes away a binding whose phone is gone. False: it is not there, or the disk does not work.
    pub fn forget(&mut self, ticket: Ticket) -> bool {
        let id = AccountId::of(place_of(ticket));
        let Some(account) = Account::read(self.table.record(id)) else { return false };
        let mut record = std::mem::take(&mut self.scratch);
        record::begin(account.domain, account.user, &mut record);
        let (before, mut count, mut due) = (usize::from(account.count), 0, u32::MAX);
        for binding in account.bindings().filter(|binding| self.hash_of(binding) != hash_in(ticket)) {
            binding.write(&mut record);
            (count, due) = (count + 1, due.min(binding.expires.saturating_add(GRACE_SECONDS)));
        }
        let gone = count < before
            && record::finish(count, &mut record)
            && self.put(Some(id), &record, count, before, due).is_ok();
        self.scratch = record;
        gone
    }

    fn hash_of(&self, binding: &Binding<'_>) -> u32 {
        let hash = KeyedHash::new(&self.gruu_secret, Purpose::User).part(binding.contact).finish_low();
        (hash & u64::from(u32::MAX)) as u32
    }

    fn flags_mut(&mut self, ticket: Ticket) -> Option<&mut u8> {
        let id = AccountId::of(place_of(ticket));
        let account = Account::read(self.table.record(id))?;
        let offset = account.offset_of(|binding| self.hash_of(binding) == hash_in(ticket))?;
        self.table.record_mut(id)?.get_mut(offset + record::FLAGS_AT)
    }
}

/// Bits of a binding's flags that its record leaves free.
const ANSWERED: u8 = 0x10;
const MISSED: u8 = 0xe0;
const MISSED_SHIFT: u8 = 5;
const MISSED_MAX: u8 = 7;

fn place_of(ticket: Ticket) -> u32 {
    (ticket.0 >> 32) as u32
}

fn hash_in(ticket: Ticket) -> u32 {
    (ticket.0 & u64::from(u32::MAX)) as u32
}

/// Whether one of the bindings of a record is behind NAT.
pub(super) fn is_any_behind_nat(record: &[u8]) -> bool {
    Account::read(record).is_some_and(|account| account.bindings().any(|binding| is_behind_nat(&binding)))
}

/// Whether a phone's REGISTER came from another address than its Contact names: a NAT stands between.
fn is_behind_nat(binding: &Binding<'_>) -> bool {
    if !binding.direct || !binding.path.is_empty() {
        return false;
    }
    let contact = Uri::parse(binding.contact).ok();
    let named = contact.and_then(|uri| Some((uri.host.ip()?.to_canonical(), uri.effective_port())));
    named != Some((binding.source.ip(), binding.source.port()))
}
