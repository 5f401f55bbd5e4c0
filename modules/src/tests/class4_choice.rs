//! What bounds the choice of vendors beside prices, and what becomes of a call's header between trunks.

use super::class4::{TRUNKS, bench_of, invite_to};
use super::*;
use crate::serving::Serving;

/// [`TRUNKS`] with further keys of a trunk, and lines at the end.
fn with(trunk: &str, keys: &str, end: &str) -> Bench {
    let name = format!("name = \"{trunk}\"\n");
    let at = TRUNKS.find(&format!("[[customer]]\n{name}")).or_else(|| TRUNKS.find(&format!("[[vendor]]\n{name}")));
    let (before, after) = TRUNKS.split_at(at.unwrap());
    bench_of(&format!("{before}{}{end}", after.replacen(&name, &format!("{name}{keys}\n"), 1)))
}

fn told(method: &str, id: &str, to_tag: &str, extra: &str) -> String {
    let from = if to_tag.is_empty() { "4930123" } else { "bob" };
    let plain = message(method, &format!("sip:{from}@198.51.100.1"), id, "uac", to_tag);
    plain.replace("<sip:alice@example.com>", "<sip:030555@example.com>").replace("CSeq:", &format!("{extra}CSeq:"))
}

const PAI: &str = "P-Asserted-Identity: <sip:+4930777@example.com>\r\n";

fn edits_of(bench: &mut Bench, extra: &str) -> String {
    let (verdict, transaction) = bench.request(&told("INVITE", "id", "", extra), CALLER);
    assert_eq!(verdict, Verdict::Forward);
    let edits = transaction.edits[0].clone();
    bench.end(transaction, 486);
    edits
}

#[test]
fn identities_pass_between_trusted_trunks_only() {
    let withheld = format!("{PAI}Privacy: header; ID\r\n");
    let gone = "-P-Asserted-Identity\r\n";
    let mut nobody = bench_of(TRUNKS);
    assert_eq!([edits_of(&mut nobody, ""), edits_of(&mut nobody, PAI)], ["", gone]);
    let preferred = "P-Preferred-Identity: <sip:1@example.com>\r\n";
    assert_eq!(edits_of(&mut nobody, preferred), "-P-Preferred-Identity\r\n");
    let mut customer = with("acme", "trusted = true", "");
    assert_eq!([edits_of(&mut customer, PAI), edits_of(&mut customer, &withheld)], ["", gone]);
    let mut both = with("acme", "trusted = true", "");
    let toml = TRUNKS.replace("name = \"acme\"\nsources", "name = \"acme\"\ntrusted = true\nsources");
    both.install_toml(&toml.replace("name = \"delta\"\nset", "name = \"delta\"\ntrusted = true\nset"));
    assert_eq!(edits_of(&mut both, &withheld), "");
}

impl Bench {
    fn install_toml(&mut self, toml: &str) {
        let tables = build(toml, &self.addresses, &self.marks, self.decks.as_ref(), Some(self.policy.tables()));
        self.policy.install(tables, self.now);
    }
}

#[test]
fn a_vendor_is_told_the_caller_as_it_wants() {
    let asserted = "caller_in = \"p-asserted-identity\"\ncaller_strip = 2\ncaller_add = \"0\"\ncaller_plus = false";
    let mut bench = with("delta", asserted, "");
    // Acme has no country: its numbers are taken as they are.
    assert_eq!(edits_of(&mut bench, ""), "+P-Asserted-Identity: <sip:00555@example.com;user=phone>\r\n");
    assert_eq!(
        edits_of(&mut bench, PAI),
        "-P-Asserted-Identity\r\n+P-Asserted-Identity: <sip:00555@example.com;user=phone>\r\n",
        "what an untrusted customer asserts is nobody's number"
    );
    assert_eq!(edits_of(&mut bench, "Privacy: id\r\n"), "", "withheld");
    let toml = TRUNKS.replace("name = \"acme\"\nsources", "name = \"acme\"\ntrusted = true\ncountry = \"49\"\nsources");
    let plus = "name = \"delta\"\ncaller_in = \"p-asserted-identity\"\nset";
    bench.install_toml(&toml.replace("name = \"delta\"\nset", plus));
    let told = "-P-Asserted-Identity\r\n+P-Asserted-Identity: <sip:+4930777@example.com;user=phone>\r\n";
    assert_eq!(edits_of(&mut bench, PAI), told);
    assert_eq!(edits_of(&mut bench, ""), "+P-Asserted-Identity: <sip:+4930555@example.com;user=phone>\r\n");
}

#[test]
fn headers_change_both_ways_and_with_every_vendor() {
    let toml = TRUNKS
        .replace(
            "name = \"acme\"\nsources",
            "name = \"acme\"\nreceived_headers = [{ remove = \"X-In\" }, { copy = \"X-Keep\", to = \"X-Kept\" }]\n\
             sent_headers = [{ set = \"X-To\", value = \"{customer}\" }]\nsources",
        )
        .replace(
            "name = \"delta\"\nset",
            "name = \"delta\"\nsent_headers = [{ set = \"X-Trunk\", value = \"{vendor}/{called}/{call_id}\" }]\n\
             received_headers = [{ remove = \"X-Secret\" }]\nset",
        );
    let mut bench = bench_of(&toml);
    let (_, mut transaction) = bench.request(&told("INVITE", "1", "", "X-In: a\r\nX-Keep: b\r\n"), CALLER);
    let delta = "-X-In\r\n+X-Kept: b\r\n+X-Trunk: delta/4930123/1\r\n";
    assert_eq!(transaction.edits, [delta]);
    bench.fail(&mut transaction, 503, "").unwrap();
    assert_eq!(transaction.edits, [delta], "another gateway of delta");
    assert_eq!(bench.fail(&mut transaction, 503, ""), Ok("e1".to_owned()));
    assert_eq!(transaction.edits, ["-X-In\r\n+X-Kept: b\r\n"], "echo has no rules");
    bench.end(transaction, 503);

    bench.wait(11_000);
    let (verdict, mut transaction) = bench.request(&told("INVITE", "2", "", ""), CALLER);
    assert_eq!(verdict, Verdict::Forward);
    let target = transaction.targets[0].0;
    bench.respond_from(&mut transaction, target, 200, "uas", "Contact: <sip:bob@203.0.113.1>\r\n");
    bench.end(transaction, 200);
    let proof = Proof::Token { from_initiator: true, to_far_side: false };
    let reinvite = told("INVITE", "2", "uas", "X-In: a\r\n").replace("sip:bob@198.51.100.1", "sip:bob@203.0.113.1");
    let (_, transaction) = bench.in_dialog(&reinvite, CALLER, proof, None);
    assert_eq!(transaction.edits[0].lines().next(), Some("-X-In"));
    assert!(transaction.edits[0].contains("+X-Trunk: delta//2\r\n"), "{}", transaction.edits[0]);
    // From the vendor to the customer.
    let secret = "X-Secret: z\r\nCSeq:";
    let back = message("BYE", "sip:alice@192.0.2.1:5062", "2", "uas", "uac").replace("CSeq:", secret);
    let proof = Proof::Token { from_initiator: false, to_far_side: false };
    let (_, transaction) = bench.in_dialog(&back, "203.0.113.1:5060", proof, None);
    assert_eq!(transaction.edits[0], "-X-Secret\r\n+X-To: acme\r\n");
}

#[test]
fn a_route_list_comes_before_prices() {
    let pin = "[[customer.pin]]\nprefixes = [\"4930\"]\nvendors = [\"echo\"]\n";
    let first = |pin: &str| {
        let at = TRUNKS.find("[[customer]]\nname = \"bolt\"").unwrap();
        let (before, after) = TRUNKS.split_at(at);
        bench_of(&format!("{before}{pin}{after}"))
    };
    let mut bench = first(pin);
    let (gateway, mut transaction) = bench.call("1");
    assert_eq!(gateway, "e1");
    assert_eq!(bench.fail(&mut transaction, 500, ""), Ok("d1".to_owned()), "then the others");
    let (_, other) = bench.request(&invite_to("4989", "2"), CALLER);
    assert_eq!(bench.gateway_of(&other.targets[0].0), "d1", "another number");
    let mut bench = first(&format!("{pin}only = true\n"));
    let (_, mut transaction) = bench.call("1");
    assert_eq!(bench.fail(&mut transaction, 500, ""), Err(None));
}

#[test]
fn hours_and_allowed_numbers_leave_vendors_out() {
    // The clock of the tests: a Tuesday, 22:13 UTC.
    let gateway = |keys: &str| with("delta", keys, "").call("1").0;
    assert_eq!(gateway("window = [{ days = \"tue\", from = \"22:00\", to = \"23:00\" }]"), "d1");
    assert_eq!(gateway("window = [{ days = \"tue\", timezone = \"Europe/Berlin\", to = \"23:00\" }]"), "e1");
    assert_eq!(gateway("allowed = [\"4930\"]"), "d1");
    assert_eq!(gateway("allowed = [\"4989\", \"1\"]"), "e1");
    let mut bench = with("acme", "allowed = [\"44\"]", "");
    assert_eq!(bench.refused("4930123").0, 403);
    assert_eq!(bench.count(Reason::NumberBlocked), 1);
}

const EMERGENCY: &str = "[class4.emergency]\nnumbers = [\"112\", \"49110\"]\nvendors = [\"echo\", \"delta\"]\n";

#[test]
fn nothing_stops_an_emergency() {
    let mut bench = with("bolt", "concurrent = 1\nallowed = [\"44\"]", EMERGENCY);
    let drained = |bench: &mut Bench, user: &str, id: &str| {
        bench.policy.serve(Serving::Refusing);
        let asked = bench.request(&invite_to(user, id), CALLER);
        bench.policy.serve(Serving::Normal);
        asked
    };
    let mut open = Vec::new();
    for (id, user) in [("1", "7001112"), ("2", "70010110"), ("3", "7001+49110")] {
        let (verdict, mut transaction) = drained(&mut bench, user, id);
        assert_eq!(verdict, Verdict::Forward, "{user}");
        assert_eq!(bench.gateway_of(&transaction.targets[0].0), "e1", "{user}");
        assert!(bench.policy.hunting().is_emergency(&transaction.note));
        if id == "1" {
            assert_eq!(transaction.targets[0].1, "sip:+112@203.0.113.3");
            assert_eq!(bench.fail(&mut transaction, 503, ""), Ok("d1".to_owned()));
        }
        open.push(transaction);
    }
    assert_eq!(bench.policy.hunting().emergencies(), 3);
    assert!(matches!(drained(&mut bench, "70011120", "4").0, Verdict::Reply { status: 503, .. }), "not that number");
    open.into_iter().for_each(|transaction| bench.end(transaction, 486));
    assert_eq!(bench.loads(), [0; 4]);
    // Before overload is judged: from a customer, to such a number.
    let urgent = |text: &str, source: &str| {
        let mut arena = Arena::new();
        bench.policy.is_urgent(&Message::parse(text.as_bytes(), &mut arena).unwrap(), &endpoint(address(source)))
    };
    assert!(urgent(&invite_to("7001112", "5"), CALLER) && urgent(&invite_to("112", "5"), CALLER));
    assert!(!urgent(&invite_to("70011121", "5"), CALLER) && !urgent(&invite_to("112", "5"), "198.51.100.9:5060"));
}

#[test]
fn a_503_is_held_against_the_destination_not_the_gateway() {
    let mut bench = bench_of(TRUNKS);
    let (_, mut transaction) = bench.call("1");
    assert_eq!(bench.fail(&mut transaction, 503, ""), Ok("d2".to_owned()));
    assert_eq!(bench.fail(&mut transaction, 503, ""), Ok("e1".to_owned()));
    bench.end(transaction, 486);
    assert_eq!(bench.call("2").0, "e1", "delta has none for Germany now");
    assert_eq!(bench.policy.hunting().held().figures(), (2, 1));
    bench.wait(9_999);
    assert_eq!(bench.call("3").0, "e1");
    bench.wait(1);
    let (gateway, mut transaction) = bench.call("4");
    assert_eq!(gateway, "d1");
    bench.fail(&mut transaction, 503, "").unwrap();
    bench.fail(&mut transaction, 486, "").unwrap_err();
    bench.end(transaction, 486);
    assert_eq!(bench.call("5").0, "d1", "it answered otherwise since");
    let mut off = bench_of(&TRUNKS.replace("[class4]", "[class4]\nhold_503 = \"off\""));
    let (_, mut transaction) = off.call("1");
    off.fail(&mut transaction, 503, "").unwrap();
    off.fail(&mut transaction, 503, "").unwrap();
    assert_eq!(off.call("2").0, "d1");
}

#[test]
fn gateways_of_vendors_stay_up_whatever_503s_come_unless_the_file_says_so() {
    for (keys, state) in [("", State::Up), ("\ngateways_answer_for_503 = true", State::Down)] {
        let toml =
            TRUNKS.replace("[class4]", &format!("[class4]\nhold_503 = \"off\"{keys}")).replace("concurrent = 2", "");
        let mut bench = bench_of(&toml.replace("concurrent = 3", ""));
        for id in 0..120 {
            let (_, mut transaction) = bench.call(&id.to_string());
            let target = transaction.targets[0].0;
            bench.respond_from(&mut transaction, target, 503, "x", "");
            bench.end(transaction, 503);
            bench.wait(20);
            if bench.state("d1") == State::Down {
                break;
            }
        }
        assert_eq!(bench.state("d1"), state, "{keys}");
    }
}

#[test]
fn a_call_is_charged_from_its_answer_to_its_end() {
    let mut bench = with("acme", "credit = true", "");
    assert_eq!(bench.refused("4930123"), (402, "Reason: Q.850;cause=21\r\n".to_owned()));
    let account = {
        let trunks = bench.policy.tables().class4.as_ref().unwrap();
        let acme = trunks.customers().find(|customer| &*customer.name == "acme").unwrap();
        std::sync::Arc::clone(&acme.account)
    };
    // 0.02 a minute: paid for 90 seconds.
    account.pay(30_000_000);
    let (_, transaction) = bench.established("1", "sip:bob@203.0.113.1");
    bench.end(transaction, 200);
    bench.wait(30_000);
    assert_eq!(account.statement(bench.now).balance(), 20_000_000);
    let (verdict, transaction) = bench.request(&invite("2"), CALLER);
    assert_eq!(verdict, Verdict::Forward);
    bench.end(transaction, 486);
    bench.wait(61_000);
    assert_eq!(bench.refused("4930123").0, 402, "used up by the call that runs");
    assert_eq!(bench.request(&invite_to("7001030123", "3"), CALLER).0, Verdict::Forward, "another customer");
    bench.hang_up("1");
    let statement = account.statement(bench.now);
    assert_eq!((statement.spent, statement.a_minute), (30_333_333, 0), "91 seconds");
    bench.hang_up("1");
    assert_eq!(account.statement(bench.now).spent, 30_333_333, "once");
    // A reload keeps it by name.
    bench.install_toml(&TRUNKS.replace("name = \"acme\"\nsources", "name = \"acme\"\ncredit = true\nsources"));
    assert_eq!(bench.refused("4930123").0, 402);
    assert_eq!(bench.count(Reason::CustomerCredit), 3);
}

#[test]
fn high_risk_numbers_are_closed_until_opened() {
    let high = "[class4]\nhigh_risk = [\"49301\", \"44\"]\nhold_503 = \"off\"";
    let toml = TRUNKS.replace("[class4]", high);
    let mut bench = bench_of(&toml);
    assert_eq!(bench.refused("4930123").0, 403);
    assert_eq!((bench.count(Reason::NumberHighRisk), bench.call_to("4989")), (1, true));
    bench.install_toml(
        &toml.replace("name = \"acme\"\nsources", "name = \"acme\"\nhigh_risk_allowed = [\"4930\"]\nsources"),
    );
    assert!(bench.call_to("4930123"));
}

impl Bench {
    fn call_to(&mut self, user: &str) -> bool {
        let (verdict, transaction) = self.request(&invite_to(user, user), CALLER);
        self.end(transaction, 486);
        verdict == Verdict::Forward
    }
}

#[test]
fn quality_turns_the_order() {
    let toml = TRUNKS
        .replace(
            "[class4]",
            "[class4]\nhold_503 = \"off\"\n[class4.quality]\nattempts_min = 4\nby = [\"ner\"]\n[class4]",
        )
        .replacen("[class4]\nattempts_max = 5", "", 1)
        .replace("name = \"acme\"\nsources", "name = \"acme\"\norder = \"quality\"\nsources")
        .replace("algorithm = \"priority\"", "algorithm = \"priority\"\nattempts_max = 1");
    let mut bench = bench_of(&toml);
    for id in 0..4 {
        let (gateway, mut transaction) = bench.call(&id.to_string());
        assert_eq!(gateway, "d1", "nothing is known: the price counts");
        assert_eq!(bench.fail(&mut transaction, 500, ""), Ok("e1".to_owned()));
        bench.fail(&mut transaction, 486, "").unwrap_err();
        bench.end(transaction, 486);
    }
    assert_eq!(bench.call("5").0, "e1", "busy is no failure of its vendor");
    let trunks = bench.policy.tables().class4.as_ref().unwrap();
    let at = i64::try_from(bench.now.wall.0 / 1_000_000).unwrap();
    let figures = |name: &str| {
        let vendor = trunks.vendors().find(|vendor| &*vendor.name == name).unwrap();
        let figures = vendor.quality.figures(&trunks.quality, at);
        (figures.asr(), figures.ner())
    };
    assert_eq!((figures("delta"), figures("echo")), ((Some(0), Some(0)), (Some(0), Some(800))));
    bench.wait(15 * 60_000);
    assert_eq!(bench.call("6").0, "d1", "forgotten");
}

#[test]
fn answers_delays_and_short_calls_are_counted() {
    let mut bench = bench_of(TRUNKS);
    let (_, mut transaction) = bench.call("1");
    let target = transaction.targets[0].0;
    bench.wait(2_000);
    bench.respond_from(&mut transaction, target, 180, "uas", "");
    bench.wait(5_000);
    bench.respond_from(&mut transaction, target, 200, "uas", "Contact: <sip:bob@203.0.113.1>\r\n");
    bench.end(transaction, 200);
    bench.wait(5_999);
    bench.hang_up("1");
    let (_, transaction) = bench.established("2", "sip:bob@203.0.113.1");
    bench.end(transaction, 200);
    bench.wait(6_000);
    bench.hang_up("2");
    let trunks = bench.policy.tables().class4.as_ref().unwrap();
    let delta = trunks.vendors().find(|vendor| &*vendor.name == "delta").unwrap();
    let figures = delta.quality.figures(&trunks.quality, i64::try_from(bench.now.wall.0 / 1_000_000).unwrap());
    assert_eq!((figures.asr(), figures.ner(), figures.short()), (Some(1_000), Some(1_000), Some(500)));
    assert_eq!(figures.pdd_ms(), Some(1_000), "2 s and none");
}

/// An INVITE whose routing number is asked for: what was asked, and the transaction after this answer.
fn dip(bench: &mut Bench, user: &str, given: Option<Answer>, bytes: &[u8]) -> (String, Transaction) {
    let mut transaction = bench.transaction(&invite_to(user, user), CALLER);
    let asked = bench.ask(&mut transaction, |policy, request, note, targets, now| {
        match policy.new_request(request, note, None, targets, now) {
            Verdict::Ask { .. } => String::from_utf8(targets.attachment().to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(bench.loads(), [0; 4], "nothing is held while it waits");
    bench.policy.take_answer(bytes);
    let verdict = bench.ask(&mut transaction, |policy, request, note, targets, now| {
        policy.new_request(request, note, given, targets, now)
    });
    assert_eq!(verdict, Verdict::Forward);
    (asked, transaction)
}

#[test]
fn ported_numbers_are_asked_for_and_vendors_need_not_ask_again() {
    use crate::class4::dip::{Dipped, answer};
    let lnp = "[class4.lnp]\nservers = [\"192.0.2.99:5060\"]\nprefixes = [\"49\", \"44\"]\n";
    let mut bench = bench_of(&format!("{TRUNKS}{lnp}"));
    let found = Some(Answer::Module(answer::FOUND));
    let (asked, transaction) = dip(&mut bench, "4930123", found, b"4989777");
    assert_eq!(
        (asked.as_str(), transaction.targets[0].1.as_str()),
        ("4930123", "sip:994930123;rn=+4989777;npdi@203.0.113.1")
    );
    assert!(matches!(bench.policy.hunting().dip_of(&transaction.note), Dipped::Ported(_)));
    bench.end(transaction, 486);
    let (_, transaction) = dip(&mut bench, "4930124", found, b"");
    assert_eq!(transaction.targets[0].1, "sip:994930124;npdi@203.0.113.1");
    bench.end(transaction, 486);
    for given in [Some(Answer::Module(answer::FAILED)), Some(Answer::Late)] {
        let (_, transaction) = dip(&mut bench, "4930125", given, b"4989777");
        assert_eq!(transaction.targets[0].1, "sip:994930125@203.0.113.1", "routed on the dialled number");
        assert_eq!(bench.policy.hunting().dip_of(&transaction.note), Dipped::Failed);
        bench.end(transaction, 486);
    }
    assert_eq!(bench.policy.hunting().dips(), [1, 1, 2]);
    for known in ["4930126;rn=+4989777", "4930126;npdi"] {
        let (verdict, transaction) = bench.request(&invite_to(known, known), CALLER);
        assert_eq!(verdict, Verdict::Forward, "{known}");
        bench.end(transaction, 486);
    }
    assert_eq!(bench.refused("33123").0, 503, "not among those that are asked for");
    assert_eq!((bench.loads(), bench.policy.hunting().dips()), ([0; 4], [1, 1, 2]));
}

#[test]
fn a_ported_number_is_priced_as_its_routing_number() {
    let lnp = "[class4.lnp]\nservers = [\"192.0.2.99:5060\"]\n";
    let mut bench = bench_of(&format!("{TRUNKS}{lnp}"));
    let mut transaction = bench.transaction(&invite_to("4930123", "1"), CALLER);
    for (given, bytes) in [(None, &b""[..]), (Some(Answer::Module(1)), b"33123")] {
        bench.policy.take_answer(bytes);
        let verdict = bench.ask(&mut transaction, |policy, request, note, targets, now| {
            policy.new_request(request, note, given, targets, now)
        });
        match given {
            None => assert!(matches!(verdict, Verdict::Ask { .. })),
            Some(_) => assert_eq!(verdict, Verdict::Reply { status: 503, reason: Reason::NoMargin }, "as France"),
        }
    }
}
