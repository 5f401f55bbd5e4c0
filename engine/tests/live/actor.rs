//! An application that does what the first byte of a frame says, and what every test shares.

use engine::{
    Address, App, Class, Config, Driver, Egress, Frame, LaneEnd, LaneId, Listener, Micros, NetworkError, Now, Outbox,
    Pools, Running, ShardId, Steering,
};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// What shards and the test tell one another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Letter {
    /// Asked of a shard by lane 0: pass `Pong` on to the next shard until all have seen it.
    Ping(u8),
    /// Went through so many shards.
    Pong(u8),
    /// A shard was told of an error.
    Error(ShardId, NetworkError),
    /// A frame was sent to this address.
    AskedAt(SocketAddr),
    /// A timer fired so many microseconds after its time.
    Fired(ShardId, u64),
    /// So many of the sends that were asked for found a slot.
    Queued(usize),
}

pub(crate) struct Actor;

impl App for Actor {
    type Letter = Letter;

    fn on_frame(&mut self, now: Now, frame: &Frame<'_>, out: &mut Outbox<'_, Letter>) {
        let rest = std::str::from_utf8(frame.bytes.get(1..).unwrap_or_default()).unwrap_or("");
        match frame.bytes.first() {
            Some(b'h') => {
                let next = ShardId((out.me().0 + 1) % out.shards() as u8);
                assert!(out.hand_over(next, Class::Other, frame));
            }
            Some(b'l') => tell(out, Letter::AskedAt(frame.local)),
            Some(b'u') => {
                // Send to an unreachable address first, then back.
                let peer = rest.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
                out.transmit_bytes(&Egress { peer, local: None, ..frame.back() }, b"lost");
                out.transmit_bytes(&frame.back(), frame.bytes);
            }
            Some(b't') => {
                let at = now.mono.after(Micros::from_millis(rest.parse().unwrap()));
                out.arm(at, at.0);
                let disarmed = out.arm(at, at.0);
                out.disarm(disarmed);
            }
            Some(b's') => std::thread::sleep(Duration::from_millis(rest.parse().unwrap())),
            Some(b'n') => {
                let wanted: usize = rest.parse().unwrap();
                let sent = (0..wanted).filter(|_| out.transmit_bytes(&frame.back(), b"many")).count();
                tell(out, Letter::Queued(sent));
            }
            _ => assert!(out.transmit_bytes(&frame.back(), frame.bytes)),
        }
    }

    fn on_hand_over(&mut self, _: Now, frame: &Frame<'_>, from: ShardId, out: &mut Outbox<'_, Letter>) {
        let mut answer = frame.bytes.to_vec();
        answer.extend([from.0, out.me().0]);
        out.transmit_bytes(&frame.back(), &answer);
    }

    fn on_network_error(&mut self, _: Now, error: &NetworkError, out: &mut Outbox<'_, Letter>) {
        let me = out.me();
        tell(out, Letter::Error(me, *error));
    }

    fn on_timer(&mut self, now: Now, token: u64, out: &mut Outbox<'_, Letter>) {
        let late = now.mono.0.checked_sub(token).expect("a timer fired early");
        let me = out.me();
        tell(out, Letter::Fired(me, late));
    }

    fn on_letter(&mut self, _: Now, letter: Letter, out: &mut Outbox<'_, Letter>) {
        let Letter::Ping(hops) = letter else {
            panic!("shards are only pinged");
        };
        let next = ShardId(hops + 1);
        if next.index() < out.shards() {
            out.post(Address::Shard(next), Letter::Ping(hops + 1)).unwrap();
        } else {
            tell(out, Letter::Pong(hops + 1));
        }
    }
}

fn tell(out: &mut Outbox<'_, Letter>, letter: Letter) {
    // A full mailbox only means that the test has seen enough.
    let _ = out.post(Address::Lane(LaneId(0)), letter);
}

/// Every driver that this kernel has.
pub(crate) fn drivers() -> Vec<Driver> {
    match engine_sys::uring::probe() {
        Ok(()) => vec![Driver::Uring, Driver::Mmsg],
        Err(why) => {
            eprintln!("SKIPPED io_uring: {why}");
            vec![Driver::Mmsg]
        }
    }
}

pub(crate) fn config(driver: Driver, shards: usize, addresses: &[&str]) -> Config {
    let permitted = core_affinity::get_core_ids().unwrap();
    Config {
        // More shards than cores share cores.
        cores: permitted.iter().map(|core| core.id).cycle().take(shards).collect(),
        listeners: addresses.iter().map(|text| Listener::new(text.parse().unwrap())).collect(),
        driver,
        steering: Steering::Random,
        deferred: None,
        pools: Pools { timers: 1_024, hand_over_bytes: 1 << 20, ..Pools::default() },
        lanes: 1,
        xdp: engine::XdpConfig::default(),
    }
}

pub(crate) struct World {
    pub(crate) running: Running<Letter>,
    pub(crate) lane: LaneEnd<Letter>,
}

impl World {
    pub(crate) fn start(config: &Config) -> Self {
        let mut running = engine::launch(config, |_| Actor).unwrap();
        let lane = running.take_lane(LaneId(0)).unwrap();
        World { running, lane }
    }

    pub(crate) fn address(&self, listener: usize) -> SocketAddr {
        self.running.serving().addresses[listener]
    }

    /// The next letter, within a second.
    pub(crate) fn letter(&mut self) -> Option<(ShardId, Letter)> {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            if let Some(letter) = self.lane.receive() {
                return Some(letter);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            self.lane.wait(left);
        }
    }

    /// Sum of a counter over all shards.
    pub(crate) fn count(&self, name: &str) -> u64 {
        (0..self.running.shards()).map(|shard| self.count_of(shard, name)).sum()
    }

    pub(crate) fn count_of(&self, shard: usize, name: &str) -> u64 {
        let stats = self.running.stats(ShardId(shard as u8)).unwrap();
        stats.all().find(|(known, _)| *known == name).expect("no such counter").1
    }

    pub(crate) fn end(self) {
        self.running.stop();
        self.running.join().unwrap();
    }
}

/// A client on the loopback address of the family of `of`.
pub(crate) fn client(of: SocketAddr) -> UdpSocket {
    let address = if of.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = UdpSocket::bind(address).unwrap();
    // WHY: what is lost here would look like a loss of the engine.
    socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket
}
