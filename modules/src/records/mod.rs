//! A record for every attempt of a customer's call, and one for the call.
//!
//! ```text
//!  points of the policy ──> [gather] ──> events in a batch ──> record lane ──> [ledger] ──> records in files
//!       shard                              (outgoing)          (the node's)    joins, bills
//! ```
//!
//! A shard writes what it has in its hands when something happens ([`event`]), without allocating, and keeps next to
//! nothing. The lane puts the events of a call together ([`ledger`]): also what a bill needs is in them, so that no
//! shard computes one. No I/O here. Without `[records]` in the file there is none of this, and a call pays a test.
//!
//! | File | What |
//! |---|---|
//! | `field.rs` | every field of a record: its number, name and kind |
//! | `event.rs` | what a shard tells |
//! | `outgoing.rs` | batches of events, and which answers wait for them |
//! | `gather.rs` | the shard's side: what happened, at each point of the policy |
//! | `sdp.rs`, `choice.rs`, `terms.rs` | media and codecs; why which vendor; prices, bill and margin |
//! | `ledger.rs`, `setup.rs` | the lane's side: events become records |
//! | `record.rs` | a record's bytes |
//! | `restore.rs` | after a crash: calls that were open live again |

pub mod choice;
pub mod event;
pub mod field;
mod gather;
pub mod ledger;
mod outgoing;
pub mod record;
pub mod restore;
pub mod sdp;
mod setup;
pub mod terms;
#[cfg(test)]
mod tests;

pub use field::Field;
pub(crate) use gather::Opened;
pub use gather::{Ending, HungUp, Records};
pub use ledger::Ledger;
pub use outgoing::Batch;
pub use record::Record;
