//! The policy of Tandem: who may send, where a request goes, and which gateways can be trusted with it.
//!
//! This crate does no I/O, reads no clock and holds no lock. [`TandemPolicy`] implements
//! [`proto::policy::Policy`]: same input, same state, same verdict. Read [`route`] first: the stages of
//! each point in their order. [`Tables`] is what decisions read (immutable, shared by all shards), the
//! policy's own state is one value a shard.
//!
//! | To change | Open |
//! |---|---|
//! | the order of stages | `route.rs` |
//! | who may send, what strangers get | `sources.rs` |
//! | drain, OPTIONS to us | `serving.rs` |
//! | which set a request goes to | `routes.rs` |
//! | how a gateway is chosen | the crate `algorithms` |
//! | when a gateway is down | `dispatcher/breaker.rs` (calls), `dispatcher/health.rs` (with probes) |
//! | what moves a call to the next gateway | `dispatcher/failover.rs`, `dispatcher/outcome.rs` |
//! | when a gateway is probed | `dispatcher/probe.rs` |
//! | what an in-dialog request needs | `calls/dialog.rs` |
//! | what a call is and how it opens and closes | `calls.rs`, `calls/life.rs`, `calls/end.rs` |
//! | what ends a customer's call | `calls/oversee.rs`; what we send then: `calls/own_request.rs` |
//! | customers, vendors, which of them take a call and in which order | `class4/` |
//! | what goes to another process | `hand_over.rs`, `origin.rs`, `calls/hand_over.rs`, `note.rs` |
//! | who has to prove what, and who is shut out | `authentication/` |
//! | what is recorded of a call, and what it costs | `records/` |
//! | who is registered, and where | `registrar.rs` |
//! | what is done for domains of ours | `at_home.rs` |
//! | what is asked of lanes and other shards | `question.rs` |
//! | who is a phone, and where its requests go | `phones/` |
//! | a reason, its status and counter | `reason.rs` |

#![forbid(unsafe_code)]

mod at_home;
pub mod authentication;
pub mod calls;
pub mod class4;
pub mod dispatcher;
mod encoding;
mod hand_over;
mod note;
mod origin;
pub mod phones;
mod policy;
pub mod question;
pub mod reason;
pub mod records;
pub mod registrar;
pub mod route;
pub mod routes;
pub mod serving;
pub mod sources;
pub mod tables;
#[cfg(test)]
mod tests;

pub use dispatcher::event::GatewayEvent;
pub use note::Note;
pub use origin::{Origin, OriginError};
pub use policy::{Setup, TandemPolicy};
pub use reason::Reason;
pub use serving::Serving;
pub use tables::Tables;
