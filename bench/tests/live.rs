//! The program itself over loopback sockets: against its own gateways, against a sink, and stopped
//! by a signal. Its report has to be right each time.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    net::{SocketAddr, UdpSocket},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn start(line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tandem-bench"))
        .args(line.split_whitespace())
        .args(["--quiet", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn calls_from_one_end_to_the_other_all_complete() {
    let gateway = free_address();
    let line = format!("call --target {gateway} --gateways {gateway} --rate 200 --calls 100 --hold 50ms --ring 20ms");
    let output = start(&line).wait_with_output().unwrap();
    let report = report(&output);
    assert!(output.status.success(), "{report:#}");
    assert_eq!(report["calls"]["completed"], 100);
    assert_eq!(report["gateways"][0]["invites"], 100);
    assert_eq!(report["gateways"][0]["completed"], 100);
    assert_eq!(report["responses"]["200"], 100);
    let answer = report["latency_us"]["answer"]["p50"].as_u64().unwrap();
    assert!(answer >= 20_000, "rings for 20 ms, answered after {answer} us");
}

#[test]
fn lost_datagrams_are_repeated_until_the_calls_complete() {
    let gateway = free_address();
    // T1 of 20 ms: 64 T1 are 1.28 s.
    let line = format!("call --target {gateway} --gateways {gateway} --rate 200 --calls 200 --drop 0.2 --t1 20ms");
    let output = start(&line).wait_with_output().unwrap();
    let report = report(&output);
    assert_eq!(report["calls"]["answered"], 200, "{report:#}");
    assert!(report["gateways"][0]["dropped"].as_u64().unwrap() > 50);
    assert!(report["repeated"]["invites"].as_u64().unwrap() > 10);
}

#[test]
fn a_sink_gets_seven_invites_a_call_and_is_reported_as_silent_and_full() {
    let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
    sink.set_nonblocking(true).unwrap();
    let target = sink.local_addr().unwrap();
    let line = format!("call --target {target} --rate 100 --calls 20 --t1 50ms");
    let output = start(&line).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "calls failed");
    let report = report(&output);
    assert_eq!(report["failures"]["no_response"], 20, "{report:#}");
    assert_eq!(report["calls"]["failed"], 20);
    let mut received = 0u64;
    let mut room = [0; 2048];
    while sink.recv(&mut room).is_ok() {
        received += 1;
    }
    assert_eq!(report["datagrams"]["sent"], 140);
    // The sink reads nothing meanwhile: what its buffer did not take is lost there, and reported so.
    let lost = report["datagrams"]["lost_at_target"].as_u64().unwrap();
    assert_eq!(received + lost, 140, "{received} arrived, {lost} lost");
}

#[test]
fn what_another_program_drops_is_repeated_and_both_count_the_same() {
    let gateway = free_address();
    let server = start(&format!("gateways --listen {gateway} --drop 0.2 --t1 20ms"));
    thread::sleep(Duration::from_millis(800));
    let line = format!("call --target {gateway} --rate 300 --calls 300 --t1 20ms --max-failed 300 --max-lost 300");
    let client_report = report(&start(&line).wait_with_output().unwrap());
    let pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let server_report = report(&server.wait_with_output().unwrap());
    let count = |report: &Value, path: &str| report.pointer(path).and_then(Value::as_u64).unwrap();
    let calls = |what: &str| count(&client_report, &format!("/calls/{what}"));
    assert_eq!(calls("answered") + calls("failed"), 300, "{client_report:#}");
    assert_eq!(calls("completed") + calls("lost_after_answer"), calls("answered"), "{client_report:#}");
    let lost = count(&client_report, "/datagrams/lost_at_target");
    let sent = count(&client_report, "/datagrams/sent");
    let received = count(&server_report, "/datagrams/received");
    assert_eq!(sent, received + lost, "{client_report:#} {server_report:#}");
    let dropped = count(&server_report, "/gateways/0/dropped");
    assert!((received * 12 / 100..received * 28 / 100).contains(&dropped), "{dropped} of {received} is no fifth");
    // An INVITE is repeated until a response comes; one in five is dropped.
    let repeated = count(&client_report, "/repeated/invites");
    assert!((30..150).contains(&repeated), "{repeated} INVITEs repeated");
}

#[test]
fn a_signal_still_brings_the_summary() {
    let gateway = free_address();
    let line = format!("call --target {gateway} --gateways {gateway} --rate 50 --duration 60s --hold 30s");
    let child = start(&line);
    thread::sleep(Duration::from_millis(1_500));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let report = report(&child.wait_with_output().unwrap());
    assert_eq!(report["interrupted"], true);
    let calls = &report["calls"];
    assert!(calls["started"].as_u64().unwrap() > 0, "{report:#}");
    assert_eq!(calls["completed"], calls["started"], "open calls are hung up: {report:#}");
}

#[test]
fn options_to_a_gateway_are_answered_by_it() {
    let gateway = free_address();
    let server = start(&format!("gateways --listen {gateway}"));
    thread::sleep(Duration::from_millis(800));
    let output = start(&format!("options --target {gateway} --rate 200 --calls 50")).wait_with_output().unwrap();
    let client_report = report(&output);
    let pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let server_report = report(&server.wait_with_output().unwrap());
    assert!(output.status.success(), "{client_report:#}");
    assert_eq!(client_report["calls"]["answered"], 50);
    assert_eq!(server_report["gateways"][0]["options"], 50);
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    for line in ["call --target 192.0.2.1:5060 --from 127.0.0.1:5090", "call", "gateways"] {
        let output = start(line).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(!output.stderr.is_empty(), "{line}");
    }
}
