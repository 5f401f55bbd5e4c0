//! What a proxy is set up with; compiled from the configuration by whoever composes it.

use crate::hash::Secret;
use crate::message::{Host, Message, Transport, Uri, Writer};
use crate::policy::Endpoint;
use crate::steer::CallHash;
use crate::token::{BRANCH_COOKIE, Keys, Owner};
use crate::transaction::Timers;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Settings of one shard's proxy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Listeners by index.
    pub listeners: Vec<Listener>,
    /// Keys that sign and verify owner tokens.
    pub keys: Keys,
    /// This node's number in a cluster; 0 alone.
    pub node: u16,
    /// Generation of this process (a hot upgrade raises it).
    pub generation: u8,
    /// A slot that this shard owns: answers to requests of our own come back by it.
    pub own_slot: u16,
    /// Key of this boot, for tables.
    pub boot_secret: Secret,
    /// RFC 3261's timers.
    pub timers: Timers,
    /// Sizes of the pools.
    pub capacity: Capacity,
    /// Value of the Server header in our own responses; empty: none.
    pub server: Vec<u8>,
}

/// Sizes of a shard's pools. When one is full, new work is refused and what is open goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Server transactions, those that only absorb retransmissions included.
    pub transactions: u32,
    /// Requests without a final response.
    pub open: u32,
    /// Client transactions.
    pub branches: u32,
    /// Bytes for kept messages.
    pub bytes: usize,
}

/// A listener as others see it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Bound address; its IP may be unspecified (a wildcard).
    pub address: SocketAddr,
    /// What stands in Via and Record-Route: the advertised host and port.
    pub advertised: Advertised,
    /// Transport.
    pub transport: Transport,
}

/// Host and port that a listener gives out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertised {
    /// A host name or address by configuration; written as it is.
    Name {
        /// Host, IPv6 in brackets.
        host: Vec<u8>,
        /// Port.
        port: u16,
    },
    /// The bound address; for a wildcard the address that the peer used, else this one.
    Bound(SocketAddr),
}

/// As written in Via.
const fn via_transport(transport: Transport) -> &'static [u8] {
    match transport {
        Transport::Tcp => b"TCP",
        Transport::Tls => b"TLS",
        Transport::Ws => b"WS",
        Transport::Wss => b"WSS",
        Transport::Sctp => b"SCTP",
        Transport::Udp | Transport::Other => b"UDP",
    }
}

/// Parameter of a SIP URI that names the transport; empty for UDP.
pub(super) const fn uri_transport(transport: Transport) -> &'static [u8] {
    match transport {
        Transport::Tcp => b";transport=tcp",
        Transport::Tls => b";transport=tls",
        Transport::Ws => b";transport=ws",
        Transport::Wss => b";transport=wss",
        Transport::Sctp => b";transport=sctp",
        Transport::Udp | Transport::Other => b"",
    }
}

/// Whether it delivers or reports failure (RFC 3261 §17: Timers A, E and G do not run).
pub(super) const fn reliable(transport: Transport) -> bool {
    !matches!(transport, Transport::Udp | Transport::Other)
}

impl Listener {
    /// Writes host and port as this listener gives them out; `asked`: the local address that the peer used.
    pub fn write_sent_by(&self, asked: Option<IpAddr>, out: &mut Writer<'_>) {
        match &self.advertised {
            Advertised::Name { host, port } => {
                out.put(host);
                out.byte(b':');
                out.decimal(u64::from(*port));
            }
            Advertised::Bound(address) => {
                let same_family = asked.filter(|ip| ip.is_ipv4() == address.is_ipv4());
                let ip = same_family.filter(|_| self.address.ip().is_unspecified()).unwrap_or(address.ip());
                out.ip(ip);
                out.byte(b':');
                out.decimal(u64::from(address.port()));
            }
        }
    }
}

impl Listener {
    /// Writes our Via up to the branch's token; `asked` as in [`Self::write_sent_by`].
    pub(super) fn write_via_start(&self, asked: Option<IpAddr>, out: &mut Writer<'_>) {
        out.put(b"Via: SIP/2.0/");
        out.put(via_transport(self.transport));
        out.byte(b' ');
        self.write_sent_by(asked, out);
        out.put(b";branch=");
        out.put(BRANCH_COOKIE);
    }

    /// Whether `host` is an address of this listener; a wildcard's are all of its family.
    fn answers_to(&self, host: &Host<'_>) -> bool {
        host.ip().is_some_and(|ip| {
            ip == self.address.ip() || self.address.ip().is_unspecified() && ip.is_ipv4() == self.address.is_ipv4()
        })
    }
}

impl Settings {
    /// The owner that goes into tokens for a request.
    pub(super) fn owner_of(&self, request: &Message<'_>, call: CallHash) -> Owner {
        let slot = crate::steer::slot_of_beginning(&self.keys, request, || call);
        Owner { node: self.node, slot, generation: self.generation }
    }

    pub(super) fn listener(&self, index: u16) -> Option<&Listener> {
        self.listeners.get(usize::from(index))
    }

    /// The listener that a URI of ours names, by host, port and transport.
    pub(super) fn listener_of(&self, uri: &Uri<'_>) -> Option<u16> {
        let transport = uri.transport().unwrap_or(Transport::Udp);
        let port = uri.effective_port();
        let named = |listener: &Listener| {
            listener.transport == transport
                && match &listener.advertised {
                    Advertised::Name { host, port: own } => *own == port && uri.host_bytes.eq_ignore_ascii_case(host),
                    Advertised::Bound(address) => address.port() == port && listener.answers_to(&uri.host),
                }
        };
        let index = self.listeners.iter().position(named)?;
        u16::try_from(index).ok()
    }

    pub(super) fn transport(&self, index: u16) -> Transport {
        self.listener(index).map_or(Transport::Udp, |listener| listener.transport)
    }

    /// The address to send from when a message came in from `source` and leaves by `listener`.
    pub(super) fn local(&self, source: &Endpoint, listener: u16) -> Option<IpAddr> {
        (listener == source.listener && !source.local.ip().is_unspecified()).then(|| source.local.ip())
    }
}
