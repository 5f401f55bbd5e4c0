//! The page by the rules of its linter, and the listener against scrapers that hang.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use crate::metric::{Kind, Metric};
use crate::reply::GatewayRow;
use crate::snapshot::{Sample, Totals};
use engine::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

fn full_page() -> String {
    let mut totals = Totals::default();
    for metric in Metric::ALL {
        let mut labels = [""; 3];
        for (room, name) in labels.iter_mut().zip(metric.definition().labels) {
            *room = name;
        }
        for shard in [0, 1] {
            totals.add(ShardId(shard), &Sample { metric: *metric, labels, value: 1_500_000 });
        }
    }
    let row = GatewayRow {
        set: "a\"b\\c\nd".into(),
        name: "gw1".into(),
        address: Some("192.0.2.1:5060".into()),
        state: "up".into(),
        carried: 7,
        failed_by: [("503".to_owned(), 2), ("no_response".to_owned(), 1)].into(),
        probe_micros: Some(1_500),
        ..GatewayRow::default()
    };
    page(&Process { serving: "normal", ..Process::default() }, &totals, &[row], Vec::new())
}

/// What promtool's linter and the text parser ask for, as far as a page of counters and gauges goes.
fn lint(page: &str) {
    let mut helped = BTreeSet::new();
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut series = BTreeSet::new();
    let mut last_family = "";
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name) && !help.is_empty(), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kinds.insert(name, kind).is_none() && helped.contains(name), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            last_family = name;
        } else {
            let (key, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(key.split('{').next().unwrap(), last_family, "samples of a family stand together: {line}");
            value.parse::<f64>().unwrap();
            assert!(series.insert(key), "twice: {line}");
        }
    }
    assert_eq!(helped.len(), kinds.len());
}

#[test]
fn the_page_is_clean_with_and_without_figures() {
    lint(&full_page());
    lint(&page(&Process::default(), &Totals::default(), &[], Vec::new()));
    assert!(page(&Process::default(), &Totals::default(), &[], Vec::new()).contains("tandem_build_info{version="));
}

#[test]
fn label_values_are_escaped() {
    assert!(full_page().contains(r#"set="a\"b\\c\nd""#));
}

#[test]
fn shards_are_added_up_or_kept_apart_as_their_kind_says() {
    let page = full_page();
    for wanted in [
        "tandem_calls 3000000\n",
        "tandem_shard_busy_seconds_total{shard=\"0\"} 1.5\n",
        "tandem_shard_busy_seconds_total{shard=\"1\"} 1.5\n",
        "gateway=\"gw1\",address=\"192.0.2.1:5060\"} 7\n",
        "address=\"192.0.2.1:5060\",cause=\"503\"} 2\n",
        "} 0.0015\n",
    ] {
        assert!(page.contains(wanted), "{wanted}\n{page}");
    }
    assert_eq!(Metric::LongestTurn.definition().kind, Kind::Peak);
}

/// The real linter, where the machine has it.
#[test]
fn promtool_finds_nothing() {
    use std::process::{Command, Stdio};
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        eprintln!("promtool is not installed: its own check is left out");
        return;
    };
    tool.stdin.take().unwrap().write_all(full_page().as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

fn fetch(lane: &MetricsLane, request: &str) -> String {
    let mut stream = TcpStream::connect(lane.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[test]
fn metrics_are_served_and_nothing_else() {
    let lane = MetricsLane::start("127.0.0.1:0".parse().unwrap(), Arc::new(|| Some("x 1\n".into()))).unwrap();
    let get = |path| fetch(&lane, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    let reply = get("/metrics");
    assert!(
        reply.starts_with("HTTP/1.1 200") && reply.contains("version=0.0.4") && reply.ends_with("x 1\n"),
        "{reply}"
    );
    assert!(get("/").starts_with("HTTP/1.1 404"));
    let post = fetch(&lane, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
}

#[test]
fn hanging_scrapers_do_not_keep_others_out() {
    let lane = MetricsLane::start("127.0.0.1:0".parse().unwrap(), Arc::new(|| Some("x 1\n".into()))).unwrap();
    let hanging: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(lane.address()).unwrap();
            stream.write_all(b"GET /metr").unwrap();
            stream
        })
        .collect();
    let reply = fetch(&lane, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(reply.starts_with("HTTP/1.1 200"));
    drop(hanging);
}

#[test]
fn a_page_that_cannot_be_made_is_503() {
    let lane = MetricsLane::start("127.0.0.1:0".parse().unwrap(), Arc::new(|| None)).unwrap();
    let reply = fetch(&lane, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(reply.starts_with("HTTP/1.1 503"));
}
