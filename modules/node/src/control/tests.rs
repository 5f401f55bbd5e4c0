//! The lane with real rings and shards that carry nothing, against a name server that never answers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::accounts::AccountDesk;
use super::methods::Methods;
use super::permission::{Access, Peer, Permissions};
use super::reload::Sources;
use super::*;
use crate::disk::{AdminFile, CreditFile, Directory, DiskLane, LastGood};
use crate::dns::DnsLane;
use crate::letter::{LANES, Letter, Question, Serving};
use crate::log::{Format, Level, Log, Style};
use crate::metric::{Metric, OPEN_TRANSACTIONS};
use crate::outfit::{Outfits, Outfitter};
use crate::shadow::Desk;
use engine::{App, Frame, LaneId, Listener, NetworkError, Now, Outbox, Pools, Running, ShardId};
use modules::Tables;
use modules::tables::Inputs;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tuning::Environment;

/// What all shards of a test share with it.
#[derive(Default)]
struct Shared {
    /// Transactions that shards say are open.
    open: AtomicU64,
    /// Shards that keep the snapshots they get.
    mute: AtomicBool,
    installs: AtomicU64,
    outfits: AtomicU64,
    serving: Mutex<Vec<Serving>>,
    answers: Mutex<Vec<Question>>,
}

/// Counts how often something is wanted of him; a domain of a certain name he has nothing for.
struct Tailor(Arc<Shared>);

impl Outfitter for Tailor {
    fn has_registrar(&self) -> bool {
        self.0.outfits.load(Ordering::SeqCst) > 0
    }

    fn outfit(&mut self, config: &tuning::Config, _: &Tables) -> Result<Outfits, String> {
        if config.domains.iter().any(|domain| domain.name.to_string() == "damaged.example") {
            return Err("the journal is damaged".to_owned());
        }
        self.0.outfits.fetch_add(u64::from(!config.domains.is_empty()), Ordering::SeqCst);
        Ok(Outfits::default())
    }
}

/// A shard that answers letters and nothing else.
struct Quiet {
    shard: ShardId,
    tables: Arc<Tables>,
    shared: Arc<Shared>,
    asked: bool,
}

impl App for Quiet {
    type Letter = Letter;
    fn on_frame(&mut self, _: Now, _: &Frame<'_>, out: &mut Outbox<'_, Letter>) {
        if !std::mem::replace(&mut self.asked, true) {
            let mut question = Box::new(Question::new(self.shard));
            question.ask(7, b"127.0.0.9", Some(5999));
            assert!(out.post(LANES, Letter::Question(question)).is_ok());
        }
    }
    fn on_network_error(&mut self, _: Now, _: &NetworkError, _: &mut Outbox<'_, Letter>) {}
    fn on_timer(&mut self, _: Now, _: u64, _: &mut Outbox<'_, Letter>) {}
    fn on_letter(&mut self, _: Now, letter: Letter, out: &mut Outbox<'_, Letter>) {
        let reply = match letter {
            Letter::Install(tables) => {
                self.shared.installs.fetch_add(1, Ordering::SeqCst);
                let tables = std::mem::replace(&mut self.tables, tables);
                Letter::Retired { shard: self.shard, tables }
            }
            Letter::Snapshot(mut snapshot) => {
                snapshot.begin(self.shard);
                snapshot.count(Metric::Calls, &[], 3);
                snapshot.count(Metric::Transactions, &[OPEN_TRANSACTIONS], self.shared.open.load(Ordering::SeqCst));
                if self.shared.mute.load(Ordering::SeqCst) && self.shard == ShardId(1) {
                    return;
                }
                Letter::Snapshot(snapshot)
            }
            Letter::Serve(serving) => return self.shared.serving.lock().unwrap().push(serving),
            Letter::Answer(question) => return self.shared.answers.lock().unwrap().push(*question),
            Letter::Errand(mut errand) => {
                errand.count += 1;
                Letter::Errand(errand)
            }
            _ => return,
        };
        assert!(out.post(LANES, reply).is_ok());
    }
}

/// A lane, its shards, and the methods of its socket.
struct Node {
    folder: tempfile::TempDir,
    shared: Arc<Shared>,
    methods: Methods,
    running: Running<Letter>,
    lane: JoinHandle<End>,
    ended: Sender<()>,
}

fn text(weights: &[u32], more: &str) -> String {
    let gateway = |(number, weight): (usize, &u32)| {
        format!("{{ name = \"gw{number}\", uri = \"sip:127.0.0.1:{}\", weight = {weight} }}", 5071 + number)
    };
    let gateways: Vec<_> = weights.iter().enumerate().map(gateway).collect();
    format!(
        "drain_seconds = 2\ndrain_new_calls_seconds = 1\n[listen]\nudp = [\"127.0.0.1:5060\"]\n\
         [[set]]\nname = \"carriers\"\ngateways = [{}]\n{more}",
        gateways.join(", ")
    )
}

impl Node {
    fn start(weights: &[u32]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), weights)
    }

    fn start_in(folder: tempfile::TempDir, weights: &[u32]) -> Self {
        let file = folder.path().join("tandem.toml");
        std::fs::write(&file, text(weights, "")).unwrap();
        let config = tuning::parse(&text(weights, ""), "tandem.toml", &Environment::unknown()).unwrap().config;
        let directory = Directory::open(&folder.path().join("state")).unwrap();
        let admin = AdminFile::of(&directory).read().unwrap();
        let credit = CreditFile::of(&directory).read().unwrap();
        let inputs = Inputs {
            config: &config,
            addresses: &Default::default(),
            marks: &marks(&admin),
            local_addresses: &[],
            decks: None,
        };
        let tables = Arc::new(Tables::build(&inputs, None).unwrap());
        let shared = Arc::new(Shared::default());
        let mut running = shards(&tables, &shared);
        let lane = running.take_lane(LaneId(0)).unwrap();
        let style = Style { level: Level::Error, format: Format::Text, lines_per_second: 20 };
        let (log, _) = Log::start(style, std::io::sink()).unwrap();
        let last_good = LastGood::of(&directory);
        last_good.push(&text(weights, "")).unwrap();
        let (disk, _) = DiskLane::start(directory).unwrap();
        let disk_again = disk.clone();
        let (inbox, queue) = Inbox::new(lane.waker());
        let dns = dns(&inbox);
        let accounts = AccountDesk::start(&config, Arc::new(|_| {})).unwrap();
        let stats = [0, 1].iter().filter_map(|index| running.stats(ShardId(*index)).cloned()).collect();
        let parts = Parts {
            lane,
            queue,
            config,
            tables,
            admin,
            credit,
            lnp: None,
            local_addresses: Vec::new(),
            xdp: None,
            stats,
            driver: "mmsg",
            journal: None,
            records: None,
            traffic: None,
            shipping: Vec::new(),
            disk,
            dns,
            accounts,
            outfitter: Box::new(Tailor(Arc::clone(&shared))),
            log: log.clone(),
        };
        let shadow = Arc::new(Desk::new(None, file.clone(), disk_again, log.clone()));
        let methods = Methods { inbox, sources: Sources { file, last_good, shadow }, log };
        let (ended, wait): (Sender<()>, Receiver<()>) = channel();
        let lane = std::thread::spawn(move || {
            let mut control = Control::new(parts);
            assert_eq!(control.settle(Duration::from_secs(1)), 0);
            control.run(|| wait.try_recv().is_ok())
        });
        Node { folder, shared, methods, running, lane, ended }
    }

    fn call(&self, method: &str, params: Value) -> Result<Value, rpc::RpcError> {
        self.call_as(&peer(0), method, params)
    }

    fn call_as(&self, peer: &Peer, method: &str, params: Value) -> Result<Value, rpc::RpcError> {
        let rules = Permissions { owner: 0, group: Some((50, Access::Read)) };
        let line = rpc::request(1, method, &params);
        rpc::read_reply(self.methods.answer(peer, &rules, line.as_bytes()).unwrap().as_bytes()).unwrap()
    }

    fn write(&self, text: &str) {
        std::fs::write(self.folder.path().join("tandem.toml"), text).unwrap();
    }

    fn reload(&self, text: &str) -> Result<Value, rpc::RpcError> {
        self.write(text);
        self.call("reload", json!({}))
    }

    fn weights(&self) -> Vec<u64> {
        let reply = self.call("gateways", json!({})).unwrap();
        reply["gateways"].as_array().unwrap().iter().map(|row| row["weight"].as_u64().unwrap()).collect()
    }

    fn terminate(&self) {
        self.methods.inbox.tell(Ask::Signal(Signal::Terminate));
    }

    /// Ends everything; how the lane ended, and the folder for a successor.
    fn end(self) -> (End, tempfile::TempDir) {
        let _ = self.ended.send(());
        let end = self.lane.join().unwrap();
        self.running.stop();
        self.running.join().unwrap();
        (end, self.folder)
    }
}

fn shards(tables: &Arc<Tables>, shared: &Arc<Shared>) -> Running<Letter> {
    let pools = Pools { timers: 256, send_slots: 64, large_send_slots: 4, receive_buffers: 64, ..Pools::default() };
    let pools = Pools { large_receive_buffers: 4, hand_over_bytes: 1 << 19, ..pools };
    let cores = Environment::of_this_host().cores.unwrap();
    let core = usize::try_from(cores[0]).unwrap();
    let config = engine::Config {
        cores: vec![core, core],
        listeners: vec![Listener::new("127.0.0.1:0".parse().unwrap())],
        driver: engine::Driver::Mmsg,
        steering: engine::Steering::default(),
        deferred: None,
        pools,
        lanes: 1,
        xdp: engine::XdpConfig::default(),
    };
    let (tables, shared) = (Arc::clone(tables), Arc::clone(shared));
    engine::launch(&config, move |shard| Quiet {
        shard,
        tables: Arc::clone(&tables),
        shared: Arc::clone(&shared),
        asked: false,
    })
    .unwrap()
}

fn dns(inbox: &Inbox) -> DnsLane {
    let settings = crate::dns::Settings {
        servers: vec!["127.0.0.1:9".parse().unwrap()],
        timeout: Duration::from_millis(100),
        ttl_min: Duration::from_secs(1),
        ttl_max: Duration::from_secs(60),
    };
    let inbox = inbox.clone();
    DnsLane::start(settings, Arc::new(move |report| inbox.tell(Ask::Dns(report)))).unwrap()
}

fn peer(uid: u32) -> Peer {
    Peer { uid, name: format!("user{uid}"), pid: 1, groups: vec![50] }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn figures_of_all_shards_and_of_the_engine_are_added_up() {
    let node = Node::start(&[1, 1]);
    let stats = node.call("stats", json!({})).unwrap();
    let figure = |name: &str| {
        let all = stats["figures"].as_array().unwrap().iter();
        all.filter(|one| one["name"] == name).map(|one| one["value"].as_f64().unwrap()).sum::<f64>()
    };
    assert_eq!((figure("tandem_calls"), stats["shards"].as_u64()), (6.0, Some(2)));
    assert!(figure("tandem_shard_turns_total") > 0.0);
    assert_eq!(node.end().0, End::ShardEnded);
}

#[test]
fn a_shard_that_does_not_answer_is_named_and_holds_nobody_up() {
    let node = Node::start(&[1, 1]);
    node.shared.mute.store(true, Ordering::SeqCst);
    let stats = node.call("stats", json!({})).unwrap();
    assert_eq!(stats["silent_shards"], json!([1]));
    node.shared.mute.store(false, Ordering::SeqCst);
    assert_eq!(node.call("stats", json!({})).unwrap()["silent_shards"], json!([]));
    node.end();
}

#[test]
fn a_reload_is_all_or_nothing() {
    let node = Node::start(&[70, 30]);
    let reply = node.reload(&text(&[50, 50], "")).unwrap();
    assert_eq!(reply["changed"].as_array().unwrap().len(), 2, "{reply}");
    assert_eq!(node.weights(), [50, 50]);
    wait_until("tables reach every shard", || node.shared.installs.load(Ordering::SeqCst) == 2);

    let error = node.reload(&text(&[60, 60], "wieght = 1\n")).unwrap_err();
    assert_eq!(error.code, rpc::code::BAD_CONFIGURATION);
    assert!(error.data["text"].as_str().unwrap().contains("wieght") && !error.data["findings"].is_null());
    assert_eq!((node.weights(), node.shared.installs.load(Ordering::SeqCst)), (vec![50, 50], 2));
    node.end();
}

#[test]
fn a_reload_that_takes_too_much_needs_force_and_previous_goes_back() {
    let node = Node::start(&[1, 1, 1, 1, 1]);
    let error = node.reload(&text(&[1, 1], "")).unwrap_err();
    assert!(error.code == rpc::code::REFUSED && error.message.contains("--force"), "{error}");
    assert_eq!(node.weights().len(), 5);
    node.call("reload", json!({ "force": true })).unwrap();
    assert_eq!(node.weights().len(), 2);
    let reply = node.call("reload", json!({ "previous": true })).unwrap();
    assert!(reply["from"].as_str().unwrap().contains("previous"));
    assert_eq!(node.weights().len(), 5);
    node.end();
}

#[test]
fn what_needs_a_restart_says_so_and_does_not_hold_the_rest_up() {
    let node = Node::start(&[1, 1]);
    let reply = node.reload(&text(&[2, 1], "[limits]\ncalls_per_shard = 1000\n")).unwrap();
    let lines = |key: &str| reply[key].to_string();
    assert!(lines("changed").contains("weight") && lines("needs_restart").contains("calls_per_shard"), "{reply}");
    assert_eq!(node.weights(), [2, 1]);
    node.end();
}

/// It is taken with all that it says of the registrar; if there can be none, nothing changes.
#[test]
fn the_first_domain_comes_by_a_reload() {
    let node = Node::start(&[1, 1]);
    let domain = |name: &str| format!("[registrar]\nusers_per_shard = 700\n[[domain]]\nname = \"{name}\"\n");
    let error = node.reload(&text(&[2, 1], &domain("damaged.example"))).unwrap_err();
    assert!(error.code == rpc::code::REFUSED && error.message.contains("journal is damaged"), "{error}");
    assert_eq!((node.weights(), node.shared.outfits.load(Ordering::SeqCst)), (vec![1, 1], 0));
    let reply = node.reload(&text(&[1, 1], &domain("example.com"))).unwrap();
    assert_eq!((reply["needs_restart"].to_string().as_str(), node.shared.outfits.load(Ordering::SeqCst)), ("[]", 1));
    let reply = node.reload(&text(&[1, 1], &domain("example.com").replace("700", "900"))).unwrap();
    assert!(reply["needs_restart"].to_string().contains("users_per_shard"), "{reply}");
    assert_eq!(node.reload(&text(&[1, 1], "")).unwrap()["changed"].as_array().map(Vec::is_empty), Some(false));
    node.end();
}

#[test]
fn a_thousand_reloads_reach_every_shard_in_order_and_free_what_they_replace() {
    let node = Node::start(&[1, 1]);
    for round in 0..1_000_u32 {
        node.reload(&text(&[1 + round % 90, 100], "")).unwrap();
    }
    assert_eq!(node.weights(), [1 + 999 % 90, 100]);
    // The first reload changes the second gateway's weight alone; from then on one changes each time.
    wait_until("every shard has every table", || node.shared.installs.load(Ordering::SeqCst) == 2_000);
    assert_eq!(node.call("stats", json!({})).unwrap()["generation"], 1_000);
    node.end();
}

#[test]
fn a_decision_outlives_the_process_with_who_and_why() {
    let node = Node::start(&[1, 1]);
    let changed = node.call("gateways.disable", json!({ "name": "gw0", "why": "ticket 7" })).unwrap();
    assert_eq!((&changed["before"], &changed["now"]), (&json!("enabled"), &json!("disabled")));
    node.reload(&text(&[3, 1], "")).unwrap();
    let (_, folder) = node.end();

    let node = Node::start_in(folder, &[1, 1]);
    let reply = node.call("gateways", json!({})).unwrap();
    let admin = &reply["gateways"][0]["admin"];
    assert_eq!(
        (&admin["state"], &admin["who"], &admin["why"]),
        (&json!("disabled"), &json!("user0"), &json!("ticket 7"))
    );
    assert_eq!(node.call("gateways.drain", json!({ "name": "gw0" })).unwrap()["before"], "disabled");
    assert_eq!(node.call("gateways.enable", json!({ "name": "gw0" })).unwrap()["now"], "enabled");
    assert!(node.call("gateways", json!({})).unwrap()["gateways"][0]["admin"].is_null());
    let error = node.call("gateways.disable", json!({ "name": "gw7" })).unwrap_err();
    assert!(error.code == rpc::code::NOT_FOUND && error.message.contains("gw0, gw1"), "{error}");
    let error = node.call("gateways.disable", json!({ "name": "gw0", "why": "x".repeat(600) })).unwrap_err();
    assert_eq!(error.code, rpc::code::INVALID_PARAMS);
    node.end();
}

#[test]
fn who_may_only_look_changes_nothing() {
    let node = Node::start(&[1, 1]);
    assert!(node.call_as(&peer(7), "stats", json!({})).is_ok());
    for (method, params) in [
        ("drain", json!({})),
        ("undrain", json!({})),
        ("reload", json!({ "force": true })),
        ("gateways.disable", json!({ "name": "gw0" })),
    ] {
        assert_eq!(node.call_as(&peer(7), method, params).unwrap_err().code, rpc::code::PERMISSION, "{method}");
    }
    let stranger = Peer { groups: vec![], ..peer(7) };
    assert_eq!(node.call_as(&stranger, "stats", json!({})).unwrap_err().code, rpc::code::PERMISSION);
    assert_eq!(node.call("no.such", json!({})).unwrap_err().code, rpc::code::METHOD_NOT_FOUND);
    assert_eq!(node.call("drain", json!({ "x": 1 })).unwrap_err().code, rpc::code::INVALID_PARAMS);
    assert!(node.shared.serving.lock().unwrap().is_empty());
    node.end();
}

#[test]
fn a_drain_leaves_then_refuses_and_is_taken_back() {
    let node = Node::start(&[1, 1]);
    assert_eq!(node.call("drain", json!({})).unwrap(), json!({ "serving": "leaving", "refusing_in_seconds": 1 }));
    let last = |wanted| node.shared.serving.lock().unwrap().iter().filter(|serving| **serving == wanted).count() == 2;
    wait_until("every shard leaves", || last(Serving::Leaving));
    wait_until("every shard refuses", || last(Serving::Refusing));
    assert_eq!(node.call("stats", json!({})).unwrap()["serving"], "refusing");
    node.call("undrain", json!({})).unwrap();
    wait_until("every shard serves again", || last(Serving::Normal));
    node.end();
}

#[test]
fn a_signal_ends_it_when_nothing_is_open_a_second_one_at_once() {
    let node = Node::start(&[1, 1]);
    node.terminate();
    assert_eq!(node.lane.join().unwrap(), End::Drained, "nothing was open");

    let node = Node::start(&[1, 1]);
    node.shared.open.store(1, Ordering::SeqCst);
    let asked = Instant::now();
    node.terminate();
    wait_until("new calls are refused", || node.shared.serving.lock().unwrap().contains(&Serving::Refusing));
    assert!(!node.lane.is_finished());
    node.terminate();
    assert_eq!(node.lane.join().unwrap(), End::AtOnce);
    assert!(asked.elapsed() < Duration::from_secs(2));
}

#[test]
fn what_is_open_may_finish_but_not_for_ever() {
    let node = Node::start(&[1, 1]);
    node.shared.open.store(1, Ordering::SeqCst);
    let asked = Instant::now();
    node.terminate();
    assert_eq!(node.lane.join().unwrap(), End::Drained);
    let took = asked.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(4), "drain_seconds is 2, it took {took:?}");
}

#[test]
fn a_shards_question_comes_back_answered() {
    let node = Node::start(&[1, 1]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = node.running.serving().addresses[0];
    wait_until("an answer", || {
        socket.send_to(b"x", address).unwrap();
        !node.shared.answers.lock().unwrap().is_empty()
    });
    let answers = node.shared.answers.lock().unwrap();
    assert_eq!((answers[0].token, answers[0].addresses().next()), (7, Some("127.0.0.9:5999".parse().unwrap())));
    drop(answers);
    node.end();
}

#[test]
fn state_files_are_where_they_belong() {
    let node = Node::start(&[1, 1]);
    node.call("gateways.disable", json!({ "name": "gw0" })).unwrap();
    let state = node.folder.path().join("state");
    let there = |name: &str| Path::new(&state).join(name).exists();
    assert!(there("gateways.json") && there("good.toml") && there("lock"));
    node.end();
}

#[test]
fn an_errand_goes_round_all_shards() {
    let node = Node::start(&[1]);
    let lifted = node.call("bans.lift", json!({ "address": "192.0.2.1", "username": "alice" })).unwrap();
    assert_eq!(lifted, json!({ "bans": [], "count": 2 }));
    assert_eq!(node.call("accounts.forget", json!({})).unwrap()["count"], 2);
    assert!(node.call("bans.lift", json!({ "address": "nowhere" })).is_err());
    node.end();
}
