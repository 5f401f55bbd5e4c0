//! On a link so slow that packets queue, the socket's send buffer fills: sends wait their turn, some are
//! given up, each is accounted for, and afterwards all is as before.
//!
//! The test runs itself again as server and as client, each in a network namespace.

use crate::actor::{Letter, World, config, drivers};
use crate::namespaces::{Namespaces, ROLE};
use engine::Driver;
use std::io::Read;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

const THIS: &str = "slow_link::a_full_send_buffer_loses_nothing_uncounted";
const SERVER: &str = "10.199.8.1:5060";

#[test]
fn a_full_send_buffer_loses_nothing_uncounted() {
    match std::env::var(ROLE).as_deref() {
        Ok("client") => return run_client(),
        Ok("Uring") => return run_server(Driver::Uring),
        Ok(_) => return run_server(Driver::Mmsg),
        Err(_) => {}
    }
    let slow = |a: &str, b: &str| {
        vec![
            format!("ip link add name va netns {a} type veth peer name vb netns {b}"),
            format!("ip -n {a} addr add 10.199.8.1/24 dev va"),
            format!("ip -n {b} addr add 10.199.8.2/24 dev vb"),
            format!("ip -n {a} link set va up"),
            format!("ip -n {b} link set vb up"),
            format!("tc -n {a} qdisc add dev va root tbf rate 5mbit burst 16kb limit 100mb"),
        ]
    };
    let Some(namespaces) = Namespaces::make("s", slow) else {
        eprintln!("SKIPPED: no right to make network namespaces, or no iproute2 or tbf");
        return;
    };
    for driver in drivers() {
        let mut server = namespaces.run(0, THIS, &format!("{driver:?}"));
        let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let [answered] = figures(&mut namespaces.run(1, THIS, "client"));
        drop(server.stdin.take());
        let mut said = String::new();
        server.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(server.wait().unwrap().success());
        let [queued, repeated, failed] = read_figures(&said);
        assert!(
            repeated > 0,
            "{driver:?}: the buffer was to fill; {answered} answered, {queued} queued, {failed} failed"
        );
        assert_eq!(answered + failed, queued, "{driver:?}");
        assert!(answered > 5_000, "{driver:?}: {answered} of {queued}");
    }
}

fn run_server(driver: Driver) {
    let mut config = config(driver, 1, &[SERVER]);
    config.pools.send_slots = 4_096;
    let mut world = World::start(&config);
    std::io::stdin().read_to_string(&mut String::new()).unwrap();
    let mut queued = 0;
    while let Some((_, letter)) = world.lane.receive() {
        if let Letter::Queued(count) = letter {
            queued += count;
        }
    }
    println!("\nFIGURES {queued} {} {}", world.count("send_repeated"), world.count("send_failed"));
    world.end();
}

fn run_client() {
    let client = UdpSocket::bind("10.199.8.2:0").unwrap();
    socket2::SockRef::from(&client).set_recv_buffer_size(4 << 20).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut buffer = [0; 16];
    // Until the server has started.
    let echoes = |client: &UdpSocket| {
        client.send_to(b"echo", SERVER).is_ok() && matches!(client.recv_from(&mut [0; 16]), Ok((4, _)))
    };
    assert!((0..50).any(|_| echoes(&client)), "{SERVER} does not answer");
    let mut answered = 0;
    // Requests close together, but each in a turn of its own: one turn has only so many send slots.
    for _ in 0..20 {
        client.send_to(b"n1000", SERVER).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    while client.recv_from(&mut buffer).is_ok() {
        answered += 1;
    }
    assert!(echoes(&client), "afterwards all is as before");
    println!("\nFIGURES {answered}");
}

fn figures<const N: usize>(command: &mut Command) -> [u64; N] {
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    read_figures(&String::from_utf8_lossy(&output.stdout))
}

fn read_figures<const N: usize>(text: &str) -> [u64; N] {
    let line = text.lines().find_map(|line| line.strip_prefix("FIGURES ")).expect("no figures");
    let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}
