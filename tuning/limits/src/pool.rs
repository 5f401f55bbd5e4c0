//! What an entry of each pool costs in memory, so that a configuration can be held against the host
//! before it starts.
//!
//! Upper bounds, index entries included. The crates that own the entries assert that theirs fit.

/// A server transaction, with its entry in the table of keys.
pub const TRANSACTION_BYTES: u64 = 256;

/// What a request without a final response keeps beside its transaction: the response context of
/// RFC 3261 §16.2 with the policy's note.
pub const OPEN_REQUEST_BYTES: u64 = 256;

/// What a customer's call keeps beside that while vendors are hunted for it.
pub const HUNT_BYTES: u64 = 384;

/// A client transaction: a branch.
pub const BRANCH_BYTES: u64 = 192;

/// An established call, with its entries in the call table.
pub const CALL_BYTES: u64 = 512;

/// A timer in the wheel.
pub const TIMER_BYTES: u64 = 48;

/// A refused address with its last From and To.
pub const UNKNOWN_SOURCE_BYTES: u64 = 512;

/// An account that is remembered for its proofs: its hashes, two nonces' windows, whether it exists.
pub const REMEMBERED_ACCOUNT_BYTES: u64 = 384;

/// A place for a user's failures and one for an address's.
pub const FAILURES_BYTES: u64 = 384;

/// What a registrar has reserved for each user whom it may have, beside the bindings themselves.
pub const REGISTERED_USER_BYTES: u64 = 32;
