//! The journal of registrations: what every shard's registrar wants kept, on the disk before its 200 OK leaves.
//!
//! Shards send batches of records ([`modules::registrar::Batch`]); the lane writes all that have come as one frame,
//! syncs, and sends the boxes back (group commit). A record is the whole of one account, so the journal needs no
//! snapshots: now and then every shard says all again, and the files from before that round are removed.
//!
//! | File | What |
//! |---|---|
//! | `frame.rs` | what stands in a file: a head, then frames with checksums |
//! | `medium.rs` | the folder of files, as little of it as is needed: the real one here, a simulated one in tests |
//! | `log.rs` | appending, another file, giving up a file after a failure, removing old ones |
//! | `survey.rs` | at the start: everything read and proven; a torn tail cut, anything worse said |
//! | `load.rs` | what was read goes to the registrar of each shard |
//! | `keeper.rs` | frames of batches; rounds in which all is said again |
//! | `lane.rs` | the thread |

pub mod frame;
pub mod keeper;
mod lane;
pub mod load;
pub mod log;
pub mod medium;
pub mod survey;
#[cfg(test)]
mod tests;

pub use lane::{JournalFigures, JournalLane};
