//! Replays the corpora of the fuzz targets on stable: seeds, and whatever the fuzzer has found.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(missing_docs, unreachable_pub, reason = "tests")]

#[allow(dead_code, reason = "shared with other tests")]
mod events;
mod exercise;
#[path = "proxy/rig.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod rig;

use std::path::Path;

fn corpus(target: &str, check: impl Fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        check(&std::fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", directory.display());
}

#[test]
fn parse() {
    corpus("parse", |datagram| {
        let _ = exercise::datagram(datagram);
    });
}

#[test]
fn edit() {
    corpus("edit", |input| {
        let (script, datagram) = exercise::split_script(input);
        exercise::edit::message(datagram, script);
    });
}

#[test]
fn events() {
    corpus("events", |input| {
        let (capacity, events) = events::bytes::events_of(input);
        events::run(capacity, &events);
    });
}
