//! Records go to receivers: each at least once under (node, epoch, sequence), so that a receiver keeps it once and can
//! find a gap.
//!
//! A thread for each receiver reads the files behind the lane that writes them. How far it has come stands in a file of
//! its own, so that an outage may last for any time: files that are not shipped are not removed.
//!
//! | File | What |
//! |---|---|
//! | `lane.rs` | the thread: reads, sends, remembers, tries again |
//! | `position.rs` | how far a receiver has got |
//! | `postgres.rs` | a table of PostgreSQL |
//! | `nats.rs` | a stream of NATS |
//! | `radius.rs` | RADIUS accounting |

mod lane;
mod nats;
mod position;
mod postgres;
mod radius;

pub use lane::{ShipLane, Shipping};
pub use nats::Nats;
pub use position::Position;
pub use postgres::Postgres;
pub use radius::Radius;

use serde_json::Value;

/// A record on its way.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Number of the node.
    pub node: u16,
    /// Start of the process that wrote it.
    pub epoch: u64,
    /// Its number in that epoch.
    pub sequence: u64,
    /// All of it.
    pub record: Value,
}

impl Parcel {
    /// What it is known by.
    pub const fn key(&self) -> (u64, u64) {
        (self.epoch, self.sequence)
    }
}

/// Where records go.
pub trait Receiver: Send {
    /// What it is called in the log and in figures.
    fn name(&self) -> &'static str;

    /// Delivers all, or those that it has already are left out. When this returns, the receiver keeps them.
    ///
    /// # Errors
    /// What it says, or that it cannot be reached. Some may have been delivered.
    fn deliver(&mut self, parcels: &[Parcel]) -> Result<(), String>;
}
