//! What happens when something runs full.

use crate::actor::{Letter, World, client, config, drivers};
use engine::{Driver, Micros};
use std::time::Duration;

#[test]
fn the_kernels_drops_are_counted_exactly() {
    for driver in drivers() {
        let mut config = config(driver, 1, &["127.0.0.1:0"]);
        config.listeners[0].receive_wait = Micros::from_millis(1);
        config.pools.receive_buffers = 16;
        let world = World::start(&config);
        let server = world.address(0);
        let client = client(server);
        client.send_to(b"s300", server).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        for _ in 0..2_000 {
            client.send_to(&[0; 800], server).unwrap();
        }
        let mut buffer = [0; 1_000];
        let mut answered = 0;
        while client.recv_from(&mut buffer).is_ok() {
            answered += 1;
        }
        // The count comes with the next datagram.
        client.send_to(b"echo", server).unwrap();
        client.recv_from(&mut buffer).unwrap();
        assert!(answered < 2_000, "{driver:?}: the buffer was to overflow");
        assert_eq!(answered + world.count("kernel_drops"), 2_000, "{driver:?}");
        world.end();
    }
}

#[test]
fn reception_is_armed_again_when_buffers_return() {
    if !drivers().contains(&Driver::Uring) {
        return;
    }
    let mut config = config(Driver::Uring, 1, &["127.0.0.1:0"]);
    config.pools.receive_buffers = 8;
    config.pools.large_receive_buffers = 2;
    let world = World::start(&config);
    let server = world.address(0);
    let client = client(server);
    client.send_to(b"s100", server).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    for number in 0..400 {
        client.send_to(&vec![0; if number % 40 == 0 { 9_000 } else { 200 }], server).unwrap();
    }
    let mut buffer = [0; 10_000];
    for number in 0..400 {
        client.recv_from(&mut buffer).unwrap_or_else(|_| panic!("{number} answers only"));
    }
    assert!(world.count("receive_out_of_buffers") > 0);
    assert_eq!(world.count("kernel_drops"), 0);
    world.end();
}

#[test]
fn a_send_without_a_slot_is_refused_and_counted() {
    for driver in drivers() {
        let mut config = config(driver, 1, &["127.0.0.1:0"]);
        config.pools.send_slots = 4;
        let mut world = World::start(&config);
        let server = world.address(0);
        let client = client(server);
        for _ in 0..3 {
            client.send_to(b"n10", server).unwrap();
            assert_eq!(world.letter().unwrap().1, Letter::Queued(4), "{driver:?}");
            for _ in 0..4 {
                client.recv_from(&mut [0; 16]).unwrap();
            }
        }
        assert_eq!(world.count("send_no_slot"), 18);
        world.end();
    }
}
