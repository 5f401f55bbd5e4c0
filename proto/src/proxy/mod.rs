//! A proxy by RFC 3261 §16: one value a shard.
//!
//! [`Proxy`] is fed messages, fired timers, answers to questions and transport errors; it matches
//! transactions, asks its [`Policy`] at the six named points, and sends through an [`Outbox`]. The files
//! follow the RFC's order:
//!
//! | file | RFC 3261 |
//! |---|---|
//! | `request.rs` | the path of a request, top down |
//! | `validate.rs`, `loop_hash.rs` | §16.3, with RFC 5393 |
//! | `preprocess.rs` | §16.4 |
//! | `verdict.rs` | §16.5: what the policy decided is done |
//! | `forward.rs` | §16.6: a branch is opened |
//! | `rewrite.rs` | §16.6: the bytes that leave |
//! | `response.rs` | §16.7: responses, up to the best one |
//! | `finish.rs` | §16.7 steps 6 to 9: the final response goes upstream |
//! | `relay.rs` | §16.7 steps 3, 8, 9: responses on their way upstream |
//! | `timeout.rs` | §16.8 and all timers |
//! | `unreachable.rs` | §16.9 |
//! | `cancel.rs` | §16.10, §9.1 |
//! | `stateless.rs` | §16.11 |
//! | `overload.rs` | §21.5.4: new calls turned away |
//! | `reply.rs` | §8.2.6, §8.2.7: responses of our own |
//! | `park.rs` | a request that waits for an answer |
//! | `own.rs` | requests of our own |
//! | `own_lines.rs` | what is known of our Via and Record-Route before a message comes |
//! | `second_answer.rs` | §13.2.2.4: a second 2xx is acknowledged and ended by us |
//! | `patience.rs` | INVITEs that take too long for the policy |
//! | `hand_over.rs`, `image.rs` | open transactions move to another process or shard |

mod cancel;
mod counters;
mod finish;
mod forward;
mod hand_over;
mod image;
mod loop_hash;
mod overload;
mod own;
mod own_lines;
mod park;
mod patience;
mod preprocess;
mod record_route;
mod relay;
mod reply;
mod request;
mod response;
mod rewrite;
mod second_answer;
mod settings;
mod shown_from;
mod stateless;
mod timeout;
mod transactions;
mod unreachable;
mod validate;
mod verdict;

pub use counters::{Counters, Drop, Refused};
pub use own::OwnRequest;
pub use park::Ticket;
pub use preprocess::{NextRoute, Preprocessed};
pub use settings::{Advertised, Capacity, Listener, Settings};

use crate::message::{Arena, Message, Writer};
use crate::policy::{Endpoint, Policy, Question, TargetSet};
use crate::time::{Mono, Now};
use crate::transaction::{TimerHandle, TimerToken};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use own_lines::Prepared;
use transactions::Transactions;

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Listener to send from.
    pub listener: u16,
    /// Source address to send from; `None`: the listener's own.
    pub local: Option<IpAddr>,
    /// The peer.
    pub peer: SocketAddr,
    /// Connection, for streams; 0 over UDP.
    pub flow: u64,
}

/// What a proxy needs of the world. Nothing here waits or fails loudly: what cannot be done is counted
/// by whoever implements it.
pub trait Outbox {
    /// Sends what `write` writes. `write` may be called again with a larger buffer. False: not sent.
    fn transmit(&mut self, to: &Egress, write: impl FnMut(&mut Writer<'_>)) -> bool;
    /// The same, once `record` of the journal is on the disk. False: not sent, and never will be.
    fn transmit_when_durable(&mut self, record: u64, to: &Egress, write: impl FnMut(&mut Writer<'_>)) -> bool {
        let _ = record;
        self.transmit(to, write)
    }
    /// Arms a timer.
    fn arm(&mut self, at: Mono, token: TimerToken) -> TimerHandle;
    /// Disarms it; stale handles and the zero handle are harmless.
    fn disarm(&mut self, timer: TimerHandle);
    /// Puts a question. Its answer comes back through [`Proxy::on_answer`] with the ticket. `about`: the
    /// Request-URI or next Route, or what the policy attached to a question of a module.
    fn ask(&mut self, question: Question, ticket: Ticket, about: &[u8]);
}

/// The proxy of one shard.
pub struct Proxy<P: Policy> {
    /// The policy, with its own state.
    pub policy: P,
    /// What was dropped, refused and carried.
    pub counters: Counters,
    settings: Prepared,
    transactions: Transactions<P::Note>,
    targets: TargetSet,
    /// For requests that are read again from the store: their bytes and their headers.
    scratch: Vec<u8>,
    scratch_arena: Arena,
    /// A message that is both sent and kept is made here first.
    outgoing: Vec<u8>,
    /// Source of numbers for requests of our own; seeded, advanced, never read from the system.
    random: u64,
}

impl<P: Policy> Proxy<P> {
    /// A proxy with room for `settings.capacity`. `seed` must differ between shards and starts.
    pub fn new(settings: Settings, policy: P, seed: u64) -> Self {
        let transactions = Transactions::new(&settings.capacity);
        Proxy {
            policy,
            counters: Counters::default(),
            settings: Prepared::new(settings),
            transactions,
            targets: TargetSet::default(),
            scratch: Vec::with_capacity(limits::MESSAGE_BYTES_MAX),
            scratch_arena: Arena::new(),
            outgoing: alloc::vec![0; limits::MESSAGE_BYTES_MAX],
            random: seed,
        }
    }

    /// A message arrived whose owner this shard is.
    pub fn on_message(&mut self, now: Now, source: &Endpoint, message: &Message<'_>, out: &mut impl Outbox) {
        if message.is_request() {
            self.on_request(now, source, message, out);
        } else {
            self.on_response(now, source, message, out);
        }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Open transactions, branches and kept bytes, now.
    pub fn occupancy(&self) -> Occupancy {
        self.transactions.occupancy()
    }

    /// Whether every transaction has come to its final response (a drain may end). Those that only
    /// absorb retransmissions do not count.
    pub fn quiet(&self) -> bool {
        self.transactions.open() == 0
    }

    fn next_random(&mut self) -> u64 {
        // splitmix64 (Steele, Lea, Flood 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Reads a kept request again and hands it to `act`, with where it came from and the proxy, which is free to
    /// change. `None`: it is not kept.
    ///
    /// INVARIANT: `act` does not come here again: there is one arena to read into, and it is in use.
    fn with_kept_request<R>(
        &mut self,
        transaction: u32,
        act: impl FnOnce(&mut Self, &Endpoint, &Message<'_>) -> R,
    ) -> Option<R> {
        let source = self.transactions.record(transaction)?.source;
        let context = self.transactions.context(transaction)?;
        let mut bytes = core::mem::take(&mut self.scratch);
        let mut arena = core::mem::replace(&mut self.scratch_arena, Arena::empty());
        bytes.clear();
        bytes.extend_from_slice(self.transactions.bytes(&context.request));
        let result = Message::parse(&bytes, &mut arena).ok().map(|message| act(self, &source, &message));
        self.scratch = bytes;
        self.scratch_arena = arena;
        result
    }
}

/// How full the pools are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Server transactions, those that only absorb retransmissions included.
    pub transactions: u32,
    /// Of these, without a final response yet.
    pub open: u32,
    /// Client transactions.
    pub branches: u32,
    /// Bytes of kept messages.
    pub bytes: u64,
}
