//! Frames in and out: both families, every size, the address that was asked.

use crate::actor::{Letter, World, client, config, drivers};
use std::net::SocketAddr;

#[test]
fn every_size_comes_back_whole() {
    for driver in drivers() {
        let world = World::start(&config(driver, 2, &["127.0.0.1:0", "[::1]:0"]));
        for listener in 0..2 {
            let server = world.address(listener);
            let client = client(server);
            let mut buffer = vec![0; 65_536];
            for length in [1, 800, 1_300, 1_939, 1_940, 1_941, 2_047, 2_048, 2_049, 9_000, 65_000, 65_507] {
                let message: Vec<u8> = (0..length).map(|byte| (byte % 251) as u8).collect();
                // Several times, so that each shard gets some.
                for _ in 0..4 {
                    client.send_to(&message, server).unwrap();
                    let (got, from) = client.recv_from(&mut buffer).unwrap();
                    assert_eq!(from, server);
                    assert!(buffer[..got] == message, "{driver:?} {server} {length}: {got} came back");
                }
            }
        }
        assert_eq!(world.count("frames_truncated"), 0);
        assert_eq!(world.count("frames_in"), 2 * 12 * 4);
        assert_eq!(world.count("frames_out"), 2 * 12 * 4);
        world.end();
    }
}

#[test]
fn a_wildcard_answers_from_the_address_that_was_asked() {
    for driver in drivers() {
        let mut world = World::start(&config(driver, 2, &["0.0.0.0:0", "[::]:0"]));
        let cases = [(0, "127.0.0.1"), (0, "127.0.0.2"), (0, "127.7.7.7"), (1, "::1")];
        for (listener, ip) in cases {
            let asked = SocketAddr::new(ip.parse().unwrap(), world.address(listener).port());
            let client = client(asked);
            client.send_to(b"l", asked).unwrap();
            assert_eq!(world.letter().unwrap().1, Letter::AskedAt(asked), "{driver:?}");
            for length in [20, 5_000] {
                client.send_to(&vec![1; length], asked).unwrap();
                let (got, from) = client.recv_from(&mut [0; 6_000]).unwrap();
                assert_eq!((got, from), (length, asked), "{driver:?}");
            }
        }
        world.end();
    }
}

#[test]
fn frames_to_one_peer_keep_their_order() {
    for driver in drivers() {
        let world = World::start(&config(driver, 1, &["127.0.0.1:0"]));
        let server = world.address(0);
        let client = client(server);
        let mut buffer = [0; 16];
        for burst in 0..20u32 {
            for number in 0..50u32 {
                client.send_to(&[&[0], &(burst * 50 + number).to_be_bytes()[..]].concat(), server).unwrap();
            }
            for number in 0..50u32 {
                let (got, _) = client.recv_from(&mut buffer).unwrap();
                assert_eq!(buffer[1..got], (burst * 50 + number).to_be_bytes(), "{driver:?}");
            }
        }
        world.end();
    }
}
