//! What operators see: accounts in parts, so that a million of them never hold up a shard.

use super::Registrar;
use super::journal::{Entry, write_entry};
use super::record::{Account, Binding};
use limits::registrar::GRACE_SECONDS;
use proto::time::Now;

/// Accounts that are looked at for one part.
const SEEN_MAX: usize = 2_048;

/// Bytes of a part, but for its last account.
const PART_BYTES: usize = 32_768;

/// A question for a part of the accounts, and the part: a box that a lane makes, and that goes round.
#[derive(Debug, Default)]
pub struct Look {
    /// Where to go on.
    pub from: u32,
    /// Only users that are this, or begin with it; empty: all.
    pub user: Vec<u8>,
    /// The user is a beginning.
    pub is_prefix: bool,
    /// Only this domain, by its name; empty: all.
    pub domain: Vec<u8>,
    /// The shard's second, by which what is left of a binding is told.
    pub second: u32,
    /// There is nothing behind this part.
    pub done: bool,
    bytes: Vec<u8>,
}

/// An operator takes all bindings of a user away; a box that goes to the shard and back.
#[derive(Debug, Default)]
pub struct Unregister {
    /// Name of the domain.
    pub domain: Vec<u8>,
    /// The user.
    pub user: Vec<u8>,
    /// How many bindings are gone; `None`: the disk does not work, and none are.
    pub removed: Option<usize>,
}

/// One binding of an account.
#[derive(Clone, Copy, Debug)]
pub struct Row<'l> {
    /// Name of the domain.
    pub domain: &'l [u8],
    /// The user.
    pub user: &'l [u8],
    /// The binding.
    pub binding: Binding<'l>,
    /// Seconds that are left of it; 0 in its grace.
    pub left: u32,
}

impl Look {
    /// A question, from the beginning, with room for its answers.
    pub fn new(domain: Vec<u8>, user: Vec<u8>, is_prefix: bool) -> Self {
        let bytes = Vec::with_capacity(PART_BYTES + super::store::RECORD_BYTES_MAX + 300);
        Look { domain, user, is_prefix, bytes, ..Look::default() }
    }

    /// The bindings of this part.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let mut rest = &self.bytes[..];
        let entries = std::iter::from_fn(move || {
            let (entry, behind) = Entry::read(rest)?;
            rest = behind;
            Some(entry)
        });
        let second = self.second;
        entries.flat_map(move |entry| {
            entry.bindings().filter(move |binding| binding.is_live(second, GRACE_SECONDS)).map(move |binding| Row {
                domain: entry.domain,
                user: entry.user,
                binding,
                left: binding.expires.saturating_sub(second),
            })
        })
    }

    fn wants(&self, domain: &[u8], user: &[u8]) -> bool {
        let by_user =
            if self.is_prefix { user.starts_with(&self.user) } else { self.user.is_empty() || *self.user == *user };
        by_user && (self.domain.is_empty() || self.domain.eq_ignore_ascii_case(domain))
    }
}

impl Registrar {
    /// Fills the next part.
    pub fn look(&self, look: &mut Look, now: Now) {
        look.bytes.clear();
        look.second = self.clock.second(now);
        let mut bytes = std::mem::take(&mut look.bytes);
        look.done = true;
        for _ in 0..SEEN_MAX {
            let Some(id) = self.table.from(look.from) else { break };
            look.from = id.number() + 1;
            if let Some(account) = Account::read(self.table.record(id)) {
                let domain = self.names.name(account.domain);
                if look.wants(domain, account.user) {
                    write_entry(domain, &account, &mut bytes);
                }
            }
            if bytes.len() >= PART_BYTES {
                look.done = false;
                break;
            }
        }
        look.done &= self.table.from(look.from).is_none();
        look.bytes = bytes;
    }
}
