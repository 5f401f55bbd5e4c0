//! Class 4: who sends calls at which price, over whom they go, and whose turn comes next.
//!
//! ```text
//!  INVITE ──> [sources] ──> [caps] ──> [dialled] ──> [decide] ──> [hunt] ──> dispatcher
//!             customer      may it?    numbers       vendors      whose turn, points 1, 3, 4 and 6
//! ```
//!
//! [`Trunks`] is what decisions read: part of the tables, the same for all shards. [`Hunting`] is a shard's own
//! state: the calls that are being set up. Read [`decide`] for the choice of vendors, [`hunt`] for what follows.
//! A file without `[[customer]]` has no [`Trunks`], and a call pays one test for that.

pub mod account;
pub mod advance;
mod build;
pub mod call;
pub mod caps;
pub mod decide;
pub mod destinations;
pub mod dialled;
pub mod dip;
pub mod emergency;
mod entry;
pub mod header_rules;
pub mod held;
pub mod hunt;
pub mod identity;
pub mod loops;
mod outbound;
mod passed;
pub mod pins;
mod progress;
pub mod quality;
pub mod refusal;
pub mod sources;
#[cfg(test)]
pub(crate) mod tests;
pub mod trunks;
pub mod windows;
pub mod worth;

pub use call::Understood;
pub use decide::{Candidate, Deciding, Decision, Standing};
pub use hunt::Hunting;
pub use loops::Loops;
pub use passed::Passed;
pub use trunks::{Charge, Customer, DeckImage, DeckOctets, Trunks, Vendor};
pub use worth::Worth;
