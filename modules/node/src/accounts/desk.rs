//! The desk of one source: takes questions, answers each at the latest at its deadline.
//!
//! - So many are under way; one more fails at once.
//! - Who asks for a user that is being asked for already waits for that answer (but not where the source judges proofs).
//! - A source that failed several times in a row is tried by one question at a time, until one is answered: what
//!   hangs must not keep everybody waiting for the deadline.

use super::source::{Failure, Source, SourceConfig};
use crate::module_question::ModuleQuestion;
use modules::authentication::Said;
use modules::authentication::question::{Query, write_answer};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

/// Failures in a row after which a source is tried by one question at a time.
const FAILURES_IN_A_ROW: u32 = 3;

/// Answers leave at multiples of this after their question came.
///
/// WHY: a source takes another time to find a user than to find none, and whoever asks could tell by it.
const ANSWERS_EVERY: Duration = Duration::from_millis(2);

fn next_multiple(began: Instant) -> Instant {
    let every = ANSWERS_EVERY.as_micros().max(1);
    let passed = began.elapsed().as_micros() / every + 1;
    began + ANSWERS_EVERY * u32::try_from(passed).unwrap_or(u32::MAX)
}

/// How questions are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// An answer that takes longer is a failure.
    pub deadline: Duration,
    /// Questions under way at the same time, of each source.
    pub under_way_max: usize,
}

/// What a desk has to say.
#[derive(Debug)]
pub enum Report {
    /// A shard's question, answered.
    Answer(Box<ModuleQuestion>),
    /// A source began to answer, or stopped.
    State {
        /// Its label.
        source: String,
        /// It answers.
        up: bool,
        /// Why it does not.
        why: String,
    },
}

/// Where reports go. Called on the source's thread; must not wait.
pub type Sink = Arc<dyn Fn(Report) + Send + Sync>;

/// A source in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// It answers, or was never asked.
    pub up: bool,
    /// Questions under way.
    pub under_way: u64,
    /// Questions answered.
    pub answered: u64,
    /// Questions that it failed to answer in time.
    pub failed: u64,
    /// Questions turned away: too many under way, or the source does not answer.
    pub turned_away: u64,
}

#[derive(Debug, Default)]
struct Counts {
    down: AtomicBool,
    under_way: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    turned_away: AtomicU64,
}

/// The way to a source. Its thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Lane {
    inbox: Sender<Box<ModuleQuestion>>,
    settings: Settings,
    counts: Arc<Counts>,
}

impl Lane {
    /// Starts the thread.
    pub(super) fn start(config: &SourceConfig, settings: Settings, sink: Sink) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let source = {
            let _inside = runtime.enter();
            Source::new(config, settings.deadline)?
        };
        let (inbox, questions) = channel(settings.under_way_max.saturating_mul(4).max(64));
        let counts: Arc<Counts> = Arc::default();
        let desk_counts = Arc::clone(&counts);
        let label = config.label();
        let work = move || {
            let desk = Desk { source, label, sink, settings, counts: desk_counts, state: RefCell::default() };
            LocalSet::new().block_on(&runtime, Rc::new(desk).work(questions));
        };
        std::thread::Builder::new().name("tandem-accounts".into()).spawn(work).map_err(|error| error.to_string())?;
        Ok(Lane { inbox, settings, counts })
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Takes a question; gives it back when the desk is full.
    pub(super) fn ask(&self, question: Box<ModuleQuestion>) -> Result<(), Box<ModuleQuestion>> {
        self.inbox.try_send(question).map_err(|error| {
            self.counts.turned_away.fetch_add(1, Relaxed);
            error.into_inner()
        })
    }

    pub(super) fn figures(&self) -> Figures {
        let counts = &self.counts;
        let load = |count: &AtomicU64| count.load(Relaxed);
        Figures {
            up: !counts.down.load(Relaxed),
            under_way: load(&counts.under_way),
            answered: load(&counts.answered),
            failed: load(&counts.failed),
            turned_away: load(&counts.turned_away),
        }
    }
}

struct Desk {
    source: Source,
    label: String,
    sink: Sink,
    settings: Settings,
    counts: Arc<Counts>,
    /// Never borrowed over an await.
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    #[expect(clippy::vec_box, reason = "the boxes are the shards' and go back to them")]
    waiting: HashMap<Vec<u8>, Vec<Box<ModuleQuestion>>>,
    failures_in_a_row: u32,
}

impl Desk {
    async fn work(self: Rc<Self>, mut questions: Receiver<Box<ModuleQuestion>>) {
        while let Some(question) = questions.recv().await {
            Rc::clone(&self).take(question);
        }
    }

    fn take(self: Rc<Self>, question: Box<ModuleQuestion>) {
        let Some(key) = self.key(question.bytes()) else { return self.turn_away(question) };
        {
            let mut state = self.state.borrow_mut();
            if let Some(waiting) = state.waiting.get_mut(&key) {
                return waiting.push(question);
            }
            let most = if state.failures_in_a_row < FAILURES_IN_A_ROW { self.settings.under_way_max } else { 1 };
            if state.waiting.len() >= most {
                drop(state);
                return self.turn_away(question);
            }
            let asked = question.bytes().to_vec();
            state.waiting.insert(key.clone(), vec![question]);
            self.counts.under_way.store(state.waiting.len() as u64, Relaxed);
            drop(state);
            spawn_local(self.look_up(key, asked));
        }
    }

    /// What makes two questions the same.
    fn key(&self, asked: &[u8]) -> Option<Vec<u8>> {
        let query = Query::read(asked)?;
        if self.source.judges() {
            return Some(asked.to_vec());
        }
        Some([query.domain, query.credentials.realm, query.credentials.username].join(&0))
    }

    async fn look_up(self: Rc<Self>, key: Vec<u8>, asked: Vec<u8>) {
        let began = Instant::now();
        let found = match Query::read(&asked) {
            Some(query) => tokio::time::timeout(self.settings.deadline, self.source.find(&query)).await,
            None => Ok(Err(Failure("a question that is none".into()))),
        };
        let said = found.unwrap_or_else(|_| Err(Failure(format!("no answer within {:?}", self.settings.deadline))));
        self.note(said.as_ref().err());
        tokio::time::sleep_until(next_multiple(began)).await;
        let mut bytes = Vec::new();
        let number = write_answer(said.as_ref().ok(), &mut bytes);
        let waiting = {
            let mut state = self.state.borrow_mut();
            let waiting = state.waiting.remove(&key).unwrap_or_default();
            self.counts.under_way.store(state.waiting.len() as u64, Relaxed);
            waiting
        };
        for mut question in waiting {
            question.reply(number, &bytes);
            (self.sink)(Report::Answer(question));
        }
    }

    /// Whether the source answers, told when it changes.
    fn note(&self, failure: Option<&Failure>) {
        let mut state = self.state.borrow_mut();
        let before = state.failures_in_a_row;
        let (count, failures) = match failure {
            None => (&self.counts.answered, 0),
            Some(_) => (&self.counts.failed, before.saturating_add(1)),
        };
        count.fetch_add(1, Relaxed);
        state.failures_in_a_row = failures;
        self.counts.down.store(failure.is_some(), Relaxed);
        if (before == 0) != (failures == 0) {
            let why = failure.map(|failure| failure.0.clone()).unwrap_or_default();
            (self.sink)(Report::State { source: self.label.clone(), up: failures == 0, why });
        }
    }

    fn turn_away(&self, mut question: Box<ModuleQuestion>) {
        self.counts.turned_away.fetch_add(1, Relaxed);
        question.reply(write_answer(None::<&Said>, &mut Vec::new()), b"");
        (self.sink)(Report::Answer(question));
    }
}
