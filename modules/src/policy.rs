//! The policy of one shard: its tables, its state, and what its owner asks of it beside the six points.

use crate::authentication::stage::Authentication;
use crate::calls::end::EndCounts;
use crate::calls::look::{CallLook, EndCall};
use crate::calls::own_request::CallRequest;
use crate::calls::{CallFigures, Calls, life};
use crate::class4::Hunting;
use crate::dispatcher::event::GatewayEvent;
use crate::dispatcher::figures::GatewaySnapshot;
use crate::dispatcher::probe::Probe;
use crate::dispatcher::{self, Dispatcher};
use crate::hand_over::Arrivals;
use crate::phones::keep_alive::{KeepAlive, KeepAlives};
use crate::question::{Answered, Asked, Subject};
use crate::reason::ReasonCounts;
use crate::records::Records;
use crate::registrar::{Forks, Registrar};
use crate::serving::Serving;
use crate::sources::UnknownSources;
use crate::tables::Tables;
use algorithms::mix;
use proto::hash::Secret;
use proto::policy::{Outcome, Policy};
use proto::time::{Micros, Mono, Now};
use std::net::SocketAddr;
use std::sync::Arc;

/// What a policy is made with.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// This shard.
    pub shard: usize,
    /// Shards in all.
    pub shards: usize,
    /// Most calls of this shard.
    pub calls: u32,
    /// Most requests of this shard that have no final response yet: room for hunting, where there are customers.
    pub open_requests: u32,
    /// Refused addresses that are remembered.
    pub unknown_sources: u32,
    /// Key of this boot, for tables.
    pub boot_secret: Secret,
    /// Key of hash algorithms: the same on every node and after a restart, or calls move.
    pub choice_secret: Secret,
    /// Seed of this shard's random numbers.
    pub seed: u64,
}

/// See the module. The six points are in [`crate::route`].
#[derive(Debug)]
pub struct TandemPolicy {
    pub(crate) tables: Arc<Tables>,
    pub(crate) serving: Serving,
    pub(crate) unknown: UnknownSources,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) calls: Calls,
    pub(crate) hunting: Hunting,
    pub(crate) reasons: ReasonCounts,
    pub(crate) arrivals: Arrivals,
    pub(crate) answered: Answered,
    pub(crate) authentication: Option<Box<Authentication>>,
    pub(crate) registrar: Option<Box<Registrar>>,
    /// Where `[records]` stands in the file.
    pub(crate) records: Option<Box<Records>>,
    pub(crate) forks: Forks,
    pub(crate) keep_alives: KeepAlives,
    /// Bindings of the user that a request is for.
    pub(crate) found: Vec<u8>,
    pub(crate) shard: u16,
    pub(crate) shards: u16,
    pub(crate) choice_secret: Secret,
}

/// Calls that are closed for their age in one turn.
const EXPIRED_PER_TURN_MAX: usize = 64;

impl TandemPolicy {
    /// Reserves all memory that it will ever use. All gateways start up.
    pub fn new(setup: &Setup, tables: Arc<Tables>, now: Now) -> Self {
        let dispatcher = dispatcher::Setup {
            shard: setup.shard,
            shards: setup.shards,
            choice_secret: setup.choice_secret,
            seed: setup.seed,
        };
        // WHY none without customers: the first one needs a restart.
        let hunts = if tables.class4.is_some() { setup.open_requests } else { 0 };
        tables.class4.iter().for_each(|trunks| trunks.loops.keyed(setup.boot_secret));
        TandemPolicy {
            hunting: Hunting::new(hunts, mix(setup.seed)),
            dispatcher: Dispatcher::new(dispatcher, &tables, now),
            serving: Serving::default(),
            unknown: UnknownSources::new(setup.unknown_sources, setup.boot_secret),
            calls: Calls::new(setup.calls, tables.class4.is_some(), setup.boot_secret),
            reasons: ReasonCounts::default(),
            arrivals: Arrivals::default(),
            answered: Answered::default(),
            authentication: None,
            registrar: None,
            records: None,
            forks: Forks::default(),
            keep_alives: KeepAlives::default(),
            found: Vec::new(),
            shard: u16::try_from(setup.shard).unwrap_or(0),
            shards: u16::try_from(setup.shards).unwrap_or(1),
            choice_secret: setup.choice_secret,
            tables,
        }
    }

    /// Other tables hold from now on. Gives back those that held until now, to be dropped elsewhere.
    pub fn install(&mut self, tables: Arc<Tables>, now: Now) -> Arc<Tables> {
        self.dispatcher.install(&tables, now);
        if let Some(authentication) = &mut self.authentication {
            authentication.authenticator.guard_mut().obey(tables.realms.rules);
        }
        if let Some(registrar) = &mut self.registrar {
            registrar.install(&tables.domains);
            self.keep_alives.install(tables.keep_alive, registrar.places());
        }
        std::mem::replace(&mut self.tables, tables)
    }

    /// The tables that hold.
    pub const fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// Whether phones register here.
    pub fn has_phones(&self) -> bool {
        !self.tables.domains.is_empty()
    }

    /// Calls are recorded from now on.
    pub fn take_records(&mut self, records: Box<Records>) {
        self.records = Some(records);
    }

    /// What is recorded.
    pub fn records(&mut self) -> Option<&mut Records> {
        self.records.as_deref_mut()
    }

    /// Events of calls that found no room on their way to the record lane.
    pub fn record_events_lost(&self) -> u64 {
        self.records.as_ref().map_or(0, |records| records.lost())
    }

    /// How new requests are served from now on.
    pub const fn serve(&mut self, serving: Serving) {
        self.serving = serving;
    }

    /// The bytes of an answer to a question of a module, which the proxy is about to be told of.
    pub fn take_answer(&mut self, bytes: &[u8]) {
        self.answered.take(bytes);
    }

    /// Answers another shard's question: the answer in short, its bytes appended to `reply`.
    pub fn answer_question(&mut self, number: u32, asked: &[u8], reply: &mut Vec<u8>, now: Now) -> u64 {
        match (Asked::of_number(number).map(|asked| asked.subject), &self.registrar) {
            (Some(Subject::Credentials), _) => self.examine_for_another(asked, now),
            (Some(Subject::Location), Some(registrar)) => registrar.answer(asked, now, reply).number(),
            _ => 0,
        }
    }

    /// When [`TandemPolicy::on_deadline`] or [`TandemPolicy::next_probe`] have something to do next.
    pub fn deadline(&self) -> Option<Mono> {
        let calls = self.calls.deadline(self.tables.call_max);
        let overseen = self.calls.next_look();
        let registrar = self.registrar.as_ref().and_then(|registrar| registrar.deadline());
        let dispatcher = [self.dispatcher.probe_deadline(), self.dispatcher.tick_deadline()];
        dispatcher.into_iter().chain([calls, overseen, registrar, self.keep_alives.deadline()]).flatten().min()
    }

    /// Time passes: calls expire (a bounded number at once), breakers move.
    pub fn on_deadline(&mut self, now: Now) {
        self.dispatcher.tick(&self.tables, now);
        if let Some(registrar) = &mut self.registrar {
            // What is left over is due at once.
            registrar.expire(now);
        }
        let (calls, dispatcher) = (&mut self.calls, &mut self.dispatcher);
        life::expire(calls, dispatcher, &self.tables, EXPIRED_PER_TURN_MAX, self.records.as_deref_mut(), now);
    }

    /// The next probe to send; to be called until there is none.
    pub fn next_probe(&mut self, now: Now) -> Option<Probe> {
        self.dispatcher.next_probe(&self.tables, now)
    }

    /// The next keep-alive to send; to be called until there is none.
    pub fn next_keep_alive(&mut self, now: Now) -> Option<KeepAlive> {
        self.keep_alives.next(self.registrar.as_mut()?, now)
    }

    /// The next request of ours within a call; to be called until there is none. Each is given back by
    /// [`TandemPolicy::request_of_call_sent`].
    pub fn next_request_of_call(&mut self) -> Option<CallRequest> {
        self.calls.next_request()
    }

    /// A request within a call was sent, or could not be: then that is its end.
    pub fn request_of_call_sent(&mut self, request: CallRequest, sent: bool, now: Now) {
        if !sent {
            self.own_response(request.ticket.0, Outcome::Unreachable, Micros(0), now);
        }
        self.calls.request_sent(request);
    }

    /// Fills the next part of what an operator wants to see of calls.
    pub fn look_at_calls(&self, look: &mut CallLook, now: Now) {
        self.calls.look(look, &self.tables, now.mono);
    }

    /// An operator ends a call.
    pub fn end_call(&mut self, asked: &mut EndCall) {
        asked.ended = self.calls.end_by_number(asked.number);
    }

    /// How calls have ended.
    pub const fn call_ends(&self) -> &EndCounts {
        self.calls.ends()
    }

    /// Bindings that went because their phones answered no keep-alive any more.
    pub const fn phones_gone(&self) -> u64 {
        self.keep_alives.gone()
    }

    /// The network reported that nothing is reached at `address`.
    pub fn unreachable(&mut self, address: SocketAddr, now: Now) {
        self.dispatcher.unreachable(&self.tables, address, now);
    }

    /// What was to leave by a listener could not: its address is not on this host now.
    pub fn could_not_send(&mut self, listener: u16, now: Now) {
        self.dispatcher.could_not_send(listener, now);
    }

    /// The next event for all other shards; to be called until there is none.
    pub fn next_event(&mut self) -> Option<GatewayEvent> {
        self.dispatcher.next_event()
    }

    /// Another shard's event.
    pub fn apply_event(&mut self, event: GatewayEvent, now: Now) {
        self.dispatcher.apply(&self.tables, event, now);
    }

    /// Every gateway as this shard sees it.
    pub fn gateways(&self) -> impl Iterator<Item = GatewaySnapshot> + '_ {
        self.dispatcher.snapshots(&self.tables)
    }

    /// Replies and drops of the policy, by reason.
    pub const fn reasons(&self) -> &ReasonCounts {
        &self.reasons
    }

    /// The call table in numbers.
    pub fn calls(&self) -> CallFigures {
        self.calls.figures()
    }

    /// Customers' calls that are being set up.
    pub const fn hunting(&self) -> &Hunting {
        &self.hunting
    }

    /// Refused addresses.
    pub const fn unknown_sources(&self) -> &UnknownSources {
        &self.unknown
    }

    /// Events that were lost because nobody took them out in time.
    pub const fn events_lost(&self) -> u64 {
        self.dispatcher.events_lost()
    }
}
