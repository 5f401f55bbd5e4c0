//! `address` and `trusted` of `permissions`: who may send.

use crate::report::Report;
use crate::table::{Row, Table};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;

/// One address or network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sender {
    /// The network's first address.
    pub address: IpAddr,
    /// Bits that count.
    pub bits: u8,
    /// The only port; `None`: any.
    pub port: Option<u16>,
}

/// Those who share a number of `address`, or stand in `trusted`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Its number; `None`: the table `trusted`.
    pub number: Option<i64>,
    /// A name for it: the tag of its first row, if all rows have the same.
    pub tag: Option<String>,
    /// Its members.
    pub senders: Vec<Sender>,
}

impl Group {
    /// What it is called where no tag names it.
    pub fn name(&self) -> String {
        match (&self.tag, self.number) {
            (Some(tag), _) => tag.clone(),
            (None, Some(number)) => format!("address-{number}"),
            (None, None) => "trusted".to_owned(),
        }
    }
}

impl Sender {
    /// As `[[source]]` has it: ports are not told apart there.
    pub fn network(&self) -> String {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == whole { self.address.to_string() } else { format!("{}/{}", self.address, self.bits) }
    }

    /// As `sources` of a customer has it.
    pub fn trunk(&self) -> String {
        match (self.port, self.address) {
            (None, _) => self.network(),
            (Some(port), IpAddr::V4(address)) => format!("{address}:{port}"),
            (Some(port), IpAddr::V6(address)) => format!("[{address}]:{port}"),
        }
    }
}

/// Whether a group is of `trusted`, and its number.
type Key = (bool, i64);

/// The groups of tables named `address` and `trusted`. An address belongs to the first that has it.
pub fn groups<'t>(tables: impl Iterator<Item = &'t Table>, report: &mut Report) -> Vec<Group> {
    let mut groups: BTreeMap<Key, (Group, Vec<Option<String>>)> = BTreeMap::new();
    let mut owners: BTreeMap<Sender, Key> = BTreeMap::new();
    for table in tables {
        for row in table.rows() {
            let trusted = table.name == "trusted";
            let subject = format!("{} row {}", table.name, row.number);
            let sender = if trusted { of_trusted(&row, &subject, report) } else { of_address(&row, &subject, report) };
            let Some(sender) = sender else { continue };
            let key = (trusted, if trusted { 0 } else { row.number_or("grp", 1) });
            match owners.entry(sender) {
                Entry::Vacant(room) => {
                    room.insert(key);
                }
                Entry::Occupied(owner) => {
                    if *owner.get() != key {
                        report.otherwise(
                            subject,
                            format!("{} is in another group too; it belongs to the first here", sender.trunk()),
                        );
                    }
                    continue;
                }
            }
            let (group, tags) = groups.entry(key).or_default();
            group.number = (!trusted).then_some(key.1);
            group.senders.push(sender);
            tags.push(row.text("tag").map(str::to_owned));
        }
    }
    let tagged = |(mut group, tags): (Group, Vec<Option<String>>)| {
        let first = tags.first().cloned().flatten();
        group.tag = first.filter(|first| tags.iter().all(|tag| tag.as_ref() == Some(first)));
        group
    };
    groups.into_values().map(tagged).collect()
}

fn of_address(row: &Row<'_>, subject: &str, report: &mut Report) -> Option<Sender> {
    let text = row.text("ip_addr").unwrap_or_default();
    let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() else {
        report.odd(
            subject,
            format!("`{text}` is no address: Kamailio compared it letter by letter, and no source is written so"),
        );
        return None;
    };
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let bits = match row.number_or("mask", i64::from(whole)) {
        0 => whole,
        mask => u8::try_from(mask).ok().filter(|bits| *bits <= whole).unwrap_or(whole),
    };
    let port = row.number("port").and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    let port = port.filter(|port| {
        if bits < whole {
            report.no_counterpart(subject, format!("port {port} of a network: any port of it may send here"));
        }
        bits == whole
    });
    Some(Sender { address: masked(address, bits), bits, port })
}

fn of_trusted(row: &Row<'_>, subject: &str, report: &mut Report) -> Option<Sender> {
    let text = row.text("src_ip").unwrap_or_default();
    let proto = row.text("proto").unwrap_or("any").to_ascii_lowercase();
    if !matches!(proto.as_str(), "any" | "udp") {
        report.no_counterpart(subject, format!("{text} may send over {proto} alone; UDP alone is spoken so far"));
        return None;
    }
    for column in ["from_pattern", "ruri_pattern"] {
        if let Some(pattern) = row.text(column).filter(|pattern| *pattern != ".*") {
            report.otherwise(
                subject,
                format!(
                    "{text} may send whatever its {column} `{pattern}` says: sources are told apart by address alone"
                ),
            );
        }
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        report.odd(subject, format!("`{text}` is no address"));
        return None;
    };
    Some(Sender { address, bits: if address.is_ipv4() { 32 } else { 128 }, port: None })
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::from((u32::from(ip) & mask).to_be_bytes())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::from((u128::from(ip) & mask).to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::read::address_file;
    use crate::report::Kind;

    #[test]
    fn groups_have_their_members_and_their_tags() {
        let text = "1 192.0.2.9 24 0 acme\n1 198.51.100.1 32 5080 acme\n2 192.0.2.7 0\n2 192.0.2.9 24\n3 gw.example.com\n1 2001:db8::1 64 5060 acme\n";
        let mut report = Report::default();
        let groups = groups(std::iter::once(&address_file::read(text)), &mut report);
        let shown: Vec<_> = groups
            .iter()
            .map(|group| (group.name(), group.senders.iter().map(Sender::trunk).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "acme".to_owned(),
                    vec!["192.0.2.0/24".to_owned(), "198.51.100.1:5080".into(), "2001:db8::/64".into()]
                ),
                ("address-2".to_owned(), vec!["192.0.2.7".to_owned()]),
            ]
        );
        assert!(
            report.says(Kind::Odd, "`gw.example.com` is no address")
                && report.says(Kind::Otherwise, "in another group too")
        );
        assert!(report.says(Kind::NoCounterpart, "port 5060 of a network"));
    }

    #[test]
    fn trusted_rows_have_patterns_and_transports_that_are_said() {
        let row = |values: [Option<&str>; 6]| values.iter().map(|value| value.map(str::to_owned)).collect();
        let rows = vec![
            row([Some("1"), Some("192.0.2.1"), Some("any"), Some("^sip:.*@a$"), None, None]),
            row([Some("2"), Some("192.0.2.2"), Some("tls"), None, None, None]),
        ];
        let columns = ["id", "src_ip", "proto", "from_pattern", "ruri_pattern", "tag"].map(str::to_owned).to_vec();
        let mut report = Report::default();
        let groups = groups(std::iter::once(&Table { name: "trusted".into(), columns, rows }), &mut report);
        assert_eq!((groups.len(), groups[0].name().as_str(), groups[0].senders.len()), (1, "trusted", 1));
        assert!(
            report.says(Kind::Otherwise, "whatever its from_pattern")
                && report.says(Kind::NoCounterpart, "over tls alone")
        );
    }
}
