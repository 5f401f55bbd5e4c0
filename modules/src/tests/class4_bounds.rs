//! Calls that come back from another carrier, and bounds of a customer's destinations.

use super::class4::{TRUNKS, bench_of, invite_to};
use super::*;

const OF_ACME: &str = "concurrent = 3\n";

/// A call of this caller to `user`; its verdict, and the transaction.
fn call(bench: &mut Bench, caller: &str, user: &str, id: &str) -> (Verdict<Reason>, Transaction) {
    bench.request(&invite_to(user, id).replace("sip:alice@", &format!("sip:{caller}@")), CALLER)
}

const LOOP: Verdict<Reason> = Verdict::Reply { status: 482, reason: Reason::CarrierLoop };

#[test]
fn the_same_numbers_from_another_carrier_are_a_loop_for_ten_seconds() {
    let mut bench = bench_of(TRUNKS);
    let (verdict, first) = call(&mut bench, "442070", "4930123", "1");
    assert_eq!(verdict, Verdict::Forward);
    bench.wait(500);
    // Bolt's own way of writing the same numbers.
    let looped = call(&mut bench, "00442070", "7001030123", "2");
    assert_eq!((looped.0, looped.1.targets.len()), (LOOP, 0));
    let trunks = bench.policy.tables().class4.as_ref().unwrap();
    let name = |number| trunks.customer(number).unwrap().carrier_name.to_string();
    let (told, missing) = trunks.loops.take_told();
    let [found] = &told[..] else { panic!("{told:?}") };
    assert_eq!((name(found.customer), name(found.before.customer), missing), ("bolt".into(), "acme".into(), 0));
    assert_eq!((found.caller.to_string(), found.called.to_string()), ("442070".into(), "4930123".into()));
    assert!(found.before.ago.0.abs_diff(500_000) <= 20_000, "{found:?}");
    assert_eq!((bench.count(Reason::CarrierLoop), bench.loads()), (1, [1, 0, 1, 0]), "nothing is held for it");

    for (caller, user) in [("+442071", "7001030123"), ("+442070", "7001030124"), ("anonymous", "7001030123")] {
        bench.wait(101);
        let (verdict, transaction) = call(&mut bench, caller, user, user);
        assert_eq!(verdict, Verdict::Forward, "{caller} to {user}");
        bench.end(transaction, 486);
    }
    let (verdict, again) = call(&mut bench, "442070", "4930123", "3");
    assert_eq!(verdict, Verdict::Forward, "its own carrier tries again");
    bench.end(first, 486);
    bench.end(again, 486);
    bench.wait(9_900);
    assert_eq!(call(&mut bench, "00442070", "7001030123", "4").0, LOOP, "whatever became of it");
    bench.wait(200);
    assert_eq!(call(&mut bench, "00442070", "7001030123", "5").0, Verdict::Forward);
    assert_eq!(bench.policy.hunting().loops_forgotten(), 0);
}

#[test]
fn what_was_refused_has_gone_nowhere_it_could_come_back_from() {
    let mut bench = bench_of(TRUNKS);
    assert!(matches!(call(&mut bench, "442070", "44207", "1").0, Verdict::Reply { status: 503, .. }));
    assert!(matches!(call(&mut bench, "442070", "700144207", "2").0, Verdict::Reply { reason: Reason::NoVendor, .. }));
    let one_company = TRUNKS.replace("name = \"bolt\"", "name = \"bolt\"\ncarrier = \"acme\"");
    let off = TRUNKS.replace("[class4]", "[class4]\nloop_window = \"off\"");
    let more = "[class4.emergency]\nnumbers = [\"4930123\"]\nvendors = [\"delta\"]\n";
    for toml in [one_company, off, format!("{TRUNKS}{more}")] {
        let mut bench = bench_of(&toml);
        for user in ["4930123", "7001030123"] {
            assert_eq!(call(&mut bench, "+442070", user, user).0, Verdict::Forward);
        }
    }
}

#[test]
fn loops_are_known_on_every_shard_and_after_a_reload() {
    let mut bench = bench_of(TRUNKS);
    let tables = bench.policy.tables().clone();
    let setup = Setup {
        shard: 1,
        shards: 2,
        calls: CALLS,
        open_requests: CALLS,
        unknown_sources: 64,
        boot_secret: Secret([1; 16]),
        choice_secret: Secret([2; 16]),
        seed: 3,
    };
    let mut other = bench_of(TRUNKS);
    other.policy = TandemPolicy::new(&setup, tables, other.now);
    assert_eq!(call(&mut bench, "+442070", "4930123", "1").0, Verdict::Forward);
    assert_eq!(call(&mut other, "+442070", "7001030123", "2").0, LOOP);
    let tables = build(TRUNKS, &bench.addresses, &bench.marks, bench.decks.as_ref(), Some(bench.policy.tables()));
    bench.policy.install(tables, bench.now);
    assert_eq!(call(&mut bench, "+442070", "7001030123", "3").0, LOOP);
}

/// Berlin by its prefix: one call; the rest of the country by its name in the deck: two a second.
fn bounded() -> Bench {
    let destinations = "[[customer.destination]]\nname = \"berlin\"\nprefixes = [\"4930\"]\nconcurrent = 1\n\
                        [[customer.destination]]\nname = \"germany\"\ndeck_destinations = [\"Germany\"]\ncps = 2\n";
    bench_of(&TRUNKS.replace(OF_ACME, &format!("concurrent = 9\n{destinations}")))
}

impl Bench {
    /// Calls to acme's destinations that live.
    fn bound_for(&self, number: &str) -> Option<(String, u32)> {
        let trunks = self.policy.tables().class4.as_ref().unwrap();
        let customer = trunks.customers().find(|one| &*one.name == "acme").unwrap();
        let uri = format!("sip:{number}@x");
        let uri = Uri::parse(uri.as_bytes()).unwrap();
        let call = crate::class4::Understood::of(customer, &uri, None, self.now.wall.0).unwrap();
        let mut deciding = crate::class4::Deciding::new(1);
        let found = trunks.destination_of(customer, (call.called.as_bytes(), &call.question), &mut deciding)?;
        Some((found.name.to_string(), found.load.calls()))
    }
}

#[test]
fn the_longest_prefix_or_the_name_in_the_deck_bounds_a_call() {
    let mut bench = bounded();
    let bound = |bench: &Bench| ["49301", "4989", "44207"].map(|number| bench.bound_for(number));
    let stands = |name: &str, calls| Some((name.to_owned(), calls));
    assert_eq!(bound(&bench), [stands("berlin", 0), stands("germany", 0), None]);
    let (_, one) = bench.call("1");
    let reason = |cause: u16| format!("Reason: Q.850;cause={cause}\r\n");
    assert_eq!(bench.refused("4930999"), (503, reason(34)));
    let (_, two) = bench.request(&invite_to("49891", "2"), CALLER);
    assert_eq!(bench.request(&invite_to("49892", "3"), CALLER).0, Verdict::Forward);
    assert_eq!(bench.refused("49893"), (503, reason(42)), "two at once, and no third");
    assert_eq!((bound(&bench), bench.loads()[0]), ([stands("berlin", 1), stands("germany", 2), None], 3));
    let counted = [Reason::DestinationConcurrent, Reason::DestinationCps].map(|reason| bench.count(reason));
    assert_eq!(counted, [1, 1]);
    bench.end(two, 486);
    bench.wait(501);
    assert_eq!(bench.request(&invite_to("49894", "4"), CALLER).0, Verdict::Forward);
    bench.end(one, 486);
    assert_eq!(bound(&bench), [stands("berlin", 0), stands("germany", 2), None]);
}

#[test]
fn a_destination_is_held_until_the_call_ends_and_through_a_reload() {
    let mut bench = bounded();
    let (_, transaction) = bench.established("1", "sip:bob@203.0.113.1");
    bench.end(transaction, 200);
    assert_eq!(bench.bound_for("49301"), Some(("berlin".to_owned(), 1)));
    let toml = TRUNKS.replace(
        OF_ACME,
        "[[customer.destination]]\nname = \"new\"\nprefixes = [\"43\"]\ncps = 9\n\
         [[customer.destination]]\nname = \"berlin\"\nprefixes = [\"4930\", \"4989\"]\nconcurrent = 1\n",
    );
    let tables = build(&toml, &bench.addresses, &bench.marks, bench.decks.as_ref(), Some(bench.policy.tables()));
    bench.policy.install(tables, bench.now);
    assert_eq!(bench.bound_for("4989"), Some(("berlin".to_owned(), 1)));
    assert_eq!(bench.refused("4989").0, 503, "the call from before counts against it");
    // None of the vendors takes it: nothing stays behind.
    assert_eq!((bench.refused("43123").0, bench.bound_for("43123")), (503, Some(("new".to_owned(), 0))));
    bench.hang_up("1");
    assert_eq!((bench.bound_for("49301"), bench.loads()), (Some(("berlin".to_owned(), 0)), [0; 4]));
}
