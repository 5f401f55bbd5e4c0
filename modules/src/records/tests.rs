//! Events become records: every attempt has one, every call has one, whatever the order and whenever it is written.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::event::{Event, Happened};
use super::field::{Field, Fields, Listed, find, number};
use super::ledger::{INTERIM_US, Ledger, Page, Place, Shelf};
use super::record::{Record, RecordKind};
use super::terms::{BUY, SELL, Terms};
use deck::billing::{Increments, Rounding};
use deck::money::Decimal;

const START: u64 = 1_700_000_000_000_000;

/// Files in memory: pages as they are written.
#[derive(Default)]
struct Paper {
    files: Vec<Vec<u8>>,
}

impl Shelf for Paper {
    fn fetch(&mut self, place: Place) -> Option<Vec<u8>> {
        let file = self.files.get(usize::try_from(place.file).unwrap())?;
        let from = usize::try_from(place.offset).unwrap();
        file.get(from..from + place.length as usize).map(<[u8]>::to_vec)
    }
}

struct Bench {
    ledger: Ledger,
    paper: Paper,
    page: Page,
    /// Write after each event.
    eager: bool,
}

/// A record that is told: kind, attempt, status, cause, closed by, duration.
#[derive(Debug, PartialEq, Eq)]
struct Told(RecordKind, u64, u64, String, String, u64);

impl Bench {
    fn new(eager: bool) -> Self {
        Bench { ledger: Ledger::new(7), paper: Paper::default(), page: Page::default(), eager }
    }

    fn event(&mut self, happened: Happened, call: u64, at: u64, tell: impl FnOnce(&mut Fields<'_>)) {
        let mut bytes = Vec::with_capacity(10_000);
        Event::write(&mut bytes, happened, call, START + at, tell);
        let (event, _) = Event::read(&bytes).unwrap();
        self.ledger.take(&event, &mut self.paper, &mut self.page);
        if self.eager {
            self.write();
        }
    }

    fn write(&mut self) {
        let page = std::mem::take(&mut self.page);
        let file = self.paper.files.len() as u64;
        self.paper.files.push(page.bytes.clone());
        self.ledger.placed(&page, file, 0);
    }

    fn setup(&mut self, call: u64) {
        self.event(Happened::Setup, call, 0, |fields| {
            fields
                .text(Field::Customer, b"acme")
                .text(Field::CallId, format!("call-{call}").as_bytes())
                .time(Field::Setup, START);
            fields.text(Field::FromTag, b"uac");
        });
        self.event(Happened::Chosen, call, 10, |fields| {
            put(&sell(), fields);
            fields.with(Field::Choice, |out| out.extend_from_slice(b"explained"));
        });
    }

    fn attempt(&mut self, call: u64, attempt: u64, vendor: &str) {
        self.event(Happened::Attempt, call, 20 + attempt, |fields| {
            fields.number(Field::Attempt, attempt).text(Field::Vendor, vendor.as_bytes());
            let address = format!("192.0.2.{attempt}:5060").parse().unwrap();
            fields.address(Field::GatewayAddress, address).decimal(Field::BuyPrice, Decimal::parse("0.01").unwrap());
            fields.decimal(Field::BuyFee, Decimal::ZERO).increments(Field::BuyIncrements, Increments::SECOND);
            fields.number(Field::BuyDigits, 6).decimal(Field::BuyRate, Decimal::parse("1").unwrap());
        });
    }

    fn outcome(&mut self, call: u64, attempt: u64, status: u64) {
        self.event(Happened::Outcome, call, 1_000, |fields| {
            fields.number(Field::Attempt, attempt).number(Field::Status, status);
        });
    }

    fn answer(&mut self, call: u64, attempt: u64) {
        self.event(Happened::Answered, call, 2_000_000, |fields| {
            fields.number(Field::Attempt, attempt).time(Field::Answer, START + 2_000_000).text(Field::ToTag, b"uas");
            fields.number(Field::Status, 200).with(Field::State, |out| out.extend_from_slice(b"state"));
        });
    }

    fn finished(&mut self, call: u64, status: u64) {
        self.event(Happened::Finished, call, 2_000_001, |fields| {
            fields.number(Field::Status, status);
        });
    }

    fn bye(&mut self, call: u64, seconds: u64, by: &str) {
        self.event(Happened::Bye, call, 2_000_000 + seconds * 1_000_000, |fields| {
            fields.number(Field::Duration, seconds * 1_000_000).text(Field::HungUp, by.as_bytes());
        });
    }

    fn ended(&mut self, call: u64, closed_by: &str) {
        self.event(Happened::Ended, call, 90_000_000, |fields| {
            fields.number(Field::Duration, 5_000_000).text(Field::ClosedBy, closed_by.as_bytes());
        });
    }

    /// Everything that was recorded, and that sequences have no gap.
    fn told(&mut self) -> Vec<Told> {
        self.write();
        let all: Vec<u8> = self.paper.files.concat();
        let records: Vec<_> = Record::all(&all).filter(|record| record.kind != RecordKind::Begun).collect();
        assert!(records.iter().zip(1..).all(|(record, sequence)| record.sequence == sequence));
        let text = |record: &Record<'_>, field| {
            String::from_utf8(find(record.fields, field).unwrap_or_default().to_vec()).unwrap()
        };
        let of = |record: &Record<'_>, field| number(record.fields, field).unwrap_or(0);
        let told = |record: &Record<'_>| {
            let (cause, closed_by) = (text(record, Field::Cause), text(record, Field::ClosedBy));
            Told(
                record.kind,
                of(record, Field::Attempt),
                of(record, Field::Status),
                cause,
                closed_by,
                of(record, Field::Duration),
            )
        };
        records.iter().map(told).collect()
    }

    fn last(&mut self, kind: RecordKind) -> Vec<u8> {
        self.write();
        let all = self.paper.files.concat();
        Record::all(&all).filter(|record| record.kind == kind).last().unwrap().fields.to_vec()
    }
}

fn sell() -> Terms {
    Terms {
        price: Decimal::parse("0.02").unwrap(),
        fee: Decimal::ZERO,
        increments: Increments { initial: 60, subsequent: 60 },
        rounding: Rounding::Up,
        digits: deck::money::Digits::new(6).unwrap(),
        rate: Some(Decimal::parse("1").unwrap()),
    }
}

fn put(terms: &Terms, fields: &mut Fields<'_>) {
    fields.decimal(Field::SellPrice, terms.price).decimal(Field::SellFee, terms.fee);
    fields.increments(Field::SellIncrements, terms.increments).number(Field::SellDigits, 6);
    fields.decimal(Field::SellRate, terms.rate.unwrap());
}

fn told(kind: RecordKind, attempt: u64, status: u64, cause: &str, closed_by: &str, duration: u64) -> Told {
    Told(kind, attempt, status, cause.to_owned(), closed_by.to_owned(), duration)
}

#[test]
fn a_refused_attempt_an_answered_one_and_their_call() {
    for eager in [false, true] {
        let mut bench = Bench::new(eager);
        bench.setup(1);
        bench.attempt(1, 1, "delta");
        bench.outcome(1, 1, 503);
        bench.attempt(1, 2, "echo");
        bench.answer(1, 2);
        bench.finished(1, 200);
        assert_eq!((bench.ledger.open(), bench.ledger.setups()), (1, 0));
        bench.bye(1, 61, "callee");
        bench.bye(1, 62, "caller");
        bench.ended(1, "bye");
        assert_eq!((bench.ledger.open(), bench.ledger.deadline()), (0, None));
        let expected = [
            told(RecordKind::Attempt, 1, 503, "rejected", "", 0),
            told(RecordKind::Open, 2, 200, "", "", 0),
            told(RecordKind::Attempt, 2, 200, "", "bye", 61_000_000),
            told(RecordKind::Call, 2, 200, "", "bye", 61_000_000),
        ];
        assert_eq!(bench.told(), expected);
        let call = bench.last(RecordKind::Call);
        assert_eq!(find(&call, Field::HungUp), Some(&b"callee"[..]));
        assert_eq!((find(&call, Field::Choice), find(&call, Field::State)), (Some(&b"explained"[..]), None));
        assert_eq!((number(&call, Field::SellSeconds), number(&call, Field::BuySeconds)), (Some(120), Some(61)));
        assert_eq!((number(&call, Field::Attempts), number(&call, Field::CallEpoch)), (Some(2), Some(7)));
        let margin = find(&call, Field::Margin).and_then(super::field::as_decimal).unwrap();
        // 0.02 × 2 − 0.01 × 61 / 60 = 0.04 − 0.010167.
        assert_eq!(margin.to_string(), "0.029833");
        assert_eq!(Terms::read(&Listed::of(&call), &SELL), Some(sell()));
        assert!(Terms::read(&Listed::of(&call), &BUY).is_some());
        assert_eq!(find(&bench.last(RecordKind::Attempt), Field::Choice), None);
    }
}

#[test]
fn a_call_that_nobody_took_or_that_was_refused_has_its_record() {
    let mut bench = Bench::new(false);
    bench.setup(1);
    bench.attempt(1, 1, "delta");
    bench.outcome(1, 1, 486);
    bench.finished(1, 486);
    bench.event(Happened::Setup, 2, 0, |_| ());
    bench.event(Happened::Finished, 2, 1, |fields| {
        fields.number(Field::Status, 503).text(Field::Cause, b"customer_cps");
    });
    let expected = [
        told(RecordKind::Attempt, 1, 486, "rejected", "", 0),
        told(RecordKind::Call, 1, 486, "rejected", "", 0),
        told(RecordKind::Call, 0, 503, "customer_cps", "", 0),
    ];
    assert_eq!((bench.told(), bench.ledger.setups()), (expected.into(), 0));
}

#[test]
fn an_attempt_that_says_nothing_more_is_recorded_when_the_wait_is_over() {
    let mut bench = Bench::new(true);
    bench.setup(1);
    bench.attempt(1, 1, "delta");
    bench.attempt(1, 2, "echo");
    bench.outcome(1, 2, 480);
    bench.finished(1, 480);
    let due = bench.ledger.deadline().unwrap();
    bench.ledger.tick(due - 1, &mut bench.paper, &mut bench.page);
    assert_eq!((bench.page.records, bench.ledger.setups()), (0, 1));
    bench.ledger.tick(due, &mut bench.paper, &mut bench.page);
    let all = bench.told();
    assert_eq!(all.last().unwrap(), &told(RecordKind::Attempt, 1, 0, "no_final_response", "", 0));
    assert_eq!((all.len(), bench.ledger.setups()), (3, 0));
}

#[test]
fn a_further_answer_is_a_call_of_its_own_and_a_challenged_bye_ends_nothing() {
    for eager in [false, true] {
        let mut bench = Bench::new(eager);
        bench.setup(1);
        bench.attempt(1, 1, "delta");
        bench.answer(1, 1);
        bench.finished(1, 200);
        bench.event(Happened::Answered, 2, 2_100_000, |fields| {
            fields.number(Field::Parent, 1).time(Field::Answer, START + 2_100_000).text(Field::ToTag, b"fork");
        });
        bench.bye(1, 5, "caller");
        bench.event(Happened::ByeRefused, 1, 7_000_000, |_| ());
        bench.bye(1, 9, "caller");
        bench.ended(1, "bye");
        bench.ended(2, "expired");
        let calls: Vec<_> = bench.told().into_iter().filter(|told| told.0 == RecordKind::Call).collect();
        let expected = [
            told(RecordKind::Call, 1, 200, "", "bye", 9_000_000),
            told(RecordKind::Call, 1, 200, "", "expired", 5_000_000),
        ];
        assert_eq!(calls, expected);
        let fork = bench.last(RecordKind::Call);
        assert_eq!((find(&fork, Field::ToTag), number(&fork, Field::Parent)), (Some(&b"fork"[..]), Some(1)));
        assert_eq!(
            (find(&fork, Field::CallId), find(&fork, Field::Vendor)),
            (Some(&b"call-1"[..]), Some(&b"delta"[..]))
        );
    }
}

#[test]
fn a_vendor_that_was_given_up_and_answers_all_the_same_is_recorded_with_its_attempt() {
    for answered_by_another in [true, false] {
        let mut bench = Bench::new(true);
        bench.setup(1);
        bench.attempt(1, 1, "delta");
        bench.event(Happened::Outcome, 1, 900, |fields| {
            fields.number(Field::Attempt, 1).number(Field::Status, 408).text(Field::Cause, b"not_ringing");
        });
        bench.attempt(1, 2, "echo");
        if answered_by_another {
            bench.answer(1, 2);
            bench.finished(1, 200);
        } else {
            bench.outcome(1, 2, 486);
            bench.finished(1, 486);
        }
        assert_eq!(bench.ledger.setups(), 1, "delta has not said its last word");
        bench.event(Happened::Answered, 2, 2_500_000, |fields| {
            let gateway = "192.0.2.1:5060".parse().unwrap();
            fields.number(Field::Parent, 1).address(Field::GatewayAddress, gateway).text(Field::ToTag, b"late");
            fields.time(Field::Answer, START + 2_500_000).number(Field::Status, 200);
        });
        bench.event(Happened::Ended, 2, 2_510_000, |fields| {
            fields.number(Field::Duration, 10_000).text(Field::ClosedBy, b"second_answer");
        });
        let attempt = bench.last(RecordKind::Attempt);
        let of = |field| number(&attempt, field);
        assert_eq!((of(Field::Attempt), of(Field::Duration), of(Field::Status)), (Some(1), Some(10_000), Some(200)));
        assert_eq!((find(&attempt, Field::Vendor), of(Field::BuySeconds)), (Some(&b"delta"[..]), Some(1)));
        let amount = |field| find(&attempt, field).and_then(super::field::as_decimal).unwrap().to_string();
        assert_eq!((amount(Field::BuyAmount), amount(Field::Margin)), ("0.000167".into(), "-0.000167".into()));
        assert_eq!((of(Field::SellSeconds), amount(Field::SellAmount)), (Some(0), "0.000000".into()), "he got nothing");
        assert_eq!(bench.ledger.setups(), 0);
    }
}

#[test]
fn a_fork_behind_a_vendor_is_found_by_the_name_of_its_call() {
    let mut bench = Bench::new(true);
    bench.setup(1);
    bench.attempt(1, 1, "delta");
    bench.answer(1, 1);
    bench.finished(1, 200);
    let forked = |fields: &mut Fields<'_>, id: &str| {
        fields.text(Field::CallId, id.as_bytes()).text(Field::FromTag, b"uac").text(Field::ToTag, b"fork");
        fields.time(Field::Answer, START + 2_100_000).number(Field::Status, 200);
    };
    bench.event(Happened::Answered, 2, 2_100_000, |fields| forked(fields, "call-1"));
    bench.event(Happened::Answered, 3, 2_100_000, |fields| forked(fields, "call-9"));
    for call in [2, 3] {
        bench.ended(call, "second_answer");
    }
    let attempts: Vec<_> = bench.told().into_iter().filter(|told| told.0 == RecordKind::Attempt).collect();
    let expected = [1, 0].map(|attempt| told(RecordKind::Attempt, attempt, 200, "", "second_answer", 5_000_000));
    assert_eq!(attempts, expected, "of a call that is not known there is no attempt to name");
    bench.bye(1, 7, "caller");
    bench.ended(1, "bye");
    let call = bench.last(RecordKind::Call);
    assert_eq!((number(&call, Field::SellSeconds), find(&call, Field::ToTag)), (Some(60), Some(&b"uas"[..])));
}

#[test]
fn what_a_refresh_brings_is_told_and_the_next_hour_is_as_before() {
    let mut bench = Bench::new(true);
    bench.setup(1);
    bench.attempt(1, 1, "delta");
    bench.answer(1, 1);
    bench.finished(1, 200);
    bench.event(Happened::Refreshed, 1, 62_000_000, |fields| {
        fields.with(Field::State, |out| out.extend_from_slice(b"another state"));
    });
    let interim = bench.last(RecordKind::Interim);
    assert_eq!(find(&interim, Field::State), Some(&b"another state"[..]));
    assert_eq!((number(&interim, Field::Duration), number(&interim, Field::BuySeconds)), (Some(60_000_000), Some(60)));
    let due = START + 2_000_000 + INTERIM_US;
    assert_eq!(bench.ledger.deadline(), Some(due));
    bench.ledger.tick(due, &mut bench.paper, &mut bench.page);
    assert_eq!(find(&bench.last(RecordKind::Interim), Field::State), Some(&b"another state"[..]));
    bench.bye(1, 90, "caller");
    bench.ended(1, "bye");
    assert_eq!(
        (number(&bench.last(RecordKind::Call), Field::Duration), bench.ledger.deadline()),
        (Some(90_000_000), None)
    );
}

#[test]
fn what_was_charged_stands_first_in_the_next_file() {
    let mut bench = Bench::new(true);
    for (call, charged) in [(1, 500_i64), (2, 900), (3, 700)] {
        bench.setup(call);
        bench.event(Happened::Answered, call, 1, |fields| {
            fields.with(Field::Charged, |out| out.extend_from_slice(&charged.to_le_bytes()));
        });
    }
    let mut checkpoint = Vec::new();
    bench.ledger.checkpoint(START, &mut checkpoint);
    let fields = Record::read(&checkpoint).unwrap().0.fields;
    assert_eq!(super::ledger::accounts(fields).collect::<Vec<_>>(), [(&b"acme"[..], 900)], "it only grows");
    bench.event(Happened::Ended, 2, 9, |fields| {
        fields.with(Field::Charged, |out| out.extend_from_slice(&1_000_i64.to_le_bytes()));
    });
    assert_eq!(super::ledger::charged(&bench.last(RecordKind::Call)), Some(1_000));
}

#[test]
fn a_long_call_is_told_of_each_hour_and_ends_from_there() {
    let mut bench = Bench::new(true);
    bench.setup(1);
    bench.attempt(1, 1, "delta");
    bench.answer(1, 1);
    bench.finished(1, 200);
    for hour in 1..=3 {
        let at = START + 2_000_000 + hour * INTERIM_US;
        bench.ledger.tick(at - 1, &mut bench.paper, &mut bench.page);
        assert_eq!(bench.page.records, 0);
        bench.ledger.tick(at, &mut bench.paper, &mut bench.page);
        let interim = bench.last(RecordKind::Interim);
        assert_eq!(number(&interim, Field::Duration), Some(hour * INTERIM_US));
        assert_eq!(number(&interim, Field::BuySeconds), Some(hour * 3_600));
        assert_eq!(find(&interim, Field::State), Some(&b"state"[..]));
    }
    bench.bye(1, 12_000, "caller");
    bench.ended(1, "bye");
    let call = bench.last(RecordKind::Call);
    assert_eq!(
        (number(&call, Field::Duration), number(&call, Field::BuySeconds)),
        (Some(12_000_000_000), Some(12_000))
    );
    assert_eq!(super::field::Read(&call).filter(|(field, ..)| *field == Field::BuySeconds as u8).count(), 1);
}

#[test]
fn what_is_not_known_is_counted_and_its_end_is_told_all_the_same() {
    let mut bench = Bench::new(false);
    bench.outcome(1, 1, 503);
    bench.finished(1, 503);
    bench.ended(9, "bye");
    bench.event(Happened::Orphan, 10, 5, |fields| {
        fields.text(Field::CallId, b"who");
    });
    let expected =
        [told(RecordKind::Call, 0, 0, "record_lost", "bye", 5_000_000), told(RecordKind::Orphan, 0, 0, "", "", 0)];
    assert_eq!((bench.told(), bench.ledger.unknown()), (expected.into(), 3));
}

#[test]
fn open_calls_are_found_by_a_checkpoint_and_go_on_under_another_number() {
    let mut bench = Bench::new(true);
    for call in 1..=3 {
        bench.setup(call);
        bench.attempt(call, 1, "delta");
        bench.answer(call, 1);
        bench.finished(call, 200);
    }
    bench.bye(2, 4, "caller");
    bench.ended(2, "bye");
    let mut checkpoint = Vec::new();
    bench.ledger.checkpoint(START, &mut checkpoint);
    let (record, _) = Record::read(&checkpoint).unwrap();
    let places: Vec<_> = super::ledger::places(record.fields).collect();
    assert_eq!((places.len(), record.sequence), (2, 0));
    let mut later = Bench { ledger: Ledger::new(8), paper: bench.paper, page: Page::default(), eager: true };
    let files = later.paper.files.len();
    for place in places {
        let bytes = later.paper.fetch(place).unwrap();
        let fields = Record::read(&bytes).unwrap().0.fields.to_vec();
        let call = later.ledger.restore(place, &fields);
        later.bye(call, 100, "callee");
        later.ended(call, "bye");
    }
    let written = later.paper.files.split_off(files).concat();
    let mut calls: Vec<_> = Record::all(&written)
        .filter(|record| record.kind == RecordKind::Call)
        .map(|record| {
            (
                number(record.fields, Field::CallEpoch),
                number(record.fields, Field::Call),
                number(record.fields, Field::BuySeconds),
            )
        })
        .collect();
    calls.sort_unstable();
    assert_eq!(calls, [(Some(7), Some(1), Some(100)), (Some(7), Some(3), Some(100))]);
}
