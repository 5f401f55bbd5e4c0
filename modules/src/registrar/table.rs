//! Accounts by user and domain, each with the record of its bindings, and when one of them ends next.
//!
//! An index of 32-bit numbers finds an account's place; places hold the record's place in the [`Store`] and stand in
//! the list of the second in which something of theirs ends. Records move, places do not.

use super::record::{self, ACCOUNT_HEAD, Account};
use super::store::{Place, Store};
use proto::hash::{KeyedHash, Purpose, Secret};

/// Number of an account, while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountId(u32);

/// One account. 20 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u32,
    /// Its record; 0: this slot is free, and `next` is the next free one.
    record: u32,
    /// Neighbours in the list of its second; 0: none. Slot numbers are one higher here.
    next: u32,
    previous: u32,
    due: u32,
}

/// Seconds that have lists of their own. What is due later stands in the list of the last one and is looked at then.
const SECONDS: usize = 8_192;

/// See the module.
#[derive(Debug)]
pub(super) struct Table {
    secret: Secret,
    store: Store,
    slots: Vec<Slot>,
    slots_max: usize,
    free: u32,
    /// Numbers of slots, one higher; 0: empty. Open addressing, linear.
    index: Box<[u32]>,
    lists: Box<[u32]>,
    /// A bit for each slot: what is kept there has to be reminded of us.
    reminded: Box<[u64]>,
    /// Lists before this second are empty.
    swept: u32,
    len: usize,
}

impl AccountId {
    /// Of the account in a place.
    pub(super) const fn of(place: u32) -> Self {
        AccountId(place)
    }
}

impl Table {
    /// For so many accounts and bytes of records. `now`: second of the clock.
    pub(super) fn new(accounts_max: usize, bytes_max: usize, secret: Secret, now: u32) -> Self {
        let slots_max = accounts_max.clamp(1, 1 << 30);
        // WHY a third more: chains of an index that is three quarters full are short.
        let index = (slots_max + slots_max / 3 + 1).next_power_of_two();
        Table {
            secret,
            store: Store::new(bytes_max),
            slots: Vec::new(),
            slots_max,
            free: 0,
            index: vec![0; index].into(),
            lists: vec![0; SECONDS].into(),
            reminded: vec![0; slots_max / 64 + 1].into(),
            swept: now,
            len: 0,
        }
    }

    /// How many accounts there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of records in use, and taken from the system.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.store.used(), self.store.taken())
    }

    /// Finds an account.
    pub(super) fn find(&self, domain: u16, user: &[u8]) -> Option<AccountId> {
        let hash = self.hash(domain, user);
        self.find_hashed(hash, domain, user).map(|(_, slot)| AccountId(slot))
    }

    /// The record of an account.
    pub(super) fn record(&self, id: AccountId) -> &[u8] {
        self.slot(id).map_or(&[], |slot| self.record_of(slot))
    }

    /// The same, to change it where it stands. INVARIANT: its length stays.
    pub(super) fn record_mut(&mut self, id: AccountId) -> Option<&mut [u8]> {
        let slot = *self.slot(id)?;
        let length = self.record_of(&slot).len();
        self.store.get_mut(Place(slot.record), length)
    }

    /// How many places there may be.
    pub(super) fn places(&self) -> u32 {
        u32::try_from(self.slots_max).unwrap_or(u32::MAX)
    }

    /// Keeps the record of an account, a new one or the one that there is; it is looked at again in second `due`.
    /// `None`: there is no room, and nothing has changed.
    pub(super) fn put(&mut self, known: Option<AccountId>, record: &[u8], due: u32) -> Option<AccountId> {
        match known {
            Some(id) => self.replace(id, record, due).map(|()| id),
            None => self.insert(record, due),
        }
    }

    /// Whether the phones of an account are to be reminded of us, from now on.
    pub(super) fn remind(&mut self, id: AccountId, wanted: bool) {
        if let Some(word) = self.reminded.get_mut(at(id.0) / 64) {
            *word = *word & !(1 << (id.0 % 64)) | u64::from(wanted) << (id.0 % 64);
        }
    }

    /// Whether they are. WHY a bit: who asks it of five million places in turn must not look at their records.
    pub(super) fn is_reminded(&self, id: AccountId) -> bool {
        self.reminded.get(at(id.0) / 64).is_some_and(|word| word >> (id.0 % 64) & 1 != 0)
    }

    /// Forgets an account.
    pub(super) fn remove(&mut self, id: AccountId) {
        let Some(slot) = self.slot(id).copied() else { return };
        self.remind(id, false);
        let length = self.record_of(&slot).len();
        self.store.free(Place(slot.record), length);
        self.unlink(id.0);
        self.take_from_index(slot.hash, id.0);
        if let Some(room) = self.slots.get_mut(at(id.0)) {
            *room = Slot { next: self.free, ..Slot::default() };
        }
        self.free = id.0 + 1;
        self.len -= 1;
    }

    /// The next account that is due before or in second `now`; it stands in no list until it is put again or
    /// [`Table::look_again`] is called.
    pub(super) fn next_due(&mut self, now: u32) -> Option<AccountId> {
        loop {
            let first = *self.lists.get(list(self.swept))?;
            if first != 0 {
                let id = first - 1;
                self.unlink(id);
                return Some(AccountId(id));
            }
            if self.swept >= now {
                return None;
            }
            self.swept += 1;
        }
    }

    /// The earliest second in which an account may be due.
    pub(super) fn due(&self) -> Option<u32> {
        (self.len > 0).then_some(self.swept)
    }

    /// Looks at an account again in second `due`.
    pub(super) fn look_again(&mut self, id: AccountId, due: u32) {
        self.link(id.0, due);
    }

    /// The account at this number or the next one behind it: all are seen by counting on.
    pub(super) fn from(&self, number: u32) -> Option<AccountId> {
        let behind = self.slots.get(at(number)..)?;
        let step = behind.iter().position(|slot| slot.record != 0)?;
        Some(AccountId(number + u32::try_from(step).ok()?))
    }

    fn insert(&mut self, record: &[u8], due: u32) -> Option<AccountId> {
        let account = Account::read(record)?;
        let hash = self.hash(account.domain, account.user);
        let id = match self.free {
            0 if self.slots.len() >= self.slots_max => return None,
            0 => u32::try_from(self.slots.len()).ok()?,
            free => free - 1,
        };
        let place = self.store.keep(record)?;
        let slot = Slot { hash, record: place.0, ..Slot::default() };
        match self.slots.get_mut(at(id)) {
            Some(room) => {
                self.free = room.next;
                *room = slot;
            }
            None => self.slots.push(slot),
        }
        let mut position = self.home(hash);
        while self.index.get(position).is_some_and(|entry| *entry != 0) {
            position = self.following(position);
        }
        *self.index.get_mut(position)? = id + 1;
        self.len += 1;
        self.link(id, due);
        Some(AccountId(id))
    }

    fn replace(&mut self, id: AccountId, record: &[u8], due: u32) -> Option<()> {
        let slot = *self.slot(id)?;
        let old = self.record_of(&slot).len();
        let place = self.store.replace(Place(slot.record), old, record)?;
        self.slots.get_mut(at(id.0))?.record = place.0;
        // WHY not when it is due later: it is looked at in its old second, and put where it belongs then.
        if slot.due == 0 || due < slot.due {
            self.unlink(id.0);
            self.link(id.0, due);
        }
        Some(())
    }

    fn slot(&self, id: AccountId) -> Option<&Slot> {
        self.slots.get(at(id.0)).filter(|slot| slot.record != 0)
    }

    fn record_of(&self, slot: &Slot) -> &[u8] {
        let length = record::length(self.store.get(Place(slot.record), ACCOUNT_HEAD));
        self.store.get(Place(slot.record), length)
    }

    fn hash(&self, domain: u16, user: &[u8]) -> u32 {
        let hash = KeyedHash::new(&self.secret, Purpose::User).number(u64::from(domain)).part(user).finish_low();
        (hash & u64::from(u32::MAX)) as u32
    }

    fn find_hashed(&self, hash: u32, domain: u16, user: &[u8]) -> Option<(usize, u32)> {
        let mut position = self.home(hash);
        loop {
            let id = self.index.get(position)?.checked_sub(1)?;
            let slot = self.slots.get(at(id))?;
            if slot.hash == hash
                && let Some(account) = Account::read(self.record_of(slot))
                && account.domain == domain
                && account.user == user
            {
                return Some((position, id));
            }
            position = self.following(position);
        }
    }

    fn home(&self, hash: u32) -> usize {
        at(hash) & (self.index.len() - 1)
    }

    fn following(&self, position: usize) -> usize {
        (position + 1) & (self.index.len() - 1)
    }

    /// Takes an entry out and closes the gap, so that no chain is broken.
    fn take_from_index(&mut self, hash: u32, id: u32) {
        let mut gap = self.home(hash);
        while self.index.get(gap).is_some_and(|entry| *entry != id + 1) {
            gap = self.following(gap);
        }
        let mut position = gap;
        loop {
            position = self.following(position);
            let Some(entry) = self.index.get(position).copied().filter(|entry| *entry != 0) else { break };
            let home = self.slots.get(at(entry - 1)).map_or(0, |slot| self.home(slot.hash));
            let mask = self.index.len() - 1;
            // It may move back when its home is not behind the gap.
            if position.wrapping_sub(home) & mask >= position.wrapping_sub(gap) & mask {
                if let Some(room) = self.index.get_mut(gap) {
                    *room = entry;
                }
                gap = position;
            }
        }
        if let Some(room) = self.index.get_mut(gap) {
            *room = 0;
        }
    }

    fn link(&mut self, id: u32, due: u32) {
        let last = self.swept.saturating_add(SECONDS as u32 - 1);
        let due = due.clamp(self.swept.saturating_add(1), last);
        let Some(first) = self.lists.get_mut(list(due)) else { return };
        let next = std::mem::replace(first, id + 1);
        if let Some(slot) = self.slots.get_mut(at(id)) {
            (slot.next, slot.previous, slot.due) = (next, 0, due);
        }
        if let Some(slot) = next.checked_sub(1).and_then(|next| self.slots.get_mut(at(next))) {
            slot.previous = id + 1;
        }
    }

    fn unlink(&mut self, id: u32) {
        let Some(slot) = self.slots.get_mut(at(id)) else { return };
        let Slot { next, previous, due, .. } = *slot;
        if due == 0 {
            return;
        }
        (slot.next, slot.previous, slot.due) = (0, 0, 0);
        let before = match previous.checked_sub(1) {
            Some(previous) => self.slots.get_mut(at(previous)).map(|slot| &mut slot.next),
            None => self.lists.get_mut(list(due)),
        };
        if let Some(before) = before {
            *before = next;
        }
        if let Some(slot) = next.checked_sub(1).and_then(|next| self.slots.get_mut(at(next))) {
            slot.previous = previous;
        }
    }
}

impl AccountId {
    /// To count on from.
    pub(super) fn number(self) -> u32 {
        self.0
    }
}

fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn list(second: u32) -> usize {
    at(second) % SECONDS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::super::record::tests::sample;
    use super::super::record::{begin, finish};
    use super::*;
    use std::collections::BTreeMap;

    fn record(user: &str, expires: u32) -> Vec<u8> {
        let mut out = Vec::new();
        begin(1, user.as_bytes(), &mut out);
        super::super::record::Binding { expires, ..sample() }.write(&mut out);
        assert!(finish(1, &mut out));
        out
    }

    fn expires(record: &[u8]) -> u32 {
        Account::read(record).unwrap().bindings().next().unwrap().expires
    }

    /// Against a map: what is put is found, what is removed is not, and each is due in its second or at the end of
    /// the lists.
    #[test]
    fn accounts_are_found_and_due_whatever_came_and_went_between() {
        let mut table = Table::new(500, 1 << 20, Secret([3; 16]), 1_000);
        let mut model: BTreeMap<String, u32> = BTreeMap::new();
        let mut random = 11u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from((random >> 33) % below).unwrap()
        };
        let mut now = 1_000;
        for _ in 0..30_000 {
            let user = format!("user{}", next(700));
            let known = table.find(1, user.as_bytes());
            assert_eq!(known.is_some(), model.contains_key(&user), "{user}");
            match next(4) {
                0 => {
                    if let Some(id) = known {
                        table.remove(id);
                        model.remove(&user);
                    }
                }
                1 => {
                    now += next(40);
                    while let Some(id) = table.next_due(now) {
                        let due = expires(table.record(id));
                        if due <= now {
                            let user =
                                String::from_utf8(Account::read(table.record(id)).unwrap().user.to_vec()).unwrap();
                            assert_eq!(model.remove(&user), Some(due));
                            table.remove(id);
                        } else {
                            table.look_again(id, due);
                        }
                    }
                    assert!(model.values().all(|due| *due > now), "one was not due in time");
                }
                _ => {
                    let due = now + 1 + next(20_000);
                    if table.put(known, &record(&user, due), due).is_some() {
                        model.insert(user, due);
                    } else {
                        assert_eq!((known, table.len()), (None, 500));
                    }
                }
            }
            assert_eq!(table.len(), model.len());
        }
        let mut seen = 0;
        let mut number = 0;
        while let Some(id) = table.from(number) {
            number = id.number() + 1;
            seen += 1;
        }
        assert_eq!(seen, model.len());
    }
}
