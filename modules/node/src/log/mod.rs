//! The log lane: structured lines, written by a thread of its own.
//!
//! Lanes send [`Record`]s through [`Log`]; what shards have to tell, the control lane sees in their
//! figures. Nobody who logs waits: when the destination does not take lines as
//! fast as they come, records are lost and counted. Each kind of event has a budget of lines
//! ([`rate`]); what was held back is counted on the next line of its kind and in the metrics. A
//! record of an operator's change has no budget: it is always written.

mod outlet;
mod rate;
mod render;

pub use outlet::{LogFile, Outlet};
pub use render::Format;

use rate::Budgets;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Records that may wait to be written.
pub const RECORDS_MAX: usize = 4_096;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something will not work for long, or works worse.
    Warn,
    /// Something changed.
    Info,
    /// For looking closely, for a short time.
    Debug,
}

impl Level {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

/// One line to be.
#[derive(Clone, Debug)]
pub struct Record {
    /// Microseconds since 1970 (UTC).
    pub wall: u64,
    /// How bad it is.
    pub level: Level,
    /// What happened, as a fixed word: the key of its budget.
    pub event: &'static str,
    /// Written however many of its kind there are.
    pub always: bool,
    /// What belongs to it, in this order.
    pub fields: Vec<(&'static str, Value)>,
}

impl Record {
    /// A record of this moment.
    pub fn new(level: Level, event: &'static str) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
        Record { wall, level, event, always: false, fields: Vec::new() }
    }
    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
    /// Exempt from the budget of its kind.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }
}

/// What the lane counts.
#[derive(Debug, Default)]
pub struct LogCounters {
    /// Lines written.
    pub written: AtomicU64,
    /// Lines held back because their kind had used up its budget.
    pub suppressed: AtomicU64,
    /// Records that found the queue full.
    pub lost: AtomicU64,
}

/// The way to the log lane.
#[derive(Clone, Debug)]
pub struct Log {
    records: SyncSender<Command>,
    counters: Arc<LogCounters>,
    level: Level,
}

/// How the log is kept, from `[log]`.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Lines of lesser importance are not written.
    pub level: Level,
    /// Form of a line.
    pub format: Format,
    /// Lines of one kind in a second.
    pub lines_per_second: u32,
}

enum Command {
    Write(Record),
    Flush(SyncSender<()>),
    Reopen,
}

impl Log {
    /// Starts the lane, writing to `sink`.
    pub fn start(style: Style, sink: impl Outlet + Send + 'static) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (records, inbox) = sync_channel(RECORDS_MAX);
        let counters = Arc::new(LogCounters::default());
        let budgets = Budgets::new(style.lines_per_second);
        let lane = Lane { format: style.format, sink, counters: Arc::clone(&counters), budgets };
        let thread = std::thread::Builder::new().name("tandem-log".into()).spawn(move || lane.work(&inbox))?;
        Ok((Log { records, counters, level: style.level }, thread))
    }

    /// Hands a record over. Never waits.
    pub fn send(&self, record: Record) {
        if record.level > self.level {
            return;
        }
        if self.records.try_send(Command::Write(record)).is_err() {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts so far.
    pub fn counters(&self) -> &LogCounters {
        &self.counters
    }

    /// Has the lane open its file anew, after everything sent so far: whoever renames log files asks for it.
    /// Never waits.
    pub fn reopen(&self) {
        if self.records.try_send(Command::Reopen).is_err() {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything sent so far is written, at most `longest`. For the end of the process.
    pub fn flush(&self, longest: Duration) {
        let (done, written) = sync_channel(1);
        if self.records.try_send(Command::Flush(done)).is_ok() {
            let _ = written.recv_timeout(longest);
        }
    }
}

struct Lane<W> {
    format: Format,
    sink: W,
    counters: Arc<LogCounters>,
    budgets: Budgets,
}

impl<W: Outlet> Lane<W> {
    fn work(mut self, inbox: &Receiver<Command>) {
        let mut line = String::new();
        while let Ok(command) = inbox.recv() {
            match command {
                Command::Write(record) => self.write(record, &mut line),
                Command::Flush(done) => {
                    let _ = self.sink.flush();
                    let _ = done.send(());
                }
                Command::Reopen => self.reopen(&mut line),
            }
        }
        let _ = self.sink.flush();
    }

    /// What cannot be opened is told where lines went until now: they go there still.
    fn reopen(&mut self, line: &mut String) {
        let record = match self.sink.reopen() {
            Ok(()) => Record::new(Level::Info, "log-reopened"),
            Err(error) => Record::new(Level::Error, "log-not-reopened").with("error", error.to_string()),
        };
        self.write(record.always(), line);
    }

    fn write(&mut self, mut record: Record, line: &mut String) {
        let held_back = match self.budgets.spend(record.event, record.wall, record.always) {
            Ok(held_back) => held_back,
            Err(()) => {
                self.counters.suppressed.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        if held_back > 0 {
            record.fields.push(("suppressed", held_back.into()));
        }
        line.clear();
        render::render(&record, self.format, line);
        // WHY: nobody is left to be told when the log itself cannot be written.
        let _ = self.sink.write_all(line.as_bytes());
        self.counters.written.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::io::Write;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Outlet for Sink {}

    /// A sink that takes nothing until it is opened.
    struct Stuck(Receiver<()>);
    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Outlet for Stuck {}

    const STYLE: Style = Style { level: Level::Info, format: Format::Text, lines_per_second: 20 };

    fn at(second: u64, event: &'static str) -> Record {
        Record { wall: second * 1_000_000, ..Record::new(Level::Info, event) }
    }

    #[test]
    fn a_flood_of_one_kind_is_cut_and_counted_on_the_next_line() {
        let sink = Sink::default();
        let (log, thread) = Log::start(STYLE, sink.clone()).unwrap();
        for _ in 0..1_000 {
            log.send(at(1, "unknown-source"));
        }
        log.send(at(1, "reload"));
        log.send(at(1_000, "unknown-source"));
        log.flush(Duration::from_secs(5));
        let written = log.counters().written.load(Ordering::Relaxed);
        let suppressed = log.counters().suppressed.load(Ordering::Relaxed);
        drop(log);
        thread.join().unwrap();
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written + suppressed, 1_002);
        assert!(text.contains("reload"));
        assert!(text.lines().last().unwrap().contains(&format!("suppressed={suppressed}")), "{text}");
        assert_eq!(text.lines().count() as u64, written);
    }

    #[test]
    fn what_is_less_important_than_asked_for_is_not_written() {
        let (log, thread) = Log::start(STYLE, Sink::default()).unwrap();
        log.send(Record::new(Level::Debug, "x"));
        log.send(Record::new(Level::Info, "x"));
        log.flush(Duration::from_secs(5));
        assert_eq!(log.counters().written.load(Ordering::Relaxed), 1);
        drop(log);
        thread.join().unwrap();
    }

    #[test]
    fn a_stuck_terminal_stops_nobody_and_is_counted() {
        let (open, wait) = std::sync::mpsc::channel();
        let (log, thread) = Log::start(STYLE, Stuck(wait)).unwrap();
        for _ in 0..RECORDS_MAX + 100 {
            log.send(Record::new(Level::Info, "x").always());
        }
        assert!(log.counters().lost.load(Ordering::Relaxed) >= 99);
        drop(open);
        drop(log);
        thread.join().unwrap();
    }

    #[test]
    fn a_renamed_file_is_left_for_a_new_one_and_no_line_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (path, renamed) = (folder.path().join("tandem.log"), folder.path().join("tandem.log.1"));
        let (log, thread) = Log::start(STYLE, LogFile::open(&path).unwrap()).unwrap();
        log.send(Record::new(Level::Info, "before"));
        log.flush(Duration::from_secs(5));
        std::fs::rename(&path, &renamed).unwrap();
        log.send(Record::new(Level::Info, "between"));
        log.reopen();
        log.send(Record::new(Level::Info, "after"));
        log.flush(Duration::from_secs(5));
        let text = |path| std::fs::read_to_string(path).unwrap();
        let (old, new) = (text(&renamed), text(&path));
        assert!(old.contains("before") && old.contains("between") && !old.contains("after"), "{old}");
        assert!(new.contains("log-reopened") && new.contains("after"), "{new}");

        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(&renamed, "").unwrap();
        log.reopen();
        log.flush(Duration::from_secs(5));
        assert_eq!(log.counters().written.load(Ordering::Relaxed), 5, "told to the file that is still open");
        drop(log);
        thread.join().unwrap();
    }
}
