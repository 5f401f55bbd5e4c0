//! How a shard hands its counts to the main thread: a book a second, by letter, never waiting.

use engine::{Address, LaneId, Outbox};
use proto::time::{Micros, Mono};
use rustix::time::{ClockId, clock_gettime};

use crate::report::Book;

/// The lane of the main thread.
pub const MAIN: LaneId = LaneId(0);

/// What shards and the main thread post to one another.
pub enum Letter {
    /// To the shard: the schedule begins at this moment.
    Begin(Mono),
    /// To the shard: start nothing more, end what is up.
    HangUp,
    /// To the shard: report what is left; nothing counts after this.
    Close,
    /// To the shard: an empty book, to be filled.
    Spare(Box<Book>),
    /// To the main thread: what was counted since the last one.
    Book(Box<Book>),
}

/// Ticks between two books. A tick is [`TICK`].
const TICKS_PER_BOOK: u32 = 10;
/// How often a shard looks at its own state.
pub const TICK: Micros = Micros::from_millis(100);

/// One shard's book and where it goes.
pub struct Reporter {
    /// The book that is open.
    pub book: Box<Book>,
    spare: Option<Box<Book>>,
    ticks: u32,
    cpu_before: Micros,
    was_done: bool,
}

impl Reporter {
    /// For a shard with so many gateways.
    pub fn new(gateways: usize) -> Self {
        Reporter {
            book: Box::new(Book::new(gateways)),
            spare: Some(Box::new(Book::new(gateways))),
            ticks: 0,
            cpu_before: thread_cpu(),
            was_done: false,
        }
    }

    /// A book came back.
    pub fn take_spare(&mut self, mut spare: Box<Book>) {
        spare.clear();
        self.spare = Some(spare);
    }

    /// Posts the book if it is time. `done`: the schedule is through and no call is open.
    pub fn tick(&mut self, now: Mono, active: u64, done: bool, out: &mut Outbox<'_, Letter>) {
        self.ticks += 1;
        if self.ticks >= TICKS_PER_BOOK || done != self.was_done {
            self.post(now, active, done, false, out);
        }
    }

    /// Posts the last book.
    pub fn close(&mut self, now: Mono, active: u64, out: &mut Outbox<'_, Letter>) {
        self.post(now, active, true, true, out);
    }

    /// Without a spare (the main thread is late) the open book simply stays open.
    fn post(&mut self, now: Mono, active: u64, done: bool, last: bool, out: &mut Outbox<'_, Letter>) {
        let next = match self.spare.take() {
            Some(spare) => spare,
            None if last => Box::default(),
            None => return,
        };
        let mut book = std::mem::replace(&mut self.book, next);
        let cpu = thread_cpu();
        book.cpu = Micros(cpu.0.saturating_sub(self.cpu_before.0));
        book.active = active;
        book.closed = now;
        book.done = done;
        book.last = last;
        match out.post(Address::Lane(MAIN), Letter::Book(book)) {
            Ok(()) => {
                self.cpu_before = cpu;
                self.ticks = 0;
                self.was_done = done;
            }
            // The main thread is late: go on with the same book.
            Err(Letter::Book(book)) => self.spare = Some(std::mem::replace(&mut self.book, book)),
            Err(_) => {}
        }
    }
}

/// CPU time of the calling thread.
fn thread_cpu() -> Micros {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_nsec / 1_000).unwrap_or(0);
    Micros(seconds.saturating_mul(1_000_000).saturating_add(micros))
}
