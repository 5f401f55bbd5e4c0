//! How others speak to the control lane: an [`Ask`] in a queue, and the bell of its thread.

use super::credit::CreditChange;
use super::gather::Gathered;
use super::rpc::RpcError;
use crate::accounts;
use crate::admin::AdminState;
use crate::disk::Saved;
use crate::dns;
use crate::errand::Wish;
use crate::reply::{Bans, CreditRow, Drain, GatewayChanged, Reload};
use engine::{LaneWaker, ShardId};
use modules::calls::look::{CallLook, EndCall};
use modules::class4::DeckImage;
use modules::registrar::{Look, Unregister};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tuning::Loaded;

/// Where an answer goes. An asker who has gone away is no error.
pub(super) type Reply<T> = Sender<T>;

/// How an account stands after a change, and news of it being on disk.
pub(super) type CreditChanged = (CreditRow, Option<Receiver<Saved>>);

/// Something for the control lane to do or to tell.
#[derive(Debug)]
pub enum Ask {
    /// All figures of all shards, as of after this was asked.
    Gather {
        /// Refused addresses too.
        unknown: bool,
        /// The figures.
        reply: Reply<Arc<Gathered>>,
    },
    /// An operator's decision about a gateway.
    Gateway {
        /// Its name.
        name: String,
        /// The decision; `None`: enabled.
        state: Option<AdminState>,
        /// The operator.
        who: String,
        /// His reason.
        why: String,
        /// What changed, and news of it being on disk.
        reply: Reply<Result<(GatewayChanged, Receiver<Saved>), RpcError>>,
    },
    /// A configuration that was read and checked, to be taken into service.
    Reload {
        /// The configuration.
        next: Box<Loaded>,
        /// Its decks, if it has customers.
        decks: Option<Arc<DeckImage>>,
        /// Where it came from, for people.
        from: String,
        /// Even if it takes away much.
        forced: bool,
        /// Who asked.
        who: String,
        /// What became of it, and news of it being on disk as the last good one.
        reply: Reply<Result<(Reload, Receiver<Saved>), RpcError>>,
    },
    /// The next part of a shard's registrations.
    Look {
        /// The shard.
        shard: ShardId,
        /// What is looked for.
        look: Box<Look>,
        /// The same box, filled.
        reply: Reply<Box<Look>>,
    },
    /// An operator takes a user's bindings away.
    Unregister {
        /// The shard.
        shard: ShardId,
        /// Whose.
        asked: Box<Unregister>,
        /// The same box.
        reply: Reply<Box<Unregister>>,
    },
    /// The next part of a shard's calls.
    LookAtCalls {
        /// The shard.
        shard: ShardId,
        /// What is looked for.
        look: Box<CallLook>,
        /// The same box, filled.
        reply: Reply<Box<CallLook>>,
    },
    /// An operator ends a call.
    EndCall {
        /// The shard.
        shard: ShardId,
        /// Which.
        asked: Box<EndCall>,
        /// The same box.
        reply: Reply<Box<EndCall>>,
    },
    /// A configuration could not be read; only to be counted.
    ReloadFailed,
    /// An operator changes a customer's balance.
    Credit {
        /// Whose.
        customer: String,
        /// How.
        change: CreditChange,
        /// Who asked.
        who: String,
        /// How the account stands, and news of it being on disk.
        reply: Reply<Result<CreditChanged, RpcError>>,
    },
    /// Begin or end a drain.
    Serve {
        /// Begin.
        drain: bool,
        /// Who asked.
        who: String,
        /// What holds now.
        reply: Reply<Drain>,
    },
    /// The DNS lane found something out.
    Dns(dns::Report),
    /// A source of accounts has something to say.
    Accounts(accounts::Report),
    /// Something of all shards' authentication.
    Errand {
        /// What.
        wish: Wish,
        /// Who asked.
        who: String,
        /// What came of it.
        reply: Reply<Bans>,
    },
    /// A signal came.
    Signal(Signal),
}

/// Signals that the control lane acts on. SIGHUP becomes a [`Ask::Reload`] where it is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: drain and end; the second one: end at once.
    Terminate,
}

/// The way to the control lane.
#[derive(Clone, Debug)]
pub struct Inbox {
    asks: Sender<Ask>,
    bell: LaneWaker,
}

/// How long an asker waits before it rings again.
///
/// WHY again: a bell that is rung between the lane's last look at its queue and its sleep is not heard.
const RING_AGAIN: Duration = Duration::from_millis(10);

impl Inbox {
    /// An inbox for the lane that `bell` wakes, and the queue for that lane.
    ///
    /// The queue has no bound of its own: every asker but the DNS lane waits for its answer before it
    /// asks again, and the DNS lane has as many answers as shards have questions.
    pub fn new(bell: LaneWaker) -> (Self, Receiver<Ask>) {
        let (asks, queue) = channel();
        (Inbox { asks, bell }, queue)
    }

    /// Tells something that has no answer.
    pub fn tell(&self, ask: Ask) {
        // A lane that has ended needs not be told any more.
        let _ = self.asks.send(ask);
        self.bell.wake();
    }

    /// Asks and waits for the answer; `None` if there is none within `longest`.
    pub fn ask<T>(&self, make: impl FnOnce(Reply<T>) -> Ask, longest: Duration) -> Option<T> {
        let (reply, answer) = channel();
        self.tell(make(reply));
        let deadline = Instant::now() + longest;
        loop {
            match answer.recv_timeout(RING_AGAIN) {
                Ok(answer) => return Some(answer),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => return None,
                Err(RecvTimeoutError::Timeout) => self.bell.wake(),
            }
        }
    }
}
