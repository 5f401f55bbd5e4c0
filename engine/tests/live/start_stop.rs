//! Starting and stopping: an address is served by one process, and free as soon as that ends.

use crate::actor::{Actor, World, client, config, drivers};
use engine::{LaunchError, launch};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

#[test]
fn an_address_that_is_served_is_refused_by_name() {
    for driver in drivers() {
        let world = World::start(&config(driver, 2, &["127.0.0.1:0"]));
        let server = world.address(0);
        for second in drivers() {
            let began = Instant::now();
            let error = launch(&config(second, 2, &[&server.to_string()]), |_| Actor).err().unwrap();
            assert!(began.elapsed() >= Duration::from_millis(500), "a busy port is retried first");
            assert!(matches!(error, LaunchError::Bind(_)));
            let text = error.to_string();
            assert!(text.contains(&server.to_string()) && text.contains("another process"), "{text}");
        }
        // And the first one goes on undisturbed, with all its sockets.
        let client = client(server);
        for _ in 0..50 {
            client.send_to(b"echo", server).unwrap();
            client.recv_from(&mut [0; 8]).unwrap();
        }
        world.end();
    }
}

#[test]
fn a_port_that_becomes_free_in_time_is_taken() {
    for driver in drivers() {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap().to_string();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(other);
        });
        World::start(&config(driver, 1, &[&address])).end();
        holder.join().unwrap();
    }
}

#[test]
fn stopping_is_quick_and_frees_the_address_at_once() {
    for driver in drivers() {
        let world = World::start(&config(driver, 3, &["127.0.0.1:0", "[::1]:0"]));
        let addresses = [world.address(0), world.address(1)];
        let began = Instant::now();
        world.end();
        assert!(began.elapsed() < Duration::from_millis(300), "{driver:?}: {:?}", began.elapsed());
        for address in addresses {
            UdpSocket::bind(address).unwrap_or_else(|error| panic!("{driver:?}: {address}: {error}"));
        }
    }
}

#[test]
fn wrong_configurations_are_refused_with_words() {
    let driver = engine::Driver::Auto;
    let mut absent = config(driver, 1, &["192.0.2.77:5060"]);
    let text = launch(&absent, |_| Actor).err().unwrap().to_string();
    assert!(text.contains("no address 192.0.2.77"), "{text}");
    absent.listeners[0].freebind = true;
    let running = launch(&absent, |_| Actor).unwrap();
    assert_eq!(running.serving().addresses[0].to_string(), "192.0.2.77:5060");
    drop(running);

    let mut cores = config(driver, 1, &["127.0.0.1:0"]);
    cores.cores = vec![4_095];
    let text = launch(&cores, |_| Actor).err().unwrap().to_string();
    assert!(text.contains("core 4095"), "{text}");
}

#[test]
fn a_panic_while_starting_is_an_error_and_frees_the_address() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    drop(other);
    let config = config(engine::Driver::Auto, 2, &[&address.to_string()]);
    let error = launch(&config, |shard| {
        assert!(shard.0 == 0, "as intended");
        Actor
    });
    assert!(matches!(error.err(), Some(LaunchError::Panic)));
    UdpSocket::bind(address).unwrap();
}
