//! What can wait has sockets of its own.

use crate::actor::{World, client, config, drivers};
use engine::{Deferred, Micros};
use std::time::Duration;

const BEGINS: [u8; 8] = *b"PATIENCE";

#[test]
fn a_crowd_that_can_wait_fills_its_own_socket_and_calls_come_first() {
    for driver in drivers() {
        for shards in [1, 2] {
            let mut config = config(driver, shards, &["127.0.0.1:0"]);
            config.deferred = Some(Deferred { begins: BEGINS, receive_wait: Micros::from_millis(10) });
            let world = World::start(&config);
            let server = world.address(0);
            let [crowd, others] = [client(server), client(server)];
            for _ in 0..shards * 4 {
                others.send_to(b"s100", server).unwrap();
            }
            std::thread::sleep(Duration::from_millis(20));
            let sent = 4_000;
            for _ in 0..sent {
                crowd.send_to(&[&BEGINS[..], &[b'e'; 792]].concat(), server).unwrap();
            }
            for _ in 0..100 {
                others.send_to(&[b'e'; 800], server).unwrap();
            }
            let mut buffer = [0; 1_000];
            for number in 0..100 {
                others.recv_from(&mut buffer).unwrap_or_else(|_| panic!("{driver:?}: {number} answers only"));
            }
            let mut answered = 0;
            while crowd.recv_from(&mut buffer).is_ok() {
                answered += 1;
            }
            assert!((1..sent).contains(&answered), "{driver:?}: {answered}: its socket was to overflow");
            if shards == 1 {
                // The count comes with the next datagram.
                crowd.send_to(b"PATIENCE", server).unwrap();
                crowd.recv_from(&mut buffer).unwrap();
                assert_eq!(answered + world.count("deferred_drops"), sent, "{driver:?}");
            }
            assert_eq!(world.count("kernel_drops"), 0, "{driver:?}");
            world.end();
        }
    }
}

#[test]
fn short_ones_others_and_large_ones_go_their_ordinary_way() {
    for driver in drivers() {
        let mut config = config(driver, 2, &["127.0.0.1:0"]);
        config.deferred = Some(Deferred { begins: BEGINS, receive_wait: Micros::from_millis(10) });
        let world = World::start(&config);
        let server = world.address(0);
        let client = client(server);
        let large = [&BEGINS[..], &[b'e'; 9_000]].concat();
        for bytes in [&b"\r\n"[..], b"e", b"PATIENCE", b"PATIENT ones", b"PATIENCE is a virtue", &large] {
            for _ in 0..10 {
                client.send_to(bytes, server).unwrap();
                let mut buffer = [0; 10_000];
                let (length, _) = client.recv_from(&mut buffer).unwrap();
                assert_eq!(&buffer[..length], bytes, "{driver:?}");
            }
        }
        world.end();
    }
}
