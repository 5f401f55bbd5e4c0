//! Messages larger than the path's MTU, over a veth pair between two network namespaces: they leave in
//! fragments (no DF) and arrive whole, in both directions.
//!
//! The test runs itself again inside each namespace, as server and as client.

use crate::actor::{World, config, drivers};
use crate::namespaces::{Namespaces, ROLE};
use engine::Driver;
use std::net::{SocketAddr, UdpSocket};
use std::process::Child;
use std::time::Duration;

const THIS: &str = "fragments::large_messages_cross_a_path_of_1500_bytes";

#[test]
fn large_messages_cross_a_path_of_1500_bytes() {
    match std::env::var(ROLE) {
        Ok(role) if role == "client" => return run_client(),
        Ok(role) => return run_server(if role == "Uring" { Driver::Uring } else { Driver::Mmsg }),
        Err(_) => {}
    }
    let joined = |a: &str, b: &str| {
        vec![
            format!("ip link add name va netns {a} type veth peer name vb netns {b}"),
            format!("ip -n {a} addr add 10.199.7.1/24 dev va"),
            format!("ip -n {a} addr add fd07::1/64 dev va nodad"),
            format!("ip -n {b} addr add 10.199.7.2/24 dev vb"),
            format!("ip -n {b} addr add fd07::2/64 dev vb nodad"),
            format!("ip -n {a} link set va mtu 1500 up"),
            format!("ip -n {b} link set vb mtu 1500 up"),
        ]
    };
    let Some(namespaces) = Namespaces::make("f", joined) else {
        eprintln!("SKIPPED: no right to make network namespaces, or no iproute2");
        return;
    };
    for driver in drivers() {
        let mut server = namespaces.run(0, THIS, &format!("{driver:?}")).spawn().unwrap();
        let outcome = namespaces.run(1, THIS, "client").status().unwrap();
        stop(&mut server);
        assert!(outcome.success(), "{driver:?}");
    }
}

fn run_server(driver: Driver) {
    let world = World::start(&config(driver, 2, &["10.199.7.1:5060", "[fd07::1]:5060"]));
    std::thread::sleep(Duration::from_secs(30));
    world.end();
}

fn run_client() {
    for server in ["10.199.7.1:5060", "[fd07::1]:5060"] {
        let server: SocketAddr = server.parse().unwrap();
        let client = UdpSocket::bind(if server.is_ipv6() { "[fd07::2]:0" } else { "10.199.7.2:0" }).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut buffer = vec![0; 65_536];
        // Until the server has started.
        let started = (0..50).any(|_| {
            client.send_to(b"x", server).unwrap();
            let up = client.recv_from(&mut buffer).is_ok();
            if !up {
                std::thread::sleep(Duration::from_millis(50));
            }
            up
        });
        assert!(started, "{server} does not answer");
        client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        for length in [1_300, 1_472, 1_473, 1_900, 2_500, 9_000, 40_000, 65_000] {
            let message: Vec<u8> = (0..length).map(|byte| (byte % 249) as u8).collect();
            for _ in 0..4 {
                client.send_to(&message, server).unwrap();
                let (got, _) = client.recv_from(&mut buffer).unwrap();
                assert!(buffer[..got] == message, "{server}: {length}, {got} came back");
            }
        }
    }
}

fn stop(server: &mut Child) {
    let _ = server.kill();
    let _ = server.wait();
}
