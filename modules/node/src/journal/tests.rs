//! The journal on a simulated disk that forgets whatever was not synced, tears what was being written, fills up and
//! breaks: what was kept is read again, whatever happened.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod yesterday;

use super::frame::{FRAME_HEAD, Found, FrameHead, VERSION, VERSION_BEFORE};
use super::keeper::{Keeper, Sent};
use super::log::Log;
use super::medium::{Appending, Medium};
use super::survey::Survey;
use modules::registrar::Batch;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

/// A file: its bytes, and how many of them the disk has.
#[derive(Clone, Debug, Default)]
struct Stored {
    bytes: Vec<u8>,
    synced: usize,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, Stored>,
    /// Bytes that still fit; `None`: no end.
    room: Option<usize>,
    /// Syncs fail.
    broken: bool,
}

#[derive(Clone, Debug, Default)]
struct Disk(Rc<RefCell<State>>);

struct Open {
    disk: Disk,
    number: u64,
}

impl Medium for Disk {
    type Open = Open;

    fn numbers(&self) -> io::Result<Vec<u64>> {
        Ok(self.0.borrow().files.keys().copied().collect())
    }

    fn read(&self, number: u64) -> io::Result<Vec<u8>> {
        Ok(self.0.borrow().files[&number].bytes.clone())
    }

    fn create(&mut self, number: u64) -> io::Result<Open> {
        self.0.borrow_mut().files.insert(number, Stored::default());
        Ok(Open { disk: self.clone(), number })
    }

    fn cut(&mut self, number: u64, length: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let file = state.files.get_mut(&number).unwrap();
        file.bytes.truncate(usize::try_from(length).unwrap());
        file.synced = file.bytes.len();
        Ok(())
    }

    fn remove(&mut self, number: u64) -> io::Result<()> {
        self.0.borrow_mut().files.remove(&number);
        Ok(())
    }

    fn name(&self, number: u64) -> String {
        format!("file {number}")
    }
}

impl Appending for Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.0.borrow_mut();
        let room = state.room.unwrap_or(usize::MAX);
        let fits = bytes.len().min(room);
        state.room = state.room.map(|room| room - fits);
        state.files.get_mut(&self.number).unwrap().bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.0.borrow_mut();
        if state.broken {
            return Err(io::Error::other("the disk is broken"));
        }
        let file = state.files.get_mut(&self.number).unwrap();
        file.synced = file.bytes.len();
        Ok(())
    }
}

impl Disk {
    /// Power is gone: of what was not synced, a part is there.
    fn crash(&self, torn: impl Fn(usize) -> usize) {
        for file in self.0.borrow_mut().files.values_mut() {
            let unsynced = file.bytes.len() - file.synced;
            file.bytes.truncate(file.synced + torn(unsynced).min(unsynced));
        }
    }
}

fn keeper(disk: &Disk, file_bytes: u64) -> Keeper<Disk> {
    let mut disk = disk.clone();
    let survey = Survey::take(&mut disk).unwrap();
    keeper_of(disk, &survey, VERSION, file_bytes)
}

fn keeper_of(disk: Disk, survey: &Survey, version: u16, file_bytes: u64) -> Keeper<Disk> {
    let log = Log::new(disk, survey.position(), survey.lengths(), version, 7, file_bytes);
    Keeper::new(log, 1, file_bytes).converting(survey.version > version)
}

fn batch(number: u64, text: &str) -> Vec<Sent> {
    let bytes = text.as_bytes().to_vec();
    vec![(0, Box::new(Batch { number, bytes, live_bytes: 100, rewritten: 0, kept: false }))]
}

/// Every payload that a start reads, in order.
fn payloads(disk: &Disk) -> Result<Vec<String>, String> {
    let survey = Survey::take(&mut disk.clone()).map_err(|damage| damage.to_string())?;
    let mut texts = Vec::new();
    for (_, bytes) in &survey.files {
        let mut at = super::frame::FILE_HEAD;
        while let Found::Frame(_, payload) = FrameHead::read(bytes, at) {
            at += FRAME_HEAD + payload.len();
            texts.extend((!payload.is_empty()).then(|| String::from_utf8(payload.to_vec()).unwrap()));
        }
    }
    Ok(texts)
}

#[test]
fn what_was_kept_is_read_again_in_order_over_files() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk, 400);
    let texts: Vec<_> = (0..50).map(|number| format!("record {number}")).collect();
    for (number, text) in (1..).zip(&texts) {
        let mut sent = batch(number, text);
        keeper.keep(&mut sent, 1, 1).unwrap();
        assert!(sent[0].1.kept);
    }
    assert!(disk.0.borrow().files.len() > 5);
    assert_eq!(payloads(&disk).unwrap(), texts);
}

/// The newest file cut at every byte of its last two records, and each of these bytes changed.
#[test]
fn a_torn_tail_is_cut_at_any_byte_and_writing_goes_on() {
    let whole = Disk::default();
    let mut first = keeper(&whole, 1 << 20);
    for number in 1..=3 {
        first.keep(&mut batch(number, &format!("record {number}")), 1, 1).unwrap();
    }
    let bytes = whole.0.borrow().files[&1].bytes.clone();
    let frame = FRAME_HEAD + "record 3".len();
    for cut in bytes.len() - 2 * frame..bytes.len() {
        let disk = Disk::default();
        disk.0.borrow_mut().files.insert(1, Stored { bytes: bytes[..cut].to_vec(), synced: cut });
        let left = if cut < bytes.len() - frame { 1 } else { 2 };
        let expected: Vec<_> = (1..=left).map(|number| format!("record {number}")).collect();
        assert_eq!(payloads(&disk).unwrap(), expected, "cut at {cut}");
        keeper(&disk, 1 << 20).keep(&mut batch(1, "after"), 1, 1).unwrap();
        assert_eq!(payloads(&disk).unwrap().last().unwrap(), "after", "cut at {cut}");
    }
    for changed in bytes.len() - frame..bytes.len() {
        let mut torn = bytes.clone();
        torn[changed] ^= 1;
        let disk = Disk::default();
        disk.0.borrow_mut().files.insert(1, Stored { bytes: torn, synced: bytes.len() });
        assert_eq!(payloads(&disk).unwrap().len(), 2, "changed at {changed}");
    }
}

#[test]
fn damage_that_is_no_torn_tail_stops_the_start_and_says_what_to_do() {
    let make = || {
        let disk = Disk::default();
        let mut keeper = keeper(&disk, 200);
        for number in 1..=12 {
            keeper.keep(&mut batch(number, &format!("record {number}")), 1, 1).unwrap();
        }
        assert!(disk.0.borrow().files.len() >= 3);
        disk
    };
    let refused = |disk: &Disk, part: &str| {
        let why = payloads(disk).unwrap_err();
        assert!(why.contains(part) && why.contains("move the folder away"), "{why}");
    };
    let disk = make();
    disk.0.borrow_mut().files.get_mut(&1).unwrap().bytes[super::frame::FILE_HEAD + 20] ^= 1;
    refused(&disk, "is damaged at byte 32, and not at its end");
    let disk = make();
    disk.0.borrow_mut().files.remove(&2);
    refused(&disk, "file 2: is missing");
    let disk = make();
    disk.0.borrow_mut().files.get_mut(&1).unwrap().bytes.truncate(100);
    refused(&disk, "shorter than the file after it says");
    let disk = make();
    disk.0.borrow_mut().files.get_mut(&1).unwrap().bytes[8] = 9;
    refused(&disk, "version 9");
}

#[test]
fn a_full_disk_keeps_nothing_says_so_and_is_used_again_when_there_is_room() {
    for room in 0..400 {
        let disk = Disk::default();
        let mut keeper = keeper(&disk, 1 << 20);
        keeper.keep(&mut batch(1, "before"), 1, 1).unwrap();
        disk.0.borrow_mut().room = Some(room);
        let mut sent = batch(2, &"x".repeat(400));
        assert!(keeper.keep(&mut sent, 1, 1).is_err() && !sent[0].1.kept && keeper.is_broken());
        assert!(keeper.keep(&mut batch(3, "closed"), 1, 1).is_err(), "closed until it is mended");
        for _ in 0..5 {
            keeper.mend(1, 1);
        }
        disk.0.borrow_mut().room = None;
        assert!(keeper.mend(1, 1));
        keeper.keep(&mut batch(4, "after"), 1, 1).unwrap();
        let kept: Vec<_> = payloads(&disk).unwrap();
        assert_eq!(kept, ["before", "after"], "room for {room}");
        assert!(disk.0.borrow().files.len() <= 8, "a full disk must not be filled with files");
    }
}

/// Random work, failures and crashes: whatever was kept is read again after each crash.
#[test]
fn nothing_that_was_kept_is_lost_by_any_crash() {
    let mut random = 3u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..300 {
        let disk = Disk::default();
        let mut kept = Vec::new();
        let mut number = 0;
        for _ in 0..6 {
            let mut keeper = keeper(&disk, 100 + draw(600));
            for _ in 0..draw(30) {
                number += 1;
                disk.0.borrow_mut().broken = draw(12) == 0;
                let text = format!("record {number}");
                match keeper.keep(&mut batch(number, &text), 1, 1) {
                    Ok(()) => kept.push(text),
                    Err(_) => {
                        disk.0.borrow_mut().broken = false;
                        assert!(keeper.mend(1, 1));
                    }
                }
            }
            disk.0.borrow_mut().broken = false;
            // One write was under way.
            let newest = disk.0.borrow().files.keys().next_back().copied();
            if let Some(newest) = newest {
                let mut frame = Vec::new();
                let head = FrameHead { version: VERSION, sequence: 9_999, session: 1, second: 1, wall: 1 };
                head.write(std::iter::once(&b"never kept"[..]), &mut frame);
                let torn = usize::try_from(draw(frame.len() as u64)).unwrap();
                disk.0.borrow_mut().files.get_mut(&newest).unwrap().bytes.extend_from_slice(&frame);
                disk.crash(|_| torn);
            }
            let read = payloads(&disk).unwrap();
            let mut rest = read.iter();
            assert!(kept.iter().all(|text| rest.any(|found| found == text)), "{kept:?}\n{read:?}");
        }
    }
}

#[test]
fn old_files_go_when_all_has_been_said_again() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk, 300);
    let mut number = 0;
    let mut round = None;
    while round.is_none() {
        number += 1;
        keeper.keep(&mut batch(number, &"x".repeat(50)), 1, 1).unwrap();
        round = keeper.begin_round();
    }
    let files = disk.0.borrow().files.len();
    assert!(files >= 3 && keeper.begin_round().is_none(), "one round at a time");
    keeper.keep(&mut batch(number + 1, "new"), 1, 1).unwrap();
    assert_eq!(disk.0.borrow().files.len(), files + 1, "the round is not over");
    let mut last = batch(number + 2, "all again");
    last[0].1.rewritten = round.unwrap();
    keeper.keep(&mut last, 1, 1).unwrap();
    assert_eq!(payloads(&disk).unwrap(), ["new", "all again"]);
    drop(keeper);
    self::keeper(&disk, 300).keep(&mut batch(1, "next start"), 1, 1).unwrap();
    assert_eq!(payloads(&disk).unwrap().len(), 3);
}

#[test]
fn how_the_clocks_stood_last_holds_for_a_whole_session() {
    let disk = Disk::default();
    let mut keeper = keeper(&disk, 1 << 20);
    keeper.keep(&mut batch(1, "a"), 1_000, 1_000).unwrap();
    keeper.note_clocks(1_010, 4_610).unwrap();
    let survey = Survey::take(&mut disk.clone()).unwrap();
    assert_eq!(survey.shifts.get(&7), Some(&3_600));
}

/// Back to the release before: told to write its version, all is said again in it, and the reader of that release finds
/// everything there was.
#[test]
fn yesterdays_reader_reads_what_is_written_for_it() {
    let disk = Disk::default();
    keeper(&disk, 1 << 20).keep(&mut batch(1, "of today"), 5, 1_005).unwrap();
    assert_eq!(yesterday::read(&disk), Err("version 2".to_owned()), "it says whose the file is");
    let mut medium = disk.clone();
    let survey = Survey::take(&mut medium).unwrap();
    let mut keeper = keeper_of(medium, &survey, VERSION_BEFORE, 1 << 20);
    keeper.keep(&mut batch(1, "more"), 6, 1_006).unwrap();
    assert!(yesterday::read(&disk).is_err() && keeper.is_converting());
    let round = keeper.begin_round().unwrap();
    let mut all_again = batch(2, "of today, and more");
    all_again[0].1.rewritten = round;
    keeper.keep(&mut all_again, 7, 1_007).unwrap();
    assert!(!keeper.is_converting() && keeper.begin_round().is_none());
    assert_eq!(yesterday::read(&disk).unwrap(), [b"of today, and more".to_vec()]);
    assert_eq!(payloads(&disk).unwrap(), ["of today, and more"]);
    // And forward again: what is of the version before is read, and what comes is of today's.
    drop(keeper);
    self::keeper(&disk, 1 << 20).keep(&mut batch(1, "again today"), 8, 1_008).unwrap();
    assert_eq!(payloads(&disk).unwrap(), ["of today, and more", "again today"]);
    assert_eq!(Survey::take(&mut disk.clone()).unwrap().shifts.get(&7), Some(&1_000));
}
