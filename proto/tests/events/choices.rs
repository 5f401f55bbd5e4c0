//! A policy that decides by the number of the call alone: the same request, the same verdict.

use proto::message::{Host, Message};
use proto::policy::*;
use proto::time::{Micros, Now};
use std::net::IpAddr;

pub const GATEWAYS: [&str; 5] =
    ["127.0.1.1:5071", "127.0.1.2:5072", "127.0.1.3:5073", "127.0.1.4:5074", "127.0.1.5:5075"];

/// Number of the call whose requests are forwarded statelessly, so that nobody watches over their responses.
pub const fn is_stateless(call: usize) -> bool {
    call % 16 >= 14
}

/// How long a gateway may be silent before the call moves on; 0: for ever.
pub const fn no_response_ms(call: usize) -> u64 {
    if call.is_multiple_of(4) { 0 } else { 2_000 }
}

#[derive(Default)]
pub struct Choices {
    pub ends: u64,
}

/// The call that a request belongs to: `call7@127.0.0.1`.
fn call_of(call_id: &[u8]) -> usize {
    let text = std::str::from_utf8(call_id).unwrap();
    text.strip_prefix("call").unwrap().split('@').next().unwrap().parse().unwrap()
}

fn push(targets: &mut TargetSet, number: usize, no_response_ms: u64) {
    let number = number % GATEWAYS.len();
    let target = Target {
        gateway: number as u32,
        listener: 0,
        by_source: BySource::Neither,
        next_hop: GATEWAYS[number].parse().unwrap(),
        flow: 0,
        no_response: Micros::from_millis(no_response_ms),
    };
    assert!(targets.push(target));
}

fn fill(targets: &mut TargetSet, call: usize, first: usize) {
    targets.clear();
    let forks = if call % 16 >= 6 { call % 3 + 1 } else { 1 };
    for fork in 0..forks {
        push(targets, call + first + fork, no_response_ms(call));
    }
}

fn verdict(call: usize, answer: Option<Answer>, note: &mut u32, targets: &mut TargetSet) -> Verdict<()> {
    *note += u32::from(answer.is_some());
    fill(targets, call, 0);
    let ask = Verdict::Ask { question: Question::Module(1), deadline: Micros::from_millis(700) };
    match (call % 16, *note) {
        (9, _) => Verdict::Reply { status: 404, reason: () },
        (10, _) => Verdict::Drop(()),
        (11, 0) | (12, 0 | 1) | (13, 0) | (14, 0) => ask,
        (12, _) => Verdict::Reply { status: 486, reason: () },
        (14 | 15, _) => {
            targets.clear();
            push(targets, call, 0);
            Verdict::ForwardStateless
        }
        _ => Verdict::Forward,
    }
}

impl Policy for Choices {
    type Note = u32;
    type Reason = ();

    fn admit(&mut self, _: &Message<'_>, _: &Endpoint, _: Now) -> Option<Refusal<()>> {
        None
    }
    fn new_request(
        &mut self,
        request: &Inbound<'_>,
        note: &mut u32,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        _: Now,
    ) -> Verdict<()> {
        verdict(call_of(request.message.call_id()), answer, note, targets)
    }
    fn branch(&mut self, request: &[u8], target: &Target, note: &mut u32, _: Now) -> bool {
        *note += 0x100;
        !(request.len() + target.gateway as usize + *note as usize / 0x100).is_multiple_of(13)
    }
    fn response(&mut self, _: &Message<'_>, _: &ResponseContext<'_>, _: &mut u32, _: Now) {}
    fn silence(&mut self, _: &Target, _: Outcome, _: &mut u32, _: Now) {}
    fn best_response(
        &mut self,
        request: &Inbound<'_>,
        best: Outcome,
        note: &mut u32,
        targets: &mut TargetSet,
        _: Now,
    ) -> Choice {
        let tried = *note as usize / 0x100;
        let call = call_of(request.message.call_id());
        if matches!(best.status(), 408 | 503) && tried < 4 {
            fill(targets, call, tried);
            return Choice::Advance;
        }
        Choice::Send { status: (best.status() == 503 && call.is_multiple_of(2)).then_some(500) }
    }
    fn in_dialog(
        &mut self,
        request: &Inbound<'_>,
        _: Proof,
        note: &mut u32,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        _: Now,
    ) -> Verdict<()> {
        verdict(call_of(request.message.call_id()), answer, note, targets)
    }
    fn transaction_end(&mut self, _: &End<'_>, _: &mut u32, _: Now) {
        self.ends += 1;
    }
    fn own_response(&mut self, _: u64, _: Outcome, _: Micros, _: Now) {}
    fn answers_for(&self, _: &Target, _: IpAddr) -> bool {
        false
    }
    fn is_us(&self, host: &Host<'_>, port: Option<u16>) -> bool {
        host.ip() == Some("127.0.0.1".parse().unwrap()) && port == Some(5060)
    }
}
