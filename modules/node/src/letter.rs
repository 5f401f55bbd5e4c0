//! What shards and lanes write to one another: the `Letter` of [`engine::App`].
//!
//! A letter is of the engine's control class: it is never shed. It is small, is moved and not
//! copied, and whatever is large in it (tables, a snapshot, a question) stands behind a pointer that
//! goes back to where it came from. INVARIANT: a shard neither allocates nor frees for a letter. What
//! a lane allocated returns to that lane to be dropped; what a shard keeps for its questions returns
//! to that shard. Only `Export` and `Import` allocate: they come while no traffic does.
//!
//! | Letter | From | To | Answered by |
//! |---|---|---|---|
//! | `Install` | control | every shard | `Retired` with the tables that it replaced |
//! | `Outfit` | control | every shard | the same box, with what it took the place of |
//! | `Snapshot` | control | every shard | the same box, filled |
//! | `Serve` | control | every shard | |
//! | `Gateway` | the shard that learnt it | every other shard and control | |
//! | `Question` | a shard | DNS lane | `Answer` in the same box |
//! | `Ask` | a shard | another shard, or a lane by way of control | `Answered` in the same box |
//! | `Errand` | control | every shard | the same box, done |
//! | `Journal` | a shard | journal lane | `JournalBack` in the same box |
//! | `Records` | a shard | record lane | `RecordsBack` in the same box |
//! | `RecordsClosed` | record lane | every shard | |
//! | `JournalMended`, `JournalRound` | journal lane | every shard | |
//! | `Look` | control | a shard | the same box, filled |
//! | `Unregister` | control | a shard | the same box |
//! | `LookAtCalls` | control | a shard | the same box, filled |
//! | `EndCall` | control | a shard | the same box |
//! | `Export` | control of a process that ends | every shard | `Exported` |
//! | `Import` | control of its successor | every shard | `Imported`, with the states |
//!
//! Errors of the network and the end of the process need no letter: the engine tells every shard. What
//! goes into the log needs none: figures tell of it.

use crate::errand::Errand;
use crate::module_question::ModuleQuestion;
use crate::outfit::Outfit;
use crate::shard_hand_over::{StateError, Taken};
use crate::snapshot::ShardSnapshot;
use engine::{Address, LaneId, ShardId};
pub use modules::Serving;
use modules::calls::look::{CallLook, EndCall};
use modules::registrar::{Batch, Look, Unregister};
use modules::{GatewayEvent, Tables};
use std::net::IpAddr;
use std::sync::Arc;

/// Where shards send everything that is not for another shard: the control lane, which passes questions
/// on to the DNS lane.
///
/// WHY one: a ring for each pair of shard and lane would cost memory and one more place to look at,
/// and none of this is on the path of a call that needs nothing looked up.
pub const LANES: Address = Address::Lane(LaneId(0));

/// The journal's lane, where there are domains. WHY its own: every REGISTER waits for it.
pub const JOURNAL: Address = Address::Lane(LaneId(1));

/// The record lane, where `[records]` stands in the file. WHY its own: every 2xx of an INVITE waits for it.
pub const RECORDS: Address = Address::Lane(LaneId(2));

/// One message of the control class.
#[derive(Debug)]
pub enum Letter {
    /// These tables hold from now on. Admin states and addresses of named gateways are part of them.
    Install(Arc<Tables>),
    /// The tables that `Install` replaced, to be dropped by the lane that built them.
    Retired {
        /// Who gives them back.
        shard: ShardId,
        /// What held until now.
        tables: Arc<Tables>,
    },
    /// What phones need, since a reload brought the first domain or the first accounts; before its `Install`.
    Outfit(Box<Outfit>),
    /// Fill this and send it back ([`ShardSnapshot::fill`] never allocates).
    Snapshot(Box<ShardSnapshot>),
    /// From now on serve like this.
    Serve(Serving),
    /// A gateway's probe was answered or missed, or its breaker moved.
    Gateway(GatewayEvent),
    /// What are this host's addresses?
    Question(Box<Question>),
    /// The question with [`Question::answer`] set.
    Answer(Box<Question>),
    /// A module asks another shard, or a lane.
    Ask(Box<ModuleQuestion>),
    /// The question with its answer.
    Answered(Box<ModuleQuestion>),
    /// An operator wants something of authentication; the same box comes back.
    Errand(Box<Errand>),
    /// Records that shall be on the disk.
    Journal(Box<Batch>),
    /// They are, or they are not.
    JournalBack(Box<Batch>),
    /// The disk works again.
    JournalMended,
    /// Everything that holds is to be recorded again; the number of the round.
    JournalRound(u64),
    /// Events of calls that shall be recorded.
    Records(Box<modules::records::Batch>),
    /// Their records are with the kernel, or wait in memory for a disk that does not work.
    RecordsBack(Box<modules::records::Batch>),
    /// Whether new calls are to be refused, because records cannot be written.
    RecordsClosed(bool),
    /// The next part of the accounts.
    Look(Box<Look>),
    /// An operator takes a user's bindings away.
    Unregister(Box<Unregister>),
    /// The next part of the calls.
    LookAtCalls(Box<CallLook>),
    /// An operator ends a call.
    EndCall(Box<EndCall>),
    /// Write down all that is in flight. No frame comes any more.
    Export,
    /// What was in flight ([`crate::shard_hand_over`]).
    Exported {
        /// Whose it is.
        shard: ShardId,
        /// Its bytes.
        state: Vec<u8>,
    },
    /// Take what is yours out of the states of all shards of another process. No frame has come yet.
    Import(Arc<[Vec<u8>]>),
    /// It was taken, or nothing was.
    Imported {
        /// Who took it.
        shard: ShardId,
        /// The states, to be dropped by the lane.
        states: Arc<[Vec<u8>]>,
        /// What was taken.
        taken: Result<Taken, StateError>,
    },
}

/// Most bytes of a host name (RFC 1035 §2.3.4).
pub const HOST_BYTES_MAX: usize = 255;

/// Most addresses in one answer. What a name has beyond these is not used.
pub const ANSWER_ADDRESSES_MAX: usize = 8;

/// A question about a name, and its answer: one box that travels both ways.
///
/// The name and the addresses are arrays so that a shard reuses the box without allocating.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks, and gets the answer.
    pub shard: ShardId,
    /// The asker's own number: the parked transaction.
    pub token: u64,
    host: [u8; HOST_BYTES_MAX],
    host_len: u8,
    /// The port of the URI; `None` asks for SRV records before addresses (RFC 3263 §4.2).
    pub port: Option<u16>,
    /// What was found. [`AnswerKind::Pending`] while the question is under way.
    pub answer: AnswerKind,
    addresses: [(Option<IpAddr>, u16); ANSWER_ADDRESSES_MAX],
}

/// How a question ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerKind {
    /// Not answered yet.
    #[default]
    Pending,
    /// There are addresses.
    Found,
    /// The name or its addresses do not exist.
    Nothing,
    /// No server answered in time, or too many questions are under way.
    Failed,
}

impl Question {
    /// An empty question, to be kept by a shard and used again and again.
    pub fn new(shard: ShardId) -> Self {
        Question {
            shard,
            token: 0,
            host: [0; HOST_BYTES_MAX],
            host_len: 0,
            port: None,
            answer: AnswerKind::Pending,
            addresses: [(None, 0); ANSWER_ADDRESSES_MAX],
        }
    }
    /// Asks for `host`. False: longer than any host name; nothing was changed.
    pub fn ask(&mut self, token: u64, host: &[u8], port: Option<u16>) -> bool {
        let (Some(room), Ok(host_len)) = (self.host.get_mut(..host.len()), u8::try_from(host.len())) else {
            return false;
        };
        room.copy_from_slice(host);
        self.host_len = host_len;
        self.token = token;
        self.port = port;
        self.answer = AnswerKind::Pending;
        self.addresses = [(None, 0); ANSWER_ADDRESSES_MAX];
        true
    }
    /// The host asked for.
    pub fn host(&self) -> &[u8] {
        self.host.get(..usize::from(self.host_len)).unwrap_or_default()
    }
    /// Sets the answer; addresses beyond [`ANSWER_ADDRESSES_MAX`] are left out.
    pub fn reply(&mut self, kind: AnswerKind, found: impl IntoIterator<Item = std::net::SocketAddr>) {
        self.answer = kind;
        for (room, address) in self.addresses.iter_mut().zip(found) {
            *room = (Some(address.ip()), address.port());
        }
    }
    /// The addresses found, best first.
    pub fn addresses(&self) -> impl Iterator<Item = std::net::SocketAddr> + '_ {
        self.addresses.iter().filter_map(|&(ip, port)| ip.map(|ip| std::net::SocketAddr::new(ip, port)))
    }
}

const _: () = assert!(size_of::<Letter>() <= 128, "a letter is moved through rings, keep it small");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_question_is_used_again_without_a_trace_of_the_last() {
        let mut question = Question::new(ShardId(1));
        assert!(question.ask(7, b"sip.example.com", Some(5060)));
        question.reply(AnswerKind::Found, ["192.0.2.1:5060".parse().unwrap()]);
        assert_eq!(question.addresses().count(), 1);
        assert!(question.ask(8, b"b.example", None));
        assert_eq!((question.host(), question.token, question.answer), (&b"b.example"[..], 8, AnswerKind::Pending));
        assert_eq!(question.addresses().count(), 0);
    }

    #[test]
    fn a_name_longer_than_any_host_is_refused() {
        let mut question = Question::new(ShardId(0));
        assert!(question.ask(1, b"a", None));
        assert!(!question.ask(2, &[b'a'; 256], None));
        assert_eq!(question.token, 1);
    }

    #[test]
    fn an_answer_keeps_at_most_eight_addresses() {
        let mut question = Question::new(ShardId(0));
        question.ask(1, b"a", None);
        let many = (0..20).map(|n| std::net::SocketAddr::from(([192, 0, 2, n], 5060)));
        question.reply(AnswerKind::Found, many);
        assert_eq!(question.addresses().count(), ANSWER_ADDRESSES_MAX);
    }
}
