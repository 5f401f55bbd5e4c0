//! Gateways that change their state: noticed and logged once, by whichever shard it was learnt.

use super::gather::Gathered;
use crate::log::{Level, Log, Record};
use modules::dispatcher::health::State;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How soon after a shard's event the states are looked at: events come in bursts.
const AFTER_EVENT: Duration = Duration::from_millis(20);

/// How often they are looked at without any event: some states change by time alone.
const REGULARLY: Duration = Duration::from_secs(5);

/// The states as they were logged last, by gateway number.
#[derive(Debug)]
pub(super) struct GatewayWatch {
    states: BTreeMap<u32, State>,
    next_look: Instant,
}

impl GatewayWatch {
    pub(super) fn new(now: Instant) -> Self {
        GatewayWatch { states: BTreeMap::new(), next_look: now + REGULARLY }
    }

    /// A shard has learnt something.
    pub(super) fn event(&mut self, now: Instant) {
        self.next_look = self.next_look.min(now + AFTER_EVENT);
    }

    /// Whether it is time to gather figures; if so, the next time is set.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next_look;
        if due {
            self.next_look = now + REGULARLY;
        }
        due
    }

    /// When to look next.
    pub(super) fn deadline(&self) -> Instant {
        self.next_look
    }

    /// Logs what differs from the last look.
    pub(super) fn look(&mut self, gathered: &Gathered, log: &Log) {
        let Some(tables) = &gathered.picture.tables else { return };
        let mut states = BTreeMap::new();
        for (number, row) in &gathered.gateways {
            states.insert(*number, row.state);
            let before = self.states.get(number).copied().unwrap_or(State::Up);
            let Some(gateway) = tables.gateway(row.number).filter(|_| before != row.state) else { continue };
            let level = if row.state == State::Up { Level::Info } else { Level::Warn };
            let set = tables.set(gateway.set).map(|set| set.name.to_string()).unwrap_or_default();
            let address = gateway.address.map(|address| address.to_string()).unwrap_or_default();
            log.send(
                Record::new(level, "gateway")
                    .with("gateway", gateway.name.as_ref())
                    .with("set", set)
                    .with("address", address)
                    .with("state", row.state.label())
                    .with("was", before.label())
                    .with("why", row.why.label()),
            );
        }
        self.states = states;
    }
}
