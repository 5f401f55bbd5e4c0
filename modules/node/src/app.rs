//! What runs on a shard: `engine` brings frames, timers and letters; `proto` reads and carries SIP;
//! `modules` decide. This file is where they meet, and the only one that knows all three.

use crate::admission::{Admission, Waits};
use crate::held_replies::HeldReplies;
use crate::letter::{JOURNAL, LANES, Letter, RECORDS, Serving};
use crate::module_question::ModuleQuestion;
use crate::shard_outbox::{ShardOutbox, answer_of};
use crate::shard_pending::Pending;
use engine::{Address, App, Class, Frame, NetworkError, NetworkErrorKind, Outbox, ShardId};
use modules::authentication::Authenticator;
use modules::authentication::stage::Authentication;
use modules::calls::own_request::CallRequest;
use modules::dispatcher::probe::Probe;
use modules::phones::keep_alive::KeepAlive;
use modules::records::Records;
use modules::records::restore::Restored;
use modules::registrar::{Batch, Registrar};
use modules::{Tables, TandemPolicy};
use proto::hash::Secret;
use proto::message::{Arena, Malformation, Message, Method};
use proto::policy::{Answer, Endpoint, Target};
use proto::proxy::{Egress, OwnRequest, Proxy, Settings};
use proto::steer;
use proto::time::{Mono, Now, Wall};
use proto::token::Keys;
use proto::transaction::TimerToken;
use std::sync::Arc;

/// Everything of one shard.
pub struct ShardApp {
    shard: ShardId,
    shards: u16,
    keys: Keys,
    arena: Arena,
    admission: Admission,
    pub(crate) proxy: Proxy<TandemPolicy>,
    pub(crate) pending: Pending,
    /// What answers another shard is made here.
    reply: Vec<u8>,
    /// Datagrams that are no message but keep a NAT binding open.
    pub(crate) keep_alives: u64,
    /// Letters that found no room.
    pub(crate) letters_lost: u64,
    /// Calls that were open before the start and could not be taken in.
    pub(crate) calls_not_restored: u64,
}

/// What a shard is made with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Shards in all.
    pub shards: u16,
    /// For the proxy: listeners, keys, timers, pools; `own_slot` is set for each shard.
    pub proxy: Settings,
    /// For the policy; `shard` and `seed` are set for each shard.
    pub policy: modules::Setup,
    /// Seed of all random numbers of this start.
    pub seed: u64,
}

impl ShardApp {
    /// One shard. Reserves all memory that it will ever use.
    pub fn new(shard: ShardId, setup: &Setup, tables: Arc<Tables>, now: Now) -> Self {
        // WHY the odd multiplier: seeds of neighbouring shards must not be neighbours.
        let seed = setup.seed ^ (u64::from(shard.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let policy = modules::Setup { shard: shard.index(), shards: usize::from(setup.shards), seed, ..setup.policy };
        let proxy = Settings { own_slot: u16::from(shard.0), ..setup.proxy.clone() };
        let dips = tables.class4.as_ref().is_some_and(|trunks| trunks.dip.is_some());
        ShardApp {
            shard,
            shards: setup.shards.max(1),
            keys: setup.proxy.keys.clone(),
            arena: Arena::new(),
            admission: Admission::new(Some(Waits::default())),
            pending: Pending::new(shard, !tables.domains.is_empty(), dips),
            proxy: Proxy::new(proxy, TandemPolicy::new(&policy, tables, now), seed),
            reply: Vec::new(),
            keep_alives: 0,
            letters_lost: 0,
            calls_not_restored: 0,
        }
    }

    /// The same with other bounds for overload; `None`: new calls are taken however long they waited.
    #[must_use]
    pub fn admitting(mut self, waits: Option<Waits>) -> Self {
        self.admission = Admission::new(waits);
        self
    }

    /// The same, asking for proofs of who registers or calls in a domain with accounts.
    #[must_use]
    pub fn authenticating(mut self, setup: Option<&modules::authentication::Setup>, now: Now) -> Self {
        if let Some(setup) = setup {
            let made = authentication(setup, self.shard, self.shards, self.keys.slot_secret(), now);
            self.proxy.policy.take_authentication(made);
        }
        self
    }

    /// The same with what was registered before.
    #[must_use]
    pub fn registering(mut self, registrar: Option<Box<Registrar>>) -> Self {
        if let Some(registrar) = registrar {
            self.proxy.policy.take_registrar(registrar);
        }
        self
    }

    /// The same, recording calls, of which so many may be set up at the same time. `open`: those that were open before,
    /// of this shard and of others, the oldest first; `None`: calls are not recorded.
    #[must_use]
    pub fn recording(mut self, open: Option<&[Restored]>, hunts: u32, now: Now) -> Self {
        let Some(open) = open else { return self };
        self.proxy.policy.take_records(Box::new(Records::new(self.shard_number(), hunts)));
        self.pending.answers = HeldReplies::new(limits::records::HELD_ANSWERS_BYTES);
        for call in open {
            let slot = steer::slot_of_call_id(&self.keys, call.call_id());
            if steer::shard_of_slot(slot, self.shards) == self.shard_number() {
                self.calls_not_restored += u64::from(!self.proxy.policy.restore_call(call, slot, now));
            }
        }
        self
    }

    /// The proxy, to look at.
    pub const fn proxy(&self) -> &Proxy<TandemPolicy> {
        &self.proxy
    }

    pub(crate) const fn shard(&self) -> ShardId {
        self.shard
    }

    /// The same as `proto::steer` counts shards.
    pub(crate) fn shard_number(&self) -> u16 {
        u16::from(self.shard.0)
    }

    pub(crate) const fn shards(&self) -> u16 {
        self.shards
    }

    /// A datagram: read, found its owner, and carried there or here.
    fn carry(&mut self, now: Now, frame: &Frame<'_>, mine: bool, out: &mut Outbox<'_, Letter>) {
        let source = Endpoint { listener: frame.listener, local: frame.local, peer: frame.peer, flow: frame.flow };
        let ShardApp { arena, admission, keys, proxy, pending, .. } = self;
        let behind = frame.bytes.starts_with(b"INVITE ") && admission.refuses(now.mono, Mono(frame.received.0));
        let (shard, shards) = (self.shard, if mine { 1 } else { self.shards });
        match Message::parse(frame.bytes, arena) {
            Ok(message) => match owner_elsewhere(keys, shard, shards, &message) {
                // A frame that is shed is counted by the engine, by class.
                Some(owner) => _ = out.hand_over(owner, class_of(&message), frame),
                None => {
                    let mut out = outbox(out, pending);
                    if !(behind && proxy.turn_away_new_call(now, &source, &message, &mut out)) {
                        proxy.on_message(now, &source, &message, &mut out);
                    }
                }
            },
            Err(error) if error.why == Malformation::KeepAlive => {
                self.keep_alives += 1;
                if frame.bytes == PING && proxy.policy.has_phones() {
                    pong(&source, &mut outbox(out, pending));
                }
            }
            Err(error) => proxy.on_unreadable(now, &source, &error, &mut outbox(out, pending)),
        }
    }

    fn send_probe(&mut self, now: Now, probe: &Probe, out: &mut Outbox<'_, Letter>) {
        let tables = Arc::clone(self.proxy.policy.tables());
        let request = OwnRequest {
            ticket: probe.ticket,
            target: probe.target,
            method: Method::Options,
            call_id: probe.call_id(),
            from_tag: probe.from_tag(),
        };
        let mut outbox = outbox(out, &mut self.pending);
        self.proxy.send_own(now, &request, |writer, via| probe.write(&tables, writer, via), &mut outbox);
    }

    fn send_within_call(&mut self, now: Now, request: CallRequest, out: &mut Outbox<'_, Letter>) {
        let own = OwnRequest {
            ticket: request.ticket.0,
            target: request.target,
            method: request.method,
            call_id: request.call_id(),
            from_tag: request.from_tag(),
        };
        let mut outbox = outbox(out, &mut self.pending);
        let sent = self.proxy.send_own(now, &own, |writer, via| request.write(writer, via), &mut outbox);
        self.proxy.policy.request_of_call_sent(request, sent, now);
    }

    fn send_keep_alive(&mut self, keep_alive: &KeepAlive, out: &mut Outbox<'_, Letter>) {
        let mut outbox = outbox(out, &mut self.pending);
        if keep_alive.crlf {
            let Target { listener, next_hop, flow, .. } = keep_alive.target;
            let to = Egress { listener, local: None, peer: next_hop, flow };
            proto::proxy::Outbox::transmit(&mut outbox, &to, |out| out.put(PING));
            return;
        }
        let tables = Arc::clone(self.proxy.policy.tables());
        let request = OwnRequest {
            ticket: keep_alive.ticket,
            target: keep_alive.target,
            method: Method::Options,
            call_id: KeepAlive::ID,
            from_tag: KeepAlive::ID,
        };
        self.proxy.send_keep_alive(&request, |writer, via| keep_alive.write(&tables, writer, via), &mut outbox);
    }

    /// What the policy has to say to the others.
    fn spread_events(&mut self, out: &mut Outbox<'_, Letter>) {
        while let Some(event) = self.proxy.policy.next_event() {
            for other in (0..self.shards).filter_map(|index| u8::try_from(index).ok()).map(ShardId) {
                if other != self.shard {
                    self.post(Address::Shard(other), Letter::Gateway(event), out);
                }
            }
            self.post(LANES, Letter::Gateway(event), out);
        }
    }

    /// Another shard's question, answered in its box.
    fn answer_question(&mut self, now: Now, mut question: Box<ModuleQuestion>, out: &mut Outbox<'_, Letter>) {
        self.reply.clear();
        let answer = self.proxy.policy.answer_question(question.number, question.bytes(), &mut self.reply, now);
        question.reply(answer, &self.reply);
        self.post(Address::Shard(question.from), Letter::Answered(question), out);
    }

    /// What was registered in this turn goes to the disk; what the disk has by now is said.
    fn keep_registrations(&mut self, out: &mut Outbox<'_, Letter>) {
        let Some(registrar) = self.proxy.policy.registrar() else { return };
        if let Some(batch) = registrar.take_batch()
            && let Err(Letter::Journal(batch)) = out.post(JOURNAL, Letter::Journal(batch))
        {
            self.letters_lost += 1;
            self.batch_back(batch);
        }
        self.pending.replies.release(out);
    }

    fn batch_back(&mut self, batch: Box<Batch>) {
        let Some(registrar) = self.proxy.policy.registrar() else { return };
        match registrar.batch_back(batch) {
            (true, number) => self.pending.replies.synced(number),
            // WHY all that waits: when the disk works again it is too late to say for how long a phone is registered.
            (false, _) => self.pending.replies.lost(u64::MAX),
        }
    }

    /// What happened to calls in this turn goes to the record lane; answers whose records are written leave.
    fn keep_records(&mut self, out: &mut Outbox<'_, Letter>) {
        let Some(records) = self.proxy.policy.records() else { return };
        if let Some(batch) = records.take_batch()
            && let Err(Letter::Records(batch)) = out.post(RECORDS, Letter::Records(batch))
        {
            // INVARIANT: one batch is on its way at a time, so that there is room for it.
            self.letters_lost += 1;
            self.records_back(batch);
        }
        self.pending.answers.release(out);
    }

    fn records_back(&mut self, batch: Box<modules::records::Batch>) {
        if let Some(records) = self.proxy.policy.records() {
            self.pending.answers.synced(records.batch_back(batch));
        }
    }

    fn post(&mut self, to: Address, letter: Letter, out: &mut Outbox<'_, Letter>) {
        if out.post(to, letter).is_err() {
            self.letters_lost += 1;
        }
    }
}

/// What a shard of so many asks for proofs with.
pub(crate) fn authentication(
    setup: &modules::authentication::Setup,
    shard: ShardId,
    shards: u16,
    slot_secret: Secret,
    now: Now,
) -> Box<Authentication> {
    // WHY the odd multiplier: seeds of neighbouring shards must not be neighbours.
    let seed = setup.seed ^ (u64::from(shard.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let authenticator = Authenticator::new(modules::authentication::Setup { seed, ..setup.clone() }, now);
    Box::new(Authentication::new(authenticator, u16::from(shard.0), shards, slot_secret))
}

impl App for ShardApp {
    type Letter = Letter;

    fn on_frame(&mut self, now: engine::Now, frame: &Frame<'_>, out: &mut Outbox<'_, Letter>) {
        self.carry(now_of(now), frame, false, out);
    }

    fn on_hand_over(&mut self, now: engine::Now, frame: &Frame<'_>, _: ShardId, out: &mut Outbox<'_, Letter>) {
        self.carry(now_of(now), frame, true, out);
    }

    fn on_network_error(&mut self, now: engine::Now, error: &NetworkError, out: &mut Outbox<'_, Letter>) {
        // WHY not these: one message was too large, or a filter dropped it; the peer may be well.
        if matches!(error.kind, NetworkErrorKind::MessageTooLong | NetworkErrorKind::Other(_)) {
            return;
        }
        if error.kind == NetworkErrorKind::SourceAway {
            return self.proxy.policy.could_not_send(error.listener, now_of(now));
        }
        // WHY the policy is not told here: it hears of each branch that fails by it. An error that our own probe
        // drew says nothing of calls, least of all of a gateway that has never answered one.
        let now = now_of(now);
        self.proxy.on_unreachable(now, error.peer, &mut outbox(out, &mut self.pending));
    }

    fn on_timer(&mut self, now: engine::Now, token: u64, out: &mut Outbox<'_, Letter>) {
        if let Some(token) = TimerToken::from_bits(token) {
            self.proxy.on_timer(now_of(now), token, &mut outbox(out, &mut self.pending));
        }
    }

    fn on_letter(&mut self, now: engine::Now, letter: Letter, out: &mut Outbox<'_, Letter>) {
        let now = now_of(now);
        match letter {
            Letter::Install(tables) => {
                let tables = self.proxy.policy.install(tables, now);
                self.post(LANES, Letter::Retired { shard: self.shard, tables }, out);
            }
            Letter::Snapshot(mut snapshot) => {
                self.fill(&mut snapshot);
                self.post(LANES, Letter::Snapshot(snapshot), out);
            }
            Letter::Serve(serving) => self.proxy.policy.serve(serving_of(serving)),
            Letter::Gateway(event) => self.proxy.policy.apply_event(event, now),
            Letter::Answer(question) => {
                let answer: Answer = answer_of(&question);
                if let Some(ticket) = self.pending.names.home(question) {
                    self.proxy.on_answer(now, ticket, answer, &mut outbox(out, &mut self.pending));
                }
            }
            Letter::JournalBack(batch) => self.batch_back(batch),
            Letter::JournalMended => self.proxy.policy.registrar().into_iter().for_each(Registrar::mend),
            Letter::JournalRound(round) => {
                self.proxy.policy.registrar().into_iter().for_each(|registrar| registrar.rewrite(round));
            }
            Letter::RecordsBack(batch) => self.records_back(batch),
            Letter::RecordsClosed(closed) => {
                self.proxy.policy.records().into_iter().for_each(|records| records.close(closed));
            }
            Letter::Look(mut look) => {
                self.proxy.policy.registrar().into_iter().for_each(|registrar| registrar.look(&mut look, now));
                self.post(LANES, Letter::Look(look), out);
            }
            Letter::Unregister(mut asked) => {
                asked.removed = match self.proxy.policy.registrar() {
                    Some(registrar) => registrar.remove(&asked.domain, &asked.user),
                    None => Some(0),
                };
                self.post(LANES, Letter::Unregister(asked), out);
            }
            Letter::LookAtCalls(mut look) => {
                self.proxy.policy.look_at_calls(&mut look, now);
                self.post(LANES, Letter::LookAtCalls(look), out);
            }
            Letter::EndCall(mut asked) => {
                self.proxy.policy.end_call(&mut asked);
                self.post(LANES, Letter::EndCall(asked), out);
            }
            Letter::Ask(question) => self.answer_question(now, question, out),
            Letter::Answered(question) => {
                let answer = Answer::Module(question.answer);
                self.proxy.policy.take_answer(question.bytes());
                if let Some(ticket) = self.pending.modules.home(question) {
                    let mut out = outbox(out, &mut self.pending);
                    self.proxy.on_answer(now, ticket, answer, &mut out);
                }
            }
            Letter::Errand(mut errand) => {
                errand.run(&mut self.proxy.policy, now);
                self.post(LANES, Letter::Errand(errand), out);
            }
            Letter::Outfit(mut outfit) => {
                outfit.put_on(self);
                self.post(LANES, Letter::Outfit(outfit), out);
            }
            Letter::Export => {
                let exported = Letter::Exported { shard: self.shard, state: self.export(now) };
                self.post(LANES, exported, out);
            }
            Letter::Import(states) => {
                let taken = self.import(now, &states, out);
                self.post(LANES, Letter::Imported { shard: self.shard, states, taken }, out);
            }
            // Never sent to a shard.
            Letter::Journal(_)
            | Letter::Records(_)
            | Letter::Retired { .. }
            | Letter::Question(_)
            | Letter::Exported { .. }
            | Letter::Imported { .. } => {}
        }
    }

    fn wake_at(&self) -> Option<engine::Mono> {
        if self.pending.replies.is_due() || self.pending.answers.is_due() {
            return Some(engine::Mono(0));
        }
        self.proxy.policy.deadline().map(|moment| engine::Mono(moment.0))
    }

    fn on_turn_end(&mut self, now: engine::Now, out: &mut Outbox<'_, Letter>) {
        let now = now_of(now);
        if self.proxy.policy.deadline().is_some_and(|moment| moment <= now.mono) {
            self.proxy.policy.on_deadline(now);
            while let Some(probe) = self.proxy.policy.next_probe(now) {
                self.send_probe(now, &probe, out);
            }
            while let Some(request) = self.proxy.policy.next_request_of_call() {
                self.send_within_call(now, request, out);
            }
            while let Some(keep_alive) = self.proxy.policy.next_keep_alive(now) {
                self.send_keep_alive(&keep_alive, out);
            }
        }
        self.spread_events(out);
        self.keep_registrations(out);
        self.keep_records(out);
    }
}

/// A phone asks whether its flow is open (RFC 5626 §3.5.1, §4.4.1). WHY over UDP too, where the RFC has STUN: phones
/// send it there as well, and an answer half as long as the question serves no attacker.
const PING: &[u8] = b"\r\n\r\n";

/// And is told that it is.
fn pong(source: &Endpoint, out: &mut impl proto::proxy::Outbox) {
    let local = (!source.local.ip().is_unspecified()).then(|| source.local.ip());
    let back = Egress { listener: source.listener, local, peer: source.peer, flow: source.flow };
    out.transmit(&back, |out| out.put(b"\r\n"));
}

/// The shard of so many that owns a message, if that is another than this one.
fn owner_elsewhere(keys: &Keys, shard: ShardId, shards: u16, message: &Message<'_>) -> Option<ShardId> {
    if shards == 1 {
        return None;
    }
    let owner = steer::shard_of_slot(steer::slot_of(keys, message), shards);
    // INVARIANT: there are at most SHARDS_MAX shards, so the number fits.
    u8::try_from(owner).ok().map(ShardId).filter(|owner| *owner != shard)
}

/// What may be shed first when another shard cannot keep up: new calls, and REGISTERs, which may come in crowds.
fn class_of(message: &Message<'_>) -> Class {
    let begins = match message.method() {
        Method::Invite => message.to_tag().is_empty(),
        method => method == Method::Register,
    };
    if message.is_request() && begins { Class::NewCall } else { Class::Other }
}

pub(crate) fn outbox<'a, 'b>(engine: &'a mut Outbox<'b, Letter>, pending: &'a mut Pending) -> ShardOutbox<'a, 'b> {
    ShardOutbox { engine, pending }
}

const fn now_of(now: engine::Now) -> Now {
    Now { mono: Mono(now.mono.0), wall: Wall(now.wall.0) }
}

const fn serving_of(serving: Serving) -> modules::Serving {
    match serving {
        Serving::Normal => modules::Serving::Normal,
        Serving::Leaving => modules::Serving::Leaving,
        Serving::Refusing => modules::Serving::Refusing,
    }
}
