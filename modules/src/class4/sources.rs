//! Whose a call is: by source prefix, port and tech prefix, the longest match.
//!
//! The longest prefix of the address comes first, then an entry for the very port, then the longest tech prefix.
//! A wider prefix stands in when no entry of the longer one fits.

use crate::sources::{Prefix, PrefixTable};
use std::net::SocketAddr;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct SourceTable {
    /// Longest prefix to index in `lists`.
    prefixes: PrefixTable<u16>,
    /// What may hold there, in the order in which it is looked at.
    lists: Vec<Vec<Entry>>,
}

/// A source of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) prefix: Prefix,
    pub(super) port: Option<u16>,
    pub(super) tech_prefix: Box<str>,
    /// Slot of the customer.
    pub(super) customer: u16,
}

/// Whose a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The customer in this slot.
    Customer(u16),
    /// It comes from a customer's address, but is no customer's.
    Nobody,
    /// No customer sends from there.
    Elsewhere,
}

/// More different prefixes than indices count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl SourceTable {
    pub(super) fn build(entries: &[Entry]) -> Result<Self, TooMany> {
        let mut prefixes: Vec<Prefix> = entries.iter().map(|entry| entry.prefix).collect();
        prefixes.sort_by_key(|prefix| (prefix.address, prefix.bits));
        prefixes.dedup();
        let mut lists = Vec::new();
        let mut table = Vec::new();
        for prefix in prefixes {
            let covers = |wide: &Prefix| wide.bits <= prefix.bits && wide.contains(prefix.address);
            let mut list: Vec<Entry> = entries.iter().filter(|entry| covers(&entry.prefix)).cloned().collect();
            list.sort_by_key(|entry| {
                let Entry { prefix, port, tech_prefix, customer: _ } = entry;
                std::cmp::Reverse((prefix.bits, port.is_some(), tech_prefix.len()))
            });
            table.push((prefix, u16::try_from(lists.len()).map_err(|_| TooMany)?));
            lists.push(list);
        }
        Ok(SourceTable { prefixes: PrefixTable::build(&table), lists })
    }

    /// Whose a call to `user` from `peer` is.
    pub fn find(&self, peer: SocketAddr, user: &[u8]) -> Sender {
        let Some(list) = self.prefixes.find(peer.ip()).and_then(|index| self.lists.get(usize::from(index))) else {
            return Sender::Elsewhere;
        };
        let digits = user.strip_prefix(b"+").unwrap_or(user);
        let fits = |entry: &&Entry| {
            entry.port.is_none_or(|port| port == peer.port()) && digits.starts_with(entry.tech_prefix.as_bytes())
        };
        list.iter().find(fits).map_or(Sender::Nobody, |entry| Sender::Customer(entry.customer))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn entry(network: (&str, u8), port: Option<u16>, tech_prefix: &str, customer: u16) -> Entry {
        let prefix = Prefix::new(network.0.parse().unwrap(), network.1);
        Entry { prefix, port, tech_prefix: tech_prefix.into(), customer }
    }

    #[test]
    fn the_longest_match_holds() {
        let table = SourceTable::build(&[
            entry(("192.0.2.0", 24), None, "", 0),
            entry(("192.0.2.0", 24), None, "7001", 1),
            entry(("192.0.2.0", 24), None, "70", 2),
            entry(("192.0.2.8", 29), Some(5070), "", 3),
            entry(("192.0.2.9", 32), None, "88", 4),
            entry(("2001:db8::", 32), None, "9", 5),
        ])
        .unwrap();
        let find = |peer: &str, user: &str| table.find(peer.parse().unwrap(), user.as_bytes());
        assert_eq!(find("192.0.2.1:5060", "700149"), Sender::Customer(1));
        assert_eq!(find("192.0.2.1:5060", "+700149"), Sender::Customer(1));
        assert_eq!(find("192.0.2.1:5060", "7149"), Sender::Customer(0));
        assert_eq!(find("192.0.2.1:5060", "7049"), Sender::Customer(2));
        assert_eq!(find("192.0.2.10:5070", "700149"), Sender::Customer(3), "the longer prefix comes first");
        assert_eq!(find("192.0.2.10:5060", "700149"), Sender::Customer(1), "another port: the wider one");
        assert_eq!(find("192.0.2.9:5060", "8849"), Sender::Customer(4));
        assert_eq!(find("192.0.2.9:5060", "49"), Sender::Customer(0));
        assert_eq!(find("[2001:db8::1]:5060", "49"), Sender::Nobody);
        assert_eq!(find("198.51.100.1:5060", "49"), Sender::Elsewhere);
    }

    proptest! {
        /// Against the definition: of all that fit the one with the longest prefix, port, longest tech prefix.
        #[test]
        fn agrees_with_the_definition(
            raw in prop::collection::vec((0_u8..4, 24_u8..=32, prop::option::of(1_u16..3), 0_usize..4), 0..12),
            ask in prop::collection::vec((0_u8..6, 1_u16..4, 0_usize..5), 1..20),
        ) {
            const TECHS: [&str; 5] = ["", "7", "70", "71", "8"];
            let mut entries: Vec<Entry> = Vec::new();
            for (customer, (low, bits, port, tech)) in (0_u16..).zip(raw) {
                let address = std::net::Ipv4Addr::from(u32::from_be_bytes([192, 0, 2, low]) & (u32::MAX << (32 - bits)));
                let new = Entry { prefix: Prefix::new(address.into(), bits), port, tech_prefix: TECHS[tech].into(), customer };
                let same = |old: &Entry| (old.prefix, old.port, &old.tech_prefix) == (new.prefix, new.port, &new.tech_prefix);
                if !entries.iter().any(same) {
                    entries.push(new);
                }
            }
            let table = SourceTable::build(&entries).unwrap();
            for (low, port, tech) in ask {
                let peer = SocketAddr::from(([192, 0, 2, low], port));
                let user = format!("{}49", TECHS[tech]);
                let covering: Vec<_> = entries.iter().filter(|entry| entry.prefix.contains(peer.ip())).collect();
                let fits = covering.iter().filter(|entry| entry.port.is_none_or(|known| known == port) && user.starts_with(&*entry.tech_prefix));
                let best = fits.max_by_key(|entry| (entry.prefix.bits, entry.port.is_some(), entry.tech_prefix.len()));
                let expected = match (best, covering.is_empty()) {
                    (Some(entry), _) => Sender::Customer(entry.customer),
                    (None, true) => Sender::Elsewhere,
                    (None, false) => Sender::Nobody,
                };
                prop_assert_eq!(table.find(peer, user.as_bytes()), expected);
            }
        }
    }
}
