//! What a registration is held to.

/// Longest Contact URI of a binding, in bytes. Real ones are 30 to 200.
pub const CONTACT_BYTES_MAX: usize = 512;

/// Longest Path of a binding, all its values together, in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;

/// What of a User-Agent is kept with a binding, in bytes.
pub const AGENT_BYTES_MAX: usize = 64;

/// Longest instance (RFC 5626 §4.1), in bytes. A `urn:uuid` in angle brackets has 47.
pub const INSTANCE_BYTES_MAX: usize = 128;

/// How long a binding stands beyond its end, in seconds: a refresh that is under way, or lost once, still finds the
/// phone reachable.
pub const GRACE_SECONDS: u32 = 10;

/// Accounts that are looked at in one turn because something of theirs ends.
///
/// WHY: each costs a few cache misses; so many stay below 50 µs, and 5 M bindings that all end in one minute are
/// still done in it.
pub const EXPIRED_PER_TURN_MAX: usize = 256;

/// Bytes of journal that a shard has ready for the disk while the last batch is on its way. When they are used up a
/// REGISTER gets 503.
///
/// WHY: 5,000 typical records, which is what comes in 50 ms at 100,000 REGISTERs a second. A sync takes 1 to 5, but a disk
/// that others use pauses for 30 now and then.
pub const JOURNAL_BATCH_BYTES: usize = 1_048_576;

/// Version of the journal's format that is written unless told otherwise; the one before can be written as well.
pub const JOURNAL_VERSION: u32 = 2;

/// Responses that wait for the disk, in bytes, of each shard.
pub const HELD_REPLIES_BYTES: usize = 4_194_304;

const _: () = assert!(
    crate::CONTACTS_MAX * (CONTACT_BYTES_MAX + 48) <= 2 * crate::ATTACHMENT_BYTES_MAX,
    "the contacts of an ordinary account fit a response; longer ones are refused before they are kept"
);
