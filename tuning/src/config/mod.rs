//! What can be configured: one section a file, each key with its default and why.
//!
//! [`Config`] is what the rest of Tandem reads: plain, complete, checked. Names of sets, listeners
//! and sources have been resolved to indices; gateways have their names.

mod algorithm;
mod authentication;
mod calls;
mod class4;
mod credit;
mod deck;
mod domain;
mod hash_variables;
mod limits;
mod listen;
mod lnp;
mod overload;
mod phones;
mod process;
mod quality;
mod records;
mod registrar;
mod route;
mod set;
mod shards;
mod source;
mod timers;
mod trunk_choice;
mod trunk_headers;
mod upkeep;

pub use algorithm::Algorithm;
pub use authentication::{
    Authentication, DatabaseTls, DigestAlgorithm, ForeignFrom, ProofRow, ProofUri, RadiusDialect,
};
pub use calls::{Policy, Strangers};
pub use class4::{Answer, Class4, Customer, Refusals, RouteOrder, TrunkSource, Vendor};
pub use credit::{AlarmAction, Alarms, Amount};
pub use deck::{Currency, Deck, DeckDates, DeckMode, DeckRateOn, DeckRounding, Exchange, ExchangeRate, Rating};
pub use domain::{Accounts, Domain, Expires};
pub use hash_variables::{HashPart, HashVariable, HashVariables};
pub use limits::Limits;
pub use listen::{Listen, Listener};
pub use lnp::{Lnp, LnpMethod};
pub use overload::Overload;
pub use phones::{BetweenPhones, KeepAlive, KeepAliveKind};
pub use process::{Control, Dns, Keys, Log, LogDestination, LogFormat, LogLevel, Metrics, SocketAccess, State};
pub use quality::{Quality, QualityMeasure};
pub use records::{Records, WhenFull};
pub use registrar::{Durability, Registrar};
pub use route::{NumberPrefix, Route};
pub use set::{Compat, Gateway, LastUnavailable, RequestUri, Set};
pub use shards::{CoreList, Driver, DriverKind, Shards, Steering, XdpMode};
pub use source::SourceGroup;
pub use timers::Timers;
pub use trunk_choice::{CappedDestination, DaySet, Emergency, Moment, Pin, TimeOfDay, Window, Zone};
pub use trunk_headers::{CallerIn, HeaderField, HeaderPiece, HeaderRule, HeaderText, HeaderVariable};
pub use upkeep::{Breaker, Probe};

use crate::read::{Host, Network, OffOr};
use crate::schema::defaults;

section! {
    /// The whole file.
    Config {
        /// Who may send requests: prefixes, or `["any"]`. The same as one `[[source]]` named `default`.
        /// Listeners on loopback alone may do without: then loopback may send.
        live sources: Vec<Network> = Vec::new(), derived "loopback when all listeners are on loopback, else nobody";
        /// Host names by which others reach this proxy, beside its addresses: a Request-URI or Route
        /// with one of them means us (RFC 3261 §16.4, §16.5).
        live host_names: Vec<Host> = Vec::new();
        /// Longest time from SIGTERM to the end of the process, in seconds: open transactions finish meanwhile.
        live drain_seconds: u32 = 30, within 0 => 3_600;
        /// After `tandem drain`, new calls are still carried for so long, in seconds: callers need it
        /// to notice that their OPTIONS are answered with 503.
        live drain_new_calls_seconds: u32 = 30, within 0 => 3_600;
        /// Where SIP is received.
        restart listen: Listen;
        /// Who may send, in named groups that routes can tell apart.
        live source_groups as "source": Vec<SourceGroup> = Vec::new();
        /// How gateways are asked whether they live; each set may say otherwise.
        live probe: OffOr<Probe> = OffOr::On(defaults());
        /// When calls alone take a gateway out of use; each set may say otherwise.
        live breaker: OffOr<Breaker> = OffOr::On(defaults());
        /// Gateways that calls are spread over.
        live sets as "set": Vec<Set> = Vec::new();
        /// Which calls go to which set; the first that matches. With one set none is needed.
        live routes as "route": Vec<Route> = Vec::new(), derived "everything to the only set";
        /// Domains whose phones register here. The first one needs a restart, further ones do not.
        live domains as "domain": Vec<Domain> = Vec::new();
        /// What all domains have in common.
        live registrar: Registrar = defaults();
        /// How phones prove who they are, and who is shut out.
        live authentication: Authentication = defaults();
        /// Rate decks.
        live decks as "deck": Vec<Deck> = Vec::new();
        /// What all decks have in common.
        live rating: Rating = defaults();
        /// What currencies are worth in one another.
        live exchanges as "exchange": Vec<Exchange> = Vec::new();
        /// Who sends calls, and is charged for them.
        live customers as "customer": Vec<Customer> = Vec::new();
        /// Who takes calls, and charges for them.
        live vendors as "vendor": Vec<Vendor> = Vec::new();
        /// How customers' calls are led to vendors.
        live class4: Class4 = defaults();
        /// Records of customers' calls; "off": there are none.
        restart records: OffOr<Records> = OffOr::Off;
        /// How requests are treated before any route.
        live policy: Policy = defaults();
        /// Timers of transactions (RFC 3261 §17, table 4).
        restart timers: Timers = defaults();
        /// What happens when more comes than a shard can carry.
        restart overload: OffOr<Overload> = OffOr::On(defaults());
        /// Sizes of pools and tables.
        restart limits: Limits = defaults();
        /// Threads that carry the traffic.
        restart shards: Shards = defaults();
        /// How datagrams are received and sent.
        restart driver: Driver = defaults();
        /// The socket of the `tandem` commands.
        restart control: Control = defaults();
        /// Prometheus metrics.
        restart metrics: Metrics = defaults();
        /// Logging.
        restart log: Log = defaults();
        /// What outlives a restart.
        restart state: State = defaults();
        /// Keys that sign our Via and Route tokens.
        restart keys: Keys = defaults();
        /// How gateways by name are found.
        restart dns: Dns = defaults();
    }
}
