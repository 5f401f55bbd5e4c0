//! Files of records: torn at every byte, rotated, recovered, read from any place.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::backlog::Backlog;
use super::files::{Fetcher, Files, Rotation, numbers, path_of};
use super::reader::{Mark, Reader, read};
use super::recovery::Recovery;
use super::shown;
use modules::records::Ledger;
use modules::records::event::{Event, Happened};
use modules::records::field::{Field, Fields};
use modules::records::ledger::Page;
use modules::records::record::RecordKind;
use std::path::Path;
use std::time::Duration;

const AT: u64 = 1_700_000_000_000_000;

struct Bench {
    folder: tempfile::TempDir,
    files: Files,
    ledger: Ledger,
}

impl Bench {
    fn new(bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::open(rotation(folder.path(), 1, bytes)).unwrap();
        Bench { folder, files, ledger: Ledger::new(1) }
    }

    /// Events written as one frame.
    fn write(&mut self, events: &[(Happened, u64)]) {
        let (mut page, mut fetcher) = (Page::default(), Fetcher::new(self.folder.path()));
        for (happened, call) in events {
            let mut bytes = Vec::with_capacity(4_096);
            Event::write(&mut bytes, *happened, *call, AT + call, |fields: &mut Fields<'_>| {
                fields.number(Field::Attempt, 1).text(Field::CallId, format!("call-{call}").as_bytes());
                fields.time(Field::Answer, AT).text(Field::FromTag, b"a").text(Field::ToTag, b"b");
            });
            self.ledger.take(&Event::read(&bytes).unwrap().0, &mut fetcher, &mut page);
        }
        self.files.append(&page, &mut self.ledger, AT).unwrap();
    }

    fn open(&mut self, call: u64) {
        self.write(&[(Happened::Setup, call), (Happened::Attempt, call), (Happened::Answered, call)]);
    }

    fn close(&mut self, call: u64) {
        self.write(&[(Happened::Bye, call), (Happened::Ended, call)]);
    }

    /// Call-IDs that a start would restore, by their order.
    fn recovered(&self) -> Vec<String> {
        let folder = self.folder.path();
        let restored = Recovery::read(folder).unwrap().restore(folder, &mut Ledger::new(2));
        let mut ids: Vec<_> = restored.iter().map(|call| String::from_utf8(call.call_id().to_vec()).unwrap()).collect();
        ids.sort_unstable();
        ids
    }
}

fn rotation(folder: &Path, epoch: u64, bytes: u64) -> Rotation {
    Rotation { folder: folder.to_owned(), node: 9, epoch, bytes, age: Duration::from_secs(3_600) }
}

#[test]
fn open_calls_are_recovered_over_many_files_and_closed_ones_are_not() {
    let mut bench = Bench::new(300);
    for call in 1..=40 {
        bench.open(call);
        if call % 4 != 0 {
            bench.close(call);
        }
    }
    assert!(numbers(bench.folder.path()).unwrap().len() > 20);
    let mut expected: Vec<_> = (1..=10).map(|call| format!("call-{}", call * 4)).collect();
    expected.sort_unstable();
    assert_eq!(bench.recovered(), expected);
    assert_eq!(bench.ledger.open(), 10);
    bench.close(8);
    bench.close(40);
    expected.retain(|id| id != "call-8" && id != "call-40");
    assert_eq!(bench.recovered(), expected);
}

#[test]
fn a_tail_torn_at_every_byte_takes_its_own_frame_and_no_other() {
    let mut bench = Bench::new(1 << 20);
    bench.open(1);
    bench.open(2);
    let path = path_of(bench.folder.path(), 1);
    let before = std::fs::read(&path).unwrap().len();
    bench.close(1);
    let whole = std::fs::read(&path).unwrap();
    for cut in before..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(bench.recovered(), ["call-1", "call-2"], "{cut}");
        let recovery = Recovery::read(bench.folder.path()).unwrap();
        let torn = if cut == before { vec![] } else { vec![(1, cut - before)] };
        assert_eq!((recovery.torn, recovery.previous), (torn, Some((1, 2))), "{cut}");
    }
    // Bytes that were never written whole, as a power failure leaves them.
    let mut zeros = whole.clone();
    zeros[before + 7..].fill(0);
    std::fs::write(&path, &zeros).unwrap();
    assert_eq!(bench.recovered(), ["call-1", "call-2"]);
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(bench.recovered(), ["call-2"]);
    // The very head of the file.
    for cut in 0..32 {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(bench.recovered(), [""; 0], "{cut}");
    }
}

#[test]
fn a_start_after_a_torn_tail_goes_on_in_another_file_and_knows_all() {
    let mut bench = Bench::new(1 << 20);
    bench.open(1);
    bench.open(2);
    let path = path_of(bench.folder.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"TDJF half a frame");
    std::fs::write(&path, &bytes).unwrap();

    let folder = bench.folder.path().to_owned();
    let recovery = Recovery::read(&folder).unwrap();
    let mut ledger = Ledger::new(2);
    let restored = recovery.restore(&folder, &mut ledger);
    let mut files = Files::open(rotation(&folder, 2, 1 << 20)).unwrap();
    let mut page = Page::default();
    ledger.start(recovery.previous, "x", AT, &mut page);
    files.append(&page, &mut ledger, AT).unwrap();
    assert_eq!(bench.recovered(), ["call-1", "call-2"], "by the checkpoint of the new file");
    let mut bytes = Vec::with_capacity(4_096);
    Event::write(&mut bytes, Happened::Ended, restored[0].call, AT, |_| ());
    let mut page = Page::default();
    ledger.take(&Event::read(&bytes).unwrap().0, &mut Fetcher::new(&folder), &mut page);
    files.append(&page, &mut ledger, AT).unwrap();
    assert_eq!(bench.recovered().len(), 1);

    let mut reader = Reader::new(&folder, Mark::default());
    let mut all = Vec::new();
    while let Some(portion) = reader.portion().unwrap() {
        all.extend(portion.records().map(|told| (told.node, told.epoch, told.record.sequence, told.record.kind)));
    }
    let kinds: Vec<_> = all
        .iter()
        .filter(|(.., sequence, _)| *sequence > 0)
        .map(|(_, epoch, sequence, kind)| (*epoch, *sequence, *kind))
        .collect();
    let expected = [
        (1, 1, RecordKind::Open),
        (1, 2, RecordKind::Open),
        (2, 1, RecordKind::Start),
        (2, 2, RecordKind::Attempt),
        (2, 3, RecordKind::Call),
    ];
    assert_eq!(kinds, expected);
    assert!(all.iter().all(|(node, ..)| *node == 9));
}

#[test]
fn reading_goes_on_where_it_ended_while_more_is_written() {
    let mut bench = Bench::new(2_000);
    let mut reader = Reader::new(bench.folder.path(), Mark::default());
    let mut seen = Vec::new();
    for call in 1..=30 {
        bench.open(call);
        bench.close(call);
        while let Some(portion) = reader.portion().unwrap() {
            seen.extend(portion.records().map(|told| told.record.sequence).filter(|sequence| *sequence > 0));
        }
        let other = Reader::new(bench.folder.path(), reader.mark());
        assert!(call % 7 > 0 || std::mem::replace(&mut reader, other).mark() == reader.mark());
    }
    assert_eq!(seen, (1..=90).collect::<Vec<_>>());
}

#[test]
fn old_files_go_but_not_those_of_open_calls() {
    let mut bench = Bench::new(100);
    bench.open(1);
    bench.close(1);
    bench.open(2);
    for call in 3..6 {
        bench.open(call);
        bench.close(call);
    }
    let bound = bench.ledger.oldest_file().unwrap();
    assert!(bound > 1 && bound < bench.files.number());
    assert_eq!(bench.files.remove_old(Duration::from_secs(60), bound), 0);
    let removed = bench.files.remove_old(Duration::ZERO, bound);
    assert_eq!(removed, bound - 1);
    assert_eq!(numbers(bench.folder.path()).unwrap()[0], bound);
    assert_eq!(bench.recovered(), ["call-2"]);
}

#[test]
fn what_waits_for_the_disk_is_written_later_in_its_order() {
    let mut bench = Bench::new(1 << 20);
    let mut backlog = Backlog::default();
    let mut fetcher = Fetcher::new(bench.folder.path());
    let take = |bench: &mut Bench, fetcher: &mut Fetcher, happened, call| {
        let mut page = Page::default();
        let mut bytes = Vec::with_capacity(4_096);
        Event::write(&mut bytes, happened, call, AT, |fields| {
            fields.time(Field::Answer, AT);
        });
        bench.ledger.take(&Event::read(&bytes).unwrap().0, fetcher, &mut page);
        page
    };
    take(&mut bench, &mut fetcher, Happened::Setup, 1);
    let hidden = bench.folder.path().with_extension("away");
    std::fs::rename(bench.folder.path(), &hidden).unwrap();
    for happened in [Happened::Answered, Happened::Ended] {
        let page = take(&mut bench, &mut fetcher, happened, 1);
        backlog.push(page, &mut bench.files);
        assert!(backlog.write(&mut bench.files, &mut bench.ledger, AT).is_err());
    }
    assert_eq!((backlog.records(), backlog.lost), (3, 0));
    std::fs::rename(&hidden, bench.folder.path()).unwrap();
    assert_eq!(backlog.write(&mut bench.files, &mut bench.ledger, AT).unwrap(), 3);
    let portion = read(bench.folder.path(), bench.files.number(), 0).unwrap();
    let kinds: Vec<_> = portion.records().map(|told| told.record.kind).collect();
    assert_eq!(kinds, [RecordKind::Checkpoint, RecordKind::Open, RecordKind::Attempt, RecordKind::Call]);
    assert_eq!(bench.recovered(), [""; 0]);
}

#[test]
fn a_record_is_the_same_in_json_and_csv() {
    let mut bench = Bench::new(1 << 20);
    bench.open(1);
    bench.close(1);
    let portion = read(bench.folder.path(), 1, 0).unwrap();
    let call = portion.records().find(|told| told.record.kind == RecordKind::Call).unwrap();
    let (json, columns, row) = (shown::json(&call), shown::columns(), shown::row(&call));
    assert_eq!(columns.len(), row.len());
    assert_eq!(json["call_id"], "call-1");
    assert_eq!(json["answer_time"], "2023-11-14T22:13:20.000000Z");
    assert!(json.get("state").is_none() && json.get("place").is_none());
    for (column, value) in columns.iter().zip(&row) {
        let shown = json
            .get(*column)
            .map_or(String::new(), |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        assert_eq!(&shown, value, "{column}");
    }
}

#[test]
fn attempts_under_way_at_the_end_of_a_process_have_a_record_in_the_next() {
    // Small files: what has begun stands in one before the last checkpoint.
    for bytes in [300, 1 << 20] {
        let mut bench = Bench::new(bytes);
        for call in 1..=5 {
            bench.write(&[(Happened::Setup, call), (Happened::Attempt, call)]);
        }
        bench.write(&[(Happened::Outcome, 1), (Happened::Finished, 1)]);
        bench.write(&[(Happened::Answered, 2)]);
        bench.open(6);
        let folder = bench.folder.path().to_owned();
        let recovery = Recovery::read(&folder).unwrap();
        assert_eq!(recovery.begun().len(), 3, "{bytes}");
        let mut ledger = Ledger::new(2);
        recovery.restore(&folder, &mut ledger);
        let mut page = Page::default();
        ledger.start(recovery.previous, "x", AT, &mut page);
        ledger.lost(recovery.begun(), AT, &mut page);
        let mut files = Files::open(rotation(&folder, 2, bytes)).unwrap();
        files.append(&page, &mut ledger, AT).unwrap();
        let last = *numbers(&folder).unwrap().last().unwrap();
        let portion = read(&folder, last, 0).unwrap();
        let lost: Vec<_> = portion
            .records()
            .filter(|told| shown::text(told, Field::Cause) == "lost")
            .map(|told| (told.record.kind, shown::text(&told, Field::CallId), told.record.sequence))
            .collect();
        let expected = |kind, from: u64| (3..=5).map(move |call| (kind, format!("call-{call}"), from + call - 1));
        let expected: Vec<_> = expected(RecordKind::Attempt, 0).chain(expected(RecordKind::Call, 3)).collect();
        assert_eq!(lost, expected);
        assert!(Recovery::read(&folder).unwrap().begun().is_empty(), "they are told of once");
    }
}

#[test]
fn what_was_charged_is_found_again_over_many_files() {
    let mut bench = Bench::new(300);
    let mut charge = |call: u64, happened, charged: i64| {
        let (mut page, mut fetcher) = (Page::default(), Fetcher::new(bench.folder.path()));
        let mut bytes = Vec::with_capacity(4_096);
        Event::write(&mut bytes, happened, call, AT, |fields: &mut Fields<'_>| {
            fields.text(Field::Customer, b"acme").time(Field::Answer, AT);
            fields.with(Field::Charged, |out| out.extend_from_slice(&charged.to_le_bytes()));
        });
        bench.ledger.take(&Event::read(&bytes).unwrap().0, &mut fetcher, &mut page);
        bench.files.append(&page, &mut bench.ledger, AT).unwrap();
    };
    for call in 1..=20 {
        charge(call, Happened::Answered, i64::try_from(call).unwrap() * 10);
    }
    charge(3, Happened::Ended, 205);
    bench.open(50);
    let recovery = Recovery::read(bench.folder.path()).unwrap();
    assert_eq!(recovery.charged().collect::<Vec<_>>(), [("acme".to_owned(), 205)]);
}
