//! Memory of a shard: fixed at start, found by index, never grown on the packet path.
//!
//! [`Slab`] holds records, [`Index`] finds them by a keyed hash, [`ByteStore`] keeps messages. All three
//! are filled to their capacity when they are built, so that the first call finds the pages mapped.

mod index;
mod slab;
mod store;

pub use index::Index;
pub use slab::Slab;
pub use store::{ByteStore, Stored};
