//! Customers' calls through the policy: whose, to whom, whose turn next, and what is counted.

use super::*;
use crate::class4::tests::image;
use proptest::prelude::*;

/// Two customers behind one network, three vendors: delta (two gateways) is cheaper than echo, foxtrot dearest.
pub(super) const TRUNKS: &str = r#"
[listen]
udp = ["198.51.100.1:5060"]
[rating]
image = "decks.image"
[class4]
attempts_max = 5
[[deck]]
name = "sell"
file = "sell.csv"
currency = "USD"
[[deck]]
name = "cheap"
file = "cheap.csv"
currency = "USD"
[[deck]]
name = "dear"
file = "dear.csv"
currency = "USD"
[[customer]]
name = "acme"
sources = ["192.0.2.0/24"]
plan = "cli"
deck = "sell"
concurrent = 3
[[customer]]
name = "bolt"
sources = ["192.0.2.0/24"]
tech_prefix = "7001"
plan = "cli"
deck = "sell"
cps = 10
burst = 2
country = "49"
blocked = ["49900"]
[[vendor]]
name = "delta"
set = "delta"
plans = ["cli"]
deck = "cheap"
concurrent = 2
add = "99"
[[vendor]]
name = "echo"
set = "echo"
plans = ["cli"]
deck = "dear"
plus = true
[[vendor]]
name = "acme-out"
carrier = "acme"
priority = 1
set = "echo"
plans = ["cli"]
deck = "cheap"
[[set]]
name = "delta"
algorithm = "priority"
gateways = [
  { uri = "sip:203.0.113.1", name = "d1", priority = 0 },
  { uri = "sip:203.0.113.2", name = "d2", priority = 1 },
]
[[set]]
name = "echo"
gateways = [{ uri = "sip:203.0.113.3", name = "e1" }]
"#;

pub(super) fn bench_of(toml: &str) -> Bench {
    let decks = image(&[
        ("sell", "USD", "49,Germany,0.02,0\n44,UK,0.03,0\n33,France,0.001,0\n"),
        ("cheap", "USD", "49,Germany,0.01,0\n33,France,0.01,0\n"),
        ("dear", "USD", "49,Germany,0.015,0\n33,France,0.01,0\n"),
    ]);
    Bench::with_decks(toml, 0, 1, Some(decks))
}

fn bench() -> Bench {
    bench_of(TRUNKS)
}

pub(super) fn invite_to(user: &str, id: &str) -> String {
    message("INVITE", &format!("sip:{user}@198.51.100.1"), id, "uac", "")
}

impl Bench {
    /// Calls that live: of acme, bolt, delta, echo.
    pub(super) fn loads(&self) -> [u32; 4] {
        let trunks = self.policy.tables().class4.as_ref().unwrap();
        let customer = |name: &str| trunks.customers().find(|one| &*one.name == name).unwrap().load.calls();
        let vendor = |name: &str| trunks.vendors().find(|one| &*one.name == name).unwrap().load.calls();
        [customer("acme"), customer("bolt"), vendor("delta"), vendor("echo")]
    }

    /// A failure of the gateway that was tried last, and what follows.
    pub(super) fn fail(
        &mut self,
        transaction: &mut Transaction,
        status: u16,
        extra: &str,
    ) -> Result<String, Option<u16>> {
        let target = transaction.targets.last().unwrap().0;
        self.respond_from(transaction, target, status, "x", extra);
        self.next(transaction, Outcome::Response(status))
    }

    /// What a refused call gets: status, and the header lines that were attached.
    pub(super) fn refused(&mut self, user: &str) -> (u16, String) {
        let mut transaction = self.transaction(&invite_to(user, "refused"), CALLER);
        self.ask(&mut transaction, |policy, request, note, targets, now| {
            match policy.new_request(request, note, None, targets, now) {
                Verdict::Reply { status, .. } => (status, String::from_utf8(targets.attachment().to_vec()).unwrap()),
                other => panic!("{other:?}"),
            }
        })
    }

    pub(super) fn hang_up(&mut self, id: &str) {
        let bye = message("BYE", "sip:bob@203.0.113.1", id, "uac", "uas");
        let proof = Proof::Token { from_initiator: true, to_far_side: false };
        let (_, transaction) = self.in_dialog(&bye, CALLER, proof, None);
        self.end(transaction, 200);
    }
}

#[test]
fn the_cheapest_vendor_of_another_carrier_gets_the_number_as_it_wants_it() {
    let mut bench = bench();
    let (gateway, transaction) = bench.call("1");
    assert_eq!((gateway.as_str(), transaction.targets[0].1.as_str()), ("d1", "sip:994930123@203.0.113.1"));
    let (verdict, transaction) = bench.request(&invite_to("+7001-030/1", "2"), CALLER);
    assert!(matches!(verdict, Verdict::Reply { status: 484, .. }), "{verdict:?}");
    assert!(transaction.targets.is_empty());
    let (verdict, transaction) = bench.request(&invite_to("7001030123;npdi", "3"), CALLER);
    assert_eq!(verdict, Verdict::Forward);
    assert_eq!(transaction.targets[0].1, "sip:994930123;npdi@203.0.113.1");
    assert_eq!(bench.loads(), [1, 1, 2, 0]);
    // Delta is at its cap: it is passed over.
    let (gateway, transaction) = bench.call("4");
    assert_eq!((gateway.as_str(), transaction.targets[0].1.as_str()), ("e1", "sip:+4930123@203.0.113.3"));
    assert_eq!((bench.loads(), bench.policy.hunting().capped()), ([2, 1, 2, 1], 1));
}

#[test]
fn refusals_come_from_the_table_with_their_cause() {
    let mut bench = bench();
    let reason = |cause: u16| format!("Reason: Q.850;cause={cause}\r\n");
    assert_eq!(bench.refused("1212"), (503, reason(3)), "acme's deck has no price");
    assert_eq!(bench.refused("44207"), (503, reason(3)), "no vendor has one");
    assert_eq!(bench.refused("33123"), (503, reason(3)), "each would lose money");
    assert_eq!(bench.refused("alice"), (484, reason(28)));
    assert_eq!(bench.refused("700149900123"), (403, reason(21)), "blocked for bolt");
    let calls: Vec<_> = ["1", "2", "3"].map(|id| bench.call(id).1).into();
    assert_eq!(bench.refused("4930123"), (503, reason(34)), "acme has as many as it may");
    calls.into_iter().for_each(|call| bench.end(call, 486));
    for id in ["4", "5"] {
        let (verdict, _) = bench.request(&invite_to("700149301", id), CALLER);
        assert_eq!(verdict, Verdict::Forward);
    }
    assert_eq!(bench.refused("700149301"), (503, reason(42)), "bolt's burst is used up");
    bench.wait(101);
    assert_eq!(bench.request(&invite_to("700149301", "6"), CALLER).0, Verdict::Forward);
    let counted = [Reason::NoPrice, Reason::NoVendor, Reason::NoMargin, Reason::NumberMalformed, Reason::NumberBlocked];
    assert_eq!(counted.map(|reason| bench.count(reason)), [1; 5]);
    assert_eq!([Reason::CustomerConcurrent, Reason::CustomerCps].map(|reason| bench.count(reason)), [1; 2]);
    assert_eq!(bench.loads(), [0, 3, 2, 0], "delta is full: the third went out by acme");
}

#[test]
fn the_table_can_be_written_otherwise() {
    let table = "[class4.refusals]\nno_price = { status = 404, cause = 0 }\nmargin = { status = 480, cause = 38 }\n";
    let mut bench = bench_of(&format!("{TRUNKS}{table}"));
    assert_eq!(bench.refused("1212"), (404, String::new()));
    assert_eq!(bench.refused("33123"), (480, "Reason: Q.850;cause=38\r\n".to_owned()));
}

#[test]
fn who_is_no_customer_gets_403() {
    let mut bench = bench_of(&TRUNKS.replace("sources = [\"192.0.2.0/24\"]\nplan", "sources = [\"192.0.2.7\"]\nplan"));
    let (verdict, _) = bench.request(&invite("1"), CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 403, reason: Reason::CustomerUnknown }, "no tech prefix");
    let (verdict, _) = bench.request(&invite("2"), "198.51.100.77:5060");
    assert_eq!(verdict, Verdict::Reply { status: 403, reason: Reason::StrangerForbidden });
    let (verdict, _) = bench.request(&invite("3").replace("INVITE", "CANCEL"), CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 481, reason: Reason::CancelUnknown });
    assert_eq!(bench.loads(), [0; 4]);
}

#[test]
fn other_sources_go_by_routes_and_pay_nothing() {
    let toml = TRUNKS.replace("[listen]", "sources = [\"198.51.100.0/24\"]\n[listen]");
    let mut bench = bench_of(&format!("{toml}[[route]]\nset = \"echo\"\n"));
    let (verdict, transaction) = bench.request(&invite("1"), "198.51.100.77:5060");
    assert_eq!((verdict, transaction.targets[0].1.as_str()), (Verdict::Forward, "sip:4930123@203.0.113.3"));
    assert_eq!(bench.loads(), [0; 4]);
}

#[test]
fn a_call_goes_through_a_vendors_gateways_and_on_to_the_next_vendor() {
    let mut bench = bench();
    let (_, mut transaction) = bench.call("1");
    assert_eq!(bench.fail(&mut transaction, 503, ""), Ok("d2".to_owned()), "inside delta");
    assert_eq!(transaction.targets[1].1, "sip:994930123@203.0.113.2");
    assert_eq!(bench.loads(), [1, 0, 1, 0]);
    assert_eq!(bench.fail(&mut transaction, 503, ""), Ok("e1".to_owned()), "echo's turn");
    assert_eq!(transaction.targets[2].1, "sip:+4930123@203.0.113.3");
    assert_eq!(bench.loads(), [1, 0, 0, 1]);
    assert_eq!(bench.fail(&mut transaction, 503, ""), Err(None), "nothing is left");
    assert_eq!(bench.loads(), [1, 0, 0, 0]);
    bench.end(transaction, 503);
    assert_eq!((bench.loads(), bench.policy.hunting().open()), ([0; 4], 0));
}

#[test]
fn what_a_vendor_says_decides_who_is_next() {
    let cause = |cause: u16| format!("Reason: Q.850;cause={cause}\r\n");
    for (status, extra, next) in [
        (403, String::new(), Ok("e1".to_owned())),
        (404, String::new(), Err(None)),
        (404, cause(3), Ok("e1".to_owned())),
        (486, String::new(), Err(None)),
        (480, cause(34), Ok("e1".to_owned())),
        // 503 would try delta's other gateway; user busy outranks it.
        (503, cause(17), Err(None)),
        (302, "Contact: <sip:1@203.0.113.9>\r\n".to_owned(), Err(Some(503))),
        (603, String::new(), Err(None)),
    ] {
        let mut bench = bench();
        let (_, mut transaction) = bench.call("1");
        assert_eq!(bench.fail(&mut transaction, status, &extra), next, "{status} {extra}");
    }
    // A challenge is for us, not for the customer.
    let mut bench = bench();
    let (_, mut transaction) = bench.call("1");
    assert_eq!(bench.fail(&mut transaction, 401, ""), Ok("e1".to_owned()));
    assert_eq!(bench.fail(&mut transaction, 407, ""), Err(Some(503)));
    assert_eq!(bench.count(Reason::VendorOnly), 1);
}

#[test]
fn a_vendor_may_have_rules_of_its_own() {
    let own = TRUNKS.replace("add = \"99\"", "advance_codes = [404]\nadvance_causes = [17]");
    for (status, extra, moves) in [
        (404, "", true),
        (403, "", false),
        (486, "Reason: Q.850;cause=17\r\n", true),
        (404, "Reason: Q.850;cause=3\r\n", false),
    ] {
        let mut bench = bench_of(&own);
        let (_, mut transaction) = bench.call("1");
        assert_eq!(bench.fail(&mut transaction, status, extra).is_ok(), moves, "{status} {extra}");
    }
}

const SDP: &str = "Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0";

#[test]
fn hunting_stops_once_the_customer_has_heard_something() {
    for (provisional, extra, moves) in [(183, "", true), (180, "", false), (183, SDP, false), (100, "", true)] {
        let mut bench = bench();
        let (_, mut transaction) = bench.call("1");
        let target = transaction.targets[0].0;
        bench.respond_from(&mut transaction, target, provisional, "x", extra);
        assert_eq!(bench.fail(&mut transaction, 503, "").is_ok(), moves, "{provisional} {extra}");
    }
    let toml = TRUNKS.replace("[class4]", "[class4]\nadvance_after_ringing = true\nadvance_after_media = true");
    for (provisional, extra) in [(180, ""), (183, SDP)] {
        let mut bench = bench_of(&toml);
        let (_, mut transaction) = bench.call("1");
        let target = transaction.targets[0].0;
        bench.respond_from(&mut transaction, target, provisional, "x", extra);
        assert!(bench.fail(&mut transaction, 503, "").is_ok());
    }
}

#[test]
fn silence_and_dead_gateways_move_a_call_on() {
    let mut bench = bench();
    let (_, mut transaction) = bench.call("1");
    bench.silence(&mut transaction, Outcome::GivenUp);
    assert_eq!(bench.next(&mut transaction, Outcome::GivenUp), Ok("d2".to_owned()));
    bench.silence(&mut transaction, Outcome::Unreachable);
    assert_eq!(bench.next(&mut transaction, Outcome::GivenUp), Ok("e1".to_owned()));
    bench.policy.unreachable(address("203.0.113.1:5060"), bench.now);
    let (gateway, _) = bench.call("2");
    assert_eq!(gateway, "e1", "all of delta's gateways are down");
    assert_eq!(bench.loads(), [2, 0, 0, 2]);
    let (_, mut transaction) = bench.call("3");
    bench.silence(&mut transaction, Outcome::TimedOut { ringing: true });
    assert_eq!(bench.next(&mut transaction, Outcome::TimedOut { ringing: true }), Err(None));
}

#[test]
fn attempts_are_bounded_over_all_vendors() {
    let mut bench = bench_of(&TRUNKS.replace("attempts_max = 5", "attempts_max = 2"));
    let (_, mut transaction) = bench.call("1");
    assert_eq!(bench.fail(&mut transaction, 503, ""), Ok("d2".to_owned()));
    assert_eq!(bench.fail(&mut transaction, 503, ""), Err(None));
    let one = TRUNKS.replace("name = \"delta\"\nalgorithm", "name = \"delta\"\nattempts_max = 1\nalgorithm");
    let mut bench = bench_of(&one);
    let (_, mut transaction) = bench.call("1");
    assert_eq!(bench.fail(&mut transaction, 503, ""), Ok("e1".to_owned()), "the set's own bound is the set's");
}

#[test]
fn an_established_call_holds_its_places_until_it_ends() {
    let mut bench = bench();
    let (_, transaction) = bench.established("1", "sip:bob@203.0.113.1");
    bench.end(transaction, 200);
    assert_eq!((bench.loads(), bench.policy.hunting().open()), ([1, 0, 1, 0], 0));
    bench.hang_up("1");
    assert_eq!(bench.loads(), [0; 4]);
    bench.hang_up("1");
    assert_eq!(bench.loads(), [0; 4], "once");
    // A call that nobody ends.
    let (_, transaction) = bench.established("2", "sip:bob@203.0.113.1");
    bench.end(transaction, 200);
    bench.wait(13 * 3_600_000);
    bench.policy.on_deadline(bench.now);
    assert_eq!(bench.loads(), [0; 4]);
}

#[test]
fn a_second_answer_of_a_fork_holds_nothing() {
    let mut bench = bench();
    let (_, mut transaction) = bench.established("1", "sip:bob@203.0.113.1");
    bench.respond(&mut transaction, 200, "other");
    bench.end(transaction, 200);
    assert_eq!(bench.loads(), [1, 0, 1, 0]);
    bench.hang_up("1");
    assert_eq!(bench.loads(), [0; 4]);
}

#[test]
fn a_reload_keeps_the_count_by_name() {
    let mut bench = bench();
    let (_, transaction) = bench.established("1", "sip:bob@203.0.113.1");
    bench.end(transaction, 200);
    let other =
        TRUNKS.replace("name = \"echo\"\nset", "name = \"golf\"\nset").replace("concurrent = 3", "concurrent = 1");
    let tables = build(&other, &bench.addresses, &bench.marks, bench.decks.as_ref(), Some(bench.policy.tables()));
    bench.policy.install(tables, bench.now);
    assert_eq!(bench.refused("4930123").0, 503, "the call from before counts against the new cap");
    bench.hang_up("1");
    assert_eq!(bench.request(&invite("2"), CALLER).0, Verdict::Forward);
}

proptest! {
    /// Whatever happens to calls, what trunks count is what lives.
    #[test]
    fn places_are_given_back_exactly_once(events in prop::collection::vec((0_u8..10, any::<prop::sample::Index>()), 1..120)) {
        let mut bench = bench();
        let (mut ringing, mut answered): (Vec<(String, Transaction, bool)>, Vec<String>) = Default::default();
        for (number, (what, which)) in events.into_iter().enumerate() {
            let id = format!("call{number}");
            match what {
                0..=2 => {
                    let (verdict, transaction) = bench.request(&invite(&id), CALLER);
                    if verdict == Verdict::Forward {
                        ringing.push((id, transaction, false));
                    }
                }
                3..=5 if !ringing.is_empty() => {
                    let place = which.index(ringing.len());
                    let status = [503, 403, 486][usize::from(what - 3)];
                    let (_, transaction, answered) = &mut ringing[place];
                    if !*answered && bench.fail(transaction, status, "").is_err() {
                        let (_, transaction, _) = ringing.swap_remove(place);
                        bench.end(transaction, status);
                    }
                }
                6 | 7 if !ringing.is_empty() => {
                    let place = which.index(ringing.len());
                    let (id, transaction, done) = &mut ringing[place];
                    let tag = if *done { "fork" } else { "uas" };
                    bench.respond(transaction, 200, tag);
                    if !*done {
                        answered.push(id.clone());
                    }
                    *done = true;
                }
                8 if !ringing.is_empty() => {
                    let (_, transaction, done) = ringing.swap_remove(which.index(ringing.len()));
                    bench.end(transaction, if done { 200 } else { 487 });
                }
                9 if !answered.is_empty() => {
                    let id = answered.swap_remove(which.index(answered.len()));
                    bench.hang_up(&id);
                }
                _ => {}
            }
            let live = ringing.iter().filter(|(_, _, done)| !done).count() + answered.len();
            let [acme, bolt, delta, echo] = bench.loads();
            prop_assert_eq!((acme as usize, bolt, (delta + echo) as usize), (live, 0, live));
            prop_assert!(acme <= 3 && delta <= 2);
        }
    }
}
