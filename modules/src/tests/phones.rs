//! Where requests of phones, to phones and from media servers go.

use super::*;
use crate::registrar::{self, Clock, Durability, Registrar};
use proto::policy::{BySource, Question};

const DOMAIN: &str = "[[domain]]\nname = \"example.com\"\naliases = [\"pbx.example.com\"]\nmedia = \"media\"\n";
const MEDIA: &str = "[[set]]\nname = \"media\"\nrequest_uri = \"keep\"\ngateways = [\"sip:203.0.113.1\"]\n";
const ALICE: &str = "192.0.2.10:40001";
const BOB: &str = "192.0.2.20:40002";
const SERVER: &str = "203.0.113.1:5060";

/// A registrar that answers at once.
pub(super) fn registrar(setup: &Setup, tables: &Tables, now: Now) -> Box<Registrar> {
    let setup = registrar::Setup {
        clock: Clock::start(now),
        accounts: 100,
        bytes: 1 << 20,
        durability: Durability::Relaxed,
        boot_secret: setup.boot_secret,
        gruu_secret: setup.choice_secret,
        seed: 5,
    };
    Box::new(Registrar::new(&setup, &tables.domains, now))
}

fn bench() -> Bench {
    Bench::new(&format!("{DOMAIN}{MEDIA}"))
}

/// A request of a user of the domain.
fn of(user: &str, method: &str, uri: &str, id: &str) -> String {
    message(method, uri, id, "uac", "").replace("<sip:alice@example.com>", &format!("<sip:{user}@example.com>"))
}

fn register(user: &str, contacts: &str, id: &str) -> String {
    let text = of(user, "REGISTER", "sip:example.com", id);
    text.replace("To: <sip:bob@example.com>", &format!("To: <sip:{user}@example.com>"))
        .replace("Contact: <sip:alice@192.0.2.1:5062>", &format!("Contact: {contacts}"))
}

fn registered(bench: &mut Bench, user: &str, contacts: &str, source: &str) {
    let (verdict, _) = bench.request(&register(user, contacts, &format!("reg-{user}-{source}")), source);
    assert_eq!(verdict, Verdict::Reply { status: 200, reason: Reason::Registered });
}

fn both(bench: &mut Bench) {
    registered(bench, "alice", "<sip:alice@10.0.0.5:5060>", ALICE);
    registered(bench, "bob", "<sip:bob@10.0.0.6:5060;x=1>", BOB);
}

#[track_caller]
fn goes(verdict: Verdict<Reason>, transaction: &Transaction, to: &str, uri: &str, by_source: BySource) {
    assert_eq!(verdict, Verdict::Forward);
    let (target, written) = &transaction.targets[0];
    assert_eq!((target.next_hop, written.as_str(), target.by_source), (address(to), uri, by_source));
    assert_eq!(transaction.targets.len(), 1);
}

#[test]
fn a_phone_reaches_another_where_it_registered_from() {
    let mut bench = bench();
    both(&mut bench);
    let call = of("alice", "INVITE", "sip:bob@example.com", "1")
        .replace("Contact", "P-Asserted-Identity: <sip:x@y>\r\nContact");
    let (verdict, transaction) = bench.request(&call, ALICE);
    goes(verdict, &transaction, BOB, "sip:bob@10.0.0.6:5060;x=1", BySource::Both);
    assert_eq!(transaction.edits, ["-P-Asserted-Identity\r\n"]);
    // By an alias, or by our address, which many phones write.
    for uri in ["sip:bob@pbx.example.com", "sip:b%6fb@example.com;user=ip", "sip:bob@198.51.100.1"] {
        let (verdict, transaction) = bench.request(&of("alice", "INVITE", uri, uri), ALICE);
        goes(verdict, &transaction, BOB, "sip:bob@10.0.0.6:5060;x=1", BySource::Both);
    }
}

#[test]
fn who_is_not_registered_is_the_media_servers() {
    let mut bench = bench();
    both(&mut bench);
    for uri in ["sip:4930123@example.com", "sip:carol@example.com", "sip:someone@elsewhere.example"] {
        let (verdict, transaction) = bench.request(&of("alice", "INVITE", uri, uri), ALICE);
        goes(verdict, &transaction, SERVER, "", BySource::Caller);
        assert_eq!(transaction.edits, ["-P-Asserted-Identity\r\n"]);
    }
    let mut alone = Bench::new(&DOMAIN.replace("media = \"media\"\n", ""));
    registered(&mut alone, "alice", "<sip:alice@10.0.0.5>", ALICE);
    let (verdict, _) = alone.request(&of("alice", "INVITE", "sip:carol@example.com", "1"), ALICE);
    assert_eq!(verdict, Verdict::Reply { status: 404, reason: Reason::UserUnknown });
}

#[test]
fn calls_between_phones_go_by_the_media_set_if_that_is_wanted() {
    let mut bench = Bench::new(&format!("{DOMAIN}between_phones = \"media\"\n{MEDIA}"));
    both(&mut bench);
    let (verdict, transaction) = bench.request(&of("alice", "INVITE", "sip:bob@example.com", "1"), ALICE);
    goes(verdict, &transaction, SERVER, "", BySource::Caller);
    // And the media server calls the other phone through us.
    let (verdict, transaction) = bench.request(&of("alice", "INVITE", "sip:bob@example.com", "2"), SERVER);
    goes(verdict, &transaction, BOB, "sip:bob@10.0.0.6:5060;x=1", BySource::Callee);
    assert_eq!(transaction.edits, [""], "what a media server says of a caller is believed");
}

#[test]
fn lamps_and_messages() {
    let mut bench = bench();
    both(&mut bench);
    for method in ["SUBSCRIBE", "PUBLISH", "MESSAGE"] {
        let (verdict, transaction) = bench.request(&of("alice", method, "sip:bob@example.com", method), ALICE);
        goes(verdict, &transaction, SERVER, "", BySource::Caller);
    }
    for method in ["NOTIFY", "MESSAGE", "OPTIONS", "INVITE"] {
        let (verdict, transaction) = bench.request(&of("server", method, "sip:bob@example.com", method), SERVER);
        goes(verdict, &transaction, BOB, "sip:bob@10.0.0.6:5060;x=1", BySource::Callee);
    }
    let (verdict, _) = bench.request(&of("server", "OPTIONS", "sip:example.com", "o"), SERVER);
    assert_eq!(verdict, Verdict::Reply { status: 200, reason: Reason::OptionsAnswered });
    let (verdict, _) = bench.request(&of("server", "MESSAGE", "sip:carol@example.com", "c"), SERVER);
    assert_eq!(verdict, Verdict::Reply { status: 404, reason: Reason::UserUnknown });
}

/// RFC 3261 §16.6: the highest q first, all at once; the next when these have failed.
#[test]
fn contacts_are_tried_by_their_preference() {
    let mut bench = bench();
    registered(&mut bench, "alice", "<sip:alice@10.0.0.5>", ALICE);
    registered(&mut bench, "bob", "<sip:b1@10.0.0.6>;q=0.9, <sip:b2@10.0.0.7>;q=0.9, <sip:b3@10.0.0.8>;q=0.2", BOB);
    let (verdict, mut transaction) = bench.request(&of("alice", "INVITE", "sip:bob@example.com", "1"), ALICE);
    assert_eq!(verdict, Verdict::Forward);
    let uris = |transaction: &Transaction| transaction.targets.iter().map(|(_, uri)| uri.clone()).collect::<Vec<_>>();
    assert_eq!(uris(&transaction), ["sip:b1@10.0.0.6", "sip:b2@10.0.0.7"]);
    let next = |bench: &mut Bench, transaction: &mut Transaction| {
        bench.ask(transaction, |policy, request, note, targets, now| {
            policy.best_response(request, Outcome::Response(486), note, targets, now)
        })
    };
    assert_eq!(next(&mut bench, &mut transaction), Choice::Advance);
    assert_eq!(uris(&transaction)[2..], ["sip:b3@10.0.0.8"]);
    assert_eq!(transaction.edits, ["-P-Asserted-Identity\r\n"], "as the first ones");
    assert_eq!(transaction.targets[2].0.by_source, BySource::Both);
    assert_eq!(next(&mut bench, &mut transaction), Choice::Send { status: None });
    bench.end(transaction, 486);
}

/// A user of another shard: its contacts are asked for, and nobody waits.
#[test]
fn contacts_of_another_shard_are_asked_for() {
    let toml = format!("{HEAD}{DOMAIN}{MEDIA}");
    let mut shards = [Bench::with(&toml, 0, 2), Bench::with(&toml, 1, 2)];
    let shard_of = |user: &str| {
        usize::from(proto::steer::shard_of_slot(proto::steer::slot_of_plain_user(&Secret([2; 16]), user.as_bytes()), 2))
    };
    let owner = shard_of("bob");
    registered(&mut shards[owner], "bob", "<sip:bob@10.0.0.6>", BOB);
    let call = of("alice", "INVITE", "sip:bob@example.com", "1");
    let asker = 1 - owner;
    let mut transaction = shards[asker].transaction(&call, ALICE);
    let ask = |bench: &mut Bench, transaction: &mut Transaction, answer| {
        let mut attached = Vec::new();
        let verdict = bench.ask(transaction, |policy, request, note, targets, now| {
            let verdict = policy.new_request(request, note, answer, targets, now);
            attached = targets.attachment().to_vec();
            verdict
        });
        (verdict, attached)
    };
    let (verdict, question) = ask(&mut shards[asker], &mut transaction, None);
    let Verdict::Ask { question: Question::Module(number), .. } = verdict else { panic!("{verdict:?}") };
    let mut reply = Vec::new();
    let now = shards[owner].now;
    let presence = shards[owner].policy.answer_question(number, &question, &mut reply, now);
    shards[asker].policy.take_answer(&reply);
    let (verdict, _) = ask(&mut shards[asker], &mut transaction, Some(Answer::Module(presence)));
    goes(verdict, &transaction, BOB, "sip:bob@10.0.0.6", BySource::Both);

    let mut late = shards[asker].transaction(&call, ALICE);
    ask(&mut shards[asker], &mut late, None);
    let (verdict, _) = ask(&mut shards[asker], &mut late, Some(Answer::Late));
    assert_eq!(verdict, Verdict::Reply { status: 503, reason: Reason::LocationUnanswered });
}

#[test]
fn strangers_stay_outside() {
    let mut bench = bench();
    both(&mut bench);
    // Nobody can ask it for a proof.
    let (verdict, _) = bench.request(&of("alice", "INVITE", "sip:bob@example.com", "1"), "8.8.8.8:5060");
    assert_eq!(verdict, Verdict::Drop(Reason::StrangerDropped));
    let (verdict, _) = bench.request(&register("alice", "<sip:alice@8.8.8.8>", "r"), "8.8.8.8:5060");
    assert_eq!(verdict, Verdict::Drop(Reason::StrangerDropped));
}

/// A listed peer reaches users by the name of the domain, everything else by routes.
#[test]
fn peers_reach_phones_too() {
    let mut bench = bench();
    both(&mut bench);
    let from_peer =
        |uri: &str| message("INVITE", uri, uri, "uac", "").replace("alice@example.com", "x@carrier.example");
    let (verdict, transaction) = bench.request(&from_peer("sip:bob@example.com"), CALLER);
    goes(verdict, &transaction, BOB, "sip:bob@10.0.0.6:5060;x=1", BySource::Callee);
    let (verdict, transaction) = bench.request(&from_peer("sip:4930123@198.51.100.1"), CALLER);
    goes(verdict, &transaction, SERVER, "", BySource::Neither);
}

/// RFC 3261 §10.3 item 5; for a domain that is not ours it passes on (item 1).
#[test]
fn nobody_of_another_domain_registers_here() {
    let mut bench = bench();
    let foreign =
        register("x", "<sip:x@192.0.2.9>", "r").replace("To: <sip:x@example.com>", "To: <sip:x@other.example>");
    let (verdict, _) = bench.request(&foreign, CALLER);
    assert_eq!(verdict, Verdict::Reply { status: 404, reason: Reason::RegisterUnknownUser });
    let onwards = foreign.replace("REGISTER sip:example.com ", "REGISTER sip:other.example ");
    let (verdict, transaction) = bench.request(&onwards, CALLER);
    goes(verdict, &transaction, SERVER, "", BySource::Neither);
}

#[test]
fn responses_reach_phones_that_did_not_ask_for_rport() {
    let bench = bench();
    let at = |source: &str| bench.policy.answers_to_source_port(&endpoint(address(source)));
    assert!(at("8.8.8.8:40000") && !at(SERVER) && !at(CALLER), "named sources are believed");
    assert!(!Bench::new(TWO).policy.answers_to_source_port(&endpoint(address("8.8.8.8:40000"))));
}

/// REGISTERs go on to a registrar behind us; who is bound at its very address may call.
#[test]
fn a_registrar_behind_us() {
    const PHONE: &str = "8.8.8.8:40000";
    let domain = DOMAIN.replace("media = \"media\"\n", "media = \"media\"\nregistrar = \"media\"\n");
    let mut bench = Bench::new(&format!("{domain}{MEDIA}"));
    let (verdict, transaction) = bench.request(&register("alice", "<sip:alice@10.0.0.5>", "r"), PHONE);
    goes(verdict, &transaction, SERVER, "", BySource::Caller);
    let call = of("alice", "INVITE", "sip:bob@example.com", "1");
    let (verdict, _) = bench.request(&call, PHONE);
    assert_eq!(verdict, Verdict::Drop(Reason::StrangerDropped), "not registered yet");
    let (_, mut transaction) = bench.request(&register("alice", "<sip:alice@10.0.0.5>", "r"), PHONE);
    let target = transaction.targets[0].0;
    bench.respond_from(&mut transaction, target, 403, "t", "");
    assert_eq!(bench.request(&call, PHONE).0, Verdict::Drop(Reason::StrangerDropped), "not granted");

    let granted = |bench: &mut Bench, user: &str, contacts: &str, source: &str, listed: &str| {
        let (_, mut transaction) = bench.request(&register(user, contacts, &format!("r-{user}-{source}")), source);
        let target = transaction.targets[0].0;
        bench.respond_from(&mut transaction, target, 200, "t", listed);
    };
    let listed = "Contact: <sip:alice@10.0.0.5>;expires=120, <sip:alice@elsewhere>;expires=9\r\n";
    granted(&mut bench, "alice", "<sip:alice@10.0.0.5>", PHONE, listed);
    let (verdict, transaction) = bench.request(&call, PHONE);
    goes(verdict, &transaction, SERVER, "", BySource::Caller);
    assert_eq!(bench.request(&call, "8.8.8.8:40001").0, Verdict::Drop(Reason::StrangerDropped), "from another port");
    // Others reach it without asking the registrar, where it really is.
    let (verdict, transaction) = bench.request(&of("server", "INVITE", "sip:alice@example.com", "2"), SERVER);
    goes(verdict, &transaction, PHONE, "sip:alice@10.0.0.5", BySource::Callee);
    // A second phone; the registrar lists the first one too, or not any more.
    let both = "Contact: <sip:alice@10.0.0.6>;expires=120, <sip:alice@10.0.0.5>;expires=100\r\n";
    granted(&mut bench, "alice", "<sip:alice@10.0.0.6>", BOB, both);
    let bindings = |bench: &Bench| bench.policy.registrations().unwrap().bindings;
    assert_eq!(bindings(&bench), 2);
    granted(&mut bench, "alice", "<sip:alice@10.0.0.6>", BOB, "Contact: <sip:alice@10.0.0.6>;expires=120\r\n");
    assert_eq!(bindings(&bench), 1);
    // One that writes contacts anew lists the second phone too, or not any more; and who leaves takes nobody along.
    let anew = |contacts: &str| format!("Contact: {contacts}\r\n");
    let (mine, others) = ("<sip:alice@8.8.8.8:40000>;expires=30", "<sip:alice@8.8.4.4:40000>;expires=30");
    granted(&mut bench, "alice", "<sip:alice@10.0.0.5>", PHONE, &anew(&format!("{mine}, {others}")));
    assert_eq!(bindings(&bench), 2, "nothing is known of the other");
    granted(&mut bench, "alice", "<sip:alice@10.0.0.6>;expires=0", BOB, &anew(mine));
    assert_eq!(bindings(&bench), 1, "who leaves takes nobody along");
    granted(&mut bench, "alice", "<sip:alice@10.0.0.6>", BOB, &anew(&format!("{mine}, {others}")));
    assert_eq!(bindings(&bench), 2);
    granted(&mut bench, "alice", "<sip:alice@10.0.0.5>", PHONE, &anew(mine));
    assert_eq!(bindings(&bench), 1, "the other does not stand any more");
    granted(
        &mut bench,
        "alice",
        "<sip:alice@10.0.0.6>",
        BOB,
        &anew(&format!("<sip:alice@10.0.0.6>;expires=120, {mine}")),
    );
    assert_eq!(bindings(&bench), 2, "the other is there, by another name");
    // Gone, by itself and with `*`, and after what was granted.
    granted(&mut bench, "alice", "<sip:alice@10.0.0.6>;expires=0", BOB, "Contact: <sip:alice@10.0.0.5>;expires=30\r\n");
    assert_eq!(bindings(&bench), 1);
    bench.wait(41_000);
    let now = bench.now;
    bench.policy.on_deadline(now);
    assert_eq!(bindings(&bench), 0, "30 s and the grace");
    granted(&mut bench, "alice", "<sip:alice@10.0.0.5>", PHONE, listed);
    granted(&mut bench, "alice", "*\r\nExpires: 0", PHONE, "");
    assert_eq!(bindings(&bench), 0);
}

/// A tenant stays on one node, by whatever name its phones call the domain.
#[test]
fn sets_that_hash_by_domain_keep_tenants_together() {
    let domains = ["a", "b", "c", "d", "e", "f"].map(|name| {
        format!("[[domain]]\nname = \"{name}.example\"\naliases = [\"pbx.{name}.example\"]\nmedia = \"media\"\n")
    });
    let media = "[[set]]\nname = \"media\"\nrequest_uri = \"keep\"\nalgorithm = \"hash-domain\"\n\
                 gateways = [\"sip:203.0.113.1\", \"sip:203.0.113.2\", \"sip:203.0.113.3\"]\n";
    let mut bench = Bench::new(&format!("{}{media}", domains.concat()));
    let mut nodes = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let mut goes = |uri: &str, method: &str| {
            let call = message(method, uri, &format!("{name}{uri}{method}"), "uac", "")
                .replace("alice@example.com", &format!("alice@{name}.example"));
            let (verdict, transaction) = bench.request(&call, ALICE);
            assert_eq!(verdict, Verdict::Forward);
            transaction.targets[0].0.next_hop
        };
        let node = goes(&format!("sip:4930123@{name}.example"), "INVITE");
        assert_eq!(goes(&format!("sip:77@PBX.{name}.Example"), "INVITE"), node, "an alias");
        assert_eq!(goes("sip:78@198.51.100.1", "INVITE"), node, "our address");
        assert_eq!(goes(&format!("sip:79@{name}.example"), "SUBSCRIBE"), node, "another method");
        nodes.push(node);
    }
    nodes.sort();
    nodes.dedup();
    assert!(nodes.len() > 1, "all tenants are on one node");
}

/// Only to phones behind NAT, each once an interval; and who has answered before and falls silent goes.
#[test]
fn keep_alives() {
    let rules = "[registrar]\nkeep_alive = { interval = \"25s\", misses_max = 2 }\n";
    let mut bench = Bench::new(&format!("{DOMAIN}{MEDIA}{rules}"));
    registered(&mut bench, "alice", "<sip:alice@10.0.0.5:5060>;expires=3600", ALICE);
    registered(&mut bench, "bob", &format!("<sip:bob@{BOB}>;expires=3600"), BOB);
    let round = |bench: &mut Bench| {
        bench.wait(25_000);
        let now = bench.now;
        std::iter::from_fn(|| bench.policy.next_keep_alive(now)).collect::<Vec<_>>()
    };
    // Silent, but it has never answered: it stays.
    for _ in 0..5 {
        let sent = round(&mut bench);
        assert_eq!(sent.iter().map(|one| one.target.next_hop).collect::<Vec<_>>(), [address(ALICE)]);
    }
    let mut room = [0; 1_024];
    let mut out = proto::message::Writer::new(&mut room);
    let asked = round(&mut bench)[0];
    asked.write(bench.policy.tables(), &mut out, b"Via: SIP/2.0/UDP us\r\n");
    assert!(out.written().starts_with(b"OPTIONS sip:alice@10.0.0.5:5060 SIP/2.0\r\nVia: SIP/2.0/UDP us\r\n"));
    let now = bench.now;
    bench.policy.keep_alive_answered(asked.ticket, now);
    assert_eq!((round(&mut bench).len(), round(&mut bench).len()), (1, 1));
    assert_eq!((round(&mut bench).len(), bench.policy.phones_gone()), (0, 1));
    let (verdict, transaction) = bench.request(&of("bob", "INVITE", "sip:alice@example.com", "1"), BOB);
    goes(verdict, &transaction, SERVER, "", BySource::Caller);
}
