//! Questions of shards: answered from a small cache, or looked up once for all who ask the same.

use super::locate::{Located, Lookup};
use super::{Report, Service, Sink, Target};
use crate::letter::{AnswerKind, Question};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Answers that are kept. Hosts in dialogs are those of carriers and their media gateways: few.
const CACHE_MAX: usize = 4_096;

/// Names that are looked up at the same time; a question for one more fails at once.
pub(super) const UNDER_WAY_MAX: usize = 128;

/// How long a failure is remembered, so that a dead server is not asked for every request.
const FAILURE_HOLDS: Duration = Duration::from_secs(2);

/// Where questions are taken.
pub(super) struct Desk {
    lookup: Arc<Lookup>,
    sink: Sink,
    /// WHY a lock: tasks of this lane's one thread share it; it is never contended nor held over an await.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: HashMap<Service, (AnswerKind, Vec<Target>, Instant)>,
    #[expect(clippy::vec_box, reason = "the boxes are the shards' and go back to them")]
    waiting: HashMap<Service, Vec<Box<Question>>>,
}

impl Desk {
    pub(super) fn new(lookup: Arc<Lookup>, sink: Sink) -> Self {
        Desk { lookup, sink, state: Arc::default() }
    }

    /// Answers at once from the cache, joins those who wait for the same, or starts a lookup.
    pub(super) fn take(&self, question: Box<Question>) {
        let Some(service) = service_of(&question) else {
            return reply(&self.sink, question, AnswerKind::Nothing, &[]);
        };
        let mut state = lock(&self.state);
        if let Some((kind, targets, until)) = state.answers.get(&service)
            && *until > Instant::now()
        {
            return reply(&self.sink, question, *kind, targets);
        }
        if let Some(waiting) = state.waiting.get_mut(&service) {
            waiting.push(question);
            return;
        }
        if state.waiting.len() >= UNDER_WAY_MAX {
            return reply(&self.sink, question, AnswerKind::Failed, &[]);
        }
        state.waiting.insert(service.clone(), vec![question]);
        drop(state);
        tokio::spawn(look_up(service, Arc::clone(&self.lookup), Arc::clone(&self.sink), Arc::clone(&self.state)));
    }
}

async fn look_up(service: Service, lookup: Arc<Lookup>, sink: Sink, state: Arc<Mutex<State>>) {
    let (kind, targets, holds) = match lookup.locate(&service).await {
        Located::Found(targets, holds) => (AnswerKind::Found, targets, holds),
        Located::Nothing(holds) => (AnswerKind::Nothing, Vec::new(), holds),
        Located::Failed(_) => (AnswerKind::Failed, Vec::new(), FAILURE_HOLDS),
    };
    let mut state = lock(&state);
    for question in state.waiting.remove(&service).unwrap_or_default() {
        reply(&sink, question, kind, &targets);
    }
    make_room(&mut state.answers);
    state.answers.insert(service, (kind, targets, Instant::now() + holds));
}

/// Drops what is over, and if that is not enough, the answer that is over first.
fn make_room(answers: &mut HashMap<Service, (AnswerKind, Vec<Target>, Instant)>) {
    if answers.len() < CACHE_MAX {
        return;
    }
    let now = Instant::now();
    answers.retain(|_, (_, _, until)| *until > now);
    if answers.len() >= CACHE_MAX {
        let first = answers.iter().min_by_key(|(_, (_, _, until))| *until).map(|(service, _)| service.clone());
        first.map(|service| answers.remove(&service));
    }
}

fn service_of(question: &Question) -> Option<Service> {
    let host = std::str::from_utf8(question.host()).ok()?.to_ascii_lowercase();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map_or(host.as_str(), |inside| inside);
    (!host.is_empty()).then(|| Service { host: host.to_owned(), port: question.port })
}

fn reply(sink: &Sink, mut question: Box<Question>, kind: AnswerKind, targets: &[Target]) {
    question.reply(kind, targets.iter().map(|target| target.address));
    sink(Report::Answer(question));
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // WHY: a task that panicked left a map, and a map is whole after every single operation.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
