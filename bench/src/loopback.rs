//! Both ends over a virtual network with loss, under a virtual clock: the state machines are proved
//! here, without sockets and without waiting. Tests only.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet},
    net::SocketAddr,
};

use proto::{
    message::{Arena, Message, Writer},
    time::{Micros, Mono},
};

use crate::{
    back_off::Timing,
    caller::{self, Caller, Kind},
    gateway::{self, Gateways, behaviour::Behaviour},
    identity::Run,
    message::requests::Registered,
    numbers::Numbers,
    report::{
        Book,
        tally::{Failure, Loss},
    },
    wire::{Token, Wire},
};

const CALLER: &str = "127.0.0.1:5090";
const GATEWAY: &str = "127.0.0.1:5071";
/// One-way delay of the virtual network.
const DELAY: Micros = Micros(1_000);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    Alarm { number: u64, token: u64 },
}

struct Net {
    now: Mono,
    events: BinaryHeap<Reverse<(Mono, u64, Event)>>,
    count: u64,
    disarmed: HashSet<u64>,
    random: fastrand::Rng,
    loss: f64,
    duplication: f64,
    sent: u64,
}

impl Wire for Net {
    type Alarm = u64;

    fn now(&self) -> Mono {
        self.now
    }

    fn send(&mut self, listener: u16, peer: SocketAddr, mut write: impl FnMut(&mut Writer<'_>)) -> bool {
        let mut room = vec![0; 4096];
        let mut out = Writer::new(&mut room);
        write(&mut out);
        let length = out.finish().unwrap();
        room.truncate(length);
        self.sent += 1;
        let from = [CALLER, GATEWAY][usize::from(listener)].parse().unwrap();
        let copies = 1 + usize::from(self.random.f64() < self.duplication);
        for _ in 0..copies {
            if self.random.f64() >= self.loss {
                let at = self.now.after(DELAY);
                let bytes = room.clone();
                self.push(at, Event::Datagram { from, to: peer, bytes });
            }
        }
        true
    }

    fn arm(&mut self, at: Mono, token: Token) -> u64 {
        let number = self.count;
        let token = token.pack();
        self.push(at, Event::Alarm { number, token });
        number
    }

    fn disarm(&mut self, alarm: u64) {
        self.disarmed.insert(alarm);
    }
}

impl Net {
    fn new(seed: u64, loss: f64) -> Self {
        Net {
            now: Mono(1_000_000),
            events: BinaryHeap::new(),
            count: 0,
            disarmed: HashSet::new(),
            random: fastrand::Rng::with_seed(seed),
            loss,
            duplication: loss / 3.0,
            sent: 0,
        }
    }

    fn push(&mut self, at: Mono, event: Event) {
        self.events.push(Reverse((at, self.count, event)));
        self.count += 1;
    }
}

struct World {
    net: Net,
    caller: Caller<u64>,
    gateways: Gateways<u64>,
    book: Book,
}

impl World {
    fn new(seed: u64, loss: f64, change: impl FnOnce(&mut caller::Settings), ways: Behaviour) -> Self {
        let net = Net::new(seed, loss);
        let mut settings = caller::Settings {
            run: Run(1),
            timing: Timing::default(),
            target: GATEWAY.parse().unwrap(),
            kind: Kind::Call,
            hold: Some(Micros(0)),
            patience: Micros::from_secs(60),
            cancel: (0.0, Micros(0)),
            large: 0.1,
            expected: Vec::new(),
            given: vec!["127.0.0.1".parse().unwrap()],
            numbers: Numbers::from(1, None),
            placing: None,
            registered: Registered::default(),
            places: 2_000,
            established: 2_000,
            seed,
            account: None,
        };
        change(&mut settings);
        let caller = Caller::new(settings, &[(0, CALLER.parse().unwrap())]);
        let gateways = Gateways::new(
            gateway::Settings {
                run: Run(1),
                timing: Timing::default(),
                given: vec!["127.0.0.1".parse().unwrap()],
                places: 2_000,
                hung_up_here: 2_000,
                ended: 10_000,
                seed,
                begin: net.now,
            },
            vec![(1, GATEWAY.parse().unwrap(), ways)],
        );
        World { net, caller, gateways, book: Book::new(1) }
    }

    /// Starts `calls` calls, one a millisecond, and runs until nothing happens any more.
    fn run(mut self, calls: u64) -> Self {
        for n in 0..calls {
            let at = self.net.now.after(Micros::from_millis(n));
            let token = Token::Start.pack();
            self.net.push(at, Event::Alarm { number: u64::MAX, token });
        }
        while let Some(Reverse((at, _, event))) = self.net.events.pop() {
            self.net.now = at;
            self.gateways.tick(at);
            match event {
                Event::Alarm { number, .. } if self.net.disarmed.remove(&number) => {}
                Event::Alarm { token, .. } => match Token::unpack(token).unwrap() {
                    Token::Start => self.caller.start(&mut self.net, &mut self.book, at),
                    Token::Caller(key) => self.caller.on_timer(&mut self.net, &mut self.book, key),
                    Token::Gateway(key) => {
                        self.gateways.on_timer(&mut self.net, &mut self.book, key);
                    }
                    Token::Tick => unreachable!("nobody armed it"),
                },
                Event::Datagram { from, to, bytes } => self.deliver(from, to, &bytes),
            }
        }
        assert_eq!(self.caller.active(), 0, "every call has ended");
        assert_eq!(self.gateways.active(), 0, "and at the gateway too");
        self
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let mut arena = Arena::new();
        let message = Message::parse(bytes, &mut arena).unwrap();
        if to == CALLER.parse().unwrap() {
            self.caller.on_message(&mut self.net, &mut self.book, 0, from, &message);
        } else {
            assert_eq!(to, GATEWAY.parse().unwrap(), "nobody else is written to");
            self.gateways.on_message(&mut self.net, &mut self.book, 0, from, &message);
        }
    }

    /// Every start has exactly one end, on both sides.
    fn check_sums(&self, calls: u64) {
        let (caller, gateway) = (&self.book.caller, &self.book.gateways[0]);
        assert_eq!(caller.started, calls);
        assert_eq!(caller.answered + caller.rejected + caller.failed(), calls);
        assert_eq!(caller.completed + caller.lost(), caller.answered);
        assert!(gateway.answered >= caller.answered);
    }
}

#[test]
fn without_loss_every_call_takes_seven_messages_of_the_proxy_and_six_of_its_own() {
    let world = World::new(1, 0.0, |_| {}, Behaviour::default()).run(1_000);
    world.check_sums(1_000);
    let caller = &world.book.caller;
    assert_eq!((caller.answered, caller.completed), (1_000, 1_000));
    assert_eq!(caller.invites_repeated + caller.requests_repeated, 0);
    assert_eq!(caller.strays + caller.repeated_finals, 0);
    // INVITE, 100, 180, 200, ACK, BYE, 200.
    assert_eq!(world.net.sent, 7_000);
}

#[test]
fn with_thirty_percent_loss_calls_end_in_order_as_often_as_repetition_allows() {
    let mut ended_in_order = 0;
    for seed in 0..20 {
        let world = World::new(seed, 0.3, |_| {}, Behaviour::default()).run(1_000);
        world.check_sums(1_000);
        let caller = &world.book.caller;
        ended_in_order += caller.completed;
        assert!(caller.invites_repeated > 100);
        assert!(caller.repeated_finals > 50);
        assert_eq!(caller.second_answers, 0, "no INVITE is taken for a new call");
    }
    // All seven INVITEs are lost with 0.3^7, all eleven BYEs or their answers with 0.51^11:
    // together 16 of 20,000 calls.
    assert!((19_960..20_000).contains(&ended_in_order), "{ended_in_order}");
}

#[test]
fn a_gateway_that_hangs_up_ends_calls_in_order_under_loss() {
    let ways = gateway::behaviour::Behaviours::read(
        "[[gateway]]\noutcomes=[{ring_after=\"10ms\",answer_after=\"100ms\",hold=\"2s\"}]",
    )
    .unwrap()
    .of(GATEWAY.parse().unwrap(), &Behaviour::default());
    let world = World::new(3, 0.2, |settings| settings.hold = None, ways).run(500);
    world.check_sums(500);
    let (caller, gateway) = (&world.book.caller, &world.book.gateways[0]);
    assert_eq!(caller.completed, 500);
    assert_eq!(caller.hung_up_by_peer, 500);
    assert!(gateway.completed >= 499, "{gateway:?}");
}

#[test]
fn cancelled_calls_end_with_487_under_loss() {
    let ways = gateway::behaviour::Behaviours::read("[[gateway]]\noutcomes=[{ring_after=\"10ms\",ring_out=true}]")
        .unwrap()
        .of(GATEWAY.parse().unwrap(), &Behaviour::default());
    let cancel = |settings: &mut caller::Settings| {
        settings.cancel = (1.0, Micros::from_millis(200));
        settings.expected = vec![487];
    };
    let world = World::new(4, 0.2, cancel, ways).run(500);
    let caller = &world.book.caller;
    assert_eq!(caller.finals.iter().collect::<Vec<_>>(), [(487, 500)]);
    assert_eq!(caller.rejected, 500);
    assert_eq!(world.book.gateways[0].cancelled, 500);
}

#[test]
fn a_rejection_is_repeated_until_it_is_acknowledged() {
    let expect = |settings: &mut caller::Settings| settings.expected = vec![486];
    let world = World::new(5, 0.3, expect, Behaviour::reject(486)).run(500);
    let (caller, gateway) = (&world.book.caller, &world.book.gateways[0]);
    assert_eq!(caller.rejected + caller.failed(), 500);
    assert!(caller.rejected >= 499, "{caller:?}");
    assert!(gateway.finals_repeated > 50);
    assert_eq!(gateway.rejected.iter().map(|(code, _)| code).collect::<Vec<_>>(), [486]);
}

#[test]
fn a_silent_gateway_costs_seven_invites_a_call() {
    let ways = gateway::behaviour::Behaviours::read("[[gateway]]\noutcomes=[{silent=true}]")
        .unwrap()
        .of(GATEWAY.parse().unwrap(), &Behaviour::default());
    let world = World::new(6, 0.0, |_| {}, ways).run(100);
    let (caller, gateway) = (&world.book.caller, &world.book.gateways[0]);
    assert_eq!(caller.failures[Failure::NoResponse as usize], 100);
    assert_eq!((gateway.invites, gateway.invites_repeated), (100, 600));
    assert_eq!(world.net.sent, 700);
}

#[test]
fn an_answer_without_room_to_keep_its_bye_is_ended_and_named() {
    let shrink = |settings: &mut caller::Settings| {
        settings.established = 0;
    };
    let world = World::new(7, 0.0, shrink, Behaviour::default()).run(10);
    let (caller, gateway) = (&world.book.caller, &world.book.gateways[0]);
    assert_eq!(caller.losses[Loss::NoRoom as usize], 10);
    assert_eq!(gateway.completed, 10, "the gateway got its BYE all the same");
}

#[test]
fn an_outage_is_silent_and_counted() {
    let ways = gateway::behaviour::Behaviours::read("[[gateway]]\noutages=[{at=\"100ms\",lasts=\"300ms\"}]")
        .unwrap()
        .of(GATEWAY.parse().unwrap(), &Behaviour::default());
    let world = World::new(8, 0.0, |_| {}, ways).run(1_000);
    let (caller, gateway) = (&world.book.caller, &world.book.gateways[0]);
    assert_eq!(gateway.outage_invites, 300);
    // Their repetitions arrive at a gateway that is up again but has met the branch as a dead one.
    assert_eq!(caller.failures[Failure::NoResponse as usize], 300);
    assert_eq!(caller.completed, 700);
    assert!(gateway.seen.first_after_outage > gateway.seen.last_in_outage);
}
