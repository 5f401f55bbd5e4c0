//! Several shards: spread, hand-over, letters, timers, sleep.

use crate::actor::{Letter, World, client, config, drivers};
use engine::{ShardId, Steering};
use std::time::{Duration, Instant};

#[test]
fn one_peer_keeps_every_shard_busy_alike() {
    for driver in drivers() {
        for shards in [2, 3] {
            let world = World::start(&config(driver, shards, &["127.0.0.1:0"]));
            let server = world.address(0);
            let client = client(server);
            let mut buffer = [0; 64];
            for _ in 0..3_000 {
                client.send_to(b"echo", server).unwrap();
                client.recv_from(&mut buffer).unwrap();
            }
            for shard in 0..shards {
                let share = world.count_of(shard, "frames_in") as f64 / 3_000.0 * shards as f64;
                assert!((0.85..1.15).contains(&share), "{driver:?}: shard {shard} has {share} of its share");
            }
            world.end();
        }
    }
}

#[test]
fn a_frame_is_handed_over_whole() {
    for driver in drivers() {
        let world = World::start(&config(driver, 2, &["127.0.0.1:0"]));
        let server = world.address(0);
        let client = client(server);
        let mut buffer = vec![0; 65_536];
        for round in 0..500 {
            let length = if round % 50 == 0 { 60_000 } else { 700 };
            let message = vec![b'h'; length];
            client.send_to(&message, server).unwrap();
            let (got, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((got, from), (length + 2, server), "{driver:?}");
            assert_ne!(buffer[length], buffer[length + 1], "received by one, answered by the other");
        }
        assert_eq!(world.count("hand_over_in"), 500);
        assert_eq!(world.count("hand_over_out"), 500);
        world.end();
    }
}

#[test]
fn a_letter_wakes_a_sleeper_and_passes_through_all_shards() {
    for driver in drivers() {
        let mut world = World::start(&config(driver, 3, &["127.0.0.1:0"]));
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(2));
            let posted = Instant::now();
            world.lane.post(ShardId(0), Letter::Ping(0)).unwrap();
            assert_eq!(world.letter(), Some((ShardId(2), Letter::Pong(3))), "{driver:?}");
            assert!(posted.elapsed() < Duration::from_millis(100), "{driver:?}");
        }
        assert!(world.count("wakes") > 50, "{driver:?}: they slept, so they were woken");
        world.end();
    }
}

#[test]
fn no_wake_up_is_lost() {
    for driver in drivers() {
        let mut world = World::start(&config(driver, 2, &["127.0.0.1:0"]));
        // A shard on its way to sleep at every moment: each round waits for the answer of the last.
        for round in 0..5_000 {
            world.lane.post(ShardId(0), Letter::Ping(0)).unwrap();
            assert!(world.letter().is_some(), "{driver:?}: no answer in round {round}");
        }
        world.end();
    }
}

#[test]
fn the_core_that_received_a_frame_can_name_its_shard() {
    let cores = core_affinity::get_core_ids().unwrap();
    if cores.len() < 2 {
        eprintln!("SKIPPED: one core");
        return;
    }
    for driver in drivers() {
        let mut config = config(driver, 2, &["127.0.0.1:0"]);
        config.steering = Steering::ReceivingCpu;
        let world = World::start(&config);
        let server = world.address(0);
        for shard in 0..2 {
            // On loopback the sender's core receives.
            let core = core_affinity::CoreId { id: config.cores[shard] };
            let sender = std::thread::spawn(move || {
                assert!(core_affinity::set_for_current(core));
                let client = client(server);
                for length in [4, 5_000] {
                    for _ in 0..50 {
                        client.send_to(&vec![0; length], server).unwrap();
                        client.recv_from(&mut [0; 6_000]).unwrap();
                    }
                }
            });
            sender.join().unwrap();
        }
        assert_eq!((world.count_of(0, "frames_in"), world.count_of(1, "frames_in")), (100, 100), "{driver:?}");
        world.end();
    }
}

#[test]
fn timers_fire_on_time_and_disarmed_ones_never() {
    for driver in drivers() {
        let mut world = World::start(&config(driver, 1, &["127.0.0.1:0"]));
        let server = world.address(0);
        let client = client(server);
        let mut armed = 0;
        for delay in [0, 1, 20, 300] {
            // WHY the best of some: other programs may have the core when a timer is due.
            let mut fire = || {
                client.send_to(format!("t{delay}").as_bytes(), server).unwrap();
                armed += 1;
                match world.letter().expect("a timer").1 {
                    Letter::Fired(_, late) => late,
                    other => panic!("{other:?}"),
                }
            };
            let late = (0..5).map(|_| fire()).find(|late| *late < 20_000);
            assert!(late.is_some(), "{driver:?}: {delay} ms fired 20 ms late five times");
        }
        assert_eq!(world.count("timers_fired"), armed, "{driver:?}: each was armed twice and disarmed once");
        world.end();
    }
}

#[test]
fn an_idle_shard_sleeps() {
    for driver in drivers() {
        let mut world = World::start(&config(driver, 2, &["127.0.0.1:0"]));
        std::thread::sleep(Duration::from_millis(50));
        // Awake once, then asleep again: what woke it must not wake it twice.
        world.lane.post(ShardId(0), Letter::Ping(0)).unwrap();
        world.letter().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let before = world.count("turns");
        std::thread::sleep(Duration::from_millis(500));
        assert!(world.count("turns") - before <= 2, "{driver:?}");
        world.end();
    }
}
