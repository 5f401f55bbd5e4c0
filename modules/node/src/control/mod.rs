//! The control lane: one thread that owns the truth about this process, and everything that speaks to it.
//!
//! It owns the configuration, the tables made of it, operators' decisions and the addresses of named
//! gateways; whoever wants to know or change something asks it through [`Inbox`]. It posts letters to
//! shards and takes theirs. It never waits for a disk, a name server, a file or a client: those have
//! threads of their own, and their results come in as [`Ask`]s.
//!
//! | To change | Open |
//! |---|---|
//! | a method of the control socket, who may call it | `methods.rs` |
//! | what a reload, a decision or a drain does | `change.rs` |
//! | questions to sources of accounts, bans | `accounts.rs` |
//! | where a configuration is read from | `reload.rs` |
//! | what `tandem gateways`, `stats`, `sources` answer | `view.rs` |
//! | drain and the end of the process | `drain.rs` |
//! | how shards are asked for figures | `gather.rs` |
//! | bounds and deadlines of the socket | `socket.rs` |

pub mod accounts;
mod admin;
mod call_methods;
mod calls;
mod change;
mod credit;
mod credit_methods;
mod drain;
mod engine_figures;
mod gather;
mod inbox;
mod lane;
mod loops;
pub mod methods;
mod names;
mod notice;
pub mod permission;
mod registration_methods;
mod registrations;
pub mod reload;
pub mod rpc;
mod shadow_methods;
mod shards;
pub mod socket;
mod view;
mod watch;

pub use admin::marks;
pub(crate) use credit::{now as clocks, row as credit_row};
pub use gather::Gathered;
pub use inbox::{Ask, Inbox, Signal};
pub use lane::{Control, End, Parts};
pub use view::metrics_page;
#[cfg(test)]
mod tests;
