//! By which names this proxy is known: what makes a Request-URI or a Route "us" (RFC 3261 §16.3 to §16.5).

use super::DEFAULT_PORT;
use proto::message::Host;
use std::net::{IpAddr, SocketAddr};

/// Addresses and names of ours.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Listeners, and what they give out when it is an address. Sorted.
    addresses: Vec<SocketAddr>,
    /// Names with the ports that go with them; no port: any of ours. In lower case.
    names: Vec<(Box<[u8]>, Option<u16>)>,
    ports: Vec<u16>,
}

impl Own {
    /// From the listeners, what they give out, the host names of the file, and the host's own
    /// addresses, which wildcard listeners stand for.
    pub fn new<'h>(
        listeners: &[SocketAddr],
        given_out: impl IntoIterator<Item = (&'h tuning::Host, Option<u16>)>,
        local: &[IpAddr],
    ) -> Self {
        let mut own = Own { ports: listeners.iter().map(SocketAddr::port).collect(), ..Own::default() };
        for listener in listeners {
            own.add_address(listener.ip(), listener.port());
            if listener.ip().is_unspecified() {
                for ip in local.iter().filter(|ip| ip.is_ipv4() == listener.is_ipv4()) {
                    own.add_address(*ip, listener.port());
                }
            }
        }
        for (host, port) in given_out {
            match (host, port) {
                (tuning::Host::Name(name), port) => own.names.push((name.as_bytes().into(), port)),
                (tuning::Host::Address(ip), Some(port)) => own.add_address(*ip, port),
                (tuning::Host::Address(ip), None) => {
                    for port in own.ports.clone() {
                        own.add_address(*ip, port);
                    }
                }
            }
        }
        own.addresses.sort_unstable();
        own.addresses.dedup();
        own
    }

    /// Whether `host` and `port` (`None`: 5060) are ours.
    pub fn is_us(&self, host: &Host<'_>, port: Option<u16>) -> bool {
        match (host, host.ip()) {
            (_, Some(ip)) => self.has_address(SocketAddr::new(ip, port.unwrap_or(DEFAULT_PORT))),
            (Host::Name(name), None) => self.has_name(name, port),
            (_, None) => false,
        }
    }

    /// Whether this is an address that we listen on or give out.
    pub fn has_address(&self, address: SocketAddr) -> bool {
        self.addresses.binary_search(&super::canonical(address)).is_ok()
    }

    fn has_name(&self, name: &[u8], port: Option<u16>) -> bool {
        self.names.iter().any(|(own, own_port)| {
            own.eq_ignore_ascii_case(name)
                && match (own_port, port) {
                    (Some(own_port), port) => *own_port == port.unwrap_or(DEFAULT_PORT),
                    (None, None) => true,
                    (None, Some(port)) => self.ports.contains(&port),
                }
        })
    }

    fn add_address(&mut self, ip: IpAddr, port: u16) {
        self.addresses.push(super::canonical(SocketAddr::new(ip, port)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn own() -> Own {
        let listeners = ["192.0.2.1:5060".parse().unwrap(), "0.0.0.0:5080".parse().unwrap()];
        let name = tuning::Host::Name("sip.example.com".to_owned());
        let advertised = tuning::Host::Address("203.0.113.9".parse().unwrap());
        let local = ["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        Own::new(&listeners, [(&name, None), (&advertised, Some(5060))], &local)
    }

    fn is_us(host: &str, port: Option<u16>) -> bool {
        own().is_us(&Host::parse(host.as_bytes()).unwrap(), port)
    }

    #[test]
    fn listeners_and_what_they_give_out_are_us() {
        assert!(is_us("192.0.2.1", None) && is_us("192.0.2.1", Some(5060)) && is_us("203.0.113.9", None));
        assert!(!is_us("192.0.2.1", Some(5061)) && !is_us("192.0.2.2", None));
        assert!(is_us("[::ffff:192.0.2.1]", None), "mapped IPv4 is IPv4");
    }

    #[test]
    fn a_wildcard_stands_for_the_hosts_addresses_of_its_family() {
        assert!(is_us("10.0.0.1", Some(5080)));
        assert!(!is_us("10.0.0.1", None) && !is_us("[2001:db8::1]", Some(5080)));
    }

    #[test]
    fn names_are_ours_in_any_case_on_our_ports() {
        assert!(is_us("SIP.Example.COM", None) && is_us("sip.example.com", Some(5080)));
        assert!(!is_us("sip.example.com", Some(5090)) && !is_us("example.com", None));
    }
}
