//! One world: callers, Tandem, gateways and the network between them, from a seed to its end.

use crate::callers::Call;
use crate::faults::Fault;
use crate::gateways::Gateway;
use crate::network::{Conditions, Event, Network, SECOND};
use crate::scenario::{Scenario, TANDEM};
use crate::sip::Sip;
use crate::tandem::{self, Left, TIMER_C, Tandem};
use crate::witness::{Figures, Witness};
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
    sent: Vec<(SocketAddr, Vec<u8>)>,
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
    let address = SocketAddr::from(TANDEM);
    let mut net = Network::new(rng, scenario.conditions, print);
    let calls = scenario.calls.iter().enumerate();
    let calls = calls.map(|(number, plan)| Call::new(number, plan.clone(), address, &mut net)).collect();
    for (index, (at, _)) in scenario.reloads.iter().enumerate() {
        net.after(*at, Event::Reload(index));
    }
    let gateways = scenario.gateways.iter().enumerate();
    let gateways = gateways.map(|(number, plan)| {
        let mut gateway = Gateway::new(number, plan.address, address, plan.character);
        gateway.off = plan.off;
        gateway.refuses = plan.refuses;
        gateway
    });
    let witness = Witness::new(
        scenario.gateways.iter().map(|gateway| gateway.address),
        scenario.calls.iter().map(|call| call.caller),
    );
    let mut world = World {
        tandem: Tandem::start(&scenario, timers, seed),
        gateways: gateways.collect(),
        scenario,
        fault,
        net,
        calls,
        witness,
        sent: Vec::new(),
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
            let idle = self.tandem.idle_for(self.net.now).map(|idle| self.net.now + idle.max(1));
            let Some(next) = self.net.next_at().into_iter().chain(idle).min() else {
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
        let (counted, seen) = (self.tandem.counted(), self.witness.figures);
        if counted != (seen.invites, seen.answered) {
            let seen = (seen.invites, seen.answered);
            self.witness.violation(self.net.now, format!("tried and answered: {seen:?}, and counted {counted:?}"));
        }
        let byes: usize = self.calls.iter().map(Call::unanswered_byes).sum();
        if self.scenario.is_steady() && byes > 0 {
            self.witness.violation(self.net.now, format!("{byes} BYEs were not answered"));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Call(number, timer) => self.calls[number].on_timer(timer, &mut self.net),
            Event::Gateway(number, timer) => self.gateways[number].on_timer(timer, &mut self.net),
            Event::Reload(index) => {
                let (_, algorithm) = self.scenario.reloads[index];
                self.tandem.reload(&self.scenario.toml(algorithm));
            }
            Event::Datagram { from, to, bytes } => {
                self.net.note("arrives", from, to, &bytes);
                let Some(sip) = Sip::read(&bytes) else {
                    return self.witness.violation(self.net.now, format!("unreadable from {from} to {to}"));
                };
                if to == SocketAddr::from(TANDEM) {
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

    fn reach_tandem(&mut self, from: SocketAddr, sip: &Sip, bytes: &[u8]) {
        self.witness.delivered(self.net.now, from, sip);
        let shard = self.net.rng.usize(..usize::from(self.scenario.shards));
        if !self.fault.is_some_and(|fault| fault.loses(shard)) {
            self.tandem.deliver(shard, from, bytes);
        }
        self.settle();
        self.witness.settled(self.net.now);
    }

    /// The host of a gateway that does not run says so; one shard hears of it first.
    fn refuse(&mut self, gateway: SocketAddr) {
        self.net.note("refused", gateway, SocketAddr::from(TANDEM), &[]);
        self.witness.unreachable(gateway);
        let shard = self.net.rng.usize(..usize::from(self.scenario.shards));
        self.tandem.unreachable(shard, gateway);
    }

    /// Lets Tandem do what it has to do now.
    fn settle(&mut self) {
        let now = self.net.now;
        if !self.tandem.settle(now, &mut self.sent) {
            self.witness.violation(now, "Tandem turns without an end".to_owned());
        }
        for (to, bytes) in std::mem::take(&mut self.sent) {
            let Some(sip) = Sip::read(&bytes) else {
                self.witness.violation(now, format!("Tandem sent what cannot be read to {to}"));
                continue;
            };
            let distorted = match self.fault {
                Some(fault) => fault.distort(to, &sip, bytes),
                None => vec![(to, bytes)],
            };
            for (to, bytes) in distorted {
                if let Some(sip) = Sip::read(&bytes) {
                    self.witness.sent(now, to, &sip);
                }
                self.net.note("leaves", SocketAddr::from(TANDEM), to, &bytes);
                self.net.send(SocketAddr::from(TANDEM), to, &bytes);
            }
        }
    }
}
