//! What an observer on the wire knows: the callers' requests, what was sent to whom, and what must not happen.

use super::choices::{GATEWAYS, is_stateless, no_response_ms};
use super::{CALLERS, METHODS};
use crate::rig::{header, headers, respond};
use proto::time::{Micros, Mono};
use std::collections::HashMap;
use std::net::SocketAddr;

/// A message that the proxy sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub to: SocketAddr,
    pub text: String,
    pub at: Mono,
}

impl Sent {
    fn method(&self) -> &str {
        self.text.split(' ').next().unwrap()
    }

    /// Topmost Via: names a branch.
    fn branch(&self) -> String {
        header(&self.text, "Via").unwrap()
    }

    pub fn answer(&self, status: u16) -> String {
        respond(&self.text, status, &format!("t{}", self.to.port()), "")
    }
}

/// What must be sent at once when a response has come.
pub enum Owed {
    /// The 2xx to the caller; it is known by this part of its To.
    Caller(String),
    /// An ACK to the gateway, in this branch.
    Gateway(String),
}

/// A request of a caller.
struct Asked {
    from: &'static str,
    method: &'static str,
    text: String,
    at: Mono,
    /// Its first final response, as it came, and when.
    answer: Option<(String, Mono)>,
    /// Cancelled, answered or refused by a 6xx: nobody more is tried, and whoever rings is cancelled.
    closed: bool,
}

/// A branch of a request, as far as it can be told from outside.
#[derive(Debug, Default)]
struct Branch {
    call: usize,
    invite: bool,
    sent_at: Mono,
    /// First response of any kind.
    heard_at: Option<Mono>,
    provisional: bool,
    cancelled: bool,
    /// It was silent too long; another's turn had come.
    given_up: bool,
    failed: bool,
    success_at: Option<Mono>,
    /// It may be gone: its time was over, or its peer was reported unreachable before it said a word.
    lost: bool,
}

#[derive(Default)]
pub struct Witness {
    asked: Vec<Asked>,
    sent: Vec<Sent>,
    branches: HashMap<String, Branch>,
}

/// 64 T1: how long a 2xx may be repeated, and a branch waits for its first word.
const LIFE: Micros = Micros::from_millis(31_900);

impl Witness {
    pub fn new_request(&mut self, now: Mono) -> (&'static str, String) {
        let number = self.asked.len();
        let (from, method) = (CALLERS[number % CALLERS.len()], METHODS[number / 3 % METHODS.len()]);
        let text = format!(
            "{method} sip:called@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{number}\r\n\
             From: <sip:caller@{from}>;tag=f{number}\r\nTo: <sip:called@127.0.0.1:5060>\r\n\
             Call-ID: call{number}@127.0.0.1\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        self.asked.push(Asked { from, method, text: text.clone(), at: now, answer: None, closed: false });
        (from, text)
    }

    fn pick(&self, which: usize) -> Option<&Asked> {
        // The latest are the most interesting.
        let count = self.asked.len();
        self.asked.get(count.checked_sub(1 + which % count.clamp(1, 12))?)
    }

    /// A request again: as long as a sender repeats it, or a copy stays in the network.
    pub fn repeat(&self, which: usize, now: Mono) -> Option<(&'static str, String)> {
        let asked = self.pick(which)?;
        let sensible = match &asked.answer {
            // Where a pool was full nothing is kept, and a copy that comes when there is room is a call of its own.
            Some((answer, _)) if answer.starts_with("SIP/2.0 503 Service Unavailable") => false,
            Some((_, at)) => now.since(*at) < Micros::from_secs(4),
            None => now.since(asked.at) < LIFE,
        };
        sensible.then(|| (asked.from, asked.text.clone()))
    }

    pub fn cancel(&self, which: usize) -> Option<(&'static str, String)> {
        let asked = self.pick(which).filter(|asked| asked.method == "INVITE")?;
        Some((asked.from, asked.text.replace("INVITE", "CANCEL")))
    }

    /// The ACK of its answer: hop by hop, or of a 2xx.
    pub fn ack(&self, which: usize) -> Option<(&'static str, String)> {
        let asked = self.pick(which).filter(|asked| asked.method == "INVITE")?;
        let (answer, _) = asked.answer.as_ref()?;
        let to = header(answer, "To").unwrap();
        let ack = asked.text.replace("INVITE", "ACK").replace("To: <sip:called@127.0.0.1:5060>", &format!("To: {to}"));
        let own_branch = answer.starts_with("SIP/2.0 2");
        Some((asked.from, if own_branch { ack.replace(";branch=z9hG4bK", ";branch=z9hG4bKack") } else { ack }))
    }

    /// Something that was sent to a gateway and can be answered.
    pub fn answerable(&self, which: usize) -> Option<Sent> {
        let count = self.sent.len();
        self.sent.get(count.checked_sub(1 + which % count.clamp(1, 16))?).cloned()
    }

    /// A gateway answers: what has to follow, for certain.
    pub fn heard(&mut self, which: usize, status: u16, now: Mono) -> Option<Owed> {
        let sent = self.answerable(which)?;
        if sent.method() == "CANCEL" {
            return None;
        }
        let stateless = is_stateless(call_of(&sent.text));
        let branch = self.branches.get_mut(&sent.branch())?;
        let waiting = now.since(branch.heard_at.unwrap_or(branch.sent_at)) < LIFE;
        let alive = match branch.success_at {
            Some(first) => now.since(first) < LIFE,
            None => waiting && !branch.failed,
        } && !branch.lost;
        let patience = Micros::from_millis(no_response_ms(branch.call));
        branch.given_up |= patience.0 > 0 && branch.heard_at.is_none() && now.since(branch.sent_at) >= patience;
        // Nobody outside can tell whether a branch lives longer than it must.
        branch.lost |= !alive;
        branch.heard_at.get_or_insert(now);
        match status {
            100..=199 => branch.provisional = true,
            200..=299 if alive => _ = branch.success_at.get_or_insert(now),
            200..=299 => {}
            _ => branch.failed |= branch.success_at.is_none(),
        }
        if !alive || stateless || sent.method() != "INVITE" {
            return None;
        }
        if (200..300).contains(&status) || status >= 600 && !branch.given_up {
            self.asked[branch.call].closed = true;
        }
        match status {
            200..=299 => Some(Owed::Caller(format!(";tag=t{}", sent.to.port()))),
            300.. if branch.success_at.is_none() => Some(Owed::Gateway(sent.branch())),
            _ => None,
        }
    }

    pub fn unreachable(&mut self, gateway: SocketAddr) {
        for sent in self.sent.iter().filter(|sent| sent.to == gateway) {
            if let Some(branch) = self.branches.get_mut(&sent.branch()) {
                branch.lost |= branch.heard_at.is_none();
            }
        }
    }

    /// Looks at a message that the proxy sent.
    pub fn sent(&mut self, sent: Sent) {
        let to = sent.to.to_string();
        if sent.text.starts_with("SIP/2.0 ") {
            assert!(CALLERS.contains(&to.as_str()), "a response to nobody: {sent:?}");
            self.upstream(&sent);
        } else {
            assert!(GATEWAYS.contains(&to.as_str()), "a request to nobody: {sent:?}");
            self.downstream(sent);
        }
    }

    fn downstream(&mut self, sent: Sent) {
        let call = call_of(&sent.text);
        let forwarded = headers(&sent.text, "Via").len() > 1;
        match sent.method() {
            _ if is_stateless(call) => return,
            "ACK" if forwarded => return,
            "ACK" => {
                let branch = &self.branches[&sent.branch()];
                assert!(branch.failed, "an ACK of no failure: {sent:?}");
                return;
            }
            "CANCEL" => {
                let branch = self.branches.get_mut(&sent.branch()).expect("a CANCEL of what was sent");
                assert!(branch.provisional, "a CANCEL before any 1xx (§9.1): {sent:?}");
                branch.cancelled = true;
            }
            method => self.request_sent(&sent, call, method == "INVITE"),
        }
        self.sent.push(sent);
    }

    fn request_sent(&mut self, sent: &Sent, call: usize, invite: bool) {
        let closed = self.asked[call].closed;
        let branch = self.branches.entry(sent.branch()).or_insert_with(|| {
            assert!(!closed, "a new branch of what is over: {sent:?}");
            Branch { call, invite, sent_at: sent.at, ..Branch::default() }
        });
        let over = branch.heard_at.is_some_and(|heard| heard < sent.at) && (invite || branch.success_at.is_some());
        assert!(!over, "sent again after its answer: {sent:?}");
        let patience = Micros::from_millis(no_response_ms(call));
        let given_up = patience.0 > 0 && branch.heard_at.is_none() && sent.at.since(branch.sent_at) >= patience;
        assert!(!given_up, "sent again to one that was given up: {sent:?}");
    }

    /// After every event: of a call that is decided, and of a branch that was given up, whoever has rung has its
    /// CANCEL.
    pub fn look(&self) {
        let unwanted = |branch: &&Branch| branch.invite && (branch.given_up || self.asked[branch.call].closed);
        for branch in self.branches.values().filter(unwanted) {
            let rings = branch.provisional && !branch.failed && branch.success_at.is_none() && !branch.lost;
            assert!(!rings || branch.cancelled, "call {} is over and still rings: {branch:?}", branch.call);
        }
    }

    fn upstream(&mut self, sent: &Sent) {
        let method = header(&sent.text, "CSeq").unwrap().split(' ').nth(1).unwrap().to_owned();
        let call = call_of(&sent.text);
        if is_stateless(call) {
            return;
        }
        if method == "CANCEL" {
            self.asked[call].closed |= sent.text.starts_with("SIP/2.0 200");
            return;
        }
        let asked = &mut self.asked[call];
        assert_eq!(sent.to.to_string(), asked.from, "to another caller");
        assert_eq!(method, asked.method);
        let status: u16 = sent.text.split(' ').nth(1).unwrap().parse().unwrap();
        let invite = method == "INVITE";
        match (&asked.answer, status) {
            (None, 100..=199) => assert!(invite || status == 100, "RFC 4320 §4.1: {sent:?}"),
            (Some((answer, _)), 100..=199) => panic!("{status} after the final response {answer}"),
            (None, _) => {
                asked.answer = Some((sent.text.clone(), sent.at));
                asked.closed = true;
            }
            (Some(_), 200..=299) if invite => {}
            (Some((answer, _)), _) => assert_eq!(*answer, sent.text, "two final responses"),
        }
        assert!(invite || status != 408, "RFC 4320 §4.2: {sent:?}");
    }
}

fn call_of(text: &str) -> usize {
    let call_id = header(text, "Call-ID").unwrap();
    call_id.strip_prefix("call").unwrap().split('@').next().unwrap().parse().unwrap()
}
