//! What a call record is held to.

/// Bytes of events that a shard has ready for the record lane while the last batch is on its way. New calls are
/// refused when half of them are used up; what is in progress has the other half.
///
/// WHY: 2,500 calls' events, which is what comes in 100 ms at 25,000 calls/s; the lane takes less than one.
pub const BATCH_BYTES: usize = 4_194_304;

/// What of a text (an identity, a Reason) is recorded, in bytes.
///
/// WHY: identities are below 100, a Reason with the text that 603+ asks for below 400.
pub const TEXT_BYTES_MAX: usize = 1_024;

/// Room that an event must find: twelve of the longest texts, and the longest choice.
pub const EVENT_BYTES_MAX: usize = 24_576;

/// Vendors whose standing is recorded with a call; further ones are counted.
pub const CANDIDATES_MAX: usize = crate::PLAN_VENDORS_MAX;

/// What of a vendor's name stands in the choice, in bytes.
pub const CANDIDATE_NAME_BYTES_MAX: usize = 64;

/// Answers (2xx of INVITEs) that wait until their records are written, in bytes, of each shard.
pub const HELD_ANSWERS_BYTES: usize = 8_388_608;

/// Records that wait in memory while the disk is full, in bytes of all shards together. Beyond them records are lost,
/// which is counted.
pub const BACKLOG_BYTES_MAX: usize = 268_435_456;

/// What a customer's call keeps for its record while vendors are hunted for it.
pub const DRAFT_BYTES: u64 = 1_024;

/// Names under a label of a figure (customers, vendors, destinations); further ones are counted as `other`.
pub const FIGURE_NAMES_MAX: usize = 512;
