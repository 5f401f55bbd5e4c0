//! One world: callers, Tandem, gateways and the network between them, from a seed to its end.

use crate::callers::Call;
use crate::faults::Fault;
use crate::file::File;
use crate::gateways::Gateway;
use crate::hand_over_faults;
use crate::network::{Conditions, Event, Network, SECOND};
use crate::scenario::{Change, HandOver, Scenario, tandem_for};
use crate::sip::Sip;
use crate::tandem::{self, InFlight, Left, TIMER_C, Tandem};
use crate::witness::{Figures, Witness};
use ::tandem::shard_hand_over::Taken;
use fastrand::Rng;
use std::net::SocketAddr;

/// How long Tandem may keep anything once all others are quiet: Timer C, the wait after its CANCEL, then the
/// longest of what absorbs (32 s); a call's entry lives for 60 s.
const AFTERMATH: u64 = TIMER_C + (32 + 32 + 60 + 5) * SECOND;

/// No world lasts longer.
const LONGEST: u64 = 3_600 * SECOND;

/// See the module.
struct World {
    scenario: Scenario,
    fault: Option<Fault>,
    net: Network,
    tandem: Tandem,
    calls: Vec<Call>,
    gateways: Vec<Gateway>,
    witness: Witness,
    sent: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// Nobody serves until then: a process is taking over.
    away_until: u64,
    /// The process before, if it goes on (a planted bug).
    ghost: Option<Tandem>,
}

/// How a world ended.
pub(crate) struct Outcome {
    pub(crate) scenario: Scenario,
    pub(crate) violations: Vec<String>,
    pub(crate) trace_hash: u64,
    pub(crate) figures: Figures,
}

/// Runs the world of `seed`.
pub(crate) fn run(seed: u64, fault: Option<Fault>, print: bool) -> Outcome {
    let mut rng = Rng::with_seed(seed);
    let scenario = Scenario::draw(&mut rng);
    let mut timers = tandem::timers();
    if let Some(fault) = fault {
        fault.break_timers(&mut timers);
    }
    let mut net = Network::new(rng, scenario.conditions, print);
    let calls = scenario.calls.iter().enumerate();
    let calls =
        calls.map(|(number, plan)| Call::new(number, plan.clone(), tandem_for(plan.caller), &mut net)).collect();
    for (index, change) in scenario.changes.iter().enumerate() {
        net.after(change.at, Event::Change(index));
    }
    let gateways = scenario.gateways.iter().enumerate();
    let gateways = gateways.map(|(number, plan)| {
        let mut gateway = Gateway::new(number, plan.address, tandem_for(plan.address), plan.character);
        gateway.off = plan.off;
        gateway.refuses = plan.refuses;
        gateway
    });
    let mut witness = Witness::new(
        scenario.gateways.iter().map(|gateway| gateway.address),
        scenario.calls.iter().map(|call| call.caller),
    );
    witness.reads(&scenario.file);
    witness.choices_move = scenario.file.stateless && scenario.health_may_move();
    let mut world = World {
        tandem: Tandem::start(&scenario, timers, seed),
        gateways: gateways.collect(),
        scenario,
        fault,
        net,
        calls,
        witness,
        sent: Vec::new(),
        away_until: 0,
        ghost: None,
    };
    world.live();
    Outcome {
        scenario: world.scenario,
        violations: world.witness.violations,
        trace_hash: world.net.trace_hash(),
        figures: world.witness.figures,
    }
}

impl World {
    fn live(&mut self) {
        let mut quiet_since = None;
        loop {
            self.settle();
            if let Some(event) = self.net.take_due() {
                self.happen(event);
                continue;
            }
            if self.net.is_quiet() {
                self.calm(quiet_since.is_none());
                let since = *quiet_since.get_or_insert(self.net.now);
                let left = self.tandem.left();
                if left == Left::default() {
                    break;
                }
                if self.net.now > since + AFTERMATH {
                    self.witness.violation(self.net.now, format!("kept for ever: {left:?}"));
                    break;
                }
            }
            let idle = self.tandem.idle_for(self.net.now).map(|idle| (self.net.now + idle.max(1)).max(self.away_until));
            let ghost = self.ghost.as_ref().and_then(|ghost| ghost.idle_for(self.net.now));
            let ghost = ghost.map(|idle| self.net.now + idle.max(1));
            let Some(next) = self.net.next_at().into_iter().chain(idle).chain(ghost).min() else {
                let left = self.tandem.left();
                self.witness.violation(self.net.now, format!("nothing will happen, and there is left {left:?}"));
                break;
            };
            self.net.now = next;
            if next > LONGEST {
                self.witness.violation(next, "the world does not end".to_owned());
            }
            if !self.witness.violations.is_empty() {
                break;
            }
        }
        self.end();
    }

    /// The calls are over: probes are answered from now on, so that none is under way for ever.
    fn calm(&mut self, first: bool) {
        if first {
            self.net.conditions = Conditions { loss: 0.0, duplication: 0.0, delay: 0.0 };
            self.gateways.iter_mut().for_each(Gateway::repair);
        }
    }

    fn end(&mut self) {
        if !self.witness.violations.is_empty() {
            return;
        }
        self.witness.finish(self.net.now, self.scenario.conditions.loss == 0.0);
        let counted = self.tandem.counted();
        // The figures of a gateway that was taken away are lost, and of what is stateless no end is known.
        let always = if self.scenario.file.stateless { Vec::new() } else { self.scenario.always_listed() };
        for gateway in always {
            let (seen, counted) = (self.witness.seen_of(gateway), counted.get(&gateway).copied().unwrap_or_default());
            if counted != seen {
                let what = format!("{gateway} was tried and answered {seen:?}, and counted {counted:?}");
                self.witness.violation(self.net.now, what);
            }
        }
        let unanswered: usize = self.calls.iter().map(Call::unanswered).sum();
        if self.scenario.is_steady() && unanswered > 0 {
            self.witness.violation(self.net.now, format!("{unanswered} requests in dialogs were not answered"));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Call(number, timer) => self.calls[number].on_timer(timer, &mut self.net),
            Event::Gateway(number, timer) => self.gateways[number].on_timer(timer, &mut self.net),
            Event::Change(index) => self.change(index),
            Event::Datagram { from, to, bytes } => {
                self.net.note("arrives", from, to, &bytes);
                let Some(sip) = Sip::read(&bytes) else {
                    return self.witness.violation(self.net.now, format!("unreadable from {from} to {to}"));
                };
                if to == tandem_for(to) {
                    self.reach_tandem(from, &sip, &bytes);
                } else if let Some(gateway) = self.gateways.iter_mut().find(|gateway| gateway.address == to) {
                    gateway.on_message(&sip, &mut self.net);
                    if gateway.refuses && gateway.is_off(self.net.now) {
                        self.refuse(to);
                    }
                } else if let Some(call) = Call::number_of(&sip.call_id).and_then(|number| self.calls.get_mut(number)) {
                    call.on_message(&sip, &mut self.net);
                }
            }
        }
    }

    /// A new file, by a reload or in a new process.
    fn change(&mut self, index: usize) {
        if self.net.now < self.away_until {
            return self.net.after(self.away_until - self.net.now, Event::Change(index));
        }
        let Change { file, hand_over, .. } = self.scenario.changes[index].clone();
        match hand_over {
            None => self.tandem.reload(&file),
            Some(next) => self.hand_over(next, &file),
        }
        self.witness.reads(&file);
    }

    /// A new process goes on with everything that is in flight.
    fn hand_over(&mut self, next: HandOver, file: &File) {
        let before = self.tandem.in_flight();
        let mut states = self.tandem.export(self.net.now);
        let later = self.net.now + next.gap;
        let mut successor = self.tandem.successor(next, file, later);
        if let Some(fault) = self.fault {
            states = hand_over_faults::distort(fault, &states, &successor.names());
        }
        let (taken, readers) = successor.import(states, later);
        self.away_until = later;
        let old = std::mem::replace(&mut self.tandem, successor);
        self.ghost = self.fault.is_some_and(|fault| fault == Fault::LivesOn).then_some(old);
        // What was planted must be found on the wire.
        if self.fault.is_none() {
            self.compare(&before, taken, readers, next.gap, file);
        }
    }

    /// The books of the new process are those of the old one.
    fn compare(&mut self, before: &InFlight, taken: Taken, readers: usize, gap: u64, file: &File) {
        let mut after = self.tandem.in_flight();
        let mut wanted = before.clone();
        wanted.charged.retain(|gateway, _| file.lists(*gateway));
        after.charged.retain(|gateway, _| wanted.charged.contains_key(gateway));
        let all = (taken.transactions, taken.calls, taken.refused, readers);
        // After a gap the new process has begun with what was due meanwhile.
        if gap == 0 && wanted != after || all != (before.transactions, before.calls, 0, self.tandem.shards()) {
            self.witness.violation(self.net.now, format!("handed over {wanted:?}, there is {after:?}; {taken:?}"));
        }
    }

    fn reach_tandem(&mut self, from: SocketAddr, sip: &Sip, bytes: &[u8]) {
        if self.net.now < self.away_until {
            let (to, bytes) = (tandem_for(from), bytes.to_vec());
            return self.net.after(self.away_until - self.net.now, Event::Datagram { from, to, bytes });
        }
        self.witness.delivered(self.net.now, from, sip);
        let shard = self.net.rng.usize(..self.tandem.shards());
        if !self.fault.is_some_and(|fault| fault.loses(shard)) {
            self.tandem.deliver(shard, from, bytes);
        }
        self.settle();
        self.witness.settled(self.net.now);
    }

    /// The host of a gateway that does not run says so; one shard hears of it first.
    fn refuse(&mut self, gateway: SocketAddr) {
        self.net.note("refused", gateway, tandem_for(gateway), &[]);
        self.witness.unreachable(gateway);
        let shard = self.net.rng.usize(..self.tandem.shards());
        self.tandem.unreachable(shard, gateway);
    }

    /// Lets Tandem do what it has to do now.
    fn settle(&mut self) {
        let now = self.net.now;
        if now < self.away_until {
            return;
        }
        let ghost = self.ghost.as_mut().is_none_or(|ghost| ghost.settle(now, &mut self.sent));
        if !self.tandem.settle(now, &mut self.sent) || !ghost {
            self.witness.violation(now, "Tandem turns without an end".to_owned());
        }
        for (from, to, bytes) in std::mem::take(&mut self.sent) {
            let Some(sip) = Sip::read(&bytes) else {
                self.witness.violation(now, format!("Tandem sent what cannot be read to {to}"));
                continue;
            };
            if from != tandem_for(to) {
                self.witness.violation(now, format!("to {to} from {from}"));
            }
            let distorted = match self.fault {
                Some(fault) => fault.distort(to, &sip, bytes),
                None => vec![(to, bytes)],
            };
            for (to, bytes) in distorted {
                if let Some(sip) = Sip::read(&bytes) {
                    self.witness.sent(now, to, &sip);
                }
                self.net.note("leaves", tandem_for(to), to, &bytes);
                self.net.send(tandem_for(to), to, &bytes);
            }
        }
    }
}
