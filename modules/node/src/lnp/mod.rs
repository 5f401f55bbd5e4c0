//! The lane that asks for ported numbers: by INVITE to a redirect server ([`redirect`]), or by ENUM ([`enumber`]).
//!
//! One thread; of a number asked for by many calls at once one question goes out, and its answer is kept for a while,
//! a failure for a short one. A shard that waits has a deadline of its own; an answer after it fills the memory.

mod enumber;
mod redirect;

use crate::module_question::ModuleQuestion;
use modules::class4::dip::answer;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tuning::LnpMethod;

/// Questions that may wait for the lane; one more fails at once.
const QUESTIONS_MAX: usize = 4_096;

/// Numbers that are asked for at the same time; one more fails at once.
const UNDER_WAY_MAX: usize = 256;

/// Answers that are kept.
const ANSWERS_MAX: usize = 1 << 18;

/// How long a failure is remembered, so that a dead server does not cost every call its wait.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);

/// How it is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// By what.
    pub method: LnpMethod,
    /// Of whom; for ENUM, empty: the name servers of the system.
    pub servers: Vec<SocketAddr>,
    /// ENUM's domain.
    pub domain: String,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// How long it is kept.
    pub keep: Duration,
}

/// Where answered questions go. Called on the lane's thread; must not wait.
pub type Sink = Arc<dyn Fn(Box<ModuleQuestion>) + Send + Sync>;

/// The way to the lane. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct LnpLane {
    questions: Sender<Box<ModuleQuestion>>,
}

/// The routing number's digits; `None`: not ported. `Err`: nobody could say.
type Outcome = Result<Option<String>, ()>;

impl LnpLane {
    /// Starts the thread.
    ///
    /// # Errors
    /// What is wrong with the name servers, or the system's refusal.
    pub fn start(settings: Settings, sink: Sink) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let resolver = match settings.method {
            LnpMethod::Redirect => None,
            LnpMethod::Enum => {
                let _inside = runtime.enter();
                Some(enumber::resolver(&settings)?)
            }
        };
        let (questions, inbox) = channel(QUESTIONS_MAX);
        let desk = Desk { asking: Arc::new(Asking { settings, resolver }), sink, state: Arc::default() };
        std::thread::Builder::new()
            .name("tandem-lnp".into())
            .spawn(move || runtime.block_on(work(desk, inbox)))
            .map_err(|error| error.to_string())?;
        Ok(LnpLane { questions })
    }

    /// Takes a shard's question; gives it back when too many wait. Never waits.
    ///
    /// # Errors
    /// The question.
    pub fn ask(&self, question: Box<ModuleQuestion>) -> Result<(), Box<ModuleQuestion>> {
        self.questions.try_send(question).map_err(tokio::sync::mpsc::error::TrySendError::into_inner)
    }
}

/// Who is asked.
struct Asking {
    settings: Settings,
    resolver: Option<hickory_resolver::TokioResolver>,
}

impl Asking {
    async fn ask(&self, number: &str) -> Outcome {
        match &self.resolver {
            Some(resolver) => {
                let asked = enumber::ask(resolver, &self.settings.domain, number);
                tokio::time::timeout(self.settings.timeout, asked).await.unwrap_or(Err(()))
            }
            None => redirect::ask(&self.settings.servers, self.settings.timeout, number).await,
        }
    }
}

struct Desk {
    asking: Arc<Asking>,
    sink: Sink,
    /// WHY a lock: tasks of this lane's one thread share it; it is never contended nor held over an await.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, (Outcome, Instant)>,
    #[expect(clippy::vec_box, reason = "the boxes are the shards' and go back to them")]
    waiting: HashMap<String, Vec<Box<ModuleQuestion>>>,
}

async fn work(desk: Desk, mut inbox: Receiver<Box<ModuleQuestion>>) {
    while let Some(question) = inbox.recv().await {
        desk.take(question);
    }
}

impl Desk {
    fn take(&self, question: Box<ModuleQuestion>) {
        let number = String::from_utf8_lossy(question.bytes()).into_owned();
        let mut state = lock(&self.state);
        if let Some((outcome, until)) = state.answers.get(&number)
            && *until > Instant::now()
        {
            return reply(&self.sink, question, outcome);
        }
        if let Some(waiting) = state.waiting.get_mut(&number) {
            waiting.push(question);
            return;
        }
        if state.waiting.len() >= UNDER_WAY_MAX {
            return reply(&self.sink, question, &Err(()));
        }
        state.waiting.insert(number.clone(), vec![question]);
        drop(state);
        let (asking, sink, state) = (Arc::clone(&self.asking), Arc::clone(&self.sink), Arc::clone(&self.state));
        tokio::spawn(async move {
            let outcome = asking.ask(&number).await;
            let mut state = lock(&state);
            for question in state.waiting.remove(&number).unwrap_or_default() {
                reply(&sink, question, &outcome);
            }
            let holds = if outcome.is_ok() { asking.settings.keep } else { FAILURE_HOLDS };
            state.keep(number, outcome, holds, Instant::now());
        });
    }
}

impl State {
    /// Keeps an answer. A full memory first loses what is over, and if that is nothing, all of it.
    fn keep(&mut self, number: String, outcome: Outcome, holds: Duration, now: Instant) {
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.retain(|_, (_, until)| *until > now);
        }
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.clear();
        }
        self.answers.insert(number, (outcome, now + holds));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reply(sink: &Sink, mut question: Box<ModuleQuestion>, outcome: &Outcome) {
    match outcome {
        Ok(routing) => question.reply(answer::FOUND, routing.as_deref().unwrap_or_default().as_bytes()),
        Err(()) => question.reply(answer::FAILED, b""),
    }
    sink(question);
}

/// The digits of the `rn` among the parameters of a user part or URI; `None`: there is none that could be one.
fn routing_number(parameters: &[u8]) -> Option<String> {
    modules::class4::dialled::routing_number(parameters).map(|code| code.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_full_memory_loses_what_is_over_first() {
        let (mut state, now) = (State::default(), Instant::now());
        for number in 0..ANSWERS_MAX {
            let holds = if number % 2 == 0 { Duration::ZERO } else { Duration::from_secs(9) };
            state.keep(number.to_string(), Ok(None), holds, now);
        }
        state.keep("x".into(), Err(()), FAILURE_HOLDS, now + Duration::from_millis(1));
        assert_eq!(state.answers.len(), ANSWERS_MAX / 2 + 1);
        assert!(state.answers.contains_key("1") && !state.answers.contains_key("2"));
    }
}
