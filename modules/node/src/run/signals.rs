//! Signals: SIGHUP reads the configuration again, SIGUSR1 opens the log file anew, SIGTERM and SIGINT end the process.

use crate::control::reload::{Sources, reload};
use crate::control::{Ask, Inbox, Signal};
use crate::log::Log;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};

/// Starts the threads that wait for signals. From now on SIGTERM does not end the process by itself.
pub(super) fn start(inbox: &Inbox, sources: Sources, log: Log) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGUSR1, SIGTERM, SIGINT])?;
    // WHY one place: many SIGHUP while a reload runs are one more reload.
    let (hang_ups, queue) = sync_channel(1);
    let (reloader, log_of_reloads) = (inbox.clone(), log.clone());
    std::thread::Builder::new()
        .name("tandem-reload".into())
        .spawn(move || reload_each(&queue, &reloader, &sources, &log_of_reloads))?;
    let inbox = inbox.clone();
    std::thread::Builder::new().name("tandem-signals".into()).spawn(move || {
        for signal in &mut signals {
            match signal {
                SIGHUP => drop(hang_ups.try_send(())),
                SIGUSR1 => log.reopen(),
                _ => inbox.tell(Ask::Signal(Signal::Terminate)),
            }
        }
    })?;
    Ok(())
}

fn reload_each(queue: &Receiver<()>, inbox: &Inbox, sources: &Sources, log: &Log) {
    while queue.recv().is_ok() {
        // What comes of it is logged where it is decided.
        let _ = reload(inbox, sources, log, false, false, "SIGHUP");
    }
}
