//! Logs what happens to the interfaces that AF_XDP serves: gone, back, refused.

use crate::log::{Level, Log, Record};
use engine::XdpEvent;
use std::io;
use std::sync::mpsc::Receiver;

/// Starts the thread that logs; it ends with the engine's own.
pub(super) fn start(events: Receiver<XdpEvent>, log: Log) -> io::Result<()> {
    let follow = move || {
        for event in events {
            let level = if event.warning { Level::Warn } else { Level::Info };
            log.send(Record::new(level, "interface").with("what", event.text).always());
        }
    };
    std::thread::Builder::new().name("interfaces".to_owned()).spawn(follow).map(|_| ())
}
