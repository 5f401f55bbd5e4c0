//! Errors from the network: told to every shard, about the right peer, soon, and harmless to others.

use crate::actor::{Letter, World, client, config, drivers};
use engine::NetworkErrorKind;
use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// An address on which nobody listens.
fn closed(of: SocketAddr) -> SocketAddr {
    client(of).local_addr().unwrap()
}

#[test]
fn a_closed_port_is_told_to_every_shard_within_50_ms() {
    for driver in drivers() {
        for address in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let mut world = World::start(&config(driver, 2, &[address]));
            let mut server = world.address(0);
            if server.ip().is_unspecified() {
                server.set_ip("127.0.0.1".parse().unwrap());
            }
            let client = client(server);
            let dead = closed(server);
            let sent = Instant::now();
            client.send_to(format!("u{dead}").as_bytes(), server).unwrap();
            let mut told = BTreeSet::new();
            while told.len() < 2 {
                let (_, letter) = world.letter().expect("an error");
                let Letter::Error(shard, error) = letter else {
                    panic!("{letter:?}");
                };
                assert_eq!((error.peer, error.kind), (dead, NetworkErrorKind::Refused), "{driver:?}");
                assert_eq!(error.listener, 0);
                told.insert(shard);
            }
            assert!(sent.elapsed() < Duration::from_millis(50), "{driver:?}: {:?}", sent.elapsed());
            world.end();
        }
    }
}

#[test]
fn a_dead_peer_costs_a_healthy_one_nothing() {
    for driver in drivers() {
        let mut world = World::start(&config(driver, 2, &["127.0.0.1:0"]));
        let server = world.address(0);
        let healthy = client(server);
        // Many, because the kernel picks the socket that gets an error by a hash of the addresses.
        let dead: BTreeSet<SocketAddr> = (0..16).map(|_| closed(server)).collect();
        let mut buffer = [0; 64];
        for burst in 0..20 {
            for peer in dead.iter().cycle().take(100) {
                healthy.send_to(format!("u{peer}").as_bytes(), server).unwrap();
            }
            for number in 0..100 {
                let got = healthy.recv_from(&mut buffer);
                got.unwrap_or_else(|_| panic!("{driver:?}: {number} answers only in {burst}"));
            }
        }
        assert_eq!(world.count("send_failed"), 0, "{driver:?}: none was given up");
        assert!(world.count("send_repeated") > 0, "{driver:?}: or this test shows nothing");
        while let Some((_, Letter::Error(_, error))) = world.lane.receive() {
            assert!(dead.contains(&error.peer), "{driver:?}: blamed the wrong one");
        }
        world.end();
    }
}

#[test]
fn a_destination_without_a_route_is_the_sends_own_error() {
    for driver in drivers() {
        let mut world = World::start(&config(driver, 1, &["127.0.0.1:0"]));
        let server = world.address(0);
        let client = client(server);
        // A socket bound to loopback cannot reach 192.0.2.1: the kernel refuses the call itself.
        client.send_to(b"u192.0.2.1:5060", server).unwrap();
        let (_, letter) = world.letter().expect("an error");
        let Letter::Error(_, error) = letter else {
            panic!("{letter:?}");
        };
        assert_eq!(error.peer, "192.0.2.1:5060".parse().unwrap());
        assert_eq!(client.recv_from(&mut [0; 64]).unwrap().1, server);
        assert_eq!(world.count("send_failed"), 1);
        world.end();
    }
}

#[test]
fn reception_goes_on_after_errors() {
    for driver in drivers() {
        let world = World::start(&config(driver, 2, &["127.0.0.1:0"]));
        let server = world.address(0);
        let client = client(server);
        let dead = closed(server);
        for _ in 0..50 {
            client.send_to(format!("u{dead}").as_bytes(), server).unwrap();
            client.recv_from(&mut [0; 64]).unwrap();
            client.send_to(b"echo", server).unwrap();
            client.recv_from(&mut [0; 64]).unwrap();
        }
        assert!(world.count("network_errors") >= 50, "{driver:?}");
        drop(UdpSocket::bind(dead));
        world.end();
    }
}
