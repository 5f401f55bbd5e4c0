//! Every fixed bound of Tandem, in one place, each with its reason.
//!
//! A leaf: `proto`, `engine` and everybody else may import it, it imports nobody. Sizes of pools,
//! which depend on the machine and the traffic, are configuration (`tuning`'s `[limits]`); what
//! stands here is what the code is built on and what the network is held to.

#![no_std]
#![forbid(unsafe_code)]

pub mod overload;
pub mod pool;
pub mod records;
pub mod registrar;

/// Largest SIP message in bytes, over any transport.
///
/// WHY: spans inside a message are `u16`, and a UDP payload cannot be larger than 65,507 anyway.
pub const MESSAGE_BYTES_MAX: usize = 65_535;

/// Longest header line (with its foldings) in bytes.
pub const HEADER_LINE_BYTES_MAX: usize = 8_192;

/// Most header fields in one message. Real traffic stays below 60; torture `longreq` has 55.
pub const HEADER_COUNT_MAX: usize = 128;

/// Most Via values in one message: RFC 3261 §8.1.1.6 starts Max-Forwards at 70, `longreq` carries 34.
pub const VIA_COUNT_MAX: usize = 70;

/// Longest Request-URI, and longest URI that any rule reads, in bytes.
pub const URI_BYTES_MAX: usize = 2_048;

/// Request-URIs and header edits of all targets of one verdict, in bytes: one area a shard.
pub const TARGET_TEXT_BYTES_MAX: usize = 16_384;
/// Longest user part of an address of record, escapes undone, in bytes.
pub const USER_BYTES_MAX: usize = 128;

/// Most contacts of one account (`contacts_max` of a domain).
pub const CONTACTS_MAX: usize = 32;

/// Most text that goes with a verdict of the policy: header lines of a response, bytes of a question.
///
/// WHY: the response to a REGISTER lists every contact of the account, with its GRUUs.
pub const ATTACHMENT_BYTES_MAX: usize = 24_576;

/// Keep-alives that a shard may have to send in a second.
///
/// WHY so many: one costs some 4 µs with its answer, so that they take a tenth of a core.
pub const KEEP_ALIVES_PER_SECOND_MAX: u32 = 25_000;

/// Longest Call-ID in bytes. It is hashed and kept with every call.
pub const CALL_ID_BYTES_MAX: usize = 512;

/// Longest From or To tag in bytes.
pub const TAG_BYTES_MAX: usize = 256;

/// Branches (client transactions) that one request may have over its whole life: parallel forks and
/// serial failover together. The branch number travels in the Via token as one byte.
pub const BRANCHES_MAX: usize = 16;

/// Max-Breadth that is assumed when a request has none, and the most that is honoured (RFC 5393 §5.3.3).
pub const MAX_BREADTH: u32 = 60;

/// Max-Forwards that is inserted when a request has none (RFC 3261 §16.6 step 3).
pub const MAX_FORWARDS_DEFAULT: u8 = 70;

/// Slots that calls map to; slots map to shards (and, later, to nodes). Twelve bits of every token.
pub const SLOT_COUNT: u16 = 4_096;

/// Highest number of a node among those that share keys: two bytes of every token.
pub const NODE_ID_MAX: u16 = u16::MAX;

/// Most keys that verify tokens at the same time: rotation needs two, sharing among sites a few more.
pub const KEYS_MAX: usize = 8;

/// Most shards of one process: the shard index travels in one byte.
pub const SHARDS_MAX: usize = 64;

/// Largest response that Tandem makes itself, beyond what it copies from the request, in bytes.
pub const REPLY_EXTRA_BYTES_MAX: usize = 1_024;

const _: () = assert!(MESSAGE_BYTES_MAX <= u16::MAX as usize, "spans are u16");
const _: () = assert!(HEADER_COUNT_MAX <= u8::MAX as usize, "header indices are u8");
const _: () = assert!(BRANCHES_MAX <= u8::MAX as usize, "the branch number is one byte");
const _: () = assert!(SLOT_COUNT.is_power_of_two(), "a slot is a mask of a hash");

/// Size of an ordinary send slot and of an ordinary receive buffer, in bytes.
///
/// WHY: SIP over UDP is 400 to 1,500 bytes; 1,024 such slots (2 MiB) stay close to a core's cache.
pub const SEND_SLOT_BYTES: usize = 2_048;

/// Size of a slot or buffer of the second pool, which takes the largest message.
pub const LARGE_SLOT_BYTES: usize = 65_536;

/// Most frames that a shard takes from its driver in one turn, before answers are sent.
///
/// WHY: 64 × 3 µs keep the first answer of a batch below 200 µs; larger batches save nothing more.
pub const RECEIVE_BATCH_MAX: usize = 64;

/// Most frames of those that can wait (REGISTERs, where phones register) in one turn, beside the others; a power of two.
///
/// WHY as many: a shard that has too much of both gives each its half, so that neither starves.
pub const DEFERRED_BATCH_MAX: usize = 64;

/// How long a REGISTER may wait in its socket when a shard is saturated, in milliseconds.
///
/// WHY: below the 500 ms after which a phone repeats itself (RFC 3261, T1), so that waiting alone draws no second one; and
/// long, because phones whose REGISTER found no room are silent for a while, in which the shard works off what waits.
pub const REGISTER_WAIT_MS: u64 = 400;

/// How long a busy shard sleeps for more input to come before it takes what there is, in microseconds.
///
/// WHY: waking costs two to three times what a datagram costs. At 35,000 datagrams a second this takes a
/// third off all costs; it adds less than this to a transit, far below what a peer notices.
pub const GATHER_MICROS: u64 = 100;

/// So many frames that are there end that sleep.
pub const GATHER_FRAMES: u32 = 4;

/// Frames a second from which on a shard is busy enough to gather.
///
/// WHY: below, most sleeps would end with one frame all the same, and each would cost a timer as well.
pub const GATHER_FRAMES_PER_SECOND: u64 = 25_000;

/// Most timer steps (fired, or moved down a level of the wheel) in one turn.
pub const TIMERS_PER_TURN_MAX: usize = 256;

/// Most letters, and most handed-over frames, taken from one sender in one turn.
pub const LETTERS_PER_TURN_MAX: usize = 64;

/// Most lanes (threads for blocking work) of one process.
pub const LANES_MAX: usize = 16;

/// Most listeners of one process.
pub const LISTENERS_MAX: usize = 64;

/// How long a busy port is retried before the start fails, in milliseconds.
///
/// WHY: after SIGKILL an io_uring socket stays bound for about 40 ms.
pub const BIND_RETRY_MS: u64 = 500;

const _: () = assert!(LARGE_SLOT_BYTES > MESSAGE_BYTES_MAX, "the second pool takes every message");

/// Most gateway addresses of all sets together. Every shard reserves state for so many at start.
pub const GATEWAYS_MAX: usize = 4_096;

/// Most gateway addresses of one set. A choice looks at each of them.
pub const SET_GATEWAYS_MAX: usize = 256;

/// Most customers, and most vendors.
pub const TRUNKS_MAX: usize = 16_384;

/// Most vendors of one plan: each is priced for each call.
pub const PLAN_VENDORS_MAX: usize = 64;

/// Most vendors that one call is ready to go to: no more than it may have branches.
pub const HUNT_VENDORS_MAX: usize = BRANCHES_MAX;

/// Most header rules of a trunk in one direction. Each is looked at for each request.
pub const HEADER_RULES_MAX: usize = 16;

/// Longest name of a field in a header rule.
pub const HEADER_RULE_NAME_MAX: usize = 64;

/// Longest text of a header rule.
pub const HEADER_RULE_TEXT_MAX: usize = 256;

/// Most vendors of one pinned route list.
pub const PIN_VENDORS_MAX: usize = HUNT_VENDORS_MAX;

/// Destinations of vendors whose 503 is remembered, in each shard. Beyond, the newest stand: an early one that is
/// forgotten costs one attempt.
pub const HELD_503_MAX: usize = 4_096;

/// Calls that are remembered to find those that come back from another carrier, all shards together: 8 MiB, taken as
/// they are needed.
///
/// WHY: 20,000 calls/s for the 10 s that a loop takes are 200,000; at that share one in fifty places of a bucket of four
/// is taken too early. A loop that is forgotten early is found at its next round.
pub const LOOP_PLACES: usize = 524_288;

/// Loops that wait to be written to the log; of further ones the number is.
pub const LOOPS_TOLD: usize = 64;

/// Most bounds of customers' destinations, of all customers together.
pub const CAPPED_DESTINATIONS_MAX: usize = 65_535;

/// Most sets.
pub const SETS_MAX: usize = 1_024;

const _: () = assert!(GATEWAYS_MAX < u16::MAX as usize, "a slot is a u16");

/// Peers, by address and port, whose way through the network a shard remembers (AF_XDP): gateways and sources
/// of a large carrier, twice.
pub const XDP_HOPS: usize = 1_024;

/// Queues of an interface that AF_XDP serves; what arrives on further ones goes to the kernel's sockets.
pub const XDP_QUEUES_MAX: usize = 256;

/// Interfaces that AF_XDP serves.
pub const XDP_INTERFACES_MAX: usize = 16;
