//! Records of calls on the disk: written by a lane of their own, before the 2xx that they tell of leaves.
//!
//! Shards send batches of events; the lane joins them to records ([`modules::records::Ledger`]) and writes what has
//! come as one frame. The batch goes back when the kernel has the frame; the disk has it within
//! [`sync::PACE`] and the time that a sync takes, so that a power failure loses no more than that. Every start begins
//! an epoch and a file; a file begins with where the records of open calls stand, so that a start after a crash reads
//! little.
//!
//! | File | What |
//! |---|---|
//! | `files.rs` | the folder: names, heads, appending, another file, old ones removed |
//! | `reader.rs` | records read back, from any place on: for `tandem cdr`, shipping and the start |
//! | `recovery.rs` | at the start: which calls were open |
//! | `sync.rs` | the thread that syncs |
//! | `lane.rs` | the thread that writes |
//! | `backlog.rs` | what waits while the disk is full |
//! | `figures.rs` | how the lane does |
//! | `ship/` | records on their way to PostgreSQL, NATS and RADIUS servers |
//! | `traffic.rs` | figures by customer, vendor and destination |
//! | `shown.rs` | a record as JSON, and as a line of CSV |

mod backlog;
pub mod figures;
pub mod files;
mod lane;
pub mod reader;
pub mod recovery;
pub mod ship;
pub mod shown;
mod sync;
#[cfg(test)]
mod tests;
pub mod traffic;

pub use figures::RecordFigures;
pub use lane::{RecordLane, Settings};
pub use traffic::Traffic;
