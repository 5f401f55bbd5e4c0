//! Carries calls through the proxy in memory: what the SIP work of one call costs, without a kernel.
//!
//! `valgrind --tool=callgrind --toggle-collect='*carry_sip::carry*' carry_sip 1000` counts its instructions;
//! without arguments it prints the time of each call. The policy is the smallest that there is, the
//! timers go into a plain list.
#![allow(clippy::unwrap_used, reason = "a measuring instrument may panic")]

use proto::hash::Secret;
use proto::message::{Arena, Host, Message, Transport, Writer};
use proto::policy::*;
use proto::proxy::*;
use proto::time::{Micros, Mono, Now, Wall};
use proto::token::Keys;
use proto::transaction::{TimerHandle, TimerToken, Timers};
use std::net::{IpAddr, SocketAddr};

const SDP: &str = "v=0\r\no=caller 2890844526 2890844526 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\n\
t=0 0\r\nm=audio 49172 RTP/AVP 0 8 18 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";

struct Smallest(SocketAddr);

impl Smallest {
    fn target(&self, targets: &mut TargetSet) -> Verdict<u8> {
        let target = Target { gateway: 0, listener: 0, next_hop: self.0, flow: 0, no_response: Micros::from_secs(2) };
        targets.push_with_uri(target, |out| {
            out.put(b"sip:15551230002@");
            out.sent_by(self.0);
        });
        Verdict::Forward
    }
}

impl Policy for Smallest {
    type Note = [u64; 4];
    type Reason = u8;
    fn admit(&mut self, _: &Message<'_>, _: &Endpoint, _: Now) -> Option<Refusal<u8>> {
        None
    }
    fn new_request(
        &mut self,
        _: &Inbound<'_>,
        _: &mut [u64; 4],
        _: Option<Answer>,
        targets: &mut TargetSet,
        _: Now,
    ) -> Verdict<u8> {
        self.target(targets)
    }
    fn branch(&mut self, _: &[u8], _: &Target, _: &mut [u64; 4], _: Now) -> bool {
        true
    }
    fn response(&mut self, _: &Message<'_>, _: &ResponseContext<'_>, _: &mut [u64; 4], _: Now) {}
    fn silence(&mut self, _: &Target, _: Outcome, _: &mut [u64; 4], _: Now) {}
    fn best_response(&mut self, _: &Inbound<'_>, _: Outcome, _: &mut [u64; 4], _: &mut TargetSet, _: Now) -> Choice {
        Choice::Send { status: None }
    }
    fn in_dialog(
        &mut self,
        _: &Inbound<'_>,
        proof: Proof,
        _: &mut [u64; 4],
        _: Option<Answer>,
        targets: &mut TargetSet,
        _: Now,
    ) -> Verdict<u8> {
        assert_eq!(proof, Proof::Token { from_initiator: true, to_far_side: false });
        self.target(targets)
    }
    fn transaction_end(&mut self, _: &End<'_>, _: &mut [u64; 4], _: Now) {}
    fn own_response(&mut self, _: u64, _: Outcome, _: Micros, _: Now) {}
    fn answers_for(&self, _: &Target, _: IpAddr) -> bool {
        false
    }
    fn is_us(&self, host: &Host<'_>, port: Option<u16>) -> bool {
        host.ip() == "192.0.2.1".parse().ok() && port == Some(5060)
    }
}

/// Keeps what was sent last; timers are counted and forgotten, but for those of the turn.
struct World {
    sent: Vec<(usize, Box<[u8; 4096]>)>,
    count: usize,
    due: Vec<(Mono, TimerToken)>,
}

impl Outbox for World {
    fn transmit(&mut self, _: &Egress, mut write: impl FnMut(&mut Writer<'_>)) -> bool {
        let (length, buffer) = &mut self.sent[self.count];
        let mut writer = Writer::new(&mut buffer[..]);
        write(&mut writer);
        *length = writer.finish().unwrap();
        self.count += 1;
        true
    }
    fn arm(&mut self, at: Mono, token: TimerToken) -> TimerHandle {
        self.due.push((at, token));
        TimerHandle(self.due.len() as u64)
    }
    fn disarm(&mut self, _: TimerHandle) {}
    fn ask(&mut self, _: Question, _: Ticket, _: &[u8]) {}
}

fn settings() -> Settings {
    let address: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    Settings {
        listeners: vec![Listener { address, advertised: Advertised::Bound(address), transport: Transport::Udp }],
        keys: Keys::new(&[(1, Secret([9; 16]))]).unwrap(),
        node: 0,
        generation: 0,
        own_slot: 0,
        boot_secret: Secret([3; 16]),
        timers: Timers::default(),
        capacity: Capacity { transactions: 4096, open: 1024, branches: 1024, bytes: 8 << 20 },
        server: Vec::new(),
    }
}

fn request(method: &str, number: u32, call: usize, to_tag: &str, route: &str, body: &str) -> String {
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:15551230002@192.0.2.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{call}-{number}-{method};rport\r\nMax-Forwards: 70\r\n{route}\
         From: \"Alice\" <sip:15551230001@192.0.2.10>;tag=a{call}\r\nTo: <sip:15551230002@192.0.2.1>{to_tag}\r\n\
         Call-ID: {call}-1234567890@192.0.2.10\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:15551230001@192.0.2.10:5060>\r\nUser-Agent: Example/1.0\r\n\
         Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK\r\nSupported: 100rel, timer\r\n{content}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn response(request: &[u8], status: &str, body: &str) -> String {
    let request = std::str::from_utf8(request).unwrap();
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.split("\r\n") {
        match line.split(':').next().unwrap() {
            "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => text.push_str(&format!("{line}\r\n")),
            "To" => text.push_str(&format!("{};tag=b\r\n", line.split(";tag").next().unwrap())),
            _ => {}
        }
    }
    text.push_str(&format!("Contact: <sip:192.0.2.20:5060>\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    text
}

/// One shard's work for one message; the name is what the profiler looks for.
#[inline(never)]
fn carry(proxy: &mut Proxy<Smallest>, now: Now, from: &Endpoint, bytes: &[u8], arena: &mut Arena, world: &mut World) {
    let message = Message::parse(bytes, arena).unwrap();
    proxy.on_message(now, from, &message, world);
}

fn main() {
    let calls: usize = std::env::args().nth(1).map_or(20_000, |text| text.parse().unwrap());
    let endpoint = |peer: &str| Endpoint {
        listener: 0,
        local: "192.0.2.1:5060".parse().unwrap(),
        peer: peer.parse().unwrap(),
        flow: 0,
    };
    let (caller, gateway) = (endpoint("192.0.2.10:5060"), endpoint("192.0.2.20:5060"));
    let mut proxy = Proxy::new(settings(), Smallest(gateway.peer), 7);
    let buffers = (0..4).map(|_| (0, Box::new([0; 4096]))).collect();
    let mut world = World { sent: buffers, count: 0, due: Vec::with_capacity(64) };
    let mut arena = Arena::new();
    let mut now = Now { mono: Mono(1), wall: Wall(0) };
    let mut spent = std::time::Duration::ZERO;
    let mut step =
        |proxy: &mut Proxy<Smallest>, world: &mut World, now: Now, from: &Endpoint, text: &str, sent: usize| {
            world.count = 0;
            let start = std::time::Instant::now();
            carry(proxy, now, from, text.as_bytes(), &mut arena, world);
            spent += start.elapsed();
            assert_eq!(world.count, sent, "{text}");
        };
    for call in 0..calls {
        step(&mut proxy, &mut world, now, &caller, &request("INVITE", 1, call, "", "", SDP), 2);
        let invite = world.sent[1].1[..world.sent[1].0].to_vec();
        step(&mut proxy, &mut world, now, &gateway, &response(&invite, "100 Trying", ""), 0);
        step(&mut proxy, &mut world, now, &gateway, &response(&invite, "180 Ringing", ""), 1);
        step(&mut proxy, &mut world, now, &gateway, &response(&invite, "200 OK", SDP), 1);
        let text = String::from_utf8_lossy(&invite).into_owned();
        let route = text.split("\r\n").find_map(|line| line.strip_prefix("Record-Route: ")).unwrap();
        let route = format!("Route: {route}\r\n");
        step(&mut proxy, &mut world, now, &caller, &request("ACK", 1, call, ";tag=b", &route, ""), 1);
        step(&mut proxy, &mut world, now, &caller, &request("BYE", 2, call, ";tag=b", &route, ""), 1);
        let bye = world.sent[0].1[..world.sent[0].0].to_vec();
        step(&mut proxy, &mut world, now, &gateway, &response(&bye, "200 OK", ""), 1);
        // Long after: everything that was kept ends.
        now.mono = now.mono.after(Micros::from_secs(100));
        for (at, token) in std::mem::take(&mut world.due) {
            if at <= now.mono {
                proxy.on_timer(now, token, &mut world);
            }
        }
        world.due.clear();
    }
    println!("{calls} calls, {} ns each, left: {:?}", spent.as_nanos() / calls as u128, proxy.occupancy());
}
