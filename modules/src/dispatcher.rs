//! The dispatcher: which gateway of a set gets a request, and what is known about each.
//!
//! One value a shard; all of it is allocated when it is made. [`Dispatcher::place`] is the last stage of
//! point 1, [`failover`] is point 4. What happens to requests comes in by [`outcome`], what other shards
//! learnt by [`Dispatcher::apply`].

pub mod breaker;
pub mod event;
pub mod failover;
pub mod figures;
mod hash;
pub mod health;
mod outcome;
pub mod probe;
mod request_uri;
pub mod rules;

use crate::note::Note;
use crate::tables::{Gateway, Mark, Number, Set, Tables};
use algorithms::smooth::Credit;
use algorithms::{Candidate, Choice, Memory, Random, kamailio};
use event::Events;
use figures::Figures;
use health::{Health, State, Why};
use probe::Schedule;
use proto::hash::Secret;
use proto::message::Method;
use proto::policy::{BySource, Inbound, Target, TargetSet};
use proto::time::{Micros, Mono, Now, Wall};

/// What a dispatcher is made with.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// This shard.
    pub shard: usize,
    /// Shards in all.
    pub shards: usize,
    /// Key of hash algorithms: the same on every node and after a restart, or calls move.
    pub choice_secret: Secret,
    /// Seed of this shard's random numbers.
    pub seed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Dispatcher {
    setup: Setup,
    /// By gateway slot.
    gateways: Vec<GatewayState>,
    /// By gateway slot.
    credits: Vec<Credit>,
    /// By address slot.
    addresses: Vec<AddressState>,
    /// By set slot.
    sets: Vec<SetState>,
    random: Random,
    /// What may be chosen now: filled for each choice.
    candidates: Vec<Candidate>,
    /// Gateways of the set that have a weight, among which candidates have their places.
    places: u16,
    events: Events,
    schedule: Schedule,
    /// When the first breaker could move by time.
    next_tick: Option<Mono>,
    /// By listener: when something could not leave by it last.
    unsent: [Option<Mono>; limits::LISTENERS_MAX],
}

/// What a shard knows of a gateway.
#[derive(Clone, Copy, Debug, Default)]
struct GatewayState {
    number: Option<Number>,
    figures: Figures,
}

/// What a shard knows of an address.
#[derive(Clone, Copy, Debug, Default)]
struct AddressState {
    number: Option<Number>,
    health: Health,
}

/// What the algorithm of a set remembers.
#[derive(Clone, Copy, Debug, Default)]
struct SetState {
    number: Option<Number>,
    total: u64,
    turn: u32,
}

/// The Request-URI for a gateway does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriTooLong;

/// Sets that a set may overflow to, one after the other.
const OVERFLOWS_MAX: usize = 8;

impl Dispatcher {
    /// Makes one with all gateways of `tables` up since `now`.
    pub fn new(setup: Setup, tables: &Tables, now: Now) -> Self {
        let mut dispatcher = Dispatcher {
            gateways: vec![GatewayState::default(); limits::GATEWAYS_MAX],
            credits: vec![Credit::default(); limits::GATEWAYS_MAX],
            addresses: vec![AddressState::default(); limits::GATEWAYS_MAX],
            sets: vec![SetState::default(); limits::SETS_MAX],
            random: Random::new(setup.seed),
            candidates: Vec::with_capacity(limits::SET_GATEWAYS_MAX),
            places: 0,
            events: Events::default(),
            schedule: Schedule::new(setup.shard, setup.shards, setup.seed),
            next_tick: None,
            unsent: [None; limits::LISTENERS_MAX],
            setup,
        };
        dispatcher.install(tables, now);
        dispatcher
    }

    /// Other tables hold now. State of what stays is kept; what came anew starts up.
    pub fn install(&mut self, tables: &Tables, now: Now) {
        for gateway in tables.gateways.iter().flatten() {
            let slot = gateway.number.slot();
            let Some(state) = self.gateways.get_mut(slot) else { continue };
            if state.number != Some(gateway.number) {
                *state = GatewayState { number: Some(gateway.number), ..GatewayState::default() };
                self.credits.get_mut(slot).into_iter().for_each(|credit| *credit = Credit::default());
            }
        }
        for address in tables.addresses.iter().flatten() {
            let Some(state) = self.addresses.get_mut(address.number.slot()) else { continue };
            if state.number != Some(address.number) {
                *state = AddressState { number: Some(address.number), health: Health::new(now.wall) };
            }
            state.health.forget(&address.rules);
        }
        for set in tables.sets.iter().flatten() {
            let Some(state) = self.sets.get_mut(set.number.slot()) else { continue };
            if state.number != Some(set.number) {
                *state = SetState { number: Some(set.number), ..SetState::default() };
            }
        }
        self.schedule.install(tables, now);
        self.set_next_tick();
    }

    /// Chooses a gateway (for `parallel`: all) of `set` or of those that it overflows to, among those not
    /// tried yet. False: there is none.
    ///
    /// # Errors
    /// The new Request-URI is too long.
    pub fn place(
        &mut self,
        tables: &Tables,
        set: Number,
        request: &Inbound<'_>,
        note: &mut Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Result<bool, UriTooLong> {
        self.tick(tables, now);
        let mut next = tables.set(set);
        for _ in 0..OVERFLOWS_MAX {
            let Some(set) = next else { break };
            note.set = Some(set.number);
            if self.choose(tables, set, request, note, targets, now)? {
                return Ok(true);
            }
            next = set.overflow.and_then(|number| tables.set(number));
        }
        Ok(false)
    }

    /// Chooses among the gateways of this set that were not tried yet. False: there is none.
    fn choose(
        &mut self,
        tables: &Tables,
        set: &Set,
        request: &Inbound<'_>,
        note: &mut Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Result<bool, UriTooLong> {
        let advance = note.tried_of_set() > 0;
        loop {
            self.gather(tables, set, note);
            if self.candidates.is_empty() {
                return Ok(!targets.is_empty());
            }
            let Some(gateway) = self.pick(tables, set, request, advance) else { return Ok(false) };
            self.send_to(gateway, set, request, note, targets, now)?;
            if !set.algorithm.parallel || note.attempts.len() >= limits::BRANCHES_MAX {
                return Ok(true);
            }
        }
    }

    /// Fills the candidates: gateways that may get a call, were not tried, and are not full. Nobody up:
    /// those that are down by probes alone, since calls may pass where OPTIONS do not. Those of weight 0
    /// stand in when no other is left.
    fn gather(&mut self, tables: &Tables, set: &Set, note: &Note) {
        self.gather_where(tables, set, note, Health::lets_pass);
        if self.candidates.is_empty() {
            self.gather_where(tables, set, note, Health::down_by_probes_alone);
        }
        if self.candidates.iter().any(|candidate| candidate.weight > 0) {
            self.candidates.retain(|candidate| candidate.weight > 0);
        } else {
            self.candidates.iter_mut().for_each(|candidate| candidate.weight = 1);
        }
    }

    fn gather_where(&mut self, tables: &Tables, set: &Set, note: &Note, may: fn(&Health) -> bool) {
        self.candidates.clear();
        self.places = 0;
        for gateway in tables.gateways_of(set) {
            let slot = gateway.number.slot();
            let place = self.places;
            self.places += u16::from(gateway.weight > 0);
            let Some(state) = self.gateways.get(slot) else { continue };
            let load = state.figures.load();
            let healthy = health_of(&self.addresses, gateway).is_some_and(may);
            if healthy
                && gateway.mark.is_none()
                && !self.is_full(gateway, load)
                && !note.attempts.contains(gateway.number)
            {
                let (weight, priority, key) = (gateway.weight, gateway.priority, gateway.key);
                // INVARIANT: a set has at most SET_GATEWAYS_MAX gateways, so this never allocates.
                self.candidates.push(Candidate { slot, weight, priority, place, key, load });
            }
        }
    }

    /// Whether this shard's part of the gateway's bound of calls is used up. The parts add up to the bound.
    fn is_full(&self, gateway: &Gateway, load: u32) -> bool {
        let Some(all) = gateway.calls_max else { return false };
        let (shard, shards) = (self.setup.shard as u64, (self.setup.shards as u64).max(1));
        let part = u64::from(all) / shards + u64::from(shard < u64::from(all) % shards);
        u64::from(load) >= part
    }

    fn pick<'t>(&mut self, tables: &'t Tables, set: &Set, request: &Inbound<'_>, advance: bool) -> Option<&'t Gateway> {
        let hash = match set.algorithm.hashes {
            Some(subject) if set.compat => hash::kamailios(subject, set, request),
            Some(subject) => hash::own(&self.setup.choice_secret, subject, tables, set, request),
            None => 0,
        };
        let choose = if set.compat { kamailio::choose } else { set.algorithm.choose };
        let state = self.sets.get_mut(set.number.slot())?;
        let mut choice = Choice {
            candidates: &mut self.candidates,
            advance,
            hash,
            places: self.places,
            bounded: set.bounded,
            memory: Memory {
                credits: &mut self.credits,
                total: &mut state.total,
                turn: &mut state.turn,
                random: &mut self.random,
            },
        };
        let position = choose(&mut choice);
        let chosen = self.candidates.get(position).or_else(|| self.candidates.first())?;
        tables.gateways.get(chosen.slot)?.as_ref()
    }

    fn send_to(
        &mut self,
        gateway: &Gateway,
        set: &Set,
        request: &Inbound<'_>,
        note: &mut Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Result<(), UriTooLong> {
        let Some(next_hop) = gateway.address else { return Ok(()) };
        let target = Target {
            gateway: gateway.number.0,
            listener: gateway.listener,
            by_source: BySource::Neither,
            next_hop,
            flow: 0,
            no_response: set.no_response,
        };
        let pushed = if set.rewrite {
            targets.push_with_uri(target, |out| request_uri::write(&request.request_uri, gateway, out))
        } else {
            targets.push(target)
        };
        if !pushed {
            return Err(UriTooLong);
        }
        note.attempts.push(gateway.number);
        let opens = !matches!(request.message.method(), Method::Ack | Method::Cancel);
        if let Some(state) = self.gateways.get_mut(gateway.number.slot()).filter(|_| opens) {
            state.figures.chosen(!set.stateless);
        }
        if set.stateless {
            // Nothing will be known of what becomes of it.
            return Ok(());
        }
        if let Some(health) = gateway.address_slot.and_then(|slot| self.health_mut(slot)) {
            health.sending(now.mono);
        }
        // A trial that never ends gives way to the next after a while.
        self.watch(gateway);
        Ok(())
    }

    /// The state of a gateway with since and why; an operator's word stands above what probes and calls say.
    fn state(&self, gateway: &Gateway) -> (State, Wall, Why) {
        let health = health_of(&self.addresses, gateway);
        let since = health.map_or(Wall(0), Health::since);
        match (gateway.mark, health) {
            (Some(Mark::Disabled), _) => (State::Disabled, since, Why::Operator),
            (Some(Mark::Draining), _) => (State::Draining, since, Why::Operator),
            (None, Some(health)) => (health.state(), since, health.why()),
            (None, None) => (State::Unresolved, since, Why::NoAddress),
        }
    }

    fn health_mut(&mut self, slot: u16) -> Option<&mut Health> {
        self.addresses.get_mut(usize::from(slot)).map(|state| &mut state.health)
    }

    /// Moves breakers whose time has come.
    pub fn tick(&mut self, tables: &Tables, now: Now) {
        if self.next_tick.is_none_or(|at| now.mono < at) {
            return;
        }
        for address in tables.addresses.iter().flatten() {
            if let Some(health) = self.health_mut(address.number.slot_index()) {
                health.tick(now);
            }
        }
        // A breaker whose time has come but whose probe is missing moves by the probe; look again in a while.
        self.set_next_tick();
        self.next_tick = self.next_tick.map(|at| at.max(now.mono.after(Micros::from_millis(100))));
    }

    /// When [`Dispatcher::tick`] has something to do next.
    pub const fn tick_deadline(&self) -> Option<Mono> {
        self.next_tick
    }

    fn set_next_tick(&mut self) {
        self.next_tick = self.addresses.iter().filter_map(|state| state.health.deadline()).min();
    }

    /// The gateway's breaker may have a deadline now.
    fn watch(&mut self, gateway: &Gateway) {
        let deadline = health_of(&self.addresses, gateway).and_then(Health::deadline);
        self.next_tick = match (self.next_tick, deadline) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
    }
}

fn health_of<'s>(addresses: &'s [AddressState], gateway: &Gateway) -> Option<&'s Health> {
    Some(&addresses.get(usize::from(gateway.address_slot?))?.health)
}
