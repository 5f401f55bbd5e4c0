//! The callers: one small honest user agent (RFC 3261 §13, §17.1) for each call.

use crate::network::{Event, MS, Network};
use crate::repeat::{Repeat, T2, UNBOUND};
use crate::sip::{Request, Sip, respond};
use proto::message::Method;
use std::net::SocketAddr;

/// What a caller means to do.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) caller: SocketAddr,
    /// Microseconds since the world began.
    pub(crate) start: u64,
    /// After the INVITE.
    pub(crate) cancel_after: Option<u64>,
    /// The caller hangs up after so long; `None`: the gateway does.
    pub(crate) hang_up_after: Option<u64>,
    /// The caller's host stops so long after the INVITE.
    pub(crate) vanishes_after: Option<u64>,
    /// A re-INVITE so long after the 2xx.
    pub(crate) invites_again_after: Option<u64>,
    /// An UPDATE follows the answer to PRACK.
    pub(crate) updates: bool,
    /// Sends requests in dialogs straight to Tandem, without the routes that it was given.
    pub(crate) ignores_routes: bool,
}

/// What a timer of a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CallTimer {
    Start,
    Invite,
    Cancel,
    RepeatCancel,
    /// Of the dialog with this index.
    HangUp(usize),
    RepeatBye(usize),
    InviteAgain(usize),
    /// Of the request in a dialog with this index.
    Repeat(usize),
}

/// CSeq of what a caller sends. An order is all that is asked for.
const PRACK: u32 = 2;
const UPDATE: u32 = 3;
const INVITE_AGAIN: u32 = 4;
const BYE: u32 = 5;

/// The states of RFC 3261 figure 5, with RFC 6026's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

/// A call at its caller.
pub(crate) struct Call {
    number: usize,
    plan: Plan,
    tandem: SocketAddr,
    call_id: String,
    from: String,
    to: String,
    state: State,
    invite: Option<Repeat>,
    /// The caller has had enough.
    cancelled: bool,
    cancel: Option<Repeat>,
    /// For a failure.
    ack: Vec<u8>,
    /// One for each 2xx of another To tag.
    dialogs: Vec<Dialog>,
    /// PRACKs, UPDATEs and re-INVITEs.
    others: Vec<Other>,
}

/// A request in a dialog other than BYE.
struct Other {
    method: Method,
    branch: String,
    to: String,
    to_tag: String,
    remote: String,
    routes: Vec<String>,
    sequence: u32,
    repeat: Repeat,
    answered: bool,
    ack: Vec<u8>,
}

struct Dialog {
    to: String,
    to_tag: String,
    remote: String,
    routes: Vec<String>,
    ack: Vec<u8>,
    bye: Option<Repeat>,
    bye_answered: bool,
    /// While the other side had not hung up.
    bye_refused: bool,
    /// The other side has hung up.
    ended: bool,
}

impl Call {
    pub(crate) fn new(number: usize, plan: Plan, tandem: SocketAddr, net: &mut Network) -> Self {
        net.after(plan.start, Event::Call(number, CallTimer::Start));
        Call {
            number,
            tandem,
            call_id: format!("{number}@{}", plan.caller.ip()),
            from: format!("<sip:caller@{}>;tag=from{number}", plan.caller),
            to: format!("<sip:1555{number:04}@{tandem}>"),
            plan,
            state: State::Calling,
            invite: None,
            cancelled: false,
            cancel: None,
            ack: Vec::new(),
            dialogs: Vec::new(),
            others: Vec::new(),
        }
    }

    /// The number of the call that a message belongs to.
    pub(crate) fn number_of(call_id: &str) -> Option<usize> {
        call_id.split('@').next()?.parse().ok()
    }

    /// Requests in dialogs that were sent and got no final response, and BYEs of living dialogs that were refused.
    pub(crate) fn unanswered(&self) -> usize {
        if self.plan.vanishes_after.is_some() {
            return 0;
        }
        let unanswered = |dialog: &&Dialog| dialog.bye.is_some() && !dialog.bye_answered || dialog.bye_refused;
        let byes = self.dialogs.iter().filter(unanswered).count();
        byes + self.others.iter().filter(|other| !other.answered).count()
    }

    fn has_vanished(&self, now: u64) -> bool {
        self.plan.vanishes_after.is_some_and(|delay| now >= self.plan.start + delay)
    }

    pub(crate) fn on_timer(&mut self, timer: CallTimer, net: &mut Network) {
        if self.has_vanished(net.now) {
            return;
        }
        let event = Event::Call(self.number, timer);
        match timer {
            CallTimer::Start => self.start(net),
            CallTimer::Invite => {
                if self.invite.as_mut().is_some_and(|invite| invite.tick(net, event)) {
                    self.state = State::Terminated;
                }
            }
            CallTimer::Cancel => {
                self.cancelled = matches!(self.state, State::Calling | State::Proceeding);
                // §9.1: not before a provisional response.
                if self.state == State::Proceeding {
                    self.send_cancel(net);
                }
            }
            CallTimer::RepeatCancel => {
                if let Some(cancel) = &mut self.cancel {
                    cancel.tick(net, event);
                }
            }
            CallTimer::HangUp(index) => self.hang_up(index, net),
            CallTimer::InviteAgain(index) => self.invite_again(index, net),
            CallTimer::Repeat(index) => {
                if let Some(other) = self.others.get_mut(index) {
                    other.repeat.tick(net, event);
                }
            }
            CallTimer::RepeatBye(index) => {
                if let Some(bye) = self.dialogs.get_mut(index).and_then(|dialog| dialog.bye.as_mut()) {
                    bye.tick(net, event);
                }
            }
        }
    }

    pub(crate) fn on_message(&mut self, sip: &Sip, net: &mut Network) {
        if self.has_vanished(net.now) {
            return;
        }
        match (sip.is_request(), sip.method) {
            (true, _) => self.on_request(sip, net),
            (false, Method::Invite) if sip.branch == self.branch("INVITE") => self.on_invite_response(sip, net),
            (false, Method::Prack | Method::Update | Method::Invite) => self.on_other_response(sip, net),
            (false, Method::Cancel) if sip.is_final() => {
                if let Some(cancel) = &mut self.cancel {
                    cancel.stop();
                }
            }
            (false, Method::Bye) if sip.is_final() => {
                let ours = self.dialogs.iter_mut().find(|dialog| dialog.to_tag == sip.to_tag);
                if let Some(dialog) = ours {
                    dialog.bye_answered = true;
                    dialog.bye_refused |= !sip.is_success() && !dialog.ended;
                    dialog.bye.iter_mut().for_each(Repeat::stop);
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, net: &mut Network) {
        let bytes = self.write("INVITE", &format!("sip:1555{:04}@{}", self.number, self.tandem), &self.to, &[], 1);
        let event = Event::Call(self.number, CallTimer::Invite);
        self.invite = Some(Repeat::start(net, (self.plan.caller, self.tandem), bytes, UNBOUND, event));
        if let Some(delay) = self.plan.cancel_after {
            net.after(delay, Event::Call(self.number, CallTimer::Cancel));
        }
    }

    /// The gateway hangs up, or somebody errs.
    fn on_request(&mut self, sip: &Sip, net: &mut Network) {
        let dialog = self.dialogs.iter_mut().find(|dialog| dialog.to_tag == sip.from_tag);
        let status = match (sip.method, dialog) {
            (Method::Ack, _) => return,
            (Method::Bye, Some(dialog)) => {
                dialog.ended = true;
                200
            }
            _ => 481,
        };
        net.send(self.plan.caller, self.tandem, &respond(sip, status, "none", self.plan.caller, ""));
    }

    fn on_invite_response(&mut self, sip: &Sip, net: &mut Network) {
        match (self.state, sip.status) {
            (State::Calling, 100..=199) => {
                self.settle(State::Proceeding);
                if self.cancelled {
                    self.send_cancel(net);
                }
                self.on_provisional(sip, net);
            }
            (State::Proceeding, 100..=199) => self.on_provisional(sip, net),
            (State::Calling | State::Proceeding | State::Accepted, 200..=299) => {
                self.settle(State::Accepted);
                self.on_success(sip, net);
            }
            (State::Calling | State::Proceeding, 300..) => {
                self.settle(State::Completed);
                let uri = format!("sip:1555{:04}@{}", self.number, self.tandem);
                let branch = self.branch("INVITE");
                self.ack = self.write_with("ACK", &uri, &sip.to, &[], 1, &branch);
                net.send(self.plan.caller, self.tandem, &self.ack);
            }
            (State::Completed, 300..) => net.send(self.plan.caller, self.tandem, &self.ack),
            _ => {}
        }
    }

    fn settle(&mut self, state: State) {
        self.state = state;
        if let Some(invite) = &mut self.invite {
            invite.stop();
        }
    }

    /// Each 2xx is acknowledged each time; the first dialog is talked in, others are ended at once.
    fn on_success(&mut self, sip: &Sip, net: &mut Network) {
        let known = self.dialogs.iter().position(|dialog| dialog.to_tag == sip.to_tag);
        let index = known.unwrap_or_else(|| {
            let routes = self.routes_of(sip);
            let index = self.dialogs.len();
            let branch = self.branch(&format!("ACK{index}"));
            let ack = self.write_with("ACK", &sip.contact, &sip.to, &routes, 1, &branch);
            let wanted = index == 0 && !self.cancelled;
            let talk = if wanted { self.plan.hang_up_after } else { Some(50 * MS) };
            if let Some(delay) = talk {
                net.after(delay, Event::Call(self.number, CallTimer::HangUp(index)));
            }
            if let Some(delay) = self.plan.invites_again_after.filter(|_| wanted) {
                net.after(delay, Event::Call(self.number, CallTimer::InviteAgain(index)));
            }
            self.dialogs.push(Dialog {
                to: sip.to.clone(),
                to_tag: sip.to_tag.clone(),
                remote: sip.contact.clone(),
                routes,
                ack,
                bye: None,
                bye_answered: false,
                bye_refused: false,
                ended: false,
            });
            index
        });
        net.send(self.plan.caller, self.tandem, &self.dialogs[index].ack);
    }

    fn routes_of(&self, sip: &Sip) -> Vec<String> {
        if self.plan.ignores_routes { Vec::new() } else { sip.record_routes.iter().rev().cloned().collect() }
    }

    /// RFC 3262 §4: one PRACK in each early dialog. Always with the routes: an early dialog is nobody's call yet.
    fn on_provisional(&mut self, sip: &Sip, net: &mut Network) {
        let known = self.others.iter().any(|other| other.to_tag == sip.to_tag);
        if sip.reliable && !known && !self.cancelled {
            let routes = sip.record_routes.iter().rev().cloned().collect();
            self.send_other((Method::Prack, PRACK), &sip.to, &sip.to_tag, &sip.contact, routes, net);
        }
    }

    fn invite_again(&mut self, index: usize, net: &mut Network) {
        let Some(dialog) = self.dialogs.get(index).filter(|dialog| !dialog.ended && dialog.bye.is_none()) else {
            return;
        };
        let (to, to_tag, remote) = (dialog.to.clone(), dialog.to_tag.clone(), dialog.remote.clone());
        let routes = dialog.routes.clone();
        self.send_other((Method::Invite, INVITE_AGAIN), &to, &to_tag, &remote, routes, net);
    }

    fn send_other(
        &mut self,
        (method, sequence): (Method, u32),
        to: &str,
        to_tag: &str,
        remote: &str,
        routes: Vec<String>,
        net: &mut Network,
    ) {
        let index = self.others.len();
        let branch = self.branch(&format!("{}{index}", method.as_str()));
        let bytes = self.write_with(method.as_str(), remote, to, &routes, sequence, &branch);
        let longest = if method == Method::Invite { UNBOUND } else { T2 };
        let event = Event::Call(self.number, CallTimer::Repeat(index));
        let repeat = Repeat::start(net, (self.plan.caller, self.tandem), bytes, longest, event);
        let (to, to_tag, remote) = (to.to_owned(), to_tag.to_owned(), remote.to_owned());
        let (answered, ack) = (false, Vec::new());
        self.others.push(Other { method, branch, to, to_tag, remote, routes, sequence, repeat, answered, ack });
    }

    fn on_other_response(&mut self, sip: &Sip, net: &mut Network) {
        let Some(index) = self.others.iter().position(|other| other.branch == sip.branch) else { return };
        let other = &mut self.others[index];
        // §17.1.1.2: an INVITE is not sent again after its first response, anything else until the final one.
        if sip.is_final() || other.method == Method::Invite {
            other.repeat.stop();
        }
        if !sip.is_final() {
            return;
        }
        let first = !std::mem::replace(&mut other.answered, true);
        if other.method == Method::Invite {
            if first {
                let ack_branch = if sip.is_success() { format!("{}-ACK", sip.branch) } else { sip.branch.clone() };
                let other = &self.others[index];
                let ack = self.write_with("ACK", &other.remote, &other.to, &other.routes, other.sequence, &ack_branch);
                self.others[index].ack = ack;
            }
            return net.send(self.plan.caller, self.tandem, &self.others[index].ack);
        }
        if first && other.method == Method::Prack && self.plan.updates && sip.is_success() && !self.cancelled {
            let (to, to_tag, remote) = (other.to.clone(), other.to_tag.clone(), other.remote.clone());
            let routes = other.routes.clone();
            self.send_other((Method::Update, UPDATE), &to, &to_tag, &remote, routes, net);
        }
    }

    fn send_cancel(&mut self, net: &mut Network) {
        if self.cancel.is_some() {
            return;
        }
        let branch = self.branch("INVITE");
        let uri = format!("sip:1555{:04}@{}", self.number, self.tandem);
        let bytes = self.write_with("CANCEL", &uri, &self.to, &[], 1, &branch);
        let event = Event::Call(self.number, CallTimer::RepeatCancel);
        self.cancel = Some(Repeat::start(net, (self.plan.caller, self.tandem), bytes, T2, event));
    }

    fn hang_up(&mut self, index: usize, net: &mut Network) {
        let Some(dialog) = self.dialogs.get(index).filter(|dialog| !dialog.ended) else { return };
        let branch = self.branch(&format!("BYE{index}"));
        let bytes = self.write_with("BYE", &dialog.remote, &dialog.to, &dialog.routes, BYE, &branch);
        let event = Event::Call(self.number, CallTimer::RepeatBye(index));
        self.dialogs[index].bye = Some(Repeat::start(net, (self.plan.caller, self.tandem), bytes, T2, event));
    }

    fn branch(&self, of: &str) -> String {
        format!("z9hG4bK-caller-{}-{of}", self.number)
    }

    fn write(&self, method: &str, request_uri: &str, to: &str, routes: &[String], sequence: u32) -> Vec<u8> {
        self.write_with(method, request_uri, to, routes, sequence, &self.branch(method))
    }

    fn write_with(
        &self,
        method: &str,
        request_uri: &str,
        to: &str,
        routes: &[String],
        sequence: u32,
        branch: &str,
    ) -> Vec<u8> {
        let (from, call_id, sent_by) = (&self.from, &self.call_id, self.plan.caller);
        let body = if method == "INVITE" { "v=0\r\n" } else { "" };
        Request { method, request_uri, sent_by, branch, routes, from, to, call_id, sequence, body }.write()
    }
}
