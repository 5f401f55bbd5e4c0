//! Holds what Tandem does against the RFC. Sees the datagrams that reach Tandem and those that leave it,
//! and knows nothing of its insides.

use crate::network::SECOND;
use crate::sip::Sip;
use proto::message::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// 64 T1: Timers B, D, F, H, J, L and M, and the wait after a CANCEL.
const LIFE: u64 = 32 * SECOND;

/// See the module.
#[derive(Default)]
pub(crate) struct Witness {
    gateways: BTreeSet<SocketAddr>,
    callers: BTreeSet<SocketAddr>,
    /// Who sent the request with this top Via branch and method.
    senders: BTreeMap<(String, &'static str), SocketAddr>,
    /// INVITEs of callers, by Call-ID.
    invites: BTreeMap<String, Invite>,
    /// INVITEs that Tandem sent, by their branch.
    branches: BTreeMap<String, Branch>,
    /// 2xx by Call-ID and To tag, which differs for each branch.
    successes: BTreeMap<(String, String), Success>,
    /// What has to leave before the moment is over.
    owed: BTreeSet<Owed>,
    pub(crate) figures: Figures,
    pub(crate) violations: Vec<String>,
}

/// What was seen, so that a test can tell that it saw enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) invites: u64,
    /// Of these, answered with a 2xx that went upstream.
    pub(crate) answered: u64,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) cancels: u64,
    pub(crate) second_branches: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owed {
    Success { call_id: String, to_tag: String },
    Ack { branch: String },
    Cancel { branch: String },
}

#[derive(Default)]
struct Invite {
    /// Status and To tag of the first final response that left.
    finally: Option<(u16, String)>,
    cancelled: bool,
    asked: BTreeSet<SocketAddr>,
}

#[derive(Default)]
struct Success {
    /// How many reached Tandem.
    came: u64,
    /// How many left it.
    left: u64,
    body: Vec<u8>,
}

impl Invite {
    /// WHY a refusal that tried no gateway is forgotten: it was made without state (§8.2.7), so the same INVITE is
    /// a new request when it comes again, and a gateway may have come back by then.
    fn arrive(&mut self) {
        if self.asked.is_empty() {
            self.finally = None;
        }
    }
}

struct Branch {
    call_id: String,
    to: SocketAddr,
    sent_at: u64,
    provisional: bool,
    success_at: Option<u64>,
    failure_at: Option<u64>,
    cancelled_at: Option<u64>,
    /// Its transaction may be gone: the network said that the gateway cannot be reached before it had said anything
    /// (§16.9), or what came was late.
    over: bool,
}

impl Branch {
    fn has_ended(&self) -> bool {
        self.success_at.is_some() || self.failure_at.is_some()
    }

    /// Whether its transaction must still exist.
    fn lives(&self, now: u64) -> bool {
        // RFC 6026 §7.2: what comes after the end of a transaction is dropped.
        if self.over {
            return false;
        }
        let until = match (self.success_at.or(self.failure_at), self.cancelled_at) {
            (Some(at), _) | (None, Some(at)) => at,
            // Timer C ends it with a CANCEL.
            (None, None) if self.provisional => return true,
            (None, None) => self.sent_at,
        };
        now < until + LIFE
    }
}

impl Witness {
    pub(crate) fn new(gateways: impl Iterator<Item = SocketAddr>, callers: impl Iterator<Item = SocketAddr>) -> Self {
        Witness { gateways: gateways.collect(), callers: callers.collect(), ..Witness::default() }
    }

    /// A datagram has reached Tandem.
    pub(crate) fn delivered(&mut self, now: u64, from: SocketAddr, sip: &Sip) {
        if sip.is_request() {
            self.senders.insert((sip.branch.clone(), sip.method.as_str()), from);
            match sip.method {
                Method::Invite => self.invites.entry(sip.call_id.clone()).or_default().arrive(),
                Method::Cancel => self.caller_cancels(now, sip),
                _ => {}
            }
        } else if sip.method == Method::Invite {
            self.answer_delivered(now, from, sip);
        }
    }

    /// The network has told Tandem that `peer` cannot be reached.
    pub(crate) fn unreachable(&mut self, peer: SocketAddr) {
        for branch in self.branches.values_mut() {
            branch.over |= branch.to == peer && !branch.provisional && !branch.has_ended();
        }
    }

    /// §16.10: what rings is cancelled at once.
    fn caller_cancels(&mut self, now: u64, sip: &Sip) {
        let Some(invite) = self.invites.get_mut(&sip.call_id).filter(|invite| invite.finally.is_none()) else {
            return;
        };
        if std::mem::replace(&mut invite.cancelled, true) {
            return;
        }
        let rings = |branch: &Branch| {
            branch.call_id == sip.call_id
                && branch.provisional
                && !branch.has_ended()
                && branch.cancelled_at.is_none()
                && branch.lives(now)
        };
        let ringing = self.branches.iter().filter(|(_, branch)| rings(branch));
        self.owed.extend(ringing.map(|(name, _)| Owed::Cancel { branch: name.clone() }));
    }

    fn answer_delivered(&mut self, now: u64, from: SocketAddr, sip: &Sip) {
        let Some(branch) = self.branches.get_mut(&sip.branch).filter(|branch| branch.to == from) else { return };
        let lives = branch.lives(now);
        branch.over |= !lives;
        match sip.status {
            100..=199 => {
                branch.provisional = true;
                let over = self.invites.get(&sip.call_id).is_some_and(|call| call.cancelled || call.finally.is_some());
                // §9.1: a CANCEL waits for the first provisional response, and for nothing else.
                if over && lives && !branch.has_ended() && branch.cancelled_at.is_none() {
                    self.owed.insert(Owed::Cancel { branch: sip.branch.clone() });
                }
            }
            200..=299 => {
                branch.success_at.get_or_insert(now);
                let key = (sip.call_id.clone(), sip.to_tag.clone());
                let success = self.successes.entry(key).or_default();
                success.came += 1;
                success.body.clone_from(&sip.body);
                if lives {
                    self.owed.insert(Owed::Success { call_id: sip.call_id.clone(), to_tag: sip.to_tag.clone() });
                }
            }
            _ => {
                branch.failure_at.get_or_insert(now);
                if lives {
                    self.owed.insert(Owed::Ack { branch: sip.branch.clone() });
                }
            }
        }
    }

    /// A datagram has left Tandem.
    pub(crate) fn sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        if !self.gateways.contains(&to) && !self.callers.contains(&to) {
            return self.violation(now, format!("a packet to {to}, who is nobody"));
        }
        if !sip.is_request() {
            return self.response_sent(now, to, sip);
        }
        match sip.method {
            Method::Invite => self.invite_sent(now, to, sip),
            Method::Cancel => self.cancel_sent(now, to, sip),
            Method::Ack => self.ack_sent(now, to, sip),
            Method::Bye => {}
            _ if self.gateways.contains(&to) => {}
            method => self.violation(now, format!("{} to {to}", method.as_str())),
        }
    }

    fn response_sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        let asked = self.senders.get(&(sip.branch.clone(), sip.method.as_str()));
        if asked != Some(&to) {
            return self.violation(now, format!("a {} to {to}, who did not ask", sip.status));
        }
        if sip.method != Method::Invite || !sip.is_final() {
            return;
        }
        let Some(invite) = self.invites.get_mut(&sip.call_id) else { return };
        let this = (sip.status, sip.to_tag.clone());
        let first = invite.finally.get_or_insert_with(|| this.clone()).clone();
        if sip.is_success() {
            self.figures.successes += 1;
            return self.success_sent(now, sip);
        }
        self.figures.failures += 1;
        if first != this {
            self.violation(now, format!("{this:?} after {first:?} for {}", sip.call_id));
        }
    }

    fn success_sent(&mut self, now: u64, sip: &Sip) {
        let key = (sip.call_id.clone(), sip.to_tag.clone());
        let Some(success) = self.successes.get_mut(&key) else {
            return self.violation(now, format!("a 2xx that no gateway sent, for {}", sip.call_id));
        };
        success.left += 1;
        self.figures.answered += u64::from(success.left == 1);
        let (more, same) = (success.left > success.came, success.body == sip.body);
        if more {
            self.violation(now, format!("more 2xx than came, for {}", sip.call_id));
        }
        if !same {
            self.violation(now, format!("the body of a 2xx was changed, for {}", sip.call_id));
        }
        self.owed.remove(&Owed::Success { call_id: key.0, to_tag: key.1 });
    }

    fn invite_sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        if !self.gateways.contains(&to) {
            return self.violation(now, format!("an INVITE to {to}, who is no gateway"));
        }
        if let Some(branch) = self.branches.get(&sip.branch) {
            // §17.1.1.2: Timer A ends with the first response.
            if branch.provisional || branch.has_ended() || branch.to != to {
                self.violation(now, format!("an answered INVITE was sent again, {}", sip.call_id));
            }
            return;
        }
        let Some(invite) = self.invites.get_mut(&sip.call_id) else {
            return self.violation(now, format!("an INVITE that no caller sent, {}", sip.call_id));
        };
        self.figures.invites += 1;
        self.figures.second_branches += u64::from(!invite.asked.is_empty());
        let again = !invite.asked.insert(to);
        let over = invite.cancelled || invite.finally.is_some();
        self.branches.insert(
            sip.branch.clone(),
            Branch {
                call_id: sip.call_id.clone(),
                to,
                sent_at: now,
                provisional: false,
                success_at: None,
                failure_at: None,
                cancelled_at: None,
                over: false,
            },
        );
        if again {
            self.violation(now, format!("a gateway was tried twice, {}", sip.call_id));
        }
        if over {
            self.violation(now, format!("a branch after the end, {}", sip.call_id));
        }
    }

    fn cancel_sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        self.owed.remove(&Owed::Cancel { branch: sip.branch.clone() });
        let Some(branch) = self.branches.get_mut(&sip.branch).filter(|branch| branch.to == to) else {
            return self.violation(now, format!("a CANCEL for no INVITE, {}", sip.call_id));
        };
        self.figures.cancels += 1;
        branch.cancelled_at.get_or_insert(now);
        if !branch.provisional {
            self.violation(now, format!("a CANCEL before any response, {}", sip.call_id));
        }
    }

    fn ack_sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        self.owed.remove(&Owed::Ack { branch: sip.branch.clone() });
        let wrong = match self.branches.get(&sip.branch) {
            Some(branch) => branch.to != to || branch.failure_at.is_none(),
            None => !self.successes.contains_key(&(sip.call_id.clone(), sip.to_tag.clone())),
        };
        if wrong {
            self.violation(now, format!("an ACK for nothing, {}", sip.call_id));
        }
    }

    /// All that follows from a datagram has happened.
    pub(crate) fn settled(&mut self, now: u64) {
        for owed in std::mem::take(&mut self.owed) {
            self.violation(now, format!("not sent: {owed:?}"));
        }
    }

    /// The world is over. `lossless`: every INVITE that came must have been answered.
    pub(crate) fn finish(&mut self, now: u64, lossless: bool) {
        let silent = |(_, invite): &(&String, &Invite)| lossless && invite.finally.is_none();
        let unanswered: Vec<String> = self.invites.iter().filter(silent).map(|(call_id, _)| call_id.clone()).collect();
        for call_id in unanswered {
            self.violation(now, format!("no final response for {call_id}"));
        }
    }

    pub(crate) fn violation(&mut self, now: u64, what: String) {
        self.violations.push(format!("at {:.3} ms: {what}", now as f64 / 1_000.0));
    }
}
