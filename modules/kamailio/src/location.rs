//! Bindings of `usrloc`: the table `location`.

use crate::report::Report;
use crate::table::{Row, Table};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::net::{IpAddr, SocketAddr};

/// A binding, as Tandem's registrar keeps one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// User of the address of record.
    pub user: String,
    /// Its domain.
    pub domain: String,
    /// The Contact URI, as it came.
    pub contact: String,
    /// Where the phone is reached.
    pub source: SocketAddr,
    /// Path values, as they came.
    pub path: String,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
    /// When it was last refreshed, in seconds since 1970; 0: nobody knows.
    pub modified: i64,
    /// Preference in thousandths.
    pub q: u16,
    /// The Call-ID that registered it.
    pub call_id: String,
    /// Its CSeq.
    pub cseq: u32,
    /// The User-Agent.
    pub agent: String,
    /// `+sip.instance` without quotation marks; empty: none.
    pub instance: String,
    /// `reg-id`; 0: none.
    pub reg_id: u32,
    /// Methods that it takes; empty: it did not say.
    pub methods: Vec<&'static str>,
    /// Address of the listener that took it.
    pub listener: Option<SocketAddr>,
}

/// Bits of the column `methods`.
const METHODS: [(i64, &str); 14] = [
    (1, "INVITE"),
    (2, "CANCEL"),
    (4, "ACK"),
    (8, "BYE"),
    (16, "INFO"),
    (32, "REGISTER"),
    (64, "SUBSCRIBE"),
    (128, "NOTIFY"),
    (256, "MESSAGE"),
    (512, "OPTIONS"),
    (1_024, "PRACK"),
    (2_048, "UPDATE"),
    (4_096, "REFER"),
    (8_192, "PUBLISH"),
];

/// Bindings that have no end (static contacts) are given this long from now, in seconds.
const PERMANENT_SECONDS: i64 = 7 * 86_400;

/// What the table does not say.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'r> {
    /// Domain of rows without one.
    pub domain: Option<&'r str>,
    /// Zone of times that are written as dates: Kamailio writes its host's local time.
    pub zone: &'r TimeZone,
    /// Seconds since 1970.
    pub now: i64,
}

/// The bindings of tables named `location` that are in force.
pub fn read<'t>(tables: impl Iterator<Item = &'t Table>, reading: Reading<'_>, report: &mut Report) -> Vec<Location> {
    let (mut found, mut rows) = (Vec::new(), 0_usize);
    for row in tables.flat_map(Table::rows) {
        rows += 1;
        match binding(&row, reading) {
            Ok(binding) => found.push(binding),
            Err(Left::Over) => report.odd(format!("location row {}", row.number), "has ended"),
            Err(Left::Out(why)) => report.odd(format!("location row {}", row.number), why),
            Err(Left::Transport(name)) => {
                let text = format!(
                    "is registered over {name}; UDP alone is spoken so far: the phone is reached when it registers over UDP"
                );
                report.no_counterpart(format!("location row {}", row.number), text);
            }
        }
    }
    if rows > 0 {
        report.taken("location", format!("{} of {rows} bindings", found.len()));
        report.otherwise(
            "location",
            "GRUUs that Kamailio gave out mean nothing here: phones get others with their next refresh",
        );
    }
    found
}

/// Why a row is no binding here.
enum Left {
    Over,
    Transport(String),
    Out(String),
}

fn binding(row: &Row<'_>, reading: Reading<'_>) -> Result<Location, Left> {
    let out = |why: &str| Left::Out(why.to_owned());
    let (user, domain) = match row.text("username").and_then(|name| name.split_once('@')) {
        Some((user, domain)) => (Some(user), Some(domain)),
        None => (row.text("username"), row.text("domain")),
    };
    let user = user.ok_or_else(|| out("has no user"))?;
    let domain = domain.or(reading.domain).ok_or_else(|| out("has no domain; name one with --domain"))?;
    let contact = row.text("contact").ok_or_else(|| out("has no contact"))?;
    let expires = row
        .text("expires")
        .and_then(|text| seconds(text, reading.zone))
        .ok_or_else(|| out("has no time of its end that could be read"))?;
    let expires = if expires <= 0 { reading.now + PERMANENT_SECONDS } else { expires };
    if expires <= reading.now {
        return Err(Left::Over);
    }
    for (column, uri) in [("contact", contact), ("received", row.text("received").unwrap_or_default())] {
        if let Some(name) = other_transport(uri) {
            return Err(Left::Transport(name));
        } else if column == "received" && !uri.is_empty() && address_of(uri).is_none() {
            return Err(Left::Out(format!("`{uri}` is no address that it could be reached at")));
        }
    }
    let socket = row.text("socket").unwrap_or_default();
    if let Some((transport, _)) =
        socket.split_once(':').filter(|(name, _)| matches!(*name, "tcp" | "tls" | "sctp" | "ws" | "wss"))
    {
        return Err(Left::Transport(transport.to_ascii_uppercase()));
    }
    let path = row.text("path").unwrap_or_default();
    let source = row.text("received").and_then(address_of);
    let source = source.or_else(|| if path.is_empty() { address_of(contact) } else { address_of(path) });
    let source = source.ok_or_else(|| out("names no address at which it could be reached"))?;
    let number = |column: &str| row.number(column).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    let methods = row.number("methods").filter(|bits| (1..i64::from(u16::MAX)).contains(bits)).unwrap_or(0);
    Ok(Location {
        user: user.to_owned(),
        domain: domain.to_ascii_lowercase(),
        contact: contact.to_owned(),
        source,
        path: path.to_owned(),
        expires,
        modified: row
            .text("last_modified")
            .and_then(|text| seconds(text, reading.zone))
            .unwrap_or(0)
            .clamp(0, reading.now),
        q: preference(row.text("q")),
        call_id: row.text("callid").unwrap_or("imported").to_owned(),
        cseq: number("cseq"),
        agent: row.text("user_agent").unwrap_or_default().to_owned(),
        instance: row.text("instance").unwrap_or_default().trim_matches('"').to_owned(),
        reg_id: number("reg_id"),
        methods: METHODS.iter().filter(|(bit, _)| methods & bit != 0).map(|(_, name)| *name).collect(),
        listener: socket.strip_prefix("udp:").and_then(|address| address.parse().ok()),
    })
}

/// A preference in thousandths; -1 and nothing are none, which is 1.
fn preference(text: Option<&str>) -> u16 {
    let q = text.and_then(|text| text.parse::<f64>().ok()).filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within 0 and 1,000")]
    let thousandths = (q * 1_000.0).round() as u16;
    thousandths
}

/// A time: seconds since 1970, or a date as databases write it.
fn seconds(text: &str, zone: &TimeZone) -> Option<i64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let plain = text.split(['.', '+']).next()?.trim().replacen(' ', "T", 1);
    let date: DateTime = plain.parse().ok()?;
    zone.to_timestamp(date).ok().map(jiff::Timestamp::as_second)
}

/// The transport of a URI, if it is not UDP.
fn other_transport(uri: &str) -> Option<String> {
    let lower = uri.to_ascii_lowercase();
    if lower.trim_start_matches('<').starts_with("sips:") {
        return Some("TLS".to_owned());
    }
    let (_, name) = lower.split_once(";transport=")?;
    let name = name.split([';', '>', '?', ',']).next().unwrap_or(name);
    (name != "udp").then(|| name.to_ascii_uppercase())
}

/// Address and port of a URI whose host is an address.
fn address_of(uri: &str) -> Option<SocketAddr> {
    let start = uri.find(':')? + 1;
    let rest = uri.get(start..)?;
    let rest = rest.split([';', '>', '?', ',']).next()?;
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let with_port: Option<SocketAddr> = host.parse().ok();
    let alone = || host.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 5060));
    with_port.or_else(alone).filter(|address| address.port() != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::read::dbtext;
    use crate::report::Kind;

    const HEAD: &str = "ruid(string) username(string) domain(string,null) contact(string) received(string,null) path(string,null) \
                        expires(string) q(double) callid(string) cseq(int) user_agent(string) socket(string,null) methods(int,null) instance(string,null) reg_id(int)\n";

    fn read_rows(rows: &str) -> (Vec<Location>, Report) {
        let mut report = Report::default();
        let table = dbtext::read("location", &format!("{HEAD}{rows}")).unwrap();
        let reading = Reading { domain: Some("example.com"), zone: &TimeZone::UTC, now: 1_700_000_000 };
        (read(std::iter::once(&table), reading, &mut report), report)
    }

    #[test]
    fn a_binding_has_what_the_row_says() {
        let (found, _) = read_rows(
            "r1:alice::sip\\:alice@10.0.0.5\\:5062:sip\\:192.0.2.9\\:40000::2023-11-14 23\\:13\\:20:0.5:c1@h:7:Phone 1:udp\\:192.0.2.1\\:5060:17:\"<urn\\:uuid\\:1>\":1\n",
        );
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (one.user.as_str(), one.domain.as_str(), one.contact.as_str()),
            ("alice", "example.com", "sip:alice@10.0.0.5:5062")
        );
        assert_eq!(
            (one.source.to_string().as_str(), one.expires, one.q, one.cseq),
            ("192.0.2.9:40000", 1_700_003_600, 500, 7)
        );
        assert_eq!(
            (one.methods.as_slice(), one.instance.as_str(), one.reg_id),
            (&["INVITE", "INFO"][..], "<urn:uuid:1>", 1)
        );
        assert_eq!(one.listener.unwrap().to_string(), "192.0.2.1:5060");
    }

    #[test]
    fn what_is_none_is_said() {
        let rows = "r1:a::sip\\:a@10.0.0.5:::1700000000:-1:c:1:P::::0\n\
                    r2:b::sip\\:b@10.0.0.5;transport=tcp:::1800000000:-1:c:1:P::::0\n\
                    r3:c::sip\\:c@phone.example:::1800000000:-1:c:1:P::::0\n\
                    r4:d::sip\\:d@10.0.0.5:::0:-1:c:1:P::::0\n\
                    r5:e::sip\\:e@phone.example::<sip\\:192.0.2.5\\:5080;lr>:1800000000:-1:c:1:P:tls\\:192.0.2.1\\:5061:::0\n\
                    r6:f::sip\\:f@phone.example::<sip\\:192.0.2.5\\:5080;lr>:1800000000:-1:c:1:P::::0\n";
        let (found, report) = read_rows(rows);
        let users: Vec<_> = found.iter().map(|one| (one.user.as_str(), one.source.port(), one.q)).collect();
        assert_eq!(users, [("d", 5060, 1_000), ("f", 5080, 1_000)]);
        for (kind, part) in [
            (Kind::Odd, "has ended"),
            (Kind::NoCounterpart, "over TCP"),
            (Kind::Odd, "names no address"),
            (Kind::NoCounterpart, "over TLS"),
        ] {
            assert!(report.says(kind, part), "{part}: {}", report.text());
        }
        assert!(report.says(Kind::Taken, "2 of 6"));
    }
}
