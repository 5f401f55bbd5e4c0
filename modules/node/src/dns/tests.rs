//! The lane against a small name server on loopback.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::letter::AnswerKind;
use engine::ShardId;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_proto::rr::{Name, RData, Record};
use std::net::UdpSocket;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// A name server that a test fills and switches off. It answers from a thread until it is dropped.
struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    records: Mutex<Vec<Record>>,
    questions: AtomicUsize,
    silent: AtomicBool,
    stop: AtomicBool,
}

impl Server {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let server = Server { address: socket.local_addr().unwrap(), shared: Arc::default() };
        let shared = Arc::clone(&server.shared);
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while !shared.stop.load(Ordering::Relaxed) {
                let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
                shared.questions.fetch_add(1, Ordering::Relaxed);
                if !shared.silent.load(Ordering::Relaxed) {
                    let reply = answer(&Message::from_vec(&buffer[..length]).unwrap(), &shared.records.lock().unwrap());
                    socket.send_to(&reply.to_vec().unwrap(), peer).unwrap();
                }
            }
        });
        server
    }

    fn put(&self, name: &str, ttl: u32, data: RData) {
        let record = Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, data);
        self.shared.records.lock().unwrap().push(record);
    }

    fn clear(&self) {
        self.shared.records.lock().unwrap().clear();
    }

    fn settings(&self) -> Settings {
        Settings {
            servers: vec![self.address],
            timeout: Duration::from_millis(200),
            ttl_min: Duration::from_millis(100),
            ttl_max: Duration::from_secs(3_600),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn answer(question: &Message, records: &[Record]) -> Message {
    let query = question.queries.first().unwrap().clone();
    let named: Vec<_> = records.iter().filter(|record| record.name == *query.name()).cloned().collect();
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_desired = true;
    reply.metadata.recursion_available = true;
    if named.is_empty() {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    reply.add_answers(named.into_iter().filter(|record| record.record_type() == query.query_type()));
    reply.add_query(query);
    reply
}

fn a(address: &str) -> RData {
    RData::A(A(address.parse().unwrap()))
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(priority, weight, port, Name::from_ascii(target).unwrap()))
}

fn naptr(order: u16, service: &str, replacement: &str) -> RData {
    let replacement = Name::from_ascii(replacement).unwrap();
    RData::NAPTR(NAPTR::new(order, 50, Box::from(*b"s"), service.as_bytes().into(), Box::default(), replacement))
}

/// The lane and what it reports.
struct Lane {
    lane: DnsLane,
    reports: std::sync::mpsc::Receiver<Report>,
}

impl Lane {
    fn start(settings: Settings) -> Self {
        let (sender, reports) = std::sync::mpsc::channel();
        let sender = Mutex::new(sender);
        let sink: Sink = Arc::new(move |report| sender.lock().unwrap().send(report).unwrap_or_default());
        Lane { lane: DnsLane::start(settings, sink).unwrap(), reports }
    }

    fn ask(&self, host: &str, port: Option<u16>) -> Box<Question> {
        let mut question = Box::new(Question::new(ShardId(0)));
        assert!(question.ask(1, host.as_bytes(), port));
        self.lane.ask(question).unwrap();
        self.answer()
    }

    fn answer(&self) -> Box<Question> {
        match self.reports.recv_timeout(Duration::from_secs(10)).unwrap() {
            Report::Answer(question) => question,
            other => panic!("{other:?}"),
        }
    }

    fn watched(&self) -> Watched {
        match self.reports.recv_timeout(Duration::from_secs(10)).unwrap() {
            Report::Watched(_, watched) => watched,
            other => panic!("{other:?}"),
        }
    }

    fn watch(&self, host: &str, port: Option<u16>) {
        assert!(self.lane.watch([Service { host: host.into(), port }].into()));
    }
}

fn addresses(question: &Question) -> Vec<String> {
    question.addresses().map(|address| address.to_string()).collect()
}

#[test]
fn a_port_asks_for_addresses_of_both_families_alone() {
    let server = Server::start();
    server.put("gw.example.com.", 60, a("192.0.2.1"));
    server.put("gw.example.com.", 60, RData::AAAA(AAAA("2001:db8::1".parse().unwrap())));
    server.put("_sip._udp.gw.example.com.", 60, srv(1, 1, 9999, "gw.example.com."));
    let found = Lane::start(server.settings()).ask("GW.example.com", Some(5070));
    assert_eq!(found.answer, AnswerKind::Found);
    assert_eq!(addresses(&found), ["192.0.2.1:5070", "[2001:db8::1]:5070"]);
}

#[test]
fn without_a_port_naptr_leads_to_srv_in_its_order() {
    let server = Server::start();
    server.put("example.com.", 60, naptr(10, "SIPS+D2T", "_sips._tcp.example.com."));
    server.put("example.com.", 60, naptr(20, "SIP+D2U", "_sip._udp.far.example.com."));
    server.put("_sip._udp.far.example.com.", 60, srv(20, 0, 5080, "b.example.com."));
    server.put("_sip._udp.far.example.com.", 60, srv(10, 5, 5090, "a.example.com."));
    server.put("_sip._udp.far.example.com.", 60, srv(10, 60, 5091, "a.example.com."));
    server.put("a.example.com.", 60, a("192.0.2.1"));
    server.put("b.example.com.", 60, a("192.0.2.2"));
    let found = Lane::start(server.settings()).ask("example.com", None);
    assert_eq!(addresses(&found), ["192.0.2.1:5091", "192.0.2.1:5090", "192.0.2.2:5080"]);
}

#[test]
fn without_naptr_srv_and_without_srv_the_host() {
    let server = Server::start();
    server.put("_sip._udp.one.example.", 60, srv(1, 1, 5080, "h.example."));
    server.put("h.example.", 60, a("192.0.2.1"));
    server.put("two.example.", 60, a("192.0.2.2"));
    let lane = Lane::start(server.settings());
    assert_eq!(addresses(&lane.ask("one.example", None)), ["192.0.2.1:5080"]);
    assert_eq!(addresses(&lane.ask("two.example", None)), ["192.0.2.2:5060"]);
}

#[test]
fn a_name_that_does_not_exist_is_nothing_and_a_silent_server_a_failure() {
    let server = Server::start();
    let lane = Lane::start(server.settings());
    assert_eq!(lane.ask("no.example.com", Some(5060)).answer, AnswerKind::Nothing);
    server.shared.silent.store(true, Ordering::Relaxed);
    assert_eq!(lane.ask("gw.example.com", Some(5060)).answer, AnswerKind::Failed);
    assert_eq!(lane.ask("not a name..", Some(5060)).answer, AnswerKind::Nothing);
}

#[test]
fn of_many_same_questions_one_goes_out_and_the_answer_is_kept() {
    let server = Server::start();
    server.put("gw.example.com.", 60, a("192.0.2.1"));
    let lane = Lane::start(server.settings());
    for token in 0..100 {
        let mut question = Box::new(Question::new(ShardId(0)));
        question.ask(token, b"gw.example.com", Some(5060));
        lane.lane.ask(question).unwrap();
    }
    let mut tokens: Vec<_> = (0..100).map(|_| lane.answer().token).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, (0..100).collect::<Vec<_>>());
    lane.ask("gw.example.com", Some(5060));
    assert_eq!(server.shared.questions.load(Ordering::Relaxed), 2, "A and AAAA, once");
}

#[test]
fn names_under_way_are_bounded() {
    let server = Server::start();
    server.shared.silent.store(true, Ordering::Relaxed);
    let lane = Lane::start(server.settings());
    let started = Instant::now();
    for token in 0..=u64::try_from(ask::UNDER_WAY_MAX).unwrap() {
        let mut question = Box::new(Question::new(ShardId(0)));
        question.ask(token, format!("h{token}.example.com").as_bytes(), Some(5060));
        lane.lane.ask(question).unwrap();
    }
    let first = lane.answer();
    assert_eq!((first.token, first.answer), (u64::try_from(ask::UNDER_WAY_MAX).unwrap(), AnswerKind::Failed));
    assert!(started.elapsed() < Duration::from_millis(200), "refused before any server could time out");
}

#[test]
fn a_watched_name_follows_its_records_and_keeps_the_last_good_answer() {
    let server = Server::start();
    server.put("gw.example.com.", 0, a("192.0.2.1"));
    let lane = Lane::start(server.settings());
    lane.watch("gw.example.com", Some(5060));
    let ips = |watched: &Watched| watched.targets().iter().map(|t| t.address.ip().to_string()).collect::<Vec<_>>();
    assert_eq!(ips(&lane.watched()), ["192.0.2.1"]);

    server.put("gw.example.com.", 0, a("192.0.2.2"));
    let both = lane.watched();
    assert!(matches!(both, Watched::Fresh(_)));
    assert_eq!(ips(&both), ["192.0.2.1", "192.0.2.2"]);

    server.shared.silent.store(true, Ordering::Relaxed);
    let stale = lane.watched();
    assert!(matches!(stale, Watched::Stale(..)), "{stale:?}");
    assert_eq!(ips(&stale), ["192.0.2.1", "192.0.2.2"]);

    server.shared.silent.store(false, Ordering::Relaxed);
    assert!(matches!(lane.watched(), Watched::Fresh(_)));
    server.clear();
    assert!(matches!(lane.watched(), Watched::Stale(..)), "a name taken away keeps its addresses");
}

#[test]
fn a_name_that_never_resolved_says_why_and_one_no_longer_wanted_is_left_alone() {
    let server = Server::start();
    let lane = Lane::start(server.settings());
    lane.watch("gw.example.com", Some(5060));
    assert_eq!(lane.watched(), Watched::Unresolved("the name has no address".into()));
    assert!(lane.lane.watch(BTreeSet::new()));
    // WHY this order of waiting: once the lane has answered a question, it has read the request before it.
    lane.ask("x.example.com", Some(1));
    let asked = server.shared.questions.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(server.shared.questions.load(Ordering::Relaxed), asked);
}
