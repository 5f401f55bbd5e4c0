//! The lane's side: the events of each call become its records. No I/O: the lane fetches what stands in files.
//!
//! An answered call is written at once ([`RecordKind::Open`]) with all that its records will be made of; from then on
//! only its place is kept. When it ends that record is fetched, billed, and written as its attempt and its call.
//! INVARIANT: every record gets the next sequence of the epoch, whether it will be written or lost: a gap can be found.

use super::event::{Event, Happened};
use super::field::{Field, Fields, Read, find, number};
use super::record::{RECORD_HEAD, Record, RecordKind};
use super::setup::{Attempt, Setup, split};
use super::terms;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;

/// Between two interim records of a call, in microseconds.
pub const INTERIM_US: u64 = 3_600_000_000;

/// For how long an attempt may still end after its call was finished (64 × T1 and a bit), in microseconds.
const LEFTOVER_US: u64 = 40_000_000;

/// Bit of the numbers of calls that were open when the process before ended.
const RESTORED: u64 = 1 << 63;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the file.
    pub file: u64,
    /// Offset of the record's first byte.
    pub offset: u64,
    /// Its length.
    pub length: u32,
}

/// Records that shall be written as one frame.
#[derive(Debug, Default)]
pub struct Page {
    /// Records, one behind the other.
    pub bytes: Vec<u8>,
    /// How many.
    pub records: u64,
    /// Records of open calls among them: call, offset, length.
    open: Vec<(u64, usize, usize)>,
    /// And of attempts under way: call, attempt, offset, length.
    begun: Vec<(u64, usize, usize, usize)>,
}

/// Whoever can bring back a record that was written.
pub trait Shelf {
    /// The bytes of the record at a place; `None`: they cannot be read.
    fn fetch(&mut self, place: Place) -> Option<Vec<u8>>;
}

/// See the module. One value a process.
#[derive(Debug)]
pub struct Ledger {
    epoch: u64,
    sequence: u64,
    setups: HashMap<u64, Setup>,
    open: HashMap<u64, Open>,
    /// Next interim of each open call: when, and which.
    due: BTreeSet<(u64, u64)>,
    /// Finished calls with attempts that have not ended: until when they are waited for, and which.
    leftover: BTreeSet<(u64, u64)>,
    restored: u64,
    /// Answered calls by the hash of Call-ID and From tag: a fork that answers later has no more.
    named: HashMap<u64, u64>,
    hashing: RandomState,
    /// What was charged to customers' balances.
    charged: BTreeMap<Vec<u8>, i64>,
    /// Events about calls that are not known: their beginning was lost.
    unknown: u64,
}

/// An answered call.
#[derive(Debug)]
struct Open {
    answered: u64,
    /// Its next interim.
    due: u64,
    kept: Kept,
    bye: Option<(u64, Vec<u8>)>,
}

#[derive(Debug)]
enum Kept {
    /// Not written yet: its fields.
    Memory(Vec<u8>),
    Placed(Place),
}

impl Ledger {
    /// Of an epoch (the start of the process, in milliseconds since 1970).
    pub fn new(epoch: u64) -> Self {
        Ledger {
            epoch,
            sequence: 0,
            setups: HashMap::new(),
            open: HashMap::new(),
            due: BTreeSet::new(),
            leftover: BTreeSet::new(),
            restored: 0,
            named: HashMap::new(),
            hashing: RandomState::new(),
            charged: BTreeMap::new(),
            unknown: 0,
        }
    }

    /// The last sequence that was given.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Answered calls.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Calls that are being set up, those included of which an attempt has not ended.
    pub fn setups(&self) -> usize {
        self.setups.len()
    }

    /// Events about calls that are not known.
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// The oldest file that a record of an open call stands in.
    pub fn oldest_file(&self) -> Option<u64> {
        let file = |open: &Open| match open.kept {
            Kept::Placed(place) => Some(place.file),
            Kept::Memory(_) => None,
        };
        self.open.values().filter_map(file).min()
    }

    /// The first record of an epoch. `previous`: the epoch before and the last sequence known of it.
    pub fn start(&mut self, previous: Option<(u64, u64)>, release: &str, at: u64, page: &mut Page) {
        let mut fields = Vec::new();
        let mut out = Fields::growing(&mut fields);
        out.text(Field::Release, release.as_bytes());
        if let Some((epoch, sequence)) = previous {
            out.number(Field::PreviousEpoch, epoch).number(Field::PreviousSequence, sequence);
        }
        self.record(RecordKind::Start, at, &fields, page);
    }

    /// Attempts that were under way when the process before ended, of calls that had no answer: each gets its record, and
    /// so does each call. Nobody knows what became of them.
    pub fn lost(&mut self, begun: &[Vec<u8>], at: u64, page: &mut Page) {
        let mut calls: BTreeMap<(u64, u64), (Vec<u8>, u64)> = BTreeMap::new();
        for fields in begun {
            let mut lost = fields.clone();
            Fields::growing(&mut lost).text(Field::Cause, b"lost").text(Field::ClosedBy, b"lost");
            self.record(RecordKind::Attempt, at, &lost, page);
            let of = |field| number(fields, field).unwrap_or(0);
            let last = calls.entry((of(Field::CallEpoch), of(Field::Call))).or_default();
            if of(Field::Attempt) >= last.1 {
                *last = (lost, of(Field::Attempt));
            }
        }
        for (mut fields, attempts) in calls.into_values() {
            Fields::growing(&mut fields).number(Field::Attempts, attempts).number(Field::Duration, 0);
            self.record(RecordKind::Call, at, &fields, page);
        }
    }

    /// What had been charged to customers' balances when the process before ended.
    pub fn restore_charged(&mut self, charged: BTreeMap<Vec<u8>, i64>) {
        self.charged = charged;
    }

    /// A call that was open when the process before ended goes on; the number that shards know it by from now on.
    pub fn restore(&mut self, place: Place, fields: &[u8]) -> u64 {
        self.restored += 1;
        let call = RESTORED | self.restored;
        if number(fields, Field::Parent).is_none() {
            self.named.insert(self.name(fields), call);
        }
        let answered = number(fields, Field::Answer).unwrap_or(0);
        let passed = number(fields, Field::Duration).unwrap_or(0) / INTERIM_US;
        let due = answered + (passed + 1) * INTERIM_US;
        self.due.insert((due, call));
        self.open.insert(call, Open { answered, due, kept: Kept::Placed(place), bye: None });
        call
    }

    /// Where the records of all open calls stand that were written: to stand first in a file. It has no sequence.
    pub fn checkpoint(&self, at: u64, out: &mut Vec<u8>) {
        let mut fields = Vec::new();
        for open in self.open.values() {
            if let Kept::Placed(place) = open.kept {
                write_place(place, &mut Fields::growing(&mut fields));
            }
        }
        let attempts = self.setups.values().flat_map(|setup| &setup.attempts);
        for place in attempts.filter(|attempt| !attempt.over).filter_map(|attempt| attempt.begun) {
            write_place(place, &mut Fields::growing(&mut fields));
        }
        for (customer, charged) in &self.charged {
            Fields::growing(&mut fields).with(Field::Account, |out| {
                out.extend_from_slice(&charged.to_le_bytes());
                out.extend_from_slice(customer);
            });
        }
        Record { kind: RecordKind::Checkpoint, sequence: 0, at, fields: &fields }.write(out);
    }

    /// The records of `page` stand in a file, the first of them at `offset`.
    pub fn placed(&mut self, page: &Page, file: u64, offset: u64) {
        for (call, at, length) in &page.open {
            let place = Place { file, offset: offset + *at as u64, length: u32::try_from(*length).unwrap_or(0) };
            if let Some(open) = self.open.get_mut(call) {
                open.kept = Kept::Placed(place);
            }
        }
        for (call, attempt, at, length) in &page.begun {
            let place = Place { file, offset: offset + *at as u64, length: u32::try_from(*length).unwrap_or(0) };
            let setup = self.setups.get_mut(call);
            if let Some(attempt) = setup.and_then(|setup| setup.attempts.get_mut(*attempt)) {
                attempt.begun = Some(place);
            }
        }
    }

    /// Something has happened.
    pub fn take(&mut self, event: &Event<'_>, shelf: &mut impl Shelf, page: &mut Page) {
        match event.happened {
            Happened::Setup => {
                let mut fields = Vec::with_capacity(event.fields.len() + 32);
                let mut out = Fields::growing(&mut fields);
                out.number(Field::Call, event.call).number(Field::CallEpoch, self.epoch).again(event.fields);
                self.setups.insert(event.call, Setup { fields, ..Setup::default() });
            }
            Happened::Chosen => match self.setups.get_mut(&event.call) {
                Some(setup) => split(event.fields, &mut setup.fields, &mut setup.chosen),
                None => self.unknown += 1,
            },
            Happened::PassedOver => {
                if let Some(setup) = self.setups.get_mut(&event.call) {
                    setup.pass_over(event.fields);
                }
            }
            Happened::Attempt => match self.setups.get_mut(&event.call) {
                Some(setup) => {
                    setup.attempts.push(Attempt { fields: event.fields.to_vec(), ..Attempt::default() });
                    let (fields, from) = ([&setup.fields[..], event.fields].concat(), page.bytes.len());
                    // WHY no sequence: it is for a restart alone, and nobody's record if the attempt ends in this process.
                    let begun = Record { kind: RecordKind::Begun, sequence: 0, at: event.at, fields: &fields };
                    begun.write(&mut page.bytes);
                    page.begun.push((event.call, setup.attempts.len() - 1, from, page.bytes.len() - from));
                }
                None => self.unknown += 1,
            },
            Happened::Progress => {
                match self.setups.get_mut(&event.call).and_then(|setup| setup.attempt(event.fields)) {
                    Some(attempt) => attempt.fields.extend_from_slice(event.fields),
                    None => self.unknown += 1,
                }
            }
            Happened::Outcome => self.outcome(event, page),
            Happened::Answered => self.answered(event, shelf, page),
            Happened::Finished => self.finished(event, page),
            Happened::Bye => {
                if let Some(open) = self.open.get_mut(&event.call).filter(|open| open.bye.is_none()) {
                    open.bye = Some((event.at, event.fields.to_vec()));
                }
            }
            Happened::ByeRefused => {
                self.open.get_mut(&event.call).into_iter().for_each(|open| open.bye = None);
            }
            Happened::Refreshed => self.refreshed(event, shelf, page),
            Happened::Ended => self.ended(event, shelf, page),
            Happened::Orphan => self.record(RecordKind::Orphan, event.at, event.fields, page),
        }
    }

    /// What is due by the clock: interims, and attempts that nothing was heard of.
    pub fn tick(&mut self, at: u64, shelf: &mut impl Shelf, page: &mut Page) {
        while let Some((due, call)) = self.due.first().copied().filter(|(due, _)| *due <= at) {
            self.due.remove(&(due, call));
            self.interim(call, at, &[], shelf, page);
        }
        while let Some((until, call)) = self.leftover.first().copied().filter(|(until, _)| *until <= at) {
            self.leftover.remove(&(until, call));
            if let Some(setup) = self.setups.remove(&call) {
                for attempt in setup.attempts.iter().filter(|attempt| !attempt.over) {
                    let mut fields = [&setup.fields[..], &attempt.fields].concat();
                    Fields::growing(&mut fields).text(Field::Cause, b"no_final_response").time(Field::End, at);
                    self.record(RecordKind::Attempt, at, &fields, page);
                }
            }
        }
    }

    /// When [`Ledger::tick`] has something to do next.
    pub fn deadline(&self) -> Option<u64> {
        [self.due.first(), self.leftover.first()].into_iter().flatten().map(|(due, _)| *due).min()
    }

    fn outcome(&mut self, event: &Event<'_>, page: &mut Page) {
        let Some(setup) = self.setups.get_mut(&event.call) else {
            self.unknown += 1;
            return;
        };
        let Some(attempt) = setup.attempt(event.fields) else { return };
        let silent = find(event.fields, Field::Cause).is_some_and(|cause| cause != b"unreachable");
        attempt.settled |= !silent;
        if std::mem::replace(&mut attempt.over, true) {
            return self.forget_if_over(event.call);
        }
        let mut fields = [&attempt.fields[..], event.fields].concat();
        if find(&fields, Field::Cause).is_none() {
            let cancelled = number(event.fields, Field::Status) == Some(487);
            Fields::growing(&mut fields).text(Field::Cause, if cancelled { b"cancelled" } else { b"rejected" });
        }
        let fields = [&setup.fields[..], &fields].concat();
        self.record(RecordKind::Attempt, event.at, &fields, page);
        self.forget_if_over(event.call);
    }

    /// A finished call of which no attempt is open any more is forgotten.
    fn forget_if_over(&mut self, call: u64) {
        let over = |setup: &&Setup| setup.attempts.iter().all(|attempt| attempt.over && attempt.settled);
        if let Some(until) = self.setups.get(&call).filter(over).and_then(|setup| setup.until) {
            self.leftover.remove(&(until, call));
            self.setups.remove(&call);
        }
    }

    fn answered(&mut self, event: &Event<'_>, shelf: &mut impl Shelf, page: &mut Page) {
        // Only a fork's event has the name.
        let name = find(event.fields, Field::CallId).map(|_| self.name(event.fields));
        let forked = name.and_then(|name| self.named.get(&name).copied());
        let parent = number(event.fields, Field::Parent).or(forked);
        let mut fields = Vec::new();
        match self.setups.get_mut(&parent.unwrap_or(event.call)) {
            Some(setup) => {
                fields.extend_from_slice(&setup.fields);
                fields.extend_from_slice(&setup.chosen);
                Fields::growing(&mut fields).number(Field::Attempts, setup.attempts.len() as u64);
                if let Some(attempt) = setup.attempt(event.fields) {
                    (attempt.over, attempt.settled) = (true, true);
                    fields.extend_from_slice(&attempt.fields);
                }
                setup.answered = true;
            }
            None => {
                let first = parent.and_then(|parent| self.fields_of(parent, shelf));
                copy(&first.unwrap_or_default(), OF_FIRST_ANSWER, &mut fields);
            }
        }
        let mut out = Fields::growing(&mut fields);
        if let Some(parent) = parent {
            out.number(Field::Parent, parent);
        }
        out.number(Field::Call, event.call).number(Field::CallEpoch, self.epoch).again(event.fields);
        let due = event.at + INTERIM_US;
        self.due.insert((due, event.call));
        self.record_open(event.call, RecordKind::Open, event.at, &fields, page);
        self.charge(&fields, event.fields);
        self.forget_if_over(parent.unwrap_or(event.call));
        if parent.is_none() {
            self.named.insert(self.name(&fields), event.call);
        }
        self.open.insert(event.call, Open { answered: event.at, due, kept: Kept::Memory(fields), bye: None });
    }

    /// The name of a call, hashed.
    fn name(&self, fields: &[u8]) -> u64 {
        self.hashing.hash_one([Field::CallId, Field::FromTag].map(|field| find(fields, field)))
    }

    /// What was charged to a customer, if an event tells: it only grows.
    fn charge(&mut self, fields: &[u8], told: &[u8]) {
        if let (Some(customer), Some(charged)) = (find(fields, Field::Customer), charged(told)) {
            let known = self.charged.entry(customer.to_vec()).or_insert(charged);
            *known = charged.max(*known);
        }
    }

    /// A record by which the call is known from now on.
    fn record_open(&mut self, call: u64, kind: RecordKind, at: u64, fields: &[u8], page: &mut Page) {
        let from = page.bytes.len();
        self.record(kind, at, fields, page);
        page.open.push((call, from, page.bytes.len() - from));
    }

    fn finished(&mut self, event: &Event<'_>, page: &mut Page) {
        let until = event.at + LEFTOVER_US;
        let Some(setup) = self.setups.get_mut(&event.call) else {
            self.unknown += 1;
            return;
        };
        setup.until = Some(until);
        if !setup.answered {
            let status = number(event.fields, Field::Status).unwrap_or(0);
            let mut fields = [&setup.fields[..], &setup.chosen].concat();
            let mut out = Fields::growing(&mut fields);
            if let Some(last) = setup.attempts.last() {
                out.again(&last.fields);
            }
            out.number(Field::Attempts, setup.attempts.len() as u64)
                .number(Field::Duration, 0)
                .time(Field::End, event.at);
            out.text(Field::Cause, if status == 487 { b"cancelled" } else { b"rejected" }).again(event.fields);
            if status == 487 {
                out.text(Field::HungUp, b"caller");
            }
            self.record(RecordKind::Call, event.at, &fields, page);
        }
        self.leftover.insert((until, event.call));
        self.forget_if_over(event.call);
    }

    fn ended(&mut self, event: &Event<'_>, shelf: &mut impl Shelf, page: &mut Page) {
        let Some(recorded) = self.fields_of(event.call, shelf) else {
            self.unknown += 1;
            let mut fields = Vec::new();
            Fields::growing(&mut fields)
                .number(Field::Call, event.call)
                .again(event.fields)
                .text(Field::Cause, b"record_lost");
            return self.record(RecordKind::Call, event.at, &fields, page);
        };
        let bye = self.open.remove(&event.call).and_then(|open| {
            self.due.remove(&(open.due, event.call));
            open.bye
        });
        let mut told = Vec::new();
        let mut out = Fields::growing(&mut told);
        let (at, said) = bye.unwrap_or((event.at, Vec::new()));
        // WHY this order: what came later holds, and the first BYE says how long the call was.
        out.again(event.fields).again(&said).time(Field::End, at);
        let duration = number(&told, Field::Duration).unwrap_or(0);
        let mut fields = Vec::with_capacity(recorded.len() + told.len() + 200);
        copy(&recorded, RENEWED, &mut fields);
        fields.extend_from_slice(&told);
        self.charge(&recorded, event.fields);
        let is_further = number(&recorded, Field::Parent).is_some();
        if !is_further {
            self.named.remove(&self.name(&recorded));
        }
        // WHY not the customer: a further answer is nothing that he got.
        terms::bill(&recorded, duration, !is_further, &mut Fields::growing(&mut fields));
        let mut attempt = Vec::with_capacity(fields.len());
        copy(&fields, &[Field::Choice, Field::Attempts], &mut attempt);
        self.record(RecordKind::Attempt, event.at, &attempt, page);
        self.record(RecordKind::Call, event.at, &fields, page);
    }

    /// Both sides have agreed anew: a restart needs to know it.
    fn refreshed(&mut self, event: &Event<'_>, shelf: &mut impl Shelf, page: &mut Page) {
        let Some(due) = self.open.get(&event.call).map(|open| open.due) else {
            self.unknown += 1;
            return;
        };
        self.due.remove(&(due, event.call));
        self.interim(event.call, event.at, event.fields, shelf, page);
    }

    fn interim(&mut self, call: u64, at: u64, news: &[u8], shelf: &mut impl Shelf, page: &mut Page) {
        let Some(open) = self.open.get_mut(&call) else { return };
        let duration = at.saturating_sub(open.answered);
        open.due = open.answered + (duration / INTERIM_US + 1) * INTERIM_US;
        self.due.insert((open.due, call));
        let Some(recorded) = self.fields_of(call, shelf) else { return };
        let mut fields = Vec::with_capacity(recorded.len() + 200);
        let kept = RENEWED.split_first().filter(|_| news.is_empty()).map_or(RENEWED, |(_, rest)| rest);
        copy(&recorded, kept, &mut fields);
        fields.extend_from_slice(news);
        let mut out = Fields::growing(&mut fields);
        out.number(Field::Duration, duration);
        terms::bill(&recorded, duration, true, &mut out);
        self.record_open(call, RecordKind::Interim, at, &fields, page);
        self.open.get_mut(&call).into_iter().for_each(|open| open.kept = Kept::Memory(std::mem::take(&mut fields)));
    }

    /// What was recorded of an open call.
    fn fields_of(&self, call: u64, shelf: &mut impl Shelf) -> Option<Vec<u8>> {
        match &self.open.get(&call)?.kept {
            Kept::Memory(fields) => Some(fields.clone()),
            Kept::Placed(place) => {
                let mut bytes = shelf.fetch(*place)?;
                Record::read(&bytes)?;
                Some(bytes.split_off(RECORD_HEAD))
            }
        }
    }

    fn record(&mut self, kind: RecordKind, at: u64, fields: &[u8], page: &mut Page) {
        self.sequence += 1;
        page.records += 1;
        Record { kind, sequence: self.sequence, at, fields }.write(&mut page.bytes);
    }
}

/// What a further answer has not from the first one.
const OF_FIRST_ANSWER: &[Field] =
    &[Field::State, Field::ToTag, Field::Parent, Field::Charged, Field::CalleeMedia, Field::CalleeCodecs];

/// What was charged to a customer so far.
pub fn charged(fields: &[u8]) -> Option<i64> {
    let bytes = find(fields, Field::Charged)?;
    bytes.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))
}

/// The accounts of a checkpoint.
pub fn accounts(fields: &[u8]) -> impl Iterator<Item = (&[u8], i64)> {
    let accounts = Read(fields).filter(|(field, ..)| *field == Field::Account as u8);
    accounts.filter_map(|(_, bytes, _)| {
        let (charged, name) = bytes.split_first_chunk()?;
        Some((name, i64::from_le_bytes(*charged)))
    })
}

/// What an interim and the end say anew.
const RENEWED: &[Field] = &[
    Field::State,
    Field::Duration,
    Field::SellSeconds,
    Field::SellAmount,
    Field::BuySeconds,
    Field::BuyAmount,
    Field::Margin,
];

/// Fields again, without some.
fn copy(fields: &[u8], without: &[Field], out: &mut Vec<u8>) {
    for (field, _, whole) in Read(fields) {
        if !without.iter().any(|left_out| *left_out as u8 == field) {
            out.extend_from_slice(whole);
        }
    }
}

fn write_place(place: Place, fields: &mut Fields<'_>) {
    fields.with(Field::Place, |out| {
        out.extend_from_slice(&place.file.to_le_bytes());
        out.extend_from_slice(&place.offset.to_le_bytes());
        out.extend_from_slice(&place.length.to_le_bytes());
    });
}

/// The places of a checkpoint.
pub fn places(fields: &[u8]) -> impl Iterator<Item = Place> {
    let place = |bytes: &[u8]| {
        let (file, rest) = bytes.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let length = rest.try_into().ok()?;
        Some(Place {
            file: u64::from_le_bytes(*file),
            offset: u64::from_le_bytes(*offset),
            length: u32::from_le_bytes(length),
        })
    };
    let places = Read(fields).filter(|(field, ..)| *field == Field::Place as u8);
    places.filter_map(move |(_, bytes, _)| place(bytes)).collect::<Vec<_>>().into_iter()
}
