//! Transports by name (RFC 3261 §18, RFC 4168, RFC 7118).

/// A transport as a Via or a `transport` parameter names it, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the transports")]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
    Sctp,
    /// Any other token.
    Other,
}

impl Transport {
    /// The transport of that name.
    pub fn of(name: &[u8]) -> Transport {
        const NAMES: [(&[u8], Transport); 6] = [
            (b"UDP", Transport::Udp),
            (b"TCP", Transport::Tcp),
            (b"TLS", Transport::Tls),
            (b"WS", Transport::Ws),
            (b"WSS", Transport::Wss),
            (b"SCTP", Transport::Sctp),
        ];
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(Transport::Other, |&(_, transport)| transport)
    }

    /// The port of a host without one (RFC 3261 §19.1.2; RFC 7118 §8 for WebSocket's own).
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
            Transport::Udp | Transport::Tcp | Transport::Sctp | Transport::Other => 5060,
        }
    }
}
