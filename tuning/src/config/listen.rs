//! `[listen]`: where SIP is received.

use crate::read::HostPort;
use std::net::SocketAddr;

section! {
    /// Where SIP is received, by transport.
    Listen {
        /// Addresses and ports for UDP. Each entry is `"address:port"`, or a table when it needs a name.
        restart udp: Vec<Listener>;
    }
}

section! {
    /// One address and port.
    Listener shorthand address {
        /// Address and port. `0.0.0.0` and `[::]` answer from the address that was asked. Addresses that
        /// the host does not have yet are fine (a floating address).
        restart address: SocketAddr;
        /// Name for routes and sets.
        restart name: String = String::new(), derived "the address and port";
        /// Host and port to write into Via and Record-Route instead of the address, for a host behind NAT.
        restart advertise: Option<HostPort> = None;
    }
}

impl Listener {
    /// What others see in Via and Record-Route.
    pub fn sent_by(&self) -> HostPort {
        let own = HostPort { host: crate::read::Host::Address(self.address.ip()), port: Some(self.address.port()) };
        self.advertise
            .clone()
            .map_or(own, |advertised| HostPort { port: advertised.port.or(Some(self.address.port())), ..advertised })
    }
}
