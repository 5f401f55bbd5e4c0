//! The configuration as decisions read it: an immutable snapshot, the same for all shards.
//!
//! Compiled by [`Tables::build`] off the packet path whenever the file, the addresses of a named gateway
//! or an operator's mark changes; every shard then swaps its snapshot ([`crate::TandemPolicy::install`]).
//! What stays keeps its [`Number`], so that state kept by number survives.

mod build;
mod domains;
pub mod numbering;
mod own;

pub use build::{Inputs, Mark, NamedAddress, TablesError};
pub use domains::{Domain, Domains, Expires};
pub use numbering::Number;
pub use own::Own;

use crate::authentication::realms::Realms;
use crate::class4::Trunks;
use crate::dispatcher::rules::Rules;
use crate::sources::Sources;
use algorithms::Algorithm;
use numbering::Numbering;
use proto::time::Micros;
use std::net::{IpAddr, SocketAddr};
use tuning::{HashPart, NumberPrefix, StatusCodes};

/// See the module.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Counts builds; a newer snapshot has a higher one.
    pub generation: u64,
    /// Bound addresses of our listeners, by index.
    pub listeners: Vec<SocketAddr>,
    /// Host and port that each listener gives out.
    pub given_out: Vec<Box<[u8]>>,
    /// Our own names and addresses.
    pub own: Own,
    /// Who may send.
    pub sources: Sources,
    /// Customers and vendors; `None`: there are no customers.
    pub class4: Option<Trunks>,
    /// Longest life of a call's entry.
    pub call_max: Micros,
    /// Domains whose phones register here.
    pub domains: Domains,
    /// Their realms, and who is shut out.
    pub realms: Realms,
    /// How the ways to phones behind NAT are kept open.
    pub keep_alive: Option<crate::phones::keep_alive::Rules>,
    /// Routes in their order.
    pub routes: Vec<Route>,
    /// Sets by slot.
    pub sets: Vec<Option<Set>>,
    /// Slots of the sets in the file's order.
    pub set_order: Vec<u16>,
    /// Gateways by slot.
    pub gateways: Vec<Option<Gateway>>,
    /// Addresses of gateways by slot: what health belongs to.
    pub addresses: Vec<Option<Address>>,
    /// Slots of addresses, sorted by address.
    by_address: Vec<(SocketAddr, u16)>,
    numbers: Numbers,
}

/// Who has which number, for the next build.
#[derive(Clone, Debug, Default)]
struct Numbers {
    sets: Numbering<String>,
    gateways: Numbering<(String, Option<SocketAddr>)>,
    addresses: Numbering<SocketAddr>,
}

/// Which calls go to which set. An empty list is no condition.
#[derive(Clone, Debug)]
pub struct Route {
    /// Indices of source groups.
    pub sources: Vec<u16>,
    /// Indices of listeners.
    pub listeners: Vec<u16>,
    /// Hosts of the Request-URI, in lower case, addresses without brackets.
    pub domains: Vec<tuning::Host>,
    /// What the user part begins with.
    pub prefixes: Vec<NumberPrefix>,
    /// The set.
    pub set: Number,
}

/// A dispatcher set.
#[derive(Clone, Debug)]
pub struct Set {
    /// Its number.
    pub number: Number,
    /// Its name.
    pub name: Box<str>,
    /// How a gateway is chosen.
    pub algorithm: &'static Algorithm,
    /// Most that a gateway may carry of its share, in thousandths; 0: no bound.
    pub bounded: u32,
    /// Hash choices are Kamailio's.
    pub compat: bool,
    /// What `hash-variables` hashes.
    pub hash_variables: Box<[HashPart]>,
    /// Slots of its gateways in the file's order.
    pub gateways: Vec<u16>,
    /// Whether the Request-URI becomes the gateway's.
    pub rewrite: bool,
    /// Forwarded without transactions.
    pub stateless: bool,
    /// The set to try when this one is down or full.
    pub overflow: Option<Number>,
    /// Final responses that move a call on.
    pub failover_codes: StatusCodes,
    /// A gateway that has said nothing for so long is given up; 0: never.
    pub no_response: Micros,
    /// Most gateways that one request tries, at most [`limits::BRANCHES_MAX`].
    pub attempts_max: usize,
    /// A last 503 goes upstream as 500 (RFC 3261 §16.7 step 6).
    pub last_503_as_500: bool,
}

/// One address of one gateway of the file. A gateway by name is several, or none.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its number.
    pub number: Number,
    /// Its name in the file.
    pub name: Box<str>,
    /// Its set.
    pub set: Number,
    /// Where it is; `None`: its name has no address.
    pub address: Option<SocketAddr>,
    /// Slot in [`Tables::addresses`].
    pub address_slot: Option<u16>,
    /// Host as configured, in lower case, to be written into a Request-URI and to be found in one.
    pub host: Box<[u8]>,
    /// Port as configured.
    pub port: Option<u16>,
    /// Listener to send from.
    pub listener: u16,
    /// Share of calls; 0: only when the others failed.
    pub weight: u32,
    /// For `priority`.
    pub priority: u16,
    /// Hash of its name and address, for rendezvous hashing.
    pub key: u64,
    /// Other addresses that it answers from.
    pub reply_from: Vec<crate::sources::Prefix>,
    /// Most active calls, all shards together.
    pub calls_max: Option<u32>,
    /// What an operator said.
    pub mark: Option<Mark>,
}

/// An address of gateways.
#[derive(Clone, Debug)]
pub struct Address {
    /// Its number.
    pub number: Number,
    /// The address.
    pub address: SocketAddr,
    /// How it is judged: as the first set that has it says.
    pub rules: Rules,
    /// Slots of the gateways that have it; the first is the one whose set says how it is judged.
    pub gateways: Vec<u16>,
}

impl Tables {
    /// The set of that number, if it is still there.
    pub fn set(&self, number: Number) -> Option<&Set> {
        self.sets.get(number.slot())?.as_ref().filter(|set| set.number == number)
    }

    /// The gateway of that number, if it is still there.
    pub fn gateway(&self, number: Number) -> Option<&Gateway> {
        self.gateways.get(number.slot())?.as_ref().filter(|gateway| gateway.number == number)
    }

    /// The gateway in a slot.
    pub fn gateway_at(&self, slot: u16) -> Option<&Gateway> {
        self.gateways.get(usize::from(slot))?.as_ref()
    }

    /// The address record for an address that is one of a gateway's.
    pub fn address(&self, address: SocketAddr) -> Option<&Address> {
        let wanted = canonical(address);
        let at = self.by_address.binary_search_by(|(known, _)| known.cmp(&wanted)).ok()?;
        let (_, slot) = self.by_address.get(at)?;
        self.addresses.get(usize::from(*slot))?.as_ref()
    }

    /// The address of that number, if it is still there.
    pub fn address_numbered(&self, number: Number) -> Option<&Address> {
        self.addresses.get(number.slot())?.as_ref().filter(|address| address.number == number)
    }

    /// The first gateway that has this address.
    pub fn gateway_by_address(&self, address: SocketAddr) -> Option<&Gateway> {
        self.gateway_at(*self.address(address)?.gateways.first()?)
    }

    /// Whether a gateway has this address, on any port.
    pub fn is_gateway_host(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let from = self.by_address.partition_point(|(known, _)| known.ip() < ip);
        self.by_address.get(from).is_some_and(|(known, _)| known.ip() == ip)
    }

    /// The sets that have a gateway at this address, on any port.
    pub fn sets_at(&self, ip: IpAddr) -> impl Iterator<Item = Number> + '_ {
        let ip = ip.to_canonical();
        let from = self.by_address.partition_point(|(known, _)| known.ip() < ip);
        let here = self.by_address.iter().skip(from).take_while(move |(known, _)| known.ip() == ip);
        let gateways = here.filter_map(|(_, slot)| self.addresses.get(usize::from(*slot))?.as_ref());
        gateways
            .flat_map(|address| &address.gateways)
            .filter_map(|slot| self.gateway_at(*slot))
            .map(|gateway| gateway.set)
    }

    /// The first gateway with an address whose host stands in the file like this.
    pub fn gateway_by_host(&self, host: &[u8], port: Option<u16>) -> Option<&Gateway> {
        self.gateways.iter().flatten().find(|gateway| {
            gateway.address.is_some()
                && gateway.host.eq_ignore_ascii_case(host)
                && gateway.port.unwrap_or(DEFAULT_PORT) == port.unwrap_or(DEFAULT_PORT)
        })
    }

    /// All sets in the file's order.
    pub fn sets_in_order(&self) -> impl Iterator<Item = &Set> {
        self.set_order.iter().filter_map(|&slot| self.sets.get(usize::from(slot))?.as_ref())
    }

    /// The gateways of a set in the file's order.
    pub fn gateways_of<'t>(&'t self, set: &'t Set) -> impl Iterator<Item = &'t Gateway> {
        set.gateways.iter().filter_map(|&slot| self.gateway_at(slot))
    }

    /// The listener to reach `address` from when nothing names one: of its family, and loopback for
    /// loopback if there is one.
    pub fn listener_towards(&self, address: IpAddr) -> u16 {
        listener_towards(&self.listeners, address)
    }
}

/// Port of a SIP URI without one, over UDP (RFC 3261 §19.1.2).
pub const DEFAULT_PORT: u16 = 5060;

/// The address with mapped IPv4 as IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn listener_towards(listeners: &[SocketAddr], address: IpAddr) -> u16 {
    let address = address.to_canonical();
    let of_family = |listener: &SocketAddr| listener.is_ipv4() == address.is_ipv4();
    let reaches = |listener: &SocketAddr| {
        of_family(listener) && (listener.ip().is_unspecified() || listener.ip().is_loopback() == address.is_loopback())
    };
    let index = listeners.iter().position(reaches).or_else(|| listeners.iter().position(of_family));
    index.and_then(|index| u16::try_from(index).ok()).unwrap_or(0)
}
