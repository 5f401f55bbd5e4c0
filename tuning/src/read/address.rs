//! Hosts, addresses, gateway URIs and network prefixes as they stand in the file.

use super::reader::Reader;
use super::value::{Node, Value};
use crate::schema::Kind;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Port of a SIP URI or sent-by without one (RFC 3261 §19.1.2), over UDP.
pub const SIP_PORT: u16 = 5060;

/// Longest host name (RFC 1035 §2.3.4).
const HOST_NAME_BYTES_MAX: usize = 253;

/// A host by address or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// By address.
    Address(IpAddr),
    /// By name, in lower case.
    Name(String),
}

/// A host and the port that was written with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// `None`: the default of where it stands (for a gateway by name: RFC 3263 decides).
    pub port: Option<u16>,
}

/// Where a gateway is: `sip:host[:port]`, over UDP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GatewayUri(pub HostPort);

/// Addresses that may send: everybody, or a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Every address of both families.
    Any,
    /// A prefix without host bits.
    Prefix(IpNet),
}

impl Host {
    /// The host that `text` names: an IPv4 address, an IPv6 address with or without brackets, or a name.
    pub fn parse(text: &str) -> Option<Host> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Host::Address(address));
        }
        if let Some(inside) = text.strip_prefix('[') {
            return inside.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(|v6| Host::Address(v6.into()));
        }
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        // WHY: a last label of digits is an address that was mistyped (RFC 3261 §25.1, toplabel).
        let top_is_letter = name.rsplit('.').next()?.starts_with(|first: char| first.is_ascii_alphabetic());
        let good = name.len() <= HOST_NAME_BYTES_MAX && top_is_letter && name.split('.').all(label);
        good.then(|| Host::Name(name.to_ascii_lowercase()))
    }
}

impl HostPort {
    /// `host`, `host:port`, `[v6]:port`.
    pub fn parse(text: &str) -> Option<HostPort> {
        if let Some(host) = Host::parse(text) {
            return Some(HostPort { host, port: None });
        }
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(HostPort { host: Host::parse(host)?, port: Some(port) })
    }

    /// The address and port, when the host is an address; the port defaults to 5060.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Address(address) => Some(SocketAddr::new(address, self.port.unwrap_or(SIP_PORT))),
            Host::Name(_) => None,
        }
    }
}

impl Network {
    /// Whether `address` belongs to it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            Network::Any => true,
            Network::Prefix(prefix) => prefix.contains(&address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
            Host::Address(address) => write!(formatter, "{address}"),
            Host::Name(name) => formatter.write_str(name),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(formatter, "{}:{port}", self.host),
            None => write!(formatter, "{}", self.host),
        }
    }
}

impl fmt::Display for GatewayUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sip:{}", self.0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::Any => formatter.write_str("any"),
            Network::Prefix(prefix) => write!(formatter, "{prefix}"),
        }
    }
}

/// A value written as a string: the parse either succeeds or says why not and what to write.
macro_rules! textual {
    ($ty:ty, $what:literal, $parse:expr) => {
        impl Value for $ty {
            fn kind() -> Kind {
                Kind::Text($what)
            }
            fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
                if !node.get_ref().is_str() {
                    reader.wrong_type(node, $what);
                    return None;
                }
                let text = String::read(node, reader, None)?;
                let parse: fn(&str) -> Result<$ty, (String, String)> = $parse;
                parse(&text).map_err(|(why, remedy)| reader.malformed(node, why, remedy)).ok()
            }
            fn print(&self) -> Option<toml::Value> {
                Some(toml::Value::String(self.to_string()))
            }
        }
    };
}

textual!(SocketAddr, "an address with its port, such as \"192.0.2.1:5060\" or \"[::]:5060\"", |text| {
    text.parse().map_err(|_| match Host::parse(text) {
        Some(Host::Address(_)) if without_brackets(text).is_some() => {
            let meant = without_brackets(text).unwrap_or_default();
            ("an IPv6 address without brackets".to_owned(), format!("write {meant:?} if {:?} ends in a port", text))
        }
        Some(Host::Address(address)) => {
            let remedy = format!("write the port too: \"{}\"", SocketAddr::new(address, SIP_PORT));
            ("has no port".to_owned(), remedy)
        }
        _ => {
            let scheme = text.strip_prefix("udp:").or_else(|| text.strip_prefix("sip:"));
            let remedy = match scheme.and_then(|rest| rest.parse::<SocketAddr>().ok()) {
                Some(address) => format!("write \"{address}\""),
                None => "write \"192.0.2.1:5060\" or \"[2001:db8::1]:5060\"; names and cards are not looked up here, \
                         \"0.0.0.0:5060\" is every address"
                    .to_owned(),
            };
            ("not an address with its port".to_owned(), remedy)
        }
    })
});

textual!(Host, "a host name or an address", |text| {
    Host::parse(text).ok_or_else(|| {
        ("not a host".to_owned(), "write a name such as \"sip.example.com\" or an address, without port".to_owned())
    })
});

textual!(HostPort, "a host, or a host and a port, such as \"203.0.113.9:5060\"", |text| {
    HostPort::parse(text).ok_or_else(|| {
        let remedy = "write \"203.0.113.9\", \"203.0.113.9:5060\", \"[2001:db8::1]:5060\" or \"sip.example.com:5060\"";
        ("not a host with or without port".to_owned(), remedy.to_owned())
    })
});

textual!(IpAddr, "an IPv4 or IPv6 address", |text| {
    text.parse().map_err(|_| ("not an address".to_owned(), "write \"192.0.2.1\" or \"2001:db8::1\"".to_owned()))
});

textual!(GatewayUri, "a SIP URI such as \"sip:192.0.2.1:5060\" or \"sip:gw.example.com\"", parse_gateway_uri);
textual!(Network, "a prefix such as \"192.0.2.0/24\", an address, or \"any\"", parse_network);

/// `::1:5060` as `[::1]:5060`: an IPv6 address whose last group reads like a port of SIP.
fn without_brackets(text: &str) -> Option<String> {
    let (address, port) = text.rsplit_once(':')?;
    let address: Ipv6Addr = address.parse().ok()?;
    let port: u16 = port.parse().ok().filter(|port| *port >= 1024)?;
    Some(SocketAddr::new(address.into(), port).to_string())
}

fn parse_gateway_uri(text: &str) -> Result<GatewayUri, (String, String)> {
    let refuse = |why: &str, remedy: String| Err((why.to_owned(), remedy));
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("sip:") else {
        return match HostPort::parse(text) {
            Some(host_port) => refuse("has no scheme", format!("write \"sip:{host_port}\"")),
            None if lower.starts_with("sips:") => {
                refuse("sips needs TLS", "write a sip: URI; UDP is spoken".to_owned())
            }
            None => refuse("not a SIP URI", "write \"sip:192.0.2.1:5060\" or \"sip:gw.example.com\"".to_owned()),
        };
    };
    let (host_port, parameters) = rest.split_once(';').map_or((rest, None), |(left, right)| (left, Some(right)));
    if let Some((_, host_port)) = host_port.split_once('@') {
        let remedy = format!("write \"sip:{host_port}\"; the user part of each call's Request-URI is kept");
        return refuse("a gateway has no user part", remedy);
    }
    if parameters.is_some_and(|parameters| parameters != "transport=udp") {
        return refuse("parameters are not used", format!("write \"sip:{host_port}\"; UDP is spoken"));
    }
    match HostPort::parse(host_port) {
        Some(host_port) => Ok(GatewayUri(host_port)),
        None => refuse(
            "host or port cannot be understood",
            "write \"sip:192.0.2.1:5060\" or \"sip:[2001:db8::1]:5060\"".to_owned(),
        ),
    }
}

fn parse_network(text: &str) -> Result<Network, (String, String)> {
    if text == "any" {
        return Ok(Network::Any);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Network::Prefix(address.into()));
    }
    let prefix: IpNet = text
        .parse()
        .map_err(|_| ("not a prefix".to_owned(), "write \"192.0.2.0/24\", \"2001:db8::/32\" or \"any\"".to_owned()))?;
    if prefix.trunc() != prefix {
        let remedy = format!("write \"{}\" for the network, or \"{}\" for the one host", prefix.trunc(), prefix.addr());
        return Err((format!("has bits set beyond /{}", prefix.prefix_len()), remedy));
    }
    Ok(Network::Prefix(prefix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for good in ["192.0.2.1", "192.0.2.1:5070", "[2001:db8::1]:5070", "gw.example.com", "gw.example.com:5070"] {
            assert_eq!(HostPort::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(HostPort::parse("2001:db8::1").unwrap().to_string(), "[2001:db8::1]");
        assert_eq!(HostPort::parse("GW.Example.com.").unwrap().to_string(), "gw.example.com");
        for bad in
            ["", ":5060", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.256", "-a.com", "a..b", "a b", "[::1", "x:y"]
        {
            assert_eq!(HostPort::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn gateway_uris() {
        for good in ["sip:192.0.2.1", "SIP:192.0.2.1:5070", "sip:gw.example.com;transport=udp", "sip:[::1]:5060"] {
            assert!(parse_gateway_uri(good).is_ok(), "{good}");
        }
        for bad in
            ["192.0.2.1", "sips:a.example.com", "sip:44@192.0.2.1", "sip:192.0.2.1;lr", "sip:", "tel:+44", "sip:a:b"]
        {
            assert!(parse_gateway_uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks() {
        let network = parse_network("192.0.2.0/28").unwrap();
        assert!(network.contains("192.0.2.15".parse().unwrap()));
        assert!(!network.contains("192.0.2.16".parse().unwrap()));
        assert!(!network.contains("2001:db8::1".parse().unwrap()));
        assert!(parse_network("any").unwrap().contains("2001:db8::1".parse().unwrap()));
        assert_eq!(parse_network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert!(parse_network("192.0.2.1/24").unwrap_err().1.contains("\"192.0.2.0/24\""));
        assert!(parse_network("192.0.2.0/33").is_err());
    }
}
