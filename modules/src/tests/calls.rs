//! Customers' calls from the answer on: what ends them, what we send then, and that their places come back once.

use super::class4::{TRUNKS, bench_of};
use super::*;
use crate::calls::end::CallEnd;
use crate::calls::own_request::Ticket;
use proptest::prelude::*;

const LIMITS: &str = "[class4]\nattempts_max = 5\ncall_seconds = 600\nack_seconds = 40\n";

/// A vendor's answer through two proxies of its own, the caller behind one.
const ANSWER: &str = "Contact: <sip:uas@203.0.113.50:5099;x=y>\r\n\
    Record-Route: <sip:far.example;lr>\r\nRecord-Route: <sip:near.example;lr>\r\n\
    Record-Route: <sip:198.51.100.1;lr>\r\nRecord-Route: <sip:edge.example;lr>\r\n";

fn bench_with(more: &str) -> Bench {
    bench_of(&TRUNKS.replace("[class4]\nattempts_max = 5\n", &format!("{LIMITS}{more}")))
}

/// A request of ours: its ticket, where it goes, its text.
type Sent = (Ticket, SocketAddr, String);

impl Bench {
    /// A customer's call, answered by its first vendor.
    fn answered(&mut self, id: &str, extra: &str) {
        let (_, mut transaction) = self.call(id);
        let target = transaction.targets[0].0;
        self.respond_from(&mut transaction, target, 200, "uas", &format!("{ANSWER}{extra}"));
        self.end(transaction, 200);
    }

    /// A request of one side within the call.
    fn within(&mut self, id: &str, method: &str, number: u32, from_caller: bool) -> Transaction {
        let (from, to, source) = if from_caller { ("uac", "uas", CALLER) } else { ("uas", "uac", "203.0.113.1:5060") };
        let text =
            message(method, "sip:uas@198.51.100.1", id, from, to).replace("CSeq: 1 ", &format!("CSeq: {number} "));
        let (verdict, transaction) = self.in_dialog(&text, source, Proof::None, None);
        assert_eq!(verdict, Verdict::Forward);
        transaction
    }

    /// So many seconds pass, one after the other; what we send meanwhile.
    fn pass(&mut self, seconds: u32) -> Vec<Sent> {
        let mut sent = Vec::new();
        for _ in 0..seconds {
            self.wait(1_000);
            self.policy.on_deadline(self.now);
            sent.extend(self.requests());
        }
        sent
    }

    /// What we send now.
    fn requests(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(request) = self.policy.next_request_of_call() {
            let mut room = vec![0; 4_096];
            let mut out = proto::message::Writer::new(&mut room);
            request.write(&mut out, b"Via: here\r\n");
            let length = out.finish().unwrap();
            let text = String::from_utf8(room[..length].to_vec()).unwrap();
            assert!(text.contains(&format!(";tag={}\r\n", String::from_utf8_lossy(request.from_tag()))));
            assert!(text.contains(&format!("Call-ID: {}\r\n", String::from_utf8_lossy(request.call_id()))));
            sent.push((request.ticket, request.target.next_hop, text));
            self.policy.request_of_call_sent(request, true, self.now);
        }
        sent
    }

    fn outcome(&mut self, sent: &Sent, outcome: Outcome) {
        self.policy.own_response(sent.0.0, outcome, Micros(0), self.now);
    }

    fn ended(&self, wanted: CallEnd) -> u64 {
        self.policy.call_ends().iter().find(|(end, _)| *end == wanted).unwrap().1
    }
}

#[test]
fn a_call_that_lasts_too_long_gets_a_bye_on_both_sides() {
    let mut bench = bench_with("");
    bench.answered("1", "");
    bench.within("1", "ACK", 1, true);
    bench.within("1", "INVITE", 7, true);
    bench.within("1", "INFO", 4, false);
    bench.within("1", "INFO", 3, false);
    assert!(bench.pass(599).is_empty());
    let sent = bench.pass(1);
    let texts: Vec<_> = sent.iter().map(|(_, to, text)| format!("{to} {text}")).collect();
    assert_eq!(
        texts,
        [
            "192.0.2.1:5060 BYE sip:alice@192.0.2.1:5062 SIP/2.0\r\nVia: here\r\nRoute: <sip:edge.example;lr>\r\n\
             Max-Forwards: 70\r\nFrom: <sip:bob@example.com>;tag=uas\r\nTo: <sip:alice@example.com>;tag=uac\r\n\
             Call-ID: 1\r\nCSeq: 5 BYE\r\nReason: Q.850;cause=102\r\nContent-Length: 0\r\n\r\n",
            "203.0.113.1:5060 BYE sip:uas@203.0.113.50:5099;x=y SIP/2.0\r\nVia: here\r\n\
             Route: <sip:near.example;lr>,<sip:far.example;lr>\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=uac\r\nTo: <sip:bob@example.com>;tag=uas\r\n\
             Call-ID: 1\r\nCSeq: 8 BYE\r\nReason: Q.850;cause=102\r\nContent-Length: 0\r\n\r\n",
        ]
    );
    assert_eq!(bench.loads(), [1, 0, 1, 0], "it holds its places until both have answered");
    bench.outcome(&sent[0], Outcome::Response(200));
    bench.outcome(&sent[0], Outcome::Response(200));
    assert_eq!((bench.loads(), bench.policy.calls().active), ([1, 0, 1, 0], 1));
    bench.outcome(&sent[1], Outcome::TimedOut { ringing: false });
    assert_eq!((bench.loads(), bench.policy.calls().active, bench.ended(CallEnd::TooLong)), ([0; 4], 0, 1));
    bench.outcome(&sent[1], Outcome::Response(200));
    assert_eq!((bench.loads(), bench.pass(20).len()), ([0; 4], 0));
}

#[test]
fn a_side_that_hangs_up_meanwhile_ends_it_once() {
    let mut bench = bench_with("");
    bench.answered("1", "");
    bench.answered("2", "");
    let sent = bench.pass(600);
    assert_eq!(sent.len(), 4, "nobody has acknowledged them");
    assert_eq!(bench.loads(), [2, 0, 2, 0]);
    bench.hang_up("1");
    assert_eq!((bench.loads(), bench.ended(CallEnd::ByeFromCaller)), ([1, 0, 1, 0], 1));
    for sent in &sent {
        bench.outcome(sent, Outcome::Response(481));
    }
    assert_eq!((bench.loads(), bench.ended(CallEnd::NoAck), bench.ended(CallEnd::TooLong)), ([0; 4], 1, 0));
}

#[test]
fn without_an_ack_it_ends() {
    let mut bench = bench_with("");
    bench.answered("1", "");
    bench.answered("2", "");
    bench.within("2", "ACK", 1, true);
    assert!(bench.pass(39).is_empty());
    let sent = bench.pass(60);
    assert!(sent.len() == 2 && sent.iter().all(|(.., text)| text.contains("Call-ID: 1\r\n")), "{sent:?}");
}

#[test]
fn a_session_that_is_not_refreshed_ends() {
    let mut bench = bench_with("");
    bench.answered("1", "Session-Expires: 90;refresher=uac\r\n");
    bench.within("1", "ACK", 1, true);
    assert!(bench.pass(80).is_empty());
    // Refreshed by UPDATE: 90 + 30 from now on.
    let mut update = bench.within("1", "UPDATE", 2, true);
    let target = update.targets[0].0;
    bench.respond_from(&mut update, target, 200, "uas", "x: 90 ; refresher=uac\r\n");
    bench.end(update, 200);
    assert!(bench.pass(119).is_empty());
    let sent = bench.pass(1);
    assert_eq!(sent.len(), 2);
    assert!(sent[1].2.contains("CSeq: 3 BYE\r\n"), "{}", sent[1].2);
    sent.iter().for_each(|sent| bench.outcome(sent, Outcome::Response(200)));
    assert_eq!((bench.ended(CallEnd::SessionExpired), bench.loads()), (1, [0; 4]));
    // A refresh without Session-Expires takes the timer away (RFC 4028 §7.2).
    bench.answered("2", "Session-Expires: 90\r\n");
    bench.within("2", "ACK", 1, true);
    let mut invite = bench.within("2", "INVITE", 2, false);
    let target = invite.targets[0].0;
    bench.respond_from(&mut invite, target, 200, "uac", "");
    bench.end(invite, 200);
    assert!(bench.pass(500).is_empty());
}

#[test]
fn both_sides_are_asked_and_their_numbers_are_not_used_up() {
    let mut bench = bench_with("ask_seconds = 50\n");
    bench.answered("1", "");
    bench.within("1", "ACK", 1, true);
    bench.within("1", "INFO", 9, true);
    for _ in 0..2 {
        let asked = bench.pass(50);
        assert_eq!(asked.len(), 2);
        assert!(asked[0].2.starts_with("OPTIONS sip:alice@192.0.2.1:5062 ") && asked[0].2.contains("CSeq: 1 OPTIONS"));
        assert!(asked[1].2.contains("CSeq: 9 OPTIONS\r\nContent-Length"), "{}", asked[1].2);
        bench.outcome(&asked[0], Outcome::Response(500));
        bench.outcome(&asked[1], Outcome::TimedOut { ringing: false });
    }
    let asked = bench.pass(50);
    bench.outcome(&asked[1], Outcome::Response(405));
    bench.outcome(&asked[0], Outcome::TimedOut { ringing: false });
    assert!(bench.requests().is_empty(), "not three in a row");
    let asked = bench.pass(50);
    bench.outcome(&asked[1], Outcome::Response(481));
    let byes = bench.requests();
    assert!(byes.len() == 2 && byes[1].2.contains("CSeq: 10 BYE\r\nReason: Q.850;cause=27"), "{byes:?}");
    byes.iter().for_each(|sent| bench.outcome(sent, Outcome::Response(200)));
    assert_eq!((bench.ended(CallEnd::PeerGone), bench.loads()), (1, [0; 4]));
}

#[test]
fn a_side_that_refuses_our_bye_is_asked_again_and_the_other_is_not() {
    let mut bench = bench_with("");
    bench.answered("1", "");
    let sent = bench.pass(40);
    bench.outcome(&sent[0], Outcome::Response(200));
    bench.outcome(&sent[1], Outcome::Response(491));
    let mut numbers = Vec::new();
    for (seconds, status) in [(2, 500), (4, 401), (8, 503)] {
        assert!(bench.pass(seconds - 1).is_empty(), "{seconds}");
        let again = bench.pass(1);
        assert_eq!((again.len(), again[0].1), (1, address("203.0.113.1:5060")), "{seconds}");
        numbers.push(again[0].2.lines().find(|line| line.starts_with("CSeq")).unwrap().to_owned());
        assert_eq!(bench.loads(), [1, 0, 1, 0]);
        bench.outcome(&again[0], Outcome::Response(status));
    }
    assert_eq!(numbers, ["CSeq: 3 BYE", "CSeq: 4 BYE", "CSeq: 5 BYE"]);
    assert_eq!((bench.loads(), bench.ended(CallEnd::NoAck), bench.pass(60).len()), ([0; 4], 1, 0), "four were enough");
}

#[test]
fn strict_routers_of_a_route_set_get_what_they_want() {
    let mut bench = bench_with("");
    let (_, mut transaction) = bench.call("1");
    let target = transaction.targets[0].0;
    let strict = ANSWER.replace("near.example;lr", "near.example").replace("edge.example;lr", "edge.example;x=lr");
    bench.respond_from(&mut transaction, target, 200, "uas", &strict);
    bench.end(transaction, 200);
    let sent = bench.pass(40);
    let starts = "BYE sip:edge.example;x=lr SIP/2.0\r\nVia: here\r\nRoute: <sip:alice@192.0.2.1:5062>\r\n";
    assert!(sent[0].2.starts_with(starts), "{}", sent[0].2);
    let starts = "BYE sip:near.example SIP/2.0\r\nVia: here\r\n\
                  Route: <sip:far.example;lr>,<sip:uas@203.0.113.50:5099;x=y>\r\n";
    assert!(sent[1].2.starts_with(starts), "{}", sent[1].2);
}

/// A prepaid acme, its price 1.2 a minute.
fn prepaid(more: &str) -> Bench {
    let mut bench = bench_with("");
    let decks = crate::class4::tests::image(&[
        ("sell", "USD", "49,Germany,1.2,0.1\n"),
        ("cheap", "USD", "49,Germany,0.01,0\n"),
        ("dear", "USD", "49,Germany,0.015,0\n"),
    ]);
    let toml = TRUNKS
        .replace("[class4]\nattempts_max = 5\n", LIMITS)
        .replace("concurrent = 3\n", &format!("concurrent = 30\ncredit = true\n{more}"));
    let tables = build(&toml, &bench.addresses, &bench.marks, Some(&decks), None);
    bench.policy.install(tables, bench.now);
    bench
}

fn acme(bench: &Bench) -> std::sync::Arc<crate::class4::account::Account> {
    let trunks = bench.policy.tables().class4.as_ref().unwrap();
    trunks.customers().find(|one| &*one.name == "acme").unwrap().account.clone()
}

#[test]
fn running_calls_end_when_the_balance_is_used_up_if_the_file_says_so() {
    const ONE: i64 = 1_000_000_000;
    for (more, ends) in [("end_calls = true\n", true), ("", false)] {
        let mut bench = prepaid(more);
        acme(&bench).pay(ONE);
        bench.answered("1", "");
        bench.within("1", "ACK", 1, true);
        assert!(bench.pass(20).is_empty(), "0.1 and 0.02 a second: half of it");
        bench.answered("2", "");
        bench.within("2", "ACK", 1, true);
        // 0.4 are left for two, at 0.04 a second.
        assert!(bench.pass(9).is_empty());
        let sent = bench.pass(3);
        assert_eq!(sent.len(), if ends { 4 } else { 0 }, "{sent:?}");
        assert!(sent.iter().all(|(.., text)| text.contains("BYE\r\nReason: Q.850;cause=31\r\n")));
        sent.iter().for_each(|sent| bench.outcome(sent, Outcome::Response(200)));
        assert_eq!(bench.ended(CallEnd::NoCredit), if ends { 2 } else { 0 });
        let statement = acme(&bench).statement(bench.now);
        assert_eq!((statement.a_minute == 0, bench.loads()[0]), (ends, if ends { 0 } else { 2 }));
        assert!(statement.balance() <= 0 && statement.balance() > -ONE / 4, "{}", statement.balance());
        if !ends {
            acme(&bench).pay(100 * ONE);
            assert!(bench.pass(60).is_empty());
        }
    }
}

#[test]
fn after_a_crash_our_bye_has_a_number_that_nobody_has_used_and_the_call_is_paid_for() {
    use crate::records::field::{Field, Fields};
    let mut old = prepaid("end_calls = true\n");
    acme(&old).pay(1_000_000_000);
    old.answered("1", "");
    let id = old.policy.calls.key_of(b"1", b"uac", b"uas").unwrap().id();
    let mut fields = Vec::new();
    Fields::growing(&mut fields).text(Field::CallId, b"1").text(Field::FromTag, b"uac").text(Field::ToTag, b"uas");
    Fields::growing(&mut fields).text(Field::Customer, b"acme").text(Field::Vendor, b"delta");
    Fields::growing(&mut fields).time(Field::Answer, old.now.wall.0).with(Field::State, |out| {
        crate::calls::hand_over::write_one(&old.policy.calls, id, old.now.mono, out);
    });
    Fields::growing(&mut fields).with(Field::Charged, |out| {
        out.extend_from_slice(&100_000_000_i64.to_le_bytes());
        out.extend_from_slice(&1_200_000_000_i64.to_le_bytes());
        out.extend_from_slice(&[1, 0, 1, 0]);
    });
    let restored = crate::records::restore::Restored { call: 9, fields };

    let mut new = prepaid("end_calls = true\n");
    new.wait(20_000);
    acme(&new).restore(1_000_000_000, 100_000_000, Default::default());
    assert!(new.policy.restore_call(&restored, SLOT, new.now));
    assert_eq!((new.loads()[0], acme(&new).statement(new.now).balance()), (1, 500_000_000), "20 s of it");
    // The caller's number is known again from what it sends, the vendor's is not.
    new.within("1", "INFO", 40, true);
    let sent = new.pass(27);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].2.contains("CSeq: 1048576 BYE") && sent[1].2.contains("CSeq: 41 BYE"), "{sent:?}");
    sent.iter().for_each(|sent| new.outcome(sent, Outcome::Response(200)));
    assert_eq!((new.loads(), new.ended(CallEnd::NoCredit)), ([0; 4], 1));
}

#[test]
fn what_is_being_ended_is_ended_elsewhere_too() {
    let mut old = bench_with("");
    old.answered("1", "Session-Expires: 300\r\n");
    old.within("1", "ACK", 1, true);
    old.within("1", "INFO", 5, false);
    old.answered("2", "");
    old.pass(10);
    let mut frames = Vec::new();
    old.policy.export_calls(old.now, |frame| frames.push(frame.to_vec()));
    let mut new = bench_with("");
    new.now.mono = Mono(500_000_000);
    for frame in &frames {
        assert_eq!(new.policy.import_call(new.now, frame, None, |_| true), Ok(true));
        assert!(
            (0..frame.len()).all(|length| new.policy.import_call(new.now, &frame[..length], None, |_| true).is_err())
        );
    }
    // The second was never acknowledged.
    let sent = new.pass(31);
    assert!(sent.len() == 2 && sent[0].2.contains("Call-ID: 2\r\n"), "{sent:?}");
    let mut third = bench_with("");
    new.policy.export_calls(new.now, |frame| _ = third.policy.import_call(third.now, frame, None, |_| true));
    assert_eq!(third.requests().len(), 2, "its BYEs are sent again");
    let sent = new.pass(360);
    let mine: Vec<_> = sent.iter().filter(|(.., text)| text.contains("Call-ID: 1\r\n")).collect();
    assert_eq!(mine.len(), 2);
    assert!(mine[0].2.contains("CSeq: 6 BYE") && mine[0].2.contains("Route: <sip:edge.example;lr>"));
}

#[test]
fn calls_that_are_no_customers_are_only_forgotten() {
    let mut bench = Bench::new(&format!("{TWO}[policy]\ncall_max_seconds = 60\n"));
    bench.established("1", "sip:uas@203.0.113.1");
    assert!(bench.pass(61).is_empty());
    assert_eq!((bench.policy.calls().active, bench.ended(CallEnd::Forgotten)), (0, 1));
}

#[test]
fn long_identifiers_are_kept_whole() {
    let mut bench = bench_with("");
    let long = "c".repeat(400);
    bench.answered(&long, "");
    assert_eq!((bench.policy.calls().texts_long, bench.policy.calls().texts_lost), (1, 0));
    let sent = bench.pass(40);
    assert!(sent[0].2.contains(&format!("Call-ID: {long}\r\n")));
    sent.iter().for_each(|sent| bench.outcome(sent, Outcome::Response(200)));
    assert_eq!(bench.policy.calls().texts_long, 0);
}

#[test]
fn a_second_answer_opens_no_call_and_holds_nothing() {
    let mut bench = bench_with("");
    let (_, mut transaction) = bench.call("1");
    let target = transaction.targets[0].0;
    bench.respond_from(&mut transaction, target, 200, "one", ANSWER);
    let mut late = Transaction {
        note: transaction.note,
        text: transaction.text.clone(),
        targets: transaction.targets.clone(),
        edits: Vec::new(),
        ..transaction
    };
    bench.policy.transaction_end(
        &End { status: 200, request: b"", caller: endpoint(late.source) },
        &mut late.note,
        bench.now,
    );
    assert!(bench.policy.ends_second_answer(&late.note));
    bench.respond_from(&mut late, target, 200, "two", ANSWER);
    assert_eq!((bench.policy.calls().active, bench.loads(), bench.ended(CallEnd::SecondAnswer)), (1, [1, 0, 1, 0], 1));
}

#[test]
fn a_vendor_that_does_not_ring_is_left_whole() {
    let mut bench = bench_with("");
    let (_, mut transaction) = bench.call("1");
    bench.wait(8_000);
    bench.silence(&mut transaction, Outcome::NotRinging);
    assert_eq!(bench.next(&mut transaction, Outcome::NotRinging), Ok("e1".to_owned()), "not delta's other gateway");
    assert_eq!(bench.loads(), [1, 0, 0, 1]);
    // Delta was cancelled, and rings and answers all the same: the call is delta's.
    let delta = transaction.targets[0].0;
    bench.respond_from(&mut transaction, delta, 180, "uas", "");
    bench.respond_from(&mut transaction, delta, 200, "uas", ANSWER);
    bench.end(transaction, 200);
    assert_eq!(bench.loads(), [1, 0, 1, 0]);
    bench.hang_up("1");
    assert_eq!((bench.loads(), bench.ended(CallEnd::ByeFromCaller)), ([0; 4], 1));
}

#[test]
fn a_late_refusal_of_a_vendor_that_was_left_stops_nothing() {
    let mut bench = bench_with("");
    let (_, mut transaction) = bench.call("1");
    bench.silence(&mut transaction, Outcome::NotRinging);
    assert_eq!(bench.next(&mut transaction, Outcome::NotRinging), Ok("e1".to_owned()));
    let delta = transaction.targets[0].0;
    bench.respond_from(&mut transaction, delta, 487, "uas", "Reason: Q.850;cause=17\r\n");
    assert!(!transaction.note.settled);
}

/// What is asked when a call takes too long: when again, or what its customer gets.
fn overdue(bench: &mut Bench, transaction: &mut Transaction) -> Result<u64, (u16, String)> {
    use proto::policy::Overdue;
    let (what, text) = bench.ask(transaction, |policy, _, note, targets, now| {
        targets.clear();
        let what = policy.overdue(note, targets, now);
        (what, String::from_utf8(targets.attachment().to_vec()).unwrap())
    });
    match what {
        Overdue::Wait(at) => Ok(at.since(bench.now.mono).0 / 1_000),
        Overdue::End { status } => Err((status, text)),
        Overdue::Forget => panic!("forgotten"),
    }
}

#[test]
fn post_dial_ringing_and_early_media_have_their_times() {
    let mut bench = bench_with("ring_seconds = 60\nearly_media_seconds = 30\n");
    let (_, mut transaction) = bench.call("1");
    bench.wait(19_999);
    assert_eq!(overdue(&mut bench, &mut transaction), Ok(1));
    bench.wait(1);
    assert_eq!(overdue(&mut bench, &mut transaction), Err((408, "Reason: Q.850;cause=102\r\n".to_owned())));
    let (_, mut transaction) = bench.call("2");
    bench.wait(5_000);
    bench.respond(&mut transaction, 180, "uas");
    bench.wait(20_000);
    assert_eq!(overdue(&mut bench, &mut transaction), Ok(40_000));
    let target = transaction.targets[0].0;
    bench.respond_from(
        &mut transaction,
        target,
        183,
        "uas",
        "Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n",
    );
    assert_eq!(overdue(&mut bench, &mut transaction), Ok(30_000), "the earlier of both");
    bench.wait(30_000);
    assert_eq!(overdue(&mut bench, &mut transaction), Err((480, "Reason: Q.850;cause=19\r\n".to_owned())));
    let counted = [Reason::PostDial, Reason::RangTooLong, Reason::EarlyMedia].map(|reason| bench.count(reason));
    assert_eq!(counted, [1, 0, 1]);
}

/// What happens next to one of the calls of the model.
#[derive(Clone, Copy, Debug)]
enum Step {
    Call,
    /// The gateway tried last refuses with a code that moves on.
    Refuse,
    /// It does not ring.
    Silence,
    /// A gateway (by its place) answers, be it too late.
    Answer(usize),
    /// The INVITE has had its end.
    End,
    ByeFromCaller,
    /// The longest time passes, and this many BYEs of ours end.
    TooLong(usize),
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        Just(Step::Call),
        Just(Step::Refuse),
        Just(Step::Silence),
        (0_usize..3).prop_map(Step::Answer),
        Just(Step::End),
        Just(Step::ByeFromCaller),
        (0_usize..3).prop_map(Step::TooLong),
    ];
    prop::collection::vec((0_usize..4, step), 1..60)
}

/// A call of the model.
#[derive(Default)]
struct Modelled {
    invite: Option<Transaction>,
    /// The vendor that holds a place, as an index of `loads`.
    vendor: Option<usize>,
    established: bool,
    over: bool,
}

proptest! {
    /// Places at caps against a naive account of them, through advances, late answers, second answers, BYEs of both
    /// kinds and crossing ones.
    #[test]
    fn places_come_back_exactly_once(steps in steps()) {
        let toml = TRUNKS.replace("concurrent = 3\n", "").replace("concurrent = 2\n", "");
        let mut bench = bench_of(&toml.replace("[class4]\nattempts_max = 5\n", LIMITS));
        let mut calls: [Modelled; 4] = Default::default();
        let mut sent: Vec<Sent> = Vec::new();
        for (index, step) in steps {
            let id = index.to_string();
            let call = &mut calls[index];
            match step {
                Step::Call if call.invite.is_none() && !call.over => {
                    call.invite = Some(bench.call(&id).1);
                    call.vendor = Some(2);
                }
                Step::Refuse | Step::Silence => {
                    let Some(invite) = call.invite.as_mut().filter(|_| !call.established) else { continue };
                    let outcome = match step {
                        Step::Refuse => { bench.respond(invite, 403, "x"); Outcome::Response(403) }
                        _ => { bench.silence(invite, Outcome::NotRinging); Outcome::NotRinging }
                    };
                    call.vendor = bench.next(invite, outcome).ok().map(|gateway| if gateway == "e1" { 3 } else { 2 });
                }
                Step::Answer(place) => {
                    let Some(invite) = call.invite.as_mut() else { continue };
                    let Some(target) = invite.targets.get(place).map(|(target, _)| *target) else { continue };
                    let gateway = bench.gateway_of(&target);
                    bench.respond_from(invite, target, 200, "uas", ANSWER);
                    if !call.established && !call.over {
                        call.vendor = Some(if gateway == "e1" { 3 } else { 2 });
                        call.established = true;
                    }
                    let status = End { status: 200, request: b"", caller: endpoint(invite.source) };
                    bench.policy.transaction_end(&status, &mut invite.note, bench.now);
                }
                Step::End if !call.established => {
                    if let Some(invite) = &mut call.invite {
                        let status = End { status: 503, request: b"", caller: endpoint(invite.source) };
                        bench.policy.transaction_end(&status, &mut invite.note, bench.now);
                        (call.vendor, call.over) = (None, true);
                    }
                }
                Step::ByeFromCaller if call.established && !call.over => {
                    bench.hang_up(&id);
                    call.over = true;
                }
                Step::TooLong(outcomes) => {
                    sent.extend(bench.pass(20));
                    for sent in sent.drain(..outcomes.min(sent.len())).collect::<Vec<_>>() {
                        bench.outcome(&sent, Outcome::Response(200));
                    }
                    let live = bench.policy.calls().active as usize;
                    // Which calls have ended by our BYEs the call table says; the account is of their places.
                    for (number, call) in calls.iter_mut().enumerate() {
                        let key = message("BYE", "sip:x@198.51.100.1", &number.to_string(), "uac", "uas");
                        call.over |= call.established && !bench.knows(&key);
                    }
                    prop_assert_eq!(live, calls.iter().filter(|call| call.established && !call.over).count());
                }
                _ => {}
            }
            let held = |call: &&Modelled| call.invite.is_some() && !call.over;
            let mut wanted = [0; 4];
            for call in calls.iter().filter(held) {
                wanted[0] += 1;
                if let Some(vendor) = call.vendor {
                    wanted[vendor] += 1;
                }
            }
            prop_assert_eq!(bench.loads(), wanted, "after {:?} of call {}", step, index);
        }
    }
}

impl Bench {
    /// Whether the call of a message is in the table.
    fn knows(&self, text: &str) -> bool {
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
        self.policy.calls.key(&message).is_some_and(|key| self.policy.calls.find(&key).is_some())
    }
}
