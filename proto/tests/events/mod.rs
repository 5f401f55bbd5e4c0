//! Events against a proxy: calls, retransmissions, CANCELs, ACKs, responses of every kind from everywhere, answers,
//! timers, unreachable peers, hand-overs. The invariants of a proxy are watched from outside, on the wire. Drawn at
//! random by `proxy/random.rs`, read from bytes by the fuzz target `events` and the replay of its corpus.

pub mod bytes;
mod choices;
mod witness;

use crate::rig::World;
use choices::{Choices, GATEWAYS};
use proto::message::{Arena, Message};
use proto::policy::{Answer, Endpoint};
use proto::proxy::{Capacity, Occupancy, Proxy, Refused, Settings};
use proto::time::{Micros, Mono, Now, Wall};
use witness::{Owed, Sent, Witness};

const CALLERS: [&str; 2] = ["127.0.0.1:5090", "127.0.0.2:5090"];
const METHODS: [&str; 4] = ["INVITE", "INVITE", "MESSAGE", "OPTIONS"];
pub const STATUSES: [u16; 16] = [100, 100, 180, 183, 200, 200, 200, 202, 302, 401, 404, 407, 486, 503, 503, 603];

/// Room for everything.
pub const ROOM: Capacity = Capacity { transactions: 256, open: 256, branches: 512, bytes: 1 << 20 };

/// So little that pools are full.
pub const LITTLE: Capacity = Capacity { transactions: 8, open: 5, branches: 7, bytes: 2 << 16 };

/// One event; numbers choose among what there is when it happens.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A request; its call decides what the policy does with it.
    Request,
    Repeat(usize),
    Cancel(usize),
    Ack(usize),
    /// A response to something that was sent, possibly from elsewhere.
    Respond(usize, usize, bool),
    Answer(usize),
    Unreachable(usize),
    Pass(u64),
    HandOver,
}

struct Field {
    proxy: Proxy<Choices>,
    world: World,
    now: Now,
    witness: Witness,
}

impl Field {
    fn new(capacity: Capacity) -> Field {
        let settings = Settings { capacity, ..crate::rig::settings() };
        Field {
            proxy: Proxy::new(settings, Choices::default(), 7),
            world: World::default(),
            now: Now { mono: Mono(1_000_000), wall: Wall(0) },
            witness: Witness::default(),
        }
    }

    fn receive(&mut self, from: &str, text: &str) {
        let local = crate::rig::PROXY.parse().unwrap();
        let source = Endpoint { listener: 0, local, peer: from.parse().unwrap(), flow: 0 };
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).expect("a good message");
        self.proxy.on_message(self.now, &source, &message, &mut self.world);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request => {
                let (from, text) = self.witness.new_request(self.now.mono);
                self.receive(from, &text);
            }
            Event::Repeat(which) => {
                if let Some((from, text)) = self.witness.repeat(which, self.now.mono) {
                    self.receive(from, &text);
                }
            }
            Event::Cancel(which) => {
                if let Some((from, text)) = self.witness.cancel(which) {
                    self.receive(from, &text);
                }
            }
            Event::Ack(which) => {
                if let Some((from, text)) = self.witness.ack(which) {
                    self.receive(from, &text);
                }
            }
            Event::Respond(which, status, elsewhere) => self.respond(which, STATUSES[status], elsewhere),
            Event::Answer(which) => {
                let count = self.world.asked.len();
                if count > 0 {
                    let ticket = self.world.asked[which % count];
                    self.proxy.on_answer(self.now, ticket, Answer::Module(1), &mut self.world);
                }
            }
            Event::Unreachable(which) => {
                let gateway = GATEWAYS[which % GATEWAYS.len()].parse().unwrap();
                self.witness.unreachable(gateway);
                self.proxy.on_unreachable(self.now, gateway, &mut self.world);
            }
            Event::Pass(ms) => self.pass(ms),
            Event::HandOver => self.hand_over(),
        }
        self.look();
    }

    fn respond(&mut self, which: usize, status: u16, elsewhere: bool) {
        let Some(sent) = self.witness.answerable(which) else { return };
        let text = sent.answer(status);
        let from = if elsewhere { "127.0.9.9:5071".to_owned() } else { sent.to.to_string() };
        let owed = (!elsewhere).then(|| self.witness.heard(which, status, self.now.mono)).flatten();
        self.receive(&from, &text);
        let sent = |start: &str, part: &str| {
            self.world.sent.iter().filter(|(_, text)| text.starts_with(start) && text.contains(part)).count()
        };
        match owed {
            Some(Owed::Caller(tag)) => {
                assert_eq!(sent("SIP/2.0 2", &tag), 1, "a 2xx that did not reach the caller:\n{text}");
            }
            Some(Owed::Gateway(branch)) => {
                assert_eq!(sent("ACK ", &branch), 1, "a failure without its ACK:\n{text}");
            }
            None => {}
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.mono.after(Micros::from_millis(ms));
        while let Some((&(at, number), &token)) = self.world.timers.first_key_value() {
            if at > end {
                break;
            }
            self.world.timers.remove(&(at, number));
            self.now.mono = at;
            self.proxy.on_timer(self.now, token, &mut self.world);
            self.look();
        }
        self.now.mono = end;
    }

    fn hand_over(&mut self) {
        let mut frames = Vec::new();
        self.proxy.export(self.now, |frame| frames.push(frame.to_vec()));
        let settings = self.proxy.settings().clone();
        let mut fresh = Proxy::new(settings, std::mem::take(&mut self.proxy.policy), 43);
        fresh.counters = self.proxy.counters;
        self.world.timers.clear();
        for frame in frames {
            assert_eq!(fresh.import(self.now, &frame, |_| true, &mut self.world), Ok(true));
        }
        assert_eq!(fresh.occupancy(), self.proxy.occupancy());
        self.proxy = fresh;
    }

    /// After every event: what was sent, and the books.
    fn look(&mut self) {
        for (egress, text) in self.world.sent.drain(..) {
            self.witness.sent(Sent { to: egress.peer, text, at: self.now.mono });
        }
        self.witness.look();
        let counters = &self.proxy.counters;
        let refused = counters.refused[Refused::NoRoom as usize];
        let ended = self.proxy.policy.ends;
        let left = self.proxy.occupancy();
        assert_eq!(u64::from(left.open) + ended, counters.transactions + refused, "each transaction ends, and once");
        assert!(left.transactions >= left.open);
    }
}

/// All of it; then everything has to end.
pub fn run(capacity: Capacity, events: &[Event]) {
    let mut field = Field::new(capacity);
    for &event in events {
        field.happen(event);
    }
    // The longest: Timer C, the CANCEL's 64 T1, then Timer H.
    field.pass(185_000 * 4 + 64_000);
    assert_eq!(field.proxy.occupancy(), Occupancy::default(), "something is left");
    assert!(field.world.timers.is_empty(), "timers are left: {:?}", field.world.timers);
    assert!(field.proxy.quiet());
}
