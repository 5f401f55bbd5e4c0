//! Address prefixes, and the longest of many that covers an address.
//!
//! Built when tables are compiled: prefixes are cut into intervals that do not overlap, so that a
//! lookup is one binary search whatever the number of prefixes. An IPv4 address mapped into IPv6
//! (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2) is the IPv4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address prefix, such as `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// First address.
    pub address: IpAddr,
    /// Bits that count: at most 32 or 128.
    pub bits: u8,
}

impl Prefix {
    /// A prefix; bits beyond the address's length are cut to it, and mapped IPv4 becomes IPv4.
    pub fn new(address: IpAddr, bits: u8) -> Self {
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(v4)) => {
                Prefix { address: IpAddr::V4(v4), bits: bits.saturating_sub(96).min(32) }
            }
            (_, IpAddr::V4(v4)) => Prefix { address: IpAddr::V4(v4), bits: bits.min(32) },
            (_, IpAddr::V6(v6)) => Prefix { address: IpAddr::V6(v6), bits: bits.min(128) },
        }
    }

    /// The prefixes that a network of the configuration stands for.
    pub fn of_network(network: &tuning::Network) -> impl Iterator<Item = Prefix> + use<> {
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let (both, one) = match network {
            tuning::Network::Any => (Some(any.map(|address| Prefix { address, bits: 0 })), None),
            tuning::Network::Prefix(net) => (None, Some(Prefix::new(net.addr(), net.prefix_len()))),
        };
        both.into_iter().flatten().chain(one)
    }

    /// Whether it is the whole loopback network of IPv4.
    pub fn is_loopback_network(&self) -> bool {
        self.bits <= 8 && self.address.is_loopback()
    }

    /// Just this address.
    pub fn host(address: IpAddr) -> Self {
        Prefix::new(address, 128)
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (family, first, last) = self.range();
        let (of, at) = position(address);
        of == family && (first..=last).contains(&at)
    }

    /// Whether it covers its whole address family: `any` says nothing about who is behind it.
    pub const fn is_any(&self) -> bool {
        self.bits == 0
    }

    fn range(&self) -> (Family, u128, u128) {
        let (family, at) = position(self.address);
        let width = match family {
            Family::V4 => 32,
            Family::V6 => 128,
        };
        let low = width - u32::from(self.bits).min(width);
        let span = if low == 128 { u128::MAX } else { (1u128 << low) - 1 };
        (family, at & !span, (at & !span) | span)
    }
}

/// Which of many prefixes is the longest that covers an address, and what stands for it.
#[derive(Clone, Debug)]
pub struct PrefixTable<T> {
    v4: Vec<Interval<T>>,
    v6: Vec<Interval<T>>,
}

impl<T> Default for PrefixTable<T> {
    fn default() -> Self {
        PrefixTable { v4: Vec::new(), v6: Vec::new() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Interval<T> {
    first: u128,
    last: u128,
    value: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl<T: Copy> PrefixTable<T> {
    /// Compiles `prefixes`; of two equal ones the first counts.
    pub fn build(prefixes: &[(Prefix, T)]) -> Self {
        PrefixTable { v4: intervals(prefixes, Family::V4), v6: intervals(prefixes, Family::V6) }
    }

    /// What stands for the longest prefix that covers `address`.
    pub fn find(&self, address: IpAddr) -> Option<T> {
        let (family, at) = position(address);
        let all = match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        let interval = all.get(all.partition_point(|interval| interval.last < at))?;
        (interval.first <= at).then_some(interval.value)
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

fn position(address: IpAddr) -> (Family, u128) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (Family::V4, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (Family::V6, u128::from(v6)),
    }
}

/// Nested ranges, sorted so that an outer one comes before those in it, become disjoint intervals.
fn intervals<T: Copy>(prefixes: &[(Prefix, T)], family: Family) -> Vec<Interval<T>> {
    let mut ranges: Vec<Interval<T>> = prefixes
        .iter()
        .map(|(prefix, value)| (prefix.range(), *value))
        .filter(|((of, _, _), _)| *of == family)
        .map(|((_, first, last), value)| Interval { first, last, value })
        .collect();
    ranges.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
    ranges.dedup_by(|later, earlier| later.first == earlier.first && later.last == earlier.last);
    let mut done = Vec::with_capacity(ranges.len());
    let mut open: Vec<Interval<T>> = Vec::new();
    for range in ranges {
        close_before(&mut open, &mut done, Some(range.first));
        if let Some(outer) = open.last_mut() {
            if outer.first < range.first {
                done.push(Interval { last: range.first - 1, ..*outer });
            }
            outer.first = range.first;
        }
        open.push(range);
    }
    close_before(&mut open, &mut done, None);
    done
}

/// Ends the open ranges that end before `position` (`None`: all); what is left of each goes out after
/// the ranges inside it.
fn close_before<T: Copy>(open: &mut Vec<Interval<T>>, done: &mut Vec<Interval<T>>, position: Option<u128>) {
    while let Some(inner) = open.last().copied() {
        if position.is_some_and(|position| inner.last >= position) {
            return;
        }
        open.pop();
        if inner.first <= inner.last {
            done.push(inner);
        }
        resume_after(open, inner.last);
    }
}

/// Everything up to `last` is said; the ranges round it go on after that, or are used up too.
fn resume_after<T: Copy>(open: &mut Vec<Interval<T>>, last: u128) {
    while let Some(outer) = open.last_mut() {
        match last.checked_add(1) {
            Some(next) if next <= outer.last => {
                outer.first = next;
                return;
            }
            _ => drop(open.pop()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> Prefix {
        let (address, bits) = text.split_once('/').unwrap();
        Prefix::new(address.parse().unwrap(), bits.parse().unwrap())
    }

    /// The definition: of all that cover it the longest, of equal ones the first.
    fn naive(prefixes: &[(Prefix, usize)], address: IpAddr) -> Option<usize> {
        let mut best: Option<(u8, usize)> = None;
        for (prefix, value) in prefixes.iter().filter(|(prefix, _)| prefix.contains(address)) {
            if best.is_none_or(|(bits, _)| prefix.bits > bits) {
                best = Some((prefix.bits, *value));
            }
        }
        best.map(|(_, value)| value)
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            raw in prop::collection::vec((any::<bool>(), any::<u8>(), any::<u8>(), 0u8..=128), 0..40),
            ask in prop::collection::vec((any::<bool>(), any::<u8>(), any::<u8>()), 1..60),
        ) {
            // Few distinct bytes at both ends of the address, so that prefixes nest and touch.
            let address = |v6: bool, high: u8, low: u8| -> IpAddr {
                let (high, low) = ([0, 1, 127, 128, 255][usize::from(high % 5)], [0, 1, 2, 255][usize::from(low % 4)]);
                if v6 {
                    Ipv6Addr::from((u128::from(high) << 120) | u128::from(low)).into()
                } else {
                    Ipv4Addr::new(high, 0, 0, low).into()
                }
            };
            let prefixes: Vec<_> = raw.iter().enumerate()
                .map(|(value, &(v6, high, low, bits))| (Prefix::new(address(v6, high, low), if v6 { bits } else { bits % 33 }), value))
                .collect();
            let table = PrefixTable::build(&prefixes);
            for (v6, high, low) in ask {
                let address = address(v6, high, low);
                // `::` plus a small number is not IPv4-mapped, so families stay apart.
                prop_assert_eq!(table.find(address), naive(&prefixes, address), "{}", address);
            }
        }
    }

    #[test]
    fn the_longest_wins_and_mapped_is_v4() {
        let table = PrefixTable::build(&[
            (prefix("10.0.0.0/8"), 'a'),
            (prefix("10.1.0.0/16"), 'b'),
            (prefix("::ffff:10.2.0.0/112"), 'c'),
            (prefix("2001:db8::/32"), 'd'),
        ]);
        let find = |text: &str| table.find(text.parse().unwrap());
        assert_eq!(find("10.0.0.1"), Some('a'));
        assert_eq!(find("10.1.255.255"), Some('b'));
        assert_eq!(find("::ffff:10.1.0.1"), Some('b'));
        assert_eq!(find("10.2.3.4"), Some('c'));
        assert_eq!(find("10.255.255.255"), Some('a'));
        assert_eq!(find("11.0.0.0"), None);
        assert_eq!(find("2001:db8::1"), Some('d'));
        assert_eq!(find("2001:db9::1"), None);
    }

    #[test]
    fn any_covers_all() {
        let table = PrefixTable::build(&[(prefix("0.0.0.0/0"), 1), (prefix("::/0"), 2)]);
        assert_eq!(table.find("255.255.255.255".parse().unwrap()), Some(1));
        assert_eq!(table.find("ffff::".parse().unwrap()), Some(2));
        assert!(prefix("::/0").is_any() && !prefix("10.0.0.0/8").is_any());
    }
}
