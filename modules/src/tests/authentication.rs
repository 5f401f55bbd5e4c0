//! The stage of authentication: who is asked, by whom a proof is examined, what is answered.

use super::*;
use crate::authentication::algorithm::Algorithm;
use crate::authentication::challenge::Asker;
use crate::authentication::credentials::Ha1s;
use crate::authentication::demand;
use crate::authentication::living::Living;
use crate::authentication::question::{Query, write_answer};
use crate::authentication::stage::{Authentication, Proving};
use crate::authentication::{self, Authenticator, Said};
use crate::question::{self, Subject};
use proto::policy::Question;
use std::ops::ControlFlow::{Break, Continue};

const PHONE: &str = "203.0.113.50:5060";
const DOMAINS: &str = "[[domain]]\nname = \"example.com\"\naccounts = { file = \"a.toml\" }\n\
                       [[domain]]\nname = \"open.example\"\n";

/// A policy of one of so many shards that asks for proofs.
fn bench(shard: usize, shards: usize) -> Bench {
    bench_of(DOMAINS, shard, shards)
}

fn bench_of(domains: &str, shard: usize, shards: usize) -> Bench {
    let mut bench = Bench::with(&format!("{HEAD}{TWO}{domains}"), shard, shards);
    let setup = authentication::Setup {
        nonce_secrets: vec![Secret([2; 16])],
        boot_secret: Secret([1; 16]),
        seed: 9,
        accounts: 64,
        failures: 64,
        rules: bench.policy.tables().realms.rules,
        living: Arc::new(Living::new(Secret([1; 16]))),
    };
    let authenticator = Authenticator::new(setup, bench.now);
    let number = |count: usize| u16::try_from(count).unwrap();
    let authentication = Authentication::new(authenticator, number(shard), number(shards), Secret([2; 16]));
    bench.policy.take_authentication(Box::new(authentication));
    bench.wait(1_000);
    bench
}

fn request(method: &str, from: &str, to: &str, more: &str) -> String {
    message(method, "sip:example.com", "1", "uac", "")
        .replace("To: <sip:bob@example.com>", &format!("To: <{to}>"))
        .replace("From: <sip:alice@example.com>", &format!("From: <{from}>"))
        .replace("Content-Length", &format!("{more}Content-Length"))
}

/// The stage once; what it attached.
fn stage(
    bench: &mut Bench,
    transaction: &mut Transaction,
    answer: Option<Answer>,
) -> (Option<Verdict<Reason>>, Vec<u8>) {
    let mut attached = Vec::new();
    let verdict = bench.ask(transaction, |policy, request, note, targets, now| {
        let step = policy.authenticate(request, note, answer, targets, now);
        attached = targets.attachment().to_vec();
        match step {
            Continue(_) => None,
            Break(verdict) => Some(verdict),
        }
    });
    (verdict, attached)
}

fn begin(bench: &mut Bench, text: &str) -> (Option<Verdict<Reason>>, Vec<u8>, Transaction) {
    let mut transaction = bench.transaction(text, PHONE);
    let (verdict, attached) = stage(bench, &mut transaction, None);
    (verdict, attached, transaction)
}

/// Credentials that answer a challenge.
fn credentials(challenge: &[u8], method: &str, username: &str, password: &str) -> String {
    credentials_for("sip:example.com", challenge, method, username, password)
}

fn credentials_for(uri: &str, challenge: &[u8], method: &str, username: &str, password: &str) -> String {
    let text = str::from_utf8(challenge).unwrap();
    let nonce = text.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let name = if text.starts_with("WWW") { "Authorization" } else { "Proxy-Authorization" };
    let ha1 = authentication::proof::ha1(Algorithm::Md5, username.as_bytes(), b"example.com", password.as_bytes());
    let ha2 = Algorithm::Md5.hash(&[method.as_bytes(), uri.as_bytes()]).hex();
    let ha1 = ha1.hex();
    let parts: [&[u8]; 6] = [ha1.as_bytes(), nonce.as_bytes(), b"00000001", b"cn", b"auth", ha2.as_bytes()];
    let response = Algorithm::Md5.hash(&parts).hex();
    format!(
        "{name}: Digest username=\"{username}\", realm=\"example.com\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{}\", algorithm=MD5, cnonce=\"cn\", qop=auth, nc=00000001\r\n",
        str::from_utf8(response.as_bytes()).unwrap()
    )
}

/// Who is asked, if the verdict is a question about credentials.
fn asked(verdict: Option<Verdict<Reason>>) -> Option<question::Asked> {
    match verdict? {
        Verdict::Ask { question: Question::Module(number), .. } => {
            question::Asked::of_number(number).filter(|asked| asked.subject == Subject::Credentials)
        }
        _ => None,
    }
}

fn reply(verdict: Option<Verdict<Reason>>) -> Option<Reason> {
    match verdict? {
        Verdict::Reply { reason, .. } | Verdict::Drop(reason) => Some(reason),
        _ => None,
    }
}

/// What the source of accounts says of alice.
fn alice(bench: &mut Bench) -> Option<Answer> {
    let mut bytes = Vec::new();
    let number = write_answer(Some(&Said::Known(Ha1s::of_password(b"alice", b"example.com", b"secret"))), &mut bytes);
    bench.policy.take_answer(&bytes);
    Some(Answer::Module(number))
}

#[test]
fn the_table_of_demands_is_safe_by_default() {
    let bench = bench(0, 1);
    let (ours, other) = ("sip:alice@example.com", "sip:bob@elsewhere.example");
    let cases = [
        ("REGISTER", other, ours, PHONE, Some(Asker::Server)),
        ("REGISTER", other, ours, CALLER, Some(Asker::Server)),
        ("REGISTER", ours, other, PHONE, None),
        ("REGISTER", ours, "sip:a@open.example", PHONE, None),
        ("INVITE", ours, other, PHONE, Some(Asker::Proxy)),
        ("MESSAGE", ours, ours, PHONE, Some(Asker::Proxy)),
        ("FOOBAR", ours, ours, PHONE, Some(Asker::Proxy)),
        ("INVITE", ours, other, CALLER, None),
        ("INVITE", ours, other, "203.0.113.1:5060", None),
        ("INVITE", other, ours, PHONE, None),
        ("ACK", ours, ours, PHONE, None),
        ("CANCEL", ours, ours, PHONE, None),
    ];
    for (method, from, to, source, expected) in cases {
        let text = request(method, from, to, "");
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
        let found = demand::of(bench.policy.tables(), &message, address(source).ip());
        assert_eq!(found.map(|demand| demand.asker), expected, "{method} {from} {to} {source}");
    }
}

#[test]
fn a_register_is_challenged_and_its_account_asked_for_once() {
    let mut bench = bench(0, 1);
    let (from, to) = ("sip:alice@example.com", "sip:alice@example.com");
    let (verdict, challenge, _) = begin(&mut bench, &request("REGISTER", from, to, ""));
    assert_eq!(reply(verdict), Some(Reason::RegisterUnproven));
    assert_eq!(Reason::RegisterUnproven.status(), Some(401));
    let proof = credentials(&challenge, "REGISTER", "alice", "secret");
    let (verdict, query, mut transaction) = begin(&mut bench, &request("REGISTER", from, to, &proof));
    assert_eq!(asked(verdict).map(|asked| asked.shard), Some(None));
    let query = Query::read(&query).unwrap();
    assert_eq!(
        (query.domain, query.method, query.credentials.username),
        (&b"example.com"[..], &b"REGISTER"[..], &b"alice"[..])
    );
    let answer = alice(&mut bench);
    assert_eq!(stage(&mut bench, &mut transaction, answer).0, None);
    assert_eq!(transaction.note.proving, Proving::Proven);
    // The same again is answered again, from what is remembered.
    assert_eq!(begin(&mut bench, &request("REGISTER", from, to, &proof)).0, None);
    // A binding of somebody else is not alice's to make.
    let fresh = begin(&mut bench, &request("REGISTER", from, to, "")).1;
    let proof = credentials(&fresh, "REGISTER", "alice", "secret");
    let (verdict, ..) = begin(&mut bench, &request("REGISTER", from, "sip:bob@example.com", &proof));
    assert_eq!(reply(verdict), Some(Reason::RegisterOfAnother));
}

#[test]
fn a_source_that_says_nothing_costs_that_request_alone() {
    let mut bench = bench(0, 1);
    let (from, to) = ("sip:alice@example.com", "sip:alice@example.com");
    let challenge = begin(&mut bench, &request("REGISTER", from, to, "")).1;
    let proof = credentials(&challenge, "REGISTER", "alice", "secret");
    for answer in [Answer::Late, Answer::Module(0)] {
        let (_, _, mut transaction) = begin(&mut bench, &request("REGISTER", from, to, &proof));
        let (verdict, _) = stage(&mut bench, &mut transaction, Some(answer));
        assert_eq!(reply(verdict), Some(Reason::AccountsUnanswered));
    }
    assert_eq!(bench.policy.authenticator().unwrap().figures().failed, 0);
}

#[test]
fn a_call_is_proven_on_the_shard_of_its_user() {
    let mut shards = [bench(0, 2), bench(1, 2)];
    let owner =
        usize::from(proto::steer::shard_of_slot(proto::steer::slot_of_plain_user(&Secret([2; 16]), b"alice"), 2));
    let (from, to) = ("sip:alice@example.com", "sip:bob@elsewhere.example");
    let here = 1 - owner;
    let (verdict, challenge, _) = begin(&mut shards[here], &request("INVITE", from, to, ""));
    assert_eq!(reply(verdict), Some(Reason::SenderUnproven));
    assert!(challenge.starts_with(b"Proxy-Authenticate: Digest realm=\"example.com\""));
    let proof = credentials(&challenge, "INVITE", "alice", "secret");
    let text = request("INVITE", from, to, &proof);
    // To the owner, to the source, to the owner again with what the source said.
    let (verdict, mut question, mut transaction) = begin(&mut shards[here], &text);
    for round in 0..2 {
        let verdict = if round == 0 {
            verdict
        } else {
            let answer = alice(&mut shards[here]);
            let (verdict, attached) = stage(&mut shards[here], &mut transaction, answer);
            question = attached;
            verdict
        };
        let owner_asked = asked(verdict).unwrap();
        assert_eq!(owner_asked.shard.map(usize::from), Some(owner));
        let now = shards[owner].now;
        let number = shards[owner].policy.answer_question(owner_asked.number(), &question, &mut Vec::new(), now);
        shards[here].policy.take_answer(b"");
        let (verdict, _) = stage(&mut shards[here], &mut transaction, Some(Answer::Module(number)));
        assert_eq!(asked(verdict).map(|asked| asked.shard), (round == 0).then_some(None), "round {round}");
    }
    assert_eq!(transaction.note.proving, Proving::Proven);
    let figures =
        |shard: usize, shards: &mut [Bench; 2]| shards[shard].policy.authenticator().unwrap().figures().proven;
    assert_eq!((figures(owner, &mut shards), figures(here, &mut shards)), (1, 0));
}

#[test]
fn a_foreign_from_is_refused() {
    let mut bench = bench(0, 1);
    let (from, to) = ("sip:bob@example.com", "sip:x@elsewhere.example");
    let challenge = begin(&mut bench, &request("INVITE", from, to, "")).1;
    let proof = credentials(&challenge, "INVITE", "alice", "secret");
    let (_, _, mut transaction) = begin(&mut bench, &request("INVITE", from, to, &proof));
    let answer = alice(&mut bench);
    let (verdict, _) = stage(&mut bench, &mut transaction, answer);
    assert_eq!(reply(verdict), Some(Reason::ForeignFrom));
}

/// What is behind us hears whose account it is, from us alone, and gets no proof.
#[test]
fn a_proven_caller_is_named_by_us() {
    assert_eq!(edits_of_a_call(&mut bench(0, 1), "sip:alice@example.com"), [as_alice()]);
}

/// With `foreign_from`, others see the account in From, or what its caller wrote there.
#[test]
fn a_foreign_from_is_overwritten_or_carried() {
    for (key, from, shown) in [
        ("overwrite", "sip:bob@example.com", "@sip:alice@example.com\r\n"),
        ("overwrite", "sip:alice@example.com", ""),
        ("assert", "sip:bob@example.com", ""),
    ] {
        let domains = DOMAINS.replacen("accounts", &format!("foreign_from = \"{key}\"\naccounts"), 1);
        let edits = edits_of_a_call(&mut bench_of(&domains, 0, 1), from);
        assert_eq!(edits, [format!("{}{shown}", as_alice())], "{key} {from}");
    }
}

/// Where nothing is kept by which a response would get back its From.
#[test]
fn a_foreign_from_is_not_overwritten_statelessly() {
    let domains = DOMAINS.replacen("accounts", "foreign_from = \"overwrite\"\naccounts", 1);
    let mut bench = bench_of(&domains, 0, 1);
    let stateless =
        format!("{TWO}{domains}").replacen("[[set]]", "[[set]]\nstateless = true\nalgorithm = \"hash-call-id\"", 1);
    bench.reload(&stateless);
    let (verdict, _) = verdict_of_a_call(&mut bench, "sip:bob@example.com");
    assert_eq!(reply(Some(verdict)), Some(Reason::ForeignFrom));
    let (verdict, _) = verdict_of_a_call(&mut bench, "sip:alice@example.com");
    assert_eq!(verdict, Verdict::ForwardStateless);
}

fn as_alice() -> String {
    let removed = ["P-Asserted-Identity", "Authorization", "Proxy-Authorization", "P-Preferred-Identity"];
    format!("{}+P-Asserted-Identity: <sip:alice@example.com>\r\n", removed.map(|name| format!("-{name}\r\n")).concat())
}

/// What changes in the header of a call of alice.
fn edits_of_a_call(bench: &mut Bench, from: &str) -> Vec<String> {
    let (verdict, transaction) = verdict_of_a_call(bench, from);
    assert_eq!(verdict, Verdict::Forward);
    transaction.edits
}

fn verdict_of_a_call(bench: &mut Bench, from: &str) -> (Verdict<Reason>, Transaction) {
    let forged = "P-Asserted-Identity: <sip:ceo@example.com>\r\nAuthorization: Digest x\r\n";
    let call = |more: &str| {
        let text = request("INVITE", from, "sip:4930123@elsewhere.example", &format!("{forged}{more}"));
        text.replace("INVITE sip:example.com", "INVITE sip:4930123@elsewhere.example")
    };
    let ask = |bench: &mut Bench, transaction: &mut Transaction, answer| {
        let mut attached = Vec::new();
        let verdict = bench.ask(transaction, |policy, request, note, targets, now| {
            let verdict = policy.new_request(request, note, answer, targets, now);
            attached = targets.attachment().to_vec();
            verdict
        });
        (verdict, attached)
    };
    let mut transaction = bench.transaction(&call(""), PHONE);
    let (verdict, challenge) = ask(bench, &mut transaction, None);
    assert_eq!(reply(Some(verdict)), Some(Reason::SenderUnproven));
    let proof = credentials_for("sip:4930123@elsewhere.example", &challenge, "INVITE", "alice", "secret");
    let mut transaction = bench.transaction(&call(&proof), PHONE);
    let (verdict, _) = ask(bench, &mut transaction, None);
    if asked(Some(verdict)).is_none() {
        return (verdict, transaction);
    }
    let said = alice(bench);
    let (verdict, _) = ask(bench, &mut transaction, said);
    (verdict, transaction)
}

/// An ACK has the proof of its INVITE (RFC 3261 §22.1), and phones put one into a BYE too: it ends here.
#[test]
fn proofs_are_not_passed_on_within_a_dialog() {
    let mut bench = bench(0, 1);
    let said =
        "P-Asserted-Identity: <sip:ceo@example.com>\r\nAuthorization: Digest x\r\nProxy-Authorization: Digest x\r\n";
    let token = Proof::Token { from_initiator: true, to_far_side: true };
    let cases = [
        (PHONE, said, "-P-Asserted-Identity\r\n-Authorization\r\n-Proxy-Authorization\r\n"),
        (PHONE, "", ""),
        // A listed source is not asked for a proof: what it shows is for somebody behind us.
        (CALLER, said, "-P-Asserted-Identity\r\n"),
    ];
    for method in ["ACK", "BYE", "INVITE"] {
        for (source, said, removed) in cases {
            let text = message(method, "sip:4930123@203.0.113.1", "1", "uac", "uas")
                .replace("Content-Length", &format!("{said}Content-Length"));
            let (verdict, transaction) = bench.in_dialog(&text, source, token, None);
            assert_eq!(verdict, Verdict::Forward, "{method} {source}");
            assert_eq!(transaction.edits, [removed], "{method} {source}");
        }
    }
}

/// What becomes of a call to a user who is not registered, the source of accounts asked once.
#[test]
fn accounts_tell_who_is_away_from_who_is_nobody() {
    let mut bench = bench(0, 1);
    let call = |user: &str| message("INVITE", &format!("sip:{user}@example.com"), user, "uac", "");
    for (user, said, reason) in [
        ("alice", Some(Said::Known(Ha1s::default())), Reason::UserAway),
        ("nobody", Some(Said::Unknown), Reason::UserUnknown),
    ] {
        let mut transaction = bench.transaction(&call(user), CALLER);
        let mut go = |bench: &mut Bench, answer| {
            let mut attached = Vec::new();
            let verdict = bench.ask(&mut transaction, |policy, request, note, targets, now| {
                let verdict = policy.new_request(request, note, answer, targets, now);
                attached = targets.attachment().to_vec();
                verdict
            });
            (verdict, attached)
        };
        let (verdict, question) = go(&mut bench, None);
        assert_eq!(asked(Some(verdict)).map(|asked| asked.shard), Some(None));
        let query = Query::read(&question).unwrap();
        assert_eq!((query.domain, query.credentials.username), (&b"example.com"[..], user.as_bytes()));
        let mut bytes = Vec::new();
        let number = write_answer(said.as_ref(), &mut bytes);
        bench.policy.take_answer(&bytes);
        let (verdict, _) = go(&mut bench, Some(Answer::Module(number)));
        assert_eq!(reply(Some(verdict)), Some(reason));
        // Remembered, until its time is over.
        assert_eq!(reply(Some(bench.request(&call(user), CALLER).0)), Some(reason));
    }
    bench.wait(31_000);
    assert!(asked(Some(bench.request(&call("nobody"), CALLER).0)).is_some());
    // A source that does not answer tells nothing, and nothing is remembered of it.
    let mut transaction = bench.transaction(&call("carol"), CALLER);
    let mut go = |bench: &mut Bench, answer| {
        bench.ask(&mut transaction, |policy, request, note, targets, now| {
            policy.new_request(request, note, answer, targets, now)
        })
    };
    go(&mut bench, None);
    assert_eq!(reply(Some(go(&mut bench, Some(Answer::Late)))), Some(Reason::UserUntold));
    // Nor may one address ask without end.
    let all = (0..600).map(|n| bench.request(&call(&format!("u{n}")), CALLER).0);
    let untold = all.filter(|verdict| reply(Some(*verdict)) == Some(Reason::UserUntold)).count();
    assert!(untold > 50 && untold < 200, "{untold}");
}

/// RFC 7616 §3.4.6: a proof for another request is refused, before anything is known of its user.
#[test]
fn a_proof_is_for_the_request_that_brings_it() {
    /// URI of the proof, Request-URI, whether they are one.
    type Pair<'u> = (&'u str, &'u str, bool);
    let cases: [(&str, &[Pair<'_>]); 3] = [
        (
            "",
            &[
                ("sip:bob@example.com", "sip:bob@example.com", true),
                ("sip:bob@example.com", "sip:bob@EXAMPLE.com:5060;transport=udp", true),
                ("sip:bob@example.com", "sip:b%6fb@pbx.example.com", true),
                ("sip:bob@198.51.100.1", "sip:bob@example.com", true),
                ("sip:bob@example.com", "sip:198.51.100.1:5060", true),
                ("sip:bob@example.com", "sip:elsewhere.example", false),
                ("sip:bob@example.com", "sip:carol@example.com", false),
                ("sip:bob@example.com", "sip:bob@elsewhere.example", false),
                ("sip:bob@elsewhere.example", "sip:bob@example.com", false),
                ("sip:bob@example.com", "/index.html", false),
            ],
        ),
        (
            "proof_uri = \"equal\"\n",
            &[
                ("sip:bob@example.com", "sip:b%6fb@EXAMPLE.com", true),
                ("sip:bob@example.com", "sip:bob@example.com:5060", false),
                ("sip:bob@198.51.100.1", "sip:bob@example.com", false),
            ],
        ),
        ("proof_uri = \"any\"\n", &[("sip:bob@example.com", "/index.html", true)]),
    ];
    for (key, cases) in cases {
        let domain = "[[domain]]\nname = \"example.com\"\naliases = [\"pbx.example.com\"]\n";
        let mut bench = bench_of(&format!("{domain}accounts = {{ file = \"a.toml\" }}\n{key}"), 0, 1);
        for (request_uri, uri, holds) in cases {
            let proof = format!(
                "Proxy-Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"n\", uri=\"{uri}\", \
                 response=\"{}\", algorithm=MD5, cnonce=\"c\", qop=auth, nc=00000001\r\n",
                "0".repeat(32)
            );
            let text = message("INVITE", request_uri, "1", "uac", "")
                .replace("Content-Length", &format!("{proof}Content-Length"));
            let reason = reply(begin(&mut bench, &text).0);
            // The nonce is none of ours, which is the next thing that is looked at.
            let wanted = if *holds { Reason::SenderStale } else { Reason::ProofUriForeign };
            assert_eq!(reason, Some(wanted), "{key}{request_uri} {uri}");
        }
    }
    assert_eq!(Reason::ProofUriForeign.status(), Some(400));
}

#[test]
fn rows_of_the_file_stand_before_the_table_of_demands() {
    let rows = "[[domain]]\nname = \"example.com\"\naccounts = { file = \"a.toml\" }\n\
                [[domain.proof]]\nmethods = [\"REGISTER\"]\nsource = \"default\"\nneeded = false\n\
                [[domain.proof]]\nmethods = [\"MESSAGE\", \"PUBLISH\"]\nneeded = false\n\
                [[domain.proof]]\nsource = \"default\"\nneeded = true\n";
    let bench = bench_of(rows, 0, 1);
    let ours = "sip:alice@example.com";
    for (method, source, needed) in [
        ("REGISTER", CALLER, false),
        ("REGISTER", PHONE, true),
        ("MESSAGE", PHONE, false),
        ("PUBLISH", CALLER, false),
        ("INVITE", CALLER, true),
        ("INVITE", PHONE, true),
        ("INVITE", "203.0.113.1:5060", false),
    ] {
        let text = request(method, ours, ours, "");
        let mut arena = Arena::new();
        let message = Message::parse(text.as_bytes(), &mut arena).unwrap();
        let found = demand::of(bench.policy.tables(), &message, address(source).ip());
        assert_eq!(found.is_some(), needed, "{method} {source}");
    }
    assert!(demand::asks(bench.policy.tables(), 0, address(CALLER).ip()));
}
