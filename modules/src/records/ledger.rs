//! The lane's side: the events of each call become its records. No I/O: the lane fetches what stands in files.
//!
//! An answered call is written at once ([`RecordKind::Open`]) with all that its records will be made of; from then on
//! only its place is kept. When it ends that record is fetched, billed, and written as its attempt and its call.
//! INVARIANT: every record gets the next sequence of the epoch, whether it will be written or lost: a gap can be found.

use super::event::{Event, Happened};
use super::field::{Field, Fields, Read, find, number};
use super::record::{RECORD_HEAD, Record, RecordKind};
use super::{choice, terms};
use std::collections::{BTreeSet, HashMap};

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
    /// Events about calls that are not known: their beginning was lost.
    unknown: u64,
}

/// A call that is being set up.
#[derive(Debug, Default)]
struct Setup {
    fields: Vec<u8>,
    /// What was chosen among.
    chosen: Vec<u8>,
    attempts: Vec<Attempt>,
    /// There was a 2xx.
    answered: bool,
    /// It is finished: until when attempts that have not ended are waited for.
    until: Option<u64>,
}

#[derive(Debug, Default)]
struct Attempt {
    fields: Vec<u8>,
    over: bool,
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

    /// A call that was open when the process before ended goes on; the number that shards know it by from now on.
    pub fn restore(&mut self, place: Place, fields: &[u8]) -> u64 {
        self.restored += 1;
        let call = RESTORED | self.restored;
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
                Some(setup) => setup.attempts.push(Attempt { fields: event.fields.to_vec(), over: false }),
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
            Happened::Ended => self.ended(event, shelf, page),
            Happened::Orphan => self.record(RecordKind::Orphan, event.at, event.fields, page),
        }
    }

    /// What is due by the clock: interims, and attempts that nothing was heard of.
    pub fn tick(&mut self, at: u64, shelf: &mut impl Shelf, page: &mut Page) {
        while let Some((due, call)) = self.due.first().copied().filter(|(due, _)| *due <= at) {
            self.due.remove(&(due, call));
            self.interim(call, at, shelf, page);
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
        let Some(attempt) = setup.attempt(event.fields).filter(|attempt| !attempt.over) else { return };
        attempt.over = true;
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
        let over = |setup: &&Setup| setup.attempts.iter().all(|attempt| attempt.over);
        if let Some(until) = self.setups.get(&call).filter(over).and_then(|setup| setup.until) {
            self.leftover.remove(&(until, call));
            self.setups.remove(&call);
        }
    }

    fn answered(&mut self, event: &Event<'_>, shelf: &mut impl Shelf, page: &mut Page) {
        let parent = number(event.fields, Field::Parent);
        let mut fields = Vec::new();
        match self.setups.get_mut(&parent.unwrap_or(event.call)) {
            Some(setup) => {
                fields.extend_from_slice(&setup.fields);
                fields.extend_from_slice(&setup.chosen);
                Fields::growing(&mut fields).number(Field::Attempts, setup.attempts.len() as u64);
                if let Some(attempt) = setup.attempt(event.fields) {
                    attempt.over = true;
                    fields.extend_from_slice(&attempt.fields);
                }
                setup.answered = true;
            }
            None => {
                let first = parent.and_then(|parent| self.fields_of(parent, shelf));
                copy(&first.unwrap_or_default(), &[Field::State, Field::ToTag, Field::Parent], &mut fields);
            }
        }
        let mut out = Fields::growing(&mut fields);
        out.number(Field::Call, event.call).number(Field::CallEpoch, self.epoch).again(event.fields);
        let due = event.at + INTERIM_US;
        self.due.insert((due, event.call));
        self.record_open(event.call, RecordKind::Open, event.at, &fields, page);
        self.open.insert(event.call, Open { answered: event.at, due, kept: Kept::Memory(fields), bye: None });
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
        terms::bill(&recorded, duration, &mut Fields::growing(&mut fields));
        let mut attempt = Vec::with_capacity(fields.len());
        copy(&fields, &[Field::Choice, Field::Attempts], &mut attempt);
        self.record(RecordKind::Attempt, event.at, &attempt, page);
        self.record(RecordKind::Call, event.at, &fields, page);
    }

    fn interim(&mut self, call: u64, at: u64, shelf: &mut impl Shelf, page: &mut Page) {
        let Some(open) = self.open.get_mut(&call) else { return };
        let duration = at.saturating_sub(open.answered);
        open.due = open.answered + (duration / INTERIM_US + 1) * INTERIM_US;
        self.due.insert((open.due, call));
        let Some(recorded) = self.fields_of(call, shelf) else { return };
        let mut fields = Vec::with_capacity(recorded.len() + 200);
        copy(&recorded, RENEWED.split_first().map_or(&[][..], |(_, rest)| rest), &mut fields);
        let mut out = Fields::growing(&mut fields);
        out.number(Field::Duration, duration);
        terms::bill(&recorded, duration, &mut out);
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

impl Setup {
    /// A vendor's standing among those that were chosen is another one.
    fn pass_over(&mut self, told: &[u8]) {
        let place = number(told, Field::PassedPlace).and_then(|place| usize::try_from(place).ok());
        let (Some(place), Some(why)) = (place, find(told, Field::PassedWhy)) else { return };
        let Some(choice) = find(&self.chosen, Field::Choice).and_then(|choice| choice::restand(choice, place, why))
        else {
            return;
        };
        self.chosen.clear();
        Fields::growing(&mut self.chosen).with(Field::Choice, |out| out.extend_from_slice(&choice));
    }

    /// The attempt that an event is about: by number, else by where it went.
    fn attempt(&mut self, fields: &[u8]) -> Option<&mut Attempt> {
        if let Some(wanted) = number(fields, Field::Attempt) {
            return self.attempts.iter_mut().find(|attempt| number(&attempt.fields, Field::Attempt) == Some(wanted));
        }
        let wanted = find(fields, Field::GatewayAddress)?;
        let mut attempts = self.attempts.iter_mut().rev();
        attempts.find(|attempt| !attempt.over && find(&attempt.fields, Field::GatewayAddress) == Some(wanted))
    }
}

/// The explanation apart from what every record of the call says.
fn split(fields: &[u8], common: &mut Vec<u8>, chosen: &mut Vec<u8>) {
    for (field, _, whole) in Read(fields) {
        let to = if field == Field::Choice as u8 { &mut *chosen } else { &mut *common };
        to.extend_from_slice(whole);
    }
}

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
