//! What is known about one gateway address: probes and calls together.
//!
//! Health belongs to the address: gateways of several sets that share one are judged together, and it
//! is probed once. The breaker (calls) and the probes each have their say; an operator overrules both.

use super::breaker::{Breaker, Moved, Position};
use super::rules::{ProbeRules, Rules};
use proto::time::{Micros, Mono, Now, Wall};

/// State of a gateway, as `tandem gateways` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Gets its share of calls.
    Up,
    /// Was down; a few calls try.
    Trying,
    /// Gets no calls while another is up.
    Down,
    /// Gets no new calls; those that it has go on. By an operator.
    Draining,
    /// Gets no calls. By an operator.
    Disabled,
    /// Its name has no address.
    Unresolved,
}

impl State {
    /// All, in the order of their numbers.
    pub const ALL: [State; 6] =
        [State::Up, State::Trying, State::Down, State::Draining, State::Disabled, State::Unresolved];

    /// The operators' word.
    pub const fn label(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Trying => "trying",
            State::Down => "down",
            State::Draining => "draining",
            State::Disabled => "disabled",
            State::Unresolved => "unresolved",
        }
    }
}

/// Why a gateway is in its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Why {
    /// All start up.
    #[default]
    Start,
    /// Probes are answered again.
    ProbesAnswered,
    /// Probes are not answered, or answered by 503.
    ProbesMissed,
    /// Calls got no response.
    NoResponse,
    /// The network reported it unreachable.
    Unreachable,
    /// Calls got nothing but 503.
    Answers503,
    /// A call got a response.
    CallAnswered,
    /// Its time is over, or probes are answered: calls try.
    Trial,
    /// An operator said so.
    Operator,
    /// Its name has no address.
    NoAddress,
}

impl Why {
    /// A few words for a table.
    pub const fn label(self) -> &'static str {
        match self {
            Why::Start => "start",
            Why::ProbesAnswered => "probes answered",
            Why::ProbesMissed => "probes missed",
            Why::NoResponse => "calls got no response",
            Why::Unreachable => "unreachable",
            Why::Answers503 => "nothing but 503",
            Why::CallAnswered => "call answered",
            Why::Trial => "calls try",
            Why::Operator => "operator",
            Why::NoAddress => "no address",
        }
    }
}

/// What is known about one address.
#[derive(Clone, Copy, Debug, Default)]
pub struct Health {
    breaker: Breaker,
    probes: Probes,
    since: Wall,
    why: Why,
}

#[derive(Clone, Copy, Debug, Default)]
struct Probes {
    /// It answered one once: from then on their absence means something.
    ever_answered: bool,
    /// The last one was answered.
    last_answered: bool,
    missed: u32,
    answered: u32,
    down: bool,
    latency: Micros,
}

impl Health {
    /// Health at start: up since `now`.
    pub fn new(now: Wall) -> Self {
        Health { since: now, ..Health::default() }
    }

    /// The state as far as probes and calls say.
    pub const fn state(&self) -> State {
        match self.breaker.position() {
            Position::Open { .. } => State::Down,
            _ if self.probes.down => State::Down,
            Position::HalfOpen { .. } => State::Trying,
            Position::Closed => State::Up,
        }
    }

    /// Whether a call may be sent there now.
    pub const fn lets_pass(&self) -> bool {
        !self.probes.down && self.breaker.lets_pass()
    }

    /// Down by probes, but no call has anything to say against it.
    pub const fn down_by_probes_alone(&self) -> bool {
        self.probes.down && matches!(self.breaker.position(), Position::Closed)
    }

    /// Since when it is in its state.
    pub const fn since(&self) -> Wall {
        self.since
    }

    /// Why it is in its state.
    pub const fn why(&self) -> Why {
        self.why
    }

    /// How long the last answered probe took; zero: none was.
    pub const fn latency(&self) -> Micros {
        self.probes.latency
    }

    /// A call is being sent there.
    pub fn sending(&mut self, now: Mono) {
        self.breaker.sending(now);
    }

    /// A call got a response in time.
    pub fn response(&mut self, status: u16, rules: &Rules, now: Now) -> Moved {
        let Some(breaker) = &rules.breaker else { return Moved::No };
        let moved = self.breaker.response(status, breaker, now.mono);
        self.note(moved, if status == 503 { Why::Answers503 } else { Why::CallAnswered }, now)
    }

    /// A call sent at `sent` got nothing.
    pub fn silence(&mut self, sent: Mono, rules: &Rules, now: Now) -> Moved {
        let Some(breaker) = &rules.breaker else { return Moved::No };
        let moved = self.breaker.silence(sent, breaker, now.mono);
        self.note(moved, Why::NoResponse, now)
    }

    /// The network reported it unreachable.
    pub fn unreachable(&mut self, rules: &Rules, now: Now) -> Moved {
        let Some(breaker) = &rules.breaker else { return Moved::No };
        let moved = self.breaker.unreachable(breaker, now.mono);
        self.note(moved, Why::Unreachable, now)
    }

    /// Another shard found that calls get nothing but 503.
    pub fn refuses(&mut self, rules: &Rules, now: Now) -> Moved {
        let Some(breaker) = &rules.breaker else { return Moved::No };
        let moved = self.breaker.refuses(breaker, now.mono);
        self.note(moved, Why::Answers503, now)
    }

    /// A probe was answered. Any response but 503 means alive.
    pub fn probe_answered(&mut self, status: u16, latency: Micros, rules: &ProbeRules, now: Now) -> Moved {
        if status == 503 {
            return self.probe_missed(rules, now);
        }
        let probes = &mut self.probes;
        probes.ever_answered = true;
        probes.last_answered = true;
        probes.missed = 0;
        probes.answered = probes.answered.saturating_add(1);
        probes.latency = latency;
        if probes.answered < rules.up_after {
            return Moved::No;
        }
        let returned = core::mem::take(&mut probes.down);
        let tries = self.breaker.probes_answered();
        let moved = if returned || tries == Moved::Yes { Moved::Yes } else { Moved::No };
        self.note(moved, if tries == Moved::Yes { Why::Trial } else { Why::ProbesAnswered }, now)
    }

    /// A probe was not answered in time, or by 503, or the network reported the address unreachable.
    pub fn probe_missed(&mut self, rules: &ProbeRules, now: Now) -> Moved {
        let probes = &mut self.probes;
        probes.last_answered = false;
        probes.answered = 0;
        probes.missed = probes.missed.saturating_add(1);
        if !probes.ever_answered || probes.down || probes.missed < rules.down_after {
            return Moved::No;
        }
        probes.down = true;
        self.note(Moved::Yes, Why::ProbesMissed, now)
    }

    /// Time passes.
    pub fn tick(&mut self, now: Now) -> Moved {
        let probe_allows = !self.probes.ever_answered || self.probes.last_answered;
        let moved = self.breaker.tick(probe_allows, now.mono);
        self.note(moved, Why::Trial, now)
    }

    /// Probes or the breaker are off since the last reload: what they said is void.
    pub fn forget(&mut self, rules: &Rules) {
        if rules.probe.is_none() {
            self.probes = Probes::default();
        }
        if rules.breaker.is_none() {
            self.breaker = Breaker::default();
        }
    }

    /// When [`Health::tick`] could next change something.
    pub const fn deadline(&self) -> Option<Mono> {
        self.breaker.deadline()
    }

    /// Whether it is probed at the slow pace: up, and its last probe was answered.
    pub const fn is_steady(&self) -> bool {
        self.probes.last_answered && matches!(self.state(), State::Up)
    }

    fn note(&mut self, moved: Moved, why: Why, now: Now) -> Moved {
        if moved == Moved::Yes {
            self.since = now.wall;
            self.why = why;
            if matches!(self.breaker.position(), Position::Open { .. }) {
                // Probes answered before this say nothing about what comes after it.
                self.probes.answered = 0;
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probing() -> ProbeRules {
        ProbeRules::default()
    }

    fn rules() -> Rules {
        Rules { breaker: Some(super::super::rules::BreakerRules::default()), probe: Some(probing()) }
    }

    fn at(seconds: u64) -> Now {
        Now { mono: Mono(1_000_000_000 + seconds * 1_000_000), wall: Wall(seconds * 1_000_000) }
    }

    #[test]
    fn down_after_three_missed_and_up_after_two_answered() {
        let mut health = Health::new(Wall(0));
        health.probe_answered(200, Micros(900), &probing(), at(0));
        assert_eq!(
            [health.probe_missed(&probing(), at(1)), health.probe_missed(&probing(), at(2))],
            [Moved::No, Moved::No]
        );
        assert_eq!(health.state(), State::Up);
        assert_eq!(health.probe_missed(&probing(), at(3)), Moved::Yes);
        assert_eq!((health.state(), health.why(), health.since()), (State::Down, Why::ProbesMissed, at(3).wall));
        assert!(health.down_by_probes_alone() && !health.lets_pass());
        assert_eq!(health.probe_answered(404, Micros(1), &probing(), at(4)), Moved::No);
        assert_eq!(health.probe_answered(483, Micros(2), &probing(), at(5)), Moved::Yes);
        assert_eq!((health.state(), health.why(), health.latency()), (State::Up, Why::ProbesAnswered, Micros(2)));
    }

    #[test]
    fn one_that_never_answered_a_probe_is_judged_by_calls_alone() {
        let mut health = Health::new(Wall(0));
        for n in 0..10 {
            health.probe_missed(&probing(), at(n));
        }
        assert_eq!(health.state(), State::Up);
        health.unreachable(&rules(), at(20));
        assert_eq!((health.state(), health.why()), (State::Down, Why::Unreachable));
        health.probe_missed(&probing(), at(21));
        health.tick(at(30));
        assert_eq!(health.state(), State::Trying, "its silence to probes means nothing");
    }

    #[test]
    fn a_503_to_a_probe_is_a_miss() {
        let mut health = Health::new(Wall(0));
        health.probe_answered(200, Micros(1), &probing(), at(0));
        for n in 1..=3 {
            health.probe_answered(503, Micros(1), &probing(), at(n));
        }
        assert_eq!(health.state(), State::Down);
    }

    #[test]
    fn answered_probes_let_calls_try_and_a_call_closes_it() {
        let mut health = Health::new(Wall(0));
        health.probe_answered(200, Micros(1), &probing(), at(0));
        health.unreachable(&rules(), at(1));
        health.probe_missed(&probing(), at(2));
        health.tick(at(60));
        assert_eq!(health.state(), State::Down, "it answers probes, and does not now");
        health.probe_answered(200, Micros(1), &probing(), at(61));
        health.probe_answered(200, Micros(1), &probing(), at(62));
        assert_eq!((health.state(), health.why()), (State::Trying, Why::Trial));
        assert!(health.lets_pass());
        for _ in 0..3 {
            health.response(100, &rules(), at(63));
        }
        assert_eq!((health.state(), health.why()), (State::Up, Why::CallAnswered));
    }
}
