//! Desks before sources that answer, are slow, and are not there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;
use crate::module_question::ModuleQuestions;
use engine::ShardId;
use modules::authentication::Said;
use modules::authentication::question::read_answer;
use proto::message::{DigestCredentials, Writer};
use proto::proxy::Ticket;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const SETTINGS: Settings = Settings { deadline: Duration::from_millis(300), under_way_max: 4 };

struct Rig {
    lanes: AccountLanes,
    reports: Receiver<Report>,
    questions: ModuleQuestions,
}

impl Rig {
    fn new(config: SourceConfig) -> Self {
        let (sender, reports) = channel();
        let sink: Sink = Arc::new(move |report| drop(sender.send(report)));
        let domains = vec![("example.com".to_owned(), config)];
        let lanes = AccountLanes::start(domains, &AccountLanes::default(), SETTINGS, &sink).unwrap();
        Rig { lanes, reports, questions: ModuleQuestions::new(ShardId(0), true) }
    }

    fn ask(&mut self, domain: &[u8], username: &[u8]) -> Result<(), Box<ModuleQuestion>> {
        let credentials =
            DigestCredentials { username, realm: domain, response: b"00", ..DigestCredentials::default() };
        let mut room = [0; 512];
        let mut writer = Writer::new(&mut room);
        Query { domain, method: b"REGISTER", credentials }.write(&mut writer);
        let len = writer.finish().unwrap();
        let question = self.questions.ask(Ticket { transaction: 1, round: 0 }, 0, &room[..len]).unwrap();
        self.lanes.ask(question)
    }

    fn answer(&self) -> Option<Said> {
        loop {
            if let Report::Answer(question) = self.reports.recv_timeout(Duration::from_secs(5)).unwrap() {
                return read_answer(question.answer, question.bytes());
            }
        }
    }
}

#[test]
fn a_file_and_the_embedded_database_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let (toml, sqlite) = (folder.path().join("a.toml"), folder.path().join("a.db"));
    std::fs::write(&toml, "[[account]]\nuser = \"alice\"\npassword = \"secret\"\n").unwrap();
    let stored = Stored::of_password("alice", "example.com", "example.com", "secret");
    store::Store::open(&sqlite).unwrap().put([("example.com", "alice", &stored)]).unwrap();
    for config in [SourceConfig::File(toml), SourceConfig::Sqlite(sqlite)] {
        let mut rig = Rig::new(config);
        rig.ask(b"example.com", b"alice").unwrap();
        assert!(matches!(rig.answer(), Some(Said::Known(ha1s)) if !ha1s.is_empty()));
        rig.ask(b"example.com", b"mallory").unwrap();
        assert!(matches!(rig.answer(), Some(Said::Unknown)));
        assert!(rig.ask(b"example.org", b"alice").is_err(), "a domain without a source");
        let (_, figures) = rig.lanes.figures().next().unwrap();
        assert_eq!((figures.up, figures.answered, figures.failed), (true, 2, 0));
    }
}

#[test]
fn what_is_not_there_fails_and_says_so_once() {
    let mut rig = Rig::new(SourceConfig::Sqlite("/nowhere/accounts.db".into()));
    for _ in 0..3 {
        rig.ask(b"example.com", b"alice").unwrap();
    }
    let mut states = 0;
    for _ in 0..4 {
        match rig.reports.recv_timeout(Duration::from_secs(5)) {
            Ok(Report::State { source, up, why }) => {
                states += 1;
                assert!(!up && source.starts_with("sqlite ") && why.contains("accounts.db"), "{source} {why}");
            }
            Ok(Report::Answer(question)) => assert_eq!(question.answer, 0),
            Err(_) => break,
        }
    }
    assert_eq!(states, 1);
}

/// A RADIUS server that never answers.
fn silent() -> (UdpSocket, SourceConfig) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let servers = Servers {
        names: vec![socket.local_addr().unwrap().to_string()],
        secret: b"testing123".to_vec(),
        dialect: Dialect::Rfc5090,
        wait: Duration::from_millis(100),
        tries: 2,
        authenticator_required: true,
        append_realm: false,
    };
    (socket, SourceConfig::Radius(servers))
}

#[test]
fn a_source_that_hangs_is_left_alone_after_a_while() {
    let (_socket, config) = silent();
    let mut rig = Rig::new(config);
    let began = Instant::now();
    for user in [b"a", b"b", b"c", b"d", b"e", b"f"] {
        rig.ask(b"example.com", user).unwrap();
    }
    // Four are under way, two too many.
    (0..6).for_each(|_| assert!(rig.answer().is_none()));
    assert!(began.elapsed() >= Duration::from_millis(200));
    let before = rig.lanes.figures().next().unwrap().1;
    assert_eq!((before.up, before.failed, before.turned_away), (false, 4, 2));
    for user in [b"g", b"h", b"i"] {
        rig.ask(b"example.com", user).unwrap();
    }
    (0..3).for_each(|_| assert!(rig.answer().is_none()));
    let after = rig.lanes.figures().next().unwrap().1;
    assert_eq!((after.failed, after.turned_away), (5, 4), "one tries, the others are turned away");
}

#[test]
fn who_asks_for_the_same_user_waits_for_the_same_answer() {
    // A source that takes its time: a database that drops the connection attempt.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = format!("host=127.0.0.1 port={} user=x", listener.local_addr().unwrap().port());
    let mut rig =
        Rig::new(SourceConfig::Postgres(tuning::ConnectionString::new(&connection), Tls::Off, columns::kamailio()));
    (0..20).for_each(|_| rig.ask(b"example.com", b"alice").unwrap());
    (0..20).for_each(|_| assert!(rig.answer().is_none()));
    let figures = rig.lanes.figures().next().unwrap().1;
    assert_eq!((figures.failed, figures.turned_away), (1, 0), "one question went out");
}

#[test]
fn a_reload_keeps_what_stays() {
    let (_socket, config) = silent();
    let sink: Sink = Arc::new(|_| {});
    let domains = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), config.clone())).collect::<Vec<_>>();
    let first = AccountLanes::start(domains(&["a", "b"]), &AccountLanes::default(), SETTINGS, &sink).unwrap();
    assert_eq!(first.lanes.len(), 1, "domains with the same source share it");
    let second = AccountLanes::start(domains(&["a", "c"]), &first, SETTINGS, &sink).unwrap();
    assert!(Arc::ptr_eq(&first.lanes[0].1, &second.lanes[0].1));
}
