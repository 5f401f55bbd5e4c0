//! What responses do to a call.

use proto::{
    message::{HeaderName, Message, Method},
    time::Micros,
};

use super::{Caller, call::Phase, registration::Challenged};
use crate::{
    identity::{self, BRANCH_BYTES, Key, Leg},
    message::{
        dialog::{End, InDialog, NoPath, Path},
        requests::{Particulars, Request},
    },
    report::{
        Book,
        latency::Timed,
        tally::{Failure, Loss},
    },
    wire::Wire,
};

impl<A: Copy> Caller<A> {
    /// A response that arrived at address `line`, found by the branch of its topmost Via.
    pub(super) fn on_response<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        line: usize,
        response: &Message<'_>,
    ) {
        let found = response.top_via().ok().and_then(|via| identity::key_of_branch(self.settings.run, via.branch));
        match (found, response.method()) {
            (Some((key, Leg::Invite)), Method::Invite) => match response.status() {
                status @ 100..200 => self.on_provisional(wire, book, key, status),
                200..300 => self.on_answer(wire, book, line, key, response),
                _ => self.on_rejection(wire, book, line, key, response),
            },
            (Some((key, Leg::Invite)), Method::Cancel) => {
                if let Some(call) = self.calls.get_mut(key)
                    && response.status() >= 200
                {
                    call.cancel_answered = true;
                }
            }
            (Some((key, Leg::Bye)), Method::Bye) => self.on_bye_response(wire, book, key, response),
            (Some((_, Leg::Unwanted)), Method::Bye) => {}
            (Some((key, leg @ (Leg::Single | Leg::Credentials))), _) => {
                self.on_single_response(wire, book, key, leg, response);
            }
            _ => book.caller.strays += 1,
        }
    }

    fn on_provisional<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key, status: u16) {
        let now = wire.now();
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let since_start = now.since(call.intended);
        if call.phase == Phase::Calling {
            book.latencies.record(Timed::FirstResponse, since_start);
        }
        if status > 100 && !call.rang {
            call.rang = true;
            book.latencies.record(Timed::Ringing, since_start);
        }
        if call.phase == Phase::Calling {
            call.phase = Phase::Proceeding;
            let wait = match (call.will_cancel, self.hanging_up) {
                (_, true) => Micros(0),
                (true, _) => self.settings.cancel.1,
                (false, _) => self.settings.patience,
            };
            self.rearm(wire, key, Some(now.after(wait)));
        }
    }

    /// A 2xx: it is acknowledged whatever became of the call (RFC 3261 §13.2.2.4).
    fn on_answer<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        line: usize,
        key: Key,
        response: &Message<'_>,
    ) {
        let tag = hash(response.to_tag());
        let state = self.calls.get(key).map(|call| (call.phase, call.answer_tag));
        let path = match self.path_of(response) {
            Ok(path) => path,
            Err(why) => {
                if let Some((Phase::Calling | Phase::Proceeding | Phase::Cancelling, _)) = state {
                    self.give_up(wire, book, key, why);
                }
                return;
            }
        };
        self.send_once(wire, book, line, &path, &self.ack(key), response);
        match state {
            Some((Phase::Calling | Phase::Proceeding | Phase::Cancelling, _)) => {
                if !self.establish(wire, book, line, key, &path, response) {
                    self.send_once(wire, book, line, &path, &self.unwanted(key), response);
                }
            }
            Some((Phase::Established | Phase::Ending, known)) if known == tag => {
                book.caller.repeated_finals += 1;
            }
            Some((Phase::Established | Phase::Ending, _)) => {
                book.caller.second_answers += 1;
                self.send_once(wire, book, line, &path, &self.unwanted(key), response);
            }
            Some((Phase::GivenUp, _)) => {
                book.caller.late_answers += 1;
                self.send_once(wire, book, line, &path, &self.unwanted(key), response);
            }
            // The call has ended: its ACK was lost.
            None => book.caller.repeated_finals += 1,
        }
    }

    /// The first answer of a call. False: the call is up, but its BYE cannot be kept; end it now.
    fn establish<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        line: usize,
        key: Key,
        path: &Path<'_>,
        response: &Message<'_>,
    ) -> bool {
        let now = wire.now();
        let (Some(call), Some(from)) = (self.calls.get_mut(key), self.lines.get(line)) else {
            return true;
        };
        let since_start = now.since(call.intended);
        if call.phase == Phase::Calling {
            book.latencies.record(Timed::FirstResponse, since_start);
        }
        book.latencies.record(Timed::Answer, since_start);
        book.caller.answered += 1;
        book.caller.finals.count(response.status());
        let cancelled = call.phase == Phase::Cancelling;
        call.phase = Phase::Established;
        call.answer_tag = hash(response.to_tag());
        call.bye_hop = path.next_hop;
        let branch = identity::branch(self.settings.run, key, Leg::Bye);
        let bye = in_dialog(b"BYE", &from.sent_by, &branch, response);
        let Ok(parked) = self.parking.park(|out| bye.write(path, out)) else {
            book.caller.lose(Loss::NoRoom);
            self.remove(wire, key);
            return false;
        };
        call.parked = Some(parked);
        match self.settings.hold {
            _ if cancelled || self.hanging_up => self.hang_up(wire, book, key),
            Some(Micros(0)) => self.hang_up(wire, book, key),
            Some(hold) => self.rearm(wire, key, Some(now.after(hold))),
            None => self.rearm(wire, key, None),
        }
        true
    }

    /// A failure: acknowledged on the INVITE's own branch, again each time it comes.
    fn on_rejection<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        line: usize,
        key: Key,
        response: &Message<'_>,
    ) {
        let now = wire.now();
        self.acknowledge_failure(wire, book, line, key, response);
        let Some(call) = self.calls.get_mut(key) else {
            book.caller.repeated_finals += 1;
            return;
        };
        let status = response.status();
        match call.phase {
            Phase::Calling | Phase::Proceeding | Phase::Cancelling => {
                let since_start = now.since(call.intended);
                if call.phase == Phase::Calling {
                    book.latencies.record(Timed::FirstResponse, since_start);
                }
                book.caller.finals.count(status);
                if self.settings.expected.contains(&status) {
                    book.caller.rejected += 1;
                } else {
                    book.caller.fail(Failure::UnexpectedResponse);
                }
                self.remove(wire, key);
            }
            Phase::Established | Phase::Ending | Phase::GivenUp => {
                book.caller.repeated_finals += 1;
            }
        }
    }

    fn on_bye_response<W: Wire<Alarm = A>>(&mut self, wire: &mut W, book: &mut Book, key: Key, response: &Message<'_>) {
        let (now, timing) = (wire.now(), self.settings.timing);
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        if call.phase != Phase::Ending {
            return;
        }
        let status = response.status();
        if status < 200 {
            call.back_off.slow_down(timing);
            return;
        }
        book.latencies.record(Timed::Teardown, now.since(call.bye_sent));
        book.caller.bye_finals.count(status);
        if status < 300 {
            book.caller.completed += 1;
        } else {
            book.caller.lose(Loss::ByeRejected);
        }
        self.remove(wire, key);
    }

    fn on_single_response<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        key: Key,
        leg: Leg,
        response: &Message<'_>,
    ) {
        let (now, timing) = (wire.now(), self.settings.timing);
        let status = response.status();
        if status == 401 && self.settings.account.is_some() {
            match self.on_challenge(wire, book, key, leg, response) {
                Challenged::Answered | Challenged::Before => return,
                Challenged::Refused => {}
            }
        }
        let Some(call) = self.calls.get_mut(key) else {
            book.caller.repeated_finals += 1;
            return;
        };
        if status < 200 {
            call.back_off.slow_down(timing);
            return;
        }
        let since_start = now.since(call.intended);
        book.caller.finals.count(status);
        if status < 300 {
            book.latencies.record(Timed::FirstResponse, since_start);
            book.latencies.record(Timed::Answer, since_start);
            book.caller.answered += 1;
            book.caller.completed += 1;
        } else if self.settings.expected.contains(&status) {
            book.caller.rejected += 1;
        } else {
            book.caller.fail(Failure::UnexpectedResponse);
        }
        self.remove(wire, key);
    }

    /// The way to the other end, if it leads to addresses that the user gave.
    fn path_of<'m>(&self, answer: &Message<'m>) -> Result<Path<'m>, Failure> {
        let path = Path::of(answer, End::Caller).map_err(|why| match why {
            NoPath::NoContact | NoPath::BadRoute => Failure::UnusableAnswer,
            NoPath::NotAnAddress => Failure::AddressNotGiven,
        })?;
        if self.settings.given.contains(&path.next_hop.ip()) { Ok(path) } else { Err(Failure::AddressNotGiven) }
    }

    /// ACK for a 2xx.
    fn ack(&self, key: Key) -> (&'static [u8], [u8; BRANCH_BYTES]) {
        (b"ACK", identity::branch(self.settings.run, key, Leg::Ack))
    }

    /// A BYE that nobody waits for: it ends an answer that nobody wants.
    fn unwanted(&self, key: Key) -> (&'static [u8], [u8; BRANCH_BYTES]) {
        let branch = identity::branch(self.settings.run, key, Leg::Unwanted);
        (b"BYE", branch)
    }

    /// Sends a request that is written from the 2xx alone.
    fn send_once<W: Wire<Alarm = A>>(
        &self,
        wire: &mut W,
        book: &mut Book,
        line: usize,
        path: &Path<'_>,
        (method, branch): &(&'static [u8], [u8; BRANCH_BYTES]),
        answer: &Message<'_>,
    ) {
        let Some(line) = self.lines.get(line) else {
            return;
        };
        let request = in_dialog(method, &line.sent_by, branch, answer);
        let sent = wire.send(line.listener, path.next_hop, |out| request.write(path, out));
        book.caller.unsent += u64::from(!sent);
    }

    fn acknowledge_failure<W: Wire<Alarm = A>>(
        &self,
        wire: &mut W,
        book: &mut Book,
        line: usize,
        key: Key,
        response: &Message<'_>,
    ) {
        let to = response.value(HeaderName::To).unwrap_or_default();
        let call = self.calls.get(key);
        // WHY: the ACK of an ended call needs the Request-URI of its INVITE, whose number is the
        // user part of the To that came back; a slab that forgot the call cannot tell it.
        let particulars = match call {
            Some(call) => call.particulars(key),
            None => match ended_particulars(key, response) {
                Some(particulars) => particulars,
                None => return,
            },
        };
        let Some(line) = self.lines.get(line) else {
            return;
        };
        let sent = wire.send(line.listener, self.settings.target, |out| {
            line.requests.write(Request::Ack, &particulars, to, out);
        });
        book.caller.unsent += u64::from(!sent);
    }
}

/// The particulars of a call that has ended, from a response to it.
fn ended_particulars(key: Key, response: &Message<'_>) -> Option<Particulars> {
    let to = response.to().ok()?;
    let user = proto::message::Uri::parse(to.uri).ok()?.user?;
    let digits = std::str::from_utf8(user.strip_prefix(b"+49")?).ok()?;
    Some(Particulars { key, intended: identity::intended_start(response.call_id())?, number: digits.parse().ok()? })
}

fn in_dialog<'a>(method: &'static [u8], sent_by: &'a [u8], branch: &'a [u8], answer: &Message<'a>) -> InDialog<'a> {
    let invite_cseq = answer.cseq().map_or(1, |cseq| cseq.number);
    InDialog {
        method,
        sent_by,
        branch,
        from: answer.value(HeaderName::From).unwrap_or_default(),
        to: answer.value(HeaderName::To).unwrap_or_default(),
        from_tag: None,
        call_id: answer.call_id(),
        cseq: if method == b"BYE" { invite_cseq.saturating_add(1) } else { invite_cseq },
    }
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::with_seed(0).hash_one(bytes)
}
