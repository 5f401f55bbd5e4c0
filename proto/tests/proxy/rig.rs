//! A proxy on a table: a scripted policy, an outbox that remembers, a clock that is moved by hand.

use proto::hash::Secret;
use proto::message::{Arena, Host, Message, Transport, Writer};
use proto::policy::*;
use proto::proxy::*;
use proto::time::{Micros, Mono, Now, Wall};
use proto::token::Keys;
use proto::transaction::{TimerHandle, TimerToken, Timers};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

thread_local! {
    /// Hand over before every event.
    pub static HAND_OVER: Cell<bool> = const { Cell::new(false) };
}

pub const CALLER: &str = "127.0.0.1:5090";
pub const PROXY: &str = "127.0.0.1:5060";

/// What the scripted policy answers, one after the other.
#[derive(Clone, Debug)]
pub enum Say {
    Forward(Vec<&'static str>),
    /// To this target, with the Request-URI as preprocessed.
    Keep(&'static str),
    Stateless(&'static str),
    Reply(u16),
    Ask(u64),
    Drop,
}

#[derive(Default)]
pub struct Script {
    /// For points 1 and 5.
    pub verdicts: VecDeque<Say>,
    /// For point 4: the next targets; none left: send the best.
    pub advances: VecDeque<Vec<&'static str>>,
    pub last_503: Option<u16>,
    pub no_response_ms: u64,
    pub stranger: bool,
    /// Of every target.
    pub by_source: BySource,
    /// What is changed in the header of every request.
    pub edit: Option<fn(&mut EditWriter<'_, '_>)>,
    /// Responses go to the source port, asked for or not.
    pub to_source_port: bool,
    /// Gateways that point 2 refuses.
    pub refuse: Vec<u32>,
    pub proofs: Vec<Proof>,
    pub far_sides: Vec<Option<SocketAddr>>,
    pub answers: Vec<Option<Answer>>,
    pub responses: Vec<(u32, u16)>,
    pub silences: Vec<(u32, Outcome)>,
    pub bests: Vec<Outcome>,
    pub ends: Vec<u16>,
    pub own: Vec<(u64, Outcome)>,
    pub kept_alive: Vec<u64>,
    /// How long the request may take.
    pub patience: Patience,
    /// What is said when it has taken so long: it may go on for so many milliseconds, or ends with a status; none
    /// left: it may go on for ever.
    pub overdue: VecDeque<Result<u64, u16>>,
    /// Second answers are ended, not passed on.
    pub ends_second: bool,
    /// Forks behind a gateway that were ended.
    pub forked: u32,
}

pub fn gateway_number(address: &str) -> u32 {
    address.rsplit(':').next().unwrap().parse().unwrap()
}

impl Script {
    fn target(&self, address: &str) -> Target {
        Target {
            gateway: gateway_number(address),
            listener: u16::from(address.starts_with('[')),
            by_source: self.by_source,
            next_hop: address.parse().unwrap(),
            flow: 0,
            no_response: Micros::from_millis(self.no_response_ms),
        }
    }

    fn fill(&self, targets: &mut TargetSet, addresses: &[&'static str]) {
        targets.clear();
        targets.wait(self.patience);
        for address in addresses {
            let target = self.target(address);
            let write = |out: &mut Writer<'_>| {
                out.put(b"sip:called@");
                out.put(address.as_bytes());
            };
            assert!(targets.push_edited(target, write, |edits| {
                if let Some(edit) = self.edit {
                    edit(edits);
                }
            }));
        }
    }

    fn say(&mut self, targets: &mut TargetSet) -> Verdict<&'static str> {
        match self.verdicts.pop_front().expect("a verdict for every request") {
            Say::Forward(addresses) => {
                self.fill(targets, &addresses);
                Verdict::Forward
            }
            Say::Keep(address) => {
                targets.clear();
                assert!(targets.push(self.target(address)));
                Verdict::Forward
            }
            Say::Stateless(address) => {
                self.fill(targets, &[address]);
                Verdict::ForwardStateless
            }
            Say::Reply(status) => Verdict::Reply { status, reason: "script" },
            Say::Ask(ms) => Verdict::Ask { question: Question::Module(7), deadline: Micros::from_millis(ms) },
            Say::Drop => Verdict::Drop("script"),
        }
    }
}

impl Policy for Script {
    type Note = u32;
    type Reason = &'static str;

    fn admit(&mut self, _: &Message<'_>, _: &Endpoint, _: Now) -> Option<Refusal<&'static str>> {
        self.stranger.then_some(Refusal::Drop("stranger"))
    }
    fn new_request(
        &mut self,
        request: &Inbound<'_>,
        _: &mut u32,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        _: Now,
    ) -> Verdict<&'static str> {
        self.far_sides.push(request.far_side);
        self.answers.push(answer);
        self.say(targets)
    }
    fn branch(&mut self, _: &[u8], target: &Target, note: &mut u32, _: Now) -> bool {
        *note += 1;
        !self.refuse.contains(&target.gateway)
    }
    fn response(&mut self, response: &Message<'_>, context: &ResponseContext<'_>, _: &mut u32, _: Now) {
        self.responses.push((context.target.gateway, response.status()));
    }
    fn silence(&mut self, target: &Target, outcome: Outcome, _: &mut u32, _: Now) {
        self.silences.push((target.gateway, outcome));
    }
    fn best_response(
        &mut self,
        _: &Inbound<'_>,
        best: Outcome,
        _: &mut u32,
        targets: &mut TargetSet,
        _: Now,
    ) -> Choice {
        self.bests.push(best);
        match self.advances.pop_front() {
            Some(addresses) => {
                self.fill(targets, &addresses);
                Choice::Advance
            }
            None => Choice::Send { status: self.last_503.filter(|_| best.status() == 503) },
        }
    }
    fn in_dialog(
        &mut self,
        request: &Inbound<'_>,
        proof: Proof,
        _: &mut u32,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        _: Now,
    ) -> Verdict<&'static str> {
        self.proofs.push(proof);
        self.far_sides.push(request.far_side);
        self.answers.push(answer);
        self.say(targets)
    }
    fn transaction_end(&mut self, end: &End<'_>, _: &mut u32, _: Now) {
        self.ends.push(end.status);
    }
    fn overdue(&mut self, _: &mut u32, targets: &mut TargetSet, now: Now) -> Overdue {
        assert!(targets.attach(|out| out.put(b"Reason: Q.850;cause=102\r\n")));
        match self.overdue.pop_front() {
            Some(Ok(ms)) => Overdue::Wait(now.mono.after(Micros::from_millis(ms))),
            Some(Err(status)) => Overdue::End { status },
            None => Overdue::Forget,
        }
    }
    fn ends_second_answer(&self, _: &u32) -> bool {
        self.ends_second
    }
    fn forked_answer(&mut self, _: &Message<'_>, _: SocketAddr, _: Now) {
        self.forked += 1;
    }
    fn own_response(&mut self, ticket: u64, outcome: Outcome, _: Micros, _: Now) {
        self.own.push((ticket, outcome));
    }
    fn keep_alive_answered(&mut self, ticket: u64, _: Now) {
        self.kept_alive.push(ticket);
    }
    fn answers_for(&self, _: &Target, _: IpAddr) -> bool {
        false
    }
    fn answers_to_source_port(&self, _: &Endpoint) -> bool {
        self.to_source_port
    }
    fn is_us(&self, host: &Host<'_>, port: Option<u16>) -> bool {
        ["127.0.0.1", "::1"].iter().any(|ip| host.ip() == Some(ip.parse().unwrap())) && port == Some(5060)
    }
}

/// What was sent, what is armed, what was asked.
#[derive(Default)]
pub struct World {
    pub sent: VecDeque<(Egress, String)>,
    pub timers: BTreeMap<(Mono, u64), TimerToken>,
    pub asked: Vec<Ticket>,
    next: u64,
    buffer: Vec<u8>,
}

impl Outbox for World {
    fn transmit(&mut self, to: &Egress, mut write: impl FnMut(&mut Writer<'_>)) -> bool {
        self.buffer.resize(limits::MESSAGE_BYTES_MAX, 0);
        let mut writer = Writer::new(&mut self.buffer);
        write(&mut writer);
        let length = writer.finish().expect("a message that fits");
        self.sent.push_back((*to, String::from_utf8_lossy(&self.buffer[..length]).into_owned()));
        true
    }
    fn arm(&mut self, at: Mono, token: TimerToken) -> TimerHandle {
        self.next += 1;
        self.timers.insert((at, self.next), token);
        TimerHandle(self.next)
    }
    fn disarm(&mut self, timer: TimerHandle) {
        self.timers.retain(|(_, number), _| *number != timer.0);
    }
    fn ask(&mut self, _: Question, ticket: Ticket, _: &[u8]) {
        // A transaction that was taken over puts its question again.
        if !self.asked.contains(&ticket) {
            self.asked.push(ticket);
        }
    }
}

pub fn settings() -> Settings {
    let listener = |address: &str| Listener {
        address: address.parse().unwrap(),
        advertised: Advertised::Bound(address.parse().unwrap()),
        transport: Transport::Udp,
    };
    Settings {
        listeners: vec![listener(PROXY), listener("[::1]:5060")],
        keys: Keys::new(&[(1, Secret([9; 16]))]).unwrap(),
        node: 0,
        generation: 0,
        own_slot: 0,
        boot_secret: Secret([3; 16]),
        timers: Timers::default(),
        capacity: Capacity { transactions: 64, open: 32, branches: 64, bytes: 1 << 20 },
        server: Vec::new(),
    }
}

pub struct Rig {
    pub proxy: Proxy<Script>,
    pub world: World,
    pub now: Now,
}

impl Rig {
    pub fn new(verdicts: impl IntoIterator<Item = Say>) -> Rig {
        Rig::with(settings(), verdicts)
    }

    pub fn with(settings: Settings, verdicts: impl IntoIterator<Item = Say>) -> Rig {
        let script = Script { verdicts: verdicts.into_iter().collect(), ..Script::default() };
        Rig {
            proxy: Proxy::new(settings, script, 42),
            world: World::default(),
            now: Now { mono: Mono(1_000_000), wall: Wall(0) },
        }
    }

    /// A message arrives.
    pub fn receive(&mut self, from: &str, text: &str) {
        let peer = from.parse().unwrap();
        self.receive_at(0, PROXY, peer, text);
    }

    pub fn receive_at(&mut self, listener: u16, local: &str, peer: SocketAddr, text: &str) {
        self.hand_over_if_wanted();
        let source = Endpoint { listener, local: local.parse().unwrap(), peer, flow: 0 };
        let mut arena = Arena::new();
        match Message::parse(text.as_bytes(), &mut arena) {
            Ok(message) => self.proxy.on_message(self.now, &source, &message, &mut self.world),
            Err(error) => self.proxy.on_unreadable(self.now, &source, &error, &mut self.world),
        }
    }

    /// A call up to its INVITE to the one gateway: what left.
    pub fn call(&mut self, gateway: &str) -> String {
        self.receive(CALLER, &invite("z9hG4bKa"));
        self.expect(CALLER, "SIP/2.0 100");
        self.expect(gateway, "INVITE")
    }

    /// The answer to the question asked last.
    pub fn answer(&mut self, answer: Answer) {
        self.hand_over_if_wanted();
        let ticket = *self.world.asked.last().expect("a question");
        self.proxy.on_answer(self.now, ticket, answer, &mut self.world);
    }

    fn hand_over_if_wanted(&mut self) {
        if HAND_OVER.get() {
            self.hand_over();
        }
    }

    /// Everything goes to a fresh proxy of another generation, whose clock started at another time.
    pub fn hand_over(&mut self) {
        let mut frames = Vec::new();
        self.proxy.export(self.now, |frame| frames.push(frame.to_vec()));
        let mut settings = self.proxy.settings().clone();
        settings.generation = settings.generation.wrapping_add(1);
        let mut fresh = Proxy::new(settings, std::mem::take(&mut self.proxy.policy), 43);
        fresh.counters = self.proxy.counters;
        self.world.timers.clear();
        self.now.mono = Mono(self.now.mono.0 ^ 0x5555_0000_0000);
        for frame in frames {
            assert_eq!(fresh.import(self.now, &frame, |_| true, &mut self.world), Ok(true));
        }
        assert_eq!(fresh.occupancy(), self.proxy.occupancy());
        self.proxy = fresh;
    }

    pub fn dropped(&self, why: Drop) -> u64 {
        self.proxy.counters.dropped[why as usize]
    }

    pub fn refused(&self, why: Refused) -> u64 {
        self.proxy.counters.refused[why as usize]
    }

    /// Time passes; timers fire in their order.
    pub fn pass(&mut self, ms: u64) {
        self.hand_over_if_wanted();
        let end = self.now.mono.after(Micros::from_millis(ms));
        while let Some((&(at, number), &token)) = self.world.timers.first_key_value() {
            if at > end {
                break;
            }
            self.world.timers.remove(&(at, number));
            self.now.mono = at;
            self.proxy.on_timer(self.now, token, &mut self.world);
        }
        self.now.mono = end;
    }

    /// The next message sent.
    pub fn sent(&mut self) -> (String, String) {
        let (to, text) = self.world.sent.pop_front().expect("something was sent");
        (to.peer.to_string(), text)
    }

    /// The next message sent must start with `start` and go to `to`.
    #[track_caller]
    pub fn expect(&mut self, to: &str, start: &str) -> String {
        let (peer, text) = self.sent();
        assert!(text.starts_with(start) && peer == to, "wanted {start:?} to {to}, got to {peer}:\n{text}");
        text
    }

    #[track_caller]
    pub fn expect_nothing(&mut self) {
        assert!(self.world.sent.is_empty(), "nothing was to be sent, but: {:?}", self.world.sent);
    }

    /// After everything: nothing is kept and no timer runs.
    #[track_caller]
    pub fn expect_empty(&mut self) {
        let left = self.proxy.occupancy();
        assert_eq!(left, Occupancy::default(), "something is left");
        assert!(self.world.timers.is_empty(), "timers are left: {:?}", self.world.timers);
    }
}

pub fn invite(branch: &str) -> String {
    request("INVITE", branch, "", "")
}

/// A request of the caller. `to_tag`: with `;tag=`; `extra`: header lines with their CRLF.
pub fn request(method: &str, branch: &str, to_tag: &str, extra: &str) -> String {
    let number = if method == "BYE" { 2 } else { 1 };
    format!(
        "{method} sip:called@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5090;branch={branch}\r\n\
         From: <sip:caller@127.0.0.1:5090>;tag=from1\r\nTo: <sip:called@127.0.0.1:5060>{to_tag}\r\n\
         Call-ID: call1@127.0.0.1\r\nCSeq: {number} {method}\r\n{extra}Max-Forwards: 70\r\n\
         Contact: <sip:caller@127.0.0.1:5090>\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A response to a request as the proxy sent it.
pub fn respond(request: &str, status: u16, to_tag: &str, extra: &str) -> String {
    let mut text = format!("SIP/2.0 {status} Because\r\n");
    for line in request.split("\r\n").skip(1) {
        let name = line.split(':').next().unwrap_or_default();
        match name {
            "Via" | "Record-Route" | "From" | "Call-ID" | "CSeq" => text.push_str(&format!("{line}\r\n")),
            "To" if line.contains(";tag=") => text.push_str(&format!("{line}\r\n")),
            "To" => text.push_str(&format!("{line};tag={to_tag}\r\n")),
            _ => {}
        }
    }
    text.push_str(extra);
    text.push_str("Content-Length: 0\r\n\r\n");
    text
}

/// The value of a header line.
pub fn header(text: &str, name: &str) -> Option<String> {
    text.split("\r\n").find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned)
}

pub fn headers(text: &str, name: &str) -> Vec<String> {
    text.split("\r\n").filter_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned).collect()
}
