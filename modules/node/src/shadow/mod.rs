//! The shadow: a candidate (another configuration, or another image of decks) that is asked, beside live traffic, what it
//! would have made of every call, until an operator promotes or drops it (`tandem shadow`).
//!
//! It costs shards nothing: a thread of its own follows the record files, as receivers of records do, and judges each
//! call when its record is written, by the code of `tandem replay` ([`crate::replay`]). Customers' caps, credit and
//! alarms are those of the process; the quality of vendors is what live traffic says of them.
//!
//! What is in the shadow, and from which record on, stands in the state directory: a process that starts again judges
//! all calls since then once more. A reload meanwhile changes what an image is tried with, and ends nothing.
//!
//! | File | What |
//! |---|---|
//! | `candidate.rs` | a candidate, from its file to tables |
//! | `desk.rs` | what operators do with it, on the thread of who asks |
//! | `follower.rs` | the thread that follows the records |
//! | `kept.rs` | what outlives the process |

mod candidate;
mod desk;
mod follower;
mod kept;

pub use candidate::Source;
pub use desk::Desk;
pub use kept::{Kept, ShadowFile};
