//! What becomes of a request at a gateway: responses, silence, and the end (points 3 and 6).

use super::Dispatcher;
use super::breaker::Moved;
use super::event::What;
use super::figures::{Cause, Figures};
use crate::note::Note;
use crate::tables::{Gateway, Number, Tables};
use proto::policy::{Outcome, ResponseContext, Target};
use proto::time::{Micros, Mono, Now};
use std::net::SocketAddr;

/// Timer B and F of RFC 3261 §17: how long before its end a request without any response was sent.
const TIMER_B: Micros = Micros::from_secs(32);

impl Dispatcher {
    /// Point 2: whether a branch may leave. Not if its gateway was taken away or disabled since it was chosen.
    /// `opens`: it is an attempt, which an ACK is not.
    pub fn may_leave(&mut self, tables: &Tables, target: &Target, opens: bool, note: &mut Note) -> bool {
        if note.set.is_none() || target.gateway == Target::NO_GATEWAY {
            return true;
        }
        let number = Number(target.gateway);
        let may = tables.gateway(number).is_some_and(|gateway| gateway.mark.is_none());
        if may {
            self.count_by_number(number, |figures| figures.attempts += u64::from(opens));
        } else {
            self.close_attempt(number, note);
        }
        may
    }

    /// A response came for a branch.
    pub fn response(&mut self, tables: &Tables, status: u16, context: &ResponseContext<'_>, note: &mut Note, now: Now) {
        let Some(gateway) = tables.gateway(Number(context.target.gateway)) else { return };
        let given_up = context.target.no_response;
        // WHY: who answers only after we gave him up is too slow for a call; that is no proof of life.
        let late = context.first && given_up.0 > 0 && context.after > given_up;
        if late {
            self.count(gateway, |figures| figures.late += 1);
        } else {
            let trunks = tables.class4.as_ref().filter(|_| note.hunt.is_some());
            // A vendor's 503 proves that its gateway lives, as a 100 does, and no more.
            let told = if trunks.is_some_and(|trunks| !trunks.tells_of_gateway(status)) { 100 } else { status };
            self.heard(tables, gateway, told, now);
        }
        if (180..190).contains(&status) {
            note.ringing = true;
        }
        if status < 200 {
            return;
        }
        // A gateway that was left before says nothing about the one whose turn it is.
        if !self.close_attempt(gateway.number, note) {
            return;
        }
        let Some(set) = note.set.and_then(|set| tables.set(set)) else { return };
        if let Some(cause) = Cause::of_status(status) {
            self.count(gateway, |figures| figures.count(cause));
            let moves_on = set.failover_codes.contains(status) && !(status == 408 && note.ringing);
            note.settled |= !moves_on;
        }
    }

    /// A branch ended without a final response.
    pub fn silence(&mut self, tables: &Tables, target: &Target, outcome: Outcome, note: &mut Note, now: Now) {
        let Some(gateway) = tables.gateway(Number(target.gateway)) else { return };
        let sent = match outcome {
            Outcome::GivenUp => Some(target.no_response),
            Outcome::TimedOut { ringing: false } => Some(TIMER_B),
            _ => None,
        };
        let cause = match outcome {
            Outcome::GivenUp => Cause::NoResponse,
            Outcome::NotRinging => Cause::NotRinging,
            Outcome::TimedOut { .. } => Cause::TimedOut,
            Outcome::Unreachable => Cause::Unreachable,
            Outcome::Response(_) => return,
        };
        let owed = self.close_attempt(gateway.number, note);
        if owed {
            self.count(gateway, |figures| figures.count(cause));
        }
        if matches!(outcome, Outcome::TimedOut { ringing: true } | Outcome::NotRinging) {
            note.settled = true;
        }
        let Some(address) = gateway.address.and_then(|address| tables.address(address)) else { return };
        if sent.is_some_and(|ago| self.may_not_have_left(target.listener, ago, now)) {
            return;
        }
        match (outcome, sent) {
            (Outcome::Unreachable, _) => self.learn(address, What::Unreachable, now),
            (Outcome::TimedOut { .. }, _) if !owed && note.set.is_some() => {
                // It was counted when it was given up.
            }
            (_, Some(ago)) => {
                let sent = Mono(now.mono.0.saturating_sub(ago.0));
                let state = self.addresses.get_mut(address.number.slot());
                let moved = state.map_or(Moved::No, |state| state.health.silence(sent, &address.rules, now));
                if moved != Moved::No {
                    self.events.push(address.address, What::Silent);
                    self.set_next_tick();
                }
            }
            _ => {}
        }
    }

    /// What was to leave by a listener could not, through no fault of whom it was for.
    pub fn could_not_send(&mut self, listener: u16, now: Now) {
        self.unsent.get_mut(usize::from(listener)).into_iter().for_each(|moment| *moment = Some(now.mono));
    }

    /// Whether what was first sent so long `ago` may be unanswered because it, or its repetition, could not leave.
    pub(super) fn may_not_have_left(&self, listener: u16, ago: Micros, now: Now) -> bool {
        let unsent = self.unsent.get(usize::from(listener)).copied().flatten();
        unsent.is_some_and(|moment| moment.0.saturating_add(ago.0) >= now.mono.0)
    }

    /// The transaction is over: what is still open of it owes nothing any more.
    pub fn end(&mut self, note: &mut Note) {
        while let Some(gateway) = note.attempts.close_any() {
            self.count_by_number(gateway, |figures| figures.pending = figures.pending.saturating_sub(1));
        }
    }

    /// The network reported that nothing is reached at `address` (an ICMP error).
    pub fn unreachable(&mut self, tables: &Tables, address: SocketAddr, now: Now) {
        if let Some(address) = tables.address(address) {
            self.probe_missed(address, now);
            self.learn(address, What::Unreachable, now);
        }
    }

    /// A response that claimed to be from this gateway was refused for where it came from.
    pub fn response_refused(&mut self, gateway: Number, source: SocketAddr) {
        self.count_by_number(gateway, |figures| {
            figures.refused_responses += 1;
            figures.refused_from = Some(source);
        });
    }

    /// A call was answered by this gateway; `kept`: it is in the table of calls.
    pub fn call_answered(&mut self, gateway: Number, kept: bool) {
        self.count_by_number(gateway, |figures| {
            figures.carried += 1;
            figures.active = figures.active.saturating_add(u32::from(kept));
        });
    }

    /// A call of this gateway came from another shard or process, where it was counted as carried.
    pub fn call_taken_over(&mut self, gateway: Number) {
        self.count_by_number(gateway, |figures| figures.active = figures.active.saturating_add(1));
    }

    /// A request under way to this gateway came from another shard or process, where it was counted as an attempt.
    pub fn attempt_taken_over(&mut self, gateway: Number) {
        self.count_by_number(gateway, |figures| figures.pending = figures.pending.saturating_add(1));
    }

    /// A call of this gateway ended.
    pub fn call_closed(&mut self, gateway: Number) {
        self.count_by_number(gateway, |figures| figures.active = figures.active.saturating_sub(1));
    }

    fn heard(&mut self, tables: &Tables, gateway: &Gateway, status: u16, now: Now) {
        let Some(address) = gateway.address.and_then(|address| tables.address(address)) else { return };
        let Some(state) = self.addresses.get_mut(address.number.slot()) else { return };
        match state.health.response(status, &address.rules, now) {
            Moved::No => {}
            moved => {
                let opened = moved == Moved::Yes && !state.health.lets_pass();
                self.events.push(address.address, if opened { What::Refuses } else { What::Alive });
                self.set_next_tick();
            }
        }
    }

    fn close_attempt(&mut self, gateway: Number, note: &mut Note) -> bool {
        let owed = note.attempts.close(gateway);
        if owed {
            self.count_by_number(gateway, |figures| figures.pending = figures.pending.saturating_sub(1));
        }
        owed
    }

    fn count(&mut self, gateway: &Gateway, count: impl FnOnce(&mut Figures)) {
        self.count_by_number(gateway.number, count);
    }

    /// Counts for a gateway that may have been taken out of the tables meanwhile.
    fn count_by_number(&mut self, gateway: Number, count: impl FnOnce(&mut Figures)) {
        let state = self.gateways.get_mut(gateway.slot()).filter(|state| state.number == Some(gateway));
        if let Some(state) = state {
            count(&mut state.figures);
        }
    }
}
