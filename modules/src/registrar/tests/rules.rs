//! RFC 3261 §10, RFC 3327, RFC 5626 and RFC 5627, rule by rule.

use super::*;
use proto::message::{Method, Uri};
use proto::policy::TargetSet;

fn bench() -> Bench {
    Bench::new(TOML)
}

#[test]
fn a_binding_is_made_refreshed_told_and_removed() {
    let mut bench = bench();
    let reply = bench.register("alice", "c1", 1, "Contact: <sip:alice@192.0.2.7:5070>\r\n");
    assert_eq!(reply.reason, Reason::Registered);
    assert_eq!(reply.contacts(), ["<sip:alice@192.0.2.7:5070>;expires=600"]);
    assert_eq!(reply.held, Some(1), "it waits for its batch");
    bench.sync();
    bench.wait(100);
    let told = bench.register("alice", "c1", 2, "");
    assert_eq!((told.reason, told.held), (Reason::RegistrationsTold, None));
    assert_eq!(told.contacts(), ["<sip:alice@192.0.2.7:5070>;expires=500"]);
    let again = bench.register("alice", "c1", 3, "Contact: <sip:alice@192.0.2.7:5070>;expires=300\r\n");
    assert_eq!(again.reason, Reason::RegistrationRefreshed);
    assert_eq!(again.contacts(), ["<sip:alice@192.0.2.7:5070>;expires=300"]);
    let gone = bench.register("alice", "c1", 4, "Contact: <sip:alice@192.0.2.7:5070>;expires=0\r\n");
    assert_eq!((gone.reason, gone.contacts().len()), (Reason::RegistrationRemoved, 0));
    assert_eq!(bench.registrar.figures().accounts, 0);
}

#[test]
fn expiry_by_contact_then_header_then_default_bounded_by_least_and_most() {
    let mut bench = bench();
    let reply = bench.register(
        "a",
        "c",
        1,
        "Expires: 900\r\nContact: <sip:a@h1>;expires=120, <sip:a@h2>\r\nContact: <sip:a@h3>;expires=9999999999\r\n",
    );
    assert_eq!(reply.contacts(), ["<sip:a@h1>;expires=120", "<sip:a@h2>;expires=900", "<sip:a@h3>;expires=3600"]);
    let brief = bench.register("b", "c", 1, "Contact: <sip:b@h1>, <sip:b@h2>;expires=59\r\n");
    assert_eq!((brief.reason, brief.lines.as_str()), (Reason::ExpiresTooBrief, "Min-Expires: 60\r\n"));
    assert!(bench.located("b").is_empty(), "all or nothing");
    let odd = bench.register("b", "c", 2, "Contact: <sip:b@h1>;expires=soon\r\n");
    assert_eq!(odd.contacts(), ["<sip:b@h1>;expires=600"], "§10.3 item 7");
}

#[test]
fn star_removes_all_and_stands_alone_with_expires_0() {
    let mut bench = bench();
    bench.register("a", "c", 1, "Contact: <sip:a@h1>, <sip:a@h2>\r\n");
    for (lines, reason) in [
        ("Contact: *\r\n", Reason::ContactStar),
        ("Contact: *\r\nExpires: 60\r\n", Reason::ContactStar),
        ("Contact: *\r\nContact: <sip:a@h1>\r\nExpires: 0\r\n", Reason::ContactStar),
    ] {
        assert_eq!(bench.register("a", "c", 2, lines).reason, reason, "{lines}");
    }
    assert_eq!(bench.register("a", "c", 1, "Contact: *\r\nExpires: 0\r\n").reason, Reason::RegisterOutOfOrder);
    assert_eq!(bench.located("a").len(), 2);
    let gone = bench.register("a", "c", 2, "Contact: *\r\nExpires: 0\r\n");
    assert_eq!((gone.reason, bench.located("a").len()), (Reason::RegistrationRemoved, 0));
}

#[test]
fn order_is_by_call_id_and_cseq_and_the_same_again_changes_nothing() {
    let mut bench = bench();
    bench.register("a", "c", 10, "Contact: <sip:a@h1>;expires=600\r\n");
    let late = bench.register("a", "c", 9, "Contact: <sip:a@h1>;expires=60\r\n");
    assert_eq!(late.reason, Reason::RegisterOutOfOrder);
    bench.sync();
    bench.wait(10);
    let again = bench.register("a", "c", 10, "Contact: <sip:a@h1>;expires=600\r\n");
    assert_eq!((again.reason, again.contacts()), (Reason::RegistrationRepeated, vec!["<sip:a@h1>;expires=590"]));
    assert!(again.held.is_some(), "the answer to the first may have been lost with its batch");
    let other = bench.register("a", "other", 1, "Contact: <sip:a@h1>;expires=70\r\n");
    assert_eq!(other.contacts(), ["<sip:a@h1>;expires=70"], "another Call-ID: the phone has restarted");
}

#[test]
fn equal_uris_are_one_binding() {
    let mut bench = bench();
    bench.register("a", "c", 1, "Contact: <sip:A@Host.Example;transport=udp>\r\n");
    let reply = bench.register("a", "c", 2, "Contact: <sip:%41@hOST.example;Transport=UDP>\r\n");
    assert_eq!(reply.contacts().len(), 1, "{:?}", reply.contacts());
}

#[test]
fn the_contact_refreshed_longest_ago_makes_room() {
    let mut bench = bench();
    for (cseq, host) in [(1, "h1"), (2, "h2"), (3, "h3"), (4, "h1")] {
        bench.register("a", "c", cseq, &format!("Contact: <sip:a@{host}>\r\n"));
        bench.wait(1);
    }
    bench.register("a", "c", 5, "Contact: <sip:a@h4>\r\n");
    assert_eq!(bench.located("a"), ["sip:a@h1", "sip:a@h3", "sip:a@h4"]);
    let many = (0..4).map(|host| format!("Contact: <sip:a@x{host}>\r\n")).collect::<String>();
    assert_eq!(bench.register("a", "c", 6, &many).reason, Reason::ContactsTooMany);
    assert_eq!(bench.located("a"), ["sip:a@h1", "sip:a@h3", "sip:a@h4"], "nothing of it was done");
}

#[test]
fn a_binding_stands_ten_seconds_beyond_its_end_and_is_not_told() {
    let mut bench = bench();
    bench.register("a", "c", 1, "Contact: <sip:a@h1>;expires=60\r\n");
    bench.wait(65);
    assert_eq!(bench.located("a"), ["sip:a@h1"]);
    assert!(bench.register("a", "c", 2, "").contacts().is_empty());
    bench.wait(6);
    assert!(bench.located("a").is_empty());
    assert_eq!(bench.registrar.figures(), Figures { expired: 1, ..bench.registrar.figures() });
    assert_eq!((bench.registrar.figures().accounts, bench.registrar.figures().bindings), (0, 0));
}

#[test]
fn jitter_only_shortens() {
    let mut bench = Bench::new(&TOML.replace("jitter_percent = 0", "jitter_percent = 20"));
    let mut seen = std::collections::BTreeSet::new();
    for user in 0..200 {
        let reply = bench.register(&format!("u{user}"), "c", 1, "Contact: <sip:a@h1>;expires=1000\r\n");
        let left: u32 = reply.contacts()[0].rsplit('=').next().unwrap().parse().unwrap();
        assert!((800..=1_000).contains(&left), "{left}");
        seen.insert(left);
    }
    assert!(seen.len() > 50);
    let least = bench.register("x", "c", 1, "Contact: <sip:a@h1>;expires=60\r\n");
    assert_eq!(least.contacts(), ["<sip:a@h1>;expires=60"], "never below the least");
}

#[test]
fn what_is_required_and_not_supported_is_420() {
    let mut bench = bench();
    let reply = bench.register("a", "c", 1, "Require: path, foo\r\nContact: <sip:a@h1>\r\n");
    assert_eq!((reply.reason, reply.lines.as_str()), (Reason::ExtensionUnsupported, "Unsupported: foo\r\n"));
}

#[test]
fn users_are_bare_names_with_escapes_undone() {
    let mut bench = bench();
    bench.register("al%69ce;x=y", "c", 1, "Contact: <sip:a@h1>\r\n");
    assert_eq!(bench.located("alice"), ["sip:a@h1"]);
    assert_eq!(bench.located("%61lice"), ["sip:a@h1"]);
    let long = "x".repeat(129);
    assert_eq!(bench.register(&long, "c", 1, "Contact: <sip:a@h1>\r\n").reason, Reason::RegisterUnknownUser);
}

#[test]
fn a_path_is_kept_told_and_taken_by_requests() {
    let mut bench = bench();
    let lines = "Supported: path\r\nPath: <sip:p2.example.com;lr>\r\nPath: <sip:p1.example.com;lr>\r\nContact: <sip:a@10.0.0.1>\r\n";
    let reply = bench.register("a", "c", 1, lines);
    assert!(reply.lines.contains("Path: <sip:p2.example.com;lr>,<sip:p1.example.com;lr>\r\n"), "{}", reply.lines);
    let bad = bench.register("a", "c", 2, "Path: sip:p1\r\nContact: <sip:a@10.0.0.1>\r\n");
    assert_eq!(bad.reason, Reason::PathMalformed);
}

const OUTBOUND: &str = "Supported: path, outbound\r\n";

fn flow(reg_id: u32, host: &str) -> String {
    format!("{OUTBOUND}Contact: <sip:a@{host}>;+sip.instance=\"<urn:uuid:1>\";reg-id={reg_id}\r\n")
}

#[test]
fn an_instance_and_its_flow_are_one_binding_whatever_the_uri() {
    let mut bench = bench();
    let reply = bench.register("a", "c", 1, &flow(1, "h1"));
    assert!(reply.lines.contains("Require: outbound\r\n"), "{}", reply.lines);
    bench.register("a", "c2", 1, &flow(2, "h2"));
    bench.register("a", "c3", 1, &flow(1, "h3"));
    assert_eq!(bench.located("a"), ["sip:a@h2", "sip:a@h3"]);
    let two = format!("{}Contact: <sip:a@h9>\r\n", flow(1, "h3"));
    assert_eq!(bench.register("a", "c4", 1, &two).reason, Reason::ContactFlows);
}

#[test]
fn an_edge_without_outbound_is_439_or_the_flow_does_not_count() {
    let mut bench = bench();
    let text = |lines: &str| {
        format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n\
             Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\n\
             Call-ID: c\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\n{lines}\r\n"
        )
    };
    assert_eq!(bench.send(&text(&flow(1, "h1"))).reason, Reason::FirstHopLacksOutbound);
    let ignored = flow(1, "h1").replace("path, outbound", "path");
    assert_eq!(bench.send(&text(&ignored)).reason, Reason::Registered);
    assert!(!bench.register("a", "c", 2, "").lines.contains("reg-id"));
    let with_ob = format!("Path: <sip:edge;lr;ob>\r\n{}", flow(1, "h1"));
    let reply = bench.send(&text(&with_ob).replace("CSeq: 1", "CSeq: 3"));
    assert!(reply.lines.contains("Require: outbound"), "{:?} {}", reply.reason, reply.lines);
}

#[test]
fn gruus_are_given_out_and_reach_their_instance_alone() {
    let mut bench = bench();
    let contact = |n: u32| format!("Supported: gruu\r\nContact: <sip:a@h{n}>;+sip.instance=\"<urn:uuid:{n}>\"\r\n");
    bench.register("a", "c1", 1, &contact(1));
    let reply = bench.register("a", "c2", 1, &contact(2));
    let of_second = reply.contacts().into_iter().find(|line| line.contains("h2")).unwrap().to_owned();
    assert!(of_second.contains(";pub-gruu=\"sip:a@example.com;gr=urn:uuid:2\""), "{of_second}");
    let temporary = of_second.split("temp-gruu=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let reached = |bench: &Bench, uri: &str| {
        let uri = Uri::parse(uri.as_bytes()).unwrap();
        let (mut room, mut named, mut found) = ([0; limits::USER_BYTES_MAX], None, Vec::new());
        let wanted = Wanted::read(&uri, bench.registrar.gruu_secret(), &mut room, &mut named).unwrap();
        let presence = bench.registrar.locate(0, &wanted, bench.now, &mut found);
        (presence, Bindings(&found).map(|binding| binding.contact.to_vec()).collect::<Vec<_>>())
    };
    for uri in ["sip:a@example.com;gr=urn:uuid:2", &temporary] {
        assert_eq!(reached(&bench, uri), (Presence::Present, vec![b"sip:a@h2".to_vec()]), "{uri}");
    }
    assert_eq!(reached(&bench, "sip:a@example.com;gr=urn:uuid:9").0, Presence::Away);
    bench.register("a", "c3", 1, &contact(2));
    assert_eq!(reached(&bench, &temporary).0, Presence::Away, "RFC 5627 §3.2: another Call-ID ends it");
}

#[test]
fn a_contact_behind_nat_is_reached_where_it_came_from() {
    let mut bench = bench();
    for (contact, hop) in [
        ("sip:a@192.168.1.2:5062", "192.0.2.7:5070"),
        ("sip:a@192.0.2.7:5099", "192.0.2.7:5099"),
        ("sip:a@phone.example", "192.0.2.7:5070"),
    ] {
        bench.register("a", "c", 1, &format!("Contact: <{contact}>\r\n"));
        let (mut found, mut targets) = (Vec::new(), TargetSet::default());
        let uri = Uri::parse(b"sip:a@example.com").unwrap();
        let (mut room, mut named) = ([0; limits::USER_BYTES_MAX], None);
        let wanted = Wanted::read(&uri, bench.registrar.gruu_secret(), &mut room, &mut named).unwrap();
        bench.registrar.locate(0, &wanted, bench.now, &mut found);
        Forks::default().begin(&found, Method::Invite, false, &mut targets);
        let (target, uri, ..) = targets.iter().next().unwrap();
        assert_eq!((target.next_hop.to_string().as_str(), uri), (hop, contact.as_bytes()));
        bench.register("a", "c", 2, "Contact: *\r\nExpires: 0\r\n");
        bench.sync();
    }
}

#[test]
fn methods_say_what_a_contact_gets() {
    let mut bench = bench();
    bench.register("a", "c", 1, "Contact: <sip:a@h1>;methods=\"INVITE,BYE\"\r\n");
    let mut found = Vec::new();
    let uri = Uri::parse(b"sip:a@example.com").unwrap();
    let (mut room, mut named) = ([0; limits::USER_BYTES_MAX], None);
    let wanted = Wanted::read(&uri, bench.registrar.gruu_secret(), &mut room, &mut named).unwrap();
    bench.registrar.locate(0, &wanted, bench.now, &mut found);
    for (method, taken) in [(Method::Invite, 1), (Method::Message, 0)] {
        let mut targets = TargetSet::default();
        Forks::default().begin(&found, method, false, &mut targets);
        assert_eq!(targets.len(), taken);
    }
}

#[test]
fn a_disk_that_does_not_work_is_503_and_nothing_changes() {
    let mut bench = bench();
    bench.register("a", "c", 1, "Contact: <sip:a@h1>\r\n");
    let lost = bench.registrar.take_batch().unwrap();
    bench.registrar.batch_back(lost);
    let refused = bench.register("b", "c", 1, "Contact: <sip:b@h1>\r\n");
    assert_eq!((refused.reason, refused.lines.as_str()), (Reason::JournalBroken, "Retry-After: 10\r\n"));
    assert!(bench.located("b").is_empty());
    bench.registrar.mend();
    let again = bench.register("a", "c", 1, "Contact: <sip:a@h1>\r\n");
    assert!(again.held.is_some(), "what was lost is recorded again before it is acknowledged");
    bench.sync();
    bench.restart(0);
    assert_eq!(bench.located("a"), ["sip:a@h1"]);
}

#[test]
fn a_full_table_is_503_and_refreshes_go_on() {
    let mut bench = bench();
    let mut last = 0;
    for user in 0..1_100 {
        let reply = bench.register(&format!("u{user}"), "c", 1, "Contact: <sip:a@h1>\r\n");
        bench.sync();
        if reply.reason == Reason::RegistrarFull {
            last = user;
            break;
        }
    }
    assert_eq!(last, 1_000);
    assert_eq!(bench.register("u5", "c", 2, "Contact: <sip:a@h1>\r\n").reason, Reason::RegistrationRefreshed);
}

#[test]
fn operators_see_all_in_parts_and_take_one_away() {
    let mut bench = bench();
    for user in 0..900 {
        bench.register(&format!("{user:04}"), "c", 1, "Contact: <sip:a@h1>\r\n");
        bench.sync();
    }
    let seen = |bench: &Bench, user: &str, prefix: bool| {
        let mut look = Look::new(Vec::new(), user.as_bytes().to_vec(), prefix);
        let (mut users, mut parts) = (Vec::new(), 0);
        loop {
            bench.registrar.look(&mut look, bench.now);
            users.extend(look.rows().map(|row| String::from_utf8(row.user.to_vec()).unwrap()));
            parts += 1;
            if look.done {
                users.sort();
                return (users, parts);
            }
        }
    };
    let (all, parts) = seen(&bench, "", false);
    assert!(all.len() == 900 && parts > 1, "{} in {parts}", all.len());
    assert_eq!(seen(&bench, "012", true).0.len(), 10);
    assert_eq!(seen(&bench, "0123", false).0, ["0123"]);
    assert_eq!(bench.registrar.remove(b"example.com", b"0123"), Some(1));
    assert_eq!(bench.registrar.remove(b"example.com", b"0123"), Some(0));
    bench.sync();
    bench.restart(0);
    assert_eq!((seen(&bench, "0123", false).0.len(), bench.registrar.figures().accounts), (0, 899));
    assert_eq!(bench.domain().contacts_max, 3);
}

/// What keeps a whole address from being shut out is known again before its phone is heard of.
#[test]
fn after_a_restart_it_is_known_where_bindings_live() {
    let mut bench = bench();
    bench.register("alice", "c1", 1, "Contact: <sip:alice@192.0.2.7:5070>;expires=300\r\n");
    bench.sync();
    bench.wait(100);
    let living = Living::new(Secret([7; 16]));
    let mut fresh = Registrar::new(&setup(bench.now), &bench.domains, bench.now);
    let (entry, _) = Entry::read(&bench.disk[0]).unwrap();
    assert!(fresh.load(&entry, 0, Some(&living), bench.now));
    let source = entry.bindings().next().unwrap().source.ip();
    let at = |seconds: u64| Mono(bench.now.mono.0 + seconds * 1_000_000);
    assert!(living.is_alive(source, at(199)) && !living.is_alive(source, at(202)));
    let here = entry.bindings().next().unwrap().source;
    let bound = |user: &[u8], at: SocketAddr, now: Now| fresh.is_bound_at(0, user, at, now);
    assert!(bound(b"alice", here, bench.now) && !bound(b"bob", here, bench.now));
    assert!(!bound(b"alice", SocketAddr::new(here.ip(), here.port() + 1), bench.now));
    assert!(!bound(b"alice", here, Now { mono: at(220), ..bench.now }));
    // Over by the time of the restart: nobody lives there.
    let (living, now) = (Living::new(Secret([7; 16])), Now { mono: at(205), ..bench.now });
    assert!(fresh.load(&entry, 0, Some(&living), now) && !living.is_alive(source, at(205)));
}
