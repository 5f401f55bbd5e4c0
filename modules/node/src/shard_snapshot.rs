//! What a shard tells about itself when the control lane asks. Fills a box that came from there; allocates
//! nothing.

use crate::app::ShardApp;
use crate::metric::{Metric, OPEN_TRANSACTIONS};
use crate::snapshot::ShardSnapshot;
use proto::message::{Malformation, Method, RejectReason};
use proto::proxy::{Counters, Drop, Refused};

const CLASSES: [&str; 7] = ["", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"];

impl ShardApp {
    /// Fills `snapshot` with this shard's figures.
    pub(crate) fn fill(&self, snapshot: &mut ShardSnapshot) {
        snapshot.begin(self.shard());
        messages(&self.proxy.counters, snapshot);
        dropped(&self.proxy.counters, snapshot);
        rejected(&self.proxy.counters, snapshot);
        self.events(snapshot);
        self.pools(snapshot);
        self.registrations(snapshot);
        for (reason, count) in self.proxy.policy.reasons().iter() {
            let metric = match reason.status() {
                _ if reason.is_registration() => Metric::Registers,
                Some(_) => Metric::Rejected,
                None => Metric::Dropped,
            };
            some(snapshot, metric, &[reason.label()], count);
        }
        for (end, count) in self.proxy.policy.call_ends().iter() {
            some(snapshot, Metric::CallsEnded, &[end.label()], count);
        }
        for (outcome, count) in self.proxy.policy.proofs().into_iter().flat_map(|figures| figures.named()) {
            snapshot.count(Metric::Proofs, &[outcome], count);
        }
        for gateway in self.proxy.policy.gateways() {
            snapshot.gateway(gateway);
        }
        for source in self.proxy.policy.unknown_sources().iter() {
            snapshot.unknown(*source);
        }
    }

    fn events(&self, snapshot: &mut ShardSnapshot) {
        let counters = &self.proxy.counters;
        let calls = self.proxy.policy.calls();
        self.hunts(snapshot);
        let events = [
            ("branch_given_up", counters.given_up),
            ("second_answer", counters.second_answers),
            ("trailing_octets", counters.trailing),
            ("keep_alive", self.keep_alives),
            ("module_question", self.pending.modules.asked),
            ("call_text_not_kept", calls.texts_lost),
            ("question_not_asked", self.pending.names.refused + self.pending.modules.refused),
            ("letter_lost", self.letters_lost),
            ("call_event_lost", self.proxy.policy.record_events_lost()),
            ("call_not_restored", self.calls_not_restored),
            ("answer_found_no_room_to_wait", self.pending.answers.refused),
            ("gateway_event_lost", self.proxy.policy.events_lost()),
            ("unknown_source_forgotten", self.proxy.policy.unknown_sources().forgotten()),
        ];
        for (event, count) in events {
            snapshot.count(Metric::Events, &[event], count);
        }
        snapshot.count(Metric::UnknownSources, &[], self.proxy.policy.unknown_sources().refused());
        snapshot.count(Metric::Retransmissions, &["sent"], counters.retransmissions_sent);
        snapshot.count(Metric::TransactionsOpened, &["server"], counters.transactions);
        snapshot.count(Metric::TransactionsOpened, &["client"], counters.branches);
        snapshot.count(Metric::CallsEstablished, &[], calls.opened);
        snapshot.count(Metric::Calls, &[], u64::from(calls.active));
    }

    fn hunts(&self, snapshot: &mut ShardSnapshot) {
        let hunting = self.proxy.policy.hunting();
        let (noted, passed_over) = hunting.held().figures();
        let [ported, not_ported, failed] = hunting.dips();
        let events = [
            ("number_ported", ported),
            ("number_not_ported", not_ported),
            ("number_dip_failed", failed),
            ("vendor_at_its_cap", hunting.capped()),
            ("vendor_503_noted", noted),
            ("vendor_passed_over_for_503", passed_over),
            ("emergency_call", hunting.emergencies()),
            ("call_forgotten_for_loops", hunting.loops_forgotten()),
        ];
        for (event, count) in events {
            some(snapshot, Metric::Events, &[event], count);
        }
    }

    fn registrations(&self, snapshot: &mut ShardSnapshot) {
        let Some(figures) = self.proxy.policy.registrations() else { return };
        snapshot.count(Metric::RegisteredUsers, &[], figures.accounts);
        snapshot.count(Metric::Bindings, &[], figures.bindings);
        snapshot.count(Metric::BindingsExpired, &[], figures.expired);
        snapshot.count(Metric::PoolUsed, &["binding_bytes"], figures.used_bytes);
        snapshot.count(Metric::PoolSize, &["binding_bytes"], figures.taken_bytes);
        snapshot.count(Metric::Events, &["reply_found_no_room_to_wait"], self.pending.replies.refused);
        snapshot.count(Metric::Events, &["reply_lost_with_the_journal"], self.pending.replies.dropped);
    }

    fn pools(&self, snapshot: &mut ShardSnapshot) {
        let used = self.proxy.occupancy();
        let size = &self.proxy.settings().capacity;
        let calls = self.proxy.policy.calls();
        let pools = [
            ("transactions", u64::from(used.transactions), u64::from(size.transactions)),
            ("open_requests", u64::from(used.open), u64::from(size.open)),
            ("branches", u64::from(used.branches), u64::from(size.branches)),
            ("message_bytes", used.bytes, size.bytes as u64),
            ("calls", u64::from(calls.active), u64::from(calls.capacity)),
            ("long_call_texts", u64::from(calls.texts_long), u64::from(calls.capacity)),
        ];
        for (pool, used, size) in pools {
            snapshot.count(Metric::PoolUsed, &[pool], used);
            snapshot.count(Metric::PoolSize, &[pool], size);
        }
        snapshot.count(Metric::Transactions, &[OPEN_TRANSACTIONS], u64::from(used.open));
        snapshot.count(Metric::Transactions, &["absorbing"], u64::from(used.transactions.saturating_sub(used.open)));
    }
}

fn messages(counters: &Counters, snapshot: &mut ShardSnapshot) {
    let methods = Method::ALL.iter();
    for ((method, received), sent) in methods.clone().zip(counters.requests_received).zip(counters.requests_sent) {
        some(snapshot, Metric::Requests, &[method.as_str(), "in"], received);
        some(snapshot, Metric::Requests, &[method.as_str(), "out"], sent);
    }
    for ((method, received), sent) in methods.zip(counters.responses_received).zip(counters.responses_sent) {
        for ((class, received), sent) in CLASSES.iter().zip(received).zip(sent) {
            some(snapshot, Metric::Responses, &[method.as_str(), class, "in"], received);
            some(snapshot, Metric::Responses, &[method.as_str(), class, "out"], sent);
        }
    }
}

/// A policy's drops are counted under its own reasons, malformed messages under what is wrong with them.
fn dropped(counters: &Counters, snapshot: &mut ShardSnapshot) {
    for (why, count) in Drop::ALL.iter().zip(counters.dropped) {
        match why {
            Drop::Policy | Drop::Malformed => {}
            Drop::RequestRepeated => snapshot.count(Metric::Retransmissions, &["absorbed"], count),
            _ => some(snapshot, Metric::Dropped, &[why.label()], count),
        }
    }
    for (why, count) in Malformation::ALL.iter().zip(counters.malformed) {
        some(snapshot, Metric::Dropped, &[why.label()], count);
    }
}

/// A policy's refusals are counted under its own reasons, invalid requests under what is wrong with them.
fn rejected(counters: &Counters, snapshot: &mut ShardSnapshot) {
    for (why, count) in Refused::ALL.iter().zip(counters.refused) {
        if !matches!(why, Refused::Policy | Refused::Invalid) {
            some(snapshot, Metric::Rejected, &[why.label()], count);
        }
    }
    for (why, count) in RejectReason::ALL.iter().zip(counters.invalid) {
        some(snapshot, Metric::Rejected, &[why.label()], count);
    }
}

/// A figure that has happened at least once: reasons are many and most stay at zero for ever.
fn some(snapshot: &mut ShardSnapshot, metric: Metric, labels: &[&'static str], value: u64) {
    if value > 0 {
        snapshot.count(metric, labels, value);
    }
}
