//! Gateways by name: which names are watched, and the addresses that tables are made with.

use crate::dns::{Service, Target, Watched};
use modules::tables::NamedAddress;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tuning::{Config, Host, HostPort};

/// What is known of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<Service, Watched>,
}

impl Names {
    /// The names that the gateways of `config` have.
    pub(super) fn wanted(config: &Config) -> BTreeSet<Service> {
        let gateways = config.sets.iter().flat_map(|set| &set.gateways);
        gateways.filter_map(|gateway| service(&gateway.uri.0)).collect()
    }

    /// Forgets names that are no longer wanted.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<Service>) {
        self.known.retain(|service, _| wanted.contains(service));
    }

    /// Takes in news. True: the addresses have changed, and tables must be made anew.
    pub(super) fn learn(&mut self, service: Service, news: Watched) -> bool {
        let before = self.known.insert(service.clone(), news);
        let now = self.known.get(&service);
        before.as_ref().map(Watched::targets).unwrap_or_default() != now.map(Watched::targets).unwrap_or_default()
    }

    /// Names that have been looked up at least once.
    pub(super) fn answered(&self) -> usize {
        self.known.len()
    }

    /// Addresses as tables want them, best first.
    pub(super) fn addresses(&self) -> HashMap<HostPort, Vec<NamedAddress>> {
        let of = |(service, watched): (&Service, &Watched)| {
            let addresses = with_shares(watched.targets());
            (HostPort { host: Host::Name(service.host.clone()), port: service.port }, addresses)
        };
        self.known.iter().map(of).collect()
    }
}

/// Part of a record of weight 1; one of weight 0 beside others has 1 (RFC 2782: "a very small chance").
const SHARE_OF_WEIGHT: u32 = 100;

/// RFC 2782: those of the lowest priority share by weight, all others wait until those have failed.
fn with_shares(targets: &[Target]) -> Vec<NamedAddress> {
    let best = targets.iter().map(|target| target.priority).min();
    let share = |target: &Target| {
        if Some(target.priority) != best {
            return 0;
        }
        // Addresses of one host divide its weight.
        (u32::from(target.weight) * SHARE_OF_WEIGHT / u32::from(target.siblings.max(1))).max(1)
    };
    targets.iter().map(|target| NamedAddress { address: target.address, share: share(target) }).collect()
}

fn service(at: &HostPort) -> Option<Service> {
    match &at.host {
        Host::Name(host) => Some(Service { host: host.clone(), port: at.port }),
        Host::Address(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::net::SocketAddr;

    fn target(last: u8, priority: u16, weight: u16, siblings: u16) -> Target {
        Target { priority, weight, siblings, address: SocketAddr::from(([192, 0, 2, last], 5060)) }
    }

    #[test]
    fn srv_weights_share_and_higher_priorities_wait() {
        let shares = |targets: &[Target]| with_shares(targets).iter().map(|named| named.share).collect::<Vec<_>>();
        assert_eq!(shares(&[target(1, 10, 60, 1), target(2, 10, 40, 1), target(3, 20, 99, 1)]), [6_000, 4_000, 0]);
        assert_eq!(shares(&[target(1, 0, 0, 1), target(2, 0, 0, 1)]), [1, 1], "no SRV: all alike");
        assert_eq!(shares(&[target(1, 1, 10, 2), target(2, 1, 10, 2), target(3, 1, 10, 1)]), [500, 500, 1_000]);
        assert_eq!(shares(&[target(1, 1, 0, 1), target(2, 1, 10, 1)]), [1, 1_000], "a very small chance");
    }

    #[test]
    fn only_a_change_of_addresses_asks_for_new_tables() {
        let service = Service { host: "gw.example".into(), port: None };
        let targets = |last| vec![target(last, 0, 0, 1)];
        let mut names = Names::default();
        assert!(!names.learn(service.clone(), Watched::Unresolved("x".into())));
        assert!(names.learn(service.clone(), Watched::Fresh(targets(1))));
        assert!(!names.learn(service.clone(), Watched::Stale(targets(1), "timeout".into())));
        assert!(names.learn(service.clone(), Watched::Fresh(targets(2))));
        let host = HostPort { host: Host::Name("gw.example".into()), port: None };
        assert_eq!(names.addresses()[&host], [NamedAddress::from(target(2, 0, 0, 1).address)]);
        names.keep(&BTreeSet::new());
        assert!(names.addresses().is_empty());
    }
}
