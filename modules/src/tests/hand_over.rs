//! A process hands over to another one whose tables number sets and gateways otherwise, or lack some.

use super::*;
use crate::{Origin, OriginError};
use proto::policy::NoteEncoding;

/// The same gateways as `TWO` behind another set and in another order: every number differs.
const OTHER_ORDER: &str = "[[set]]\nname = \"first\"\ngateways = [\"sip:203.0.113.9\"]\n[[set]]\nname = \"carriers\"\n\
    gateways = [\n{ uri = \"sip:203.0.113.2:5070\", name = \"b\", weight = 30 },\n\
    { uri = \"sip:203.0.113.1\", name = \"a\", weight = 70 },\n]\n\
    [[route]]\nprefix = \"99\"\nset = \"first\"\n[[route]]\nset = \"carriers\"\n";

fn names(bench: &Bench) -> Vec<u8> {
    let mut names = Vec::new();
    bench.policy.export_names(&mut names);
    names
}

/// What `Proxy::import` does with a transaction's note and branches.
fn take_over(from: &Bench, to: &mut Bench, transaction: &mut Transaction) {
    let mut note = Vec::new();
    transaction.note.encode(&mut note);
    transaction.note = Note::decode(&note).unwrap();
    let origin = to.policy.read_names(&names(from)).unwrap();
    to.policy.expect_from(Some(origin));
    for (target, _) in &mut transaction.targets {
        to.policy.target_taken_over(target);
    }
    to.policy.taken_over(transaction.text.as_bytes(), &mut transaction.note, to.now);
    to.policy.expect_from(None);
}

#[test]
fn numbers_travel_by_name() {
    let (mut old, mut new) = (Bench::new(TWO), Bench::new(OTHER_ORDER));
    let (first, mut transaction) = old.call("1");
    let theirs = transaction.targets[0].0.gateway;
    take_over(&old, &mut new, &mut transaction);
    assert_ne!(transaction.targets[0].0.gateway, theirs);
    assert_eq!(new.gateway_of(&transaction.targets[0].0), first);
    assert_eq!((new.figures(&first).pending, new.policy.gateways_gone()), (1, 0));
    new.respond(&mut transaction, 503, "x");
    assert_eq!((new.figures(&first).pending, new.figures(&first).failed_in_all()), (0, 1));
    let second = new.next(&mut transaction, Outcome::Response(503)).unwrap();
    assert_ne!(second, first, "no gateway twice");
    new.respond(&mut transaction, 200, "x");
    new.end(transaction, 200);
    assert_eq!((new.figures(&second).active, new.figures(&second).pending), (1, 0));
}

#[test]
fn what_is_gone_is_charged_to_nobody() {
    let (mut old, mut new) =
        (Bench::new(TWO), Bench::new("[[set]]\nname = \"other\"\ngateways = [\"sip:203.0.113.9\"]\n"));
    let (_, mut transaction) = old.call("1");
    old.established("2", "sip:uas@203.0.113.1");
    take_over(&old, &mut new, &mut transaction);
    assert_eq!(transaction.targets[0].0.gateway, Target::NO_GATEWAY);
    let origin = new.policy.read_names(&names(&old)).unwrap();
    let mut frames = Vec::new();
    old.policy.export_calls(old.now, |frame| frames.push(frame.to_vec()));
    assert_eq!(new.policy.import_call(new.now, &frames[0], Some(&origin), |_| true), Ok(true));
    assert_eq!(new.policy.gateways_gone(), 2, "a branch and a call");
    new.respond(&mut transaction, 503, "x");
    assert_eq!(new.next(&mut transaction, Outcome::Response(503)), Err(None), "its set is gone");
    new.end(transaction, 503);
    let (verdict, bye) =
        new.in_dialog(&message("BYE", "sip:x@198.51.100.1", "2", "uac", "uas"), CALLER, Proof::None, None);
    assert_eq!((verdict, bye.targets[0].1.as_str()), (Verdict::Forward, "sip:uas@203.0.113.1"));
    new.end(bye, 200);
    assert_eq!((new.figures("203.0.113.9:5060"), new.policy.calls().active), (Figures::default(), 0));
}

#[test]
fn names_of_other_listeners_or_damaged_ones_are_refused() {
    let old = Bench::new(TWO);
    let bytes = names(&old);
    let tables = old.policy.tables();
    assert!(Origin::read(&bytes, tables).is_ok());
    assert!((0..bytes.len()).all(|length| Origin::read(&bytes[..length], tables) == Err(OriginError::Damaged)));
    let elsewhere = "sources = [\"any\"]\n[listen]\nudp = [\"198.51.100.2:5060\"]\n";
    let elsewhere = Bench::with(&format!("{elsewhere}{TWO}"), 0, 1);
    assert_eq!(Origin::read(&bytes, elsewhere.policy.tables()), Err(OriginError::OtherListeners));
}

#[test]
fn calls_of_several_shards_come_in_the_order_of_age() {
    let mut old = Bench::new(TWO);
    let mut frames = Vec::new();
    for id in ["1", "2"] {
        old.established(id, "sip:uas@203.0.113.1");
        old.wait(1_000);
    }
    old.policy.export_calls(old.now, |frame| frames.push(frame.to_vec()));
    let ages: Vec<_> = frames.iter().map(|frame| TandemPolicy::age_of_call(frame)).collect();
    assert_eq!(ages, [Some(Micros::from_secs(2)), Some(Micros::from_secs(1))]);
    assert_eq!(TandemPolicy::age_of_call(&frames[0][..5]), None);
}
