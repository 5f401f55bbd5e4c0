//! The simulated driver: the production loop, stepped by hand under a virtual clock, twice the same.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use engine::device::sim::SimDevice;
use engine::{
    Address, App, Class, Egress, Frame, LinkConfig, Micros, Mono, NetworkError, NetworkErrorKind, Now, Outbox, Shard,
    ShardId, Wall, join_virtual,
};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::sync::Arc;

/// Hands frames that begin with an odd byte over, answers the others after as many milliseconds as
/// their first byte says, and writes down all that it sees.
struct Recorder(Vec<String>);

impl App for Recorder {
    type Letter = String;

    fn on_frame(&mut self, now: Now, frame: &Frame<'_>, out: &mut Outbox<'_, String>) {
        self.0.push(format!("{} frame {:?} at {}", now.mono.0, frame.bytes, frame.received.0));
        let first = frame.bytes[0];
        if first % 2 == 1 && out.hand_over(ShardId(1 - out.me().0), Class::Other, frame) {
            return;
        }
        out.arm(now.mono.after(Micros::from_millis(u64::from(first))), u64::from(first));
        out.post(Address::Shard(ShardId(1 - out.me().0)), format!("saw {first}")).unwrap();
        out.transmit_bytes(&frame.back(), frame.bytes);
    }
    fn on_hand_over(&mut self, now: Now, frame: &Frame<'_>, from: ShardId, out: &mut Outbox<'_, String>) {
        self.0.push(format!("{} from {} {:?}", now.mono.0, from.0, frame.bytes));
        out.transmit_bytes(&frame.back(), frame.bytes);
    }
    fn on_network_error(&mut self, now: Now, error: &NetworkError, _: &mut Outbox<'_, String>) {
        self.0.push(format!("{} error {error:?}", now.mono.0));
    }
    fn on_timer(&mut self, now: Now, token: u64, _: &mut Outbox<'_, String>) {
        self.0.push(format!("{} timer {token}", now.mono.0));
    }
    fn on_letter(&mut self, now: Now, letter: String, _: &mut Outbox<'_, String>) {
        self.0.push(format!("{} letter {letter}", now.mono.0));
    }
}

fn shards() -> Vec<Shard<Recorder, SimDevice>> {
    let config = LinkConfig { shards: 2, lanes: 0, letters: 1_024, hand_over_bytes: 0 };
    let (links, _) = join_virtual(&config);
    links
        .into_iter()
        .map(|links| {
            let device = SimDevice::new(1_024, 8);
            Shard::new(Recorder(Vec::new()), device, links, 1_024, Mono(0), Arc::default())
        })
        .collect()
}

fn local() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], 5070))
}

/// Plays a script of (which shard, frame, pause in µs) and returns all that was seen and sent.
fn play(script: &[(bool, u8, u64)]) -> Vec<String> {
    let mut shards = shards();
    let mut mono = 0;
    let mut log = Vec::new();
    let pauses = script.iter().map(|(_, _, pause)| *pause).chain([1_000_000; 3]);
    for (step, pause) in pauses.enumerate() {
        if let Some((second, byte, _)) = script.get(step) {
            shards[usize::from(*second)].device().push(0, local(), peer(), &[*byte, 1, 2]);
        }
        let now = Now { mono: Mono(mono), wall: Wall(mono) };
        for shard in &mut shards {
            shard.step(now).unwrap();
            while let Some(line) = shard.device().take_sent(|to, bytes| format!("{mono} sent {bytes:?} {to:?}")) {
                log.push(line);
            }
        }
        mono += pause;
    }
    for shard in &mut shards {
        log.append(&mut shard.app().0);
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_same_script_gives_the_same_run(
        script in prop::collection::vec((any::<bool>(), any::<u8>(), 0..50_000u64), 1..60),
    ) {
        let log = play(&script);
        prop_assert_eq!(&log, &play(&script));
        let count = |word: &str| log.iter().filter(|line| line.contains(word)).count();
        let even = script.iter().filter(|(_, byte, _)| byte % 2 == 0).count();
        prop_assert_eq!(count(" sent "), script.len());
        prop_assert_eq!(count(" from "), script.len() - even);
        prop_assert_eq!((count(" timer "), count(" letter ")), (even, even));
    }
}

#[test]
fn an_error_that_one_shard_sees_is_told_to_all() {
    let mut shards = shards();
    let error = NetworkError { listener: 0, peer: peer(), kind: NetworkErrorKind::Refused };
    shards[1].device().push_error(error);
    for _ in 0..2 {
        for shard in &mut shards {
            shard.step(Now::default()).unwrap();
        }
    }
    for shard in &mut shards {
        assert_eq!(shard.app().0, [format!("0 error {error:?}")]);
    }
}

#[test]
fn what_is_to_do_next_is_known() {
    let mut shards = shards();
    let shard = &mut shards[0];
    assert_eq!(shard.idle_for(Mono(0)), None);
    shard.device().push(0, local(), peer(), &[4]);
    assert_eq!(shard.idle_for(Mono(0)), Some(Micros(0)));
    shard.step(Now::default()).unwrap();
    // The timer of 4 ms, on the wheel's next tick.
    assert_eq!(shard.idle_for(Mono(0)), Some(Micros(4 * 1_024)));
}

#[test]
fn a_turn_is_bounded_and_large_messages_find_their_pool() {
    let mut shards = shards();
    let shard = &mut shards[0];
    for _ in 0..limits::RECEIVE_BATCH_MAX + 10 {
        shard.device().push(0, local(), peer(), &[2; 5_000]);
    }
    shard.step(Now::default()).unwrap();
    assert_eq!(shard.device().waiting(), 10, "the rest waits for the next turn");
    let mut sent = 0;
    while shard
        .device()
        .take_sent(|egress: &Egress, bytes| {
            assert_eq!((egress.peer, egress.local, bytes.len()), (peer(), Some(local().ip()), 5_000));
        })
        .is_some()
    {
        sent += 1;
    }
    assert_eq!(sent, 8, "as many as there are large slots");
    assert_eq!(shard.stats().send_no_slot.get(), limits::RECEIVE_BATCH_MAX as u64 - 8);
}
