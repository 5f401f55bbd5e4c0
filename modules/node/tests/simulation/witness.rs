//! Holds what Tandem does against the RFC. Sees the datagrams that reach Tandem and those that leave it,
//! and knows nothing of its insides.

use crate::file::File;
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
    /// INVITEs of callers.
    invites: BTreeMap<InviteKey, Invite>,
    /// INVITEs that Tandem sent, by their branch.
    branches: BTreeMap<String, Branch>,
    /// 2xx by their INVITE and To tag, which differs for each branch.
    successes: BTreeMap<(InviteKey, String), Success>,
    /// Which gateway a To tag of a Call-ID is.
    parties: BTreeMap<(String, String), SocketAddr>,
    /// Gateways of the file that holds.
    listed: BTreeSet<SocketAddr>,
    /// Tandem keeps nothing of calls.
    stateless: bool,
    /// What is repeated may go elsewhere.
    pub(crate) choices_move: bool,
    /// INVITEs outside of dialogs that a gateway got, and those that it answered with a 2xx that went upstream.
    tried: BTreeMap<SocketAddr, (u64, u64)>,
    /// What has to leave before the moment is over.
    owed: BTreeSet<Owed>,
    pub(crate) figures: Figures,
    pub(crate) violations: Vec<String>,
}

/// Call-ID and CSeq of an INVITE: one outside of a dialog is the first of its Call-ID.
type InviteKey = (String, u32);

/// What was seen, so that a test can tell that it saw enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) cancels: u64,
    pub(crate) second_branches: u64,
    /// Requests in dialogs that reached their gateway.
    pub(crate) in_dialog: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owed {
    Success { invite: InviteKey, to_tag: String },
    Ack { branch: String },
    Cancel { branch: String },
}

#[derive(Default)]
struct Invite {
    /// Status and To tag of the first final response that left.
    finally: Option<(u16, String)>,
    cancelled: bool,
    asked: BTreeSet<SocketAddr>,
    /// Its 100 has left, so Tandem keeps it.
    kept: bool,
}

#[derive(Default)]
struct Success {
    /// How many reached Tandem.
    came: u64,
    /// How many left it.
    left: u64,
    body: Vec<u8>,
    /// Outside of a dialog: the gateway that answered.
    from: Option<SocketAddr>,
}

impl Invite {
    /// WHY a refusal that tried no gateway is forgotten: it was made without state (§8.2.7), so the same INVITE is
    /// a new request when it comes again, and a gateway may have come back by then.
    fn arrive(&mut self) {
        if !self.kept {
            self.finally = None;
        }
    }
}

struct Branch {
    invite: InviteKey,
    /// Outside of a dialog.
    opens: bool,
    to: SocketAddr,
    sent_at: u64,
    provisional_at: Option<u64>,
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

    /// WHY not at this very moment: a response that reaches another shard gets to the owner at the end of the moment,
    /// after the timers that a new process found due at its start.
    fn was_answered_before(&self, now: u64) -> bool {
        [self.provisional_at, self.success_at, self.failure_at].into_iter().flatten().any(|at| at < now)
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
            (None, None) if self.provisional_at.is_some() => return true,
            (None, None) => self.sent_at,
        };
        now < until + LIFE
    }
}

impl Witness {
    pub(crate) fn new(gateways: impl Iterator<Item = SocketAddr>, callers: impl Iterator<Item = SocketAddr>) -> Self {
        Witness { gateways: gateways.collect(), callers: callers.collect(), ..Witness::default() }
    }

    /// Tandem works by this file from now on.
    pub(crate) fn reads(&mut self, file: &File) {
        self.listed = file.listed().collect();
        // Who is taken away and comes back is another gateway.
        for invite in self.invites.values_mut() {
            invite.asked.retain(|gateway| file.lists(*gateway));
        }
        self.stateless = file.stateless;
    }

    /// INVITEs outside of dialogs that a gateway got, and those that it answered.
    pub(crate) fn seen_of(&self, gateway: SocketAddr) -> (u64, u64) {
        self.tried.get(&gateway).copied().unwrap_or_default()
    }

    /// A datagram has reached Tandem.
    pub(crate) fn delivered(&mut self, now: u64, from: SocketAddr, sip: &Sip) {
        if sip.is_request() {
            self.senders.insert((sip.branch.clone(), sip.method.as_str()), from);
            match sip.method {
                Method::Invite => self.invites.entry(sip.invite()).or_default().arrive(),
                Method::Cancel => self.caller_cancels(now, sip),
                _ => {}
            }
        } else if sip.method == Method::Invite {
            if self.gateways.contains(&from) && !sip.to_tag.is_empty() {
                self.parties.insert((sip.call_id.clone(), sip.to_tag.clone()), from);
            }
            self.answer_delivered(now, from, sip);
        }
    }

    /// The network has told Tandem that `peer` cannot be reached.
    pub(crate) fn unreachable(&mut self, peer: SocketAddr) {
        for branch in self.branches.values_mut() {
            branch.over |= branch.to == peer && branch.provisional_at.is_none() && !branch.has_ended();
        }
    }

    /// §16.10: what rings is cancelled at once.
    fn caller_cancels(&mut self, now: u64, sip: &Sip) {
        let Some(invite) = self.invites.get_mut(&sip.invite()).filter(|invite| invite.finally.is_none()) else {
            return;
        };
        if std::mem::replace(&mut invite.cancelled, true) || self.stateless {
            return;
        }
        let rings = |branch: &Branch| {
            branch.invite == sip.invite()
                && branch.provisional_at.is_some()
                && !branch.has_ended()
                && branch.cancelled_at.is_none()
                && branch.lives(now)
        };
        let ringing = self.branches.iter().filter(|(_, branch)| rings(branch));
        self.owed.extend(ringing.map(|(name, _)| Owed::Cancel { branch: name.clone() }));
    }

    fn answer_delivered(&mut self, now: u64, from: SocketAddr, sip: &Sip) {
        let moves = self.choices_move;
        let Some(branch) = self.branches.get_mut(&sip.branch).filter(|branch| moves || branch.to == from) else {
            return;
        };
        let lives = branch.lives(now) || self.stateless && branch.opens && sip.is_success();
        branch.over |= !lives;
        match sip.status {
            100..=199 => {
                branch.provisional_at.get_or_insert(now);
                let over =
                    self.invites.get(&branch.invite).is_some_and(|call| call.cancelled || call.finally.is_some());
                // §9.1: a CANCEL waits for the first provisional response, and for nothing else.
                if !self.stateless && over && lives && !branch.has_ended() && branch.cancelled_at.is_none() {
                    self.owed.insert(Owed::Cancel { branch: sip.branch.clone() });
                }
            }
            200..=299 => {
                branch.success_at.get_or_insert(now);
                let success = self.successes.entry((sip.invite(), sip.to_tag.clone())).or_default();
                success.came += 1;
                success.body.clone_from(&sip.body);
                success.from = branch.opens.then_some(from);
                if lives {
                    self.owed.insert(Owed::Success { invite: sip.invite(), to_tag: sip.to_tag.clone() });
                }
            }
            _ => {
                branch.failure_at.get_or_insert(now);
                if lives && !self.stateless {
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
        if !sip.to_tag.is_empty() && !matches!(sip.method, Method::Cancel) {
            self.in_dialog_sent(now, to, sip);
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

    /// A request in a dialog goes to its other side.
    fn in_dialog_sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        self.figures.in_dialog += u64::from(self.gateways.contains(&to));
        let party = self.parties.get(&(sip.call_id.clone(), sip.to_tag.clone()));
        // The ACK of a failure goes where a repeated INVITE would (§16.11): elsewhere, if the choice has moved.
        let moves = self.choices_move
            && sip.method == Method::Ack
            && !self.successes.contains_key(&(sip.invite(), sip.to_tag.clone()));
        if !moves && party.is_some_and(|party| *party != to) {
            self.violation(now, format!("{} to {to}, who is not its other side", sip.method.as_str()));
        }
    }

    fn response_sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        let asked = self.senders.get(&(sip.branch.clone(), sip.method.as_str()));
        if asked != Some(&to) {
            return self.violation(now, format!("a {} to {to}, who did not ask", sip.status));
        }
        if sip.method != Method::Invite {
            return;
        }
        let Some(invite) = self.invites.get_mut(&sip.invite()) else { return };
        invite.kept |= sip.status == 100;
        if !sip.is_final() {
            return;
        }
        let this = (sip.status, sip.to_tag.clone());
        let first = invite.finally.get_or_insert_with(|| this.clone()).clone();
        if sip.is_success() {
            self.figures.successes += 1;
            return self.success_sent(now, sip);
        }
        self.figures.failures += 1;
        if first != this && !self.stateless {
            self.violation(now, format!("{this:?} after {first:?} for {}", sip.call_id));
        }
    }

    fn success_sent(&mut self, now: u64, sip: &Sip) {
        let key = (sip.invite(), sip.to_tag.clone());
        let Some(success) = self.successes.get_mut(&key) else {
            return self.violation(now, format!("a 2xx that no gateway sent, for {}", sip.call_id));
        };
        success.left += 1;
        if let Some(gateway) = success.from.filter(|_| success.left == 1) {
            self.tried.entry(gateway).or_default().1 += 1;
        }
        let (more, same) = (success.left > success.came, success.body == sip.body);
        if more {
            self.violation(now, format!("more 2xx than came, for {}", sip.call_id));
        }
        if !same {
            self.violation(now, format!("the body of a 2xx was changed, for {}", sip.call_id));
        }
        self.owed.remove(&Owed::Success { invite: key.0, to_tag: key.1 });
    }

    fn invite_sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        if !self.gateways.contains(&to) {
            return self.violation(now, format!("an INVITE to {to}, who is no gateway"));
        }
        if let Some(branch) = self.branches.get(&sip.branch) {
            // §17.1.1.2: Timer A ends with the first response.
            if !self.stateless && branch.was_answered_before(now) || branch.to != to && !self.choices_move {
                self.violation(now, format!("an answered INVITE was sent again, {}", sip.call_id));
            }
            return;
        }
        let opens = sip.to_tag.is_empty();
        let Some(invite) = self.invites.get_mut(&sip.invite()) else {
            return self.violation(now, format!("an INVITE that no caller sent, {}", sip.call_id));
        };
        if opens {
            self.tried.entry(to).or_default().0 += 1;
        }
        self.figures.second_branches += u64::from(!invite.asked.is_empty());
        let again = !invite.asked.insert(to);
        let over = invite.cancelled || invite.finally.is_some();
        self.branches.insert(
            sip.branch.clone(),
            Branch {
                invite: sip.invite(),
                opens,
                to,
                sent_at: now,
                provisional_at: None,
                success_at: None,
                failure_at: None,
                cancelled_at: None,
                over: false,
            },
        );
        if opens && !self.listed.contains(&to) {
            self.violation(now, format!("an INVITE to {to}, who is in no file any more"));
        }
        if self.stateless {
            return;
        }
        if again {
            self.violation(now, format!("a gateway was tried twice, {}", sip.call_id));
        }
        if over {
            self.violation(now, format!("a branch after the end, {}", sip.call_id));
        }
    }

    fn cancel_sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        self.owed.remove(&Owed::Cancel { branch: sip.branch.clone() });
        let moves = self.choices_move;
        let Some(branch) = self.branches.get_mut(&sip.branch).filter(|branch| moves || branch.to == to) else {
            return self.violation(now, format!("a CANCEL for no INVITE, {}", sip.call_id));
        };
        self.figures.cancels += 1;
        branch.cancelled_at.get_or_insert(now);
        if branch.provisional_at.is_none() && !self.stateless {
            self.violation(now, format!("a CANCEL before any response, {}", sip.call_id));
        }
    }

    fn ack_sent(&mut self, now: u64, to: SocketAddr, sip: &Sip) {
        self.owed.remove(&Owed::Ack { branch: sip.branch.clone() });
        let wrong = match self.branches.get(&sip.branch) {
            Some(branch) => branch.to != to && !self.choices_move || branch.failure_at.is_none(),
            // What was refused without state in a dialog has an ACK that looks like one for a 2xx.
            None => {
                let refused = self.invites.get(&sip.invite()).is_some_and(|invite| !invite.kept);
                !refused && !self.successes.contains_key(&(sip.invite(), sip.to_tag.clone()))
            }
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
        let silent = |(_, invite): &(&InviteKey, &Invite)| lossless && !self.stateless && invite.finally.is_none();
        let unanswered: Vec<InviteKey> = self.invites.iter().filter(silent).map(|(key, _)| key.clone()).collect();
        for (call_id, sequence) in unanswered {
            self.violation(now, format!("no final response for INVITE {sequence} of {call_id}"));
        }
    }

    pub(crate) fn violation(&mut self, now: u64, what: String) {
        self.violations.push(format!("at {:.3} ms: {what}", now as f64 / 1_000.0));
    }
}
